//! The gate itself: what it is made of, and the order in which a call passes its stations.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::approval::CallResult;
use super::call::Call;
use super::client::{Client, Reply, Request, Transport, Watch};
use super::interaction::{self, Interaction};
use super::limits::Limits;
use super::operation::Callable;
use super::policy::{Policy, Ruling, is_agent};
use super::preview::Preview;
use super::refusals::Refusals;
use super::settings::Settings;
use super::spec::{Effect, OperationInfo, Record, Spec, Talk};
use crate::base::ids::{ApprovalId, CallId};
use crate::base::{Actor, ActorKind, Code, Door, Error, Redactor, Result, Role, SharedClock};
use crate::bus::{Bus, Event, Events, Level};
use crate::store::{
    AuditFilter, AuditKind, AuditPage, Draft, Evidence, Pause, SharedStore, SqliteStore, Status, Verification,
};

/// What a gate is made of.
pub struct Parts {
    pub operations: Vec<Arc<dyn Callable>>,
    pub bus: Bus,
    pub clock: SharedClock,
    pub store: SharedStore,
    pub policy: Policy,
    pub settings: Settings,
    pub redactor: Arc<Redactor>,
}

impl Parts {
    /// With the shipped policies and a store in memory: for the lab and for tests.
    pub fn in_memory(operations: Vec<Arc<dyn Callable>>, bus: Bus, clock: SharedClock) -> Result<Self> {
        Ok(Self {
            operations,
            bus,
            store: Arc::new(SqliteStore::in_memory(clock.clone())?),
            clock,
            policy: Policy::shipped()?,
            settings: Settings::default(),
            redactor: Arc::default(),
        })
    }
}

/// The gate. Cloning shares it.
#[derive(Clone)]
pub struct Gate {
    pub(in crate::gate) inner: Arc<Inner>,
    /// Of this handle; the whole session's is in the settings.
    read_only: bool,
}

pub(in crate::gate) struct Inner {
    operations: BTreeMap<&'static str, Arc<dyn Callable>>,
    /// Made when first asked for: schemas cost more than the rest of the start.
    catalogue: OnceLock<Arc<[OperationInfo]>>,
    bus: Bus,
    clock: SharedClock,
    pub store: SharedStore,
    pub policy: Policy,
    pub settings: Settings,
    pub redactor: Arc<Redactor>,
    limits: Limits,
    pub refusals: Refusals,
    /// Changes under way.
    pub changes: TaskTracker,
    /// Tells whoever waits that some approval is not what it was.
    pub approvals: watch::Sender<u64>,
    /// Results that could not be stored, so that their requesters get them all the same.
    pub unsaved: Mutex<HashMap<ApprovalId, CallResult>>,
    /// How to stop each change under way, and whose it is.
    pub running: Mutex<HashMap<CallId, (CancellationToken, Arc<Actor>)>>,
    pause: ArcSwapOption<Pause>,
    pause_read: OnceCell<()>,
    /// What was said of calls whose outcome is not known, for screens that open later.
    unknown_outcomes: Mutex<Vec<String>>,
}

