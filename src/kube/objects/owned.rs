//! Paths of fields, and who wrote which: `metadata.managedFields` read.
//!
//! Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>, and the format of
//! `FieldsV1` in `sigs.k8s.io/structured-merge-diff/fieldpath`.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::describe::part::{items, plain, text};

/// One step down into an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Field(String),
    /// The item of a list that has these fields: `containers[name=main]`.
    Key(Map<String, Value>),
    /// The item of a set that is this value.
    Value(Value),
    Index(usize),
}

/// Where a field is in an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    pub fn fields(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::Field((*name).to_owned())).collect())
    }

    #[must_use]
    pub fn and(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub fn find<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Key(key) => value.as_array()?.iter().find(|item| has(item, key)),
            Step::Value(wanted) => value.as_array()?.iter().find(|item| *item == wanted),
            Step::Index(at) => value.get(at),
        })
    }

    /// Puts a value there, with the maps and lists that lead to it. Does nothing where something else is in the way.
    pub fn set(&self, object: &mut Value, value: Value) {
        let mut at = object;
        for step in &self.0 {
            let next = match step {
                Step::Field(name) => {
                    if at.is_null() {
                        *at = json!({});
                    }
                    at.as_object_mut().map(|map| map.entry(name.clone()).or_insert(Value::Null))
                }
                step => {
                    if at.is_null() {
                        *at = json!([]);
                    }
                    at.as_array_mut().and_then(|list| item(list, step))
                }
            };
            let Some(next) = next else { return };
            at = next;
        }
        *at = value;
    }

    /// Takes away what is there.
    pub fn remove(&self, object: &mut Value) {
        let Some((last, before)) = self.0.split_last() else { return };
        let mut at = object;
        for step in before {
            let next = match step {
                Step::Field(name) => at.get_mut(name),
                step => at.as_array_mut().and_then(|list| item(list, step)),
            };
            let Some(next) = next else { return };
            at = next;
        }
        match (last, at) {
            (Step::Field(name), Value::Object(map)) => {
                map.remove(name);
            }
            (Step::Key(key), Value::Array(list)) => list.retain(|item| !has(item, key)),
            (Step::Value(value), Value::Array(list)) => list.retain(|item| item != value),
            (Step::Index(at), Value::Array(list)) if *at < list.len() => {
                list.remove(*at);
            }
            _ => {}
        }
    }

    /// Whether one of the two lies within the other, or is the same.
    pub fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| match (a, b) {
            // A list's key is written with all its fields, or with those that a manifest has.
            (Step::Key(a), Step::Key(b)) => {
                let within = |a: &Map<String, Value>, b: &Map<String, Value>| {
                    a.iter().all(|(name, value)| b.get(name) == Some(value))
                };
                within(a, b) || within(b, a)
            }
            (a, b) => a == b,
        })
    }
}

/// The item of a list that a step means; one that is not there yet is made.
fn item<'a>(list: &'a mut Vec<Value>, step: &Step) -> Option<&'a mut Value> {
    let (found, fresh) = match step {
        Step::Key(key) => (list.iter().position(|item| has(item, key)), Value::Object(key.clone())),
        Step::Value(value) => (list.iter().position(|item| item == value), value.clone()),
        Step::Index(at) => ((*at < list.len()).then_some(*at), Value::Null),
        Step::Field(_) => return None,
    };
    let at = found.unwrap_or_else(|| {
        list.push(fresh);
        list.len() - 1
    });
    list.get_mut(at)
}

/// Whether an item has a key's fields. A port's protocol is TCP where a manifest does not say it.
fn has(item: &Value, key: &Map<String, Value>) -> bool {
    key.iter().all(|(name, value)| match item.get(name) {
        Some(own) => own == value,
        None => name == "protocol" && value == "TCP",
    })
}

impl fmt::Display for Path {
    /// `spec.containers[name=main].image`; names with dots in brackets and quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains(['.', '/', '[']) => write!(f, "[{name:?}]")?,
                Step::Field(name) if i == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Key(key) => {
                    let pairs: Vec<String> = key.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
                    write!(f, "[{}]", pairs.join(","))?;
                }
                Step::Value(value) => write!(f, "[{}]", plain(value))?,
                Step::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

/// The last write of one manager: what of the object it wrote and still holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub manager: String,
    /// By server-side apply; else by an update or a patch.
    pub apply: bool,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: String,
    /// Absent where the server did not write it.
    pub at: Option<Timestamp>,
    pub paths: Vec<Path>,
}

