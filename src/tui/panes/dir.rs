//! A folder of manifests on this machine, or the files that were saved: Enter opens, `a` shows what applying would do and
//! does it, `d` deletes what a manifest holds, `e` edits the file.

use serde_json::{Value, json};

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::base::Error;
use crate::gate::{Effect, Reply, Request};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{Namespaces, Route};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// One folder.
pub struct Dir {
    /// As it was asked for; `None` is what was saved.
    path: Option<String>,
    /// As it is.
    folder: String,
    reading: Option<Reading>,
    /// A file whose text is in the editor.
    editing: Option<(Ticket, String)>,
    writing: Option<Ticket>,
}

/// What a file is read for, and those that come after it.
struct Reading {
    ticket: Ticket,
    purpose: Purpose,
    /// Still to be read.
    rest: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Apply,
    Delete,
    Edit,
}

pub fn pane(path: Option<String>) -> TablePane<Dir> {
    let folder = path.clone().unwrap_or_default();
    TablePane::of(Dir { path, folder, reading: None, editing: None, writing: None })
}

impl Dir {
    fn is_saved(&self) -> bool {
        self.path.is_none()
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.folder.trim_end_matches('/'))
    }

    fn kind<'a>(grid: &'a Grid, name: &str) -> Option<&'a str> {
        let row = grid.table().slots().iter().map(|(_, row)| row).find(|row| row.key.name == name)?;
        match row.cells.first()? {
            Cell::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    fn enter(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some(row) = grid.selected() else { return };
        let name = row.key.name.to_string();
        if Self::kind(grid, &name) == Some("folder") {
            cx.go(Route::Dir(Some(self.at(&name))));
        } else {
            self.read(Purpose::Look, vec![self.at(&name)], cx);
        }
    }

    /// Reads the chosen files one after the other.
    fn chosen(&mut self, purpose: Purpose, grid: &Grid, cx: &mut Cx<'_>) {
        let mut files = Vec::new();
        for key in grid.chosen() {
            match Self::kind(grid, &key.name) {
                Some("manifest") => files.push(self.at(&key.name)),
                Some("file") if purpose == Purpose::Edit => files.push(self.at(&key.name)),
                Some("kustomization") => {
                    cx.flash(
                        Flash::warning("a kustomization is not built here").next(
                            "kubectl kustomize writes what it builds into a file, which can be applied.",
                        ),
                    );
                    return;
                }
                _ => {
                    cx.flash(Flash::info(format!("{} is no manifest", key.name)));
                    return;
                }
            }
        }
        if purpose == Purpose::Edit {
            files.truncate(1);
        }
        self.read(purpose, files, cx);
    }

    fn read(&mut self, purpose: Purpose, mut files: Vec<String>, cx: &mut Cx<'_>) {
        if files.is_empty() {
            return;
        }
        let first = files.remove(0);
        let ticket = cx.call(Request::new("manifest_read", json!({ "path": first })));
        self.reading = Some(Reading { ticket, purpose, rest: files, steps: Vec::new() });
    }

    fn has_read(&mut self, mut reading: Reading, output: &Value, cx: &mut Cx<'_>) {
        let text = output["text"].as_str().unwrap_or_default();
        let path = output["path"].as_str().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or(path);
        match reading.purpose {
            Purpose::Look => return cx.push(Box::new(TextPane::fixed("file", path, text.to_owned()))),
            Purpose::Edit => {
                self.editing = Some((cx.editor(text.to_owned(), ".yaml"), path.to_owned()));
                return;
            }
            Purpose::Apply | Purpose::Delete => {}
        }
        if let Some(problem) = output["problem"].as_str() {
            let error = Error::invalid(format!("{file}: {problem}"));
            return cx.error(&error.next("e edits the file."));
        }
        let within = |mut arguments: Value, own: Option<&str>| {
            if let Some(cluster) = cx.shared.clusters.first() {
                arguments["cluster"] = json!(cluster);
            }
            match (own, &cx.shared.namespaces) {
                (Some(namespace), _) => arguments["namespace"] = json!(namespace),
                (None, Namespaces::One(namespace)) => arguments["namespace"] = json!(namespace),
                _ => {}
            }
            arguments
        };
        if reading.purpose == Purpose::Apply {
            let request = Request::new("resource_apply", within(json!({ "manifest": text }), None));
            reading.steps.push(Step { request, label: format!("apply {file}") });
        } else {
            for object in output["objects"].as_array().into_iter().flatten() {
                let arguments = json!({ "kind": object["kind"], "name": object["name"] });
                let request =
                    Request::new("resource_delete", within(arguments, object["namespace"].as_str()));
                let name = object["name"].as_str().unwrap_or_default();
                reading.steps.push(Step { request, label: format!("delete {name} of {file}") });
            }
        }
        if reading.rest.is_empty() {
            let effect = if reading.purpose == Purpose::Apply { Effect::Change } else { Effect::Destroy };
            cx.layer(Box::new(ConfirmPane::new(effect, reading.steps)));
        } else {
            let next = reading.rest.remove(0);
            reading.ticket = cx.call(Request::new("manifest_read", json!({ "path": next })));
            self.reading = Some(reading);
        }
    }

    /// The edited text goes back into the file it came from.
    fn write(&mut self, path: String, text: String, cx: &mut Cx<'_>) {
        self.writing = Some(cx.job(move || {
            // Beside it first: half a manifest is worse than the old one.
            let beside = format!("{path}.qd-new");
            let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
            if written.is_err() {
                let _ = std::fs::remove_file(&beside);
            }
            written
                .map(|()| path.clone())
                .map_err(|e| Error::unavailable(format!("{path} cannot be written: {e}")))
        }));
    }

    fn delete_saved(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let steps: Vec<Step> = grid
            .chosen()
            .into_iter()
            .map(|key| Step {
                request: Request::new("saved_delete", json!({ "name": key.name })),
                label: format!("delete {}", key.name),
            })
            .collect();
        if !steps.is_empty() {
            cx.layer(Box::new(ConfirmPane::new(Effect::Change, steps)));
        }
    }
}

