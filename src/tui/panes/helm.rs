//! Helm releases, and the revisions of one. `v` shows values, `y` the manifest; `r` opens the history, and there rolls back.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::{Value, json};

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::bus::{CallPhase, Event};
use crate::gate::{Effect, Reply, Request};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, TableDelta, Tone};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{Namespaces, ReleaseRef, Route, are_several};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::Shared;
use crate::tui::widgets::grid::Grid;

/// Every release, or the revisions of one.
pub struct Helm {
    /// The clusters that it reads, if that is not the current one; of a release's revisions, its own.
    clusters: Vec<CompactString>,
    namespaces: Namespaces,
    /// Whose revisions are shown.
    release: Option<ReleaseRef>,
    not_read: Vec<String>,
    /// Clusters that told nothing, and why.
    lacking: Vec<String>,
    text: Option<(Ticket, &'static str, String)>,
}

pub fn releases(shared: &Shared) -> TablePane<Helm> {
    let (clusters, namespaces) = (shared.clusters.clone(), shared.namespaces.clone());
    let (several, single) = (are_several(&clusters), matches!(namespaces, Namespaces::One(_)));
    let content =
        Helm { clusters, namespaces, release: None, not_read: Vec::new(), lacking: Vec::new(), text: None };
    TablePane::with(content, Grid::new(several, !single))
}

pub fn history(release: ReleaseRef) -> TablePane<Helm> {
    TablePane::of(Helm {
        clusters: Some(release.cluster.clone()).filter(|c| !c.is_empty()).into_iter().collect(),
        namespaces: Namespaces::All,
        release: Some(release),
        not_read: Vec::new(),
        lacking: Vec::new(),
        text: None,
    })
}

fn tone(status: &str) -> Tone {
    match status {
        "deployed" => Tone::Normal,
        "superseded" | "uninstalled" => Tone::Completed,
        "failed" => Tone::Error,
        _ => Tone::Pending,
    }
}

impl Helm {
    fn cluster_of(&self, key: &RowKey) -> CompactString {
        match &*key.cluster {
            "" => self.clusters.first().cloned().unwrap_or_default(),
            name => name.into(),
        }
    }

    /// The release, and the revision under the cursor where revisions are shown.
    fn chosen(&self, grid: &Grid) -> Option<(ReleaseRef, Option<i64>)> {
        let row = grid.selected()?;
        match &self.release {
            Some(release) => Some((release.clone(), row.uid.parse().ok())),
            None => Some((
                ReleaseRef {
                    cluster: self.cluster_of(&row.key),
                    namespace: row.key.namespace.clone(),
                    name: row.key.name.clone(),
                },
                None,
            )),
        }
    }

    fn text(&mut self, what: &'static str, grid: &Grid, cx: &mut Cx<'_>) {
        let Some((release, revision)) = self.chosen(grid) else { return nothing(cx) };
        let mut arguments = release.arguments();
        if let Some(revision) = revision {
            arguments["revision"] = json!(revision);
        }
        let ticket = cx.call(Request::new(format!("helm_{what}"), arguments));
        let revision = revision.map(|r| format!(" revision {r}")).unwrap_or_default();
        self.text = Some((ticket, what, format!("{}{revision}", release.name)));
    }

    /// Takes the marked releases away, or the one under the cursor.
    fn uninstall(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let step = |key: RowKey| {
            let cluster = self.cluster_of(&key);
            let release = ReleaseRef { cluster, namespace: key.namespace, name: key.name };
            let label = format!("uninstall {}/{}", release.namespace, release.name);
            Step { request: Request::new("helm_uninstall", release.arguments()), label }
        };
        let steps: Vec<Step> = grid.chosen().into_iter().map(step).collect();
        if steps.is_empty() {
            return nothing(cx);
        }
        cx.layer(Box::new(ConfirmPane::new(Effect::Destroy, steps)));
    }

    fn rollback(&self, grid: &Grid, cx: &mut Cx<'_>) {
        let Some((release, Some(revision))) = self.chosen(grid) else { return nothing(cx) };
        let mut arguments = release.arguments();
        arguments["to_revision"] = json!(revision);
        let label = format!("rollback {} to revision {revision}", release.name);
        let step = Step { request: Request::new("helm_rollback", arguments), label };
        cx.layer(Box::new(ConfirmPane::new(Effect::Destroy, vec![step])));
    }
}

fn nothing(cx: &mut Cx<'_>) {
    cx.flash(Flash::info("there is no row under the cursor"));
}

impl Content for Helm {
    fn name(&self) -> &'static str {
        if self.release.is_some() { "helm_history" } else { "helm" }
    }

    fn scope(&self) -> String {
        match &self.release {
            Some(release) => format!("{}/{}", release.namespace, release.name),
            None => self.namespaces.label().to_owned(),
        }
    }

    fn source(&self) -> Source {
        if let Some(release) = &self.release {
            return Source::Call(Request::new("helm_history", release.arguments()));
        }
        let mut arguments = json!({});
        self.namespaces.put(&mut arguments);
        if !self.clusters.is_empty() {
            arguments["cluster"] = json!(self.clusters.join(","));
        }
        Source::Call(Request::new("helm_list", arguments))
    }

