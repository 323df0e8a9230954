//! Where a forward leads now: from a pod, a service or a workload to a ready pod and a port of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ports::Remote;
use crate::base;
use crate::kube::exec::Pod;
use crate::kube::objects::Place;
use crate::kube::objects::describe::part::{items, number, text};
use crate::kube::{Cluster, Clusters};

/// What a forward is to: the words that were given, and what to fall back on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub cluster: String,
    pub namespace: String,
    /// A pod's name, or `kind/name`.
    pub what: String,
    pub remote: Remote,
    /// What keeps the pod that was named, as `kind/name`: its other pods are as good once it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<String>,
}

/// A pod and a port of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub pod: String,
    pub uid: String,
    pub port: u16,
}

impl Way {
    /// Finds the way to what is named, and what keeps it.
    pub async fn find(
        clusters: &Clusters,
        cluster: &str,
        namespace: &str,
        what: &str,
        remote: Remote,
    ) -> base::Result<(Self, Route)> {
        let mut way = Self {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            what: what.to_owned(),
            remote,
            keeper: None,
        };
        let cluster = clusters.get(Some(cluster))?;
        let pod = Pod::find(clusters, Some(&way.cluster), Some(namespace), what).await?;
        let route = way.to_pod(&cluster, &pod).await?;
        if !what.contains('/') {
            way.keeper = keeper(&cluster, namespace, &pod.object).await;
        }
        Ok((way, route))
    }

    /// The way as it is now. A pod that has ended gives way to its siblings.
    pub async fn resolve(&self, clusters: &Clusters) -> base::Result<Route> {
        let cluster = clusters.get(Some(&self.cluster))?;
        let find = |what: &str| {
            let what = what.to_owned();
            async move { Pod::find(clusters, Some(&self.cluster), Some(&self.namespace), &what).await }
        };
        let pod = match (find(&self.what).await, &self.keeper) {
            (Ok(pod), Some(keeper)) if !is_alive(&pod.object) => find(keeper).await?,
            (Err(error), Some(keeper)) if error.code == base::Code::NotFound => find(keeper).await?,
            (found, _) => found?,
        };
        if !is_alive(&pod.object) {
            return Err(base::Error::unavailable(format!("{} has no running pod now", self.what))
                .next("It goes on by itself once there is one."));
        }
        self.to_pod(&cluster, &pod).await
    }

    async fn to_pod(&self, cluster: &Arc<Cluster>, pod: &Pod) -> base::Result<Route> {
        let is_service = matches!(self.what.split_once('/'), Some((kind, _)) if is_service(kind));
        let port = match (&self.remote, is_service) {
            (remote, true) => {
                let name = self.what.split_once('/').map_or("", |(_, name)| name);
                let resource = cluster.resolve("services").await?;
                let service = Place::at(cluster.clone(), resource, Some(&self.namespace), name).get().await?;
                of_service(&service, remote, &pod.object)?
            }
            (Remote::Number(n), false) => *n,
            (Remote::Name(name), false) => named(&pod.object, name)?,
        };
        Ok(Route { pod: pod.name.clone(), uid: pod.uid(), port })
    }
}

fn is_service(kind: &str) -> bool {
    matches!(kind, "service" | "services" | "svc")
}

/// Running, and not on its way out.
fn is_alive(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Running" && pod.pointer("/metadata/deletionTimestamp").is_none()
}

/// The number of a pod's port of that name.
fn named(pod: &Value, name: &str) -> base::Result<u16> {
    let ports: Vec<&Value> = ["/spec/containers", "/spec/initContainers"]
        .iter()
        .flat_map(|list| items(pod, list))
        .flat_map(|c| items(c, "/ports"))
        .collect();
    let found = ports.iter().find(|p| text(p, "/name") == name);
    found.and_then(|p| u16::try_from(number(p, "/containerPort")).ok()).ok_or_else(|| {
        let names: Vec<String> = ports.iter().map(|p| text(p, "/name")).filter(|n| !n.is_empty()).collect();
        let error =
            base::Error::not_found(format!("{} has no port named {name:?}", text(pod, "/metadata/name")));
        match names.is_empty() {
            true => error.next("Its ports have no names: give a number."),
            false => error.next(format!("Its ports are named {}.", names.join(", "))),
        }
    })
}

/// Where a service's port leads in a pod.
fn of_service(service: &Value, remote: &Remote, pod: &Value) -> base::Result<u16> {
    let ports = items(service, "/spec/ports");
    let wanted = ports.iter().find(|p| match remote {
        Remote::Number(n) => number(p, "/port") == i64::from(*n),
        Remote::Name(name) => text(p, "/name") == *name,
    });
    let Some(wanted) = wanted else {
        let all: Vec<String> = ports.iter().map(|p| text(p, "/port")).collect();
        return Err(base::Error::not_found(format!(
            "the service {} has no port {remote}",
            text(service, "/metadata/name")
        ))
        .next(format!("It has {}.", all.join(", "))));
    };
    match wanted.get("targetPort") {
        Some(Value::String(name)) => named(pod, name),
        Some(n) => Ok(n.as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or_default()),
        None => Ok(u16::try_from(number(wanted, "/port")).unwrap_or_default()),
    }
}

/// What keeps the pod, the outermost first: a Deployment rather than its ReplicaSet, which the next rollout replaces.
async fn keeper(cluster: &Arc<Cluster>, namespace: &str, pod: &Value) -> Option<String> {
    let (kind, name) = controller(pod)?;
    if kind != "ReplicaSet" {
        // Only what selects pods by labels can be asked for its other pods.
        let selects = matches!(kind.as_str(), "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController");
        return selects.then(|| format!("{}/{name}", kind.to_lowercase()));
    }
    let resource = cluster.resolve("replicasets.apps").await.ok()?;
    let set = Place::at(cluster.clone(), resource, Some(namespace), &name).get().await.ok();
    match set.as_ref().and_then(controller) {
        Some((kind, name)) if kind == "Deployment" => Some(format!("deployment/{name}")),
        _ => Some(format!("replicaset/{name}")),
    }
}

fn controller(object: &Value) -> Option<(String, String)> {
    let owner = items(object, "/metadata/ownerReferences")
        .iter()
        .find(|o| o.get("controller") == Some(&Value::Bool(true)))?;
    Some((text(owner, "/kind"), text(owner, "/name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_services_port_leads_to_the_pods_port() {
        let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [
            {"name": "http", "port": 80, "targetPort": "web"}, {"name": "admin", "port": 81, "targetPort": 9000}, {"port": 82}
        ]}});
        let pod = json!({"metadata": {"name": "web-1"}, "spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}});
        let port = |remote: Remote| of_service(&service, &remote, &pod);
        assert_eq!(port(Remote::Number(80)).unwrap(), 8080);
        assert_eq!(port(Remote::Name("admin".into())).unwrap(), 9000);
        assert_eq!(port(Remote::Number(82)).unwrap(), 82);
        assert_eq!(port(Remote::Number(8080)).unwrap_err().next_step(), "It has 80, 81, 82.");
        assert_eq!(named(&pod, "metrics").unwrap_err().next_step(), "Its ports are named web.");
    }
}
