//! A session that lives in this process, and the doors on it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::build::{self, Built, Setting};
use super::http;
use super::socket::{Listening, Place};
use crate::base::{Actor, ActorKind, Code, Door, Error, Result};
use crate::gate::Gate;
use crate::gate::auth::Authenticator;
use crate::gate::wire::{self, Purpose, VERSION, Welcome};
use crate::mcp;

/// The session, while it lives.
pub struct Host {
    pub built: Built,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    /// Where local tools find the HTTP endpoint; `None` where this process is not the live session.
    place: Option<Place>,
    /// What the operator should read: a socket that is another session's, a port that was taken.
    pub notes: Vec<String>,
}

/// What each connection needs.
struct Shared {
    gate: Gate,
    name: String,
    state: String,
    acting: Option<String>,
    /// The person whose session it is; a connection that claims to be a person is this one.
    person: Actor,
    /// Made with the first agent: a console without one needs none.
    core: OnceLock<Result<mcp::Core>>,
    stop: CancellationToken,
}

impl Shared {
    /// The shared core, or one of its own for a connection that may change nothing in a session that may.
    fn core_of(&self, gate: &Gate) -> Result<mcp::Core> {
        if gate.is_read_only() == self.gate.is_read_only() {
            self.core()
        } else {
            mcp::Core::new(gate.clone(), mcp::Settings::default())
        }
    }

    fn core(&self) -> Result<mcp::Core> {
        let make = || mcp::Core::new(self.gate.clone(), mcp::Settings::default());
        self.core.get_or_init(make).clone()
    }
}

impl Host {
    /// Builds the session and opens its socket.
    pub async fn open(setting: &Setting) -> Result<Self> {
        let built = build::build(setting)?;
        built.deck.kube.follow(built.gate.bus().clone());
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            gate: built.gate.clone(),
            name: setting.name().to_owned(),
            state: setting.state(),
            acting: setting.acting(),
            person: setting.person(Door::Cli),
            core: OnceLock::new(),
            stop: stop.clone(),
        });
        let mut host = Self { built, shared, stop, tasks: Vec::new(), place: None, notes: Vec::new() };
        stop_on_signals(host.stop.clone())?;
        if setting.effective.config.session.socket {
            host.listen(setting)?;
        }
        host.built.gate.start().await;
        host.restore_forwards(setting);
        Ok(host)
    }

    /// Starts the port-forwards that the session had. Only its holder does: a second process would want the same ports.
    fn restore_forwards(&mut self, setting: &Setting) {
        if self.place.is_none() && setting.effective.config.session.socket {
            return;
        }
        if let Err(error) = self
            .built
            .deck
            .forwards
            .restore(setting.paths.state.join(format!("forwards-{}.json", setting.name())))
        {
            self.notes.push(format!("{error}. {}", error.next_step()));
        }
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
        self.place = Some(place);
        Ok(())
    }

    /// Opens the HTTP endpoint; gives its address.
    pub async fn listen_http(&mut self, setting: &Setting) -> Result<SocketAddr> {
        let config = setting.effective.config.http.clone();
        let endpoint = http::bind(&config).await?;
        let address = endpoint.address;
        self.notes.extend(endpoint.note.clone());
        let authenticator =
            Arc::new(Authenticator::new(self.built.deck.tokens.clone(), self.built.gate.clock().clone()));
        if let Some(place) = &self.place {
            http::publish(&place.endpoint, address, &authenticator.issue_session_token()?)?;
        }
        let served = http::Served { gate: self.built.gate.clone(), core: self.shared.core()?, authenticator };
        let router = http::router(served, &config, self.stop.clone());
        self.tasks.push(tokio::spawn(endpoint.serve(router, self.stop.clone())));
        Ok(address)
    }

    /// What serves agents.
    pub fn core(&self) -> Result<mcp::Core> {
        self.shared.core()
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
    let gate = match &hello {
        Ok(hello) if hello.claim.read_only => shared.gate.reading_only(),
        _ => shared.gate.clone(),
    };
    let welcome = Welcome {
        quarterdeck: VERSION,
        session: shared.name.clone(),
        pid: std::process::id(),
        state: shared.state.clone(),
        read_only: gate.is_read_only(),
        acting: shared.acting.clone(),
        error,
    };
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
        Purpose::Wire => wire::serve(gate.client(actor.clone()), read, write).await,
        Purpose::Mcp => match shared.core_of(&gate) {
            Ok(core) => {
                mcp::serve_stream(&core, Some(actor.clone()), read, write, shared.stop.child_token()).await
            }
            Err(error) => Err(error),
        },
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
pub async fn serve(setting: Setting, conformance_fixtures: bool) -> Result<u8> {
    let mut host = Host::open(&setting).await?;
    let settings = mcp::Settings { conformance_fixtures, ..mcp::Settings::default() };
    let core = mcp::Core::new(host.built.gate.clone(), settings);
    // The first one holds: no agent can have come before.
    let _ = host.shared.core.set(core);
    if let Some(note) = host.notes.first() {
        let error = Error::new(Code::AlreadyExists, note.clone());
        host.close().await;
        return Err(error.next("Stop that one, or choose another name with --session NAME."));
    }
    if setting.effective.config.http.enabled {
        let address = match host.listen_http(&setting).await {
            Ok(address) => address,
            Err(error) => {
                host.close().await;
                return Err(error);
            }
        };
        say(&format!("REST at http://{address}/v1, MCP at http://{address}/mcp."));
        if let Some(place) = &host.place {
            say(&format!("The session's token is in {}.", place.endpoint.display()));
        }
    }
    for note in &host.notes {
        say(note);
    }
    host.stopping().cancelled().await;
    host.close().await;
    Ok(0)
}

fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "qd: {text}");
}

/// `qd mcp` where no session is live: one without a screen, which others can join.
pub async fn mcp(setting: Setting, actor: Actor) -> Result<u8> {
    let host = Host::open(&setting).await?;
    // An assistant's program shows its user what comes on stderr.
    let others = super::socket::others(&setting.paths);
    if setting.session.is_none() && others.len() > 1 {
        say(&format!(
            "several sessions are open ({}), and none of them was joined: name one with --session NAME.",
            others.join(", ")
        ));
    }
    for note in &host.notes {
        say(note);
    }
    super::assistant::Assistant::new().at_home(host, actor).await
}
