//! Effects: what panes asked for, done.

use super::{App, Background, Dirty, Outbound, Slot};
use crate::base::Result;
use crate::gate::{Reply, Request};
use crate::tui::effect::{Effect, Flash, PaneId, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::Pane;
use crate::tui::panes::editor::EditorPane;
use crate::tui::panes::{self, Opened};

/// How deep one can drill before the oldest pane (and its watch) is given up.
const DEEPEST: usize = 12;

/// Tells whether a text is the one that was edited last, without keeping it.
fn mark(text: &str) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

impl App {
    pub(super) fn perform(&mut self, owner: Option<PaneId>, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(owner, effect);
        }
    }

    fn perform_one(&mut self, owner: Option<PaneId>, effect: Effect) {
        match effect {
            Effect::Call { ticket, request } => self.executor.call(owner, ticket, request),
            Effect::Preview { ticket, request } => self.executor.preview(owner, ticket, request),
            Effect::Watch { ticket, request } => self.executor.watch(owner, ticket, request),
            Effect::Job { ticket, job } => self.executor.job(owner, ticket, job),
            Effect::Timer { ticket, after } => self.executor.timer(owner, ticket, after),
            Effect::Cancel(ticket) => self.executor.cancel(ticket),
            Effect::Hold(ticket, held) => self.executor.hold(ticket, held),
            Effect::Editor { ticket, text, suffix, line } => {
                self.session.editing = owner;
                if self.options.own_editor {
                    self.outbound.push_back(Outbound::Editor { ticket, text, suffix, line });
                } else {
                    let left = self.session.left.filter(|(left, _)| *left == mark(&text)).map(|(_, at)| at);
                    let at = line.map(|line| (line, 0)).or(left);
                    self.push_layer(Box::new(EditorPane::new(ticket, &text, suffix, at)));
                }
            }
            Effect::Edited { ticket, result, at } => {
                match (&result, &mut self.session.left) {
                    (Ok(Some(text)), left) => *left = Some((mark(text), at)),
                    (_, Some((_, left))) => *left = at,
                    (_, None) => {}
                }
                self.close(owner);
                self.edited(ticket, result);
            }
            // A form for what needs the terminal comes here as every other change does.
            Effect::Run { request, label } if self.is_to_talk(&request) => {
                self.talk(request, label);
            }
            Effect::Run { request, label } => self.run_in_background(request, label),
            Effect::Talk { request, label } => self.talk(request, label),
            Effect::Push(pane) => {
                self.hush_earlier();
                if let Some(pane) = self.push_beside(owner, pane) {
                    self.push(pane);
                }
            }
            Effect::Layer(pane) => self.push_layer(pane),
            Effect::Go(route) => self.go(owner, route),
            Effect::Close => self.close(owner),
            Effect::Command(line) => self.run_command(&line),
            Effect::Do(action) => self.act(&action),
            Effect::Flash(flash) => self.flash(flash),
            Effect::Copy(text) => self.outbound.push_back(Outbound::Copy(text)),
            Effect::Sorted { kind, column, descending } => self.sorted(&kind, &column, descending),
            Effect::Namespace(namespaces) => self.set_namespaces(namespaces),
            Effect::Clusters(clusters) => self.set_clusters(clusters),
            Effect::KnownClusters(known) => self.learn_clusters(known),
            Effect::ClusterSeen { cluster, up } => self.cluster_seen(&cluster, up),
            Effect::Quit => self.quit = true,
        }
    }

    /// Keeps how tables of a kind are sorted. That it cannot be written is said, and no more than that.
    fn sorted(&mut self, kind: &str, column: &str, descending: bool) {
        let Some(write) = self.shared.sorts.note(kind, column, descending) else { return };
        let ticket = self.next_ticket();
        let job = move || {
            if let Err(error) = write() {
                tracing::warn!(%error, "how tables are sorted could not be kept");
            }
            Box::new(()) as Box<dyn std::any::Any + Send>
        };
        self.executor.job(None, ticket, Box::new(job));
    }

    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn slot(&mut self, pane: Box<dyn Pane>) -> Slot {
        self.panes += 1;
        Slot { id: PaneId(self.panes), pane }
    }

    pub(super) fn push(&mut self, pane: Box<dyn Pane>) {
        let slot = self.slot(pane);
        let id = slot.id;
        self.flags.fullscreen = false;
        self.stack.push(slot);
        if self.stack.len() > DEEPEST {
            let oldest = self.stack.remove(0);
            self.executor.forget(oldest.id);
        }
        self.with(id, |pane, cx| pane.start(cx));
        self.soil(Dirty::Input);
    }

    /// Makes a pane the only one, as a command does.
    pub(super) fn replace(&mut self, pane: Box<dyn Pane>) {
        for slot in self.stack.drain(..) {
            self.executor.forget(slot.id);
        }
        self.push(pane);
    }

    pub(super) fn push_layer(&mut self, pane: Box<dyn Pane>) {
        let slot = self.slot(pane);
        let id = slot.id;
        self.layers.push(slot);
        self.with(id, |pane, cx| pane.start(cx));
        self.soil(Dirty::Input);
    }

    /// Goes to a place, in the tab of whoever asked for it.
    pub(super) fn go(&mut self, owner: Option<PaneId>, route: Route) {
        self.hush();
        match panes::open(route, &self.shared) {
            Ok(Opened::Pane(pane)) => {
                if let Some(pane) = self.push_beside(owner, pane) {
                    self.push(pane);
                }
            }
            Ok(Opened::Layer(pane)) => self.push_layer(pane),
            Err(error) => self.flash(Flash::error(&error)),
        }
    }

    /// Closes a pane or layer. The last pane stays: there is always something on the screen.
    pub(super) fn close(&mut self, id: Option<PaneId>) {
        let Some(id) = id else { return };
        if self.close_beside(id) {
            return self.soil(Dirty::Input);
        }
        if let Some(at) = self.layers.iter().position(|slot| slot.id == id) {
            self.layers.remove(at);
        } else if self.stack.len() > 1 {
            let Some(at) = self.stack.iter().position(|slot| slot.id == id) else { return };
            self.stack.remove(at);
            self.flags.fullscreen = false;
        } else {
            return;
        }
        self.executor.forget(id);
        if let Some(top) = self.top().map(|slot| slot.id) {
            self.with(top, |pane, cx| pane.resumed(cx));
        }
        self.soil(Dirty::Input);
    }

    pub(super) fn run_in_background(&mut self, request: Request, label: String) {
        let ticket = self.next_ticket();
        let plugin = (request.operation == "plugin_run")
            .then(|| request.arguments["plugin"].as_str().unwrap_or_default().to_owned());
        if Self::wants_terminal(&request) {
            self.lend_terminal(ticket, request);
        } else {
            self.executor.call(None, ticket, request);
        }
        self.background.insert(ticket, Background { label, since: self.clock.now(), plugin });
        self.soil(Dirty::Input);
    }

    /// Whether the reply was one of a change in the background.
    pub(super) fn finish_background(&mut self, ticket: Ticket, result: &Result<Reply>) -> bool {
        let Some(background) = self.background.remove(&ticket) else { return false };
        let flash = match result {
            Ok(Reply::Done { output, .. }) if background.plugin.is_some() => {
                self.plugin_ran(&background.label, &background.plugin.unwrap_or_default(), output)
            }
            Ok(Reply::Done { output, .. }) => {
                let took = self.clock.now().duration_since(background.since).as_millis();
                let flash = Flash::info(format!("{}: done in {took} ms", background.label));
                match output.get("equivalent").and_then(serde_json::Value::as_str) {
                    Some(same) => flash.next(same),
                    None => flash,
                }
            }
            Ok(Reply::Held(held)) => Flash::warning(format!("{} waits for a decision", background.label))
                .next(format!("{} F2 shows it.", held.reason)),
            Err(error) => {
                let mut flash = Flash::error(error);
                flash.text = format!("{}: {}", background.label, flash.text);
                flash
            }
        };
        self.flash(flash);
        true
    }
}
