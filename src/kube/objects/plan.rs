//! What a change would do, and the parts that every change shares: comparing objects, refusals in words.

use std::time::Duration;

use serde_json::Value;

use super::describe::part::text;
use super::mask;
use super::place::Seen;
use super::yaml::to_yaml;
use crate::base;
use crate::kube::{Error, Resource};

/// The name under which our changes stand in `metadata.managedFields`.
pub const MANAGER: &str = "quarterdeck";

/// A change as the server computed it, not made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Absent for what is not there yet.
    pub seen: Option<Seen>,
    /// YAML of the parts in question.
    pub before: String,
    pub after: String,
    pub affects: Vec<String>,
    pub checks: Vec<String>,
    pub warnings: Vec<String>,
}

/// Takes out of an object what changes with every write or is the server's own business, so that a diff shows the
/// change alone and is the same each time it is computed.
pub fn comparable(object: &mut Value, resource: &Resource) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["managedFields", "resourceVersion", "generation", "selfLink"] {
            meta.remove(key);
        }
    }
    if resource.subresources.iter().any(|s| &**s == "status")
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
}

/// As [`comparable`], for an object that a dry run made up: what the server draws by lot is replaced by words, since
/// the real creation will draw again.
pub fn comparable_new(object: &mut Value, manifest: &Value, resource: &Resource) {
    comparable(object, resource);
    let uid = text(object, "/metadata/uid");
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("uid");
        meta.remove("creationTimestamp");
    }
    if &*resource.plural == "services" && resource.group.is_empty() {
        forget_allocations(object, manifest);
    }
    replace_drawn(object, &uid);
}

/// Addresses and ports that the server chose for a Service.
fn forget_allocations(service: &mut Value, manifest: &Value) {
    if let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) {
        for key in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
            if manifest.get("spec").and_then(|s| s.get(key)).is_none() {
                spec.remove(key);
            }
        }
        let asked = |i: usize| manifest.pointer(&format!("/spec/ports/{i}/nodePort")).is_some();
        for (i, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
        {
            if let (false, Some(port)) = (asked(i), port.as_object_mut()) {
                port.remove("nodePort");
            }
        }
    }
}

fn replace_drawn(value: &mut Value, uid: &str) {
    /// The admission plugin's name for the token volume, followed by five drawn characters.
    const TOKEN: &str = "kube-api-access-";
    match value {
        Value::String(s) if !uid.is_empty() && s == uid => *s = "(the new object's uid)".to_owned(),
        Value::String(s) if s.len() == TOKEN.len() + 5 && s.starts_with(TOKEN) => {
            *s = format!("{TOKEN}(drawn)")
        }
        Value::Array(items) => items.iter_mut().for_each(|v| replace_drawn(v, uid)),
        Value::Object(map) => map.values_mut().for_each(|v| replace_drawn(v, uid)),
        _ => {}
    }
}

/// The YAML of both sides, with the values of Secrets masked.
pub fn sides(before: Option<Value>, after: Value) -> (String, String) {
    let mut after = after;
    match before {
        Some(mut before) => {
            mask::mask_secret_pair(&mut before, &mut after);
            (to_yaml(&before), to_yaml(&after))
        }
        None => {
            mask::mask_secret(&mut after);
            (String::new(), to_yaml(&after))
        }
    }
}

/// An error of a change in words, with what to do next where the server's own words do not say it.
pub fn refusal(error: Error) -> base::Error {
    let message = error.to_string();
    let next = if message.contains("admission webhook") || message.contains("failed calling webhook") {
        Some("The cluster's admission webhook decides here: change what it names, or ask who runs it.")
    } else if message.contains("ValidatingAdmissionPolicy") {
        Some("A policy of the cluster decides here: change what it names, or ask who keeps it.")
    } else if message.contains("exceeded quota") {
        Some("Ask for less, free some of the quota, or have it raised.")
    } else if ["strict decoding error", "unknown field", "field not declared in schema"]
        .iter()
        .any(|words| message.contains(words))
    {
        Some("Mend the fields named: they are misspelt, doubled, or not of this version of the kind.")
    } else {
        None
    };
    let mut out: base::Error = error.into();
    if let Some(next) = next {
        out.next = Some(next.to_owned());
        // The right is there; the content is refused. Server-side apply says so of a field that it does not know by 500.
        let content = match out.code {
            base::Code::PermissionDenied => !out.message.contains("cannot"),
            _ => out.message.contains("field not declared in schema"),
        };
        if content {
            out.code = base::Code::InvalidArgument;
        }
    }
    out
}

/// Runs a change that reads an object and writes it back. Where another write came between, such as a controller's of the
/// status, it is done again on what is there then; what the caller has seen is checked each time.
pub async fn racing<T, F>(mut attempt: impl FnMut() -> F) -> base::Result<T>
where
    F: Future<Output = base::Result<T>>,
{
    for tries in 1..5 {
        match attempt().await {
            Err(e) if lost_race(&e) => tokio::time::sleep(Duration::from_millis(30 * tries)).await,
            other => return other,
        }
    }
    attempt().await
}

/// Whether the server refused a write only because of the resource version that it was based on.
fn lost_race(error: &base::Error) -> bool {
    let reason = error.details.as_ref().and_then(|d| d.get("reason"));
    error.code == base::Code::Conflict && reason.is_some_and(|r| r == "Conflict")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_server_draws_by_lot_does_not_show() {
        let mut drawn = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "uid": "u-1", "creationTimestamp": "t", "managedFields": []},
            "spec": {"volumes": [{"name": "kube-api-access-x7k2p"}], "tag": "u-1"}, "status": {"phase": "Pending"}});
        comparable_new(&mut drawn, &json!({}), &Resource::pods());
        assert_eq!(
            drawn,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
                "spec": {"volumes": [{"name": "kube-api-access-(drawn)"}], "tag": "(the new object's uid)"}})
        );
    }
}
