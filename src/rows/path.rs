//! A part of an object by a path: a small, predictable piece of JSONPath, and of jq.
//!
//! `spec.containers[0].image`, `.status.conditions[?(@.type=="Ready")].status`, `metadata.labels['app.kubernetes.io/name']`,
//! `metadata.annotations.a\.b`, `spec.containers[*].name`. kubectl's braces around it are taken too, and jq's
//! `.items[].name` and `."log.level"`.

use serde_json::Value;

/// Why a path gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path {path:?} cannot be read: {why}")]
    Syntax { path: String, why: String },
    #[error("there is no {step} at {at:?}; there is: {there}")]
    Missing { step: String, at: String, there: String },
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(String),
    /// From the end, where it is negative.
    Index(i64),
    /// `[1:3]`, `[-2:]`: from the first to before the second.
    Slice(Option<i64>, Option<i64>),
    All,
    /// Items whose field (by a path of keys) has this value.
    Where(Vec<String>, String),
    /// Items whose field has another value, or is there whatever its value.
    Unless(Vec<String>, String),
    Having(Vec<String>),
}

/// Whether a word for a field is a path in a manifest, and not a column of a table: those have no small letters.
pub fn is_path(field: &str) -> bool {
    field.contains(|c: char| c.is_lowercase() || c == '/')
}

/// A path that is read once, to be followed in many objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Vec<Step>);

impl Path {
    pub fn parse(path: &str) -> Result<Self, PathError> {
        parse(path).map(Self)
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Also takes a JSON pointer (RFC 6901): `/spec/replicas`.
    pub fn parse_any(path: &str) -> Result<Self, PathError> {
        let Some(pointer) = path.strip_prefix('/') else { return Self::parse(path) };
        let step = |word: &str| match word.parse() {
            Ok(index) => Step::Index(index),
            Err(_) => Step::Key(word.replace("~1", "/").replace("~0", "~")),
        };
        Ok(Self(pointer.split('/').map(step).collect()))
    }

    /// What it leads to; nothing where something on the way is missing.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            let mut next = Vec::with_capacity(found.len());
            for value in found {
                follow(value, step, &mut next);
            }
            found = next;
        }
        found
    }
}

/// The part of `value` that `path` names. A path with `*` or a filter gives a list, of one item too.
pub fn select(value: &Value, path: &str) -> Result<Value, PathError> {
    let steps = parse(path)?;
    let many = !steps.iter().all(|s| matches!(s, Step::Key(_) | Step::Index(_)));
    let mut found = vec![value];
    let mut at = String::new();
    for step in &steps {
        let mut next = Vec::with_capacity(found.len());
        for value in &found {
            follow(value, step, &mut next);
        }
        if next.is_empty() && !matches!(step, Step::All) {
            let there = found.first().map(|v| what_is_there(v)).unwrap_or_default();
            return Err(PathError::Missing { step: describe(step), at, there });
        }
        found = next;
        at.push_str(&match step {
            Step::Key(k) => format!(".{k}"),
            other => describe(other),
        });
    }
    if many {
        Ok(Value::Array(found.into_iter().cloned().collect()))
    } else {
        Ok(found.first().map(|v| (*v).clone()).unwrap_or(Value::Null))
    }
}

fn follow<'a>(value: &'a Value, step: &Step, out: &mut Vec<&'a Value>) {
    match (step, value) {
        (Step::Key(key), Value::Object(map)) => out.extend(map.get(key)),
        (Step::Index(i), Value::Array(items)) => {
            let at = if *i < 0 { items.len() as i64 + i } else { *i };
            out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
        }
        (Step::All, Value::Array(items)) => out.extend(items),
        (Step::All, Value::Object(map)) => out.extend(map.values()),
        (Step::Slice(from, to), Value::Array(items)) => {
            let place = |at: i64| {
                let at = if at < 0 { items.len() as i64 + at } else { at };
                usize::try_from(at).unwrap_or(0).min(items.len())
            };
            let (from, to) = (from.map_or(0, place), to.map_or(items.len(), place));
            out.extend(items.get(from..to).into_iter().flatten());
        }
        (Step::Where(field, wanted), Value::Array(items)) => {
            out.extend(items.iter().filter(|item| part(item, field).is_some_and(|v| is(v, wanted))));
        }
        (Step::Unless(field, wanted), Value::Array(items)) => {
            out.extend(items.iter().filter(|item| part(item, field).is_some_and(|v| !is(v, wanted))));
        }
        (Step::Having(field), Value::Array(items)) => {
            out.extend(items.iter().filter(|item| part(item, field).is_some()));
        }
        _ => {}
    }
}

fn part<'a>(item: &'a Value, field: &[String]) -> Option<&'a Value> {
    field.iter().try_fold(item, |v, key| v.get(key))
}

fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(s) => s == wanted,
        other => *wanted == *other.to_string(),
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Key(k) => k.clone(),
        Step::Index(i) => format!("[{i}]"),
        Step::All => "[*]".to_owned(),
        Step::Slice(from, to) => {
            let write = |at: &Option<i64>| at.map(|at| at.to_string()).unwrap_or_default();
            format!("[{}:{}]", write(from), write(to))
        }
        Step::Where(field, value) => format!("[?(@.{}==\"{value}\")]", field.join(".")),
        Step::Unless(field, value) => format!("[?(@.{}!=\"{value}\")]", field.join(".")),
        Step::Having(field) => format!("[?(@.{})]", field.join(".")),
    }
}

