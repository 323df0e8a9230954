//! The HTTP stack below a cluster: TCP or a proxy, TLS with ALPN, HTTP/2 with keep-alive, and
//! HTTP/1.1 for servers that have no other and for connections that are upgraded.
//!
//! kube's own client speaks HTTP/1.1 only, one socket a watch; here all requests to a cluster share
//! one HTTP/2 connection. Pings run only while a stream is open, so that an idle console sleeps.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use super::error::{Error, Result};
use super::sockets::{Shared, Socket, Sockets};

/// Name lookup, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(7);
/// TCP alone.
const CONNECT_TCP: Duration = Duration::from_secs(5);
/// A half-open connection is noticed after both, at most: 25 s.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What one stream may send before we have read it: enough for 100 MB/s at a round trip of 20 ms.
const STREAM_WINDOW: u32 = 2 << 20;
/// What all streams together may: eight whose readers are slow do not stop the others. It is a limit, not memory set aside:
/// only what lies unread takes any.
const CONNECTION_WINDOW: u32 = 16 << 20;

pub(super) type HttpClient = Client<Timed, Full<Bytes>>;

/// What is needed to dial.
pub(super) struct Dialing<'a> {
    pub(super) tls: rustls::ClientConfig,
    pub(super) tls_server_name: Option<&'a str>,
    pub(super) proxy: Option<&'a Uri>,
    /// Offer HTTP/2.
    pub(super) http2: bool,
}

/// Makes a connector. Nothing is dialled yet.
pub(super) fn connector(dialing: Dialing<'_>) -> Result<Timed, String> {
    let dial = Dial::new(dialing.proxy)?;
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(dialing.tls).https_or_http();
    if let Some(name) = dialing.tls_server_name {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|e| format!("tls-server-name {name:?} is not a valid name: {e}"))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let inner = if dialing.http2 {
        builder.enable_all_versions().wrap_connector(dial)
    } else {
        builder.enable_http1().wrap_connector(dial)
    };
    Ok(Timed { inner, dialled: Arc::default(), sockets: Sockets::default(), shared: Shared::default() })
}

/// Makes the client that all requests to one cluster share.
pub(super) fn client(connector: Timed) -> HttpClient {
    builder().build(connector)
}

/// The settings of a client.
pub(super) fn builder() -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(4)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_frame_size(64 * 1024)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(false);
    builder
}

/// TCP, directly or through a proxy.
#[derive(Clone)]
pub(super) enum Dial {
    Direct(HttpConnector),
    Http(Tunnel<HttpConnector>),
    Socks(SocksV5<HttpConnector>),
}

impl Dial {
    fn new(proxy: Option<&Uri>) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TCP));
        // These notice a half-open connection where HTTP/1.1 has no pings.
        tcp.set_keepalive(Some(PING_EVERY));
        tcp.set_keepalive_interval(Some(Duration::from_secs(5)));
        tcp.set_keepalive_retries(Some(2));
        let Some(proxy) = proxy else { return Ok(Dial::Direct(tcp)) };
        let (user, host) = match proxy.authority().map(|a| a.as_str().rsplit_once('@')) {
            Some(Some((user, host))) => (Some(user.to_owned()), host.to_owned()),
            Some(None) => (None, proxy.authority().map(ToString::to_string).unwrap_or_default()),
            None => return Err(format!("proxy-url {proxy} has no host")),
        };
        let scheme = proxy.scheme_str().unwrap_or_default();
        let bare: Uri =
            format!("{scheme}://{host}").parse().map_err(|e| format!("proxy-url of {host}: {e}"))?;
        match scheme {
            "http" => {
                let mut tunnel = Tunnel::new(bare, tcp);
                if let Some(user) = user {
                    tunnel = tunnel.with_auth(basic(&user)?);
                }
                Ok(Dial::Http(tunnel))
            }
            "socks5" | "socks5h" => {
                let mut socks = SocksV5::new(bare, tcp).local_dns(scheme == "socks5");
                if let Some((name, password)) = user.as_deref().and_then(|u| u.split_once(':')) {
                    socks = socks.with_auth(decode(name), decode(password));
                }
                Ok(Dial::Socks(socks))
            }
            other => Err(format!("proxy-url: {other:?} proxies are not supported; use http or socks5")),
        }
    }
}

fn basic(user: &str) -> Result<HeaderValue, String> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(decode(user));
    HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|e| format!("proxy-url: {e}"))
}

