//! One connection's tunnel: a WebSocket with subprotocol `v4.channel.k8s.io` to the pod's `portforward`.
//!
//! Each connection has a WebSocket of its own: closing it is the only end of a stream that this protocol knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::route::Route;
use crate::kube::{Cluster, Resource, Result};

/// The channels of the one port that is asked for.
const DATA: u8 = 0;
const ERROR: u8 = 1;

const PIECE: usize = 32 * 1024;
const PING: Duration = Duration::from_secs(30);
/// A client that has said all it has to say waits for the answer: for so long without a byte of it.
const ANSWER: Duration = Duration::from_secs(60);

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a tunnel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// One of the two closed it.
    Closed,
    /// The pod's end says why it does not work.
    Refused(String),
    /// The way to the pod broke.
    Lost(String),
}

/// Bytes, as they go.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub up: AtomicU64,
    pub down: AtomicU64,
}

/// Opens a tunnel. That the pod's port answers is not known yet.
pub(super) async fn open(cluster: &Cluster, namespace: &str, route: &Route) -> Result<Socket> {
    let pod = Resource::pods().path(Some(namespace), Some(&route.pod));
    let connection = cluster.upgrade(&format!("{pod}/portforward?ports={}", route.port)).await?;
    Ok(connection.into_stream())
}

/// Carries bytes both ways until one side ends. A tunnel that did not end well resets the client's connection, so that it
/// does not take half an answer for a whole one.
pub(super) async fn carry(client: TcpStream, socket: Socket, counts: &Arc<Counts>) -> Ended {
    let (from_client, mut to_client) = client.into_split();
    let (mut to_pod, from_pod) = socket.split();
    // Pieces that came from the pod: whether it still answers.
    let came = AtomicU64::new(0);
    let ended = tokio::select! {
        ended = upwards(from_client, &mut to_pod, &counts.up, &came) => ended,
        ended = downwards(from_pod, &mut to_client, &counts.down, &came) => ended,
    };
    if ended == Ended::Closed {
        let _ = to_client.shutdown().await;
    } else {
        reset(to_client.as_ref());
        // Dropped it would say goodbye first.
        to_client.forget();
    }
    let _ = tokio::time::timeout(Duration::from_millis(200), to_pod.close()).await;
    ended
}

async fn upwards(
    mut from_client: OwnedReadHalf,
    to_pod: &mut SplitSink<Socket, Message>,
    sent: &AtomicU64,
    came: &AtomicU64,
) -> Ended {
    let mut buffer = BytesMut::with_capacity(PIECE + 1);
    loop {
        buffer.clear();
        buffer.reserve(PIECE + 1);
        buffer.put_u8(DATA);
        let read = tokio::select! {
            read = from_client.read_buf(&mut buffer) => read,
            () = tokio::time::sleep(PING) => {
                if let Err(e) = to_pod.send(Message::Ping(Bytes::new())).await {
                    return Ended::Lost(e.to_string());
                }
                continue;
            }
        };
        match read {
            Ok(0) => break,
            Ok(n) => {
                sent.fetch_add(n as u64, Ordering::Relaxed);
                if let Err(e) = to_pod.send(Message::Binary(buffer.split().freeze())).await {
                    return Ended::Lost(e.to_string());
                }
            }
            Err(_) => return Ended::Closed,
        }
    }
    // It has no more to say, and may still listen. There is no way to tell the pod.
    loop {
        let before = came.load(Ordering::Relaxed);
        tokio::time::sleep(ANSWER).await;
        if came.load(Ordering::Relaxed) == before {
            return Ended::Closed;
        }
    }
}

async fn downwards(
    mut from_pod: SplitStream<Socket>,
    to_client: &mut OwnedWriteHalf,
    received: &AtomicU64,
    came: &AtomicU64,
) -> Ended {
    let mut greeted = [false; 2];
    loop {
        let message = match from_pod.next().await {
            Some(Ok(message)) => message,
            Some(Err(e)) => return Ended::Lost(e.to_string()),
            None => return Ended::Closed,
        };
        let mut bytes = match message {
            Message::Binary(bytes) if !bytes.is_empty() => bytes,
            Message::Close(_) => return Ended::Closed,
            _ => continue,
        };
        let channel = bytes.split_to(1)[0];
        match greeted.get_mut(usize::from(channel)) {
            // Each channel begins with the port's number.
            Some(seen) if !*seen => *seen = true,
            _ if channel == DATA => {
                received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                came.fetch_add(1, Ordering::Relaxed);
                if to_client.write_all(&bytes).await.is_err() {
                    return Ended::Closed;
                }
            }
            _ if channel == ERROR => {
                return Ended::Refused(String::from_utf8_lossy(&bytes).trim().to_owned());
            }
            _ => {}
        }
    }
}

pub(super) fn reset(client: &TcpStream) {
    // With a linger of zero closing sends a reset. Where that cannot be set it is closed as usual.
    let _ = rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO));
}
