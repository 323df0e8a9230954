//! Who set which field: the sets of `managedFields`, as FieldsV1 writes them.
//!
//! A set is a tree of JSON objects: `f:name` is a field, `k:{...}` an item of a list by its keys, `v:...`
//! an item of a list of plain values, `.` the thing itself; an empty object is a leaf
//! (`sigs.k8s.io/structured-merge-diff/fieldpath`). Which lists go by which keys is in the types of
//! Kubernetes; those that are met in practice are listed here.

use serde_json::{Map, Value, json};

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListKind {
    /// Items are objects that these keys tell apart.
    Keyed(&'static [&'static str]),
    /// Items are plain values.
    Set,
    /// The list is one value.
    Atomic,
}

/// How the list in `field` of `parent` is merged.
pub(super) fn list_kind(parent: &str, field: &str) -> ListKind {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => ListKind::Keyed(&["name"]),
        "ports" if parent == "spec" => ListKind::Keyed(&["port", "protocol"]),
        "ports" if !parent.is_empty() => ListKind::Keyed(&["containerPort", "protocol"]),
        "volumeMounts" => ListKind::Keyed(&["mountPath"]),
        "volumeDevices" => ListKind::Keyed(&["devicePath"]),
        "conditions" | "addresses" => ListKind::Keyed(&["type"]),
        "ownerReferences" => ListKind::Keyed(&["uid"]),
        "hostAliases" | "podIPs" => ListKind::Keyed(&["ip"]),
        "topologySpreadConstraints" => ListKind::Keyed(&["topologyKey", "whenUnsatisfiable"]),
        "finalizers" => ListKind::Set,
        _ => ListKind::Atomic,
    }
}

/// Maps that are one value: selectors.
pub(super) fn atomic_map(field: &str) -> bool {
    matches!(
        field,
        "selector" | "nodeSelector" | "labelSelector" | "scaleTargetRef" | "roleRef" | "involvedObject"
    )
}

/// Maps of any keys, which are owned themselves besides their keys.
fn free_map(field: &str) -> bool {
    matches!(
        field,
        "labels"
            | "annotations"
            | "data"
            | "binaryData"
            | "stringData"
            | "limits"
            | "requests"
            | "hard"
            | "used"
    )
}

/// What the default is of a key that an item of a list leaves out.
fn key_default(key: &str) -> Value {
    if key == "protocol" { "TCP".into() } else { Value::Null }
}

/// The part of an item that tells it apart.
pub(super) fn item_key(item: &Value, keys: &[&str]) -> Value {
    let mut map = Map::new();
    for key in keys {
        let value = item.get(*key).cloned().unwrap_or_else(|| key_default(key));
        if !value.is_null() {
            map.insert((*key).to_owned(), value);
        }
    }
    Value::Object(map)
}

/// The set of everything in an object that somebody can own.
pub(super) fn owned(object: &Value, with_status: bool) -> Value {
    let mut set = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "status" if !with_status => {}
            "metadata" => {
                let mut meta = value.clone();
                if let Some(map) = meta.as_object_mut() {
                    for identity in IDENTITY {
                        map.shift_remove(*identity);
                    }
                    if map.is_empty() {
                        continue;
                    }
                }
                set.insert("f:metadata".into(), of("", "metadata", &meta));
            }
            _ => {
                set.insert(format!("f:{key}"), of("", key, value));
            }
        }
    }
    Value::Object(set)
}

/// Fields of metadata that nobody owns.
const IDENTITY: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

fn of(parent: &str, field: &str, value: &Value) -> Value {
    match value {
        Value::Object(map) if !atomic_map(field) && !map.is_empty() => {
            let mut set = of_map(field, map);
            if free_map(field) {
                set.insert(".".into(), json!({}));
            }
            Value::Object(set)
        }
        Value::Array(list) if !list.is_empty() => match list_kind(parent, field) {
            ListKind::Atomic => json!({}),
            ListKind::Set => {
                let mut set = Map::from_iter([(".".to_owned(), json!({}))]);
                set.extend(list.iter().map(|v| (format!("v:{v}"), json!({}))));
                Value::Object(set)
            }
            ListKind::Keyed(keys) => {
                let mut set = Map::from_iter([(".".to_owned(), json!({}))]);
                for item in list {
                    let mut inner = Map::new();
                    if let Some(map) = item.as_object().filter(|_| field != "ownerReferences") {
                        inner = of_map(field, map);
                        inner.insert(".".into(), json!({}));
                    }
                    let inner = Value::Object(inner);
                    set.insert(format!("k:{}", item_key(item, keys)), inner);
                }
                Value::Object(set)
            }
        },
        _ => json!({}),
    }
}

