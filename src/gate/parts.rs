//! Calls that are made of others: each part passes the policy, is previewed, run and recorded as itself. And stopping a
//! change under way.

use std::sync::Arc;

use super::call::Call;
use super::client::Request;
use super::engine::Gate;
use super::operation::Callable;
use super::policy::{Ruling, is_agent};
use super::spec::Effect;
use crate::base::ids::CallId;
use crate::base::{Actor, Code, Error, Result};

impl Gate {
    /// The call with its parts. Its effect is that of the worst of them.
    pub(in crate::gate) fn call_of(
        &self,
        actor: Arc<Actor>,
        operation: Arc<dyn Callable>,
        request: Request,
    ) -> Result<Call> {
        let (reason, trace_parent) = (request.reason.clone(), request.trace_parent.clone());
        let acting = &self.inner.settings.acting;
        let (mut call, parts) = Call::new(actor.clone(), operation, request)?;
        call.equivalent = call.equivalent.map(|command| acting.command(command));
        if parts.is_empty() {
            return Ok(call);
        }
        let mut made = Vec::with_capacity(parts.len());
        for part in parts {
            let operation = self.operation(&part.operation)?.clone();
            let request = Request {
                reason: reason.clone(),
                trace_parent: trace_parent.clone(),
                ..Request::new(part.operation, part.arguments)
            };
            let (mut one, deeper) = Call::new(actor.clone(), operation, request)?;
            // A read may be of several things, each of which the policy rules on; a change is made of changes.
            let reads = call.spec.effect == Effect::Observe;
            if !deeper.is_empty() || (one.spec.effect == Effect::Observe) != reads {
                return Err(Error::invalid(format!("{} cannot be one of several calls", one.spec.name))
                    .next("Name an operation that changes one object, such as deployment_restart."));
            }
            one.equivalent = one.equivalent.map(|command| acting.command(command));
            one.cancel = call.cancel.child_token();
            made.push(one);
        }
        call.spec.effect = made.iter().map(|part| part.spec.effect).max().unwrap_or(call.spec.effect);
        let commands: Vec<&str> = made.iter().filter_map(|part| part.equivalent.as_deref()).collect();
        call.equivalent = (!commands.is_empty()).then(|| commands.join("; "));
        call.parts = made.into();
        Ok(call)
    }

    /// What the policy says: of several calls as one, the strictest that it says of any. A read that asks leave for each of
    /// its parts ([`Spec::asks_each`](super::spec::Spec::asks_each)) goes on where one of them may be read.
    pub(in crate::gate) fn rule(&self, call: &Call) -> Ruling {
        let policy = &self.inner.policy;
        if call.spec.asks_each && !call.parts.is_empty() {
            let rulings = call.parts.iter().map(|p| policy.rule(&p.actor, &p.spec, &p.target));
            let mut refused = None;
            for ruling in rulings {
                if ruling == Ruling::Run {
                    return Ruling::Run;
                }
                refused.get_or_insert(ruling);
            }
            return refused.unwrap_or(Ruling::Hold);
        }
        let mut ruling = policy.rule(&call.actor, &call.spec, &call.target);
        for part in call.parts.iter() {
            match policy.rule(&part.actor, &part.spec, &part.target) {
                Ruling::Run => {}
                Ruling::Hold if ruling == Ruling::Run => ruling = Ruling::Hold,
                Ruling::Hold => {}
                Ruling::Deny(why) => return Ruling::Deny(format!("{}: {why}", part.target_text)),
            }
        }
        ruling
    }

    /// Leave for one of the reads that a read is made of. What is refused is recorded as every refusal is.
    pub(in crate::gate) async fn admit_part(&self, part: &Call) -> Result<()> {
        match self.rule(part) {
            Ruling::Run => Ok(()),
            Ruling::Hold => {
                Err(self.deny(part, "one of several reads cannot wait for a decision".to_owned()).await)
            }
            Ruling::Deny(why) => Err(self.deny(part, why).await),
        }
    }

    /// Takes note that a change runs, until what this gives is dropped.
    pub(in crate::gate) fn running(&self, call: &Call) -> Running {
        self.inner.running.lock().insert(call.id, (call.cancel.clone(), call.actor.clone()));
        Running { gate: self.clone(), call: call.id }
    }

    /// Asks a change under way to end before its time. It ends as soon as it can do so cleanly.
    pub(crate) fn stop(&self, actor: &Actor, call: CallId) -> Result<()> {
        let running = self.inner.running.lock();
        let Some((cancel, owner)) = running.get(&call) else {
            return Err(Error::not_found(format!("no change {call} is under way"))
                .next("It may have ended: audit_list says how."));
        };
        if is_agent(actor) && !owner.same_as(actor) {
            return Err(Error::new(Code::PermissionDenied, "an agent stops its own calls only"));
        }
        cancel.cancel();
        Ok(())
    }
}

/// A change under way.
pub(in crate::gate) struct Running {
    gate: Gate,
    call: CallId,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gate.inner.running.lock().remove(&self.call);
    }
}
