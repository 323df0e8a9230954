//! An object's manifest, or a Secret's values, under the editor: what was read, what was typed, and how the two meet
//! what is there now.

use serde_json::{Value, json};

use super::{Step, merge, values};
use crate::base::{Code, Error};
use crate::gate::{Diff, DiffOp, Request};
use crate::tui::effect::{Cx, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::panes::text::field::at_fault;
use crate::tui::panes::yaml;

/// Lines of another's change that are shown.
const MOST: usize = 60;

/// What of an object is under the editor.
#[derive(Debug, Clone)]
pub enum What {
    Manifest,
    /// A Secret's values, as they were at a resourceVersion.
    Values {
        revision: String,
    },
}

impl What {
    /// The call that reads it.
    pub fn question(&self, object: &ObjectRef) -> Request {
        let mut arguments = object.arguments();
        if let What::Values { .. } = self {
            arguments["format"] = json!("json");
            arguments["reveal"] = json!(true);
        }
        Request::new("resource_get", arguments)
    }

    /// The text for the editor, of the answer.
    pub fn text(&mut self, object: &ObjectRef, output: &Value) -> String {
        let text = output["text"].as_str().unwrap_or_default();
        match self {
            What::Manifest => text.to_owned(),
            What::Values { revision } => {
                output["revision"].as_str().unwrap_or_default().clone_into(revision);
                values::document(object, &serde_json::from_str(text).unwrap_or_default())
            }
        }
    }
}

/// One edit, from the first reading to its end.
#[derive(Debug, Clone)]
pub struct Editing {
    object: ObjectRef,
    what: What,
    /// The text as it was read, which the edit began from.
    base: String,
    text: String,
    editor: Option<Ticket>,
    /// The object is read again, because another changed it.
    reading: Option<Ticket>,
    /// It is read to tell what another changed.
    comparing: Option<Ticket>,
    /// Esc was pressed once.
    leaving: bool,
}

impl Editing {
    pub fn new(object: ObjectRef, what: What, base: String, text: String) -> Self {
        Self { object, what, base, text, editor: None, reading: None, comparing: None, leaving: false }
    }

    /// The step that puts the edited manifest in the object's place, or the values that changed in theirs.
    pub fn step(&self) -> Step {
        let mut arguments = self.object.arguments();
        let request = match &self.what {
            What::Manifest => {
                arguments["manifest"] = json!(self.text);
                Request::new("resource_edit", arguments)
            }
            What::Values { revision } => {
                // What cannot be read as values is told before this is sent.
                let changed = values::changes(&self.base, &self.text).unwrap_or_default();
                changed.put(&mut arguments, revision);
                Request::new("secret_edit", arguments)
            }
        };
        Step { request, label: format!("edit {} {}", self.object.plural(), self.object.name) }
    }

    /// Why it cannot be sent at all: the line that is not YAML, with those around it; a value that is no text.
    pub fn mistake(&self) -> Option<Error> {
        let Err(mistake) = yaml::check(&self.text) else {
            return match &self.what {
                What::Manifest => None,
                What::Values { .. } => values::changes(&self.base, &self.text).err(),
            };
        };
        let first = mistake.line.saturating_sub(3);
        let around: Vec<String> = self
            .text
            .lines()
            .enumerate()
            .skip(first)
            .take(5)
            .map(|(i, line)| format!("{} {:>4} {line}", if i + 1 == mistake.line { ">" } else { " " }, i + 1))
            .collect();
        Some(
            Error::invalid(format!("the manifest is not valid YAML: {mistake}"))
                .next("Nothing is lost: e goes back to the text.")
                .details(json!({ "around": around })),
        )
    }

    /// Opens the editor again. After a conflict the object is read first, so that the edit stands on what is there.
    pub fn again(&mut self, error: Option<&Error>, cx: &mut Cx<'_>) {
        self.leaving = false;
        if error.is_some_and(|e| e.code == Code::Conflict) {
            if let Some(old) = self.reading.replace(cx.call(self.what.question(&self.object))) {
                cx.cancel(old);
            }
        } else {
            let line = error.and_then(|error| at_fault(&self.text, &error.message));
            self.editor = Some(cx.editor_at(line, self.text.clone(), ".yaml"));
        }
    }

    /// Asks what the object is now, so that the other's change can be shown, unless the error tells it already.
    pub fn compare(&mut self, error: &Error, cx: &mut Cx<'_>) {
        let told = error.details.as_ref().is_some_and(|d| d["other_change"].is_array());
        // Another's values are not for a card.
        let told = told || matches!(self.what, What::Values { .. });
        if error.code == Code::Conflict && !told {
            self.comparing = Some(cx.call(Request::new("resource_get", self.object.arguments())));
        }
    }

    pub fn is_comparing(&self, ticket: Ticket) -> bool {
        self.comparing == Some(ticket)
    }

    /// What another changed since the edit began, as lines of a difference.
    pub fn others(&mut self, output: &Value) -> Vec<String> {
        self.comparing = None;
        let Some(now) = output["text"].as_str() else { return Vec::new() };
        let sign = |op: DiffOp| match op {
            DiffOp::Removed => Some('-'),
            DiffOp::Added => Some('+'),
            DiffOp::Same | DiffOp::Hunk => None,
        };
        let lines = Diff::between(&self.base, now).lines;
        lines.into_iter().filter_map(|l| Some(format!("{}{}", sign(l.op)?, l.text))).take(MOST).collect()
    }

    pub fn is_reading(&self, ticket: Ticket) -> bool {
        self.reading == Some(ticket)
    }

    /// The object as it is now: the edit is laid on it and opened.
    pub fn read(&mut self, output: &Value, cx: &mut Cx<'_>) {
        self.reading = None;
        if !output["text"].is_string() {
            return;
        }
        let now = self.what.text(&self.object, output);
        self.text = merge::onto(&self.base, &self.text, &now);
        // What was typed stands where the text is not as the object is now; the notes at the top are none of it.
        let notes = self.text.lines().take_while(|line| line.starts_with('#')).count();
        let own = self.text.lines().skip(notes).zip(now.lines()).position(|(typed, now)| typed != now);
        self.base = now;
        self.editor = Some(cx.editor_at(own.map(|own| own + notes), self.text.clone(), ".yaml"));
    }

    pub fn reading_failed(&mut self) {
        self.reading = None;
    }

    pub fn is_edited(&self, ticket: Ticket) -> bool {
        self.editor == Some(ticket)
    }

    /// Takes what came out of the editor. `None`: closed as it was opened.
    pub fn take(&mut self, text: Option<String>) {
        self.editor = None;
        if let Some(text) = text {
            self.text = text;
        }
    }

    /// Whether leaving now would throw typed text away; the second time it may.
    pub fn keeps(&mut self) -> bool {
        !std::mem::replace(&mut self.leaving, true)
    }

    pub fn stays(&mut self) {
        self.leaving = false;
    }
}
