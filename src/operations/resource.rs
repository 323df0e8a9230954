//! Operations on objects of any kind: the list. What is done with one object is in `object`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::listing::{self, Page, Wanted};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::{Cluster, Selection};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceList>()];

/// Which objects to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ResourceListInput {
    /// As kubectl takes it: plural, singular, short name, `deployments.apps`, `apps/v1/deployments`.
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
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
    /// Only those that need a look.
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
    /// Columns to give instead of the usual.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

struct ResourceList;

impl ResourceList {
    async fn selection(cluster: &Cluster, input: &mut ResourceListInput) -> Result<Selection> {
        let resource = cluster.resolve(&input.kind).await?;
        Ok(Selection::all(resource, input.namespace.take())
            .selecting(input.labels.take(), input.fields.take()))
    }
}

impl Operation for ResourceList {
    type Deck = Deck;
    type Input = ResourceListInput;
    type Output = Page;

    const SPEC: Spec = Spec::observe(
        "resource_list",
        "/v1/resources/{kind}",
        "List objects of any kind, custom ones too, with the columns their authors chose.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        let all = input.all_namespaces;
        let cluster = listing::fill(&deck.kube, &mut input.cluster, Some((&mut input.namespace, all)))?;
        // What has no namespace has none to be allowed in either.
        if let Some(resource) = cluster.known_kinds().as_ref().and_then(|kinds| kinds.find(&input.kind)) {
            input.kind = resource.full_name();
            if !resource.namespaced {
                input.namespace = None;
            }
        }
        Ok(())
    }

    fn target(input: &Self::Input) -> Target {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        Target::kubernetes(part(&input.cluster), part(&input.namespace), input.kind.to_lowercase(), "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let selection = Self::selection(&cluster, &mut input).await?;
        let wanted = Wanted {
            faults: input.faults,
            limit: input.limit,
            cursor: input.cursor,
            columns: input.columns,
            namespaces: selection.namespace.is_none() && selection.resource.namespaced,
            usual: if selection.resource.is_pods() { &["READY", "STATUS", "RESTARTS", "AGE"] } else { &[] },
            now: cx.now().as_second(),
        };
        listing::page(&cluster, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let selection = Self::selection(&cluster, &mut input).await?;
        Ok(Watch::table(cluster.watch(selection)))
    }
}
