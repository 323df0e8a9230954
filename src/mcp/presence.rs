//! An agent is present while a connection of its lives, and a minute after a request without one.
//!
//! Watching the participants is being present, as it is for a screen; so the door holds one such
//! watch for each agent, however many connections and requests that agent has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::base::Actor;
use crate::gate::{Client, Request};

/// How long a request without a connection makes its agent present.
const LINGER: Duration = Duration::from_secs(60);

/// Every agent that is present through this door. Cloning shares it.
#[derive(Clone, Default)]
pub struct Presence {
    agents: Arc<Mutex<HashMap<Actor, Entry>>>,
}

struct Entry {
    /// How many connections and listen streams keep it present.
    holds: usize,
    until: Instant,
    changed: Arc<Notify>,
}

impl Presence {
    /// Present for a minute from now.
    pub fn touch(&self, client: &Client) {
        self.enter(client, |entry| entry.until = Instant::now() + LINGER);
    }

    /// Present until the guard is dropped.
    pub fn hold(&self, client: &Client) -> Hold {
        self.enter(client, |entry| entry.holds += 1);
        Hold { presence: self.clone(), actor: client.actor().clone() }
    }

    fn enter(&self, client: &Client, update: impl FnOnce(&mut Entry)) {
        let mut agents = self.agents.lock();
        let mut new = false;
        let entry = agents.entry(client.actor().clone()).or_insert_with(|| {
            new = true;
            Entry { holds: 0, until: Instant::now(), changed: Arc::default() }
        });
        update(entry);
        if new {
            let changed = entry.changed.clone();
            tokio::spawn(stay(self.clone(), client.clone(), changed));
        }
    }

    /// When to look again: at an instant, or when something changes. The entry goes when its time is over.
    fn due(&self, actor: &Actor) -> Option<Option<Instant>> {
        let mut agents = self.agents.lock();
        let entry = agents.get(actor)?;
        if entry.holds > 0 {
            return Some(None);
        }
        if entry.until <= Instant::now() {
            agents.remove(actor);
            return None;
        }
        Some(Some(entry.until))
    }

    fn release(&self, actor: &Actor) {
        if let Some(entry) = self.agents.lock().get_mut(actor) {
            entry.holds = entry.holds.saturating_sub(1);
            entry.changed.notify_one();
        }
    }
}

/// Keeps the watch for as long as the agent is present.
async fn stay(presence: Presence, client: Client, changed: Arc<Notify>) {
    let watch = client.watch(Request::new("participant_list", serde_json::Value::Null)).await;
    let mut watch = watch.map_err(|error| tracing::warn!(%error, "an agent cannot be shown as present")).ok();
    while let Some(due) = presence.due(client.actor()) {
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let frame = async {
            match &mut watch {
                Some(watch) => watch.next().await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            () = changed.notified() => false,
            () = sleep => false,
            frame = frame => frame.is_none_or(|f| f.is_err()),
        };
        if ended {
            watch = None;
        }
    }
}

/// Keeps an agent present.
pub struct Hold {
    presence: Presence,
    actor: Actor,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.presence.release(&self.actor);
    }
}
