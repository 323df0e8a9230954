//! The one event type and its channel: how every door learns at once what any actor does.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::base::ids::{ApprovalId, CallId, ParticipantId};
use crate::base::{Actor, Error};

/// Something that happened. Closed on purpose: a door that forgets a kind does not compile.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A call started, went on or ended.
    Call(CallEvent),
    /// An approval came to be, or changed its state.
    Approval(ApprovalEvent),
    /// A participant came, moved its focus, or left. Read the participants again: this is a signal, not the state.
    Participants { participant: ParticipantId },
    /// A participant points at an object, or asks about one.
    Message(Message),
    /// The kubeconfig was read again: contexts may have come, changed or gone. This is a signal, not the state.
    Contexts,
    /// The store can, or can no longer, be written.
    Store { writable: bool, reason: Option<String> },
    /// An object that somebody wants to be told of came to another state: see `notice_create`.
    Changed(Changed),
    /// Something the operator should read: configuration reloaded, a theme file refused.
    Notice { level: Level, text: String },
    /// The reader was too slow and missed `missed` events: read the state again.
    Resync { missed: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallEvent {
    pub call: CallId,
    pub actor: Actor,
    pub operation: String,
    /// The target in one line: `eu-1/shop/deployment/api`.
    pub target: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
    pub phase: CallPhase,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum CallPhase {
    Started,
    /// How far it is: `done` of `total`, and what it does now.
    Progress {
        done: u64,
        total: Option<u64>,
        note: String,
        /// The one of several things that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<Item>,
    },
    /// It waits for a decision.
    Held {
        approval: ApprovalId,
    },
    Denied {
        error: Error,
    },
    Succeeded {
        milliseconds: u64,
    },
    Failed {
        milliseconds: u64,
        error: Error,
    },
}

/// One of the things that a call does one by one: a pod of a drain, an object of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    /// `shop/web-1`, unique in its call.
    pub name: String,
    pub state: ItemState,
    /// Why, or what is waited for; empty if there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Its turn has not come, or something holds it up.
    Waiting,
    Running,
    Done,
    /// It is left as it is, on purpose.
    Skipped,
    Failed,
}

impl ItemState {
    pub fn as_str(self) -> &'static str {
        match self {
            ItemState::Waiting => "waiting",
            ItemState::Running => "running",
            ItemState::Done => "done",
            ItemState::Skipped => "skipped",
            ItemState::Failed => "failed",
        }
    }

    /// Nothing more comes of it.
    pub fn is_over(self) -> bool {
        matches!(self, ItemState::Done | ItemState::Skipped | ItemState::Failed)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ApprovalEvent {
    pub approval: ApprovalId,
    pub state: ApprovalState,
}

/// `pending → approved | denied | expired | withdrawn → consumed`. `Void`: the target, the schema or the
/// policy changed. `Withdrawn`: whoever asked took it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Pending,
    Approved,
    Denied,
    Expired,
    Void,
    Consumed,
    Withdrawn,
}

/// An object is in another state than before.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changed {
    /// The notice's number.
    pub notice: u64,
    /// Who wants to be told.
    pub actor: Actor,
    /// `eu-1/shop/pods/web-1`
    pub target: String,
    pub before: String,
    pub now: String,
    /// Something is wrong with it.
    pub bad: bool,
    /// Why it is watched, in the words of whoever does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl Changed {
    /// In a line: `eu-1/shop/pods/web-1: ready → failing: CrashLoopBackOff (main)`.
    pub fn words(&self) -> String {
        let note = self.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        format!("{}: {} → {}{note}", self.target, self.before, self.now)
    }
}

/// Words from one participant to the others, tied to an object.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    pub from: Actor,
    pub kind: MessageKind,
    pub text: String,
    /// What it is about: a row's key, a field, a log line, as `session` defines them.
    pub about: Option<Value>,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Look at this.
    Point,
    /// A question to whoever answers.
    Ask,
    /// A remark.
    Note,
}

/// The channel. Cloning shares it; publishing never waits.
#[derive(Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Event>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { sender: broadcast::channel(4096).0 }
    }
}

impl Bus {
    pub fn publish(&self, event: Event) {
        // No reader is not an error: a headless start has none yet.
        let _ = self.sender.send(Arc::new(event));
    }

    pub fn subscribe(&self) -> Events {
        Events { first: VecDeque::new(), receiver: self.sender.subscribe() }
    }
}

/// One reader's end of the bus.
pub struct Events {
    first: VecDeque<Arc<Event>>,
    receiver: broadcast::Receiver<Arc<Event>>,
}

impl Events {
    /// Gives `event` before all others: a state that a reader who comes late has missed.
    #[must_use]
    pub fn beginning_with(mut self, event: Event) -> Self {
        self.first.push_back(Arc::new(event));
        self
    }

    /// The next event, or `None` once the bus is gone. A reader that fell behind gets
    /// [`Event::Resync`] in place of what it missed. Safe to cancel.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Arc::new(Event::Resync { missed })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
