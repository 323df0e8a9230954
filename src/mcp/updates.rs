//! Which resources changed: each subscription watches what its resource is made of.
//!
//! A notification says "read it again", so changes are merged: one at once, and then at most one
//! for each pause.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::resources;
use super::uri::{Object, Place};
use crate::bus::Event;
use crate::gate::{Client, Frame, Request, Watch};
use crate::rows::{Phase, RowKey, TableDelta};

/// The least time between two notifications about a screen.
const SCREEN_PAUSE: Duration = Duration::from_millis(200);
/// The least time between two notifications about objects.
const OBJECT_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait before a broken watch is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The most subscriptions of one connection.
pub const MAX: usize = 64;

/// Calls `notify` after each change of `place`, until it returns false or is dropped.
pub async fn follow<F>(client: Client, place: Place, notify: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    if place == Place::Messages {
        follow_messages(&client, notify).await;
        return;
    }
    loop {
        let mut seen = Seen::default();
        if let Ok(mut watch) = client.watch(request(&place)).await {
            while let Some(Ok(frame)) = watch.next().await {
                if seen.changed(&place, &frame) {
                    if !notify().await {
                        return;
                    }
                    let pause = if matches!(place, Place::Object(_) | Place::List(_) | Place::Log(_)) {
                        OBJECT_PAUSE
                    } else {
                        SCREEN_PAUSE
                    };
                    drain(&mut watch, &place, &mut seen, pause, &notify).await;
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Reads on during a pause, and tells at its end if something changed in it.
async fn drain<F: Future<Output = bool>>(
    watch: &mut Watch,
    place: &Place,
    seen: &mut Seen,
    pause: Duration,
    notify: &impl Fn() -> F,
) {
    loop {
        let end = tokio::time::sleep(pause);
        tokio::pin!(end);
        let mut again = false;
        loop {
            tokio::select! {
                () = &mut end => break,
                frame = watch.next() => match frame {
                    Some(Ok(frame)) => again |= seen.changed(place, &frame),
                    _ => return,
                }
            }
        }
        if !again || !notify().await {
            return;
        }
    }
}

async fn follow_messages<F: Future<Output = bool>>(client: &Client, notify: impl Fn() -> F) {
    let mut events = client.events();
    while let Some(event) = events.next().await {
        let mine = match &*event {
            Event::Message(message) => !message.from.same_as(client.actor()),
            Event::Resync { .. } => true,
            _ => false,
        };
        if mine && !notify().await {
            return;
        }
    }
}

fn request(place: &Place) -> Request {
    match place {
        Place::Focus | Place::Selection | Place::Messages => {
            Request::new("focus_get", json!({ "brief": true }))
        }
        Place::Screen => Request::new("focus_get", json!({})),
        Place::List(object) => resources::list_request(object),
        Place::Object(object) => {
            let list = Object { name: String::new(), ..object.clone() };
            let mut request = resources::list_request(&list);
            request.arguments["fields"] = json!(format!("metadata.name={}", object.name));
            request
        }
        Place::Log(object) => {
            let mut arguments = resources::arguments(object);
            arguments["tail"] = json!(0);
            arguments.as_object_mut().map(|a| a.remove("kind"));
            Request::new("log_read", arguments)
        }
    }
}

/// What a subscription has seen, so that the state it starts from is no change.
#[derive(Default)]
struct Seen {
    value: Option<Value>,
    rows: HashMap<RowKey, u64>,
    settled: bool,
}

impl Seen {
    fn changed(&mut self, place: &Place, frame: &Frame) -> bool {
        match frame {
            Frame::Value(value) => {
                let value =
                    if *place == Place::Selection { resources::selection(value) } else { value.clone() };
                let first = self.value.is_none();
                let changed = self.value.as_ref() != Some(&value);
                self.value = Some(value);
                changed && !first
            }
            Frame::Lines(lines) => !lines.is_empty(),
            Frame::Table(delta) => self.table(delta),
        }
    }

    /// A row counts when its cells differ from those seen: a list read again after a broken stream
    /// changes nothing by itself.
    fn table(&mut self, delta: &TableDelta) -> bool {
        let mut changed = false;
        if delta.reset {
            let still: std::collections::HashSet<_> = delta.upserts.iter().map(|r| &r.key).collect();
            let before = self.rows.len();
            // Rows that come in a later delta of a reset count as new then, which errs to the safe side.
            self.rows.retain(|key, _| still.contains(key));
            changed |= self.rows.len() != before;
        }
        for key in &delta.removed {
            changed |= self.rows.remove(key).is_some();
        }
        for row in &delta.upserts {
            let hash = hash(&(&row.uid, format!("{:?}", row.cells)));
            changed |= self.rows.insert(row.key.clone(), hash) != Some(hash);
        }
        let was_settled = self.settled;
        self.settled |= delta.sources.iter().any(|s| matches!(s.phase, Phase::Live | Phase::Polling { .. }));
        changed && was_settled
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A legacy connection's subscriptions, by address. Dropping it ends them.
#[derive(Default)]
pub struct Subscriptions {
    running: Mutex<HashMap<String, Running>>,
}

struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Subscriptions {
    /// Starts one; false when there are too many.
    pub fn add(&self, uri: String, start: impl FnOnce() -> JoinHandle<()>) -> bool {
        let mut running = self.running.lock();
        if running.len() >= MAX && !running.contains_key(&uri) {
            return false;
        }
        running.entry(uri).or_insert_with(|| Running(start()));
        true
    }

    pub fn remove(&self, uri: &str) {
        self.running.lock().remove(uri);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rows::{Cell, Row, SourceState, Tone};

    fn delta(n: i64, live: bool) -> Frame {
        let row = Row {
            key: RowKey::new("c", "n", "a"),
            cells: [Cell::Number(n)].into(),
            tone: Tone::Normal,
            uid: "u".into(),
        };
        let live = live.then(|| SourceState::new("c".into(), Phase::Live));
        Frame::Table(TableDelta {
            upserts: vec![Arc::new(row)],
            sources: live.into_iter().collect(),
            ..Default::default()
        })
    }

    #[test]
    fn the_state_at_the_start_is_no_change_and_neither_is_the_same_again() {
        let place = Place::parse("k8s://c/n/pods").unwrap();
        let mut seen = Seen::default();
        assert!(!seen.changed(&place, &delta(1, false)));
        assert!(!seen.changed(&place, &delta(1, true)));
        assert!(!seen.changed(&place, &delta(1, false)));
        assert!(seen.changed(&place, &delta(2, false)));
        let gone = TableDelta { removed: vec![RowKey::new("c", "n", "a")], ..Default::default() };
        assert!(seen.changed(&place, &Frame::Table(gone.clone())));
        assert!(!seen.changed(&place, &Frame::Table(gone)));
    }

    #[test]
    fn a_selection_changes_only_with_what_is_selected() {
        let frame = |filter: &str, name: &str| {
            Frame::Value(json!({ "focus": { "filter": filter, "selected": { "name": name } } }))
        };
        let mut seen = Seen::default();
        assert!(!seen.changed(&Place::Selection, &frame("", "a")));
        assert!(!seen.changed(&Place::Selection, &frame("x", "a")));
        assert!(seen.changed(&Place::Selection, &frame("x", "b")));
    }
}
