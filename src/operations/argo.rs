//! Operations on applications of Argo CD.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::flux::{ChainOutput, WAIT};
use super::input::{Object, Within};
use super::{Deck, command, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::Place;
use crate::kube::objects::gitops::app::{self, AppDiff, Synced};
use crate::kube::objects::gitops::{Answer, argo, chain};
use crate::kube::objects::plan::MANAGER;

pub const LIST: &[Definition<Deck>] = &[
    define::<ArgoRefresh>(),
    define::<Syncing<Keep>>(),
    define::<Syncing<Prune>>(),
    define::<ArgoTerminate>(),
    define::<ArgoRollback>(),
    define::<ArgoHistory>(),
    define::<ArgoChain>(),
    define::<ArgoDiff>(),
];

/// The kind's one name.
const KIND: &str = "application.argoproj.io";

// An application by its name.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct App {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

impl App {
    fn fill(&mut self, deck: &Deck) -> Result<()> {
        self.within.fill(deck).map(drop)
    }

    fn target(&self) -> Target {
        self.within.target(KIND, &self.name)
    }

    fn object(&self) -> Object {
        Object { kind: KIND.to_owned(), name: self.name.clone(), within: self.within.clone() }
    }

    async fn place(&self, deck: &Deck) -> Result<Place> {
        self.within.place(deck, KIND, &self.name).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ArgoInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub app: App,
}

/// What the controller said.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ArgoOutput {
    pub answer: Answer,
    pub version: TargetVersion,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ArgoRefreshInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub app: App,
    /// Render its manifests anew, whatever is cached of them.
    #[arg(long)]
    #[serde(default)]
    pub hard: bool,
    /// Seconds to wait for the controller; default 60, 0 for not at all.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 3600))]
    pub wait: Option<u64>,
}

fn wait(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(WAIT))
}

struct ArgoRefresh;

impl Operation for ArgoRefresh {
    type Deck = Deck;
    type Input = ArgoRefreshInput;
    type Output = ArgoOutput;

