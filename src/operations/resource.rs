//! Operations on objects of any kind: the list. What is done with one object is in `object`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Query;
use super::listing::{self, Page, Wanted};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::{Cluster, Selection};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceList>()];

/// Which objects to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceListInput {
    /// As kubectl takes it: plural, singular, short name, `deployments.apps`, `apps/v1/deployments`.
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
    /// Instead of the usual; by a path too: `HOST:.spec.host`.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

struct ResourceList;

impl ResourceList {
    async fn selection(cluster: &Cluster, input: &mut ResourceListInput) -> Result<Selection> {
        let resource = cluster.resolve(&input.kind).await?;
        input.query.selection(resource, input.columns.as_deref())
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
        input.query.fill_kind(deck, &mut input.kind)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within.target(&input.kind, "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.query.within.cluster.as_deref())?;
        let selection = Self::selection(&cluster, &mut input).await?;
        let wanted = Wanted {
            faults: input.query.faults,
            filter: input.query.filter,
            limit: input.query.limit,
            cursor: input.query.cursor,
            columns: listing::named(input.columns),
            namespaces: selection.namespace.is_none() && selection.resource.namespaced,
            added: listing::names(&selection),
            usual: if selection.resource.is_pods() { &["READY", "STATUS", "RESTARTS", "AGE"] } else { &[] },
            now: cx.now().as_second(),
        };
        listing::page(&cluster, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.query.within.cluster.as_deref())?;
        let filter = input.query.filter.take();
        let selection = Self::selection(&cluster, &mut input).await?;
        let namespaces = selection.namespace.is_none() && selection.resource.namespaced;
        Ok(Watch::table(listing::sifted(cluster.watch_measured(selection), filter, namespaces)))
    }
}
