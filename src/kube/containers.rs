//! The containers of a pod as rows, in the order in which they start: init containers with the sidecars among them,
//! then the main ones, then those that were put in later to look around.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde_json::Value;

use super::objects::describe::part::text as text_of;
use super::usage::{self, Shares};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, Tone};

/// The columns of [`rows`], after NAME, which is the container's.
pub(super) fn columns() -> Arc<[Column]> {
    let before = [
        Column::new("IDX", ColumnKind::Number).rank(8),
        Column::new("KIND", ColumnKind::Text).rank(5),
        Column::new("IMAGE", ColumnKind::Text).rank(3),
        Column::new("READY", ColumnKind::Status).rank(1),
        Column::new("STATE", ColumnKind::Status).rank(0),
        Column::new("RESTARTS", ColumnKind::Number).rank(2),
        Column::new("LAST", ColumnKind::Text).rank(4),
        Column::new("PROBES(L:R:S)", ColumnKind::Text).rank(7),
    ];
    let after = [Column::new("PORTS", ColumnKind::Text).rank(7), Column::new("AGE", ColumnKind::Age).rank(3)];
    before.into_iter().chain(usage::columns(false)).chain(after).collect()
}

/// What a container is in its pod.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Init,
    /// An init container that goes on running beside the main ones.
    Sidecar,
    Main,
    Ephemeral,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Part::Init => "init",
            Part::Sidecar => "sidecar",
            Part::Main => "main",
            Part::Ephemeral => "ephemeral",
        }
    }
}

const LISTS: [(&str, &str, Part); 3] = [
    ("/spec/initContainers", "/status/initContainerStatuses", Part::Init),
    ("/spec/containers", "/status/containerStatuses", Part::Main),
    ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses", Part::Ephemeral),
];

/// One row a container.
pub(super) fn rows(cluster: &Arc<str>, pod: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (specs, statuses, part) in LISTS {
        for spec in list(pod, specs) {
            let name = text_of(spec, "/name");
            let status = list(pod, statuses).iter().find(|s| text_of(s, "/name") == name);
            let part = match part {
                Part::Init if text_of(spec, "/restartPolicy") == "Always" => Part::Sidecar,
                part => part,
            };
            rows.push(row(cluster, pod, spec, status.unwrap_or(&Value::Null), part, rows.len() + 1));
        }
    }
    rows
}

