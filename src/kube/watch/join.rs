//! Figures of `metrics.k8s.io` in the rows of a watch: rows come first, and are filled in as figures are told.
//!
//! A row that comes is given the figures at hand; a window of figures changes the rows of those figures only that differ
//! from the window before.

use std::sync::Arc;
use std::time::Duration;

use super::Selection;
use super::hub::Hub;
use crate::kube::cluster::Cluster;
use crate::kube::usage::{self, Amount, Figures, Named, Scope};
use crate::rows::{Column, ColumnKind, Phase, Row};

/// Whose figures the rows of a watch show.
#[derive(Debug, Clone)]
pub(super) enum Join {
    Pods,
    Nodes,
    /// The rows are the containers of this pod.
    Containers(String),
}

impl Join {
    /// `None` where the rows are of what nobody measures.
    pub(super) fn of(selection: &Selection) -> Option<Self> {
        let pod = || selection.fields.as_deref()?.strip_prefix("metadata.name=");
        match selection {
            Selection { containers: true, .. } => Some(Join::Containers(pod()?.to_owned())),
            Selection { resource, .. } if resource.is_pods() => Some(Join::Pods),
            Selection { resource, .. } if resource.is_nodes() => Some(Join::Nodes),
            _ => None,
        }
    }

    fn scope(&self, selection: &Selection) -> Scope {
        match self {
            Join::Nodes => Scope::Nodes,
            Join::Pods => Scope::within(selection.namespace.as_deref()),
            Join::Containers(pod) => Scope::Pod(selection.namespace.clone().unwrap_or_default(), pod.clone()),
        }
    }

    fn amount(&self, figures: &Figures, row: &Row) -> Option<Amount> {
        let (namespace, name) = (row.key.namespace.as_str(), row.key.name.as_str());
        match self {
            Join::Pods => figures.get(&Named(namespace, name)).map(|f| f.total),
            Join::Nodes => figures.get(&Named("", name)).map(|f| f.total),
            Join::Containers(pod) => figures.get(&Named(namespace, pod))?.container(name),
        }
    }

    /// Whether each figure that changed is of one row.
    pub(super) fn is_by_row(&self) -> bool {
        !matches!(self, Join::Containers(_))
    }
}

/// The figures at hand, and where they stand in the rows.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    pub(super) join: Join,
    pub(super) figures: Arc<Figures>,
    /// The window that they are of.
    pub(super) number: u64,
}

impl Joined {
    /// Puts the row's figures into it; true if that changed it. `at`: see [`place`].
    pub(super) fn fill(&self, row: &mut Row, at: usize) -> bool {
        let amount = self.join.amount(&self.figures, row);
        usage::fill(&mut row.cells, at, matches!(self.join, Join::Nodes), amount)
    }
}

/// Where the figures stand among the columns.
pub(super) fn place(columns: &[Column]) -> Option<usize> {
    columns.iter().position(|c| c.name == "CPU" && c.kind == ColumnKind::Cpu)
}

/// The columns as they are shown where the figures are known to be there.
pub(super) fn shown(columns: &[Column]) -> Arc<[Column]> {
    columns.iter().map(|c| Column { hidden: c.hidden && !usage::is_figure(&c.name), ..c.clone() }).collect()
}

/// A cluster that could not be asked what it has is asked again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// Starts the task that fills in the figures; it ends a little after the last reader that wants them has left.
pub(super) fn start(cluster: Arc<Cluster>, selection: Selection, hub: Arc<Hub>, join: Join) {
    tokio::spawn(async move {
        let linger = cluster.watches().times.linger;
        loop {
            tokio::select! {
                () = fill(&cluster, &selection, &hub, &join) => {}
                () = hub.unmeasured(linger) => {}
            }
            if hub.close_figures_if_unread() {
                return;
            }
        }
    });
}

/// Fills in figures for as long as it is polled.
async fn fill(cluster: &Arc<Cluster>, selection: &Selection, hub: &Hub, join: &Join) {
    // Rows first: what is asked for them must not wait for figures.
    let mut phases = hub.phases();
    let ready = |phase: &Phase| matches!(phase, Phase::Live | Phase::Polling { .. });
    if phases.wait_for(ready).await.is_err() {
        return;
    }
    let kinds = loop {
        match cluster.kinds().await {
            Ok(kinds) => break kinds,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    };
    let Some(version) = usage::version(&kinds) else {
        hub.no_figures(usage::absent(cluster.name()));
        return std::future::pending().await;
    };
    hub.show_figures();
    let mut reader = cluster.metrics().read(cluster, join.scope(selection), version, false);
    loop {
        hub.take_figures(join, &reader.window());
        reader.changed().await;
    }
}
