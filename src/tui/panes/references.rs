//! Objects that stand around another one: who uses it, all that is one step away, or where what a GitOps controller keeps
//! comes from and what it has applied. Enter goes to one in the table of its kind.

use std::sync::Arc;

use serde_json::Value;

use super::change;
use super::table::{Content, Source, TablePane};
use crate::gate::Request;
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{GitOps, ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// What an answer's rows begin with: these are the row's own.
const HEAD: usize = 3;

/// What is shown of what is around an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Who uses it by its name.
    Users,
    /// Its owners, what it owns, names and selects, and the other way round.
    Adjacent,
    /// The chain of what this keeps.
    Chain(GitOps),
}

/// The objects around one object.
pub struct References {
    object: ObjectRef,
    around: Around,
    /// What could not be read.
    not_read: Vec<String>,
    /// What was applied is on another cluster.
    elsewhere: bool,
}

/// Who uses the object by its name.
pub fn pane(object: ObjectRef) -> TablePane<References> {
    of(object, Around::Users)
}

/// All that is one step away.
pub fn adjacent(object: ObjectRef) -> TablePane<References> {
    of(object, Around::Adjacent)
}

/// Its sources, and what it has applied.
pub fn chain(object: ObjectRef) -> TablePane<References> {
    let around = object.gitops().map_or(Around::Users, Around::Chain);
    of(object, around)
}

fn of(object: ObjectRef, around: Around) -> TablePane<References> {
    let grid = Grid::new(false, true).nameless();
    TablePane::with(References { object, around, not_read: Vec::new(), elsewhere: false }, grid)
}

fn tone(state: &str) -> Tone {
    let has = |words: &[&str]| words.iter().any(|w| state.contains(w));
    if state == "missing" {
        return Tone::Error;
    }
    if has(&["False", "Degraded", "Missing", "unknown"]) {
        Tone::Error
    } else if has(&["suspended", "OutOfSync", "Progressing", "Unknown"]) {
        Tone::Pending
    } else {
        Tone::Normal
    }
}

fn columns(output: &Value) -> Arc<[Column]> {
    let names = output["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).skip(HEAD);
    let kind = |name: &str| if name == "STATE" { ColumnKind::Status } else { ColumnKind::Text };
    let rank = |name: &str| if name == "REVISION" { 3 } else { 1 };
    [Column::new("KIND", ColumnKind::Text).rank(0), Column::new("NAME", ColumnKind::Text).rank(0)]
        .into_iter()
        .chain(names.map(|name| Column::new(name, kind(name)).rank(rank(name))))
        .collect()
}

fn row(cluster: &str, columns: &[Column], texts: &Value) -> Arc<Row> {
    let text = |at: usize| texts[at].as_str().unwrap_or_default();
    let rest = columns.iter().skip(2).zip(HEAD..).map(|(column, at)| match &*column.name {
        "STATE" => Cell::status(text(at), tone(text(at))),
        _ => Cell::text(text(at)),
    });
    // One object may stand to another in several ways.
    let relation = columns.get(2).map_or("", |c| if c.name == "RELATION" { text(HEAD) } else { "" });
    let head = [Cell::text(text(0).split('.').next().unwrap_or_default()), Cell::text(text(2))];
    Arc::new(Row {
        // Objects of several kinds may have the same name.
        key: RowKey::new(cluster, text(1), format!("{relation}{}/{}", text(0), text(2))),
        cells: head.into_iter().chain(rest).collect(),
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
            row.key.name.split_once('/').map_or("", |(_, name)| name),
        ))
    }
}

impl Content for References {
    fn name(&self) -> &'static str {
        match self.around {
            Around::Users => "references",
            Around::Adjacent => "adjacent",
            Around::Chain(_) => "chain",
        }
    }

    fn scope(&self) -> String {
        format!("{} {}", self.object.plural().trim_end_matches('s'), self.object.name)
    }

    fn source(&self) -> Source {
        Source::Call(match self.around {
            Around::Users => Request::new("reference_list", self.object.arguments()),
            Around::Adjacent => Request::new("resource_adjacent", self.object.arguments()),
            Around::Chain(keeper) => {
                Request::new(format!("{}_chain", keeper.name()), self.object.keeper_arguments())
            }
        })
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(match self.around {
            Around::Users => ("KIND", false),
            Around::Adjacent => ("RELATION", true),
            // Of a chain the sources come first.
            Around::Chain(_) => ("ROLE", true),
        })
    }

    fn empty(&self) -> (String, String) {
        let what = match self.around {
            Around::Adjacent => "nothing that is known stands around",
            Around::Users | Around::Chain(_) => "nothing uses",
        };
        (format!("{what} {}", self.object.name), "Esc goes back".to_owned())
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let rows = output["rows"].as_array().into_iter().flatten();
        let columns = columns(output);
        TableDelta {
            reset: true,
            upserts: rows.map(|texts| row(&self.object.cluster, &columns, texts)).collect(),
            columns: Some(columns),
            ..TableDelta::default()
        }
    }

    fn answered(&mut self, output: &Value) {
        let texts = output["not_read"].as_array().into_iter().flatten();
        self.not_read = texts.filter_map(Value::as_str).map(str::to_owned).collect();
        self.elsewhere = output["elsewhere"].is_string();
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
            "enter" if self.elsewhere && user != self.object => {
                cx.flash(Flash::info("it is on another cluster").next(":ctx goes to one."));
            }
            "enter" => cx.go(user.in_its_table()),
            "adjacent" => cx.go(Route::Adjacent(user)),
            "describe" => cx.go(Route::Text(TextKind::Describe, user)),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, user)),
            "diff" => cx.go(Route::Text(TextKind::Diff, user)),
            "reconcile" if user.gitops() == Some(GitOps::Flux) => {
                match change::dialog("reconcile", &[user], None, None) {
                    Ok(dialog) => cx.layer(dialog),
                    Err(error) => cx.error(&error),
                }
            }
            "reconcile" => cx.flash(Flash::info("this is nothing that Flux reconciles")),
            "edit" if user.is_secret() => cx.go(Route::EditValues(user)),
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
