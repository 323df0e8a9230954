//! Resources: what the operator looks at, and objects of clusters by their address.

use rmcp::ErrorData;
use rmcp::model::{Annotations, ErrorCode, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::{Map, Value, json};

use super::text;
use super::uri::{Object, Place};
use crate::base::{Code, Error, Result};
use crate::gate::{Client, Reply, Request};

/// The last lines of a log that its resource holds.
const LOG_LINES: u32 = 200;

/// The resources that are always there. Those of clusters are reached through [`templates`].
pub fn list() -> Vec<Resource> {
    let resource = |uri: &str, name: &str, mime: &str, description: &str, priority: f32| {
        Resource::new(uri, name)
            .with_mime_type(mime)
            .with_description(description)
            .with_annotations(Annotations::default().with_priority(priority))
    };
    vec![
        resource(
            "console://focus",
            "focus",
            "application/json",
            "Where the operator looks: pane, filter, selected object.",
            1.0,
        ),
        resource(
            "console://selection",
            "selection",
            "application/json",
            "The object under the operator's cursor, and the rows marked.",
            0.9,
        ),
        resource("console://screen", "screen", "text/plain", "The lines that the operator sees.", 0.8),
        resource(
            "console://messages",
            "messages",
            "application/json",
            "Questions and remarks sent to you.",
            0.9,
        ),
    ]
}

pub fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, mime: &str, description: &str| {
        ResourceTemplate::new(uri, name).with_mime_type(mime).with_description(description)
    };
    vec![
        template(
            "k8s://{cluster}/{namespace}/pods",
            "pods",
            "text/plain",
            "The pods of a namespace; _ is all namespaces.",
        ),
        template(
            "k8s://{cluster}/{namespace}/{kind}",
            "objects",
            "text/plain",
            "The objects of a kind; _ is all namespaces.",
        ),
        template(
            "k8s://{cluster}/{namespace}/{kind}/{name}",
            "object",
            "application/yaml",
            "One object; _ where a kind has no namespace.",
        ),
        template(
            "k8s://{cluster}/{namespace}/pods/{name}/log",
            "log",
            "text/plain",
            "The end of a pod's log.",
        ),
    ]
}

pub async fn read(client: &Client, uri: &str) -> std::result::Result<ReadResourceResult, ErrorData> {
    let Some(place) = Place::parse(uri) else {
        return Err(ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri }))));
    };
    let (text, mime) = contents(client, &place).await.map_err(|e| protocol_error(&e, uri))?;
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(mime)]))
}

async fn contents(client: &Client, place: &Place) -> Result<(String, &'static str)> {
    match place {
        Place::Focus => Ok((pretty(&focus(client, true).await?), "application/json")),
        Place::Selection => Ok((pretty(&selection(&focus(client, true).await?)), "application/json")),
        Place::Screen => Ok((screen(&focus(client, false).await?), "text/plain")),
        Place::Messages => {
            let output = call(client, Request::new("message_list", json!({}))).await?;
            Ok((pretty(&output), "application/json"))
        }
        Place::Object(object) => {
            let output = call(client, Request::new("resource_get", arguments(object))).await?;
            Ok((document(&output), "application/yaml"))
        }
        Place::List(object) => Ok((text::render(&call(client, list_request(object)).await?), "text/plain")),
        Place::Log(object) => {
            let mut arguments = arguments(object);
            arguments["tail"] = json!(LOG_LINES);
            arguments.as_object_mut().map(|a| a.remove("kind"));
            let output = call(client, Request::new("log_read", arguments)).await?;
            Ok((text::render(&output), "text/plain"))
        }
    }
}

/// The request that lists what `object` names.
pub fn list_request(object: &Object) -> Request {
    let mut arguments = arguments(object);
    if let Value::Object(map) = &mut arguments {
        map.remove("name");
        if object.namespace.is_none() {
            map.insert("all_namespaces".to_owned(), json!(true));
        }
        if is_pod(&object.kind) {
            map.remove("kind");
        }
    }
    Request::new(if is_pod(&object.kind) { "pod_list" } else { "resource_list" }, arguments)
}

fn is_pod(kind: &str) -> bool {
    matches!(kind, "pods" | "pod" | "po")
}

