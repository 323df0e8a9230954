//! Create, update, patch.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::{Cause, Failure, Outcome};
use super::form::{self, Shape};
use super::kinds::Kind;
use super::object::{Object, items, stamp, text};
use super::patch::apply::{self, Writer};
use super::patch::{self, Style};
use super::route::Ask;
use super::store::Refused;
use super::{build, defaults, proto, read, reply, validate};

/// What a request's body may have: the real server's limit for one object is 3 MiB.
const LARGEST: usize = 3 << 20;

/// How often a patch is tried again when others write at the same time.
const TRIES: usize = 5;

pub(super) async fn body(incoming: Incoming) -> Outcome<Bytes> {
    Limited::new(incoming, LARGEST)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|e| Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: {e}")))
}

/// Reads an object of the kind; JSON, or YAML where the client says so.
pub(super) fn parse(bytes: &[u8], kind: &Kind, content_type: &str) -> Outcome<Value> {
    let unreadable = |e: String| {
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {e}",
            kind.kind
        ))
    };
    if content_type.contains("cbor") {
        let accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        return Err(Failure::unsupported_media_type(accepted));
    }
    let mut value: Value = if content_type.contains("protobuf") {
        proto::decode(bytes).ok_or_else(|| unreadable("the body is not an object in protobuf".into()))?
    } else if content_type.contains("yaml") {
        serde_yaml_ng::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?
    } else {
        serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?
    };
    let (named, version) = (text(&value, "kind").to_owned(), text(&value, "apiVersion").to_owned());
    if !value.is_object() || (named.is_empty() && kind.custom.is_some()) {
        return Err(unreadable("Object 'Kind' is missing".into()));
    }
    if !named.is_empty() && (named != kind.kind || version != kind.api_version()) {
        return Err(Failure::bad_request(format!(
            "{named} in version \"{version}\" cannot be handled as a {}: no kind \"{named}\" is registered for this resource",
            kind.kind
        )));
    }
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    Ok(value)
}

/// Who writes, by the request.
fn manager(ask: &Ask) -> String {
    match ask.query.get("fieldManager") {
        Some(manager) => manager.to_owned(),
        None => ask.user_agent.split('/').next().filter(|s| !s.is_empty()).unwrap_or("unknown").to_owned(),
    }
}

/// Handles fields that are not known, as `fieldValidation` asks; gives the warnings.
fn check_fields(ask: &Ask, value: &mut Value) -> Outcome<Vec<String>> {
    let unknown = validate::unknown_fields(&ask.kind, value);
    validate::drop_unknown(value, &unknown);
    let told: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match ask.query.text("fieldValidation") {
        "Ignore" => Ok(Vec::new()),
        "Strict" if !told.is_empty() => Err(Failure::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            ask.kind.kind,
            ask.kind.version,
            ask.kind.kind,
            told.join(", ")
        ))),
        "" | "Warn" | "Strict" => Ok(told),
        other => {
            let cause = Cause::unsupported("fieldValidation", &other.into(), &["Ignore", "Strict", "Warn"]);
            Err(Failure::invalid("meta.k8s.io", "CreateOptions", "", &[cause]))
        }
    }
}

