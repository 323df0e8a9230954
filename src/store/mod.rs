//! Durable state: the audit chain, approvals and grants.
//!
//! [`Store`] is cut so that each method is a complete unit of work, one transaction whatever the
//! database: what must be durable together is written together, and no caller can forget half of
//! it. [`SqliteStore`] is its first implementation.
//!
//! A store that cannot be written refuses every write with the reason and goes on answering reads.
//! It says so by [`Store::status`], and tries again by itself until it can.

mod chain;
mod error;
pub mod export;
mod keys;
mod record;
mod sqlite;
#[cfg(test)]
mod tests;
mod vault;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

pub use chain::Checkpoint;
pub use error::StoreError;
pub use keys::Keys;
pub use record::{
    Amend, ApprovalFilter, ApprovalRecord, AuditFilter, AuditKind, AuditPage, AuditRow, Consumed, Decide,
    Draft, GrantRecord, GrantUse, HoldOutcome, Interrupted, Pause, Status, Supersede,
};
pub use sqlite::{Limits, SqliteOptions, SqliteStore};
pub use verify::{Evidence, Fault, Finding, Used, Verification};

type Result<T> = std::result::Result<T, StoreError>;

/// A store that several parts share.
pub type SharedStore = Arc<dyn Store>;

/// Durable state. Every method that returns `Ok` has made its work durable.
///
/// Times are the caller's, so that expiry can be tested; the store itself never reads a clock for
/// a decision.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether it can be written; changes are published through the receiver.
    fn status(&self) -> watch::Receiver<Status>;

    /// The sequence number of the newest audit row, as it grows.
    fn head(&self) -> watch::Receiver<u64>;

    /// What had started and not ended when an earlier process died. Given once: the rows that say
    /// so are in the audit log already. A store that begins without being writable finds it later.
    fn take_interrupted(&self) -> Vec<Interrupted>;

    /// Appends one row and gives its sequence number.
    async fn append(&self, draft: Draft) -> Result<u64>;

    /// Queues a row that nobody waits for: reads, and what is known only once it is over. If it
    /// cannot be written it is counted, and the count is written once rows can be again.
    fn append_later(&self, draft: Draft);

    /// Writes the intent of a direct call and marks the call open; takes one use of `grant` in the
    /// same transaction, and fails with [`StoreError::Conflict`] if it has none left at `draft.at`.
    async fn begin(&self, intent: Draft, grant: Option<GrantUse>) -> Result<()>;

    /// Writes a call's outcome and closes it; with an approval, keeps the result with it. If the
    /// row cannot be written now, it is kept in memory and written once rows can be again.
    async fn finish(&self, outcome: Draft, result: Option<serde_json::Value>) -> Result<()>;

    /// Files a held call, or finds the one that the same actor already waits for (`call_key`).
    async fn hold(&self, approval: ApprovalRecord, proposed: Draft) -> Result<HoldOutcome>;

    /// The approval that a repeated call should attach to: one of this key that is still to be
    /// decided, or whose result has not been handed over and is younger than `since`.
    async fn attachable(
        &self,
        call_key: &str,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<Option<ApprovalRecord>>;

    /// Moves a pending approval to approved or denied, if it still has this digest and preview and
    /// has not expired.
    async fn decide(&self, decide: Decide, decided: Draft) -> Result<ApprovalRecord>;

    /// Voids an approval and files the one that takes its place.
    async fn supersede(
        &self,
        supersede: Supersede,
        decided: Draft,
        proposed: Draft,
    ) -> Result<ApprovalRecord>;

    /// Replaces a pending approval's arguments, preview and digest.
    async fn amend(&self, amend: Amend, row: Draft) -> Result<ApprovalRecord>;

    /// Uses an approval up and writes the row that says so, in one transaction: at most one caller
    /// ever gets [`Consumed::Now`]. Marks the call open.
    async fn consume(
        &self,
        id: crate::base::ids::ApprovalId,
        digest: &str,
        now: Timestamp,
        consumed: Draft,
    ) -> Result<Consumed>;

    /// Takes a pending approval back for `row`'s actor, whose call it is.
    async fn withdraw(
        &self,
        id: crate::base::ids::ApprovalId,
        reason: &str,
        row: Draft,
    ) -> Result<ApprovalRecord>;

    /// Notes that the requester has the result. False if it had it before.
    async fn returned(&self, id: crate::base::ids::ApprovalId, row: Draft) -> Result<bool>;

    /// Marks pending and approved ones past their time as expired, with an audit row each.
    async fn expire(&self, now: Timestamp) -> Result<Vec<crate::base::ids::ApprovalId>>;

    async fn approval(&self, id: crate::base::ids::ApprovalId) -> Result<Option<ApprovalRecord>>;

    /// Newest first.
    async fn approvals(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRecord>>;

    async fn create_grant(&self, grant: GrantRecord) -> Result<()>;

    /// Revokes one grant, or all of them; gives how many were in force.
    async fn revoke_grants(
        &self,
        id: Option<crate::base::ids::GrantId>,
        by: &crate::base::Actor,
        at: Timestamp,
    ) -> Result<u64>;

    /// Newest first; with `at`, only those in force then.
    async fn grants(&self, at: Option<Timestamp>) -> Result<Vec<GrantRecord>>;

    /// Pauses the agents, or lets them go on.
    async fn set_pause(&self, pause: Option<Pause>) -> Result<()>;

    async fn pause(&self) -> Result<Option<Pause>>;

    /// One page of the audit log, newest first unless the filter says otherwise.
    async fn audit(&self, filter: AuditFilter) -> Result<AuditPage>;

    /// Checks the whole chain against the keys and the checkpoints: its own, or those that are named.
    async fn verify(&self, evidence: Evidence) -> Result<Verification>;

    /// Writes what is queued and the last checkpoint, and closes.
    async fn close(&self);
}
