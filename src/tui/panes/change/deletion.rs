//! How objects are deleted, and the steps that do it.

use serde_json::json;

use super::Step;
use crate::gate::Request;
use crate::tui::object::ObjectRef;

/// What the keys of the dialog turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deletion {
    cascade: usize,
    grace: usize,
    force: bool,
}

impl Deletion {
    const CASCADES: [&'static str; 3] = ["background", "foreground", "orphan"];
    const GRACES: [Option<u32>; 5] = [None, Some(0), Some(10), Some(60), Some(300)];

    /// As `kill` deletes: at once, without waiting for the kubelet.
    pub fn killing() -> Self {
        Self { force: true, grace: 1, ..Self::default() }
    }

    /// Does what a key asks for; false for any other.
    pub fn turn(&mut self, action: &str) -> bool {
        match action {
            "force" => self.force = !self.force,
            "cascade" => self.cascade = (self.cascade + 1) % Self::CASCADES.len(),
            "grace" => self.grace = (self.grace + 1) % Self::GRACES.len(),
            _ => return false,
        }
        true
    }

    /// The options in a line of words.
    pub fn line(self) -> String {
        let grace = Self::GRACES[self.grace].map_or_else(|| "its own".to_owned(), |s| format!("{s} s"));
        let force = if self.force { "on" } else { "off" };
        format!(
            "what it owns goes: {}   grace period: {grace}   force: {force}",
            Self::CASCADES[self.cascade]
        )
    }

    /// The step that deletes an object.
    pub fn step(self, object: &ObjectRef) -> Step {
        let mut arguments = object.arguments();
        arguments["cascade"] = json!(Self::CASCADES[self.cascade]);
        if self.force {
            arguments["force"] = json!(true);
        }
        if let Some(seconds) = Self::GRACES[self.grace] {
            arguments["grace_period"] = json!(seconds);
        }
        let label = format!("delete {} {}", object.plural(), object.name);
        Step { request: Request::new("resource_delete", arguments), label }
    }
}
