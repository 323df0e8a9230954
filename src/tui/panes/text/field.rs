//! Where in a manifest a field is written.

use super::document::{Document, indent};
use crate::rows::path::{Path, Step};

/// The line of a block-style YAML document on which the field is written; `None` where it has no such field.
pub fn line_of(document: &Document, path: &str) -> Option<usize> {
    let path = Path::parse_any(path).ok()?;
    let (mut from, mut to) = (0, document.len());
    // The column at which the keys or items of the block begin. The first line of an item has its dash before it.
    let mut item = None;
    let mut found = None;
    for step in path.steps() {
        let text = |i: usize| document.line(i);
        let solid = |i: &usize| !text(*i).trim().is_empty() && !text(*i).trim_start().starts_with('#');
        let first = (from..to).find(solid)?;
        let column =
            item.filter(|(line, _)| *line == first).map_or_else(|| indent(text(first)), |(_, at)| at);
        let own = |i: usize| match item {
            Some((line, at)) if line == i => Some(&text(i)[at..]),
            _ => (indent(text(i)) == column).then(|| text(i).trim_start()),
        };
        let wanted = |rest: &str| match step {
            Step::Key(key) => is_key(rest, key),
            _ => rest.starts_with('-'),
        };
        let at = match step {
            Step::Key(_) => (first..to).find(|i| solid(i) && own(*i).is_some_and(wanted))?,
            Step::Index(n) => {
                let n = usize::try_from(*n).ok()?;
                (first..to).filter(|i| own(*i).is_some_and(wanted)).nth(n)?
            }
            // What leads to several places has no line of its own.
            _ => return None,
        };
        let ends = |i: &usize| {
            let depth = indent(text(*i));
            let listed =
                matches!(step, Step::Key(_)) && depth == column && text(*i).trim_start().starts_with('-');
            solid(i) && depth <= column && !listed
        };
        to = (at + 1..to).find(ends).unwrap_or(to);
        (from, item) = match step {
            Step::Key(_) => (at + 1, None),
            _ => {
                let behind = text(at)[column + 1..].trim_start();
                (at, Some((at, text(at).len() - behind.len())))
            }
        };
        found = Some(at);
    }
    found
}

/// The line of a manifest at which an error points: that of the first field which its words name, `spec.replicas`,
/// `\"spec.replicaz\"` or the Go struct field `DeploymentSpec.spec.replicas`. One that is not there has the line of what
/// it should be in.
pub fn at_fault(text: &str, message: &str) -> Option<usize> {
    let document = Document::new(text.to_owned());
    let paths = |word: &str| {
        let quoted = word.starts_with(['"', '`']);
        let bare =
            word.trim_matches(|c: char| matches!(c, '"' | '`' | ':' | ',' | ';' | '(' | ')' | '.' | '\''));
        // A single word may be any word, where it is not marked as a name.
        let path = (quoted || bare.contains(['.', '['])).then(|| bare.to_owned());
        let behind_type = bare.split_once('.').map(|(_, rest)| rest.to_owned());
        [path, behind_type]
    };
    let all: Vec<String> =
        message.split_whitespace().flat_map(paths).flatten().filter(|path| !path.is_empty()).collect();
    let mut shorter = all.clone();
    while !shorter.is_empty() {
        if let Some(line) = shorter.iter().find_map(|path| line_of(&document, path)) {
            return Some(line);
        }
        shorter = shorter
            .iter()
            .filter_map(|path| path.rfind(['.', '[']).filter(|at| *at > 0).map(|at| path[..at].to_owned()))
            .collect();
    }
    None
}

/// Whether a line begins with that key, quoted or not.
fn is_key(line: &str, key: &str) -> bool {
    let bare = line.strip_prefix(['"', '\'']).unwrap_or(line);
    let quoted = bare.len() < line.len();
    let Some(rest) = bare.strip_prefix(key) else { return false };
    let rest = if quoted { rest.strip_prefix(['"', '\'']).unwrap_or(rest) } else { rest };
    rest == ":" || rest.starts_with(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "kind: Pod\nmetadata:\n  labels:\n    app.kubernetes.io/name: web\n  name: web\nspec:\n  \
        containers:\n  - name: app\n    image: a:1\n    ports:\n    - containerPort: 80\n    - containerPort: 81\n  \
        - image: b:2\n    name: side\n  nodeName: n1\n";

    #[test]
    fn an_error_points_at_the_field_that_it_names() {
        let at =
            |message: &str| at_fault(POD, message).map(|i| POD.lines().nth(i).unwrap().trim().to_owned());
        for (message, line) in [
            ("Pod \"web\" is invalid: spec.containers[1].image: Required value", "- image: b:2"),
            (
                "Pod \"web\" is invalid: spec.containers[0].ports[0].name: Invalid value: \"X\"",
                "- containerPort: 80",
            ),
            ("strict decoding error: unknown field \"spec.nodeNam\"", "spec:"),
            (
                "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string",
                "nodeName: n1",
            ),
            ("the argument \"kind\" must be a string", "kind: Pod"),
        ] {
            assert_eq!(at(message).as_deref(), Some(line), "{message}");
        }
        assert_eq!(at("the server does not answer, whatever the kind of question"), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn a_field_is_found_where_it_is_written() {
        let document = Document::new(POD.to_owned());
        let at = |path: &str| line_of(&document, path).map(|i| document.line(i).trim().to_owned());
        for (path, line) in [
            ("kind", "kind: Pod"),
            ("metadata.name", "name: web"),
            ("spec.containers", "containers:"),
            ("spec.containers[0].image", "image: a:1"),
            ("spec.containers[0].name", "- name: app"),
            ("spec.containers[1]", "- image: b:2"),
            ("spec.containers[1].image", "- image: b:2"),
            ("/spec/containers/1/name", "name: side"),
            ("spec.containers[0].ports[1].containerPort", "- containerPort: 81"),
            ("spec.nodeName", "nodeName: n1"),
            ("metadata.labels[\"app.kubernetes.io/name\"]", "app.kubernetes.io/name: web"),
            (r"metadata.labels.app\.kubernetes\.io/name", "app.kubernetes.io/name: web"),
        ] {
            assert_eq!(at(path).as_deref(), Some(line), "{path}");
        }
        for missing in
            ["", "spec.name", "spec.containers[2]", "name", "spec.containers[0].ports[2]", "kind.x", "STATUS"]
        {
            assert_eq!(at(missing), None, "{missing}");
        }
    }
}
