//! Watches: changes as they come, bookmarks, streaming lists.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cluster::{Faults, State};
use super::failure::{Cause, Failure, Outcome};
use super::form::{self, Form, Include, Shape};
use super::kinds::Kind;
use super::object::Object;
use super::read::{parse_version, too_large};
use super::route::Ask;
use super::select::Selector;
use super::store::{Change, Since, Verb};
use super::{proto, reply};

/// How often a quiet watch is told the version it has reached.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// A watch without `timeoutSeconds` ends after this: servers choose 30 to 60 minutes.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// Changes sent in one piece.
const BATCH: usize = 256;

/// The annotation of the bookmark that ends a streaming list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

pub(super) fn request(ask: Ask) -> Outcome<Response<Body>> {
    let form = form::negotiate(&ask, Shape::Stream)?;
    let mut fields = ask.query.text("fieldSelector").to_owned();
    if !ask.name.is_empty() {
        // The old form: a watch of one object by its address.
        fields = format!("metadata.name={}", ask.name);
    }
    let selector = Selector::parse(&ask.kind, ask.query.text("labelSelector"), &fields)?;
    let streaming = streaming(&ask, form)?;
    let asked = ask.query.text("resourceVersion");
    let from = if asked.is_empty() || asked == "0" { None } else { Some(parse_version(asked)?) };
    let store = &ask.state.store;
    let now = store.version();
    if let Some(version) = from.filter(|v| *v > now) {
        return Err(too_large(version, now));
    }
    let bookmarks = ask.query.flag("allowWatchBookmarks");
    let timeout = ask
        .query
        .number("timeoutSeconds")?
        .and_then(|s| u64::try_from(s).ok())
        .filter(|s| *s > 0)
        .map_or(LONGEST, Duration::from_secs);
    let Some(changed) = store.subscribe(ask.kind.id) else { return Err(Failure::no_resource()) };
    // Without a version, and for a streaming list, everything that is there comes first.
    let (initial, position) = match from {
        Some(version) if !streaming => (Vec::new(), version),
        _ => store.list(ask.kind.id, &ask.namespace, None),
    };
    let started = Instant::now();
    let watcher = Watcher {
        state: ask.state,
        kind: ask.kind,
        namespace: ask.namespace.to_string(),
        selector,
        form,
        changed,
        initial,
        sent: 0,
        end_bookmark: streaming && bookmarks,
        position,
        bookmarks,
        next_bookmark: started + BOOKMARK_EVERY,
        deadline: started + timeout,
        columns_sent: false,
        over: false,
    };
    let steps = stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), watcher))
    });
    let content_type =
        if form == Form::Protobuf { "application/vnd.kubernetes.protobuf;stream=watch" } else { reply::JSON };
    Ok(reply::with_body(200, content_type, Body::from_stream(steps)))
}

/// Whether a streaming list is asked for; the rules are those of `ValidateListOptions`.
fn streaming(ask: &Ask, form: Form) -> Outcome<bool> {
    let invalid = |cause| Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
    let (rule, initial) = (ask.query.text("resourceVersionMatch"), ask.query.get("sendInitialEvents"));
    let Some(initial) = initial else {
        if rule.is_empty() {
            return Ok(false);
        }
        let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return invalid(Cause::forbidden("resourceVersionMatch", text));
    };
    if Faults::is(&ask.state.faults.no_streaming) {
        let text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        return invalid(Cause::forbidden("sendInitialEvents", text));
    }
    if rule != "NotOlderThan" {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return invalid(Cause::forbidden("resourceVersionMatch", text));
    }
    let wanted = matches!(initial, "1" | "true" | "True" | "t");
    if wanted && matches!(form, Form::Table(_)) && Faults::is(&ask.state.faults.no_table_watch) {
        return Err(super::discovery::representations(false));
    }
    Ok(wanted)
}

struct Watcher {
    state: Arc<State>,
    kind: Arc<Kind>,
    namespace: String,
    selector: Selector,
    form: Form,
    changed: tokio::sync::watch::Receiver<u64>,
    /// What was there at the start, and how much of it is sent.
    initial: Vec<Arc<Object>>,
    sent: usize,
    /// Whether the bookmark that ends the streaming list is still to be sent.
    end_bookmark: bool,
    position: u64,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    columns_sent: bool,
    over: bool,
}

