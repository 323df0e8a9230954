//! A result as text. JSON and YAML are the result itself; a table is what it looks like.

use serde_json::{Map, Value};

use super::command::Format;
use super::table::Table;
use crate::base::text::{escape_harmful, sanitize};
use crate::base::{Error, Result, SafeText};

/// What goes to stdout, and what is said beside it on stderr: totals, the next page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub out: String,
    pub aside: String,
}

/// Renders a whole result.
pub fn render(output: &Value, format: Format) -> Result<Rendered> {
    let out = match format {
        Format::Json => escaped(&serde_json::to_string_pretty(output).map_err(Error::internal)?),
        // YAML escapes control characters in double quotes, but not the bidirectional ones.
        Format::Yaml => safe_lines(&serde_yaml_ng::to_string(output).map_err(Error::internal)?),
        Format::Table => return Ok(look(output)),
    };
    Ok(Rendered { out, aside: String::new() })
}

/// JSON in which characters that would act on a terminal are written as escapes: the same value.
pub(super) fn escaped(json: &str) -> String {
    let mut out = escape_harmful(json, &['\n']);
    out.push('\n');
    out
}

/// Text of many lines, made harmless line by line.
pub fn safe_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push_str(&sanitize(line.strip_suffix('\r').unwrap_or(line)));
        out.push('\n');
    }
    out
}

fn look(output: &Value) -> Rendered {
    let Value::Object(fields) = output else {
        return Rendered { out: format!("{}\n", cell(output)), aside: String::new() };
    };
    if let (Some(Value::Array(columns)), Some(Value::Array(rows))) =
        (fields.get("columns"), fields.get("rows"))
    {
        let beside = std::iter::once(aside(fields, &["columns", "rows"])).chain(short_of(fields));
        let beside: Vec<String> = beside.filter(|text| !text.is_empty()).collect();
        return Rendered { out: positional(columns, rows), aside: beside.join(" · ") };
    }
    // Of a text that is empty there is nothing to show but why.
    if fields.get("text").and_then(Value::as_str) == Some("") && fields.contains_key("left_out") {
        return Rendered { out: String::new(), aside: aside(fields, &["text"]) };
    }
    if let Some((name, text)) = longest_text(fields) {
        return Rendered { out: safe_lines(text), aside: aside(fields, &[name]) };
    }
    if let Some((name, items)) = main_list(fields) {
        return Rendered { out: listed(items), aside: aside(fields, &[name]) };
    }
    Rendered { out: pairs(fields), aside: String::new() }
}

/// Rows that are arrays of values in the columns' order.
fn positional(columns: &[Value], rows: &[Value]) -> String {
    let name = |column: &Value| match column {
        Value::Object(fields) => fields.get("name").map(cell).unwrap_or_default(),
        other => cell(other),
    };
    let mut table = Table::new(columns.iter().map(name));
    for row in rows {
        match row {
            Value::Array(cells) => table.push(cells.iter().map(cell)),
            Value::Object(fields) => {
                table.push(columns.iter().map(|c| fields.get(&name(c)).map(cell).unwrap_or_default()));
            }
            other => table.push([cell(other)]),
        }
    }
    table.text(&table.widths(), true)
}

/// A text of several lines is what was asked for: a manifest, a description, a diff.
fn longest_text(fields: &Map<String, Value>) -> Option<(&str, &str)> {
    fields
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .filter(|(_, text)| text.contains('\n'))
        .max_by_key(|(_, text)| text.len())
}

/// The list that the result is about: the longest, or the only one.
fn main_list(fields: &Map<String, Value>) -> Option<(&str, &[Value])> {
    fields
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_array()?.as_slice())))
        .max_by_key(|(_, items)| items.len())
        // One record with small lists in it is still one record.
        .filter(|(_, items)| fields.len() <= 8 && (items.iter().any(Value::is_object) || fields.len() <= 4))
}

