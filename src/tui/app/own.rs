//! A person's own setup: read for the context in view, made into keys; hotkeys and plugins done.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Value, json};

use super::{App, Dirty, Outbound};
use crate::base::Result;
use crate::gate::{Effect as Weight, Reply, Request};
use crate::tui::effect::{Flash, Ticket};
use crate::tui::keymap::Keymap;
use crate::tui::object::Namespaces;
use crate::tui::panes::change::{ConfirmPane, Step};
use crate::tui::panes::form::FormPane;
use crate::tui::panes::text::TextPane;
use crate::tui::user::{self, Setup};

/// A longer output of a plugin is a page, not a message.
const MESSAGE: usize = 160;

impl App {
    /// Asks what the person's files say for the context in view.
    pub(super) fn read_setup(&mut self) {
        if self.shared.has_operation("k9s_show") {
            let ticket = self.next_ticket();
            let request = Request::new("k9s_show", self.cluster_argument());
            self.executor.call(None, ticket, request);
            self.session.setup = Some(ticket);
        }
    }

    /// Takes what they say.
    pub(super) fn take_setup(&mut self, answer: Value) {
        let first = self.shared.user.answer.is_null();
        self.shared.user = Arc::new(Setup::of(answer));
        let settings = self.shared.user.settings.clone();
        for name in
            settings.favourites.iter().filter(|name| !matches!(name.as_str(), "all" | "" | "*")).take(9)
        {
            let name = CompactString::new(name);
            if !self.shared.favourites.contains(&name) && self.shared.favourites.len() < 9 {
                self.shared.favourites.push(name);
            }
        }
        if let Some(skin) = settings.skin.filter(|_| self.options.theme.is_none()) {
            self.load_theme(&skin);
        }
        // As in k9s it is the screen that offers no change; the session's own --readonly binds every door.
        self.shared.read_only =
            self.options.read_only || (settings.read_only == Some(true) && !self.options.write);
        if first {
            self.flags.crumbs &= settings.crumbsless != Some(true);
            self.open_as_set(settings.default_view, settings.namespace);
            if settings.full_screen == Some(true) {
                self.flags.fullscreen = true;
            }
        }
        let clashes = self.lay_own_keys();
        if first && (!self.shared.user.problems.is_empty() || !clashes.is_empty()) {
            let count = self.shared.user.problems.len() + clashes.len();
            self.flash(
                Flash::info(format!("k9s' files: {}", self.shared.user.found))
                    .next(format!(":k9s shows {count} {}.", if count == 1 { "remark" } else { "remarks" })),
            );
        }
        self.every_pane(|pane, cx| pane.set_up(cx));
        self.soil(Dirty::Everything);
    }

    /// Opens with the view and the namespace that the files say, where nobody has said otherwise yet.
    fn open_as_set(&mut self, view: Option<String>, namespace: Option<String>) {
        if self.options.command.is_some() || self.places.len() > 1 {
            return;
        }
        let namespace = namespace.filter(|n| self.options.namespace.is_none() && !n.is_empty());
        if let Some(namespace) = &namespace {
            self.set_namespaces(Namespaces::parse(namespace));
        }
        if view.is_some() || namespace.is_some() {
            self.run_command(view.as_deref().unwrap_or("pods"));
        }
    }

    /// The chosen keymap with the person's own keys over and under it. Gives the keys that are in each other's way.
    pub(super) fn lay_own_keys(&mut self) -> Vec<String> {
        let mut keymap: Keymap = (*self.keymap).clone();
        let clashes = user::lay_keys(&mut keymap, &self.shared);
        self.shared.keymap = Arc::new(keymap);
        self.session.clashes.clone_from(&clashes);
        clashes
    }

    /// `:k9s`: what was found, and what cannot be used.
    pub(super) fn show_setup(&mut self) {
        let setup = &self.shared.user;
        let mut lines = vec![setup.found.clone(), String::new()];
        for problem in &setup.problems {
            let line = problem.line.map(|n| format!(":{n}")).unwrap_or_default();
            lines.push(format!("{}{line}: {}", problem.file, problem.what));
        }
        lines.extend(self.session.clashes.iter().cloned());
        let mut rest = setup.answer.clone();
        if let Some(map) = rest.as_object_mut() {
            map.retain(|key, _| !matches!(key.as_str(), "found" | "problems"));
        }
        let text = serde_yaml_ng::to_string(&rest).unwrap_or_default();
        let text = format!("{}\n\n{text}", lines.join("\n"));
        self.push(Box::new(TextPane::fixed("k9s", "k9s' files", text)));
    }

    /// A hotkey: a command line, with the row's words in it.
    pub(super) fn hot_key(&mut self, id: &str) {
        let setup = self.shared.user.clone();
        let Some(hot_key) = setup.hot_keys.iter().find(|h| h.id == id) else { return };
        let mut line = hot_key.command.clone();
        for (name, value) in self.words_of_row() {
            line = line.replace(&format!("${{{name}}}"), &value);
            line = line.replace(&format!("${name}"), &value);
        }
        if hot_key.keep_history {
            self.run_command_above(&line);
        } else {
            self.run_command(&line);
        }
    }

