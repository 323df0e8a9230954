//! Get and list.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use bytes::Bytes;
use futures::stream;
use http::Response;
use serde_json::{Map, Value, json};

use super::failure::{Cause, Failure, Outcome};
use super::form::{self, Form, Shape};
use super::kinds::Kind;
use super::object::Object;
use super::proto;
use super::reply;
use super::route::Ask;
use super::select::Selector;
use super::store::Key;

/// Lists up to this many objects are sent in one piece with their length.
const AT_ONCE: usize = 500;

/// Objects encoded in one step of a long list, so that other requests get their turn.
const STEP: usize = 64;

pub(super) fn get(ask: &Ask) -> Outcome<Response<Body>> {
    let form = form::negotiate(ask, Shape::One)?;
    let object = ask
        .state
        .store
        .get(ask.kind.id, &ask.namespace, &ask.name)
        .ok_or_else(|| Failure::not_found(&ask.kind, &ask.name))?;
    Ok(one(200, form, &ask.kind, &object))
}

/// One object as a response.
pub(super) fn one(code: u16, form: Form, kind: &Kind, object: &Object) -> Response<Body> {
    let mut out = Vec::with_capacity(object.body.len() + 128);
    form::write_one(form, kind, object, &mut out);
    let content_type = if form == Form::Protobuf { reply::PROTOBUF } else { reply::JSON };
    reply::bytes(code, content_type, out)
}

pub(super) fn list(ask: &Ask) -> Outcome<Response<Body>> {
    let form = form::negotiate(ask, Shape::Many)?;
    if ask.query.get("sendInitialEvents").is_some() {
        let cause = Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        return Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
    }
    let mut selector =
        Selector::parse(&ask.kind, ask.query.text("labelSelector"), ask.query.text("fieldSelector"))?;
    let limit = ask.query.number("limit")?.filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok());
    let page = match ask.query.get("continue") {
        Some(token) => Some(Page::decode(token)?),
        None => None,
    };
    check_version(ask, page.is_some())?;
    if let Some(page) = &page {
        check_page(ask, page)?;
    }
    let (mut objects, now) =
        ask.state.store.list(ask.kind.id, &ask.namespace, page.as_ref().map(|p| &p.after));
    if !selector.is_everything() {
        let chosen = std::mem::take(&mut selector);
        objects.retain(|o| chosen.matches(o));
        selector = chosen;
    }
    let version = page.map_or(now, |p| p.version);
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), version.to_string().into());
    if let Some(limit) = limit.filter(|l| objects.len() > *l) {
        let remaining = objects.len() - limit;
        objects.truncate(limit);
        if let Some(last) = objects.last() {
            let page = Page { version, after: (last.namespace.clone(), last.name.clone()) };
            metadata.insert("continue".into(), page.encode().into());
            // With a selector the server does not know how many are left.
            if selector.is_everything() {
                metadata.insert("remainingItemCount".into(), remaining.into());
            }
        }
    }
    Ok(many(form, ask.kind.clone(), objects, &Value::Object(metadata)))
}

/// A list as a response.
fn many(form: Form, kind: Arc<Kind>, objects: Vec<Arc<Object>>, metadata: &Value) -> Response<Body> {
    if form == Form::Protobuf {
        return reply::bytes(200, reply::PROTOBUF, proto::list(&kind, &objects, metadata));
    }
    let (head, tail): (String, &[u8]) = match form {
        Form::Table(_) => {
            let head = form::table_head(metadata, &kind, true).to_string();
            (head.strip_suffix("]}").unwrap_or_default().to_owned(), b"]}\n")
        }
        Form::Metadata => (list_head("PartialObjectMetadataList", "meta.k8s.io/v1", metadata), b"]}\n"),
        Form::Json | Form::Protobuf => (list_head(&kind.list_kind(), &kind.api_version(), metadata), b"]}\n"),
    };
    if objects.len() <= AT_ONCE {
        let mut out =
            Vec::with_capacity(head.len() + objects.iter().map(|o| o.body.len() + 1).sum::<usize>());
        out.extend_from_slice(head.as_bytes());
        write_items(form, &kind, &objects, true, &mut out);
        out.extend_from_slice(tail);
        return reply::bytes(200, reply::JSON, out);
    }
    let steps = stream::unfold((0_usize, Some(head)), move |(done, head)| {
        let mut out = head.map(String::into_bytes).unwrap_or_default();
        let step = objects.get(done..objects.len().min(done + STEP)).unwrap_or_default();
        let next = if step.is_empty() && done > objects.len() {
            None
        } else if step.is_empty() {
            out.extend_from_slice(tail);
            Some((Ok::<_, Infallible>(Bytes::from(out)), (objects.len() + 1, None)))
        } else {
            write_items(form, &kind, step, done == 0, &mut out);
            Some((Ok(Bytes::from(out)), (done + step.len(), None)))
        };
        // A long list gives way between its steps.
        async move {
            tokio::task::yield_now().await;
            next
        }
    });
    reply::with_body(200, reply::JSON, Body::from_stream(steps))
}

