//! Arguments against the schema of what takes them, before they are read: an error names the argument, and says what it
//! takes in words that do not depend on the door.

use serde_json::Value;

use crate::base::text::nearest;
use crate::base::{Error, Result};

/// Refuses an argument that the operation does not take, one that is missing, and one of another type. The gate does it,
/// and not serde: a flattened struct cannot deny unknown fields, and serde knows neither the nearest name nor, below a
/// flattened struct, which argument it is about.
pub(in crate::gate) fn check(operation: &str, schema: &Value, arguments: &Value) -> Result<()> {
    let empty = serde_json::Map::new();
    let given = match arguments {
        Value::Null => &empty,
        Value::Object(given) => given,
        other => return Err(Error::invalid(format!("arguments are an object, not {}", shown(other)))),
    };
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(wrong) = given.keys().find(|key| !properties.contains_key(*key)) {
        let names: Vec<&str> = properties.keys().map(String::as_str).collect();
        return Err(unknown(operation, wrong, &names));
    }
    fields(schema, schema, given, "").map_err(|message| Error::invalid(message).next(takes(operation)))
}

/// The first property that a schema requires and that is not given.
fn missing<'a>(schema: &'a Value, given: &serde_json::Map<String, Value>) -> Option<&'a str> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required.filter_map(Value::as_str).find(|name| !given.contains_key(*name))
}

/// What is wrong with the fields of an object, the arguments themselves or one within them, with the path to it.
fn fields(
    root: &Value,
    schema: &Value,
    given: &serde_json::Map<String, Value>,
    path: &str,
) -> Result<(), String> {
    if let Some(name) = missing(schema, given) {
        return Err(match path {
            "" => format!("the argument {name:?} is missing"),
            path => format!("\"{path}.{name}\" is missing"),
        });
    }
    let none = serde_json::Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    given.iter().try_for_each(|(name, value)| match properties.get(name) {
        Some(schema) if path.is_empty() => each(root, schema, value, name),
        Some(schema) => each(root, schema, value, &format!("{path}.{name}")),
        None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            Err(format!("\"{path}\" has no {name:?}, but {}", names.join(", ")))
        }
        None => Ok(()),
    })
}

/// What is wrong with a value: its type, or what lies within it.
fn each(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if accepts(root, schema, value) {
        return inside(root, schema, value, path);
    }
    Err(format!("{path:?} must be {}, not {}", wanted(root, schema), shown(value)))
}

/// What is wrong within a list or an object that is of the right type itself, with the path to it.
fn inside(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let mut schema = resolved(root, schema);
    if let Some(branches) = branches(schema) {
        let mut fitting = branches.iter().filter(|branch| accepts(root, branch, value));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => schema = resolved(root, only),
            // Which one is meant is for what reads it to tell.
            _ => return Ok(()),
        }
    }
    match (value, schema.get("items"), schema.get("properties")) {
        (Value::Array(items), Some(schema), _) => {
            let item = |(i, item): (usize, &Value)| each(root, schema, item, &format!("{path}[{i}]"));
            items.iter().enumerate().try_for_each(item)
        }
        (Value::Object(given), _, Some(_)) => fields(root, schema, given, path),
        _ => Ok(()),
    }
}

fn takes(operation: &str) -> String {
    format!("operation_list with its schemas tells what {operation} takes.")
}

fn unknown(operation: &str, wrong: &str, names: &[&str]) -> Error {
    let error = Error::invalid(format!("{operation} has no argument {wrong:?}"));
    match nearest(wrong, names.iter().copied()) {
        Some(name) => error.next(format!("Did you mean {name:?}?")),
        None if names.is_empty() => error.next("It takes none."),
        None => error.next(format!("It takes: {}.", names.join(", "))),
    }
}

fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What a reference into the schema's own definitions stands for.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn branches(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array)
}

