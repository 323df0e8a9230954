//! The first line each way: which protocol, what for, and who.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::base::{ActorKind, Code, Door, Error, Result};

/// Raised when a line that follows changes its meaning.
pub const VERSION: u32 = 1;

/// A first line is short; one that is not is no first line of ours.
const LONGEST: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(5);

/// What the connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// MCP messages follow, a line each.
    Mcp,
    /// The lines of [`super`] follow.
    Wire,
}

/// Who the client says it is. The server decides what role that has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub kind: ActorKind,
    /// The door that the calls come through.
    pub door: Door,
    /// Empty: the server's name for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Nothing is to be changed through this connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// From the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub quarterdeck: u32,
    pub purpose: Purpose,
    pub claim: Claim,
}

/// From the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub quarterdeck: u32,
    /// The session's name.
    pub session: String,
    /// The session's process.
    pub pid: u32,
    /// Where it keeps its state: a session that takes its place must keep it there too.
    #[serde(default)]
    pub state: String,
    /// Nothing can be changed through this connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Whom its clusters take its calls for, if the session was started to act as another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
    /// Present when the connection is refused; it is closed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// The client's part: says hello and reads the welcome.
pub async fn greet<R, W>(read: &mut R, write: &mut W, purpose: Purpose, claim: Claim) -> Result<Welcome>
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let hello = Hello { quarterdeck: VERSION, purpose, claim };
    write.write_all(super::line(&hello)?.as_bytes()).await.map_err(lost)?;
    let welcome: Welcome = first_line(read).await?;
    match welcome.error {
        Some(error) => Err(error),
        None if welcome.quarterdeck != VERSION => Err(Error::unsupported(format!(
            "the live session speaks version {} of the socket's protocol, this qd version {VERSION}",
            welcome.quarterdeck
        ))
        .next("Restart the session with this version of qd.")),
        None => Ok(welcome),
    }
}

/// The server's part: reads the hello. What to answer is the caller's to decide.
pub async fn receive<R: AsyncBufRead + Unpin>(read: &mut R) -> Result<Hello> {
    let hello: Hello = first_line(read).await?;
    if hello.quarterdeck == VERSION {
        Ok(hello)
    } else {
        Err(Error::unsupported(format!(
            "this session speaks version {VERSION} of the socket's protocol, the caller version {}",
            hello.quarterdeck
        ))
        .next("Use the same version of qd for both."))
    }
}

impl Welcome {
    pub async fn send<W: AsyncWrite + Unpin>(&self, write: &mut W) -> Result<()> {
        write.write_all(super::line(self)?.as_bytes()).await.map_err(lost)
    }
}

async fn first_line<T: serde::de::DeserializeOwned>(read: &mut (impl AsyncBufRead + Unpin)) -> Result<T> {
    let mut text = String::new();
    let mut limited = read.take(LONGEST);
    tokio::time::timeout(PATIENCE, limited.read_line(&mut text))
        .await
        .map_err(|_| Error::new(Code::Timeout, "the other end of the socket said nothing for 5 s"))?
        .map_err(lost)?;
    if !text.ends_with('\n') {
        return Err(Error::unavailable(
            "the other end of the socket closed it, or does not speak our protocol",
        ));
    }
    super::read(&text)
}

fn lost(e: std::io::Error) -> Error {
    Error::unavailable(format!("the connection to the session broke: {e}"))
        .next("See whether the session still runs, and call again.")
}
