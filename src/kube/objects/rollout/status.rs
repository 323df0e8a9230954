//! How far a rollout is, in words. The rules are those of `kubectl rollout status`.
//! Source: `k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::kube::objects::describe::part::{items, number, text, text_or};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Complete,
    Progressing,
    Paused,
    /// It will not end by itself.
    Failed,
    /// Its strategy replaces pods only when somebody deletes them.
    Manual,
}

/// A rollout at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    pub state: State,
    pub message: String,
    /// Pods wanted, of the new version, and of that version ready to serve.
    pub wanted: i64,
    pub updated: i64,
    pub available: i64,
}

pub fn of(workload: &Value) -> Status {
    match text(workload, "/kind").as_str() {
        "StatefulSet" => stateful_set(workload),
        "DaemonSet" => daemon_set(workload),
        _ => deployment(workload),
    }
}

/// Whether the controller has not yet seen the last change.
fn unseen(workload: &Value) -> bool {
    number(workload, "/metadata/generation") > number(workload, "/status/observedGeneration")
}

fn told(state: State, message: String, counts: [i64; 3]) -> Status {
    let [wanted, updated, available] = counts;
    Status { state, message, wanted, updated, available }
}

const UNSEEN: &str = "the controller has not seen the last change yet";

fn deployment(d: &Value) -> Status {
    let wanted = d.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let status = |field: &str| number(d, &format!("/status/{field}"));
    let (all, updated, available) =
        (status("replicas"), status("updatedReplicas"), status("availableReplicas"));
    let counts = [wanted, updated, available];
    let tell = |state, message: String| told(state, message, counts);
    if d.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return tell(State::Paused, format!("paused: {updated} of {wanted} pods are of the new version"));
    }
    if unseen(d) {
        return tell(State::Progressing, UNSEEN.to_owned());
    }
    let late = items(d, "/status/conditions")
        .iter()
        .find(|c| text(c, "/type") == "Progressing" && text(c, "/reason") == "ProgressDeadlineExceeded");
    if let Some(late) = late {
        let seconds = text_or(d, "/spec/progressDeadlineSeconds", "600");
        let message = text(late, "/message");
        return tell(State::Failed, format!("no progress within {seconds} s: {message}"));
    }
    if updated < wanted {
        return tell(State::Progressing, format!("{updated} of {wanted} new pods are made"));
    }
    if all > updated {
        return tell(State::Progressing, format!("{} old pods are still to end", all - updated));
    }
    if available < updated {
        return tell(State::Progressing, format!("{available} of {updated} new pods are available"));
    }
    tell(State::Complete, format!("rolled out: {wanted} pods"))
}

fn stateful_set(s: &Value) -> Status {
    let wanted = s.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let (updated, ready) = (number(s, "/status/updatedReplicas"), number(s, "/status/readyReplicas"));
    let tell = |state, message: String| told(state, message, [wanted, updated, ready]);
    if text_or(s, "/spec/updateStrategy/type", "RollingUpdate") != "RollingUpdate" {
        return tell(State::Manual, "OnDelete: pods are replaced when somebody deletes them".to_owned());
    }
    if unseen(s) {
        return tell(State::Progressing, UNSEEN.to_owned());
    }
    let partition = number(s, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        let share = (wanted - partition).max(0);
        return if updated < share {
            tell(
                State::Progressing,
                format!("{updated} of {share} pods above the partition are of the new version"),
            )
        } else {
            tell(State::Complete, format!("rolled out above the partition: {updated} new pods"))
        };
    }
    let (next, current) = (text(s, "/status/updateRevision"), text(s, "/status/currentRevision"));
    if next != current && updated < wanted {
        return tell(State::Progressing, format!("{updated} of {wanted} pods are of the new version"));
    }
    if ready < wanted {
        return tell(State::Progressing, format!("{ready} of {wanted} pods are ready"));
    }
    if next != current {
        return tell(State::Progressing, "the controller has still to close the update".to_owned());
    }
    tell(State::Complete, format!("rolled out: {wanted} pods"))
}

fn daemon_set(d: &Value) -> Status {
    let wanted = number(d, "/status/desiredNumberScheduled");
    let (updated, available) =
        (number(d, "/status/updatedNumberScheduled"), number(d, "/status/numberAvailable"));
    let tell = |state, message: String| told(state, message, [wanted, updated, available]);
    if text_or(d, "/spec/updateStrategy/type", "RollingUpdate") != "RollingUpdate" {
        return tell(State::Manual, "OnDelete: pods are replaced when somebody deletes them".to_owned());
    }
    if unseen(d) {
        return tell(State::Progressing, UNSEEN.to_owned());
    }
    if updated < wanted {
        return tell(State::Progressing, format!("{updated} of {wanted} pods are of the new version"));
    }
    if available < wanted {
        return tell(State::Progressing, format!("{available} of {wanted} pods are available"));
    }
    tell(State::Complete, format!("rolled out: {wanted} pods"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_goes_through_its_stages() {
        let at = |updated: i64, all: i64, available: i64| {
            of(&json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 3},
                "status": {"observedGeneration": 2, "updatedReplicas": updated, "replicas": all,
                    "availableReplicas": available}}))
        };
        assert_eq!(at(1, 4, 3).message, "1 of 3 new pods are made");
        assert_eq!(at(3, 4, 3).message, "1 old pods are still to end");
        assert_eq!(at(3, 3, 2).message, "2 of 3 new pods are available");
        assert_eq!(at(3, 3, 3).state, State::Complete);
        let unseen = of(&json!({"kind": "Deployment", "metadata": {"generation": 2}, "status": {}}));
        assert_eq!((unseen.state, unseen.message.as_str()), (State::Progressing, UNSEEN));
        let late = of(&json!({"kind": "Deployment", "spec": {"replicas": 3}, "status": {"conditions": [
            {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it hangs"}]}}));
        assert_eq!(late.state, State::Failed);
        assert!(late.message.contains("600 s: it hangs"));
    }

    #[test]
    fn the_others_are_told_by_their_own_numbers() {
        let set = json!({"kind": "StatefulSet", "spec": {"replicas": 3}, "status": {"updatedReplicas": 1,
            "readyReplicas": 3, "updateRevision": "b", "currentRevision": "a"}});
        assert_eq!(of(&set).message, "1 of 3 pods are of the new version");
        let held = json!({"kind": "StatefulSet", "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"partition": 2}}}, "status": {"updatedReplicas": 1}});
        assert_eq!(of(&held).state, State::Complete);
        let daemon = json!({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 4,
            "updatedNumberScheduled": 4, "numberAvailable": 3}});
        assert_eq!(of(&daemon).message, "3 of 4 pods are available");
        let manual = json!({"kind": "DaemonSet", "spec": {"updateStrategy": {"type": "OnDelete"}}});
        assert_eq!(of(&manual).state, State::Manual);
    }
}