/// The keys of all rows of a pod.
pub(super) fn keys(cluster: &Arc<str>, pod: &Value) -> Vec<RowKey> {
    LISTS
        .iter()
        .flat_map(|(specs, ..)| list(pod, specs))
        .map(|spec| RowKey::new(cluster.clone(), text_of(pod, "/metadata/namespace"), text_of(spec, "/name")))
        .collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn row(cluster: &Arc<str>, pod: &Value, spec: &Value, status: &Value, part: Part, index: usize) -> Row {
    let state = status.pointer("/state").unwrap_or(&Value::Null);
    let ready = status.pointer("/ready").and_then(Value::as_bool);
    let (word, tone) = condition(state, ready, status, part);
    let since = state
        .pointer("/running/startedAt")
        .or_else(|| state.pointer("/terminated/finishedAt"))
        .and_then(Value::as_str)
        .and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let text = |text: String| if text.is_empty() { Cell::Unknown } else { Cell::text(text) };
    let number = |n: Option<i64>| n.map_or(Cell::Unknown, Cell::Number);
    let limits = Shares::of(spec.pointer("/resources").unwrap_or(&Value::Null)).cells();
    let before = [
        Cell::Number(i64::try_from(index).unwrap_or(i64::MAX)),
        Cell::text(part.word()),
        text(text_of(spec, "/image")),
        // What is not probed as a part of the service is neither ready nor unready.
        match ready.filter(|_| !matches!(part, Part::Init | Part::Ephemeral)) {
            Some(ready) => {
                Cell::status(if ready { "true" } else { "false" }, if ready { Tone::Normal } else { tone })
            }
            None => Cell::Unknown,
        },
        Cell::Status(word, tone),
        number(status.pointer("/restartCount").and_then(Value::as_i64)),
        text(last(status)),
        Cell::text(probes(spec)),
    ];
    let after = [text(ports(spec)), since.map_or(Cell::Unknown, |t| Cell::Time(t.as_second()))];
    // What it takes is put in when it is told.
    let unknown = std::iter::repeat_n(Cell::Unknown, usage::LIMITS);
    Row {
        key: RowKey::new(cluster.clone(), text_of(pod, "/metadata/namespace"), text_of(spec, "/name")),
        cells: before.into_iter().chain(unknown).chain(limits).chain(after).collect(),
        tone,
        uid: CompactString::new(text_of(status, "/containerID")),
    }
}

/// The state in a word, and whether it needs a look.
fn condition(state: &Value, ready: Option<bool>, status: &Value, part: Part) -> (CompactString, Tone) {
    if let Some(waiting) = state.get("waiting") {
        let reason = text_of(waiting, "/reason");
        let starting = matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing");
        let word = if reason.is_empty() { "Waiting".into() } else { CompactString::from(reason) };
        return (word, if starting { Tone::Pending } else { Tone::Error });
    }
    if let Some(end) = state.get("terminated") {
        let failed = end.pointer("/exitCode").and_then(Value::as_i64).unwrap_or(0) != 0;
        return (ended(end), if failed { Tone::Error } else { Tone::Completed });
    }
    if state.get("running").is_some() {
        let starting = status.pointer("/started").and_then(Value::as_bool) == Some(false);
        let tone = match part {
            Part::Init | Part::Ephemeral => Tone::Normal,
            _ if ready == Some(true) => Tone::Normal,
            _ if starting => Tone::Pending,
            _ => Tone::Error,
        };
        return ("Running".into(), tone);
    }
    ("–".into(), Tone::Pending)
}

/// Why a run ended: the reason that the kubelet gives, else the signal or the exit code.
fn ended(end: &Value) -> CompactString {
    let (reason, signal) = (text_of(end, "/reason"), text_of(end, "/signal"));
    if !reason.is_empty() {
        reason.into()
    } else if !matches!(signal.as_str(), "" | "0") {
        format_compact!("Signal:{signal}")
    } else {
        format_compact!("ExitCode:{}", text_of(end, "/exitCode"))
    }
}

/// How the run before ended: `OOMKilled (137)`.
fn last(status: &Value) -> String {
    match status.pointer("/lastState/terminated") {
        Some(end) => format!("{} ({})", ended(end), text_of(end, "/exitCode")),
        None => String::new(),
    }
}

/// Which of the liveness, readiness and startup probes there are, as k9s writes it: `on:on:off`.
fn probes(spec: &Value) -> String {
    let has = |name: &str| if spec.get(name).is_some_and(Value::is_object) { "on" } else { "off" };
    format!("{}:{}:{}", has("livenessProbe"), has("readinessProbe"), has("startupProbe"))
}

/// `http:8080 53/UDP`.
fn ports(spec: &Value) -> String {
    let port = |p: &Value| {
        let (name, protocol) = (text_of(p, "/name"), text_of(p, "/protocol"));
        let name = if name.is_empty() { name } else { format!("{name}:") };
        let protocol =
            if matches!(protocol.as_str(), "" | "TCP") { String::new() } else { format!("/{protocol}") };
        format!("{name}{}{protocol}", text_of(p, "/containerPort"))
    };
    list(spec, "/ports").iter().map(port).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {
                "initContainers": [
                    {"name": "migrate", "image": "m:1"},
                    {"name": "proxy", "image": "p:1", "restartPolicy": "Always"},
                ],
                "containers": [
                    {"name": "app", "image": "app:2", "livenessProbe": {"httpGet": {}}, "startupProbe": {"exec": {}},
                     "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                     "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]},
                    {"name": "fresh", "image": "f:1"},
                ],
                "ephemeralContainers": [{"name": "debugger", "image": "busybox"}],
            },
            "status": {
                "initContainerStatuses": [
                    {"name": "migrate", "ready": true, "restartCount": 0, "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z"}}},
                    {"name": "proxy", "ready": true, "started": true, "restartCount": 1, "state": {"running": {"startedAt": "2026-01-01T00:00:10Z"}}},
                ],
                "containerStatuses": [
                    {"name": "app", "ready": false, "restartCount": 14, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                     "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
                ],
                "ephemeralContainerStatuses": [{"name": "debugger", "ready": false, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:01:00Z"}}}],
            },
        })
    }

    fn line(row: &Row) -> String {
        let texts: Vec<_> = row.cells.iter().take(19).map(|c| c.display(0).to_string()).collect();
        format!("{} {}", row.key.name, texts.join(" "))
    }

    #[test]
    fn every_container_is_a_row_in_the_order_of_starting() {
        let rows = rows(&"c".into(), &pod());
        let lines: Vec<_> = rows.iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "migrate 1 init m:1 – Completed 0 – off:off:off – – – – – – – – – – –",
                "proxy 2 sidecar p:1 true Running 1 – off:off:off – – – – – – – – – – –",
                "app 3 main app:2 false CrashLoopBackOff 14 OOMKilled (137) on:off:on – – – – – – 100m – 64Mi 128Mi http:8080 53/UDP",
                "fresh 4 main f:1 – – – – off:off:off – – – – – – – – – – –",
                "debugger 5 ephemeral busybox – Running 0 – off:off:off – – – – – – – – – – –",
            ]
        );
        let tones: Vec<_> = rows.iter().map(|r| r.tone).collect();
        use Tone::{Completed, Error, Normal, Pending};
        assert_eq!(tones, [Completed, Normal, Error, Pending, Normal]);
        assert_eq!(rows[0].cells.len(), columns().len());
        assert_eq!(keys(&"c".into(), &pod()), rows.iter().map(|r| r.key.clone()).collect::<Vec<_>>());
    }

    #[test]
    fn a_running_container_that_is_not_ready_is_a_fault_and_one_that_starts_is_not_yet() {
        let state = json!({"running": {}});
        let tone = |ready, started: Value| {
            condition(&state, Some(ready), &json!({"started": started}), Part::Main).1
        };
        assert_eq!(tone(true, json!(true)), Tone::Normal);
        assert_eq!(tone(false, json!(true)), Tone::Error);
        assert_eq!(tone(false, json!(false)), Tone::Pending);
        let end = |e: Value| ended(&e).to_string();
        assert_eq!(end(json!({"exitCode": 137, "signal": 9})), "Signal:9");
        assert_eq!(end(json!({"exitCode": 3})), "ExitCode:3");
    }
}
