//! Where an object is, and reading it.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::describe::part::text;
use super::drift::NOTED;
use super::plan::comparable;
use crate::base::{self, Revision};
use crate::kube::call::METADATA_LIST;
use crate::kube::{Call, Cluster, Clusters, Error, Resource};

const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";

/// One object's address in one cluster. The object need not be there.
#[derive(Clone)]
pub struct Place {
    pub cluster: Arc<Cluster>,
    pub resource: Resource,
    /// Absent for what has no namespace.
    pub namespace: Option<String>,
    pub name: String,
}

/// The state of an object that a preview was computed on, or that a change must meet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    pub uid: String,
    pub revision: String,
}

impl Seen {
    pub fn of(object: &Value) -> Self {
        Self { uid: text(object, "/metadata/uid"), revision: text(object, "/metadata/resourceVersion") }
    }

    /// As [`Seen::of`], for what is the same however its status changes: a change of such an object is previewed and
    /// decided about while its controller writes its status every second. What has no status of its own, such as a
    /// Secret, is told by its resourceVersion alone.
    pub fn settled(object: &Value, resource: &Resource) -> Self {
        let Self { uid, revision } = Self::of(object);
        if !resource.subresources.iter().any(|s| &**s == "status") {
            return Self { uid, revision };
        }
        let content = content(object, resource);
        Self { uid, revision: Revision { version: &revision, content: &content }.to_string() }
    }
}

/// The hash of an object without its status and what the server counts, and what a rollout counts.
fn content(object: &Value, resource: &Resource) -> String {
    let mut object = object.clone();
    comparable(&mut object, resource);
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !NOTED.contains(&name.as_str()));
    }
    hex::encode(&Sha256::digest(object.to_string())[..16])
}

impl Place {
    /// Finds the cluster, what `kind` means there, and the namespace: the one given, or the context's own.
    pub async fn find(
        clusters: &Clusters,
        cluster: Option<&str>,
        namespace: Option<&str>,
        kind: &str,
        name: &str,
    ) -> base::Result<Self> {
        if name.is_empty() {
            return Err(base::Error::invalid("the object's name is empty"));
        }
        let cluster = clusters.get(cluster)?;
        let resource = cluster.resolve(kind).await?;
        Ok(Self::at(cluster, resource, namespace, name))
    }

    pub fn at(cluster: Arc<Cluster>, resource: Resource, namespace: Option<&str>, name: &str) -> Self {
        let namespace =
            resource.namespaced.then(|| namespace.map_or_else(|| cluster.default_namespace(), str::to_owned));
        Self { cluster, resource, namespace, name: name.to_owned() }
    }

    pub fn path(&self) -> String {
        self.resource.path(self.namespace.as_deref(), Some(&self.name))
    }

    /// The path of a subresource, such as `scale`.
    pub fn sub(&self, subresource: &str) -> String {
        format!("{}/{subresource}", self.path())
    }

    pub async fn get(&self) -> Result<Value, Error> {
        self.cluster.json(Call::get(self.path())).await
    }

    /// As [`Place::get`]; `None` if it is not there.
    pub async fn find_live(&self) -> Result<Option<Value>, Error> {
        match self.get().await {
            Ok(object) => Ok(Some(object)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Whether it is there. No more of it than its metadata is asked for.
    pub async fn exists(&self) -> Result<bool, Error> {
        let call = Call::get(self.path()).accept(METADATA);
        match self.cluster.json(call).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// `deployment web in shop on prod`, for sentences.
    pub fn words(&self) -> String {
        let namespace = self.namespace.as_ref().map(|n| format!(" in {n}")).unwrap_or_default();
        format!("{} {}{namespace} on {}", self.resource.singular, self.name, self.cluster.name())
    }

    fn is_revision(&self, live: &Value, now: &Seen, seen: &str) -> bool {
        let revision = Revision::of(seen);
        seen.is_empty()
            || revision.version == now.revision
            || (!revision.content.is_empty() && revision.content == content(live, &self.resource))
    }

    /// Fails if the object is not the one, or not in the state, that was seen.
    pub fn expect(&self, live: &Value, seen: Option<&Seen>) -> base::Result<()> {
        let Some(seen) = seen else { return Ok(()) };
        let now = Seen::of(live);
        let what = if !seen.uid.is_empty() && seen.uid != now.uid {
            "was deleted and made anew"
        } else if !self.is_revision(live, &now, &seen.revision) {
            "changed"
        } else {
            return Ok(());
        };
        Err(base::Error::new(
            base::Code::Conflict,
            format!("{} {what} since it was looked at: nothing was done", self.words()),
        )
        .next("Preview the change again on what is there now.")
        .details(serde_json::json!({
            "expected": {"identity": seen.uid, "revision": seen.revision},
            "found": {"identity": now.uid, "revision": now.revision},
        })))
    }
}

/// Pages of a list are no larger than this, so that a big namespace does not come in one piece.
const PAGE: usize = 500;

/// What a list gave.
#[derive(Debug, Default)]
pub struct Listed {
    pub items: Vec<Value>,
    /// There were more than were asked for.
    pub more: bool,
}

/// Lists objects, `most` at most.
pub struct List<'a> {
    pub cluster: &'a Cluster,
    pub path: String,
    pub labels: Option<String>,
    pub fields: Option<String>,
    /// Only `metadata` of each.
    pub metadata: bool,
    pub most: usize,
}

impl<'a> List<'a> {
    pub fn new(cluster: &'a Cluster, path: impl Into<String>) -> Self {
        Self { cluster, path: path.into(), labels: None, fields: None, metadata: false, most: 5_000 }
    }

    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.fields = Some(selector.into());
        self
    }

    #[must_use]
    pub fn metadata(mut self) -> Self {
        self.metadata = true;
        self
    }

    #[must_use]
    pub fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    pub async fn read(self) -> Result<Listed, Error> {
        let mut out = Listed::default();
        self.each(|item| out.items.push(item)).await.map(|more| out.more = more)?;
        Ok(out)
    }

    /// Gives each object to `take`, page by page; true if there were more than `most`.
    pub async fn each(&self, mut take: impl FnMut(Value)) -> Result<bool, Error> {
        let mut cursor: Option<String> = None;
        let mut seen = 0;
        loop {
            let page = PAGE.min(self.most.saturating_sub(seen)).max(1);
            let mut call = Call::get(&self.path)
                .query("limit", page.to_string())
                .query_if("labelSelector", self.labels.as_deref())
                .query_if("fieldSelector", self.fields.as_deref())
                .query_if("continue", cursor.as_deref());
            if self.metadata {
                call = call.accept(METADATA_LIST);
            }
            let mut list = self.cluster.json(call).await?;
            cursor = Some(text(&list, "/metadata/continue")).filter(|c| !c.is_empty());
            if let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) {
                seen += items.len();
                items.into_iter().for_each(&mut take);
            }
            if cursor.is_none() || seen >= self.most {
                return Ok(cursor.is_some());
            }
        }
    }

    /// How many there are, read from one item and the server's count of the rest.
    pub async fn count(self) -> Result<u64, Error> {
        let call = Call::get(&self.path)
            .query("limit", "1")
            .query_if("labelSelector", self.labels.as_deref())
            .query_if("fieldSelector", self.fields.as_deref())
            .accept(METADATA_LIST);
        let list = self.cluster.json(call).await?;
        let rest = list.pointer("/metadata/remainingItemCount").and_then(Value::as_u64).unwrap_or(0);
        Ok(list.get("items").and_then(Value::as_array).map_or(0, Vec::len) as u64 + rest)
    }
}
