//! Rights: the users, groups and service accounts that bindings name, and what each may do.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::Cx;
use crate::tui::object::Route;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::Shared;
use crate::tui::widgets::grid::Grid;

/// The texts of an answer's rows.
fn texts(output: &Value) -> impl Iterator<Item = Vec<&str>> {
    let rows = output["rows"].as_array().into_iter().flatten();
    rows.map(|row| row.as_array().into_iter().flatten().map(|t| t.as_str().unwrap_or_default()).collect())
}

/// Users or groups.
pub struct Subjects {
    cluster: Option<CompactString>,
    /// `user` or `group`.
    kind: &'static str,
}

pub fn subjects(kind: &'static str, shared: &Shared) -> TablePane<Subjects> {
    TablePane::of(Subjects { cluster: shared.clusters.first().cloned(), kind })
}

impl Content for Subjects {
    fn name(&self) -> &'static str {
        if self.kind == "user" { "users" } else { "groups" }
    }

    fn source(&self) -> Source {
        let mut arguments = json!({ "kind": self.kind });
        if let Some(cluster) = &self.cluster {
            arguments["cluster"] = json!(cluster);
        }
        Source::Call(Request::new("subject_list", arguments))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAME", false))
    }

    fn empty(&self) -> (String, String) {
        (format!("no binding names a {}", self.kind), ":can shows what you may do yourself".to_owned())
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let columns = [
            Column::new("BINDINGS", ColumnKind::Number).rank(1),
            Column::new("ROLES", ColumnKind::Text).rank(2),
        ];
        let row = |row: Vec<&str>| {
            let text = |at: usize| row.get(at).copied().unwrap_or_default();
            let count = text(2).parse().map_or(Cell::Unknown, Cell::Number);
            Arc::new(Row {
                key: RowKey::new("", "", text(1)),
                cells: [count, Cell::text(text(3))].into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        };
        TableDelta {
            reset: true,
            columns: Some(columns.into()),
            upserts: texts(output).map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if action.name != "enter" {
            return Handled::No;
        }
        if let Some(row) = grid.selected() {
            let letter = self.kind.chars().next().unwrap_or('u');
            cx.go(Route::Rules {
                cluster: self.cluster.clone(),
                subject: Some(format!("{letter}:{}", row.key.name)),
            });
        }
        Handled::Yes
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: self.cluster.as_ref().map(ToString::to_string),
            selected: grid.selected().map(|r| json!({ "kind": self.kind, "name": r.key.name })),
            ..PaneFocus::default()
        }
    }
}

/// Whether it is written as a role or a binding is: `cr:edit`.
fn is_role(subject: &str) -> bool {
    let kind = subject.split(':').next().unwrap_or_default();
    matches!(
        kind,
        "r" | "ro" | "role" | "rb" | "rolebinding" | "cr" | "clusterrole" | "crb" | "clusterrolebinding"
    )
}

/// What somebody may do, or a role's rules; without a subject, whoever sits here.
pub struct Rules {
    cluster: Option<CompactString>,
    subject: Option<String>,
    note: Option<String>,
}

pub fn rules(cluster: Option<CompactString>, subject: Option<String>) -> TablePane<Rules> {
    TablePane::with(Rules { cluster, subject, note: None }, Grid::new(false, true))
}

impl Content for Rules {
    fn name(&self) -> &'static str {
        "rules"
    }

    fn scope(&self) -> String {
        self.subject.clone().unwrap_or_else(|| "you".to_owned())
    }

    fn source(&self) -> Source {
        let mut arguments = json!({});
        for (field, value) in [("cluster", self.cluster.as_deref()), ("subject", self.subject.as_deref())] {
            if let Some(value) = value {
                arguments[field] = json!(value);
            }
        }
        Source::Call(Request::new("subject_rules", arguments))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAMESPACE", false))
    }

    fn empty(&self) -> (String, String) {
        let what = match &self.subject {
            Some(role) if is_role(role) => {
                let next = "y in the table of roles shows it whole; an aggregated role's rules are gathered by the cluster";
                return (format!("{role} has no rules"), next.to_owned());
            }
            Some(subject) => format!("no binding gives {subject} any right"),
            None => "the server says that you may do nothing here".to_owned(),
        };
        (what, ":usr and :grp list whom bindings name".to_owned())
    }

    fn answered(&mut self, output: &Value) {
        self.note = output["note"].as_str().map(str::to_owned);
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let names = output["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).skip(2);
        // The verbs' columns stay longest: they are what one looks for.
        let columns = names.map(|name| {
            Column::new(name, ColumnKind::Text).rank(if name == "API-GROUP" || name == "BY" { 3 } else { 1 })
        });
        let row = |(number, row): (usize, Vec<&str>)| {
            let text = |at: usize| row.get(at).copied().unwrap_or_default();
            let every = row.iter().skip(3).filter(|t| **t == "✓").count() == 8;
            Arc::new(Row {
                key: RowKey::new(format!("{number}"), text(0), text(1)),
                cells: row.iter().skip(2).map(|t| Cell::text(*t)).collect(),
                tone: if every { Tone::Highlight } else { Tone::Normal },
                uid: number.to_string().into(),
            })
        };
        TableDelta {
            reset: true,
            columns: Some(columns.collect()),
            upserts: texts(output).enumerate().map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn act(&mut self, _action: &Action, _grid: &Grid, _cx: &mut Cx<'_>) -> Handled {
        Handled::No
    }

    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        self.note.clone().map(|note| (note, false))
    }

    fn command(&self) -> Option<String> {
        Some(match &self.subject {
            Some(subject) => format!("can {subject}"),
            None => "can".to_owned(),
        })
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: self.cluster.as_ref().map(ToString::to_string),
            selected: grid.selected().map(|r| json!({ "kind": "rule", "name": r.key.name })),
            ..PaneFocus::default()
        }
    }
}
