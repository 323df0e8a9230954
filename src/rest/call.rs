//! One request as one call.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONTENT_TYPE, IF_MATCH, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{Door, input, paths, watch};
use crate::base::{Code, Error, Result};
use crate::gate::{Client, Held, OperationInfo, Reply, Request as Call, TargetVersion};

pub async fn answer(
    door: &Door,
    client: Client,
    info: &OperationInfo,
    fields: Vec<(String, String)>,
    request: Request,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let body = read_body(door, &parts.headers, body, paths::method(info) != http::Method::GET).await?;
    let (arguments, modes) = input::input(&info.input, fields, parts.uri.query(), body)?;
    let call = Call {
        operation: info.name.clone(),
        arguments: Value::Object(arguments),
        reason: header(&parts.headers, "quarterdeck-reason")?,
        expect: expected(&parts.headers)?,
        trace_parent: header(&parts.headers, "traceparent")?,
    };
    let limit = door.options.timeout;
    if modes.watch {
        let watch = within(limit, client.watch(call)).await?;
        return Ok(watch::stream(watch, &parts, door.options.stop.clone()));
    }
    if modes.preview {
        let preview = within(limit, client.preview(call)).await?;
        return reply(StatusCode::OK, &preview);
    }
    match within(limit, client.call(call)).await? {
        Reply::Done { output, .. } => reply(StatusCode::OK, &output),
        Reply::Held(held) => held_reply(&client, held, patience(&parts.headers, limit)).await,
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| Error::new(Code::Timeout, format!("no answer within {} s", limit.as_secs())))?
}

async fn read_body(door: &Door, headers: &HeaderMap, body: Body, takes: bool) -> Result<Option<Value>> {
    let read = tokio::time::timeout(door.options.timeout, to_bytes(body, door.options.body_limit)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err(Error::invalid(format!(
                "the body is broken, or longer than {} bytes",
                door.options.body_limit
            ))
            .next("Send less at once, or raise http.body_kib."));
        }
        Err(_) => return Err(Error::new(Code::Timeout, "the body did not arrive in time")),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    if !takes {
        return Err(Error::invalid("a GET has no body").next("Give the input as query parameters."));
    }
    // Only JSON: a form of another site's page must not pass for a call.
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(
            Error::invalid(format!("the body is {kind:?}")).next("Send Content-Type: application/json.")
        );
    }
    crate::base::json::parse(&bytes).map(Some)
}

fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    // A header is ASCII: anything else comes percent-encoded.
    let text = value.to_str().ok().and_then(paths::decode);
    text.map(Some).ok_or_else(|| Error::invalid(format!("the header {name} is not well encoded")))
}

/// `If-Match: "identity/revision"`: the version of the target that the caller has seen.
fn expected(headers: &HeaderMap) -> Result<Option<TargetVersion>> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    match text.split_once('/') {
        Some((identity, revision)) if !identity.is_empty() && !revision.is_empty() => {
            Ok(Some(TargetVersion { identity: identity.to_owned(), revision: revision.to_owned() }))
        }
        _ => Err(Error::invalid("If-Match is not \"identity/revision\"").next(
            "Copy both from the `version` of a preview or of the object's metadata (uid, resourceVersion).",
        )),
    }
}

/// `Prefer: wait=N` (RFC 7240), at most as long as a request may take.
fn patience(headers: &HeaderMap, limit: Duration) -> Option<Duration> {
    let text = headers.get("prefer")?.to_str().ok()?;
    let seconds = text.split(',').find_map(|p| p.trim().strip_prefix("wait="))?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(limit))
}

async fn held_reply(client: &Client, held: Held, patience: Option<Duration>) -> Result<Response> {
    if let Some(patience) = patience {
        let waited = client.wait(held.approval, patience).await?;
        if waited.done {
            let result = waited.into_result();
            return reply(
                StatusCode::OK,
                &result.unwrap_or_else(|| Err(Error::internal("decided without a result")))?,
            );
        }
    }
    let location = format!("/v1/approvals/{}", held.approval);
    let mut response = reply(StatusCode::ACCEPTED, &json!({ "held": held, "approval": location }))?;
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    Ok(response)
}

fn reply(status: StatusCode, output: &impl serde::Serialize) -> Result<Response> {
    let text = serde_json::to_vec(output).map_err(Error::internal)?;
    Ok(super::json(status, Body::from(text)))
}
