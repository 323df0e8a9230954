//! Operations on clusters.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::Overview;

pub const LIST: &[Definition<Deck>] = &[define::<ClusterList>()];

/// How to list the clusters.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ClusterListInput {
    /// Only a,b, eu-*.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Give what is known without asking the servers.
    #[arg(long)]
    #[serde(default)]
    pub offline: bool,
}

/// The clusters that the kubeconfig names, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClusterListOutput {
    pub total: usize,
    /// How many do not answer.
    pub down: usize,
    /// The context that calls without a cluster mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

struct ClusterList;

impl Operation for ClusterList {
    type Deck = Deck;
    type Input = ClusterListInput;
    type Output = ClusterListOutput;

    const SPEC: Spec = Spec::observe(
        "cluster_list",
        "/v1/clusters",
        "List the clusters: version, latency, nodes, pods, and why one is down.",
    );
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::kubernetes("", "", "cluster", "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let asked = match &input.cluster {
            Some(set) => deck.kube.among(set)?,
            None => deck.kube.all(),
        };
        let clusters = if input.offline { deck.kube.known(&asked) } else { deck.kube.overviews(asked).await };
        if clusters.is_empty()
            && let Some(problem) = deck.kube.problem()
        {
            return Err(problem.into());
        }
        let now = cx.now().as_second();
        let mut columns = vec!["NAME".to_owned()];
        columns.extend(Overview::columns().iter().map(|c| c.name.to_string()));
        let row = |overview: &Overview| {
            let mut texts = vec![overview.context.to_string()];
            texts.extend(overview.row().cells.iter().map(|cell| cell.display(now).to_string()));
            texts
        };
        Ok(ClusterListOutput {
            total: clusters.len(),
            down: clusters.iter().filter(|o| matches!(o.version, Some(Err(_)))).count(),
            current: deck.kube.current().map(|c| c.to_string()),
            columns,
            rows: clusters.iter().map(row).collect(),
        })
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, input: Self::Input) -> Result<Watch> {
        if let Some(set) = &input.cluster {
            deck.kube.among(set)?;
        }
        Ok(Watch::table(deck.kube.watch_overviews(input.cluster)))
    }
}
