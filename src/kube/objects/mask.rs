//! What is taken out of an object before it is shown: bookkeeping, and the values of Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Begins every masked value, so that one that comes back in an edited manifest is known.
pub const MASK: &str = "*** ";

/// kubectl keeps the whole manifest in this annotation, the values of a Secret with it.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Removes `metadata.managedFields`, of every item if it is a list.
pub fn hide_managed_fields(object: &mut Value) {
    for_each_object(object, &mut |object| {
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
    });
}

/// Whether it is a core Secret, or a list of them.
pub fn is_secret(object: &Value) -> bool {
    let word = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
    matches!(word("kind"), "Secret" | "SecretList") && matches!(word("apiVersion"), "v1" | "")
}

/// Replaces the values of a Secret by their sizes. Does nothing to other kinds.
pub fn mask_secret(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    for_each_object(object, &mut |object| {
        for (field, base64) in [("data", true), ("stringData", false)] {
            if let Some(values) = object.get_mut(field).and_then(Value::as_object_mut) {
                for value in values.values_mut() {
                    *value = Value::String(masked(value, base64));
                }
            }
        }
        if let Some(text) = object.pointer_mut("/metadata/annotations").and_then(|a| a.get_mut(LAST_APPLIED))
        {
            *text = Value::String(format!("{MASK}(it repeats the values)"));
        }
    });
}

/// Writes a Secret's values as what they are instead of in base64: to be read, not to be applied again.
pub fn decode_secret(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    for_each_object(object, &mut |object| {
        for value in
            object.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
        {
            let decoded = value.as_str().and_then(|text| STANDARD.decode(text).ok());
            *value = match decoded.map(String::from_utf8) {
                Some(Ok(text)) => Value::String(text),
                Some(Err(bytes)) => {
                    let size = bytes.as_bytes().len();
                    Value::String(format!(
                        "{size} bytes that are no text: {}",
                        STANDARD.encode(bytes.as_bytes())
                    ))
                }
                None => continue,
            };
        }
    });
}

/// Masks two versions of a Secret so that their diff shows which values differ, but no value.
pub fn mask_secret_pair(before: &mut Value, after: &mut Value) {
    let changed: Vec<(&str, String)> = ["data", "stringData"]
        .into_iter()
        .flat_map(|field| {
            let old = before.get(field).and_then(Value::as_object);
            let new = after.get(field).and_then(Value::as_object).into_iter().flatten();
            new.filter(move |(key, value)| {
                old.and_then(|o| o.get(key.as_str())).is_some_and(|old| old != *value)
            })
            .map(move |(key, _)| (field, key.clone()))
        })
        .collect();
    let secret = is_secret(after);
    mask_secret(before);
    mask_secret(after);
    if secret {
        for (field, key) in changed {
            if let Some(Value::String(text)) = after.get_mut(field).and_then(|f| f.get_mut(&key)) {
                text.push_str(" another value");
            }
        }
    }
}

/// Puts the live values back where an edited Secret still has their masks. Gives the keys whose mask has no live value.
pub fn unmask_from(edited: &mut Value, live: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    if !is_secret(edited) {
        return lost;
    }
    let live_text = live.pointer("/metadata/annotations").and_then(|a| a.get(LAST_APPLIED)).cloned();
    if let Some(annotations) = edited.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        && annotations.get(LAST_APPLIED).is_some_and(is_masked)
    {
        match live_text {
            Some(text) => annotations.insert(LAST_APPLIED.to_owned(), text),
            None => annotations.remove(LAST_APPLIED),
        };
    }
    for field in ["data", "stringData"] {
        let old: Option<&Map<String, Value>> = live.get(field).and_then(Value::as_object);
        if let Some(values) = edited.get_mut(field).and_then(Value::as_object_mut) {
            for (key, value) in values.iter_mut().filter(|(_, v)| is_masked(v)) {
                match old.and_then(|o| o.get(key)) {
                    Some(live) => *value = live.clone(),
                    None => lost.push(key.clone()),
                }
            }
        }
    }
    lost
}

/// Keys of a manifest's Secret values that are masks: applying them would write the mask itself.
pub fn masked_keys(object: &Value) -> Vec<String> {
    unmask_from(&mut object.clone(), &Value::Null)
}

fn is_masked(value: &Value) -> bool {
    value.as_str().is_some_and(|s| s.starts_with(MASK))
}

fn masked(value: &Value, base64: bool) -> String {
    let text = value.as_str().unwrap_or_default();
    let size = if base64 { decoded_size(text) } else { text.len() };
    format!("{MASK}({size} byte{})", if size == 1 { "" } else { "s" })
}

/// The size of what base64 text holds (RFC 4648: four characters for three bytes).
pub fn decoded_size(base64: &str) -> usize {
    let chars = base64.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=').count();
    chars * 3 / 4
}

fn for_each_object(object: &mut Value, f: &mut dyn FnMut(&mut Value)) {
    match object.get_mut("items") {
        Some(Value::Array(items)) => items.iter_mut().for_each(f),
        _ => f(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secrets_values_are_decoded_and_what_is_no_text_says_so() {
        let mut secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"user": "YWRhCg==", "key": "/wA=", "odd": "no base64"},
        });
        decode_secret(&mut secret);
        assert_eq!(secret["data"]["user"], "ada\n");
        assert_eq!(secret["data"]["key"], "2 bytes that are no text: /wA=");
        assert_eq!(secret["data"]["odd"], "no base64");
        let mut other =
            serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "YWRhCg=="}});
        decode_secret(&mut other);
        assert_eq!(other["data"]["a"], "YWRhCg==");
    }

    use serde_json::json;

    fn secret(password: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "annotations": {LAST_APPLIED: "{\"data\":{\"password\":\"aHVudGVyMg==\"}}"}},
            "data": {"password": password, "user": "YWRtaW4="}})
    }

    #[test]
    fn no_value_of_a_secret_is_left() {
        let mut object = secret("aHVudGVyMg==");
        mask_secret(&mut object);
        let text = object.to_string();
        assert!(!text.contains("aHVudGVyMg") && !text.contains("YWRtaW4"), "{text}");
        assert_eq!(object["data"]["password"], "*** (7 bytes)");
        let mut list = json!({"apiVersion": "v1", "kind": "SecretList", "items": [secret("aHVudGVyMg==")]});
        mask_secret(&mut list);
        assert!(!list.to_string().contains("aHVudGVyMg"));
    }

    #[test]
    fn a_diff_of_secrets_names_what_changed_without_values() {
        let (mut a, mut b) = (secret("aHVudGVyMg=="), secret("aHVudGVyMw=="));
        mask_secret_pair(&mut a, &mut b);
        assert_eq!(a["data"]["password"], "*** (7 bytes)");
        assert_eq!(b["data"]["password"], "*** (7 bytes) another value");
        assert_eq!(a["data"]["user"], b["data"]["user"]);
    }

    #[test]
    fn an_edit_of_a_masked_secret_keeps_what_it_did_not_change() {
        let live = secret("aHVudGVyMg==");
        let mut edited = live.clone();
        mask_secret(&mut edited);
        edited["data"]["user"] = json!("cm9vdA==");
        edited["data"]["new"] = json!("*** (3 bytes)");
        assert_eq!(unmask_from(&mut edited, &live), ["new"]);
        assert_eq!(edited["data"]["password"], "aHVudGVyMg==");
        assert_eq!(edited["data"]["user"], "cm9vdA==");
        assert_eq!(edited["metadata"], live["metadata"]);
    }
}
