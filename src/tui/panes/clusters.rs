//! Every cluster of the kubeconfig, live: version, latency, and why one is down.

use compact_str::CompactString;
use serde_json::{Map, Value, json};

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use super::text::TextPane;
use crate::gate::{Effect, Request};
use crate::rows::{Cell, Row, RowKey, Source as Column};
use crate::tui::action::Action;
use crate::tui::effect::Cx;
use crate::tui::object::{Query, Route};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::shared::ClusterInfo;
use crate::tui::widgets::grid::Grid;

/// The pane. Enter goes to the pods of a cluster, or of the marked ones together.
pub type Clusters = TablePane<Kubeconfig>;

/// The contexts of the kubeconfig.
pub struct Kubeconfig;

pub fn pane() -> Clusters {
    TablePane::of(Kubeconfig)
}

impl Content for Kubeconfig {
    fn name(&self) -> &'static str {
        "clusters"
    }

    fn source(&self) -> Source {
        Source::Watch(Request::new("cluster_list", json!({})))
    }

    fn empty(&self) -> (String, String) {
        (
            "the kubeconfig names no cluster".to_owned(),
            "KUBECONFIG, or kubernetes.kubeconfig in the configuration, names another file; `qd lab` needs none"
                .to_owned(),
        )
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => {}
            // A reason is longer than a column.
            "describe" => {
                let Some(row) = grid.selected() else { return Handled::Yes };
                let told = grid.cells(cx.now).into_iter().filter(|(_, text)| !text.is_empty());
                let all: Map<String, Value> = told.map(|(name, text)| (name, text.into())).collect();
                let name = row.key.name.to_string();
                cx.push(Box::new(TextPane::value("cluster", name, &Value::Object(all))));
                return Handled::Yes;
            }
            "rename" => {
                if let Some(row) = grid.selected() {
                    let arguments = json!({ "name": row.key.name });
                    cx.go(Route::Form { operation: "context_rename".to_owned(), arguments });
                }
                return Handled::Yes;
            }
            "delete" => {
                let step = |key: RowKey| Step {
                    label: format!("delete context {}", key.name),
                    request: Request::new("context_delete", json!({ "name": key.name })),
                };
                let steps: Vec<Step> = grid.chosen().into_iter().map(step).collect();
                if !steps.is_empty() {
                    cx.layer(Box::new(ConfirmPane::new(Effect::Destroy, steps)));
                }
                return Handled::Yes;
            }
            _ => return Handled::No,
        }
        let clusters: Vec<CompactString> = grid.chosen().into_iter().map(|key| key.name).collect();
        if !clusters.is_empty() {
            cx.clusters(clusters.clone());
            let namespaces = cx.shared.namespaces.clone();
            cx.go(Route::Resources(Query { kind: "pods".into(), clusters, namespaces, ..Query::default() }));
        }
        Handled::Yes
    }

    /// The header says what this pane has just learnt.
    fn changed(&mut self, grid: &Grid, cx: &mut Cx<'_>) {
        let known = grid.table().slots().iter().map(|(_, row)| info(grid, row)).collect();
        cx.known_clusters(known);
    }

    fn remark(&self, grid: &Grid) -> Option<(String, bool)> {
        let rows = grid.table().slots().iter();
        let down = rows.filter(|(_, row)| info(grid, row).up == Some(false)).count();
        (down > 0).then(|| (format!("{down} down"), true))
    }

    fn command(&self) -> Option<String> {
        Some("contexts".to_owned())
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        PaneFocus {
            kind: Some("clusters".to_owned()),
            selected: grid
                .selected()
                .map(|row| json!({ "cluster": row.key.name, "kind": "cluster", "name": row.key.name })),
            ..PaneFocus::default()
        }
    }
}

/// A row as the header counts it.
fn info(grid: &Grid, row: &Row) -> ClusterInfo {
    let text = |name: &str| match Column::named(grid.table().columns(), name) {
        Some(Column::Cell(i)) => match row.cells.get(i) {
            Some(Cell::Text(text) | Cell::Status(text, _)) => text.clone(),
            _ => CompactString::default(),
        },
        _ => CompactString::default(),
    };
    ClusterInfo::told(row.key.name.clone(), text)
}
