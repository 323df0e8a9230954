//! The pod table.

use serde_json::{Value, json};

use super::{AGE, Column, NAME, object_age, or_none, since};
use crate::lab::object::{at, items, text};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Ready", "string", 0),
    ("Status", "string", 0),
    ("Restarts", "string", 0),
    AGE,
    ("IP", "string", 1),
    ("Node", "string", 1),
    ("Nominated Node", "string", 1),
    ("Readiness Gates", "string", 1),
];

/// The row conditions of a pod that has ended; kubectl greys such rows out.
pub(super) fn conditions(pod: &Value) -> Value {
    match text(pod, "status.phase") {
        "Succeeded" => json!([{"type": "Completed", "status": "True", "reason": "Succeeded",
                               "message": "The pod has completed successfully."}]),
        "Failed" => json!([{"type": "Completed", "status": "True", "reason": "Failed",
                            "message": "The pod failed."}]),
        _ => Value::Null,
    }
}

pub(super) fn cells(pod: &Value) -> Vec<Value> {
    let summary = Summary::of(pod);
    let restarts = match (summary.restarts, summary.last_restart) {
        (n, Some(last)) if n != 0 => format!("{n} ({} ago)", since(&last.into())),
        (n, _) => n.to_string(),
    };
    vec![
        super::name(pod),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.status.into(),
        restarts.into(),
        object_age(pod),
        or_none(text(pod, "status.podIP")),
        or_none(text(pod, "spec.nodeName")),
        or_none(text(pod, "status.nominatedNodeName")),
        "<none>".into(),
    ]
}

struct Summary<'a> {
    status: String,
    ready: usize,
    total: usize,
    restarts: i64,
    /// When the last container ended, if one did.
    last_restart: Option<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(pod: &'a Value) -> Self {
        let reason = text(pod, "status.reason");
        let status = if reason.is_empty() { text(pod, "status.phase") } else { reason };
        let sidecars =
            items(pod, "spec.initContainers").iter().filter(|c| c["restartPolicy"] == "Always").count();
        let mut summary = Summary {
            status: status.to_owned(),
            ready: 0,
            total: items(pod, "spec.containers").len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        if !summary.initializing(pod) {
            summary.containers(pod);
        }
        let ended = matches!(text(pod, "status.phase"), "Succeeded" | "Failed");
        if pod["metadata"].get("deletionTimestamp").is_some() {
            if reason == "NodeLost" {
                summary.status = "Unknown".into();
            } else if !ended {
                summary.status = "Terminating".into();
            }
        }
        summary
    }

    fn count(&mut self, container: &'a Value) {
        self.restarts += container["restartCount"].as_i64().unwrap_or_default();
        let finished = at(container, "lastState.terminated.finishedAt").as_str();
        // RFC 3339 in UTC sorts as text.
        self.last_restart = self.last_restart.max(finished);
    }

    /// Whether an init container still stands before the containers; sets the status if so.
    fn initializing(&mut self, pod: &'a Value) -> bool {
        let total = items(pod, "spec.initContainers").len();
        for (i, container) in items(pod, "status.initContainerStatuses").iter().enumerate() {
            self.count(container);
            let sidecar = items(pod, "spec.initContainers")
                .iter()
                .any(|c| c["name"] == container["name"] && c["restartPolicy"] == "Always");
            let (ended, waiting) =
                (at(container, "state.terminated"), text(container, "state.waiting.reason"));
            if ended.is_object() && ended["exitCode"].as_i64() == Some(0) {
                continue;
            }
            if sidecar && container["started"].as_bool() == Some(true) {
                self.ready += usize::from(container["ready"].as_bool() == Some(true));
                continue;
            }
            self.status = if ended.is_object() {
                format!("Init:{}", ended_reason(ended))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{i}/{total}")
            };
            return true;
        }
        false
    }

    fn containers(&mut self, pod: &'a Value) {
        (self.restarts, self.last_restart) = (0, None);
        let (mut running, mut error) = (false, None);
        for container in items(pod, "status.containerStatuses").iter().rev() {
            self.count(container);
            let waiting = text(container, "state.waiting.reason");
            let ended = at(container, "state.terminated");
            if !waiting.is_empty() {
                self.status = waiting.to_owned();
            } else if ended.is_object() {
                self.status = ended_reason(ended);
                if ended["exitCode"].as_i64() != Some(0) {
                    error = Some(self.status.clone());
                }
            } else if container["ready"].as_bool() == Some(true) && at(container, "state.running").is_object()
            {
                running = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" {
            let ready =
                items(pod, "status.conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
            if running && ready {
                self.status = "Running".into();
            } else if let Some(error) = error {
                self.status = error;
            } else if running {
                self.status = "NotReady".into();
            }
        }
    }
}

fn ended_reason(ended: &Value) -> String {
    match (text(ended, "reason"), ended["signal"].as_i64()) {
        ("", Some(signal)) if signal != 0 => format!("Signal:{signal}"),
        ("", _) => format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or_default()),
        (reason, _) => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pod: &Value) -> (String, String) {
        let cells = cells(pod);
        (cells[1].as_str().unwrap().into(), cells[2].as_str().unwrap().into())
    }

    #[test]
    fn the_status_is_the_one_that_kubectl_shows() {
        let pod = |status: Value| {
            json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "m"}], "initContainers": [{"name": "i"}]},
                   "status": status})
        };
        let cases = [
            (json!({"phase": "Pending"}), "0/1", "Pending"),
            (json!({"phase": "Failed", "reason": "Evicted"}), "0/1", "Evicted"),
            (
                json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]}),
                "0/1",
                "Init:0/1",
            ),
            (
                json!({"phase": "Running", "containerStatuses":
                    [{"name": "m", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
                "0/1",
                "CrashLoopBackOff",
            ),
            (
                json!({"phase": "Running", "containerStatuses":
                    [{"name": "m", "ready": true, "state": {"running": {}}}]}),
                "1/1",
                "Running",
            ),
            (
                json!({"phase": "Failed", "containerStatuses":
                    [{"name": "m", "state": {"terminated": {"exitCode": 3}}}]}),
                "0/1",
                "ExitCode:3",
            ),
        ];
        for (status, ready, word) in cases {
            assert_eq!(shown(&pod(status.clone())), (ready.into(), word.into()), "{status}");
        }
        let mut going = pod(json!({"phase": "Running"}));
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(shown(&going).1, "Terminating");
    }
}
