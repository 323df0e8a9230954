//! What the server refuses to store, and which fields it does not know.
//!
//! Not every rule of Kubernetes: those that a person meets when editing by hand.

use serde_json::Value;

use super::failure::{Cause, Failure, Outcome};
use super::kinds::Kind;
use super::object::{at, items, text};
use super::proto;
use super::select::Selector;

/// Checks an object that is about to be stored; `old` is what is there.
pub(super) fn object(kind: &Kind, new: &Value, old: Option<&Value>) -> Outcome<()> {
    let mut causes = Vec::new();
    let name = text(new, "metadata.name");
    if old.is_none() && !good_name(name, kind) {
        causes.push(Cause::invalid("metadata.name", &new["metadata"]["name"], NAME_RULE));
    }
    labels(new, "metadata", &mut causes);
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") => {
            workload(kind, new, old, &mut causes)
        }
        ("batch", "jobs") => {
            containers(at(new, "spec.template.spec"), "spec.template.spec", &mut causes);
            if old.is_some_and(|o| o["spec"]["template"] != new["spec"]["template"]) {
                causes.push(Cause::invalid("spec.template", &Value::Null, "field is immutable"));
            }
        }
        ("batch", "cronjobs") => {
            if text(new, "spec.schedule").split_whitespace().count() != 5 {
                let text = "expected exactly 5 fields, found another number";
                causes.push(Cause::invalid("spec.schedule", at(new, "spec.schedule"), text));
            }
            let path = "spec.jobTemplate.spec.template.spec";
            containers(at(new, path), path, &mut causes);
        }
        ("", "pods") => pod(new, old, &mut causes),
        ("", "configmaps" | "secrets") => {
            let locked =
                old.is_some_and(|o| o["immutable"].as_bool() == Some(true) && o["data"] != new["data"]);
            if locked {
                causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
            }
            if kind.plural == "secrets" && old.is_some_and(|o| o["type"] != new["type"]) {
                causes.push(Cause::invalid("type", &new["type"], "field is immutable"));
            }
        }
        ("", "services") => service(new, &mut causes),
        _ => {}
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(&kind.group, &kind.kind, name, &causes)) }
}

const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn good_name(name: &str, kind: &Kind) -> bool {
    // Names of access rules may hold colons and capitals.
    if kind.group == "rbac.authorization.k8s.io" {
        return !name.is_empty() && !name.contains(['/', '%']);
    }
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    name.len() <= 253 && end(name.chars().next()) && end(name.chars().last()) && name.chars().all(inner)
}

fn labels(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in at(object, path)["labels"].as_object().into_iter().flatten() {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let valid = value.as_str().is_some_and(|v| {
            let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
            v.len() <= 63 && v.chars().all(good) && end(v.chars().next()) && end(v.chars().last())
        });
        if !valid {
            let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                        must start and end with an alphanumeric character";
            causes.push(Cause::invalid(format!("{path}.labels"), value, rule));
        }
        if key.is_empty() {
            causes.push(Cause::invalid(
                format!("{path}.labels"),
                &key.as_str().into(),
                "name part must be non-empty",
            ));
        }
    }
}

fn workload(kind: &Kind, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let replicas = at(new, "spec.replicas");
    if replicas.as_i64().is_some_and(|n| n < 0) {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = at(new, "spec.selector");
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        causes.push(Cause::required("spec.selector", ""));
    }
    if old.is_some_and(|o| at(o, "spec.selector") != selector) {
        causes.push(Cause::invalid("spec.selector", selector, "field is immutable"));
    }
    let labels = at(new, "spec.template.metadata.labels");
    let chosen = Selector::of_object(selector);
    if chosen.is_everything() || !chosen.matches_labels(labels) {
        let rule = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, rule));
    }
    containers(at(new, "spec.template.spec"), "spec.template.spec", causes);
    if kind.plural == "statefulsets"
        && let Some(old) = old
    {
        let fixed = ["serviceName", "podManagementPolicy", "volumeClaimTemplates"];
        if fixed.iter().any(|f| old["spec"][*f] != new["spec"][*f]) {
            let rule = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                        'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                        'minReadySeconds' are forbidden";
            causes.push(Cause::forbidden("spec", rule));
        }
    }
}

fn containers(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let list = items(spec, "containers");
    if list.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    for (field, list) in [("containers", list), ("initContainers", items(spec, "initContainers"))] {
        for (i, container) in list.iter().enumerate() {
            let at_field = |field_name: &str| format!("{path}.{field}[{i}].{field_name}");
            if text(container, "name").is_empty() {
                causes.push(Cause::required(at_field("name"), ""));
            }
            if text(container, "image").is_empty() {
                causes.push(Cause::required(at_field("image"), ""));
            }
            for (what, amounts) in [
                ("limits", at(container, "resources.limits")),
                ("requests", at(container, "resources.requests")),
            ] {
                for (resource, value) in amounts.as_object().into_iter().flatten() {
                    if !good_quantity(value) {
                        let rule = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                        causes.push(Cause::invalid(
                            at_field(&format!("resources.{what}[{resource}]")),
                            value,
                            rule,
                        ));
                    }
                }
            }
            for (resource, request) in at(container, "resources.requests").as_object().into_iter().flatten() {
                let limit = &container["resources"]["limits"][resource];
                let amount = |v: &Value| match resource.as_str() {
                    "cpu" => super::quantity::millis(v.as_str().unwrap_or_default()),
                    _ => super::quantity::bytes(v.as_str().unwrap_or_default()),
                };
                if limit.is_string() && amount(request) > amount(limit) {
                    let shown = limit.as_str().unwrap_or_default();
                    let rule = format!("must be less than or equal to {resource} limit of {shown}");
                    causes.push(Cause::invalid(at_field("resources.requests"), request, &rule));
                }
            }
        }
    }
}

