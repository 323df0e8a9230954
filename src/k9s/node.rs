//! YAML as a tree that knows its lines, so that what is wrong can be pointed at.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// A value of a file. A key that is there twice counts with its last value, as in k9s.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Node {
    #[default]
    Null,
    Bool(bool),
    /// A word, or a number as it is written.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads a file's text; the error is its line, where that is known, and a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, (Option<usize>, String)> {
        // Editors on Windows begin a file so.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#') || l.trim() == "---") {
            return Ok(Node::Null);
        }
        let mut node = Node::Null;
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            let read = Node::deserialize(document).map_err(|e| {
                let said = e.to_string();
                let what = said.split(" at line ").next().unwrap_or(&said).to_owned();
                (e.location().map(|l| l.line()), what)
            })?;
            // One document a file; what follows `---` without anything before it is the first.
            if node == Node::Null {
                node = read;
            }
        }
        node.merge();
        Ok(node)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(entries) => entries.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(super) fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Node::Map(_))
    }

    pub(super) fn text(&self) -> Option<String> {
        match self {
            Node::Text(text) => Some(text.clone()),
            Node::Bool(b) => Some(b.to_string()),
            _ => None,
        }
    }

    /// True and false in the words of YAML 1.1 too, which k9s reads.
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Node::Bool(b) => Some(*b),
            Node::Text(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some(true),
                "no" | "off" | "n" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// `<<: *anchor`, which lays a mapping below another.
    fn merge(&mut self) {
        match self {
            Node::List(items) => items.iter_mut().for_each(Node::merge),
            Node::Map(entries) => {
                entries.iter_mut().for_each(|(_, value)| value.merge());
                let Some(at) = entries.iter().position(|(key, _)| key == "<<") else { return };
                let below = match entries.remove(at).1 {
                    Node::List(items) => items,
                    one => vec![one],
                };
                for (key, value) in below.into_iter().flat_map(|node| match node {
                    Node::Map(entries) => entries,
                    _ => Vec::new(),
                }) {
                    if !entries.iter().any(|(k, _)| *k == key) {
                        entries.push((key, value));
                    }
                }
            }
            _ => {}
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Node, E> {
        Ok(Node::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Node, E> {
        Ok(Node::Text(n.to_string()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Node, E> {
        Ok(Node::Text(n.to_string()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Node, E> {
        Ok(Node::Text(n.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Node, Node>()? {
            entries.push((key.text().unwrap_or_default(), value));
        }
        Ok(Node::Map(entries))
    }

    /// A tag says nothing that we need.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        let (_, value): (String, _) = data.variant()?;
        value.newtype_variant()
    }
}

/// The line of each key of a file, by its path (`plugins`, `plugins/fred`, `plugins/fred/args`), for files in block
/// style. What stands in flow style is at its nearest block key.
pub(super) struct Lines(HashMap<String, usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let mut lines = HashMap::new();
        let mut open: Vec<(usize, String)> = Vec::new();
        // The indentation of the key whose block text is being passed over.
        let mut block: Option<usize> = None;
        for (number, line) in text.lines().enumerate() {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if block.is_some_and(|at| indent > at) {
                continue;
            }
            block = None;
            let Some((key, rest)) = key(content) else { continue };
            while open.last().is_some_and(|(at, _)| *at >= indent) {
                open.pop();
            }
            let path = match open.last() {
                Some((_, above)) => format!("{above}/{key}"),
                None => key.to_owned(),
            };
            lines.insert(path.clone(), number + 1);
            open.push((indent, path));
            if rest.trim_start().starts_with(['|', '>']) {
                block = Some(indent);
            }
        }
        Self(lines)
    }

    /// The line of a path, or of the nearest thing above it.
    pub(super) fn at(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = path.rsplit_once('/')?.0;
        }
    }
}

/// The key that a line begins with, and what follows its colon.
fn key(content: &str) -> Option<(&str, &str)> {
    if content.starts_with("- ") || content == "-" {
        return None;
    }
    for quote in ['"', '\''] {
        if let Some(rest) = content.strip_prefix(quote) {
            let (key, rest) = rest.split_once(quote)?;
            return Some((key, rest.trim_start().strip_prefix(':')?));
        }
    }
    let at = content.find(": ").or_else(|| content.strip_suffix(':').map(str::len))?;
    Some((content[..at].trim_end(), &content[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_lines_and_block_text_has_none() {
        let text = "# first\nplugins:\n  fred:\n    args:\n    - -c\n    - |\n      echo: no key\n    shortCut: a\n  \"x y\": {command: ls}\n";
        let lines = Lines::of(text);
        assert_eq!(lines.at("plugins/fred/shortCut"), Some(8));
        assert_eq!(lines.at("plugins/x y/command"), Some(9), "flow style is at its key");
        assert_eq!(lines.at("nothing"), None);
    }

    #[test]
    fn a_key_twice_counts_last_and_anchors_are_laid_below() {
        let node = Node::parse("base: &b {a: 1, b: yes}\nc:\n  <<: *b\n  a: 2\nc2: 1\nc2: 1.5\n").unwrap();
        assert_eq!(node.get("c").unwrap().get("a").unwrap().text().unwrap(), "2");
        assert_eq!(node.get("c").unwrap().get("b").unwrap().bool(), Some(true));
        assert_eq!(node.get("c2").unwrap().text().unwrap(), "1.5");
        assert_eq!(Node::parse("# nothing\n---\n").unwrap(), Node::Null);
        assert_eq!(Node::parse("---\na: 1\n").unwrap().get("a").unwrap().text().unwrap(), "1");
        let (line, what) = Node::parse("a: 1\nb: [1,\n").unwrap_err();
        assert!(line.is_some() && !what.is_empty());
    }
}
