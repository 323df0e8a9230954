//! Setting values of a Secret.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Object, Within};
use super::{Deck, command, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::secret::{self, Change};

pub const LIST: &[Definition<Deck>] = &[define::<SecretEdit>()];

const KIND: &str = "secret";

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct SecretEditInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// `KEY=VALUE` of what changes, the value as it is, not in base64. No log or card shows it.
    // The name makes the redactor mask it: see `base::redact::SECRET_VALUES`.
    #[arg(long = "value", value_name = "KEY=VALUE")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_values: Vec<String>,
    /// Keys that are taken out.
    #[arg(long, value_name = "KEY")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// The resourceVersion at which the values were read: what another changed since is not overwritten.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

impl SecretEditInput {
    fn change(&self) -> Result<Change> {
        let mut change =
            Change { remove: self.remove.clone(), read_at: self.revision.clone(), ..Change::default() };
        for text in &self.secret_values {
            // The text itself may be a value, and an error is shown.
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| Error::invalid("secret_values: one of them is not KEY=VALUE"))?;
            if change.set.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(Error::invalid(format!("{key:?} is set twice")));
            }
        }
        if let Some(both) = change.remove.iter().find(|key| change.set.contains_key(*key)) {
            return Err(Error::invalid(format!("{both:?} is both set and taken out")));
        }
        if change.set.is_empty() && change.remove.is_empty() {
            return Err(Error::invalid("no value is set and none is taken out")
                .next("Name what changes: --value KEY=VALUE, or --remove KEY."));
        }
        Ok(change)
    }

    fn object(&self) -> Object {
        Object { kind: KIND.to_owned(), name: self.name.clone(), within: self.within.clone() }
    }
}

/// The object as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretEditOutput {
    pub version: TargetVersion,
}

struct SecretEdit;

impl Operation for SecretEdit {
    type Deck = Deck;
    type Input = SecretEditInput;
    type Output = SecretEditOutput;

    const SPEC: Spec = Spec::change(
        "secret_edit",
        Method::Patch,
        "/v1/secrets/{name}",
        "Set or remove single values of a Secret; the others are neither read nor sent.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target(KIND, &input.name)
    }

    /// The values are left to whoever types it.
    fn equivalent(input: &Self::Input) -> Option<String> {
        let keys = input.secret_values.iter().filter_map(|text| text.split_once('='));
        let set = keys.map(|(key, _)| format!("{}:\"…\"", serde_json::json!(key)));
        let removed = input.remove.iter().map(|key| format!("{}:null", serde_json::json!(key)));
        let data: Vec<String> = set.chain(removed).collect();
        Some(command::merge_patch(&input.object(), &format!("{{\"data\":{{{}}}}}", data.join(","))))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let change = input.change()?;
        let place = input.object().place_to_change(&deck).await?;
        let now = secret::run(&place, &change, common::seen(&cx).as_ref()).await?;
        Ok(SecretEditOutput { version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let change = input.change()?;
        let plan = secret::plan(&input.object().place_to_change(&deck).await?, &change).await?;
        common::preview(Self::target(&input), plan).await
    }
}
