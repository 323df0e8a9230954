//! What changed of an object, as far as the cluster knows it: who wrote which fields when, its events, its conditions,
//! its containers, and the rollouts of the workload that it is or belongs to.
//!
//! Kubernetes records of each field manager only the last write and only the fields that it still holds, of a condition
//! only the last change, and keeps events for an hour unless told otherwise. [`LIMITS`] says so to whoever reads it.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::describe::part::{items, number, text, text_or};
use super::events::EventRow;
use super::look;
use super::owned::{Path, Write, writes};
use super::place::Place;
use super::rollout::{self, history};
use crate::base;
use crate::kube::Error;

/// What no such list can know.
pub const LIMITS: &str = "of each manager only the last write is known, and only the fields that it still holds; of a condition only the last change; events are kept for an hour unless the cluster says otherwise";

/// More events of one object are not read.
const EVENTS: usize = 500;
/// More fields of a write are counted, not named.
const FIELDS: usize = 300;

/// What an entry is about. Within one second, and clusters tell no more, they are in this order: a call of Quarterdeck's is
/// before what it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Created,
    Call,
    Write,
    Rollout,
    Condition,
    Container,
    Event,
    Deletion,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            What::Call => "call",
            What::Created => "created",
            What::Write => "write",
            What::Rollout => "rollout",
            What::Condition => "condition",
            What::Container => "container",
            What::Event => "event",
            What::Deletion => "deletion",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub at: Timestamp,
    pub what: What,
    /// A field manager, a component, a person; empty where nobody is named.
    pub who: String,
    /// In one sentence.
    pub summary: String,
    pub warning: bool,
    /// All that is known of it.
    pub detail: Value,
}

/// What happened, oldest first, and what could not be read.
#[derive(Debug, Default)]
pub struct Timeline {
    pub entries: Vec<Entry>,
    pub not_read: Vec<String>,
}

impl Timeline {
    pub fn sort(&mut self) {
        self.entries.sort_by_key(|e| (e.at.as_second(), e.what, e.at));
    }
}

/// Reads all that the cluster knows of what changed.
pub async fn read(place: &Place) -> base::Result<Timeline> {
    let live = place.get().await?;
    let mut out = Timeline { entries: of_object(&live), not_read: undated(&live) };
    let (events, rollouts) = tokio::join!(look::events_of(place, &live, EVENTS), rollouts(place, &live));
    match events {
        Ok(rows) => out.entries.extend(rows.iter().filter_map(of_event)),
        Err(e) => out.not_read.push(format!("events: {e}")),
    }
    match rollouts {
        Ok(entries) => out.entries.extend(entries),
        Err(e) => out.not_read.push(format!("rollouts: {}", e.message)),
    }
    out.sort();
    Ok(out)
}

/// What the object itself says.
fn of_object(live: &Value) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(at) = time(live, "/metadata/creationTimestamp") {
        let summary = format!("{} was made", text_or(live, "/kind", "the object").to_lowercase());
        entries.push(Entry {
            at,
            what: What::Created,
            who: String::new(),
            summary,
            warning: false,
            detail: json!({ "uid": live["metadata"]["uid"] }),
        });
    }
    if let Some(at) = time(live, "/metadata/deletionTimestamp") {
        let grace = number(live, "/metadata/deletionGracePeriodSeconds");
        let asked = u64::try_from(grace).ok().and_then(|s| at.checked_sub(Duration::from_secs(s)).ok());
        let finalizers = live.pointer("/metadata/finalizers").cloned().unwrap_or(Value::Null);
        entries.push(Entry {
            at: asked.unwrap_or(at),
            what: What::Deletion,
            who: String::new(),
            summary: format!("its deletion was asked for, with a grace period of {grace} s"),
            warning: true,
            detail: json!({ "until": at.to_string(), "finalizers": finalizers }),
        });
    }
    entries.extend(writes(live).iter().filter_map(of_write));
    entries.extend(items(live, "/status/conditions").iter().filter_map(of_condition));
    for list in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        entries.extend(items(live, list).iter().flat_map(of_container));
    }
    entries
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).parse().ok()
}

