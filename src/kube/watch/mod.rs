//! Watches shared by everyone who looks: one upstream watch for each cluster, kind, namespace and
//! selectors, its rows held once.
//!
//! [`Cluster::watch`] gives a feed that begins with what is known already. [`Cluster::rows`] waits
//! until everything is here and gives it as it is now. A watch ends a little after its last
//! reader left.
//!
//! - `hub`: rows, phase and readers of one watch, behind a lock that is held for moments.
//! - `pump`: the task that keeps a hub current: lists, watches, falls back, reconnects.
//! - `reading`: what is under way in one of its streams.
//! - `shape`: bytes into changes, for pods in protobuf or JSON and for Tables.
//! - `join`: figures of `metrics.k8s.io` in the rows, for readers who want them.
//! - `table`: the rows themselves.
//! - `among`: the rows of some namespaces, from one watch of all or one of each.

mod among;
mod hub;
mod join;
mod pump;
mod reading;
mod shape;
mod table;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::cluster::Cluster;
use super::error::Result;
use super::kinds::Resource;
use super::usage::Pace;
use crate::rows::spec::ColumnSpec;
use crate::rows::{Column, Phase, Row, TableFeed, feed};
use hub::{Hub, Lease};

pub use pump::pauses;

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selection {
    pub resource: Resource,
    /// `None` is all namespaces, and the only choice for what has none.
    pub namespace: Option<String>,
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
    /// Only what this object owns. The server selects by no owner: it sends all, and the others are passed over. Not for
    /// pods, which are found by their owner's labels.
    pub owner: Option<Owner>,
    /// The rows are the containers of the pods that are selected.
    pub containers: bool,
    /// Columns that are read from the whole object.
    pub extra: Vec<ColumnSpec>,
}

impl Selection {
    /// Everything of a kind, in a namespace or in all.
    pub fn all(resource: Resource, namespace: Option<String>) -> Self {
        let namespace = namespace.filter(|n| resource.namespaced && !n.is_empty());
        Self {
            resource,
            namespace,
            labels: None,
            fields: None,
            owner: None,
            containers: false,
            extra: Vec::new(),
        }
    }

    /// The containers of one pod.
    pub fn containers(namespace: String, pod: &str) -> Self {
        let all = Self::all(Resource::pods(), Some(namespace));
        Self { fields: Some(format!("metadata.name={pod}")), containers: true, ..all }
    }

    /// With columns that are read from the whole object, which is then fetched whole.
    #[must_use]
    pub fn with_columns(mut self, extra: Vec<ColumnSpec>) -> Self {
        self.extra = extra;
        self
    }

    /// Narrows it to what an object of the same namespace, or of none, owns.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }

    /// Narrows it by selectors; empty ones are none.
    #[must_use]
    pub fn selecting(mut self, labels: Option<String>, fields: Option<String>) -> Self {
        self.labels = labels.filter(|l| !l.trim().is_empty());
        self.fields = fields.filter(|f| !f.trim().is_empty());
        self
    }
}

/// An owner as what it owns names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// As manifests write it: `CronJob`.
    pub kind: String,
    pub name: String,
}

/// Every row of a selection at one moment.
#[derive(Debug, Clone)]
pub struct Listing {
    pub columns: Arc<[Column]>,
    /// In no particular order.
    pub rows: Vec<Arc<Row>>,
    /// `Live`, `Polling`, or whatever holds when the time to wait was over.
    pub phase: Phase,
    /// Why figures that were wanted are not there, or not of now.
    pub note: Option<String>,
}

/// What the open watches of a cluster hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub watches: usize,
    pub rows: usize,
    /// What the rows take; readers share them.
    pub bytes: usize,
}

/// How long a watch waits for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// It goes on so long after its last reader left.
    pub(super) linger: Duration,
    /// A server that does not know streaming lists sends no end of the initial events: it has so
    /// long to send it,
    pub(super) bookmark_within: Duration,
    /// and so much longer after each row that still comes.
    pub(super) still_coming: Duration,
    /// Between two lists where watching is not allowed.
    pub(super) poll_every: Duration,
    /// Between two tries of what is forbidden, or not there.
    pub(super) refused_again: Duration,
    /// Of the figures.
    pub(super) pace: Pace,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(5),
            bookmark_within: Duration::from_secs(10),
            still_coming: Duration::from_secs(3),
            poll_every: Duration::from_secs(5),
            refused_again: Duration::from_secs(30),
            pace: Pace::default(),
        }
    }
}

