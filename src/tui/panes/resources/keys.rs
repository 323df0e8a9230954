//! The keys of a table of objects, beyond moving and sorting.

use compact_str::CompactString;
use serde_json::json;

use super::Resources;
use crate::gate::{Effect, Request};
use crate::rows::Cell;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{GitOps, LogTarget, Namespaces, ObjectRef, Query, Route, TextKind};
use crate::tui::pane::{Handled, Pane as _};
use crate::tui::panes::change::{ConfirmPane, ImagePane, Step};
use crate::tui::panes::forward::ForwardPane;
use crate::tui::panes::talk::{self, Want};
use crate::tui::panes::text::TextPane;
use crate::tui::panes::{change, save};

impl Resources {
    pub(super) fn key(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => self.enter(cx),
            "back" => return self.clear_filter(cx),
            "refresh" => {
                self.watch(cx);
                cx.flash(Flash::info("read again"));
            }
            "yaml" => self.go_to_one(cx, |object| Route::Text(TextKind::Yaml, object)),
            "describe" => self.go_to_one(cx, |object| Route::Text(TextKind::Describe, object)),
            "diff" => self.go_to_one(cx, |object| Route::Text(TextKind::Diff, object)),
            "timeline" => self.go_to_one(cx, Route::Changes),
            "edit" => self.go_to_one(cx, |object| match object.is_secret() {
                true => Route::EditValues(object),
                false => Route::Edit(object),
            }),
            "events" => self.go_to_one(cx, Route::Events),
            "logs" | "logs_previous" => self.logs(action.name == "logs_previous", cx),
            "delete" | "kill" | "restart" | "scale" | "cordon" | "uncordon" | "trigger" | "rollback"
            | "resume" | "reconcile" | "sync" | "prune" | "terminate" | "approve" | "deny" => {
                self.change(action.name, cx);
            }
            "suspend" if GitOps::of(&self.query.kind).is_some() => self.change("suspend", cx),
            "suspend" => self.suspend(cx),
            "options" => self.options(cx),
            "out_of_sync" => self.go_to_one(cx, |object| Route::Text(TextKind::OutOfSync, object)),
            "drain" => self.drain(cx),
            "image" => match self.object() {
                Some(object) => cx.layer(Box::new(ImagePane::new(object))),
                None => nothing(cx),
            },
            "sanitize" => self.sanitize(cx),
            "rules" => self.go_to_one(cx, rules),
            "explain" => self.go_to_one(cx, Route::Explain),
            "used_by" => self.go_to_one(cx, Route::References),
            "notify" => self.notify(cx),
            "bundle" => self.bundle(cx),
            "adjacent" => self.go_to_one(cx, Route::Adjacent),
            "links" => self.go_to_one(cx, Route::Links),
            "history" if GitOps::of(&self.query.kind).is_some() => self.go_to_one(cx, Route::Synced),
            "history" => self.go_to_one(cx, Route::Revisions),
            "replica_sets" => self.replica_sets(cx),
            "forward" => match self.object() {
                Some(object) => cx.layer(Box::new(ForwardPane::new(object))),
                None => nothing(cx),
            },
            "debug" | "transfer" => self.form(action.name, cx),
            "forwards" => cx.go(Route::Forwards(self.object())),
            "shell" | "attach" => self.talk(action.name, cx),
            "favourite" => self.favourite(&action.words, cx),
            "warp" => self.warp(cx),
            "node" => self.node(cx),
            "save" => self.save(cx),
            "decode" => self.decode(cx),
            "owner" => self.owner(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    /// Esc: first the filter, then faults only, then the marks; then the pane itself.
    fn clear_filter(&mut self, cx: &mut Cx<'_>) -> Handled {
        if !self.filter.is_empty() {
            // An empty filter is always understood.
            let _ = self.filter_changed("", true, cx);
        } else if self.grid.faults_only() {
            self.grid.toggle_faults(cx);
        } else {
            return Handled::No;
        }
        Handled::Yes
    }

    fn go_to_one(&self, cx: &mut Cx<'_>, route: impl FnOnce(ObjectRef) -> Route) {
        match self.object() {
            Some(object) => cx.go(route(object)),
            None => nothing(cx),
        }
    }

    fn logs(&self, previous: bool, cx: &mut Cx<'_>) {
        let objects = self.objects();
        if objects.is_empty() {
            return nothing(cx);
        }
        cx.go(Route::Logs(LogTarget { objects, container: None, previous }));
    }

    fn change(&self, action: &str, cx: &mut Cx<'_>) {
        let objects = self.objects();
        if objects.is_empty() {
            return nothing(cx);
        }
        match change::dialog(action, &objects, self.replicas(), self.left_out()) {
            Ok(dialog) => cx.layer(dialog),
            Err(error) => cx.error(&error),
        }
    }

    /// Has the state of the marked objects, or of the one under the cursor, told when it changes.
    fn notify(&self, cx: &mut Cx<'_>) {
        /// More would ring for a while.
        const MOST: usize = 20;
        let objects = self.objects();
        if objects.is_empty() {
            return nothing(cx);
        }
        if objects.len() > MOST {
            let flash = Flash::warning(format!(
                "{} rows are marked, and {MOST} can be watched at once",
                objects.len()
            ));
            return cx.flash(flash.next("Ctrl-\\ clears the marks."));
        }
        for object in objects {
            let label = format!("watch {} {}", object.plural(), object.name);
            cx.run(Request::new("notice_create", object.arguments()), label);
        }
    }

    /// What of the marked rows cannot be among the objects of a change.
    fn left_out(&self) -> Option<String> {
        match self.grid.gone_marks() {
            0 => None,
            1 => Some("1 marked row is gone: left out".to_owned()),
            n => Some(format!("{n} marked rows are gone: left out")),
        }
    }

    /// The dialog of a drain, filled with what is asked for nearly always.
    fn drain(&self, cx: &mut Cx<'_>) {
        let objects = self.objects();
        if objects.is_empty() {
            return nothing(cx);
        }
        cx.go(Route::FormAbout {
            operation: "node_drain".to_owned(),
            objects,
            arguments: json!({ "ignore_daemonsets": true, "timeout": 600 }),
            left_out: self.left_out(),
        });
    }

    /// The form of the verb that has options: how Flux is to reconcile, what Argo CD is to sync to.
    fn options(&self, cx: &mut Cx<'_>) {
        let operation = match GitOps::of(&self.query.kind) {
            Some(GitOps::Flux) => "flux_reconcile",
            Some(GitOps::Argo) => "argo_sync",
            None => return cx.flash(Flash::info("there is nothing to choose here")),
        };
        let objects = self.objects();
        if objects.is_empty() {
            return nothing(cx);
        }
        cx.go(Route::FormAbout {
            operation: operation.to_owned(),
            objects,
            arguments: json!({}),
            left_out: self.left_out(),
        });
    }

    /// The removal of the pods that are over, among those that the table shows.
    fn sanitize(&self, cx: &mut Cx<'_>) {
        if let Namespaces::Several(set) = &self.query.namespaces {
            // All of them would be more than what is seen.
            let flash =
                Flash::warning(format!("{set} are several namespaces, and this is done in one, or in all"));
            return cx.flash(flash.next("w goes to the row's namespace, 0 shows all."));
        }
        let clusters: Vec<CompactString> =
            if self.query.clusters.is_empty() { vec!["".into()] } else { self.query.clusters.clone() };
        let step = |cluster: CompactString| {
            let mut arguments = json!({});
            self.query.namespaces.put(&mut arguments);
            if !cluster.is_empty() {
                arguments["cluster"] = json!(cluster);
            }
            if let Some(labels) = self.labels() {
                arguments["labels"] = json!(labels);
            }
            let label = format!("sanitize pods of {}", self.query.namespaces.label());
            Step { request: Request::new("pod_sanitize", arguments), label }
        };
        let steps = clusters.into_iter().map(step).collect();
        cx.layer(Box::new(ConfirmPane::new(Effect::Destroy, steps)));
    }

    /// A cron job that is suspended goes on again; marked ones follow the one under the cursor.
    fn suspend(&self, cx: &mut Cx<'_>) {
        let suspended = self
            .grid
            .selected()
            .and_then(|row| self.grid.cell_text(row, "SUSPEND", cx.now))
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        self.change(if suspended { "resume" } else { "suspend" }, cx);
    }

    fn form(&self, action: &str, cx: &mut Cx<'_>) {
        match self.object() {
            Some(pod) => cx.go(talk::form(action, &pod, None, &cx.shared.user.settings)),
            None => nothing(cx),
        }
    }

    /// A shell in a pod, or its own process: the containers are asked for first. On a node: what pod to make for it.
    fn talk(&mut self, action: &str, cx: &mut Cx<'_>) {
        if let Some(node) = self.object().filter(|o| o.plural() == "nodes") {
            return cx.go(talk::form("node_shell", &node, None, &cx.shared.user.settings));
        }
        match (self.object(), Want::of(action)) {
            (Some(pod), Some(want)) => {
                let ticket = cx.call(talk::containers(&pod));
                self.choosing = Some((ticket, want, pod));
            }
            _ => nothing(cx),
        }
    }

    /// How many replicas the row under the cursor has now, from its columns.
    fn replicas(&self) -> Option<u32> {
        let row = self.grid.selected()?;
        let columns = self.grid.table().columns();
        let cell = |name: &str| columns.iter().position(|c| c.name == name).and_then(|i| row.cells.get(i));
        match (cell("READY"), cell("DESIRED")) {
            (Some(Cell::Ratio(_, wanted)), _) => Some(*wanted),
            (_, Some(Cell::Number(wanted))) => u32::try_from(*wanted).ok(),
            (Some(Cell::Text(text)), _) => text.rsplit('/').next()?.parse().ok(),
            _ => None,
        }
    }

    /// 0 is every namespace, 1 to 9 are the last ones used.
    fn favourite(&mut self, words: &str, cx: &mut Cx<'_>) {
        let number: usize = words.parse().unwrap_or(0);
        let namespaces = match number.checked_sub(1) {
            None => Namespaces::All,
            Some(i) => match cx.shared.favourites.get(i) {
                Some(name) => Namespaces::parse(name),
                None => {
                    cx.flash(
                        Flash::info(format!("no namespace is on the key {number} yet"))
                            .next(":ns NAME goes to one, and puts it on a key."),
                    );
                    return;
                }
            },
        };
        self.go_to_namespaces(namespaces, cx);
    }

    fn go_to_namespaces(&mut self, namespaces: Namespaces, cx: &mut Cx<'_>) {
        cx.namespace(namespaces.clone());
        if !self.namespaced {
            return;
        }
        let query = Query {
            namespaces,
            origin: None,
            owner: None,
            select: None,
            filter: Some(self.filter.clone()),
            ..self.query.clone()
        };
        let next = Resources::new(query, cx.shared);
        let old = std::mem::replace(self, next);
        if let Some(ticket) = old.watching {
            cx.cancel(ticket);
        }
        self.start(cx);
    }

    fn warp(&mut self, cx: &mut Cx<'_>) {
        let namespace = self.grid.selected().map(|row| row.key.namespace.clone());
        match namespace.filter(|n| !n.is_empty()) {
            Some(namespace) => self.go_to_namespaces(Namespaces::One(namespace), cx),
            None => cx.flash(Flash::info("this row has no namespace")),
        }
    }

    /// From a pod to its node.
    fn node(&self, cx: &mut Cx<'_>) {
        let Some(row) = self.grid.selected() else { return nothing(cx) };
        let node =
            self.grid.cell_text(row, "NODE", cx.now).filter(|n| !n.is_empty() && *n != "–" && *n != "<none>");
        match node {
            Some(name) => cx.go(Route::Resources(Query {
                kind: "nodes".into(),
                clusters: if row.key.cluster.is_empty() {
                    Vec::new()
                } else {
                    vec![(*row.key.cluster).into()]
                },
                select: Some(crate::rows::RowKey::new(row.key.cluster.clone(), "", &name)),
                ..Query::default()
            })),
            None => cx.flash(Flash::info("this row names no node")),
        }
    }

    /// The values of a Secret, for the eyes at this screen.
    fn decode(&self, cx: &mut Cx<'_>) {
        match self.object() {
            Some(object) if object.plural() == "secrets" => cx.push(Box::new(TextPane::decoded(object))),
            Some(object) => cx.flash(Flash::info(format!("{} hold nothing to decode", object.plural()))),
            None => nothing(cx),
        }
    }

    fn save(&mut self, cx: &mut Cx<'_>) {
        let name = format!("{}-{}", self.plural(), self.query.namespaces.label());
        self.saving = Some(save::csv(&name, self.grid.csv(cx.now), self.grid.shown(), cx));
    }
}

/// What a service account may do, or what a role or binding gives.
fn rules(object: ObjectRef) -> Route {
    let subject = match object.plural() {
        "clusterroles" => format!("cr:{}", object.name),
        "clusterrolebindings" => format!("crb:{}", object.name),
        "roles" => format!("r:{}:{}", object.namespace, object.name),
        "rolebindings" => format!("rb:{}:{}", object.namespace, object.name),
        _ => format!("s:{}:{}", object.namespace, object.name),
    };
    Route::Rules { cluster: Some(object.cluster).filter(|c| !c.is_empty()), subject: Some(subject) }
}

pub(super) fn nothing(cx: &mut Cx<'_>) {
    cx.flash(Flash::info("there is no row under the cursor"));
}
