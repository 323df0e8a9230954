//! Streamable HTTP at `/mcp`: who asks, from where, and then the protocol.
//!
//! In this order: the `Host` and `Origin` headers (a page in a browser must not reach a server on
//! loopback, CVE-2026-42559), the bearer token, keys that are there twice, the protocol. Tokens are for us
//! alone and are never passed on.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::server::Door;
use super::{Core, duplicates};
use crate::base::{Actor, Error, Result};

/// Who a request's headers speak for. Given by the wiring, from `gate`'s tokens.
pub type Authenticate = Arc<dyn Fn(&HeaderMap) -> Result<Actor> + Send + Sync>;

/// Where it may be reached from.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Names by which clients may address the server; any port.
    pub hosts: Vec<String>,
    /// Origins of pages that may call it, with scheme and port. None by default.
    pub origins: Vec<String>,
    /// Cancelled when the process ends: open streams end then.
    pub stop: CancellationToken,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        Self { hosts, origins: Vec::new(), stop: CancellationToken::new() }
    }
}

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
const METADATA: &str = "/.well-known/oauth-protected-resource";

#[derive(Clone)]
struct Entrance {
    authenticate: Authenticate,
    settings: Arc<HttpSettings>,
}

/// `/mcp`, and the metadata that tells a client without a token what kind it needs (RFC 9728).
pub fn router(core: &Core, authenticate: Authenticate, settings: HttpSettings) -> Router {
    let mut config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(settings.hosts.clone())
        .with_allowed_origins(settings.origins.clone())
        .enforce_origin_validation()
        .with_json_response(true)
        .with_sse_keep_alive(Some(Duration::from_secs(15)))
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(settings.stop.clone());
    // No priming event: there is no store of events to resume a stream from.
    config.sse_retry = None;
    let door = core.clone();
    let service = StreamableHttpService::new(
        move || Ok(Door::http(door.clone())),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let entrance = Entrance { authenticate, settings: Arc::new(settings) };
    let protected = Router::new()
        .route_service("/mcp", service)
        .layer(middleware::from_fn(refuse_duplicates))
        .layer(middleware::from_fn_with_state(entrance.clone(), authenticated));
    Router::new()
        .route(METADATA, get(metadata))
        .route(&format!("{METADATA}/mcp"), get(metadata))
        .merge(protected)
        .layer(middleware::from_fn_with_state(entrance, from_a_known_place))
}

async fn from_a_known_place(State(entrance): State<Entrance>, request: Request, next: Next) -> Response {
    let host = host(request.uri(), request.headers());
    let known =
        host.as_deref().is_some_and(|h| entrance.settings.hosts.iter().any(|k| k.eq_ignore_ascii_case(h)));
    if !known {
        return (StatusCode::FORBIDDEN, "This server is not known by that Host.\n").into_response();
    }
    let origin = request.headers().get(header::ORIGIN);
    let allowed = origin.is_none_or(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        entrance.settings.origins.iter().any(|o| o.eq_ignore_ascii_case(origin))
    });
    if !allowed {
        return (StatusCode::FORBIDDEN, "Pages of that Origin may not call this server.\n").into_response();
    }
    next.run(request).await
}

/// The name the request was sent to, without port and brackets.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authority = match headers.get(header::HOST) {
        Some(host) => host.to_str().ok()?.parse::<http::uri::Authority>().ok()?,
        // HTTP/2 has it in `:authority`.
        None => uri.authority()?.clone(),
    };
    let host = authority.host();
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

async fn authenticated(State(entrance): State<Entrance>, mut request: Request, next: Next) -> Response {
    match (entrance.authenticate)(request.headers()) {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            // Nothing behind this needs the token, and extensions end up in logs.
            request.headers_mut().remove(header::AUTHORIZATION);
            next.run(request).await
        }
        Err(error) => refused(&error, request.headers()),
    }
}

/// 401 with the way to a token (RFC 9728 §5.1, RFC 6750 §3).
fn refused(error: &Error, headers: &HeaderMap) -> Response {
    let code = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let body = json!({ "code": error.code, "message": error.message, "next": error.next_step() });
    let mut response = (code, axum::Json(body)).into_response();
    if code == StatusCode::UNAUTHORIZED {
        let metadata = base(headers).map(|b| format!("{b}{METADATA}/mcp")).unwrap_or_default();
        let fault =
            if headers.contains_key(header::AUTHORIZATION) { r#", error="invalid_token""# } else { "" };
        let challenge = format!(r#"Bearer resource_metadata="{metadata}"{fault}"#);
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// `http://` and the host as the client addressed it: it was checked before.
fn base(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(format!("http://{host}"))
}

async fn metadata(headers: HeaderMap) -> axum::Json<serde_json::Value> {
    let base = base(&headers).unwrap_or_default();
    axum::Json(json!({
        "resource": format!("{base}/mcp"),
        "resource_name": "Quarterdeck",
        // Tokens are made on this machine (`qd` writes one for the session), not by a server.
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
