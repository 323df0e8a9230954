//! Who uses an object.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::references;

pub const LIST: &[Definition<Deck>] = &[define::<ReferenceList>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ReferenceListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

/// What names the object, workloads first. What a controller made is counted as that which it was made from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReferenceListOutput {
    pub total: usize,
    /// What could not be read: it may use the object too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

struct ReferenceList;

impl Operation for ReferenceList {
    type Deck = Deck;
    type Input = ReferenceListInput;
    type Output = ReferenceListOutput;

    const SPEC: Spec = Spec::observe(
        "reference_list",
        "/v1/resources/{kind}/{name}/references",
        "List what uses a ConfigMap, Secret, ServiceAccount, PersistentVolumeClaim or PriorityClass, and how.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let found = references::find(&input.object.place(&deck).await?).await?;
        let row = |u: references::User| vec![u.kind, u.namespace, u.name, u.how.join("; ")];
        let rows: Vec<Vec<String>> = found.users.into_iter().map(row).collect();
        Ok(ReferenceListOutput {
            total: rows.len(),
            not_read: found.not_read,
            columns: vec!["KIND", "NAMESPACE", "NAME", "HOW"],
            rows,
        })
    }
}