pub(super) async fn create(ask: Ask, incoming: Incoming) -> Outcome<Response<Body>> {
    let form = form::negotiate(&ask, Shape::One)?;
    let mut value = parse(&body(incoming).await?, &ask.kind, &ask.content_type)?;
    let warnings = check_fields(&ask, &mut value)?;
    let object = create_object(&ask, value, None)?;
    let mut response = read::one(201, form, &ask.kind, &object);
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// Stores a new object; `managed` are its owners if they are known already.
fn create_object(ask: &Ask, mut value: Value, managed: Option<Value>) -> Outcome<Arc<Object>> {
    let kind = &ask.kind;
    let stem = text(&value, "metadata.generateName").to_owned();
    if text(&value, "metadata.name").is_empty() && !stem.is_empty() {
        value["metadata"]["name"] = format!("{stem}{}", ask.state.rng.lock().suffix(5)).into();
    }
    let name = text(&value, "metadata.name").to_owned();
    if name.is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        return Err(Failure::invalid(&kind.group, &kind.kind, "", &[cause]));
    }
    if !text(&value, "metadata.resourceVersion").is_empty() {
        return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
    }
    place(ask, &mut value)?;
    if let Some(meta) = value["metadata"].as_object_mut() {
        for key in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
            "resourceVersion",
        ] {
            meta.shift_remove(key);
        }
    }
    let uid = ask.state.uuid();
    if kind.subresources.iter().any(|s| s == "status")
        && kind.plural != "namespaces"
        && let Some(map) = value.as_object_mut()
    {
        map.shift_remove("status");
    }
    admit(ask, &mut value, &uid);
    if value.get("spec").is_some() && kind.plural != "namespaces" {
        value["metadata"]["generation"] = 1.into();
    }
    validate::object(kind, &value, None)?;
    let now = Timestamp::now();
    build::identity(&mut value, uid, now);
    match managed {
        Some(managed) => value["metadata"]["managedFields"] = managed,
        None => build::owners(kind, &mut value, &manager(ask), "", &stamp(now)),
    }
    if ask.query.dry_run() {
        if ask.state.store.get(kind.id, &ask.namespace, &name).is_some() {
            return Err(Failure::already_exists(kind, &name));
        }
        return Ok(Arc::new(Object::new(value, 0)));
    }
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
        ask.state.adopt_crd(&value);
    }
    ask.state.store.create(kind.id, value).map_err(|_| Failure::already_exists(kind, &name))
}

/// Puts the object in the namespace of the request, which must be there.
fn place(ask: &Ask, value: &mut Value) -> Outcome<()> {
    if !ask.kind.namespaced {
        return Ok(());
    }
    let given = text(value, "metadata.namespace").to_owned();
    if !given.is_empty() && given != ask.namespace {
        return Err(Failure::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given} != {})",
            ask.namespace
        )));
    }
    value["metadata"]["namespace"] = ask.namespace.as_str().into();
    let Some(namespaces) = ask.state.kind("", "namespaces") else { return Ok(()) };
    let Some(namespace) = ask.state.store.get(namespaces.id, "", &ask.namespace) else {
        return Err(Failure::not_found(&namespaces, &ask.namespace));
    };
    if namespace.value()["metadata"].get("deletionTimestamp").is_some() {
        let why = format!(
            "unable to create new content in namespace {} because it is being terminated",
            ask.namespace
        );
        return Err(Failure::forbidden(&ask.kind, text(value, "metadata.name"), &why));
    }
    Ok(())
}

/// Defaults and admission of a new object.
fn admit(ask: &Ask, value: &mut Value, uid: &str) {
    defaults::apply(&ask.kind, value);
    match (ask.kind.group.as_str(), ask.kind.plural.as_str()) {
        ("", "pods") => defaults::admit_pod(value, &mut ask.state.rng.lock()),
        ("", "services") => {
            let given = text(value, "spec.clusterIP").to_owned();
            if given.is_empty() && text(value, "spec.type") != "ExternalName" {
                let mut rng = ask.state.rng.lock();
                let address = format!("10.96.{}.{}", rng.between(1, 250), rng.between(2, 250));
                value["spec"]["clusterIP"] = address.as_str().into();
                value["spec"]["clusterIPs"] = json!([address]);
            }
            value["spec"]["ipFamilies"] = json!(["IPv4"]);
            value["spec"]["ipFamilyPolicy"] = "SingleStack".into();
            value["status"] = json!({"loadBalancer": {}});
        }
        ("batch", "jobs") => prepare_job(value, uid),
        ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets") | ("batch", "cronjobs") => {
            value["status"] = json!({});
        }
        ("apiextensions.k8s.io", _) => {
            let names = value["spec"]["names"].clone();
            value["status"] = json!({"acceptedNames": names, "storedVersions": [], "conditions": [
                {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": stamp(Timestamp::now())},
                {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": stamp(Timestamp::now())}]});
        }
        _ => {}
    }
}

/// Gives a job the labels and the selector that find its pods.
pub(super) fn prepare_job(job: &mut Value, uid: &str) {
    let name = text(job, "metadata.name").to_owned();
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", uid),
        ("job-name", &name),
    ] {
        labels[key] = value.into();
    }
    job["spec"]["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    if job["status"].is_null() {
        job["status"] = json!({});
    }
}

pub(super) async fn update(ask: Ask, incoming: Incoming) -> Outcome<Response<Body>> {
    let form = form::negotiate(&ask, Shape::One)?;
    let mut value = parse(&body(incoming).await?, &ask.kind, &ask.content_type)?;
    let warnings = check_fields(&ask, &mut value)?;
    let named = text(&value, "metadata.name");
    if named != ask.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            ask.name
        )));
    }
    let mut result = Err(Failure::modified(&ask.kind, &ask.name));
    for _ in 0..TRIES {
        let old = current(&ask)?;
        result = commit(&ask, &old, value.clone(), false);
        // Without a version the writer takes what is there, whatever it is.
        let blind = text(&value, "metadata.resourceVersion").is_empty();
        if !(blind && result.as_ref().is_err_and(|f| f.reason == "Conflict")) {
            break;
        }
    }
    let mut response = read::one(200, form, &ask.kind, result?.as_ref());
    reply::warn(&mut response, &warnings);
    Ok(response)
}

