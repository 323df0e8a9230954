//! What one cluster tells of its kinds, counted: rows of numbers from which a [`super::board::Board`] is made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::charge::{Charge, FIGURES};
use super::super::input::Query;
use super::super::overview::{Told, watch_all};
use super::PULSES;
use crate::base::{Code, Result};
use crate::kube::{Cluster, Selection};
use crate::rows::{Cell, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, Tone, feed};

/// The counts of one kind.
#[derive(Default)]
pub struct Tally {
    tones: HashMap<RowKey, Tone>,
    waiting: usize,
    failing: usize,
    /// Whether the server told of this kind at all: nothing told is not nothing there.
    told: bool,
    /// Why it did not.
    why: String,
}

impl Tally {
    pub fn take(&mut self, delta: &TableDelta) {
        if delta.reset {
            *self = Self { told: self.told, why: std::mem::take(&mut self.why), ..Self::default() };
        }
        for key in &delta.removed {
            let old = self.tones.remove(key);
            self.count(old, None);
        }
        for row in &delta.upserts {
            let old = self.tones.insert(row.key.clone(), row.tone);
            self.count(old, Some(row.tone));
        }
        for source in &delta.sources {
            self.hear(&source.phase);
        }
        self.told |= !delta.upserts.is_empty();
    }

    fn count(&mut self, old: Option<Tone>, new: Option<Tone>) {
        let is = |tone: Option<Tone>, wanted: Tone| usize::from(tone == Some(wanted));
        self.waiting = self.waiting + is(new, Tone::Pending) - is(old, Tone::Pending);
        self.failing = self.failing + is(new, Tone::Error) - is(old, Tone::Error);
    }

    pub fn hear(&mut self, phase: &Phase) {
        match phase {
            Phase::Live | Phase::Polling { .. } => self.told = true,
            Phase::Connecting | Phase::Loading { .. } => {}
            Phase::Reconnecting { reason, .. } => self.why.clone_from(reason),
            Phase::Failed { error } => {
                // What was told before is true no more, and nobody tells how it is now.
                self.told = false;
                self.why.clone_from(&error.message);
            }
        }
    }

    /// Total, waiting, failing, or why that is not known.
    pub fn counts(&self) -> Result<[usize; 3], &str> {
        if self.told { Ok([self.tones.len(), self.waiting, self.failing]) } else { Err(&self.why) }
    }

    /// As a row of its kind. `scope`: which namespaces it counts, where others count others of the same cluster.
    pub fn row(&self, cluster: &Arc<str>, scope: &str, kind: &str) -> Arc<Row> {
        match self.counts() {
            Ok(counts) => row(cluster, scope, kind, counts.map(|n| n as u64)),
            Err(why) => {
                let key = RowKey::new(cluster.clone(), scope, kind);
                Arc::new(Row { key, cells: [Cell::text(why)].into(), tone: Tone::Normal, uid: "".into() })
            }
        }
    }
}

fn row(cluster: &Arc<str>, scope: &str, kind: &str, numbers: impl IntoIterator<Item = u64>) -> Arc<Row> {
    let number = |n: u64| Cell::Number(i64::try_from(n).unwrap_or(i64::MAX));
    Arc::new(Row {
        key: RowKey::new(cluster.clone(), scope, kind),
        cells: numbers.into_iter().map(number).collect(),
        tone: Tone::Normal,
        uid: "".into(),
    })
}

/// What the nodes take and have, as a row of each figure.
pub fn figures(charge: &Charge, cluster: &Arc<str>) -> Vec<Arc<Row>> {
    let sums = charge.sums().into_iter().flatten();
    sums.zip(FIGURES).map(|(sum, name)| row(cluster, "", name, [sum.taken, sum.has])).collect()
}

/// Counts the kinds of a cluster as they change. `scope` is told with each count of what has a namespace.
pub async fn watch(
    cluster: &Arc<Cluster>,
    watch: impl Fn(Selection) -> TableFeed,
    query: &Query,
    scope: String,
) -> Result<TableFeed> {
    let (mut told, mut phases) = watch_all(cluster, watch, &PULSES, query).await?;
    let (sender, feed) = feed();
    let name = cluster.name().clone();
    tokio::spawn(async move {
        let mut tallies: HashMap<usize, Tally> = HashMap::new();
        let (mut charge, mut denied) = (Charge::default(), HashSet::new());
        while let Some(Told { kind, columns, delta }) = tokio::select! {
            told = told.recv() => told,
            () = sender.closed() => None,
        } {
            let word = PULSES[kind].0;
            let tally = tallies.entry(kind).or_default();
            tally.take(&delta);
            let scope = if matches!(word, "node" | "namespace") { "" } else { &scope };
            let mut upserts = vec![tally.row(&name, scope, word)];
            if word == "node" {
                charge.take(&columns, &delta);
                upserts.extend(figures(&charge, &name));
            }
            let phase = delta.sources.last().and_then(|source| {
                let is_denied =
                    matches!(&source.phase, Phase::Failed { error } if error.code == Code::PermissionDenied);
                if is_denied {
                    denied.insert(kind)
                } else {
                    denied.remove(&kind)
                };
                phases.put(kind, source.phase.clone());
                phases.worst_but(&denied)
            });
            let sources = phase.map(|phase| SourceState::new(name.clone(), phase)).into_iter().collect();
            sender.merge(TableDelta { upserts, sources, ..TableDelta::default() });
        }
    });
    Ok(feed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_what_is_there_now() {
        let delta = |names: &[(&str, Tone)], removed: &[&str]| TableDelta {
            upserts: names
                .iter()
                .map(|(n, tone)| {
                    let key = RowKey::new("c", "shop", n);
                    Arc::new(Row { key, cells: [].into(), tone: *tone, uid: "".into() })
                })
                .collect(),
            removed: removed.iter().map(|n| RowKey::new("c", "shop", n)).collect(),
            ..TableDelta::default()
        };
        let mut tally = Tally::default();
        tally.hear(&Phase::Connecting);
        assert_eq!(tally.counts(), Err(""), "what nobody told is not 0");
        let reason = "no way there".to_owned();
        tally.hear(&Phase::Reconnecting { reason, next: String::new(), since: 0, attempt: 1 });
        assert_eq!(tally.counts(), Err("no way there"));
        tally.hear(&Phase::Live);
        assert_eq!(tally.counts(), Ok([0, 0, 0]));
        tally.take(&delta(&[("a", Tone::Normal), ("b", Tone::Error), ("c", Tone::Pending)], &[]));
        assert_eq!(tally.counts(), Ok([3, 1, 1]));
        tally.take(&delta(&[("b", Tone::Normal)], &["c"]));
        assert_eq!(tally.counts(), Ok([2, 0, 0]));
        tally.take(&TableDelta { reset: true, ..delta(&[("d", Tone::Error)], &[]) });
        assert_eq!(tally.counts(), Ok([1, 0, 1]));
        tally.hear(&Phase::Failed { error: crate::base::Error::unavailable("gone") });
        assert_eq!(tally.counts(), Err("gone"));
    }
}
