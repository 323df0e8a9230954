//! Operations on objects of any kind: the list. What is done with one object is in `object`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Query;
use super::listing::{self, Page, Wanted};
use super::{Deck, set};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, Watch, define};
use crate::kube::{Cluster, Owner, Selection};

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
    /// Owned by KIND/NAME.
    #[arg(long, value_name = "KIND/NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Instead of the usual; by a path too: `HOST:.spec.host`.
    #[arg(long, value_delimiter = ',')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

struct ResourceList;

async fn selection(
    cluster: &Cluster,
    kind: &str,
    owner: Option<&str>,
    mut query: Query,
    columns: Option<&[String]>,
) -> Result<Selection> {
    let resource = cluster.resolve(kind).await?;
    let owner = match owner {
        Some(_) if resource.is_pods() => {
            return Err(Error::invalid("pods are not selected by their owner")
                .next("Select them by the labels that their owner gives them."));
        }
        Some(owner) => Some(owner_of(cluster, owner).await?),
        None => None,
    };
    Ok(query.selection(resource, columns)?.owned_by(owner))
}

/// Reads `cronjob/report`; the kind as it can be said anywhere.
async fn owner_of(cluster: &Cluster, text: &str) -> Result<Owner> {
    let wrong = || {
        Error::invalid(format!("{text:?} names no owner")).next("Write KIND/NAME, such as cronjob/report.")
    };
    let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
    Ok(Owner { kind: cluster.resolve(kind).await?.kind.to_string(), name: name.to_owned() })
}

fn opening(input: &ResourceListInput) -> set::Open {
    let (kind, columns): (Arc<str>, _) = (input.kind.as_str().into(), input.columns.clone().map(Arc::new));
    let owner: Option<Arc<str>> = input.owner.as_deref().map(Arc::from);
    Arc::new(move |member| {
        let (kind, columns, owner) = (kind.clone(), columns.clone(), owner.clone());
        Box::pin(async move {
            let columns = columns.as_ref().map(|all| all.as_slice());
            let query = member.query.clone();
            let wanted = selection(&member.cluster, &kind, owner.as_deref(), query, columns).await?;
            Ok(member.watch(wanted))
        })
    })
}

impl Operation for ResourceList {
    type Deck = Deck;
    type Input = ResourceListInput;
    type Output = Page;

    const SPEC: Spec =
        Spec::observe("resource_list", "/v1/resources/{kind}", "List objects of any kind.").asking_each();
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.query.fill_kind(deck, &mut input.kind)
    }

    fn target(input: &Self::Input) -> Target {
        input.query.within().target(&input.kind, "")
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.query)
    }

    async fn run(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Self::Output> {
        Self::complete(&deck, &mut input)?;
        let wanted =
            Wanted { columns: listing::named(input.columns.clone()), ..Wanted::of(&input.query, &cx) };
        if set::is_several(&input.query) {
            let wanted = Wanted { usual: usual(&input.kind), ..wanted };
            return set::page(&deck, &cx, &input.query, wanted, opening(&input)).await;
        }
        let cluster = input.query.place(&deck)?;
        let (owner, columns) = (input.owner.as_deref(), input.columns.as_deref());
        let selection = selection(&cluster, &input.kind, owner, input.query, columns).await?;
        let wanted = Wanted {
            namespaces: selection.namespace.is_none() && selection.resource.namespaced,
            added: listing::names(&selection),
            usual: usual(if selection.resource.is_pods() { "pod" } else { "" }),
            ..wanted
        };
        listing::page(&cluster, selection, wanted).await
    }

    async fn watch(deck: Arc<Deck>, cx: Context, mut input: Self::Input) -> Result<Watch> {
        Self::complete(&deck, &mut input)?;
        let filter = input.query.filter.take();
        if set::is_several(&input.query) {
            let feed = set::watch(&deck, &cx, &input.query, opening(&input))?;
            return Ok(Watch::table(listing::sifted(feed, filter, true, true)));
        }
        let cluster = input.query.place(&deck)?;
        let (owner, columns) = (input.owner.as_deref(), input.columns.as_deref());
        let selection = selection(&cluster, &input.kind, owner, input.query, columns).await?;
        let namespaces = selection.namespace.is_none() && selection.resource.namespaced;
        Ok(Watch::table(listing::sifted(cluster.watch_measured(selection), filter, false, namespaces)))
    }
}

/// The columns that are given of a kind if none are named; none is all that are not wide.
fn usual(kind: &str) -> &'static [&'static str] {
    if kind == "pod" { &["READY", "STATUS", "RESTARTS", "AGE"] } else { &[] }
}
