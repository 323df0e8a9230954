//! The pulses of a cluster: how many of each kind there are, and how many of them are well, waiting and failing.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::charge::{Charge, note};
use super::input::{Query, Within};
use super::overview::{Phases, Told, watch_all};
use super::{Deck, listing};
use crate::base::{Code, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::Selection;
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, TableSender, Tone,
    feed, spark,
};

pub const LIST: &[Definition<Deck>] = &[define::<PulseList>()];

const PULSES: [(&str, &str); 10] = [
    ("node", "nodes"),
    ("namespace", "namespaces"),
    ("deployment", "deployments.apps"),
    ("statefulset", "statefulsets.apps"),
    ("daemonset", "daemonsets.apps"),
    ("replicaset", "replicasets.apps"),
    ("job", "jobs.batch"),
    ("pod", "pods"),
    ("persistentvolumeclaim", "persistentvolumeclaims"),
    ("event", "events"),
];

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct PulseListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Of every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
}

impl PulseListInput {
    fn query(&self) -> Query {
        let Within { cluster, namespace } = self.within.clone();
        Query { cluster, namespace, all_namespaces: self.all_namespaces, ..Query::default() }
    }
}

/// How many there are of each kind, and how many of them need a look.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PulseListOutput {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Why there are no counts where a row has `–`: the kind, and the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<[String; 2]>,
    /// Of the nodes that are measured: `1617m of 2000m (80 %)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

struct PulseList;

fn pulse_columns() -> Arc<[Column]> {
    [
        Column::new("TOTAL", ColumnKind::Number).rank(1),
        Column::new("WELL", ColumnKind::Number).rank(1),
        Column::new("WAITING", ColumnKind::Number).rank(2),
        Column::new("FAILING", ColumnKind::Number).rank(1),
        Column::new("CHART", ColumnKind::Status).rank(0),
        Column::new("LATELY", ColumnKind::Status).rank(3),
    ]
    .into()
}

/// The counts of one kind, and what its faults were before.
#[derive(Default)]
struct Pulse {
    tones: HashMap<RowKey, Tone>,
    lately: Vec<u64>,
    /// Whether the server told of this kind at all: nothing told is not nothing there.
    told: bool,
    /// Why it did not.
    why: String,
}

/// Cells of a chart.
const WIDTH: usize = 30;

impl Pulse {
    fn take(&mut self, delta: &TableDelta) {
        if delta.reset {
            self.tones.clear();
        }
        for key in &delta.removed {
            self.tones.remove(key);
        }
        for row in &delta.upserts {
            self.tones.insert(row.key.clone(), row.tone);
        }
        for source in &delta.sources {
            self.hear(&source.phase);
        }
        self.told |= !delta.upserts.is_empty();
        if !self.told {
            return;
        }
        let failing = self.faults().1 as u64;
        note(&mut self.lately, failing);
    }

    fn hear(&mut self, phase: &Phase) {
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

    fn faults(&self) -> (usize, usize) {
        let count = |wanted: Tone| self.tones.values().filter(|tone| **tone == wanted).count();
        (count(Tone::Pending), count(Tone::Error))
    }

    fn counts(&self) -> [usize; 4] {
        let (waiting, failing) = self.faults();
        let total = self.tones.len();
        [total, total - waiting - failing, waiting, failing]
    }

    fn row(&self, cluster: &Arc<str>, kind: &str) -> Row {
        let key = RowKey::new(cluster.clone(), "", kind);
        if !self.told {
            let (why, tone) =
                if self.why.is_empty() { ("…", Tone::Dim) } else { (self.why.as_str(), Tone::Pending) };
            let mut cells = [const { Cell::Unknown }; 6];
            cells[4] = Cell::status(why, tone);
            return Row { key, cells: cells.into(), tone: Tone::Normal, uid: "".into() };
        }
        let [total, well, waiting, failing] = self.counts();
        let tone = match (failing, waiting) {
            (0, 0) => Tone::Normal,
            (0, _) => Tone::Pending,
            _ => Tone::Error,
        };
        let number = |n: usize| Cell::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let cells = [
            number(total),
            number(well),
            number(waiting),
            number(failing),
            Cell::Status(chart(total, well, waiting), tone),
            Cell::Status(spark::line(&self.lately), if failing > 0 { Tone::Error } else { Tone::Dim }),
        ];
        Row { key, cells: cells.into(), tone, uid: "".into() }
    }
}

/// Well, waiting and failing as one bar. What is there has at least one cell.
fn chart(total: usize, well: usize, waiting: usize) -> CompactString {
    if total == 0 {
        return "·".repeat(WIDTH).into();
    }
    let share = |n: usize| if n == 0 { 0 } else { (n * WIDTH / total).max(1) };
    let failing = share(total - well - waiting);
    let waiting = share(waiting);
    let well = WIDTH.saturating_sub(failing + waiting);
    format!("{}{}{}", "█".repeat(well), "▒".repeat(waiting), "░".repeat(failing)).into()
}

impl Operation for PulseList {
    type Deck = Deck;
    type Input = PulseListInput;
    type Output = PulseListOutput;

    const SPEC: Spec = Spec::observe(
        "pulse_list",
        "/v1/pulses",
        "Count the objects of the kinds that matter: how many are well, waiting and failing.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill_or_all(deck, input.all_namespaces).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("pulse", "")
    }

