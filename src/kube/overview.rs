//! Every cluster as a row: does it answer, how fast, what is in it.
//!
//! A cluster that does not answer is a row with its reason; it delays no other. Servers are asked
//! only while somebody looks, and only for what no open watch tells already.

use std::sync::Arc;
use std::time::Duration;

use compact_str::{CompactString, format_compact};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::call::{Call, METADATA_LIST};
use super::cluster::Cluster;
use super::contexts::Clusters;
use super::error::{Error, Result};
use super::kinds::Resource;
use super::watch::{Held, Selection};
use crate::base::{self, Code};
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, TableSender, Tone, feed,
};

/// How often clusters are asked while somebody looks.
const EVERY: Duration = Duration::from_secs(15);
/// A server that does not answer by then counts as down.
const PATIENCE: Duration = Duration::from_secs(8);

/// What there is to say of one cluster.
#[derive(Debug, Clone)]
pub struct Overview {
    pub context: Arc<str>,
    pub current: bool,
    pub server: String,
    /// Whom we act as there, if not as the kubeconfig's user.
    pub acting: Option<String>,
    /// `Err` is why it is down; `None` is not asked yet.
    pub version: Option<Result<String, base::Error>>,
    pub latency: Option<Duration>,
    pub nodes: Option<u64>,
    pub pods: Option<u64>,
    /// Open connections to its server.
    pub sockets: u64,
    pub held: Held,
}

impl Overview {
    /// The columns of [`Overview::row`], after NAME, which is the context.
    pub fn columns() -> Arc<[Column]> {
        [
            Column::new("CURRENT", ColumnKind::Text).rank(5),
            Column::new("STATUS", ColumnKind::Status).rank(0),
            Column::new("VERSION", ColumnKind::Text).rank(2),
            Column::new("LATENCY", ColumnKind::Text).rank(4),
            Column::new("NODES", ColumnKind::Number).rank(3),
            Column::new("PODS", ColumnKind::Number).rank(3),
            Column::new("SERVER", ColumnKind::Text).rank(6),
            Column::new("REASON", ColumnKind::Text).rank(1),
            Column::new("AS", ColumnKind::Text).rank(7).wide(),
            Column::new("SOCKETS", ColumnKind::Number).rank(7).wide(),
            Column::new("WATCHES", ColumnKind::Number).rank(7).wide(),
            Column::new("ROWS", ColumnKind::Number).rank(7).wide(),
            Column::new("MEMORY", ColumnKind::Memory).rank(7).wide(),
        ]
        .into()
    }

    pub fn row(&self) -> Row {
        let number =
            |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).map_or(Cell::Unknown, Cell::Number);
        let (status, version, reason, tone) = match &self.version {
            None => ("Connecting", Cell::Unknown, Cell::Unknown, Tone::Dim),
            Some(Ok(version)) => ("Ready", Cell::text(version), Cell::Unknown, Tone::Normal),
            Some(Err(error)) => {
                let word = match error.code {
                    Code::Unauthenticated => "Unauthenticated",
                    Code::PermissionDenied => "Forbidden",
                    Code::InvalidArgument => "Misconfigured",
                    _ => "Down",
                };
                let reason = error.told();
                (word, Cell::Unknown, Cell::text(reason), Tone::Error)
            }
        };
        let latency = self.latency.map_or(Cell::Unknown, |l| Cell::Text(milliseconds(l)));
        let cells = [
            Cell::text(if self.current { "*" } else { "" }),
            Cell::status(status, tone),
            version,
            latency,
            number(self.nodes),
            number(self.pods),
            Cell::text(&self.server),
            reason,
            Cell::text(self.acting.as_deref().unwrap_or_default()),
            number(Some(self.sockets)),
            number(Some(self.held.watches as u64)),
            number(Some(self.held.rows as u64)),
            Cell::Memory(i64::try_from(self.held.bytes).unwrap_or(i64::MAX)),
        ];
        Row { key: RowKey::new("", "", &self.context), cells: Box::new(cells), tone, uid: "".into() }
    }
}

fn milliseconds(latency: Duration) -> CompactString {
    match latency.as_micros() {
        0..10_000 => format_compact!("{:.1} ms", latency.as_secs_f64() * 1000.0),
        _ => format_compact!("{} ms", latency.as_millis()),
    }
}

impl Clusters {
    /// What is known of these clusters without asking.
    pub fn known(&self, clusters: &[Arc<Cluster>]) -> Vec<Overview> {
        let current = self.current();
        clusters.iter().map(|cluster| known(cluster, current.as_ref() == Some(cluster.name()))).collect()
    }

