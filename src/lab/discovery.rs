//! What the server says it has: aggregated discovery (`apidiscovery.k8s.io/v2`), the older lists, the version.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};

use super::cluster::State;
use super::failure::Failure;
use super::kinds::{Kind, Serves};
use super::reply;

/// The Kubernetes release whose behaviour is practised.
pub(super) const RELEASE: &str = "v1.36.3";

pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": RELEASE, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2026-08-12T09:00:00Z", "goVersion": "go1.26.8", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// Whether the client takes aggregated discovery, and the version of it.
fn aggregated(accept: &str) -> bool {
    accept.split(',').any(|clause| {
        let clause = clause.replace(' ', "");
        clause.contains("g=apidiscovery.k8s.io")
            && clause.contains("v=v2")
            && !clause.contains("v=v2beta1")
            && clause.contains("as=APIGroupDiscoveryList")
    })
}

/// `/api`.
pub(super) fn core(state: &State, accept: &str) -> Response<Body> {
    if aggregated(accept) {
        return aggregated_list(state, true);
    }
    reply::json(
        200,
        &json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs":
                [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}]}),
    )
}

/// `/apis`.
pub(super) fn groups(state: &State, accept: &str) -> Response<Body> {
    if aggregated(accept) {
        return aggregated_list(state, false);
    }
    let groups: Vec<Value> = group_versions(state)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| group_value(&group, &versions))
        .collect();
    reply::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `/apis/GROUP`.
pub(super) fn group(state: &State, name: &str) -> Response<Body> {
    match group_versions(state).into_iter().find(|(group, _)| group == name && !name.is_empty()) {
        Some((group, versions)) => {
            let mut value = group_value(&group, &versions);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            reply::json(200, &value)
        }
        None => reply::page_not_found(),
    }
}

/// `/api/v1`, `/apis/GROUP/VERSION`.
pub(super) fn resources(state: &State, group: &str, version: &str) -> Response<Body> {
    let kinds = state.kinds.read();
    let mut resources = Vec::new();
    for kind in kinds.iter().filter(|k| k.group == group && k.version == version) {
        resources.push(resource(kind));
        for sub in &kind.subresources {
            let (group, version, name) = subresource_kind(kind, sub);
            let mut entry = json!({
                "name": format!("{}/{sub}", kind.plural), "singularName": "", "namespaced": kind.namespaced,
            });
            if group != kind.group || version != kind.version {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            entry["kind"] = name.into();
            entry["verbs"] = subresource_verbs(sub).into();
            resources.push(entry);
        }
    }
    if resources.is_empty() {
        return reply::page_not_found();
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    reply::json(
        200,
        &json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

fn resource(kind: &Kind) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), kind.plural.as_str().into());
    map.insert("singularName".into(), kind.singular.as_str().into());
    map.insert("namespaced".into(), kind.namespaced.into());
    map.insert("kind".into(), kind.kind.as_str().into());
    map.insert("verbs".into(), kind.serves.verbs().into());
    for (key, list) in [("shortNames", &kind.short), ("categories", &kind.categories)] {
        if !list.is_empty() {
            map.insert(key.into(), list.iter().map(|s| s.as_str()).collect::<Vec<_>>().into());
        }
    }
    if kind.serves == Serves::Stored {
        // Clients compare this hash to tell whether two resources share their storage.
        let hash = super::rng::Rng::for_topic(0, &kind.resource()).hex(8);
        map.insert("storageVersionHash".into(), hash.into());
    }
    Value::Object(map)
}

fn subresource_verbs(sub: &str) -> &'static [&'static str] {
    match sub {
        "log" => &["get"],
        "eviction" => &["create"],
        "finalize" => &["update"],
        _ => &["get", "patch", "update"],
    }
}

fn subresource_kind<'a>(kind: &'a Kind, sub: &str) -> (&'a str, &'a str, &'a str) {
    match sub {
        "scale" => ("autoscaling", "v1", "Scale"),
        "eviction" => ("policy", "v1", "Eviction"),
        _ => (&kind.group, &kind.version, &kind.kind),
    }
}

/// Groups in the order they were made known, each with its versions.
fn group_versions(state: &State) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for kind in state.kinds.read().iter() {
        let version = kind.version.to_string();
        match groups.iter_mut().find(|(g, _)| *g == kind.group) {
            Some((_, versions)) if versions.contains(&version) => {}
            Some((_, versions)) => versions.push(version),
            None => groups.push((kind.group.to_string(), vec![version])),
        }
    }
    groups
}

fn group_value(group: &str, versions: &[String]) -> Value {
    let list: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v})).collect();
    let preferred = list.first().cloned().unwrap_or_default();
    json!({"name": group, "versions": list, "preferredVersion": preferred})
}

fn aggregated_list(state: &State, core: bool) -> Response<Body> {
    let groups = group_versions(state);
    let kinds = state.kinds.read();
    let mut items = Vec::new();
    for (group, versions) in groups.iter().filter(|(g, _)| g.is_empty() == core) {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> = kinds
                    .iter()
                    .filter(|k| k.group == group.as_str() && k.version == version.as_str())
                    .map(|k| aggregated_resource(k))
                    .collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if core {
            json!({"creationTimestamp": null})
        } else {
            json!({"name": group, "creationTimestamp": null})
        };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items});
    let mut response = reply::bytes(
        200,
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        list.to_string(),
    );
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}

fn aggregated_resource(kind: &Kind) -> Value {
    let reply_kind = |(group, version, name): (&str, &str, &str)| json!({"group": group, "version": version, "kind": name});
    let mut map = Map::new();
    map.insert("resource".into(), kind.plural.as_str().into());
    map.insert("responseKind".into(), reply_kind((&kind.group, &kind.version, &kind.kind)));
    map.insert("scope".into(), if kind.namespaced { "Namespaced" } else { "Cluster" }.into());
    map.insert("singularResource".into(), kind.singular.as_str().into());
    map.insert("verbs".into(), kind.serves.verbs().into());
    for (key, list) in [("shortNames", &kind.short), ("categories", &kind.categories)] {
        if !list.is_empty() {
            map.insert(key.into(), list.iter().map(|s| s.as_str()).collect::<Vec<_>>().into());
        }
    }
    if !kind.subresources.is_empty() {
        let subs: Vec<Value> = kind
            .subresources
            .iter()
            .map(|sub| {
                json!({"subresource": sub.as_str(), "responseKind": reply_kind(subresource_kind(kind, sub)),
                       "verbs": subresource_verbs(sub)})
            })
            .collect();
        map.insert("subresources".into(), subs.into());
    }
    Value::Object(map)
}

/// Which representations a resource has, for the sentence of a 406.
pub(super) fn representations(protobuf: bool) -> Box<Failure> {
    Failure::not_acceptable(if protobuf {
        "application/json, application/vnd.kubernetes.protobuf, application/json;stream=watch, \
         application/vnd.kubernetes.protobuf;stream=watch"
    } else {
        "application/json, application/json;stream=watch"
    })
}