    fn take_clusters(&mut self, clusters: &[CompactString]) -> bool {
        let of_several = self.release.is_none();
        if of_several {
            self.clusters = clusters.to_vec();
        }
        of_several
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        Some(&self.clusters)
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(if self.release.is_some() { ("REVISION", true) } else { ("NAME", false) })
    }

    fn empty(&self) -> (String, String) {
        if self.release.is_none() && self.namespaces == Namespaces::All {
            return (
                "no Helm release is installed here".to_owned(),
                "what helm installs shows after Ctrl-r".to_owned(),
            );
        }
        let what = format!("there are no Helm releases in {}", self.scope());
        (what, "0 in a table of objects, then :helm, shows all namespaces".to_owned())
    }

    fn answered(&mut self, output: &Value) {
        let texts = output["not_read"].as_array().into_iter().flatten();
        self.not_read = texts.filter_map(Value::as_str).map(str::to_owned).collect();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let lacking = output["lacking"].as_array().into_iter().flatten();
        self.lacking =
            lacking.map(|one| format!("{}: {}", text(one, "cluster"), text(one, "reason"))).collect();
    }

    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        if let Some(first) = self.lacking.first() {
            let more = self.lacking.len() - 1;
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            return Some((format!("nothing of {first}{more}"), true));
        }
        let first = self.not_read.first()?;
        Some((format!("{} could not be read, such as {first}", self.not_read.len()), true))
    }

    fn rows(&self, output: &Value) -> TableDelta {
        let names: Vec<&str> =
            output["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let hidden = |name: &str| matches!(name, "CLUSTER" | "NAMESPACE" | "NAME");
        let columns: Arc<[Column]> = names
            .iter()
            .filter(|name| !hidden(name))
            .map(|name| match *name {
                "REVISION" => Column::new(*name, ColumnKind::Number).rank(1),
                "STATUS" => Column::new(*name, ColumnKind::Status).rank(0),
                "CHART" => Column::new(*name, ColumnKind::Text).rank(1),
                _ => Column::new(*name, ColumnKind::Text).rank(2),
            })
            .collect();
        let row = |row: &Value| {
            let text = |name: &str| {
                let at = names.iter().position(|n| *n == name);
                at.and_then(|at| row[at].as_str()).unwrap_or_default()
            };
            let cells = names.iter().filter(|name| !hidden(name)).map(|name| match *name {
                "REVISION" => text(name).parse().map_or(Cell::Unknown, Cell::Number),
                "STATUS" => Cell::status(text(name), tone(text(name))),
                other => Cell::text(text(other)),
            });
            let name = match &self.release {
                Some(release) => format!("{}.v{}", release.name, text("REVISION")),
                None => text("NAME").to_owned(),
            };
            Arc::new(Row {
                key: RowKey::new(text("CLUSTER"), text("NAMESPACE"), name),
                cells: cells.collect(),
                tone: tone(text("STATUS")),
                uid: text("REVISION").into(),
            })
        };
        let rows = output["rows"].as_array().into_iter().flatten();
        TableDelta {
            reset: true,
            columns: Some(columns),
            upserts: rows.map(row).collect(),
            ..TableDelta::default()
        }
    }

    /// A rollback by anyone has made a revision, or a release is gone.
    fn concerns(&self, event: &Event) -> bool {
        let Event::Call(call) = event else { return false };
        matches!(call.operation.as_str(), "helm_rollback" | "helm_uninstall")
            && matches!(call.phase, CallPhase::Succeeded { .. } | CallPhase::Failed { .. })
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" | "history" if self.release.is_none() => match self.chosen(grid) {
                Some((release, _)) => cx.go(Route::HelmHistory(release)),
                None => nothing(cx),
            },
            "values" => self.text("values", grid, cx),
            "yaml" | "enter" => self.text("manifest", grid, cx),
            "rollback" => self.rollback(grid, cx),
            "delete" if self.release.is_none() => self.uninstall(grid, cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, _grid: &Grid, cx: &mut Cx<'_>) {
        let Message::Reply { ticket, result } = message else { return };
        let Some((_, what, subject)) = self.text.take_if(|(asked, ..)| *asked == ticket) else { return };
        match result {
            Ok(Reply::Done { output, .. }) => {
                let text = output["text"].as_str().unwrap_or_default();
                let text = if what == "values" && matches!(text.trim(), "" | "{}" | "null") {
                    "# no values were given: the chart's own hold\n".to_owned()
                } else {
                    text.to_owned()
                };
                cx.push(Box::new(TextPane::fixed(what, subject, text)));
            }
            Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
            Err(error) => cx.error(&error),
        }
    }

    fn command(&self) -> Option<String> {
        self.release.is_none().then(|| "helm".to_owned())
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let selected = self.chosen(grid).map(|(release, revision)| {
            let mut about = release.arguments();
            about["kind"] = json!("helm");
            if let Some(revision) = revision {
                about["field"] = json!(format!("revision {revision}"));
            }
            about
        });
        PaneFocus {
            cluster: (!self.clusters.is_empty()).then(|| self.clusters.join(",")),
            selected,
            ..PaneFocus::default()
        }
    }
}
