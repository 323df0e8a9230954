//! Operations on pods.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::listing::{self, Page, Wanted};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::{Resource, Selection};

pub const LIST: &[Definition<Deck>] = &[define::<PodList>()];

/// Which pods to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct PodListInput {
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[schemars(extend("x-complete" = "cluster"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Default: the context's.
    #[arg(long, short = 'n')]
    #[schemars(extend("x-complete" = "namespace"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
    /// Label selector.
    #[arg(long, short = 'l')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Field selector.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    /// Only those that need a look: failing, waiting, not ready.
    #[arg(long)]
    #[serde(default)]
    pub faults: bool,
    /// Rows a page; default 80.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Columns to give; more than the usual: IP, NODE, QOS, SERVICE-ACCOUNT, LAST RESTART.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

struct PodList;

impl Operation for PodList {
    type Deck = Deck;
    type Input = PodListInput;
    type Output = Page;

    const SPEC: Spec = Spec::observe("pod_list", "/v1/pods", "List pods: counts by status, then rows.");
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        listing::fill(&deck.kube, &mut input.cluster, Some((&mut input.namespace, input.all_namespaces)))?;
        Ok(())
    }

    fn target(input: &Self::Input) -> Target {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        Target::kubernetes(part(&input.cluster), part(&input.namespace), "pod", "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let selection =
            Selection::all(Resource::pods(), input.namespace).selecting(input.labels, input.fields);
        let wanted = Wanted {
            faults: input.faults,
            limit: input.limit,
            cursor: input.cursor,
            columns: input.columns,
            namespaces: selection.namespace.is_none(),
            usual: &["READY", "STATUS", "RESTARTS", "AGE"],
            now: cx.now().as_second(),
        };
        listing::page(&cluster, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let selection =
            Selection::all(Resource::pods(), input.namespace).selecting(input.labels, input.fields);
        Ok(Watch::table(cluster.watch(selection)))
    }
}
