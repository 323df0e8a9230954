//! What was said in the session: questions, answers and where somebody pointed, by whom and about what.

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

/// As many as the session keeps.
const ALL: u32 = 256;

#[derive(Default)]
pub struct Messages {
    /// As they were read last, for Enter.
    all: Vec<Value>,
}

pub fn pane() -> TablePane<Messages> {
    TablePane::of(Messages::default())
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("FROM", ColumnKind::Text).rank(1),
        Column::new("TO", ColumnKind::Text).rank(6),
        Column::new("AS", ColumnKind::Status).rank(4),
        Column::new("TEXT", ColumnKind::Text).rank(0),
        Column::new("ABOUT", ColumnKind::Text).rank(5),
        Column::new("SAID", ColumnKind::Age).rank(2),
    ]
    .into()
}

/// `cluster/namespace/kind/name`, without what it has not.
fn about(message: &Value) -> String {
    let part = |name: &str| message["about"][name].as_str().filter(|part| !part.is_empty());
    ["cluster", "namespace", "kind", "name"].into_iter().filter_map(part).collect::<Vec<_>>().join("/")
}

/// `agent claude`: an agent may be called as a person is.
fn sender(message: &Value) -> String {
    let part = |name: &str| message["from"][name].as_str().unwrap_or_default();
    format!("{} {}", part("kind"), part("name")).trim().to_owned()
}

/// All of a message.
fn whole(message: &Value) -> String {
    let word = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let lines =
        [("from", sender(message)), ("to", word("to")), ("about", about(message)), ("at", word("at"))];
    let said = lines.iter().filter(|(_, value)| !value.is_empty());
    let head: String = said.map(|(name, value)| format!("{name:<7}{value}\n")).collect();
    format!("{head}\n{}", word("text"))
}

fn row(message: &Value) -> Option<Arc<Row>> {
    let number = message["number"].as_u64()?.to_string();
    let text = |text: &str| if text.is_empty() { Cell::Unknown } else { Cell::text(text) };
    let word = |name: &str| message[name].as_str().unwrap_or_default();
    let tone = if word("kind") == "ask" { Tone::Highlight } else { Tone::Normal };
    let at = word("at").parse::<jiff::Timestamp>();
    Some(Arc::new(Row {
        key: RowKey::new("", "", &number),
        cells: [
            text(&sender(message)),
            text(word("to")),
            Cell::status(word("kind"), tone),
            text(word("text")),
            text(&about(message)),
            at.map_or(Cell::Unknown, |at| Cell::Time(at.as_second())),
        ]
        .into(),
        tone: Tone::Normal,
        uid: number.into(),
    }))
}

impl Content for Messages {
    fn name(&self) -> &'static str {
        "messages"
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("message_list", json!({ "all": true, "limit": ALL })))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("SAID", true))
    }

    fn empty(&self) -> (String, String) {
        (
            "nobody said anything yet".to_owned(),
            "ask about what is under the cursor with Alt-a; an assistant answers here".to_owned(),
        )
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let all = output["messages"].as_array();
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: all.into_iter().flatten().filter_map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        matches!(event, Event::Message(_) | Event::Resync { .. })
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if action.name != "enter" {
            return Handled::No;
        }
        let Some(selected) = grid.selected() else {
            cx.flash(Flash::info("there is no message under the cursor"));
            return Handled::Yes;
        };
        let number = selected.uid.parse::<u64>().ok();
        let found = self.all.iter().find(|m| m["number"].as_u64() == number);
        if let Some(message) = found {
            cx.push(Box::new(TextPane::fixed("message", selected.uid.to_string(), whole(message))));
        }
        Handled::Yes
    }

    fn answered(&mut self, output: &Value) {
        self.all = output["messages"].as_array().cloned().unwrap_or_default();
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            selected: grid.selected().map(|r| json!({ "kind": "message", "name": r.uid })),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_row_with_what_it_is_about() {
        let said = json!({
            "number": 7, "from": {"name": "claude", "kind": "agent"}, "kind": "note", "text": "it lacks memory",
            "about": {"cluster": "eu-1", "namespace": "shop", "kind": "pod", "name": "web-1"}, "at": "2026-01-01T00:00:00Z",
        });
        let asked = json!({"number": 8, "from": {"name": "alice", "kind": "person"}, "to": "claude", "kind": "ask", "text": "why?"});
        let delta = Messages::default().rows(&json!({ "messages": [said, asked.clone(), {}] }));
        assert_eq!(delta.upserts.len(), 2);
        assert_eq!(delta.upserts[0].cells[3], Cell::text("it lacks memory"));
        assert_eq!(delta.upserts[0].cells[4], Cell::text("eu-1/shop/pod/web-1"));
        assert_eq!(delta.upserts[1].cells[1], Cell::text("claude"));
        assert_eq!(delta.upserts[1].cells[2], Cell::status("ask", Tone::Highlight));
        assert_eq!(delta.upserts[1].cells[4], Cell::Unknown);
        assert_eq!(delta.upserts[0].cells[0], Cell::text("agent claude"));
        assert_eq!(whole(&asked), "from   person alice\nto     claude\n\nwhy?");
    }
}
