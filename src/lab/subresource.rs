//! Scale, logs, evictions, and the questions about rights.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::failure::{Failure, Outcome};
use super::kinds::Serves;
use super::object::{Object, at, number, text};
use super::patch::{self, Style};
use super::route::Ask;
use super::select::Selector;
use super::tables::selector_text;
use super::{controllers, logs, metrics, proto, reply, write};

pub(super) async fn request(ask: Ask, verb: &str, body: Incoming) -> Outcome<Response<Body>> {
    match (ask.kind.serves, ask.subresource.as_str(), verb) {
        (Serves::Figures, "", "get" | "list") => metrics::request(&ask, verb),
        (Serves::Review, "", "create") => review(&ask, &parse(&ask, body).await?),
        (Serves::Stored, "log", "get") => logs::request(&ask),
        (Serves::Stored, "scale", "get") => {
            let object = current(&ask)?;
            Ok(reply::json(200, &scale(&ask, &object)))
        }
        (Serves::Stored, "scale", "update" | "patch") => Box::pin(rescale(ask, verb, body)).await,
        (Serves::Stored, "eviction", "create") => evict(&ask, &parse(&ask, body).await?),
        _ => Err(Failure::method_not_allowed()),
    }
}

async fn parse(ask: &Ask, body: Incoming) -> Outcome<Value> {
    let bytes = write::body(body).await?;
    if ask.content_type.contains("protobuf") {
        return proto::decode(&bytes).ok_or_else(|| Failure::bad_request("couldn't decode the body"));
    }
    serde_json::from_slice(&bytes).map_err(|e| Failure::bad_request(format!("couldn't decode the body: {e}")))
}

fn current(ask: &Ask) -> Outcome<Arc<Object>> {
    let found = ask.state.store.get(ask.kind.id, &ask.namespace, &ask.name);
    found.ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))
}

/// An object's `Scale`.
fn scale(ask: &Ask, object: &Object) -> Value {
    let value = object.value();
    let meta = &value["metadata"];
    let mut status = json!({"replicas": number(&value, "status.replicas")});
    let selector = selector_text(at(&value, "spec.selector"));
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {"name": meta["name"], "namespace": ask.namespace.as_str(), "uid": meta["uid"],
                     "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"]},
        "spec": {"replicas": number(&value, "spec.replicas")}, "status": status,
    })
}

async fn rescale(ask: Ask, verb: &str, body: Incoming) -> Outcome<Response<Body>> {
    let style = if verb == "patch" { Some(Style::of(&ask.content_type, &ask.kind)?) } else { None };
    let given = parse(&ask, body).await?;
    let mut last = Failure::modified(&ask.kind, &ask.name);
    for _ in 0..5 {
        let old = current(&ask)?;
        let mut wanted = scale(&ask, &old);
        match style {
            Some(style) => patch::patch(style, &mut wanted, &given)?,
            None => wanted = given.clone(),
        }
        let Some(replicas) = at(&wanted, "spec.replicas").as_i64().or(style.is_none().then_some(0)) else {
            return Err(Failure::bad_request("couldn't decode the body: spec.replicas is not a number"));
        };
        let mut value = old.whole(&ask.kind);
        value["spec"]["replicas"] = replicas.into();
        let version = text(&wanted, "metadata.resourceVersion");
        if !version.is_empty() && version != old.version.to_string() {
            return Err(last);
        }
        match write::commit(&ask, &old, value, false) {
            Ok(object) => return Ok(reply::json(200, &scale(&ask, &object))),
            Err(failure) if failure.reason == "Conflict" => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

/// Deletes a pod, unless a disruption budget forbids it.
fn evict(ask: &Ask, eviction: &Value) -> Outcome<Response<Body>> {
    let pod = current(ask)?;
    for budget in ask.state.list("policy", "poddisruptionbudgets", &ask.namespace) {
        let value = budget.value();
        let guarded = Selector::of_object(&value["spec"]["selector"]).matches(&pod);
        if guarded && number(&value, "status.disruptionsAllowed") < 1 {
            let failure = Failure::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            );
            let why = format!(
                "The disruption budget {} needs {} healthy pods and has {} currently",
                budget.name,
                number(&value, "status.desiredHealthy"),
                number(&value, "status.currentHealthy")
            );
            return Err(failure.with(json!({"causes": [{"reason": "DisruptionBudget", "message": why}]})));
        }
    }
    let dry =
        ask.query.dry_run() || at(eviction, "deleteOptions.dryRun").as_array().is_some_and(|l| !l.is_empty());
    if !dry {
        let mut value = pod.value();
        let given = at(eviction, "deleteOptions.gracePeriodSeconds").as_i64();
        let grace = given.or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30);
        if value["metadata"].get("deletionTimestamp").is_none() {
            controllers::mark_deleted(&mut value, grace);
            ask.state
                .store
                .replace(ask.kind.id, pod.version, value)
                .map_err(|r| write::refusal(&ask.kind, &pod.name, r))?;
        }
    }
    Ok(reply::json(
        201,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

/// Who am I, may I, what may I.
fn review(ask: &Ask, question: &Value) -> Outcome<Response<Body>> {
    let mut answer = question.clone();
    answer["kind"] = ask.kind.kind.as_str().into();
    answer["apiVersion"] = ask.kind.api_version().into();
    if !answer["metadata"].is_object() {
        answer["metadata"] = json!({});
    }
    let user = ask.user;
    answer["status"] = match ask.kind.plural.as_str() {
        "selfsubjectreviews" => json!({"userInfo": {"username": user.name(), "groups": user.groups()}}),
        "selfsubjectrulesreviews" => {
            let verbs: &[&str] = match user {
                super::cluster::User::Admin => &["*"],
                _ => &["get", "list", "watch"],
            };
            json!({"resourceRules": [{"verbs": verbs, "apiGroups": ["*"], "resources": ["*"]}],
                   "nonResourceRules": [{"verbs": verbs, "nonResourceURLs": ["*"]}], "incomplete": false})
        }
        _ => {
            let asked = at(question, "spec.resourceAttributes");
            let allowed = if asked.is_object() {
                user.may(text(asked, "verb"), text(asked, "group"), text(asked, "resource"))
            } else {
                user != super::cluster::User::Anonymous
            };
            let mut status = json!({"allowed": allowed});
            if allowed {
                status["reason"] = "RBAC: allowed by ClusterRoleBinding of the practice fleet".into();
            }
            status
        }
    };
    Ok(reply::json(201, &answer))
}
