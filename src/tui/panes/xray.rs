//! Objects with all that they own and need, as a tree: `space` folds, `x` folds or unfolds all, the other keys are for
//! the line under the cursor.

use std::collections::HashSet;
use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Value, json};

use super::change;
use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{LogTarget, Namespaces, ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::Shared;
use crate::tui::widgets::grid::Grid;

/// One tree.
pub struct Xray {
    kind: CompactString,
    /// Those that it reads, if not the current one.
    clusters: Vec<CompactString>,
    namespaces: Namespaces,
    nodes: Vec<Node>,
    folded: HashSet<usize>,
    /// What is shown is to be made anew.
    stale: bool,
    note: Option<String>,
    faults: u64,
}

struct Node {
    depth: usize,
    kind: CompactString,
    namespace: CompactString,
    name: CompactString,
    status: CompactString,
    fault: bool,
}

impl Node {
    /// The root of what one of several clusters has.
    fn is_cluster(&self) -> bool {
        self.kind == "cluster"
    }
}

pub fn pane(kind: CompactString, namespaces: Option<Namespaces>, shared: &Shared) -> TablePane<Xray> {
    let content = Xray {
        kind,
        clusters: shared.clusters.clone(),
        namespaces: namespaces.unwrap_or_else(|| shared.namespaces.clone()),
        nodes: Vec::new(),
        folded: HashSet::new(),
        stale: false,
        note: None,
        faults: 0,
    };
    TablePane::with(content, Grid::new(false, false).nameless())
}

impl Xray {
    /// The node under the cursor: the row's name is its number.
    fn at(&self, grid: &Grid) -> Option<usize> {
        grid.selected()?.key.name.parse().ok()
    }

    fn has_children(&self, at: usize) -> bool {
        self.nodes.get(at + 1).is_some_and(|next| next.depth > self.nodes[at].depth)
    }

    /// The object of a node; a container's is its pod, and a cluster is none.
    fn object(&self, mut at: usize) -> Option<ObjectRef> {
        while self.nodes.get(at)?.kind == "container" {
            at = at.checked_sub(1)?;
        }
        let node = self.nodes.get(at).filter(|node| !node.is_cluster())?;
        // Of several clusters each has a root, with its trees below it.
        let root = self.nodes[..at].iter().rfind(|node| node.is_cluster()).map(|root| &root.name);
        let cluster = root.or(self.clusters.first()).cloned().unwrap_or_default();
        Some(ObjectRef::new(cluster, node.kind.clone(), node.namespace.clone(), node.name.clone()))
    }

    fn table(&self) -> TableDelta {
        let columns = [
            Column::new("TREE", ColumnKind::Text).rank(0),
            Column::new("STATUS", ColumnKind::Status).rank(1),
        ];
        let are_several = self.nodes.first().is_some_and(Node::is_cluster);
        let mut upserts = Vec::new();
        let mut hidden: Option<usize> = None;
        for (i, node) in self.nodes.iter().enumerate() {
            if hidden.is_some_and(|depth| node.depth > depth) {
                continue;
            }
            let folded = self.folded.contains(&i);
            hidden = folded.then_some(node.depth);
            let sign = match (self.has_children(i), folded) {
                (true, true) => "▸",
                (true, false) => "▾",
                (false, _) => "·",
            };
            let kind = node.kind.split('.').next().unwrap_or(&node.kind);
            let is_root = node.depth == usize::from(are_several);
            let one = matches!(self.namespaces, Namespaces::One(_));
            let place = match node.namespace.as_str() {
                "" => String::new(),
                namespace if is_root && !one => format!("{namespace}/"),
                _ => String::new(),
            };
            let tree = format!("{}{sign} {kind} {place}{}", "  ".repeat(node.depth), node.name);
            let tone = if node.fault { Tone::Error } else { Tone::Normal };
            upserts.push(Arc::new(Row {
                key: RowKey::new("", "", format!("{i:06}")),
                cells: [Cell::text(tree), Cell::status(&node.status, tone)].into(),
                tone,
                uid: "".into(),
            }));
        }
        TableDelta { reset: true, columns: Some(columns.into()), upserts, ..TableDelta::default() }
    }

    fn fold(&mut self, grid: &Grid) {
        let Some(at) = self.at(grid).filter(|at| self.has_children(*at)) else { return };
        if !self.folded.remove(&at) {
            self.folded.insert(at);
        }
        self.stale = true;
    }

    fn fold_all(&mut self) {
        if self.folded.is_empty() {
            self.folded = (0..self.nodes.len()).filter(|at| self.has_children(*at)).collect();
        } else {
            self.folded.clear();
        }
        self.stale = true;
    }

    fn on_object(&self, name: &str, at: usize, cx: &mut Cx<'_>) {
        let Some(object) = self.object(at) else {
            return cx.flash(Flash::info("that is a cluster: its objects are in the lines below it"));
        };
        let is_container = self.nodes[at].kind == "container";
        match name {
            "enter" | "logs" | "logs_previous" if is_container => cx.go(Route::Logs(LogTarget {
                objects: vec![object],
                container: Some(self.nodes[at].name.clone()),
                previous: name == "logs_previous",
            })),
            "enter" if object.plural() == "pods" => cx.go(Route::Containers(object)),
            "logs" | "logs_previous" => {
                let previous = name == "logs_previous";
                cx.go(Route::Logs(LogTarget { objects: vec![object], container: None, previous }));
            }
            "enter" | "describe" => cx.go(Route::Text(TextKind::Describe, object)),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, object)),
            "edit" => cx.go(Route::Edit(object)),
            "events" => cx.go(Route::Events(object)),
            _ => match change::dialog("delete", &[object], None, None) {
                Ok(dialog) => cx.layer(dialog),
                Err(error) => cx.error(&error),
            },
        }
    }
}

