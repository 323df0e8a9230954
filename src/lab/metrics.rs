//! `metrics.k8s.io`: what pods and nodes take now.

use axum::body::Body;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::apps;
use super::cluster::State;
use super::failure::{Failure, Outcome};
use super::object::{Object, items, stamp, text};
use super::reply;
use super::rng::Rng;
use super::route::Ask;
use super::select::Selector;

pub(super) fn request(ask: &Ask, verb: &str) -> Outcome<Response<Body>> {
    let pods = ask.kind.plural == "pods";
    let core = ask.state.kind("", &ask.kind.plural).ok_or_else(Failure::no_resource)?;
    if verb == "get" {
        let object = ask.state.store.get(core.id, &ask.namespace, &ask.name);
        let figures = object.and_then(|o| if pods { of_pod(&o) } else { Some(of_node(&ask.state, &o)) });
        let mut figures = figures.ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))?;
        figures["kind"] = ask.kind.kind.as_str().into();
        figures["apiVersion"] = ask.kind.api_version().into();
        return Ok(reply::json(200, &figures));
    }
    let selector = Selector::parse(&core, ask.query.text("labelSelector"), ask.query.text("fieldSelector"))?;
    let mut objects = ask.state.store.list(core.id, &ask.namespace, None).0;
    objects.retain(|o| selector.matches(o));
    let list: Vec<Value> = if pods {
        objects.iter().filter_map(|o| of_pod(o)).collect()
    } else {
        objects.iter().map(|o| of_node(&ask.state, o)).collect()
    };
    Ok(reply::json(
        200,
        &json!({"kind": ask.kind.list_kind(), "apiVersion": ask.kind.api_version(), "metadata": {}, "items": list}),
    ))
}

/// Figures of a running pod, by container, in nanocores and kibibytes as the kubelet measures them.
fn of_pod(object: &Object) -> Option<Value> {
    let pod = object.value();
    if text(&pod, "status.phase") != "Running" {
        return None;
    }
    let now = Timestamp::now();
    let mut containers = Vec::new();
    for (spec, status) in items(&pod, "spec.containers").iter().zip(items(&pod, "status.containerStatuses")) {
        if status["state"]["running"].is_object() {
            let seed = Rng::for_topic(1, &object.uid).next();
            let (cpu, memory) = apps::usage(spec, seed, now.as_second());
            containers.push(json!({"name": spec["name"], "usage":
                {"cpu": format!("{}n", cpu * 1_000_000), "memory": format!("{}Ki", memory / 1024)}}));
        }
    }
    let labels = pod["metadata"]["labels"].clone();
    Some(json!({
        "metadata": {"name": object.name.as_str(), "namespace": object.namespace.as_str(),
                     "creationTimestamp": stamp(now), "labels": labels},
        "timestamp": stamp(now), "window": "15.058s", "containers": containers,
    }))
}

fn of_node(state: &State, node: &Object) -> Value {
    let now = Timestamp::now();
    let (mut cpu, mut memory) = (180, 900 << 20);
    let pods = state.list("", "pods", "");
    // Of a very large fleet a sample stands for all.
    let stride = (pods.len() / 2_000).max(1);
    for object in pods.iter().step_by(stride) {
        let pod = object.value();
        if text(&pod, "spec.nodeName") != node.name || text(&pod, "status.phase") != "Running" {
            continue;
        }
        let seed = Rng::for_topic(1, &object.uid).next();
        for container in items(&pod, "spec.containers") {
            let (c, m) = apps::usage(container, seed, now.as_second());
            let times = i64::try_from(stride).unwrap_or(1);
            (cpu, memory) = (cpu + c * times, memory + m * times);
        }
    }
    json!({
        "metadata": {"name": node.name.as_str(), "creationTimestamp": stamp(now), "labels": node.value()["metadata"]["labels"]},
        "timestamp": stamp(now), "window": "20.031s",
        "usage": {"cpu": format!("{}n", cpu * 1_000_000), "memory": format!("{}Ki", memory / 1024)},
    })
}
