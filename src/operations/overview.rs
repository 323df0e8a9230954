//! Operations that look at several kinds at once: every workload in one table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::input::Query;
use super::listing::{self, Page, Wanted};
use super::{Deck, set};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, Watch, define};
use crate::kube::{Cluster, Listing, Selection};
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, TableSender, Tone, feed,
};

pub const LIST: &[Definition<Deck>] = &[define::<WorkloadList>()];

/// Singular, and as discovery resolves it without doubt.
const WORKLOADS: [(&str, &str); 6] = [
    ("deployment", "deployments.apps"),
    ("statefulset", "statefulsets.apps"),
    ("daemonset", "daemonsets.apps"),
    ("cronjob", "cronjobs.batch"),
    ("job", "jobs.batch"),
    ("pod", "pods"),
];

/// Rows of one kind as they are told, with its columns.
pub(super) struct Told {
    pub kind: usize,
    pub columns: Arc<[Column]>,
    pub delta: TableDelta,
}

/// Watches several kinds of a cluster; a kind that the cluster does not have is left out. Also gives how they fare.
pub(super) async fn watch_all(
    cluster: &Arc<Cluster>,
    watch: impl Fn(Selection) -> TableFeed,
    kinds: &'static [(&'static str, &'static str)],
    query: &Query,
) -> Result<(mpsc::Receiver<Told>, Phases)> {
    let (sender, receiver) = mpsc::channel(16);
    let mut phases = Phases::default();
    for (kind, (_, id)) in kinds.iter().enumerate() {
        let resource = match cluster.resolve(id).await {
            Ok(resource) => resource,
            Err(crate::kube::Error::UnknownKind { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let selection = query.clone().selection(resource, None)?;
        let (mut feed, sender) = (watch(selection), sender.clone());
        phases.0.insert(kind, Phase::Connecting);
        tokio::spawn(async move {
            let mut columns: Arc<[Column]> = Arc::from([]);
            loop {
                let delta = tokio::select! {
                    delta = feed.next() => delta,
                    () = sender.closed() => return,
                };
                let Some(delta) = delta else { return };
                if let Some(new) = &delta.columns {
                    columns = new.clone();
                }
                if sender.send(Told { kind, columns: columns.clone(), delta }).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok((receiver, phases))
}

/// The phases of several kinds as one: the worst. A kind of which nothing was told yet connects.
#[derive(Default)]
pub(super) struct Phases(HashMap<usize, Phase>);

impl Phases {
    pub fn take(&mut self, kind: usize, sources: &[SourceState]) -> Option<Phase> {
        self.put(kind, sources.last()?.phase.clone());
        self.worst()
    }

    pub fn put(&mut self, kind: usize, phase: Phase) {
        self.0.insert(kind, phase);
    }

    pub fn worst(&self) -> Option<Phase> {
        Self::worst_of(self.0.values())
    }

    /// The worst of those that are not `left`; of all where that leaves none.
    pub fn worst_but(&self, left: &HashSet<usize>) -> Option<Phase> {
        let others = self.0.iter().filter(|(kind, _)| !left.contains(kind)).map(|(_, phase)| phase);
        Self::worst_of(others).or_else(|| self.worst())
    }

    fn worst_of<'a>(phases: impl Iterator<Item = &'a Phase>) -> Option<Phase> {
        let rank = |phase: &&Phase| match phase {
            Phase::Live => 0,
            Phase::Polling { .. } => 1,
            // Where one kind may not be read the others still are.
            Phase::Failed { .. } => 2,
            Phase::Connecting => 3,
            Phase::Loading { .. } => 4,
            Phase::Reconnecting { .. } => 5,
        };
        phases.max_by_key(rank).cloned()
    }
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct WorkloadListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
}

struct WorkloadList;

fn workload_columns() -> Arc<[Column]> {
    [
        Column::new("KIND", ColumnKind::Text).rank(2),
        Column::new("READY", ColumnKind::Ratio).rank(1),
        Column::new("STATUS", ColumnKind::Status).rank(0),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
    .into()
}

/// A row of some kind as one of all: `deployment/web`, what is ready of what is wanted, and how it is in a word.
fn workload(kind: &str, columns: &[Column], row: &Row) -> Row {
    let cell = |name: &str| {
        let at = columns.iter().position(|c| c.name == name)?;
        row.cells.get(at).filter(|cell| !matches!(cell, Cell::Unknown))
    };
    let number = |name: &str| match cell(name) {
        Some(Cell::Number(n)) => u32::try_from(*n).ok(),
        _ => None,
    };
    let ready = match (cell("READY").or_else(|| cell("COMPLETIONS")), number("READY").zip(number("DESIRED")))
    {
        (_, Some((ready, wanted))) => Cell::Ratio(ready, wanted),
        (Some(ratio @ Cell::Ratio(..)), _) => ratio.clone(),
        _ => Cell::Unknown,
    };
    let suspended = matches!(cell("SUSPEND"), Some(Cell::Text(t) | Cell::Status(t, _)) if t == "True");
    let (status, tone) = match (cell("STATUS"), &ready) {
        (Some(Cell::Status(word, tone)), _) => (word.clone(), *tone),
        (Some(Cell::Text(word)), _) => (word.clone(), row.tone),
        _ if suspended => ("Suspended".into(), Tone::Dim),
        (None, Cell::Ratio(ready, wanted)) if ready < wanted => ("NotReady".into(), Tone::Pending),
        (None, Cell::Ratio(..)) => ("Ready".into(), Tone::Normal),
        _ => ("–".into(), row.tone),
    };
    let tone = if row.tone == Tone::Killed { Tone::Killed } else { tone };
    let age = cell("AGE").cloned().unwrap_or_default();
    Row {
        key: workload_key(kind, &row.key),
        cells: [Cell::text(kind), ready, Cell::Status(status, tone), age].into(),
        tone,
        uid: row.uid.clone(),
    }
}

fn workload_key(kind: &str, key: &RowKey) -> RowKey {
    RowKey::new(key.cluster.clone(), &key.namespace, format!("{kind}/{}", key.name))
}

impl Operation for WorkloadList {
    type Deck = Deck;
    type Input = WorkloadListInput;
    type Output = Page;

    const SPEC: Spec = Spec::observe(
        "workload_list",
        "/v1/workloads",
        "List Deployments, StatefulSets, DaemonSets, CronJobs, Jobs and Pods in one table.",
    )
    .asking_each();
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.query.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within().target("workload", "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.query)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let namespaces = input.query.namespace.is_none();
        let wanted = Wanted { namespaces, ..Wanted::of(&input.query, &cx) };
        if set::is_several(&input.query) {
            return set::page(&deck, &cx, &input.query, wanted, opening()).await;
        }
        let cluster = input.query.place(&deck)?;
        let mut all =
            Listing { columns: workload_columns(), rows: Vec::new(), phase: Phase::Live, note: None };
        for (kind, id) in WORKLOADS {
            let selection = input.query.clone().selection(cluster.resolve(id).await?, None)?;
            let listing = cluster.rows(selection, listing::PATIENCE).await?;
            let rows = listing.rows.iter().map(|row| Arc::new(workload(kind, &listing.columns, row)));
            all.rows.extend(rows);
            if listing.phase != Phase::Live {
                all.phase = listing.phase;
            }
        }
        listing::paged(all, &wanted)
    }

    async fn watch(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let filter = input.query.filter.take();
        if set::is_several(&input.query) {
            let feed = set::watch(&deck, &cx, &input.query, opening())?;
            return Ok(Watch::table(listing::sifted(feed, filter, true, true)));
        }
        let namespaces = input.query.namespace.is_none();
        let cluster = input.query.place(&deck)?;
        let feed = watch_workloads(&cluster, |selection| cluster.watch(selection), &input.query).await?;
        Ok(Watch::table(listing::sifted(feed, filter, false, namespaces)))
    }
}

fn opening() -> set::Open {
    Arc::new(|member| {
        Box::pin(async move {
            watch_workloads(&member.cluster, |selection| member.watch(selection), &member.query).await
        })
    })
}

async fn watch_workloads(
    cluster: &Arc<Cluster>,
    watch: impl Fn(Selection) -> TableFeed,
    query: &Query,
) -> Result<TableFeed> {
    let (told, phases) = watch_all(cluster, watch, &WORKLOADS, query).await?;
    let (sender, feed) = feed();
    sender.merge(TableDelta { columns: Some(workload_columns()), ..TableDelta::default() });
    tokio::spawn(merge_workloads(told, phases, sender, cluster.name().clone()));
    Ok(feed)
}

async fn merge_workloads(
    mut told: mpsc::Receiver<Told>,
    mut phases: Phases,
    sender: TableSender,
    cluster: Arc<str>,
) {
    while let Some(Told { kind, columns, delta }) = tokio::select! {
        told = told.recv() => told,
        () = sender.closed() => None,
    } {
        let word = WORKLOADS[kind].0;
        let phase = phases.take(kind, &delta.sources);
        sender.merge(TableDelta {
            removed: delta.removed.iter().map(|key| workload_key(word, key)).collect(),
            upserts: delta.upserts.iter().map(|row| Arc::new(workload(word, &columns, row))).collect(),
            sources: phase.map(|phase| SourceState::new(cluster.clone(), phase)).into_iter().collect(),
            ..TableDelta::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cells: Vec<Cell>, tone: Tone) -> Row {
        Row { key: RowKey::new("c", "shop", name), cells: cells.into(), tone, uid: "".into() }
    }

    #[test]
    fn every_kind_says_in_the_same_columns_how_it_is() {
        let text = |columns: &[(&str, ColumnKind)], cells: Vec<Cell>| {
            let columns: Vec<Column> = columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect();
            let row = workload("x", &columns, &row("a", cells, Tone::Normal));
            (row.key.name.to_string(), row.cells[1].clone(), row.cells[2].display(0).to_string(), row.tone)
        };
        let deployment = text(&[("READY", ColumnKind::Ratio)], vec![Cell::Ratio(1, 3)]);
        assert_eq!(deployment, ("x/a".into(), Cell::Ratio(1, 3), "NotReady".into(), Tone::Pending));
        let daemon = text(
            &[("DESIRED", ColumnKind::Number), ("READY", ColumnKind::Number)],
            vec![Cell::Number(2), Cell::Number(2)],
        );
        assert_eq!(daemon, ("x/a".into(), Cell::Ratio(2, 2), "Ready".into(), Tone::Normal));
        let cron = text(&[("SUSPEND", ColumnKind::Text)], vec![Cell::text("True")]);
        assert_eq!((cron.1, cron.2.as_str()), (Cell::Unknown, "Suspended"));
        let pod = text(
            &[("READY", ColumnKind::Ratio), ("STATUS", ColumnKind::Status)],
            vec![Cell::Ratio(0, 1), Cell::status("CrashLoopBackOff", Tone::Error)],
        );
        assert_eq!((pod.2.as_str(), pod.3), ("CrashLoopBackOff", Tone::Error));
    }
}
