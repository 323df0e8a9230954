//! Builds the domains and the gate.

use std::sync::Arc;
use std::time::Duration;

use super::socket::Place;
use crate::base::config::Effective;
use crate::base::{Actor, ActorKind, Door, Paths, Result, Role, SharedClock, SystemClock};
use crate::bus::Bus;
use crate::gate::auth::Tokens;
use crate::gate::{Acting, Gate, Parts, Policy, Settings, System, Target, bind};
use crate::k9s::Folders;
use crate::kube::forward::Forwards;
use crate::kube::notices::Notices;
use crate::kube::{Clusters, Impersonation, Options};
use crate::operations::{self, Deck};
use crate::session::{Session, Workspaces};
use crate::store::{SqliteOptions, SqliteStore};

/// The name of a session that nobody named.
const USUAL: &str = "default";

/// What a session is started with.
pub struct Setting {
    pub paths: Paths,
    pub effective: Effective,
    /// The session's name from the command line.
    pub session: Option<String>,
    /// Changes are asked for though files say read-only.
    pub write: bool,
    /// Whom to act as in every cluster.
    pub acting: Option<Impersonation>,
    /// Nothing is changed through this session, or through this door of the live one.
    pub read_only: bool,
}

impl Setting {
    /// The session's name.
    pub fn name(&self) -> &str {
        self.session.as_deref().unwrap_or(&self.effective.config.session.name)
    }

    /// Where nobody named a session: names the one that is open beside the usual one, if it is the only one, such as the
    /// practice fleet's.
    pub fn choose_the_only_other(&mut self) -> Option<&str> {
        let session = &self.effective.config.session;
        if self.session.is_some() || session.name != USUAL || !session.socket {
            return None;
        }
        if let [only] = super::socket::others(&self.paths).as_slice() {
            self.session = Some(only.clone());
        }
        self.session.as_deref()
    }

    /// Where the session keeps its state, as others are told.
    pub fn state(&self) -> String {
        self.paths.state.display().to_string()
    }

    /// Whom the session acts as, if it is started to act as another: `jane in devs`.
    pub fn acting(&self) -> Option<String> {
        self.acting.as_ref().map(Impersonation::words)
    }

    /// Where the session's socket is.
    pub fn place(&self) -> Result<Place> {
        Place::of(&self.paths, self.name())
    }

    /// The person whose session it is, at a door.
    pub fn person(&self, door: Door) -> Actor {
        let session = &self.effective.config.session;
        let name = if session.person.is_empty() { login_name() } else { session.person.clone() };
        Actor::new(ActorKind::Person, name, session.role, door)
    }

    /// Whoever runs a command: the person, or the agent that `QD_AGENT` names.
    pub fn caller(&self, door: Door) -> Actor {
        match std::env::var("QD_AGENT") {
            Ok(name) if !name.is_empty() => agent(&name, door),
            _ => self.person(door),
        }
    }
}

/// An agent of that name, made fit for a log line.
pub fn agent(name: &str, door: Door) -> Actor {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@') { c } else { '-' };
    let name: String = name.chars().take(64).map(plain).collect();
    Actor::new(ActorKind::Agent, name, Role::Agent, door)
}

fn login_name() -> String {
    ["LOGNAME", "USER"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| {
            // A service or a container may run without either: the system's own directory of users knows.
            let uid = nix::unistd::getuid();
            match nix::unistd::User::from_uid(uid) {
                Ok(Some(user)) if !user.name.is_empty() => user.name,
                _ => format!("uid-{uid}"),
            }
        })
}

/// What a session works with.
pub struct Built {
    pub gate: Gate,
    pub deck: Arc<Deck>,
}

/// Builds every domain and the gate over them, inside a runtime. Connects to nothing yet.
pub fn build(setting: &Setting) -> Result<Built> {
    let bus = Bus::default();
    let clock: SharedClock = Arc::new(SystemClock);
    let kubernetes = &setting.effective.config.kubernetes;
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let kube = Clusters::new(Options {
        kubeconfig: (!kubernetes.kubeconfig.as_os_str().is_empty()).then(|| kubernetes.kubeconfig.clone()),
        context: filled(&kubernetes.context),
        acting: setting.acting.clone(),
        ..Options::default()
    });
    let session = Session::new(bus.clone(), clock.clone());
    let tokens = Arc::new(Tokens::new(setting.paths.state.join("tokens.json")));
    let k9s = Folders::discover(|name| std::env::var(name).ok());
    let forwards = Arc::new(Forwards::new(kube.clone()));
    let notices = Notices::new(bus.clone(), clock.clone());
    let config = Arc::new(setting.effective.clone());
    let workspaces = Arc::new(Workspaces::new(setting.paths.config.join("workspaces")));
    let deck = Arc::new(Deck { kube, k9s, session, config, tokens, forwards, notices, workspaces });
    let gate = Gate::new(Parts {
        operations: bind(operations::all(), &deck),
        bus,
        store: Arc::new(open_store(setting, clock.clone())?),
        clock,
        policy: load_policy(setting)?,
        settings: Settings {
            session: setting.name().to_owned(),
            approval_lifetime: Duration::from_secs(setting.effective.config.approvals.expire_seconds.into()),
            read_only: setting.read_only,
            acting: acting(setting, deck.kube.clone()),
            ..Settings::default()
        },
        redactor: Arc::default(),
    })?;
    Ok(Built { gate, deck })
}

/// As whom the clusters take what is done in them, for the audit log, previews and the commands that calls are equal to.
fn acting(setting: &Setting, kube: Arc<Clusters>) -> Acting {
    let whom = move |target: &Target| {
        // A context is changed in a file, which no cluster sees.
        let is_seen = target.system == System::Kubernetes && target.kind != "context";
        let cluster = is_seen.then(|| kube.get(Some(&target.place)))?;
        cluster.ok()?.acting_as()
    };
    let flags = setting.acting.iter().flat_map(|whom| {
        let flags = |user: &str, group: &str, uid: Option<&str>| {
            let groups = whom.groups.iter().map(|name| (group, name.as_str()));
            let uid = uid.zip(whom.uid.as_deref());
            let all = std::iter::once((user, whom.user.as_str())).chain(groups).chain(uid);
            all.map(|(flag, value)| format!("{flag} {}", operations::shell(value)))
                .collect::<Vec<_>>()
                .join(" ")
        };
        [
            ("kubectl", flags("--as", "--as-group", Some("--as-uid"))),
            ("helm", flags("--kube-as-user", "--kube-as-group", None)),
        ]
    });
    Acting::new(whom).flagged(flags.collect())
}

fn open_store(setting: &Setting, clock: SharedClock) -> Result<SqliteStore> {
    let mut options = SqliteOptions::new(&setting.paths.state, clock);
    let database = &setting.effective.config.store.database;
    if !database.as_os_str().is_empty() {
        options.database.clone_from(database);
    }
    Ok(SqliteStore::open(options)?)
}

fn load_policy(setting: &Setting) -> Result<Policy> {
    let config = &setting.effective.config;
    let directory = &config.policy.directory;
    let policy = if directory.as_os_str().is_empty() {
        Policy::load(&setting.paths.config.join("policies"))
    } else {
        Policy::load(directory)
    };
    Ok(policy?.deciding_elsewhere(config.approvals.decide_elsewhere))
}
