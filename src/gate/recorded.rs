//! Arguments as the audit log keeps them: without secrets, and not endless.

use serde_json::Value;

use super::canonical::{canonical, digest};
use super::engine::Gate;
use crate::base::redact::MASK;

/// Longer arguments are written to the audit log as a digest and their beginning. An approval keeps
/// them whole.
const LONGEST: usize = 16 * 1024;

pub(in crate::gate) fn recorded_arguments(gate: &Gate, arguments: &Value) -> Value {
    let mut arguments = arguments.clone();
    without_manifests_secrets(&mut arguments);
    gate.inner.redactor.value(&mut arguments);
    let text = canonical(&arguments);
    if text.len() <= LONGEST {
        return arguments;
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    serde_json::json!({
        "sha256": digest(&arguments),
        "length": text.len(),
        "beginning": text[..end],
    })
}

/// A manifest is one text to its operation; the values of a Secret in it are known by their place alone.
fn without_manifests_secrets(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("Secret") && text.to_lowercase().contains("data") => {
            *text = masked_manifest(text);
        }
        Value::Array(items) => items.iter_mut().for_each(without_manifests_secrets),
        Value::Object(fields) => fields.values_mut().for_each(without_manifests_secrets),
        _ => {}
    }
}

fn masked_manifest(text: &str) -> String {
    use serde::Deserialize as _;
    let mut out = String::new();
    let mut found = false;
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let Ok(mut object) = Value::deserialize(document) else {
            // Not to be read as a manifest: whatever is in it stays out of the log.
            return format!("{MASK} ({} bytes that cannot be read as a manifest)", text.len());
        };
        found |= mask(&mut object);
        if !out.is_empty() {
            out.push_str("---\n");
        }
        out.push_str(&serde_yaml_ng::to_string(&object).unwrap_or_default());
    }
    if found { out } else { text.to_owned() }
}

/// Masks the values of Secrets, also those in lists; whether there were any.
fn mask(object: &mut Value) -> bool {
    let mut found = false;
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        for item in items {
            found |= mask(item);
        }
    }
    if object.get("kind").and_then(Value::as_str) != Some("Secret") {
        return found;
    }
    for field in ["data", "stringData"] {
        for value in
            object.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(|o| o.values_mut())
        {
            *value = MASK.into();
        }
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        // kubectl keeps the whole manifest in one of them.
        annotations
            .values_mut()
            .filter(|v| v.as_str().is_some_and(|t| t.contains("ata")))
            .for_each(|v| *v = MASK.into());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_in_manifests_are_masked_and_other_text_is_left() {
        let manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {k: Y2FuYXJ5}\nstringData:\n  x: |\n    canary\n    more\n";
        let two = format!("kind: ConfigMap\ndata: {{a: shown}}\n---\n{manifest}");
        let list = format!("kind: List\nitems:\n- {}", manifest.replace('\n', "\n  "));
        for text in [manifest, &two, &list, "kind: Secret\ndata: [canary\n"] {
            let masked = masked_manifest(text);
            assert!(!masked.contains("canary") && !masked.contains("Y2FuYXJ5"), "{masked}");
            assert!(masked.contains(MASK), "{masked}");
        }
        assert!(masked_manifest(&two).contains("shown"));
        let plain = "kind: ConfigMap\ndata: {note: about a Secret}\n";
        assert_eq!(masked_manifest(plain), plain);
    }
}
