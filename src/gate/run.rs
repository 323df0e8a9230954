//! Running what was let through: reads in the caller's own future, changes in a task that outlives it.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::client::{Frame, Reply, Watch};
use super::engine::Gate;
use super::preview::Preview;
use super::spec::Effect;
use crate::base::redact::{KeyLines, MASK};
use crate::base::{Code, Error, Redactor, Result};
use crate::bus::CallPhase;
use crate::rows::{Cell, Line, LineSource, Row, TableDelta};
use crate::store::{AuditKind, GrantUse, StoreError};

/// Writes the one row about a read when it ends, also when its caller goes away before.
struct ReadNote<'a> {
    gate: &'a Gate,
    call: &'a Call,
    more: Value,
    written: bool,
}

impl ReadNote<'_> {
    fn end(mut self, error: Option<&Error>) {
        self.write(error);
    }

    fn write(&mut self, error: Option<&Error>) {
        self.written = true;
        if !self.call.recorded() {
            return;
        }
        let mut more = std::mem::take(&mut self.more);
        if let (Some(error), Value::Object(more)) = (error, &mut more) {
            more.insert("error".to_owned(), error.message.clone().into());
        }
        let row = self
            .call
            .draft(self.gate, AuditKind::Read)
            .code(error.map(|e| e.code))
            .took(self.call.milliseconds())
            .detail(self.call.detail(self.gate, more));
        self.gate.inner.store.append_later(row);
    }
}

impl Drop for ReadNote<'_> {
    fn drop(&mut self) {
        if !self.written {
            let error = Error::new(Code::Cancelled, "the caller gave up");
            self.write(Some(&error));
            self.gate.publish_end(self.call, Err(&error));
        }
    }
}

impl Gate {
    /// A read: dropped with its caller, recorded after the fact.
    pub(in crate::gate) async fn observe(&self, call: Call) -> Result<Reply> {
        let cancel = CancellationToken::new();
        let _cancelled = cancel.clone().drop_guard();
        self.publish(&call, CallPhase::Started);
        let note = ReadNote { gate: self, call: &call, more: serde_json::json!({}), written: false };
        let context = call.context(self, cancel);
        let arguments = call.arguments.clone();
        let revealed = context.revealed();
        let result = guarded(|| call.operation.run(context, arguments)).await;
        let as_it_is = result.is_ok() && revealed.load(Ordering::Relaxed);
        let result = if as_it_is { result } else { self.clean(result) };
        note.end(result.as_ref().err());
        self.publish_end(&call, result.as_ref().map(|_| ()));
        result.map(|output| Reply::Done { call: call.id, output })
    }

    /// A preview that a caller asks for.
    pub(in crate::gate) async fn observe_preview(&self, call: Call) -> Result<Preview> {
        let note = ReadNote {
            gate: self,
            call: &call,
            more: serde_json::json!({ "preview": true }),
            written: false,
        };
        let result = self.preview_of(&call).await;
        note.end(result.as_ref().err());
        Ok(self.clean_preview(result?))
    }

    /// The preview as computed, in bounded time.
    pub(in crate::gate) async fn preview_of(&self, call: &Call) -> Result<Preview> {
        let cancel = CancellationToken::new();
        let _cancelled = cancel.clone().drop_guard();
        let context = call.context(self, cancel).expecting(call.expect.clone());
        let arguments = call.arguments.clone();
        let preview = guarded(|| call.operation.preview(context, arguments));
        match tokio::time::timeout(self.inner.settings.preview_timeout, preview).await {
            Ok(Ok(mut preview)) => {
                if let Some(whom) = self.inner.settings.acting.of(&call.target) {
                    preview.checks.push(format!("the cluster takes it for {whom}"));
                }
                Ok(Preview { equivalent: preview.equivalent.or_else(|| call.equivalent.clone()), ..preview })
            }
            Ok(Err(e)) => Err(self.clean_error(e)),
            Err(_) => Err(Error::new(
                Code::Timeout,
                format!(
                    "{} gave no preview within {:?}",
                    call.target_text, self.inner.settings.preview_timeout
                ),
            )),
        }
    }

    pub(in crate::gate) fn clean_preview(&self, mut preview: Preview) -> Preview {
        let redactor = &self.inner.redactor;
        let mut key = KeyLines::default();
        let lines = preview.diff.lines.iter_mut().map(|line| &mut line.text);
        for text in lines {
            if key.hides(text) {
                MASK.clone_into(text);
            } else if let std::borrow::Cow::Owned(masked) = redactor.text(text) {
                *text = masked;
            }
        }
        let Preview { affects, checks, warnings, equivalent, .. } = &mut preview;
        for text in affects.iter_mut().chain(checks).chain(warnings).chain(equivalent) {
            if let std::borrow::Cow::Owned(masked) = redactor.text(text) {
                *text = masked;
            }
        }
        preview
    }

