//! Operations on rollouts of deployments, statefulsets and daemonsets.

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::command::Command;
use super::input::{Object, Within};
use super::{Deck, command, common};
use crate::base::{Error, Result};
use crate::gate::{
    Context, Definition, Frame, Method, Operation, Preview, Spec, Target, TargetVersion, Watch, define,
};
use crate::kube::objects::Place;
use crate::kube::objects::rollout::history::{self, RevisionRow};
use crate::kube::objects::rollout::status::{self, Status};
use crate::kube::objects::rollout::{self, watch};
use crate::kube::objects::yaml::to_yaml;

pub const LIST: &[Definition<Deck>] = &[
    define::<RolloutStatus>(),
    define::<RolloutHistory>(),
    define::<RolloutUndo>(),
    define::<Pause<Stop>>(),
    define::<Pause<Go>>(),
    define::<ReplicasetRollback>(),
];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct RolloutStatusInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// When watched: go on after it is complete.
    #[arg(long)]
    #[serde(default)]
    pub keep: bool,
}

struct RolloutStatus;

impl Operation for RolloutStatus {
    type Deck = Deck;
    type Input = RolloutStatusInput;
    type Output = Status;

    const SPEC: Spec = Spec::observe(
        "rollout_status",
        "/v1/rollouts/{kind}/{name}/status",
        "Say how far the rollout of a workload is; watched, until it is complete.",
    );
    const WATCH: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        rollout::check(&place)?;
        Ok(status::of(&place.get().await?))
    }

    async fn watch(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Watch> {
        let place = input.object.place(&deck).await?;
        rollout::check(&place)?;
        let (statuses, mut told) = mpsc::channel(8);
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(watch::follow(place, input.keep, statuses, cx.cancelled().clone()));
        tokio::spawn(async move {
            while let Some(status) = told.recv().await {
                let value = |s: Status| serde_json::to_value(s).map_err(Error::internal);
                if sender.send(status.and_then(value).map(Frame::Value)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Watch::frames(receiver))
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct RolloutHistoryInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Give the pod template of this revision too.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
}

/// The revisions that are kept, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RolloutHistoryOutput {
    pub revisions: Vec<RevisionRow>,
    /// The pod template asked for, as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

struct RolloutHistory;

impl Operation for RolloutHistory {
    type Deck = Deck;
    type Input = RolloutHistoryInput;
    type Output = RolloutHistoryOutput;

    const SPEC: Spec = Spec::observe(
        "rollout_history",
        "/v1/rollouts/{kind}/{name}/history",
        "List the revisions of a workload's pods that can be gone back to.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        let all = history::read(&place, &place.get().await?).await?;
        let revisions = all.iter().map(|r| r.row(cx.now())).collect();
        let template = match input.revision {
            Some(number) => Some(to_yaml(&history::choose(&place, all, Some(number))?.template)),
            None => None,
        };
        Ok(RolloutHistoryOutput { revisions, template })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct RolloutUndoInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// The revision to go back to; default: the one before the last.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub to_revision: Option<i64>,
}

/// The revision that it went back to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RolloutUndoOutput {
    pub revision: i64,
    /// The same as a shell command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equivalent: Option<String>,
    /// The object as it is now.
    pub version: TargetVersion,
}

struct RolloutUndo;

impl Operation for RolloutUndo {
    type Deck = Deck;
    type Input = RolloutUndoInput;
    type Output = RolloutUndoOutput;

    const SPEC: Spec = Spec::change(
        "rollout_undo",
        Method::Post,
        "/v1/rollouts/{kind}/{name}/undo",
        "Go back to an earlier revision of a workload's pods.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = command::kubectl("rollout undo", &input.object);
        Some(command.value("--to-revision", input.to_revision).within(&input.object.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place_to_change(&deck).await?;
        let (revision, now) = rollout::undo(&place, input.to_revision, common::seen(&cx).as_ref()).await?;
        Ok(RolloutUndoOutput { revision, equivalent: None, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.object.place_to_change(&deck).await?;
        let (plan, _) = rollout::plan_undo(&place, input.to_revision).await?;
        common::preview(Self::target(&input), plan).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct RolloutPauseInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

/// The object as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RolloutPauseOutput {
    pub paused: bool,
    pub version: TargetVersion,
}

/// Which way it is turned.
trait Way: Send + Sync + 'static {
    const SPEC: Spec;
    const PAUSE: bool;
    const COMMAND: &'static str;
}

struct Stop;
struct Go;

impl Way for Stop {
    const SPEC: Spec = Spec::change(
        "rollout_pause",
        Method::Post,
        "/v1/rollouts/{kind}/{name}/pause",
        "Let changes of a Deployment's pods wait until it is resumed.",
    );
    const PAUSE: bool = true;
    const COMMAND: &'static str = "rollout pause";
}

impl Way for Go {
    const SPEC: Spec = Spec::change(
        "rollout_resume",
        Method::Post,
        "/v1/rollouts/{kind}/{name}/resume",
        "Roll out what a paused Deployment has waiting.",
    );
    const PAUSE: bool = false;
    const COMMAND: &'static str = "rollout resume";
}

struct Pause<W>(PhantomData<W>);

impl<W: Way> Operation for Pause<W> {
    type Deck = Deck;
    type Input = RolloutPauseInput;
    type Output = RolloutPauseOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        Some(command::kubectl(W::COMMAND, &input.object).within(&input.object.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place_to_change(&deck).await?;
        let now = rollout::pause(&place, W::PAUSE, common::seen(&cx).as_ref()).await?;
        Ok(RolloutPauseOutput { paused: W::PAUSE, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.object.place_to_change(&deck).await?;
        let plan = rollout::plan_pause(&place, W::PAUSE).await?;
        common::preview(Self::target(&input), plan).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ReplicasetRollbackInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

struct ReplicasetRollback;

impl ReplicasetRollback {
    /// The Deployment that the ReplicaSet is a revision of, and which.
    async fn find(deck: &Deck, input: &ReplicasetRollbackInput) -> Result<(Place, i64)> {
        let set = input.within.place(deck, "replicasets.apps", &input.name).await?;
        let (name, revision) = rollout::of_set(&set).await?;
        Ok((input.within.place(deck, "deployments.apps", &name).await?, revision))
    }

    fn command(deployment: &Place, revision: i64, input: &ReplicasetRollbackInput) -> String {
        let command = Command::new("kubectl rollout undo").object("deployment", &deployment.name);
        command.value("--to-revision", Some(revision)).within(&input.within)
    }
}

impl Operation for ReplicasetRollback {
    type Deck = Deck;
    type Input = ReplicasetRollbackInput;
    type Output = RolloutUndoOutput;

    const SPEC: Spec = Spec::change(
        "replicaset_rollback",
        Method::Post,
        "/v1/replicasets/{name}/rollback",
        "Let a Deployment go back to the revision that a ReplicaSet is.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("replicaset", &input.name)
    }

    /// The deployment's name is in the ReplicaSet's, before the hash; the revision is told by the preview and the result.
    fn equivalent(input: &Self::Input) -> Option<String> {
        let deployment = input.name.rsplit_once('-').map_or(input.name.as_str(), |(name, _)| name);
        let command = Command::new("kubectl rollout undo").object("deployment", deployment);
        Some(command.word("--to-revision=REVISION").within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let (place, revision) = Self::find(&deck, &input).await?;
        let (revision, now) = rollout::undo(&place, Some(revision), common::seen(&cx).as_ref()).await?;
        let equivalent = Some(Self::command(&place, revision, &input));
        Ok(RolloutUndoOutput { revision, equivalent, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let (place, revision) = Self::find(&deck, &input).await?;
        let (plan, _) = rollout::plan_undo(&place, Some(revision)).await?;
        let mut preview = common::preview(Self::target(&input), plan).await?;
        preview.equivalent = Some(Self::command(&place, revision, &input));
        Ok(preview)
    }
}
