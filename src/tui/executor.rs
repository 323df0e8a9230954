//! Runs what panes ask for, on tasks of its own, and sends back what comes of it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::effect::{Message, PaneId, Ticket};
use crate::base::{Error, tty};
use crate::gate::{Client, Input, Request};

/// How many messages may wait for the screen. Few: behind a full channel a table's feed merges,
/// and a log's writer waits.
const WAITING: usize = 64;

/// How long a call that wants the terminal may say nothing and be given it all the same: what was attached to may be
/// quiet for hours.
const SILENCE: Duration = Duration::from_secs(5);

/// A message and the pane it is for; without a pane it is for the application.
pub struct Envelope {
    pub to: Option<PaneId>,
    pub message: Message,
}

/// The tasks that run, by ticket.
pub struct Executor {
    client: Client,
    sender: mpsc::Sender<Envelope>,
    running: HashMap<Ticket, (Option<PaneId>, AbortHandle)>,
    /// The watches, each with whether it is held.
    holds: HashMap<Ticket, watch::Sender<bool>>,
}

impl Executor {
    pub fn new(client: Client) -> (Self, mpsc::Receiver<Envelope>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { client, sender, running: HashMap::new(), holds: HashMap::new() }, receiver)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    fn spawn(
        &mut self,
        owner: Option<PaneId>,
        ticket: Ticket,
        task: impl Future<Output = Message> + Send + 'static,
    ) {
        let sender = self.sender.clone();
        let handle = tokio::spawn(async move {
            let message = task.await;
            // The screen is gone: nobody is left to tell.
            let _ = sender.send(Envelope { to: owner, message }).await;
        });
        self.running.insert(ticket, (owner, handle.abort_handle()));
    }

    pub fn call(&mut self, owner: Option<PaneId>, ticket: Ticket, request: Request) {
        let client = self.client.clone();
        self.spawn(
            owner,
            ticket,
            async move { Message::Reply { ticket, result: client.call(request).await } },
        );
    }

    pub fn preview(&mut self, owner: Option<PaneId>, ticket: Ticket, request: Request) {
        let client = self.client.clone();
        self.spawn(owner, ticket, async move {
            Message::Preview { ticket, result: client.preview(request).await }
        });
    }

    pub fn watch(&mut self, owner: Option<PaneId>, ticket: Ticket, request: Request) {
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let (hold, mut held) = watch::channel(false);
        self.holds.insert(ticket, hold);
        self.spawn(owner, ticket, async move {
            let mut watch = match client.watch(request).await {
                Ok(watch) => watch,
                Err(error) => return Message::Ended { ticket, error: Some(error) },
            };
            loop {
                // Once nobody can hold it any more, it is about to be ended.
                let _ = held.wait_for(|held| !held).await;
                match watch.next().await {
                    Some(Ok(frame)) => {
                        let message = Message::Frame { ticket, frame };
                        if sender.send(Envelope { to: owner, message }).await.is_err() {
                            return Message::Ended { ticket, error: None };
                        }
                    }
                    Some(Err(error)) => return Message::Ended { ticket, error: Some(error) },
                    None => return Message::Ended { ticket, error: None },
                }
            }
        });
    }

    pub fn job(
        &mut self,
        owner: Option<PaneId>,
        ticket: Ticket,
        job: Box<dyn FnOnce() -> Box<dyn std::any::Any + Send> + Send>,
    ) {
        self.spawn(owner, ticket, async move {
            match tokio::task::spawn_blocking(job).await {
                Ok(value) => Message::Job { ticket, value },
                Err(error) => Message::Ended { ticket, error: Some(Error::internal(error)) },
            }
        });
    }

    pub fn timer(&mut self, owner: Option<PaneId>, ticket: Ticket, after: Duration) {
        self.spawn(owner, ticket, async move {
            tokio::time::sleep(after).await;
            Message::Timer { ticket }
        });
    }

    /// Starts a call to talk with: [`Message::Job`] with its [`crate::gate::Interaction`] once it has something to show,
    /// or [`Message::Reply`] if it ends before.
    pub fn talk(&mut self, ticket: Ticket, request: Request) {
        let client = self.client.clone();
        self.spawn(None, ticket, async move {
            let mut interaction = match client.interact(request).await {
                Ok(interaction) => interaction,
                Err(error) => return Message::Reply { ticket, result: Err(error) },
            };
            if let Some((columns, rows)) = tty::size() {
                // A call that has ended already is seen below.
                let _ = interaction.input().send(Input::Size { columns, rows }).await;
            }
            if interaction.ready(SILENCE).await {
                Message::Job { ticket, value: Box::new(interaction) }
            } else {
                Message::Reply { ticket, result: interaction.end().await }
            }
        });
    }

    /// Stops taking from a watch, or goes on: whoever sends waits meanwhile.
    pub fn hold(&self, ticket: Ticket, held: bool) {
        if let Some(hold) = self.holds.get(&ticket) {
            hold.send_replace(held);
        }
    }

    /// Ends one task.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.holds.remove(&ticket);
        if let Some((_, handle)) = self.running.remove(&ticket) {
            handle.abort();
        }
    }

    /// Ends all that a closed pane had asked for.
    pub fn forget(&mut self, pane: PaneId) {
        self.running.retain(|ticket, (owner, handle)| {
            let its = *owner == Some(pane);
            if its {
                handle.abort();
                self.holds.remove(ticket);
            }
            !its
        });
    }

    /// Takes note that a message has come: the ticket of what is over by it is given up.
    /// False for a message of something cancelled, which must not be delivered.
    pub fn arrived(&mut self, message: &Message) -> bool {
        let (ticket, last) = match message {
            Message::Frame { ticket, .. } => (ticket, false),
            Message::Reply { ticket, .. }
            | Message::Preview { ticket, .. }
            | Message::Ended { ticket, .. }
            | Message::Job { ticket, .. }
            | Message::Timer { ticket }
            | Message::Edited { ticket, .. } => (ticket, true),
            Message::Event(_) => return true,
        };
        if last {
            self.holds.remove(ticket);
        }
        if last { self.running.remove(ticket).is_some() } else { self.running.contains_key(ticket) }
    }

    /// How many things run: for tests, and for the question before quitting.
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        for (_, handle) in self.running.values() {
            handle.abort();
        }
    }
}