    async fn run(deck: Arc<Deck>, _: Context, mut input: Self::Input) -> Result<Self::Output> {
        let cluster = input.within.fill_or_all(&deck, input.all_namespaces)?;
        let (mut rows, mut unknown, mut charge) = (Vec::new(), Vec::new(), Charge::default());
        for (kind, id) in PULSES {
            let Ok(resource) = cluster.resolve(id).await else { continue };
            let selection: Selection = input.query().selection(resource, None)?;
            let listing = match kind {
                "node" => cluster.rows_measured(selection, listing::PATIENCE).await,
                _ => cluster.rows(selection, listing::PATIENCE).await,
            };
            let listing = match listing {
                Ok(listing) => listing,
                // The other kinds may be read; of a server that does not answer nothing is known.
                Err(error) if error.code == Code::PermissionDenied => {
                    rows.push(std::iter::once(kind).chain(["–"; 4]).map(str::to_owned).collect());
                    unknown.push([kind.to_owned(), error.message]);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut pulse = Pulse::default();
            let told = TableDelta { upserts: listing.rows, ..TableDelta::default() };
            pulse.take(&told);
            if kind == "node" {
                charge.take(&listing.columns, &told);
            }
            let counts = pulse.counts().map(|n| n.to_string());
            rows.push(std::iter::once(kind.to_owned()).chain(counts).collect());
        }
        let [cpu, memory] = charge.words().map_or([None, None], |words| words.map(Some));
        let columns = vec!["KIND", "TOTAL", "WELL", "WAITING", "FAILING"];
        Ok(PulseListOutput { columns, rows, unknown, cpu, memory })
    }

    async fn watch(deck: Arc<Deck>, _: Context, mut input: Self::Input) -> Result<Watch> {
        let cluster = input.within.fill_or_all(&deck, input.all_namespaces)?;
        // Its nodes with what they take.
        let watch = |selection: Selection| {
            if selection.resource.is_nodes() {
                cluster.watch_measured(selection)
            } else {
                cluster.watch(selection)
            }
        };
        let told = watch_all(&cluster, watch, &PULSES, &input.query()).await?;
        let (sender, feed): (TableSender, TableFeed) = feed();
        sender.merge(TableDelta { columns: Some(pulse_columns()), ..TableDelta::default() });
        let name = cluster.name().clone();
        tokio::spawn(async move {
            let (mut told, mut phases) = (told, Phases::default());
            let mut pulses: HashMap<usize, Pulse> = HashMap::new();
            let mut charge = Charge::default();
            while let Some(Told { kind, columns, delta }) = tokio::select! {
                told = told.recv() => told,
                () = sender.closed() => None,
            } {
                let pulse = pulses.entry(kind).or_default();
                pulse.take(&delta);
                let mut rows = vec![Arc::new(pulse.row(&name, PULSES[kind].0))];
                if PULSES[kind].0 == "node" && charge.take(&columns, &delta) {
                    rows.extend(charge.rows(&name));
                }
                let phase = phases.take(kind, &delta.sources);
                let sources = phase.map(|phase| SourceState::new(name.clone(), phase));
                sender.merge(TableDelta {
                    upserts: rows,
                    sources: sources.into_iter().collect(),
                    ..TableDelta::default()
                });
            }
        });
        Ok(Watch::table(feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cells: Vec<Cell>, tone: Tone) -> Row {
        Row { key: RowKey::new("c", "shop", name), cells: cells.into(), tone, uid: "".into() }
    }

    #[test]
    fn a_pulse_counts_what_is_there_now() {
        let delta = |names: &[(&str, Tone)], removed: &[&str]| TableDelta {
            upserts: names.iter().map(|(n, tone)| Arc::new(row(n, vec![], *tone))).collect(),
            removed: removed.iter().map(|n| RowKey::new("c", "shop", n)).collect(),
            ..TableDelta::default()
        };
        let mut pulse = Pulse::default();
        let shown = |pulse: &Pulse| {
            pulse.row(&"c".into(), "pod").cells.iter().map(|c| c.display(0).to_string()).collect::<Vec<_>>()
        };
        let heard = |phase| TableDelta {
            sources: vec![SourceState::new("c".into(), phase)],
            ..TableDelta::default()
        };
        pulse.take(&heard(Phase::Connecting));
        assert_eq!(shown(&pulse), ["–", "–", "–", "–", "…", "–"], "what nobody told is not 0");
        let reason = "no way there".to_owned();
        pulse.take(&heard(Phase::Reconnecting { reason, next: String::new(), since: 0, attempt: 1 }));
        assert_eq!(shown(&pulse)[4], "no way there");
        pulse.take(&heard(Phase::Live));
        assert_eq!(shown(&pulse)[..4], ["0"; 4]);
        pulse.take(&delta(&[("a", Tone::Normal), ("b", Tone::Error), ("c", Tone::Pending)], &[]));
        assert_eq!(pulse.counts(), [3, 1, 1, 1]);
        pulse.take(&delta(&[("b", Tone::Normal)], &["c"]));
        assert_eq!(pulse.counts(), [2, 2, 0, 0]);
        assert_eq!(pulse.lately, [0, 1, 0]);
        assert_eq!(chart(0, 0, 0), "·".repeat(30));
        assert_eq!(chart(1000, 999, 0).chars().filter(|c| *c == '░').count(), 1, "one of many is seen");
    }
}
