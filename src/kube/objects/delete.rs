//! Deleting one object, and saying before what goes with it.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt;
use serde_json::{Value, json};

use super::around::keeper;
use super::describe::part::{items, plain, selector, text};
use super::keepers::remakers;
use super::place::{List, Place, Seen};
use super::plan::{Plan, comparable, refusal, sides};
use crate::base;
use crate::kube::{Call, Error, Resource};

/// How dependents are treated. Source: `meta/v1 DeletionPropagation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// The object goes at once, what it owns afterwards.
    Background,
    /// What it owns goes first.
    Foreground,
    /// What it owns stays.
    Orphan,
}

impl Propagation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Seconds; the kind's own default if absent.
    pub grace: Option<u32>,
    pub propagation: Propagation,
}

/// What a deletion came to.
#[derive(Debug, Clone)]
pub struct Deleted {
    pub uid: String,
    /// Still there until these are done; empty if it is gone or goes after its grace period.
    pub finalizers: Vec<String>,
    /// It is marked for deletion and still there.
    pub terminating: bool,
}

/// A diff shows no more lines of what goes than this.
const SHOWN: usize = 400;

pub async fn plan(place: &Place, options: Options) -> base::Result<Plan> {
    let live = place.get().await?;
    let seen = Seen::of(&live);
    send(place, options, Some(&seen), true).await.map_err(refusal)?;
    let mut plan = Plan { checks: vec!["server dry run ok".to_owned()], ..Plan::default() };
    plan.seen = Some(seen);
    goes_with(place, &live, options, &mut plan).await;
    warn(&live, options, &mut plan);
    let mut shown = live;
    comparable(&mut shown, &place.resource);
    // kubectl's copy of the whole manifest would say everything twice.
    if let Some(annotations) = shown.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    let (_, text) = sides(None, shown);
    plan.before = cut(text);
    Ok(plan)
}

/// Deletes. With `seen`, only the object in that state; else only the object that is there now.
pub async fn run(place: &Place, options: Options, seen: Option<&Seen>) -> base::Result<Deleted> {
    let live = place.get().await?;
    place.expect(&live, seen)?;
    let uid_only = Seen { uid: Seen::of(&live).uid, revision: String::new() };
    let answer = send(place, options, Some(seen.unwrap_or(&uid_only)), false).await.map_err(refusal)?;
    let terminating = !text(&answer, "/metadata/deletionTimestamp").is_empty();
    let finalizers = items(&answer, "/metadata/finalizers").iter().map(plain).collect();
    Ok(Deleted { uid: uid_only.uid, finalizers, terminating })
}

async fn send(place: &Place, options: Options, seen: Option<&Seen>, dry: bool) -> Result<Value, Error> {
    let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": options.propagation.as_str()});
    if let Some(grace) = options.grace {
        body["gracePeriodSeconds"] = json!(grace);
    }
    if dry {
        body["dryRun"] = json!(["All"]);
    }
    if let Some(seen) = seen {
        body["preconditions"] = json!({"uid": seen.uid});
        if !seen.revision.is_empty() {
            body["preconditions"]["resourceVersion"] = json!(seen.revision);
        }
    }
    place.cluster.json(Call::delete(place.path()).json(&body)?).await
}

fn cut(text: String) -> String {
    let lines = text.lines().count();
    if lines <= SHOWN {
        return text;
    }
    let mut out: String = text.split_inclusive('\n').take(SHOWN).collect();
    out.push_str(&format!("# … and {} more lines\n", lines - SHOWN));
    out
}

fn warn(live: &Value, options: Options, plan: &mut Plan) {
    if let Some(keeper) = keeper(live) {
        plan.warnings.push(format!("{keeper} controls it and will make another in its place"));
    }
    plan.warnings.extend(remakers(live));
    if live.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some() {
        plan.warnings
            .push("it mirrors a static pod: the node's kubelet keeps it whatever the API server says".into());
    }
    let finalizers: Vec<String> = items(live, "/metadata/finalizers").iter().map(plain).collect();
    if !finalizers.is_empty() {
        plan.warnings.push(format!("it goes only after its finalizers are done: {}", finalizers.join(", ")));
    }
    if !text(live, "/metadata/deletionTimestamp").is_empty() {
        plan.warnings.push("it is being deleted already".into());
    }
    if options.grace == Some(0) {
        plan.warnings
            .push("without a grace period its processes may still run when it is gone from the API".into());
    }
    if text(live, "/spec/persistentVolumeReclaimPolicy") == "Delete"
        && !text(live, "/spec/claimRef/name").is_empty()
    {
        plan.warnings.push("it is a bound volume".into());
    }
}

/// Counts what the object owns or holds.
async fn goes_with(place: &Place, live: &Value, options: Options, plan: &mut Plan) {
    let group = &*place.resource.group;
    let counted = match (group, &*place.resource.plural) {
        ("", "namespaces") => namespace_content(place).await,
        ("", "nodes") => node_pods(place).await,
        ("apiextensions.k8s.io", "customresourcedefinitions") => custom_objects(place, live).await,
        ("", "persistentvolumeclaims") => claim(place, live, plan).await,
        ("", "configmaps" | "secrets" | "serviceaccounts" | "events") => return,
        _ if place.namespace.is_some() => owned(place, live).await,
        _ => return,
    };
    match counted {
        Ok(counted) => {
            let verb = match (&*place.resource.plural, options.propagation) {
                ("nodes", _) => "lose their node",
                (_, Propagation::Orphan) => "stay, without an owner",
                _ => "go with it",
            };
            plan.affects.extend(counted.into_iter().map(|(what, n)| format!("{what}: {n} {verb}")));
        }
        Err(e) => plan.checks.push(format!("what goes with it was not counted: {e}")),
    }
}

