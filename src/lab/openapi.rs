//! OpenAPI v3, as far as clients read it before they write: which parameters a PATCH takes, and which kinds there are.
//!
//! The schemas say no more than the kind: `kubectl explain` has nothing to tell here.

use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use super::cluster::State;
use super::kinds::{Kind, Serves};
use super::reply;

/// `/openapi/v3` and `/openapi/v3/...`.
pub(super) fn v3(state: &State, rest: &[&str]) -> Response<Body> {
    match rest {
        [] => reply::json(200, &index(state)),
        ["api", version] => document(state, "", version),
        ["apis", group, version] => document(state, group, version),
        _ => reply::page_not_found(),
    }
}

fn path(kind: &Kind) -> String {
    if kind.group.is_empty() {
        format!("api/{}", kind.version)
    } else {
        format!("apis/{}/{}", kind.group, kind.version)
    }
}

fn index(state: &State) -> Value {
    let mut paths = Map::new();
    for kind in state.kinds.read().iter() {
        let path = path(kind);
        let address = format!("/openapi/v3/{path}?hash=LAB");
        paths.insert(path, json!({"serverRelativeURL": address}));
    }
    json!({"paths": paths})
}

fn document(state: &State, group: &str, version: &str) -> Response<Body> {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for kind in state.kinds.read().iter().filter(|k| k.group == group && k.version == version) {
        let own = json!({"group": group, "version": version, "kind": kind.kind.as_str()});
        let name = format!("lab.{}.{version}.{}", if group.is_empty() { "core" } else { group }, kind.kind);
        schemas.insert(
            name,
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                   "x-kubernetes-group-version-kind": [own]}),
        );
        if kind.serves != Serves::Stored {
            continue;
        }
        let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
        let address = format!("/{}{namespace}/{}/{{name}}", path(kind), kind.plural);
        let verb = |action: &str| {
            json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": own,
                   "parameters": parameters(), "responses": {"200": {"description": "OK"}}})
        };
        paths.insert(address, json!({"patch": verb("patch"), "put": verb("put"), "delete": verb("delete")}));
    }
    if schemas.is_empty() {
        return reply::page_not_found();
    }
    reply::json(
        200,
        &json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": super::discovery::RELEASE},
                "paths": paths, "components": {"schemas": schemas}}),
    )
}

fn parameters() -> Vec<Value> {
    ["dryRun", "fieldManager", "fieldValidation", "force"]
        .into_iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect()
}
