//! Schemas cut down to what helps a model: every byte of them is paid for in each conversation.

use serde_json::{Map, Value, json};

/// Arguments that many operations share: described once, in the server's instructions.
pub const SHARED: &[&str] = &[
    "cluster",
    "namespace",
    "all_namespaces",
    "labels",
    "fields",
    "limit",
    "cursor",
    "columns",
    "kind",
    "name",
];

/// Arguments that the policy refuses to agents: they are not offered either.
const PEOPLE_ONLY: &[&str] = &["reveal"];

/// An input schema as tools list it: without the generator's noise, references resolved, the
/// descriptions of shared arguments left out.
pub fn input(schema: &Value) -> Map<String, Value> {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    let mut out = object(schema, &definitions, 0);
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        properties.retain(|name, _| !PEOPLE_ONLY.contains(&name.as_str()));
        for (name, property) in properties {
            if let Value::Object(property) = property {
                if SHARED.contains(&name.as_str()) {
                    property.remove("description");
                }
                // A structure's own fields explain themselves by their names.
                for inner in
                    property.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
                {
                    if let Value::Object(inner) = inner.1 {
                        inner.remove("description");
                    }
                }
            }
        }
    }
    out.remove("description");
    out.insert("type".to_owned(), json!("object"));
    out
}

/// The same with every description: what `operation_describe` gives.
pub fn full(schema: &Value) -> Map<String, Value> {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    object(schema, &definitions, 0)
}

/// The most members of a result that its listed schema names.
const MAX_MEMBERS: usize = 5;
/// Of many members, those that a program needs to read a list.
const FIRST_MEMBERS: &[&str] = &["total", "columns", "rows", "next"];

/// An output schema as tools list it: the names and types at the top, the first few of them. What is
/// nested is left to the reader of the result, and more members than are named may come. Nothing is
/// required, because a held call answers with `pending`.
pub fn output(schema: &Value) -> Map<String, Value> {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    let whole = object(schema, &definitions, 0);
    let mut properties = Map::new();
    if let Some(Value::Object(found)) = whole.get("properties") {
        // The command that is the same explains itself in the result.
        let mut members: Vec<_> = found.iter().filter(|(name, _)| *name != "equivalent").collect();
        members.sort_by_key(|(name, _)| !FIRST_MEMBERS.contains(&name.as_str()));
        for (name, property) in members.into_iter().take(MAX_MEMBERS) {
            let kind = property.get("type").filter(|_| property.get("anyOf").is_none());
            // An absent optional is left out of results, never null; a `null` type is kept for safety.
            properties.insert(name.clone(), kind.map_or_else(|| json!({}), |kind| json!({ "type": kind })));
        }
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), json!("object"));
    if !properties.is_empty() {
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    out
}

/// Deeper than this a schema is "anything": a type that contains itself would not end.
const MAX_DEPTH: usize = 6;

