//! Why an object is not well.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::explain::{self, Finding};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceExplain>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceExplainInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

/// What is wrong, the worst first, each with its evidence and what to do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceExplainOutput {
    /// One sentence of all.
    pub summary: String,
    pub findings: Vec<Finding>,
    /// What could not be read: nothing is known of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

struct ResourceExplain;

impl Operation for ResourceExplain {
    type Deck = Deck;
    type Input = ResourceExplainInput;
    type Output = ResourceExplainOutput;

    const SPEC: Spec = Spec::observe(
        "resource_explain",
        "/v1/resources/{kind}/{name}/explanation",
        "Explain why a pod, workload, job, node or volume claim is not well, with the evidence.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let report = explain::explain(&place, cx.now()).await?;
        Ok(ResourceExplainOutput {
            summary: report.summary(),
            findings: report.findings,
            unknown: report.unknown,
        })
    }
}
