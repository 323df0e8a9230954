//! ConfigMaps, Secrets (keys and sizes only), ServiceAccounts, Namespaces, volumes and their claims.

use jiff::Timestamp;
use serde_json::Value;

use super::super::mask;
use super::Extras;
use super::part::{self, items, object, plain, text, text_or};
use super::sheet::Sheet;
use crate::rows::cell::memory;

/// Longer values of a ConfigMap are cut: the whole is in its YAML.
const SHOWN_LINES: usize = 40;

pub fn config_map(sheet: &mut Sheet, c: &Value, now: Timestamp) {
    part::head(sheet, c, now);
    sheet.some("Immutable", text(c, "/immutable"));
    sheet.section("Data", |s| {
        for (key, value) in object(c, "/data") {
            let value = plain(value);
            s.section(format!("{key} ({} bytes)", value.len()), |s| {
                let lines: Vec<&str> = value.lines().collect();
                s.text(lines[..lines.len().min(SHOWN_LINES)].join("\n"));
                if lines.len() > SHOWN_LINES {
                    s.text(format!("… {} more lines", lines.len() - SHOWN_LINES));
                }
            });
        }
    });
    sheet.section("Binary Data", |s| {
        for (key, value) in object(c, "/binaryData") {
            s.field(key, format!("{} bytes", mask::decoded_size(&plain(value))));
        }
    });
}

pub fn secret(sheet: &mut Sheet, secret: &Value, now: Timestamp) {
    let mut masked = secret.clone();
    mask::mask_secret(&mut masked);
    part::head(sheet, &masked, now);
    sheet.field("Type", text(secret, "/type"));
    sheet.some("Immutable", text(secret, "/immutable"));
    sheet.section("Data", |s| {
        for (key, value) in object(secret, "/data") {
            // As a key with a value it would look like a credential, and the doors mask those.
            s.text(format!("{key} ({} bytes)", mask::decoded_size(&plain(value))));
        }
    });
}

pub fn service_account(sheet: &mut Sheet, a: &Value, now: Timestamp) {
    part::head(sheet, a, now);
    sheet
        .list("Image Pull Secrets", items(a, "/imagePullSecrets").iter().map(|s| text(s, "/name")).collect());
    sheet.list("Mountable Secrets", items(a, "/secrets").iter().map(|s| text(s, "/name")).collect());
    sheet.some("Automount Token", text(a, "/automountServiceAccountToken"));
}

pub fn namespace(sheet: &mut Sheet, n: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, n, now);
    sheet.field("Status", text(n, "/status/phase"));
    sheet.some_list("Finalizers", items(n, "/spec/finalizers").iter().map(plain).collect());
    for quota in &extras.quotas {
        let rows = object(quota, "/status/hard")
            .map(|(name, hard)| {
                let used =
                    quota.pointer("/status/used").and_then(|u| u.get(name)).map(plain).unwrap_or_default();
                vec![name.clone(), used, plain(hard)]
            })
            .collect();
        sheet.section(format!("Quota {}", text(quota, "/metadata/name")), |s| {
            s.table(&["Resource", "Used", "Hard"], rows)
        });
    }
    for range in &extras.limit_ranges {
        sheet.section(format!("Limits {}", text(range, "/metadata/name")), |s| {
            for limit in items(range, "/spec/limits") {
                let parts = ["min", "max", "defaultRequest", "default"].iter().filter_map(|k| {
                    let pairs = part::pairs(limit, &format!("/{k}"), " ").join(", ");
                    (!pairs.is_empty()).then(|| format!("{}: {pairs}", part::title(k)))
                });
                s.field(&text(limit, "/type"), parts.collect::<Vec<_>>().join("; "));
            }
        });
    }
    part::conditions(sheet, n, now);
}

