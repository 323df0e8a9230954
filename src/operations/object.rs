//! Operations that read one object: its text, and its description.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::input::Object;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Operation, Spec, Target, define};
use crate::kube::objects::Seen;
use crate::kube::objects::look::{self, Show};

pub const LIST: &[Definition<Deck>] = &[define::<ResourceGet>(), define::<ResourceDescribe>()];

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Yaml,
    Json,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceGetInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Only this part, such as `spec.containers[*].image`.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    #[serde(default)]
    pub format: Format,
    /// Include managedFields.
    #[arg(long)]
    #[serde(default)]
    pub managed_fields: bool,
    /// Show a Secret's values; for people at the screen only.
    #[arg(long)]
    #[serde(default)]
    pub reveal: bool,
}

/// An object as text, and which state of which object it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ObjectText {
    /// The object's UID.
    pub identity: String,
    /// Its resourceVersion.
    pub revision: String,
    pub text: String,
}

struct ResourceGet;

impl Operation for ResourceGet {
    type Deck = Deck;
    type Input = ResourceGetInput;
    type Output = ObjectText;

    const SPEC: Spec = Spec::observe(
        "resource_get",
        "/v1/resources/{kind}/{name}",
        "Show one Kubernetes object as YAML or JSON, or a part of it.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        if input.reveal {
            cx.reveal()?;
        }
        let place = input.object.place(&deck).await?;
        let object = place.get().await?;
        let Seen { uid, revision } = Seen::of(&object);
        let show = Show {
            json: input.format == Format::Json,
            managed_fields: input.managed_fields,
            reveal: input.reveal,
            path: input.path,
        };
        // An object may be megabytes: printing it must not hold up the runtime.
        let text = tokio::task::spawn_blocking(move || look::show(object, &show))
            .await
            .map_err(Error::internal)??;
        Ok(ObjectText { identity: uid, revision, text })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ResourceDescribeInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

struct ResourceDescribe;

impl Operation for ResourceDescribe {
    type Deck = Deck;
    type Input = ResourceDescribeInput;
    type Output = ObjectText;

    const SPEC: Spec = Spec::observe(
        "resource_describe",
        "/v1/resources/{kind}/{name}/description",
        "Describe one Kubernetes object in words: state, last failures, what belongs to it, its events.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let (object, text) = look::describe(&place, cx.now()).await?;
        let Seen { uid, revision } = Seen::of(&object);
        Ok(ObjectText { identity: uid, revision, text })
    }
}
