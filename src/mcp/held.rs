//! How an agent waits for a person's decision.
//!
//! By the first that the client can do: an MCP task, several round trips with a sealed state
//! (2026-07-28), or a held request with progress. Clients give up after a minute and round trips are
//! counted, so the last rung is a `pending` result that names the approval to wait for. Whatever the
//! rung, the gate holds one stored call: a wait only looks at it, so that it can be repeated by
//! whoever made the call without running anything twice.
//!
//! An agent that cancels the call, or whose connection ends, has taken it back: nobody is asked to
//! decide about what nobody wants any more. The end of the session is not the agent's doing, and takes
//! nothing back.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, InputRequiredResult,
    ProgressNotificationParam, ProtocolVersion, SealOptions,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::task_manager::{TaskExit, TaskOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Core;
use super::call::{Invocation, failure, success};
use super::server::Connection;
use crate::base::ids::ApprovalId;
use crate::base::{Actor, Result};
use crate::gate::{CallResult, Client, Diff, DiffOp, Held, Request, Waited};

/// With the preview before it, a legacy request is answered within 45 s: clients give up at 60 s.
const HOLD: Duration = Duration::from_secs(43);
/// How long one round trip waits.
const ROUND: Duration = Duration::from_secs(25);
/// Clients stop after ten rounds; the last of ours says `pending`.
const ROUNDS: u8 = 8;
/// A progress notification keeps clients from giving up that reset their time-out on it.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// A task outlives its approval by this much: the call still has to run.
const TASK_EXTRA: Duration = Duration::from_secs(900);
/// The state's own life; the approval expires long before.
const STATE_LIFE: Duration = Duration::from_secs(3600);

/// The request that waits, and its connection.
#[derive(Clone, Copy)]
pub struct Waiting<'a> {
    pub cx: &'a RequestContext<RoleServer>,
    pub connection: &'a Connection,
}

/// Takes the call back if it is dropped before it is disarmed: the client cancelled, or is gone.
struct Wanted<'a> {
    client: &'a Client,
    approval: ApprovalId,
    stop: &'a CancellationToken,
    reason: &'static str,
    armed: bool,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.armed && !self.stop.is_cancelled() {
            let (client, approval, reason) = (self.client.clone(), self.approval, self.reason);
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { withdraw(&client, approval, reason).await });
            }
        }
    }
}

/// Takes a held call back. One that is decided meanwhile stays decided.
pub async fn withdraw(client: &Client, approval: ApprovalId, reason: &str) {
    let arguments = json!({ "approval": approval, "reason": reason });
    if let Err(error) = client.call(Request::new("approval_withdraw", arguments)).await {
        tracing::debug!(%approval, %error, "a held call could not be taken back");
    }
}

/// What a round trip carries, sealed: whoever has it can wait, nothing more.
#[derive(Serialize, Deserialize)]
struct RoundTrip {
    approval: ApprovalId,
    round: u8,
}

pub async fn wait(
    core: &Core,
    client: &Client,
    invocation: &Invocation,
    held: Held,
    waiting: Waiting<'_>,
) -> std::result::Result<CallToolResponse, ErrorData> {
    let cx = waiting.cx;
    if cx.client_capabilities().is_some_and(|c| c.supports_tasks()) {
        // A task outlives its connection: whoever comes back can ask for it.
        return Ok(CallToolResponse::Task(as_task(core, client, held)));
    }
    waiting.connection.note_held(client, held.approval);
    let modern = cx.protocol_version().is_some_and(|v| v >= ProtocolVersion::V_2026_07_28);
    let patience = if modern { ROUND } else { HOLD };
    match wait_some(client, held.approval, patience, waiting).await {
        Ok(Some(waited)) => Ok(finished(waited).into()),
        Ok(None) if modern => round_trip(core, client, invocation, held.approval, 1),
        Ok(None) => Ok(pending(held.approval, &invocation.operation, &held.reason).into()),
        Err(error) => Ok(failure(&error).into()),
    }
}

