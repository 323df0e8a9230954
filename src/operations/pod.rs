//! Operations on pods.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Query;
use super::listing::{self, Page, Wanted};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, Watch, define};
use crate::kube::Resource;

pub const LIST: &[Definition<Deck>] = &[define::<PodList>()];

/// Which pods to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct PodListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
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
        input.query.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within.target("pod", "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.query.within.cluster.as_deref())?;
        let selection = input.query.selection(Resource::pods())?;
        let wanted = Wanted {
            faults: input.query.faults,
            filter: input.query.filter,
            limit: input.query.limit,
            cursor: input.query.cursor,
            columns: input.columns,
            namespaces: selection.namespace.is_none(),
            usual: &["READY", "STATUS", "RESTARTS", "AGE"],
            added: listing::names(&selection),
            now: cx.now().as_second(),
        };
        listing::page(&cluster, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, _cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let cluster = deck.kube.get(input.query.within.cluster.as_deref())?;
        let filter = input.query.filter.take();
        let selection = input.query.selection(Resource::pods())?;
        let namespaces = selection.namespace.is_none();
        Ok(Watch::table(listing::sifted(cluster.watch(selection), filter, namespaces)))
    }
}