    const SPEC: Spec = Spec::change(
        "argo_refresh",
        Method::Post,
        "/v1/argo/applications/{name}/refresh",
        "Have Argo CD compare an application with Git now.",
    )
    .idempotent();
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let value = if input.hard { "hard" } else { "normal" };
        let command = command::kubectl("annotate --overwrite", &input.app.object());
        Some(command.word(&format!("{}={value}", argo::REFRESH)).within(&input.app.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.app.place(&deck).await?;
        let (answer, now) =
            argo::refresh(&place, input.hard, wait(input.wait), common::seen(&cx).as_ref()).await?;
        Ok(ArgoOutput { answer, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.app.place(&deck).await?;
        common::preview(Self::target(&input), argo::plan_refresh(&place, input.hard).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ArgoSyncInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub app: App,
    /// A commit, tag or branch; default: what the application names.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The controller tries it, and changes nothing.
    #[arg(long)]
    #[serde(default)]
    pub dry_run: bool,
    /// Seconds to wait for the end; default 60, 0 for not at all.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 3600))]
    pub wait: Option<u64>,
}

/// What becomes of what is no longer in Git.
trait Way: Send + Sync + 'static {
    const SPEC: Spec;
    const PRUNE: bool;
}

struct Keep;
struct Prune;

impl Way for Keep {
    const SPEC: Spec = Spec::change(
        "argo_sync",
        Method::Post,
        "/v1/argo/applications/{name}/sync",
        "Have Argo CD sync an application with Git, and wait for how it ends; what is no longer in Git stays.",
    );
    const PRUNE: bool = false;
}

impl Way for Prune {
    const SPEC: Spec = Spec::destroy(
        "argo_prune",
        Method::Post,
        "/v1/argo/applications/{name}/prune",
        "Have Argo CD sync an application and delete what is no longer in Git, and wait for how it ends.",
    );
    const PRUNE: bool = true;
}

struct Syncing<W>(PhantomData<W>);

impl<W: Way> Syncing<W> {
    fn sync(input: &ArgoSyncInput) -> argo::Sync {
        argo::Sync { revision: input.revision.clone(), prune: W::PRUNE, dry_run: input.dry_run }
    }
}

impl<W: Way> Operation for Syncing<W> {
    type Deck = Deck;
    type Input = ArgoSyncInput;
    type Output = ArgoOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let mut sync = json!({});
        if let Some(revision) = &input.revision {
            sync["revision"] = json!(revision);
        }
        for (set, name) in [(W::PRUNE, "prune"), (input.dry_run, "dryRun")] {
            if set {
                sync[name] = json!(true);
            }
        }
        let patch = json!({ "operation": { "initiatedBy": { "username": MANAGER }, "sync": sync } });
        Some(command::merge_patch(&input.app.object(), &patch.to_string()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.app.place(&deck).await?;
        let progress = |note: String| cx.progress(0, None, note);
        let (sync, seen) = (Self::sync(&input), common::seen(&cx));
        let (answer, now) = argo::sync(&place, &sync, wait(input.wait), seen.as_ref(), progress).await?;
        Ok(ArgoOutput { answer, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.app.place(&deck).await?;
        common::preview(Self::target(&input), argo::plan_sync(&place, &Self::sync(&input)).await?).await
    }
}

/// The application as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ArgoTerminateOutput {
    pub version: TargetVersion,
}

struct ArgoTerminate;

impl Operation for ArgoTerminate {
    type Deck = Deck;
    type Input = ArgoInput;
    type Output = ArgoTerminateOutput;

    const SPEC: Spec = Spec::change(
        "argo_terminate",
        Method::Post,
        "/v1/argo/applications/{name}/terminate",
        "End the operation that Argo CD runs on an application.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let patch = json!({ "status": { "operationState": { "phase": "Terminating" } } });
        Some(command::merge_patch(&input.app.object(), &patch.to_string()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.app.place(&deck).await?;
        let now = argo::terminate(&place, common::seen(&cx).as_ref()).await?;
        Ok(ArgoTerminateOutput { version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.app.place(&deck).await?;
        common::preview(Self::target(&input), argo::plan_terminate(&place).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ArgoRollbackInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub app: App,
    /// The entry of its history to go back to: see argo_history.
    #[arg(long)]
    pub to: i64,
    /// The controller tries it, and changes nothing.
    #[arg(long)]
    #[serde(default)]
    pub dry_run: bool,
    /// Seconds to wait for the end; default 60, 0 for not at all.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 3600))]
    pub wait: Option<u64>,
}

impl ArgoRollbackInput {
    fn how(&self) -> argo::Sync {
        argo::Sync { dry_run: self.dry_run, ..argo::Sync::default() }
    }
}

struct ArgoRollback;

impl Operation for ArgoRollback {
    type Deck = Deck;
    type Input = ArgoRollbackInput;
    type Output = ArgoOutput;

    const SPEC: Spec = Spec::change(
        "argo_rollback",
        Method::Post,
        "/v1/argo/applications/{name}/rollback",
        "Have Argo CD apply again what an application was synced to before.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    /// The revision and the source are those of the entry, which the preview shows.
    fn equivalent(input: &Self::Input) -> Option<String> {
        let sync = json!({ "revision": "REVISION", "syncStrategy": { "apply": {} } });
        let patch = json!({ "operation": { "initiatedBy": { "username": MANAGER }, "sync": sync } });
        Some(command::merge_patch(&input.app.object(), &patch.to_string()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.app.place(&deck).await?;
        let progress = |note: String| cx.progress(0, None, note);
        let seen = common::seen(&cx);
        let (answer, now) =
            argo::rollback(&place, input.to, &input.how(), wait(input.wait), seen.as_ref(), progress).await?;
        Ok(ArgoOutput { answer, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.app.place(&deck).await?;
        let plan = argo::plan_rollback(&place, input.to, &input.how()).await?;
        common::preview(Self::target(&input), plan).await
    }
}

/// What was synced, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ArgoHistoryOutput {
    pub total: usize,
    pub entries: Vec<Synced>,
}

struct ArgoHistory;

impl Operation for ArgoHistory {
    type Deck = Deck;
    type Input = ArgoInput;
    type Output = ArgoHistoryOutput;

    const SPEC: Spec = Spec::observe(
        "argo_history",
        "/v1/argo/applications/{name}/history",
        "List what an application of Argo CD was synced to and can go back to.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let entries = app::history(&input.app.place(&deck).await?).await?;
        Ok(ArgoHistoryOutput { total: entries.len(), entries })
    }
}

struct ArgoChain;

impl Operation for ArgoChain {
    type Deck = Deck;
    type Input = ArgoInput;
    type Output = ChainOutput;

    const SPEC: Spec = Spec::observe(
        "argo_chain",
        "/v1/argo/applications/{name}/chain",
        "List what an application of Argo CD has deployed, and how it fares.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        Ok(chain::read(&input.app.place(&deck).await?).await?.into())
    }
}

struct ArgoDiff;

impl Operation for ArgoDiff {
    type Deck = Deck;
    type Input = ArgoInput;
    type Output = AppDiff;

    const SPEC: Spec = Spec::observe(
        "argo_diff",
        "/v1/argo/applications/{name}/diff",
        "Say what of an application's objects is out of sync, and how they differ from what was last applied.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.app.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.app.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        app::diff(&input.app.place(&deck).await?).await
    }
}
