//! Operations on the configuration.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Deck;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, define};

pub const LIST: &[Definition<Deck>] = &[define::<ConfigShow>()];

/// Which part of the configuration to show.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ConfigShowInput {
    /// A section or key: `http`, `http.port`; default: all.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The values that hold in this session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigShowOutput {
    pub total: usize,
    pub values: Vec<ConfigValue>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigValue {
    pub key: String,
    pub value: Value,
    /// `default`, a file, a variable, or `--set`.
    pub from: String,
}

struct ConfigShow;

impl Operation for ConfigShow {
    type Deck = Deck;
    type Input = ConfigShowInput;
    type Output = ConfigShowOutput;

    const SPEC: Spec = Spec::observe(
        "config_show",
        "/v1/config",
        "Show the configuration that holds, and where it came from.",
    );

    fn target(_: &Self::Input) -> Target {
        Target::own("config")
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let wanted = |key: &str| {
            input.key.as_deref().is_none_or(|want| {
                key == want || key.strip_prefix(want).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let values: Vec<_> = deck
            .config
            .list()
            .into_iter()
            .filter(|held| wanted(&held.key))
            .map(|held| ConfigValue { key: held.key, value: held.value, from: held.origin.to_string() })
            .collect();
        match (values.is_empty(), input.key) {
            (true, Some(key)) => Err(Error::not_found(format!("there is no section or key {key:?}"))
                .next("Leave the key out to see all of them.")),
            _ => Ok(ConfigShowOutput { total: values.len(), values }),
        }
    }
}
