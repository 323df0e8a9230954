//! What panes ask for and what they are told: effects out, messages in.
//!
//! Nothing here waits. A pane asks through [`Cx`] and keeps the [`Ticket`]; the executor runs it
//! on tasks of its own, and the answer comes as a [`Message`] with that ticket. Newest wins by
//! comparing tickets: a message with an old one is dropped by whoever asked again.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;

use super::action::Action;
use super::object::{Namespaces, Route};
use super::pane::Pane;
use super::shared::{ClusterInfo, Shared};
use crate::base::{Error, Result};
use crate::bus::Event;
use crate::gate::{Frame, Preview, Reply, Request};

/// Names one thing asked for. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names a pane for as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaneId(pub u64);

/// What a pane is told.
pub enum Message {
    /// The end of a [`Cx::call`].
    Reply { ticket: Ticket, result: Result<Reply> },
    /// The end of a [`Cx::preview`].
    Preview { ticket: Ticket, result: Result<Preview> },
    /// A piece of a [`Cx::watch`].
    Frame { ticket: Ticket, frame: Frame },
    /// A watch ended; with the error that ended it.
    Ended { ticket: Ticket, error: Option<Error> },
    /// The value of a [`Cx::job`].
    Job { ticket: Ticket, value: Box<dyn Any + Send> },
    /// A [`Cx::after`] is due.
    Timer { ticket: Ticket },
    /// The editor was closed: the new text, or `None` if nothing was changed.
    Edited { ticket: Ticket, result: Result<Option<String>> },
    /// Something happened, whoever did it. Every pane gets it.
    Event(Arc<Event>),
}

/// A line for the operator: what happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub level: crate::bus::Level,
    pub text: String,
    pub next: Option<String>,
}

impl Flash {
    pub fn info(text: impl Into<String>) -> Self {
        Self { level: crate::bus::Level::Info, text: text.into(), next: None }
    }

    pub fn warning(text: impl Into<String>) -> Self {
        Self { level: crate::bus::Level::Warning, text: text.into(), next: None }
    }

    pub fn error(error: &Error) -> Self {
        Self {
            level: crate::bus::Level::Error,
            text: error.message.clone(),
            next: Some(error.next_step().to_owned()),
        }
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// What the application and its executor do for a pane.
pub enum Effect {
    Call {
        ticket: Ticket,
        request: Request,
    },
    Preview {
        ticket: Ticket,
        request: Request,
    },
    Watch {
        ticket: Ticket,
        request: Request,
    },
    Job {
        ticket: Ticket,
        job: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    },
    Timer {
        ticket: Ticket,
        after: Duration,
    },
    /// Opens the person's editor, or the built-in one, with `text` in a file that ends in `suffix`.
    Editor {
        ticket: Ticket,
        text: String,
        suffix: &'static str,
        /// The line to begin at, from 0; without one, where a text that comes again was left.
        line: Option<usize>,
    },
    /// The text that somebody waits for under a ticket: see [`Cx::edited`].
    Edited {
        ticket: Ticket,
        result: Result<Option<String>>,
        /// The line and the character at which the cursor stood.
        at: (usize, usize),
    },
    Cancel(Ticket),
    /// Stops taking from a watch, or goes on.
    Hold(Ticket, bool),
    /// A change whose progress and end the application shows, whether the pane is still there or not.
    Run {
        request: Request,
        label: String,
    },
    /// A call that is given the terminal for as long as it lasts: a shell.
    Talk {
        request: Request,
        label: String,
    },
    Push(Box<dyn Pane>),
    Layer(Box<dyn Pane>),
    Go(Route),
    Close,
    /// A command line as typed after `:`.
    Command(String),
    Do(Action),
    Flash(Flash),
    Copy(String),
    /// Somebody has chosen how the tables of a kind are sorted.
    Sorted {
        kind: CompactString,
        column: CompactString,
        descending: bool,
    },
    Namespace(Namespaces),
    Clusters(Vec<CompactString>),
    KnownClusters(Vec<ClusterInfo>),
    ClusterSeen {
        cluster: CompactString,
        up: bool,
    },
    Quit,
}

/// What a pane is given to ask with.
pub struct Cx<'a> {
    pub shared: &'a Shared,
    pub now: Timestamp,
    effects: &'a mut Vec<Effect>,
    tickets: &'a mut u64,
}

impl<'a> Cx<'a> {
    pub fn new(
        shared: &'a Shared,
        now: Timestamp,
        effects: &'a mut Vec<Effect>,
        tickets: &'a mut u64,
    ) -> Self {
        Self { shared, now, effects, tickets }
    }

    fn ticket(&mut self) -> Ticket {
        *self.tickets += 1;
        Ticket(*self.tickets)
    }

    /// Calls an operation: [`Message::Reply`].
    pub fn call(&mut self, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Call { ticket, request });
        ticket
    }