fn good_quantity(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let unit = &text[digits.len()..];
            let known = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "n", "u"];
            digits.parse::<f64>().is_ok() && known.contains(&unit)
        }
        _ => false,
    }
}

fn pod(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old else {
        containers(&new["spec"], "spec", causes);
        return;
    };
    // Of a pod's specification little more than the images can be changed.
    let fixed = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(map) = container.as_object_mut() {
                    map.shift_remove("image");
                }
            }
        }
        if let Some(map) = spec.as_object_mut() {
            for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"]
            {
                map.shift_remove(field);
            }
        }
        spec
    };
    if fixed(new) != fixed(old) {
        let rule = "pod updates may not change fields other than `spec.containers[*].image`,\
                    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                    existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                    previously negative)";
        causes.push(Cause::forbidden("spec", rule));
    }
}

fn service(new: &Value, causes: &mut Vec<Cause>) {
    let kind = text(new, "spec.type");
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !types.contains(&kind) {
        causes.push(Cause::unsupported("spec.type", at(new, "spec.type"), &types));
    }
    if items(new, "spec.ports").is_empty() && kind != "ExternalName" && text(new, "spec.clusterIP") != "None"
    {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (i, port) in items(new, "spec.ports").iter().enumerate() {
        if !port["port"].as_i64().is_some_and(|p| (1..=65_535).contains(&p)) {
            let field = format!("spec.ports[{i}].port");
            causes.push(Cause::invalid(field, &port["port"], "must be between 1 and 65535, inclusive"));
        }
    }
}

/// The fields that the server does not know, as paths; it drops them when it stores the object.
pub(super) fn unknown_fields(kind: &Kind, object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let Some(known) = top_level(kind) else { return unknown };
    for (key, value) in object.as_object().into_iter().flatten() {
        if !known.contains(&key.as_str()) {
            unknown.push(key.clone());
        } else if key == "metadata" {
            proto::unknown("ObjectMeta", value, "metadata", &mut unknown);
        }
    }
    for (path, message) in pod_specs(kind) {
        let value = at(object, path);
        if value.is_object() {
            proto::unknown(message, value, path, &mut unknown);
        }
    }
    if let Some(fields) = spec_fields(kind) {
        for key in object["spec"].as_object().into_iter().flatten().map(|(k, _)| k) {
            if !fields.contains(&key.as_str()) {
                unknown.push(format!("spec.{key}"));
            }
        }
    }
    unknown
}

fn top_level(kind: &Kind) -> Option<&'static [&'static str]> {
    // A custom resource's schema here keeps what it does not know.
    if kind.custom.is_some() {
        return None;
    }
    Some(match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "configmaps") => &["apiVersion", "kind", "metadata", "data", "binaryData", "immutable"],
        ("", "secrets") => &["apiVersion", "kind", "metadata", "data", "stringData", "immutable", "type"],
        ("", "serviceaccounts") => {
            &["apiVersion", "kind", "metadata", "secrets", "imagePullSecrets", "automountServiceAccountToken"]
        }
        (
            "",
            "pods"
            | "services"
            | "namespaces"
            | "nodes"
            | "persistentvolumes"
            | "persistentvolumeclaims"
            | "resourcequotas",
        )
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch" | "autoscaling" | "policy", _)
        | ("networking.k8s.io", "ingresses") => &["apiVersion", "kind", "metadata", "spec", "status"],
        _ => return None,
    })
}

/// Where a kind holds pod specifications.
fn pod_specs(kind: &Kind) -> &'static [(&'static str, &'static str)] {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &[("spec", "PodSpec")],
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") | ("batch", "jobs") => {
            &[("spec.template.spec", "PodSpec"), ("spec.template.metadata", "ObjectMeta")]
        }
        ("batch", "cronjobs") => &[("spec.jobTemplate.spec.template.spec", "PodSpec")],
        _ => &[],
    }
}

fn spec_fields(kind: &Kind) -> Option<&'static [&'static str]> {
    Some(match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments") => &[
            "replicas",
            "selector",
            "template",
            "strategy",
            "minReadySeconds",
            "revisionHistoryLimit",
            "paused",
            "progressDeadlineSeconds",
        ],
        ("apps", "statefulsets") => &[
            "replicas",
            "selector",
            "template",
            "volumeClaimTemplates",
            "serviceName",
            "podManagementPolicy",
            "updateStrategy",
            "revisionHistoryLimit",
            "minReadySeconds",
            "persistentVolumeClaimRetentionPolicy",
            "ordinals",
        ],
        ("apps", "daemonsets") => {
            &["selector", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"]
        }
        ("apps", "replicasets") => &["replicas", "selector", "template", "minReadySeconds"],
        _ => return None,
    })
}

/// Takes the fields that the server does not know out of an object.
pub(super) fn drop_unknown(object: &mut Value, unknown: &[String]) {
    for path in unknown {
        let pointer: String = path
            .split('.')
            .map(|step| match step.split_once('[') {
                Some((name, index)) => format!("/{name}/{}", index.trim_end_matches(']')),
                None => format!("/{step}"),
            })
            .collect();
        if let Some((parent, last)) = pointer.rsplit_once('/')
            && let Some(map) = object.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            map.shift_remove(last);
        }
    }
}
