//! Calls that are talked with while they run: a shell, a command with pipes.
//!
//! The caller holds an [`Interaction`], the handler a [`Duplex`] ([`super::Context::duplex`]); between them go pieces of
//! bytes, each way bounded, so that a slow reader makes the writer wait. To give up, the caller drops its end; the handler
//! sees that, ends what it started, and the audit row of its end is written like any other.
//!
//! Only persons have one. What comes out is what a person asked to see on a terminal of their own, and does not pass the
//! redactor: it could not mask a stream of bytes without breaking it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::{mpsc, oneshot};

use super::client::Reply;
use crate::base::{Error, Result};

/// Pieces under way in each direction.
const PIECES: usize = 16;

/// The longest piece, in bytes, that a caller should send.
pub const PIECE: usize = 32 * 1024;

/// To the handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    Bytes(#[serde(with = "text")] Bytes),
    /// There is no more input; output still comes.
    End,
    /// The caller's terminal has this size now.
    Size {
        columns: u16,
        rows: u16,
    },
}

/// From the handler. An empty piece only says that it has begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Of the error stream.
    #[serde(default)]
    pub error: bool,
    #[serde(with = "text")]
    pub bytes: Bytes,
}

/// Bytes as base64, for streams of JSON.
mod text {
    use super::{Bytes, Deserialize as _, Deserializer, Engine, STANDARD, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes::from).map_err(serde::de::Error::custom)
    }
}

/// The handler's end.
pub struct Duplex {
    /// Closed once the caller has nothing more to say.
    pub input: mpsc::Receiver<Input>,
    /// Closed once the caller has gone.
    pub output: mpsc::Sender<Output>,
}

/// The caller's end. Dropping it gives the call up.
pub struct Interaction {
    input: mpsc::Sender<Input>,
    output: mpsc::Receiver<Output>,
    /// What [`Interaction::ready`] has taken.
    early: Option<Output>,
    result: oneshot::Receiver<Result<Reply>>,
}

/// Both ends, and where the call's result goes in the end.
pub(in crate::gate) fn pair() -> (Interaction, Duplex, oneshot::Sender<Result<Reply>>) {
    let (to_handler, input) = mpsc::channel(PIECES);
    let (output, from_handler) = mpsc::channel(PIECES);
    let (end, result) = oneshot::channel();
    (
        Interaction { input: to_handler, output: from_handler, early: None, result },
        Duplex { input, output },
        end,
    )
}

impl Interaction {
    /// Where input goes. Sending waits while the other side is slow, and fails once the call is over.
    pub fn input(&self) -> mpsc::Sender<Input> {
        self.input.clone()
    }

    /// The next piece of output; `None` once there will be no more. Safe to cancel.
    pub async fn next(&mut self) -> Option<Output> {
        if let Some(output) = self.early.take() {
            return Some(output);
        }
        self.output.recv().await
    }

    /// Waits until there is output, or for so long. False: there will be none, the call is over.
    pub async fn ready(&mut self, patience: Duration) -> bool {
        match tokio::time::timeout(patience, self.output.recv()).await {
            Ok(Some(output)) => {
                self.early = Some(output);
                true
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// What the call came to. Output that was not taken is lost.
    pub async fn end(mut self) -> Result<Reply> {
        // A handler that still writes would wait for ever.
        while self.output.recv().await.is_some() {}
        self.result.await.unwrap_or_else(|_| Err(Error::internal("the call ended without a result")))
    }
}
