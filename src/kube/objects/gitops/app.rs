//! What an Application of Argo CD says: its history, what it has deployed, what of that is out of sync.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::argo::check;
use super::chain::{Chain, Link};
use crate::base;
use crate::kube::objects::describe::part::{items, number, text};
use crate::kube::objects::drift::{self, Difference};
use crate::kube::objects::place::Place;

/// More objects out of sync are not looked into.
const MOST: usize = 50;

/// One sync that can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Synced {
    pub id: i64,
    pub revision: String,
    /// RFC 3339.
    pub deployed_at: String,
    /// The repository and the path, or the chart, in it.
    pub source: String,
    pub by: String,
    /// The last one: what is deployed now.
    pub current: bool,
}

/// What was synced, oldest first.
pub async fn history(place: &Place) -> base::Result<Vec<Synced>> {
    check(place)?;
    let live = place.get().await?;
    let all = items(&live, "/status/history");
    let one = |(i, entry): (usize, &Value)| Synced {
        id: number(entry, "/id"),
        revision: revisions(entry),
        deployed_at: text(entry, "/deployedAt"),
        source: source(entry),
        by: match entry.pointer("/initiatedBy/automated") {
            Some(Value::Bool(true)) => "automated".to_owned(),
            _ => text(entry, "/initiatedBy/username"),
        },
        current: i + 1 == all.len(),
    };
    Ok(all.iter().enumerate().map(one).collect())
}

pub(super) fn revisions(entry: &Value) -> String {
    let several: Vec<&str> = items(entry, "/revisions").iter().filter_map(Value::as_str).collect();
    if several.is_empty() { text(entry, "/revision") } else { several.join(", ") }
}

/// Where the manifests come from: `spec` or an entry of the history.
fn source(of: &Value) -> String {
    let one = |s: &Value| {
        let path =
            [text(s, "/path"), text(s, "/chart")].into_iter().find(|p| !p.is_empty()).unwrap_or_default();
        format!("{} {path}", text(s, "/repoURL")).trim().to_owned()
    };
    match items(of, "/sources") {
        [] => of.get("source").map(one).unwrap_or_default(),
        several => several.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// The cluster that an application deploys to, if it is another than its own.
fn elsewhere(place: &Place, live: &Value) -> Option<String> {
    let (server, name) = (text(live, "/spec/destination/server"), text(live, "/spec/destination/name"));
    let own =
        server == place.cluster.server() || server.trim_end_matches('/') == "https://kubernetes.default.svc";
    match (server.is_empty(), name.as_str()) {
        (true, "" | "in-cluster") => None,
        (true, name) => Some(name.to_owned()),
        (false, _) => (!own).then_some(server),
    }
}

/// The application with what it has deployed.
pub fn chain(place: &Place, live: &Value) -> Chain {
    let status = |of: &Value, sync: &str| {
        let (sync, health) = (text(of, sync), text(of, "/health/status"));
        [sync, health].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let none = Value::Null;
    let own = live.get("status").unwrap_or(&none);
    let mut out = Chain { elsewhere: elsewhere(place, live), ..Chain::default() };
    let operation = text(own, "/operationState/message");
    let from = source(live.get("spec").unwrap_or(&none));
    out.links.push(Link {
        role: "this",
        kind: place.resource.full_name(),
        namespace: place.namespace.clone().unwrap_or_default(),
        name: place.name.clone(),
        state: status(own, "/sync/status"),
        revision: text(own, "/sync/revision"),
        message: if operation.is_empty() { from } else { format!("{from}: {operation}") },
    });
    let kinds = place.cluster.known_kinds();
    for resource in items(own, "/resources") {
        let (kind, group) = (text(resource, "/kind").to_lowercase(), text(resource, "/group"));
        let word = if group.is_empty() { kind } else { format!("{kind}.{group}") };
        let known = kinds.as_ref().and_then(|k| k.find(&word)).map(|r| r.full_name());
        let pruned = resource["requiresPruning"] == true;
        let health = text(resource, "/health/message");
        out.links.push(Link {
            role: "applied",
            kind: known.unwrap_or(word),
            namespace: text(resource, "/namespace"),
            name: text(resource, "/name"),
            state: status(resource, "/status"),
            revision: String::new(),
            message: if pruned { "no longer in Git".to_owned() } else { health },
        });
    }
    if let Some(where_) = &out.elsewhere {
        out.not_read
            .push(format!("what it deploys is on another cluster, {where_}: Enter cannot lead there"));
    }
    out
}

/// One object that is out of sync.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutOfSync {
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    /// How it differs from what was last applied, or why it is out of sync without.
    pub summary: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Difference>,
}

/// What of an application is out of sync.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AppDiff {
    pub summary: String,
    pub objects: Vec<OutOfSync>,
    pub notes: Vec<String>,
    /// All of it to be read, with the lines of the differences: `-` was applied, `+` is there.
    pub text: String,
}

/// Says of each object that is out of sync what of it is no longer as it was applied. What Git says now is rendered by Argo
/// CD's own server, which is not asked.
pub async fn diff(place: &Place) -> base::Result<AppDiff> {
    check(place)?;
    let live = place.get().await?;
    if let Some(there) = elsewhere(place, &live) {
        return Err(base::Error::unsupported(format!(
            "{} deploys to another cluster: {there}",
            place.words()
        ))
        .next("Ask for resource_diff of its objects there; argo_chain names them."));
    }
    let all = items(&live, "/status/resources");
    let differ: Vec<&Value> = all.iter().filter(|r| text(r, "/status") == "OutOfSync").collect();
    let mut notes = vec![
        "held against what was last applied: what Git says now is rendered by Argo CD's own server, which is not asked"
            .to_owned(),
    ];
    if differ.len() > MOST {
        notes.push(format!("{} more objects are out of sync", differ.len() - MOST));
    }
    let summary = format!(
        "{} of {} objects are out of sync ({})",
        differ.len(),
        all.len(),
        text(&live, "/status/sync/status")
    );
    let mut page = format!("# {}\n# {summary}\n# note: {}\n", place.words(), notes.join("; "));
    let mut objects = Vec::new();
    for resource in differ.into_iter().take(MOST) {
        let (object, lines) = out_of_sync(place, resource).await;
        page.push_str(&format!("\n@@ {} {}: {}\n", object.kind, object.name, object.summary));
        page.extend(lines);
        objects.push(object);
    }
    Ok(AppDiff { summary, objects, notes, text: page })
}

async fn out_of_sync(place: &Place, resource: &Value) -> (OutOfSync, Option<String>) {
    let (kind, group) = (text(resource, "/kind").to_lowercase(), text(resource, "/group"));
    let word = if group.is_empty() { kind } else { format!("{kind}.{group}") };
    let (namespace, name) = (text(resource, "/namespace"), text(resource, "/name"));
    let read = async {
        let found = place.cluster.resolve(&word).await?;
        let own = Some(namespace.as_str()).filter(|n| !n.is_empty());
        drift::read(&Place::at(place.cluster.clone(), found, own, &name), None).await
    };
    let (summary, fields, lines) = match read.await {
        Ok(found) => (found.summary, found.fields, Some(found.text)),
        Err(e) if e.code == base::Code::NotFound => ("it is not there".to_owned(), Vec::new(), None),
        Err(e) => (format!("not read: {}", e.message), Vec::new(), None),
    };
    let summary =
        if resource["requiresPruning"] == true { "it is no longer in Git".to_owned() } else { summary };
    (OutOfSync { kind: word, namespace, name, summary, fields }, lines)
}
