//! What an application of Argo CD was synced to, the newest on top. `u` goes back to an entry.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::bus::{CallPhase, Event};
use crate::gate::{Effect, Request};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// The history of one application.
pub struct Synced {
    app: ObjectRef,
    entries: Vec<Value>,
}

pub fn synced(app: ObjectRef) -> TablePane<Synced> {
    TablePane::with(Synced { app, entries: Vec::new() }, Grid::new(false, false).nameless())
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("ID", ColumnKind::Number).rank(0),
        Column::new("CURRENT", ColumnKind::Status).rank(1),
        Column::new("REVISION", ColumnKind::Text).rank(0),
        Column::new("SOURCE", ColumnKind::Text).rank(2),
        Column::new("BY", ColumnKind::Text).rank(2),
        Column::new("AGE", ColumnKind::Age).rank(1),
    ]
    .into()
}

fn row(entry: &Value) -> Arc<Row> {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    let at = text("deployed_at").parse::<Timestamp>().map_or(Cell::Unknown, |at| Cell::Time(at.as_second()));
    let id = entry["id"].as_i64().unwrap_or_default();
    Arc::new(Row {
        key: RowKey::new("", "", format!("{id:08}")),
        cells: [
            Cell::Number(id),
            if entry["current"] == true { Cell::status("*", Tone::Completed) } else { Cell::text("") },
            Cell::text(text("revision")),
            Cell::text(text("source")),
            Cell::text(text("by")),
            at,
        ]
        .into(),
        tone: Tone::Normal,
        uid: id.to_string().into(),
    })
}

impl Synced {
    fn entry(&self, grid: &Grid) -> Option<&Value> {
        let id: i64 = grid.selected()?.uid.parse().ok()?;
        self.entries.iter().find(|entry| entry["id"] == id)
    }

    fn undo(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some(entry) = self.entry(grid) else {
            return cx.flash(Flash::info("there is no row under the cursor"));
        };
        let mut arguments = self.app.keeper_arguments();
        arguments["to"] = entry["id"].clone();
        let label = format!("rollback {} to {}", self.app.name, entry["id"]);
        let step = Step { request: Request::new("argo_rollback", arguments), label };
        cx.layer(Box::new(ConfirmPane::new(Effect::Change, vec![step])));
    }
}

impl Content for Synced {
    fn name(&self) -> &'static str {
        "synced"
    }

    fn scope(&self) -> String {
        format!("{}/{}", self.app.namespace, self.app.name)
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("argo_history", self.app.keeper_arguments()))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("ID", true))
    }

    fn empty(&self) -> (String, String) {
        (format!("{} was never synced", self.app.name), "Esc, then s syncs it".to_owned())
    }

    fn answered(&mut self, output: &Value) {
        self.entries = output["entries"].as_array().cloned().unwrap_or_default();
    }

    fn rows(&self, _output: &Value) -> TableDelta {
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: self.entries.iter().map(row).collect(),
            ..TableDelta::default()
        }
    }

    /// A sync by anyone here has made an entry.
    fn concerns(&self, event: &Event) -> bool {
        let Event::Call(call) = event else { return false };
        matches!(call.phase, CallPhase::Succeeded { .. })
            && matches!(call.operation.as_str(), "argo_sync" | "argo_prune" | "argo_rollback")
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => {
                if let Some(entry) = self.entry(grid) {
                    cx.push(Box::new(TextPane::value("entry", self.app.name.to_string(), entry)));
                }
            }
            "undo_to" => self.undo(grid, cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let mut selected = self.app.arguments();
        if let Some(entry) = self.entry(grid) {
            selected["field"] = json!(format!("history {}", entry["id"]));
        }
        PaneFocus {
            cluster: Some(self.app.cluster.to_string()),
            namespace: Some(self.app.namespace.to_string()),
            kind: Some(self.app.kind.to_string()),
            selected: Some(selected),
            ..PaneFocus::default()
        }
    }
}
