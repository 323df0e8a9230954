//! Operations on the contexts of the kubeconfig: they change its files on the session's machine.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::{Deck, common};
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, define};
use crate::kube::{ContextChange, Prepared};

pub const LIST: &[Definition<Deck>] = &[define::<ContextRename>(), define::<ContextDelete>()];

/// The files that were written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written {
    pub files: Vec<String>,
    /// The current context after it; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}

async fn prepare(deck: &Arc<Deck>, change: ContextChange) -> Result<Prepared> {
    let deck = deck.clone();
    tokio::task::spawn_blocking(move || deck.kube.prepare(&change)).await.map_err(Error::internal)?
}

async fn write(deck: Arc<Deck>, cx: Context, change: ContextChange) -> Result<Written> {
    let prepared = prepare(&deck, change).await?;
    let seen = common::seen(&cx);
    let files = tokio::task::spawn_blocking(move || prepared.write(seen.as_ref()))
        .await
        .map_err(Error::internal)??;
    deck.kube.reload().await?;
    Ok(Written {
        files: files.iter().map(|file| file.display().to_string()).collect(),
        current: deck.kube.current().map(|name| name.to_string()),
    })
}

fn target(name: &str) -> Target {
    Target::kubernetes(name, "", "context", name)
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ContextRenameInput {
    #[schemars(extend("x-complete" = "cluster"))]
    pub name: String,
    /// What it is to be called.
    pub to: String,
}

impl ContextRenameInput {
    fn change(&self) -> ContextChange {
        ContextChange::Rename { from: self.name.clone(), to: self.to.clone() }
    }
}

struct ContextRename;

impl Operation for ContextRename {
    type Deck = Deck;
    type Input = ContextRenameInput;
    type Output = Written;

    const SPEC: Spec = Spec::change(
        "context_rename",
        Method::Post,
        "/v1/contexts/{name}/rename",
        "Rename a context in the kubeconfig file that defines it; the rest of the file stays as it is.",
    );
    const PREVIEW: bool = true;

    fn target(input: &Self::Input) -> Target {
        target(&input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl config rename-context").word(&input.name).word(&input.to);
        Some(command.context(None))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        write(deck, cx, input.change()).await
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let prepared = prepare(&deck, input.change()).await?;
        common::preview(Self::target(&input), prepared.plan).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct ContextDeleteInput {
    #[schemars(extend("x-complete" = "cluster"))]
    pub name: String,
}

struct ContextDelete;

impl Operation for ContextDelete {
    type Deck = Deck;
    type Input = ContextDeleteInput;
    type Output = Written;

    const SPEC: Spec = Spec::destroy(
        "context_delete",
        Method::Delete,
        "/v1/contexts/{name}",
        "Take a context out of the kubeconfig file that defines it; its cluster and user stay there.",
    );
    const PREVIEW: bool = true;

    fn target(input: &Self::Input) -> Target {
        target(&input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        Some(Command::new("kubectl config delete-context").word(&input.name).context(None))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        write(deck, cx, ContextChange::Delete { name: input.name }).await
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let change = ContextChange::Delete { name: input.name.clone() };
        common::preview(Self::target(&input), prepare(&deck, change).await?.plan).await
    }
}
