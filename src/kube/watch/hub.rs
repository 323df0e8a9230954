//! Where one upstream watch and its readers meet.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Listing;
use super::join::{self, Join, Joined};
use super::table::Table;
use crate::base::{Code, Error};
use crate::kube::usage::{Health, Window};
use crate::rows::{Column, Phase, Row, RowKey, SourceState, TableDelta, TableSender};

/// How many rows are filled in one turn.
const FILL: usize = 1_000;

/// One change, in the order in which the server told it.
pub(super) enum Change {
    Upsert(Row),
    Remove(RowKey),
}

/// The rows, the phase and the readers of one watch.
pub(super) struct Hub {
    cluster: Arc<str>,
    inner: Mutex<Inner>,
    /// A reader left.
    left: Notify,
    /// A reader left who wants figures.
    measured_left: Notify,
    /// Somebody wants it now: end a pause between two tries.
    poked: Notify,
    /// Counts up when everything must begin anew.
    restarts: watch::Sender<u64>,
    /// For those who wait until everything is here.
    phases: watch::Sender<Phase>,
    /// For those who wait until figures are here, or it is known why there are none.
    measured: watch::Sender<Measured>,
}

/// What is known of the figures in the rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Measured {
    #[default]
    Asking,
    /// They are here, or it is said why not.
    Known,
    /// The cluster has none.
    Absent(Error),
}

struct Inner {
    table: Table,
    /// As the rows' source gives them; those of figures are hidden.
    columns: Option<Arc<[Column]>>,
    /// Where the figures stand among them.
    place: Option<usize>,
    /// Whether the columns of figures are shown.
    shows_figures: bool,
    joined: Option<Joined>,
    /// Why there are no figures of now.
    note: Option<String>,
    phase: Phase,
    /// Why it is reconnecting, with its code and next step.
    trouble: Option<Error>,
    senders: Vec<(u64, Arc<TableSender>)>,
    readers: usize,
    /// Of the readers, those who want figures,
    measuring: usize,
    /// and whether a task fills them in.
    is_filled: bool,
    next_sender: u64,
    closed: bool,
}

/// One reader's stay. Dropping it leaves.
pub(super) struct Lease {
    hub: Arc<Hub>,
    /// Whether it wants figures.
    measuring: bool,
}

impl Inner {
    /// The columns as readers get them.
    fn shown_columns(&self) -> Option<Arc<[Column]>> {
        let columns = self.columns.as_ref()?;
        Some(if self.shows_figures { join::shown(columns) } else { columns.clone() })
    }

    fn source(&self, cluster: &Arc<str>) -> SourceState {
        SourceState { cluster: cluster.clone(), phase: self.phase.clone(), note: self.note.clone() }
    }

    /// Puts the figures at hand into the rows of these keys.
    fn fill(&mut self, keys: &[RowKey]) -> TableDelta {
        let mut delta = TableDelta::default();
        let (Some(at), Some(joined)) = (self.place, &self.joined) else { return delta };
        for key in keys {
            let Some(mut row) = self.table.get(key).map(|row| Row::clone(row)) else { continue };
            if joined.fill(&mut row, at) {
                delta.upserts.extend(self.table.replace(row));
            }
        }
        delta
    }

    fn keys(&self) -> Vec<RowKey> {
        self.table.iter().map(|row| row.key.clone()).collect()
    }
}

