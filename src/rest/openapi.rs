//! The OpenAPI 3.1 document, from the same schemas as everything else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::paths::fields;
use crate::base::{Code, Error};
use crate::gate::{Held, Method, OperationInfo, Preview};

/// Schemas of types that operations share, by name, hoisted out of each operation's own `$defs`.
#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
}

impl Components {
    /// Makes `schema` part of the document: its `$defs` become components and its references follow.
    fn adopt(&mut self, owner: &str, mut schema: Value) -> Value {
        if let Value::Object(fields) = &mut schema {
            fields.remove("$schema");
            fields.remove("title");
        }
        let definitions = match schema.as_object_mut().and_then(|fields| fields.remove("$defs")) {
            Some(Value::Object(definitions)) => definitions,
            _ => Map::new(),
        };
        // The same name may mean different types in different operations: then it carries its owner's.
        let mut names = BTreeMap::new();
        for (name, definition) in &definitions {
            let same = |existing: &Value| existing == &renamed(definition.clone(), &plain(&definitions));
            let taken = self.schemas.get(name).is_some_and(|existing| !same(existing));
            names.insert(name.clone(), if taken { format!("{owner}.{name}") } else { name.clone() });
        }
        for (name, definition) in definitions {
            let target = names.get(&name).cloned().unwrap_or(name);
            self.schemas.insert(target, renamed(definition, &names));
        }
        renamed(schema, &names)
    }
}

fn plain(definitions: &Map<String, Value>) -> BTreeMap<String, String> {
    definitions.keys().map(|name| (name.clone(), name.clone())).collect()
}

/// The schema with its references to `$defs` turned to components of these names.
fn renamed(mut schema: Value, names: &BTreeMap<String, String>) -> Value {
    fn walk(value: &mut Value, names: &BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get_mut("$ref")
                    && let Some(name) = reference.strip_prefix("#/$defs/")
                {
                    let name = names.get(name).map_or(name, String::as_str);
                    *reference = format!("#/components/schemas/{name}");
                }
                fields.values_mut().for_each(|v| walk(v, names));
            }
            Value::Array(items) => items.iter_mut().for_each(|v| walk(v, names)),
            _ => {}
        }
    }
    walk(&mut schema, names);
    schema
}

fn schema_of<T: schemars::JsonSchema>() -> Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// The whole document.
pub fn document(catalogue: &[OperationInfo]) -> Value {
    let mut components = Components::default();
    let error = components.adopt("Error", schema_of::<Error>());
    let held = components.adopt("Held", schema_of::<Held>());
    let preview = components.adopt("Preview", schema_of::<Preview>());
    components.schemas.insert(
        "Problem".to_owned(),
        json!({ "type": "object", "required": ["error"], "properties": { "error": error } }),
    );
    components.schemas.insert("Preview".to_owned(), preview);
    components.schemas.insert(
        "HeldReply".to_owned(),
        json!({
            "type": "object",
            "required": ["held", "approval"],
            "properties": { "held": held, "approval": { "type": "string", "description": "The approval's path." } }
        }),
    );
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for info in catalogue {
        let method = match info.method {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
            Method::Patch => "patch",
            Method::Delete => "delete",
        };
        let operation = operation(info, &mut components);
        paths.entry(info.path.clone()).or_default().insert(method.to_owned(), operation);
    }
    paths.entry("/v1/events".to_owned()).or_default().insert("get".to_owned(), events());
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Quarterdeck",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every operation of the live session. Changes that need a decision answer 202.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": components.schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } }
        }
    })
}

fn operation(info: &OperationInfo, components: &mut Components) -> Value {
    let input = components.adopt(&info.name, Value::clone(&info.input));
    let output = components.adopt(&info.name, Value::clone(&info.output));
    let in_path = fields(&info.path);
    let takes_body = !matches!(info.method, Method::Get | Method::Delete);
    let mut parameters = Vec::new();
    let mut body = Map::new();
    let required: Vec<&str> = input
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, schema) in input.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let place = if in_path.contains(name) {
            "path"
        } else if takes_body {
            body.insert(name.clone(), schema.clone());
            continue;
        } else {
            "query"
        };
        let needed = place == "path" || required.contains(&name.as_str());
        parameters.push(parameter(name, place, needed, schema.clone()));
    }
    if info.watch {
        parameters.push(parameter(
            "watch",
            "query",
            false,
            json!({ "type": "boolean", "description":
            "Go on with what changes: JSON lines, or server-sent events if Accept asks for them." }),
        ));
    }
    if info.preview {
        parameters.push(parameter(
            "preview",
            "query",
            false,
            json!({ "type": "boolean", "description":
            "Answer with what the call would do, and do nothing." }),
        ));
    }
    let mut operation = json!({
        "operationId": info.name,
        "summary": info.summary,
        "tags": [info.name.rsplit_once('_').map_or(info.name.as_str(), |(noun, _)| noun)],
        "x-effect": info.effect,
        "x-idempotent": info.idempotent,
        "parameters": parameters,
        "responses": responses(info, output)
    });
    if takes_body {
        let needed: Vec<&str> = required.into_iter().filter(|name| body.contains_key(*name)).collect();
        operation["requestBody"] = json!({
            "required": !needed.is_empty(),
            "content": { "application/json": { "schema": {
                "type": "object", "properties": body, "required": needed, "additionalProperties": false
            } } }
        });
    }
    operation
}

fn parameter(name: &str, place: &str, required: bool, schema: Value) -> Value {
    let description = schema.get("description").cloned();
    let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

fn responses(info: &OperationInfo, output: Value) -> Value {
    let mut done = json!({ "application/json": { "schema": output } });
    if info.watch {
        done["application/x-ndjson"] = json!({ "schema": { "type": "string" } });
        done["text/event-stream"] = json!({ "schema": { "type": "string" } });
    }
    let mut responses = json!({ "200": { "description": "The result.", "content": done } });
    if info.effect != crate::gate::Effect::Observe {
        responses["202"] = json!({
            "description": "A person must decide first; Location is the approval.",
            "headers": { "Location": { "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/HeldReply" } } }
        });
    }
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.http_status()).or_default().push(code.as_str());
    }
    for (status, codes) in by_status {
        responses[status.to_string()] = json!({
            "description": codes.join(", "),
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
        });
    }
    responses
}

fn events() -> Value {
    json!({
        "operationId": "events",
        "summary": "A WebSocket of what happens from now on, one JSON event a message.",
        "tags": ["event"],
        "responses": {
            "101": { "description": "The WebSocket. Closed with code 1013 and \"resync\" when the reader is too slow." },
            "401": {
                "description": "unauthenticated",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
            }
        }
    })
}
