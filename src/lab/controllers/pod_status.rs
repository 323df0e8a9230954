//! What a pod's containers come to: its phase and its conditions, as the kubelet sums them up.

use serde_json::{Value, json};

use crate::lab::object::{at, items, text};

/// Puts the phase and the conditions into a status, from the containers in it.
pub(super) fn sum_up(pod: &Value, status: &mut Value, now: &str) {
    let containers = items(status, "containerStatuses").to_vec();
    let all = |test: &dyn Fn(&Value) -> bool| !containers.is_empty() && containers.iter().all(test);
    let running = |c: &Value| at(c, "state.running").is_object();
    let ended = |c: &Value| at(c, "state.terminated").is_object();
    let code = |c: &Value| at(c, "state.terminated.exitCode").as_i64();
    let never_started = |c: &Value| {
        matches!(
            text(c, "state.waiting.reason"),
            "ContainerCreating"
                | "PodInitializing"
                | "ErrImagePull"
                | "ImagePullBackOff"
                | "CreateContainerConfigError"
        )
    };
    let restarts_ended = match text(pod, "spec.restartPolicy") {
        "Never" => false,
        "OnFailure" => containers.iter().any(|c| code(c).is_some_and(|n| n != 0)),
        _ => true,
    };
    let phase = if all(&|c| ended(c) && code(c) == Some(0)) && !restarts_ended {
        "Succeeded"
    } else if all(&ended) && !restarts_ended {
        "Failed"
    } else if containers.iter().any(|c| running(c) || !never_started(c)) {
        "Running"
    } else {
        "Pending"
    };
    status["phase"] = phase.into();
    let init = items(status, "initContainerStatuses");
    let initialized = init.iter().all(|c| code(c) == Some(0));
    let ready = phase == "Running" && all(&|c| c["ready"].as_bool() == Some(true));
    let unready: Vec<&str> =
        containers.iter().filter(|c| c["ready"].as_bool() != Some(true)).map(|c| text(c, "name")).collect();
    let pending_init: Vec<&str> =
        init.iter().filter(|c| code(c) != Some(0)).map(|c| text(c, "name")).collect();
    let done = phase == "Succeeded";
    let why_not = |list: &[&str]| format!("containers with unready status: [{}]", list.join(" "));
    let unready_reason =
        if done { ("PodCompleted", String::new()) } else { ("ContainersNotReady", why_not(&unready)) };
    let sandbox = phase != "Pending" || status.get("podIP").is_some();
    let conditions = [
        ("PodReadyToStartContainers", sandbox && !done, ("", String::new())),
        (
            "Initialized",
            initialized,
            (
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", pending_init.join(" ")),
            ),
        ),
        ("Ready", ready, unready_reason.clone()),
        ("ContainersReady", ready, unready_reason),
        ("PodScheduled", true, ("", String::new())),
    ];
    let old = items(status, "conditions").to_vec();
    let list: Vec<Value> = conditions
        .into_iter()
        .map(|(ty, holds, (reason, message))| condition(&old, ty, holds, reason, &message, now))
        .collect();
    status["conditions"] = list.into();
}

fn condition(old: &[Value], ty: &str, holds: bool, reason: &str, message: &str, now: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let before = old.iter().find(|c| c["type"] == ty && c["status"] == status);
    let since = before.map_or(now, |c| text(c, "lastTransitionTime"));
    let mut condition =
        json!({"type": ty, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    if !holds && !reason.is_empty() {
        condition["reason"] = reason.into();
        if !message.is_empty() {
            condition["message"] = message.into();
        }
    }
    condition
}
