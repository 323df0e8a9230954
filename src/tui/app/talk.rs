//! Calls that are given the terminal.

use super::{App, Background, Dirty, Outbound};
use crate::base::{Code, Error, Result};
use crate::gate::{Interaction, Reply, Request};
use crate::tui::effect::{Flash, Ticket};

impl App {
    /// Starts a call; the terminal is its once it has something to show. What fails before that is said here.
    pub(super) fn talk(&mut self, request: Request, label: String) {
        let ticket = self.next_ticket();
        self.executor.talk(ticket, request);
        self.background.insert(ticket, Background { label, since: self.clock.now(), plugin: None });
        self.soil(Dirty::Input);
    }

    /// Whether a call is given the terminal: always, or because it says so.
    pub(super) fn is_to_talk(&self, request: &Request) -> bool {
        let asks = request.arguments.get("tty") == Some(&serde_json::Value::Bool(true));
        asks || self.shared.needs_terminal(&request.operation)
    }

    /// A call has something to show.
    pub(super) fn ready_to_talk(&mut self, ticket: Ticket, interaction: Interaction) {
        let Some(background) = self.background.get(&ticket) else { return };
        let label = background.label.clone();
        self.talks.insert(ticket, interaction);
        self.outbound.push_back(Outbound::Talk { ticket, label });
    }

    /// The call that is to have the terminal.
    pub fn take_talk(&mut self, ticket: Ticket) -> Option<Interaction> {
        self.talks.remove(&ticket)
    }

    /// The terminal is ours again.
    pub fn talked(&mut self, ticket: Ticket, result: &Result<Reply>) {
        let label = self.background.remove(&ticket).map(|b| b.label).unwrap_or_default();
        let flash = match result {
            Ok(Reply::Done { output, .. }) => match output["exit_code"].as_i64() {
                Some(0) | None => Flash::info(format!("{label}: ended")),
                Some(code) => Flash::info(format!("{label}: ended with {code}")),
            },
            Ok(Reply::Held(held)) => Flash::warning(format!("{label}: {}", held.reason)),
            Err(Error { code: Code::Cancelled, message, .. }) => Flash::info(format!("{label}: {message}")),
            Err(error) => {
                let mut flash = Flash::error(error);
                flash.text = format!("{label}: {}", flash.text);
                flash
            }
        };
        self.flash(flash);
        self.soil(Dirty::Everything);
    }
}