/// Undoes percent-encoding, which a URL's user part must have for `@` and `:`.
fn decode(text: &str) -> String {
    // A form decoder reads `+` as a space; in a user part it is itself.
    let escaped = text.replace('+', "%2B");
    match url::form_urlencoded::parse(format!("v={escaped}").as_bytes()).next() {
        Some((_, value)) => value.into_owned(),
        None => text.to_owned(),
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self {
            Dial::Direct(c) => c.poll_ready(cx).map_err(Into::into),
            Dial::Http(c) => c.poll_ready(cx).map_err(Into::into),
            Dial::Socks(c) => c.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        match self {
            Dial::Direct(c) => {
                let f = c.call(to);
                Box::pin(async move { f.await.map_err(Into::into) })
            }
            Dial::Http(c) => {
                let f = c.call(to);
                Box::pin(async move { f.await.map_err(Into::into) })
            }
            Dial::Socks(c) => {
                let f = c.call(to);
                Box::pin(async move { f.await.map_err(Into::into) })
            }
        }
    }
}

/// A connector with a time-out over all its steps: a host that accepts and then says nothing would
/// hold a TLS handshake for ever.
#[derive(Clone)]
pub(super) struct Timed {
    inner: HttpsConnector<Dial>,
    /// How often it has dialled: a request that had to wait for that says nothing of the server's latency.
    dialled: Arc<AtomicU64>,
    sockets: Sockets,
    shared: Shared,
}

impl Timed {
    /// Counts what it dials among these.
    #[must_use]
    pub(super) fn counted(self, sockets: &Sockets) -> Self {
        Self { sockets: sockets.clone(), ..self }
    }

    pub(super) fn dialled(&self) -> Arc<AtomicU64> {
        self.dialled.clone()
    }
}

impl Service<Uri> for Timed {
    type Response = Socket;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        let (connecting, sockets) = (self.inner.call(to), self.sockets.clone());
        let (shared, before) = (self.shared.clone(), self.shared.made());
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT, connecting).await;
            let socket = sockets.count(connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??);
            if !socket.connected().is_negotiated_h2() {
                return Ok(socket);
            }
            let kept = shared.claim(socket, before).await;
            kept.ok_or_else(|| "another connection was there first".into())
        })
    }
}

/// Turns a transport error into a reason and a next step.
pub(super) fn explain(server: &str, error: &hyper_util::client::legacy::Error) -> Error {
    let connecting = error.is_connect();
    match cause(error) {
        Some((reason, next)) if connecting => {
            Error::Connect { server: server.to_owned(), reason, next: next.replace("{server}", server) }
        }
        _ if connecting => Error::Connect {
            server: server.to_owned(),
            reason: deepest(error),
            next: format!("Check that {server} is the right address and can be reached from here."),
        },
        Some((reason, _)) => Error::Broken { server: server.to_owned(), reason },
        None => Error::Broken { server: server.to_owned(), reason: deepest(error) },
    }
}

/// The same for an error in the middle of a body.
pub(super) fn explain_body(server: &str, error: &hyper::Error) -> Error {
    let reason = cause(error).map_or_else(|| deepest(error), |(reason, _)| reason);
    Error::Broken { server: server.to_owned(), reason }
}

/// The error at the bottom of the chain, in its own words.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Looks through the chain for what a person can act upon: a reason, and a next step that may name `{server}`.
fn cause(error: &(dyn std::error::Error + 'static)) -> Option<(String, &'static str)> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(tls) = e.downcast_ref::<rustls::Error>() {
            return Some(tls_cause(tls));
        }
        if let Some(io) = e.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Some(tls_cause(tls));
            }
            if let Some(found) = io_cause(io) {
                return Some(found);
            }
        }
        if e.to_string().starts_with("dns error") {
            let host = "the name of its host is not known here";
            return Some((host.into(), "Check the server's name in the kubeconfig, your VPN and your DNS."));
        }
        next = e.source();
    }
    None
}

fn io_cause(error: &io::Error) -> Option<(String, &'static str)> {
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "connection refused".into(),
            "Is the API server at {server} running? Start it, or check the port.",
        ),
        io::ErrorKind::TimedOut => (
            "no answer in time".into(),
            "Check that {server} can be reached from here: VPN, firewall, proxy.",
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("no route to the host".into(), "Check your network and VPN.")
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => (
            "the other side closed the connection".into(),
            "Check that an API server, and not another service, is at {server}.",
        ),
        _ => return None,
    })
}

fn tls_cause(error: &rustls::Error) -> (String, &'static str) {
    use rustls::{AlertDescription as Alert, CertificateError as Cert, Error as Tls};
    let say = |reason: &str, next: &'static str| (reason.to_owned(), next);
    match error {
        Tls::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. }) => say(
            "the API server's certificate has expired",
            "Renew the server's certificate, or check the clock of this machine.",
        ),
        Tls::InvalidCertificate(Cert::NotValidYet | Cert::NotValidYetContext { .. }) => {
            say("the API server's certificate is not valid yet", "Check the clock of this machine.")
        }
        Tls::InvalidCertificate(Cert::UnknownIssuer) => say(
            "the API server's certificate is signed by an authority that is not trusted",
            "Set certificate-authority(-data) of the cluster in the kubeconfig to the authority's certificate.",
        ),
        Tls::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. }) => say(
            "the API server's certificate is for another name",
            "Use a name that the certificate has, or set tls-server-name in the kubeconfig.",
        ),
        Tls::AlertReceived(Alert::CertificateExpired) => say(
            "the API server says that your client certificate has expired",
            "Get a new client certificate and put it in the kubeconfig.",
        ),
        Tls::AlertReceived(
            Alert::BadCertificate | Alert::CertificateRequired | Alert::CertificateUnknown | Alert::UnknownCA,
        ) => say(
            "the API server refused your client certificate",
            "Check client-certificate(-data) of the context's user in the kubeconfig.",
        ),
        Tls::InvalidMessage(_) => say(
            "what is there does not speak TLS",
            "Check the server's address: http instead of https, or another port.",
        ),
        other => (format!("TLS: {other}"), "Check the cluster's certificates in the kubeconfig."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_user_is_decoded() {
        assert_eq!(decode("user:pa%40ss+word"), "user:pa@ss+word");
        assert!(Dial::new(Some(&"ftp://x:1".parse().unwrap())).is_err());
        assert!(matches!(Dial::new(Some(&"http://u:p@x:1".parse().unwrap())), Ok(Dial::Http(_))));
    }
}
