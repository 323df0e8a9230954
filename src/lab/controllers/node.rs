//! The scheduler's view of nodes, and their heartbeats.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lab::cluster::State;
use crate::lab::object::{at, items, micro_stamp, stamp, text};
use crate::lab::quantity;

/// What the largest node has, in millicores: the fleet's workers are alike.
const NODE_MILLIS: i64 = 16_000;

/// Whether any node of the fleet is large enough for a pod.
pub(in crate::lab) fn fits(pod: &Value) -> bool {
    let wanted: i64 = items(pod, "spec.containers")
        .iter()
        .map(|c| quantity::millis(text(c, "resources.requests.cpu")))
        .sum();
    wanted <= NODE_MILLIS
}

/// Why no node takes a pod, as the scheduler says it.
pub(in crate::lab) fn why_not(nodes: usize) -> String {
    let workers = nodes.saturating_sub(1);
    format!(
        "0/{nodes} nodes are available: 1 node(s) had untolerated taint(s), {workers} Insufficient cpu. no new claims to \
         deallocate, preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling."
    )
}

pub(in crate::lab) fn mark_unschedulable(pod: &mut Value, nodes: usize, now: Timestamp) {
    pod["status"]["conditions"] = json!([{
        "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": stamp(now),
        "reason": "Unschedulable", "message": why_not(nodes),
    }]);
}

pub(super) fn mark_scheduled(pod: &mut Value, now: Timestamp) {
    pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": stamp(now)}]);
}

/// The nodes that take a pod, the emptiest first.
pub(super) fn candidates(state: &State, pod: &Value) -> Vec<String> {
    if !fits(pod) {
        return Vec::new();
    }
    let wanted = pinned(pod);
    let selector = at(pod, "spec.nodeSelector");
    let pods = state.list("", "pods", "");
    let mut load: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    // Counting names is enough to spread: the nodes are alike. Large fleets are not counted at all.
    if pods.len() < 5_000 {
        for pod in &pods {
            let value = pod.value();
            *load.entry(text(&value, "spec.nodeName").to_owned()).or_default() += 1;
        }
    }
    let mut nodes: Vec<(usize, String)> = state
        .list("", "nodes", "")
        .iter()
        .filter_map(|object| {
            let node = object.value();
            let named = wanted.is_some_and(|w| w == object.name);
            let closed = at(&node, "spec.unschedulable").as_bool() == Some(true);
            let tainted = items(&node, "spec.taints").iter().any(|taint| !tolerated(pod, taint));
            let labelled = selector
                .as_object()
                .is_none_or(|want| want.iter().all(|(k, v)| object.label(k) == v.as_str()));
            let open = named || (!closed && !tainted && labelled && wanted.is_none());
            open.then(|| (load.get(object.name.as_str()).copied().unwrap_or(0), object.name.to_string()))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, name)| name).collect()
}

const PIN: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/\
                   matchFields/0/values/0";

/// The one node that a DaemonSet made a pod for.
pub(super) fn pinned(pod: &Value) -> Option<&str> {
    pod.pointer(PIN).and_then(Value::as_str)
}

/// The affinity that pins a pod to a node.
pub(super) fn pin(node: &str) -> Value {
    json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}}})
}

fn tolerated(pod: &Value, taint: &Value) -> bool {
    items(pod, "spec.tolerations").iter().any(|t| {
        let key = text(t, "key");
        let effect = text(t, "effect");
        (key.is_empty() || key == text(taint, "key"))
            && (effect.is_empty() || effect == text(taint, "effect"))
    })
}

/// Renews one node's lease; every sixth time the node's own heartbeat too.
pub(super) fn heartbeat(state: &State, index: usize, full: bool) {
    let nodes = state.list("", "nodes", "");
    let Some(node) = nodes.get(index % nodes.len().max(1)) else { return };
    let now = Timestamp::now();
    if let Some(kind) = state.kind("coordination.k8s.io", "leases")
        && let Some(lease) = state.store.get(kind.id, "kube-node-lease", &node.name)
    {
        let mut value = lease.value();
        value["spec"]["renewTime"] = micro_stamp(now).into();
        let _ = state.store.replace(kind.id, lease.version, value);
    }
    if !full {
        return;
    }
    if let Some(kind) = state.kind("", "nodes") {
        let mut value = node.value();
        for condition in value["status"]["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastHeartbeatTime"] = stamp(now).into();
        }
        let _ = state.store.replace(kind.id, node.version, value);
    }
}
