//! Events: what happened to an object, counted when it happens again.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::State;
use super::kinds::Kind;
use super::object::{micro_stamp, stamp, text};

/// How long the server keeps an event.
pub(super) const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Something that happened.
pub(super) struct Happened<'a> {
    pub kind: &'a Kind,
    /// The object it happened to.
    pub object: &'a Value,
    pub warning: bool,
    pub reason: &'a str,
    pub message: &'a str,
    /// A part of the object, such as `spec.containers{web}`.
    pub field: &'a str,
    /// Who tells, and from which node.
    pub component: &'a str,
    pub host: &'a str,
}

impl Happened<'_> {
    fn event(&self, name: &str, first: Timestamp, last: Timestamp, count: i64) -> Value {
        let object = self.object;
        let namespace = text(object, "metadata.namespace");
        let mut involved = json!({
            "kind": self.kind.kind.as_str(), "namespace": namespace, "name": text(object, "metadata.name"),
            "uid": text(object, "metadata.uid"), "apiVersion": self.kind.api_version(),
            "resourceVersion": text(object, "metadata.resourceVersion"),
        });
        if !self.field.is_empty() {
            involved["fieldPath"] = self.field.into();
        }
        let mut source = json!({"component": self.component});
        if !self.host.is_empty() {
            source["host"] = self.host.into();
        }
        let home = if namespace.is_empty() { "default" } else { namespace };
        let mut event = json!({
            "metadata": {"name": name, "namespace": home},
            "involvedObject": involved, "reason": self.reason, "message": self.message, "source": source,
            "firstTimestamp": stamp(first), "lastTimestamp": stamp(last), "count": count,
            "type": if self.warning { "Warning" } else { "Normal" },
            "eventTime": null, "reportingComponent": self.component, "reportingInstance": self.host,
        });
        if self.component == "default-scheduler" {
            // The scheduler speaks the newer form: one precise time, no count.
            event["eventTime"] = micro_stamp(first).into();
            event["firstTimestamp"] = Value::Null;
            event["lastTimestamp"] = Value::Null;
            event["action"] = if self.reason == "Scheduled" { "Binding" } else { "Scheduling" }.into();
            event["source"] = json!({});
            if let Some(map) = event.as_object_mut() {
                map.shift_remove("count");
            }
        }
        event
    }
}

/// Stores an event that happened `count` times between two moments, unless it is too old to be kept.
pub(super) fn remember(
    state: &State,
    happened: &Happened<'_>,
    first: Timestamp,
    last: Timestamp,
    count: i64,
) {
    let Some(events) = state.kind("", "events") else { return };
    if last + KEPT < Timestamp::now() {
        return;
    }
    let name =
        format!("{}.{:016x}", text(happened.object, "metadata.name"), state.rng.lock().next() | (1 << 60));
    let mut event = happened.event(&name, first, last, count);
    super::build::identity(&mut event, state.uuid(), last);
    if state.store.create(events.id, event).is_ok() {
        state.counted.lock().insert(key(happened), name);
    }
}

fn key(happened: &Happened<'_>) -> (String, String) {
    (
        text(happened.object, "metadata.uid").to_owned(),
        format!("{}\n{}\n{}", happened.reason, happened.field, happened.message),
    )
}

/// Stores an event that happens now, or counts it if it was told before.
pub(super) fn tell(state: &State, happened: &Happened<'_>, now: Timestamp) {
    let Some(events) = state.kind("", "events") else { return };
    let namespace = text(happened.object, "metadata.namespace");
    let home = if namespace.is_empty() { "default" } else { namespace };
    let known = state.counted.lock().get(&key(happened)).cloned();
    if let Some(old) = known.and_then(|name| state.store.get(events.id, home, &name)) {
        let mut event = old.value();
        if event["count"].is_i64() {
            event["count"] = (event["count"].as_i64().unwrap_or(1) + 1).into();
            event["lastTimestamp"] = stamp(now).into();
        } else {
            let count = event["series"]["count"].as_i64().unwrap_or(1) + 1;
            event["series"] = json!({"count": count, "lastObservedTime": micro_stamp(now)});
        }
        // Somebody else wrote or deleted it: nothing of worth is lost.
        let _ = state.store.replace(events.id, old.version, event);
        return;
    }
    remember(state, happened, now, now, 1);
}

/// Takes out the events that are too old.
pub(super) fn expire(state: &State, now: Timestamp) {
    let Some(events) = state.kind("", "events") else { return };
    for event in state.store.list(events.id, "", None).0 {
        let value = event.value();
        let last = ["lastTimestamp", "eventTime"]
            .iter()
            .find_map(|k| super::object::parse_stamp(&value[*k]))
            .or_else(|| super::object::parse_stamp(&value["metadata"]["creationTimestamp"]));
        if last.is_some_and(|l| l + KEPT < now) {
            let _ = state.store.remove(events.id, &event.namespace, &event.name, Some(event.version));
        }
    }
    let mut counted = state.counted.lock();
    if counted.len() > 20_000 {
        counted.clear();
    }
}