pub fn claim(sheet: &mut Sheet, c: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, c, now);
    sheet.field("Status", text(c, "/status/phase"));
    sheet.field("Volume", text(c, "/spec/volumeName"));
    sheet.field("Storage Class", text(c, "/spec/storageClassName"));
    sheet.field("Requested", text(c, "/spec/resources/requests/storage"));
    sheet.field("Capacity", text(c, "/status/capacity/storage"));
    sheet.field("Access Modes", modes(c));
    sheet.some("Volume Mode", text(c, "/spec/volumeMode"));
    if let Some(source) = c.pointer("/spec/dataSource") {
        sheet.field("Data Source", format!("{}/{}", text(source, "/kind"), text(source, "/name")));
    }
    let name = text(c, "/metadata/name");
    let uses = |p: &&Value| {
        items(p, "/spec/volumes").iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == name)
    };
    sheet.list("Used By", extras.pods.iter().filter(uses).map(|p| text(p, "/metadata/name")).collect());
    part::conditions(sheet, c, now);
}

pub fn volume(sheet: &mut Sheet, v: &Value, now: Timestamp) {
    part::head(sheet, v, now);
    sheet.field("Status", text(v, "/status/phase"));
    sheet.some("Reason", text_or(v, "/status/reason", &text(v, "/status/message")));
    let claim = text(v, "/spec/claimRef/name");
    sheet.field(
        "Claim",
        if claim.is_empty() { claim } else { format!("{}/{claim}", text(v, "/spec/claimRef/namespace")) },
    );
    sheet.field("Storage Class", text(v, "/spec/storageClassName"));
    sheet.field("Reclaim Policy", text(v, "/spec/persistentVolumeReclaimPolicy"));
    sheet.field("Capacity", text(v, "/spec/capacity/storage"));
    sheet.field("Access Modes", modes(v));
    sheet.some("Volume Mode", text(v, "/spec/volumeMode"));
    const NOT_SOURCES: &[&str] = &["capacity", "accessModes", "claimRef", "nodeAffinity", "mountOptions"];
    sheet.section("Source", |s| {
        for (key, value) in
            object(v, "/spec").filter(|(k, v)| v.is_object() && !NOT_SOURCES.contains(&k.as_str()))
        {
            s.section(part::title(key), |s| value.as_object().into_iter().for_each(|map| part::tree(s, map)));
        }
    });
    sheet.section("Node Affinity", |s| {
        for term in items(v, "/spec/nodeAffinity/required/nodeSelectorTerms") {
            for e in items(term, "/matchExpressions") {
                let values = items(e, "/values").iter().map(plain).collect::<Vec<_>>().join(", ");
                s.field(&text(e, "/key"), format!("{} {values}", text(e, "/operator")));
            }
        }
    });
}

fn modes(value: &Value) -> String {
    items(value, "/spec/accessModes").iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// A kind that we do not know: what every object has, then its parts as they are.
pub fn anything(sheet: &mut Sheet, object: &Value, now: Timestamp) {
    part::head(sheet, object, now);
    sheet.some("Controlled By", part::controller(object));
    sheet.field("API Version", text(object, "/apiVersion"));
    sheet.field("Kind", text(object, "/kind"));
    for (key, value) in object.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        tree_part(sheet, key, value);
    }
    if let Some(status) = object.get("status").and_then(Value::as_object) {
        let mut status = status.clone();
        let tabled = status
            .get("conditions")
            .is_some_and(|c| c.as_array().is_some_and(|c| c.iter().all(|c| c.get("type").is_some())));
        if tabled {
            status.remove("conditions");
        }
        sheet.section("Status", |s| part::tree(s, &status));
        if tabled {
            part::conditions(sheet, object, now);
        }
    }
}

fn tree_part(sheet: &mut Sheet, key: &str, value: &Value) {
    let mut map = serde_json::Map::new();
    let long = value.as_str().is_some_and(|s| s.len() > 4096);
    let value =
        if long { Value::String(format!("({})", memory(plain(value).len() as i64))) } else { value.clone() };
    map.insert(key.to_owned(), value);
    part::tree(sheet, &map);
}
