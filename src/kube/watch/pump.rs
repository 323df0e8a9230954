//! The task that keeps a hub current.
//!
//! It asks for a streaming list first (`sendInitialEvents`, Kubernetes 1.32 and on), falls back to
//! LIST by pages and WATCH where that is refused or never completes, and to listing again and again
//! where watching is not allowed. After a break it goes on from the last resource version; when the
//! server no longer has it (410), it lists again and the table tells the difference, so that no row
//! is missed or doubled.

use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use compact_str::CompactString;
use jiff::Timestamp;
use tokio::time::Instant;

use super::hub::{Change, Hub};
use super::reading::Reading;
use super::shape::{Page, Shape, told_error};
use super::{Selection, Times};
use crate::base;
use crate::kube::call::Call;
use crate::kube::cluster::Cluster;
use crate::kube::error::{Error, Result};
use crate::kube::stream::ByteStream;
use crate::kube::wire::Frames;
use crate::rows::Phase;

/// Readers are told at the latest after so many changes.
const FLUSH_ROWS: usize = 1000;
const PAGE: &str = "500";
const LIST_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that has just started refuses for a moment what it allowed before.
const REFUSALS: u32 = 6;

/// Starts the task; it ends by itself a little after the last reader has left.
pub(super) fn start(cluster: Arc<Cluster>, selection: Selection, hub: Arc<Hub>) {
    let shape = Shape::new(cluster.name().clone(), &selection);
    if let Some(columns) = shape.columns() {
        hub.set_columns(&columns);
    }
    tokio::spawn(async move {
        let times = cluster.watches().times;
        let linger = times.linger;
        let mut pump = Pump {
            cluster: cluster.clone(),
            selection: selection.clone(),
            hub: hub.clone(),
            shape,
            times,
            streaming: true,
            unwatchable: None,
            been_live: false,
            failures: 0,
            broken_since: None,
        };
        let mut work = Box::pin(pump.run());
        loop {
            tokio::select! {
                () = &mut work => return,
                () = hub.unread(linger) => {}
            }
            if cluster.watches().leave(&selection, &hub) {
                return;
            }
        }
    });
}

struct Pump {
    cluster: Arc<Cluster>,
    selection: Selection,
    hub: Arc<Hub>,
    shape: Shape,
    times: Times,
    /// Whether a streaming list is worth trying.
    streaming: bool,
    /// Why it is listed again and again instead of watched, once that is known.
    unwatchable: Option<String>,
    been_live: bool,
    /// Tries that failed since one went well,
    failures: u32,
    /// and when the first of them did, in seconds since the epoch.
    broken_since: Option<i64>,
}

/// Where to go on.
enum Next {
    List,
    Watch(CompactString),
}

/// Why a stream is over, if not by an error.
enum End {
    /// The server closed it, as it does every half hour or so.
    Closed(CompactString),
    /// The initial events do not end.
    NoBookmark,
    /// The settings changed.
    Restart,
}

