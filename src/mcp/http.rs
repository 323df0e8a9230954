//! Streamable HTTP at `/mcp`: who asks, from where, and then the protocol.
//!
//! In this order: the gate's own guard (`Host`, `Origin`, token), keys that are there twice, the protocol.
//! Tokens are for us alone: what lies behind the guard does not see them, and they are never passed on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::StreamExt as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::server::Door;
use super::{Core, duplicates};
use crate::base::Actor;
use crate::gate::auth::{Keeper, Standing, admit, refusal};

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
const METADATA: &str = "/.well-known/oauth-protected-resource";
const METADATA_MCP: &str = "/.well-known/oauth-protected-resource/mcp";

/// `/mcp`, and the metadata that tells a client without a token what kind it needs (RFC 9728).
/// `keeper` must be that of the MCP door; `stop` ends open streams with the process.
pub fn router(core: &Core, mut keeper: Keeper, stop: CancellationToken) -> Router {
    // The guard has looked at Host and Origin; its names are not only loopback ones.
    let mut config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_json_response(true)
        .with_sse_keep_alive(Some(Duration::from_secs(15)))
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(stop.clone());
    // There is no store of events, so that no stream outlives its connection for a client to resume.
    config.sse_retry = None;
    let door = core.clone();
    let service = StreamableHttpService::new(
        move || Ok(Door::http(door.clone(), stop.clone())),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    keeper.open = &[METADATA, METADATA_MCP];
    let router = Router::new()
        .route_service("/mcp", service)
        .layer(middleware::from_fn(refuse_duplicates))
        .layer(middleware::from_fn(forget_token))
        .route(METADATA, get(metadata))
        .route(METADATA_MCP, get(metadata));
    let router = if core.inner.settings.conformance_fixtures {
        router.layer(middleware::from_fn_with_state(keeper, admit_the_suite))
    } else {
        router.layer(middleware::from_fn_with_state(keeper, admit))
    };
    router.layer(middleware::from_fn(challenge))
}

/// The conformance suites have no token. With their fixtures served, whoever has none is an agent of
/// that name; the policy is the same for it as for any.
async fn admit_the_suite(State(keeper): State<Keeper>, mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return admit(State(keeper), request, next).await;
    }
    let checked = {
        let text = |name| request.headers().get(name).map(|v: &HeaderValue| v.to_str().unwrap_or("?"));
        keeper.hosts.check(text(header::HOST), text(header::ORIGIN))
    };
    if let Err(error) = checked {
        return refusal(&error);
    }
    request.extensions_mut().insert(Arc::new(Actor::agent("conformance")));
    next.run(request).await
}

/// Tells a caller without a valid token where to read about them (RFC 9728 §5.1, RFC 6750 §3).
async fn challenge(request: Request, next: Next) -> Response {
    let base = base(request.headers());
    let had_token = request.headers().contains_key(header::AUTHORIZATION);
    let mut response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        let fault = if had_token { r#", error="invalid_token""# } else { "" };
        let challenge = format!(r#"Bearer resource_metadata="{base}{METADATA_MCP}"{fault}"#);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// The protocol keeps a request's headers beside it, where a log could find them. A stream of events that was opened
/// with the token ends when the token is no longer valid: at its next event, or at the next sign of life.
async fn forget_token(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(header::AUTHORIZATION);
    let standing = request.extensions().get::<Standing>().cloned();
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match standing {
        Some(standing) if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) => {
            let valid = move |_: &_| std::future::ready(standing.check().is_ok());
            response.map(|body| Body::from_stream(body.into_data_stream().take_while(valid)))
        }
        _ => response,
    }
}

/// `http://` and the host as the client addressed it.
fn base(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let plain = |host: &&str| !host.contains(['"', '\\']);
    host.filter(plain).map(|host| format!("http://{host}")).unwrap_or_default()
}

async fn metadata(headers: HeaderMap) -> axum::Json<serde_json::Value> {
    axum::Json(json!({
        "resource": format!("{}/mcp", base(&headers)),
        "resource_name": "Quarterdeck",
        // Tokens are made by `qd token create`, not by a server that could be named here.
        "authorization_servers": [],
        "bearer_methods_supported": ["header"],
    }))
}

/// See [`duplicates`]; a body that is too long is refused with 413 here too.
async fn refuse_duplicates(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The body is too long.\n").into_response();
    };
    if let Some(key) = duplicates::find(&bytes) {
        let error = json!({ "code": -32600, "message": duplicates::message(&key) });
        let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}