    /// A read that goes on. Recorded at both ends.
    pub(in crate::gate) async fn observe_watch(&self, call: Call) -> Result<Watch> {
        let cancel = CancellationToken::new();
        let stop = cancel.clone().drop_guard();
        let context = call.context(self, cancel);
        let arguments = call.arguments.clone();
        let result = guarded(|| call.operation.watch(context, arguments)).await;
        let watch = match result {
            Ok(watch) => watch,
            Err(error) => {
                let error = self.clean_error(error);
                ReadNote {
                    gate: self,
                    call: &call,
                    more: serde_json::json!({ "watch": true }),
                    written: false,
                }
                .end(Some(&error));
                self.publish_end(&call, Err(&error));
                return Err(error);
            }
        };
        if call.recorded() {
            let row =
                call.draft(self, AuditKind::WatchStarted).detail(call.detail(self, serde_json::json!({})));
            self.inner.store.append_later(row);
            self.publish(&call, CallPhase::Started);
        }
        let cleaner = Cleaner { redactor: self.inner.redactor.clone(), keys: HashMap::new() };
        Ok(watch.cleaned(cleaner).guarded(stop).guarded(WatchNote { gate: self.clone(), call }))
    }

    /// A change that runs now. It goes on to its outcome even if the caller goes away.
    pub(in crate::gate) async fn change(&self, call: Call) -> Result<Reply> {
        let id = call.id;
        let output = self.in_task(call, None).await??;
        Ok(Reply::Done { call: id, output })
    }

    /// Runs it in a task of its own. The outer error is the gate's: nothing ran. With
    /// [`Code::Conflict`] and a grant, the grant could not be used.
    pub(in crate::gate) async fn in_task(
        &self,
        call: Call,
        grant: Option<GrantUse>,
    ) -> Result<Result<Value>> {
        let gate = self.clone();
        let task = async move { gate.run_change(call, grant).await };
        match self.inner.changes.spawn(task).await {
            Ok(result) => result,
            Err(e) => Err(Error::internal(format!("the call's task ended: {e}"))),
        }
    }

    async fn run_change(&self, mut call: Call, grant: Option<GrantUse>) -> Result<Result<Value>> {
        if let Err(error) = self.check_expected(&mut call).await {
            return Err(self.refuse_with(&call, error).await);
        }
        self.run_checked(&call, grant).await
    }

    /// As [`Gate::run_change`], for a call whose target is known to be as expected, or whose handler looks.
    pub(in crate::gate) async fn run_checked(
        &self,
        call: &Call,
        grant: Option<GrantUse>,
    ) -> Result<Result<Value>> {
        if call.recorded() {
            let mut more = serde_json::json!({});
            if let Some(grant) = grant {
                more["grant"] = grant.id.to_string().into();
            }
            if let Some(version) = &call.expect {
                more["version"] = serde_json::json!(version);
            }
            let intent = call.draft(self, AuditKind::Intent).detail(call.detail(self, more));
            if let Err(e) = self.inner.store.begin(intent, grant).await {
                let lost_grant = grant.is_some() && matches!(e, StoreError::Conflict(_));
                let error = refused_by_store(e);
                if !lost_grant {
                    self.publish_denied(call, &error);
                }
                return Err(error);
            }
        }
        self.publish(call, CallPhase::Started);
        let result = self.run_recorded(call).await;
        if call.recorded() {
            let outcome = self.outcome(call, AuditKind::Outcome, &result);
            // It has happened: the store keeps the row until it can be written.
            if let Err(e) = self.inner.store.finish(outcome, None).await {
                tracing::error!(call = %call.id, error = %e, "the outcome of a change could not be written yet");
            }
        }
        self.publish_end(call, result.as_ref().map(|_| ()));
        Ok(result)
    }

    /// Runs the handler itself; a panic in it is an error like any other.
    pub(in crate::gate) async fn run_recorded(&self, call: &Call) -> Result<Value> {
        let context = call.context(self, call.cancel.clone()).expecting(call.expect.clone());
        let arguments = call.arguments.clone();
        let _running = self.running(call);
        let mut result = guarded(|| call.operation.run(context, arguments)).await;
        if let (Ok(Value::Object(output)), Some(equivalent)) = (&mut result, &call.equivalent) {
            // A handler that knows more than the arguments say has said it itself.
            output.entry("equivalent").or_insert_with(|| equivalent.as_str().into());
        }
        self.clean(result)
    }

