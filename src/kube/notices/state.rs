//! In what state an object is, in a word or two: what somebody wants to be told of when it becomes another.

use serde_json::Value;

use crate::kube::objects::describe::part::{items, number, text};
use crate::kube::objects::rollout::status;

/// A state. Two objects' states are the same if their words are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `ready`, `failing: CrashLoopBackOff (main)`, `rolled out`.
    pub words: String,
    /// Something is wrong.
    pub bad: bool,
}

fn good(words: impl Into<String>) -> State {
    State { words: words.into(), bad: false }
}

fn bad(words: impl Into<String>) -> State {
    State { words: words.into(), bad: true }
}

/// The state of an object of any kind.
pub fn of(object: &Value) -> State {
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        return good("ending");
    }
    match text(object, "/kind").as_str() {
        "Pod" => pod(object),
        "Deployment" | "StatefulSet" | "DaemonSet" if text(object, "/apiVersion").starts_with("apps/") => {
            rollout(object)
        }
        "ReplicaSet" => {
            let (ready, wanted) = (number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
            if ready >= wanted { good("ready") } else { good("not ready") }
        }
        "Job" => job(object),
        "Node" => {
            let state = conditions(object).unwrap_or_else(|| good("not known"));
            match object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
                true => State { words: format!("{}, cordoned", state.words), ..state },
                false => state,
            }
        }
        "Application" if !text(object, "/status/health/status").is_empty() => {
            let (health, sync) = (text(object, "/status/health/status"), text(object, "/status/sync/status"));
            State { bad: health == "Degraded" || health == "Missing", words: format!("{health}, {sync}") }
        }
        _ => conditions(object).or_else(|| phase(object)).unwrap_or_else(|| written(object)),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, "/status") == "True")
}

fn pod(pod: &Value) -> State {
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let all = statuses.iter().flat_map(|list| items(pod, list));
    match text(pod, "/status/phase").as_str() {
        "Succeeded" => return good("completed"),
        "Failed" => {
            let own = text(pod, "/status/reason");
            let ended =
                all.map(|c| text(c, "/state/terminated/reason")).find(|r| !r.is_empty() && r != "Completed");
            let reason = if own.is_empty() { ended.unwrap_or_default() } else { own };
            return bad(reasoned("failed", &reason));
        }
        _ => {}
    }
    for container in all {
        let reason = text(container, "/state/waiting/reason");
        if !matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing") {
            return bad(format!("failing: {reason} ({})", text(container, "/name")));
        }
    }
    if holds(pod, "Ready") {
        return good("ready");
    }
    match condition(pod, "PodScheduled").filter(|c| text(c, "/status") == "False") {
        Some(scheduled) => bad(reasoned("waits", &text(scheduled, "/reason"))),
        None => good("not ready"),
    }
}

fn rollout(workload: &Value) -> State {
    let status = status::of(workload);
    match status.state {
        status::State::Complete => good("rolled out"),
        status::State::Progressing => good("in progress"),
        status::State::Paused => good("paused"),
        status::State::Failed => bad("rollout failed"),
        status::State::Manual if status.available >= status.wanted => good("ready"),
        status::State::Manual => good("not ready"),
    }
}

fn job(job: &Value) -> State {
    if holds(job, "Complete") {
        return good("complete");
    }
    if let Some(failed) = condition(job, "Failed").filter(|c| text(c, "/status") == "True") {
        return bad(reasoned("failed", &text(failed, "/reason")));
    }
    good(if holds(job, "Suspended") { "suspended" } else { "running" })
}

/// By the condition that most kinds sum themselves up in.
fn conditions(object: &Value) -> Option<State> {
    let found = ["Ready", "Available", "Established", "Synced"]
        .into_iter()
        .find_map(|kind| Some((kind, condition(object, kind)?)))?;
    let (kind, told) = (found.0.to_lowercase(), found.1);
    Some(match text(told, "/status").as_str() {
        "True" => good(kind),
        "False" => bad(reasoned(&format!("not {kind}"), &text(told, "/reason"))),
        _ => bad(reasoned(&format!("{kind}: not known"), &text(told, "/reason"))),
    })
}

fn phase(object: &Value) -> Option<State> {
    let phase = Some(text(object, "/status/phase")).filter(|p| !p.is_empty())?;
    Some(State { bad: matches!(phase.as_str(), "Failed" | "Lost" | "Error"), words: phase })
}

/// Of what has no state, each writing is one.
fn written(object: &Value) -> State {
    let generation = number(object, "/metadata/generation");
    good(match generation {
        0 => format!("as of revision {}", text(object, "/metadata/resourceVersion")),
        generation => format!("generation {generation}"),
    })
}

fn reasoned(words: &str, reason: &str) -> String {
    if reason.is_empty() { words.to_owned() } else { format!("{words}: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_is_told_by_its_own_signs() {
        let ready =
            |status: &str, reason: &str| json!([{"type": "Ready", "status": status, "reason": reason}]);
        let waiting = json!([{"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
        for (object, words, wrong) in [
            (
                json!({"kind": "Pod", "status": {"phase": "Running", "conditions": ready("True", "")}}),
                "ready",
                false,
            ),
            (
                json!({"kind": "Pod", "status": {"phase": "Running", "containerStatuses": waiting}}),
                "failing: CrashLoopBackOff (main)",
                true,
            ),
            (json!({"kind": "Pod", "status": {"phase": "Succeeded"}}), "completed", false),
            (
                json!({"kind": "Pod", "status": {"phase": "Failed", "reason": "Evicted"}}),
                "failed: Evicted",
                true,
            ),
            (json!({"kind": "Pod", "metadata": {"deletionTimestamp": "t"}}), "ending", false),
            (
                json!({"kind": "Node", "spec": {"unschedulable": true}, "status": {"conditions": ready("True", "")}}),
                "ready, cordoned",
                false,
            ),
            (
                json!({"kind": "Node", "status": {"conditions": ready("Unknown", "NodeStatusUnknown")}}),
                "ready: not known: NodeStatusUnknown",
                true,
            ),
            (
                json!({"kind": "Certificate", "status": {"conditions": ready("False", "Failed")}}),
                "not ready: Failed",
                true,
            ),
            (json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Bound"}}), "Bound", false),
            (json!({"kind": "ConfigMap", "metadata": {"resourceVersion": "7"}}), "as of revision 7", false),
            (
                json!({"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
                "complete",
                false,
            ),
            (
                json!({"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": 0}, "status": {}}),
                "rolled out",
                false,
            ),
        ] {
            assert_eq!(of(&object), State { words: words.into(), bad: wrong }, "{object}");
        }
    }
}
