//! The checks before any HTTP handler: Host, Origin, token.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::{Authenticator, Standing};
use crate::base::{Code, Door, Error, Result};

/// The names by which this endpoint may be called.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// Besides the loopback names, lower case, without a port.
    more: Vec<String>,
}

impl Hosts {
    pub fn new(more: impl IntoIterator<Item = String>) -> Self {
        Self { more: more.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether a request for `authority` from a page of `origin` may go on.
    pub fn check(&self, authority: Option<&str>, origin: Option<&str>) -> Result<()> {
        let refused = |message: String| {
            Err(Error::new(Code::PermissionDenied, message)
                .next("Call it by a loopback name, or name the host in the configuration key http.hosts."))
        };
        match authority {
            Some(authority) if self.knows(name_of(authority)) => {}
            Some(authority) => {
                return refused(format!("the host {authority:?} is not one of this endpoint's"));
            }
            None => return refused("the request names no host".to_owned()),
        }
        match origin {
            None => Ok(()),
            Some(origin) => {
                let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
                match authority {
                    Some(authority) if self.knows(name_of(authority)) => Ok(()),
                    _ => refused(format!("pages of {origin:?} may not call this endpoint")),
                }
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let loopback = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        loopback || name == "localhost" || self.more.contains(&name)
    }
}

/// The authority without its port; an IPv6 address keeps its brackets.
fn name_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| {
            let rest = &authority[end + 1..];
            let port = rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
            // "[::1].evil.example" is not the loopback address.
            if port { &authority[..=end] } else { authority }
        });
    }
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// Who stands at one door of the HTTP endpoint.
#[derive(Clone)]
pub struct Keeper {
    pub authenticator: Arc<Authenticator>,
    pub hosts: Hosts,
    pub door: Door,
    /// Paths that need no token: they say nothing of the session.
    pub open: &'static [&'static str],
}

/// Middleware (`axum::middleware::from_fn_with_state(keeper, admit)`): a request that passes has an
/// `Arc<Actor>` and its [`Standing`] in its extensions, unless its path is open.
pub async fn admit(State(keeper): State<Keeper>, mut request: Request, next: Next) -> Response {
    let checked =
        keeper.hosts.check(authority(request.uri(), request.headers()), text(request.headers(), ORIGIN));
    if let Err(error) = checked {
        return refusal(&error);
    }
    if keeper.open.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    let header = text(request.headers(), AUTHORIZATION);
    match keeper.authenticator.authenticate(header, keeper.door, peer) {
        Ok(actor) => {
            let header = header.unwrap_or_default().to_owned();
            let standing =
                Standing { authenticator: keeper.authenticator.clone(), header, door: keeper.door };
            request.extensions_mut().insert(Arc::new(actor));
            request.extensions_mut().insert(standing);
            next.run(request).await
        }
        Err(error) => refusal(&error),
    }
}

/// HTTP/2 names the host in `:authority`, HTTP/1.1 in `Host`; where both are, both must be the same.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut hosts = headers.get_all(HOST).iter();
    let (header, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return None;
    }
    match (uri.authority().map(http::uri::Authority::as_str), header.map(HeaderValue::to_str)) {
        (Some(uri), Some(Ok(header))) if !uri.eq_ignore_ascii_case(header) => None,
        (Some(uri), _) => Some(uri),
        (None, Some(header)) => header.ok(),
        (None, None) => None,
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    // A header that is not text is as bad as a foreign one, not as good as none.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// An error as every HTTP door answers it: `{"error": {code, message, next, details}}`.
pub fn refusal(error: &Error) -> Response {
    let mut shown = error.clone();
    shown.next.get_or_insert_with(|| error.code.default_next().to_owned());
    let body = serde_json::json!({ "error": shown }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match error.code {
        Code::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quarterdeck\""));
        }
        Code::RateLimited => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("3"));
        }
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_and_pages_pass() {
        let hosts = Hosts::new(["Deck.Example".to_owned()]);
        let pass = [
            ("127.0.0.1:7420", None),
            ("localhost", None),
            ("LOCALHOST:1", Some("http://localhost:3000")),
            ("[::1]:7420", Some("http://[::1]:7420")),
            ("127.8.8.8", None),
            ("deck.example:443", Some("https://deck.example")),
        ];
        for (host, origin) in pass {
            assert!(hosts.check(Some(host), origin).is_ok(), "{host} {origin:?}");
        }
        let refused = [
            (None, None),
            (Some(""), None),
            (Some("evil.example"), None),
            (Some("localhost.evil.example:7420"), None),
            (Some("127.0.0.1.evil.example"), None),
            (Some("[::1].evil.example"), None),
            (Some("[::1]evil"), None),
            (Some("10.0.0.1"), None),
            (Some("localhost"), Some("http://evil.example")),
            (Some("localhost"), Some("null")),
            (Some("localhost"), Some("file://localhost")),
            (Some("localhost"), Some("http://user@evil.example")),
            (Some("localhost"), Some("?")),
        ];
        for (host, origin) in refused {
            assert!(hosts.check(host, origin).is_err(), "{host:?} {origin:?}");
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert_eq!(authority(&Uri::from_static("/"), &headers), Some("localhost"));
        assert_eq!(authority(&Uri::from_static("http://evil.example/"), &headers), None);
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(authority(&Uri::from_static("/"), &headers), None);
    }
}
