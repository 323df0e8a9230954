//! Several kinds at once: every workload in one table, each row with its own keys; and the pulses, one row a kind.

use compact_str::CompactString;
use serde_json::json;

use super::change;
use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::RowKey;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{LogTarget, Namespaces, ObjectRef, Query, Route, TextKind, are_several};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::Shared;
use crate::tui::widgets::grid::Grid;

/// What both ask for.
struct Scope {
    clusters: Vec<CompactString>,
    namespaces: Namespaces,
}

impl Scope {
    fn of(shared: &Shared, namespaces: Option<Namespaces>) -> Self {
        let namespaces = namespaces.unwrap_or_else(|| shared.namespaces.clone());
        Self { clusters: shared.clusters.clone(), namespaces }
    }

    fn request(&self, operation: &str) -> Request {
        let mut arguments = json!({});
        self.namespaces.put(&mut arguments);
        if !self.clusters.is_empty() {
            arguments["cluster"] = json!(self.clusters.join(","));
        }
        Request::new(operation, arguments)
    }

    fn focus(&self, kind: &str) -> PaneFocus {
        PaneFocus {
            cluster: (!self.clusters.is_empty()).then(|| self.clusters.join(",")),
            namespace: match &self.namespaces {
                Namespaces::All => None,
                named => Some(named.label().to_owned()),
            },
            kind: Some(kind.to_owned()),
            ..PaneFocus::default()
        }
    }
}

/// The identifier of a kind by its singular, as the rows have it.
fn id(singular: &str) -> &'static str {
    match singular {
        "deployment" => "deployments.apps",
        "statefulset" => "statefulsets.apps",
        "daemonset" => "daemonsets.apps",
        "replicaset" => "replicasets.apps",
        "cronjob" => "cronjobs.batch",
        "job" => "jobs.batch",
        "node" | "cpu" | "memory" => "nodes",
        "namespace" => "namespaces",
        "persistentvolumeclaim" => "persistentvolumeclaims",
        "event" => "events",
        _ => "pods",
    }
}

/// Every workload.
pub struct Workloads(Scope);

pub fn workloads(shared: &Shared, namespaces: Option<Namespaces>) -> TablePane<Workloads> {
    let scope = Scope::of(shared, namespaces);
    let single = matches!(scope.namespaces, Namespaces::One(_));
    let several = are_several(&scope.clusters);
    TablePane::with(Workloads(scope), Grid::new(several, !single))
}

/// The object of a row whose name has the kind in front: `deployment/web`.
fn workload(key: &RowKey) -> Option<ObjectRef> {
    let (kind, name) = key.name.split_once('/')?;
    Some(ObjectRef::new(&*key.cluster, id(kind), key.namespace.clone(), name))
}

/// The keys of a table in which each row is an object of a kind of its own, which `object` tells.
pub(super) fn act_on(
    action: &Action,
    grid: &Grid,
    object: fn(&RowKey) -> Option<ObjectRef>,
    cx: &mut Cx<'_>,
) {
    let Some(current) = grid.selected().and_then(|row| object(&row.key)) else {
        return cx.flash(Flash::info("there is no row under the cursor"));
    };
    let chosen: Vec<ObjectRef> = grid.chosen().iter().filter_map(object).collect();
    match action.name {
        "describe" => cx.go(Route::Text(TextKind::Describe, current)),
        "yaml" => cx.go(Route::Text(TextKind::Yaml, current)),
        "edit" => cx.go(Route::Edit(current)),
        "events" => cx.go(Route::Events(current)),
        "logs" | "logs_previous" => {
            let previous = action.name == "logs_previous";
            cx.go(Route::Logs(LogTarget { objects: chosen, container: None, previous }));
        }
        "enter" => cx.go(current.in_its_table()),
        change => match change::dialog(change, &chosen, None, None) {
            Ok(dialog) => cx.layer(dialog),
            Err(error) => cx.error(&error),
        },
    }
}

impl Content for Workloads {
    fn name(&self) -> &'static str {
        "workloads"
    }

    fn scope(&self) -> String {
        self.0.namespaces.label().to_owned()
    }

    fn source(&self) -> Source {
        Source::Watch(self.0.request("workload_list"))
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.0.clusters)
    }

    fn take_clusters(&mut self, clusters: &[CompactString]) -> bool {
        self.0.clusters = clusters.to_vec();
        true
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAMESPACE", false))
    }

    fn empty(&self) -> (String, String) {
        ("nothing runs here".to_owned(), ":wk all shows every namespace".to_owned())
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        const OWN: [&str; 10] = [
            "enter",
            "describe",
            "yaml",
            "edit",
            "events",
            "logs",
            "logs_previous",
            "delete",
            "restart",
            "scale",
        ];
        if !OWN.contains(&action.name) {
            return Handled::No;
        }
        match grid.selected().and_then(|row| workload(&row.key)) {
            Some(object) if action.name == "enter" && object.plural() == "pods" => {
                cx.go(Route::Containers(object));
            }
            _ => act_on(action, grid, workload, cx),
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        Some(format!("workloads {}", self.0.namespaces.label()))
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let selected = grid.selected().and_then(|row| workload(&row.key)).map(|object| object.arguments());
        PaneFocus { selected, ..self.0.focus("workloads") }
    }
}

/// How many of each kind are well.
pub struct Pulses(Scope);

pub fn pulses(shared: &Shared) -> TablePane<Pulses> {
    TablePane::of(Pulses(Scope::of(shared, None)))
}

impl Content for Pulses {
    fn name(&self) -> &'static str {
        "pulse"
    }

    fn scope(&self) -> String {
        self.0.namespaces.label().to_owned()
    }

    fn source(&self) -> Source {
        Source::Watch(self.0.request("pulse_list"))
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.0.clusters)
    }

    fn take_clusters(&mut self, clusters: &[CompactString]) -> bool {
        self.0.clusters = clusters.to_vec();
        true
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("FAILING", true))
    }

    fn empty(&self) -> (String, String) {
        ("no kind could be counted".to_owned(), "Ctrl-r asks again".to_owned())
    }

    /// The kind under the cursor; its faults alone if there are any.
    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if action.name != "enter" {
            return Handled::No;
        }
        if let Some(row) = grid.selected() {
            cx.go(Route::Resources(Query {
                kind: id(&row.key.name).into(),
                clusters: self.0.clusters.clone(),
                namespaces: self.0.namespaces.clone(),
                ..Query::default()
            }));
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        Some("pulse".to_owned())
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let selected = grid.selected().map(|row| json!({ "kind": "pulse", "name": row.key.name }));
        PaneFocus { selected, ..self.0.focus("pulse") }
    }
}
