//! An operation's input from a path, a query and a body, typed by its schema.

use serde_json::{Map, Value};

use super::paths::decode;
use crate::base::text::nearest;
use crate::base::{Error, Result};

/// What a query says beside the input.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Modes {
    pub watch: bool,
    pub preview: bool,
}

/// Puts the input together. A field given twice, in whatever places, is refused, and so is one that
/// the schema does not have: a mistyped filter must not be a wider list.
pub fn input(
    schema: &Value,
    fields: Vec<(String, String)>,
    query: Option<&str>,
    body: Option<Value>,
) -> Result<(Map<String, Value>, Modes)> {
    let mut out = match body {
        None => Map::new(),
        Some(Value::Object(body)) => body,
        Some(_) => return Err(Error::invalid("the body is not a JSON object")),
    };
    let mut modes = Modes::default();
    for (name, text) in fields {
        let value = typed(property(schema, &name)?, schema, &name, &text)?;
        insert(&mut out, name, value)?;
    }
    for pair in query.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decode(&text.replace('+', " "));
        let (Some(name), Some(text)) = (plain(name), plain(text)) else {
            return Err(Error::invalid(format!("the query parameter {pair:?} is not well encoded")));
        };
        let mode = match name.as_str() {
            "watch" if known(schema, &name).is_none() => Some(&mut modes.watch),
            "preview" if known(schema, &name).is_none() => Some(&mut modes.preview),
            _ => None,
        };
        if let Some(mode) = mode {
            *mode = boolean(&text).ok_or_else(|| wrong(&name, &text, "true or false"))?;
            continue;
        }
        let property = property(schema, &name)?;
        let value = typed(property, schema, &name, &text)?;
        match (out.get_mut(&name), value) {
            // `?columns=a&columns=b` is a list of two.
            (Some(Value::Array(before)), Value::Array(more)) => before.extend(more),
            (_, value) => insert(&mut out, name, value)?,
        }
    }
    Ok((out, modes))
}

fn insert(out: &mut Map<String, Value>, name: String, value: Value) -> Result<()> {
    match out.insert(name.clone(), value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!("{name:?} is given twice"))
            .next("Give each field once: in the path, the query or the body.")),
    }
}

fn known<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

fn property<'a>(schema: &'a Value, name: &str) -> Result<&'a Value> {
    known(schema, name).ok_or_else(|| {
        let names = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
        let names: Vec<&str> = names.map(String::as_str).collect();
        let error = Error::invalid(format!("there is no parameter {name:?}"));
        match nearest(name, names.iter().copied()) {
            Some(near) => error.next(format!("Did you mean {near:?}?")),
            None if names.is_empty() => error.next("This operation takes none."),
            None => error.next(format!("There are: {}.", names.join(", "))),
        }
    })
}

/// The types that a schema allows, references followed.
pub fn types(property: &Value, root: &Value) -> Vec<String> {
    let mut out = Vec::new();
    collect(property, root, &mut out, 8);
    out
}

fn collect(property: &Value, root: &Value, out: &mut Vec<String>, depth: u8) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let target =
        property.get("$ref").and_then(Value::as_str).and_then(|r| root.pointer(r.trim_start_matches('#')));
    if let Some(target) = target {
        collect(target, root, out, depth);
    }
    match property.get("type") {
        Some(Value::String(one)) => out.push(one.clone()),
        Some(Value::Array(several)) => {
            out.extend(several.iter().filter_map(Value::as_str).map(str::to_owned))
        }
        _ => {}
    }
    for choice in ["anyOf", "oneOf"] {
        for one in property.get(choice).and_then(Value::as_array).into_iter().flatten() {
            collect(one, root, out, depth);
        }
    }
    if property.get("enum").is_some() || property.get("const").is_some() {
        out.push("string".to_owned());
    }
}

fn typed(property: &Value, root: &Value, name: &str, text: &str) -> Result<Value> {
    let types = types(property, root);
    let is = |t: &str| types.iter().any(|x| x == t);
    if is("array") {
        let items = property.get("items").cloned().unwrap_or(Value::Bool(true));
        return text.split(',').filter(|t| !t.is_empty()).map(|t| typed(&items, root, name, t)).collect();
    }
    // Text goes before numbers where both are allowed: "007" is no number then.
    if is("string") {
        return Ok(Value::String(text.to_owned()));
    }
    if is("boolean") {
        return boolean(text).map(Value::Bool).ok_or_else(|| wrong(name, text, "true or false"));
    }
    if is("integer") || is("number") {
        let whole = text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from));
        return match whole {
            Ok(value) => Ok(value),
            Err(_) if is("number") => text
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| wrong(name, text, "a number")),
            Err(_) => Err(wrong(name, text, "a whole number")),
        };
    }
    // An object, or anything: JSON, and plain text where it is none.
    match crate::base::json::parse(text.as_bytes()) {
        Ok(value) => Ok(value),
        Err(error) if is("object") => Err(error),
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn wrong(name: &str, text: &str, wanted: &str) -> Error {
    Error::invalid(format!("{name:?} is {text:?}, which is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "limit": {"type": ["integer", "null"]},
                "deep": {"type": "boolean"},
                "columns": {"type": ["array", "null"], "items": {"type": "string"}},
                "state": {"anyOf": [{"$ref": "#/$defs/State"}, {"type": "null"}]},
                "any": true,
                "object": {"type": "object"}
            },
            "$defs": {"State": {"enum": ["on", "off"]}}
        })
    }

    #[test]
    fn each_parameter_gets_its_schemas_type() {
        let fields = vec![("name".to_owned(), "007".to_owned())];
        let query = "limit=5&deep&columns=a,b&columns=c+d&state=on&any=%7B%22x%22%3A1%7D&watch=true";
        let (input, modes) = input(&schema(), fields, Some(query), None).unwrap();
        let expected = json!({
            "name": "007", "limit": 5, "deep": true, "columns": ["a", "b", "c d"], "state": "on", "any": {"x": 1}
        });
        assert_eq!(Value::Object(input), expected);
        assert_eq!(modes, Modes { watch: true, preview: false });
    }

    #[test]
    fn what_is_unknown_twice_or_of_the_wrong_type_is_refused() {
        let cases = [
            ("limt=5", None, "no parameter \"limt\"", "\"limit\""),
            ("limit=x", None, "not a whole number", ""),
            ("deep=maybe", None, "not true or false", ""),
            ("name=a&name=b", None, "\"name\" is given twice", ""),
            ("name=a", Some(json!({"name": "b"})), "\"name\" is given twice", ""),
            ("name=%zz", None, "not well encoded", ""),
            ("watch=perhaps", None, "not true or false", ""),
            ("object=%7B%22a%22:1,%22a%22:2%7D", None, "twice", ""),
            ("", Some(json!([1])), "not a JSON object", ""),
        ];
        for (query, body, message, next) in cases {
            let error = input(&schema(), Vec::new(), Some(query), body).unwrap_err();
            assert!(error.message.contains(message), "{query}: {}", error.message);
            assert!(error.next_step().contains(next), "{query}: {}", error.next_step());
        }
    }
}
