//! Taking a release away: its objects in Helm's order, then the records of its revisions. Hooks are not run, and that is said.
//! Source: `helm.sh/helm/v3/pkg/{action/uninstall.go,releaseutil/kind_sorter.go}`.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::rollback::{close, is_kept, objects, place, seen};
use super::{AT_ONCE, Release, history, secrets};
use crate::base::{self, Code};
use crate::bus::{Item, ItemState};
use crate::kube::objects::delete;
use crate::kube::objects::describe::part::text;
use crate::kube::objects::manifest::Document;
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::{Plan, refusal};
use crate::kube::{Call, Cluster};

/// Which kinds go before which; those that are not named go last, in the order of their names.
const ORDER: &[&str] = &[
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

const OPTIONS: delete::Options =
    delete::Options { grace: None, propagation: delete::Propagation::Background };

/// What an uninstallation did.
#[derive(Debug)]
pub struct Uninstalled {
    /// `deployment web deleted`
    pub objects: Vec<String>,
    /// Left where they are by their own annotation.
    pub kept: Vec<String>,
    /// How many revisions' records were removed.
    pub revisions: usize,
}

/// A release with all that goes.
struct Way {
    /// Every revision, the oldest first.
    revisions: Vec<Release>,
    last: Release,
    /// In the order in which they go.
    goes: Vec<Document>,
    kept: Vec<String>,
}

fn rank(document: &Document) -> (usize, String) {
    let kind = document.kind();
    match ORDER.iter().position(|known| *known == kind) {
        Some(at) => (at, String::new()),
        None => (ORDER.len(), kind),
    }
}

async fn way(cluster: &Cluster, namespace: &str, name: &str) -> base::Result<Way> {
    let revisions = history(cluster, namespace, name).await?;
    let Some(last) = revisions.last().cloned() else {
        return Err(base::Error::not_found("no revision is kept"));
    };
    // What `helm uninstall --keep-history` left has no objects any more.
    let all = if last.status == "uninstalled" { Vec::new() } else { objects(&last)? };
    let (kept, mut goes): (Vec<Document>, Vec<Document>) = all.into_iter().partition(is_kept);
    goes.sort_by_cached_key(rank);
    Ok(Way { revisions, last, goes, kept: kept.iter().map(Document::words).collect() })
}

/// Where an object is; `None` where its kind is not served any more, so that it cannot be there.
async fn find(cluster: &Arc<Cluster>, namespace: &str, document: &Document) -> base::Result<Option<Place>> {
    match place(cluster, namespace, document).await {
        Ok(place) => Ok(Some(place)),
        Err(e) if e.code == Code::NotFound => Ok(None),
        Err(mut e) => {
            e.message = format!("{}: {}", document.words(), e.message);
            Err(e)
        }
    }
}

/// What would go, object by object.
pub async fn plan(cluster: &Arc<Cluster>, namespace: &str, name: &str) -> base::Result<Plan> {
    let way = way(cluster, namespace, name).await?;
    let mut plan = Plan { seen: Some(seen(&way.last)), ..Plan::default() };
    let looks: Vec<_> =
        way.goes.iter().map(|document| look(cluster.clone(), namespace, name, document).boxed()).collect();
    let looks: Vec<base::Result<Plan>> = futures::stream::iter(looks).buffered(AT_ONCE).collect().await;
    for one in looks {
        let one = one?;
        plan.before.push_str(&one.before);
        plan.affects.extend(one.affects);
        plan.warnings.extend(one.warnings);
    }
    plan.affects.push(format!(
        "{} records of revisions: deleted, so that nothing can be rolled back to",
        way.revisions.len()
    ));
    if !way.goes.is_empty() {
        plan.checks.push("server dry run ok for each object".to_owned());
    }
    for event in ["pre-delete", "post-delete"] {
        let hooks = way.last.hooks(event);
        if !hooks.is_empty() {
            plan.warnings.push(format!("{event} hooks are not run: {}", hooks.join(", ")));
        }
    }
    if !way.kept.is_empty() {
        plan.warnings.push(format!("kept by their annotation: {}", way.kept.join(", ")));
    }
    if way.last.status.starts_with("pending") {
        plan.warnings.push(format!("the last revision is {}: a helm may be at work on it", way.last.status));
    }
    Ok(plan)
}

/// The plan of one object's deletion, with its name before everything that is said.
async fn look(
    cluster: Arc<Cluster>,
    namespace: &str,
    release: &str,
    document: &Document,
) -> base::Result<Plan> {
    let words = document.words();
    let gone = || Plan { affects: vec![format!("{words}: is gone already")], ..Plan::default() };
    let Some(place) = find(&cluster, namespace, document).await? else { return Ok(gone()) };
    let Some(live) = place.find_live().await? else { return Ok(gone()) };
    let one = match delete::plan(&place, OPTIONS).await {
        Ok(one) => one,
        Err(e) if e.code == Code::NotFound => return Ok(gone()),
        Err(mut e) => {
            e.message = format!("{words}: {}", e.message);
            return Err(e);
        }
    };
    let with = |text: String| format!("{words}: {text}");
    let mut plan = Plan { before: format!("--- # {words}\n{}", one.before), ..Plan::default() };
    plan.affects.push(with("deleted".to_owned()));
    plan.affects.extend(one.affects.into_iter().map(with));
    plan.warnings.extend(one.warnings.into_iter().map(with));
    let owner = text(&live, "/metadata/annotations/meta.helm.sh~1release-name");
    if !owner.is_empty() && owner != release {
        plan.warnings.push(with(format!("the release {owner} has it now")));
    }
    Ok(plan)
}

/// Takes the release away. With `expected`, only in the state that was seen.
pub async fn run(
    cluster: &Arc<Cluster>,
    (namespace, name): (&str, &str),
    expected: Option<&Seen>,
    (now, cancel): (Timestamp, &CancellationToken),
    tell: impl Fn(usize, usize, Item) + Send + Sync,
) -> base::Result<Uninstalled> {
    let way = way(cluster, namespace, name).await?;
    if expected.is_some_and(|e| *e != seen(&way.last)) {
        let what = format!("release {name} changed since: nothing was done");
        return Err(base::Error::new(Code::Conflict, what).next("Preview the uninstallation again."));
    }
    // Before anything goes: a kind may be among what is deleted, and is then not known any more.
    let mut places = Vec::with_capacity(way.goes.len());
    for document in &way.goes {
        places.push((document.words(), find(cluster, namespace, document).await?));
    }
    if way.last.status != "uninstalled" {
        let said = "Deletion in progress (or silently failed)";
        close(cluster, &way.last.secret, "uninstalling", said, Some(now)).await?;
    }
    let total = places.len() + 1;
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for (index, (words, place)) in places.into_iter().enumerate() {
        let item = |state, note: &str| Item { name: words.clone(), state, note: note.to_owned() };
        if cancel.is_cancelled() {
            failed.push("it was stopped".to_owned());
            break;
        }
        tell(index, total, item(ItemState::Running, ""));
        match delete_one(place).await {
            Ok(outcome) => {
                tell(index + 1, total, item(ItemState::Done, outcome));
                done.push(format!("{words} {outcome}"));
            }
            // As Helm: what can go goes.
            Err(e) => {
                tell(index + 1, total, item(ItemState::Failed, &e.message));
                failed.push(format!("{words}: {}", e.message));
            }
        }
    }
    if !failed.is_empty() {
        let done = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
        let what = format!("release {name} is not gone: {}; done: {done}", failed.join("; "));
        return Err(base::Error::unavailable(what).next(
            "Mend what it names and uninstall again: what is gone is passed over, and its records are kept.",
        ));
    }
    let records = |state| Item { name: "records of revisions".to_owned(), state, note: String::new() };
    tell(total - 1, total, records(ItemState::Running));
    for release in &way.revisions {
        let path = format!("{}/{}", secrets(Some(namespace)), text(&release.secret, "/metadata/name"));
        match cluster.json(Call::delete(path)).await {
            Ok(_) => {}
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(refusal(e)),
        }
    }
    tell(total, total, records(ItemState::Done));
    Ok(Uninstalled { objects: done, kept: way.kept, revisions: way.revisions.len() })
}

async fn delete_one(place: Option<Place>) -> base::Result<&'static str> {
    let Some(place) = place else { return Ok("was gone already") };
    match delete::run(&place, OPTIONS, None).await {
        Ok(_) => Ok("deleted"),
        Err(e) if e.code == Code::NotFound => Ok("was gone already"),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::objects::manifest;

    #[test]
    fn kinds_go_in_helms_order_and_unknown_ones_last() {
        let text = ["Namespace", "Widget", "Deployment", "Secret", "Gadget", "Service", "ConfigMap"]
            .map(|kind| format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n"))
            .concat();
        let mut all = manifest::parse(&text).unwrap();
        all.sort_by_cached_key(rank);
        let kinds: Vec<String> = all.iter().map(Document::kind).collect();
        assert_eq!(kinds, ["Service", "Deployment", "ConfigMap", "Secret", "Namespace", "Gadget", "Widget"]);
    }
}
