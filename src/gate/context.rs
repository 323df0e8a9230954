//! What a handler is given: proof that the gate let the call through, and its services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::engine::Gate;
use super::preview::TargetVersion;
use super::spec::OperationInfo;
use crate::base::ids::CallId;
use crate::base::{Actor, ActorKind, Code, Door, Error, Result};
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
    /// The result goes to the caller as it is: see [`Context::reveal`].
    revealed: Arc<AtomicBool>,
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
        Self { call, actor, operation, target, cancel, expected: None, revealed: Arc::default(), gate }
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

    /// Lets the result of this read pass the redactor, for a person who looks at the screen and for nobody else,
    /// whatever their role.
    ///
    /// # Errors
    ///
    /// The caller is somebody else, or at another door.
    pub fn reveal(&self) -> Result<()> {
        if self.actor.kind != ActorKind::Person || self.actor.door != Door::Screen {
            return Err(Error::new(
                Code::PermissionDenied,
                "secret values are shown only to a person at the screen",
            )
            .next("Leave `reveal` out: keys and sizes are shown to everyone who may read the object."));
        }
        self.revealed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the handler has asked for that: a clone tells once the handler has ended.
    pub(in crate::gate) fn revealed(&self) -> Arc<AtomicBool> {
        self.revealed.clone()
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
            Err(Error::new(Code::Cancelled, format!("{} was stopped", self.operation)))
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
