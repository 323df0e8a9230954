//! Operations on the containers of a pod.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deck, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::Selection;
use crate::rows::Cell;

pub const LIST: &[Definition<Deck>] = &[define::<ContainerList>()];

/// One pod is one small answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ContainerListInput {
    /// The pod.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Default: the context's namespace.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
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
        Ok(Selection::containers(self.namespace.clone().unwrap_or_default(), &self.name))
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
        common::fill_namespaced(deck, &mut input.cluster, &mut input.namespace)
    }

    fn target(input: &Self::Input) -> Target {
        common::target(&input.cluster, &input.namespace, "pod", &input.name)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let mut listing = cluster.rows(input.selection()?, PATIENCE).await?;
        if listing.rows.is_empty() {
            let namespace = input.namespace.unwrap_or_default();
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
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        Ok(Watch::table(cluster.watch(input.selection()?)))
    }
}
