//! The gate with operations of its own making, on a real store.

mod approvals;
mod calls;
mod grants;
mod parts;
mod read_only;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Actor, ActorKind, Code, Door, Error, Result, Role};
use crate::bus::{ApprovalState, Bus};
use crate::store::{
    AuditFilter, AuditKind, AuditRow, Evidence, Limits, SharedStore, SqliteStore, Store as _,
};

/// What the operations work on: one number, as a replica count in a cluster.
#[derive(Default)]
pub(super) struct World {
    replicas: AtomicI64,
    revision: AtomicU64,
    runs: AtomicUsize,
    /// A scale waits until this is set, if it is told to.
    slow: AtomicBool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
struct Scale {
    #[serde(default)]
    replicas: i64,
    #[serde(default = "api")]
    name: String,
    #[serde(default)]
    note: String,
}

fn api() -> String {
    "api".to_owned()
}

impl Scale {
    fn target(&self) -> Target {
        Target::kubernetes("eu-1", "shop", "deployment", &self.name)
    }
}

macro_rules! operation {
    ($type:ident, $spec:expr, $preview:expr, |$deck:ident, $cx:ident, $input:ident| $body:expr) => {
        struct $type;

        impl Operation for $type {
            type Deck = World;
            type Input = Scale;
            type Output = Value;

            const SPEC: Spec = $spec;
            const PREVIEW: bool = $preview;

            fn target(input: &Scale) -> Target {
                input.target()
            }

            async fn run($deck: Arc<World>, $cx: Context, $input: Scale) -> Result<Value> {
                $body
            }

            async fn preview(deck: Arc<World>, _: Context, input: Scale) -> Result<Preview> {
                let mut preview = Preview::of(input.target());
                preview.version = Some(deck.version());
                let now = deck.replicas.load(Ordering::SeqCst);
                preview.diff =
                    Diff::between(&format!("replicas: {now}\n"), &format!("replicas: {}\n", input.replicas));
                Ok(preview)
            }
        }
    };
}

impl World {
    fn version(&self) -> TargetVersion {
        TargetVersion {
            identity: "uid".to_owned(),
            revision: self.revision.load(Ordering::SeqCst).to_string(),
        }
    }

    fn scale(&self, replicas: i64) {
        self.replicas.store(replicas, Ordering::SeqCst);
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}

operation!(Get, Spec::observe("thing_get", "/v1/thing", "Get."), false, |deck, cx, input| {
    if input.replicas < 0 {
        cx.reveal()?;
    }
    Ok(json!({ "replicas": deck.replicas.load(Ordering::SeqCst), "note": input.note }))
});

operation!(
    SetScale,
    Spec::change("thing_scale", Method::Post, "/v1/thing/scale", "Scale."),
    true,
    |deck, cx, input| {
        while deck.slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if cx.expected().is_some_and(|version| *version != deck.version()) {
            return Err(Error::new(Code::Conflict, "changed under the call"));
        }
        deck.runs.fetch_add(1, Ordering::SeqCst);
        deck.scale(input.replicas);
        Ok(json!({ "replicas": input.replicas, "by": cx.actor().to_string() }))
    }
);

operation!(
    Delete,
    Spec::destroy("thing_delete", Method::Delete, "/v1/thing", "Delete."),
    true,
    |deck, _cx, _input| {
        deck.runs.fetch_add(1, Ordering::SeqCst);
        Ok(Value::Null)
    }
);

operation!(
    Panic,
    Spec::change("thing_panic", Method::Post, "/v1/thing/panic", "Panic."),
    false,
    |_deck, _cx, input| {
        assert!(input.replicas < 0, "out of cheese");
        Ok(Value::Null)
    }
);

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
struct Several {
    /// `thing_scale api`, each.
    parts: Vec<String>,
}

/// Several calls as one.
struct Batch;

impl Operation for Batch {
    type Deck = World;
    type Input = Several;
    type Output = Value;

    const SPEC: Spec = Spec::destroy("thing_batch", Method::Post, "/v1/things", "Do several.");
    const PREVIEW: bool = true;

    fn target(_: &Several) -> Target {
        Target::kubernetes("eu-1", "shop", "deployment", "")
    }

    fn parts(input: &Several) -> Result<Vec<Part>> {
        let part = |text: &String| {
            let (operation, name) = text.split_once(' ').unwrap();
            Part { operation: operation.to_owned(), arguments: json!({ "name": name }) }
        };
        Ok(input.parts.iter().map(part).collect())
    }

    async fn run(_: Arc<World>, cx: Context, _: Several) -> Result<Value> {
        let mut outcomes = Vec::new();
        for index in 0..cx.parts().len() {
            outcomes.push(if cx.run_part(index, None).await.is_ok() { "done" } else { "failed" });
        }
        Ok(json!(outcomes))
    }