/// The writes of all managers, the oldest first.
pub fn writes(object: &Value) -> Vec<Write> {
    let mut all: Vec<Write> = items(object, "/metadata/managedFields")
        .iter()
        .map(|entry| {
            let mut paths = Vec::new();
            if let Some(fields) = entry.get("fieldsV1") {
                leaves(fields, &Path::default(), &mut paths);
            }
            Write {
                manager: text(entry, "/manager"),
                apply: text(entry, "/operation") == "Apply",
                subresource: text(entry, "/subresource"),
                at: text(entry, "/time").parse().ok(),
                paths,
            }
        })
        .collect();
    all.sort_by_key(|write| write.at);
    all
}

fn leaves(fields: &Value, at: &Path, out: &mut Vec<Path>) {
    let map = fields.as_object().into_iter().flatten();
    let below: Vec<(Step, &Value)> = map.filter_map(|(name, deeper)| Some((step(name)?, deeper))).collect();
    if below.is_empty() {
        out.push(at.clone());
    }
    for (step, deeper) in below {
        leaves(deeper, &at.and(step), out);
    }
}

/// A step of `FieldsV1`; `.` is the place itself, which what is below it says too.
fn step(name: &str) -> Option<Step> {
    let (kind, rest) = name.split_once(':')?;
    match kind {
        "f" => Some(Step::Field(rest.to_owned())),
        "k" => serde_json::from_str(rest).ok().map(Step::Key),
        "v" => serde_json::from_str(rest).ok().map(Step::Value),
        "i" => rest.parse().ok().map(Step::Index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        json!({"metadata": {"managedFields": [
            {"manager": "scaler", "operation": "Update", "subresource": "scale", "time": "2026-11-21T11:00:00Z",
                "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubectl", "operation": "Apply", "time": "2026-11-21T10:00:00Z", "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:a.example/b": {}}, "f:finalizers": {"v:\"x\"": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}},
        ]}, "spec": {"containers": [{"name": "side"}, {"name": "main", "image": "x", "ports": [{"containerPort": 80}]}]}})
    }

    #[test]
    fn managed_fields_are_read_as_paths_the_oldest_write_first() {
        let object = deployment();
        let writes = writes(&object);
        let told: Vec<(&str, bool, &str)> =
            writes.iter().map(|w| (w.manager.as_str(), w.apply, w.subresource.as_str())).collect();
        assert_eq!(told, [("kubectl", true, ""), ("scaler", false, "scale")]);
        let paths: Vec<String> = writes[0].paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            paths,
            [
                "metadata.annotations[\"a.example/b\"]",
                "metadata.finalizers[x]",
                "spec.containers[name=main].image",
                "spec.containers[name=main].ports[containerPort=80,protocol=TCP].containerPort",
            ]
        );
        assert_eq!(writes[0].paths[2].find(&object), Some(&json!("x")));
        assert_eq!(writes[0].paths[3].find(&object), Some(&json!(80)), "TCP need not be said");
        assert_eq!(writes[0].paths[1].find(&object), None);
    }

    #[test]
    fn values_are_put_where_a_path_leads_and_taken_away_again() {
        let paths = &writes(&deployment())[0].paths;
        let mut made = Value::Null;
        paths[2].set(&mut made, json!("y"));
        paths[1].set(&mut made, json!("x"));
        assert_eq!(
            made,
            json!({"spec": {"containers": [{"name": "main", "image": "y"}]}, "metadata": {"finalizers": ["x"]}})
        );
        paths[2].remove(&mut made);
        paths[1].remove(&mut made);
        assert_eq!(made, json!({"spec": {"containers": [{"name": "main"}]}, "metadata": {"finalizers": []}}));
        assert!(Path::fields(&["spec"]).touches(&paths[2]) && !Path::fields(&["status"]).touches(&paths[2]));
    }
}