/// Whether a value is of the type that a property has, whatever lies within it.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(root, schema);
    if let Some(branches) = branches(schema) {
        return branches.iter().any(|branch| accepts(root, branch, value));
    }
    if let Some(constant) = schema.get("const") {
        return constant == value;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return allowed.contains(value);
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    let fits = match schema.get("type") {
        Some(Value::String(name)) => is(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let within = value.as_f64().is_none_or(|n| {
        bound("minimum").is_none_or(|least| n >= least) && bound("maximum").is_none_or(|most| n <= most)
    });
    fits && within
}

/// What a property takes, in words.
fn wanted(root: &Value, schema: &Value) -> String {
    let schema = resolved(root, schema);
    let words = choices(root, schema);
    if !words.is_empty() {
        return if words.len() == 1 { words.concat() } else { format!("one of {}", words.join(", ")) };
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or_default()
        }
        _ => "",
    };
    let number = |name: &str| {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("{name} from {least} to {most}"),
            (Some(least), None) => format!("{name} of at least {least}"),
            (None, Some(most)) => format!("{name} of at most {most}"),
            (None, None) => name.to_owned(),
        }
    };
    match name {
        "boolean" => "true or false".to_owned(),
        "integer" => number("a whole number"),
        "number" => number("a number"),
        "string" => "text".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        _ => "of another type".to_owned(),
    }
}

/// The values or types to choose from, where there are several.
fn choices(root: &Value, schema: &Value) -> Vec<String> {
    if let Some(branches) = branches(schema) {
        let some = branches.iter().filter(|branch| branch.get("type").is_none_or(|t| t != "null"));
        return some
            .flat_map(|branch| {
                let branch = resolved(root, branch);
                let words = choices(root, branch);
                if words.is_empty() { vec![wanted(root, branch)] } else { words }
            })
            .collect();
    }
    if let Some(constant) = schema.get("const") {
        return vec![constant.to_string()];
    }
    let allowed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    allowed.filter(|value| !value.is_null()).map(Value::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_names_the_argument_and_what_it_takes() {
        let schema = json!({
            "properties": {
                "verdict": { "anyOf": [{ "$ref": "#/$defs/Verdict" }, { "type": "null" }] },
                "port": { "type": ["integer", "null"], "minimum": 0, "maximum": 65535 },
                "names": { "type": "array" },
                "about": { "anyOf": [{ "type": "null" }, { "type": "array", "items": { "$ref": "#/$defs/About" } }] },
            },
            "required": ["names"],
            "$defs": { "About": {
                "type": "object", "required": ["name"], "additionalProperties": false,
                "properties": { "name": { "type": "string" }, "port": { "type": "integer" } },
            }, "Verdict": { "oneOf": [{ "const": "approve" }, { "const": "deny" }] } },
        });
        let said = |arguments: Value| match check("thing_do", &schema, &arguments) {
            Ok(()) => String::new(),
            Err(error) => error.message,
        };
        assert_eq!(said(json!({ "names": [], "verdict": null, "port": 80 })), "");
        assert_eq!(said(json!({ "names": [], "verdict": "deny" })), "");
        assert_eq!(
            said(json!({ "names": [], "verdict": "no" })),
            r#""verdict" must be one of "approve", "deny", not "no""#
        );
        assert_eq!(
            said(json!({ "names": [], "port": 70_000 })),
            r#""port" must be a whole number from 0 to 65535, not 70000"#
        );
        assert_eq!(said(json!({ "names": "a" })), r#""names" must be a list, not "a""#);
        let about = json!({ "names": [], "about": [{ "name": "web", "port": 80 }, { "name": 7 }] });
        assert_eq!(said(about), r#""about[1].name" must be text, not 7"#);
        assert_eq!(said(json!({ "names": [], "about": [{}] })), r#""about[0].name" is missing"#);
        assert_eq!(
            said(json!({ "names": [], "about": [{ "name": "web", "prt": 1 }] })),
            r#""about[0]" has no "prt", but name, port"#
        );
        assert_eq!(said(Value::Null), r#"the argument "names" is missing"#);
        assert_eq!(said(json!([1])), "arguments are an object, not [1]");
    }
}
