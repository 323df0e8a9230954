//! Joining the session that is live.

use std::sync::Arc;

use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::build::Setting;
use super::socket;
use crate::base::{Actor, Result};
use crate::gate::Client;
use crate::gate::wire::{self, Claim, Purpose, Remote, Welcome};

/// A greeted stream.
pub struct Joined {
    pub welcome: Welcome,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

/// Joins the live session of the setting's name. `Ok(None)`: there is none, or none that acts as whom the setting says.
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
    if setting.acting.is_some() && welcome.acting != setting.acting() {
        // Its clusters would take the calls for somebody else.
        return Ok(None);
    }
    Ok(Some(Joined { welcome, read, write }))
}

/// Joins whoever holds the session once its holder has ended: its socket may take connections for a moment more,
/// and another heir may be about to open its own.
pub async fn again(setting: &Setting, purpose: Purpose, actor: &Actor) -> Result<Option<Joined>> {
    let mut last = Ok(None);
    for _ in 0..10 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        last = join(setting, purpose, actor).await;
        if last.is_ok() {
            break;
        }
    }
    last
}

/// As [`join`]; where that session is not open, the only one that is, whose name `setting` has afterwards.
pub async fn any(setting: &mut Setting, purpose: Purpose, actor: &Actor) -> Result<Option<Joined>> {
    match join(setting, purpose, actor).await? {
        None if setting.choose_the_only_other().is_some() => join(setting, purpose, actor).await,
        joined => Ok(joined),
    }
}

impl Joined {
    pub fn remote(self) -> Remote {
        Remote::over(self.read, self.write)
    }

    /// Whether this process may take its place when it ends: it would keep its state in the same place, and act as the
    /// same.
    pub fn is_same(&self, setting: &Setting) -> bool {
        self.welcome.state == setting.state() && self.welcome.acting == setting.acting()
    }

    /// The stream itself.
    pub fn split(self) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
        (self.read, self.write)
    }

    pub fn client(self, actor: Actor) -> Client {
        Client::new(Arc::new(self.remote()), Arc::new(actor))
    }
}
