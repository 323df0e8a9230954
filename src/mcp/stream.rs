//! One client on a pair of byte streams, a JSON message a line: stdio and the per-user socket.

use rmcp::service::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::Core;
use super::duplicates::Checked;
use super::server::Door;
use crate::base::{Error, Result};

/// Serves one client until it closes its stream or `stop` is cancelled. Both eras are served:
/// the first message decides.
pub async fn serve_stream<R, W>(core: &Core, reader: R, writer: W, stop: CancellationToken) -> Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let door = Door::stream(core.clone());
    let served = door.serve_with_ct((Checked::new(reader), writer), stop).await;
    match served {
        Ok(running) => running.waiting().await.map(drop).map_err(Error::internal),
        // A client that leaves before its first message is no fault.
        Err(
            rmcp::service::ServerInitializeError::ConnectionClosed(_)
            | rmcp::service::ServerInitializeError::Cancelled,
        ) => Ok(()),
        Err(error) => Err(Error::invalid(format!("the client did not begin as the protocol says: {error}"))),
    }
}

/// Copies between a client's stdio and a live session's socket until either side closes.
///
/// What the client still sends is delivered before the end: its reader's end shuts the socket's
/// writing side down, and what the session answers is copied until it closes.
pub async fn relay<R, W, S>(mut reader: R, mut writer: W, session: S) -> Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite,
{
    let (mut from_session, mut to_session) = tokio::io::split(session);
    let up = async {
        let copied = tokio::io::copy(&mut reader, &mut to_session).await;
        let _ = to_session.shutdown().await;
        copied
    };
    // `copy` flushes whenever it has nothing more to read, so that no answer waits in a buffer.
    let down = tokio::io::copy(&mut from_session, &mut writer);
    tokio::pin!(up, down);
    let lost = |e: std::io::Error| Error::unavailable(format!("the session's socket closed: {e}"));
    tokio::select! {
        done = &mut down => done.map(drop).map_err(lost),
        done = &mut up => {
            done.map_err(lost)?;
            down.await.map(drop).map_err(lost)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_relay_carries_both_ways_and_ends_with_the_session() {
        let (mut client, ours) = duplex(1024);
        let (session, mut server) = duplex(1024);
        let (reader, writer) = tokio::io::split(ours);
        let relay = tokio::spawn(relay(reader, writer, session));
        client.write_all(b"ping\n").await.unwrap();
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ping\n");
        server.write_all(b"pong\n").await.unwrap();
        client.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"pong\n");
        drop(server);
        relay.await.unwrap().unwrap();
    }
}