impl Content for Xray {
    fn name(&self) -> &'static str {
        "xray"
    }

    fn scope(&self) -> String {
        let kind = self.kind.split('.').next().unwrap_or(&self.kind);
        format!("{kind}, {}", self.namespaces.label())
    }

    fn source(&self) -> Source {
        let mut arguments = json!({ "kind": self.kind });
        self.namespaces.put(&mut arguments);
        if !self.clusters.is_empty() {
            arguments["cluster"] = json!(self.clusters.join(","));
        }
        Source::Call(Request::new("xray_get", arguments))
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.clusters)
    }

    fn take_clusters(&mut self, clusters: &[CompactString]) -> bool {
        self.clusters = clusters.to_vec();
        true
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAME", false))
    }

    fn empty(&self) -> (String, String) {
        (format!("there are no {} here", self.kind), format!(":xray {} all shows every namespace", self.kind))
    }

    fn answered(&mut self, output: &Value) {
        let word = |node: &Value, key: &str| CompactString::new(node[key].as_str().unwrap_or_default());
        let node = |node: &Value| Node {
            depth: node["depth"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
            kind: word(node, "kind"),
            namespace: word(node, "namespace"),
            name: word(node, "name"),
            status: word(node, "status"),
            fault: node["fault"] == true,
        };
        self.nodes = output["nodes"].as_array().into_iter().flatten().map(node).collect();
        self.note = output["note"].as_str().map(str::to_owned);
        self.faults = output["faults"].as_u64().unwrap_or_default();
        self.folded.retain(|at| *at < self.nodes.len());
    }

    fn rows(&self, _output: &Value) -> TableDelta {
        self.table()
    }

    fn remade(&mut self) -> Option<TableDelta> {
        std::mem::take(&mut self.stale).then(|| self.table())
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        const OBJECT: [&str; 8] =
            ["enter", "logs", "logs_previous", "describe", "yaml", "edit", "events", "delete"];
        match action.name {
            "fold" => self.fold(grid),
            "fold_all" => self.fold_all(),
            "enter" if self.at(grid).is_some_and(|at| self.nodes[at].is_cluster()) => self.fold(grid),
            name if OBJECT.contains(&name) => match self.at(grid) {
                Some(at) => self.on_object(name, at, cx),
                None => cx.flash(Flash::info("there is no line under the cursor")),
            },
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn remark(&self, _: &Grid) -> Option<(String, bool)> {
        match (&self.note, self.faults) {
            (Some(note), _) => Some((note.clone(), true)),
            (None, 0) => None,
            (None, 1) => Some(("1 fault".to_owned(), true)),
            (None, n) => Some((format!("{n} faults"), true)),
        }
    }

    fn command(&self) -> Option<String> {
        Some(format!("xray {} {}", self.kind, self.namespaces.label()))
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: (!self.clusters.is_empty()).then(|| self.clusters.join(",")),
            kind: Some("xray".to_owned()),
            selected: self.at(grid).and_then(|at| self.object(at)).map(|object| object.arguments()),
            ..PaneFocus::default()
        }
    }
}
