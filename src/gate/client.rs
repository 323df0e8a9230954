//! How a door uses the gate: call, preview, watch, events. The same for a gate in this process and
//! for one that runs elsewhere.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use super::approval::Waited;
use super::interaction::Interaction;
use super::preview::{Preview, TargetVersion};
use super::run::Cleaner;
use super::spec::{Held, OperationInfo};
use crate::base::ids::{ApprovalId, CallId};
use crate::base::{Actor, Error, Result};
use crate::bus::Events;
use crate::rows::{Line, TableDelta, TableFeed};

/// One call to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub struct Request {
    pub operation: String,
    #[serde(default)]
    pub arguments: Value,
    /// Why the caller wants it, shown to the person who decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of the target that the caller has seen: the call conflicts if it is another now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<TargetVersion>,
    /// W3C `traceparent` of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

impl Request {
    pub fn new(operation: impl Into<String>, arguments: Value) -> Self {
        Self { operation: operation.into(), arguments, ..Self::default() }
    }
}

/// What a call came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Done {
        call: CallId,
        output: Value,
    },
    /// A person must decide first: `approval_wait` gives the result.
    Held(Held),
}

/// One piece of a watch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    Table(TableDelta),
    Lines(Vec<Line>),
    Value(Value),
}

/// A long read. Dropping it ends it.
pub struct Watch {
    source: Source,
    /// Masks secrets in each frame.
    cleaner: Option<Cleaner>,
    /// Kept until the watch is dropped: the gate's record of it, say.
    _guards: Vec<Box<dyn Send + Sync>>,
}

enum Source {
    Table(TableFeed),
    Frames(mpsc::Receiver<Result<Frame>>),
}

impl Watch {
    /// A watch of table deltas, merged while the reader is slow.
    pub fn table(feed: TableFeed) -> Self {
        Self { source: Source::Table(feed), cleaner: None, _guards: Vec::new() }
    }

    /// A watch of frames, which makes the writer wait while the reader is slow.
    pub fn frames(receiver: mpsc::Receiver<Result<Frame>>) -> Self {
        Self { source: Source::Frames(receiver), cleaner: None, _guards: Vec::new() }
    }

    /// Keeps `guard` until the watch is dropped.
    #[must_use]
    pub fn guarded(mut self, guard: impl Send + Sync + 'static) -> Self {
        self._guards.push(Box::new(guard));
        self
    }

    /// Passes every frame through the redactor.
    pub(in crate::gate) fn cleaned(mut self, cleaner: Cleaner) -> Self {
        self.cleaner = Some(cleaner);
        self
    }

    /// The next frame; `None` at the end. An error is the last frame. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<Frame>> {
        let mut frame = match &mut self.source {
            Source::Table(feed) => feed.next().await.map(|delta| Ok(Frame::Table(delta))),
            Source::Frames(receiver) => receiver.recv().await,
        };
        if let (Some(Ok(frame)), Some(cleaner)) = (&mut frame, &mut self.cleaner) {
            cleaner.clean(frame);
        }
        frame
    }
}

/// What carries requests to a gate.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn call(&self, request: Request) -> Result<Reply>;
    async fn preview(&self, request: Request) -> Result<Preview>;
    async fn watch(&self, request: Request) -> Result<Watch>;
    async fn interact(&self, request: Request) -> Result<Interaction> {
        Err(Error::unsupported(format!("{} cannot be talked with from here", request.operation)))
    }
    fn events(&self) -> Events;
    fn catalogue(&self) -> Arc<[OperationInfo]>;
}

/// A door's handle on the gate, for one actor.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    actor: Arc<Actor>,
}

impl Client {
    pub fn new(transport: Arc<dyn Transport>, actor: Arc<Actor>) -> Self {
        Self { transport, actor }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Every operation there is.
    pub fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.transport.catalogue()
    }

    /// Runs an operation, or has it held for a decision.
    pub async fn call(&self, request: Request) -> Result<Reply> {
        self.transport.call(request).await
    }

    /// What a call would do.
    pub async fn preview(&self, request: Request) -> Result<Preview> {
        self.transport.preview(request).await
    }

    /// Starts a long read.
    pub async fn watch(&self, request: Request) -> Result<Watch> {
        self.transport.watch(request).await
    }

    /// Starts a call to talk with while it runs.
    pub async fn interact(&self, request: Request) -> Result<Interaction> {
        self.transport.interact(request).await
    }

    /// Waits until a held call has ended or will not run, at most for `timeout` (whole seconds).
    /// Safe to drop and to repeat.
    pub async fn wait(&self, approval: ApprovalId, timeout: Duration) -> Result<Waited> {
        let arguments = serde_json::json!({ "approval": approval, "timeout_seconds": timeout.as_secs() });
        match self.call(Request::new("approval_wait", arguments)).await? {
            Reply::Done { output, .. } => serde_json::from_value(output).map_err(Error::internal),
            Reply::Held(_) => Err(Error::internal("waiting was itself held")),
        }
    }

    /// What happens from now on, whoever does it.
    pub fn events(&self) -> Events {
        self.transport.events()
    }
}
