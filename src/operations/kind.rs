//! Operations on the kinds that a cluster has.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deck, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::{self, Resource};

pub const LIST: &[Definition<Deck>] = &[define::<KindList>()];

/// Which kinds to list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct KindListInput {
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[schemars(extend("x-complete" = "cluster"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Only those whose name, kind or short name contains this text.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<String>,
    /// Rows a page; default 100.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The kinds found, core first, then in the server's order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KindListOutput {
    pub total: usize,
    /// API groups that could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

struct KindList;

impl Operation for KindList {
    type Deck = Deck;
    type Input = KindListInput;
    type Output = KindListOutput;

    const SPEC: Spec = Spec::observe("kind_list", "/v1/kinds", "List the kinds of objects a cluster has.");

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        Target::kubernetes(input.cluster.clone().unwrap_or_default(), "", "kind", "")
    }

    async fn run(deck: Arc<Deck>, _cx: Context, input: Self::Input) -> Result<Self::Output> {
        let cluster = deck.kube.get(input.cluster.as_deref())?;
        let needle = input.matching.unwrap_or_default().to_lowercase();
        if !needle.is_empty() {
            // What is not known may have come since: then the server is asked again.
            match cluster.resolve(&needle).await {
                Ok(_) | Err(kube::Error::UnknownKind { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let kinds = cluster.kinds().await?;
        let found: Vec<&Resource> =
            kinds.preferred.iter().filter(|r| r.can("list") && matches(r, &needle)).collect();
        let from: usize = match &input.cursor {
            Some(cursor) => cursor.parse().map_err(|_| Error::invalid(format!("{cursor:?} is no cursor")))?,
            None => 0,
        };
        let limit = input.limit.map_or(100, |n| n as usize).max(1);
        let rows: Vec<_> = found.iter().skip(from).take(limit).map(|r| row(r)).collect();
        let end = from + rows.len();
        Ok(KindListOutput {
            total: found.len(),
            warnings: kinds.warnings.clone(),
            columns: vec!["NAME", "SHORT", "KIND", "VERSION", "SCOPE"],
            rows,
            next: (end < found.len()).then(|| end.to_string()),
        })
    }
}

fn matches(resource: &Resource, needle: &str) -> bool {
    needle.is_empty()
        || resource.full_name().contains(needle)
        || resource.kind.to_lowercase().contains(needle)
        || resource.short_names.iter().any(|s| s.contains(needle))
}

fn row(r: &Resource) -> Vec<String> {
    let scope = if r.namespaced { "namespace" } else { "cluster" };
    vec![r.full_name(), r.short_names.join(","), r.kind.to_string(), r.version.to_string(), scope.into()]
}
