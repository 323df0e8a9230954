//! The REST and WebSocket door: a route for every operation, from its method and path.
//!
//! | request | what it is |
//! |---|---|
//! | the operation's method and path | the call; `{field}` of the path, query parameters and the JSON body are its input |
//! | `?watch=true` | the same as a long read: JSON lines, or server-sent events if `Accept` asks for them |
//! | `?preview=true` | what the call would do |
//! | `Quarterdeck-Reason`, `If-Match`, `traceparent` | why; the target's version seen (`identity/revision`); the caller's trace |
//! | `Prefer: wait=N` | wait up to N seconds for the decision about a held call |
//! | `GET /v1/events` | a WebSocket of what happens |
//! | `GET /v1/openapi.json` | OpenAPI 3.1 of all of this |
//! | `GET /healthz`, `GET /metrics` | alive; counters in Prometheus's text form |
//!
//! A held call answers 202 with a `Location` to its approval. Errors are
//! `{"error": {code, message, next, details}}` with the code's status.

mod call;
mod events;
mod input;
mod metrics;
mod openapi;
mod paths;
mod watch;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::base::{Actor, Code, Error, Result};
use crate::gate::auth::refusal;
use crate::gate::{Client, Gate, OperationInfo};
use metrics::Metrics;
use paths::Paths;

/// Bounds of a request.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of the body, in bytes.
    pub body_limit: usize,
    /// Of one call; watches and events are not bounded.
    pub timeout: Duration,
    /// Cancelled when the session ends: open streams end then.
    pub stop: CancellationToken,
}

/// Paths that need no token: they say nothing of the session.
pub const OPEN: &[&str] = &["/healthz"];

struct Door {
    gate: Gate,
    catalogue: Arc<[OperationInfo]>,
    paths: Paths,
    options: Options,
    metrics: Metrics,
    /// Made when it is first asked for.
    openapi: OnceLock<Bytes>,
}

/// The routes. What stands before them must put the caller's `Arc<Actor>` into the request's
/// extensions (`gate::auth::admit` does).
pub fn router(gate: Gate, options: Options) -> Router {
    let catalogue = gate.catalogue();
    let paths = Paths::of(&catalogue);
    let door = Arc::new(Door {
        gate,
        catalogue,
        paths,
        options,
        metrics: Metrics::default(),
        openapi: OnceLock::new(),
    });
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(|State(door): State<Arc<Door>>| async move { door.metrics.text() }))
        .route("/v1/openapi.json", get(document))
        .route("/v1/events", get(events::open))
        .fallback(any)
        .with_state(door)
}

async fn document(State(door): State<Arc<Door>>) -> Response {
    let bytes = door.openapi.get_or_init(|| Bytes::from(openapi::document(&door.catalogue).to_string()));
    json(StatusCode::OK, Body::from(bytes.clone()))
}

/// Every operation.
async fn any(State(door): State<Arc<Door>>, request: Request) -> Response {
    let response = match route(&door, request).await {
        Ok(response) => response,
        Err(error) => refusal(&error),
    };
    door.metrics.answered(response.status());
    response
}

async fn route(door: &Arc<Door>, request: Request) -> Result<Response> {
    let path = request.uri().path().to_owned();
    let found = door.paths.find(request.method(), &path);
    let (index, fields) = match found {
        paths::Found::Route(index, fields) => (index, fields),
        paths::Found::OtherMethods(allowed) => {
            let error = Error::invalid(format!("{path} does not take {}", request.method()))
                .next(format!("Use {allowed}."));
            let mut response = refusal(&error);
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            if let Ok(value) = HeaderValue::from_str(&allowed) {
                response.headers_mut().insert(ALLOW, value);
            }
            return Ok(response);
        }
        paths::Found::Nothing => {
            return Err(Error::not_found(format!("there is nothing at {path}"))
                .next("GET /v1/openapi.json lists every path."));
        }
    };
    let client = client(door, &request)?;
    call::answer(door, client, &door.catalogue[index], fields, request).await
}

fn client(door: &Door, request: &Request) -> Result<Client> {
    let actor = request.extensions().get::<Arc<Actor>>();
    let actor = actor.ok_or_else(|| Error::new(Code::Unauthenticated, "the call has no token"))?;
    Ok(door.gate.client((**actor).clone()))
}

fn json(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