/// The arguments that name `object`.
pub fn arguments(object: &Object) -> Value {
    let mut out = Map::new();
    out.insert("cluster".to_owned(), json!(object.cluster));
    if let Some(namespace) = &object.namespace {
        out.insert("namespace".to_owned(), json!(namespace));
    }
    out.insert("kind".to_owned(), json!(object.kind));
    out.insert("name".to_owned(), json!(object.name));
    Value::Object(out)
}

/// Calls an operation that only reads.
pub async fn call(client: &Client, request: Request) -> Result<Value> {
    match client.call(request).await? {
        Reply::Done { output, .. } => Ok(output),
        Reply::Held(held) => Err(Error::new(Code::PermissionDenied, held.reason)),
    }
}

/// The operator's focus; without a screen, an object that says so: its readers ask again and again,
/// and "nobody is there" is an answer.
pub async fn focus(client: &Client, brief: bool) -> Result<Value> {
    match call(client, Request::new("focus_get", json!({ "brief": brief }))).await {
        Err(error) if error.code == Code::NotFound => Ok(json!({ "attached": false })),
        other => other,
    }
}

/// The part of a focus that is about objects.
pub fn selection(focus: &Value) -> Value {
    let inner = focus.get("focus").cloned().unwrap_or_default();
    let mut out = Map::new();
    for key in ["cluster", "namespace", "kind", "selected", "marked"] {
        if let Some(value) = inner.get(key) {
            out.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(selected) = inner.get("selected").filter(|s| !s.is_null()) {
        let part = |key: &str| selected.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let namespace = Some(part("namespace")).filter(|n| !n.is_empty());
        let object = Object { cluster: part("cluster"), namespace, kind: part("kind"), name: part("name") };
        // A cluster is no object of the API: it has no address to read it at.
        if object.kind != "cluster" {
            out.insert("uri".to_owned(), json!(object.uri()));
        }
    }
    Value::Object(out)
}

fn screen(focus: &Value) -> String {
    let Some(inner) = focus.get("focus") else { return "No screen is attached to this session.".to_owned() };
    let title = inner.get("title").and_then(Value::as_str).filter(|t| !t.is_empty());
    let title = title.or_else(|| inner.get("pane").and_then(Value::as_str)).unwrap_or_default();
    let lines = inner.get("lines").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut out = title.to_owned();
    for line in lines {
        out.push('\n');
        out.push_str(line.trim_end());
    }
    out
}

/// An object's text as its operation printed it.
fn document(output: &Value) -> String {
    let printed = ["yaml", "text", "manifest"].iter().find_map(|key| output.get(*key)?.as_str());
    printed.map_or_else(|| text::render(output), str::to_owned)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// An error where the protocol has no other place for it than its own.
pub fn protocol_error(error: &Error, uri: &str) -> ErrorData {
    let data = json!({ "uri": uri, "code": error.code, "next": error.next_step() });
    let message = error.told();
    match error.code {
        Code::NotFound => ErrorData::resource_not_found(message, Some(data)),
        code => ErrorData::new(ErrorCode(code.json_rpc()), message, Some(data)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_names_its_object_by_address() {
        let focus = json!({ "focus": { "pane": "pods", "selected":
            { "cluster": "eu", "namespace": "shop", "kind": "pods", "name": "api-0" } } });
        assert_eq!(selection(&focus)["uri"], "k8s://eu/shop/pods/api-0");
        assert_eq!(selection(&json!({ "attached": false })), json!({}));
        let cluster =
            json!({ "focus": { "selected": { "cluster": "eu", "kind": "cluster", "name": "eu" } } });
        assert!(selection(&cluster).get("uri").is_none());
    }

    #[test]
    fn a_screen_is_its_title_and_lines() {
        let focus =
            json!({ "focus": { "pane": "pods", "title": "pods(shop)[2]", "lines": ["NAME  ", "api-0"] } });
        assert_eq!(screen(&focus), "pods(shop)[2]\nNAME\napi-0");
    }

    #[test]
    fn every_listed_address_is_one_that_can_be_read() {
        for resource in list() {
            assert!(Place::parse(&resource.uri).is_some(), "{}", resource.uri);
        }
        for template in templates() {
            let uri = template.uri_template.replace(['{', '}'], "");
            assert!(Place::parse(&uri).is_some(), "{uri}");
        }
    }
}
