//! A pod's way: scheduled, then in the hands of its node's kubelet.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::kubelet::{Around, step};
use super::{Control, node, own_status};
use crate::lab::events::{self, Happened};
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, items, text};
use crate::lab::rng::Rng;
use crate::lab::seed::base::node_ip;

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let pod = object.value();
    if text(&pod, "spec.nodeName").is_empty() {
        return schedule(control, kind, object, pod);
    }
    let ended = matches!(text(&pod, "status.phase"), "Succeeded" | "Failed");
    let leaving = pod["metadata"].get("deletionTimestamp").is_some();
    if ended && !leaving {
        return None;
    }
    let address = node_ip(text(&pod, "spec.nodeName"));
    let pod_ip = match text(&pod, "status.podIP") {
        "" if pod["spec"]["hostNetwork"].as_bool() == Some(true) => address.clone(),
        "" if items(&pod, "status.containerStatuses").is_empty() => String::new(),
        "" => control.state.pod_ip(),
        known => known.to_owned(),
    };
    let state = control.state.clone();
    let exists = |what: &str, name: &str| state.exists(&object.namespace, what, name);
    let around = Around {
        now: Timestamp::now(),
        node_ip: &address,
        pod_ip: &pod_ip,
        exists: &exists,
        seed: Rng::for_topic(state.seed, &object.uid).next(),
    };
    let step = step(&pod, &around);
    if step.gone {
        if items(&pod, "metadata.finalizers").is_empty() {
            let _ = state.store.remove(kind.id, &object.namespace, &object.name, Some(object.version));
        }
        return None;
    }
    for told in &step.told {
        control.tell_of_pod(kind, &pod, told);
    }
    if let Some(status) = step.status {
        let mut changed = pod;
        changed["status"] = status;
        own_status(kind, &mut changed, "kubelet");
        if !control.replace(kind, object, changed) {
            // Somebody was faster: look at what it is now.
            return Some(Timestamp::now());
        }
    }
    step.again
}

/// Finds a node for a pod.
fn schedule(control: &mut Control, kind: &Arc<Kind>, object: &Object, mut pod: Value) -> Option<Timestamp> {
    if pod["metadata"].get("deletionTimestamp").is_some() {
        let _ = control.state.store.remove(kind.id, &object.namespace, &object.name, Some(object.version));
        return None;
    }
    let now = Timestamp::now();
    let nodes = node::candidates(&control.state, &pod);
    let total = control.state.list("", "nodes", "").len();
    let tell = |reason: &str, warning: bool, message: &str| {
        let happened = Happened {
            kind,
            object: &pod,
            warning,
            reason,
            message,
            field: "",
            component: "default-scheduler",
            host: "",
        };
        events::tell(&control.state, &happened, now);
    };
    let Some(chosen) = nodes.first() else {
        tell("FailedScheduling", true, &node::why_not(total));
        let already = items(&pod, "status.conditions").iter().any(|c| c["reason"] == "Unschedulable");
        if !already {
            node::mark_unschedulable(&mut pod, total, now);
            control.replace(kind, object, pod);
        }
        return Some(now + SignedDuration::from_secs(60));
    };
    tell(
        "Scheduled",
        false,
        &format!("Successfully assigned {}/{} to {chosen}", object.namespace, object.name),
    );
    pod["spec"]["nodeName"] = chosen.as_str().into();
    node::mark_scheduled(&mut pod, now);
    control.replace(kind, object, pod);
    // The kubelet sees it a moment later.
    Some(now + SignedDuration::from_millis(300))
}