fn write_items(form: Form, kind: &Kind, objects: &[Arc<Object>], first: bool, out: &mut Vec<u8>) {
    for (i, object) in objects.iter().enumerate() {
        if i > 0 || !first {
            out.push(b',');
        }
        form::write_item(form, kind, object, out);
    }
}

fn list_head(kind: &str, api_version: &str, metadata: &Value) -> String {
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
}

/// The rules of `resourceVersion` and `resourceVersionMatch` for lists
/// (kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions).
fn check_version(ask: &Ask, continued: bool) -> Outcome<()> {
    let (asked, rule) = (ask.query.text("resourceVersion"), ask.query.text("resourceVersionMatch"));
    let invalid = |cause| Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]));
    if !rule.is_empty() {
        let field = "resourceVersionMatch";
        if asked.is_empty() {
            let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return invalid(Cause::forbidden(field, text));
        }
        if continued {
            return invalid(Cause::forbidden(
                field,
                "resourceVersionMatch is forbidden when continue is provided",
            ));
        }
        if !matches!(rule, "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan", ""];
            return invalid(Cause::unsupported(field, &rule.into(), &supported));
        }
        if rule == "Exact" && asked == "0" {
            let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            return invalid(Cause::forbidden(field, text));
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    if continued && asked != "0" {
        return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
    }
    let version = parse_version(asked)?;
    let now = ask.state.store.version();
    if version > now {
        return Err(too_large(version, now));
    }
    if rule == "Exact" && version != now {
        return Err(Failure::expired(format!(
            "The resourceVersion for the provided list is too old: {version}"
        )));
    }
    Ok(())
}

pub(super) fn parse_version(text: &str) -> Outcome<u64> {
    text.parse()
        .map_err(|_| Failure::bad_request(format!("strconv.ParseUint: parsing \"{text}\": invalid syntax")))
}

/// A version that does not exist yet.
pub(super) fn too_large(version: u64, now: u64) -> Box<Failure> {
    Failure::new(504, "Timeout", format!("Timeout: Too large resource version: {version}, current: {now}"))
        .with(
            json!({"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
               "retryAfterSeconds": 1}),
        )
}

fn check_page(ask: &Ask, page: &Page) -> Outcome<()> {
    // The page's version can be continued from as long as its changes can be read again.
    match ask.state.store.since(ask.kind.id, page.version, 0) {
        super::store::Since::Gone(_) => Err(Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter.",
        )),
        super::store::Since::Changes(..) => Ok(()),
    }
}

/// Where a list goes on: what `continue` holds.
struct Page {
    version: u64,
    after: Key,
}

impl Page {
    fn encode(&self) -> String {
        let start = format!("{}/{}\0", self.after.0, self.after.1);
        let value = json!({"v": "meta.k8s.io/v1", "rv": self.version, "start": start});
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn decode(token: &str) -> Outcome<Self> {
        let bad = |why: &str| Failure::bad_request(format!("invalid continue token: {why}"));
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|e| bad(&format!("continue key is not valid: {e}")))?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|e| bad(&format!("continue key is not valid: {e}")))?;
        let start = value["start"].as_str().and_then(|s| s.strip_suffix('\0')).unwrap_or_default();
        let (namespace, name) = start.split_once('/').ok_or_else(|| bad("continue key is not valid"))?;
        let version = value["rv"].as_u64().ok_or_else(|| bad("incorrect encoded start resourceVersion"))?;
        Ok(Self { version, after: (namespace.into(), name.into()) })
    }
}
