//! A form made from a JSON Schema: one field a property, checked as it is filled in.
//!
//! A state machine without I/O. It knows what `schemars` writes for our operations: types with or
//! without `null`, enumerations (plain, or with a word of help each), references into `$defs`, lists of
//! simple values. Anything else is a field of YAML.

mod schema;

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::{Map, Value};

pub use self::schema::{Field, Kind, fields};
use super::input::Input;

/// A field being filled in.
#[derive(Debug, Clone)]
pub struct Entry {
    pub field: Field,
    /// What was typed, for choices and switches the chosen word; and what is wrong with it.
    pub input: Input,
}

/// The form.
#[derive(Debug, Clone)]
pub struct Form {
    pub entries: Vec<Entry>,
    pub focus: usize,
    /// Words to complete the focused field with, as far as they are known.
    pub suggestions: Vec<String>,
    pub chosen: Option<usize>,
}

impl Form {
    /// The form of an operation's input, filled with what is known already.
    pub fn new(schema: &Value, known: &Value) -> Self {
        let entries: Vec<Entry> = fields(schema)
            .into_iter()
            .map(|field| {
                let value = known.get(&field.name).filter(|v| !v.is_null()).or(field.default.as_ref());
                let text = value.map(|v| field.kind.write(v)).unwrap_or_default();
                let input = field.kind.input(text);
                Entry { field, input }
            })
            .collect();
        let focus = entries.iter().position(|e| e.field.required && e.input.text().is_empty()).unwrap_or(0);
        Self { entries, focus, suggestions: Vec::new(), chosen: None }
    }

    pub fn focused(&self) -> Option<&Entry> {
        self.entries.get(self.focus)
    }

    /// The value of a field as it stands, for completing others.
    pub fn text(&self, name: &str) -> &str {
        self.entries.iter().find(|e| e.field.name == name).map_or("", |e| e.input.text())
    }

    pub fn step(&mut self, forward: bool) {
        let count = self.entries.len().max(1);
        self.check(self.focus);
        self.focus = (self.focus + if forward { 1 } else { count - 1 }) % count;
        self.suggestions.clear();
        self.chosen = None;
    }

    /// Takes a key; whether it was one of editing.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let Some(entry) = self.entries.get_mut(self.focus) else { return false };
        let taken = match (&entry.field.kind, key.code) {
            (Kind::Bool, KeyCode::Char(' ') | KeyCode::Left | KeyCode::Right) => {
                let on = entry.input.text() == "true";
                entry.input.set(if on { "false" } else { "true" });
                true
            }
            (Kind::Choice(words), KeyCode::Char(' ') | KeyCode::Right | KeyCode::Left) => {
                let at = words.iter().position(|(w, _)| w == entry.input.text());
                let count = words.len().max(1);
                let next = match (at, key.code == KeyCode::Left) {
                    (None, _) => 0,
                    (Some(at), false) => (at + 1) % count,
                    (Some(at), true) => (at + count - 1) % count,
                };
                if let Some((word, _)) = words.get(next) {
                    entry.input.set(word.clone());
                }
                true
            }
            (Kind::Bool, KeyCode::Char(_)) => true,
            _ => entry.input.key(key),
        };
        if taken {
            self.chosen = None;
        }
        taken
    }

    pub fn paste(&mut self, text: &str) {
        if let Some(entry) = self.entries.get_mut(self.focus) {
            entry.input.paste(text);
        }
    }

    /// Known words that go on from what is typed.
    pub fn suggest(&mut self, words: impl IntoIterator<Item = String>) {
        let typed = self.focused().map(|e| e.input.text().to_lowercase()).unwrap_or_default();
        self.suggestions =
            words.into_iter().filter(|w| w.to_lowercase().contains(&typed) && *w != typed).take(8).collect();
        self.chosen = None;
    }

    /// Goes through the suggestions, taking each as it is passed.
    pub fn complete(&mut self, forward: bool) -> bool {
        let count = self.suggestions.len();
        if count == 0 {
            return false;
        }
        let next = match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
        };
        self.chosen = Some(next);
        if let Some(entry) = self.entries.get_mut(self.focus) {
            entry.input.set(self.suggestions[next].clone());
        }
        true
    }

    fn check(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index)
            && let Err(why) = entry.value()
        {
            entry.input.refuse(why);
        }
    }

    /// All arguments; or `None`, with the first field that is wrong in focus and saying why.
    pub fn arguments(&mut self) -> Option<Value> {
        let mut all = Map::new();
        let mut wrong = None;
        for (i, entry) in self.entries.iter_mut().enumerate() {
            match entry.value() {
                Ok(Some(value)) => {
                    all.insert(entry.field.name.clone(), value);
                }
                Ok(None) => {}
                Err(why) => {
                    entry.input.refuse(why);
                    wrong.get_or_insert(i);
                }
            }
        }
        match wrong {
            Some(index) => {
                self.focus = index;
                None
            }
            None => Some(Value::Object(all)),
        }
    }
}

