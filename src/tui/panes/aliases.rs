//! Every word that leads somewhere: the kinds of a cluster with their short names, and the commands. Enter goes there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::command::commands;
use crate::tui::effect::Cx;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::Shared;
use crate::tui::widgets::grid::Grid;

/// The words of one cluster.
pub struct Aliases {
    cluster: Option<String>,
}

pub fn pane(shared: &Shared) -> TablePane<Aliases> {
    TablePane::of(Aliases { cluster: shared.clusters.first().map(ToString::to_string) })
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("ALIASES", ColumnKind::Text).rank(0),
        Column::new("KIND", ColumnKind::Text).rank(1),
        Column::new("GROUP", ColumnKind::Text).rank(3),
        Column::new("VERSION", ColumnKind::Text).rank(4),
        Column::new("SCOPE", ColumnKind::Text).rank(2),
        Column::new("WHAT IT IS", ColumnKind::Text).rank(3),
    ]
    .into()
}

fn line(name: &str, uid: &str, texts: [&str; 6]) -> Arc<Row> {
    Arc::new(Row {
        key: RowKey::new("", uid, name),
        cells: texts.iter().map(|text| Cell::text(*text)).collect(),
        tone: Tone::Normal,
        uid: uid.into(),
    })
}

impl Content for Aliases {
    fn name(&self) -> &'static str {
        "aliases"
    }

    fn scope(&self) -> String {
        self.cluster.clone().unwrap_or_default()
    }

    fn source(&self) -> Source {
        let mut arguments = json!({ "limit": 100_000 });
        if let Some(cluster) = &self.cluster {
            arguments["cluster"] = json!(cluster);
        }
        Source::Call(Request::new("kind_list", arguments))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAME", false))
    }

    fn empty(&self) -> (String, String) {
        ("the server names no kinds".to_owned(), "Ctrl-r asks again".to_owned())
    }

    /// The kinds of the answer, and the commands, which are there whatever the answer says.
    fn rows(&self, output: &Value) -> TableDelta {
        let names: Vec<&str> =
            output["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let kinds = output["rows"].as_array().into_iter().flatten().map(|row| {
            let text = |name: &str| {
                let at = names.iter().position(|n| *n == name);
                at.and_then(|at| row[at].as_str()).unwrap_or_default()
            };
            let id = text("NAME");
            let (plural, group) = id.split_once('.').unwrap_or((id, ""));
            let short = text("SHORT").replace(',', ", ");
            line(plural, id, [&short, text("KIND"), group, text("VERSION"), text("SCOPE"), ""])
        });
        let commands = commands().map(|(words, what)| {
            let (first, others) = words.split_once(", ").unwrap_or((&words, ""));
            line(first, ":", [others, "", "", "", "command", what])
        });
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: kinds.chain(commands).collect(),
            ..TableDelta::default()
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if action.name != "enter" {
            return Handled::No;
        }
        if let Some(row) = grid.selected() {
            // A kind by its full name, which no other has; a command by its word.
            let line = if row.uid == ":" { row.key.name.as_str() } else { row.uid.as_str() };
            cx.command(line);
        }
        Handled::Yes
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: self.cluster.clone(),
            selected: grid.selected().map(|r| json!({ "kind": "alias", "name": r.key.name })),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_commands_stand_together_and_namesakes_of_two_groups_are_two() {
        let output = json!({
            "columns": ["NAME", "SHORT", "KIND", "VERSION", "SCOPE"],
            "rows": [
                ["deployments.apps", "deploy,dp", "Deployment", "v1", "namespace"],
                ["events", "ev", "Event", "v1", "namespace"],
                ["events.events.k8s.io", "ev", "Event", "v1", "namespace"],
            ],
        });
        let delta = Aliases { cluster: None }.rows(&output);
        let found = |name: &str| delta.upserts.iter().filter(|r| r.key.name == name).count();
        assert_eq!((found("deployments"), found("events"), found("audit")), (1, 2, 1));
        let deploy = delta.upserts.iter().find(|r| r.key.name == "deployments").unwrap();
        assert_eq!(deploy.cells[0], Cell::text("deploy, dp"));
        assert_eq!(deploy.cells[2], Cell::text("apps"));
    }
}
