//! What an operation says of itself, and what it acts on.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::schema::Schema;
use crate::base::ids::{ApprovalId, CallId};

/// How much an operation can do. The policy reads it; it must never be understated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads.
    Observe,
    /// A reversible write.
    Change,
    /// Deletes, drains, reloads: anything hard to undo.
    Destroy,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Observe => "observe",
            Effect::Change => "change",
            Effect::Destroy => "destroy",
        }
    }
}

/// HTTP method of the REST route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Whether calls are written to the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Reads in one row after the fact; changes as intent and outcome. What every operation should have.
    Always,
    /// Not written, for the reason given: presence, such as where a participant looks, many times a second.
    Never(&'static str),
}

/// What an actor needs to be let through, beyond the operation's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `run`, or `propose` to have it held.
    Use,
    /// `decide`: it decides for others (approves, grants, resumes). It is never held, and no agent has it.
    Decide,
    /// `run`, by a person alone: it gives rights or takes them (tokens). It is never held: no approval and no
    /// grant lets anyone else do it.
    Person,
}

/// The constant part of an operation. From it come the MCP tool, the REST route with its OpenAPI
/// entry, the `qd` subcommand and the palette entry.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// `noun_verb`, unique.
    pub name: &'static str,
    /// One sentence in the imperative, for people and models alike.
    pub summary: &'static str,
    pub effect: Effect,
    /// Whether running it twice is the same as once, so that it may be retried.
    pub idempotent: bool,
    pub method: Method,
    /// Resource-oriented, below `/v1`. `{field}` names a field of the input; other fields are query
    /// parameters for GET and DELETE, and the JSON body otherwise.
    pub path: &'static str,
    pub record: Record,
    pub right: Right,
    /// Exit codes of the command that are its result, with their meanings; empty for nearly all.
    pub exits: &'static [(u8, &'static str)],
    /// Whether a person can talk with it while it runs.
    pub talk: Talk,
    /// Whether a read that is made of others begins where the policy lets one of them be read: its handler then asks leave
    /// for each ([`super::Context::admit_part`]). Else all must be allowed, and the call itself.
    pub asks_each: bool,
}

/// How a caller can talk with a call while it runs: see [`super::Interaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    No,
    /// Bytes in and out, as through pipes; it can be called without as well.
    Pipes,
    /// A terminal, where `tty` is among its arguments; else it is a plain call.
    Offered,
    /// It is a terminal's: without one it cannot be called.
    Terminal,
}

impl Spec {
    /// An operation that only reads, by GET.
    pub const fn observe(name: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            effect: Effect::Observe,
            idempotent: true,
            method: Method::Get,
            path,
            record: Record::Always,
            right: Right::Use,
            exits: &[],
            talk: Talk::No,
            asks_each: false,
        }
    }

    /// A reversible write.
    pub const fn change(
        name: &'static str,
        method: Method,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            summary,
            effect: Effect::Change,
            idempotent: false,
            method,
            path,
            record: Record::Always,
            right: Right::Use,
            exits: &[],
            talk: Talk::No,
            asks_each: false,
        }
    }

    /// A write that is hard to undo.
    pub const fn destroy(
        name: &'static str,
        method: Method,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            summary,
            effect: Effect::Destroy,
            idempotent: false,
            method,
            path,
            record: Record::Always,
            right: Right::Use,
            exits: &[],
            talk: Talk::No,
            asks_each: false,
        }
    }

    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    #[must_use]
    pub const fn unrecorded(mut self, reason: &'static str) -> Self {
        self.record = Record::Never(reason);
        self
    }

    /// Makes it an operation that decides for others.
    #[must_use]
    pub const fn deciding(mut self) -> Self {
        self.right = Right::Decide;
        self
    }

    /// Makes it an operation that gives rights: for persons alone.
    #[must_use]
    pub const fn persons_only(mut self) -> Self {
        self.right = Right::Person;
        self
    }

    /// Makes its exit code its result: the codes, each with its meaning. Whatever keeps it from running is 1.
    #[must_use]
    pub const fn exits(mut self, exits: &'static [(u8, &'static str)]) -> Self {
        self.exits = exits;
        self
    }

    /// Begins where one of its parts is allowed; the handler asks leave for each.
    #[must_use]
    pub const fn asking_each(mut self) -> Self {
        self.asks_each = true;
        self
    }

    /// Lets a person talk with it while it runs.
    #[must_use]
    pub const fn talking(mut self, talk: Talk) -> Self {
        self.talk = talk;
        self
    }

    /// `("pod", "list")` of `pod_list`; `("config_map", "get")` of `config_map_get`.
    pub fn noun_verb(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('_').unwrap_or((self.name, ""))
    }
}

/// A [`Spec`] as data with its schemas, for doors that are built from it and for `operation_list`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OperationInfo {
    pub name: String,
    pub summary: String,
    pub effect: Effect,
    pub idempotent: bool,
    pub method: Method,
    pub path: String,
    /// Whether it can be watched as well as called.
    pub watch: bool,
    /// Whether it can say what it would do.
    pub preview: bool,
    /// Whether it needs the caller's terminal while it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminal: bool,
    /// JSON Schema (2020-12) of the arguments. A property may carry `x-complete`: what to complete
    /// it with (`cluster`, `namespace`, `kind`, `name`).
    pub input: Schema,
    /// JSON Schema (2020-12) of the result.
    pub output: Schema,
}

/// What sort of system a target lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Quarterdeck itself: the session, approvals, the audit log.
    #[default]
    Quarterdeck,
    Kubernetes,
    Device,
    Server,
    Data,
}

/// What a call acts on. Empty parts mean "all" or "does not apply".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    pub system: System,
    /// The cluster's context name, the device, the server, the bucket or database.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Lower-case singular: `deployment`, `pod`, or a group-qualified `certificate.cert-manager.io`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Target {
    /// Quarterdeck's own state, of the kind given.
    pub fn own(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// An object, or with an empty name all of a kind, in a cluster.
    pub fn kubernetes(
        cluster: impl Into<String>,
        namespace: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            system: System::Kubernetes,
            place: cluster.into(),
            namespace: namespace.into(),
            kind: kind.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for part in [&self.place, &self.namespace, &self.kind, &self.name] {
            if !part.is_empty() {
                if !first {
                    f.write_str("/")?;
                }
                f.write_str(part)?;
                first = false;
            }
        }
        Ok(())
    }
}

/// What a caller gets whose call waits for a person.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Held {
    pub call: CallId,
    pub approval: ApprovalId,
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// Why it waits, in one sentence.
    pub reason: String,
}
