//! The configuration's keys as data, read from its JSON Schema: so that the file that `qd config
//! init` writes, the environment's names and `qd config show` cannot drift from the types.

use serde_json::{Map, Value};

use super::Config;

/// One key: `http.port`.
pub struct Key {
    pub path: String,
    pub doc: String,
    /// The key's schema, without its reference.
    pub schema: Value,
}

/// Every key in the order of the types, with each section's own text before its keys.
pub fn keys() -> Vec<Key> {
    let root = schemars::SchemaGenerator::default().into_root_schema_for::<Config>().to_value();
    let mut found = Vec::new();
    let definitions = root.get("$defs").cloned().unwrap_or(Value::Null);
    walk(&root, &definitions, "", &mut found);
    found
}

fn walk(schema: &Value, definitions: &Value, prefix: &str, found: &mut Vec<Key>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let target = resolve(property, definitions);
        if target.get("properties").is_some() {
            walk(target, definitions, &path, found);
            continue;
        }
        let doc = property.get("description").or_else(|| target.get("description"));
        found.push(Key {
            path,
            doc: doc.and_then(Value::as_str).unwrap_or_default().to_owned(),
            schema: target.clone(),
        });
    }
}

fn resolve<'a>(schema: &'a Value, definitions: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
    name.and_then(|n| definitions.get(n)).unwrap_or(schema)
}

/// The value at `path` in `values`.
pub fn at<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(values, |value, part| value.get(part))
}

/// Puts `value` at `path`, making the objects on the way.
pub fn put(values: &mut Value, path: &str, value: Value) {
    let mut here = values;
    for part in path.split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(map) = here else { return };
        here = map.entry(part).or_insert(Value::Null);
    }
    *here = value;
}

/// One value as YAML writes it on one line.
pub fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) if s.is_empty() => "\"\"".to_owned(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
        _ => serde_yaml_ng::to_string(value).map(|s| s.trim_end().to_owned()).unwrap_or_default(),
    }
}

/// A whole configuration file in which every key is a comment with its meaning and default.
pub fn template() -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap_or(Value::Null);
    let root = schemars::SchemaGenerator::default().into_root_schema_for::<Config>().to_value();
    let mut out = String::from(
        "# Quarterdeck's configuration. Every key is here with its default: take away the \"# \" before a key\n\
         # and before its section to change it. QD_SECTION_KEY in the environment goes over this file, and\n\
         # --set section.key=value over both. `qd config check` reads it, `qd config show` says what holds.\n",
    );
    let mut section = "";
    let all = keys();
    for key in &all {
        let default = at(&defaults, &key.path).map(scalar).unwrap_or_default();
        let Some((this, name)) = key.path.split_once('.') else {
            out.push_str(&format!("\n# # {}\n# {}: {default}\n", key.doc, key.path));
            continue;
        };
        if this != section {
            section = this;
            let doc = root.pointer(&format!("/properties/{this}/description")).and_then(Value::as_str);
            out.push_str(&format!("\n# {}\n# {this}:\n", doc.unwrap_or_default()));
        }
        for line in key.doc.lines() {
            out.push_str(&format!("#   # {line}\n"));
        }
        out.push_str(&format!("#   {name}: {default}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_a_sentence() {
        let defaults = serde_json::to_value(Config::default()).unwrap();
        for key in keys() {
            assert!(at(&defaults, &key.path).is_some(), "{} has no default", key.path);
            assert!(key.doc.ends_with('.') || key.doc.ends_with('"'), "{} has no sentence", key.path);
        }
    }

    #[test]
    fn the_template_with_its_comments_removed_is_the_default_configuration() {
        let text: String = template()
            .lines()
            .filter_map(|l| {
                l.strip_prefix("# ")
                    .filter(|l| l.ends_with(':') || l.starts_with("  ") || l.starts_with("readonly:"))
            })
            .map(|l| format!("{l}\n"))
            .collect();
        let parsed = super::super::file::parse(std::path::Path::new("c.yaml"), &text).unwrap();
        assert_eq!(parsed, Config::default(), "{text}");
    }
}
