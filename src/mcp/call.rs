//! `tools/call`: from a tool's name and arguments to one call through the gate.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ProgressNotificationParam,
    ProgressToken,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde_json::{Map, Value, json};

use super::server::Connection;
use super::tools::{self, Toolbox};
use super::{Core, held, text};
use crate::base::{Actor, Code, Error, Result};
use crate::bus::{CallPhase, Event, Events};
use crate::gate::{Client, Reply, Request};

/// One call as the gate takes it.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub operation: String,
    pub arguments: Value,
    pub reason: Option<String>,
}

/// What a tool's name and arguments mean.
enum Meaning {
    Operation(Invocation),
    /// Answered by the door itself, from the catalogue.
    Answer(Box<CallToolResult>),
}

pub async fn call_tool(
    core: &Core,
    client: &Client,
    params: CallToolRequestParams,
    cx: &RequestContext<RoleServer>,
    connection: &Connection,
) -> std::result::Result<CallToolResponse, ErrorData> {
    let request_state = params.request_state.clone();
    let invocation = match meaning(core.toolbox(), params)? {
        Meaning::Operation(invocation) => invocation,
        Meaning::Answer(result) => return Ok((*result).into()),
    };
    if let Some(state) = request_state {
        return held::resume(core, client, &invocation, &state, held::Waiting { cx, connection }).await;
    }
    let request = Request {
        operation: invocation.operation.clone(),
        arguments: invocation.arguments.clone(),
        reason: invocation.reason.clone(),
        trace_parent: cx.meta.get_traceparent().map(str::to_owned),
        ..Request::default()
    };
    match run(client, request, cx).await {
        Ok(Reply::Done { output, .. }) => Ok(success(output).into()),
        Ok(Reply::Held(held)) => {
            held::wait(core, client, &invocation, held, held::Waiting { cx, connection }).await
        }
        Err(error) => Ok(failure(&error).into()),
    }
}

fn meaning(toolbox: &Toolbox, params: CallToolRequestParams) -> std::result::Result<Meaning, ErrorData> {
    let mut arguments = params.arguments.unwrap_or_default();
    let name = match params.name.as_ref() {
        tools::CALL => {
            let Some(Value::String(name)) = arguments.remove("operation") else {
                return Ok(answer_error(&missing("operation")));
            };
            let reason = arguments.remove("reason");
            let mut inner = match arguments.remove("arguments") {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(inner)) => inner,
                Some(_) => return Ok(answer_error(&Error::invalid("`arguments` must be an object"))),
            };
            if toolbox.operation(&name).is_some_and(tools::takes_reason)
                && let Some(reason) = reason
            {
                inner.entry("reason").or_insert(reason);
            }
            arguments = inner;
            name
        }
        tools::DESCRIBE => {
            let name = arguments.get("operation").and_then(Value::as_str).map(str::to_owned);
            return Ok(match name {
                None => answer_error(&missing("operation")),
                Some(name) => match toolbox.operation(&name) {
                    Some(info) => Meaning::Answer(Box::new(success(tools::describe(info)))),
                    None => answer_error(&unknown(toolbox, &name)),
                },
            });
        }
        name if toolbox.operation(name).is_some() => name.to_owned(),
        name => {
            let error = unknown(toolbox, name);
            let text = error.told();
            return Err(ErrorData::invalid_params(text, None));
        }
    };
    let Some(info) = toolbox.operation(&name) else { return Ok(answer_error(&unknown(toolbox, &name))) };
    let reason = match tools::takes_reason(info).then(|| arguments.remove("reason")).flatten() {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason),
        Some(_) => return Ok(answer_error(&Error::invalid("`reason` must be text"))),
    };
    Ok(Meaning::Operation(Invocation { operation: name, arguments: Value::Object(arguments), reason }))
}

fn answer_error(error: &Error) -> Meaning {
    Meaning::Answer(Box::new(failure(error)))
}

fn missing(argument: &str) -> Error {
    Error::invalid(format!("the argument `{argument}` is missing"))
        .next("Name an operation; operation_list gives their names.")
}

fn unknown(toolbox: &Toolbox, name: &str) -> Error {
    let shown = crate::base::SafeText::new(&name.chars().take(80).collect::<String>());
    let error = Error::not_found(format!("there is no operation {:?}", shown.as_str()));
    match toolbox.near(name) {
        Some(near) => error.next(format!("Did you mean {near}?")),
        None => error.next("operation_list gives the names there are."),
    }
}

/// Runs a request, with progress for the client if it wants it. Dropped when the client gives up.
async fn run(client: &Client, request: Request, cx: &RequestContext<RoleServer>) -> Result<Reply> {
    let cancelled = || Error::new(Code::Cancelled, "the client gave up");
    let Some(token) = cx.meta.get_progress_token() else {
        return tokio::select! {
            reply = client.call(request) => reply,
            () = cx.ct.cancelled() => Err(cancelled()),
        };
    };
    let events = client.events();
    let operation = request.operation.clone();
    let call = client.call(request);
    tokio::select! {
        reply = call => reply,
        error = report(events, client.actor(), &operation, token, &cx.peer) => Err(error),
        () = cx.ct.cancelled() => Err(cancelled()),
    }
}

/// Passes on the progress of this actor's call of `operation` for as long as it is polled.
async fn report(
    mut events: Events,
    actor: &Actor,
    operation: &str,
    token: ProgressToken,
    peer: &Peer<RoleServer>,
) -> Error {
    let mut mine = None;
    while let Some(event) = events.next().await {
        let Event::Call(call) = &*event else { continue };
        match &call.phase {
            // The first such call to start after this one was made.
            CallPhase::Started if mine.is_none() && call.operation == operation && call.actor == *actor => {
                mine = Some(call.call);
            }
            CallPhase::Progress { done, total, note, .. } if mine == Some(call.call) => {
                #[allow(clippy::cast_precision_loss, reason = "a count of steps, shown to a person")]
                let number = |n: u64| n as f64;
                let mut progress = ProgressNotificationParam::new(token.clone(), number(*done));
                progress.total = total.map(number);
                progress.message = Some(note.clone());
                // A client that does not read progress still gets its result.
                let _ = peer.notify_progress(progress).await;
            }
            _ => {}
        }
    }
    Error::unavailable("the session ended")
}

/// A result: short text for the reader, the whole for the program.
pub fn success(output: Value) -> CallToolResult {
    let text = text::render(&output);
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    // Structured content must be an object up to 2025-11-25.
    result.structured_content = Some(if output.is_object() { output } else { json!({ "result": output }) });
    result
}

/// An error that the agent reads: its code, what happened, what to do next.
pub fn failure(error: &Error) -> CallToolResult {
    let text = format!("{}: {}\nnext: {}", error.code.as_str(), error.message, error.next_step());
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut body = json!({ "code": error.code, "message": error.message, "next": error.next_step() });
    if let Some(details) = &error.details {
        body["details"] = (**details).clone();
    }
    result.structured_content = Some(json!({ "error": body }));
    result
}