impl Entry {
    /// The value; `None` if the field is left out.
    pub fn value(&self) -> Result<Option<Value>, String> {
        let text = self.input.text();
        if text.trim().is_empty() {
            return if self.field.required { Err("this is needed".to_owned()) } else { Ok(None) };
        }
        self.field.kind.read(text).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyModifiers;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "x-complete": "name" },
                "replicas": { "type": "integer", "format": "uint32", "minimum": 0, "description": "Pods wanted." },
                "namespace": { "type": ["string", "null"] },
                "force": { "type": "boolean", "default": false },
                "cascade": { "$ref": "#/$defs/Cascade", "default": "background" },
                "columns": { "type": ["array", "null"], "items": { "type": "string" } },
                "about": { "anyOf": [{ "$ref": "#/$defs/About" }, { "type": "null" }] }
            },
            "required": ["replicas", "name"],
            "$defs": {
                "Cascade": { "oneOf": [
                    { "const": "background", "description": "They go after it.", "type": "string" },
                    { "const": "orphan", "type": "string" }
                ] },
                "About": { "type": "object", "properties": { "kind": { "type": "string" } } }
            }
        })
    }

    fn press(form: &mut Form, code: KeyCode) {
        form.key(KeyEvent::new(code, KeyModifiers::NONE));
    }

    fn put(form: &mut Form, name: &str, text: &str) {
        form.focus = form.entries.iter().position(|e| e.field.name == name).unwrap();
        form.entries[form.focus].input.set(text);
    }

    #[test]
    fn what_is_needed_comes_first_and_is_asked_for() {
        let mut form = Form::new(&schema(), &Value::Null);
        let names: Vec<_> = form.entries.iter().map(|e| e.field.name.as_str()).collect();
        assert_eq!(&names[..2], ["replicas", "name"]);
        assert!(form.arguments().is_none());
        assert_eq!(form.focused().and_then(|e| e.input.note()), Some("this is needed"));
    }

    #[test]
    fn values_have_their_types() {
        let mut form = Form::new(&schema(), &json!({ "name": "api" }));
        put(&mut form, "replicas", "many");
        assert!(form.arguments().is_none());
        put(&mut form, "replicas", "-1");
        assert!(form.arguments().is_none(), "below the minimum");
        put(&mut form, "replicas", "5");
        put(&mut form, "columns", "NAME, AGE");
        put(&mut form, "about", "{kind: pod}");
        assert_eq!(
            form.arguments().unwrap(),
            json!({
                "name": "api", "replicas": 5, "force": false, "cascade": "background",
                "columns": ["NAME", "AGE"], "about": { "kind": "pod" }
            })
        );
    }

    #[test]
    fn switches_and_choices_turn_with_space_and_arrows() {
        let mut form = Form::new(&schema(), &json!({ "name": "a", "replicas": 1 }));
        put(&mut form, "force", "false");
        press(&mut form, KeyCode::Char(' '));
        put(&mut form, "cascade", "background");
        press(&mut form, KeyCode::Right);
        let all = form.arguments().unwrap();
        assert_eq!((&all["force"], &all["cascade"]), (&json!(true), &json!("orphan")));
        press(&mut form, KeyCode::Left);
        assert_eq!(form.text("cascade"), "background");
    }

    #[test]
    fn suggestions_are_taken_in_turn() {
        let mut form = Form::new(&schema(), &Value::Null);
        put(&mut form, "name", "ap");
        form.suggest(["api", "web", "api-2"].map(str::to_owned));
        assert_eq!(form.suggestions, ["api", "api-2"]);
        assert!(form.complete(true) && form.complete(true));
        assert_eq!(form.text("name"), "api-2");
    }
}
