//! The gate over a stream: how another process of the same user calls, previews and watches.
//!
//! A connection begins with one line each way ([`Hello`], [`Welcome`]); for the door `wire`, JSON
//! lines follow. Requests carry a number of the client's choosing, answers carry it back, so that
//! many calls share the stream. A watch sends at most [`WINDOW`] frames that the reader has not
//! taken: a slow reader of one watch holds up neither the other watches nor the server's memory.

mod client;
mod hello;
mod server;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use client::Remote;
pub use hello::{Claim, Hello, Purpose, VERSION, Welcome, greet, receive};
pub use server::serve;

use super::client::{Frame, Reply, Request};
use super::interaction::{Input, Output};
use super::preview::Preview;
use super::spec::OperationInfo;
use crate::base::Error;
use crate::bus::Event;

/// Frames of one watch, and inputs and outputs of one interaction, that may be under way.
const WINDOW: usize = 8;

/// The longest line, in bytes. A page of results is far smaller; a manifest may be a MiB.
const LONGEST: usize = 16 << 20;

/// Requests of one connection that may be under way.
const AT_ONCE: usize = 256;

/// From the client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Call {
        id: u64,
        request: Request,
    },
    Preview {
        id: u64,
        request: Request,
    },
    Watch {
        id: u64,
        request: Request,
    },
    /// A call to talk with: outputs, and in the end its reply.
    Interact {
        id: u64,
        request: Request,
    },
    Input {
        id: u64,
        input: Input,
    },
    /// One more frame of a watch, or piece of output, may be sent.
    More {
        id: u64,
    },
    /// The caller gave up: end the call, the preview or the watch.
    Cancel {
        id: u64,
    },
    /// Send what happens from now on.
    Events,
    Catalogue {
        id: u64,
    },
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
struct Tell {
    /// The request that it answers; 0 for events.
    #[serde(default, skip_serializing_if = "is_zero")]
    id: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Reply(Reply),
    Preview(Box<Preview>),
    /// The watch has begun.
    Watching(bool),
    Frame(Frame),
    Output(Output),
    /// One more input may be sent.
    Taken(bool),
    /// The watch is over.
    End(bool),
    Error(Error),
    Event(Box<Event>),
    Catalogue(Vec<OperationInfo>),
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(id: &u64) -> bool {
    *id == 0
}

/// One message as a line, with its line feed.
fn line(message: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string(message).map_err(Error::internal)?;
    text.push('\n');
    Ok(text)
}

/// Reads one line strictly: an argument named twice is refused here too.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    let value: Value = crate::base::json::parse(text.as_bytes())?;
    serde_json::from_value(value).map_err(|e| Error::invalid(format!("not a message of this protocol: {e}")))
}

#[cfg(test)]
mod tests;
