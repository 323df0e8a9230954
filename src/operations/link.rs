//! The operation that tells where else more is known of an object.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::links;

pub const LIST: &[Definition<Deck>] = &[define::<LinkList>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct LinkListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// One of its containers.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// The addresses, as the configuration's kubernetes.links makes them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkListOutput {
    pub total: usize,
    pub columns: Vec<&'static str>,
    pub rows: Vec<[String; 2]>,
    /// Links that it has not: their names, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<[String; 2]>,
}

struct LinkList;

impl Operation for LinkList {
    type Deck = Deck;
    type Input = LinkListInput;
    type Output = LinkListOutput;

    const SPEC: Spec = Spec::observe(
        "link_list",
        "/v1/resources/{kind}/{name}/links",
        "List the addresses of pages about an object in other systems: its logs, its dashboard.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let (mut rows, mut left_out) = (Vec::new(), Vec::new());
        for (name, url) in links::of(&place, input.container, &deck.config.config.kubernetes.links).await? {
            match url {
                Ok(url) => rows.push([name, url]),
                Err(why) => left_out.push([name, why]),
            }
        }
        Ok(LinkListOutput { total: rows.len(), columns: vec!["NAME", "URL"], rows, left_out })
    }
}
