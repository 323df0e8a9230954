//! Who uses an object: Enter goes to the user in the table of its kind.

use std::sync::Arc;

use serde_json::Value;

use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{Namespaces, ObjectRef, Query, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// The users of one object.
pub struct References {
    object: ObjectRef,
    /// What could not be read.
    not_read: Vec<String>,
}

pub fn pane(object: ObjectRef) -> TablePane<References> {
    let grid = Grid::new(false, true);
    TablePane::with(References { object, not_read: Vec::new() }, grid)
}

fn columns() -> Arc<[Column]> {
    [Column::new("KIND", ColumnKind::Text).rank(0), Column::new("HOW", ColumnKind::Text).rank(1)].into()
}

fn row(cluster: &str, texts: &Value) -> Arc<Row> {
    let text = |at: usize| texts[at].as_str().unwrap_or_default();
    Arc::new(Row {
        key: RowKey::new(cluster, text(1), text(2)),
        cells: [Cell::text(text(0).split('.').next().unwrap_or_default()), Cell::text(text(3))].into(),
        tone: Tone::Normal,
        // The kind's full name, which no other has.
        uid: text(0).into(),
    })
}

impl References {
    fn user(&self, grid: &Grid) -> Option<ObjectRef> {
        let row = grid.selected()?;
        Some(ObjectRef::new(
            self.object.cluster.clone(),
            &*row.uid,
            row.key.namespace.clone(),
            row.key.name.clone(),
        ))
    }
}

impl Content for References {
    fn name(&self) -> &'static str {
        "references"
    }

    fn scope(&self) -> String {
        format!("{} {}", self.object.plural().trim_end_matches('s'), self.object.name)
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("reference_list", self.object.arguments()))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("KIND", false))
    }

    fn empty(&self) -> (String, String) {
        (format!("nothing uses {}", self.object.name), "Esc goes back".to_owned())
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let rows = output["rows"].as_array().into_iter().flatten();
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: rows.map(|texts| row(&self.object.cluster, texts)).collect(),
            ..TableDelta::default()
        }
    }

    fn answered(&mut self, output: &Value) {
        let texts = output["not_read"].as_array().into_iter().flatten();
        self.not_read = texts.filter_map(Value::as_str).map(str::to_owned).collect();
    }

    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        match self.not_read.as_slice() {
            [] => None,
            [one] => Some((one.clone(), true)),
            [first, rest @ ..] => Some((format!("{first} (and {} more not read)", rest.len()), true)),
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        let Some(user) = self.user(grid) else {
            if action.name == "enter" {
                cx.flash(Flash::info("there is no row under the cursor"));
            }
            return (action.name == "enter").into();
        };
        match action.name {
            "enter" => {
                let namespaces = match user.namespace.as_str() {
                    "" => Namespaces::All,
                    name => Namespaces::One(name.into()),
                };
                cx.go(Route::Resources(Query {
                    kind: user.kind.clone(),
                    clusters: if user.cluster.is_empty() { Vec::new() } else { vec![user.cluster.clone()] },
                    namespaces,
                    select: Some(RowKey::new(&*user.cluster, &user.namespace, &user.name)),
                    ..Query::default()
                }));
            }
            "describe" => cx.go(Route::Text(TextKind::Describe, user)),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, user)),
            "edit" => cx.go(Route::Edit(user)),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: Some(self.object.cluster.to_string()),
            namespace: Some(self.object.namespace.to_string()),
            kind: Some(self.object.kind.to_string()),
            selected: self.user(grid).map(|user| user.arguments()),
            ..PaneFocus::default()
        }
    }
}
