//! The audit log as a live table: who, what, on what, how it ended. Enter opens a row whole; `v` checks the chain.

use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::gate::{Reply, Request};
use crate::rows::{Cell, Row};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// The log.
#[derive(Default)]
pub struct Audit {
    details: Option<(Ticket, u64)>,
    verify: Option<Ticket>,
    /// What the last check found, in a word, and whether that is bad.
    verdict: Option<(String, bool)>,
    /// Calls of which nobody knows whether they took effect.
    unknown: usize,
}

pub fn pane() -> TablePane<Audit> {
    TablePane::with(Audit::default(), Grid::new(false, false).headed("SEQ"))
}

impl Audit {
    /// All of the row under the cursor.
    fn enter(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        // The row's name is its number.
        let Some(seq) = grid.selected().and_then(|row| row.key.name.parse::<u64>().ok()) else { return };
        let arguments = json!({ "details": true, "limit": 1, "cursor": (seq + 1).to_string() });
        self.details = Some((cx.call(Request::new("audit_list", arguments)), seq));
    }

    fn verify(&mut self, cx: &mut Cx<'_>) {
        if self.verify.is_none() {
            self.verdict = Some(("checking the chain…".to_owned(), false));
            self.verify = Some(cx.call(Request::new("audit_verify", json!({}))));
        }
    }

    /// The verdict stays in the title; what was found is a page of its own.
    fn verified(&mut self, output: &Value, cx: &mut Cx<'_>) {
        let finding = output["finding"].as_str().unwrap_or("could not be checked").replace('_', " ");
        let rows = output["rows"].as_u64().unwrap_or(0);
        let intact = output["exit_code"] == 0;
        self.verdict = Some((format!("{finding}, {rows} rows checked"), !intact));
        cx.push(Box::new(TextPane::value("verification", "audit log", output)));
    }
}

fn show(seq: u64, output: &Value, cx: &mut Cx<'_>) {
    let row = output["rows"].as_array().into_iter().flatten().find(|r| r["seq"] == seq);
    match row {
        Some(row) => cx.push(Box::new(TextPane::value("audit row", format!("#{seq}"), row))),
        None => cx.flash(Flash::warning(format!("row {seq} was not found"))),
    }
}

impl Content for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn source(&self) -> Source {
        Source::Watch(Request::new("audit_list", json!({})))
    }

    /// The newest on top: the name is the row's number.
    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("NAME", true))
    }

    fn empty(&self) -> (String, String) {
        ("nothing is recorded yet".to_owned(), "each call of anyone's appears here as it is made".to_owned())
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => self.enter(grid, cx),
            "verify" => self.verify(cx),
            "export" => cx.go(Route::Form { operation: "audit_export".to_owned(), arguments: Value::Null }),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, _grid: &Grid, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        let verifying = self.verify.take_if(|asked| *asked == ticket).is_some();
        let details = self.details.take_if(|(asked, _)| *asked == ticket);
        match (result, details) {
            (Ok(Reply::Done { output, .. }), _) if verifying => self.verified(&output, cx),
            (Ok(Reply::Done { output, .. }), Some((_, seq))) => show(seq, &output, cx),
            (Ok(Reply::Done { .. }), None) => {}
            (Ok(Reply::Held(held)), _) => cx.flash(Flash::warning(held.reason)),
            (Err(error), _) => {
                if verifying {
                    self.verdict = Some((error.message.clone(), true));
                }
                cx.error(&error);
            }
        }
    }

    /// Rows whose call was interrupted stand out, and are counted in the title.
    fn changed(&mut self, grid: &Grid, _cx: &mut Cx<'_>) {
        let unknown = |row: &Row| {
            let words = |s: &str| matches!(s, "interrupted" | "outcome_unknown");
            row.cells.iter().any(|c| matches!(c, Cell::Status(s, _) if words(s)))
        };
        self.unknown = grid.table().slots().iter().filter(|(_, row)| unknown(row)).count();
    }

    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        match (self.unknown, &self.verdict) {
            (0, verdict) => verdict.clone(),
            (n, None) => Some((format!("{n} with an unknown outcome"), true)),
            (n, Some((verdict, _))) => Some((format!("{n} with an unknown outcome · {verdict}"), true)),
        }
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            selected: grid.selected().map(|r| json!({ "kind": "audit", "name": r.key.name })),
            ..PaneFocus::default()
        }
    }
}
