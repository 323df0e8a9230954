//! What the store keeps, as data.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::ids::{ApprovalId, CallId, GrantId};
use crate::base::{Actor, Code};
use crate::bus::ApprovalState;

/// What an audit row says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// A call was held for a decision.
    Proposed,
    /// A held call was changed before its decision.
    Amended,
    /// A person approved or refused, or the approval became void.
    Decided,
    /// An approval was used up: the intent of a held call.
    Consumed,
    /// A held call ended: its outcome.
    Executed,
    /// The requester was given the result of a held call.
    Returned,
    /// An approval ran out.
    Expired,
    /// The requester took a held call back.
    Withdrawn,
    /// A direct change is about to run.
    Intent,
    /// A direct change ended.
    Outcome,
    /// A call was not allowed, or not possible, and did not run.
    Denied,
    /// A read ended.
    Read,
    WatchStarted,
    WatchEnded,
    /// A call had started when a process died; whether it took effect is not known.
    Interrupted,
    /// Rows could not be written for a while; says how many reads are missing.
    Gap,
    SessionStarted,
    SessionStopped,
}

impl AuditKind {
    pub const ALL: &[AuditKind] = &[
        AuditKind::Proposed,
        AuditKind::Amended,
        AuditKind::Decided,
        AuditKind::Consumed,
        AuditKind::Executed,
        AuditKind::Returned,
        AuditKind::Expired,
        AuditKind::Withdrawn,
        AuditKind::Intent,
        AuditKind::Outcome,
        AuditKind::Denied,
        AuditKind::Read,
        AuditKind::WatchStarted,
        AuditKind::WatchEnded,
        AuditKind::Interrupted,
        AuditKind::Gap,
        AuditKind::SessionStarted,
        AuditKind::SessionStopped,
    ];

    /// The word in the database, in exports and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditKind::Proposed => "proposed",
            AuditKind::Amended => "amended",
            AuditKind::Decided => "decided",
            AuditKind::Consumed => "consumed",
            AuditKind::Executed => "executed",
            AuditKind::Returned => "returned",
            AuditKind::Expired => "expired",
            AuditKind::Withdrawn => "withdrawn",
            AuditKind::Intent => "intent",
            AuditKind::Outcome => "outcome",
            AuditKind::Denied => "denied",
            AuditKind::Read => "read",
            AuditKind::WatchStarted => "watch_started",
            AuditKind::WatchEnded => "watch_ended",
            AuditKind::Interrupted => "interrupted",
            AuditKind::Gap => "gap",
            AuditKind::SessionStarted => "session_started",
            AuditKind::SessionStopped => "session_stopped",
        }
    }
}

/// An audit row before it has its place in the chain.
#[derive(Debug, Clone)]
pub struct Draft {
    pub at: Timestamp,
    pub kind: AuditKind,
    pub call: Option<CallId>,
    pub actor: Actor,
    pub operation: Cow<'static, str>,
    /// In one line: `eu-1/shop/deployment/api`.
    pub target: String,
    pub approval: Option<ApprovalId>,
    /// How it failed, if it did.
    pub code: Option<Code>,
    /// How long it took.
    pub milliseconds: Option<u64>,
    /// An object with whatever else matters: effect, arguments, reason, hashes, the error's message.
    pub detail: Value,
}

