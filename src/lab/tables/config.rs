//! Configuration, storage, quotas, access rules.

use serde_json::Value;

use super::{AGE, NAME, Printer, name, object_age, scalar};
use crate::lab::object::{at, items, text};

pub(super) fn printer(group: &str, plural: &str) -> Option<Printer> {
    Some(match (group, plural) {
        ("", "configmaps") => Printer {
            columns: &[NAME, ("Data", "string", 0), AGE],
            cells: |o| vec![name(o), (size(&o["data"]) + size(&o["binaryData"])).into(), object_age(o)],
        },
        ("", "secrets") => Printer {
            columns: &[NAME, ("Type", "string", 0), ("Data", "string", 0), AGE],
            cells: |o| vec![name(o), text(o, "type").into(), size(&o["data"]).into(), object_age(o)],
        },
        ("", "serviceaccounts") => Printer { columns: &[NAME, AGE], cells: |o| vec![name(o), object_age(o)] },
        ("", "resourcequotas") => {
            Printer { columns: &[NAME, ("Request", "string", 0), ("Limit", "string", 0), AGE], cells: quota }
        }
        ("", "persistentvolumeclaims") => Printer {
            columns: &[
                NAME,
                ("Status", "string", 0),
                ("Volume", "string", 0),
                ("Capacity", "string", 0),
                ("Access Modes", "string", 0),
                ("StorageClass", "string", 0),
                ("VolumeAttributesClass", "string", 0),
                AGE,
                ("VolumeMode", "string", 1),
            ],
            cells: claim,
        },
        ("", "persistentvolumes") => Printer {
            columns: &[
                NAME,
                ("Capacity", "string", 0),
                ("Access Modes", "string", 0),
                ("Reclaim Policy", "string", 0),
                ("Status", "string", 0),
                ("Claim", "string", 0),
                ("StorageClass", "string", 0),
                ("VolumeAttributesClass", "string", 0),
                ("Reason", "string", 0),
                AGE,
                ("VolumeMode", "string", 1),
            ],
            cells: volume,
        },
        ("storage.k8s.io", "storageclasses") => Printer {
            columns: &[
                NAME,
                ("Provisioner", "string", 0),
                ("ReclaimPolicy", "string", 0),
                ("VolumeBindingMode", "string", 0),
                ("AllowVolumeExpansion", "string", 0),
                AGE,
            ],
            cells: storage_class,
        },
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => Printer {
            columns: &[
                NAME,
                ("Role", "string", 0),
                AGE,
                ("Users", "string", 1),
                ("Groups", "string", 1),
                ("ServiceAccounts", "string", 1),
            ],
            cells: binding,
        },
        _ => return None,
    })
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn quota(o: &Value) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let hard = at(o, "status.hard").as_object();
    let mut keys: Vec<&String> = hard.into_iter().flatten().map(|(k, _)| k).collect();
    keys.sort();
    for key in keys {
        let (used, hard) = (&at(o, "status.used")[key], &at(o, "status.hard")[key]);
        let used = if used.is_null() { "0".to_owned() } else { scalar(used) };
        let line = format!("{key}: {used}/{}", scalar(hard));
        if key.starts_with("limits.") { limits.push(line) } else { requests.push(line) }
    }
    vec![name(o), requests.join(", ").into(), limits.join(", ").into(), object_age(o)]
}

/// Access modes by their short names.
fn modes(list: &[Value]) -> String {
    let short: Vec<&str> = list
        .iter()
        .filter_map(|m| match m.as_str()? {
            "ReadWriteOnce" => Some("RWO"),
            "ReadOnlyMany" => Some("ROX"),
            "ReadWriteMany" => Some("RWX"),
            "ReadWriteOncePod" => Some("RWOP"),
            _ => None,
        })
        .collect();
    short.join(",")
}

fn or_unset(value: &str) -> Value {
    if value.is_empty() { "<unset>".into() } else { value.into() }
}

fn phase(o: &Value) -> &str {
    if o["metadata"].get("deletionTimestamp").is_some() { "Terminating" } else { text(o, "status.phase") }
}

fn claim(o: &Value) -> Vec<Value> {
    let bound = !text(o, "spec.volumeName").is_empty();
    let capacity = if bound { text(o, "status.capacity.storage") } else { "" };
    let access = if bound { modes(items(o, "status.accessModes")) } else { String::new() };
    vec![
        name(o),
        phase(o).into(),
        text(o, "spec.volumeName").into(),
        capacity.into(),
        access.into(),
        text(o, "spec.storageClassName").into(),
        or_unset(text(o, "spec.volumeAttributesClassName")),
        object_age(o),
        or_unset(text(o, "spec.volumeMode")),
    ]
}

fn volume(o: &Value) -> Vec<Value> {
    let claim = at(o, "spec.claimRef");
    let claim = if claim.is_object() {
        format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
    } else {
        String::new()
    };
    vec![
        name(o),
        text(o, "spec.capacity.storage").into(),
        modes(items(o, "spec.accessModes")).into(),
        text(o, "spec.persistentVolumeReclaimPolicy").into(),
        phase(o).into(),
        claim.into(),
        text(o, "spec.storageClassName").into(),
        or_unset(text(o, "spec.volumeAttributesClassName")),
        text(o, "status.reason").into(),
        object_age(o),
        or_unset(text(o, "spec.volumeMode")),
    ]
}

fn storage_class(o: &Value) -> Vec<Value> {
    let default = o["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true";
    let mut shown = text(o, "metadata.name").to_owned();
    if default {
        shown.push_str(" (default)");
    }
    let or = |key: &str, default: &str| {
        Value::from(o[key].as_str().filter(|s| !s.is_empty()).unwrap_or(default).to_owned())
    };
    vec![
        shown.into(),
        text(o, "provisioner").into(),
        or("reclaimPolicy", "Delete"),
        or("volumeBindingMode", "Immediate"),
        o["allowVolumeExpansion"].as_bool().unwrap_or(false).into(),
        object_age(o),
    ]
}

fn binding(o: &Value) -> Vec<Value> {
    let subjects = |kind: &str| {
        let list: Vec<String> = items(o, "subjects")
            .iter()
            .filter(|s| s["kind"] == kind)
            .map(|s| match text(s, "namespace") {
                "" => text(s, "name").to_owned(),
                namespace => format!("{namespace}/{}", text(s, "name")),
            })
            .collect();
        Value::from(list.join(", "))
    };
    vec![
        name(o),
        format!("{}/{}", text(o, "roleRef.kind"), text(o, "roleRef.name")).into(),
        object_age(o),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}
