//! Operations on saved workspaces: the tabs of a console, to be opened again.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Spec, Target, define};
use crate::session::{Workspace, Workspaces};

pub const LIST: &[Definition<Deck>] = &[
    define::<WorkspaceList>(),
    define::<WorkspaceGet>(),
    define::<WorkspaceSave>(),
    define::<WorkspaceDelete>(),
];

/// Files are read and written away from the runtime's workers.
async fn with<T: Send + 'static>(
    deck: &Deck,
    work: impl FnOnce(&Workspaces) -> Result<T> + Send + 'static,
) -> Result<T> {
    let workspaces = deck.workspaces.clone();
    tokio::task::spawn_blocking(move || work(&workspaces)).await.map_err(Error::internal)?
}

fn target(name: &str) -> Target {
    Target { name: name.to_owned(), ..Target::own("workspace") }
}

/// No arguments.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceListInput {}

/// The saved workspaces.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceListOutput {
    pub total: usize,
    pub columns: Vec<&'static str>,
    /// Name, how many tabs, and what they show.
    pub rows: Vec<Vec<String>>,
}

struct WorkspaceList;

impl Operation for WorkspaceList {
    type Deck = Deck;
    type Input = WorkspaceListInput;
    type Output = WorkspaceListOutput;

    const SPEC: Spec = Spec::observe("workspace_list", "/v1/workspaces", "List the saved workspaces.");

    fn target(_: &Self::Input) -> Target {
        target("")
    }

    async fn run(deck: Arc<Deck>, _: Context, _: Self::Input) -> Result<Self::Output> {
        let row = |workspaces: &Workspaces, name: &String| match workspaces.get(name) {
            Ok(found) => vec![name.clone(), found.tabs.len().to_string(), found.tabs.join(" · ")],
            Err(error) => vec![name.clone(), "–".to_owned(), error.message],
        };
        let rows = with(&deck, move |workspaces| {
            Ok(workspaces.names()?.iter().map(|name| row(workspaces, name)).collect::<Vec<_>>())
        });
        let rows = rows.await?;
        Ok(WorkspaceListOutput { total: rows.len(), columns: vec!["NAME", "TABS", "SHOWS"], rows })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceGetInput {
    pub name: String,
}

struct WorkspaceGet;

impl Operation for WorkspaceGet {
    type Deck = Deck;
    type Input = WorkspaceGetInput;
    type Output = Workspace;

    const SPEC: Spec = Spec::observe("workspace_get", "/v1/workspaces/{name}", "Give one saved workspace.");

    fn target(input: &Self::Input) -> Target {
        target(&input.name)
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        with(&deck, move |workspaces| workspaces.get(&input.name)).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceSaveInput {
    pub name: String,
    /// What leads to each tab, as typed after `:`, such as `pods shop -c a,b /web`.
    #[arg(long = "tab", required = true, value_name = "COMMAND")]
    #[schemars(length(min = 1, max = 9))]
    pub tabs: Vec<String>,
    /// The tab in view, from 1.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// `right` or `below`: the tab in view and the next one share the screen.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
}

/// What was saved.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceSaveOutput {
    pub name: String,
    /// Another one of that name is gone.
    pub replaced: bool,
}

struct WorkspaceSave;

impl Operation for WorkspaceSave {
    type Deck = Deck;
    type Input = WorkspaceSaveInput;
    type Output = WorkspaceSaveOutput;

    const SPEC: Spec = Spec::change(
        "workspace_save",
        Method::Put,
        "/v1/workspaces/{name}",
        "Save tabs by a name, in place of what had it.",
    )
    .idempotent();

    fn target(input: &Self::Input) -> Target {
        target(&input.name)
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let WorkspaceSaveInput { name, tabs, current, split } = input;
        let workspace = Workspace { tabs, current, split };
        with(&deck, move |workspaces| {
            let replaced = workspaces.save(&name, &workspace)?;
            Ok(WorkspaceSaveOutput { name, replaced })
        })
        .await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceDeleteInput {
    pub name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceDeleteOutput {
    pub name: String,
    pub deleted: bool,
}

struct WorkspaceDelete;

impl Operation for WorkspaceDelete {
    type Deck = Deck;
    type Input = WorkspaceDeleteInput;
    type Output = WorkspaceDeleteOutput;

    const SPEC: Spec = Spec::destroy(
        "workspace_delete",
        Method::Delete,
        "/v1/workspaces/{name}",
        "Delete a saved workspace.",
    );

    fn target(input: &Self::Input) -> Target {
        target(&input.name)
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let name = input.name.clone();
        with(&deck, move |workspaces| workspaces.delete(&name)).await?;
        Ok(WorkspaceDeleteOutput { name: input.name, deleted: true })
    }
}
