//! Label and field selectors.

use compact_str::CompactString;
use serde_json::Value;

use super::failure::{Failure, Outcome};
use super::kinds::Kind;
use super::object::{Object, at};

/// One condition on a label.
#[derive(Debug, Clone, PartialEq)]
enum Label {
    In(CompactString, Vec<CompactString>),
    NotIn(CompactString, Vec<CompactString>),
    Exists(CompactString),
    Absent(CompactString),
    Above(CompactString, i64),
    Below(CompactString, i64),
}

/// One condition on a field: path, value, whether it must be equal.
#[derive(Debug, Clone, PartialEq)]
struct Field {
    path: CompactString,
    value: CompactString,
    equal: bool,
}

/// What of a kind is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Selector {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

impl Selector {
    pub fn parse(kind: &Kind, labels: &str, fields: &str) -> Outcome<Self> {
        Ok(Self { labels: parse_labels(labels)?, fields: parse_fields(kind, fields)? })
    }

    /// A selector as objects hold it: `matchLabels` with `matchExpressions`, or a plain map.
    pub fn of_object(selector: &Value) -> Self {
        let mut labels = Vec::new();
        let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
        let map = if plain { selector.as_object() } else { selector["matchLabels"].as_object() };
        for (key, value) in map.into_iter().flatten() {
            labels.push(Label::In(key.into(), vec![value.as_str().unwrap_or_default().into()]));
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let key = CompactString::from(expression["key"].as_str().unwrap_or_default());
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(CompactString::from).collect();
            labels.push(match expression["operator"].as_str() {
                Some("NotIn") => Label::NotIn(key, values),
                Some("Exists") => Label::Exists(key),
                Some("DoesNotExist") => Label::Absent(key),
                _ => Label::In(key, values),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Object) -> bool {
        if !self.labels.iter().all(|l| l.holds(|key| object.label(key))) {
            return false;
        }
        let cheap = |f: &Field| match f.path.as_str() {
            "metadata.name" => Some(f.value == object.name),
            "metadata.namespace" => Some(f.value == object.namespace),
            _ => None,
        };
        let mut tree = None;
        self.fields.iter().all(|f| {
            let equal = cheap(f).unwrap_or_else(|| {
                let tree = tree.get_or_insert_with(|| object.value());
                field_text(tree, &f.path) == f.value.as_str()
            });
            equal == f.equal
        })
    }

    /// Whether a map of labels, as in a pod template, is selected.
    pub fn matches_labels(&self, labels: &Value) -> bool {
        self.labels.iter().all(|l| l.holds(|key| labels.get(key).and_then(Value::as_str)))
    }
}

impl Label {
    fn holds<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Label::In(key, values) => get(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Label::NotIn(key, values) => get(key).is_none_or(|v| !values.iter().any(|w| w == v)),
            Label::Exists(key) => get(key).is_some(),
            Label::Absent(key) => get(key).is_none(),
            Label::Above(key, n) => get(key).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v > *n),
            Label::Below(key, n) => get(key).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v < *n),
        }
    }
}

/// A field's value as selectors compare it: text, numbers and booleans; empty if it is not there.
fn field_text(tree: &Value, path: &str) -> CompactString {
    match at(tree, path) {
        Value::String(s) => s.into(),
        Value::Null => match path {
            // Defaults that the server fills in where the object says nothing.
            "spec.unschedulable" => "false".into(),
            _ => CompactString::default(),
        },
        other => other.to_string().into(),
    }
}

/// Which fields the server can select by, as `k8s.io/kubernetes/pkg/apis/*/v1/conversion.go` registers them.
fn selectable(kind: &Kind, path: &str) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && (kind.namespaced || kind.custom.is_none()))
    {
        return true;
    }
    let more: &[&str] = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        _ => &[],
    };
    more.contains(&path)
}

