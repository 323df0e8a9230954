//! The revisions of a workload's pods, and how far its rollout is. Enter shows a revision; `u` goes back to it; `p` pauses
//! a Deployment, or lets it go on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::bus::{CallPhase, Event};
use crate::gate::{Effect, Frame, Reply, Request};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// One workload's revisions.
pub struct Revisions {
    workload: ObjectRef,
    watch: Option<Ticket>,
    /// How far the rollout is, and whether that is bad.
    status: Option<(String, bool)>,
    paused: bool,
    shown: Option<(Ticket, i64)>,
    /// The difference between a revision and what is there now.
    compared: Option<(Ticket, i64)>,
}

pub fn pane(workload: ObjectRef) -> TablePane<Revisions> {
    TablePane::of(Revisions {
        workload,
        watch: None,
        status: None,
        paused: false,
        shown: None,
        compared: None,
    })
}

fn columns() -> Arc<[Column]> {
    [
        Column::new("REVISION", ColumnKind::Number).rank(0),
        Column::new("CURRENT", ColumnKind::Status).rank(1),
        Column::new("PODS", ColumnKind::Number).rank(2),
        Column::new("IMAGES", ColumnKind::Text).rank(1),
        Column::new("CAUSE", ColumnKind::Text).rank(3),
        Column::new("AGE", ColumnKind::Text).rank(2),
    ]
    .into()
}

fn row(revision: &Value) -> Arc<Row> {
    let current = revision["current"] == true;
    let images: Vec<&str> =
        revision["images"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text = |field: &str| revision[field].as_str().unwrap_or_default();
    let number = |field: &str| revision[field].as_i64().map_or(Cell::Unknown, Cell::Number);
    Arc::new(Row {
        key: RowKey::new("", "", text("kept_by")),
        cells: [
            number("revision"),
            if current { Cell::status("*", Tone::Completed) } else { Cell::text("") },
            number("pods"),
            Cell::text(images.join(", ")),
            Cell::text(text("cause")),
            Cell::text(text("age")),
        ]
        .into(),
        tone: Tone::Normal,
        uid: revision["revision"].to_string().into(),
    })
}

impl Revisions {
    fn number(grid: &Grid) -> Option<i64> {
        grid.selected().and_then(|row| row.uid.parse().ok())
    }

    fn confirm(&self, operation: &str, arguments: Value, label: String, cx: &mut Cx<'_>) {
        let step = Step { request: Request::new(operation, arguments), label };
        cx.layer(Box::new(ConfirmPane::new(Effect::Change, vec![step])));
    }

    fn undo(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some(number) = Self::number(grid) else {
            return cx.flash(Flash::info("there is no revision under the cursor"));
        };
        let mut arguments = self.workload.arguments();
        arguments["to_revision"] = json!(number);
        let label = format!("undo {} to revision {number}", self.workload.name);
        self.confirm("rollout_undo", arguments, label, cx);
    }

    fn show(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some(number) = Self::number(grid) else { return };
        let mut arguments = self.workload.arguments();
        arguments["revision"] = json!(number);
        self.shown = Some((cx.call(Request::new("rollout_history", arguments)), number));
    }

    fn compare(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some(number) = Self::number(grid) else { return };
        let mut arguments = self.workload.arguments();
        arguments["revision"] = json!(number);
        self.compared = Some((cx.call(Request::new("resource_diff", arguments)), number));
    }

    fn heard(&mut self, status: &Value) {
        let word = status["state"].as_str().unwrap_or_default();
        self.paused = word == "paused";
        let text = status["message"].as_str().unwrap_or_default();
        self.status = Some((text.to_owned(), matches!(word, "failed" | "paused")));
    }
}

impl Content for Revisions {
    fn name(&self) -> &'static str {
        "revisions"
    }

    fn scope(&self) -> String {
        format!("{}/{}", self.workload.namespace, self.workload.name)
    }

    fn source(&self) -> Source {
        Source::Call(Request::new("rollout_history", self.workload.arguments()))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("REVISION", true))
    }

    fn empty(&self) -> (String, String) {
        (
            format!("no revision of {} is kept", self.workload.name),
            "spec.revisionHistoryLimit says how many are".to_owned(),
        )
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let revisions = output["revisions"].as_array().into_iter().flatten();
        TableDelta {
            reset: true,
            columns: Some(columns()),
            upserts: revisions.map(row).collect(),
            ..TableDelta::default()
        }
    }

    /// A change by anyone may have made a revision.
    fn concerns(&self, event: &Event) -> bool {
        let Event::Call(call) = event else { return false };
        matches!(call.phase, CallPhase::Succeeded { .. }) && call.target.ends_with(&*self.workload.name)
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => self.show(grid, cx),
            "diff" => self.compare(grid, cx),
            "undo_to" => self.undo(grid, cx),
            "pause" => {
                let verb = if self.paused { "resume" } else { "pause" };
                let label = format!("{verb} {}", self.workload.name);
                self.confirm(&format!("rollout_{verb}"), self.workload.arguments(), label, cx);
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, _grid: &Grid, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Value(status) } if self.watch == Some(ticket) => {
                self.heard(&status);
            }
            Message::Ended { ticket, error } if self.watch == Some(ticket) => {
                self.status = error.map(|e| (e.message, true));
            }
            Message::Reply { ticket, result } => {
                let shown = self.shown.take_if(|(asked, _)| *asked == ticket);
                let compared = self.compared.take_if(|(asked, _)| *asked == ticket);
                let (name, part, Some((_, number))) = (match shown {
                    Some(_) => ("template", "template", shown),
                    None => ("diff", "text", compared),
                }) else {
                    return;
                };
                match result {
                    Ok(Reply::Done { output, .. }) => {
                        let subject = format!("{} revision {number}", self.workload.name);
                        cx.push(Box::new(TextPane::value(name, subject, &output[part])));
                    }
                    Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
                    Err(error) => cx.error(&error),
                }
            }
            _ => {}
        }
    }

    /// Rows came: from now on the rollout is followed too.
    fn changed(&mut self, _grid: &Grid, cx: &mut Cx<'_>) {
        if self.watch.is_none() {
            let mut arguments = self.workload.arguments();
            arguments["keep"] = json!(true);
            self.watch = Some(cx.watch(Request::new("rollout_status", arguments)));
        }
    }

    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        self.status.clone()
    }

    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, _grid: &Grid) -> PaneFocus {
        PaneFocus {
            cluster: Some(self.workload.cluster.to_string()),
            namespace: Some(self.workload.namespace.to_string()),
            kind: Some(self.workload.kind.to_string()),
            selected: Some(self.workload.arguments()),
            ..PaneFocus::default()
        }
    }
}
