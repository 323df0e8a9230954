//! The ways to change an object in part: JSON patch, merge patch, strategic merge patch, server-side apply.

pub(super) mod apply;
mod strategic;

use serde_json::Value;

use super::failure::{Failure, Outcome};
use super::kinds::Kind;

/// How a patch is written, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Style {
    pub fn of(content_type: &str, kind: &Kind) -> Outcome<Self> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        match media {
            "application/json-patch+json" => Ok(Style::Json),
            "application/merge-patch+json" => Ok(Style::Merge),
            // Custom resources have no types that say how their lists are merged.
            "application/strategic-merge-patch+json" if kind.custom.is_none() => Ok(Style::Strategic),
            "application/apply-patch+yaml" => Ok(Style::Apply),
            _ if kind.custom.is_some() => Err(Failure::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Failure::unsupported_media_type("")),
        }
    }
}

/// Applies a patch other than server-side apply.
pub(super) fn patch(style: Style, object: &mut Value, patch: &Value) -> Outcome<()> {
    match style {
        Style::Json => json_patch(object, patch),
        Style::Strategic => {
            strategic::merge(object, patch, "", "");
            Ok(())
        }
        Style::Merge | Style::Apply => {
            merge(object, patch);
            Ok(())
        }
    }
}

/// RFC 7386.
fn merge(object: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(serde_json::Map::new());
    }
    let Some(map) = object.as_object_mut() else { return };
    for (key, change) in changes {
        if change.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// RFC 6902.
fn json_patch(object: &mut Value, patch: &Value) -> Outcome<()> {
    let Some(steps) = patch.as_array() else {
        return Err(Failure::bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
        ));
    };
    for step in steps {
        let path = step["path"].as_str().unwrap_or_default();
        let from = step["from"].as_str().unwrap_or_default();
        let missing =
            || invalid(format!("the server rejected our request due to an error in our request: {path}"));
        let done = match step["op"].as_str().unwrap_or_default() {
            "add" => add(object, path, step["value"].clone()),
            "remove" => take(object, path).map(|_| ()),
            "replace" => object.pointer_mut(path).map(|slot| *slot = step["value"].clone()),
            "move" => take(object, from).and_then(|v| add(object, path, v)),
            "copy" => object.pointer(from).cloned().and_then(|v| add(object, path, v)),
            "test" => {
                if object.pointer(path) != Some(&step["value"]) {
                    return Err(invalid(format!("testing value {path} failed: test failed")));
                }
                Some(())
            }
            other => return Err(Failure::bad_request(format!("unexpected kind: {other}"))),
        };
        done.ok_or_else(missing)?;
    }
    Ok(())
}

fn invalid(message: String) -> Box<Failure> {
    Failure::new(422, "Invalid", message)
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *object = value;
        return Some(());
    }
    let (parent, last) = split(path)?;
    match object.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(list) if last == "-" => list.push(value),
        Value::Array(list) => {
            let index: usize = last.parse().ok().filter(|i| *i <= list.len())?;
            list.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn take(object: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = split(path)?;
    match object.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(&last),
        Value::Array(list) => {
            let index: usize = last.parse().ok().filter(|i| *i < list.len())?;
            Some(list.remove(index))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_patches_add_remove_replace_and_test() {
        let mut object = json!({"a": {"b/c": 1}, "list": [1, 3]});
        let steps = json!([
            {"op": "test", "path": "/a/b~1c", "value": 1},
            {"op": "add", "path": "/list/1", "value": 2},
            {"op": "add", "path": "/list/-", "value": 4},
            {"op": "replace", "path": "/a/b~1c", "value": 5},
            {"op": "move", "from": "/a/b~1c", "path": "/a/d"},
            {"op": "remove", "path": "/list/0"},
        ]);
        patch(Style::Json, &mut object, &steps).unwrap();
        assert_eq!(object, json!({"a": {"d": 5}, "list": [2, 3, 4]}));
        let failing = json!([{"op": "test", "path": "/a/d", "value": 6}]);
        assert_eq!(patch(Style::Json, &mut object, &failing).unwrap_err().code, 422);
        let nowhere = json!([{"op": "remove", "path": "/x"}]);
        assert_eq!(patch(Style::Json, &mut object, &nowhere).unwrap_err().code, 422);
    }

    #[test]
    fn merge_patches_remove_by_null() {
        let mut object = json!({"a": {"b": 1, "c": 2}, "list": [1, 2]});
        patch(Style::Merge, &mut object, &json!({"a": {"b": null, "d": 3}, "list": [9]})).unwrap();
        assert_eq!(object, json!({"a": {"c": 2, "d": 3}, "list": [9]}));
    }
}
