//! Removing the pods of a namespace that have run to their end or failed, and are only remembered.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::describe::part::{controller, text};
use super::describe::pod_status;
use super::place::{List, Seen};
use super::plan::Plan;
use super::yaml::to_yaml;
use crate::base;
use crate::bus::{Item, ItemState};
use crate::kube::{Call, Cluster, Error, Resource};

/// Deletions under way at once.
const AT_ONCE: usize = 8;

/// Which pods to look among.
#[derive(Debug, Clone, Default)]
pub struct Among<'a> {
    /// All namespaces if absent.
    pub namespace: Option<&'a str>,
    pub labels: Option<&'a str>,
}

/// A pod that is over.
#[derive(Debug, Clone)]
pub struct Over {
    namespace: String,
    name: String,
    uid: String,
    /// `Completed`, `Evicted`, `Error`, …
    status: String,
    keeper: String,
}

impl Over {
    fn words(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// The pods that are over, in their order.
pub async fn find(cluster: &Cluster, among: &Among<'_>) -> Result<Vec<Over>, Error> {
    let mut all = Vec::new();
    for phase in ["Succeeded", "Failed"] {
        let mut list = List::new(cluster, Resource::pods().path(among.namespace, None))
            .fields(format!("status.phase={phase}"))
            .most(20_000);
        if let Some(labels) = among.labels {
            list = list.labels(labels);
        }
        list.each(|pod| {
            // One that is being deleted needs no second push.
            if text(&pod, "/metadata/deletionTimestamp").is_empty() {
                all.push(over(&pod));
            }
        })
        .await?;
    }
    all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(all)
}

fn over(pod: &Value) -> Over {
    Over {
        namespace: text(pod, "/metadata/namespace"),
        name: text(pod, "/metadata/name"),
        uid: text(pod, "/metadata/uid"),
        status: pod_status(pod),
        keeper: controller(pod),
    }
}

/// All of them as one state: another pod there is another removal.
fn seen(pods: &[Over]) -> Seen {
    let mut hash = Sha256::new();
    for pod in pods {
        hash.update(&pod.uid);
    }
    Seen { uid: "pods".to_owned(), revision: hex::encode(&hash.finalize()[..8]) }
}

pub async fn plan(cluster: &Cluster, among: &Among<'_>) -> base::Result<Plan> {
    let pods = find(cluster, among).await?;
    let lines: Vec<String> = pods.iter().map(|p| format!("{} {}", p.words(), p.status)).collect();
    let mut plan = Plan {
        seen: Some(seen(&pods)),
        before: if lines.is_empty() { String::new() } else { to_yaml(&json!({"pods": lines})) },
        after: if lines.is_empty() { String::new() } else { to_yaml(&json!({"pods": []})) },
        ..Plan::default()
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in &pods {
        *counts.entry(&pod.status).or_default() += 1;
    }
    let words: Vec<String> = counts.iter().map(|(s, n)| format!("{n} {s}")).collect();
    if pods.is_empty() {
        plan.warnings.push("no pod has ended or failed".to_owned());
    } else {
        plan.affects.push(format!("{} pods are removed: {}", pods.len(), words.join(", ")));
        plan.warnings.push("their logs go with them".to_owned());
    }
    let of_jobs = pods.iter().filter(|p| p.keeper.starts_with("Job/")).count();
    if of_jobs > 0 {
        plan.affects.push(format!("{of_jobs} are of jobs, which stay and keep their counts"));
    }
    Ok(plan)
}

/// What became of each.
#[derive(Debug, Default)]
pub struct Report {
    pub removed: Vec<String>,
    /// With why not.
    pub failed: Vec<(String, String)>,
    /// It was stopped before these were begun.
    pub not_started: Vec<String>,
}

/// Removes them. With `expected`, only if they are those that were seen. The uid in each request makes the server refuse
/// another pod of the name.
pub async fn run(
    cluster: &Cluster,
    among: &Among<'_>,
    expected: Option<&Seen>,
    cancel: &CancellationToken,
    tell: impl Fn(usize, usize, Item) + Send + Sync,
) -> base::Result<Report> {
    let pods = find(cluster, among).await?;
    if expected.is_some_and(|e| *e != seen(&pods)) {
        return Err(base::Error::new(base::Code::Conflict, "other pods have ended since: nothing was done")
            .next("Preview it again."));
    }
    let total = pods.len();
    let deletions = futures::stream::iter(pods).map(|pod| async move {
        if cancel.is_cancelled() {
            return (pod, None);
        }
        let removed = remove(cluster, &pod).await;
        (pod, Some(removed))
    });
    let mut deletions = Box::pin(deletions.buffer_unordered(AT_ONCE));
    let mut report = Report::default();
    let mut over = 0;
    while let Some((pod, result)) = deletions.next().await {
        over += 1;
        let name = pod.words();
        let (state, note) = match result {
            None => {
                report.not_started.push(name);
                continue;
            }
            Some(Ok(())) => {
                report.removed.push(name.clone());
                (ItemState::Done, pod.status.clone())
            }
            Some(Err(e)) => {
                report.failed.push((name.clone(), e.to_string()));
                (ItemState::Failed, e.to_string())
            }
        };
        tell(over, total, Item { name, state, note });
    }
    Ok(report)
}

async fn remove(cluster: &Cluster, pod: &Over) -> Result<(), Error> {
    let path = Resource::pods().path(Some(&pod.namespace), Some(&pod.name));
    let how = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": pod.uid}});
    match cluster.send(Call::delete(path).json(&how)?).await {
        Ok(_) => Ok(()),
        Err(e) if e.is_not_found() => Ok(()),
        Err(e) => Err(e),
    }
}
