//! Holding a call for a decision: filing it with its preview, attaching repeats to it, letting it run out,
//! and telling its requester what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::approval::{Amendment, Approval, CallResult, Decision, Verdict, Waited, refusal};
use super::call::Call;
use super::canonical::{canonical, digest};
use super::client::Reply;
use super::engine::Gate;
use super::policy::is_agent;
use super::preview::{Diff, Preview, TargetVersion};
use super::run::refused_by_store;
use super::spec::{Effect, Held, Target};
use crate::base::ids::{ApprovalId, CallId};
use crate::base::redact::mask_secret_values;
use crate::base::{Actor, Code, Error, Result};
use crate::bus::{ApprovalEvent, ApprovalState, CallPhase, Event, Level};
use crate::store::{ApprovalFilter, ApprovalRecord, AuditKind, Draft, GrantUse, HoldOutcome};

impl Gate {
    /// A call that the policy lets its actor propose: run under a grant, or filed for a person.
    pub(in crate::gate) async fn hold(&self, call: Call) -> Result<Reply> {
        let mut call = call;
        if let Some(grant) = self.grant_for(&call).await? {
            let again = call.copy();
            let id = call.id;
            match self.in_task(call, Some(GrantUse { id: grant })).await {
                Ok(result) => return Ok(Reply::Done { call: id, output: result? }),
                // Used up or revoked in this very moment: then it is asked as any other.
                Err(e) if e.code == Code::Conflict && self.grant_gone(grant).await => call = again,
                Err(e) => return Err(e),
            }
        }
        let key = call_key(&self.inner.settings.session, &call.actor, call.spec.name, &call.arguments);
        let now = self.now();
        let since = now.checked_sub(self.inner.settings.handover).unwrap_or(now);
        if let Some(waiting) = self.inner.store.attachable(&key, now, since).await? {
            return Ok(Reply::Held(held(&waiting, "the same call waits already")));
        }
        self.check_pending(&call).await?;
        let preview = match self.preview_of(&call).await {
            Ok(preview) => preview,
            Err(error) => return Err(self.refuse_with(&call, error).await),
        };
        if let (Some(expected), Some(found)) = (&call.expect, &preview.version)
            && !expected.is_same(found)
        {
            let message = format!(
                "{} changed: expected {}, found {}",
                call.target_text, expected.revision, found.revision
            );
            return Err(self.refuse_with(&call, Error::new(Code::Conflict, message)).await);
        }
        let record = self.record_of(&call, key, &preview, None)?;
        let row = self.proposed(&call, &record);
        match self.inner.store.hold(record.clone(), row).await.map_err(refused_by_store)? {
            HoldOutcome::Attached(waiting) => Ok(Reply::Held(held(&waiting, "the same call waits already"))),
            HoldOutcome::Filed => {
                self.publish(&call, CallPhase::Held { approval: record.id });
                self.changed(record.id, ApprovalState::Pending);
                self.watch_expiry(record.expires_at);
                let why =
                    format!("{} {} needs a person's decision", call.spec.effect.as_str(), call.spec.name);
                Ok(Reply::Held(held(&record, &why)))
            }
        }
    }

    async fn check_pending(&self, call: &Call) -> Result<()> {
        let most = self.inner.settings.pending_per_actor;
        let pending =
            self.inner.store.approvals(ApprovalFilter { pending: true, bare: true, limit: 1000 }).await?;
        let own = pending
            .iter()
            .filter(|a| self.waits_here(a) && a.actor.same_as(&call.actor) && a.expires_at > self.now())
            .count();
        if own >= most {
            return Err(Error::new(
                Code::RateLimited,
                format!("{own} calls of {} wait for a decision", call.actor),
            )
            .next("Wait for decisions on those with approval_wait."));
        }
        Ok(())
    }

    /// The record of a held call as it is previewed now.
    pub(in crate::gate) fn record_of(
        &self,
        call: &Call,
        key: String,
        preview: &Preview,
        supersedes: Option<&ApprovalRecord>,
    ) -> Result<ApprovalRecord> {
        let now = self.now();
        let lifetime = self.inner.settings.approval_lifetime;
        let mut record = ApprovalRecord {
            id: ApprovalId::new(),
            call: call.id,
            call_key: key,
            operation: call.spec.name.to_owned(),
            effect: call.spec.effect.as_str().to_owned(),
            arguments: call.arguments.clone(),
            target: serde_json::to_value(&call.target).map_err(Error::internal)?,
            target_text: call.target_text.to_string(),
            preview: serde_json::to_value(preview).map_err(Error::internal)?,
            preview_hash: preview.hash(),
            schema_hash: digest(&call.operation.info().input),
            policy_version: self.inner.policy.version().to_owned(),
            digest: String::new(),
            actor: (*call.actor).clone(),
            reason: call.reason.clone(),
            state: ApprovalState::Pending,
            created_at: now,
            expires_at: now.checked_add(lifetime).map_err(Error::internal)?,
            decided_by: None,
            decided_at: None,
            decision_reason: None,
            amended_by: supersedes.and_then(|s| s.amended_by.clone()),
            proposed_arguments: supersedes.and_then(|s| s.proposed_arguments.clone()),
            supersedes: supersedes.map(|s| s.id),
            superseded_by: None,
            consumed_at: None,
            finished_at: None,
            result: None,
            returned_at: None,
        };
        record.digest = binding(&record, preview);
        Ok(record)
    }

