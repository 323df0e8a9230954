//! The pod and the container that somebody means.

use std::sync::Arc;

use serde_json::Value;

use crate::base;
use crate::kube::logs::{Filter, Scope};
use crate::kube::objects::describe::part::{items, text};
use crate::kube::objects::{List, Place};
use crate::kube::{Cluster, Clusters, Resource};

/// What kubectl and we take where no container is named.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";

/// A pod as it was when it was looked at.
pub struct Pod {
    pub cluster: Arc<Cluster>,
    pub namespace: String,
    pub name: String,
    pub object: Value,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub running: bool,
    /// Why it does not run, in a word or two.
    pub state: String,
    pub image: String,
    pub stdin: bool,
    pub tty: bool,
}

impl Pod {
    /// `what` is a pod's name, or `kind/name` of what keeps pods: then its first pod that is ready is taken.
    pub async fn find(
        clusters: &Clusters,
        cluster: Option<&str>,
        namespace: Option<&str>,
        what: &str,
    ) -> base::Result<Self> {
        if what.is_empty() {
            return Err(base::Error::invalid("the pod's name is empty"));
        }
        let scope = Scope::find(clusters, cluster, namespace, Some(what), None).await?;
        Self::of(scope, what).await
    }

    async fn of(scope: Scope, what: &str) -> base::Result<Self> {
        let Scope { cluster, namespace, filter } = scope;
        match filter {
            Filter::Name(name) => {
                let place = Place::at(cluster.clone(), Resource::pods(), Some(&namespace), &name);
                let object = place.get().await?;
                Ok(Self { cluster, namespace, name, object })
            }
            Filter::Labels(labels) => {
                let path = Resource::pods().path(Some(&namespace), None);
                let listed = List::new(&cluster, path).labels(labels).most(1_000).read().await?;
                let mut pods = listed.items;
                pods.sort_by_key(|pod| (rank(pod), text(pod, "/metadata/name")));
                let Some(object) = pods.into_iter().next() else {
                    return Err(base::Error::not_found(format!("{what} has no pods in {namespace} now"))
                        .next("resource_describe tells why; scale it up, or name a pod."));
                };
                Ok(Self { cluster, namespace, name: text(&object, "/metadata/name"), object })
            }
        }
    }

    pub fn uid(&self) -> String {
        text(&self.object, "/metadata/uid")
    }

    /// The containers, the main ones first.
    pub fn containers(&self) -> Vec<Container> {
        let lists = [
            ("/spec/containers", "/status/containerStatuses"),
            ("/spec/initContainers", "/status/initContainerStatuses"),
            ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
        ];
        lists
            .iter()
            .flat_map(|(specs, statuses)| {
                items(&self.object, specs).iter().map(|spec| {
                    let name = text(spec, "/name");
                    let status = items(&self.object, statuses).iter().find(|s| text(s, "/name") == name);
                    container(spec, status.unwrap_or(&Value::Null))
                })
            })
            .collect()
    }

    /// The container of that name, or the one that is meant where none is named: the pod's own default, else the first.
    pub fn container(&self, name: Option<&str>) -> base::Result<Container> {
        let all = self.containers();
        let wanted = match name {
            Some(name) => name.to_owned(),
            None => {
                let default = self.object.pointer("/metadata/annotations").and_then(|a| a.get(DEFAULT));
                let default = default.and_then(Value::as_str).unwrap_or_default();
                match all.iter().find(|c| c.name == default).or(all.first()) {
                    Some(container) => container.name.clone(),
                    None => return Err(base::Error::not_found(format!("{} has no containers", self.name))),
                }
            }
        };
        let Some(found) = all.iter().find(|c| c.name == wanted) else {
            let names: Vec<_> = all.iter().map(|c| c.name.as_str()).collect();
            return Err(base::Error::not_found(format!("{} has no container {wanted:?}", self.name))
                .next(format!("It has {}.", names.join(", "))));
        };
        Ok(found.clone())
    }

    /// As [`Pod::container`], and it must run.
    pub fn running(&self, name: Option<&str>) -> base::Result<Container> {
        let found = self.container(name)?;
        if found.running {
            return Ok(found);
        }
        let others: Vec<_> = self.containers().into_iter().filter(|c| c.running).map(|c| c.name).collect();
        let what = format!("the container {} of {} does not run: {}", found.name, self.name, found.state);
        let error = base::Error::new(base::Code::Conflict, what);
        Err(if others.is_empty() {
            error.next("log_read with previous tells what it said last; container_debug looks at its files.")
        } else {
            error.next(format!("Running are {}.", others.join(", ")))
        })
    }
}

/// Ready pods first, then running ones; those that end last.
fn rank(pod: &Value) -> u8 {
    let ending = pod.pointer("/metadata/deletionTimestamp").is_some();
    let ready = items(pod, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
    match (ending, ready, text(pod, "/status/phase").as_str()) {
        (false, true, _) => 0,
        (false, false, "Running") => 1,
        (true, _, "Running") => 2,
        _ => 3,
    }
}

fn container(spec: &Value, status: &Value) -> Container {
    let waiting = text(status, "/state/waiting/reason");
    let ended = text(status, "/state/terminated/reason");
    let running = status.pointer("/state/running").is_some();
    let flag = |name: &str| spec.get(name).and_then(Value::as_bool).unwrap_or(false);
    let state = match (running, waiting.is_empty(), ended.is_empty()) {
        (true, ..) => "Running".to_owned(),
        (_, false, _) => waiting,
        (.., false) => ended,
        _ => "not started".to_owned(),
    };
    Container {
        name: text(spec, "/name"),
        running,
        state,
        image: text(spec, "/image"),
        stdin: flag("stdin"),
        tty: flag("tty"),
    }
}
