//! Operations on port-forwards: local ports that lead to pods.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use super::command::Command;
use super::input::Within;
use crate::base::{Error, Result};
use crate::gate::{Context, Definition, Method, Operation, Preview, Spec, Target, Watch, define};
use crate::kube::forward::{Forward, Forwards, Mapping, State, Wanted};
use crate::operations::command::shell;

pub const LIST: &[Definition<Deck>] =
    &[define::<ForwardCreate>(), define::<ForwardDelete>(), define::<ForwardList>()];

/// Only this machine's own programs.
const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ForwardCreateInput {
    /// A pod, or `kind/name` of a service or of what keeps pods.
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    /// `LOCAL:REMOTE`; `80` is the same here and there, `:80` takes a free port here; a remote port may be a name.
    pub ports: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
    /// Where it listens; default: 127.0.0.1.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl ForwardCreateInput {
    fn wanted(&self) -> Result<Wanted> {
        let address = match self.address.as_deref() {
            None | Some("" | "localhost") => LOOPBACK,
            Some(text) => text.parse().map_err(|_| {
                Error::invalid(format!("{text:?} is not an IP address"))
                    .next("Give one of this machine's: 127.0.0.1, or 0.0.0.0 for all.")
            })?,
        };
        Ok(Wanted {
            cluster: self.within.cluster.clone().unwrap_or_default(),
            namespace: self.within.namespace.clone().unwrap_or_default(),
            what: self.name.clone(),
            address,
            ports: Mapping::parse(&self.ports)?,
        })
    }
}

/// A port-forward.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ForwardEntry {
    /// Its name.
    pub local_port: u16,
    /// Where it listens: `127.0.0.1:8080`.
    pub address: String,
    pub cluster: String,
    pub namespace: String,
    /// As it was asked for: a pod, or `kind/name`.
    pub to: String,
    pub remote_port: String,
    /// `ready`; `seeking` a pod; `deaf` while another program has the local port.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    pub open: u64,
    pub connections: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether the session has it again after a restart.
    pub kept: bool,
}

impl ForwardEntry {
    fn of(forward: &Forward, kept: bool) -> Self {
        let traffic = forward.traffic();
        Self {
            local_port: forward.port(),
            address: forward.address.to_string(),
            cluster: forward.way.cluster.clone(),
            namespace: forward.way.namespace.clone(),
            to: forward.way.what.clone(),
            remote_port: forward.way.remote.to_string(),
            state: match forward.state() {
                State::Ready => "ready",
                State::Seeking(_) => "seeking",
                State::Deaf(_) => "deaf",
            },
            pod: forward.route().map(|r| r.pod),
            open: traffic.open,
            connections: traffic.connections,
            bytes_sent: traffic.up,
            bytes_received: traffic.down,
            last_error: forward.last_error().map(|(at, words)| format!("{words} ({at:.0})")),
            kept,
        }
    }
}

struct ForwardCreate;

impl Operation for ForwardCreate {
    type Deck = Deck;
    type Input = ForwardCreateInput;
    type Output = ForwardEntry;

    const SPEC: Spec = Spec::change(
        "forward_create",
        Method::Post,
        "/v1/forwards",
        "Make a local port lead to a pod, a service or a workload, until it is deleted.",
    );
    const PREVIEW: bool = true;

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.within.fill(deck).map(drop)
    }

    fn target(input: &Self::Input) -> Target {
        let (kind, name) = input.name.split_once('/').unwrap_or(("pod", &input.name));
        input.within.target(kind, name)
    }

    fn equivalent(input: &Self::Input) -> Option<String> {
        let command = Command::new("kubectl port-forward").word(&input.name).word(&input.ports);
        Some(command.value("--address", input.address.clone()).within(&input.within))
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let forward = deck.forwards.create(&input.wanted()?).await?;
        cx.note("address", forward.address.to_string());
        if let Some(route) = forward.route() {
            cx.note("pod", route.pod);
        }
        Ok(ForwardEntry::of(&forward, deck.forwards.are_kept()))
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let wanted = input.wanted()?;
        let route = deck.forwards.look(&wanted).await?;
        let local = match wanted.ports.local {
            Some(port) => format!("{}:{port}", wanted.address),
            None => format!("a free port of {}", wanted.address),
        };
        let mut preview = Preview {
            affects: vec![format!("{local} leads to port {} of the pod {}", route.port, route.pod)],
            checks: vec![format!("the pod {} runs", route.pod)],
            equivalent: Some(format!(
                "kubectl port-forward {} {} -n {} --context {} --address {}",
                shell(&input.name),
                wanted.ports,
                shell(&wanted.namespace),
                shell(&wanted.cluster),
                wanted.address,
            )),
            ..Preview::of(Self::target(&input))
        };
        if wanted.ports.local.is_some() {
            preview.checks.push("the local port is free".to_owned());
        }
        if !wanted.address.is_loopback() {
            preview.warnings.push("everyone who reaches this machine reaches the pod by it".to_owned());
        }
        Ok(preview)
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ForwardDeleteInput {
    /// The forward's local port.
    pub port: u16,
}

struct ForwardDelete;

impl Operation for ForwardDelete {
    type Deck = Deck;
    type Input = ForwardDeleteInput;
    type Output = ForwardEntry;

    const SPEC: Spec = Spec::change(
        "forward_delete",
        Method::Delete,
        "/v1/forwards/{port}",
        "End a port-forward and its connections.",
    );
    const PREVIEW: bool = true;

    fn target(input: &Self::Input) -> Target {
        Target { name: input.port.to_string(), ..Target::own("forward") }
    }

    async fn run(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Self::Output> {
        let entry = ForwardEntry::of(&*deck.forwards.one(input.port)?, deck.forwards.are_kept());
        deck.forwards.delete(input.port)?;
        Ok(entry)
    }

    async fn preview(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Preview> {
        let forward = deck.forwards.one(input.port)?;
        let mut affects = vec![format!(
            "{} no longer leads to {} in {} on {}",
            forward.address, forward.way.what, forward.way.namespace, forward.way.cluster
        )];
        match forward.traffic().open {
            0 => {}
            1 => affects.push("its one open connection is reset".to_owned()),
            n => affects.push(format!("its {n} open connections are reset")),
        }
        Ok(Preview { affects, ..Preview::of(Self::target(&input)) })
    }
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct ForwardListInput {}

/// Every port-forward of the session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ForwardListOutput {
    pub forwards: Vec<ForwardEntry>,
}

struct ForwardList;

impl Operation for ForwardList {
    type Deck = Deck;
    type Input = ForwardListInput;
    type Output = ForwardListOutput;

    const SPEC: Spec = Spec::observe(
        "forward_list",
        "/v1/forwards",
        "List the session's port-forwards: where each leads, its state, traffic and last error.",
    );
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("forward")
    }

    async fn run(deck: Arc<Deck>, _: Context, _: Self::Input) -> Result<Self::Output> {
        let kept = deck.forwards.are_kept();
        let forwards = deck.forwards.all().iter().map(|f| ForwardEntry::of(f, kept)).collect();
        Ok(ForwardListOutput { forwards })
    }

    async fn watch(deck: Arc<Deck>, _: Context, _: Self::Input) -> Result<Watch> {
        Ok(Watch::table(Forwards::watch(&deck.forwards)))
    }
}
