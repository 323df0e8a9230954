//! What stands around an object, one step away.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::adjacent::{self, Neighbour};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceAdjacent>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceAdjacentInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Search every kind for what it owns, not only those that its kind usually owns.
    #[arg(long)]
    #[serde(default)]
    pub every_kind: bool,
}

/// The objects, owners first. RELATION is owner, owned, names, named by, selects or selected by; HOW is the evidence;
/// STATE says what is missing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceAdjacentOutput {
    pub total: usize,
    /// What could not be read or was not searched: more may stand there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

struct ResourceAdjacent;

impl Operation for ResourceAdjacent {
    type Deck = Deck;
    type Input = ResourceAdjacentInput;
    type Output = ResourceAdjacentOutput;

    const SPEC: Spec = Spec::observe(
        "resource_adjacent",
        "/v1/resources/{kind}/{name}/adjacent",
        "List the objects around one: its owners, what it owns, names and selects, and what names or selects it.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let found = adjacent::find(&input.object.place(&deck).await?, input.every_kind).await?;
        let row = |n: Neighbour| {
            let Neighbour { relation, kind, namespace, name, how, state } = n;
            vec![kind, namespace, name, relation.as_str().to_owned(), how, state.to_owned()]
        };
        let rows: Vec<Vec<String>> = found.neighbours.into_iter().map(row).collect();
        Ok(ResourceAdjacentOutput {
            total: rows.len(),
            not_read: found.not_read,
            columns: vec!["KIND", "NAMESPACE", "NAME", "RELATION", "HOW", "STATE"],
            rows,
        })
    }
}
