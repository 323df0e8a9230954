//! One client on a pair of byte streams, a JSON message a line: stdio and the per-user socket.

use rmcp::service::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Core;
use super::duplicates::Checked;
use super::server::{Connection, Door};
use crate::base::{Actor, Error, Result};

/// Serves one client until it closes its stream or `stop` is cancelled. Both eras are served:
/// the first message decides. Without `named`, or with an empty name, the client is the agent that
/// it says it is.
pub async fn serve_stream<R, W>(
    core: &Core,
    named: Option<Actor>,
    reader: R,
    writer: W,
    stop: CancellationToken,
) -> Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let gone = CancellationToken::new();
    let connection = Connection::of_stream(gone.clone(), stop.clone());
    let door = Door::stream(core.clone(), named.filter(|actor| !actor.name.is_empty()), connection.clone());
    let served = door.serve_with_ct((Checked::new(reader, gone), writer), stop).await;
    match served {
        Ok(running) => {
            let ended = running.waiting().await.map(drop).map_err(Error::internal);
            connection.ended().await;
            ended
        }
        // A client that leaves before its first message is no fault.
        Err(
            rmcp::service::ServerInitializeError::ConnectionClosed(_)
            | rmcp::service::ServerInitializeError::Cancelled,
        ) => Ok(()),
        Err(error) => Err(Error::invalid(format!("the client did not begin as the protocol says: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tokio::io::{
        AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
    };

    use super::*;
    use crate::base::SystemClock;
    use crate::bus::Bus;
    use crate::gate::{Gate, Parts};
    use crate::mcp::Settings;

    struct Peer {
        lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
        write: WriteHalf<DuplexStream>,
    }

    impl Peer {
        /// A client of a gate without operations.
        fn connect() -> Self {
            let parts = Parts::in_memory(Vec::new(), Bus::default(), Arc::new(SystemClock)).unwrap();
            let core = Core::new(Gate::new(parts).unwrap(), Settings::default()).unwrap();
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move {
                let (read, write) = tokio::io::split(theirs);
                serve_stream(&core, None, read, write, CancellationToken::new()).await
            });
            let (read, write) = tokio::io::split(ours);
            Self { lines: BufReader::new(read).lines(), write }
        }

        async fn ask(&mut self, line: &str) -> Value {
            self.write.write_all(format!("{line}\n").as_bytes()).await.unwrap();
            let answer = tokio::time::timeout(std::time::Duration::from_secs(5), self.lines.next_line());
            serde_json::from_str(&answer.await.unwrap().unwrap().unwrap()).unwrap()
        }
    }

    #[tokio::test]
    async fn both_eras_are_served() {
        let mut legacy = Peer::connect();
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let hello =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
        let answer = legacy.ask(&hello).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(answer["result"]["serverInfo"]["name"], "quarterdeck");

        let mut modern = Peer::connect();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let discover =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": meta } });
        let answer = modern.ask(&discover.to_string()).await;
        let versions = answer["result"]["supportedVersions"].as_array().unwrap();
        assert!(
            versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn a_key_that_is_there_twice_is_answered_with_an_error() {
        let mut peer = Peer::connect();
        peer.ask(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#).await;
        let answer = peer
            .ask(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"n":1,"n":2}}}"#)
            .await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32600)));
        assert!(answer["error"]["message"].as_str().unwrap().contains("twice"), "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_goes_takes_its_subscription_with_it_at_once() {
        let parts = Parts::in_memory(Vec::new(), Bus::default(), Arc::new(SystemClock)).unwrap();
        let core = Core::new(Gate::new(parts).unwrap(), Settings::default()).unwrap();
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (read, write) = tokio::io::split(theirs);
        let stop = CancellationToken::new();
        let served = tokio::spawn(async move { serve_stream(&core, None, read, write, stop).await });
        let (read, mut write) = tokio::io::split(ours);
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params =
            json!({ "_meta": meta, "notifications": { "resourceSubscriptions": ["console://focus"] } });
        let listen = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params });
        write.write_all(format!("{listen}\n").as_bytes()).await.unwrap();
        let first = BufReader::new(read).lines().next_line().await.unwrap().unwrap();
        assert!(first.contains("acknowledged"), "{first}");
        write.shutdown().await.unwrap();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(2), served).await;
        ended.expect("the connection ended").unwrap().unwrap();
    }
}