impl Gate {
    /// Opens nothing and waits for nothing; [`Gate::start`] does the rest once doors listen.
    pub fn new(parts: Parts) -> Result<Self> {
        let mut operations = BTreeMap::new();
        for operation in parts.operations {
            let name = operation.spec().name;
            if operations.insert(name, operation).is_some() {
                return Err(Error::internal(format!("two operations are named {name}")));
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                operations,
                catalogue: OnceLock::new(),
                bus: parts.bus,
                clock: parts.clock,
                store: parts.store,
                policy: parts.policy,
                limits: Limits::new(&parts.settings),
                refusals: Refusals::default(),
                settings: parts.settings,
                redactor: parts.redactor,
                changes: TaskTracker::new(),
                approvals: watch::Sender::new(0),
                unsaved: Mutex::default(),
                running: Mutex::default(),
                unknown_outcomes: Mutex::default(),
                pause: ArcSwapOption::empty(),
                pause_read: OnceCell::new(),
            }),
            read_only: false,
        })
    }

    /// Writes that the session starts, tells of calls that an earlier process left without an outcome,
    /// and takes up the approvals that still wait. Call it once, when the doors listen.
    pub async fn start(&self) {
        self.report_store();
        self.tell_interrupted();
        let store = &self.inner.store;
        let row = Draft::new(AuditKind::SessionStarted, self.now(), &own(), "session_start").detail(
            serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "policy": self.inner.policy.version() }),
        );
        // A store that cannot be written says so by itself.
        let _ = store.append(row).await;
        self.take_up_approvals().await;
        if let Some(pause) = self.pause().await {
            self.notice(Level::Warning, format!("agents are paused since {} by {}", pause.at, pause.by));
        }
    }

    fn tell_interrupted(&self) {
        for call in self.inner.store.take_interrupted() {
            let text = format!(
                "outcome unknown: {} on {} by {} had started when Quarterdeck ended; look at the target before \
                 doing it again",
                call.operation, call.target, call.actor
            );
            self.inner.unknown_outcomes.lock().push(text.clone());
            self.notice(Level::Error, text);
        }
    }

    /// Publishes whether the store can be written, whenever that changes. Who comes later is told first
    /// of all, by [`Local::events`].
    fn report_store(&self) {
        let mut status = self.inner.store.status();
        status.mark_unchanged();
        let weak = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            while status.changed().await.is_ok() {
                let now = status.borrow_and_update().clone();
                let Some(inner) = weak.upgrade() else { return };
                let gate = Gate::over(inner);
                gate.bus().publish(told(&now));
                if now.writable() {
                    // A store that could not be written at the start finds them only now.
                    gate.tell_interrupted();
                }
            }
        });
    }

    /// Waits for changes under way, up to the set time, and writes the last rows and checkpoint.
    pub async fn shutdown(&self) {
        self.inner.changes.close();
        if tokio::time::timeout(self.inner.settings.drain, self.inner.changes.wait()).await.is_err() {
            tracing::warn!(
                changes = self.inner.changes.len(),
                "changes are still under way; their outcome is not known"
            );
        }
        self.close_windows();
        let row = Draft::new(AuditKind::SessionStopped, self.now(), &own(), "session_stop");
        let _ = self.inner.store.append(row).await;
        self.inner.store.close().await;
    }

    /// A door's handle for one actor, whose credential the door has checked.
    pub fn client(&self, actor: Actor) -> Client {
        let actor = Arc::new(actor);
        Client::new(Arc::new(Local { gate: self.clone(), actor: actor.clone() }), actor)
    }

    /// A handle on what another handle has let go.
    pub(in crate::gate) fn over(inner: Arc<Inner>) -> Self {
        Self { inner, read_only: false }
    }

    /// The same gate, which refuses every change that comes through this handle and its clones.
    #[must_use]
    pub fn reading_only(&self) -> Self {
        Self { inner: self.inner.clone(), read_only: true }
    }

    /// Whether every change is refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.inner.settings.read_only
    }

    /// Refuses a change where nothing is to be changed. Stopping agents and taking back their leave go on.
    pub(in crate::gate) fn check_read_only(&self, spec: &Spec) -> Option<String> {
        let harmless = matches!(spec.name, "agents_pause" | "grant_revoke");
        (spec.effect > Effect::Observe && self.is_read_only() && !harmless).then(|| {
            format!("this session is read-only: {} is a {} and was not done", spec.name, spec.effect.as_str())
        })
    }

    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub fn clock(&self) -> &SharedClock {
        &self.inner.clock
    }

    pub(in crate::gate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.inner
            .catalogue
            .get_or_init(|| self.inner.operations.values().map(|operation| operation.info()).collect())
            .clone()
    }

    /// The operations themselves, for the door that builds its commands from them.
    pub fn operations(&self) -> impl Iterator<Item = &Arc<dyn Callable>> {
        self.inner.operations.values()
    }

    /// Hides what secrets come up: domains register theirs here.
    pub fn redactor(&self) -> &Arc<Redactor> {
        &self.inner.redactor
    }

    /// Whether the audit log can be written, and so whether changes run.
    pub fn store_status(&self) -> watch::Receiver<crate::store::Status> {
        self.inner.store.status()
    }

    pub(in crate::gate) fn operation(&self, name: &str) -> Result<&Arc<dyn Callable>> {
        self.inner.operations.get(name).ok_or_else(|| {
            let near = self
                .inner
                .operations
                .keys()
                .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)))
                .filter(|known| strsim::jaro_winkler(known, name) > 0.8);
            let e = Error::not_found(format!("there is no operation {name:?}"));
            match near {
                Some(near) => e.next(format!("Did you mean {near}? operation_list names them all.")),
                None => e.next("operation_list names them all."),
            }
        })
    }

    pub(in crate::gate) fn notice(&self, level: Level, text: String) {
        self.bus().publish(Event::Notice { level, text });
    }

    /// A page of the audit log.
    pub(crate) async fn audit(&self, filter: AuditFilter) -> Result<AuditPage> {
        Ok(self.inner.store.audit(filter).await?)
    }

    /// The number of the newest audit row, as it grows.
    pub(crate) fn audit_head(&self) -> watch::Receiver<u64> {
        self.inner.store.head()
    }

    /// Checks the audit log against its keys and checkpoints.
    pub(crate) async fn verify_audit(&self, evidence: Evidence) -> Result<Verification> {
        Ok(self.inner.store.verify(evidence).await?)
    }

    /// Whether agents are paused, and by whom.
    pub async fn pause(&self) -> Option<Arc<Pause>> {
        let read = || async {
            match self.inner.store.pause().await {
                Ok(pause) => {
                    self.inner.pause.store(pause.map(Arc::new));
                    Ok(())
                }
                Err(e) => Err(e),
            }
        };
        // A read that failed is tried again at the next call.
        let _ = self.inner.pause_read.get_or_try_init(read).await;
        self.inner.pause.load_full()
    }

    /// Stops agents' changes and proposals, until they are resumed; survives a restart.
    pub(crate) async fn set_pause(&self, by: &Actor, reason: Option<String>, on: bool) -> Result<()> {
        let pause = on.then(|| Pause { by: by.clone(), at: self.now(), reason });
        self.inner.store.set_pause(pause.clone()).await?;
        let _ = self.inner.pause_read.set(());
        self.inner.pause.store(pause.map(Arc::new));
        let verb = if on { "paused" } else { "resumed" };
        self.notice(Level::Warning, format!("{by} {verb} the agents"));
        Ok(())
    }

    /// Finds and checks: the call as it will be shown, decided, recorded and run.
    fn enter(&self, actor: &Arc<Actor>, request: Request) -> Result<Call> {
        let name = request.operation.clone();
        let entered = (|| {
            self.inner.limits.check(actor)?;
            let operation = self.operation(&name)?.clone();
            self.call_of(actor.clone(), operation, request)
        })();
        if let Err(error) = &entered {
            self.turned_away(actor, &name, error);
        }
        entered
    }

    /// Who may do what: policy, and the switch that stops agents.
    async fn admit(&self, call: &Call) -> Ruling {
        if let Some(why) = self.check_read_only(&call.spec) {
            return Ruling::Deny(why);
        }
        if is_agent(&call.actor)
            && call.spec.effect > Effect::Observe
            && let Some(pause) = self.pause().await
        {
            let why = pause.reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default();
            return Ruling::Deny(format!("agents are paused by {}{why}", pause.by));
        }
        self.rule(call)
    }

    /// Records and publishes a call that is not let through.
    pub(in crate::gate) async fn deny(&self, call: &Call, why: String) -> Error {
        let mut error = Error::new(Code::PermissionDenied, why);
        if self.check_read_only(&call.spec).is_some() {
            error = error.next(
                "Start it without --readonly (or with --write, where the configuration says readonly).",
            );
        }
        self.refuse_with(call, error).await
    }

    /// The same with an error of its own.
    pub(in crate::gate) async fn refuse_with(&self, call: &Call, error: Error) -> Error {
        if matches!(call.spec.record, Record::Always) {
            let row = call
                .draft(self, AuditKind::Denied)
                .code(Some(error.code))
                .detail(call.detail(self, serde_json::json!({ "error": error.message })));
            // The denial stands whether or not it can be written.
            let _ = self.inner.store.append(row).await;
        }
        self.publish_denied(call, &error);
        error
    }

    async fn call(&self, actor: &Arc<Actor>, request: Request) -> Result<Reply> {
        let call = self.enter(actor, request)?;
        self.pass(call).await
    }

    /// Runs a call in a task of its own and gives the caller's end of it.
    fn interact(&self, actor: &Arc<Actor>, request: Request) -> Result<Interaction> {
        let call = self.enter(actor, request)?;
        let name = call.spec.name;
        if actor.kind != ActorKind::Person {
            return Err(Error::unsupported(format!("only a person can talk with {name} while it runs"))
                .next("container_exec runs one command and gives what it wrote."));
        }
        if call.spec.talk == Talk::No || call.spec.effect == Effect::Observe {
            return Err(Error::unsupported(format!("{name} cannot be talked with while it runs")));
        }
        let (ours, theirs, end) = interaction::pair();
        *call.duplex.lock() = Some(theirs);
        let gate = self.clone();
        tokio::spawn(async move {
            let duplex = call.duplex.clone();
            let result = Box::pin(gate.pass(call)).await;
            // What was denied or held has not taken it: the caller must see its end.
            drop(duplex.lock().take());
            // Nobody waits any more: the audit log has it.
            let _ = end.send(result);
        });
        Ok(ours)
    }

    async fn pass(&self, call: Call) -> Result<Reply> {
        match (self.admit(&call).await, call.spec.effect) {
            (Ruling::Deny(why), _) => Err(self.deny(&call, why).await),
            (Ruling::Hold, _) => Box::pin(self.hold(call)).await,
            (Ruling::Run, Effect::Observe) => self.observe(call).await,
            (Ruling::Run, _) => Box::pin(self.change(call)).await,
        }
    }

    async fn preview(&self, actor: &Arc<Actor>, request: Request) -> Result<Preview> {
        let call = self.enter(actor, request)?;
        if let Ruling::Deny(why) = self.admit(&call).await {
            return Err(self.deny(&call, why).await);
        }
        self.observe_preview(call).await
    }

    async fn watch(&self, actor: &Arc<Actor>, request: Request) -> Result<Watch> {
        let call = self.enter(actor, request)?;
        if call.spec.effect != Effect::Observe {
            return Err(Error::unsupported(format!("{} cannot be watched", call.spec.name)));
        }
        match self.admit(&call).await {
            Ruling::Run => self.observe_watch(call).await,
            Ruling::Hold => Err(self.deny(&call, "a watch cannot wait for a decision".to_owned()).await),
            Ruling::Deny(why) => Err(self.deny(&call, why).await),
        }
    }
}

