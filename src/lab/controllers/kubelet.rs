//! What a kubelet does to a pod, one step at a time: a state machine without I/O.
//!
//! All it remembers is in the pod's status, as with the real one: the time that has come is compared
//! with the stamps in there. Delays are those of a small, quick cluster; the back-off of crashing
//! containers ends at one minute, as `crashLoopBackOff.maxContainerRestartPeriod` allows.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::pod_status::sum_up;
use crate::lab::apps::{self, Fate};
use crate::lab::object::{at, items, parse_stamp, stamp, text};

/// An event to be told about the pod.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lab) struct Told {
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
    /// The container it is about; empty for the pod.
    pub container: String,
    pub init: bool,
}

/// What one step came to.
#[derive(Debug, Default)]
pub(in crate::lab) struct Step {
    /// The new status, if it changed.
    pub status: Option<Value>,
    pub told: Vec<Told>,
    /// When to look again; never, if nothing but a change of the pod can bring something new.
    pub again: Option<Timestamp>,
    /// The containers have ended and the pod can be taken out.
    pub gone: bool,
}

/// What the kubelet knows besides the pod.
pub(in crate::lab) struct Around<'a> {
    pub now: Timestamp,
    pub node_ip: &'a str,
    pub pod_ip: &'a str,
    /// Whether a ConfigMap or Secret is there.
    pub exists: &'a dyn Fn(&str, &str) -> bool,
    /// A number that is the pod's own, for digests and container identifiers.
    pub seed: u64,
}

const BACKOFF_FIRST: i64 = 10;
const BACKOFF_MOST: i64 = 60;
/// How often the kubelet tries the registry again.
const PULL_AGAIN: i64 = 25;
/// How often a failing readiness check is told.
const PROBE_EVERY: i64 = 10;
/// How long a container takes to end after it was asked to.
const STOP_SECONDS: i64 = 2;

pub(in crate::lab) fn step(pod: &Value, around: &Around<'_>) -> Step {
    let mut step = Step::default();
    if text(pod, "spec.nodeName").is_empty() {
        return step;
    }
    if let Some(deleted) = parse_stamp(at(pod, "metadata.deletionTimestamp")) {
        let grace = at(pod, "metadata.deletionGracePeriodSeconds").as_i64().unwrap_or(30);
        let stopped = later(deleted, STOP_SECONDS.min(grace) - grace);
        step.gone = around.now >= stopped;
        step.again = (!step.gone).then_some(stopped);
        return step;
    }
    if matches!(text(pod, "status.phase"), "Succeeded" | "Failed") {
        return step;
    }
    let mut turn = Turn { pod, around, status: pod["status"].clone(), step };
    if items(&turn.status, "containerStatuses").is_empty() {
        turn.admit();
    } else {
        turn.advance();
    }
    turn.finish()
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

struct Turn<'a> {
    pod: &'a Value,
    around: &'a Around<'a>,
    status: Value,
    step: Step,
}