    /// What `$NAME` and its like are in a hotkey, the longer names first.
    fn words_of_row(&self) -> Vec<(String, String)> {
        let Some(slot) = self.top() else { return Vec::new() };
        let focus = slot.pane.focus();
        let of = |name: &str| {
            focus.selected.as_ref().and_then(|s| s[name].as_str()).unwrap_or_default().to_owned()
        };
        let namespace = match (of("namespace"), &focus.namespace) {
            (own, _) if !own.is_empty() => own,
            (_, Some(namespace)) => namespace.clone(),
            _ => "all".to_owned(),
        };
        let context = focus.cluster.clone().or(self.shared.clusters.first().map(ToString::to_string));
        let mut words: Vec<(String, String)> = [
            ("RESOURCE_NAME", focus.kind.clone().unwrap_or_default()),
            ("NAMESPACE", namespace),
            ("CONTEXT", context.unwrap_or_default()),
            ("FILTER", focus.filter.unwrap_or_default()),
            ("NAME", of("name")),
            ("POD", of("name")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        words.extend(
            slot.pane.cells(self.now()).into_iter().map(|(name, value)| (format!("COL-{name}"), value)),
        );
        words.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        words
    }

    /// A plugin on the row under the cursor: asks for what it needs, confirms if it wants that, and runs it.
    pub(super) fn plugin(&mut self, id: &str) {
        let setup = self.shared.user.clone();
        let Some(plugin) = setup.plugin(id) else { return };
        let Some(request) = self.plugin_request(id, !plugin.background) else {
            self.flash(Flash::info("there is no row under the cursor for the plugin to run on"));
            return;
        };
        let step = Step { request, label: plugin.description.clone() };
        if !plugin.inputs.is_empty() {
            self.push_layer(Box::new(FormPane::plugin(plugin, step)));
        } else if plugin.confirm {
            self.push_layer(Box::new(ConfirmPane::new(Weight::Change, vec![step])));
        } else {
            self.run_in_background(step.request, step.label);
        }
    }

    fn plugin_request(&self, id: &str, terminal: bool) -> Option<Request> {
        let slot = self.stack.last()?;
        let focus = slot.pane.focus();
        let selected = focus.selected?;
        let mut arguments = json!({ "plugin": id, "terminal": terminal });
        for name in ["cluster", "namespace", "kind", "name"] {
            if let Some(value) = selected[name].as_str().filter(|value| !value.is_empty()) {
                arguments[name] = json!(value);
            }
        }
        // A cluster's row is about the cluster itself, and no object in one.
        if selected["kind"] == "cluster" {
            arguments.as_object_mut()?.remove("kind");
        }
        if let Some(container) = selected["field"].as_str().and_then(|f| f.strip_prefix("containers/")) {
            arguments["container"] = json!(container);
        }
        if let Some(filter) = focus.filter.filter(|f| !f.is_empty()) {
            arguments["filter"] = json!(filter);
        }
        if let (Namespaces::One(namespace), Value::Null) = (&self.shared.namespaces, &arguments["namespace"])
        {
            arguments["namespace"] = json!(namespace);
        }
        let cells = slot.pane.cells(self.now());
        let columns: Vec<String> = cells.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        arguments["columns"] = json!(columns);
        Some(Request::new("plugin_run", arguments))
    }

    /// A plugin that takes the terminal is the terminal owner's to run.
    pub(super) fn wants_terminal(request: &Request) -> bool {
        request.operation == "plugin_run" && request.arguments["terminal"] == Value::Bool(true)
    }

    pub(super) fn lend_terminal(&mut self, ticket: Ticket, request: Request) {
        self.outbound.push_back(Outbound::Terminal { ticket, request });
    }

    /// The command that had the terminal has ended.
    pub fn returned(&mut self, ticket: Ticket, result: Result<Reply>) {
        self.finish_background(ticket, &result);
        self.soil(Dirty::Everything);
    }

    /// What to say of a plugin that has run; a page where its output is one.
    pub(super) fn plugin_ran(&mut self, label: &str, id: &str, output: &Value) -> Flash {
        let text = output["output"].as_str().unwrap_or_default().trim_end();
        let code = output["exit_code"].as_i64().unwrap_or_default();
        let overwrite = self.shared.user.plugin(id).is_some_and(|p| p.overwrite_output);
        let short = text.len() <= MESSAGE && !text.contains('\n');
        if !short {
            let title = format!("{label}: {}", output["command"].as_str().unwrap_or_default());
            self.push(Box::new(TextPane::fixed("output", title, text.to_owned())));
        }
        let said = if short { text } else { "" };
        match (code, overwrite, said) {
            (0, true, said) if !said.is_empty() => Flash::info(said),
            (0, _, "") => Flash::info(format!("{label}: done")),
            (0, _, said) => Flash::info(format!("{label}: done: {said}")),
            (code, _, said) => {
                let flash = Flash::warning(format!("{label}: ended with {code}"));
                if said.is_empty() { flash } else { flash.next(said) }
            }
        }
    }
}
