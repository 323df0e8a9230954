//! Who is in the session: by which door, since when, where each looks and what each did last.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use crate::bus::Event;
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::panes::text::TextPane;
use crate::tui::widgets::grid::Grid;

/// Those present.
#[derive(Default)]
pub struct Participants {
    /// As they were read last, for Enter.
    all: Vec<Value>,
}

pub fn pane() -> TablePane<Participants> {
    TablePane::of(Participants::default())
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("KIND", ColumnKind::Text).rank(2),
        Column::new("ROLE", ColumnKind::Text).rank(5),
        Column::new("DOOR", ColumnKind::Text).rank(1),
        Column::new("LOOKS AT", ColumnKind::Text).rank(2),
        Column::new("LAST CALL", ColumnKind::Status).rank(1),
        Column::new("TARGET", ColumnKind::Text).rank(4),
        Column::new("CALLED", ColumnKind::Age).rank(3),
        Column::new("SINCE", ColumnKind::Age).rank(2),
        Column::new("SEEN", ColumnKind::Age).rank(6),
    ]
    .into()
}

fn row(participant: &Value) -> Option<Arc<Row>> {
    let word = |pointer: &str| participant.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let text = |pointer: &str| match word(pointer) {
        "" => Cell::Unknown,
        text => Cell::text(text),
    };
    let time = |pointer: &str| {
        let at = word(pointer).parse::<jiff::Timestamp>();
        at.map_or(Cell::Unknown, |t| Cell::Time(t.as_second()))
    };
    let running = participant.pointer("/activity/running") == Some(&Value::Bool(true));
    let call = match word("/activity/operation") {
        "" => Cell::Unknown,
        operation => Cell::status(operation, if running { Tone::Highlight } else { Tone::Normal }),
    };
    let name = word("/actor/name");
    (!name.is_empty()).then(|| {
        Arc::new(Row {
            // The same person at two doors is two participants.
            key: RowKey::new(word("/actor/door"), word("/actor/kind"), name),
            cells: [
                text("/actor/kind"),
                text("/actor/role"),
                text("/actor/door"),
                text("/looks_at"),
                call,
                text("/activity/target"),
                time("/activity/at"),
                time("/joined_at"),
                time("/last_seen"),
            ]
            .into(),
            tone: Tone::Normal,
            uid: word("/id").into(),
        })
    })
}

impl Content for Participants {
    fn name(&self) -> &'static str {
        "participants"
    }

    fn source(&self) -> Source {
        // A watch of them is itself being present, and this screen is that already.
        Source::Call(Request::new("participant_list", json!({})))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("SINCE", true))
    }

    fn empty(&self) -> (String, String) {
        ("nobody is here".to_owned(), "an assistant joins by `qd mcp`, a second console by `qd`".to_owned())
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let all = output["participants"].as_array();
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: all.into_iter().flatten().filter_map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        matches!(event, Event::Participants { .. } | Event::Call(_) | Event::Resync { .. })
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if action.name != "enter" {
            return Handled::No;
        }
        let Some(selected) = grid.selected() else {
            cx.flash(Flash::info("there is nobody under the cursor"));
            return Handled::Yes;
        };
        let found = self.all.iter().find(|p| p["id"] == selected.uid.as_str());
        if let Some(participant) = found {
            cx.push(Box::new(TextPane::value("participant", selected.key.name.to_string(), participant)));
        }
        Handled::Yes
    }

    fn answered(&mut self, output: &Value) {
        self.all = output["participants"].as_array().cloned().unwrap_or_default();
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            selected: grid.selected().map(|r| json!({ "kind": "participant", "name": r.key.name })),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_is_a_row_and_two_doors_are_two() {
        let one = json!({
            "id": "p1", "actor": {"kind": "agent", "name": "claude", "role": "agent", "door": "mcp"},
            "joined_at": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T00:01:00Z", "looks_at": "logs › api",
            "activity": {"operation": "log_read", "target": "eu-1/shop/pod/api", "at": "2026-01-01T00:01:00Z", "running": true},
        });
        let two = json!({"id": "p2", "actor": {"kind": "agent", "name": "claude", "role": "agent", "door": "rest"}});
        let delta = Participants::default().rows(&json!({ "participants": [one, two, {}] }));
        assert_eq!(delta.upserts.len(), 2);
        assert_ne!(delta.upserts[0].key, delta.upserts[1].key);
        assert_eq!(delta.upserts[0].cells.len(), columns().len());
        assert_eq!(delta.upserts[0].cells[4], Cell::status("log_read", Tone::Highlight));
        assert_eq!(delta.upserts[1].cells[4], Cell::Unknown);
    }
}