impl Draft {
    pub fn new(
        kind: AuditKind,
        at: Timestamp,
        actor: &Actor,
        operation: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            at,
            kind,
            call: None,
            actor: actor.clone(),
            operation: operation.into(),
            target: String::new(),
            approval: None,
            code: None,
            milliseconds: None,
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    #[must_use]
    pub fn call(mut self, call: CallId) -> Self {
        self.call = Some(call);
        self
    }

    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    #[must_use]
    pub fn approval(mut self, approval: ApprovalId) -> Self {
        self.approval = Some(approval);
        self
    }

    #[must_use]
    pub fn code(mut self, code: Option<Code>) -> Self {
        self.code = code;
        self
    }

    #[must_use]
    pub fn took(mut self, milliseconds: u64) -> Self {
        self.milliseconds = Some(milliseconds);
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// An audit row as it stands in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AuditRow {
    /// Dense: 1, 2, 3, …
    pub seq: u64,
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub kind: AuditKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// `person:ana`, `agent:claude`.
    pub actor: String,
    pub role: String,
    pub door: String,
    pub operation: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// How it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    pub detail: Value,
    /// Hash of the row before, in hexadecimal.
    pub prev: String,
    /// HMAC-SHA256 of the canonical row, in hexadecimal.
    pub hash: String,
}

/// Which audit rows to give. Empty fields match everything.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Part of the actor: `claude` finds `agent:claude`.
    pub actor: Option<String>,
    pub operation: Option<String>,
    /// Part of the target.
    pub target: Option<String>,
    pub kinds: Vec<AuditKind>,
    pub call: Option<CallId>,
    pub approval: Option<ApprovalId>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Leave out rows from this number on (going back), or up to it (going forward).
    pub cursor: Option<u64>,
    /// Oldest first.
    pub forward: bool,
    pub limit: u32,
}

#[derive(Debug, Clone)]
pub struct AuditPage {
    pub rows: Vec<AuditRow>,
    /// Rows in the whole log.
    pub total: u64,
    /// The cursor of the next page, if there may be one.
    pub next: Option<u64>,
}

/// A held call as it is kept. What belongs to the gate's types is JSON here.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalRecord {
    pub id: ApprovalId,
    pub call: CallId,
    /// The session's name, a colon, and SHA-256 of actor, operation and arguments: a repeated call has the same.
    pub call_key: String,
    pub operation: String,
    pub effect: String,
    pub arguments: Value,
    pub target: Value,
    /// The target in one line.
    pub target_text: String,
    pub preview: Value,
    pub preview_hash: String,
    pub schema_hash: String,
    pub policy_version: String,
    /// What the decision is bound to.
    pub digest: String,
    pub actor: Actor,
    pub reason: Option<String>,
    pub state: ApprovalState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<Timestamp>,
    pub decision_reason: Option<String>,
    /// Who changed the arguments before the decision, and what they were when proposed.
    pub amended_by: Option<Actor>,
    pub proposed_arguments: Option<Value>,
    pub supersedes: Option<ApprovalId>,
    pub superseded_by: Option<ApprovalId>,
    pub consumed_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// `{"output": …}` or `{"error": …}` once it ended.
    pub result: Option<Value>,
    pub returned_at: Option<Timestamp>,
}

impl ApprovalRecord {
    /// The state at a time: a pending or approved one that is past its time is expired, whether or
    /// not that has been written yet.
    pub fn state_at(&self, now: Timestamp) -> ApprovalState {
        match self.state {
            ApprovalState::Pending | ApprovalState::Approved if self.expires_at <= now => {
                ApprovalState::Expired
            }
            state => state,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Only those still to be decided.
    pub pending: bool,
    /// Without arguments, preview, reasons and result, which cost to open.
    pub bare: bool,
    pub limit: u32,
}

/// What came of filing a held call.
#[derive(Debug, Clone)]
pub enum HoldOutcome {
    Filed,
    /// The same call of the same actor already waits.
    Attached(Box<ApprovalRecord>),
}

/// A decision on a pending approval.
#[derive(Debug, Clone)]
pub struct Decide {
    pub id: ApprovalId,
    pub digest: String,
    pub preview_hash: String,
    pub approve: bool,
    pub by: Actor,
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// A replacement of an approval whose target, schema or policy changed.
#[derive(Debug, Clone)]
pub struct Supersede {
    pub id: ApprovalId,
    pub at: Timestamp,
    pub replacement: Box<ApprovalRecord>,
}

/// A change of what a pending approval is for.
#[derive(Debug, Clone)]
pub struct Amend {
    pub id: ApprovalId,
    /// The digest that the amender saw.
    pub digest: String,
    pub at: Timestamp,
    /// The record with its new arguments, target, preview and digest.
    pub record: Box<ApprovalRecord>,
}

/// What came of using an approval up.
#[derive(Debug, Clone, PartialEq)]
pub enum Consumed {
    /// This caller runs it.
    Now,
    /// Nobody does, by this attempt: the state that the approval is in.
    No(ApprovalState),
}

/// Leave for agents to act without asking.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantRecord {
    pub id: GrantId,
    pub created_by: Actor,
    pub created_at: Timestamp,
    /// The agent's name.
    pub agent: String,
    pub operations: Vec<String>,
    /// The target pattern, as the gate defines it.
    pub target: Value,
    pub uses: u32,
    pub uses_left: u32,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<Actor>,
    pub reason: Option<String>,
}

impl GrantRecord {
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.uses_left > 0 && self.expires_at > now
    }
}

/// Which grant a call uses.
#[derive(Debug, Clone, Copy)]
pub struct GrantUse {
    pub id: GrantId,
}

/// Agents are paused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    pub by: Actor,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// A call whose process died under it.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupted {
    pub call: CallId,
    pub approval: Option<ApprovalId>,
    pub actor: Actor,
    pub operation: String,
    pub target: String,
    pub started_at: Timestamp,
}

/// Whether the store can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Why it cannot be written; `None` while it can.
    pub outage: Option<String>,
    /// The same for a banner of one line: what is wrong, and what to do.
    pub banner: Option<&'static str>,
}

impl Status {
    pub fn writable(&self) -> bool {
        self.outage.is_none()
    }
}
