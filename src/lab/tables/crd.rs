//! The columns that a custom resource's author chose.

use serde_json::{Value, json};

use super::since;

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone)]
pub(in crate::lab) struct CustomColumn {
    name: String,
    ty: String,
    format: String,
    description: String,
    priority: i64,
    path: Vec<Step>,
}

/// One step of the simple JSONPath that CRDs may use.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    /// `[?(@.key=="value")]`
    Where(String, String),
}

impl CustomColumn {
    /// The columns of a CRD's version; without any, the age alone, as the server does.
    pub fn of_version(version: &Value) -> Vec<Self> {
        let listed: Vec<Self> = version["additionalPrinterColumns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| {
                let text = |key: &str| c[key].as_str().unwrap_or_default().to_owned();
                Self {
                    name: text("name"),
                    ty: text("type"),
                    format: text("format"),
                    description: text("description"),
                    priority: c["priority"].as_i64().unwrap_or_default(),
                    path: parse(&text("jsonPath")),
                }
            })
            .collect();
        if !listed.is_empty() {
            return listed;
        }
        vec![Self {
            name: "Age".into(),
            ty: "date".into(),
            format: String::new(),
            description: "When the server stored the object first.".into(),
            priority: 0,
            path: parse(".metadata.creationTimestamp"),
        }]
    }
}

fn parse(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.trim().trim_start_matches('.');
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (inside, after) = inner.split_once(']').unwrap_or((inner, ""));
            let condition = inside.strip_prefix("?(@.").and_then(|c| c.strip_suffix(')'));
            if let Some((key, value)) = condition.and_then(|c| c.split_once("==")) {
                let value = value.trim().trim_matches(['"', '\'']);
                steps.push(Step::Where(key.trim().into(), value.into()));
            } else if let Ok(index) = inside.parse() {
                steps.push(Step::Index(index));
            } else {
                steps.push(Step::Key(inside.trim_matches(['"', '\'']).into()));
            }
            rest = after.trim_start_matches('.');
        } else {
            // An escaped dot belongs to the key: `.metadata.labels.app\.kubernetes\.io/name`.
            let mut key = String::new();
            let mut end = rest.len();
            let mut escaped = false;
            for (i, c) in rest.char_indices() {
                match c {
                    '\\' if !escaped => escaped = true,
                    '.' | '[' if !escaped => {
                        end = i;
                        break;
                    }
                    _ => {
                        key.push(c);
                        escaped = false;
                    }
                }
            }
            steps.push(Step::Key(key));
            rest = rest[end..].trim_start_matches('.');
        }
    }
    steps
}

fn find<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value, |v, step| match step {
        Step::Key(key) => v.get(key),
        Step::Index(i) => v.get(i),
        Step::Where(key, wanted) => {
            v.as_array()?.iter().find(|item| item.get(key).and_then(Value::as_str) == Some(wanted))
        }
    })
}

pub(super) fn columns(custom: &[CustomColumn]) -> Value {
    let mut columns = vec![json!({
        "name": "Name", "type": "string", "format": "name", "description": super::describe("Name"), "priority": 0,
    })];
    columns.extend(custom.iter().map(|c| {
        json!({"name": c.name, "type": c.ty, "format": c.format, "description": c.description, "priority": c.priority})
    }));
    Value::Array(columns)
}

pub(super) fn cells(custom: &[CustomColumn], object: &Value) -> Vec<Value> {
    let mut cells = vec![super::name(object)];
    cells.extend(custom.iter().map(|column| {
        let Some(value) = find(object, &column.path).filter(|v| !v.is_null()) else { return Value::Null };
        match (column.ty.as_str(), value) {
            ("string", Value::String(s)) => s.clone().into(),
            ("string", other) => other.to_string().into(),
            ("integer", v) => {
                v.as_i64().or_else(|| v.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from)
            }
            ("number", v) => v.as_f64().map_or(Value::Null, Value::from),
            ("boolean", Value::Bool(b)) => (*b).into(),
            ("date", v) => {
                let text = since(v);
                if text == "<unknown>" { "<invalid>".into() } else { text.into() }
            }
            _ => Value::Null,
        }
    }));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_by_json_path() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "First", "type": "string", "jsonPath": ".spec.hosts[0]"},
            {"name": "App", "type": "string", "jsonPath": ".metadata.labels.app\\.kubernetes\\.io/name"},
            {"name": "Gone", "type": "string", "jsonPath": ".status.nothing"},
        ]});
        let object = json!({
            "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"size": 3, "hosts": ["one", "two"]},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let cells = cells(&CustomColumn::of_version(&version), &object);
        assert_eq!(json!(cells), json!(["a", "True", 3, "one", "web", null]));
    }
}
