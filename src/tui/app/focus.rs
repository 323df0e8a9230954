//! What the operator looks at, told to the others: `focus_set`.

use serde_json::{Value, json};

use super::App;
use crate::gate::Request;

impl App {
    /// The call that publishes the focus, if it is another than the last one published.
    pub fn focus_request(&mut self) -> Option<Request> {
        if !self.session.has_focus_set {
            return None;
        }
        let slot = self.stack.last()?;
        let (name, focus) = (slot.pane.name(), slot.pane.focus());
        let mut arguments = json!({
            "pane": name,
            "title": if focus.private { &*name } else { self.drawn.title.trim() },
            "marked": focus.marked,
            "columns": focus.columns,
            "lines": if focus.private { &[][..] } else { &self.drawn.lines[..] },
            "width": self.drawn.pane.width,
            "height": self.drawn.pane.height,
        });
        let optional = [
            ("cluster", focus.cluster.map(Value::from)),
            ("namespace", focus.namespace.map(Value::from)),
            ("kind", focus.kind.map(Value::from)),
            ("filter", focus.filter.filter(|f| !f.is_empty()).map(Value::from)),
            ("selected", focus.selected),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                arguments[name] = value;
            }
        }
        if self.session.published.as_ref() == Some(&arguments) {
            return None;
        }
        self.session.published = Some(arguments.clone());
        Some(Request::new("focus_set", arguments))
    }
}
