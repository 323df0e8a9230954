//! Operations about operations.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::Result;
use crate::gate::{Context, Definition, Effect, Operation, OperationInfo, Spec, Target, define};

pub const LIST: &[Definition<Deck>] = &[define::<OperationList>()];

/// Which operations to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct OperationListInput {
    /// Only those whose name or summary contains this text, whatever its case.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// Give the schemas of arguments and results too.
    #[arg(long)]
    #[serde(default)]
    pub schemas: bool,
}

/// The operations found, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationListOutput {
    pub total: usize,
    pub operations: Vec<OperationEntry>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationEntry {
    pub name: String,
    pub effect: Effect,
    pub summary: String,
    /// Present when `schemas` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<OperationInfo>,
}

struct OperationList;

impl Operation for OperationList {
    type Deck = Deck;
    type Input = OperationListInput;
    type Output = OperationListOutput;

    const SPEC: Spec =
        Spec::observe("operation_list", "/v1/operations", "List what can be done here, by name and effect.");

    fn target(_: &Self::Input) -> Target {
        Target::own("operation")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let needle = input.matching.map(|m| m.to_lowercase());
        let mut operations: Vec<_> = cx
            .catalogue()
            .iter()
            .filter(|info| {
                needle.as_ref().is_none_or(|n| {
                    info.name.contains(n.as_str()) || info.summary.to_lowercase().contains(n.as_str())
                })
            })
            .map(|info| OperationEntry {
                name: info.name.clone(),
                effect: info.effect,
                summary: info.summary.clone(),
                definition: input.schemas.then(|| info.clone()),
            })
            .collect();
        operations.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(OperationListOutput { total: operations.len(), operations })
    }
}
