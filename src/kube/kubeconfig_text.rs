//! The text of a kubeconfig with one context changed. Pure.

use std::ops::Range;

use granit_parser::{Event, Parser, Span};
use serde_yaml_ng::Value;

use super::kubeconfig::ContextChange;

/// A kubeconfig is not deeper than this.
const DEEPEST: usize = 64;

/// A value where it stands in the text, in bytes.
struct Node {
    range: Range<usize>,
    content: Content,
}

enum Content {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    /// Stands for another part of the file.
    Alias,
}

impl Node {
    fn get(&self, key: &str) -> Option<(&Node, &Node)> {
        let Content::Mapping(entries) = &self.content else { return None };
        let (found, value) = entries.iter().find(|(k, _)| k.text() == Some(key))?;
        Some((found, value))
    }

    fn text(&self) -> Option<&str> {
        if let Content::Scalar(text) = &self.content { Some(text) } else { None }
    }

    fn has_name(&self, name: &str) -> bool {
        self.get("name").and_then(|(_, value)| value.text()) == Some(name)
    }
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        loop {
            let (event, span) =
                self.events.next().ok_or("it ends too early")?.map_err(|e| format!("it is not YAML: {e}"))?;
            let is_content = matches!(
                event,
                Event::Scalar(..)
                    | Event::SequenceStart(..)
                    | Event::SequenceEnd
                    | Event::MappingStart(..)
                    | Event::MappingEnd
                    | Event::Alias(..)
                    | Event::DocumentEnd
                    | Event::StreamEnd
            );
            if is_content {
                return Ok((event, span));
            }
        }
    }

    fn range(&self, span: &Span) -> Result<Range<usize>, String> {
        let (start, end) = (span.start.byte_offset(), span.end.byte_offset());
        let (Some(start), Some(end)) = (start, end) else {
            return Err("its places are not known".to_owned());
        };
        // A plain value may be said to reach up to the next one.
        let text = self.text.get(start..end).ok_or("its places are not known")?;
        Ok(start..start + text.trim_end().len())
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, String> {
        if depth == 0 {
            return Err("it is nested too deeply".to_owned());
        }
        let mut range = self.range(span)?;
        let flow = |at: usize| self.text[at..].starts_with(['[', '{']);
        let content = match event {
            Event::Scalar(text, ..) => Content::Scalar(text.into_owned()),
            Event::Alias(_) => Content::Alias,
            Event::SequenceStart(..) => {
                let is_flow = flow(range.start);
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        range.end = self.end(is_flow, &span, items.last(), range.start)?;
                        break;
                    }
                    items.push(self.node(event, &span, depth - 1)?);
                }
                Content::Sequence(items)
            }
            Event::MappingStart(..) => {
                let is_flow = flow(range.start);
                let mut entries: Vec<(Node, Node)> = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        range.end =
                            self.end(is_flow, &span, entries.last().map(|(_, value)| value), range.start)?;
                        break;
                    }
                    let key = self.node(event, &span, depth - 1)?;
                    let (event, span) = self.next()?;
                    entries.push((key, self.node(event, &span, depth - 1)?));
                }
                Content::Mapping(entries)
            }
            _ => return Err("it has no content".to_owned()),
        };
        Ok(Node { range, content })
    }

    /// Where a collection ends: at its bracket, or with its last value.
    fn end(&self, is_flow: bool, span: &Span, last: Option<&Node>, start: usize) -> Result<usize, String> {
        match last {
            _ if is_flow => Ok(self.range(span)?.end),
            Some(last) => Ok(last.range.end.max(start)),
            None => Ok(start),
        }
    }
}

fn tree(text: &str) -> Result<Node, String> {
    let mut reader = Reader { text, events: Parser::new_from_str(text) };
    let (event, span) = reader.next()?;
    let root = reader.node(event, &span, DEEPEST)?;
    match reader.next()?.0 {
        Event::DocumentEnd => {}
        _ => return Err("it goes on after its end".to_owned()),
    }
    match reader.next()?.0 {
        Event::StreamEnd => Ok(root),
        _ => Err("it has more than one document".to_owned()),
    }
}

