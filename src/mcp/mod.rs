//! The agents' door: the Model Context Protocol over the gate's operations.
//!
//! Every tool is an operation of the gate's catalogue; nothing is declared here twice. Both eras of
//! the protocol are served: those with `initialize` (2024-11-05 to 2025-11-25) and 2026-07-28, in
//! which each request carries its own version and capabilities.
//!
//! What `wiring` needs:
//!
//! - [`Core::new`] once a process, from the gate: what all connections share.
//! - [`serve_stream`] for one client on a pair of byte streams: a connection of the per-user socket,
//!   or stdin and stdout of a headless `qd mcp`. It returns when the client has gone. (`qd mcp` beside
//!   a live session only passes bytes through; the session serves them.)
//! - [`router`] for streamable HTTP: an axum router with `/mcp` and the metadata of RFC 9728, behind the
//!   gate's guard, to be merged into what listens on loopback. The listener must set `TCP_NODELAY`.
//!
//! # Who asks
//!
//! Over HTTP it is whoever the bearer token belongs to. On a stream it is the agent that the joining
//! program was told to be, or else one with the name that the client gives itself: the socket is the user's own (mode 0600), and any of the user's
//! programs could give any name. A grant to an agent on the socket is thus a grant to that user's
//! programs; the policy gives all of them the role `agent`, which decides nothing for itself.

mod call;
mod complete;
mod duplicates;
mod fixtures;
mod held;
mod http;
mod presence;
mod prompts;
mod resources;
mod schema;
mod server;
mod stream;
mod text;
mod tools;
mod updates;
mod uri;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rmcp::model::RequestStateCodec;
use rmcp::task_manager::TaskManager;

use crate::base::{Actor, Error, Result};
use crate::gate::{Client, Gate};

pub use http::router;
pub use stream::serve_stream;

use presence::Presence;
use tools::Toolbox;

/// How the door presents itself.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// List every operation as a tool of its own. Otherwise the most useful ones are listed and the
    /// others are found and called through `operation_list` and `operation_call`.
    pub all_tools: bool,
    /// Serve the fixtures that the protocol's conformance suites call, beside the operations.
    pub conformance_fixtures: bool,
}

/// What all connections share: the modern era makes a handler for each request, so that nothing
/// may live in one.
#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    gate: Gate,
    settings: Settings,
    /// Made for the first agent: most sessions of an operator have none for a while.
    toolbox: OnceLock<Toolbox>,
    presence: Presence,
    tasks: TaskManager,
    /// Who may ask about which task.
    task_owners: Mutex<HashMap<String, Actor>>,
    state: RequestStateCodec,
}

impl Core {
    pub fn new(gate: Gate, settings: Settings) -> Result<Self> {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).map_err(|e| Error::internal(format!("no random numbers: {e}")))?;
        let state = RequestStateCodec::try_new(key).map_err(Error::internal)?;
        Ok(Self {
            inner: Arc::new(Inner {
                gate,
                settings,
                toolbox: OnceLock::new(),
                presence: Presence::default(),
                tasks: TaskManager::new(),
                task_owners: Mutex::new(HashMap::new()),
                state,
            }),
        })
    }

    fn client(&self, actor: Actor) -> Client {
        self.inner.gate.client(actor)
    }

    fn toolbox(&self) -> &Toolbox {
        let inner = &self.inner;
        inner.toolbox.get_or_init(|| Toolbox::new(&inner.gate.catalogue(), inner.settings.all_tools))
    }
}

/// An agent's name as it gives it, made fit for lists and policies: letters, digits, `.`, `_`, `-`.
fn agent_name(raw: &str) -> String {
    let name: String = raw
        .trim()
        .chars()
        .take(40)
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "agent".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_name_is_made_harmless() {
        assert_eq!(agent_name("claude-code"), "claude-code");
        assert_eq!(agent_name(" Evil\x1b[2J agent "), "Evil--2J-agent");
        assert_eq!(agent_name("\u{202e}"), "agent");
        assert_eq!(agent_name(&"x".repeat(500)).len(), 40);
    }
}