/// How long rows that are there wait for their figures.
const FIGURES: Duration = Duration::from_secs(10);

/// The open watches of one cluster.
pub(super) struct Watches {
    times: Times,
    open: Mutex<HashMap<Selection, Arc<Hub>>>,
}

impl Watches {
    pub(super) fn new(times: Times) -> Self {
        Self { times, open: Mutex::default() }
    }

    /// Begins all of them anew: the settings changed.
    pub(super) fn restart(&self) {
        for hub in self.open.lock().values() {
            hub.restart();
        }
    }

    fn held(&self) -> Held {
        let open = self.open.lock();
        let sizes = open.values().map(|hub| hub.size());
        let (rows, bytes) = sizes.fold((0, 0), |(rows, bytes), (r, b)| (rows + r, bytes + b));
        Held { watches: open.len(), rows, bytes }
    }

    /// The hub of a selection with one reader more, begun if there is none.
    fn enter(&self, cluster: &Arc<Cluster>, selection: Selection) -> Lease {
        let mut open = self.open.lock();
        if let Some(lease) = open.get(&selection).and_then(Hub::enter) {
            return lease;
        }
        let hub = Hub::new(cluster.name().clone());
        let lease = Hub::enter_new(&hub);
        open.insert(selection.clone(), hub.clone());
        drop(open);
        pump::start(cluster.clone(), selection, hub);
        lease
    }

    /// As [`Watches::enter`], for a reader who wants figures, where anybody measures such things.
    fn enter_measured(&self, cluster: &Arc<Cluster>, selection: Selection) -> Lease {
        let join = join::Join::of(&selection);
        let mut lease = self.enter(cluster, selection.clone());
        if let Some(join) = join
            && lease.measure()
        {
            join::start(cluster.clone(), selection, lease.hub().clone(), join);
        }
        lease
    }

    /// Forgets a hub that nobody reads; false if somebody came in the meantime.
    fn leave(&self, selection: &Selection, hub: &Arc<Hub>) -> bool {
        let mut open = self.open.lock();
        if !hub.close_if_unread() {
            return false;
        }
        if open.get(selection).is_some_and(|h| Arc::ptr_eq(h, hub)) {
            open.remove(selection);
        }
        true
    }
}

impl Cluster {
    /// Watches a selection: first what is there, then every change, until the feed is dropped.
    /// Needs a runtime.
    pub fn watch(self: &Arc<Self>, selection: Selection) -> TableFeed {
        let (sender, feed) = feed();
        let lease = self.watches().enter(self, selection);
        lease.feed(sender);
        feed
    }

    /// As [`Cluster::watch`], with what pods, containers and nodes take. It is asked for again and again for as long as
    /// the feed is read.
    pub fn watch_measured(self: &Arc<Self>, selection: Selection) -> TableFeed {
        let (sender, feed) = feed();
        let lease = self.watches().enter_measured(self, selection);
        lease.feed(sender);
        feed
    }

    /// As [`Cluster::rows`], with what pods, containers and nodes take, if that is known in time.
    pub async fn rows_measured(
        self: &Arc<Self>,
        selection: Selection,
        patience: Duration,
    ) -> Result<Listing, crate::base::Error> {
        let is_measured = join::Join::of(&selection).is_some();
        let lease = self.watches().enter_measured(self, selection);
        if lease.ready(patience).await && is_measured && lease.is_live() {
            lease.measured(patience.min(FIGURES)).await;
        }
        lease.settled(patience).await
    }

    /// Everything of a selection as it is now. Served at once if it is being watched; else it is
    /// watched for a moment, which later calls find warm. An error is why nothing could be read.
    pub async fn rows(
        self: &Arc<Self>,
        selection: Selection,
        patience: Duration,
    ) -> Result<Listing, crate::base::Error> {
        let lease = self.watches().enter(self, selection);
        lease.settled(patience).await
    }

    /// What its open watches hold.
    pub fn held(&self) -> Held {
        self.watches().held()
    }

    /// The rows of a selection if it is watched now and everything is here.
    pub fn rows_if_watched(&self, selection: &Selection) -> Option<Listing> {
        let hub = self.watches().open.lock().get(selection).cloned()?;
        hub.listing().filter(|l| matches!(l.phase, Phase::Live | Phase::Polling { .. }))
    }
}
