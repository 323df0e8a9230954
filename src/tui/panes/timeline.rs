//! What changed of an object, who did it and when, the newest on top. Enter shows all that is known of a row.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::bus::{CallPhase, Event};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// What happened to one object.
pub struct Timeline {
    object: ObjectRef,
    /// Each row with what is known of it.
    known: Vec<(Value, Value)>,
    /// What nobody knows.
    not_known: Vec<String>,
    left_out: u64,
}

pub fn pane(object: ObjectRef) -> TablePane<Timeline> {
    let grid = Grid::new(false, false).nameless();
    TablePane::with(Timeline { object, known: Vec::new(), not_known: Vec::new(), left_out: 0 }, grid)
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("AGE", ColumnKind::Age).rank(0),
        Column::new("WHAT", ColumnKind::Status).rank(0),
        Column::new("WHO", ColumnKind::Text).rank(0),
        Column::new("SUMMARY", ColumnKind::Text).rank(0),
        Column::new("TIME", ColumnKind::Text).rank(5).wide(),
    ]
    .into()
}

fn row(from_newest: usize, texts: &Value, warning: bool) -> Arc<Row> {
    let text = |at: usize| texts[at].as_str().unwrap_or_default();
    let tone = match text(1) {
        _ if warning => Tone::Error,
        "call" => Tone::Highlight,
        "event" | "condition" => Tone::Dim,
        _ => Tone::Normal,
    };
    let at = text(0).parse::<Timestamp>().map_or(Cell::Unknown, |at| Cell::Time(at.as_second()));
    Arc::new(Row {
        // Of the same second, the later one is above: rows that are alike are ordered by their names.
        key: RowKey::new("", "", format!("{from_newest:05}")),
        cells: [
            at,
            Cell::status(text(1), tone),
            Cell::text(text(2)),
            Cell::text(text(3)),
            Cell::text(text(0)),
        ]
        .into(),
        tone: if warning { Tone::Error } else { Tone::Normal },
        uid: from_newest.to_string().into(),
    })
}

impl Timeline {
    fn show(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let chosen = grid.selected().and_then(|row| row.uid.parse::<usize>().ok());
        let Some((texts, known)) = chosen.and_then(|at| self.known.iter().rev().nth(at)) else {
            return cx.flash(Flash::info("there is no row under the cursor"));
        };
        let page = json!({ "at": texts[0], "what": texts[1], "who": texts[2], "summary": texts[3],
            "known": known["known"], "not_known": self.not_known });
        cx.push(Box::new(TextPane::value("entry", self.object.name.to_string(), &page)));
    }
}

impl Content for Timeline {
    fn name(&self) -> &'static str {
        "timeline"
    }

    fn scope(&self) -> String {
        format!("{} {}", self.object.plural().trim_end_matches('s'), self.object.name)
    }

    fn source(&self) -> Source {
        let mut arguments = self.object.arguments();
        arguments["details"] = json!(true);
        arguments["limit"] = json!(1000);
        Source::Call(Request::new("resource_timeline", arguments))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("AGE", false))
    }

    fn empty(&self) -> (String, String) {
        let what = format!("nothing is recorded of {}", self.object.name);
        (what, "Ctrl-r reads it again, Esc goes back".to_owned())
    }

    fn rows(&self, _output: &Value) -> TableDelta {
        let row = |(at, (texts, known)): (usize, &(Value, Value))| row(at, texts, known["warning"] == true);
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: self.known.iter().rev().enumerate().map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn answered(&mut self, output: &Value) {
        let list = |field: &str| output[field].as_array().cloned().unwrap_or_default();
        self.known = list("rows").into_iter().zip(list("details")).collect();
        self.not_known = list("not_known").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        self.left_out = output["left_out"].as_u64().unwrap_or(0);
    }

    /// A call on the object has changed it, or was refused.
    fn concerns(&self, event: &Event) -> bool {
        let Event::Call(call) = event else { return false };
        matches!(call.phase, CallPhase::Succeeded { .. } | CallPhase::Failed { .. })
            && call.operation != "resource_timeline"
            && call.target.ends_with(&format!("/{}", self.object.name))
    }

    /// The first of what is not known is true of every object; what could not be read is this one's.
    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        let unread = self.not_known.get(1).map(|what| (what.clone(), true));
        let older = (self.left_out > 0).then(|| (format!("{} older left out", self.left_out), true));
        let known =
            (!self.known.is_empty()).then(|| ("as far as it is recorded; ^r reads again".to_owned(), false));
        unread.or(older).or(known)
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => self.show(grid, cx),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, self.object.clone())),
            "diff" => cx.go(Route::Text(TextKind::Diff, self.object.clone())),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let mut selected = self.object.arguments();
        if let Some(summary) = grid.selected().and_then(|row| row.cells.get(3).cloned())
            && let Cell::Text(text) = summary
        {
            selected["field"] = json!(text.to_string());
        }
        PaneFocus {
            cluster: Some(self.object.cluster.to_string()),
            namespace: Some(self.object.namespace.to_string()),
            kind: Some(self.object.kind.to_string()),
            selected: Some(selected),
            ..PaneFocus::default()
        }
    }
}
