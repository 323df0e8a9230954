//! The objects that somebody is told of: the state of each, how often it changed, and why it is watched. Enter goes to one,
//! Ctrl-d watches it no more.

use std::sync::Arc;

use serde_json::{Value, json};

use super::table::{Content, Source, TablePane};
use crate::bus::{CallPhase, Event};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// See the module.
pub struct Notices;

pub fn pane() -> TablePane<Notices> {
    TablePane::with(Notices, Grid::new(true, true))
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("STATE", ColumnKind::Status).rank(0),
        Column::new("NOTE", ColumnKind::Text).rank(2),
        Column::new("TOLD", ColumnKind::Number).rank(3),
        Column::new("CHANGED", ColumnKind::Age).rank(2),
        Column::new("BY", ColumnKind::Text).rank(4),
        Column::new("AGE", ColumnKind::Age).rank(3),
    ]
    .into()
}

fn row(notice: &Value) -> Option<Arc<Row>> {
    let word = |name: &str| notice[name].as_str().unwrap_or_default();
    let time = |name: &str| {
        word(name).parse::<jiff::Timestamp>().map_or(Cell::Unknown, |at| Cell::Time(at.as_second()))
    };
    let number = notice["notice"].as_u64()?;
    let plural = word("kind").split('.').next().unwrap_or_default();
    let (state, tone) = match notice["unknown"].as_str() {
        // What it was last is not what it is.
        Some(why) => (format!("not known: {why}"), Tone::Pending),
        None if notice["bad"] == true => (word("state").to_owned(), Tone::Error),
        None if notice["over"] == true => (word("state").to_owned(), Tone::Completed),
        None => (word("state").to_owned(), Tone::Normal),
    };
    let by = &notice["by"];
    let by =
        format!("{} {}", by["kind"].as_str().unwrap_or_default(), by["name"].as_str().unwrap_or_default());
    let note = word("note");
    Some(Arc::new(Row {
        // Objects of several kinds may have the same name, and two may watch one of them.
        key: RowKey::new(word("cluster"), word("namespace"), format!("{plural}/{} #{number}", word("name"))),
        cells: [
            Cell::status(&state, tone),
            if note.is_empty() { Cell::Unknown } else { Cell::text(note) },
            notice["told"].as_i64().map_or(Cell::Unknown, Cell::Number),
            time("at"),
            Cell::text(by.trim()),
            time("made"),
        ]
        .into(),
        tone,
        uid: format!("{number} {} {}", word("kind"), word("name")).into(),
    }))
}

fn number(row: &Row) -> Option<u64> {
    row.uid.split(' ').next()?.parse().ok()
}

fn object(row: &Row) -> ObjectRef {
    let mut words = row.uid.split(' ').skip(1);
    let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    ObjectRef::new(&*row.key.cluster, kind, row.key.namespace.clone(), name)
}

impl Content for Notices {
    fn name(&self) -> &'static str {
        "notices"
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("notice_list", json!({})))
    }

    fn empty(&self) -> (String, String) {
        ("no object is watched".to_owned(), "b on an object tells you when its state changes".to_owned())
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let all = output["notices"].as_array();
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: all.into_iter().flatten().filter_map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Changed(_) | Event::Resync { .. } => true,
            Event::Call(call) => {
                matches!(call.operation.as_str(), "notice_create" | "notice_cancel")
                    && matches!(call.phase, CallPhase::Succeeded { .. })
            }
            _ => false,
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        let Some(selected) = grid.selected() else {
            let known = matches!(action.name, "enter" | "delete" | "describe");
            if known {
                cx.flash(Flash::info("there is no row under the cursor"));
            }
            return known.into();
        };
        match action.name {
            "enter" => cx.go(object(selected).in_its_table()),
            "describe" => cx.go(Route::Text(TextKind::Describe, object(selected))),
            "delete" => {
                if let Some(number) = number(selected) {
                    let request = Request::new("notice_cancel", json!({ "notice": number }));
                    cx.run(request, format!("watch {} no more", selected.key.name));
                }
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            kind: Some("notices".to_owned()),
            selected: grid.selected().map(|row| object(row).arguments()),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_shown_as_it_was() {
        let notice = json!({"notice": 3, "by": {"kind": "person", "name": "ana"}, "cluster": "eu-1", "namespace": "shop",
            "kind": "deployments.apps", "name": "web", "state": "rolled out", "bad": false, "over": false, "told": 2,
            "made": "2026-01-01T00:00:00Z"});
        let shown = row(&notice).unwrap();
        assert_eq!(shown.key.name, "deployments/web #3");
        assert_eq!(shown.cells[0], Cell::status("rolled out", Tone::Normal));
        assert_eq!(object(&shown), ObjectRef::new("eu-1", "deployments.apps", "shop", "web"));
        assert_eq!(number(&shown), Some(3));
        let mut lost = notice.clone();
        lost["unknown"] = json!("eu-1 does not answer");
        assert_eq!(
            row(&lost).unwrap().cells[0],
            Cell::status("not known: eu-1 does not answer", Tone::Pending)
        );
    }
}
