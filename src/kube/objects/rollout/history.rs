//! The revisions of a workload's template.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::check;
use crate::base;
use crate::kube::objects::describe::part::{age_of, items, number, selector, text};
use crate::kube::objects::place::{List, Place};

pub const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";
pub const CAUSE: &str = "/metadata/annotations/kubernetes.io~1change-cause";

/// One revision as it is kept.
#[derive(Debug, Clone)]
pub struct Revision {
    pub number: i64,
    /// The ReplicaSet or ControllerRevision.
    pub name: String,
    /// The pod template, without what a controller adds to it.
    pub template: Value,
    pub cause: String,
    /// Pods of it, where its keeper counts them.
    pub pods: Option<i64>,
    pub current: bool,
    kept: Value,
}

/// One revision in a line.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevisionRow {
    pub revision: i64,
    /// The one that is rolled out, or being rolled out.
    pub current: bool,
    /// The ReplicaSet or ControllerRevision that keeps it.
    pub kept_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<i64>,
    pub images: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    pub age: String,
}

impl Revision {
    /// When what keeps it was made.
    pub fn made(&self) -> Option<Timestamp> {
        text(&self.kept, "/metadata/creationTimestamp").parse().ok()
    }

    /// Whether it was gone back to since: it then has a later number than it was made with.
    pub fn came_back(&self) -> bool {
        !text(&self.kept, "/metadata/annotations/deployment.kubernetes.io~1revision-history").is_empty()
    }

    /// Each container with its image.
    pub fn images(&self) -> Vec<(String, String)> {
        ["/spec/initContainers", "/spec/containers"]
            .iter()
            .flat_map(|list| items(&self.template, list))
            .map(|container| (text(container, "/name"), text(container, "/image")))
            .collect()
    }

    pub fn row(&self, now: Timestamp) -> RevisionRow {
        RevisionRow {
            revision: self.number,
            current: self.current,
            kept_by: self.name.clone(),
            pods: self.pods,
            images: self.images().into_iter().map(|(_, image)| image).collect(),
            cause: self.cause.clone(),
            age: age_of(&self.kept, "/metadata/creationTimestamp", now),
        }
    }
}

/// The revisions that are kept, oldest first.
pub async fn read(place: &Place, live: &Value) -> base::Result<Vec<Revision>> {
    check(place)?;
    let deployment = &*place.resource.plural == "deployments";
    let kind = if deployment { "replicasets.apps" } else { "controllerrevisions.apps" };
    let resource = place.cluster.resolve(kind).await?;
    let labels = selector(live.pointer("/spec/selector").unwrap_or(&Value::Null));
    let path = resource.path(place.namespace.as_deref(), None);
    let listed = List::new(&place.cluster, path).labels(labels).read().await?;
    let uid = text(live, "/metadata/uid");
    let own = |o: &Value| items(o, "/metadata/ownerReferences").iter().any(|r| text(r, "/uid") == uid);
    let mut all: Vec<Revision> = listed
        .items
        .into_iter()
        .filter(own)
        .map(|kept| if deployment { of_set(live, kept) } else { of_revision(live, kept) })
        .filter(|r| r.number > 0)
        .collect();
    all.sort_by_key(|r| r.number);
    if &*place.resource.plural == "daemonsets"
        && let Some(last) = all.last_mut()
    {
        last.current = true;
    }
    Ok(all)
}

fn of_set(live: &Value, set: Value) -> Revision {
    let mut template = set.pointer("/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    let number = text(&set, REVISION).parse().unwrap_or(0);
    Revision {
        number,
        name: text(&set, "/metadata/name"),
        template,
        cause: text(&set, CAUSE),
        pods: Some(self::number(&set, "/status/replicas")),
        current: text(live, REVISION) == number.to_string(),
        kept: set,
    }
}

fn of_revision(live: &Value, kept: Value) -> Revision {
    let mut template = kept.pointer("/data/spec/template").cloned().unwrap_or_default();
    if let Some(map) = template.as_object_mut() {
        // It is kept as a patch that replaces the template.
        map.remove("$patch");
    }
    let name = text(&kept, "/metadata/name");
    Revision {
        number: number(&kept, "/revision"),
        current: text(live, "/status/updateRevision") == name,
        name,
        template,
        cause: text(&kept, CAUSE),
        pods: None,
        kept,
    }
}

/// The revision asked for; without one, the one before the last.
pub fn choose(place: &Place, mut all: Vec<Revision>, wanted: Option<i64>) -> base::Result<Revision> {
    let numbers: Vec<String> = all.iter().map(|r| r.number.to_string()).collect();
    let Some(wanted) = wanted else {
        if all.len() < 2 {
            return Err(base::Error::not_found(format!("{} has no revision before this one", place.words()))
                .next("Only what was rolled out before, and is still kept, can be gone back to."));
        }
        return Ok(all.swap_remove(all.len() - 2));
    };
    match all.iter().position(|r| r.number == wanted) {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(base::Error::not_found(format!("{} has no revision {wanted}", place.words()))
            .next(format!("There are {}.", numbers.join(", ")))),
    }
}