impl Turn<'_> {
    fn now(&self) -> String {
        stamp(self.around.now)
    }

    fn again(&mut self, time: Timestamp) {
        self.step.again = Some(self.step.again.map_or(time, |t| t.min(time)));
    }

    fn tell(&mut self, warning: bool, reason: &'static str, message: String, container: &str, init: bool) {
        self.step.told.push(Told { warning, reason, message, container: container.to_owned(), init });
    }

    /// The kubelet sees the pod for the first time.
    fn admit(&mut self) {
        let now = self.now();
        let has_init = !items(self.pod, "spec.initContainers").is_empty();
        let waiting = |reason: &str, list: &[Value]| -> Vec<Value> {
            list.iter()
                .map(|c| {
                    json!({"name": c["name"], "state": {"waiting": {"reason": reason}}, "lastState": {},
                           "ready": false, "restartCount": 0, "image": c["image"], "imageID": "",
                           "started": false})
                })
                .collect()
        };
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let containers = waiting(reason, items(self.pod, "spec.containers"));
        self.status["phase"] = "Pending".into();
        self.status["hostIP"] = self.around.node_ip.into();
        self.status["hostIPs"] = json!([{"ip": self.around.node_ip}]);
        self.status["startTime"] = now.into();
        if has_init {
            self.status["initContainerStatuses"] =
                waiting("PodInitializing", items(self.pod, "spec.initContainers")).into();
        }
        self.status["containerStatuses"] = containers.into();
        self.again(later(self.around.now, 1));
    }

    fn advance(&mut self) {
        if self.status.get("podIP").is_none() {
            self.status["podIP"] = self.around.pod_ip.into();
            self.status["podIPs"] = json!([{"ip": self.around.pod_ip}]);
        }
        let pod = self.pod;
        for (key, specs, init) in [
            ("initContainerStatuses", items(pod, "spec.initContainers"), true),
            ("containerStatuses", items(pod, "spec.containers"), false),
        ] {
            for (i, spec) in specs.iter().enumerate() {
                let Some(mut container) = self.status[key].get(i).cloned() else { continue };
                self.container(spec, &mut container, init);
                let stands = init && at(&container, "state.terminated.exitCode").as_i64() != Some(0);
                self.status[key][i] = container;
                if stands {
                    // Init containers run one after the other, and all before the containers.
                    return;
                }
            }
        }
    }

    /// One container's step.
    fn container(&mut self, spec: &Value, container: &mut Value, init: bool) {
        let waiting = text(container, "state.waiting.reason").to_owned();
        let fate = apps::fate(spec, self.around.exists);
        match waiting.as_str() {
            "CrashLoopBackOff" => {
                let due = later(self.ended_at(container), backoff(container));
                if self.around.now >= due {
                    self.start(spec, container, init, &fate, true);
                } else {
                    self.again(due);
                }
            }
            "" if at(container, "state.running").is_object() => self.running(spec, container, init, &fate),
            "" => self.ended(container, spec, init, &fate),
            _ => self.start(spec, container, init, &fate, false),
        }
    }

    fn ended_at(&self, container: &Value) -> Timestamp {
        let stamp = at(container, "lastState.terminated.finishedAt");
        let stamp = if stamp.is_null() { at(container, "state.terminated.finishedAt") } else { stamp };
        parse_stamp(stamp).unwrap_or(self.around.now)
    }

    /// Starts a container, or says why it cannot be.
    fn start(&mut self, spec: &Value, container: &mut Value, init: bool, fate: &Fate, restart: bool) {
        let (name, image) = (text(spec, "name").to_owned(), text(spec, "image").to_owned());
        let before = text(container, "state.waiting.reason").to_owned();
        match fate {
            Fate::NoImage(why) => {
                self.again(later(self.around.now, PULL_AGAIN));
                if before.starts_with("ErrImagePull") || before == "ImagePullBackOff" {
                    let message = format!("Back-off pulling image \"{image}\"");
                    self.tell(false, "BackOff", message.clone(), &name, init);
                    self.tell(true, "Failed", "Error: ImagePullBackOff".into(), &name, init);
                    let full = format!("{message}: ErrImagePull: {why}");
                    container["state"] = json!({"waiting": {"reason": "ImagePullBackOff", "message": full}});
                } else {
                    self.tell(false, "Pulling", format!("Pulling image \"{image}\""), &name, init);
                    self.tell(
                        true,
                        "Failed",
                        format!("Failed to pull image \"{image}\": {why}"),
                        &name,
                        init,
                    );
                    self.tell(true, "Failed", "Error: ErrImagePull".into(), &name, init);
                    container["state"] = json!({"waiting": {"reason": "ErrImagePull", "message": why}});
                }
            }
            Fate::NoConfig(why) => {
                self.again(later(self.around.now, PULL_AGAIN));
                self.tell(true, "Failed", format!("Error: {why}"), &name, init);
                container["state"] =
                    json!({"waiting": {"reason": "CreateContainerConfigError", "message": why}});
            }
            _ => {
                let mut rng = crate::lab::rng::Rng::new(self.around.seed);
                let digest = crate::lab::rng::Rng::for_topic(7, &image).hex(64);
                let message = format!("Container image \"{image}\" already present on machine");
                self.tell(false, "Pulled", message, &name, init);
                self.tell(false, "Created", format!("Container created: {name}"), &name, init);
                self.tell(false, "Started", "Container started".into(), &name, init);
                if restart {
                    container["restartCount"] = (restarts(container) + 1).into();
                }
                rng.next();
                let unique = rng.next() ^ u64::try_from(restarts(container)).unwrap_or_default();
                let id = crate::lab::rng::Rng::for_topic(unique, &name).hex(64);
                container["state"] = json!({"running": {"startedAt": self.now()}});
                container["imageID"] =
                    format!("{}@sha256:{digest}", image.split(':').next().unwrap_or(&image)).into();
                container["containerID"] = format!("containerd://{id}").into();
                container["started"] = true.into();
                let checked = spec.get("readinessProbe").is_some();
                container["ready"] = (!init && !checked).into();
                self.again(later(self.around.now, 2));
            }
        }
    }

    fn running(&mut self, spec: &Value, container: &mut Value, init: bool, fate: &Fate) {
        let started = parse_stamp(at(container, "state.running.startedAt")).unwrap_or(self.around.now);
        let name = text(spec, "name").to_owned();
        // A job is there to end: one of a program that nobody knows does so after a moment.
        let done = Fate::Exits { code: 0, after: 6 };
        let unknown = *fate == Fate::Runs && !init && apps::find(text(spec, "image")).is_none();
        let fate = if unknown && is_of_job(self.pod) { &done } else { fate };
        match fate {
            Fate::Exits { after, .. } | Fate::OutOfMemory { after } => {
                let due = later(started, *after);
                if self.around.now < due {
                    self.again(due);
                    if container["ready"].as_bool() != Some(true) && !init {
                        container["ready"] = spec.get("readinessProbe").is_none().into();
                    }
                    return;
                }
                let (code, reason) = match fate {
                    Fate::Exits { code: 0, .. } => (0, "Completed"),
                    Fate::Exits { code, .. } => (*code, "Error"),
                    _ => (137, "OOMKilled"),
                };
                let ended = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(started),
                                   "finishedAt": stamp(due), "containerID": container["containerID"]}});
                container["state"] = ended;
                container["ready"] = false.into();
                container["started"] = false.into();
                self.again(later(self.around.now, 1));
            }
            Fate::Unready(why) => {
                container["ready"] = false.into();
                self.again(later(self.around.now, PROBE_EVERY));
                if self.around.now >= later(started, 3) {
                    self.tell(true, "Unhealthy", format!("Readiness probe failed: {why}"), &name, init);
                }
            }
            Fate::WaitsFor => self.again(later(self.around.now, 2)),
            _ if init => {
                // An init container that has nothing to do ends at once.
                let due = later(started, 1);
                if self.around.now < due {
                    self.again(due);
                    return;
                }
                container["state"] = json!({"terminated": {"exitCode": 0, "reason": "Completed",
                    "startedAt": stamp(started), "finishedAt": stamp(due), "containerID": container["containerID"]}});
                container["ready"] = true.into();
                self.again(self.around.now);
            }
            _ => {
                if container["ready"].as_bool() != Some(true) {
                    let due = later(started, 2);
                    if self.around.now >= due {
                        container["ready"] = true.into();
                    } else {
                        self.again(due);
                    }
                }
            }
        }
    }

    /// A container has ended: does it start again?
    fn ended(&mut self, container: &mut Value, spec: &Value, init: bool, fate: &Fate) {
        let code = at(container, "state.terminated.exitCode").as_i64().unwrap_or_default();
        let policy = text(self.pod, "spec.restartPolicy");
        let again = match policy {
            "Never" => false,
            "OnFailure" => code != 0,
            // An init container that did its work is not run again.
            _ => !init || code != 0,
        };
        if !again {
            return;
        }
        container["lastState"] = container["state"].clone();
        if restarts(container) == 0 {
            self.start(spec, container, init, fate, true);
            return;
        }
        let wait = backoff(container);
        let (name, pod) = (text(spec, "name").to_owned(), self.pod);
        let whole = format!(
            "restarting failed container {name} in pod {}_{}({})",
            text(pod, "metadata.name"),
            text(pod, "metadata.namespace"),
            text(pod, "metadata.uid")
        );
        self.tell(true, "BackOff", format!("Back-off {whole}"), &name, init);
        let shown = if wait >= 60 { format!("{}m{}s", wait / 60, wait % 60) } else { format!("{wait}s") };
        let message = format!("back-off {shown} {whole}");
        container["state"] = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
        let due = later(self.ended_at(container), wait);
        self.again(due);
    }

    fn finish(mut self) -> Step {
        let now = self.now();
        sum_up(self.pod, &mut self.status, &now);
        if self.status != self.pod["status"] {
            self.step.status = Some(self.status);
        }
        self.step
    }
}

fn restarts(container: &Value) -> i64 {
    container["restartCount"].as_i64().unwrap_or_default()
}

/// Seconds to wait before the next start.
fn backoff(container: &Value) -> i64 {
    let doubled = u32::try_from((restarts(container) - 1).clamp(0, 10)).unwrap_or(0);
    (BACKOFF_FIRST << doubled).min(BACKOFF_MOST)
}

fn is_of_job(pod: &Value) -> bool {
    items(pod, "metadata.ownerReferences").iter().any(|owner| owner["kind"] == "Job")
}

#[cfg(test)]
#[path = "kubelet_tests.rs"]
mod tests;
