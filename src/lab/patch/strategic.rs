//! Strategic merge patch: as a merge patch, but lists of named things are merged by their key.
//!
//! The directives are those of `k8s.io/apimachinery/pkg/util/strategicpatch`.

use serde_json::{Map, Value};

use crate::lab::fields::{ListKind, list_kind};

pub(super) fn merge(object: &mut Value, patch: &Value, parent: &str, field: &str) {
    let Some(changes) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if changes.get("$patch").and_then(Value::as_str) == Some("replace") {
        *object = without_directives(patch);
        return;
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(map) = object.as_object_mut() else { return };
    if let Some(kept) = changes.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| kept.iter().any(|k| k == key));
    }
    for (key, change) in changes {
        if let Some(target) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(list), Some(gone)) =
                (map.get_mut(target).and_then(Value::as_array_mut), change.as_array())
            {
                list.retain(|v| !gone.contains(v));
            }
        } else if key.starts_with('$') {
            // Orders and the directives above: nothing to set.
        } else if change.is_null() || change.get("$patch").and_then(Value::as_str) == Some("delete") {
            map.shift_remove(key);
        } else if let Some(items) = change.as_array() {
            merge_list(map.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new())), items, field, key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change, field, key);
        }
    }
    let _ = parent;
}

fn merge_list(list: &mut Value, changes: &[Value], parent: &str, field: &str) {
    let replace = changes.iter().any(|c| c.get("$patch").and_then(Value::as_str) == Some("replace"));
    let (kind, old) = (list_kind(parent, field), list.as_array_mut());
    let Some(old) = old.filter(|_| !replace && kind != ListKind::Atomic) else {
        let plain = changes.iter().filter(|c| c.get("$patch").is_none()).map(without_directives);
        *list = Value::Array(plain.collect());
        return;
    };
    match kind {
        ListKind::Set => {
            for change in changes {
                if !old.contains(change) {
                    old.push(change.clone());
                }
            }
        }
        ListKind::Keyed(keys) => {
            // One key decides, where server-side apply has several.
            let Some(key) = keys.first() else { return };
            for change in changes {
                let found = old.iter().position(|o| o.get(*key) == change.get(*key));
                let delete = change.get("$patch").and_then(Value::as_str) == Some("delete");
                match found {
                    Some(i) if delete => {
                        old.remove(i);
                    }
                    Some(i) => merge(&mut old[i], change, parent, field),
                    None if delete => {}
                    None => old.push(without_directives(change)),
                }
            }
        }
        ListKind::Atomic => {}
    }
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let plain = map.iter().filter(|(k, v)| !k.starts_with('$') && !v.is_null());
            Value::Object(plain.map(|(k, v)| (k.clone(), without_directives(v))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_directives).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containers_are_merged_by_name_and_env_can_be_deleted() {
        let mut object = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "web:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
             "args": ["x", "y"]},
            {"name": "side", "image": "side:1"}]}}}});
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "web"}, {"name": "side"}, {"name": "new"}],
            "containers": [
                {"name": "web", "image": "web:2", "args": ["z"], "env": [{"name": "B", "$patch": "delete"}, {"name": "C", "value": "3"}]},
                {"name": "new", "image": "new:1"}]}}}});
        merge(&mut object, &patch, "", "");
        assert_eq!(
            object["spec"]["template"]["spec"]["containers"],
            json!([
                {"name": "web", "image": "web:2", "env": [{"name": "A", "value": "1"}, {"name": "C", "value": "3"}], "args": ["z"]},
                {"name": "side", "image": "side:1"},
                {"name": "new", "image": "new:1"},
            ])
        );
        let mut strategy = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
        merge(&mut strategy, &json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}), "", "");
        assert_eq!(strategy, json!({"strategy": {"type": "Recreate"}}));
    }
}