impl Watcher {
    /// The next piece; waits for it. `None` ends the watch.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            self.state.faults.delay().await;
            if self.over {
                return None;
            }
            let mut out = Vec::new();
            self.initial_events(&mut out);
            if !out.is_empty() {
                tokio::task::yield_now().await;
                return Some(out);
            }
            // Marked as seen before the history is read: what comes after it wakes again.
            self.changed.mark_unchanged();
            match self.state.store.since(self.kind.id, self.position, BATCH) {
                Since::Gone(floor) => {
                    let message = format!("too old resource version: {} ({floor})", self.position);
                    self.write_error(&Failure::expired(message), &mut out);
                    self.over = true;
                }
                Since::Changes(changes, position) => {
                    for change in &changes {
                        self.write_change(change, &mut out);
                    }
                    let more = position > self.position && changes.len() == BATCH;
                    self.position = position;
                    if out.is_empty() && more {
                        continue;
                    }
                }
            }
            if !out.is_empty() {
                return Some(out);
            }
            tokio::select! {
                changed = self.changed.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep_until(self.next_bookmark.min(self.deadline)) => {
                    if Instant::now() >= self.deadline {
                        return None;
                    }
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    if self.bookmarks {
                        self.write_bookmark(false, &mut out);
                        return Some(out);
                    }
                }
            }
        }
    }

    fn initial_events(&mut self, out: &mut Vec<u8>) {
        while self.sent < self.initial.len() && out.is_empty() {
            let end = self.initial.len().min(self.sent + BATCH);
            let step = self.initial[self.sent..end].to_vec();
            for object in &step {
                if self.selector.matches(object) {
                    self.write_event("ADDED", object, out);
                }
            }
            self.sent = end;
        }
        if self.sent == self.initial.len() {
            // What was there is not needed any more, and would be kept for as long as the watch lives.
            self.initial = Vec::new();
            self.sent = 0;
            if std::mem::take(&mut self.end_bookmark) {
                self.write_bookmark(true, out);
            }
        }
    }

    fn write_change(&mut self, change: &Change, out: &mut Vec<u8>) {
        let inside = |o: &Object| {
            (self.namespace.is_empty() || o.namespace == self.namespace) && self.selector.matches(o)
        };
        let before = change.previous.as_deref().is_some_and(inside);
        let after = change.verb != Verb::Deleted && inside(&change.object);
        match (before, after) {
            (false, false) => {}
            (false, true) => self.write_event("ADDED", &change.object, out),
            (true, true) => self.write_event("MODIFIED", &change.object, out),
            (true, false) if change.verb == Verb::Deleted => self.write_event("DELETED", &change.object, out),
            (true, false) => {
                // It left the selection: what was there goes away, at the version of the change.
                if let Some(previous) = &change.previous {
                    let last = Object::new(previous.value(), change.object.version);
                    self.write_event("DELETED", &last, out);
                }
            }
        }
    }

    fn write_event(&mut self, kind: &str, object: &Object, out: &mut Vec<u8>) {
        match self.form {
            Form::Protobuf => {
                let mut inner = Vec::with_capacity(object.body.len());
                proto::write_enveloped(&self.kind, object, &mut inner);
                proto::write_event(kind, &inner, out);
            }
            Form::Table(include) => {
                let table = form::table(&self.kind, object, include, !self.columns_sent);
                self.columns_sent = true;
                self.frame(kind, |out| out.extend_from_slice(table.to_string().as_bytes()), out);
            }
            Form::Json | Form::Metadata => {
                self.frame(kind, |out| form::write_one(self.form, &self.kind, object, out), out);
            }
        }
    }

    fn frame(&self, kind: &str, body: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
        body(out);
        out.extend_from_slice(b"}\n");
    }

    fn write_bookmark(&mut self, end: bool, out: &mut Vec<u8>) {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if end {
            metadata["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        let api_version = self.kind.api_version();
        let value = match self.form {
            Form::Protobuf => {
                let inner = proto::bookmark(&self.kind, self.position, end);
                proto::write_event("BOOKMARK", &inner, out);
                return;
            }
            Form::Json if self.kind.is("", "pods") => json!({
                "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": null}, "status": {},
            }),
            Form::Json => {
                json!({"kind": self.kind.kind.as_str(), "apiVersion": api_version, "metadata": metadata})
            }
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table(include) => self.table_bookmark(metadata, end, include),
        };
        self.frame("BOOKMARK", |out| out.extend_from_slice(value.to_string().as_bytes()), out);
    }

    /// A Table's bookmark is a row of an empty object; the annotation is on that object's metadata.
    fn table_bookmark(&mut self, metadata: Value, end: bool, include: Include) -> Value {
        let head = json!({"resourceVersion": self.position.to_string()});
        let mut table = form::table_head(&head, &self.kind, !self.columns_sent);
        self.columns_sent = true;
        let (cells, _) = super::tables::cells(&self.kind, &json!({"metadata": metadata}));
        let object = if include == Include::Nothing && !end {
            Value::Null
        } else {
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
        };
        table["rows"] = json!([{"cells": cells, "object": object}]);
        table
    }

    fn write_error(&self, failure: &Failure, out: &mut Vec<u8>) {
        let status = failure.status();
        if self.form == Form::Protobuf {
            proto::write_event("ERROR", &proto::status(failure), out);
        } else {
            self.frame("ERROR", |out| out.extend_from_slice(status.to_string().as_bytes()), out);
        }
    }
}
