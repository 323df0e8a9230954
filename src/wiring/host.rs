//! A session that lives in this process, and the doors on it.

use std::sync::Arc;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::arguments::Opening;
use super::build::{self, Built, Setting};
use super::socket::Listening;
use crate::base::{Actor, ActorKind, Code, Door, Error, Result};
use crate::gate::Gate;
use crate::gate::wire::{self, Purpose, VERSION, Welcome};
use crate::mcp;

/// The session, while it lives.
pub struct Host {
    pub built: Built,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// What the operator should read: a socket that is another session's, a port that was taken.
    pub notes: Vec<String>,
}

/// What each connection needs.
struct Shared {
    gate: Gate,
    mcp: mcp::Core,
    stop: CancellationToken,
    name: String,
    /// The person whose session it is; a connection that claims to be a person is this one.
    person: Actor,
}

impl Host {
    /// Builds the session and opens its socket, and its HTTP endpoint where wanted.
    pub async fn open(setting: &Setting) -> Result<Self> {
        let built = build::build(setting)?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            gate: built.gate.clone(),
            mcp: mcp::Core::new(built.gate.clone(), mcp::Settings::default())?,
            stop: stop.clone(),
            name: setting.name().to_owned(),
            person: setting.person(Door::Cli),
        });
        let mut host = Self { built, shared, stop, tasks: Vec::new(), notes: Vec::new() };
        stop_on_signals(host.stop.clone())?;
        if setting.effective.config.session.socket {
            host.listen(setting)?;
        }
        host.built.gate.start().await;
        Ok(host)
    }

    fn listen(&mut self, setting: &Setting) -> Result<()> {
        let place = setting.place()?;
        let Some(listening) = Listening::open(&place)? else {
            self.notes.push(format!(
                "the session {:?} is live in another process: this one is on its own, without the socket; \
                 --session NAME gives it one",
                setting.name()
            ));
            return Ok(());
        };
        let shared = self.shared.clone();
        let accepting = listening.accept(self.stop.clone(), move |stream| serve_one(shared.clone(), stream));
        self.tasks.push(tokio::spawn(accepting));
        Ok(())
    }

    /// Cancelled when the session should end.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends the session: no new calls, sockets removed, everything written.
    pub async fn close(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(3), task).await;
        }
        self.built.gate.shutdown().await;
    }
}

/// One connection to the socket.
async fn serve_one(shared: Arc<Shared>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let hello = wire::receive(&mut read).await;
    let error = hello.as_ref().err().cloned();
    let welcome =
        Welcome { quarterdeck: VERSION, session: shared.name.clone(), pid: std::process::id(), error };
    if welcome.send(&mut write).await.is_err() {
        return;
    }
    let Ok(hello) = hello else { return };
    // The role is never the caller's to say: a person is the session's own, all else is an agent.
    let actor = match hello.claim.kind {
        ActorKind::Person => Actor { door: hello.claim.door, ..shared.person.clone() },
        _ => build::agent(&hello.claim.name, hello.claim.door),
    };
    tracing::info!(%actor, purpose = ?hello.purpose, "joined through the socket");
    let ended = match hello.purpose {
        Purpose::Wire => wire::serve(shared.gate.client(actor.clone()), read, write).await,
        Purpose::Mcp => {
            mcp::serve_stream(&shared.mcp, Some(actor.clone()), read, write, shared.stop.clone()).await
        }
    };
    if let Err(error) = ended {
        tracing::warn!(%actor, %error, "a connection ended");
    }
}

/// SIGINT, SIGTERM and SIGHUP end the session as a quit does.
fn stop_on_signals(stop: CancellationToken) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen =
        |kind| signal(kind).map_err(|e| Error::unavailable(format!("cannot listen for signals: {e}")));
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            _ = hangup.recv() => "SIGHUP",
            () = stop.cancelled() => return,
        };
        tracing::info!(signal = name, "ending the session");
        stop.cancel();
    });
    Ok(())
}

/// `qd serve`.
pub async fn serve(setting: Setting) -> Result<u8> {
    let host = Host::open(&setting).await?;
    if let Some(note) = host.notes.first() {
        let error = Error::new(Code::AlreadyExists, note.clone());
        host.close().await;
        return Err(error.next("Stop that one, or choose another name with --session NAME."));
    }
    host.stopping().cancelled().await;
    host.close().await;
    Ok(0)
}

/// `qd mcp` where no session is live: one without a screen, that ends with the assistant.
pub async fn mcp(setting: Setting, actor: Actor) -> Result<u8> {
    let host = Host::open(&setting).await?;
    let (reader, writer) = (tokio::io::stdin(), tokio::io::stdout());
    let served = mcp::serve_stream(&host.shared.mcp, Some(actor), reader, writer, host.stopping()).await;
    host.close().await;
    served.map(|()| 0)
}

/// `qd`, with what it opens with.
pub async fn console(_setting: Setting, _opening: Opening) -> Result<u8> {
    Err(Error::unsupported("this build has no console yet"))
}

/// `qd lab`.
pub async fn lab(_setting: Setting, _opening: Opening) -> Result<u8> {
    Err(Error::unsupported("this build has no practice fleet yet"))
}
