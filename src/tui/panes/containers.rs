//! The containers of a pod, live: init containers, sidecars, main and ephemeral ones. Enter and `l` read a container's
//! log; `d`, `y` and `e` are for the pod.

use compact_str::CompactString;
use serde_json::json;

use super::forward::ForwardPane;
use super::table::{Content, Source, TablePane};
use super::talk::{self, Want};
use crate::gate::Request;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::object::{LogTarget, ObjectRef, Route, TextKind};
use crate::tui::pane::{Handled, PaneFocus};
use crate::tui::widgets::grid::Grid;

/// One pod's containers.
pub struct Containers {
    pod: ObjectRef,
}

pub fn pane(pod: ObjectRef) -> TablePane<Containers> {
    TablePane::of(Containers { pod })
}

impl Containers {
    fn logs(&self, previous: bool, grid: &Grid, cx: &mut Cx<'_>) {
        match container(grid) {
            Some(name) => cx.go(Route::Logs(LogTarget {
                objects: vec![self.pod.clone()],
                container: Some(name),
                previous,
            })),
            None => cx.flash(Flash::info("there is no container under the cursor")),
        }
    }
}

impl Containers {
    fn talk(&self, action: &str, grid: &Grid, cx: &mut Cx<'_>) {
        match (Want::of(action), container(grid)) {
            (Some(want), Some(name)) => talk::begin(want, &self.pod, &name, cx),
            _ => cx.flash(Flash::info("there is no container under the cursor")),
        }
    }
}

fn container(grid: &Grid) -> Option<CompactString> {
    grid.selected().map(|row| row.key.name.clone())
}

impl Content for Containers {
    fn name(&self) -> &'static str {
        "containers"
    }

    fn scope(&self) -> String {
        if self.pod.namespace.is_empty() {
            self.pod.name.to_string()
        } else {
            format!("{}/{}", self.pod.namespace, self.pod.name)
        }
    }

    fn source(&self) -> Source {
        let mut arguments = self.pod.arguments();
        if let Some(map) = arguments.as_object_mut() {
            map.remove("kind");
        }
        Source::Watch(Request::new("container_list", arguments))
    }

    fn sort(&self) -> Option<(&'static str, bool)> {
        Some(("IDX", false))
    }

    fn empty(&self) -> (String, String) {
        (
            format!("the pod {} is not there, or no longer", self.pod.name),
            "Esc goes back to the pods".to_owned(),
        )
    }

    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" | "logs" => self.logs(false, grid, cx),
            "logs_previous" => self.logs(true, grid, cx),
            "shell" | "attach" => self.talk(action.name, grid, cx),
            "forward" => cx.layer(Box::new(ForwardPane::new(self.pod.clone()))),
            "forwards" => cx.go(Route::Forwards(Some(self.pod.clone()))),
            "debug" | "transfer" => {
                cx.go(talk::form(
                    action.name,
                    &self.pod,
                    container(grid).as_deref(),
                    &cx.shared.user.settings,
                ));
            }
            "describe" => cx.go(Route::Text(TextKind::Describe, self.pod.clone())),
            "yaml" => cx.go(Route::Text(TextKind::Yaml, self.pod.clone())),
            "edit" => cx.go(Route::Edit(self.pod.clone())),
            "events" => cx.go(Route::Events(self.pod.clone())),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    /// There is no line that leads to a pod's containers: the history goes to the pods.
    fn command(&self) -> Option<String> {
        None
    }

    fn focus(&self, grid: &Grid) -> PaneFocus {
        let selected = container(grid).map(|name| {
            let mut object = self.pod.arguments();
            object["field"] = json!(format!("containers/{name}"));
            object
        });
        PaneFocus {
            cluster: Some(self.pod.cluster.to_string()),
            namespace: Some(self.pod.namespace.to_string()),
            kind: Some(self.pod.kind.to_string()),
            selected,
            ..PaneFocus::default()
        }
    }
}
