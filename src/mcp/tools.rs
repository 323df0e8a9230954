//! Tools from the gate's operations.
//!
//! Listing everything costs an agent thousands of tokens before its first question. The operations
//! in [`FIRST`] are listed; the others are found by `operation_list`, described by
//! `operation_describe` and called by `operation_call`, or by their own name: what is not listed
//! can still be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::schema;
use crate::base::text::nearest;
use crate::gate::{Effect, OperationInfo};

/// The operations that are tools of their own, the most useful first.
const FIRST: &[&str] = &[
    "cluster_list",
    "pod_list",
    "resource_list",
    "resource_get",
    "resource_describe",
    "event_list",
    "log_read",
    "focus_get",
    "object_point",
    "message_list",
    "message_send",
    "deployment_scale",
    "deployment_restart",
    "resource_apply",
    "resource_delete",
    "approval_wait",
    "operation_list",
];

/// Describes one operation.
pub const DESCRIBE: &str = "operation_describe";
/// Calls any operation by name.
pub const CALL: &str = "operation_call";

/// The catalogue as tools, made once.
pub struct Toolbox {
    operations: BTreeMap<String, OperationInfo>,
    listed: Vec<Tool>,
}

impl Toolbox {
    pub fn new(catalogue: &Arc<[OperationInfo]>, all: bool) -> Self {
        let operations: BTreeMap<_, _> = catalogue.iter().map(|o| (o.name.clone(), o.clone())).collect();
        let mut listed: Vec<_> = FIRST.iter().filter_map(|name| operations.get(*name)).map(tool).collect();
        if all {
            let rest = operations.values().filter(|o| !FIRST.contains(&o.name.as_str()));
            listed.extend(rest.map(tool));
        } else {
            listed.extend([describe_tool(), call_tool()]);
        }
        Self { operations, listed }
    }

    pub fn listed(&self) -> &[Tool] {
        &self.listed
    }

    pub fn operation(&self, name: &str) -> Option<&OperationInfo> {
        self.operations.get(name)
    }

    /// Names near to a wrong one, for the error.
    pub fn near(&self, wrong: &str) -> Option<&str> {
        nearest(wrong, self.operations.keys().map(String::as_str))
    }
}

/// Whether `reason` is ours to take from the arguments: an operation may have one of its own.
pub fn takes_reason(info: &OperationInfo) -> bool {
    info.effect != Effect::Observe && info.input.pointer("/properties/reason").is_none()
}

fn tool(info: &OperationInfo) -> Tool {
    let mut input = schema::input(&info.input);
    if takes_reason(info) {
        // The instructions say what it is for.
        add_reason(&mut input, json!({ "type": "string" }));
    }
    Tool::new(info.name.clone(), info.summary.clone(), input)
        .with_raw_output_schema(Arc::new(schema::output(&info.output)))
        .with_annotations(annotations(info))
}

/// Hints that follow from the declared effect. A client should not rely on them, and the gate does not.
fn annotations(info: &OperationInfo) -> ToolAnnotations {
    // Everything outside Quarterdeck's own session is an open world: clusters change by other hands.
    let own = info.path.starts_with("/v1/session")
        || info.path.starts_with("/v1/operations")
        || info.path.starts_with("/v1/approvals");
    // What the protocol assumes anyway is left out: it would cost tokens in every conversation.
    let mut hints = ToolAnnotations::new().read_only(info.effect == Effect::Observe);
    hints.open_world_hint = own.then_some(false);
    hints.idempotent_hint = (info.effect != Effect::Observe && info.idempotent).then_some(true);
    hints.destructive_hint = match info.effect {
        Effect::Observe => None,
        Effect::Change => Some(false),
        Effect::Destroy => Some(true),
    };
    hints
}

fn add_reason(input: &mut Map<String, Value>, reason: Value) {
    if let Value::Object(properties) = input.entry("properties").or_insert_with(|| json!({})) {
        properties.insert("reason".to_owned(), reason);
    }
    if let Value::Array(required) = input.entry("required").or_insert_with(|| json!([])) {
        required.push(json!("reason"));
    }
}

fn describe_tool() -> Tool {
    let input = object(json!({
        "type": "object",
        "properties": { "operation": { "type": "string" } },
        "required": ["operation"],
    }));
    let output = object(json!({
        "type": "object",
        "properties": { "name": { "type": "string" }, "effect": { "type": "string" }, "input": { "type": "object" } },
    }));
    Tool::new(DESCRIBE, "Describe one operation: effect, arguments, result.", input)
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(ToolAnnotations::new().read_only(true).open_world(false))
}

fn call_tool() -> Tool {
    let input = object(json!({
        "type": "object",
        "properties": {
            "operation": { "type": "string" },
            "arguments": { "type": "object" },
            "reason": { "type": "string" },
        },
        "required": ["operation"],
    }));
    // It can call anything, so the hints say the most that it can do.
    Tool::new(CALL, "Call any operation found with operation_list, under its own effect and policy.", input)
        .with_annotations(ToolAnnotations::new().read_only(false).destructive(true))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What `operation_describe` gives.
pub fn describe(info: &OperationInfo) -> Value {
    let mut input = schema::full(&info.input);
    if takes_reason(info) {
        let description = "Why: shown to the person who decides.";
        add_reason(&mut input, json!({ "type": "string", "description": description }));
    }
    json!({
        "name": info.name,
        "effect": info.effect,
        "summary": info.summary,
        "idempotent": info.idempotent,
        "preview": info.preview,
        "input": input,
        "output": schema::output(&info.output),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Arc<[OperationInfo]> {
        let info = |form: crate::gate::Form| OperationInfo {
            name: form.spec.name.to_owned(),
            summary: form.spec.summary.to_owned(),
            effect: form.spec.effect,
            idempotent: form.spec.idempotent,
            method: form.spec.method,
            path: form.spec.path.to_owned(),
            watch: form.watchable,
            preview: form.previewable,
            terminal: false,
            input: form.input().into(),
            output: form.output().into(),
        };
        crate::operations::all().map(|definition| info(definition.form())).collect()
    }

    #[test]
    fn the_list_costs_at_most_three_thousand_tokens_and_names_only_what_exists() {
        let toolbox = Toolbox::new(&catalogue(), false);
        for name in FIRST {
            assert!(toolbox.operation(name).is_some(), "{name}");
        }
        // Four characters of JSON are about one token.
        let tokens = serde_json::to_string(toolbox.listed()).unwrap().len() / 4;
        assert!(tokens <= 3000, "{tokens}");
    }

    #[test]
    fn hints_say_what_the_operation_declares() {
        let toolbox = Toolbox::new(&catalogue(), true);
        for tool in toolbox.listed() {
            let info = toolbox.operation(&tool.name).unwrap();
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.read_only_hint, Some(info.effect == Effect::Observe), "{}", tool.name);
            if info.effect != Effect::Observe {
                assert_eq!(hints.is_destructive(), info.effect == Effect::Destroy, "{}", tool.name);
                assert_eq!(hints.is_idempotent(), info.idempotent, "{}", tool.name);
            }
        }
    }
}
