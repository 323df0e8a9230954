//! Approvals, grants and pauses as the doors see them: the card that a person decides on, and what
//! the requester gets.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::preview::{Diff, Preview};
use super::spec::{Effect, Target};
use crate::base::ids::{ApprovalId, CallId, GrantId};
use crate::base::text::glob;
use crate::base::{Actor, Code, Error, Result};
use crate::bus::ApprovalState;

/// A held call, whole: what a person sees before deciding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Approval {
    pub approval: ApprovalId,
    pub call: CallId,
    pub state: ApprovalState,
    pub operation: String,
    pub effect: Effect,
    pub target: Target,
    /// Who asks.
    pub actor: Actor,
    /// Why, in the asker's words: text from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The arguments that will be used, canonical and whole.
    pub arguments: Value,
    pub preview: Preview,
    /// What a decision must carry, so that it is about what was shown.
    pub preview_hash: String,
    /// SHA-256 over operation, schema, arguments, target version, actor and policy.
    pub digest: String,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// No decision counts from here on.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// Present when a person changed what was proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amended: Option<Amendment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// The void approval that this one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<ApprovalId>,
    /// The approval that took this one's place, because the target changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<ApprovalId>,
    /// How the call ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CallResult>,
}

/// What a person changed before deciding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Amendment {
    pub by: Actor,
    /// The arguments as they were proposed.
    pub proposed: Value,
    /// From the proposed arguments to those in force.
    pub diff: Diff,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    pub verdict: Verdict,
    pub by: Actor,
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Words for the requester.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Deny,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    Output(Value),
    Error(Error),
}

/// What deciding, or amending, came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decided {
    pub approval: ApprovalId,
    /// `consumed`: it runs now. `denied`: refused. `pending`: amended, to be decided. `void`: the
    /// preview was no longer true, see `superseded_by`.
    pub state: ApprovalState,
    /// Where it is void: the approval to decide instead, with a fresh preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<ApprovalId>,
    /// One sentence of what happened.
    pub note: String,
}

/// What a requester that waits is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Waited {
    /// The approval that it came to: another one than was asked for, if that was superseded.
    pub approval: ApprovalId,
    pub call: CallId,
    pub state: ApprovalState,
    /// Whether there is nothing more to wait for.
    pub done: bool,
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    /// How the call ended, or why it will not run. Absent while it waits or runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CallResult>,
    /// Present when a person changed the arguments: the call that ran is not the one proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amended: Option<Amendment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

impl Waited {
    /// The result as the call itself would have given it; `None` while it waits or runs.
    pub fn into_result(self) -> Option<Result<Value>> {
        match self.result? {
            CallResult::Output(output) => Some(Ok(output)),
            CallResult::Error(error) => Some(Err(error)),
        }
    }
}

/// Which targets a grant covers. An empty part covers everything; `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetPattern {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl TargetPattern {
    pub fn covers(&self, target: &Target) -> bool {
        // An empty pattern leaves that part open.
        let fits = |pattern: &str, text: &str| pattern.is_empty() || glob(pattern, text);
        fits(&self.cluster, &target.place)
            && fits(&self.namespace, &target.namespace)
            && fits(&self.kind, &target.kind)
            && fits(&self.name, &target.name)
    }
}

impl std::fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |p: &'_ str| if p.is_empty() { "*".to_owned() } else { p.to_owned() };
        let parts = [&self.cluster, &self.namespace, &self.kind, &self.name].map(|p| part(p));
        f.write_str(&parts.join("/"))
    }
}

/// Leave for an agent to act without asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    pub grant: GrantId,
    /// The agent's name; `*` is every agent.
    pub agent: String,
    pub operations: Vec<String>,
    pub target: TargetPattern,
    pub uses: u32,
    pub uses_left: u32,
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
    pub created_by: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `active`, `used up`, `expired` or `revoked`.
    pub state: String,
}

/// What a new grant should allow.
#[derive(Debug, Clone)]
pub struct NewGrant {
    pub agent: String,
    pub operations: Vec<String>,
    pub target: TargetPattern,
    pub uses: u32,
    pub lifetime: std::time::Duration,
    pub reason: Option<String>,
}

/// The error that a requester gets whose held call will not run.
pub(in crate::gate) fn refusal(
    state: ApprovalState,
    decision: Option<&Decision>,
    approval: ApprovalId,
) -> Error {
    let details = serde_json::json!({ "approval": approval });
    let by = decision.map(|d| d.by.to_string());
    let said = decision.and_then(|d| d.reason.as_deref());
    match state {
        ApprovalState::Denied => {
            let message = match (by, said) {
                (Some(by), Some(reason)) => format!("{by} refused it: {reason}"),
                (Some(by), None) => format!("{by} refused it"),
                _ => "it was refused".to_owned(),
            };
            let error = Error::new(Code::Refused, message).details(details);
            match said {
                Some(_) => error,
                None => error.next("No reason was given: ask for one before you propose it again."),
            }
        }
        ApprovalState::Expired => {
            Error::new(Code::Expired, "nobody decided in time, so it did not run").details(details)
        }
        ApprovalState::Withdrawn => {
            Error::new(Code::Cancelled, "it was taken back before anyone decided, so it did not run")
                .next("Make the call again if it is still wanted.")
                .details(details)
        }
        _ => Error::new(Code::Conflict, said.unwrap_or("the approval became void before the call ran"))
            .next("Propose the call again on what the target is now.")
            .details(details),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_leaves_open_covers_everything() {
        let target = Target::kubernetes("eu-1", "", "deployment", "api");
        let pattern = |name: &str| TargetPattern {
            cluster: "eu-*".into(),
            name: name.into(),
            ..TargetPattern::default()
        };
        assert!(pattern("").covers(&target) && pattern("a*").covers(&target));
        assert!(!pattern("web").covers(&target));
    }
}