impl Content for Dir {
    fn name(&self) -> &'static str {
        if self.is_saved() { "screendumps" } else { "dir" }
    }

    fn scope(&self) -> String {
        self.folder.clone()
    }

    fn source(&self) -> Source {
        let arguments = self.path.as_ref().map_or_else(|| json!({}), |path| json!({ "path": path }));
        Source::Call(Request::new("folder_list", arguments))
    }

    fn empty(&self) -> (String, String) {
        if self.is_saved() {
            return ("nothing was saved yet".to_owned(), "Ctrl-s saves a table, a text or a log".to_owned());
        }
        ("the folder is empty".to_owned(), ":dir PATH shows another".to_owned())
    }

    fn answered(&mut self, output: &Value) {
        if let Some(folder) = output["folder"].as_str() {
            folder.clone_into(&mut self.folder);
        }
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let columns = [
            Column::new("TYPE", ColumnKind::Text).rank(1),
            Column::new("OBJECTS", ColumnKind::Number).rank(2),
            Column::new("SIZE", ColumnKind::Memory).rank(3),
            Column::new("AGE", ColumnKind::Age).rank(2),
        ];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = output["rows"].as_array().into_iter().flatten().enumerate().map(|(i, row)| {
            let (changed, bytes) = (output["facts"][i][0].as_i64(), output["facts"][i][1].as_i64());
            let kind = text(&row[1]);
            let count = text(&row[2]).parse().map_or(Cell::Unknown, Cell::Number);
            let size = bytes.filter(|_| kind != "folder").map_or(Cell::Unknown, Cell::Memory);
            let cells = [Cell::text(&kind), count, size, changed.map_or(Cell::Unknown, Cell::Time)];
            std::sync::Arc::new(Row {
                key: RowKey::new("", "", text(&row[0])),
                cells: cells.into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        });
        TableDelta {
            reset: true,
            columns: Some(columns.into()),
            upserts: rows.collect(),
            ..TableDelta::default()
        }
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" | "yaml" => self.enter(grid, cx),
            "apply" if !self.is_saved() => self.chosen(Purpose::Apply, grid, cx),
            "delete" if self.is_saved() => self.delete_saved(grid, cx),
            "delete" => self.chosen(Purpose::Delete, grid, cx),
            "edit" if !self.is_saved() => self.chosen(Purpose::Edit, grid, cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, _grid: &Grid, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } => {
                let Some(reading) = self.reading.take_if(|reading| reading.ticket == ticket) else { return };
                match result {
                    Ok(Reply::Done { output, .. }) => self.has_read(reading, &output, cx),
                    Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
                    Err(error) => cx.error(&error),
                }
            }
            Message::Edited { ticket, result } => {
                let Some((_, path)) = self.editing.take_if(|(asked, _)| *asked == ticket) else { return };
                match result {
                    Ok(Some(text)) => self.write(path, text, cx),
                    Ok(None) => cx.flash(Flash::info("the file stays as it was")),
                    Err(error) => cx.error(&error),
                }
            }
            Message::Job { ticket, value } if self.writing == Some(ticket) => {
                self.writing = None;
                match value.downcast::<crate::base::Result<String>>().map(|result| *result) {
                    Ok(Ok(path)) => {
                        cx.flash(Flash::info(format!("{path} is written")).next("a applies it."));
                        cx.act(Action::named("refresh"));
                    }
                    Ok(Err(error)) => cx.error(&error),
                    Err(_) => {}
                }
            }
            _ => {}
        }
    }

    fn command(&self) -> Option<String> {
        Some(if self.is_saved() { "screendumps".to_owned() } else { format!("dir '{}'", self.folder) })
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            kind: Some(self.name().to_owned()),
            selected: grid.selected().map(|row| json!({ "kind": "file", "name": self.at(&row.key.name) })),
            // A person's files are nobody else's to see.
            private: true,
            ..PaneFocus::default()
        }
    }
}
