//! The session's port-forwards, live: where each leads, what went through, what went wrong. Ctrl-d ends one, `c` copies
//! its address.

use serde_json::json;

use super::change::{ConfirmPane, Step};
use super::table::{Content, Source, TablePane};
use crate::gate::{Effect, Request};
use crate::rows::RowKey;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{ObjectRef, Query, Route};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// See the module.
pub struct ForwardsTable;

/// All of them, or first those to one object.
pub fn pane(of: Option<&ObjectRef>) -> TablePane<ForwardsTable> {
    let mut pane = TablePane::with(ForwardsTable, Grid::new(true, true));
    if let Some(object) = of {
        pane.filter_at_first(object.name.to_string());
    }
    pane
}

/// The local port, which is a forward's name.
fn port(key: &RowKey) -> Option<u16> {
    key.name.rsplit_once(':')?.1.parse().ok()
}

fn delete(key: &RowKey) -> Option<Step> {
    let port = port(key)?;
    Some(Step {
        request: Request::new("forward_delete", json!({ "port": port })),
        label: format!("end the port-forward {}", key.name),
    })
}

impl Content for ForwardsTable {
    fn name(&self) -> &'static str {
        "forwards"
    }

    fn source(&self) -> Source {
        Source::Watch(Request::new("forward_list", json!({})))
    }

    fn empty(&self) -> (String, String) {
        (
            "no port-forward is there".to_owned(),
            "Shift-f on a pod, a service or a deployment makes one".to_owned(),
        )
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "delete" => {
                let steps: Vec<Step> = grid.chosen().iter().filter_map(delete).collect();
                if steps.is_empty() {
                    cx.flash(Flash::info("there is no port-forward under the cursor"));
                } else {
                    cx.layer(Box::new(ConfirmPane::new(Effect::Change, steps)));
                }
            }
            "enter" => match grid.selected() {
                Some(row) => {
                    let pod = grid.cell_text(row, "POD", cx.now).filter(|p| *p != "–");
                    cx.go(Route::Resources(Query {
                        kind: "pods".into(),
                        clusters: vec![(*row.key.cluster).into()],
                        namespaces: crate::tui::object::Namespaces::One(row.key.namespace.clone()),
                        select: pod
                            .map(|name| RowKey::new(row.key.cluster.clone(), &row.key.namespace, &name)),
                        ..Query::default()
                    }));
                }
                None => cx.flash(Flash::info("there is no port-forward under the cursor")),
            },
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let selected = grid.selected().map(|row| {
            json!({ "kind": "forward", "cluster": row.key.cluster, "namespace": row.key.namespace, "name": row.key.name })
        });
        PaneFocus { kind: Some("forwards".to_owned()), selected, ..PaneFocus::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_named_by_its_local_port() {
        assert_eq!(port(&RowKey::new("c", "n", "127.0.0.1:8080")), Some(8080));
        assert_eq!(port(&RowKey::new("c", "n", "[::1]:80")), Some(80));
        let name = "x";
        assert!(delete(&RowKey::new("c", "n", name)).is_none());
    }
}
