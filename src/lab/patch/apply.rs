//! Server-side apply, and who owns what after any other write.
//!
//! The rules are those of kubernetes.io/docs/reference/using-api/server-side-apply: an applier owns what
//! it names; naming what somebody else owns with another value is a conflict unless forced; what it named
//! before and does not any more goes away unless somebody else owns it too.

use serde_json::{Map, Value, json};

use crate::lab::failure::{Failure, Outcome};
use crate::lab::fields::{self, ListKind};
use crate::lab::kinds::Kind;

/// Who writes.
#[derive(Debug, Clone)]
pub(in crate::lab) struct Writer<'a> {
    pub manager: &'a str,
    pub subresource: &'a str,
    /// Now, as `metav1.Time`.
    pub time: &'a str,
}

fn entries(object: &Value) -> Vec<Value> {
    object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
}

fn is_own(entry: &Value, writer: &Writer<'_>, operation: &str) -> bool {
    entry["manager"] == writer.manager
        && entry["operation"] == operation
        && entry["subresource"].as_str().unwrap_or_default() == writer.subresource
}

/// Merges what is applied into what is there, and writes down who owns what.
pub(in crate::lab) fn apply(
    kind: &Kind,
    live: &Value,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Outcome<Value> {
    let wanted = fields::owned(applied, writer.subresource == "status");
    let mut managed = entries(live);
    let mut conflicts = Vec::new();
    for entry in managed.iter().filter(|e| !is_own(e, writer, "Apply")) {
        for path in fields::common(&wanted, &entry["fieldsV1"]) {
            let (mine, theirs) = (fields::lookup(applied, &path), fields::lookup(live, &path));
            if mine != theirs && theirs.is_some() {
                conflicts.push((entry.clone(), path));
            }
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(conflict(&conflicts));
    }
    let before = managed.iter().find(|e| is_own(e, writer, "Apply")).map(|e| e["fieldsV1"].clone());
    let mut merged = live.clone();
    merge(&mut merged, applied, "", "");
    let others: Vec<Value> =
        managed.iter().filter(|e| !is_own(e, writer, "Apply")).map(|e| e["fieldsV1"].clone()).collect();
    for path in before.iter().flat_map(fields::leaves) {
        let one = fields::set_of_path(&path);
        let kept = fields::common(&wanted, &one).contains(&path) || holds(&wanted, &path);
        if !kept && !others.iter().any(|o| holds(o, &path)) {
            fields::remove(&mut merged, &path);
        }
    }
    for (_, path) in &conflicts {
        let one = fields::set_of_path(path);
        for entry in managed.iter_mut().filter(|e| !is_own(e, writer, "Apply")) {
            entry["fieldsV1"] = fields::without(&entry["fieldsV1"], &one).unwrap_or_else(|| json!({}));
        }
    }
    // Applying the same again changes nothing, not even the time.
    let same = before.as_ref() == Some(&wanted) && without_managed(&merged) == without_managed(live);
    if same {
        return Ok(live.clone());
    }
    managed
        .retain(|e| !is_own(e, writer, "Apply") && e["fieldsV1"].as_object().is_some_and(|m| !m.is_empty()));
    let own =
        fields::entry(writer.manager, "Apply", &kind.api_version(), writer.time, wanted, writer.subresource);
    managed.insert(0, own);
    merged["metadata"]["managedFields"] = managed.into();
    Ok(merged)
}

fn without_managed(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(meta) = copy["metadata"].as_object_mut() {
        meta.shift_remove("managedFields");
    }
    copy
}

/// Whether a set has a path, or something below it.
fn holds(set: &Value, path: &[String]) -> bool {
    path.iter().try_fold(set, |s, step| s.get(step)).is_some()
}

fn conflict(conflicts: &[(Value, Vec<String>)]) -> Box<Failure> {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|(entry, path)| {
            let message = format!("conflict with {}", show_manager(entry));
            json!({"reason": "FieldManagerConflict", "message": message, "field": fields::show(path)})
        })
        .collect();
    let mut managers: Vec<String> = conflicts.iter().map(|(e, _)| show_manager(e)).collect();
    managers.dedup();
    let list: Vec<String> = conflicts.iter().map(|(_, p)| fields::show(p)).collect();
    let message = match (conflicts.len(), managers.as_slice()) {
        (1, [one]) => format!("Apply failed with 1 conflict: conflict with {one}: {}", list.join("")),
        (n, _) => {
            format!(
                "Apply failed with {n} conflicts: conflicts with {}:\n- {}",
                managers.join(", "),
                list.join("\n- ")
            )
        }
    };
    Failure::new(409, "Conflict", message).with(json!({"causes": causes}))
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_default()
}

fn show_manager(entry: &Value) -> String {
    let mut out = format!("{:?}", text(entry, "manager"));
    if !text(entry, "subresource").is_empty() {
        out.push_str(&format!(" with subresource {:?}", text(entry, "subresource")));
    }
    if text(entry, "operation") == "Update" && !text(entry, "apiVersion").is_empty() {
        out.push_str(&format!(" using {}", text(entry, "apiVersion")));
    }
    out
}

/// Merges by the rules of typed objects: keyed lists by key, sets by value, everything else whole.
fn merge(object: &mut Value, applied: &Value, parent: &str, field: &str) {
    match applied {
        Value::Object(changes) if !fields::atomic_map(field) => {
            if !object.is_object() {
                *object = Value::Object(Map::new());
            }
            let Some(map) = object.as_object_mut() else { return };
            for (key, change) in changes {
                merge(map.entry(key.clone()).or_insert(Value::Null), change, field, key);
            }
        }
        Value::Array(changes) => match fields::list_kind(parent, field) {
            ListKind::Atomic => *object = applied.clone(),
            ListKind::Set => {
                let mut list = object.as_array().cloned().unwrap_or_default();
                list.extend(changes.iter().filter(|c| !list.contains(c)).cloned().collect::<Vec<_>>());
                *object = list.into();
            }
            ListKind::Keyed(keys) => {
                let mut list = object.as_array().cloned().unwrap_or_default();
                for change in changes {
                    let key = fields::item_key(change, keys);
                    match list.iter_mut().find(|o| fields::item_key(o, keys) == key) {
                        Some(item) => merge_item(item, change, field),
                        None => list.push(change.clone()),
                    }
                }
                *object = list.into();
            }
        },
        other => *object = other.clone(),
    }
}

fn merge_item(item: &mut Value, change: &Value, list: &str) {
    let (Some(map), Some(changes)) = (item.as_object_mut(), change.as_object()) else {
        *item = change.clone();
        return;
    };
    for (key, change) in changes {
        merge(map.entry(key.clone()).or_insert(Value::Null), change, list, key);
    }
}

/// After a write that is not an apply: the writer owns what it changed, and nobody what is gone.
pub(in crate::lab) fn own_changes(kind: &Kind, old: &Value, new: &mut Value, writer: &Writer<'_>) {
    let status = writer.subresource == "status";
    let (before, after) = (fields::owned(old, status), fields::owned(new, status));
    let mut changed = json!({});
    for path in fields::leaves(&after) {
        if fields::lookup(old, &path) != fields::lookup(new, &path) && is_end(&after, &path) {
            changed = fields::union(&changed, &fields::set_of_path(&path));
        }
    }
    let mut gone = json!({});
    for path in fields::leaves(&before) {
        if fields::lookup(new, &path).is_none() {
            gone = fields::union(&gone, &fields::set_of_path(&path));
        }
    }
    let mut managed = entries(old);
    let empty = |set: &Value| set.as_object().is_none_or(Map::is_empty);
    if empty(&changed) && empty(&gone) {
        new["metadata"]["managedFields"] = managed.into();
        return;
    }
    let lost = fields::union(&changed, &gone);
    let mut own = json!({});
    for entry in &mut managed {
        if is_own(entry, writer, "Update") {
            own = fields::without(&entry["fieldsV1"], &gone).unwrap_or_else(|| json!({}));
            entry["fieldsV1"] = json!({});
        } else {
            entry["fieldsV1"] = fields::without(&entry["fieldsV1"], &lost).unwrap_or_else(|| json!({}));
        }
    }
    managed.retain(|e| !empty(&e["fieldsV1"]));
    let own = fields::union(&own, &changed);
    if !empty(&own) {
        let entry = fields::entry(
            writer.manager,
            "Update",
            &kind.api_version(),
            writer.time,
            own,
            writer.subresource,
        );
        managed.push(entry);
    }
    new["metadata"]["managedFields"] = managed.into();
}

/// Whether a path of a set ends there, so that its value is owned as a whole.
fn is_end(set: &Value, path: &[String]) -> bool {
    path.iter().try_fold(set, |s, step| s.get(step)).and_then(Value::as_object).is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::kinds::Kinds;

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, subresource: "", time: "2026-01-01T00:00:00Z" }
    }

    #[test]
    fn appliers_own_what_they_name_conflict_and_give_up() {
        let kinds = Kinds::builtin();
        let kind = kinds.by_kind("apps/v1", "Deployment").unwrap();
        let first = json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "1"}}, "spec": {"replicas": 2, "template": {"spec":
            {"containers": [{"name": "m", "image": "m:1", "env": [{"name": "A", "value": "1"}]}]}}}});
        let live = apply(kind, &json!({"metadata": {"name": "a"}}), &first, &writer("one"), false).unwrap();
        assert_eq!(live["spec"]["replicas"], 2);
        // Another value of another's field is a conflict; the same value is shared.
        let other = json!({"metadata": {"name": "a"}, "spec": {"replicas": 5}});
        let failure = apply(kind, &live, &other, &writer("two"), false).unwrap_err();
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (409, "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas")
        );
        let forced = apply(kind, &live, &other, &writer("two"), true).unwrap();
        assert_eq!(forced["spec"]["replicas"], 5);
        let one = forced["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|e| e["manager"] == "one")
            .unwrap();
        assert!(one["fieldsV1"]["f:spec"].get("f:replicas").is_none());
        // What the first does not name any more goes away.
        let less = json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"template": {"spec":
            {"containers": [{"name": "m", "image": "m:2"}]}}}});
        let after = apply(kind, &forced, &less, &writer("one"), false).unwrap();
        assert_eq!(after["metadata"]["labels"], json!({"x": "1"}));
        assert_eq!(after["spec"]["replicas"], 5);
        let container = &after["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            (container["image"].as_str(), container["env"].as_array().map(Vec::len).unwrap_or(0)),
            (Some("m:2"), 0)
        );
        // The same again changes nothing.
        assert_eq!(apply(kind, &after, &less, &writer("one"), false).unwrap(), after);
    }

    #[test]
    fn other_writers_own_what_they_changed() {
        let kinds = Kinds::builtin();
        let kind = kinds.by_kind("apps/v1", "Deployment").unwrap();
        let applied = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2, "paused": false}});
        let old = apply(kind, &json!({"metadata": {"name": "a"}}), &applied, &writer("one"), false).unwrap();
        let mut new = old.clone();
        new["spec"]["replicas"] = 3.into();
        own_changes(kind, &old, &mut new, &writer("edit"));
        let managed = new["metadata"]["managedFields"].as_array().unwrap();
        let of = |m: &str| managed.iter().find(|e| e["manager"] == m).map(|e| e["fieldsV1"].clone()).unwrap();
        assert_eq!(of("one"), json!({"f:spec": {"f:paused": {}}}));
        assert_eq!(of("edit"), json!({"f:spec": {"f:replicas": {}}}));
        assert_eq!(apply(kind, &new, &applied, &writer("one"), false).unwrap_err().code, 409);
    }
}
