//! What a handler is given: proof that the gate let the call through, and its services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::engine::Gate;
use super::interaction::Duplex;
use super::preview::{Preview, TargetVersion};
use super::spec::{OperationInfo, Target};
use crate::base::ids::CallId;
use crate::base::{Actor, ActorKind, Code, Door, Error, Redactor, Result};
use crate::bus::{Bus, CallEvent, CallPhase, Event, Item};

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
    /// The calls that this one is made of.
    parts: Arc<[Call]>,
    duplex: Arc<Mutex<Option<Duplex>>>,
    notes: Arc<Mutex<Map<String, Value>>>,
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
        Self {
            call,
            actor,
            operation,
            target,
            cancel,
            expected: None,
            revealed: Arc::default(),
            parts: Arc::from([]),
            duplex: Arc::default(),
            notes: Arc::default(),
            gate,
        }
    }

    #[must_use]
    pub(in crate::gate) fn made_of(mut self, parts: Arc<[Call]>) -> Self {
        self.parts = parts;
        self
    }

    /// The targets of the calls that this one is made of.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.parts.iter().map(|part| &part.target)
    }

    /// Leave to read what one of them reads. A read that is made of several must have it for each before it reads that.
    ///
    /// # Errors
    ///
    /// The policy does not let the caller read it.
    pub async fn admit_part(&self, index: usize) -> Result<()> {
        self.gate.admit_part(self.part(index)?).await
    }

    /// What one of them would do.
    pub async fn preview_part(&self, index: usize) -> Result<Preview> {
        self.gate.preview_of(self.part(index)?).await
    }

    /// Runs one of them, recorded as a call of its own: only where its target is in the state given.
    pub async fn run_part(&self, index: usize, expect: Option<TargetVersion>) -> Result<Value> {
        let part = Call { expect, ..self.part(index)?.copy() };
        self.gate.run_checked(&part, None).await?
    }

    fn part(&self, index: usize) -> Result<&Call> {
        self.parts.get(index).ok_or_else(|| Error::internal(format!("the call has no part {index}")))
    }

    /// With the call's own places for its caller's end and for what its outcome's row is to say.
    #[must_use]
    pub(in crate::gate) fn talking(
        mut self,
        duplex: Arc<Mutex<Option<Duplex>>>,
        notes: Arc<Mutex<Map<String, Value>>>,
    ) -> Self {
        (self.duplex, self.notes) = (duplex, notes);
        self
    }

    /// The end of the caller who talks with this call while it runs; `None` where nobody does, and once it was taken.
    pub fn duplex(&self) -> Option<Duplex> {
        self.duplex.lock().take()
    }

    /// Has the audit row of the call's end say something that its arguments do not: the container that was chosen, an
    /// exit code.
    pub fn note(&self, name: &str, value: impl Into<Value>) {
        self.notes.lock().insert(name.to_owned(), value.into());
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
        self.publish(CallPhase::Progress { done, total, note: note.into(), item: None });
    }

    /// Tells how one of several things fares, of which `done` of `total` are over.
    pub fn item(&self, done: usize, total: usize, item: Item) {
        let note = match item.note.as_str() {
            "" => format!("{}: {}", item.name, item.state.as_str()),
            note => format!("{}: {} ({note})", item.name, item.state.as_str()),
        };
        let (done, total) = (done as u64, Some(total as u64));
        self.publish(CallPhase::Progress { done, total, note, item: Some(item) });
    }

    fn publish(&self, phase: CallPhase) {
        self.bus().publish(Event::Call(CallEvent {
            call: self.call,
            actor: (*self.actor).clone(),
            operation: self.operation.to_owned(),
            target: self.target.to_string(),
            at: self.now(),
            phase,
        }));
    }

    pub fn bus(&self) -> &Bus {
        self.gate.bus()
    }

    /// Every operation there is, for `operation_list`.
    pub fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.gate.catalogue()
    }

    /// For what leaves by another way than the call's result: a file.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.gate.inner.redactor.clone()
    }

    /// The gate's own state, for the operations about approvals, grants and the audit log.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}
