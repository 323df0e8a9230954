//! Manifests: YAML or JSON of one or several objects.

use serde::Deserialize as _;
use serde_json::Value;

use super::describe::part::text;
use crate::base::{Error, Result};

/// One object of a manifest.
#[derive(Debug, Clone)]
pub struct Document {
    pub value: Value,
    /// Its own text where that must be sent as it is: a reader of YAML 1.1, as the API server's, takes some of its
    /// words for other values than one of YAML 1.2 does (`defaultMode: 0644`, `enabled: yes`).
    pub raw: Option<String>,
}

impl Document {
    pub fn api_version(&self) -> String {
        text(&self.value, "/apiVersion")
    }

    pub fn kind(&self) -> String {
        text(&self.value, "/kind")
    }

    pub fn name(&self) -> String {
        text(&self.value, "/metadata/name")
    }

    pub fn namespace(&self) -> Option<String> {
        Some(text(&self.value, "/metadata/namespace")).filter(|n| !n.is_empty())
    }

    /// What discovery resolves: `v1/Pod`, `apps/v1/Deployment`.
    pub fn resolvable(&self) -> String {
        let api_version = self.api_version();
        if api_version.contains('/') {
            format!("{api_version}/{}", self.kind())
        } else {
            format!("core/{api_version}/{}", self.kind())
        }
    }

    /// `deployment web`, for sentences.
    pub fn words(&self) -> String {
        format!("{} {}", self.kind().to_lowercase(), self.name())
    }
}

/// More objects in one manifest are refused.
const MOST: usize = 200;

/// Reads a manifest. Every object in it must say its apiVersion, kind and name.
pub fn parse(manifest: &str) -> Result<Vec<Document>> {
    let mut out = Vec::new();
    let sources = split(manifest);
    for source in &sources {
        let value = Value::deserialize(serde_yaml_ng::Deserializer::from_str(source))
            .map_err(|e| Error::invalid(format!("the manifest is not valid YAML: {e}")))?;
        if value.is_null() {
            continue;
        }
        if text(&value, "/kind").ends_with("List") && value.get("items").is_some_and(Value::is_array) {
            if let Some(Value::Array(items)) = value.get("items").cloned() {
                out.extend(items.into_iter().map(|value| Document { value, raw: None }));
            }
            continue;
        }
        let raw = is_ambiguous(source).then(|| (*source).to_owned());
        out.push(Document { value, raw });
    }
    if out.is_empty() {
        return Err(Error::invalid("the manifest holds no object"));
    }
    if out.len() > MOST {
        return Err(Error::invalid(format!("the manifest holds {} objects, more than {MOST}", out.len())));
    }
    for (i, document) in out.iter().enumerate() {
        let missing = [
            ("apiVersion", document.api_version()),
            ("kind", document.kind()),
            ("metadata.name", document.name()),
        ];
        if let Some((field, _)) = missing.iter().find(|(_, v)| v.is_empty()) {
            return Err(Error::invalid(format!("object {} of the manifest has no {field}", i + 1))
                .next("Give every object its apiVersion, kind and metadata.name."));
        }
    }
    Ok(out)
}

/// Parts a stream of documents at its `---` lines. Such a line inside a block of text is indented, so it parts nothing.
fn split(manifest: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in manifest.split_inclusive('\n') {
        let word = line.trim_end();
        if word == "---" || word.starts_with("--- ") || word == "..." {
            out.push(&manifest[start..at]);
            // What follows the dashes on their line belongs to the document.
            start = at + if word == "..." { line.len() } else { 3 };
        }
        at += line.len();
    }
    out.push(&manifest[start..]);
    out.retain(|d| !d.trim().is_empty());
    out
}

/// Whether a plain word in it reads otherwise in YAML 1.1 than in 1.2.
fn is_ambiguous(source: &str) -> bool {
    const WORDS: &[&str] = &["yes", "no", "on", "off", "y", "n"];
    source.lines().any(|line| {
        let value = line.split(" #").next().unwrap_or(line).trim();
        let value =
            value.rsplit([' ', ',', '[', '{', ':']).next().unwrap_or(value).trim_end_matches([']', '}']);
        let octal = value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit());
        octal
            || value.contains('_') && value.bytes().all(|b| b.is_ascii_digit() || b == b'_')
            || WORDS.iter().any(|w| value.eq_ignore_ascii_case(w))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_documents_and_lists_are_read() {
        let text = "---\n# only a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x: |\n    one\n    ---\n    two\n---\n\
                    apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: c, namespace: n}}\n";
        let documents = parse(text).unwrap();
        let names: Vec<String> = documents.iter().map(Document::words).collect();
        assert_eq!(names, ["configmap a", "pod b", "deployment c"]);
        assert_eq!(documents[0].value["data"]["x"], "one\n---\ntwo\n");
        assert_eq!(
            (documents[1].resolvable(), documents[2].resolvable()),
            ("core/v1/Pod".into(), "apps/v1/Deployment".into())
        );
        assert!(documents.iter().all(|d| d.raw.is_none()));
        assert_eq!(
            parse(r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "j"}}"#).unwrap().len(),
            1
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(
            parse("kind: Pod\n").unwrap_err().message.contains("object 1 of the manifest has no apiVersion")
        );
        assert!(parse("apiVersion: v1\nkind: Pod\n").unwrap_err().message.contains("metadata.name"));
        assert!(parse("# nothing\n").unwrap_err().message.contains("no object"));
        assert!(parse("a: [").unwrap_err().message.contains("not valid YAML"));
    }

    #[test]
    fn words_that_yaml_versions_read_differently_are_left_to_the_server() {
        let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
        for (line, ambiguous) in [
            ("mode: 0644", true),
            ("mode: 420", false),
            ("on: yes", true),
            ("x: \"yes\"", false),
            ("list: [no]", true),
            ("x: 0", false),
            ("x: 1_000 # a", true),
        ] {
            assert_eq!(parse(&format!("{head}{line}\n")).unwrap()[0].raw.is_some(), ambiguous, "{line}");
        }
    }
}
