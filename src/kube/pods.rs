//! A pod as a row: ready, status and restarts exactly as kubectl prints them.
//!
//! Source: `printPod` in `kubernetes/pkg/printers/internalversion/printers.go`.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};

use super::usage;
use super::wire::{Condition, Container, ContainerState, ContainerStatus, Pod};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, Tone};

/// The columns of [`row`], after CLUSTER, NAMESPACE and NAME.
pub(super) fn columns() -> Arc<[Column]> {
    let before = [
        Column::new("READY", ColumnKind::Ratio).rank(1),
        Column::new("STATUS", ColumnKind::Status).rank(0),
        Column::new("RESTARTS", ColumnKind::Number).rank(2),
        Column::new("LAST RESTART", ColumnKind::Age).rank(8).wide(),
    ];
    let after = [
        Column::new("IP", ColumnKind::Text).rank(7),
        Column::new("NODE", ColumnKind::Text).rank(6),
        Column::new("QOS", ColumnKind::Text).rank(9).wide(),
        Column::new("SERVICE-ACCOUNT", ColumnKind::Text).rank(9).wide(),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ];
    before.into_iter().chain(usage::columns(true)).chain(after).collect()
}

/// What kubectl would print of a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    ready: u32,
    total: u32,
    status: CompactString,
    restarts: i64,
    /// Seconds since the epoch, if a container was restarted.
    last_restart: Option<i64>,
}

/// The row of a pod in a cluster.
pub(super) fn row(cluster: &Arc<str>, pod: &Pod) -> Row {
    let summary = summarize(pod);
    let tone = tone(pod, &summary);
    let meta = pod.metadata.as_ref();
    let text = |text: Option<&str>| text.filter(|t| !t.is_empty()).map_or(Cell::Unknown, Cell::text);
    let time = |at: Option<i64>| at.map_or(Cell::Unknown, Cell::Time);
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let unknown = || Cell::Unknown;
    let [cpu_request, cpu_limit, memory_request, memory_limit] = usage::limits(pod).cells();
    let cells = [
        Cell::Ratio(summary.ready, summary.total),
        Cell::Status(summary.status, tone),
        Cell::Number(summary.restarts),
        time(summary.last_restart),
        // What it takes is put in when it is told.
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        unknown(),
        cpu_request,
        cpu_limit,
        memory_request,
        memory_limit,
        text(status.and_then(|s| s.pod_ips.first()).map(|ip| &*ip.ip)),
        text(spec.map(|s| &*s.node_name)),
        text(status.map(|s| &*s.qos_class)),
        text(spec.map(|s| &*s.service_account_name)),
        time(meta.and_then(|m| m.creation_timestamp).map(|t| t.seconds)),
    ];
    Row {
        key: key(cluster, pod),
        cells: Box::new(cells),
        tone,
        uid: meta.map(|m| CompactString::new(&m.uid)).unwrap_or_default(),
    }
}

/// The key of a pod's row.
pub(super) fn key(cluster: &Arc<str>, pod: &Pod) -> RowKey {
    let (namespace, name) =
        pod.metadata.as_ref().map_or(("", ""), |meta| (meta.namespace.as_str(), meta.name.as_str()));
    RowKey::new(cluster.clone(), namespace, name)
}