impl Hub {
    pub(super) fn new(cluster: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            inner: Mutex::new(Inner {
                table: Table::default(),
                columns: None,
                place: None,
                shows_figures: false,
                joined: None,
                note: None,
                phase: Phase::Connecting,
                trouble: None,
                senders: Vec::new(),
                readers: 0,
                measuring: 0,
                is_filled: false,
                next_sender: 0,
                closed: false,
            }),
            left: Notify::new(),
            measured_left: Notify::new(),
            poked: Notify::new(),
            restarts: watch::channel(0).0,
            phases: watch::channel(Phase::Connecting).0,
            measured: watch::channel(Measured::Asking).0,
        })
    }

    /// Comes in as a reader, unless the hub is closed. One that failed or pauses tries again at once, for all its readers.
    pub(super) fn enter(hub: &Arc<Self>) -> Option<Lease> {
        let mut inner = hub.inner.lock();
        if inner.closed {
            return None;
        }
        inner.readers += 1;
        match inner.phase {
            Phase::Failed { .. } => {
                hub.phase_of(&mut inner, Phase::Connecting, TableDelta::default());
                hub.poked.notify_one();
            }
            Phase::Reconnecting { .. } => hub.poked.notify_one(),
            _ => {}
        }
        drop(inner);
        Some(Lease { hub: hub.clone(), measuring: false })
    }

    /// Comes in as the first reader of a hub just made.
    pub(super) fn enter_new(hub: &Arc<Self>) -> Lease {
        hub.inner.lock().readers += 1;
        Lease { hub: hub.clone(), measuring: false }
    }

    pub(super) fn restart(&self) {
        self.restarts.send_modify(|n| *n += 1);
        self.poked.notify_one();
    }

    pub(super) fn restarts(&self) -> watch::Receiver<u64> {
        self.restarts.subscribe()
    }

    pub(super) async fn poked(&self) {
        self.poked.notified().await;
    }

    /// Closes it if nobody reads; returns whether it is closed.
    pub(super) fn close_if_unread(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.readers == 0 {
            inner.closed = true;
        }
        inner.closed
    }

    /// Returns once nobody has read it for `linger`.
    pub(super) async fn unread(&self, linger: Duration) {
        loop {
            let left = self.left.notified();
            if self.inner.lock().readers > 0 {
                left.await;
                continue;
            }
            tokio::time::sleep(linger).await;
            if self.inner.lock().readers == 0 {
                return;
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inner.lock().table.len()
    }

    /// How many rows it holds, and what they take, in bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.table.len(), inner.table.bytes())
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let mut inner = self.inner.lock();
        self.phase_of(&mut inner, phase, TableDelta::default());
    }

    pub(super) fn set_trouble(&self, error: Error) {
        self.inner.lock().trouble = Some(error);
    }

    pub(super) fn set_columns(&self, columns: &Arc<[Column]>) {
        let mut inner = self.inner.lock();
        if inner.columns.as_ref().is_some_and(|c| **c == **columns) {
            return;
        }
        inner.columns = Some(columns.clone());
        inner.place = join::place(columns);
        let columns = inner.shown_columns();
        send(&mut inner, TableDelta { columns, ..TableDelta::default() });
    }

    /// Takes changes in their order; tells the readers only what differs from what they have.
    pub(super) fn apply(&self, changes: &mut Vec<Change>, phase: Option<Phase>) {
        let mut inner = self.inner.lock();
        let mut delta = TableDelta::default();
        for change in changes.drain(..) {
            match change {
                Change::Upsert(mut row) => {
                    if let (Some(joined), Some(at)) = (&inner.joined, inner.place) {
                        joined.fill(&mut row, at);
                    }
                    delta.upserts.extend(inner.table.upsert(row));
                }
                Change::Remove(key) => {
                    if inner.table.remove(&key) {
                        // A delta's removals come before its upserts: keep the server's order.
                        if !delta.upserts.is_empty() {
                            send(&mut inner, std::mem::take(&mut delta));
                        }
                        delta.removed.push(key);
                    }
                }
            }
        }
        match phase {
            Some(phase) => self.phase_of(&mut inner, phase, delta),
            None => send(&mut inner, delta),
        }
    }

    pub(super) fn begin_list(&self) {
        self.inner.lock().table.begin_list();
    }

    /// Takes away what the list that ended did not name.
    pub(super) fn end_list(&self, phase: Phase) {
        let mut inner = self.inner.lock();
        let removed = inner.table.end_list();
        self.phase_of(&mut inner, phase, TableDelta { removed, ..TableDelta::default() });
    }

    fn phase_of(&self, inner: &mut Inner, phase: Phase, mut delta: TableDelta) {
        if inner.phase != phase {
            inner.phase = phase.clone();
            delta.sources.push(inner.source(&self.cluster));
            self.phases.send_replace(phase);
        }
        send(inner, delta);
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phases.subscribe()
    }

    /// Returns once nobody has wanted figures for `linger`.
    pub(super) async fn unmeasured(&self, linger: Duration) {
        loop {
            let left = self.measured_left.notified();
            if self.inner.lock().measuring > 0 {
                left.await;
                continue;
            }
            tokio::time::sleep(linger).await;
            if self.inner.lock().measuring == 0 {
                return;
            }
        }
    }

    /// Takes the figures out if nobody wants them; returns whether that is so. What stays would soon be old.
    pub(super) fn close_figures_if_unread(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.measuring > 0 {
            return false;
        }
        if let Some(joined) = &mut inner.joined {
            joined.figures = Arc::default();
        }
        let keys = inner.keys();
        let mut delta = inner.fill(&keys);
        (inner.is_filled, inner.shows_figures, inner.joined) = (false, false, None);
        delta.columns = inner.shown_columns();
        self.note(&mut inner, Measured::Asking, None, delta);
        true
    }

    /// Shows the columns of figures: the cluster has some.
    pub(super) fn show_figures(&self) {
        let mut inner = self.inner.lock();
        if !std::mem::replace(&mut inner.shows_figures, true) {
            let columns = inner.shown_columns();
            send(&mut inner, TableDelta { columns, ..TableDelta::default() });
        }
    }

    /// The cluster has no figures: their columns stay hidden.
    pub(super) fn no_figures(&self, why: Error) {
        self.note(&mut self.inner.lock(), Measured::Absent(why), None, TableDelta::default());
    }

    /// Puts the figures that a window changed into their rows.
    pub(super) fn take_figures(&self, join: &Join, window: &Window) {
        let last = {
            let mut inner = self.inner.lock();
            let joined =
                Joined { join: join.clone(), figures: window.figures.clone(), number: window.number };
            inner.joined.replace(joined).map(|joined| joined.number)
        };
        let is_next = last.is_some_and(|last| last + 1 == window.number);
        let keys: Vec<RowKey> = if is_next && join.is_by_row() {
            let key = |(namespace, name)| RowKey { cluster: self.cluster.clone(), namespace, name };
            window.changed.iter().cloned().map(key).collect()
        } else if last == Some(window.number) || (last.is_none() && window.figures.is_empty()) {
            Vec::new()
        } else {
            self.inner.lock().keys()
        };
        // In small turns, so that what comes meanwhile does not wait.
        for keys in keys.chunks(FILL) {
            let mut inner = self.inner.lock();
            let delta = inner.fill(keys);
            send(&mut inner, delta);
        }
        let measured = match &window.health {
            Health::Asking => Measured::Asking,
            Health::Good | Health::Failing(_) => Measured::Known,
        };
        self.note(&mut self.inner.lock(), measured, window.trouble(), TableDelta::default());
    }

    /// Says what is known of the figures.
    fn note(&self, inner: &mut Inner, measured: Measured, note: Option<String>, mut delta: TableDelta) {
        if inner.note != note {
            inner.note = note;
            delta.sources.push(inner.source(&self.cluster));
        }
        self.measured.send_replace(measured);
        send(inner, delta);
    }

    pub(super) fn listing(&self) -> Option<Listing> {
        let inner = self.inner.lock();
        Some(Listing {
            columns: inner.shown_columns().unwrap_or_default(),
            rows: inner.table.iter().cloned().collect(),
            phase: inner.phase.clone(),
            note: match &*self.measured.borrow() {
                Measured::Absent(error) if inner.measuring > 0 => Some(error.message.clone()),
                _ => inner.note.clone(),
            },
        })
    }
}