fn what_is_there(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&str> = map.keys().map(String::as_str).take(20).collect();
            if map.len() > keys.len() {
                keys.push("…");
            }
            keys.join(", ")
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        other => format!("the value {other}"),
    }
}

fn parse(path: &str) -> Result<Vec<Step>, PathError> {
    let bad = |why: &str| PathError::Syntax { path: path.to_owned(), why: why.to_owned() };
    let mut rest = path.trim();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.strip_suffix('}').ok_or_else(|| bad("the brace is not closed"))?;
    }
    rest = rest.strip_prefix('$').unwrap_or(rest);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) =
                bracket(inner).ok_or_else(|| bad("[…] holds an index, *, 'key' or ?(@.field==\"value\")"))?;
            steps.push(step);
            rest = after;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some((key, after)) = rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            steps.push(Step::Key(key.to_owned()));
            rest = after;
            continue;
        }
        let mut key = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => key.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' => {
                    end = i;
                    break;
                }
                c => key.push(c),
            }
        }
        rest = &rest[end..];
        match key.as_str() {
            "" if rest.is_empty() => {}
            "" if rest.starts_with('[') => {}
            "" => return Err(bad("a name is missing between two dots")),
            "*" => steps.push(Step::All),
            _ => steps.push(Step::Key(key)),
        }
    }
    Ok(steps)
}

/// What is inside `[…]`, and what follows it.
fn bracket(inner: &str) -> Option<(Step, &str)> {
    if let Some(after) = inner.strip_prefix(']') {
        return Some((Step::All, after));
    }
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, after) = inner[1..].split_once(quote)?;
        return Some((Step::Key(key.to_owned()), after.strip_prefix(']')?));
    }
    if let Some(filter) = inner.strip_prefix("?(") {
        let (filter, after) = filter.split_once(")]")?;
        let keys = |field: &str| -> Option<Vec<String>> {
            Some(field.trim().strip_prefix("@.")?.split('.').map(str::to_owned).collect())
        };
        let word = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
        let step = if let Some((field, value)) = filter.split_once("!=") {
            Step::Unless(keys(field)?, word(value))
        } else if let Some((field, value)) = filter.split_once("==") {
            Step::Where(keys(field)?, word(value))
        } else {
            Step::Having(keys(filter)?)
        };
        return Some((step, after));
    }
    let (index, after) = inner.split_once(']')?;
    // `[name="web"]`: how the server writes the path of a list's item.
    if let Some((key, value)) = index.split_once('=') {
        let value = value.trim_matches(['"', '\'']).to_owned();
        return Some((Step::Where(vec![key.trim_matches(['=', ' ']).to_owned()], value), after));
    }
    if let Some((from, to)) = index.split_once(':') {
        let place = |text: &str| match text.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        };
        return Some((Step::Slice(place(from)?, place(to)?), after));
    }
    match index.trim() {
        "*" => Some((Step::All, after)),
        number => Some((Step::Index(number.parse().ok()?), after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_their_parts() {
        let pod = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "False"}]},
        });
        for (path, expected) in [
            ("spec.containers[0].image", json!("x:1")),
            ("{.spec.containers[-1].image}", json!("y:2")),
            ("$.spec.containers[*].name", json!(["a", "b"])),
            ("metadata.labels['app.kubernetes.io/name']", json!("web")),
            ("metadata.labels.app\\.kubernetes\\.io/name", json!("web")),
            ("status.conditions[?(@.type==\"Ready\")].status", json!(["True"])),
            (".spec.containers[name=\"b\"].image", json!(["y:2"])),
            ("", pod.clone()),
        ] {
            assert_eq!(select(&pod, path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_read_once_finds_what_is_there_and_nothing_else() {
        let pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "ports": []}, {"name": "c"}]}});
        let found =
            |path: &str| Path::parse(path).unwrap().find(&pod).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(found(".spec.containers[1:].name"), [json!("b"), json!("c")]);
        assert_eq!(found(".spec.containers[:-1].name"), [json!("a"), json!("b")]);
        assert_eq!(found("{.spec.containers[?(@.name!=\"b\")].name}"), [json!("a"), json!("c")]);
        assert_eq!(found("spec.containers[?(@.ports)].name"), [json!("b")]);
        assert_eq!(found(".spec.nodeName"), [] as [Value; 0]);
        assert!(Path::parse("a[").is_err());
    }

    #[test]
    fn a_wrong_path_says_what_is_there() {
        let pod = json!({"spec": {"containers": [], "nodeName": "n"}});
        let error = select(&pod, "spec.container").unwrap_err();
        assert_eq!(error.to_string(), "there is no container at \".spec\"; there is: containers, nodeName");
        assert!(matches!(select(&pod, "spec..x"), Err(PathError::Syntax { .. })));
        assert!(matches!(select(&pod, "spec[x]"), Err(PathError::Syntax { .. })));
        assert_eq!(select(&pod, "spec.containers[*]"), Ok(json!([])));
    }
}