    /// Asks what a call would do: [`Message::Preview`].
    pub fn preview(&mut self, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Preview { ticket, request });
        ticket
    }

    /// Starts a long read: [`Message::Frame`]s, then [`Message::Ended`].
    pub fn watch(&mut self, request: Request) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Watch { ticket, request });
        ticket
    }

    /// Runs long work on a thread: [`Message::Job`] with its value.
    pub fn job<T: Any + Send>(&mut self, job: impl FnOnce() -> T + Send + 'static) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Job { ticket, job: Box::new(move || Box::new(job())) });
        ticket
    }

    /// [`Message::Timer`] once, after `after`.
    pub fn after(&mut self, after: Duration) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Timer { ticket, after });
        ticket
    }

    /// Opens an editor on `text`: [`Message::Edited`].
    pub fn editor(&mut self, text: String, suffix: &'static str) -> Ticket {
        self.editor_at(None, text, suffix)
    }

    /// The same, with the cursor on a line, counted from 0.
    pub fn editor_at(&mut self, line: Option<usize>, text: String, suffix: &'static str) -> Ticket {
        let ticket = self.ticket();
        self.effects.push(Effect::Editor { ticket, text, suffix, line });
        ticket
    }

    /// The built-in editor's answer to whoever called [`Cx::editor`]; the editor is closed by it.
    pub fn edited(&mut self, ticket: Ticket, result: Result<Option<String>>, at: (usize, usize)) {
        self.effects.push(Effect::Edited { ticket, result, at });
    }

    /// Ends something asked for; its messages stop.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.effects.push(Effect::Cancel(ticket));
    }

    /// Stops taking from a watch, or goes on: whoever sends waits meanwhile, and nothing is lost.
    pub fn hold(&mut self, ticket: Ticket, held: bool) {
        self.effects.push(Effect::Hold(ticket, held));
    }

    /// Makes a change in the background; the application shows how it goes. `label` is the verb
    /// and its object: `delete pod web-1`.
    pub fn run(&mut self, request: Request, label: impl Into<String>) {
        self.effects.push(Effect::Run { request, label: label.into() });
    }

    /// Gives the terminal to a call until it ends. `label` says what is there: `shell in web-1/app`.
    pub fn talk(&mut self, request: Request, label: impl Into<String>) {
        self.effects.push(Effect::Talk { request, label: label.into() });
    }

    /// Puts a pane on top of this one; `Esc` comes back.
    pub fn push(&mut self, pane: Box<dyn Pane>) {
        self.effects.push(Effect::Push(pane));
    }

    /// Opens a dialog.
    pub fn layer(&mut self, layer: Box<dyn Pane>) {
        self.effects.push(Effect::Layer(layer));
    }

    /// Goes to a place: the pane for it is made by [`super::panes::open`].
    pub fn go(&mut self, route: Route) {
        self.effects.push(Effect::Go(route));
    }

    /// Closes this pane or dialog.
    pub fn close(&mut self) {
        self.effects.push(Effect::Close);
    }

    /// Runs a `:` command.
    pub fn command(&mut self, line: impl Into<String>) {
        self.effects.push(Effect::Command(line.into()));
    }

    /// Does an action as if its key had been pressed, once this turn is over.
    pub fn act(&mut self, action: Action) {
        self.effects.push(Effect::Do(action));
    }

    pub fn flash(&mut self, flash: Flash) {
        self.effects.push(Effect::Flash(flash));
    }

    pub fn error(&mut self, error: &Error) {
        self.effects.push(Effect::Flash(Flash::error(error)));
    }

    /// Puts text on the clipboard (OSC 52).
    pub fn copy(&mut self, text: impl Into<String>) {
        self.effects.push(Effect::Copy(text.into()));
    }

    /// Tells how somebody has had the table of a kind sorted: the next one begins so.
    pub fn sorted(&mut self, kind: CompactString, column: &str, descending: bool) {
        self.effects.push(Effect::Sorted { kind, column: column.into(), descending });
    }

    /// Changes the session's namespace, which new tables start with.
    pub fn namespace(&mut self, namespaces: Namespaces) {
        self.effects.push(Effect::Namespace(namespaces));
    }

    /// Changes the session's clusters, which new tables start with.
    pub fn clusters(&mut self, clusters: Vec<CompactString>) {
        self.effects.push(Effect::Clusters(clusters));
    }

    /// Tells what was just learnt of every cluster, for the header.
    pub fn known_clusters(&mut self, known: Vec<ClusterInfo>) {
        self.effects.push(Effect::KnownClusters(known));
    }

    /// Tells that a cluster answers, or does not, as a watch has noticed.
    pub fn cluster_seen(&mut self, cluster: impl Into<CompactString>, up: bool) {
        self.effects.push(Effect::ClusterSeen { cluster: cluster.into(), up });
    }

    pub fn quit(&mut self) {
        self.effects.push(Effect::Quit);
    }
}