/// A retry that carries the state of an earlier round.
pub async fn resume(
    core: &Core,
    client: &Client,
    invocation: &Invocation,
    state: &str,
    waiting: Waiting<'_>,
) -> std::result::Result<CallToolResponse, ErrorData> {
    let binding = binding(client.actor(), invocation);
    let opened = core.inner.state.open_json_with::<RoundTrip>(state, binding.as_bytes());
    // One answer for every fault, so that it cannot be probed.
    let Ok(trip) = opened else {
        return Err(ErrorData::invalid_params(
            "requestState is not one of this server's for this call: make the call again without it",
            None,
        ));
    };
    match wait_some(client, trip.approval, ROUND, waiting).await {
        Ok(Some(waited)) => Ok(finished(waited).into()),
        Ok(None) if trip.round >= ROUNDS => {
            Ok(pending(trip.approval, &invocation.operation, "Nobody has decided yet.").into())
        }
        Ok(None) => round_trip(core, client, invocation, trip.approval, trip.round + 1),
        Err(error) => Ok(failure(&error).into()),
    }
}

fn round_trip(
    core: &Core,
    client: &Client,
    invocation: &Invocation,
    approval: ApprovalId,
    round: u8,
) -> std::result::Result<CallToolResponse, ErrorData> {
    let binding = binding(client.actor(), invocation);
    let options = SealOptions::new().associated_data(binding.as_bytes()).ttl(STATE_LIFE);
    core.inner
        .state
        .seal_json_with(&RoundTrip { approval, round }, &options)
        .map(|state| InputRequiredResult::from_request_state(state).into())
        .map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

/// What a state is good for: this actor, this operation, these arguments.
fn binding(actor: &Actor, invocation: &Invocation) -> String {
    let mut out = format!("{actor}\n{}\n", invocation.operation);
    canonical(&invocation.arguments, &mut out);
    out
}

/// JSON with its keys in order: a client may send them in another one the next time.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&json!(key).to_string());
                out.push(':');
                canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Waits, telling the client now and then that it does. `None` when there is no decision yet.
async fn wait_some(
    client: &Client,
    approval: ApprovalId,
    patience: Duration,
    Waiting { cx, connection }: Waiting<'_>,
) -> Result<Option<Waited>> {
    let mut wanted = Wanted {
        client,
        approval,
        stop: &connection.stop,
        reason: "the agent's connection ended",
        armed: true,
    };
    let token = cx.meta.get_progress_token();
    let started = Instant::now();
    let deadline = started + patience;
    let mut tick = tokio::time::interval(PROGRESS_EVERY);
    let wait = until_done(client, approval, deadline);
    tokio::pin!(wait);
    loop {
        tokio::select! {
            waited = &mut wait => {
                wanted.armed = false;
                return waited;
            }
            () = cx.ct.cancelled() => {
                wanted.reason = "the agent cancelled the call";
                return Ok(None);
            }
            () = connection.gone.cancelled() => return Ok(None),
            _ = tick.tick(), if token.is_some() => {
                if let Some(token) = &token {
                    let mut progress =
                        ProgressNotificationParam::new(token.clone(), started.elapsed().as_secs_f64());
                    progress.message = Some("waiting for a person to decide".to_owned());
                    let _ = cx.peer.notify_progress(progress).await;
                }
            }
        }
    }
}

/// Asks the gate until the call has ended or `deadline` has passed.
async fn until_done(client: &Client, approval: ApprovalId, deadline: Instant) -> Result<Option<Waited>> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.as_secs() == 0 {
            return Ok(None);
        }
        let waited = client.wait(approval, left.min(Duration::from_secs(30))).await?;
        if waited.done {
            return Ok(Some(waited));
        }
    }
}

