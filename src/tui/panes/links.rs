//! The pages about an object in other systems. Enter puts the address under the cursor on the clipboard.

use std::sync::Arc;

use serde_json::Value;

use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// The links of one object.
pub struct Links {
    object: ObjectRef,
    /// Those that it has not, and why.
    left_out: Vec<String>,
}

pub fn pane(object: ObjectRef) -> TablePane<Links> {
    TablePane::of(Links { object, left_out: Vec::new() })
}

impl Content for Links {
    fn name(&self) -> &'static str {
        "links"
    }

    fn scope(&self) -> String {
        format!("{} {}", self.object.plural(), self.object.name)
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("link_list", self.object.arguments()))
    }

    fn empty(&self) -> (String, String) {
        match self.left_out.first() {
            Some(first) => (first.clone(), "Esc goes back".to_owned()),
            None => (
                format!("no link is for {}", self.object.plural()),
                "kubernetes.links in config.yaml lists them, each with name, kinds and url".to_owned(),
            ),
        }
    }

    fn answered(&mut self, output: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let left_out = output["left_out"].as_array().into_iter().flatten();
        self.left_out = left_out.map(|one| format!("{}: {}", text(&one[0]), text(&one[1]))).collect();
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let row = |row: &Value| {
            Arc::new(Row {
                key: RowKey::new("", "", row[0].as_str().unwrap_or_default()),
                cells: [Cell::text(row[1].as_str().unwrap_or_default())].into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        };
        let rows = output["rows"].as_array().into_iter().flatten();
        TableDelta {
            reset: true,
            columns: Some([Column::new("URL", ColumnKind::Text).rank(0)].into()),
            upserts: rows.map(row).collect(),
            ..TableDelta::default()
        }
    }

    fn remark(&self, grid: &Grid) -> Option<(String, bool)> {
        let first = self.left_out.first().filter(|_| grid.total() > 0)?;
        let more = self.left_out.len() - 1;
        Some((if more > 0 { format!("{first} (and {more} more left out)") } else { first.clone() }, true))
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        if !matches!(action.name, "enter" | "copy") {
            return Handled::No;
        }
        match grid.selected().and_then(|row| row.cells.first()) {
            Some(Cell::Text(url)) => {
                cx.copy(url.as_str());
                cx.flash(Flash::info(format!("copied {url}")));
            }
            _ => cx.flash(Flash::info("there is no row under the cursor")),
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, _: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: Some(self.object.cluster.to_string()),
            namespace: Some(self.object.namespace.to_string()),
            kind: Some("links".to_owned()),
            selected: Some(self.object.arguments()),
            ..PaneFocus::default()
        }
    }
}
