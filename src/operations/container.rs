//! Operations on the containers of a pod.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Within;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::Selection;
use crate::rows::Cell;

pub const LIST: &[Definition<Deck>] = &[define::<ContainerList>()];

/// One pod is one small answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ContainerListInput {
    /// The pod.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The containers in the order in which they start.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContainerListOutput {
    pub total: usize,
    pub columns: Vec<String>,
    /// One text a column; "–" is unknown.
    pub rows: Vec<Vec<String>>,
}

struct ContainerList;

impl ContainerListInput {
    fn selection(&self) -> Result<Selection> {
        if self.name.is_empty() {
            return Err(Error::invalid("the pod's name is empty"));
        }
        Ok(Selection::containers(self.within.namespace.clone().unwrap_or_default(), &self.name))
    }
}

impl Operation for ContainerList {
    type Deck = Deck;
    type Input = ContainerListInput;
    type Output = ContainerListOutput;

    const SPEC: Spec = Spec::observe(
        "container_list",
        "/v1/pods/{name}/containers",
        "List a pod's containers, init and ephemeral ones too: state, restarts, last end, resources.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("pod", &input.name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        let cluster = input.within.fill(&deck)?;
        let mut listing = cluster.rows(input.selection()?, PATIENCE).await?;
        if listing.rows.is_empty() {
            let namespace = input.within.namespace.unwrap_or_default();
            return Err(Error::not_found(format!("there is no pod {} in {namespace}", input.name))
                .next("pod_list names the pods that there are."));
        }
        // The first cell is the place in the order.
        listing.rows.sort_by_key(|row| match row.cells.first() {
            Some(Cell::Number(n)) => *n,
            _ => i64::MAX,
        });
        let now = cx.now().as_second();
        let names = listing.columns.iter().skip(1).map(|c| c.name.to_string());
        let rows = listing.rows.iter().map(|row| {
            let cells = row.cells.iter().skip(1).map(|cell| cell.display(now).to_string());
            std::iter::once(row.key.name.to_string()).chain(cells).collect()
        });
        Ok(ContainerListOutput {
            total: listing.rows.len(),
            columns: std::iter::once("NAME".to_owned()).chain(names).collect(),
            rows: rows.collect(),
        })
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        let cluster = input.within.fill(&deck)?;
        Ok(Watch::table(cluster.watch(input.selection()?)))
    }
}
