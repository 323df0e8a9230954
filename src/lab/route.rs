//! From a request's path to what it asks for.

use std::sync::Arc;

use axum::body::Body;
use compact_str::CompactString;
use http::{Method, Request, Response, header};
use hyper::body::Incoming;
use serde_json::{Map, json};

use super::cluster::{State, User};
use super::failure::{Failure, Outcome, details};
use super::kinds::{Kind, Serves};
use super::{delete, discovery, openapi, read, reply, subresource, watch, write};

/// A request for a resource.
pub(super) struct Ask {
    pub state: Arc<State>,
    pub user: User,
    pub kind: Arc<Kind>,
    /// Empty for cluster-scoped resources and for all namespaces.
    pub namespace: CompactString,
    /// Empty for collections.
    pub name: CompactString,
    pub subresource: CompactString,
    pub query: Query,
    /// The `Accept` header.
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
}

/// The parameters of a request.
#[derive(Debug, Default, Clone)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(raw: &str) -> Self {
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| matches!(v, "1" | "true" | "True" | "TRUE" | "t" | "T"))
    }

    /// A whole number; anything else is a bad request.
    pub fn number(&self, key: &str) -> Outcome<Option<i64>> {
        self.get(key)
            .map(|v| {
                v.parse::<i64>().map_err(|_| {
                    Failure::bad_request(format!("strconv.ParseInt: parsing \"{v}\": invalid syntax"))
                })
            })
            .transpose()
    }

    /// Whether nothing must be kept (`dryRun=All`).
    pub fn dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }
}

