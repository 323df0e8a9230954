//! Operations on what Flux keeps.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Object;
use super::{Deck, command, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::gitops::chain::{self, Chain};
use crate::kube::objects::gitops::{Answer, flux};

pub const LIST: &[Definition<Deck>] =
    &[define::<Turn<Suspend>>(), define::<Turn<Resume>>(), define::<FluxReconcile>(), define::<FluxChain>()];

/// Seconds that are waited for a controller unless told.
pub const WAIT: u64 = 60;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct FluxInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
}

/// The object as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FluxTurnOutput {
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
        "flux_suspend",
        Method::Post,
        "/v1/flux/{kind}/{name}/suspend",
        "Let Flux do nothing with a Kustomization, HelmRelease or source of its until it is resumed.",
    );
    const SUSPEND: bool = true;
}

impl Way for Resume {
    const SPEC: Spec = Spec::change(
        "flux_resume",
        Method::Post,
        "/v1/flux/{kind}/{name}/resume",
        "Let Flux go on with what was suspended.",
    );
    const SUSPEND: bool = false;
}

struct Turn<W>(PhantomData<W>);

impl<W: Way> Operation for Turn<W> {
    type Deck = Deck;
    type Input = FluxInput;
    type Output = FluxTurnOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let patch = format!(r#"{{"spec":{{"suspend":{}}}}}"#, W::SUSPEND);
        Some(command::merge_patch(&input.object, &patch))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place_to_change(&deck).await?;
        let now = flux::suspend(&place, W::SUSPEND, common::seen(&cx).as_ref()).await?;
        Ok(FluxTurnOutput { suspended: W::SUSPEND, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.object.place_to_change(&deck).await?;
        common::preview(Self::target(&input), flux::plan_suspend(&place, W::SUSPEND).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct FluxReconcileInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Its source first; one in the same namespace.
    #[arg(long)]
    #[serde(default)]
    pub with_source: bool,
    /// Install or upgrade a HelmRelease though nothing changed.
    #[arg(long)]
    #[serde(default)]
    pub force: bool,
    /// Let a HelmRelease forget its failures.
    #[arg(long)]
    #[serde(default)]
    pub reset: bool,
    /// Seconds to wait for the controller; default 60, 0 for not at all.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 3600))]
    pub wait: Option<u64>,
}

impl FluxReconcileInput {
    fn ask(&self) -> flux::Ask {
        flux::Ask {
            with_source: self.with_source,
            force: self.force,
            reset: self.reset,
            wait: Duration::from_secs(self.wait.unwrap_or(WAIT)),
        }
    }
}

/// What the controllers said, the source's first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FluxReconcileOutput {
    pub answers: Vec<Answer>,
    pub version: TargetVersion,
}

struct FluxReconcile;

impl Operation for FluxReconcile {
    type Deck = Deck;
    type Input = FluxReconcileInput;
    type Output = FluxReconcileOutput;

    const SPEC: Spec = Spec::change(
        "flux_reconcile",
        Method::Post,
        "/v1/flux/{kind}/{name}/reconcile",
        "Have Flux reconcile an object now, its source first if wanted, and wait until its controller has.",
    )
    .idempotent();
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = command::kubectl("annotate --overwrite", &input.object)
            .expanded(&format!(r#"{}="$(date +%s)""#, flux::REQUESTED));
        Some(command.within(&input.object.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place_to_change(&deck).await?;
        let progress = |note: String| cx.progress(0, None, note);
        let (answers, now) =
            flux::reconcile(&place, input.ask(), cx.now(), common::seen(&cx).as_ref(), progress).await?;
        Ok(FluxReconcileOutput { answers, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = input.object.place_to_change(&deck).await?;
        common::preview(Self::target(&input), flux::plan_reconcile(&place, input.ask()).await?).await
    }
}

/// Sources first, then the object itself, what it waits for, and what it applied.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChainOutput {
    pub total: usize,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<String>,
    /// The cluster that the applied objects are on, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    pub columns: Vec<&'static str>,
    /// ROLE is `source`, `this`, `depends on` or `applied`.
    pub rows: Vec<Vec<String>>,
}

impl From<Chain> for ChainOutput {
    fn from(chain: Chain) -> Self {
        let row = |l: chain::Link| {
            vec![l.kind, l.namespace, l.name, l.role.to_owned(), l.state, l.revision, l.message]
        };
        Self {
            total: chain.links.len(),
            not_read: chain.not_read,
            elsewhere: chain.elsewhere,
            columns: vec!["KIND", "NAMESPACE", "NAME", "ROLE", "STATE", "REVISION", "MESSAGE"],
            rows: chain.links.into_iter().map(row).collect(),
        }
    }
}

struct FluxChain;

impl Operation for FluxChain {
    type Deck = Deck;
    type Input = FluxInput;
    type Output = ChainOutput;

    const SPEC: Spec = Spec::observe(
        "flux_chain",
        "/v1/flux/{kind}/{name}/chain",
        "List where an object of Flux comes from, what it waits for and what it has applied.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let place = input.object.place(&deck).await?;
        flux::check(&place)?;
        Ok(chain::read(&place).await?.into())
    }
}
