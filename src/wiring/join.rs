//! Joining the session that is live: over the gate's wire, or with an assistant's MCP stream.

use std::sync::Arc;

use tokio::io::BufReader;
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
    let claim = Claim { kind: actor.kind, door: actor.door, name: actor.name.to_string() };
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
    // Without a name it is whoever it says when it initializes.
    let actor = agent(name.as_deref().unwrap_or_default(), Door::Mcp);
    match join(&setting, Purpose::Mcp, &actor).await? {
        Some(joined) => {
            tracing::info!(
                session = joined.welcome.session,
                pid = joined.welcome.pid,
                "joined the live session"
            );
            let session = tokio::io::join(joined.read, joined.write);
            crate::mcp::relay(tokio::io::stdin(), tokio::io::stdout(), session).await.map(|()| 0)
        }
        None => super::host::mcp(setting, named(actor)).await,
    }
}

/// The actor, if it has a name already.
pub fn named(actor: Actor) -> Option<Actor> {
    (!actor.name.is_empty()).then_some(actor)
}
