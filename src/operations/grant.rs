//! Grants, and the switch that pauses agents.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deck;
use crate::base::ids::GrantId;
use crate::base::{Error, Result};
use crate::gate::{
    Context, Definition, Grant, Method, NewGrant, Operation, Spec, Target, TargetPattern, define,
};

pub const LIST: &[Definition<Deck>] = &[
    define::<GrantList>(),
    define::<GrantCreate>(),
    define::<GrantRevoke>(),
    define::<AgentsPause>(),
    define::<AgentsResume>(),
];

/// Which grants to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct GrantListInput {
    /// Also those that are used up, expired or revoked.
    #[arg(long, short = 'a')]
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct GrantListOutput {
    pub total: usize,
    /// Newest first.
    pub grants: Vec<Grant>,
}

struct GrantList;

impl Operation for GrantList {
    type Deck = Deck;
    type Input = GrantListInput;
    type Output = GrantListOutput;

    const SPEC: Spec = Spec::observe("grant_list", "/v1/grants", "List what agents may do without asking.");

    fn target(_: &Self::Input) -> Target {
        Target::own("grant")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let grants = cx.gate().grants(!input.all).await?;
        Ok(GrantListOutput { total: grants.len(), grants })
    }
}

/// What an agent may do without asking: reversible changes, so often and so long.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct GrantCreateInput {
    /// The agent's name; `*` is every agent.
    #[arg(long)]
    pub agent: String,
    /// The operations granted.
    #[arg(long = "operation", required = true)]
    pub operations: Vec<String>,
    /// Only in this cluster; `*` stands for any characters.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Only in this namespace.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
    /// Only on this kind, in lower-case singular.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only on objects of this name.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often; once unless told.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// For how long; 15 unless told.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Why.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

struct GrantCreate;

impl Operation for GrantCreate {
    type Deck = Deck;
    type Input = GrantCreateInput;
    type Output = Grant;

    const SPEC: Spec = Spec::change(
        "grant_create",
        Method::Post,
        "/v1/grants",
        "Let an agent make certain changes without asking.",
    )
    .deciding();

    fn target(_: &Self::Input) -> Target {
        Target::own("grant")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let grant = NewGrant {
            agent: input.agent,
            operations: input.operations,
            target: TargetPattern {
                cluster: input.cluster.unwrap_or_default(),
                namespace: input.namespace.unwrap_or_default(),
                kind: input.kind.unwrap_or_default(),
                name: input.name.unwrap_or_default(),
            },
            uses: input.uses.unwrap_or(1),
            lifetime: Duration::from_secs(u64::from(input.minutes.unwrap_or(15)) * 60),
            reason: input.reason,
        };
        cx.gate().create_grant(cx.actor(), grant).await
    }
}

/// Which grant to revoke.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct GrantRevokeInput {
    /// The grant's identifier.
    #[arg(required_unless_present = "all")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Every grant.
    #[arg(long, conflicts_with = "grant")]
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct GrantRevokeOutput {
    /// How many were in force.
    pub revoked: u64,
}

struct GrantRevoke;

impl Operation for GrantRevoke {
    type Deck = Deck;
    type Input = GrantRevokeInput;
    type Output = GrantRevokeOutput;

    const SPEC: Spec = Spec::change(
        "grant_revoke",
        Method::Post,
        "/v1/grants/revoke",
        "Take back one grant, or all of them.",
    )
    .idempotent();

    fn target(input: &Self::Input) -> Target {
        Target { name: input.grant.map(|g| g.to_string()).unwrap_or_default(), ..Target::own("grant") }
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        if input.grant.is_some() == input.all {
            return Err(Error::invalid("name one grant, or all"));
        }
        let revoked = cx.gate().revoke_grants(cx.actor(), input.grant).await?;
        if revoked == 0 && !input.all {
            return Err(Error::not_found("no such grant is in force").next("grant_list names them."));
        }
        Ok(GrantRevokeOutput { revoked })
    }
}

/// Why the agents are stopped, or let go on.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct AgentsInput {
    /// Words for the agents.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentsOutput {
    pub paused: bool,
}

struct AgentsPause;

impl Operation for AgentsPause {
    type Deck = Deck;
    type Input = AgentsInput;
    type Output = AgentsOutput;

    const SPEC: Spec = Spec::change(
        "agents_pause",
        Method::Post,
        "/v1/agents/pause",
        "Refuse every change of every agent for now.",
    )
    .idempotent();

    fn target(_: &Self::Input) -> Target {
        Target::own("agent")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        cx.gate().set_pause(cx.actor(), input.reason, true).await?;
        Ok(AgentsOutput { paused: true })
    }
}

struct AgentsResume;

impl Operation for AgentsResume {
    type Deck = Deck;
    type Input = AgentsInput;
    type Output = AgentsOutput;

    const SPEC: Spec =
        Spec::change("agents_resume", Method::Post, "/v1/agents/resume", "Let agents propose changes again.")
            .idempotent()
            .deciding();

    fn target(_: &Self::Input) -> Target {
        Target::own("agent")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        cx.gate().set_pause(cx.actor(), input.reason, false).await?;
        Ok(AgentsOutput { paused: false })
    }
}
