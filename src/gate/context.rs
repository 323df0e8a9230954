//! What a handler is given: proof that the gate let the call through, and its services.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::engine::Gate;
use super::preview::TargetVersion;
use super::spec::OperationInfo;
use crate::base::ids::CallId;
use crate::base::{Actor, Result};
use crate::bus::{Bus, CallEvent, CallPhase, Event};

/// The proof and the services. Only the gate can make one.
#[derive(Clone)]
pub struct Context {
    call: CallId,
    actor: Arc<Actor>,
    operation: &'static str,
    target: Arc<str>,
    cancel: CancellationToken,
    expected: Option<Arc<TargetVersion>>,
    gate: Gate,
}

impl Context {
    pub(in crate::gate) fn new(
        call: CallId,
        actor: Arc<Actor>,
        operation: &'static str,
        target: Arc<str>,
        cancel: CancellationToken,
        gate: Gate,
    ) -> Self {
        Self { call, actor, operation, target, cancel, expected: None, gate }
    }

    /// Binds the call to the version of the target that was previewed, approved or named by the caller.
    #[must_use]
    #[allow(dead_code, reason = "the gate binds a call once it has previewed it")]
    pub(in crate::gate) fn expecting(mut self, version: Option<TargetVersion>) -> Self {
        self.expected = version.map(Arc::new);
        self
    }

    /// The version of the target that the caller or the approver has seen. A change must not be made to any other: the
    /// handler sends it along as a precondition where the target system has such a thing.
    pub fn expected(&self) -> Option<&TargetVersion> {
        self.expected.as_deref()
    }

    pub fn call(&self) -> CallId {
        self.call
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn now(&self) -> Timestamp {
        self.gate.clock().now()
    }

    /// Cancelled when the caller gives up; a change already under way should end cleanly.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Returns an error once the caller gave up: for loops between steps.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(crate::base::Error::new(
                crate::base::Code::Cancelled,
                format!("{} was stopped", self.operation),
            ))
        } else {
            Ok(())
        }
    }

    /// Tells every door how far the call is.
    pub fn progress(&self, done: u64, total: Option<u64>, note: impl Into<String>) {
        self.bus().publish(Event::Call(CallEvent {
            call: self.call,
            actor: (*self.actor).clone(),
            operation: self.operation.to_owned(),
            target: self.target.to_string(),
            at: self.now(),
            phase: CallPhase::Progress { done, total, note: note.into() },
        }));
    }

    pub fn bus(&self) -> &Bus {
        self.gate.bus()
    }

    /// Every operation there is, for `operation_list`.
    pub fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.gate.catalogue()
    }

    /// The gate's own state, for the operations about approvals, grants and the audit log.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}