fn parse_fields(kind: &Kind, text: &str) -> Outcome<Vec<Field>> {
    let mut fields = Vec::new();
    for term in text.split(',').filter(|t| !t.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (path, value, true)
        } else {
            return Err(Failure::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        if !selectable(kind, path) {
            return Err(Failure::bad_request(format!("field label not supported: {path}")));
        }
        fields.push(Field { path: path.into(), value: value.into(), equal });
    }
    Ok(fields)
}

/// Splits at the commas that are not inside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0_i32, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn parse_labels(text: &str) -> Outcome<Vec<Label>> {
    let bad = |what: String| Failure::bad_request(format!("unable to parse requirement: {what}"));
    let mut labels = Vec::new();
    if text.trim().is_empty() {
        return Ok(labels);
    }
    for term in terms(text) {
        let term = term.trim();
        let label = if let Some((key, set)) = set_term(term, " notin ") {
            Label::NotIn(label_key(key)?, set)
        } else if let Some((key, set)) = set_term(term, " in ") {
            Label::In(label_key(key)?, set)
        } else if let Some((key, value)) = term.split_once("!=") {
            Label::NotIn(label_key(key)?, vec![label_value(value)?])
        } else if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            Label::In(label_key(key)?, vec![label_value(value)?])
        } else if let Some((key, value)) = term.split_once('>') {
            Label::Above(label_key(key)?, whole_number(value)?)
        } else if let Some((key, value)) = term.split_once('<') {
            Label::Below(label_key(key)?, whole_number(value)?)
        } else if let Some(key) = term.strip_prefix('!') {
            Label::Absent(label_key(key)?)
        } else if term.is_empty() {
            return Err(bad("found ',', expected: identifier after ','".into()));
        } else {
            Label::Exists(label_key(term)?)
        };
        labels.push(label);
    }
    Ok(labels)
}

fn set_term<'a>(term: &'a str, word: &str) -> Option<(&'a str, Vec<CompactString>)> {
    let (key, rest) = term.split_once(word)?;
    let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some((key, inner.split(',').map(|v| v.trim().into()).collect()))
}

fn label_key(text: &str) -> Outcome<CompactString> {
    let key = text.trim();
    let name = key.rsplit('/').next().unwrap_or_default();
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) || key.contains(char::is_whitespace) {
        return Err(Failure::bad_request(format!(
            "unable to parse requirement: <nil>: Invalid value: \"{key}\": name part must consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        )));
    }
    Ok(key.into())
}

fn label_value(text: &str) -> Outcome<CompactString> {
    let value = text.trim();
    if value.starts_with('=') {
        return Err(Failure::bad_request("unable to parse requirement: found '=', expected: identifier"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.len() > 63 || !value.chars().all(good) {
        return Err(Failure::bad_request(format!(
            "unable to parse requirement: values[0][]: Invalid value: \"{value}\": a valid label must be an empty \
             string or consist of alphanumeric characters, '-', '_' or '.'"
        )));
    }
    Ok(value.into())
}

fn whole_number(text: &str) -> Outcome<i64> {
    text.trim().parse().map_err(|_| {
        Failure::bad_request(format!(
            "unable to parse requirement: values[0]: Invalid value: \"{}\": for 'Gt', 'Lt' operators, the value \
             must be an integer",
            text.trim()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Kinds;
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_choose_as_kubernetes_does() {
        let kinds = Kinds::builtin();
        let pods = kinds.by_kind("v1", "Pod").unwrap();
        let object = Object::new(
            json!({"metadata": {"name": "a", "namespace": "shop", "labels": {"app": "web", "tier": "front", "n": "5"}},
                   "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}),
            1,
        );
        let cases = [
            ("app=web", "", true),
            ("app==web,tier!=back", "", true),
            ("app in (web, api)", "", true),
            ("app notin (web,api)", "", false),
            ("gone!=x", "", true),
            ("tier", "", true),
            ("!tier", "", false),
            ("n>4", "", true),
            ("n<4", "", false),
            ("", "metadata.name=a", true),
            ("", "status.phase!=Running", false),
            ("", "spec.nodeName=n1,status.phase==Running", true),
            ("app=web", "metadata.namespace=other", false),
        ];
        for (labels, fields, expected) in cases {
            let selector = Selector::parse(pods, labels, fields).unwrap();
            assert_eq!(selector.matches(&object), expected, "{labels} {fields}");
        }
        assert_eq!(
            Selector::parse(pods, "", "spec.foo=b").unwrap_err().message,
            "field label not supported: spec.foo"
        );
        assert_eq!(Selector::parse(pods, "a===b", "").unwrap_err().code, 400);
        let own = json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]});
        assert!(Selector::of_object(&own).matches(&object));
        assert!(!Selector::of_object(&json!({"app": "api"})).matches(&object));
    }
}
