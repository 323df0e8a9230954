//! How objects are put together, by the seed and by the controllers alike.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::object::{stamp, text};
use super::rng::Rng;
use super::{defaults, fields};

/// Fills in what the server fills in when an object is first stored.
pub(super) fn identity(value: &mut Value, uid: String, created: Timestamp) {
    let Some(meta) = value["metadata"].as_object().cloned() else { return };
    // The order in which the server writes them: it is the order that people are used to.
    let mut ordered = Map::new();
    for key in ["name", "generateName", "namespace"] {
        if let Some(v) = meta.get(key) {
            ordered.insert(key.into(), v.clone());
        }
    }
    ordered.insert("uid".into(), uid.into());
    ordered.insert("resourceVersion".into(), "".into());
    if let Some(generation) = meta.get("generation") {
        ordered.insert("generation".into(), generation.clone());
    }
    ordered.insert("creationTimestamp".into(), stamp(created).into());
    for (key, v) in meta {
        if !ordered.contains_key(&key) {
            ordered.insert(key, v);
        }
    }
    value["metadata"] = Value::Object(ordered);
}

/// Says who set the fields: `manager` all but the status, `reporter` the status.
pub(super) fn owners(kind: &Kind, value: &mut Value, manager: &str, reporter: &str, time: &str) {
    let api_version = kind.api_version();
    let mut list =
        vec![fields::entry(manager, "Update", &api_version, time, fields::owned(value, false), "")];
    if value.get("status").is_some_and(|s| s.as_object().is_some_and(|m| !m.is_empty()))
        && !reporter.is_empty()
    {
        let mut set = fields::owned(value, true);
        if let Some(map) = set.as_object_mut() {
            map.retain(|k, _| k == "f:status");
        }
        list.push(fields::entry(reporter, "Update", &api_version, time, set, "status"));
    }
    value["metadata"]["managedFields"] = list.into();
}

/// A pod made from a template by a controller. The scheduler has not seen it yet.
pub(super) fn pod(template: &Value, name: &str, namespace: &str, owner: Value, rng: &mut Rng) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), namespace.into());
    metadata.insert("generation".into(), 1.into());
    for key in ["labels", "annotations", "finalizers"] {
        if let Some(v) = template["metadata"].get(key) {
            metadata.insert(key.into(), v.clone());
        }
    }
    if owner.is_object() {
        metadata.insert("ownerReferences".into(), json!([owner]));
    }
    let mut pod = json!({"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}});
    defaults::admit_pod(&mut pod, rng);
    pod
}

/// The hash that tells the ReplicaSets of a Deployment apart, from the template.
pub(super) fn template_hash(template: &Value, collisions: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.shift_remove("pod-template-hash");
    }
    let mut hash = 0x811c_9dc5_u32 ^ u32::try_from(collisions).unwrap_or(0);
    for byte in sorted(&template).to_string().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    // The real one encodes the decimal digits of a 32-bit hash in the letters that are safe in names.
    hash.to_string().bytes().map(|b| char::from(LETTERS[usize::from(b) % LETTERS.len()])).collect()
}

/// A value with the keys of every map in order, so that it does not matter who wrote it down.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The quality-of-service class from requests and limits (`k8s.io/kubernetes/pkg/apis/core/v1/helper/qos`).
pub(super) fn qos(pod: &Value) -> &'static str {
    let containers = super::object::items(pod, "spec.containers");
    let get = |c: &Value, side: &str, what: &str| text(&c["resources"][side], what).to_owned();
    let mut any = false;
    let mut guaranteed = !containers.is_empty();
    for container in containers {
        for what in ["cpu", "memory"] {
            let (request, limit) = (get(container, "requests", what), get(container, "limits", what));
            any |= !request.is_empty() || !limit.is_empty();
            guaranteed &= !limit.is_empty() && (request.is_empty() || request == limit);
        }
    }
    match (any, guaranteed) {
        (_, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, false) => "BestEffort",
    }
}
