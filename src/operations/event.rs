//! Operations on events.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Within;
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::look::{self, EventQuery};

pub const LIST: &[Definition<Deck>] = &[define::<EventList>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct EventListInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// In every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
    /// Only about objects of this kind.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: Option<String>,
    /// Only about the object of this name.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only warnings.
    #[arg(long)]
    #[serde(default)]
    pub warnings: bool,
    /// How many of the newest; default 50.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000))]
    pub limit: Option<u32>,
}

/// The newest events, the newest of all last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventListOutput {
    /// How many there are in all.
    pub total: usize,
    pub warnings: usize,
    /// Older ones that were left out.
    pub left_out: usize,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

struct EventList;

impl Operation for EventList {
    type Deck = Deck;
    type Input = EventListInput;
    type Output = EventListOutput;

    const SPEC: Spec = Spec::observe("event_list", "/v1/events/kubernetes", "List events, the newest last.");

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill_or_all(deck, input.all_namespaces).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("event", "")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.within.cluster.as_deref())?;
        let kind = match &input.kind {
            Some(kind) => Some(cluster.resolve(kind).await?.kind.to_string()),
            None => None,
        };
        let query = EventQuery {
            namespace: input.within.namespace,
            kind,
            name: input.name,
            uid: None,
            warnings: input.warnings,
        };
        let most = input.limit.unwrap_or(50).clamp(1, 5_000) as usize;
        let found = look::list_events(&cluster, &query, most).await?;
        let now: Timestamp = cx.now();
        let namespaced = query.namespace.is_none();
        let rows = found.rows.iter().map(|e| {
            let mut row = if namespaced { vec![e.namespace.clone()] } else { Vec::new() };
            row.extend([e.ages(now), e.kind.clone(), e.reason.clone(), e.object.clone(), e.message.clone()]);
            row
        });
        let rows: Vec<Vec<String>> = rows.collect();
        let mut columns = vec!["AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"];
        if namespaced {
            columns.insert(0, "NAMESPACE");
        }
        Ok(EventListOutput {
            total: found.total,
            warnings: found.warnings,
            left_out: found.total - rows.len(),
            columns,
            rows,
        })
    }
}
