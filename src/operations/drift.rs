//! What of an object is no longer as it was applied.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::drift::{self, Drift};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceDiff>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceDiffInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Compare a workload's pods with this revision instead: see rollout_history.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub revision: Option<i64>,
}

struct ResourceDiff;

impl Operation for ResourceDiff {
    type Deck = Deck;
    type Input = ResourceDiffInput;
    type Output = Drift;

    const SPEC: Spec = Spec::observe(
        "resource_diff",
        "/v1/resources/{kind}/{name}/diff",
        "Say what of an object differs from what was last applied, or from an earlier revision, and who changed it.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        drift::read(&input.object.place(&deck).await?, input.revision).await
    }
}
