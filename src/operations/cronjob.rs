//! Operations on cron jobs.

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::input::Within;
use super::{Deck, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::{Place, cron};

pub const LIST: &[Definition<Deck>] =
    &[define::<CronjobTrigger>(), define::<Turn<Suspend>>(), define::<Turn<Resume>>()];

async fn place(deck: &Deck, within: &Within, name: &str) -> Result<Place> {
    within.place(deck, "cronjobs.batch", name).await
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct CronjobTriggerInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// The job's name; default: drawn from the cron job's.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The job that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CronjobTriggerOutput {
    pub job: String,
    pub version: TargetVersion,
}

struct CronjobTrigger;

impl Operation for CronjobTrigger {
    type Deck = Deck;
    type Input = CronjobTriggerInput;
    type Output = CronjobTriggerOutput;

    const SPEC: Spec = Spec::change(
        "cronjob_trigger",
        Method::Post,
        "/v1/cronjobs/{name}/trigger",
        "Run a cron job's job now, whatever its schedule says.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("cronjob", &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let job = input.job.clone().unwrap_or_else(|| format!("{}-manual", input.name));
        let command = Command::new("kubectl create job").word(&job);
        Some(command.value("--from", Some(format!("cronjob/{}", input.name))).within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place(&deck, &input.within, &input.name).await?;
        let (job, made) = cron::trigger(&place, input.job.as_deref(), common::seen(&cx).as_ref()).await?;
        Ok(CronjobTriggerOutput { job, version: common::version(&made) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = place(&deck, &input.within, &input.name).await?;
        common::preview(Self::target(&input), cron::plan_trigger(&place).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct CronjobInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The cron job as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CronjobTurnOutput {
    pub suspended: bool,
    pub version: TargetVersion,
}

/// Which way it is turned.
trait Way: Send + Sync + 'static {
    const SPEC: Spec;
    const SUSPEND: bool;
}

struct Suspend;
struct Resume;

impl Way for Suspend {
    const SPEC: Spec = Spec::change(
        "cronjob_suspend",
        Method::Post,
        "/v1/cronjobs/{name}/suspend",
        "Let a cron job make no new jobs until it is resumed.",
    );
    const SUSPEND: bool = true;
}

impl Way for Resume {
    const SPEC: Spec = Spec::change(
        "cronjob_resume",
        Method::Post,
        "/v1/cronjobs/{name}/resume",
        "Let a suspended cron job go on by its schedule.",
    );
    const SUSPEND: bool = false;
}

struct Turn<W>(PhantomData<W>);

impl<W: Way> Operation for Turn<W> {
    type Deck = Deck;
    type Input = CronjobInput;
    type Output = CronjobTurnOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target("cronjob", &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let patch = format!(r#"{{"spec":{{"suspend":{}}}}}"#, W::SUSPEND);
        let command = Command::new("kubectl patch").object("cronjob", &input.name).word("-p").word(&patch);
        Some(command.within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place(&deck, &input.within, &input.name).await?;
        let now = cron::suspend(&place, W::SUSPEND, common::seen(&cx).as_ref()).await?;
        Ok(CronjobTurnOutput { suspended: W::SUSPEND, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Preview> {
        let place = place(&deck, &input.within, &input.name).await?;
        common::preview(Self::target(&input), cron::plan_suspend(&place, W::SUSPEND, cx.now()).await?).await
    }
}
