//! Workspaces: the tabs as command lines, saved by a name and opened again.

use serde_json::{Value, json};

use super::App;
use crate::base::{Error, Result};
use crate::gate::Request;
use crate::tui::command::WorkspaceCommand;
use crate::tui::effect::Flash;

impl App {
    pub(super) fn workspace(&mut self, command: WorkspaceCommand) -> Result<()> {
        match command {
            WorkspaceCommand::List => {
                let ticket = self.next_ticket();
                self.executor.call(None, ticket, Request::new("workspace_list", json!({})));
                self.session.workspaces = Some(ticket);
            }
            WorkspaceCommand::Open(name) => {
                let ticket = self.next_ticket();
                self.executor.call(None, ticket, Request::new("workspace_get", json!({ "name": name })));
                self.session.workspace = Some((ticket, name));
            }
            WorkspaceCommand::Save(name) => {
                let (tabs, current, split) = self.tab_lines();
                if tabs.is_empty() {
                    return Err(Error::invalid("nothing here can be opened again by a command")
                        .next("Go to a table, then save."));
                }
                let mut arguments = json!({ "name": name, "tabs": tabs, "current": current });
                if let Some(split) = split {
                    arguments["split"] = json!(split);
                }
                let label = format!("save the workspace {name}");
                self.run_in_background(Request::new("workspace_save", arguments), label);
            }
            WorkspaceCommand::Delete(name) => {
                let request = Request::new("workspace_delete", json!({ "name": name }));
                self.run_in_background(request, format!("delete the workspace {name}"));
            }
        }
        Ok(())
    }

    /// The names that there are.
    pub(super) fn tell_workspaces(&mut self, output: &Value) {
        let rows = output["rows"].as_array().into_iter().flatten();
        let names: Vec<&str> = rows.filter_map(|row| row[0].as_str()).collect();
        let flash = if names.is_empty() {
            Flash::info("no workspace is saved yet").next(":ws save NAME saves the tabs that are open.")
        } else {
            Flash::info(format!("workspaces: {}", names.join(", "))).next(":ws NAME opens one.")
        };
        self.flash(flash);
    }

    /// Opens what was saved, in place of all that is open.
    pub(super) fn open_workspace(&mut self, name: &str, output: &Value) {
        let lines: Vec<String> = output["tabs"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect();
        let Some((first, others)) = lines.split_first() else { return };
        self.only_tab();
        self.run_command(first);
        for line in others {
            if let Err(error) = self.new_tab(Some(line)) {
                return self.flash(Flash::error(&error));
            }
        }
        let current = output["current"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        self.go_to_tab(current.saturating_sub(1));
        match output["split"].as_str() {
            Some("right") => self.split(false),
            Some("below") => self.split(true),
            _ => {}
        }
        self.flash(Flash::info(format!("the workspace {name}")));
    }
}
