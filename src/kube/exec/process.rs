//! One process at the other end of a WebSocket.
//!
//! Reading and writing are apart: what is written goes through a task of its own, so that a process that waits for its
//! reader before it reads on (`cat` with much input) cannot lock both sides up. kube's own `AttachedProcess` can.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::SplitStream;
use futures::{Sink, SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::task::AbortOnDropHandle;
use url::form_urlencoded::Serializer;

use super::status::Exit;
use crate::kube::{Cluster, Error, Resource, Result};

// The channels of remote commands: `k8s.io/apimachinery/pkg/util/remotecommand/constants.go`.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// Says that the channel named after it is at its end. From v5 on.
const CLOSE: u8 = 255;

/// A frame on an idle connection keeps proxies from closing it.
const PING: Duration = Duration::from_secs(30);
/// The longest piece of input in one frame.
const PIECE: usize = 32 * 1024;
/// Inputs that may wait for the network.
const WAITING: usize = 8;
/// How long the rest may take once the server has told how the command ended.
const REST: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
    /// The words of the command; empty to attach to the container's own process.
    pub words: &'a [String],
    pub stdin: bool,
    /// With a terminal: the error stream is part of the output then.
    pub tty: bool,
}

impl Command<'_> {
    fn path(&self) -> String {
        let verb = if self.words.is_empty() { "attach" } else { "exec" };
        let pod = Resource::pods().path(Some(self.namespace), Some(self.pod));
        let mut query = Serializer::new(String::new());
        query.append_pair("container", self.container);
        for word in self.words {
            query.append_pair("command", word);
        }
        let flags = [("stdin", self.stdin), ("stdout", true), ("stderr", !self.tty), ("tty", self.tty)];
        for (flag, _) in flags.into_iter().filter(|(_, on)| *on) {
            query.append_pair(flag, "true");
        }
        format!("{pod}/{verb}?{}", query.finish())
    }
}

/// What the process is given.
#[derive(Debug, Clone)]
pub enum Put {
    Bytes(Bytes),
    /// The end of its input.
    End,
    Size {
        columns: u16,
        rows: u16,
    },
}

/// What the process wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Out(Bytes),
    Error(Bytes),
}

/// A running process. Dropping it closes the connection; the container runtime then ends what has a terminal, and leaves
/// the rest to end by itself.
pub struct Process {
    /// Where its input goes. Dropping it does not end the input: [`Put::End`] does.
    pub input: mpsc::Sender<Put>,
    reader: SplitStream<Socket>,
    server: Arc<str>,
    exit: Option<Exit>,
    /// Whether the end of input can be said.
    closes: bool,
    _writer: AbortOnDropHandle<()>,
}

impl Process {
    pub async fn start(cluster: &Cluster, command: &Command<'_>) -> Result<Self> {
        let connection = cluster.upgrade(&command.path()).await?;
        let closes = connection.supports_stream_close();
        let (writer, reader) = connection.into_stream().split();
        let (input, puts) = mpsc::channel(WAITING);
        let writer = AbortOnDropHandle::new(tokio::spawn(write(writer, puts, closes)));
        Ok(Self { input, reader, server: cluster.server().into(), exit: None, closes, _writer: writer })
    }

    /// Whether the server knows how to end the input while output still comes (Kubernetes 1.30 and newer).
    pub fn can_end_input(&self) -> bool {
        self.closes
    }

    /// The next piece of its output; `None` once it has ended. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            let message = match &self.exit {
                None => self.reader.next().await,
                // Its end is told last; what comes behind it is only the connection's own end.
                Some(_) => match tokio::time::timeout(REST, self.reader.next()).await {
                    Ok(message) => message,
                    Err(_) => return Ok(None),
                },
            };
            let mut bytes = match message {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Ok(_)) => continue,
                Some(Err(_)) if self.exit.is_some() => return Ok(None),
                Some(Err(error)) => return Err(self.broken(&error)),
            };
            if bytes.is_empty() {
                continue;
            }
            match bytes.split_to(1)[0] {
                STDOUT if !bytes.is_empty() => return Ok(Some(Piece::Out(bytes))),
                STDERR if !bytes.is_empty() => return Ok(Some(Piece::Error(bytes))),
                ERROR if !bytes.is_empty() => self.exit = Some(Exit::from_status(&bytes)),
                _ => {}
            }
        }
    }

    /// How it ended.
    ///
    /// # Errors
    ///
    /// The connection ended before the server had told.
    pub fn exit(&self) -> Result<&Exit> {
        self.exit.as_ref().ok_or_else(|| Error::Broken {
            server: self.server.to_string(),
            reason:
                "it ended before the command's exit code came; whether the command has ended is not known"
                    .into(),
        })
    }

    fn broken(&self, error: &tungstenite::Error) -> Error {
        Error::Broken { server: self.server.to_string(), reason: error.to_string() }
    }
}

/// Writes what is put in, in order, and something now and then where there is nothing.
async fn write(
    mut socket: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut puts: mpsc::Receiver<Put>,
    closes: bool,
) {
    let mut open = true;
    loop {
        let put = tokio::select! {
            put = puts.recv(), if open => put,
            () = tokio::time::sleep(PING) => {
                if socket.send(Message::Ping(Bytes::new())).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let sent = match put {
            Some(Put::Bytes(bytes)) => put_bytes(&mut socket, &bytes).await,
            // Before v5 the only way was to close the connection, and the rest of the output with it.
            Some(Put::End) if !closes => Ok(()),
            Some(Put::End) => socket.send(Message::Binary(Bytes::from_static(&[CLOSE, STDIN]))).await,
            Some(Put::Size { columns, rows }) => {
                let text = format!("{{\"Width\":{columns},\"Height\":{rows}}}");
                socket.send(frame(RESIZE, text.as_bytes())).await
            }
            None => {
                open = false;
                Ok(())
            }
        };
        // A connection that is gone shows to whoever reads it.
        if sent.is_err() {
            return;
        }
    }
}

async fn put_bytes(
    socket: &mut (impl Sink<Message, Error = tungstenite::Error> + Unpin),
    bytes: &[u8],
) -> Result<(), tungstenite::Error> {
    for piece in bytes.chunks(PIECE) {
        socket.send(frame(STDIN, piece)).await?;
    }
    Ok(())
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_command_word_by_word() {
        let words = ["sh", "-c", "echo a&b"].map(str::to_owned);
        let command = Command {
            namespace: "shop",
            pod: "api",
            container: "app",
            words: &words,
            stdin: true,
            tty: false,
        };
        assert_eq!(
            command.path(),
            "/api/v1/namespaces/shop/pods/api/exec?container=app&command=sh&command=-c&command=echo+a%26b&stdin=true&stdout=true&stderr=true"
        );
        let attach = Command { words: &[], tty: true, ..command };
        assert!(attach.path().ends_with("/pods/api/attach?container=app&stdin=true&stdout=true&tty=true"));
    }
}