/// Writes of which the server has not kept the time, as of those by `scale`.
fn undated(live: &Value) -> Vec<String> {
    let all = writes(live).into_iter().filter(|write| write.at.is_none());
    all.map(|write| format!("when {} {}, the server did not record", write.manager, sentence(&write)))
        .collect()
}

/// `set spec.replicas by its scale`
fn sentence(write: &Write) -> String {
    let how = if write.apply { "applied" } else { "set" };
    let of =
        if write.subresource.is_empty() { String::new() } else { format!(" by its {}", write.subresource) };
    let shown: Vec<String> = write.paths.iter().take(3).map(Path::to_string).collect();
    let more = write.paths.len().saturating_sub(3);
    let more = if more > 0 { format!(" and {more} more fields") } else { String::new() };
    format!("{how} {}{more}{of}", shown.join(", "))
}

fn of_write(write: &Write) -> Option<Entry> {
    let names: Vec<String> = write.paths.iter().map(Path::to_string).collect();
    Some(Entry {
        at: write.at?,
        what: What::Write,
        who: write.manager.clone(),
        summary: sentence(write),
        warning: false,
        detail: json!({
            "manager": write.manager,
            "operation": if write.apply { "Apply" } else { "Update" },
            "subresource": write.subresource,
            "fields_it_still_holds": names.iter().take(FIELDS).collect::<Vec<_>>(),
            "more_fields": names.len().saturating_sub(FIELDS),
        }),
    })
}

fn of_condition(condition: &Value) -> Option<Entry> {
    let (kind, status) = (text(condition, "/type"), text(condition, "/status"));
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    let good = ["Ready", "Available", "ContainersReady", "Established", "Healthy", "Complete"];
    let warning = if good.contains(&kind.as_str()) {
        status == "False"
    } else {
        status == "True" && ["Fail", "Pressure", "Stalled", "Unavailable"].iter().any(|w| kind.contains(w))
    };
    let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
    let message = if message.is_empty() { message } else { format!(": {}", message.replace('\n', " ")) };
    Some(Entry {
        at: time(condition, "/lastTransitionTime")?,
        what: What::Condition,
        who: String::new(),
        summary: format!("{kind} became {status}{reason}{message}"),
        warning,
        detail: condition.clone(),
    })
}

fn of_container(status: &Value) -> Vec<Entry> {
    let name = text(status, "/name");
    let mut entries = Vec::new();
    let mut add = |at: Option<Timestamp>, summary: String, warning: bool, detail: &Value| {
        entries.extend(at.map(|at| Entry {
            at,
            what: What::Container,
            who: String::new(),
            summary,
            warning,
            detail: detail.clone(),
        }));
    };
    for state in ["/lastState/terminated", "/state/terminated"] {
        if let Some(ended) = status.pointer(state) {
            let code = number(ended, "/exitCode");
            let reason = text_or(ended, "/reason", "ended");
            add(
                time(ended, "/finishedAt"),
                format!("container {name} ended: {reason} (exit code {code})"),
                code != 0,
                ended,
            );
        }
    }
    if let Some(runs) = status.pointer("/state/running") {
        let restarts = number(status, "/restartCount");
        let again = if restarts > 0 { format!(" for the {}. time", restarts + 1) } else { String::new() };
        add(time(runs, "/startedAt"), format!("container {name} started{again}"), false, status);
    }
    entries
}

fn of_event(event: &EventRow) -> Option<Entry> {
    let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
    Some(Entry {
        at: Timestamp::from_second(event.last).ok()?,
        what: What::Event,
        who: event.from.clone(),
        summary: format!("{}{times}: {}", event.reason, event.message.replace('\n', " ")),
        warning: event.kind == "Warning",
        detail: serde_json::to_value(event).ok()?,
    })
}