    /// Asks these clusters at once; takes as long as the slowest, at most about 8 s.
    pub async fn overviews(&self, clusters: Vec<Arc<Cluster>>) -> Vec<Overview> {
        let current = self.current();
        let asked = clusters.into_iter().map(|cluster| {
            let is_current = current.as_ref() == Some(cluster.name());
            async move { ask(&cluster, is_current).await }
        });
        futures::future::join_all(asked).await
    }

    /// The clusters of a set, or all, as a table that keeps itself current while it is read. Needs a runtime.
    pub fn watch_overviews(self: &Arc<Self>, set: Option<String>) -> TableFeed {
        let (sender, feed) = feed();
        let clusters = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = clusters.keep_current(set.as_deref(), &sender) => {}
                () = sender.closed() => {}
            }
        });
        feed
    }

    async fn keep_current(&self, set: Option<&str>, sender: &TableSender) {
        let mut changes = self.changes();
        let mut names = Vec::new();
        sender.merge(TableDelta { columns: Some(Overview::columns()), ..TableDelta::default() });
        loop {
            changes.mark_unchanged();
            let clusters = set.map_or_else(|| self.all(), |set| self.among(set).unwrap_or_default());
            let now: Vec<Arc<str>> = clusters.iter().map(|c| c.name().clone()).collect();
            let removed =
                names.iter().filter(|n| !now.contains(n)).map(|n: &Arc<str>| RowKey::new("", "", n));
            let new: Vec<_> =
                self.known(&clusters).into_iter().filter(|o| !names.contains(&o.context)).collect();
            sender.merge(TableDelta {
                removed: removed.collect(),
                upserts: new.iter().map(|o| Arc::new(o.row())).collect(),
                sources: vec![SourceState::new("".into(), self.phase())],
                ..TableDelta::default()
            });
            names = now;
            let mut asking = JoinSet::new();
            let current = self.current();
            for cluster in clusters {
                let is_current = current.as_ref() == Some(cluster.name());
                asking.spawn(async move { ask(&cluster, is_current).await.row() });
            }
            while let Some(answered) = asking.join_next().await {
                if let Ok(row) = answered {
                    sender.merge(TableDelta { upserts: vec![Arc::new(row)], ..TableDelta::default() });
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn phase(&self) -> Phase {
        match self.problem() {
            Some(error) if self.names().is_empty() => Phase::Failed { error: error.into() },
            _ if self.names().is_empty() => Phase::Failed { error: Error::NoContexts.into() },
            _ => Phase::Live,
        }
    }
}

fn known(cluster: &Cluster, current: bool) -> Overview {
    let version = match (cluster.problem(), cluster.known_version()) {
        (Some((_, error)), _) => Some(Err(error.into())),
        (None, version) => version.map(|v| Ok(v.git_version)),
    };
    Overview {
        context: cluster.name().clone(),
        current,
        server: cluster.server(),
        acting: cluster.acting_as(),
        version,
        latency: cluster.latency(),
        nodes: None,
        pods: None,
        sockets: cluster.sockets(),
        held: cluster.held(),
    }
}

async fn ask(cluster: &Cluster, current: bool) -> Overview {
    let mut overview = known(cluster, current);
    let asked = tokio::time::timeout(PATIENCE, async {
        let version = cluster.version().await;
        overview.latency = cluster.latency();
        match version {
            Ok(version) => {
                overview.version = Some(Ok(version.git_version));
                (overview.nodes, overview.pods) =
                    tokio::join!(count(cluster, "/api/v1/nodes"), count_pods(cluster));
            }
            Err(error) => overview.version = Some(Err(error.into())),
        }
    });
    // What it said earlier does not count: it does not answer now.
    if asked.await.is_err() {
        let error = Error::Timeout { server: cluster.server(), seconds: PATIENCE.as_secs() };
        overview.version = Some(Err(error.into()));
    }
    if !matches!(overview.version, Some(Ok(_))) {
        overview.latency = None;
    }
    (overview.sockets, overview.held) = (cluster.sockets(), cluster.held());
    overview
}

async fn count_pods(cluster: &Cluster) -> Option<u64> {
    match cluster.rows_if_watched(&Selection::all(Resource::pods(), None)) {
        Some(listing) => Some(listing.rows.len() as u64),
        None => count(cluster, "/api/v1/pods").await,
    }
}

/// How many objects a list has: one is read, the server counts the rest. `None` where that is not allowed.
async fn count(cluster: &Cluster, path: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        items: Vec<serde::de::IgnoredAny>,
        #[serde(default)]
        metadata: Meta,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Meta {
        remaining_item_count: u64,
    }
    let call = Call::get(path).query("limit", "1").accept(METADATA_LIST);
    let list: List = cluster.read(call).await.ok()?;
    Some(list.items.len() as u64 + list.metadata.remaining_item_count)
}