fn listed(items: &[Value]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for item in items {
        if let Value::Object(fields) = item {
            for name in fields.keys() {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
    }
    if names.is_empty() {
        return items.iter().map(|item| safe_lines(&plain(item))).collect();
    }
    let mut table = Table::new(names.iter().map(|n| n.replace('_', " ")));
    for item in items {
        match item {
            Value::Object(fields) => {
                table.push(names.iter().map(|n| fields.get(*n).map(cell).unwrap_or_default()))
            }
            other => table.push([cell(other)]),
        }
    }
    let numbers = |name: &&str| {
        let mut values = items.iter().filter_map(|i| i.get(*name)).filter(|v| !v.is_null()).peekable();
        values.peek().is_some() && values.all(Value::is_number)
    };
    table.align_right(names.iter().map(numbers));
    table.text(&table.widths(), true)
}

/// `key   value`, with what is below a key indented under it.
fn pairs(fields: &Map<String, Value>) -> String {
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in fields {
        let key = sanitize(&name.replace('_', " ")).into_owned();
        if nested(value) {
            let text = serde_yaml_ng::to_string(value).unwrap_or_default();
            out.push_str(&format!("{key}\n"));
            for line in safe_lines(&text).lines() {
                out.push_str(&format!("    {line}\n"));
            }
        } else {
            out.push_str(&format!("{key:<width$}   {}\n", SafeText::new(&cell(value))));
        }
    }
    out
}

fn nested(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => items.iter().any(|i| i.is_object() || i.is_array()),
        _ => false,
    }
}

/// What is not in the table: totals, the cursor of the next page.
fn aside(fields: &Map<String, Value>, shown: &[&str]) -> String {
    let said = fields.iter().filter(|(name, value)| {
        !shown.contains(&name.as_str())
            && !value.is_null()
            && !nested(value)
            && *value != &Value::String(String::new())
    });
    let said: Vec<_> = said
        .map(|(name, value)| format!("{}: {}", name.replace('_', " "), SafeText::new(&cell(value))))
        .collect();
    said.join(" · ")
}

/// What a table of rows is short of: `lacking: eu-1: down: connection refused`, for each list beside the rows.
fn short_of(fields: &Map<String, Value>) -> impl Iterator<Item = String> {
    let lists = fields.iter().filter(|(name, value)| *name != "columns" && *name != "rows" && nested(value));
    lists.filter_map(|(name, value)| Some((name, value.as_array()?))).flat_map(|(name, items)| {
        let said = |item: &Value| {
            let words: Vec<String> = match item {
                Value::Object(fields) => fields.values().map(cell).collect(),
                Value::Array(items) => items.iter().map(cell).collect(),
                other => vec![cell(other)],
            };
            format!("{}: {}", name.replace('_', " "), SafeText::new(&words.join(": ")))
        };
        items.iter().map(said).collect::<Vec<_>>()
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => cell(other),
    }
}

/// One value in one cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(n) => n.to_string(),
        Value::Array(items) if !nested(value) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        // Somebody or something that has a name goes by it.
        Value::Object(fields) => match (fields.get("kind"), fields.get("name")) {
            (Some(Value::String(kind)), Some(Value::String(name))) => format!("{kind} {name}"),
            (_, Some(Value::String(name))) => name.clone(),
            _ if fields.values().any(|v| v.is_object() || v.is_array()) => value.to_string(),
            _ => {
                let given = fields.iter().filter(|(_, v)| !v.is_null());
                given.map(|(k, v)| format!("{k}={}", cell(v))).collect::<Vec<_>>().join(" ")
            }
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::is_harmful;
    use serde_json::json;

    fn table(output: Value) -> Rendered {
        render(&output, Format::Table).unwrap()
    }

    #[test]
    fn pages_of_rows_are_tables_and_their_totals_are_beside_them() {
        let rendered = table(json!({
            "total": 12, "columns": ["name", "ready"], "rows": [["web-1", "1/1"], ["a", null]], "next": "abc"
        }));
        assert_eq!(rendered.out, "NAME    READY\nweb-1   1/1\na       –\n");
        assert_eq!(rendered.aside, "total: 12 · next: abc");
    }

    #[test]
    fn a_table_says_what_it_lacks() {
        let lacking = json!([{ "cluster": "wreck", "state": "down", "reason": "connection refused" }]);
        let rendered =
            table(json!({ "columns": ["name"], "rows": [["a"]], "sources": 2, "lacking": lacking }));
        assert!(rendered.aside.contains("sources: 2 · lacking: "), "{}", rendered.aside);
        for word in ["wreck", "down", "connection refused"] {
            assert!(rendered.aside.contains(word), "{}", rendered.aside);
        }
        let rendered =
            table(json!({ "columns": ["kind"], "rows": [["pod"]], "unknown": [["pod", "forbidden"]] }));
        assert_eq!(rendered.aside, "unknown: pod: forbidden");
    }

    #[test]
    fn json_is_the_value_and_harmless() {
        let value = json!({ "a": "x\u{202e}y\u{200b}\u{e0041}\u{85}\u{1b}[31m", "é": ["日本"] });
        let text = render(&value, Format::Json).unwrap().out;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.chars().all(|c| c == '\n' || !is_harmful(c)), "{text}");
        assert!(text.contains("é") && text.contains("日本") && text.contains("\\u202e"), "{text}");
    }

    #[test]
    fn lists_of_records_are_tables_of_their_fields() {
        let rendered =
            table(json!({"total": 2, "clusters": [{"name": "a", "pods": 5}, {"name": "b", "pods": 12}]}));
        assert_eq!(rendered.out, "NAME   PODS\na         5\nb        12\n");
    }

    #[test]
    fn what_has_a_name_goes_by_it_in_a_cell() {
        let rendered = table(json!({"messages": [
            {"number": 1, "from": {"kind": "agent", "name": "claude", "role": "agent"}, "about": {"x": 1}},
        ]}));
        assert_eq!(rendered.out, "NUMBER   FROM           ABOUT\n     1   agent claude   x=1\n");
    }

    #[test]
    fn a_text_is_written_as_it_is_but_harmless() {
        let rendered = table(json!({"kind": "Pod", "yaml": "a: 1\nb: \u{1b}[2J\n"}));
        assert_eq!(rendered.out, "a: 1\nb: ␛[2J\n");
    }

    #[test]
    fn one_record_is_keys_and_values() {
        let rendered = table(json!({"name": "x", "ready": true, "labels": {"a": "b"}, "missing": null}));
        assert_eq!(rendered.out, "name      x\nready     yes\nlabels\n    a: b\nmissing   –\n");
    }

    #[test]
    fn json_and_yaml_are_the_result_itself() {
        let output = json!({"b": 1, "a": [null]});
        let text = render(&output, Format::Json).unwrap().out;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), output);
        let text = render(&output, Format::Yaml).unwrap().out;
        assert_eq!(serde_yaml_ng::from_str::<Value>(&text).unwrap(), output);
    }
}