/// The text after a change; `None` where nothing of it is concerned. `defines`: the context is this file's to change; else
/// only the current one, if it is named here.
pub(super) fn edited(text: &str, change: &ContextChange, defines: bool) -> Result<Option<String>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let root = tree(text)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if let Some((_, current)) = root.get("current-context")
        && current.text() == Some(change.name())
    {
        edits.push((current.range.clone(), scalar(change.current(), &text[current.range.clone()])));
    }
    if defines {
        edits.push(context_edit(text, &root, change)?);
    }
    if edits.is_empty() {
        return Ok(None);
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut after = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        after.replace_range(range, &new);
    }
    let read = |text: &str| serde_yaml_ng::from_str::<Value>(text).map_err(|e| e.to_string());
    if read(&after)? != expected(read(text)?, change, defines) {
        return Err("it is written so that the change would alter more than it should".to_owned());
    }
    Ok(Some(after))
}

/// The change as it should be, in what the text means.
fn expected(mut root: Value, change: &ContextChange, defines: bool) -> Value {
    if let Some(current) = root.get_mut("current-context")
        && current.as_str() == Some(change.name())
    {
        *current = change.current().into();
    }
    if let Some(contexts) = root.get_mut("contexts").and_then(Value::as_sequence_mut).filter(|_| defines) {
        let named = |c: &Value| c.get("name").and_then(Value::as_str) == Some(change.name());
        if let Some(at) = contexts.iter().position(named) {
            match change {
                ContextChange::Rename { to, .. } => contexts[at]["name"] = to.as_str().into(),
                ContextChange::Delete { .. } => drop(contexts.remove(at)),
            }
        }
    }
    root
}

fn context_edit(text: &str, root: &Node, change: &ContextChange) -> Result<(Range<usize>, String), String> {
    let (key, list) = root.get("contexts").ok_or("it has no contexts")?;
    let Content::Sequence(items) = &list.content else { return Err("its contexts are no list".to_owned()) };
    let at = items
        .iter()
        .position(|item| item.has_name(change.name()))
        .ok_or("the context is written elsewhere")?;
    let item = &items[at];
    if let ContextChange::Rename { to, .. } = change {
        let (_, name) = item.get("name").ok_or("the context has no name")?;
        return Ok((name.range.clone(), scalar(to, &text[name.range.clone()])));
    }
    let is_flow = text[list.range.start..].starts_with('[');
    if items.len() == 1 {
        let from = match is_flow {
            true => list.range.start,
            // The line ends after the key and its colon.
            false => key.range.end + text[key.range.end..].find(':').ok_or("a key has no colon")? + 1,
        };
        return Ok((from..list.range.end, if is_flow { "[]" } else { " []" }.to_owned()));
    }
    if is_flow {
        return Ok(match (items.get(at + 1), at.checked_sub(1).and_then(|at| items.get(at))) {
            (Some(next), _) => (item.range.start..next.range.start, String::new()),
            (None, Some(before)) => (before.range.end..item.range.end, String::new()),
            (None, None) => (item.range.clone(), String::new()),
        });
    }
    Ok((lines_of(text, &item.range)?, String::new()))
}

/// The lines of an item of a list, from its dash to its last value; a comment behind that goes with it.
fn lines_of(text: &str, item: &Range<usize>) -> Result<Range<usize>, String> {
    let before = text[..item.start].trim_end();
    let dash = before.strip_suffix('-').ok_or("a context does not stand after a dash")?;
    let start = dash.rfind('\n').map_or(0, |at| at + 1);
    if !dash[start..].trim().is_empty() {
        return Err("a context begins in the middle of a line".to_owned());
    }
    let end = text[item.end..].find('\n').map_or(text.len(), |at| item.end + at + 1);
    Ok(start..end)
}

