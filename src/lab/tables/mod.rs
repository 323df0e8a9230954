//! Tables as the server prints them: what `kubectl get` shows.
//!
//! Columns and the text of cells follow `k8s.io/kubernetes/pkg/printers/internalversion` of 1.36,
//! so that a person sees here what they see on a real cluster.

mod cluster;
mod config;
pub(super) mod crd;
mod network;
mod pods;
mod workloads;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::object::{items, parse_stamp, text};
use crate::rows::cell::age;

/// A column: name, type, priority (1 is shown in the wide output only).
type Column = (&'static str, &'static str, u8);

/// The cells of one row, and the row's conditions (null for none).
type Printed = (Vec<Value>, Value);

/// How a kind is printed.
struct Printer {
    columns: &'static [Column],
    cells: fn(&Value) -> Vec<Value>,
}

const NAME: Column = ("Name", "string", 0);
const AGE: Column = ("Age", "string", 0);

/// What the server prints of kinds that have no printer of their own.
const PLAIN: Printer = Printer {
    columns: &[NAME, ("Created At", "date", 0)],
    cells: |o| vec![name(o), text(o, "metadata.creationTimestamp").into()],
};

fn printer(kind: &Kind) -> Printer {
    let group = kind.group.as_str();
    let found = match kind.plural.as_str() {
        "pods" if group.is_empty() => Some(Printer { columns: pods::COLUMNS, cells: pods::cells }),
        plural => workloads::printer(group, plural)
            .or_else(|| network::printer(group, plural))
            .or_else(|| cluster::printer(group, plural))
            .or_else(|| config::printer(group, plural)),
    };
    found.unwrap_or(PLAIN)
}

/// The column definitions of a kind's Table.
pub(super) fn columns(kind: &Kind) -> Value {
    if let Some(custom) = &kind.custom {
        return crd::columns(custom);
    }
    let columns: Vec<Value> = printer(kind)
        .columns
        .iter()
        .map(|(name, ty, priority)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": ty, "format": format, "description": describe(name), "priority": priority})
        })
        .collect();
    Value::Array(columns)
}

fn describe(column: &str) -> String {
    match column {
        "Name" => "The object's name, unique within its namespace.".into(),
        "Age" | "Created At" => "When the server stored the object first.".into(),
        other => format!("{other} of the object."),
    }
}

/// One row's cells and conditions.
pub(super) fn cells(kind: &Kind, object: &Value) -> Printed {
    if let Some(custom) = &kind.custom {
        return (crd::cells(custom, object), Value::Null);
    }
    let conditions = if kind.is("", "pods") { pods::conditions(object) } else { Value::Null };
    ((printer(kind).cells)(object), conditions)
}

fn name(object: &Value) -> Value {
    text(object, "metadata.name").into()
}

/// The age of the object.
fn object_age(object: &Value) -> Value {
    since(&object["metadata"]["creationTimestamp"]).into()
}

/// The time since a stamp as kubectl writes it; `<unknown>` of nothing.
fn since(stamp: &Value) -> String {
    match parse_stamp(stamp) {
        Some(time) => age(Timestamp::now().as_second() - time.as_second()).to_string(),
        None => "<unknown>".into(),
    }
}

/// `<none>` for an empty text.
fn or_none(value: &str) -> Value {
    if value.is_empty() { "<none>".into() } else { value.into() }
}

/// Names and images of containers, each joined by commas.
fn containers(pod_spec: &Value) -> [Value; 2] {
    let join = |key: &str| {
        let list: Vec<&str> = items(pod_spec, "containers").iter().filter_map(|c| c[key].as_str()).collect();
        Value::from(list.join(","))
    };
    [join("name"), join("image")]
}

/// A label selector as kubectl writes it; `<none>` of nothing.
fn selector(value: &Value) -> Value {
    or_none(&selector_text(value))
}

/// A label selector as a query: `a=b,c in (d)`.
pub(super) fn selector_text(value: &Value) -> String {
    let mut parts: Vec<String> = value["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    for expression in items(value, "matchExpressions") {
        let key = text(expression, "key");
        let values: Vec<&str> = items(expression, "values").iter().filter_map(Value::as_str).collect();
        parts.push(match text(expression, "operator") {
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => format!("{key} in ({})", values.join(",")),
        });
    }
    parts.sort();
    parts.join(",")
}

/// A map of labels as `a=b,c=d`, sorted; `<none>` of nothing.
fn labels(value: &Value) -> Value {
    let mut parts: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    parts.sort();
    or_none(&parts.join(","))
}

/// At most three of a list; the rest as a count.
fn first_three(list: &[String]) -> String {
    match list {
        [] => "<unset>".into(),
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a},{b},{c} + {} more...", rest.len()),
        few => few.join(","),
    }
}

/// A scalar as text, as Kubernetes prints an IntOrString or a quantity.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
