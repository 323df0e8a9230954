//! What pods, containers and nodes take: the figures of `metrics.k8s.io`, asked for while somebody looks.
//!
//! The metrics API cannot be watched. Each scope (a pod, a namespace, all pods, the nodes) that somebody reads is listed
//! again every [`Pace::every`], once for all its readers; nobody reads, nothing is asked. A cluster whose discovery
//! names no `metrics.k8s.io` is never asked.
//!
//! - `book`: what was told, what of it changed, what is too old, and the samples of the last while. No I/O.
//! - `poll`: the task that asks.
//! - `list`: the lists on the wire.
//! - `figures`: the columns of a table that they fill, and the cells in them.
//! - `measured`: pods' containers with what they ask for and take.
//! - `advice`: right-sizing. Pure.
//! - `trend`: samples as one line. Pure.
//! - `prometheus`: a longer past, where there is one.

mod advice;
mod book;
mod figures;
mod list;
mod measured;
mod poll;
mod prometheus;
mod trend;

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;

use super::cluster::Cluster;
use super::kinds::{Kinds, Resource};
use crate::base::{Code, Error};

pub use advice::{Advice, Observed, advise};
pub use book::{Figure, Figures, Health, Key, Named, Sample, Window};
pub(super) use figures::{LIMITS, columns, fill, limits, node_allocatable, node_cells, node_columns};
pub use figures::{Shares, cells, is_figure, shown_columns};
pub use measured::{Container, Which, containers, of_pod};
pub(super) use poll::Metrics;
pub use poll::Reader;
pub use prometheus::{Prometheus, Range};
pub use trend::{Trend, sum};

/// What was measured: CPU in nanocores, memory in bytes (the working set).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub cpu: i64,
    pub memory: i64,
}

impl Amount {
    /// Thousandths of a core, rounded up as kubectl and k9s do: what runs is never shown as nothing.
    pub fn millicores(self) -> i64 {
        self.cpu.div_euclid(1_000_000) + i64::from(self.cpu.rem_euclid(1_000_000) > 0)
    }

    /// Bytes in the unit that is shown: whole mebibytes from one up. What is not seen to change is then no change.
    pub fn shown_memory(self) -> i64 {
        const MEBI: i64 = 1 << 20;
        if self.memory < MEBI { self.memory } else { self.memory / MEBI * MEBI }
    }
}

impl std::ops::Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(other.cpu), memory: self.memory.saturating_add(other.memory) }
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| a + b)
    }
}

/// Whose figures.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Nodes,
    /// Pods of all namespaces.
    Pods,
    Namespace(String),
    /// By namespace and name.
    Pod(String, String),
}

impl Scope {
    /// The pods of a namespace, or of all.
    pub fn within(namespace: Option<&str>) -> Self {
        namespace.map_or(Scope::Pods, |namespace| Scope::Namespace(namespace.to_owned()))
    }

    /// Whether what is asked for this scope has everything of the other.
    fn covers(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::Pods, Scope::Namespace(_) | Scope::Pod(..)) => true,
            (Scope::Namespace(a), Scope::Pod(b, _)) => a == b,
            (a, b) => a == b,
        }
    }
}

/// How often is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A metrics-server measures every 15 s as it is usually installed.
    pub every: Duration,
    /// Where a list is long.
    pub large: Duration,
    /// After a refusal: a right is not given every minute.
    pub refused: Duration,
    /// How long the samples are kept after the last reader left.
    pub keep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(15),
            large: Duration::from_secs(30),
            refused: Duration::from_secs(120),
            keep: Duration::from_secs(600),
        }
    }
}

const GROUP: &str = "metrics.k8s.io";

/// The version at which a cluster serves metrics, `None` if it has none. One whose metrics server is down has them:
/// that it does not answer is told when it is asked.
pub(in crate::kube) fn version(kinds: &Kinds) -> Option<Arc<str>> {
    match kinds.find("pods.metrics.k8s.io") {
        Some(found) => Some(found.version.clone()),
        None => kinds.is_broken(GROUP).then(|| "v1beta1".into()),
    }
}

/// The path of a scope's list, and the field selector.
fn path(version: &Arc<str>, scope: &Scope) -> (String, Option<String>) {
    let pods = Resource { group: GROUP.into(), version: version.clone(), ..Resource::pods() };
    match scope {
        Scope::Nodes => {
            let nodes = Resource { plural: "nodes".into(), namespaced: false, ..pods };
            (nodes.path(None, None), None)
        }
        Scope::Pods => (pods.path(None, None), None),
        Scope::Namespace(namespace) => (pods.path(Some(namespace), None), None),
        // Asked for by name, a pod that has no figures yet would be an error.
        Scope::Pod(namespace, name) => {
            (pods.path(Some(namespace), None), Some(format!("metadata.name={name}")))
        }
    }
}

/// Says that a cluster has no figures.
pub fn absent(cluster: &str) -> Error {
    Error::new(
        Code::Unsupported,
        format!("{cluster} has no metrics.k8s.io, so that nobody measures its pods"),
    )
    .next("Install metrics-server, or configure a Prometheus for it (kubernetes.prometheus).")
}

/// The key of a row or an object.
pub fn key(namespace: &str, name: &str) -> Key {
    (CompactString::new(namespace), CompactString::new(name))
}

impl Cluster {
    /// The figures of a scope as they are now: those at hand, else asked for and waited for.
    pub async fn usage(self: &Arc<Self>, scope: Scope, patience: Duration) -> crate::base::Result<Reader> {
        let kinds = self.kinds().await?;
        let version = version(&kinds).ok_or_else(|| absent(self.name()))?;
        let mut reader = self.metrics().read(self, scope, version, true);
        reader.settled(patience).await?;
        Ok(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_as_kubectl_rounds_them() {
        let amount = |cpu, memory| Amount { cpu, memory };
        let shown: Vec<_> = [amount(61_469_244, 622_592), amount(0, 0), amount(62_000_000, (5 << 20) + 77)]
            .map(|a| (a.millicores(), a.shown_memory()))
            .into();
        assert_eq!(shown, [(62, 622_592), (0, 0), (62, 5 << 20)]);
    }

    #[test]
    fn a_scope_is_served_by_a_larger_one_that_is_asked_for_anyway() {
        let namespace = Scope::Namespace("a".into());
        let pod = Scope::Pod("a".into(), "p".into());
        assert!(Scope::Pods.covers(&namespace) && Scope::Pods.covers(&pod) && namespace.covers(&pod));
        assert!(!namespace.covers(&Scope::Pods) && !Scope::Pods.covers(&Scope::Nodes));
        assert!(!Scope::Namespace("b".into()).covers(&pod));
        assert_eq!(path(&"v1beta1".into(), &pod).0, "/apis/metrics.k8s.io/v1beta1/namespaces/a/pods");
        assert_eq!(path(&"v1".into(), &Scope::Nodes).0, "/apis/metrics.k8s.io/v1/nodes");
    }
}
