//! The listener: TLS, HTTP/1.1 and HTTP/2 on loopback, and who is asking.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::cluster::{State, User};
use super::failure::Failure;
use super::reply;
use super::route;

/// A client that has not finished its handshake by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// HTTP/2 windows that let a list of 50,000 pods flow without waiting for updates.
const WINDOW: u32 = 8 << 20;

/// Listens on the port, or on any free one.
pub(super) async fn listen(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts until `over` is cancelled; every connection ends with it.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    state: Arc<State>,
    over: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    loop {
        let stream = tokio::select! {
            () = over.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors: wait until some are free rather than spin.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (acceptor, state, over) = (acceptor.clone(), state.clone(), over.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = connection(stream, acceptor, state) => {}
            }
        });
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(state, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(250)
        .max_send_buf_size(1 << 20);
    // An error here is the client going away.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Response<Body> {
    state.ready().await;
    state.faults.delay().await;
    let user = match user(&state, &request) {
        Ok(user) => user,
        Err(failure) => return reply::failure(&failure),
    };
    match Box::pin(route::dispatch(&state, user, request)).await {
        Ok(response) => response,
        Err(failure) => reply::failure(&failure),
    }
}

fn user(state: &State, request: &Request<Incoming>) -> Result<User, Box<Failure>> {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return Ok(User::Anonymous) };
    let token = header.to_str().ok().and_then(|h| h.strip_prefix("Bearer ")).unwrap_or_default();
    state.access.user(token.trim()).ok_or_else(Failure::unauthorized)
}
