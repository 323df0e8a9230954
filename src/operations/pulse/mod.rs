//! The pulses of a cluster, or of several together: how many of each kind there are, and how many of them are well,
//! waiting and failing.

mod board;
mod tally;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::board::Board;
use self::tally::Tally;
use super::charge::Charge;
use super::input::{Among, Query};
use super::set::{self, Lacking};
use super::{Deck, listing};
use crate::base::text::members;
use crate::base::{Code, Result};
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, Watch, define};
use crate::kube::{Cluster, Selection};
use crate::rows::{Phase, TableDelta, TableFeed, feed};

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
    pub among: Among,
}

/// How many there are of each kind, and how many of them need a look.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PulseListOutput {
    /// Those behind FAILING are of a cluster each, where there are several: `118 ✗3 …2` is how many there are, how many of
    /// them fail, and how many wait.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Why there are no counts where a row has `–`: the kind, and the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<[String; 2]>,
    /// Of several clusters, those that have not told all, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    /// Of the nodes that are measured: `1617m of 2000m (80 %)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

struct PulseList;

impl Operation for PulseList {
    type Deck = Deck;
    type Input = PulseListInput;
    type Output = PulseListOutput;

    const SPEC: Spec = Spec::observe(
        "pulse_list",
        "/v1/pulses",
        "Count the objects of the kinds that matter: how many are well, waiting and failing.",
    )
    .asking_each();
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.among.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.among.target("pulse", "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.among.query())
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let query = input.among.query();
        if set::is_several(&query) {
            let (listing, _, lacking) = set::told(&deck, &cx, &query, opening()).await?;
            let mut board = of_several(&query);
            board.take(TableDelta { upserts: listing.rows, ..TableDelta::default() });
            return Ok(output(board, lacking));
        }
        let cluster = query.place(&deck)?;
        Ok(output(of_one(&cluster, &query).await?, Vec::new()))
    }

    async fn watch(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let query = input.among.query();
        if set::is_several(&query) {
            let told = set::watch(&deck, &cx, &query, opening())?;
            return Ok(Watch::table(shown(told, of_several(&query))));
        }
        let cluster = query.place(&deck)?;
        // Its nodes with what they take.
        let watch = |selection: Selection| {
            if selection.resource.is_nodes() {
                cluster.watch_measured(selection)
            } else {
                cluster.watch(selection)
            }
        };
        let told = tally::watch(&cluster, watch, &query, String::new()).await?;
        Ok(Watch::table(shown(told, Board::of_one(cluster.name().clone()))))
    }
}

fn output(mut board: Board, lacking: Vec<Lacking>) -> PulseListOutput {
    let clusters = board.columns().iter().skip(6).map(|c| c.name.to_string()).collect();
    let numbers = ["KIND", "TOTAL", "WELL", "WAITING", "FAILING"].map(str::to_owned);
    PulseListOutput {
        columns: [numbers.to_vec(), clusters].concat(),
        rows: board.texts(),
        unknown: board.unknown(),
        lacking,
        cpu: board.figure(0),
        memory: board.figure(1),
    }
}

fn of_several(query: &Query) -> Board {
    Board::of_several(query.cluster.as_deref().map(members).into_iter().flatten().map(Into::into).collect())
}

/// What one of several tells.
fn opening() -> set::Open {
    Arc::new(|member| {
        Box::pin(async move {
            let watch = |selection| member.watch_bare(selection);
            tally::watch(&member.cluster, watch, &member.query, member.scope()).await
        })
    })
}

/// The rows of a board that takes what is told.
fn shown(mut told: TableFeed, mut board: Board) -> TableFeed {
    let (sender, feed) = feed();
    sender.merge(TableDelta { columns: Some(board.columns()), ..TableDelta::default() });
    tokio::spawn(async move {
        while let Some(delta) = tokio::select! {
            delta = told.next() => delta,
            () = sender.closed() => None,
        } {
            sender.merge(board.take(delta));
        }
    });
    feed
}

/// The counts of one cluster as they are now.
async fn of_one(cluster: &Arc<Cluster>, query: &Query) -> Result<Board> {
    let mut board = Board::of_one(cluster.name().clone());
    for (kind, id) in PULSES {
        let Ok(resource) = cluster.resolve(id).await else { continue };
        let selection: Selection = query.clone().selection(resource, None)?;
        let listing = match kind {
            "node" => cluster.rows_measured(selection, listing::PATIENCE).await,
            _ => cluster.rows(selection, listing::PATIENCE).await,
        };
        let mut tally = Tally::default();
        let mut upserts = Vec::new();
        match listing {
            Ok(listing) => {
                let told = TableDelta { upserts: listing.rows, ..TableDelta::default() };
                tally.take(&told);
                tally.hear(&Phase::Live);
                if kind == "node" {
                    let mut charge = Charge::default();
                    charge.take(&listing.columns, &told);
                    upserts = tally::figures(&charge, cluster.name());
                }
            }
            // The other kinds may be read; of a server that does not answer nothing is known.
            Err(error) if error.code == Code::PermissionDenied => tally.hear(&Phase::Failed { error }),
            Err(error) => return Err(error),
        }
        upserts.push(tally.row(cluster.name(), "", kind));
        board.take(TableDelta { upserts, ..TableDelta::default() });
    }
    Ok(board)
}