/// Merges a delta into every reader's feed; those who are gone are swept by their own tasks.
fn send(inner: &mut Inner, delta: TableDelta) {
    if delta.is_empty() {
        return;
    }
    if let Some(((_, last), others)) = inner.senders.split_last() {
        for (_, sender) in others {
            sender.merge(delta.clone());
        }
        last.merge(delta);
    }
}

impl Lease {
    /// Feeds `sender`, now with what is here and then with every change, until its reader is gone.
    pub(super) fn feed(self, sender: TableSender) {
        let sender = Arc::new(sender);
        let id = {
            let mut inner = self.hub.inner.lock();
            sender.merge(TableDelta {
                reset: false,
                columns: inner.shown_columns(),
                removed: Vec::new(),
                upserts: inner.table.iter().cloned().collect(),
                sources: vec![inner.source(&self.hub.cluster)],
            });
            inner.next_sender += 1;
            let id = inner.next_sender;
            inner.senders.push((id, sender.clone()));
            id
        };
        tokio::spawn(async move {
            sender.closed().await;
            self.hub.inner.lock().senders.retain(|(other, _)| *other != id);
            drop(self);
        });
    }

    /// Wants figures too. True if nobody fills them in yet, which the caller then has to begin.
    pub(super) fn measure(&mut self) -> bool {
        let mut inner = self.hub.inner.lock();
        if !self.measuring {
            self.measuring = true;
            inner.measuring += 1;
        }
        !std::mem::replace(&mut inner.is_filled, true)
    }

    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(*self.hub.phases.borrow(), Phase::Live | Phase::Polling { .. })
    }

    /// Waits until figures are here or it is known why there are none, which is given, but not longer than `patience`.
    pub(super) async fn measured(&self, patience: Duration) -> Option<String> {
        let mut measured = self.hub.measured.subscribe();
        let known = measured.wait_for(|measured| *measured != Measured::Asking);
        // Without an answer in time the rows are given as they are.
        let _ = tokio::time::timeout(patience, known).await.is_ok();
        match &*self.hub.measured.borrow() {
            Measured::Absent(error) => Some(error.message.clone()),
            Measured::Asking => Some(format!("no figures within {} s", patience.as_secs())),
            Measured::Known => None,
        }
    }

    /// Waits until everything is here or it is known why not; true if that was in time.
    pub(super) async fn ready(&self, patience: Duration) -> bool {
        let mut phases = self.hub.phases.subscribe();
        let settled = phases.wait_for(|phase| {
            matches!(phase, Phase::Live | Phase::Polling { .. } | Phase::Failed { .. })
                // What was here before a break is better than nothing after one.
                || matches!(phase, Phase::Reconnecting { attempt, .. } if *attempt > 1)
        });
        tokio::time::timeout(patience, settled).await.is_ok()
    }

    /// Waits until everything is here, but not longer than `patience`.
    pub(super) async fn settled(self, patience: Duration) -> Result<Listing, Error> {
        let in_time = self.ready(patience).await;
        let listing = self.hub.listing();
        match listing {
            Some(listing) => match &listing.phase {
                Phase::Failed { error } => Err(error.clone()),
                Phase::Live | Phase::Polling { .. } => Ok(listing),
                Phase::Reconnecting { reason, .. } if listing.rows.is_empty() => {
                    let trouble = self.hub.inner.lock().trouble.clone();
                    Err(trouble.unwrap_or_else(|| Error::unavailable(reason.clone())))
                }
                _ if listing.rows.is_empty() && !in_time => Err(Error::new(
                    Code::Timeout,
                    format!("{} did not send its rows in {} s", self.hub.cluster, patience.as_secs()),
                )),
                _ => Ok(listing),
            },
            None => Err(Error::internal("a watch without a table")),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut inner = self.hub.inner.lock();
        inner.readers -= 1;
        inner.measuring -= usize::from(self.measuring);
        drop(inner);
        self.hub.left.notify_one();
        self.hub.measured_left.notify_one();
    }
}
