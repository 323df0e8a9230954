//! One server's state: its kinds, its objects, who may ask, and the faults that tests switch on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::kinds::{Kind, Kinds};
use super::object::Object;
use super::rng::Rng;
use super::store::Store;

/// How many changes of each kind can be read again: a few minutes of a quiet cluster.
const HISTORY: usize = 2048;

pub(super) struct State {
    pub name: String,
    /// The number that everything generated follows from.
    pub seed: u64,
    pub kinds: RwLock<Kinds>,
    pub store: Store,
    pub rng: Mutex<Rng>,
    pub access: Access,
    pub faults: Faults,
    /// How many pod addresses have been given out.
    pub addresses: AtomicU32,
    /// Which event object counts a repeated event: by the object's uid and what was said.
    pub counted: Mutex<HashMap<(String, String), String>>,
    /// Whether everything that it begins with is there; answers wait for it.
    pub planted: watch::Sender<bool>,
    /// Ends every task of this server.
    pub over: CancellationToken,
}

impl State {
    pub fn new(name: &str, seed: u64, events_per_second: u32) -> Self {
        let kinds = Kinds::builtin();
        let mut rng = Rng::for_topic(seed, name);
        let first = 40_000 + rng.below(400_000);
        let keep = HISTORY.max(usize::try_from(events_per_second).unwrap_or(0) * 10);
        Self {
            name: name.to_owned(),
            seed,
            store: Store::new(kinds.len(), first, keep),
            access: Access::new(),
            faults: Faults::default(),
            kinds: RwLock::new(kinds),
            rng: Mutex::new(rng),
            addresses: AtomicU32::new(0),
            counted: Mutex::new(HashMap::new()),
            planted: watch::Sender::new(false),
            over: CancellationToken::new(),
        }
    }

    /// Returns once everything that the server begins with is there.
    pub async fn ready(&self) {
        if !*self.planted.borrow() {
            let _ = self.planted.subscribe().wait_for(|planted| *planted).await;
        }
    }

    pub fn kind(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds.read().resource(group, plural).cloned()
    }

    pub fn by_id(&self, id: usize) -> Option<Arc<Kind>> {
        self.kinds.read().iter().find(|k| k.id == id).cloned()
    }

    /// The object of a built-in resource.
    pub fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let kind = self.kind(group, plural)?;
        self.store.get(kind.id, namespace, name)
    }

    /// Every object of a resource in a namespace, or (empty) in all.
    pub fn list(&self, group: &str, plural: &str, namespace: &str) -> Vec<Arc<Object>> {
        self.kind(group, plural).map(|k| self.store.list(k.id, namespace, None).0).unwrap_or_default()
    }

    /// Makes a custom resource's table when its definition is stored.
    pub fn adopt_crd(&self, crd: &Value) -> Option<Arc<Kind>> {
        let kind = self.kinds.write().add_custom(crd)?;
        self.store.add_kind(kind.id);
        Some(kind)
    }

    /// The next address for a pod.
    pub fn pod_ip(&self) -> String {
        let n = self.addresses.fetch_add(1, Ordering::Relaxed) + 2;
        format!("10.{}.{}.{}", 244 + (n >> 16), (n >> 8) & 0xff, n & 0xff)
    }

    /// Whether a ConfigMap, a Secret or a Service is there: what starting a container depends on.
    pub fn exists(&self, namespace: &str, what: &str, name: &str) -> bool {
        let plural = match what {
            "configmap" => "configmaps",
            "secret" => "secrets",
            _ => "services",
        };
        self.get("", plural, namespace, name).is_some()
    }

    pub fn uuid(&self) -> String {
        self.rng.lock().uuid()
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// A member of `system:masters`.
    Admin,
    /// May read everything but secrets.
    Viewer,
    /// Gave no credential.
    Anonymous,
}

impl User {
    pub fn name(self) -> &'static str {
        match self {
            User::Admin => "lab-admin",
            User::Viewer => "lab-viewer",
            User::Anonymous => "system:anonymous",
        }
    }

    pub fn groups(self) -> &'static [&'static str] {
        match self {
            User::Admin => &["system:masters", "system:authenticated"],
            User::Viewer => &["viewers", "system:authenticated"],
            User::Anonymous => &["system:unauthenticated"],
        }
    }

    /// Whether a verb on a resource is allowed, as the roles `cluster-admin` and `view` have it.
    pub fn may(self, verb: &str, group: &str, resource: &str) -> bool {
        match self {
            User::Admin => true,
            User::Viewer => {
                let question = matches!(group, "authorization.k8s.io" | "authentication.k8s.io");
                question || (matches!(verb, "get" | "list" | "watch") && resource != "secrets")
            }
            User::Anonymous => false,
        }
    }
}

/// The tokens that are valid now.
pub(super) struct Access {
    tokens: RwLock<(String, String)>,
}

impl Access {
    fn new() -> Self {
        Self { tokens: RwLock::new((fresh_token(), fresh_token())) }
    }

    pub fn admin(&self) -> String {
        self.tokens.read().0.clone()
    }

    pub fn viewer(&self) -> String {
        self.tokens.read().1.clone()
    }

    /// Makes both tokens invalid and makes new ones.
    pub fn renew(&self) {
        *self.tokens.write() = (fresh_token(), fresh_token());
    }

    /// Who holds this token; `None` if nobody does.
    pub fn user(&self, token: &str) -> Option<User> {
        let tokens = self.tokens.read();
        if token == tokens.0 {
            Some(User::Admin)
        } else if token == tokens.1 {
            Some(User::Viewer)
        } else {
            None
        }
    }
}

/// A token that cannot be guessed: other users of the machine can reach loopback too.
fn fresh_token() -> String {
    let mut bytes = [0_u8; 24];
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        // Without randomness nobody gets in.
        Err(_) => String::from_utf8_lossy(&[0; 1]).into_owned(),
    }
}

/// What is made to go wrong.
pub(super) struct Faults {
    paused: watch::Sender<bool>,
    latency_us: AtomicU64,
    pub no_watch: AtomicBool,
    pub no_streaming: AtomicBool,
    pub no_table_watch: AtomicBool,
    pub no_protobuf: AtomicBool,
    /// Ends the connections and the listener of now; replaced when the server comes up again.
    pub generation: Mutex<CancellationToken>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            paused: watch::Sender::new(false),
            latency_us: AtomicU64::new(0),
            no_watch: AtomicBool::new(false),
            no_streaming: AtomicBool::new(false),
            no_table_watch: AtomicBool::new(false),
            no_protobuf: AtomicBool::new(false),
            generation: Mutex::new(CancellationToken::new()),
        }
    }
}

impl Faults {
    pub fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    pub fn set_latency(&self, latency: Duration) {
        self.latency_us.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    /// Waits while the server is paused, and then for its latency.
    pub async fn delay(&self) {
        if *self.paused.borrow() {
            let mut paused = self.paused.subscribe();
            let _ = paused.wait_for(|p| !p).await;
        }
        let latency = self.latency_us.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_micros(latency)).await;
        }
    }
}