type Counted = Result<BTreeMap<String, String>, Error>;

/// Objects of the usual kinds in the namespace that the object owns, directly or through others.
async fn owned(place: &Place, live: &Value) -> Counted {
    // Owners before what they own, so that one pass sees grandchildren.
    let kinds: &[&str] = match (&*place.resource.group, &*place.resource.plural) {
        ("apps", "deployments") => &["replicasets.apps", "pods"],
        ("apps", "statefulsets" | "daemonsets") => &["controllerrevisions.apps", "pods"],
        ("apps", "replicasets") | ("", "replicationcontrollers") | ("batch", "jobs") => &["pods"],
        ("batch", "cronjobs") => &["jobs.batch", "pods"],
        ("", "services") => &["endpointslices.discovery.k8s.io"],
        ("", "pods") => return Ok(BTreeMap::new()),
        _ => &[
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "replicasets.apps",
            "cronjobs.batch",
            "jobs.batch",
            "pods",
            "services",
            "configmaps",
            "secrets",
            "persistentvolumeclaims",
            "ingresses.networking.k8s.io",
        ],
    };
    // A workload's pods carry its labels, which spares reading the others.
    let labels = live.pointer("/spec/selector").filter(|s| s.get("matchLabels").is_some()).map(selector);
    let mut owners = HashSet::from([text(live, "/metadata/uid")]);
    let mut out = BTreeMap::new();
    for kind in kinds {
        let Ok(resource) = place.cluster.resolve(kind).await else { continue };
        let mut list = List::new(&place.cluster, resource.path(place.namespace.as_deref(), None)).metadata();
        if let (Some(labels), "pods" | "replicasets.apps") = (&labels, *kind) {
            list = list.labels(labels.clone());
        }
        let mut count = 0usize;
        let more = list
            .each(|item| {
                let is_owned = items(&item, "/metadata/ownerReferences")
                    .iter()
                    .any(|o| owners.contains(&text(o, "/uid")));
                if is_owned {
                    count += 1;
                    owners.insert(text(&item, "/metadata/uid"));
                }
            })
            .await?;
        if count > 0 {
            let least = if more { "at least " } else { "" };
            out.insert(resource.plural.to_string(), format!("{least}{count}"));
        }
    }
    Ok(out)
}

async fn namespace_content(place: &Place) -> Counted {
    let kinds = place.cluster.kinds().await?;
    let wanted = kinds
        .preferred
        .iter()
        .filter(|r| r.namespaced && r.can("list") && r.can("delete") && &*r.plural != "events");
    // Only a few at a time: a namespace's preview must not hammer the server.
    let counts = futures::stream::iter(wanted.cloned().collect::<Vec<Resource>>()).map(|r| async move {
        let n = List::new(&place.cluster, r.path(Some(&place.name), None)).count().await.unwrap_or(0);
        (r.full_name(), n)
    });
    let counts: Vec<(String, u64)> = counts.buffer_unordered(8).collect().await;
    Ok(counts.into_iter().filter(|(_, n)| *n > 0).map(|(k, n)| (k, n.to_string())).collect())
}

async fn node_pods(place: &Place) -> Counted {
    let field = format!("spec.nodeName={}", place.name);
    let pods = List::new(&place.cluster, "/api/v1/pods").fields(field).metadata().read().await?;
    let n = pods.items.len();
    Ok(if n == 0 { BTreeMap::new() } else { BTreeMap::from([("pods".to_owned(), n.to_string())]) })
}

async fn custom_objects(place: &Place, definition: &Value) -> Counted {
    let kind = format!("{}.{}", text(definition, "/spec/names/plural"), text(definition, "/spec/group"));
    let resource = place.cluster.resolve(&kind).await?;
    let n = List::new(&place.cluster, resource.path(None, None)).count().await?;
    Ok(if n == 0 { BTreeMap::new() } else { BTreeMap::from([(kind, n.to_string())]) })
}

async fn claim(place: &Place, claim: &Value, plan: &mut Plan) -> Counted {
    let namespace = place.namespace.as_deref();
    let pods = List::new(&place.cluster, Resource::pods().path(namespace, None)).read().await?;
    let uses = |p: &&Value| {
        items(p, "/spec/volumes").iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == place.name)
    };
    for pod in pods.items.iter().filter(uses) {
        plan.warnings
            .push(format!("pod {} uses it: it goes only after the pod", text(pod, "/metadata/name")));
    }
    let volume = text(claim, "/spec/volumeName");
    if !volume.is_empty() {
        let resource = place.cluster.resolve("persistentvolumes").await?;
        let volume = Place::at(place.cluster.clone(), resource, None, &volume).get().await?;
        if text(&volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" {
            plan.warnings
                .push(format!("volume {} and its data are deleted with it", text(&volume, "/metadata/name")));
        } else {
            plan.affects.push(format!("volume {} is kept, released", text(&volume, "/metadata/name")));
        }
    }
    Ok(BTreeMap::new())
}