fn as_task(core: &Core, client: &Client, held: Held) -> CreateTaskResult {
    let now = jiff::Timestamp::now();
    let until_expiry = held.expires_at.duration_since(now).unsigned_abs();
    let life = until_expiry + TASK_EXTRA;
    let ttl = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    let options = TaskOptions::new()
        .with_ttl_ms(ttl)
        .with_poll_interval_ms(1000)
        .with_status_message(format!("{} Approval {} waits for a person.", held.reason, held.approval));
    let waiter = client.clone();
    let task = core.inner.tasks.spawn(options, move |task| {
        Box::pin(async move {
            let deadline = Instant::now() + life;
            let waited = tokio::select! {
                waited = until_done(&waiter, held.approval, deadline) => waited,
                () = task.cancelled() => {
                    withdraw(&waiter, held.approval, "the agent cancelled the task").await;
                    return Err(TaskExit::Cancelled);
                }
            };
            Ok(match waited {
                Ok(Some(waited)) => finished(waited),
                Ok(None) => pending(held.approval, "", "It has not ended in time."),
                Err(error) => failure(&error),
            })
        })
    });
    remember(core, &task.task_id, client.actor());
    CreateTaskResult::new(task)
}

/// Notes whose task it is; forgets the tasks that are gone.
fn remember(core: &Core, task: &str, actor: &Actor) {
    let mut owners = core.inner.task_owners.lock();
    if owners.len() >= 256 {
        owners.retain(|id, _| core.inner.tasks.get_task(id).is_ok());
    }
    owners.insert(task.to_owned(), actor.clone());
}

/// Whether `actor` may ask about the task. Others get the answer for a task that is not there.
pub fn may_see(core: &Core, task: &str, actor: &Actor) -> std::result::Result<(), ErrorData> {
    if core.inner.task_owners.lock().get(task).is_some_and(|owner| owner.same_as(actor)) {
        Ok(())
    } else {
        Err(ErrorData::invalid_params("there is no such task", None))
    }
}

/// The result of a decided call, with what the person changed and said.
fn finished(waited: Waited) -> CallToolResult {
    let by = waited.decision.as_ref().map(|d| d.by.to_string());
    let said = waited.decision.as_ref().and_then(|d| d.reason.clone());
    let amended = waited.amended.as_ref().map(|a| diff_text(&a.diff));
    let mut note = String::new();
    if let Some(by) = &by {
        note.push_str(&format!("decided by {by}"));
    }
    if let Some(said) = &said {
        note.push_str(&format!(": {said}"));
    }
    if let Some(diff) = &amended {
        note.push_str(&format!("\nThe person changed your arguments before approving:\n{diff}"));
    }
    let decision = json!({ "approval": waited.approval, "by": by, "reason": said, "amended": amended });
    let mut result = match waited.result {
        Some(CallResult::Output(output)) => success(output),
        Some(CallResult::Error(error)) => failure(&error),
        None => success(json!({ "state": waited.state })),
    };
    if let Some(Value::Object(content)) = &mut result.structured_content {
        content.entry("decision").or_insert(decision);
    }
    if !note.is_empty() {
        result.content.push(ContentBlock::text(note));
    }
    result
}

fn diff_text(diff: &Diff) -> String {
    let lines = diff.lines.iter().map(|line| {
        let sign = match line.op {
            DiffOp::Same => ' ',
            DiffOp::Removed => '-',
            DiffOp::Added => '+',
            DiffOp::Hunk => '@',
        };
        format!("{sign} {}", line.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The last rung: not an error, and not done.
fn pending(approval: ApprovalId, operation: &str, reason: &str) -> CallToolResult {
    let next = format!("Call approval_wait with approval {approval}; do not make the call again.");
    let text = format!("pending: {operation} waits for a person. {reason}\nnext: {next}");
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(
        json!({ "pending": { "approval": approval, "operation": operation, "reason": reason, "next": next } }),
    );
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_bound_to_the_call_and_not_to_the_order_of_its_keys() {
        let call = |arguments| Invocation { operation: "x_y".into(), arguments, reason: None };
        let bind = |name: &str, arguments| binding(&Actor::agent(name), &call(arguments));
        let a = bind("claude", json!({ "a": 1, "b": { "c": 2, "d": [3] } }));
        assert_eq!(a, bind("claude", json!({ "b": { "d": [3], "c": 2 }, "a": 1 })));
        assert_ne!(a, bind("claude", json!({ "a": 2, "b": { "c": 2, "d": [3] } })));
        assert_ne!(a, bind("other", json!({ "a": 1, "b": { "c": 2, "d": [3] } })));
    }
}