    pub(in crate::gate) fn outcome(
        &self,
        call: &Call,
        kind: AuditKind,
        result: &Result<Value>,
    ) -> crate::store::Draft {
        let error = result.as_ref().err();
        let mut detail = Value::Object(std::mem::take(&mut *call.notes.lock()));
        self.inner.redactor.value(&mut detail);
        if let Some(error) = error {
            detail["error"] = error.message.clone().into();
        }
        call.draft(self, kind).code(error.map(|e| e.code)).took(call.milliseconds()).detail(detail)
    }

    /// Compares the version that the caller has seen with the one that is there now.
    async fn check_expected(&self, call: &mut Call) -> Result<()> {
        let Some(expected) = call.expect.clone() else { return Ok(()) };
        if call.spec.effect == Effect::Observe {
            return Ok(());
        }
        // The preview is to say what is there, not to fail because it is not what was expected.
        call.expect = None;
        let preview = self.preview_of(call).await?;
        call.expect = Some(expected.clone());
        match preview.version {
            Some(found) if found.is_same(&expected) => Ok(()),
            Some(found) => Err(Error::new(
                Code::Conflict,
                format!(
                    "{} changed: expected {}, found {}",
                    call.target_text, expected.revision, found.revision
                ),
            )
            .details(serde_json::json!({ "expected": expected, "found": found }))),
            None => Err(Error::new(
                Code::Conflict,
                format!(
                    "{} has no version to compare with the expected {}",
                    call.target_text, expected.revision
                ),
            )),
        }
    }
}

/// Why a change was refused for want of an audit row.
pub(in crate::gate) fn refused_by_store(e: StoreError) -> Error {
    let mut error = Error::from(e);
    if error.code == Code::AuditUnavailable {
        error.message = format!("the audit log cannot be written, so nothing was changed: {}", error.message);
    }
    error
}

/// Runs a handler from its first step on; a panic becomes an error.
async fn guarded<T, F: Future<Output = Result<T>>>(handler: impl FnOnce() -> F) -> Result<T> {
    match AssertUnwindSafe(async { handler().await }).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(Error::internal(format!("the handler panicked: {}", words(panic.as_ref())))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}

/// Writes that a watch ended.
struct WatchNote {
    gate: Gate,
    call: Call,
}

impl Drop for WatchNote {
    fn drop(&mut self) {
        if self.call.recorded() {
            let row = self.call.draft(&self.gate, AuditKind::WatchEnded).took(self.call.milliseconds());
            self.gate.inner.store.append_later(row);
            self.gate.publish_end(&self.call, Ok(()));
        }
    }
}

/// Masks secrets in what a watch delivers; private keys also where they come line by line.
pub(in crate::gate) struct Cleaner {
    redactor: Arc<Redactor>,
    /// Sources whose last line was inside a key: empty nearly always.
    keys: HashMap<LineSource, KeyLines>,
}

impl Cleaner {
    pub fn clean(&mut self, frame: &mut Frame) {
        match frame {
            Frame::Table(delta) => self.table(delta),
            Frame::Lines(lines) => lines.iter_mut().for_each(|line| self.line(line)),
            Frame::Value(value) => self.redactor.value(value),
        }
    }

    fn table(&self, delta: &mut TableDelta) {
        for row in &mut delta.upserts {
            let found = row.cells.iter().any(|cell| match cell {
                Cell::Text(text) | Cell::Status(text, _) => self.redactor.finds(text),
                _ => false,
            });
            if found {
                // The row may be shared with other watches: only this reader's copy is masked.
                let masked: &mut Row = Arc::make_mut(row);
                for cell in &mut masked.cells {
                    if let Cell::Text(text) | Cell::Status(text, _) = cell
                        && let std::borrow::Cow::Owned(clean) = self.redactor.text(text)
                    {
                        *text = clean.into();
                    }
                }
            }
        }
    }

    fn line(&mut self, line: &mut Line) {
        match line {
            Line::Text { source, text, .. } => {
                if !self.keys.is_empty() || text.contains("-----BEGIN ") {
                    let mut state = self.keys.remove(&**source).unwrap_or_default();
                    let hidden = state.hides(text);
                    if hidden {
                        if state.is_inside() {
                            self.keys.insert((**source).clone(), state);
                        }
                        *text = MASK.into();
                        return;
                    }
                }
                if let std::borrow::Cow::Owned(clean) = self.redactor.text(text) {
                    *text = clean.into();
                }
            }
            Line::Mark { text, .. } => {
                if let std::borrow::Cow::Owned(clean) = self.redactor.text(text) {
                    *text = clean;
                }
            }
            Line::Lost { .. } => {}
        }
    }
}