/// Faults are `Error` or `Pending`. A pod that runs and is not ready is a fault, though kubectl
/// calls it `Running`: its probe fails.
fn tone(pod: &Pod, summary: &Summary) -> Tone {
    let words = summary.status.strip_prefix("Init:").unwrap_or(&summary.status);
    match words {
        "Running" => {
            let refused = condition(pod, "Ready").is_some_and(|c| c.status == "False");
            if summary.ready < summary.total || refused { Tone::Error } else { Tone::Normal }
        }
        "Completed" | "Succeeded" => Tone::Completed,
        "Terminating" => Tone::Killed,
        "Pending" | "ContainerCreating" | "PodInitializing" | "SchedulingGated" => Tone::Pending,
        // `Init:0/1`: going on.
        _ if words.len() < summary.status.len() && words.starts_with(|c: char| c.is_ascii_digit()) => {
            Tone::Pending
        }
        _ => Tone::Error,
    }
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a Condition> {
    pod.status.as_ref()?.conditions.iter().find(|c| c.kind == kind)
}

/// The restarts counted so far and when the last was.
#[derive(Default, Clone, Copy)]
struct Restarts {
    count: i64,
    last: Option<i64>,
}

impl Restarts {
    fn add(&mut self, container: &ContainerStatus) {
        self.count += i64::from(container.restart_count);
        let finished = container
            .last_state
            .as_ref()
            .and_then(|s| s.terminated.as_ref())
            .and_then(|t| t.finished_at)
            .map(|t| t.seconds);
        self.last = self.last.max(finished);
    }
}

pub(super) fn summarize(pod: &Pod) -> Summary {
    let none = (Vec::new(), Vec::new());
    let (containers, init_containers) =
        pod.spec.as_ref().map_or((&none.0, &none.1), |s| (&s.containers, &s.init_containers));
    let sidecars = init_containers.iter().filter(|c| is_sidecar(c)).count();
    let total = containers.len() + sidecars;
    let Some(status) = &pod.status else {
        return Summary {
            ready: 0,
            total: count(total),
            status: CompactString::const_new("Unknown"),
            restarts: 0,
            last_restart: None,
        };
    };
    let mut reason =
        CompactString::new(if status.reason.is_empty() { &status.phase } else { &status.reason });
    if status.conditions.iter().any(|c| c.kind == "PodScheduled" && c.reason == "SchedulingGated") {
        reason = CompactString::const_new("SchedulingGated");
    }
    let (mut restarts, mut sidecar_restarts) = (Restarts::default(), Restarts::default());
    let mut ready = 0;
    let initializing = initialize(
        init_containers,
        &status.init_container_statuses,
        &mut reason,
        (&mut restarts, &mut sidecar_restarts),
        &mut ready,
    );
    let initialized = condition(pod, "Initialized").is_some_and(|c| c.status == "True");
    if !initializing || initialized {
        restarts = sidecar_restarts;
        let ready_condition = status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True");
        run(&status.container_statuses, ready_condition, &mut reason, &mut restarts, &mut ready);
    }
    if pod.metadata.as_ref().is_some_and(|m| m.deletion_timestamp.is_some()) {
        if status.reason == "NodeLost" {
            reason = CompactString::const_new("Unknown");
        } else if !matches!(&*status.phase, "Failed" | "Succeeded") {
            reason = CompactString::const_new("Terminating");
        }
    }
    if reason.is_empty() {
        reason = CompactString::const_new("Unknown");
    }
    Summary {
        ready,
        total: count(total),
        status: reason,
        restarts: restarts.count,
        // kubectl tells when the last restart was only if there was one.
        last_restart: restarts.last.filter(|_| restarts.count != 0),
    }
}

/// Goes through the init containers up to the first that is not done; returns whether there is one.
fn initialize(
    containers: &[Container],
    statuses: &[ContainerStatus],
    reason: &mut CompactString,
    (restarts, sidecar_restarts): (&mut Restarts, &mut Restarts),
    ready: &mut u32,
) -> bool {
    if statuses.is_empty() {
        return false;
    }
    let policies: HashMap<&str, bool> = containers.iter().map(|c| (c.name.as_str(), is_sidecar(c))).collect();
    for (i, container) in statuses.iter().enumerate() {
        let sidecar = policies.get(container.name.as_str()).copied().unwrap_or(false);
        restarts.add(container);
        if sidecar {
            sidecar_restarts.add(container);
        }
        let state = container.state.as_ref();
        let terminated = state.and_then(|s| s.terminated.as_ref());
        let waiting = state.and_then(|s| s.waiting.as_ref()).map_or("", |w| &w.reason);
        match terminated {
            Some(end) if end.exit_code == 0 => continue,
            _ if sidecar && container.started == Some(true) => {
                *ready += u32::from(container.ready);
                continue;
            }
            Some(end) if !end.reason.is_empty() => *reason = format_compact!("Init:{}", end.reason),
            Some(end) if end.signal != 0 => *reason = format_compact!("Init:Signal:{}", end.signal),
            Some(end) => *reason = format_compact!("Init:ExitCode:{}", end.exit_code),
            None if !waiting.is_empty() && waiting != "PodInitializing" => {
                *reason = format_compact!("Init:{waiting}");
            }
            None => *reason = format_compact!("Init:{i}/{}", containers.len()),
        }
        return true;
    }
    false
}

/// Goes through the containers, the last first, as kubectl does: the first one's reason wins.
fn run(
    statuses: &[ContainerStatus],
    ready_condition: bool,
    reason: &mut CompactString,
    restarts: &mut Restarts,
    ready: &mut u32,
) {
    let mut running = false;
    let mut error = None;
    for container in statuses.iter().rev() {
        restarts.add(container);
        let none = ContainerState::default();
        let state = container.state.as_ref().unwrap_or(&none);
        if let Some(waiting) = state.waiting.as_ref().filter(|w| !w.reason.is_empty()) {
            *reason = CompactString::new(&waiting.reason);
        } else if let Some(end) = &state.terminated {
            *reason = if !end.reason.is_empty() {
                CompactString::new(&end.reason)
            } else if end.signal != 0 {
                format_compact!("Signal:{}", end.signal)
            } else {
                format_compact!("ExitCode:{}", end.exit_code)
            };
            if end.exit_code != 0 {
                error = Some(reason.clone());
            }
        } else if container.ready && state.running.is_some() {
            running = true;
            *ready += 1;
        }
    }
    if reason == "Completed" {
        if running && ready_condition {
            *reason = CompactString::const_new("Running");
        } else if let Some(error) = error {
            *reason = error;
        } else if running {
            *reason = CompactString::const_new("NotReady");
        }
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy == "Always"
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod in JSON: what `kubectl get -o json` gives, cut down.
    fn pod(json: &str) -> Pod {
        serde_json::from_str(json).unwrap()
    }

    fn line(json: &str) -> (String, Tone) {
        let pod = pod(json);
        let s = summarize(&pod);
        (format!("{}/{} {} {}", s.ready, s.total, s.status, s.restarts), tone(&pod, &s))
    }

    /// Each case is what the printer of Kubernetes gives for such a pod.
    #[test]
    fn status_is_what_kubectl_prints() {
        let cases: &[(&str, &str, &str, Tone)] = &[
            (
                "a running pod",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running",
                "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]}}"#,
                "1/1 Running 0",
                Tone::Normal,
            ),
            (
                "no status yet",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending"}}"#,
                "0/1 Pending 0",
                Tone::Pending,
            ),
            (
                "badly probed",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running",
                "containerStatuses":[{"name":"a","ready":false,"state":{"running":{}}}]}}"#,
                "0/1 Running 0",
                Tone::Error,
            ),
            (
                "a readiness gate that is not met",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running",
                "conditions":[{"type":"Ready","status":"False"}],
                "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]}}"#,
                "1/1 Running 0",
                Tone::Error,
            ),
            (
                "crash loop",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":[{"name":"a",
                "restartCount":5,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"reason":"Error"}}}]}}"#,
                "0/1 CrashLoopBackOff 5",
                Tone::Error,
            ),
            (
                "out of memory",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":[{"name":"a",
                "restartCount":1,"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}}"#,
                "0/1 OOMKilled 1",
                Tone::Error,
            ),
            (
                "creating",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending","containerStatuses":[{"name":"a",
                "state":{"waiting":{"reason":"ContainerCreating"}}}]}}"#,
                "0/1 ContainerCreating 0",
                Tone::Pending,
            ),
            (
                "a signal",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":[{"name":"a",
                "state":{"terminated":{"exitCode":137,"signal":9}}}]}}"#,
                "0/1 Signal:9 0",
                Tone::Error,
            ),
            (
                "an exit code",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":[{"name":"a",
                "state":{"terminated":{"exitCode":3}}}]}}"#,
                "0/1 ExitCode:3 0",
                Tone::Error,
            ),
            (
                "done",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Succeeded","containerStatuses":[{"name":"a",
                "state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}}"#,
                "0/1 Completed 0",
                Tone::Completed,
            ),
            (
                "one done, one ready",
                r#"{"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running",
                "conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
                {"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},{"name":"b","ready":true,"state":{"running":{}}}]}}"#,
                "1/2 Running 0",
                Tone::Error,
            ),
            (
                "one done, one running, not ready",
                r#"{"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running",
                "containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},{"name":"b","ready":true,"state":{"running":{}}}]}}"#,
                "1/2 NotReady 0",
                Tone::Error,
            ),
            (
                "one done, one failed",
                r#"{"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Failed",
                "containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}},{"name":"b","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}}"#,
                "0/2 Error 0",
                Tone::Error,
            ),
            (
                "evicted",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","reason":"Evicted"}}"#,
                "0/1 Evicted 0",
                Tone::Error,
            ),
            (
                "terminating",
                r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running",
                "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]}}"#,
                "1/1 Terminating 0",
                Tone::Killed,
            ),
            (
                "deleted when done",
                r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Succeeded",
                "containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}}"#,
                "0/1 Completed 0",
                Tone::Completed,
            ),
            (
                "its node is lost",
                r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","reason":"NodeLost"}}"#,
                "0/1 Unknown 0",
                Tone::Error,
            ),
            (
                "gated",
                r#"{"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}}"#,
                "0/1 SchedulingGated 0",
                Tone::Pending,
            ),
            (
                "first init container runs",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"},{"name":"j"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"i","state":{"running":{}}},{"name":"j","state":{"waiting":{"reason":"PodInitializing"}}}],
                "containerStatuses":[{"name":"a","state":{"waiting":{"reason":"PodInitializing"}}}]}}"#,
                "0/1 Init:0/2 0",
                Tone::Pending,
            ),
            (
                "second init container waits",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"},{"name":"j"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}},{"name":"j","restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}"#,
                "0/1 Init:CrashLoopBackOff 1",
                Tone::Error,
            ),
            (
                "init container failed",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":2}}}]}}"#,
                "0/1 Init:ExitCode:2 0",
                Tone::Error,
            ),
            (
                "init container killed",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":137,"signal":9}}}]}}"#,
                "0/1 Init:Signal:9 0",
                Tone::Error,
            ),
            (
                "init container out of memory",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}}"#,
                "0/1 Init:OOMKilled 0",
                Tone::Error,
            ),
            (
                "a sidecar that runs counts",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},"status":{"phase":"Running",
                "initContainerStatuses":[{"name":"s","ready":true,"started":true,"restartCount":3,"state":{"running":{}}}],
                "containerStatuses":[{"name":"a","ready":true,"restartCount":1,"state":{"running":{}}}]}}"#,
                "2/2 Running 4",
                Tone::Normal,
            ),
            (
                "a sidecar that has not started",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"i"}]},"status":{"phase":"Pending",
                "initContainerStatuses":[{"name":"s","started":false,"state":{"running":{}}},{"name":"i","state":{"waiting":{"reason":"PodInitializing"}}}]}}"#,
                "0/2 Init:0/2 0",
                Tone::Pending,
            ),
            (
                "restarts of plain init containers do not count once it runs",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},"status":{"phase":"Running",
                "initContainerStatuses":[{"name":"i","restartCount":7,"state":{"terminated":{"exitCode":0}}}],
                "containerStatuses":[{"name":"a","ready":true,"restartCount":1,"state":{"running":{}}}]}}"#,
                "1/1 Running 1",
                Tone::Normal,
            ),
            (
                "initialized, though an init container runs again",
                r#"{"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},"status":{"phase":"Running",
                "conditions":[{"type":"Initialized","status":"True"}],"initContainerStatuses":[{"name":"i","state":{"running":{}}}],
                "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]}}"#,
                "1/1 Init:0/1 0",
                Tone::Pending,
            ),
        ];
        for (what, json, expected, tone) in cases {
            assert_eq!(line(json), ((*expected).to_owned(), *tone), "{what}");
        }
    }

    #[test]
    fn the_last_restart_is_the_latest_of_all_containers() {
        let pod = pod(
            r#"{"spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running","containerStatuses":[
            {"name":"a","ready":true,"restartCount":1,"state":{"running":{}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-01T00:00:10Z"}}},
            {"name":"b","ready":true,"restartCount":1,"state":{"running":{}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-01T00:00:05Z"}}}]}}"#,
        );
        let summary = summarize(&pod);
        assert_eq!((summary.restarts, summary.last_restart), (2, Some(1_767_225_610)));
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let pod = pod(r#"{"metadata":{"name":"n","namespace":"s","uid":"u"},"status":{"phase":"Pending"}}"#);
        let row = row(&"c".into(), &pod);
        assert_eq!(row.cells.len(), columns().len());
        assert_eq!(row.key, RowKey::new("c", "s", "n"));
        assert_eq!(row.cells[14], Cell::Unknown);
    }
}