    pub(in crate::gate) fn proposed(&self, call: &Call, record: &ApprovalRecord) -> Draft {
        let mut more = serde_json::json!({
            "digest": record.digest,
            "preview_hash": record.preview_hash,
            "policy": record.policy_version,
            "expires_at": record.expires_at,
        });
        if let Some(supersedes) = record.supersedes {
            more["supersedes"] = supersedes.to_string().into();
        }
        call.draft(self, AuditKind::Proposed).approval(record.id).detail(call.detail(self, more))
    }

    /// Publishes an approval's state and wakes whoever waits for it.
    pub(in crate::gate) fn changed(&self, approval: ApprovalId, state: ApprovalState) {
        self.bus().publish(Event::Approval(ApprovalEvent { approval, state }));
        self.inner.approvals.send_modify(|n| *n += 1);
    }

    /// Wakes up when an approval runs out, by the monotonic clock: a wall clock that is set back does
    /// not lengthen it.
    pub(in crate::gate) fn watch_expiry(&self, expires_at: Timestamp) {
        let left = Duration::try_from(expires_at.duration_since(self.now())).unwrap_or_default();
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(left + Duration::from_millis(20)).await;
            if let Some(inner) = weak.upgrade() {
                let gate = Gate::over(inner);
                // At least the time that was meant, whatever the wall clock says by now.
                let now = gate.now().max(expires_at);
                gate.expire(now).await;
            }
        });
    }

    /// Marks what has run out.
    pub(in crate::gate) async fn expire(&self, now: Timestamp) {
        let due =
            match self.inner.store.approvals(ApprovalFilter { pending: true, bare: true, limit: 1000 }).await
            {
                Ok(pending) => pending.iter().any(|a| a.expires_at <= now),
                Err(_) => false,
            };
        if due && let Ok(expired) = self.inner.store.expire(now).await {
            for id in expired {
                self.changed(id, ApprovalState::Expired);
            }
        }
    }

    /// After a start: lets what an earlier process held run out in its time. One that is further from its
    /// end than any lifetime was made under another clock, and is not revived by it.
    pub(in crate::gate) async fn take_up_approvals(&self) {
        let now = self.now();
        self.expire(now).await;
        let Ok(pending) =
            self.inner.store.approvals(ApprovalFilter { pending: true, bare: true, limit: 1000 }).await
        else {
            return;
        };
        let latest = now.checked_add(self.inner.settings.approval_lifetime).unwrap_or(now);
        if let Some(foreign) = pending.iter().map(|a| a.expires_at).filter(|t| *t > latest).max() {
            self.expire(foreign).await;
            self.notice(
                Level::Warning,
                "the clock went back: approvals made before that have run out".to_owned(),
            );
        }
        let waiting: Vec<_> = pending.iter().filter(|a| a.expires_at <= latest).collect();
        for approval in &waiting {
            self.watch_expiry(approval.expires_at);
        }
        if !waiting.is_empty() {
            self.inner.approvals.send_modify(|n| *n += 1);
        }
    }

    /// Grows with every change of an approval's state: read them again.
    pub(crate) fn approvals_changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.approvals.subscribe()
    }

    /// Whether a call waits in this session. Others of the same person keep theirs in the same database, and may know
    /// other clusters by the same names.
    fn waits_here(&self, record: &ApprovalRecord) -> bool {
        session_of(record).is_none_or(|session| session == self.inner.settings.session)
    }

    /// Every approval's card, newest first.
    pub(crate) async fn approvals(&self, filter: ApprovalFilter) -> Result<Vec<Approval>> {
        self.expire(self.now()).await;
        let records = self.inner.store.approvals(filter).await?;
        let here = records.into_iter().filter(|record| self.waits_here(record));
        here.map(|record| self.card(record)).collect()
    }

    pub(crate) async fn approval(&self, id: ApprovalId) -> Result<Approval> {
        self.card(self.approval_record(id).await?)
    }

    pub(in crate::gate) async fn approval_record(&self, id: ApprovalId) -> Result<ApprovalRecord> {
        let found = self.inner.store.approval(id).await?;
        let record = found.ok_or_else(|| {
            Error::not_found(format!("there is no approval {id}")).next("approval_list names them.")
        })?;
        match session_of(&record).filter(|_| !self.waits_here(&record)) {
            None => Ok(record),
            Some(session) => Err(Error::not_found(format!(
                "{id} waits in the session {session:?}, not here"
            ))
            .next(format!(
                "Decide there: it runs on that session's clusters. `--session {session}` joins it."
            ))),
        }
    }

    pub(in crate::gate) fn card(&self, record: ApprovalRecord) -> Result<Approval> {
        let now = self.now();
        // One that was sealed with a key that is gone is void, and has nothing to show.
        let stored = target_of(&record)?;
        let mut preview =
            serde_json::from_value(record.preview.clone()).unwrap_or_else(|_| Preview::of(stored.clone()));
        let mut target = stored;
        if is_open(&record) && check_intact(&record).is_err() {
            // The preview is sealed, and the columns beside it are not.
            target = preview.target.clone();
            preview.warnings.insert(0, "its record was changed in the database: it does not run".to_owned());
        }
        Ok(Approval {
            approval: record.id,
            call: record.call,
            state: record.state_at(now),
            effect: effect_of(&record),
            target,
            preview: self.clean_preview(preview),
            amended: amendment(&record),
            decision: decision(&record),
            result: self.result_of(&record)?,
            operation: record.operation,
            actor: record.actor,
            reason: record.reason,
            arguments: record.arguments,
            preview_hash: record.preview_hash,
            digest: record.digest,
            created_at: record.created_at,
            expires_at: record.expires_at,
            supersedes: record.supersedes,
            superseded_by: record.superseded_by,
        })
    }

    fn result_of(&self, record: &ApprovalRecord) -> Result<Option<CallResult>> {
        if let Some(result) = self.inner.unsaved.lock().get(&record.id) {
            return Ok(Some(result.clone()));
        }
        record.result.clone().map(|r| serde_json::from_value(r).map_err(Error::internal)).transpose()
    }

    /// Waits until a held call has ended or will not run. The requester's own fetching is recorded.
    pub(crate) async fn wait(&self, actor: &Actor, id: ApprovalId, timeout: Duration) -> Result<Waited> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut changed = self.approvals_changed();
        let mut id = id;
        loop {
            changed.borrow_and_update();
            let mut record = self.approval_record(id).await?;
            if is_agent(actor) && !record.actor.same_as(actor) {
                return Err(Error::new(Code::PermissionDenied, "the approval is for another agent's call"));
            }
            // A void approval goes on in its successor; the chain is as long as there were changes of the target.
            for _ in 0..1000 {
                let Some(next) = record.superseded_by else { break };
                id = next;
                record = self.approval_record(id).await?;
            }
            let now = self.now();
            let state = record.state_at(now);
            if state == ApprovalState::Expired && record.state != ApprovalState::Expired {
                self.expire(now).await;
            }
            let waited = self.waited(&record, state)?;
            if waited.done {
                if record.actor.same_as(actor) && record.returned_at.is_none() {
                    self.note_returned(actor, &record, &waited).await;
                }
                return Ok(waited);
            }
            let mut until = deadline;
            if matches!(state, ApprovalState::Pending | ApprovalState::Approved) {
                let left = Duration::try_from(record.expires_at.duration_since(now)).unwrap_or_default();
                until = until.min(tokio::time::Instant::now() + left + Duration::from_millis(25));
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(until) => {
                    if tokio::time::Instant::now() >= deadline {
                        return Ok(waited);
                    }
                }
            }
        }
    }

    fn waited(&self, record: &ApprovalRecord, state: ApprovalState) -> Result<Waited> {
        let decision = decision(record);
        let result = match state {
            ApprovalState::Pending | ApprovalState::Approved => None,
            ApprovalState::Consumed => self.result_of(record)?,
            ApprovalState::Denied
            | ApprovalState::Expired
            | ApprovalState::Void
            | ApprovalState::Withdrawn => {
                Some(CallResult::Error(refusal(state, decision.as_ref(), record.id)))
            }
        };
        Ok(Waited {
            approval: record.id,
            call: record.call,
            state,
            done: result.is_some(),
            expires_at: record.expires_at,
            result,
            amended: amendment(record),
            decision,
        })
    }

    async fn note_returned(&self, actor: &Actor, record: &ApprovalRecord, waited: &Waited) {
        let code = match &waited.result {
            Some(CallResult::Error(error)) => Some(error.code),
            _ => None,
        };
        let row = Draft::new(AuditKind::Returned, self.now(), actor, record.operation.clone())
            .call(record.call)
            .approval(record.id)
            .target(record.target_text.clone())
            .code(code)
            .detail(serde_json::json!({ "state": waited.state, "preview_hash": record.preview_hash }));
        match self.inner.store.returned(record.id, row).await {
            Ok(_) => {
                self.inner.unsaved.lock().remove(&record.id);
            }
            Err(e) => {
                tracing::error!(approval = %record.id, error = %e, "the hand-over could not be written")
            }
        }
    }
}

