//! Deciding about a held call: the person's word is bound to what was shown, and what was shown is
//! computed again before the stored call runs, once.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::approval::{CallResult, Decided, Verdict};
use super::call::Call;
use super::client::Request;
use super::engine::Gate;
use super::hold::{binding, check_intact, effect_of, target_of};
use super::policy::{Ruling, is_agent};
use super::preview::Preview;
use super::recorded::recorded_arguments;
use super::run::refused_by_store;
use super::spec::Right;
use crate::base::ids::ApprovalId;
use crate::base::redact::holds_mask;
use crate::base::{Actor, Code, Error, Result};
use crate::bus::{ApprovalState, CallPhase};
use crate::store::{Amend, ApprovalRecord, AuditKind, Consumed, Decide, Draft, Supersede};

impl Gate {
    /// Approves or refuses. Approving gives `consumed` once the stored call runs, or `void` with the
    /// approval to decide instead when its preview is no longer true.
    pub(crate) async fn decide(
        &self,
        decider: &Actor,
        id: ApprovalId,
        verdict: Verdict,
        preview_hash: &str,
        reason: Option<String>,
    ) -> Result<Decided> {
        let record = self.decidable(decider, id).await?;
        if record.preview_hash != preview_hash {
            return Err(Error::new(
                Code::Conflict,
                "the decision is about another preview than the approval's",
            )
            .next("Open the approval again: approval_get shows its preview and that preview's hash."));
        }
        match verdict {
            Verdict::Deny => self.refuse(decider, &record, reason).await,
            Verdict::Approve => {
                // From here it goes on even if the decider's connection breaks.
                let (gate, decider) = (self.clone(), decider.clone());
                let task = async move { gate.approve(&decider, record, reason).await };
                self.inner
                    .changes
                    .spawn(task)
                    .await
                    .map_err(|e| Error::internal(format!("the decision's task ended: {e}")))?
            }
        }
    }

    /// The approval, if this actor may decide about it and there is still something to decide.
    async fn decidable(&self, decider: &Actor, id: ApprovalId) -> Result<ApprovalRecord> {
        if is_agent(decider) {
            return Err(Error::new(Code::PermissionDenied, "an agent never decides"));
        }
        let now = self.now();
        let record = self.approval_record(id).await?;
        if record.actor.same_as(decider) {
            return Err(Error::new(Code::PermissionDenied, "nobody decides about a call of their own")
                .next("Ask someone else to decide."));
        }
        match record.state_at(now) {
            // One that was approved and could not be recorded as used may be decided again.
            ApprovalState::Pending | ApprovalState::Approved => {}
            ApprovalState::Expired => {
                self.expire(now).await;
                return Err(Error::new(Code::Expired, "the approval has run out"));
            }
            state => {
                let mut error =
                    Error::new(Code::Conflict, format!("the approval is {} already", name(state)));
                if let Some(next) = record.superseded_by {
                    error = error.next(format!("Decide about {next}, which took its place."));
                }
                return Err(error);
            }
        }
        self.inner.policy.may_approve(
            decider,
            &record.operation,
            effect_of(&record),
            &target_of(&record)?,
        )?;
        Ok(record)
    }

    async fn refuse(
        &self,
        decider: &Actor,
        record: &ApprovalRecord,
        reason: Option<String>,
    ) -> Result<Decided> {
        let at = self.now();
        let row = self.decided_row(decider, record, at, "denied", reason.as_deref());
        let decide = Decide {
            id: record.id,
            digest: record.digest.clone(),
            preview_hash: record.preview_hash.clone(),
            approve: false,
            by: decider.clone(),
            reason,
            at,
        };
        self.inner.store.decide(decide, row).await.map_err(refused_by_store)?;
        self.changed(record.id, ApprovalState::Denied);
        Ok(Decided {
            approval: record.id,
            state: ApprovalState::Denied,
            superseded_by: None,
            note: format!("{} on {} will not run", record.operation, record.target_text),
        })
    }

