//! Delete: at once, with grace, held by finalizers, before or after its dependents or without them.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::controllers::garbage;
use super::failure::{Failure, Outcome, details};
use super::form::{self, Form, Shape};
use super::kinds::Kind;
use super::object::{Object, items, stamp, text};
use super::route::Ask;
use super::select::Selector;
use super::{controllers, proto, read, reply, write};

/// How an object is to be deleted.
#[derive(Debug, Default, Clone)]
struct Wish {
    grace: Option<i64>,
    orphan: bool,
    foreground: bool,
    uid: Option<String>,
    version: Option<String>,
    dry_run: bool,
}

impl Wish {
    async fn read(ask: &Ask, incoming: Incoming) -> Outcome<Self> {
        let bytes = write::body(incoming).await?;
        let options: Value = if bytes.is_empty() {
            json!({})
        } else if ask.content_type.contains("protobuf") {
            proto::decode(&bytes).ok_or_else(|| Failure::bad_request("the options are not readable"))?
        } else if ask.content_type.contains("yaml") {
            serde_yaml_ng::from_slice(&bytes).map_err(|e| Failure::bad_request(e.to_string()))?
        } else {
            serde_json::from_slice(&bytes).map_err(|e| Failure::bad_request(e.to_string()))?
        };
        let policy = match options["propagationPolicy"].as_str() {
            Some(policy) => policy.to_owned(),
            None => ask.query.text("propagationPolicy").to_owned(),
        };
        let listed = items(&options, "dryRun").iter().any(|v| v == "All");
        let own = |key: &str| options["preconditions"][key].as_str().map(str::to_owned);
        Ok(Self {
            grace: options["gracePeriodSeconds"].as_i64().or(ask.query.number("gracePeriodSeconds")?),
            orphan: policy == "Orphan" || options["orphanDependents"].as_bool() == Some(true),
            foreground: policy == "Foreground",
            uid: own("uid"),
            version: own("resourceVersion"),
            dry_run: listed || ask.query.dry_run(),
        })
    }
}

/// Kinds whose delete answers with the object rather than with a `Status`.
fn answers_object(kind: &Kind) -> bool {
    kind.group.is_empty()
        && matches!(
            kind.plural.as_str(),
            "pods"
                | "services"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "serviceaccounts"
                | "resourcequotas"
                | "podtemplates"
        )
}

pub(super) async fn one(ask: Ask, incoming: Incoming) -> Outcome<Response<Body>> {
    let form = form::negotiate(&ask, Shape::One)?;
    let wish = Wish::read(&ask, incoming).await?;
    // Somebody else may write in between: the delete means whatever is there then.
    for _ in 0..5 {
        let found = ask.state.store.get(ask.kind.id, &ask.namespace, &ask.name);
        let object = found.ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))?;
        match delete(&ask, &object, &wish) {
            Err(failure) if failure.reason == "Conflict" && wish.version.is_none() && wish.uid.is_none() => {}
            Err(failure) => return Err(failure),
            Ok(done) => return Ok(answer(&ask, form, &object, done)),
        }
    }
    Err(Failure::modified(&ask.kind, &ask.name))
}

fn answer(ask: &Ask, form: Form, object: &Object, done: Done) -> Response<Body> {
    match done {
        Done::Held(held) => read::one(200, form, &ask.kind, &held),
        Done::Gone if answers_object(&ask.kind) => read::one(200, form, &ask.kind, object),
        Done::Gone => {
            let mut details = details(&ask.kind, &ask.name);
            details["uid"] = object.uid.as_str().into();
            reply::json(
                200,
                &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
            )
        }
    }
}

/// What a delete came to.
enum Done {
    Gone,
    /// Still there, marked.
    Held(Arc<Object>),
}

