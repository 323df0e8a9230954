//! Which pods' logs to read: one pod, the pods of a workload, or those that a selector matches.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::base;
use crate::kube::objects::Place;
use crate::kube::objects::describe::part::{pairs, selector};
use crate::kube::{Cluster, Clusters, Resource};

/// The pods meant.
#[derive(Clone)]
pub struct Scope {
    pub cluster: Arc<Cluster>,
    pub namespace: String,
    pub filter: Filter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// One pod by name.
    Name(String),
    /// Every pod that a label selector matches, now and later.
    Labels(String),
}

/// Finds a scope, as often as it is asked: a cluster that does not answer now may do so later.
#[derive(Clone)]
pub struct Finder {
    find: Arc<dyn Fn() -> BoxFuture<'static, base::Result<Scope>> + Send + Sync>,
    /// What is looked for, for messages.
    pub words: String,
}

impl Finder {
    pub fn new<F>(words: String, find: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = base::Result<Scope>> + Send + 'static,
    {
        Self { words, find: Arc::new(move || Box::pin(find())) }
    }

    pub async fn find(&self) -> base::Result<Scope> {
        (self.find)().await
    }
}

/// The scopes that are found, and a sentence about each that is not. Fails if none is.
pub async fn find_all(finders: &[Finder]) -> base::Result<(Vec<Scope>, Vec<String>)> {
    let found = futures::future::join_all(finders.iter().map(Finder::find)).await;
    let (mut scopes, mut failures, mut first) = (Vec::new(), Vec::new(), None);
    for (scope, finder) in found.into_iter().zip(finders) {
        match scope {
            Ok(scope) => scopes.push(scope),
            Err(error) => {
                failures.push(format!("{}: {error}", finder.words));
                first.get_or_insert(error);
            }
        }
    }
    match first {
        Some(error) if scopes.is_empty() => Err(error),
        _ => Ok((scopes, failures)),
    }
}

impl Scope {
    /// `what` is a pod's name or `kind/name` of what keeps pods; `labels` a selector. One of them is wanted.
    pub async fn find(
        clusters: &Clusters,
        cluster: Option<&str>,
        namespace: Option<&str>,
        what: Option<&str>,
        labels: Option<&str>,
    ) -> base::Result<Self> {
        let cluster = clusters.get(cluster)?;
        let namespace = namespace.map_or_else(|| cluster.default_namespace(), str::to_owned);
        let filter = match (what, labels) {
            (None, None) => {
                return Err(base::Error::invalid("name a pod, a workload as kind/name, or a label selector"));
            }
            (Some(_), Some(_)) => {
                return Err(base::Error::invalid("give a name or a label selector, not both"));
            }
            (None, Some(labels)) => Filter::Labels(labels.to_owned()),
            (Some(what), None) => match what.split_once('/') {
                None => Filter::Name(what.to_owned()),
                Some((kind, name)) => Self::workload(&cluster, &namespace, kind, name).await?,
            },
        };
        Ok(Self { cluster, namespace, filter })
    }

    async fn workload(
        cluster: &Arc<Cluster>,
        namespace: &str,
        kind: &str,
        name: &str,
    ) -> base::Result<Filter> {
        let resource = cluster.resolve(kind).await?;
        if resource.is_pods() {
            return Ok(Filter::Name(name.to_owned()));
        }
        let place = Place::at(cluster.clone(), resource, Some(namespace), name);
        let object = place.get().await?;
        let found = object.pointer("/spec/selector").unwrap_or(&Value::Null);
        // Services and ReplicationControllers have a plain map of labels, the others a LabelSelector.
        let plain = found.as_object().is_some_and(|m| m.values().all(Value::is_string));
        let labels = if plain { pairs(found, "", "=").join(",") } else { selector(found) };
        if labels.is_empty() {
            return Err(base::Error::unsupported(format!("{} selects no pods", place.words()))
                .next("Name a pod, or what keeps pods: a deployment, statefulset, daemonset, replicaset, job or service."));
        }
        Ok(Filter::Labels(labels))
    }

    /// The list path of the pods.
    pub fn path(&self) -> String {
        Resource::pods().path(Some(&self.namespace), None)
    }

    pub fn words(&self) -> String {
        match &self.filter {
            Filter::Name(name) => format!("pod {name} in {} on {}", self.namespace, self.cluster.name()),
            Filter::Labels(labels) => {
                format!("pods with {labels} in {} on {}", self.namespace, self.cluster.name())
            }
        }
    }

    pub fn label_selector(&self) -> Option<&str> {
        if let Filter::Labels(labels) = &self.filter { Some(labels) } else { None }
    }

    pub fn field_selector(&self) -> Option<String> {
        if let Filter::Name(name) = &self.filter { Some(format!("metadata.name={name}")) } else { None }
    }
}
