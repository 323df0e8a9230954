//! One call on its way through the gate: what it is, and what is written and published about it.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::client::Request;
use super::context::Context;
use super::engine::Gate;
use super::interaction::Duplex;
use super::operation::{Callable, Normal, Part};
use super::preview::TargetVersion;
use super::recorded::recorded_arguments;
use super::spec::{Effect, Record, Spec, Target};
use crate::base::ids::CallId;
use crate::base::redact::holds_mask;
use crate::base::{Actor, Error, Result};
use crate::bus::{CallEvent, CallPhase, Event};
use crate::store::{AuditKind, Draft};

pub(in crate::gate) struct Call {
    pub id: CallId,
    pub actor: Arc<Actor>,
    pub operation: Arc<dyn Callable>,
    pub spec: Spec,
    /// With defaults filled in.
    pub arguments: Value,
    pub target: Target,
    pub target_text: Arc<str>,
    pub reason: Option<String>,
    pub expect: Option<TargetVersion>,
    pub trace_parent: Option<String>,
    pub started: Instant,
    /// The same as a shell command.
    pub equivalent: Option<String>,
    /// The calls that it is made of, if it is several.
    pub parts: Arc<[Call]>,
    /// Cancelled when somebody stops it.
    pub cancel: CancellationToken,
    /// The caller's end of an interactive call, until the handler takes it.
    pub duplex: Arc<Mutex<Option<Duplex>>>,
    /// What the handler wants the outcome's row to say.
    pub notes: Arc<Mutex<Map<String, Value>>>,
}

impl Call {
    /// The call and what its operation says that it is made of: [`Gate::call_of`] makes calls of that.
    pub fn new(
        actor: Arc<Actor>,
        operation: Arc<dyn Callable>,
        request: Request,
    ) -> Result<(Self, Vec<Part>)> {
        let spec = *operation.spec();
        let Normal { arguments, target, equivalent, parts } = operation.normalize(request.arguments)?;
        if spec.effect > Effect::Observe && holds_mask(&arguments) {
            return Err(Error::invalid("the arguments hold text in whose place a secret was hidden")
                .next("Put the true value there, or leave the field out."));
        }
        let call = Self {
            id: CallId::new(),
            actor,
            operation,
            spec,
            arguments,
            target_text: target.to_string().into(),
            target,
            reason: request.reason,
            expect: request.expect,
            trace_parent: request.trace_parent,
            started: Instant::now(),
            equivalent: equivalent.filter(|_| spec.effect > Effect::Observe),
            parts: Arc::from([]),
            cancel: CancellationToken::new(),
            duplex: Arc::default(),
            notes: Arc::default(),
        };
        Ok((call, parts))
    }

    pub fn context(&self, gate: &Gate, cancel: CancellationToken) -> Context {
        Context::new(
            self.id,
            self.actor.clone(),
            self.spec.name,
            self.target_text.clone(),
            cancel,
            gate.clone(),
        )
        .made_of(self.parts.clone())
        .talking(self.duplex.clone(), self.notes.clone())
    }

    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub fn recorded(&self) -> bool {
        matches!(self.spec.record, Record::Always)
    }

    /// A row about it, without detail.
    pub fn draft(&self, gate: &Gate, kind: AuditKind) -> Draft {
        Draft::new(kind, gate.now(), &self.actor, self.spec.name).call(self.id).target(&*self.target_text)
    }

    /// The detail of a row that stands for the whole call: effect, arguments, reason, and `more`.
    pub fn detail(&self, gate: &Gate, more: Value) -> Value {
        let mut detail = serde_json::json!({
            "effect": self.spec.effect.as_str(),
            "arguments": recorded_arguments(gate, &self.arguments),
        });
        if let Some(equivalent) = &self.equivalent {
            detail["equivalent"] = gate.inner.redactor.text(equivalent).into();
        }
        if let Some(whom) = gate.inner.settings.acting.of(&self.target) {
            detail["as"] = whom.into();
        }
        if let Some(reason) = &self.reason {
            detail["reason"] = gate.inner.redactor.text(reason).into();
        }
        if let Some(trace) = &self.trace_parent {
            detail["trace_parent"] = trace.as_str().into();
        }
        if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
            detail.extend(more);
        }
        detail
    }
}

impl Gate {
    pub(in crate::gate) fn publish(&self, call: &Call, phase: CallPhase) {
        if call.recorded() {
            self.bus().publish(Event::Call(CallEvent {
                call: call.id,
                actor: (*call.actor).clone(),
                operation: call.spec.name.to_owned(),
                target: call.target_text.to_string(),
                at: self.now(),
                phase,
            }));
        }
    }

    pub(in crate::gate) fn publish_denied(&self, call: &Call, error: &Error) {
        self.publish(call, CallPhase::Denied { error: error.clone() });
    }

    pub(in crate::gate) fn publish_end(&self, call: &Call, result: Result<(), &Error>) {
        let milliseconds = call.milliseconds();
        self.publish(
            call,
            match result {
                Ok(()) => CallPhase::Succeeded { milliseconds },
                Err(error) => CallPhase::Failed { milliseconds, error: error.clone() },
            },
        );
    }

    /// The error without secrets.
    pub(in crate::gate) fn clean_error(&self, mut error: Error) -> Error {
        let redactor = &self.inner.redactor;
        for text in [Some(&mut error.message), error.next.as_mut()].into_iter().flatten() {
            if let std::borrow::Cow::Owned(masked) = redactor.text(text) {
                *text = masked;
            }
        }
        if let Some(details) = &mut error.details {
            redactor.value(details);
        }
        error
    }

    /// The result without secrets.
    pub(in crate::gate) fn clean(&self, result: Result<Value>) -> Result<Value> {
        match result {
            Ok(mut output) => {
                self.inner.redactor.value(&mut output);
                Ok(output)
            }
            Err(error) => Err(self.clean_error(error)),
        }
    }
}