fn of_map(field: &str, map: &Map<String, Value>) -> Map<String, Value> {
    map.iter().map(|(key, inner)| (format!("f:{key}"), of(field, key, inner))).collect()
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

/// Everything of both.
pub(super) fn union(a: &Value, b: &Value) -> Value {
    let (Some(left), Some(right)) = (a.as_object(), b.as_object()) else { return a.clone() };
    let mut out = left.clone();
    for (key, value) in right {
        let merged = out.get(key).map_or_else(|| value.clone(), |mine| union(mine, value));
        out.insert(key.clone(), merged);
    }
    Value::Object(out)
}

/// What is in `a` and not in `b`; `None` if nothing is left.
pub(super) fn without(a: &Value, b: &Value) -> Option<Value> {
    if is_leaf(a) {
        return None;
    }
    let mut out = Map::new();
    for (key, value) in a.as_object().into_iter().flatten() {
        match b.get(key) {
            None => {
                out.insert(key.clone(), value.clone());
            }
            Some(other) => {
                if let Some(rest) = without(value, other) {
                    out.insert(key.clone(), rest);
                }
            }
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// The leaves that are in both, as paths.
pub(super) fn common(a: &Value, b: &Value) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    common_into(a, b, &mut Vec::new(), &mut out);
    out
}

fn common_into(a: &Value, b: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    for (key, value) in a.as_object().into_iter().flatten() {
        let Some(other) = b.get(key) else { continue };
        if key == "." {
            continue;
        }
        path.push(key.clone());
        if is_leaf(value) || is_leaf(other) {
            out.push(path.clone());
        } else {
            common_into(value, other, path, out);
        }
        path.pop();
    }
}

/// Every leaf of a set, as paths; what holds others comes after them, so that it can be removed once empty.
pub(super) fn leaves(set: &Value) -> Vec<Vec<String>> {
    fn walk(set: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
        for (key, value) in set.as_object().into_iter().flatten().filter(|(k, _)| *k != ".") {
            path.push(key.clone());
            walk(value, path, out);
            if is_leaf(value) || value.get(".").is_some() {
                out.push(path.clone());
            }
            path.pop();
        }
    }
    let mut out = Vec::new();
    walk(set, &mut Vec::new(), &mut out);
    out
}

/// The set of one path.
pub(super) fn set_of_path(path: &[String]) -> Value {
    path.iter().rev().fold(json!({}), |inner, step| {
        let mut map = Map::new();
        map.insert(step.clone(), inner);
        Value::Object(map)
    })
}

/// The value at a path of a set.
pub(super) fn lookup<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| {
        if let Some(name) = step.strip_prefix("f:") {
            value.get(name)
        } else {
            let index = position(value, step)?;
            value.get(index)
        }
    })
}

/// Takes the value at a path out of an object.
pub(super) fn remove(object: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut value = object;
    for step in parents {
        let next = if let Some(name) = step.strip_prefix("f:") {
            value.get_mut(name)
        } else {
            position(value, step).and_then(|i| value.get_mut(i))
        };
        match next {
            Some(next) => value = next,
            None => return,
        }
    }
    if let Some(name) = last.strip_prefix("f:") {
        if let Some(map) = value.as_object_mut() {
            map.shift_remove(name);
        }
    } else if let Some(index) = position(value, last)
        && let Some(list) = value.as_array_mut()
    {
        list.remove(index);
    }
}

/// Which item of a list a step names.
fn position(list: &Value, step: &str) -> Option<usize> {
    let list = list.as_array()?;
    if let Some(text) = step.strip_prefix("v:") {
        let wanted: Value = serde_json::from_str(text).ok()?;
        return list.iter().position(|v| *v == wanted);
    }
    let wanted: Value = serde_json::from_str(step.strip_prefix("k:")?).ok()?;
    let wanted = wanted.as_object()?;
    list.iter().position(|item| {
        wanted.iter().all(|(k, v)| item.get(k).cloned().unwrap_or_else(|| key_default(k)) == *v)
    })
}

/// A path as messages write it: `.spec.template.spec.containers[name="web"].image`.
pub(super) fn show(path: &[String]) -> String {
    let mut out = String::new();
    for step in path {
        if let Some(name) = step.strip_prefix("f:") {
            out.push('.');
            out.push_str(name);
        } else if let Some(keys) = step.strip_prefix("k:") {
            let keys: Value = serde_json::from_str(keys).unwrap_or_default();
            let list: Vec<String> =
                keys.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={v}")).collect();
            out.push_str(&format!("[{}]", list.join(",")));
        } else if let Some(value) = step.strip_prefix("v:") {
            out.push_str(&format!("[={value}]"));
        }
    }
    out
}

/// An entry of `managedFields`.
pub(super) fn entry(
    manager: &str,
    operation: &str,
    api_version: &str,
    time: &str,
    set: Value,
    sub: &str,
) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": api_version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": set,
    });
    if !sub.is_empty() {
        entry["subresource"] = sub.into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_name_items_by_their_keys() {
        let object = json!({
            "metadata": {"name": "a", "labels": {"app": "web"}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers":
                [{"name": "web", "image": "x", "ports": [{"containerPort": 80}]}]}}},
        });
        let set = owned(&object, false);
        assert_eq!(set["f:metadata"], json!({"f:labels": {".": {}, "f:app": {}}}));
        assert_eq!(set["f:spec"]["f:selector"], json!({}));
        let container = &set["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"web\"}"];
        assert_eq!(
            container["f:ports"]["k:{\"containerPort\":80,\"protocol\":\"TCP\"}"]["f:containerPort"],
            json!({})
        );
        let image: Vec<String> =
            ["f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"web\"}", "f:image"]
                .map(str::to_owned)
                .to_vec();
        assert_eq!(lookup(&object, &image), Some(&json!("x")));
        assert_eq!(show(&image), ".spec.template.spec.containers[name=\"web\"].image");
        assert!(leaves(&set).contains(&image));
        let mut changed = object.clone();
        remove(&mut changed, &image);
        assert!(lookup(&changed, &image).is_none());
        assert!(common(&set, &set_of_path(&image)).contains(&image));
        let rest = without(&set, &set_of_path(&image)).unwrap();
        assert!(!leaves(&rest).contains(&image));
        assert_eq!(union(&rest, &set_of_path(&image)), set_without_order(&set, &rest, &image));
    }

    /// The union puts the path back, at the end of its map: equal as JSON objects are.
    fn set_without_order(set: &Value, rest: &Value, path: &[String]) -> Value {
        let joined = union(rest, &set_of_path(path));
        assert_eq!(leaves(set).len(), leaves(&joined).len());
        joined
    }
}