fn delete(ask: &Ask, object: &Arc<Object>, wish: &Wish) -> Outcome<Done> {
    let kind = &ask.kind;
    for (what, wanted, is) in [
        ("UID", &wish.uid, object.uid.to_string()),
        ("ResourceVersion", &wish.version, object.version.to_string()),
    ] {
        if let Some(wanted) = wanted.as_ref().filter(|w| **w != is) {
            let why =
                format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {is}");
            return Err(Failure::conflict(kind, &object.name, &why));
        }
    }
    if kind.is("", "namespaces") {
        return namespace(ask, object, wish);
    }
    let mut value = object.value();
    let marked = value["metadata"].get("deletionTimestamp").is_some();
    let ended = matches!(text(&value, "status.phase"), "Succeeded" | "Failed");
    let on_node = kind.is("", "pods") && !text(&value, "spec.nodeName").is_empty() && !ended;
    let grace = if on_node {
        wish.grace.or_else(|| value["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30)
    } else {
        0
    };
    if wish.foreground && !garbage::dependents(kind).is_empty() {
        garbage::hold(&mut value);
    }
    let held = !items(&value, "metadata.finalizers").is_empty();
    let sooner =
        marked && value["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|g| grace < g);
    if (grace > 0 || held) && marked && !sooner {
        return Ok(Done::Held(object.clone()));
    }
    if grace > 0 || held {
        controllers::mark_deleted(&mut value, grace);
        if wish.dry_run {
            return Ok(Done::Held(Arc::new(Object::new(value, object.version))));
        }
        let stored = ask.state.store.replace(kind.id, object.version, value);
        return stored.map(Done::Held).map_err(|r| write::refusal(kind, &object.name, r));
    }
    if wish.dry_run {
        return Ok(Done::Gone);
    }
    if wish.orphan {
        orphan(ask, object);
    }
    let gone = ask.state.store.remove(kind.id, &object.namespace, &object.name, Some(object.version));
    gone.map(|_| Done::Gone).map_err(|r| write::refusal(kind, &object.name, r))
}

/// A namespace goes once its contents have.
fn namespace(ask: &Ask, object: &Arc<Object>, wish: &Wish) -> Outcome<Done> {
    if matches!(object.name.as_str(), "default" | "kube-system" | "kube-public") {
        return Err(Failure::forbidden(&ask.kind, &object.name, "this namespace may not be deleted"));
    }
    let mut value = object.value();
    if value["metadata"].get("deletionTimestamp").is_none() {
        value["metadata"]["deletionTimestamp"] = stamp(jiff::Timestamp::now()).into();
        value["status"]["phase"] = "Terminating".into();
        if wish.dry_run {
            return Ok(Done::Held(Arc::new(Object::new(value, object.version))));
        }
        let stored = ask.state.store.replace(ask.kind.id, object.version, value);
        return stored.map(Done::Held).map_err(|r| write::refusal(&ask.kind, &object.name, r));
    }
    Ok(Done::Held(object.clone()))
}

/// Leaves what the object owned without an owner.
fn orphan(ask: &Ask, object: &Object) {
    for (group, plural) in [("apps", "replicasets"), ("", "pods"), ("batch", "jobs")] {
        let Some(kind) = ask.state.kind(group, plural) else { continue };
        for dependent in ask.state.store.list(kind.id, &object.namespace, None).0 {
            if dependent.owner.as_ref().is_some_and(|o| o.uid == object.uid) {
                let mut value = dependent.value();
                if let Some(meta) = value["metadata"].as_object_mut() {
                    meta.shift_remove("ownerReferences");
                }
                let _ = ask.state.store.replace(kind.id, dependent.version, value);
            }
        }
    }
}

pub(super) async fn collection(ask: Ask, incoming: Incoming) -> Outcome<Response<Body>> {
    let selector =
        Selector::parse(&ask.kind, ask.query.text("labelSelector"), ask.query.text("fieldSelector"))?;
    let wish = Wish::read(&ask, incoming).await?;
    let (mut objects, version) = ask.state.store.list(ask.kind.id, &ask.namespace, None);
    objects.retain(|o| selector.matches(o));
    for object in &objects {
        // What somebody else has deleted or changed meanwhile is not an error of the collection's.
        let _ = delete(&ask, object, &wish);
    }
    let list: Vec<Value> = objects.iter().map(|o| o.value()).collect();
    let answer = json!({
        "kind": ask.kind.list_kind(), "apiVersion": ask.kind.api_version(),
        "metadata": {"resourceVersion": version.to_string()}, "items": list,
    });
    Ok(reply::json(200, &answer))
}