impl Call {
    /// The same call, to be tried another way under the same name.
    pub fn copy(&self) -> Self {
        Self {
            id: CallId::new(),
            actor: self.actor.clone(),
            operation: self.operation.clone(),
            spec: self.spec,
            arguments: self.arguments.clone(),
            target: self.target.clone(),
            target_text: self.target_text.clone(),
            reason: self.reason.clone(),
            expect: self.expect.clone(),
            trace_parent: self.trace_parent.clone(),
            started: self.started,
            equivalent: self.equivalent.clone(),
            parts: self.parts.clone(),
            cancel: self.cancel.clone(),
            duplex: self.duplex.clone(),
            notes: Arc::default(),
        }
    }
}

/// What a repeated call has in common with the first, and in which session it waits.
pub(in crate::gate) fn call_key(session: &str, actor: &Actor, operation: &str, arguments: &Value) -> String {
    let call =
        serde_json::json!({ "actor": actor.to_string(), "operation": operation, "arguments": arguments });
    format!("{session}:{}", digest(&call))
}

/// The session in which a call waits; `None` if its record does not say.
fn session_of(record: &ApprovalRecord) -> Option<&str> {
    record.call_key.rsplit_once(':').map(|(session, _)| session)
}

/// The digest that a decision is bound to: operation, schema, arguments, target and its version, actor,
/// policy, and the record's identifier as nonce.
pub(in crate::gate) fn binding(record: &ApprovalRecord, preview: &Preview) -> String {
    digest(&serde_json::json!({
        "nonce": record.id,
        "operation": record.operation,
        "schema": record.schema_hash,
        "arguments": record.arguments,
        "target": record.target,
        "version": preview.version.as_ref().map(TargetVersion::bound),
        "actor": record.actor.to_string(),
        "policy": record.policy_version,
    }))
}

