//! Events: what the cluster's components reported about an object.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::describe::part::{number, seconds, text, text_or};
use crate::rows::cell::age;

/// One event, repeats counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventRow {
    /// Seconds since the epoch of the last time.
    pub last: i64,
    /// Seconds since the epoch of the first time.
    pub first: i64,
    pub count: i64,
    /// `Normal` or `Warning`.
    pub kind: String,
    pub reason: String,
    pub namespace: String,
    /// `pod/web-1`, with the field (a container, say) if one is meant.
    pub object: String,
    pub from: String,
    pub message: String,
}

impl EventRow {
    /// Reads a core/v1 Event, of whichever generation: counts and times stand in `series`, in the old fields, or only
    /// in `eventTime`.
    pub fn of(event: &Value) -> Self {
        let time = |pointers: &[&str]| pointers.iter().find_map(|p| seconds(&text(event, p))).unwrap_or(0);
        let last = time(&[
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/eventTime",
            "/metadata/creationTimestamp",
        ]);
        let first = time(&["/firstTimestamp", "/eventTime", "/metadata/creationTimestamp"]);
        let count = number(event, "/series/count").max(number(event, "/count")).max(1);
        let field = text(event, "/involvedObject/fieldPath");
        // "spec.containers{web}" says the container.
        let field = field.split_once('{').map_or(field.as_str(), |(_, c)| c.trim_end_matches('}'));
        let field = if field.is_empty() { String::new() } else { format!(" ({field})") };
        let kind = text(event, "/involvedObject/kind").to_lowercase();
        Self {
            last,
            first,
            count,
            kind: text_or(event, "/type", "Normal"),
            reason: text(event, "/reason"),
            namespace: text(event, "/involvedObject/namespace"),
            object: format!("{kind}/{}{field}", text(event, "/involvedObject/name")),
            from: text_or(event, "/source/component", &text(event, "/reportingComponent")),
            message: text(event, "/message").trim().to_owned(),
        }
    }

    /// "5s", or "2m (x14 over 1h)" as kubectl writes it.
    pub fn ages(&self, now: Timestamp) -> String {
        let now = now.as_second();
        if self.count > 1 {
            format!("{} (x{} over {})", age(now - self.last), self.count, age(now - self.first))
        } else {
            age(now - self.last).to_string()
        }
    }
}

/// Oldest first; of the same second, the first reported first.
pub fn sort(events: &mut [EventRow]) {
    events.sort_by(|a, b| a.last.cmp(&b.last).then(a.first.cmp(&b.first)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_and_new_events_are_read_alike() {
        let old = json!({"type": "Warning", "reason": "BackOff", "message": "Back-off restarting\n", "count": 14,
            "firstTimestamp": "2026-11-21T10:00:00Z", "lastTimestamp": "2026-11-21T10:58:00Z", "source": {"component": "kubelet"},
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "d", "fieldPath": "spec.containers{app}"}});
        let new = json!({"reason": "Scheduled", "eventTime": "2026-11-21T10:00:00.000000Z", "reportingComponent": "default-scheduler",
            "metadata": {"creationTimestamp": "2026-11-21T10:00:00Z"}, "involvedObject": {"kind": "Pod", "name": "web"}});
        let now: Timestamp = "2026-11-21T11:00:00Z".parse().unwrap();
        let mut rows = vec![EventRow::of(&old), EventRow::of(&new)];
        sort(&mut rows);
        assert_eq!(
            (rows[0].reason.as_str(), rows[0].from.as_str(), rows[0].ages(now).as_str()),
            ("Scheduled", "default-scheduler", "60m")
        );
        assert_eq!(
            (rows[1].object.as_str(), rows[1].ages(now).as_str()),
            ("pod/web (app)", "2m (x14 over 60m)")
        );
        assert_eq!(rows[1].message, "Back-off restarting");
    }
}
