//! `/v1/events`: what happens, over a WebSocket.
//!
//! The bus holds a bounded number of events for each reader. One that falls further behind, or does
//! not take what is sent for [`STALLED`], is told to read the state again and closed: others never
//! wait for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use tokio_util::sync::CancellationToken;

use super::{Door, client};
use crate::base::Error;
use crate::bus::{Event, Events};
use crate::gate::auth::{Standing, refusal};

/// How long one message may wait to be taken.
const STALLED: Duration = Duration::from_secs(10);

/// How often a silent client is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

/// "Try again later" (RFC 6455's registry): the reason says to read the state again first.
const AGAIN: u16 = 1013;
const GOING_AWAY: u16 = 1001;
/// What the client may do has changed.
const POLICY: u16 = 1008;

pub async fn open(State(door): State<Arc<Door>>, request: Request) -> Response {
    use axum::extract::FromRequestParts as _;
    let client = match client(&door, &request) {
        Ok(client) => client,
        Err(error) => return refusal(&error),
    };
    let (mut parts, _) = request.into_parts();
    let standing = parts.extensions.get::<Standing>().cloned();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            let stop = door.options.stop.clone();
            // Clients send nothing but control frames here.
            upgrade
                .max_message_size(4096)
                .max_frame_size(4096)
                .on_upgrade(move |socket| forward(socket, client.events(), standing, stop))
        }
        Err(rejection) => {
            let status = rejection.into_response().status();
            let error = Error::invalid("/v1/events is a WebSocket")
                .next("Connect with an Upgrade: websocket request of version 13.");
            let mut response = refusal(&error);
            *response.status_mut() = status;
            response
        }
    }
}

async fn forward(
    mut socket: WebSocket,
    mut events: Events,
    standing: Option<Standing>,
    stop: CancellationToken,
) {
    let revoked = || standing.as_ref().is_some_and(|standing| standing.check().is_err());
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
    let mut answered = true;
    let (code, reason) = loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { break (GOING_AWAY, "the session ends") };
                if revoked() {
                    break (POLICY, "the token is not valid any more");
                }
                let Ok(text) = serde_json::to_string(&*event) else { continue };
                let sent = tokio::time::timeout(STALLED, socket.send(Message::Text(text.into()))).await;
                match sent {
                    Ok(Ok(())) if matches!(*event, Event::Resync { .. }) => break (AGAIN, "resync"),
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => break (AGAIN, "resync"),
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // Whatever comes shows that the client is there.
                Some(Ok(_)) => answered = true,
            },
            _ = ping.tick() => {
                if revoked() {
                    break (POLICY, "the token is not valid any more");
                }
                if !std::mem::replace(&mut answered, false) {
                    return;
                }
                let sent = tokio::time::timeout(STALLED, socket.send(Message::Ping(Default::default()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            () = stop.cancelled() => break (GOING_AWAY, "the session ends"),
        }
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(close)).await;
}