impl Pump {
    /// Keeps the hub current for as long as it is polled.
    async fn run(&mut self) {
        let mut next = Next::List;
        let mut pauses = pauses();
        loop {
            let began = Instant::now();
            let result = match &next {
                Next::List => self.list().await,
                Next::Watch(version) => self.watch(version.clone()).await,
            };
            match result {
                Ok(End::Closed(version)) => {
                    // A server that closes at once must not be asked in a tight loop.
                    if began.elapsed() < Duration::from_secs(1) {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    next = if version.is_empty() { Next::List } else { Next::Watch(version) };
                }
                Ok(End::NoBookmark) => {
                    self.streaming = false;
                    next = Next::List;
                }
                Ok(End::Restart) => {
                    (self.streaming, self.unwatchable) = (true, None);
                    next = Next::List;
                }
                Err((error, _)) if error.is_gone() => {
                    tracing::debug!(cluster = %self.cluster.name(), "the resource version is gone; listing again");
                    next = Next::List;
                }
                Err((error, version)) => {
                    next = match version.filter(|v| !v.is_empty()) {
                        // Watching is not allowed any more: listing may be.
                        _ if matches!(error.http_status(), Some(403 | 405)) => Next::List,
                        Some(version) => Next::Watch(version),
                        None => next,
                    };
                    if self.is_final(&error).await {
                        self.fail(error).await;
                        next = Next::List;
                        continue;
                    }
                    if self.failures == 0 {
                        pauses = self::pauses();
                    }
                    self.failures += 1;
                    self.pause(error, pauses.next().unwrap_or(Duration::from_secs(30))).await;
                }
            }
        }
    }

    /// Whether trying again is of no use.
    async fn is_final(&self, error: &Error) -> bool {
        match error.http_status() {
            // What a plugin or a file gives may be good at the next try: a person logs in meanwhile.
            Some(401) if self.been_live && self.cluster.credential_is_renewed().await => false,
            Some(400 | 401 | 403 | 404 | 405 | 406 | 422) => !self.been_live || self.failures >= REFUSALS,
            _ => matches!(error, Error::Settings { .. } | Error::Request(_) | Error::Name(_)),
        }
    }

    /// Says why it is given up, and returns once somebody asks again or the kubeconfig changed. A right may be given
    /// and a kind be made without anybody here: that is looked at now and then, and the error stays meanwhile.
    async fn fail(&mut self, error: Error) {
        let mut restarts = self.hub.restarts();
        let may_pass = matches!(error.http_status(), Some(403 | 404));
        self.hub.set_phase(Phase::Failed { error: error.into() });
        (self.streaming, self.unwatchable) = (true, None);
        tokio::select! {
            () = self.hub.poked() => {}
            _ = restarts.changed() => {}
            () = tokio::time::sleep(self.times.refused_again), if may_pass => return,
        }
        self.hub.set_phase(Phase::Connecting);
        self.failures = 0;
        self.broken_since = None;
    }

    async fn pause(&mut self, error: Error, pause: Duration) {
        let error: base::Error = error.into();
        tracing::debug!(cluster = %self.cluster.name(), %error, ?pause, "watch broken");
        // Most breaks mend themselves. A credential waits for a person, who must hear what to do.
        let reason = match &error.next {
            Some(next) if error.code == base::Code::Unauthenticated => format!("{}. {next}", error.message),
            _ => error.message.clone(),
        };
        let next = error.next_step().to_owned();
        self.hub.set_trouble(error);
        self.hub.set_phase(Phase::Reconnecting {
            reason,
            next,
            since: *self.broken_since.get_or_insert_with(|| Timestamp::now().as_second()),
            attempt: self.failures,
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.hub.poked() => {}
        }
    }

    fn went_well(&mut self) {
        self.failures = 0;
        self.broken_since = None;
        self.been_live = true;
    }

    /// Lists by whatever way works, and goes on watching.
    async fn list(&mut self) -> Result<End, (Error, Option<CompactString>)> {
        let resource = &self.selection.resource;
        if !resource.verbs.is_empty() && !resource.can("watch") {
            self.unwatchable = Some(format!("{} cannot be watched", resource.plural));
        }
        if self.streaming && self.unwatchable.is_none() {
            match self.stream_list().await {
                Err((error, _)) if matches!(error.http_status(), Some(400 | 403 | 405 | 406 | 415 | 422)) => {
                    tracing::debug!(cluster = %self.cluster.name(), %error, "no streaming list; listing by pages");
                    self.streaming = false;
                }
                other => return other,
            }
        }
        let version = self.pages().await.map_err(|e| (e, None))?;
        self.went_well();
        if let Some(reason) = self.unwatchable.clone() {
            self.hub.end_list(self.polling(reason.clone()));
            return self.poll(reason).await;
        }
        self.hub.end_list(Phase::Live);
        match self.watch(version).await {
            Err((error, _)) if matches!(error.http_status(), Some(403 | 405)) => {
                let error: base::Error = error.into();
                self.unwatchable = Some(error.message.clone());
                self.poll(error.message).await
            }
            other => other,
        }
    }

    fn polling(&self, reason: String) -> Phase {
        Phase::Polling { every_seconds: u32::try_from(self.times.poll_every.as_secs()).unwrap_or(5), reason }
    }

    fn call(&self, watch: bool) -> Call {
        let s = &self.selection;
        let mut call = Call::get(s.resource.path(s.namespace.as_deref(), None))
            .accept(if watch { self.shape.accept_watch() } else { self.shape.accept_list() })
            .query_if("labelSelector", s.labels.as_deref())
            .query_if("fieldSelector", s.fields.as_deref());
        if self.shape.is_table() {
            call = call.query("includeObject", self.shape.include_object());
        }
        if watch {
            call = call.query("watch", "true").query("allowWatchBookmarks", "true");
        }
        call
    }

    /// One request for everything there is and every change after.
    async fn stream_list(&mut self) -> Result<End, (Error, Option<CompactString>)> {
        let call =
            self.call(true).query("sendInitialEvents", "true").query("resourceVersionMatch", "NotOlderThan");
        let stream = self.cluster.stream(call).await.map_err(|e| (e, None))?;
        self.hub.begin_list();
        if !self.been_live {
            self.hub.set_phase(Phase::Loading { seen: 0, expected: None });
        }
        self.follow(stream, CompactString::default(), true).await
    }

    /// Every change after a resource version.
    async fn watch(&mut self, version: CompactString) -> Result<End, (Error, Option<CompactString>)> {
        let call = self.call(true).query("resourceVersion", &version);
        let stream = self.cluster.stream(call).await.map_err(|e| (e, Some(version.clone())))?;
        self.hub.set_phase(Phase::Live);
        self.went_well();
        self.follow(stream, version, false).await
    }

    /// Lists by pages; gives the resource version of the list. Leaves the list open, to be ended with a phase.
    async fn pages(&mut self) -> Result<CompactString> {
        self.hub.begin_list();
        let mut next = String::new();
        let mut seen = 0u64;
        let mut fresh_starts = 0;
        loop {
            let token = (!next.is_empty()).then_some(&next);
            let call =
                self.call(false).query("limit", PAGE).query_if("continue", token).timeout(LIST_TIMEOUT);
            let answer = match self.cluster.send(call).await {
                // The pages' common version is gone while we read them: from the start once more.
                Err(error) if error.is_gone() && !next.is_empty() && fresh_starts < 3 => {
                    fresh_starts += 1;
                    next.clear();
                    self.hub.begin_list();
                    seen = 0;
                    continue;
                }
                other => other?,
            };
            let mut changes = Vec::new();
            let page = self.read_page(answer.body, &mut changes)?;
            seen += changes.len() as u64;
            if let Some(columns) = &page.columns {
                self.hub.set_columns(columns);
            }
            let expected = page.remaining.map(|r| seen + r);
            let phase = (!self.been_live).then_some(Phase::Loading { seen, expected });
            self.hub.apply(&mut changes, phase);
            if page.next.is_empty() {
                return Ok(page.version);
            }
            next = page.next;
        }
    }

    fn read_page(&mut self, body: bytes::Bytes, changes: &mut Vec<Change>) -> Result<Page> {
        let server = self.cluster.server();
        self.shape.page(body, changes).map_err(|reason| Error::Decode { server, what: "a list", reason })
    }

    /// Lists again and again, for as long as that goes well.
    async fn poll(&mut self, reason: String) -> Result<End, (Error, Option<CompactString>)> {
        self.hub.set_phase(self.polling(reason.clone()));
        let mut restarts = self.hub.restarts();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.times.poll_every) => {}
                _ = restarts.changed() => return Ok(End::Restart),
            }
            self.pages().await.map_err(|e| (e, None))?;
            self.went_well();
            self.hub.end_list(self.polling(reason.clone()));
        }
    }

    /// Reads a stream to its end. `loading`: the initial events are still to come.
    async fn follow(
        &mut self,
        mut stream: ByteStream,
        version: CompactString,
        loading: bool,
    ) -> Result<End, (Error, Option<CompactString>)> {
        let framing = Shape::framing(stream.content_type());
        let mut reading = Reading {
            frames: Frames::new(framing),
            framing,
            changes: Vec::new(),
            version,
            loading,
            times: self.times,
            began: Instant::now(),
            last_row: Instant::now(),
            told: None,
        };
        let mut restarts = self.hub.restarts();
        loop {
            let piece = match stream.ready() {
                Some(piece) => piece,
                None => {
                    let wait = reading.wait(&self.hub, self.been_live);
                    let waited = tokio::select! {
                        piece = stream.next() => Some(piece),
                        () = sleep_until(wait) => None,
                        _ = restarts.changed() => return Ok(End::Restart),
                    };
                    match waited {
                        Some(piece) => piece,
                        None if reading.overdue() => return Ok(End::NoBookmark),
                        None => continue,
                    }
                }
            };
            // While the list is not complete there is no version to go on from.
            let resume = |r: &Reading| (!r.loading).then(|| r.version.clone());
            match piece {
                Some(Ok(piece)) => {
                    if let Err(error) = self.take(&mut reading, &piece, stream.server()) {
                        reading.flush(&self.hub, self.been_live);
                        return Err((error, resume(&reading)));
                    }
                }
                end => {
                    reading.flush(&self.hub, self.been_live);
                    let server = stream.server().to_owned();
                    let resume = resume(&reading);
                    return match end {
                        Some(Err(error)) => Err((error, resume)),
                        _ if reading.loading => Err((
                            Error::Broken {
                                server,
                                reason: "the stream ended before the list was complete".into(),
                            },
                            None,
                        )),
                        _ if reading.frames.is_cut() => Err((
                            Error::Broken { server, reason: "the stream ended inside an event".into() },
                            resume,
                        )),
                        _ => Ok(End::Closed(reading.version)),
                    };
                }
            }
        }
    }

    /// Takes one piece of a stream: every whole event in it.
    fn take(&mut self, reading: &mut Reading, piece: &[u8], server: &str) -> Result<()> {
        let decode =
            |reason: String| Error::Decode { server: server.to_owned(), what: "a watch event", reason };
        reading.frames.push(piece);
        while let Some(frame) = reading.frames.next().map_err(decode)? {
            let before = reading.changes.len();
            let told = self.shape.event(reading.framing, frame, &mut reading.changes).map_err(decode)?;
            if let Some(columns) = &told.columns {
                self.hub.set_columns(columns);
            }
            if let Some(status) = told.error {
                return Err(told_error(server, status));
            }
            if let Some(version) = told.version.filter(|v| !v.is_empty()) {
                reading.version = version;
            }
            if reading.changes.len() > before {
                reading.last_row = Instant::now();
            }
            if told.initial_events_end && reading.loading {
                reading.flush(&self.hub, self.been_live);
                reading.loading = false;
                self.hub.end_list(Phase::Live);
                self.went_well();
            }
            if reading.changes.len() >= FLUSH_ROWS {
                reading.flush(&self.hub, self.been_live);
            }
        }
        if !reading.changes.is_empty() && reading.due() <= Instant::now() {
            reading.flush(&self.hub, self.been_live);
        }
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// 0.2 s, doubling up to 30 s, each with jitter so that many watches do not come back as one.
pub fn pauses() -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(30))
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}