fn current(ask: &Ask) -> Outcome<Arc<Object>> {
    let found = ask.state.store.get(ask.kind.id, &ask.namespace, &ask.name);
    found.ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))
}

pub(super) async fn patch(ask: Ask, incoming: Incoming) -> Outcome<Response<Body>> {
    let form = form::negotiate(&ask, Shape::One)?;
    let style = Style::of(&ask.content_type, &ask.kind)?;
    let force = ask.query.flag("force");
    let invalid = |cause| Err(Failure::invalid("meta.k8s.io", "PatchOptions", "", &[cause]));
    if style == Style::Apply && ask.query.get("fieldManager").is_none() {
        return invalid(Cause::required("fieldManager", "is required for apply patch"));
    }
    if style != Style::Apply && force {
        return invalid(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    let bytes = body(incoming).await?;
    if style == Style::Apply {
        return apply_patch(&ask, &bytes, force, form);
    }
    let change: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Failure::bad_request(format!("error decoding patch: {e}")))?;
    let mut last = Failure::modified(&ask.kind, &ask.name);
    for _ in 0..TRIES {
        let old = current(&ask)?;
        let mut value = old.whole(&ask.kind);
        patch::patch(style, &mut value, &change)?;
        let warnings = check_fields(&ask, &mut value)?;
        // A patch that names a version means that version.
        let asked = change["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        if asked.is_some_and(|v| v != old.version.to_string()) {
            return Err(last);
        }
        match commit(&ask, &old, value, false) {
            Ok(object) => {
                let mut response = read::one(200, form, &ask.kind, &object);
                reply::warn(&mut response, &warnings);
                return Ok(response);
            }
            Err(failure) if failure.reason == "Conflict" => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

fn apply_patch(ask: &Ask, bytes: &[u8], force: bool, form: form::Form) -> Outcome<Response<Body>> {
    let mut applied = parse(bytes, &ask.kind, "application/yaml")?;
    if text(&applied, "kind").is_empty() {
        return Err(Failure::bad_request("error decoding YAML: Object 'Kind' is missing"));
    }
    if applied["metadata"].get("managedFields").is_some_and(|m| !m.is_null()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let warnings = check_fields(ask, &mut applied)?;
    let (time, manager) = (stamp(Timestamp::now()), manager(ask));
    let writer = Writer { manager: &manager, subresource: &ask.subresource, time: &time };
    let mut last = Failure::modified(&ask.kind, &ask.name);
    for _ in 0..TRIES {
        let (code, object) = match ask.state.store.get(ask.kind.id, &ask.namespace, &ask.name) {
            None if !ask.subresource.is_empty() => return Err(Failure::not_found(&ask.kind, &ask.name)),
            None => {
                let empty = json!({"metadata": {"name": ask.name.as_str()}});
                let made = apply::apply(&ask.kind, &empty, &applied, &writer, force)?;
                let managed = made["metadata"]["managedFields"].clone();
                (201, create_object(ask, made, Some(managed)))
            }
            Some(old) => {
                let live = old.whole(&ask.kind);
                let merged = apply::apply(&ask.kind, &live, &applied, &writer, force)?;
                (200, commit(ask, &old, merged, true))
            }
        };
        match object {
            Ok(object) => {
                let mut response = read::one(code, form, &ask.kind, &object);
                reply::warn(&mut response, &warnings);
                return Ok(response);
            }
            Err(failure) if failure.reason == "Conflict" => last = failure,
            Err(failure) => return Err(failure),
        }
    }
    Err(last)
}

/// Stores the new form of an object: what may not change is put back, what follows is worked out.
/// `owned` says that the field managers are written already.
pub(super) fn commit(ask: &Ask, old: &Arc<Object>, mut new: Value, owned: bool) -> Outcome<Arc<Object>> {
    let kind = &ask.kind;
    let before = old.whole(kind);
    let (asked, uid) = (text(&new, "metadata.resourceVersion"), text(&new, "metadata.uid"));
    if !asked.is_empty() && asked != "0" && asked != old.version.to_string() {
        return Err(Failure::modified(kind, &old.name));
    }
    if !uid.is_empty() && uid != old.uid {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid);
        return Err(Failure::conflict(kind, &old.name, &why));
    }
    keep_identity(&before, &mut new);
    let status_only = ask.subresource == "status";
    let has_status = kind.subresources.iter().any(|s| s == "status");
    if status_only {
        let mut kept = before.clone();
        kept["status"] = new["status"].clone();
        kept["metadata"]["managedFields"] = new["metadata"]["managedFields"].clone();
        new = kept;
    } else if has_status {
        match before.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => {
                if let Some(map) = new.as_object_mut() {
                    map.shift_remove("status");
                }
            }
        }
    }
    defaults::apply(kind, &mut new);
    if !status_only {
        validate::object(kind, &new, Some(&before))?;
        if spec_of(&before) != spec_of(&new) && before["metadata"]["generation"].is_i64() {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(1);
            new["metadata"]["generation"] = (generation + 1).into();
        }
    }
    if !owned {
        let (time, manager) = (stamp(Timestamp::now()), manager(ask));
        let writer = Writer { manager: &manager, subresource: &ask.subresource, time: &time };
        apply::own_changes(kind, &before, &mut new, &writer);
    }
    if new == before {
        return Ok(old.clone());
    }
    let leaving = new["metadata"].get("deletionTimestamp").is_some();
    if ask.query.dry_run() {
        return Ok(Arc::new(Object::new(new, old.version)));
    }
    if leaving
        && items(&new, "metadata.finalizers").is_empty()
        && !kind.is("", "pods")
        && !kind.is("", "namespaces")
    {
        // The last finalizer is gone, and so is the object.
        return removed(ask, old);
    }
    let stored = ask.state.store.replace(kind.id, old.version, new);
    let object = stored.map_err(|refused| refusal(kind, &old.name, refused))?;
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions") {
        ask.state.adopt_crd(&object.value());
    }
    Ok(object)
}

fn removed(ask: &Ask, old: &Object) -> Outcome<Arc<Object>> {
    let gone = ask.state.store.remove(ask.kind.id, &old.namespace, &old.name, Some(old.version));
    gone.map_err(|refused| refusal(&ask.kind, &old.name, refused))
}

pub(super) fn refusal(kind: &Kind, name: &str, refused: Refused) -> Box<Failure> {
    match refused {
        Refused::Modified => Failure::modified(kind, name),
        Refused::Exists => Failure::already_exists(kind, name),
        Refused::Missing => Failure::not_found(kind, name),
    }
}

/// What belongs to the server stays as it was, in its order.
fn keep_identity(before: &Value, new: &mut Value) {
    let (Some(old), Some(given)) = (before["metadata"].as_object(), new["metadata"].as_object()) else {
        return;
    };
    const OWN: &[&str] = &[
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    let mut meta = serde_json::Map::new();
    for key in OWN {
        if let Some(value) = old.get(*key) {
            meta.insert((*key).into(), value.clone());
        }
    }
    for (key, value) in given {
        let empty = value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        if !OWN.contains(&key.as_str()) && !value.is_null() && !empty {
            meta.insert(key.clone(), value.clone());
        }
    }
    if !meta.contains_key("managedFields")
        && let Some(managed) = old.get("managedFields")
    {
        meta.insert("managedFields".into(), managed.clone());
    }
    new["metadata"] = Value::Object(meta);
}

/// All of an object that is neither metadata nor status.
fn spec_of(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(map) = copy.as_object_mut() {
        map.shift_remove("metadata");
        map.shift_remove("status");
    }
    copy
}