/// Answers one request.
pub(super) async fn dispatch(
    state: &Arc<State>,
    user: User,
    request: Request<Incoming>,
) -> Outcome<Response<Body>> {
    let path = request.uri().path().to_owned();
    let parts: Vec<String> = path
        .split('/')
        .filter(|p| !p.is_empty())
        .map(|p| {
            url::form_urlencoded::parse(format!("p={}", p.replace('+', "%2B")).as_bytes())
                .next()
                .map_or_else(String::new, |(_, v)| v.into_owned())
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = request.method().clone();
    // What anybody may ask, as the role system:public-info-viewer has it.
    match parts.as_slice() {
        ["version"] => return Ok(reply::json(200, &discovery::version())),
        ["readyz" | "livez" | "healthz", ..] => return Ok(reply::text(200, "ok")),
        _ => {}
    }
    let resource = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => Some(("", *version, rest)),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => Some((*group, *version, rest)),
        _ => None,
    };
    let Some((group, version, rest)) = resource else {
        if user == User::Anonymous {
            return Err(no_path(user, &method, &path));
        }
        let accept = header_text(&request, header::ACCEPT);
        return Ok(match parts.as_slice() {
            ["api"] => discovery::core(state, &accept),
            ["apis"] => discovery::groups(state, &accept),
            ["api", version] => discovery::resources(state, "", version),
            ["apis", group] => discovery::group(state, group),
            ["apis", group, version] => discovery::resources(state, group, version),
            ["openapi", "v3", rest @ ..] => openapi::v3(state, rest),
            _ => reply::page_not_found(),
        });
    };
    let Some(target) = locate(state, group, version, rest) else {
        let known = state.kinds.read().iter().any(|k| k.group == group && k.version == version);
        return if known { Err(Failure::no_resource()) } else { Ok(reply::page_not_found()) };
    };
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let ask = Ask {
        state: state.clone(),
        user,
        kind: target.kind,
        namespace: target.namespace,
        name: target.name,
        subresource: target.subresource,
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
    };
    Box::pin(resource_request(ask, &method, body)).await
}

fn header_text(request: &Request<Incoming>, name: header::HeaderName) -> String {
    request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

struct Target {
    kind: Arc<Kind>,
    namespace: CompactString,
    name: CompactString,
    subresource: CompactString,
}

/// `pods`, `pods/a`, `namespaces/x/pods`, `namespaces/x/pods/a/log`, `namespaces/x/status`.
fn locate(state: &State, group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let kinds = state.kinds.read();
    if let ["namespaces", namespace, plural, tail @ ..] = rest {
        // `namespaces/x/status` is a subresource of the namespace; `namespaces/x/pods` is a collection.
        if let Some(kind) = kinds.find(group, version, plural).filter(|k| k.namespaced) {
            let (name, subresource) = match tail {
                [] => ("", ""),
                [name] => (*name, ""),
                [name, sub] => (*name, *sub),
                _ => return None,
            };
            return Some(Target {
                kind: kind.clone(),
                namespace: (*namespace).into(),
                name: name.into(),
                subresource: subresource.into(),
            });
        }
    }
    let (plural, name, subresource) = match rest {
        [plural] => (plural, "", ""),
        [plural, name] => (plural, *name, ""),
        [plural, name, sub] => (plural, *name, *sub),
        _ => return None,
    };
    let kind = kinds.find(group, version, plural)?;
    // A namespaced object has no address without its namespace.
    if kind.namespaced && !name.is_empty() {
        return None;
    }
    Some(Target {
        kind: kind.clone(),
        namespace: CompactString::default(),
        name: name.into(),
        subresource: subresource.into(),
    })
}

async fn resource_request(ask: Ask, method: &Method, body: Incoming) -> Outcome<Response<Body>> {
    let watching = ask.query.flag("watch");
    let collection = ask.name.is_empty();
    let verb = match *method {
        Method::GET | Method::HEAD if watching => "watch",
        Method::GET | Method::HEAD if collection => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => return Err(Failure::method_not_allowed()),
    };
    allow(&ask, verb)?;
    if matches!(ask.subresource.as_str(), "exec" | "attach" | "portforward" | "ephemeralcontainers") {
        return Err(Failure::no_process(&ask.subresource));
    }
    if !ask.subresource.is_empty() && !ask.kind.subresources.contains(&ask.subresource) {
        return Err(Failure::no_resource());
    }
    if ask.kind.serves != Serves::Stored || !matches!(ask.subresource.as_str(), "" | "status" | "finalize") {
        return Box::pin(subresource::request(ask, verb, body)).await;
    }
    match verb {
        "watch" => watch::request(ask),
        "list" => read::list(&ask),
        "get" => read::get(&ask),
        "create" if collection => Box::pin(write::create(ask, body)).await,
        "update" if !collection => Box::pin(write::update(ask, body)).await,
        "patch" if !collection => Box::pin(write::patch(ask, body)).await,
        "delete" => Box::pin(delete::one(ask, body)).await,
        "deletecollection" => Box::pin(delete::collection(ask, body)).await,
        _ => Err(Failure::method_not_allowed()),
    }
}

/// Whether this user may do this; the sentence is the one that clients show.
fn allow(ask: &Ask, verb: &str) -> Outcome<()> {
    use super::cluster::Faults;
    let rejected = verb == "watch" && Faults::is(&ask.state.faults.no_watch);
    if ask.user.may(verb, &ask.kind.group, &ask.kind.plural) && !rejected {
        return Ok(());
    }
    let resource = if ask.subresource.is_empty() {
        ask.kind.plural.to_string()
    } else {
        format!("{}/{}", ask.kind.plural, ask.subresource)
    };
    let scope = if ask.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", ask.namespace)
    };
    let subject = if ask.name.is_empty() {
        ask.kind.resource()
    } else {
        format!("{} \"{}\"", ask.kind.resource(), ask.name)
    };
    let message = format!(
        "{subject} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
        ask.user.name(),
        ask.kind.group
    );
    Err(Failure::new(403, "Forbidden", message).with(details(&ask.kind, &ask.name)))
}

fn no_path(user: User, method: &Method, path: &str) -> Box<Failure> {
    let verb = method.as_str().to_lowercase();
    let message = format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name());
    Failure::new(403, "Forbidden", message).with(json!(Map::new()))
}