fn object(schema: &Value, definitions: &Value, depth: usize) -> Map<String, Value> {
    match clean(schema, definitions, depth) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn clean(schema: &Value, definitions: &Value, depth: usize) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    if depth > MAX_DEPTH {
        return json!({});
    }
    if let Some(resolved) = resolve(map, definitions) {
        let mut inner = clean(resolved, definitions, depth + 1);
        // A description beside a reference is about this use of the type.
        if let (Value::Object(inner), Some(description)) = (&mut inner, map.get("description")) {
            inner.insert("description".to_owned(), description.clone());
        }
        return inner;
    }
    if let Some(single) = optional(map) {
        let mut inner = clean(single, definitions, depth);
        if let (Value::Object(inner), Some(description)) = (&mut inner, map.get("description")) {
            inner.insert("description".to_owned(), description.clone());
        }
        return inner;
    }
    if let Some(words) = words_of(map) {
        let mut out = Map::from_iter([("enum".to_owned(), Value::Array(words))]);
        if let Some(description) = map.get("description") {
            out.insert("description".to_owned(), description.clone());
        }
        return Value::Object(out);
    }
    let mut out = Map::new();
    for (key, value) in map {
        match key.as_str() {
            "$schema"
            | "$defs"
            | "title"
            | "default"
            | "format"
            | "x-complete"
            | "additionalProperties"
            | "minimum"
            | "maximum" => {}
            "type" => {
                out.insert(key.clone(), without_null(value));
            }
            "properties" => {
                let cleaned = value.as_object().into_iter().flatten();
                let cleaned = cleaned.map(|(k, v)| (k.clone(), clean(v, definitions, depth + 1))).collect();
                out.insert(key.clone(), Value::Object(cleaned));
            }
            "items" => {
                out.insert(key.clone(), clean(value, definitions, depth + 1));
            }
            "anyOf" | "oneOf" | "allOf" => {
                let each = value.as_array().into_iter().flatten();
                let each = each.map(|v| clean(v, definitions, depth + 1)).collect();
                out.insert(key.clone(), Value::Array(each));
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

fn resolve<'a>(map: &Map<String, Value>, definitions: &'a Value) -> Option<&'a Value> {
    let name = map.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    definitions.get(name)
}

/// The one schema of `anyOf: [it, null]`, which is how an optional type is written.
fn optional(map: &Map<String, Value>) -> Option<&Value> {
    let choices = map.get("anyOf")?.as_array()?;
    let mut real = choices.iter().filter(|c| c.get("type") != Some(&json!("null")));
    match (real.next(), real.next(), choices.len()) {
        (Some(one), None, 2) => Some(one),
        _ => None,
    }
}

/// The words of an enumeration whose words are documented one by one (`oneOf` of constants).
fn words_of(map: &Map<String, Value>) -> Option<Vec<Value>> {
    let choices = map.get("oneOf")?.as_array()?;
    let mut words = Vec::new();
    for choice in choices {
        match (choice.get("const"), choice.get("enum").and_then(Value::as_array)) {
            (Some(word), _) => words.push(word.clone()),
            (None, Some(several)) => words.extend(several.iter().cloned()),
            (None, None) => return None,
        }
    }
    Some(words)
}

fn without_null(kind: &Value) -> Value {
    let Value::Array(kinds) = kind else { return kind.clone() };
    let mut real: Vec<_> = kinds.iter().filter(|k| **k != json!("null")).cloned().collect();
    if real.len() == 1 { real.remove(0) } else { Value::Array(real) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Inner {
        /// How deep.
        depth: u32,
    }

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    enum Word {
        /// The first.
        One,
        /// The second.
        Two,
    }

    /// Arguments of a test.
    #[derive(schemars::JsonSchema)]
    #[schemars(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Arguments {
        /// The kubeconfig context.
        cluster: Option<String>,
        /// What to do.
        verb: String,
        /// Which word.
        word: Option<Word>,
        inner: Option<Inner>,
        #[schemars(extend("x-complete" = "kind"))]
        list: Vec<Inner>,
    }

    #[test]
    fn an_input_schema_is_short_and_has_no_references() {
        let schema = schemars::schema_for!(Arguments).to_value();
        let short = Value::Object(input(&schema));
        assert_eq!(
            short,
            json!({
                "type": "object",
                "properties": {
                    "cluster": { "type": "string" },
                    "verb": { "type": "string", "description": "What to do." },
                    "word": { "enum": ["One", "Two"], "description": "Which word." },
                    "inner": {
                        "type": "object",
                        "properties": { "depth": { "type": "integer" } },
                        "required": ["depth"],
                    },
                    "list": { "type": "array", "items": {
                        "type": "object",
                        "properties": { "depth": { "type": "integer", "description": "How deep." } },
                        "required": ["depth"],
                    } },
                },
                "required": ["verb", "list"],
            })
        );
    }

    #[test]
    fn an_output_schema_names_the_top_level() {
        let schema = schemars::schema_for!(Arguments).to_value();
        let short = output(&schema);
        assert_eq!(short["properties"]["list"], json!({ "type": "array" }));
        assert!(short.get("required").is_none());
    }

    #[test]
    fn a_type_that_contains_itself_ends() {
        #[derive(schemars::JsonSchema)]
        #[allow(dead_code, reason = "only its schema is used")]
        struct Tree {
            children: Vec<Tree>,
        }
        let short = Value::Object(input(&schemars::schema_for!(Tree).to_value())).to_string();
        assert!(short.len() < 2000, "{short}");
    }
}