    async fn approve(
        &self,
        decider: &Actor,
        record: ApprovalRecord,
        reason: Option<String>,
    ) -> Result<Decided> {
        check_intact(&record)?;
        let call = self.revive(&record, record.arguments.clone())?;
        if let Some(why) = self.check_read_only(&call.spec) {
            return Err(Error::new(Code::PermissionDenied, why));
        }
        // Of several calls as one, whoever decides must be let decide about each.
        for part in call.parts.iter() {
            self.inner.policy.may_approve(decider, part.spec.name, part.spec.effect, &part.target)?;
        }
        if let Ruling::Deny(why) = self.rule(&call) {
            return Err(Error::new(
                Code::PermissionDenied,
                format!("{} may not do it any more: {why}", call.actor),
            ));
        }
        if call.spec.right != Right::Use {
            return Err(Error::new(
                Code::PermissionDenied,
                format!("{} is never approved", record.operation),
            ));
        }
        let preview = self.preview_of(&call).await?;
        let fresh = self.record_of(&call, record.call_key.clone(), &preview, Some(&record))?;
        // Arguments, target, schema and policy as they would be filed now must be those that were shown.
        let as_shown = ApprovalRecord { id: record.id, ..fresh.clone() };
        if fresh.preview_hash != record.preview_hash || binding(&as_shown, &preview) != record.digest {
            return self.replace(decider, &record, &call, fresh).await;
        }
        if record.state == ApprovalState::Pending {
            let at = self.now();
            let row = self.decided_row(decider, &record, at, "approved", reason.as_deref());
            let decide = Decide {
                id: record.id,
                digest: record.digest.clone(),
                preview_hash: record.preview_hash.clone(),
                approve: true,
                by: decider.clone(),
                reason,
                at,
            };
            self.inner.store.decide(decide, row).await.map_err(refused_by_store)?;
            self.changed(record.id, ApprovalState::Approved);
        }
        self.consume(record, call, &preview).await
    }

    /// The stored call, as it would be made now.
    fn revive(&self, record: &ApprovalRecord, arguments: Value) -> Result<Call> {
        let operation = self.operation(&record.operation)?.clone();
        let mut request = Request::new(record.operation.clone(), arguments);
        request.reason.clone_from(&record.reason);
        let mut call = self.call_of(Arc::new(record.actor.clone()), operation, request)?;
        call.id = record.call;
        Ok(call)
    }

    /// Uses the approval up and, in the same transaction, writes the intent; then lets the call run.
    async fn consume(&self, record: ApprovalRecord, mut call: Call, preview: &Preview) -> Result<Decided> {
        let now = self.now();
        let detail = serde_json::json!({
            "effect": record.effect,
            "digest": record.digest,
            "preview_hash": record.preview_hash,
            "version": preview.version,
            "arguments": recorded_arguments(self, &record.arguments),
            "equivalent": call.equivalent.as_ref().map(|text| self.inner.redactor.text(text)),
        });
        let row = call.draft(self, AuditKind::Consumed).approval(record.id).detail(detail);
        let consumed =
            self.inner.store.consume(record.id, &record.digest, now, row).await.map_err(refused_by_store)?;
        match consumed {
            Consumed::Now => {}
            Consumed::No(ApprovalState::Expired) => {
                self.expire(now).await;
                return Err(Error::new(Code::Expired, "the approval ran out before the call could start"));
            }
            Consumed::No(state) => {
                return Err(Error::new(Code::Conflict, format!("the approval is {} already", name(state))));
            }
        }
        self.changed(record.id, ApprovalState::Consumed);
        call.expect.clone_from(&preview.version);
        call.started = Instant::now();
        let note = format!("{} on {} runs now", record.operation, record.target_text);
        let gate = self.clone();
        let id = record.id;
        self.inner.changes.spawn(async move { gate.execute(call, id).await });
        Ok(Decided { approval: id, state: ApprovalState::Consumed, superseded_by: None, note })
    }

    /// Runs a consumed call and keeps its result for the requester.
    async fn execute(&self, call: Call, approval: ApprovalId) {
        self.publish(&call, CallPhase::Started);
        let result = self.run_recorded(&call).await;
        let outcome = self.outcome(&call, AuditKind::Executed, &result).approval(approval);
        let kept = match &result {
            Ok(output) => CallResult::Output(output.clone()),
            Err(error) => CallResult::Error(error.clone()),
        };
        let stored = serde_json::to_value(&kept).ok();
        if let Err(e) = self.inner.store.finish(outcome, stored).await {
            tracing::error!(call = %call.id, error = %e, "the outcome of a held call could not be written yet");
            self.inner.unsaved.lock().insert(approval, kept);
        }
        self.publish_end(&call, result.as_ref().map(|_| ()));
        self.changed(approval, ApprovalState::Consumed);
    }

