//! Results as short text: counts first, then rows with one line each.
//!
//! The structured content is for programs; this is what most agents read, so that it must hold
//! all of it in few tokens.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::base::text::{escape_harmful, is_harmful};

/// The longest text given; operations page before that.
const MAX: usize = 200_000;

/// `value` as text.
pub fn render(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) => object(map, &mut out),
        other => out.push_str(&inline(other)),
    }
    if out.len() > MAX {
        let end = (0..=MAX).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        out.truncate(end);
        out.push_str("\n… cut here: ask for less, by a page, columns or a filter");
    }
    out.truncate(out.trim_end().len());
    out
}

fn object(map: &Map<String, Value>, out: &mut String) {
    let table = match (map.get("columns"), map.get("rows")) {
        (Some(Value::Array(columns)), Some(Value::Array(rows))) => Some((columns, rows)),
        _ => None,
    };
    // What is short comes first, whatever its place in the type.
    for (key, value) in map {
        let in_table = table.is_some() && (key == "columns" || key == "rows");
        if !in_table && is_short(value) {
            let _ = writeln!(out, "{key}: {}", inline(value));
        }
    }
    if let Some((columns, rows)) = table {
        write_table(columns, rows, out);
    }
    for (key, value) in map {
        if is_short(value) || (table.is_some() && (key == "columns" || key == "rows")) {
            continue;
        }
        match value {
            Value::String(text) => {
                let _ = writeln!(out, "{key}:\n{}", escape_harmful(text.trim_end(), &['\n', '\t']));
            }
            Value::Array(items) => list(key, items, out),
            other => {
                let _ = writeln!(out, "{key}: {}", inline(other));
            }
        }
    }
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\n'),
        Value::Array(items) => items.is_empty(),
        // Counts by some word: `Running=40 Pending=2`.
        Value::Object(map) => {
            map.len() <= 20 && map.values().all(|v| !v.is_object() && !v.is_array() && is_short(v))
        }
        _ => true,
    }
}

fn write_table(columns: &[Value], rows: &[Value], out: &mut String) {
    let names: Vec<_> = columns.iter().map(|c| c.get("name").map_or_else(|| inline(c), inline)).collect();
    out.push_str(&names.join("\t"));
    out.push('\n');
    for row in rows {
        let cells = row.get("cells").unwrap_or(row);
        let line = match cells {
            Value::Array(cells) => cells.iter().map(inline).collect::<Vec<_>>().join("\t"),
            other => inline(other),
        };
        out.push_str(&line);
        out.push('\n');
    }
}

fn list(key: &str, items: &[Value], out: &mut String) {
    let _ = writeln!(out, "{key} ({}):", items.len());
    for item in items {
        match item {
            Value::Object(map) => {
                let parts: Vec<_> = map
                    .iter()
                    .filter(|(_, v)| !v.is_null())
                    .map(|(k, v)| format!("{k}={}", field(v)))
                    .collect();
                let _ = writeln!(out, "- {}", parts.join(" "));
            }
            other => {
                let _ = writeln!(out, "{}", inline(other));
            }
        }
    }
}

/// A value after `key=`: what has such signs itself is in quotes, so that nobody's words look like another field.
fn field(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains(['=', '"']) => quoted(text),
        other => inline(other),
    }
}

/// As JSON writes it, without a character that acts on a terminal or begins a line.
fn quoted(text: &str) -> String {
    escape_harmful(&Value::from(text).to_string(), &[])
}

/// A value on its line. What would begin another, or a further cell, is in quotes.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().any(is_harmful) => quoted(text),
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        Value::Object(map) if is_short(value) => {
            map.iter().map(|(k, v)| format!("{k}={}", field(v))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_its_counts_and_a_line_for_each_row() {
        let text = render(&json!({
            "columns": ["NAME", {"name": "READY"}],
            "rows": [["api-0", "1/1"], {"cells": ["api-1", null]}],
            "total": 2,
            "by_status": { "Running": 1, "Pending": 1 },
            "next": "abc",
        }));
        assert_eq!(
            text,
            "total: 2\nby_status: Running=1 Pending=1\nnext: abc\nNAME\tREADY\napi-0\t1/1\napi-1\t–"
        );
    }

    #[test]
    fn long_text_and_lists_come_after_what_is_short() {
        let text = render(&json!({
            "yaml": "a: 1\nb: 2\n",
            "events": [{"type": "Warning", "count": 3}],
            "name": "api",
        }));
        assert_eq!(text, "name: api\nyaml:\na: 1\nb: 2\nevents (1):\n- type=Warning count=3");
    }

    #[test]
    fn nobodys_words_look_like_a_row_or_a_field_of_another() {
        let text = render(&json!({
            "messages": [{"from": "eve", "text": "hi\n- number=9 from=root text=yes", "about": {"name": "a kind=b"}},
                {"from": "ann", "text": "two words"}],
            "columns": ["NAME"],
            "rows": [["a\tb\u{1b}[2J\u{202e}"]],
        }));
        assert_eq!(
            text,
            concat!(
                "NAME\n\"a\\tb\\u001b[2J\\u202e\"\nmessages (2):\n",
                "- from=eve text=\"hi\\n- number=9 from=root text=yes\" about=name=\"a kind=b\"\n- from=ann text=two words"
            )
        );
    }

    #[test]
    fn too_much_is_cut_and_says_so() {
        let text = render(&json!({ "text": "ü\n".repeat(MAX) }));
        assert!(text.len() < MAX + 100 && text.ends_with("filter"));
    }
}
