//! The operation that finds objects of every kind by a part of their name, or by their labels.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Query;
use super::listing::{self, Page, Wanted};
use super::{Deck, set};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, Watch, define};
use crate::kube::Sought;

pub const LIST: &[Definition<Deck>] = &[define::<ResourceFind>()];

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceFindInput {
    /// A part of the name, or a glob for all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[arg(default_value = "")]
    pub text: String,
    /// Only in these; default: every kind that can be listed, without events and metrics.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    #[serde(flatten)]
    #[command(flatten)]
    pub query: Query,
}

impl ResourceFindInput {
    fn sought(&self) -> Sought {
        let Query { namespace, labels, fields, .. } = self.query.clone();
        let (text, kinds) = (self.text.clone(), self.kinds.clone());
        Sought { text, labels, fields, kinds, namespace, ..Sought::default() }
    }
}

struct ResourceFind;

impl Operation for ResourceFind {
    type Deck = Deck;
    type Input = ResourceFindInput;
    type Output = Page;

    const SPEC: Spec = Spec::observe(
        "resource_find",
        "/v1/found",
        "Find objects of every kind by a part of their name or by labels; says what could not be looked at.",
    )
    .asking_each();
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        let Query { labels, fields, .. } = &input.query;
        if input.text.is_empty() && labels.is_none() && fields.is_none() {
            return Err(Error::invalid("nothing is looked for")
                .next("Give a part of a name, a glob such as web-*, or labels."));
        }
        input.query.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within().target("resource", "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.query)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let wanted = Wanted::of(&input.query, &cx);
        if set::is_several(&input.query) {
            // Of whom not everything could be looked at is told, as of who has no figures.
            let wanted = Wanted { figures: true, ..wanted };
            return set::page(&deck, &cx, &input.query, wanted, opening(&input)).await;
        }
        let listing = set::one(input.query.place(&deck)?.find(input.sought(), false).await?).await?;
        let page = tokio::task::spawn_blocking(move || listing::paged(listing, &wanted));
        page.await.map_err(Error::internal)?
    }

    async fn watch(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let filter = input.query.filter.take();
        let feed = if set::is_several(&input.query) {
            set::watch(&deck, &cx, &input.query, opening(&input))?
        } else {
            input.query.place(&deck)?.find(input.sought(), false).await?
        };
        Ok(Watch::table(listing::sifted(feed, filter, true, true)))
    }
}

/// What is found in one of several.
fn opening(input: &ResourceFindInput) -> set::Open {
    let sought = input.sought();
    Arc::new(move |member| {
        let (namespace, globs) = (member.query.namespace.clone(), member.globs().to_vec());
        let sought = Sought { namespace, globs, brief: true, ..sought.clone() };
        Box::pin(async move { Ok(member.cluster.find(sought, true).await?) })
    })
}
