//! Operations on nodes: closing them to new pods, opening them, emptying them.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::{Deck, common};
use crate::base::{Code, Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, TargetVersion, define};
use crate::kube::objects::{Place, cordon, drain};

pub const LIST: &[Definition<Deck>] =
    &[define::<Cordon<Close>>(), define::<Cordon<Open>>(), define::<NodeDrain>()];

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct NodeInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
}

async fn place(deck: &Deck, cluster: Option<&str>, name: &str) -> Result<Place> {
    Place::find(&deck.kube, cluster, None, "nodes", name).await
}

fn target(cluster: &Option<String>, name: &str) -> Target {
    common::target(cluster, &None, "node", name)
}

/// Which way a node is turned.
trait Way: Send + Sync + 'static {
    const SPEC: Spec;
    const CLOSE: bool;
    const COMMAND: &'static str;
}

struct Close;
struct Open;

impl Way for Close {
    const SPEC: Spec = Spec::change(
        "node_cordon",
        Method::Post,
        "/v1/nodes/{name}/cordon",
        "Keep new pods off a node; those on it go on.",
    )
    .idempotent();
    const CLOSE: bool = true;
    const COMMAND: &'static str = "kubectl cordon";
}

impl Way for Open {
    const SPEC: Spec =
        Spec::change("node_uncordon", Method::Post, "/v1/nodes/{name}/uncordon", "Let pods on a node again.")
            .idempotent();
    const CLOSE: bool = false;
    const COMMAND: &'static str = "kubectl uncordon";
}

/// The node as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeTurnOutput {
    /// Whether it was otherwise before.
    pub changed: bool,
    pub unschedulable: bool,
    pub version: TargetVersion,
}

struct Cordon<W>(PhantomData<W>);

impl<W: Way> Operation for Cordon<W> {
    type Deck = Deck;
    type Input = NodeInput;
    type Output = NodeTurnOutput;

    const SPEC: Spec = W::SPEC;
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        target(&input.cluster, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        Some(Command::new(W::COMMAND).word(&input.name).context(input.cluster.as_deref()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place(&deck, input.cluster.as_deref(), &input.name).await?;
        let (changed, now) = cordon::run(&place, W::CLOSE, common::seen(&cx).as_ref()).await?;
        Ok(NodeTurnOutput { changed, unschedulable: W::CLOSE, version: common::version(&now) })
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = place(&deck, input.cluster.as_deref(), &input.name).await?;
        common::preview(Self::target(&input), cordon::plan(&place, W::CLOSE).await?).await
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct NodeDrainInput {
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Seconds that each pod has to end; default: its own.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<u32>,
    /// Seconds until it gives up; default: never.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Leave the pods of DaemonSets, rather than refuse the node.
    #[arg(long)]
    #[serde(default)]
    pub ignore_daemonsets: bool,
    /// Let pods go whose emptyDir data is lost by it.
    #[arg(long)]
    #[serde(default)]
    pub delete_emptydir_data: bool,
    /// Let pods go that nothing makes again.
    #[arg(long)]
    #[serde(default)]
    pub force: bool,
    /// Delete instead of evicting: disruption budgets are not asked.
    #[arg(long)]
    #[serde(default)]
    pub disable_eviction: bool,
}

impl NodeDrainInput {
    fn options(&self) -> drain::Options {
        drain::Options {
            grace: self.grace_period,
            timeout: self.timeout.map(|s| Duration::from_secs(u64::from(s))),
            ignore_daemonsets: self.ignore_daemonsets,
            delete_emptydir_data: self.delete_emptydir_data,
            force: self.force,
            disable_eviction: self.disable_eviction,
        }
    }
}

/// The pods that went, and those that stay on purpose.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeDrainOutput {
    pub gone: Vec<String>,
    pub stayed: Vec<PodLeft>,
}

/// A pod that is still there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PodLeft {
    pub pod: String,
    pub why: String,
}

impl From<drain::Left> for PodLeft {
    fn from(left: drain::Left) -> Self {
        Self { pod: left.pod, why: left.why }
    }
}

struct NodeDrain;

impl Operation for NodeDrain {
    type Deck = Deck;
    type Input = NodeDrainInput;
    type Output = NodeDrainOutput;

    const SPEC: Spec = Spec::destroy(
        "node_drain",
        Method::Post,
        "/v1/nodes/{name}/drain",
        "Close a node to new pods and evict those on it, as disruption budgets allow.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        common::fill_cluster(deck, &mut input.cluster).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        target(&input.cluster, &input.name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl drain")
            .word(&input.name)
            .value("--grace-period", input.grace_period)
            .value("--timeout", input.timeout.map(|s| format!("{s}s")))
            .flag("--ignore-daemonsets", input.ignore_daemonsets)
            .flag("--delete-emptydir-data", input.delete_emptydir_data)
            .flag("--force", input.force)
            .flag("--disable-eviction", input.disable_eviction);
        Some(command.context(input.cluster.as_deref()))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let place = place(&deck, input.cluster.as_deref(), &input.name).await?;
        let seen = common::seen(&cx);
        let tell = |done, all, item| cx.item(done, all, item);
        let report = drain::run(&place, &input.options(), seen.as_ref(), cx.cancelled(), tell).await?;
        if report.unfinished.is_empty() {
            let stayed = report.stayed.into_iter().map(PodLeft::from).collect();
            return Ok(NodeDrainOutput { gone: report.gone, stayed });
        }
        Err(unfinished(&input.name, report))
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let place = place(&deck, input.cluster.as_deref(), &input.name).await?;
        common::preview(Self::target(&input), drain::plan(&place, &input.options()).await?).await
    }
}

/// Says what was done and what was not. The node stays closed to new pods.
fn unfinished(node: &str, report: drain::Report) -> Error {
    let named: Vec<String> =
        report.unfinished.iter().take(4).map(|l| format!("{} ({})", l.pod, l.why)).collect();
    let more = report.unfinished.len() - named.len();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let (code, how) =
        if report.stopped { (Code::Cancelled, "stopped") } else { (Code::Timeout, "not finished") };
    let (gone, all) = (report.gone.len(), report.gone.len() + report.unfinished.len());
    let message = format!(
        "the drain of {node} was {how}: {gone} of {all} pods are gone; left: {}{more}; the node stays closed to new pods",
        named.join(", ")
    );
    let left: Vec<PodLeft> = report.unfinished.into_iter().map(PodLeft::from).collect();
    let stayed: Vec<PodLeft> = report.stayed.into_iter().map(PodLeft::from).collect();
    Error::new(code, message)
        .next("Drain it again to go on, or uncordon it to give up.")
        .details(serde_json::json!({"gone": report.gone, "unfinished": left, "stayed": stayed}))
}
