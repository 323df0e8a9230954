//! Nodes, namespaces, events, leases and the server's own registrations.

use serde_json::Value;

use super::{AGE, NAME, Printer, name, object_age, or_none, since};
use crate::lab::object::{at, items, number, text};

pub(super) fn printer(group: &str, plural: &str) -> Option<Printer> {
    Some(match (group, plural) {
        ("", "nodes") => Printer {
            columns: &[
                NAME,
                ("Status", "string", 0),
                ("Roles", "string", 0),
                AGE,
                ("Version", "string", 0),
                ("Internal-IP", "string", 1),
                ("External-IP", "string", 1),
                ("OS-Image", "string", 1),
                ("Kernel-Version", "string", 1),
                ("Container-Runtime", "string", 1),
            ],
            cells: node,
        },
        ("", "namespaces") => Printer {
            columns: &[NAME, ("Status", "string", 0), AGE],
            cells: |o| vec![name(o), text(o, "status.phase").into(), object_age(o)],
        },
        ("", "events") => Printer {
            columns: &[
                ("Last Seen", "string", 0),
                ("Type", "string", 0),
                ("Reason", "string", 0),
                ("Object", "string", 0),
                ("Subobject", "string", 1),
                ("Source", "string", 1),
                ("Message", "string", 0),
                ("First Seen", "string", 1),
                ("Count", "string", 1),
                ("Name", "string", 1),
            ],
            cells: event,
        },
        ("coordination.k8s.io", "leases") => Printer {
            columns: &[NAME, ("Holder", "string", 0), AGE],
            cells: |o| vec![name(o), text(o, "spec.holderIdentity").into(), object_age(o)],
        },
        ("scheduling.k8s.io", "priorityclasses") => Printer {
            columns: &[
                NAME,
                ("Value", "integer", 0),
                ("Global-Default", "boolean", 0),
                AGE,
                ("PreemptionPolicy", "string", 0),
            ],
            cells: |o| {
                vec![
                    name(o),
                    number(o, "value").into(),
                    o["globalDefault"].as_bool().unwrap_or(false).into(),
                    object_age(o),
                    text(o, "preemptionPolicy").into(),
                ]
            },
        },
        ("apiregistration.k8s.io", "apiservices") => Printer {
            columns: &[NAME, ("Service", "string", 0), ("Available", "string", 0), AGE],
            cells: api_service,
        },
        _ => return None,
    })
}

fn node(o: &Value) -> Vec<Value> {
    let ready = items(o, "status.conditions").iter().find(|c| c["type"] == "Ready");
    let mut status = match ready {
        Some(c) if c["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if at(o, "spec.unschedulable").as_bool() == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<&str> = at(o, "metadata.labels")
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/"))
        .filter(|r| !r.is_empty())
        .collect();
    roles.sort_unstable();
    let address = |kind: &str| {
        let found = items(o, "status.addresses").iter().find(|a| a["type"] == kind);
        or_none(found.map_or("", |a| text(a, "address")))
    };
    let info = at(o, "status.nodeInfo");
    let or_unknown = |key: &str| {
        let value = text(info, key);
        if value.is_empty() { "<unknown>".to_owned() } else { value.to_owned() }
    };
    let mut kernel = or_unknown("kernelVersion");
    let architecture = text(info, "architecture");
    if !architecture.is_empty() {
        kernel = format!("{kernel} ({architecture})");
    }
    vec![
        name(o),
        status.into(),
        or_none(&roles.join(",")),
        object_age(o),
        text(info, "kubeletVersion").into(),
        address("InternalIP"),
        address("ExternalIP"),
        or_unknown("osImage").into(),
        kernel.into(),
        or_unknown("containerRuntimeVersion").into(),
    ]
}

fn event(o: &Value) -> Vec<Value> {
    let stamp = |first: &str, other: &str| {
        let value = at(o, first);
        since(if value.is_null() { at(o, other) } else { value })
    };
    let first = stamp("firstTimestamp", "eventTime");
    let last = match (at(o, "series.lastObservedTime"), at(o, "lastTimestamp")) {
        (series, _) if !series.is_null() => since(series),
        (_, last) if !last.is_null() => since(last),
        _ => first.clone(),
    };
    let count =
        at(o, "series.count").as_i64().or_else(|| o["count"].as_i64()).filter(|n| *n > 0).unwrap_or(1);
    let kind = text(o, "involvedObject.kind").to_lowercase();
    let target = match text(o, "involvedObject.name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let or = |a: &str, b: &str| {
        let value = text(o, a);
        if value.is_empty() { text(o, b).to_owned() } else { value.to_owned() }
    };
    let (component, host) =
        (or("source.component", "reportingComponent"), or("source.host", "reportingInstance"));
    let source = if host.is_empty() { component } else { format!("{component}, {host}") };
    vec![
        last.into(),
        text(o, "type").into(),
        text(o, "reason").into(),
        target.into(),
        text(o, "involvedObject.fieldPath").into(),
        source.into(),
        text(o, "message").trim().into(),
        first.into(),
        count.into(),
        name(o),
    ]
}

fn api_service(o: &Value) -> Vec<Value> {
    let service = at(o, "spec.service");
    let service = if service.is_object() {
        format!("{}/{}", text(service, "namespace"), text(service, "name"))
    } else {
        "Local".to_owned()
    };
    let available = items(o, "status.conditions").iter().find(|c| c["type"] == "Available");
    let available = match available {
        Some(c) if c["status"] == "True" => "True".to_owned(),
        Some(c) => format!("{} ({})", text(c, "status"), text(c, "reason")),
        None => "Unknown".to_owned(),
    };
    vec![name(o), service.into(), available.into(), object_age(o)]
}
