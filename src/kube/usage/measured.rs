//! Pods' containers with what they ask for and what they take, by the workload that keeps them.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use super::{Amount, Figures, Named, Shares};
use crate::base;
use crate::kube::objects::describe::part::{items, text};
use crate::kube::objects::place::List;
use crate::kube::{Cluster, Resource};

/// One container of a pod.
#[derive(Debug, Clone)]
pub struct Container {
    pub namespace: CompactString,
    pub pod: CompactString,
    /// What keeps the pod: `deployment/web`; a pod that nothing keeps keeps itself.
    pub owner: CompactString,
    pub node: CompactString,
    pub name: CompactString,
    pub shares: Shares,
    /// What it takes now, if that is known.
    pub now: Option<Amount>,
}

/// Whose containers.
#[derive(Debug, Clone, Default)]
pub struct Which<'a> {
    pub namespace: Option<&'a str>,
    pub labels: Option<&'a str>,
    pub fields: Option<&'a str>,
}

/// No more pods than this are read for one answer.
const MOST: usize = 10_000;

/// The containers of pods that run or are to run, with the figures at hand; and whether there were more.
pub async fn containers(
    cluster: &Arc<Cluster>,
    which: &Which<'_>,
    figures: &Figures,
) -> base::Result<(Vec<Container>, bool)> {
    let mut list = List::new(cluster, Resource::pods().path(which.namespace, None)).most(MOST);
    list.labels = which.labels.map(str::to_owned);
    list.fields = which.fields.map(str::to_owned);
    let mut all = Vec::new();
    let more = list.each(|pod| all.extend(of_pod(&pod, figures))).await?;
    Ok((all, more))
}

/// Containers and sidecars: what runs together.
pub fn of_pod(pod: &Value, figures: &Figures) -> Vec<Container> {
    if matches!(text(pod, "/status/phase").as_str(), "Succeeded" | "Failed") {
        return Vec::new();
    }
    let word = |pointer: &str| CompactString::from(text(pod, pointer));
    let (namespace, name) = (word("/metadata/namespace"), word("/metadata/name"));
    let figure = figures.get(&Named(&namespace, &name));
    let sidecars =
        items(pod, "/spec/initContainers").iter().filter(|c| text(c, "/restartPolicy") == "Always");
    let container = |spec: &Value| {
        let container = CompactString::from(text(spec, "/name"));
        Container {
            namespace: namespace.clone(),
            pod: name.clone(),
            owner: owner(pod, &name),
            node: word("/spec/nodeName"),
            shares: Shares::of(spec.pointer("/resources").unwrap_or(&Value::Null)),
            now: figure.and_then(|figure| figure.container(&container)),
            name: container,
        }
    };
    items(pod, "/spec/containers").iter().chain(sidecars).map(container).collect()
}

/// What keeps a pod. A ReplicaSet of a Deployment has the Deployment's name and the template's hash, which its pods have
/// as a label.
fn owner(pod: &Value, name: &str) -> CompactString {
    let controls = |o: &&Value| o.pointer("/controller").and_then(Value::as_bool) == Some(true);
    let Some(owner) = items(pod, "/metadata/ownerReferences").iter().find(controls) else {
        return format!("pod/{name}").into();
    };
    let (kind, name) = (text(owner, "/kind"), text(owner, "/name"));
    let hash = pod.pointer("/metadata/labels/pod-template-hash").and_then(Value::as_str);
    let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    match deployment {
        Some(deployment) if kind == "ReplicaSet" => format!("deployment/{deployment}").into(),
        _ => format!("{}/{name}", kind.to_lowercase()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pods_containers_are_those_that_run_together_and_its_owner_is_the_workload() {
        let pod = |kind: &str, owner: &str| {
            json!({
                "metadata": {"name": "web-7d9f-x2lq8", "namespace": "shop", "labels": {"pod-template-hash": "7d9f"},
                             "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": kind, "name": owner, "controller": true}]},
                "spec": {"nodeName": "n1", "containers": [{"name": "app", "resources": {"requests": {"cpu": "100m"}}}],
                         "initContainers": [{"name": "migrate"}, {"name": "proxy", "restartPolicy": "Always"}]},
                "status": {"phase": "Running"},
            })
        };
        let all = of_pod(&pod("ReplicaSet", "web-7d9f"), &Figures::new());
        let names: Vec<_> = all.iter().map(|c| (&*c.owner, &*c.name, c.shares.cpu_request)).collect();
        assert_eq!(names, [("deployment/web", "app", Some(100)), ("deployment/web", "proxy", None)]);
        assert_eq!(owner(&pod("ReplicaSet", "other"), "p"), "replicaset/other");
        assert_eq!(owner(&pod("StatefulSet", "db"), "p"), "statefulset/db");
        assert_eq!(owner(&json!({}), "p"), "pod/p");
        let mut done = pod("Job", "j");
        done["status"]["phase"] = "Succeeded".into();
        assert!(of_pod(&done, &Figures::new()).is_empty());
    }
}