fn told(status: &Status) -> Event {
    Event::Store { writable: status.writable(), reason: status.banner.map(str::to_owned) }
}

/// Quarterdeck itself, as an actor.
pub(in crate::gate) fn own() -> Actor {
    Actor::new(ActorKind::Pipeline, "quarterdeck", Role::Admin, Door::Screen)
}

struct Local {
    gate: Gate,
    actor: Arc<Actor>,
}

#[async_trait]
impl Transport for Local {
    async fn call(&self, request: Request) -> Result<Reply> {
        self.gate.call(&self.actor, request).await
    }

    async fn preview(&self, request: Request) -> Result<Preview> {
        self.gate.preview(&self.actor, request).await
    }

    async fn watch(&self, request: Request) -> Result<Watch> {
        self.gate.watch(&self.actor, request).await
    }

    async fn interact(&self, request: Request) -> Result<Interaction> {
        self.gate.interact(&self.actor, request)
    }

    fn events(&self) -> Events {
        let mut events = self.gate.bus().subscribe();
        let status = self.gate.inner.store.status().borrow().clone();
        // The reader has missed when that began.
        if !status.writable() {
            events = events.beginning_with(told(&status));
        }
        // The doors listen before there is a screen, and an assistant's session may have none for long.
        if self.actor.door == Door::Screen {
            for text in self.gate.inner.unknown_outcomes.lock().iter() {
                events = events.beginning_with(Event::Notice { level: Level::Error, text: text.clone() });
            }
        }
        events
    }

    fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.gate.catalogue()
    }
}