fn is_open(record: &ApprovalRecord) -> bool {
    matches!(record.state, ApprovalState::Pending | ApprovalState::Approved)
}

/// Fails if what is stored of a held call is not what was filed: somebody has written into the database.
pub(in crate::gate) fn check_intact(record: &ApprovalRecord) -> Result<()> {
    let intact = serde_json::from_value::<Preview>(record.preview.clone()).is_ok_and(|preview| {
        target_of(record).is_ok_and(|target| target.to_string() == record.target_text)
            && preview.hash() == record.preview_hash
            && binding(record, &preview) == record.digest
    });
    if intact {
        return Ok(());
    }
    Err(Error::new(
        Code::Conflict,
        "what the database says of this call is not what was proposed: it was changed there, and does not run",
    )
    .next("Refuse it, have it proposed again, and see who can write the database."))
}

fn held(record: &ApprovalRecord, why: &str) -> Held {
    Held { call: record.call, approval: record.id, expires_at: record.expires_at, reason: why.to_owned() }
}

pub(in crate::gate) fn target_of(record: &ApprovalRecord) -> Result<Target> {
    serde_json::from_value(record.target.clone()).map_err(Error::internal)
}

pub(in crate::gate) fn effect_of(record: &ApprovalRecord) -> Effect {
    match record.effect.as_str() {
        "observe" => Effect::Observe,
        "change" => Effect::Change,
        // What is not known is taken for the worst.
        _ => Effect::Destroy,
    }
}

fn amendment(record: &ApprovalRecord) -> Option<Amendment> {
    let (by, proposed) = (record.amended_by.clone()?, record.proposed_arguments.clone()?);
    let pretty = |value: &Value| -> String {
        let mut sorted: Value = serde_json::from_str(&canonical(value)).unwrap_or_default();
        // The redactor sees a line of the difference alone, and not whose it is.
        mask_secret_values(&mut sorted);
        serde_json::to_string_pretty(&sorted).unwrap_or_default()
    };
    let diff = Diff::between(&pretty(&proposed), &pretty(&record.arguments));
    Some(Amendment { by, proposed, diff })
}

fn decision(record: &ApprovalRecord) -> Option<Decision> {
    let verdict = match record.state {
        ApprovalState::Approved | ApprovalState::Consumed => Verdict::Approve,
        ApprovalState::Denied | ApprovalState::Void => Verdict::Deny,
        ApprovalState::Pending | ApprovalState::Expired | ApprovalState::Withdrawn => return None,
    };
    Some(Decision {
        verdict,
        by: record.decided_by.clone()?,
        at: record.decided_at?,
        reason: record.decision_reason.clone(),
    })
}
