//! What agents may do without asking: for which objects, how often still, until when, and by whose word.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::bus::{CallPhase, Event};
use crate::gate::{Reply, Request};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// The grants.
#[derive(Default)]
pub struct Grants {
    /// A grant that is being taken back.
    revoking: Option<Ticket>,
    /// As they were told last: a row has no room for all of one.
    told: Vec<Value>,
}

pub fn pane() -> TablePane<Grants> {
    TablePane::of(Grants::default())
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("OPERATIONS", ColumnKind::Text).rank(1),
        Column::new("WHERE", ColumnKind::Text).rank(1),
        Column::new("STATE", ColumnKind::Status).rank(1),
        Column::new("LEFT", ColumnKind::Text).rank(1),
        Column::new("EXPIRES", ColumnKind::Text).rank(2),
        Column::new("BY", ColumnKind::Text).rank(4),
        Column::new("REASON", ColumnKind::Text).rank(5),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
    .into()
}

fn row(grant: &Value) -> Option<Arc<Row>> {
    let word = |pointer: &str| grant.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let time = |pointer: &str| word(pointer).parse::<jiff::Timestamp>().ok();
    let operations: Vec<&str> =
        grant["operations"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let part = |name: &str| match word(&format!("/target/{name}")) {
        "" => "*".to_owned(),
        pattern => pattern.to_owned(),
    };
    let state = word("/state");
    let active = state == "active";
    let expires = time("/expires_at")
        .map_or(Cell::Unknown, |at| Cell::text(at.strftime("%m-%d %H:%M UTC").to_string()));
    let id = word("/grant");
    (!id.is_empty()).then(|| {
        Arc::new(Row {
            key: RowKey::new("", id, word("/agent")),
            cells: [
                Cell::text(operations.join(", ")),
                Cell::text(["cluster", "namespace", "kind", "name"].map(part).join("/")),
                Cell::status(state, if active { Tone::New } else { Tone::Completed }),
                Cell::text(format!("{} of {}", grant["uses_left"], grant["uses"])),
                expires,
                Cell::text(word("/created_by/name")),
                Cell::text(word("/reason")),
                time("/created_at").map_or(Cell::Unknown, |at| Cell::Time(at.as_second())),
            ]
            .into(),
            tone: if active { Tone::Normal } else { Tone::Completed },
            uid: id.into(),
        })
    })
}

impl Content for Grants {
    fn name(&self) -> &'static str {
        "grants"
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("grant_list", json!({ "all": true })))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("AGE", false))
    }

    fn empty(&self) -> (String, String) {
        (
            "no agent may change anything without asking".to_owned(),
            "g on a decision card lets one make such changes for a while".to_owned(),
        )
    }

    fn rows(&self, output: &Value) -> TableDelta {
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: output["grants"].as_array().into_iter().flatten().filter_map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn answered(&mut self, output: &Value) {
        self.told = output["grants"].as_array().cloned().unwrap_or_default();
    }

    /// A grant is made, revoked or used by a call; reading them is a call too, and not one of these.
    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Call(call) => {
                call.operation != "grant_list"
                    && !matches!(call.phase, CallPhase::Started | CallPhase::Progress { .. })
            }
            Event::Resync { .. } => true,
            _ => false,
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "new" => cx.go(Route::Form { operation: "grant_create".to_owned(), arguments: json!({}) }),
            "revoke" => match grid.selected() {
                Some(row) if self.revoking.is_none() => {
                    let request = Request::new("grant_revoke", json!({ "grant": row.uid.as_str() }));
                    self.revoking = Some(cx.call(request));
                }
                Some(_) => {}
                None => cx.flash(Flash::info("there is no grant under the cursor")),
            },
            "enter" => match grid.selected() {
                Some(row) => {
                    let all = self.told.iter().find(|grant| grant["grant"] == row.uid.as_str());
                    let name = row.key.name.to_string();
                    cx.push(Box::new(TextPane::value("grant", name, all.unwrap_or(&Value::Null))));
                }
                None => cx.flash(Flash::info("there is no grant under the cursor")),
            },
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, _: &Grid, cx: &mut Cx<'_>) {
        if let Message::Reply { ticket, result } = message
            && self.revoking == Some(ticket)
        {
            self.revoking = None;
            match result {
                Ok(Reply::Done { .. }) => cx.flash(Flash::info("revoked: the agent asks again")),
                Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
                Err(error) => cx.error(&error),
            }
        }
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            selected: grid.selected().map(|r| json!({ "kind": "grant", "name": r.uid.as_str() })),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_says_what_where_and_how_often_still() {
        let grant = json!({
            "grant": "01A", "agent": "claude", "operations": ["deployment_scale", "deployment_restart"],
            "target": { "namespace": "shop" }, "uses": 5, "uses_left": 2, "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-01T00:15:00Z", "created_by": { "name": "ann" }, "state": "active",
        });
        let mut used = grant.clone();
        (used["grant"], used["state"]) = (json!("01B"), json!("used up"));
        let delta = Grants::default().rows(&json!({ "grants": [grant, used, {}] }));
        let cells = |i: usize| -> Vec<String> {
            let mut texts = Vec::new();
            for cell in &*delta.upserts[i].cells {
                let mut text = String::new();
                cell.write(1_767_225_660, &mut text);
                texts.push(text);
            }
            texts
        };
        assert_eq!(delta.upserts.len(), 2);
        assert_eq!(
            cells(0)[..5],
            ["deployment_scale, deployment_restart", "*/shop/*/*", "active", "2 of 5", "01-01 00:15 UTC"]
        );
        assert_eq!(delta.upserts[1].tone, Tone::Completed);
        assert_eq!(cells(1)[2], "used up");
    }
}
