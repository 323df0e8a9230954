//! The HTTP endpoint: REST, WebSocket and MCP on one port, loopback unless configured.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::base::config::Http;
use crate::base::{Door, Error, Result};
use crate::gate::Gate;
use crate::gate::auth::{Authenticator, Hosts, Keeper, admit};
use crate::{mcp, rest};

/// Connections at once; beyond it new ones wait in the listener's queue.
const CONNECTIONS: usize = 16_384;

/// How long a client may take to send a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// A bound endpoint.
pub struct Endpoint {
    listener: TcpListener,
    pub address: SocketAddr,
    /// Said where the configured port was taken.
    pub note: Option<String>,
}

/// Binds the configured address; a taken port is replaced by a free one, and said.
pub async fn bind(config: &Http) -> Result<Endpoint> {
    if !config.address.is_loopback() && config.hosts.is_empty() {
        return Err(Error::invalid(format!("http.address is {}, but http.hosts is empty", config.address))
            .next("Name in http.hosts the host names by which clients call, or listen on 127.0.0.1."));
    }
    let wanted = SocketAddr::new(config.address, config.port);
    let failed = |e: std::io::Error| {
        Error::unavailable(format!("cannot listen on {wanted}: {e}"))
            .next("Choose another http.address or http.port, or set http.enabled to false.")
    };
    let (listener, taken) = match TcpListener::bind(wanted).await {
        Ok(listener) => (listener, false),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            (TcpListener::bind(SocketAddr::new(config.address, 0)).await.map_err(failed)?, true)
        }
        Err(e) => return Err(failed(e)),
    };
    let address = listener.local_addr().map_err(failed)?;
    let note =
        taken.then(|| format!("port {} is taken: REST and MCP are at http://{address} instead", config.port));
    Ok(Endpoint { listener, address, note })
}

/// What the endpoint serves.
pub struct Served {
    pub gate: Gate,
    pub core: mcp::Core,
    pub authenticator: Arc<Authenticator>,
}

/// Every HTTP door in one router.
pub fn router(served: Served, config: &Http, stop: CancellationToken) -> Router {
    let keeper = Keeper {
        authenticator: served.authenticator,
        hosts: Hosts::new(config.hosts.iter().cloned()),
        door: Door::Rest,
        open: rest::OPEN,
    };
    let options = rest::Options {
        body_limit: config.body_kib as usize * 1024,
        timeout: Duration::from_secs(u64::from(config.timeout_seconds)),
        stop: stop.clone(),
    };
    let agents = Keeper { door: Door::Mcp, open: &[], ..keeper.clone() };
    let rest = rest::router(served.gate, options).layer(from_fn_with_state(keeper, admit));
    mcp::router(&served.core, agents, stop).merge(rest)
}

impl Endpoint {
    /// Serves `router` until `stop`; then answers what is under way, for a moment.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let tasks = TaskTracker::new();
        loop {
            let place = tokio::select! {
                place = places.clone().acquire_owned() => place,
                () = stop.cancelled() => break,
            };
            let Ok(place) = place else { break };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    tasks.spawn(async move {
                        one(stream, peer, router, stop).await;
                        drop(place);
                    });
                }
                Err(e) => {
                    // Out of file descriptors, say: it passes, and must not spin meanwhile.
                    tracing::warn!(error = %e, "accept failed");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await;
    }
}

async fn one(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // Small answers wait up to 40 ms for an acknowledgement otherwise.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(128);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

/// Writes the endpoint's address and the session's token where the user's own tools find them.
pub fn publish(path: &Path, address: SocketAddr, token: &str) -> Result<()> {
    use std::io::Write as _;
    let text =
        serde_json::json!({ "url": format!("http://{address}"), "token": token, "pid": std::process::id() });
    // Made anew: an older file may have other permissions.
    let _ = std::fs::remove_file(path);
    let written = std::fs::File::options()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(|e| Error::unavailable(format!("cannot write {}: {e}", path.display())))
}