/// A name as a value, in quotes where the old one had some or where it could be read as something else.
fn scalar(name: &str, old: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain);
    let other = matches!(
        name.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if word && !other && !old.starts_with(['"', '\'']) {
        return name.to_owned();
    }
    // A JSON string is a YAML one.
    serde_json::Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(to: &str) -> ContextChange {
        ContextChange::Rename { from: "b".into(), to: to.into() }
    }

    fn delete(name: &str) -> ContextChange {
        ContextChange::Delete { name: name.into() }
    }

    const BLOCK: &str = "apiVersion: v1\n# the usual one\ncurrent-context: b\ncontexts:\n# first\n- context:\n    cluster: a\n    user: u # me\n  name: a\n# second\n- name: b   # two\n  context:\n    cluster: b\n    user: u\n\n# third\n- name: \"c\"\n  context: {cluster: c, user: u}\nusers:\n- name: b\n  user: {token: t}\n";

    #[test]
    fn a_context_is_renamed_and_nothing_else_is_touched() {
        let after = edited(BLOCK, &rename("prod"), true).unwrap().unwrap();
        let expected = BLOCK
            .replace("current-context: b", "current-context: prod")
            .replace("- name: b   # two", "- name: prod   # two");
        assert_eq!(after, expected);
        for name in ["arn:aws:eks:1/x", "yes", "1", "it's", "a b", "ü"] {
            let after = edited(BLOCK, &rename(name), true).unwrap().unwrap();
            assert!(after.contains(&format!("- name: {}   # two", serde_json::json!(name))), "{after}");
        }
        let only = edited("current-context: 'b'\n", &rename("prod"), false).unwrap().unwrap();
        assert_eq!(only, "current-context: \"prod\"\n");
        assert_eq!(edited("current-context: a\n", &rename("prod"), false).unwrap(), None);
    }

    #[test]
    fn a_context_is_taken_out_with_its_lines_alone() {
        let after = edited(BLOCK, &delete("b"), true).unwrap().unwrap();
        let gone = "- name: b   # two\n  context:\n    cluster: b\n    user: u\n";
        assert_eq!(after, BLOCK.replace(gone, "").replace("current-context: b", "current-context: \"\""));
        let after = edited(BLOCK, &delete("c"), true).unwrap().unwrap();
        assert_eq!(after, BLOCK.replace("- name: \"c\"\n  context: {cluster: c, user: u}\n", ""));
        let one = "contexts:\n  - name: a\n    context: {cluster: a}\nusers: []\n";
        assert_eq!(edited(one, &delete("a"), true).unwrap().unwrap(), "contexts: []\nusers: []\n");
    }

    #[test]
    fn brackets_and_json_are_changed_too() {
        let text = r#"{"current-context": "b", "contexts": [{"name": "a", "context": {}}, {"name": "b", "context": {}}]}"#;
        let after = edited(text, &rename("p"), true).unwrap().unwrap();
        assert_eq!(after, text.replace("\"b\"", "\"p\""));
        let after = edited(text, &delete("b"), true).unwrap().unwrap();
        assert_eq!(after, r#"{"current-context": "", "contexts": [{"name": "a", "context": {}}]}"#);
        let after = edited(text, &delete("a"), true).unwrap().unwrap();
        assert_eq!(after, r#"{"current-context": "b", "contexts": [{"name": "b", "context": {}}]}"#);
    }

    #[test]
    fn what_is_written_too_cleverly_is_refused() {
        for text in
            ["x: &n b\ncontexts:\n- name: *n\n", "contexts: [", "a: 1\n---\nb: 2\n", "contexts: {name: b}\n"]
        {
            assert!(edited(text, &rename("p"), true).is_err(), "{text}");
        }
        assert_eq!(edited("", &rename("p"), true).unwrap(), None);
    }
}
