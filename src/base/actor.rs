//! Who asks, and through which door.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What sort of asker it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A human being at a terminal.
    Person,
    /// An AI assistant.
    Agent,
    /// A program with a token.
    Client,
    /// A pipeline of ours.
    Pipeline,
}

/// The rights an actor starts from; the policy files say what each may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Operator,
    Admin,
    Agent,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::Agent => "agent",
        }
    }
}

/// The way a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The terminal console of this process, or one attached to it.
    Screen,
    Mcp,
    Rest,
    Cli,
}

impl Door {
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Screen => "screen",
            Door::Mcp => "mcp",
            Door::Rest => "rest",
            Door::Cli => "cli",
        }
    }
}

/// An asker as the gate knows it. Doors build it from a credential they have checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Actor {
    pub kind: ActorKind,
    /// Unique within its kind: the login name, the agent's name, the token's name.
    #[schemars(with = "String")]
    pub name: CompactString,
    pub role: Role,
    pub door: Door,
}

impl Actor {
    pub fn new(kind: ActorKind, name: impl Into<CompactString>, role: Role, door: Door) -> Self {
        Self { kind, name: name.into(), role, door }
    }

    /// A person at the screen, with the operator's role.
    pub fn operator(name: impl Into<CompactString>) -> Self {
        Self::new(ActorKind::Person, name, Role::Operator, Door::Screen)
    }

    /// An assistant over MCP.
    pub fn agent(name: impl Into<CompactString>) -> Self {
        Self::new(ActorKind::Agent, name, Role::Agent, Door::Mcp)
    }

    /// Whether two calls come from the same asker, whatever door each used.
    pub fn same_as(&self, other: &Actor) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            ActorKind::Person => "person",
            ActorKind::Agent => "agent",
            ActorKind::Client => "client",
            ActorKind::Pipeline => "pipeline",
        };
        write!(f, "{kind}:{}", self.name)
    }
}
