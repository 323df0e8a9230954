//! Reading one file: values by their keys, and what is wrong with them, with the line.

use std::path::{Path, PathBuf};

use super::node::{Lines, Node};
use super::setup::Problem;
use crate::base::text::nearest;

/// One file being read.
pub(super) struct Reader<'a> {
    path: PathBuf,
    lines: Lines,
    problems: &'a mut Vec<Problem>,
}

/// A larger file is none that a person wrote.
const LARGEST: u64 = 4 << 20;

/// Reads a file that may not be there. What keeps it from being read is a problem.
pub(super) fn open<'a>(path: &Path, problems: &'a mut Vec<Problem>) -> Option<(Reader<'a>, Node)> {
    let mut fail = |line: Option<usize>, what: String| {
        problems.push(Problem { file: path.display().to_string(), line, what });
    };
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Ok(meta) if meta.len() > LARGEST => {
            fail(None, format!("it has {} bytes, and is not read", meta.len()));
            return None;
        }
        _ => {}
    }
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => {
            fail(None, format!("it cannot be read: {e}"));
            return None;
        }
    };
    match Node::parse(&text) {
        Ok(node) => Some((Reader { path: path.to_owned(), lines: Lines::of(&text), problems }, node)),
        Err((line, what)) => {
            fail(line, format!("it is not valid YAML, and nothing of it is used: {what}"));
            None
        }
    }
}

impl Reader<'_> {
    pub(super) fn file(&self) -> String {
        self.path.display().to_string()
    }

    /// The file's name without its ending.
    pub(super) fn stem(&self) -> String {
        self.path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn problem(&mut self, path: &str, what: impl Into<String>) {
        let problem = Problem { file: self.file(), line: self.lines.at(path), what: what.into() };
        // A mistake in a list is said once, not once an item.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Says which keys nobody reads.
    pub(super) fn unknown_keys(&mut self, path: &str, node: &Node, known: &[&str]) {
        for (key, _) in node.entries() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let near = nearest(key, known.iter().copied())
                .map(|n| format!(": did you mean {n}?"))
                .unwrap_or_default();
            let at = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
            self.problem(&at, format!("{key:?} is no key here, and is ignored{near}"));
        }
    }

    pub(super) fn text(&mut self, path: &str, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key).filter(|value| **value != Node::Null)?;
        let text = value.text();
        if text.is_none() {
            self.problem(path, format!("{key} is no text, and is ignored"));
        }
        text
    }

    pub(super) fn bool(&mut self, path: &str, node: &Node, key: &str) -> Option<bool> {
        let value = node.get(key).filter(|value| **value != Node::Null)?;
        let held = value.bool();
        if held.is_none() {
            self.problem(path, format!("{key} is neither true nor false, and is ignored"));
        }
        held
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn list(&mut self, path: &str, node: &Node, key: &str) -> Vec<String> {
        match node.get(key) {
            None | Some(Node::Null) => Vec::new(),
            Some(Node::List(items)) => {
                let mut texts = Vec::new();
                for item in items {
                    match item.text() {
                        Some(text) => texts.push(text),
                        None => self
                            .problem(path, format!("{key} holds something that is no text, and is left out")),
                    }
                }
                texts
            }
            Some(one) => match one.text() {
                Some(text) => vec![text],
                None => {
                    self.problem(path, format!("{key} is no list of texts, and is ignored"));
                    Vec::new()
                }
            },
        }
    }
}

/// Whether a text has the form of a key: `a`, `Shift-A`, `Ctrl-L`, `F1`, `space`.
pub(super) fn is_key(text: &str) -> bool {
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('-').filter(|(h, t)| !h.is_empty() && !t.is_empty()) {
        if !["shift", "ctrl", "control", "alt"].contains(&head.to_ascii_lowercase().as_str()) {
            return false;
        }
        rest = tail;
    }
    let named = [
        "space",
        "enter",
        "return",
        "esc",
        "escape",
        "tab",
        "backspace",
        "delete",
        "del",
        "insert",
        "up",
        "down",
        "left",
        "right",
        "pageup",
        "pagedown",
        "home",
        "end",
    ];
    let lower = rest.to_ascii_lowercase();
    let function =
        lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()).is_some_and(|n| (1..=12).contains(&n));
    rest.chars().count() == 1 || function || named.contains(&lower.as_str())
}
