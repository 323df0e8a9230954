//! Operations on what keeps pods: scaling and restarting. One implementation serves every kind.

use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::input::Within;
use super::{Deck, common};
use crate::base::Result;
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::{Place, restart, scale};

pub const LIST: &[Definition<Deck>] = &[
    define::<Scale<Deployment>>(),
    define::<Scale<StatefulSet>>(),
    define::<Scale<ReplicaSet>>(),
    define::<Restart<Deployment>>(),
    define::<Restart<StatefulSet>>(),
    define::<Restart<DaemonSet>>(),
];

/// A kind of workload.
trait Kind: Send + Sync + 'static {
    /// As targets name it.
    const NAME: &'static str;
    /// As discovery resolves it without doubt.
    const RESOURCE: &'static str;
}

/// A kind that can be scaled.
trait Scalable: Kind {
    const SCALE: Spec;
}

/// A kind whose pods can be replaced through their template.
trait Restartable: Kind {
    const RESTART: Spec;
}

struct Deployment;
struct StatefulSet;
struct ReplicaSet;
struct DaemonSet;

impl Kind for Deployment {
    const NAME: &'static str = "deployment";
    const RESOURCE: &'static str = "deployments.apps";
}

impl Kind for StatefulSet {
    const NAME: &'static str = "statefulset";
    const RESOURCE: &'static str = "statefulsets.apps";
}

impl Kind for ReplicaSet {
    const NAME: &'static str = "replicaset";
    const RESOURCE: &'static str = "replicasets.apps";
}

impl Kind for DaemonSet {
    const NAME: &'static str = "daemonset";
    const RESOURCE: &'static str = "daemonsets.apps";
}

impl Scalable for Deployment {
    const SCALE: Spec = Spec::change(
        "deployment_scale",
        Method::Post,
        "/v1/deployments/{name}/scale",
        "Set how many pods a Deployment has.",
    )
    .idempotent();
}

impl Scalable for StatefulSet {
    const SCALE: Spec = Spec::change(
        "statefulset_scale",
        Method::Post,
        "/v1/statefulsets/{name}/scale",
        "Set how many pods a StatefulSet has.",
    )
    .idempotent();
}

impl Scalable for ReplicaSet {
    const SCALE: Spec = Spec::change(
        "replicaset_scale",
        Method::Post,
        "/v1/replicasets/{name}/scale",
        "Set how many pods a ReplicaSet has.",
    )
    .idempotent();
}

impl Restartable for Deployment {
    const RESTART: Spec = Spec::change(
        "deployment_restart",
        Method::Post,
        "/v1/deployments/{name}/restart",
        "Replace all pods of a Deployment, one after another.",
    );
}

impl Restartable for StatefulSet {
    const RESTART: Spec = Spec::change(
        "statefulset_restart",
        Method::Post,
        "/v1/statefulsets/{name}/restart",
        "Replace all pods of a StatefulSet, one after another.",
    );
}

impl Restartable for DaemonSet {
    const RESTART: Spec = Spec::change(
        "daemonset_restart",
        Method::Post,
        "/v1/daemonsets/{name}/restart",
        "Replace all pods of a DaemonSet, one after another.",
    );
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ScaleInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Pods wanted.
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=100_000))]
    #[schemars(range(max = 100_000))]
    pub replicas: u32,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The number of pods wanted, before and after.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScaleOutput {
    pub before: i64,
    pub after: i64,
    /// The object as it is now.
    pub version: TargetVersion,
}

struct Scale<K>(PhantomData<K>);

impl<K: Scalable> Operation for Scale<K> {
    type Deck = Deck;
    type Input = ScaleInput;
    type Output = ScaleOutput;

    const SPEC: Spec = K::SCALE;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target(K::NAME, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl scale").object(K::NAME, &input.name);
        Some(command.value("--replicas", Some(input.replicas)).within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place::<K>(&deck, &input.within, &input.name).await?;
        let done = scale::run(&place, input.replicas, common::seen(&cx).as_ref()).await?;
        Ok(ScaleOutput { before: done.before, after: done.after, version: common::version(&done.seen) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let target = Self::target(&input);
        let place = place::<K>(&deck, &input.within, &input.name).await?;
        common::preview(target, scale::plan(&place, input.replicas).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct RestartInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

/// The object whose pods are being replaced.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RestartOutput {
    /// The time written into the pod template.
    pub restarted_at: String,
    /// The object as it is now.
    pub version: TargetVersion,
}

struct Restart<K>(PhantomData<K>);

impl<K: Restartable> Operation for Restart<K> {
    type Deck = Deck;
    type Input = RestartInput;
    type Output = RestartOutput;

    const SPEC: Spec = K::RESTART;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        input.within.target(K::NAME, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl rollout restart").object(K::NAME, &input.name);
        Some(command.within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place::<K>(&deck, &input.within, &input.name).await?;
        let (at, now) = restart::run(&place, common::seen(&cx).as_ref(), cx.now()).await?;
        Ok(RestartOutput { restarted_at: at, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let target = Self::target(&input);
        let place = place::<K>(&deck, &input.within, &input.name).await?;
        common::preview(target, restart::plan(&place).await?).await
    }
}

async fn place<K: Kind>(deck: &Deck, within: &Within, name: &str) -> Result<Place> {
    within.place(deck, K::RESOURCE, name).await
}