/// The rollouts of the workload that the object is, or that keeps it.
async fn rollouts(place: &Place, live: &Value) -> base::Result<Vec<Entry>> {
    let (mut here, mut object) = (place.clone(), live.clone());
    for _ in 0..3 {
        if rollout::check(&here).is_ok() {
            let mut all = history::read(&here, &object).await?;
            all.sort_by_key(history::Revision::made);
            return Ok(of_revisions(&here, &all));
        }
        let owners = items(&object, "/metadata/ownerReferences");
        let Some(owner) = owners.iter().find(|o| o["controller"] == true) else { break };
        let version = text(owner, "/apiVersion");
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let kind = text(owner, "/kind").to_lowercase();
        let word = if group.is_empty() { kind } else { format!("{kind}.{group}") };
        let found: Result<_, Error> = here.cluster.resolve(&word).await;
        here = Place::at(here.cluster.clone(), found?, here.namespace.as_deref(), &text(owner, "/name"));
        object = here.get().await?;
    }
    Ok(Vec::new())
}

/// The revisions as they were made, each with what is another image than before it.
fn of_revisions(workload: &Place, all: &[history::Revision]) -> Vec<Entry> {
    let entry = |(i, revision): (usize, &history::Revision)| {
        let images = revision.images();
        let before = i.checked_sub(1).map(|b| all[b].images());
        let mut changes = Vec::new();
        for (container, image) in &images {
            match before.as_ref().map(|b| b.iter().find(|(name, _)| name == container)) {
                Some(Some((_, old))) if old == image => {}
                Some(Some((_, old))) => changes.push(format!("{container} {old} → {image}")),
                _ => changes.push(format!("{container} {image}")),
            }
        }
        let what = if changes.is_empty() {
            "another template, the same images".to_owned()
        } else {
            changes.join(", ")
        };
        let again = if revision.came_back() { "; it was gone back to since" } else { "" };
        let (kind, number) = (&workload.resource.singular, revision.number);
        Some(Entry {
            at: revision.made()?,
            what: What::Rollout,
            who: String::new(),
            summary: format!(
                "revision {number} of {kind} {} ({}): {what}{again}",
                workload.name, revision.name
            ),
            warning: false,
            detail: json!({ "revision": number, "kept_by": revision.name, "current": revision.current,
                "cause": revision.cause, "pods": revision.pods,
                "images": images.iter().map(|(name, image)| format!("{name}={image}")).collect::<Vec<_>>() }),
        })
    };
    all.iter().enumerate().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_tells_of_its_writes_conditions_and_containers_in_order() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "a", "creationTimestamp": "2026-11-21T10:00:00Z",
            "managedFields": [
                {"manager": "kubelet", "operation": "Update", "subresource": "status", "time": "2026-11-21T10:02:00Z",
                    "fieldsV1": {"f:status": {"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}}}},
                {"manager": "kubectl-label", "operation": "Update", "time": "2026-11-21T10:05:00Z",
                    "fieldsV1": {"f:metadata": {"f:labels": {"f:tier": {}}}}}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
                    "lastTransitionTime": "2026-11-21T10:02:00Z"}],
                "containerStatuses": [{"name": "main", "restartCount": 1,
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-21T10:01:30Z"}},
                    "state": {"running": {"startedAt": "2026-11-21T10:01:31Z"}}}]}});
        let mut line = Timeline { entries: of_object(&pod), not_read: Vec::new() };
        line.sort();
        let told: Vec<(&str, &str, bool)> =
            line.entries.iter().map(|e| (e.who.as_str(), e.summary.as_str(), e.warning)).collect();
        assert_eq!(
            told,
            [
                ("", "pod was made", false),
                ("", "container main ended: OOMKilled (exit code 137)", true),
                ("", "container main started for the 2. time", false),
                ("kubelet", "set status.a, status.b, status.c and 1 more fields by its status", false),
                ("", "Ready became False (ContainersNotReady)", true),
                ("kubectl-label", "set metadata.labels.tier", false),
            ]
        );
    }
}
