//! Endpoints and EndpointSlices of services, from the pods that they select.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Control, ready};
use crate::lab::object::{Object, items, stamp, text};
use crate::lab::select::Selector;

pub(super) fn reconcile(control: &mut Control, object: &Object) -> Option<Timestamp> {
    let service = object.value();
    let selector = &service["spec"]["selector"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty)
        || service["metadata"].get("deletionTimestamp").is_some()
    {
        return None;
    }
    let chosen = Selector::of_object(selector);
    let mut members: Vec<(bool, Value)> = Vec::new();
    for pod in control.state.list("", "pods", &object.namespace).iter().filter(|p| chosen.matches(p)) {
        let value = pod.value();
        let ended = matches!(text(&value, "status.phase"), "Succeeded" | "Failed");
        if !ended && !text(&value, "status.podIP").is_empty() {
            members.push((ready(&value) && value["metadata"].get("deletionTimestamp").is_none(), value));
        }
    }
    endpoint_slice(control, object, &service, &members);
    endpoints(control, object, &service, &members);
    None
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": text(pod, "metadata.namespace"), "name": text(pod, "metadata.name"),
           "uid": text(pod, "metadata.uid")})
}

/// The number behind a service's port, looked up by name in the first pod.
fn port_number(port: &Value, members: &[(bool, Value)]) -> Value {
    let Some(name) = port["targetPort"].as_str() else {
        return if port["targetPort"].is_null() { port["port"].clone() } else { port["targetPort"].clone() };
    };
    let found = members.iter().find_map(|(_, pod)| {
        items(pod, "spec.containers")
            .iter()
            .flat_map(|c| items(c, "ports"))
            .find(|p| p["name"] == name)
            .cloned()
    });
    found.map_or_else(|| port["port"].clone(), |p| p["containerPort"].clone())
}

fn ports(service: &Value, members: &[(bool, Value)]) -> Vec<Value> {
    items(service, "spec.ports")
        .iter()
        .map(|p| json!({"name": text(p, "name"), "port": port_number(p, members), "protocol": text(p, "protocol")}))
        .collect()
}

fn endpoint_slice(control: &Control, object: &Object, service: &Value, members: &[(bool, Value)]) {
    let Some(kind) = control.state.kind("discovery.k8s.io", "endpointslices") else { return };
    let list: Vec<Value> = members
        .iter()
        .map(|(ready, pod)| {
            let leaving = pod["metadata"].get("deletionTimestamp").is_some();
            json!({"addresses": [text(pod, "status.podIP")],
                   "conditions": {"ready": ready, "serving": ready, "terminating": leaving},
                   "targetRef": target(pod), "nodeName": text(pod, "spec.nodeName")})
        })
        .collect();
    let found = control
        .state
        .store
        .list(kind.id, &object.namespace, None)
        .0
        .into_iter()
        .find(|s| s.label("kubernetes.io/service-name") == Some(&object.name));
    let ports = ports(service, members);
    if let Some(old) = found {
        let mut value = old.value();
        if value["endpoints"].as_array() != Some(&list) || value["ports"].as_array() != Some(&ports) {
            value["endpoints"] = list.into();
            value["ports"] = ports.into();
            value["metadata"]["generation"] =
                (value["metadata"]["generation"].as_i64().unwrap_or(1) + 1).into();
            control.replace(&kind, &old, value);
        }
        return;
    }
    let mut labels = service["metadata"]["labels"].clone();
    labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io".into();
    labels["kubernetes.io/service-name"] = object.name.as_str().into();
    let Some(services) = control.state.kind("", "services") else { return };
    let slice = json!({
        "addressType": "IPv4",
        "metadata": {"name": format!("{}-{}", object.name, control.state.rng.lock().suffix(5)),
                     "generateName": format!("{}-", object.name), "namespace": object.namespace.as_str(), "generation": 1,
                     "labels": labels,
                     "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": stamp(Timestamp::now())},
                     "ownerReferences": [crate::lab::object::owner_reference(&services, service)]},
        "endpoints": list, "ports": ports,
    });
    control.create(&kind, slice);
}

fn endpoints(control: &Control, object: &Object, service: &Value, members: &[(bool, Value)]) {
    let Some(kind) = control.state.kind("", "endpoints") else { return };
    let address = |pod: &Value| json!({"ip": text(pod, "status.podIP"), "nodeName": text(pod, "spec.nodeName"), "targetRef": target(pod)});
    let list = |wanted: bool| -> Vec<Value> {
        members.iter().filter(|(ready, _)| *ready == wanted).map(|(_, pod)| address(pod)).collect()
    };
    let (up, down) = (list(true), list(false));
    let mut subset = json!({});
    if !up.is_empty() {
        subset["addresses"] = up.into();
    }
    if !down.is_empty() {
        subset["notReadyAddresses"] = down.into();
    }
    subset["ports"] = ports(service, members).into();
    let subsets = if members.is_empty() { Value::Null } else { json!([subset]) };
    if let Some(old) = control.state.store.get(kind.id, &object.namespace, &object.name) {
        let mut value = old.value();
        if value.get("subsets").unwrap_or(&Value::Null) != &subsets {
            value["subsets"] = subsets;
            control.replace(&kind, &old, value);
        }
        return;
    }
    let mut labels = service["metadata"]["labels"].clone();
    labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller".into();
    let made = json!({"metadata": {"name": object.name.as_str(), "namespace": object.namespace.as_str(), "labels": labels},
                      "subsets": subsets});
    control.create(&kind, made);
}
