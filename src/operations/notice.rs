//! Being told when objects come to another state: what is watched is the session's, and ends with it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Deck;
use super::input::Object;
use crate::base::{Actor, ActorKind, Code, Error, Result};
use crate::bus::Changed;
use crate::gate::{Context, Definition, Frame, Method, Operation, Spec, Target, Watch, define};
use crate::kube::notices::Notice;

pub const LIST: &[Definition<Deck>] =
    &[define::<NoticeCreate>(), define::<NoticeCancel>(), define::<NoticeList>()];

/// An operation that reads for the session and changes nothing outside it.
const fn within_the_session(name: &'static str, path: &'static str, summary: &'static str) -> Spec {
    Spec { method: Method::Post, idempotent: false, ..Spec::observe(name, path, summary) }
}

/// Letters of a note.
const NOTE: usize = 500;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct NoticeCreateInput {
    #[serde(flatten)]
    #[command(flatten)]
    pub object: Object,
    /// Why: it is told with each change.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An object that is watched.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NoticeEntry {
    pub notice: u64,
    pub by: Actor,
    pub cluster: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// As it was last seen: `ready`, `rolled out`, `failing: CrashLoopBackOff (main)`, `gone`.
    pub state: String,
    pub bad: bool,
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// How often a change was told, and when last.
    pub told: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// Why nobody knows how it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Nothing more will be told.
    pub over: bool,
}

impl From<Notice> for NoticeEntry {
    fn from(n: Notice) -> Self {
        Self {
            notice: n.number,
            by: n.actor,
            cluster: n.cluster,
            namespace: n.namespace,
            kind: n.kind,
            name: n.name,
            note: n.note,
            state: n.state,
            bad: n.bad,
            made: n.made,
            told: n.told,
            at: n.at,
            unknown: n.unknown,
            over: n.over,
        }
    }
}

struct NoticeCreate;

impl Operation for NoticeCreate {
    type Deck = Deck;
    type Input = NoticeCreateInput;
    type Output = NoticeEntry;

    // It reads the object, again and again.
    const SPEC: Spec = within_the_session(
        "notice_create",
        "/v1/notices",
        "Watch an object and be told when it becomes ready, fails, is rolled out or gone; ends with the session.",
    );

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.object.fill(deck)
    }

    fn target(input: &Self::Input) -> Target {
        input.object.target()
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let note = input.note.filter(|note| !note.trim().is_empty());
        if note.as_ref().is_some_and(|note| note.chars().count() > NOTE) {
            return Err(Error::invalid(format!("the note is longer than {NOTE} letters")));
        }
        let place = input.object.place(&deck).await?;
        Ok(deck.notices.create(place, cx.actor(), note).await?.into())
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct NoticeCancelInput {
    /// Its number.
    pub notice: u64,
}

struct NoticeCancel;

impl Operation for NoticeCancel {
    type Deck = Deck;
    type Input = NoticeCancelInput;
    type Output = NoticeEntry;

    const SPEC: Spec =
        within_the_session("notice_cancel", "/v1/notices/{notice}/cancel", "Watch an object no more.");

    fn target(input: &Self::Input) -> Target {
        Target { name: input.notice.to_string(), ..Target::own("notice") }
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let notice = deck.notices.get(input.notice)?;
        if cx.actor().kind == ActorKind::Agent && !notice.actor.same_as(cx.actor()) {
            return Err(Error::new(Code::PermissionDenied, "an agent cancels its own notices only"));
        }
        Ok(deck.notices.cancel(input.notice)?.into())
    }
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct NoticeListInput {
    /// Give what was told after this number: `last` of the answer before.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Wait up to so many seconds (at most 45) for something to be told after that.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 45))]
    pub wait_seconds: Option<u32>,
}

/// What is watched, and what was told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NoticeListOutput {
    pub notices: Vec<NoticeEntry>,
    /// What was told after the number that was asked for, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Changed>,
    /// The number of what was told last.
    pub last: u64,
}

struct NoticeList;

fn list(deck: &Deck, after: Option<u64>) -> NoticeListOutput {
    let (told, last) = deck.notices.told(after.unwrap_or(u64::MAX));
    NoticeListOutput {
        notices: deck.notices.all().into_iter().map(NoticeEntry::from).collect(),
        told: told.into_iter().map(|(_, changed)| changed).collect(),
        last,
    }
}

impl Operation for NoticeList {
    type Deck = Deck;
    type Input = NoticeListInput;
    type Output = NoticeListOutput;

    const SPEC: Spec = Spec::observe(
        "notice_list",
        "/v1/notices",
        "List the objects that are watched, the state of each, and what was told of them; or wait for that.",
    );
    const WATCH: bool = true;

    fn target(_: &Self::Input) -> Target {
        Target::own("notice")
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let mut changes = deck.notices.changes();
        let wait = Duration::from_secs(u64::from(input.wait_seconds.unwrap_or(0).min(45)));
        // What is waited for comes after what was told until now, unless another number is given.
        let after = input.after.or_else(|| (!wait.is_zero()).then(|| deck.notices.told(u64::MAX).1));
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            changes.borrow_and_update();
            let listed = list(&deck, after);
            if !listed.told.is_empty() || wait.is_zero() {
                return Ok(listed);
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(listed) },
                () = tokio::time::sleep_until(deadline) => return Ok(listed),
                () = cx.cancelled().cancelled() => return Ok(listed),
            }
        }
    }

    /// All of it now, and again with each change.
    async fn watch(deck: Arc<Deck>, _: Context, input: Self::Input) -> Result<Watch> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut changes = deck.notices.changes();
            let mut after = input.after;
            loop {
                changes.borrow_and_update();
                let listed = list(&deck, after);
                after = Some(listed.last);
                let value = serde_json::to_value(&listed).map_err(Error::internal);
                if sender.send(value.map(Frame::Value)).await.is_err() {
                    return;
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        Ok(Watch::frames(receiver))
    }
}