    /// Voids an approval whose preview is no longer true, and files the fresh one.
    async fn replace(
        &self,
        decider: &Actor,
        record: &ApprovalRecord,
        call: &Call,
        fresh: ApprovalRecord,
    ) -> Result<Decided> {
        let at = self.now();
        let decided =
            self.decided_row(decider, record, at, "void", Some("the target changed after the preview"));
        let proposed = self.proposed(call, &fresh);
        let next = fresh.id;
        let expires_at = fresh.expires_at;
        let supersede = Supersede { id: record.id, at, replacement: Box::new(fresh) };
        self.inner.store.supersede(supersede, decided, proposed).await.map_err(refused_by_store)?;
        self.changed(record.id, ApprovalState::Void);
        self.changed(next, ApprovalState::Pending);
        self.watch_expiry(expires_at);
        Ok(Decided {
            approval: record.id,
            state: ApprovalState::Void,
            superseded_by: Some(next),
            note: format!(
                "{} changed since it was shown: decide about what it would do now",
                record.target_text
            ),
        })
    }

    fn decided_row(
        &self,
        decider: &Actor,
        record: &ApprovalRecord,
        at: jiff::Timestamp,
        state: &str,
        reason: Option<&str>,
    ) -> Draft {
        Draft::new(AuditKind::Decided, at, decider, record.operation.clone())
            .call(record.call)
            .approval(record.id)
            .target(record.target_text.clone())
            .detail(serde_json::json!({
                "state": state,
                "reason": reason.map(|r| self.inner.redactor.text(r).into_owned()),
                "requester": record.actor.to_string(),
                "digest": record.digest,
                "preview_hash": record.preview_hash,
            }))
    }

    /// Changes what was proposed: other arguments for the same operation on the same target. It stays
    /// pending, with a fresh preview to be decided.
    pub(crate) async fn amend(&self, amender: &Actor, id: ApprovalId, arguments: Value) -> Result<Decided> {
        let record = self.decidable(amender, id).await?;
        if record.state != ApprovalState::Pending {
            return Err(Error::new(Code::Conflict, "the approval is decided already"));
        }
        if holds_mask(&arguments) {
            return Err(Error::invalid("the arguments hold text in whose place a secret was hidden")
                .next("Put the true value there, or leave the field out."));
        }
        let call = self.revive(&record, arguments)?;
        if call.target != target_of(&record)? {
            let message =
                format!("the amended call acts on {}, not on {}", call.target_text, record.target_text);
            return Err(
                Error::invalid(message).next("Refuse the call and name the right target in the reason.")
            );
        }
        let preview = self.preview_of(&call).await?;
        let mut amended = self.record_of(&call, record.call_key.clone(), &preview, None)?;
        // The requester's identical call still attaches to it: the key stays that of what was proposed.
        amended.id = record.id;
        amended.amended_by = Some(amender.clone());
        amended.proposed_arguments =
            record.proposed_arguments.clone().or_else(|| Some(record.arguments.clone()));
        amended.digest = binding(&amended, &preview);
        let at = self.now();
        let row = Draft::new(AuditKind::Amended, at, amender, record.operation.clone())
            .call(record.call)
            .approval(record.id)
            .target(record.target_text.clone())
            .detail(serde_json::json!({
                "arguments": recorded_arguments(self, &amended.arguments),
                "digest": amended.digest,
                "preview_hash": amended.preview_hash,
            }));
        let amend = Amend { id: record.id, digest: record.digest.clone(), at, record: Box::new(amended) };
        self.inner.store.amend(amend, row).await.map_err(refused_by_store)?;
        self.changed(record.id, ApprovalState::Pending);
        Ok(Decided {
            approval: record.id,
            state: ApprovalState::Pending,
            superseded_by: None,
            note: "amended: its new preview waits for the decision".to_owned(),
        })
    }
}

fn name(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
        ApprovalState::Void => "void",
        ApprovalState::Consumed => "used",
        ApprovalState::Withdrawn => "withdrawn",
    }
}
