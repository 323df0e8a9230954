//! Where one upstream watch and its readers meet.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Listing;
use super::table::Table;
use crate::base::{Code, Error};
use crate::rows::{Column, Phase, Row, RowKey, SourceState, TableDelta, TableSender};

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
    /// Somebody wants it now: end a pause between two tries.
    poked: Notify,
    /// Counts up when everything must begin anew.
    restarts: watch::Sender<u64>,
    /// For those who wait until everything is here.
    phases: watch::Sender<Phase>,
}

struct Inner {
    table: Table,
    columns: Option<Arc<[Column]>>,
    phase: Phase,
    /// Why it is reconnecting, with its code and next step.
    trouble: Option<Error>,
    senders: Vec<(u64, Arc<TableSender>)>,
    readers: usize,
    next_sender: u64,
    closed: bool,
}

/// One reader's stay. Dropping it leaves.
pub(super) struct Lease {
    hub: Arc<Hub>,
}

impl Hub {
    pub(super) fn new(cluster: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            inner: Mutex::new(Inner {
                table: Table::default(),
                columns: None,
                phase: Phase::Connecting,
                trouble: None,
                senders: Vec::new(),
                readers: 0,
                next_sender: 0,
                closed: false,
            }),
            left: Notify::new(),
            poked: Notify::new(),
            restarts: watch::channel(0).0,
            phases: watch::channel(Phase::Connecting).0,
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
        Some(Lease { hub: hub.clone() })
    }

    /// Comes in as the first reader of a hub just made.
    pub(super) fn enter_new(hub: &Arc<Self>) -> Lease {
        hub.inner.lock().readers += 1;
        Lease { hub: hub.clone() }
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
        send(&mut inner, TableDelta { columns: Some(columns.clone()), ..TableDelta::default() });
    }

    /// Takes changes in their order; tells the readers only what differs from what they have.
    pub(super) fn apply(&self, changes: &mut Vec<Change>, phase: Option<Phase>) {
        let mut inner = self.inner.lock();
        let mut delta = TableDelta::default();
        for change in changes.drain(..) {
            match change {
                Change::Upsert(row) => delta.upserts.extend(inner.table.upsert(row)),
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
            delta.sources.push(SourceState { cluster: self.cluster.clone(), phase: phase.clone() });
            self.phases.send_replace(phase);
        }
        send(inner, delta);
    }

    pub(super) fn listing(&self) -> Option<Listing> {
        let inner = self.inner.lock();
        Some(Listing {
            columns: inner.columns.clone().unwrap_or_default(),
            rows: inner.table.iter().cloned().collect(),
            phase: inner.phase.clone(),
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
                columns: inner.columns.clone(),
                removed: Vec::new(),
                upserts: inner.table.iter().cloned().collect(),
                sources: vec![SourceState { cluster: self.hub.cluster.clone(), phase: inner.phase.clone() }],
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

    /// Waits until everything is here, but not longer than `patience`.
    pub(super) async fn settled(self, patience: Duration) -> Result<Listing, Error> {
        let mut phases = self.hub.phases.subscribe();
        let settled = phases.wait_for(|phase| {
            matches!(phase, Phase::Live | Phase::Polling { .. } | Phase::Failed { .. })
                // What was here before a break is better than nothing after one.
                || matches!(phase, Phase::Reconnecting { attempt, .. } if *attempt > 1)
        });
        let in_time = tokio::time::timeout(patience, settled).await.is_ok();
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
        self.hub.inner.lock().readers -= 1;
        self.hub.left.notify_one();
    }
}