    async fn preview(_: Arc<World>, cx: Context, input: Several) -> Result<Preview> {
        for index in 0..cx.parts().len() {
            cx.preview_part(index).await?;
        }
        Ok(Preview::of(Self::target(&input)))
    }
}

/// Several reads as one; `EACH` asks leave for each of them by itself.
struct Look<const EACH: bool>;

impl<const EACH: bool> Operation for Look<EACH> {
    type Deck = World;
    type Input = Several;
    type Output = Value;

    const SPEC: Spec = if EACH {
        Spec::observe("thing_look", "/v1/things", "Look at several.").asking_each()
    } else {
        Spec::observe("thing_survey", "/v1/surveys", "Look at all of several.")
    };

    fn target(_: &Several) -> Target {
        Target::kubernetes("eu-1", "shop", "deployment", "")
    }

    fn parts(input: &Several) -> Result<Vec<Part>> {
        Batch::parts(input)
    }

    async fn run(_: Arc<World>, cx: Context, _: Several) -> Result<Value> {
        let mut seen = Vec::new();
        for index in 0..cx.parts().len() {
            seen.push(cx.admit_part(index).await.map_or_else(|e| e.message, |()| "seen".to_owned()));
        }
        Ok(json!(seen))
    }
}

static DEFINITIONS: &[Definition<World>] = &[
    define::<Get>(),
    define::<SetScale>(),
    define::<Delete>(),
    define::<Panic>(),
    define::<Batch>(),
    define::<Look<true>>(),
    define::<Look<false>>(),
];

/// A gate, its parts, and those who use it.
pub(super) struct Deck {
    gate: Gate,
    world: Arc<World>,
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    ana: Client,
    claude: Client,
}

pub(super) fn deck() -> Deck {
    let clock = ManualClock::at(Timestamp::now());
    let store = Arc::new(SqliteStore::in_memory(clock.clone()).unwrap());
    let world = Arc::new(World::default());
    world.replicas.store(3, Ordering::SeqCst);
    over(world, store, clock, Policy::shipped().unwrap())
}

fn over(world: Arc<World>, store: Arc<SqliteStore>, clock: Arc<ManualClock>, policy: Policy) -> Deck {
    opened(world, store, clock, policy, Settings::default())
}

fn opened(
    world: Arc<World>,
    store: Arc<SqliteStore>,
    clock: Arc<ManualClock>,
    policy: Policy,
    settings: Settings,
) -> Deck {
    let shared: SharedStore = store.clone();
    let gate = Gate::new(Parts {
        operations: bind(DEFINITIONS, &world),
        bus: Bus::default(),
        clock: clock.clone(),
        store: shared,
        policy,
        settings,
        redactor: Arc::default(),
    })
    .unwrap();
    let (ana, claude) = (gate.client(Actor::operator("ana")), gate.client(Actor::agent("claude")));
    Deck { gate, world, store, clock, ana, claude }
}

impl Deck {
    /// Another session of the same person, over the same database and clusters of its own.
    fn beside(&self, session: &str) -> Self {
        let world = Arc::new(World::default());
        world.replicas.store(3, Ordering::SeqCst);
        let settings = Settings { session: session.to_owned(), ..Settings::default() };
        opened(world, self.store.clone(), self.clock.clone(), Policy::shipped().unwrap(), settings)
    }

    fn replicas(&self) -> i64 {
        self.world.replicas.load(Ordering::SeqCst)
    }

    fn runs(&self) -> usize {
        self.world.runs.load(Ordering::SeqCst)
    }

    async fn rows(&self) -> Vec<AuditRow> {
        // Rows that nobody waits for are written within 50 ms.
        tokio::time::sleep(Duration::from_millis(120)).await;
        self.store
            .audit(AuditFilter { forward: true, limit: 1000, ..AuditFilter::default() })
            .await
            .unwrap()
            .rows
    }

    async fn kinds(&self) -> Vec<AuditKind> {
        self.rows().await.iter().map(|row| row.kind).collect()
    }

    async fn held(&self, replicas: i64) -> Held {
        match self.claude.call(scale(replicas)).await.unwrap() {
            Reply::Held(held) => held,
            Reply::Done { output, .. } => panic!("it ran: {output}"),
        }
    }

    /// Decides as ana does who has just seen the card.
    async fn decide(&self, held: &Held, verdict: Verdict) -> Result<Decided> {
        let card = self.gate.approval(held.approval).await.unwrap();
        self.gate
            .decide(
                self.ana.actor(),
                held.approval,
                verdict,
                &card.preview_hash,
                Some("as agreed".to_owned()),
            )
            .await
    }

    async fn wait(&self, held: &Held) -> Waited {
        self.gate.wait(self.claude.actor(), held.approval, Duration::from_secs(10)).await.unwrap()
    }
}

fn scale(replicas: i64) -> Request {
    Request::new("thing_scale", json!({ "replicas": replicas }))
}

fn done(reply: Reply) -> Value {
    match reply {
        Reply::Done { output, .. } => output,
        Reply::Held(held) => panic!("held: {held:?}"),
    }
}

fn who(kind: ActorKind, role: Role, door: Door) -> Actor {
    Actor::new(kind, "someone", role, door)
}
