//! Joining the session that is live: over the gate's wire, or with an assistant's MCP stream.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::build::{Setting, agent};
use super::socket;
use crate::base::{Actor, Door, Result};
use crate::gate::Client;
use crate::gate::wire::{self, Claim, Purpose, Remote, Welcome};

/// A greeted stream.
pub struct Joined {
    pub welcome: Welcome,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// Joins the live session of the setting's name. `Ok(None)`: there is none.
pub async fn join(setting: &Setting, purpose: Purpose, actor: &Actor) -> Result<Option<Joined>> {
    if !setting.effective.config.session.socket {
        return Ok(None);
    }
    let Some(stream) = socket::connect(&setting.place()?.socket).await? else { return Ok(None) };
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let claim = Claim {
        kind: actor.kind,
        door: actor.door,
        name: actor.name.to_string(),
        read_only: setting.read_only,
    };
    let welcome = wire::greet(&mut read, &mut write, purpose, claim).await?;
    Ok(Some(Joined { welcome, read, write }))
}

/// A client of the live session's gate.
pub async fn client(setting: &Setting, actor: Actor) -> Result<Option<Client>> {
    Ok(join(setting, Purpose::Wire, &actor).await?.map(|joined| joined.client(actor)))
}

impl Joined {
    pub fn remote(self) -> Remote {
        Remote::over(self.read, self.write)
    }

    pub fn client(self, actor: Actor) -> Client {
        Client::new(Arc::new(self.remote()), Arc::new(actor))
    }
}

/// `qd mcp`: passes stdin and stdout through to the live session, or is a session without a screen.
pub async fn mcp(setting: Setting, name: Option<String>) -> Result<u8> {
    // Without a name it is whoever it says it is when it initializes.
    let actor = agent(name.as_deref().unwrap_or_default(), Door::Mcp);
    match join(&setting, Purpose::Mcp, &actor).await? {
        Some(joined) => pass_through(joined).await,
        None => super::host::mcp(setting, actor).await,
    }
}

/// Copies both ways until the assistant closes its end, or the session goes.
async fn pass_through(mut joined: Joined) -> Result<u8> {
    let Welcome { session, pid, .. } = &joined.welcome;
    tracing::info!(session, pid, "joined the live session");
    let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
    let to_session = async {
        let _ = tokio::io::copy(&mut stdin, &mut joined.write).await;
        let _ = joined.write.shutdown().await;
    };
    let from_session = async {
        let mut buffer = vec![0; 16 << 10];
        // Flushed after each read: an answer must not wait for the next one.
        while let Ok(n @ 1..) = joined.read.read(&mut buffer).await {
            if stdout.write_all(&buffer[..n]).await.is_err() || stdout.flush().await.is_err() {
                break;
            }
        }
    };
    tokio::pin!(from_session);
    tokio::select! {
        // The session has the last word: answers to what was asked before stdin closed.
        () = to_session => {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(5), from_session).await;
        }
        () = &mut from_session => {}
    }
    Ok(0)
}
