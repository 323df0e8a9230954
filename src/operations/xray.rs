//! The operation that shows what belongs together as a tree: a workload, what it owns down to the containers, and what
//! its pods need (ConfigMaps, Secrets, claims, the ServiceAccount), with what of that is not there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Deck;
use super::input::Among;
use super::listing::PATIENCE;
use super::set::{self, Lacking};
use crate::base::Result;
use crate::gate::{Context, Definition, Operation, Part, Spec, Target, define};
use crate::kube::{Call, Cluster, Selection};

pub const LIST: &[Definition<Deck>] = &[define::<XrayGet>()];

/// More objects of a kind are not looked at; the answer says so.
const MOST: usize = 2_000;
const PAGE: &str = "500";

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[schemars(deny_unknown_fields)]
pub struct XrayGetInput {
    /// The kind that the tree begins with: deployments, statefulsets, services, pods, …
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub among: Among,
    /// Only the one of this name.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The tree, a line each, what is inside another right behind it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct XrayGetOutput {
    pub total: usize,
    /// How many lines say that something is wrong.
    pub faults: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of several clusters, those that told nothing, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Node {
    /// 0 is a root.
    pub depth: usize,
    /// As an operation's `kind` takes it; `container` for a container, and of several clusters `cluster` for the root of each.
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fault: bool,
}

struct XrayGet;

/// Everything that a tree is made of.
#[derive(Default)]
struct World {
    /// By their owner's UID: what is owned, of the kinds that own pods, and pods.
    owned: BTreeMap<String, Vec<(&'static str, Value)>>,
    pods: Vec<Value>,
    /// `secrets/shop/name` of everything that a pod could need.
    there: HashSet<String>,
    /// The kinds of which the names are known.
    known: HashSet<&'static str>,
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Every object of a kind, whole, up to [`MOST`]; and whether there are more.
async fn list(cluster: &Arc<Cluster>, kind: &str, namespace: Option<&str>) -> Result<(Vec<Value>, bool)> {
    let resource = cluster.resolve(kind).await?;
    let namespace = namespace.filter(|_| resource.namespaced);
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let token = (!next.is_empty()).then_some(&next);
        let call = Call::get(resource.path(namespace, None)).query("limit", PAGE).query_if("continue", token);
        let mut page = cluster.json(call).await?;
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            found.extend(items);
        }
        next = text(&page, "/metadata/continue").to_owned();
        if next.is_empty() || found.len() >= MOST {
            return Ok((found, !next.is_empty()));
        }
    }
}

impl World {
    async fn read(cluster: &Arc<Cluster>, namespace: Option<&str>) -> Result<(Self, bool)> {
        let mut world = Self::default();
        let mut cut = false;
        for (kind, id) in
            [("replicasets.apps", "replicasets.apps"), ("jobs.batch", "jobs.batch"), ("pods", "pods")]
        {
            let (found, more) = list(cluster, id, namespace).await?;
            cut |= more;
            for object in found {
                for owner in items(&object, "/metadata/ownerReferences") {
                    let owned = world.owned.entry(text(owner, "/uid").to_owned()).or_default();
                    owned.push((kind, object.clone()));
                }
                if kind == "pods" {
                    world.pods.push(object);
                }
            }
        }
        for kind in ["configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts"] {
            let selection = Selection::all(cluster.resolve(kind).await?, namespace.map(str::to_owned));
            // What may not be listed is not said to be missing.
            let Ok(listing) = cluster.rows(selection, PATIENCE).await else { continue };
            world.known.insert(kind);
            let names =
                listing.rows.iter().map(|row| format!("{kind}/{}/{}", row.key.namespace, row.key.name));
            world.there.extend(names);
        }
        Ok((world, cut))
    }

    /// An object with all that hangs below it.
    fn grow(&self, kind: &str, object: &Value, depth: usize, out: &mut Vec<Node>) {
        let (status, fault) = status(kind, object);
        out.push(Node {
            depth,
            kind: kind.to_owned(),
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            status,
            fault,
        });
        if kind == "pods" {
            return self.grow_pod(object, depth + 1, out);
        }
        // A service or a node owns no pods, and leads to some all the same.
        let led: Vec<&Value> = match kind {
            "services" => self.selected(object),
            "nodes" => {
                let node = text(object, "/metadata/name");
                self.pods.iter().filter(|pod| text(pod, "/spec/nodeName") == node).collect()
            }
            "serviceaccounts" => {
                let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
                let uses = |pod: &&Value| {
                    text(pod, "/metadata/namespace") == namespace
                        && text(pod, "/spec/serviceAccountName") == name
                };
                self.pods.iter().filter(uses).collect()
            }
            _ => Vec::new(),
        };
        for pod in led {
            self.grow("pods", pod, depth + 1, out);
        }
        for (kind, owned) in self.owned.get(text(object, "/metadata/uid")).into_iter().flatten() {
            // ReplicaSets of former revisions keep nothing.
            if *kind != "replicasets.apps" || number(owned, "/spec/replicas") > 0 {
                self.grow(kind, owned, depth + 1, out);
            }
        }
    }

    fn selected(&self, service: &Value) -> Vec<&Value> {
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else {
            return Vec::new();
        };
        let namespace = text(service, "/metadata/namespace");
        let fits = |pod: &&Value| {
            let labels = pod.pointer("/metadata/labels").unwrap_or(&Value::Null);
            text(pod, "/metadata/namespace") == namespace
                && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        if selector.is_empty() { Vec::new() } else { self.pods.iter().filter(fits).collect() }
    }

    fn grow_pod(&self, pod: &Value, depth: usize, out: &mut Vec<Node>) {
        let namespace = text(pod, "/metadata/namespace").to_owned();
        for (list, states) in [
            ("/spec/initContainers", "/status/initContainerStatuses"),
            ("/spec/containers", "/status/containerStatuses"),
            ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
        ] {
            for container in items(pod, list) {
                let name = text(container, "/name");
                let state = items(pod, states).find(|s| text(s, "/name") == name);
                let (status, fault) = container_state(state);
                out.push(Node {
                    depth,
                    kind: "container".to_owned(),
                    namespace: namespace.clone(),
                    name: name.to_owned(),
                    status,
                    fault,
                });
            }
        }
        for (kind, name, optional) in needs(pod) {
            let known = self.known.contains(kind);
            let missing = known && !optional && !self.there.contains(&format!("{kind}/{namespace}/{name}"));
            out.push(Node {
                depth,
                kind: kind.to_owned(),
                namespace: namespace.clone(),
                name,
                status: if missing { "missing".to_owned() } else { String::new() },
                fault: missing,
            });
        }
    }
}

/// What a pod needs to run: kind, name, and whether it may be missing.
fn needs(pod: &Value) -> BTreeSet<(&'static str, String, bool)> {
    let mut needs = BTreeSet::new();
    let mut need = |kind: &'static str, from: Option<&Value>, key: &str| {
        if let Some(name) = from.and_then(|v| v.get(key)).and_then(Value::as_str).filter(|n| !n.is_empty()) {
            let optional = from.and_then(|v| v.get("optional")) == Some(&Value::Bool(true));
            needs.insert((kind, name.to_owned(), optional));
        }
    };
    for volume in items(pod, "/spec/volumes") {
        need("configmaps", volume.get("configMap"), "name");
        need("secrets", volume.get("secret"), "secretName");
        need("persistentvolumeclaims", volume.get("persistentVolumeClaim"), "claimName");
        for source in items(volume, "/projected/sources") {
            need("configmaps", source.get("configMap"), "name");
            need("secrets", source.get("secret"), "name");
        }
    }
    for container in items(pod, "/spec/containers").chain(items(pod, "/spec/initContainers")) {
        for from in items(container, "/envFrom") {
            need("configmaps", from.get("configMapRef"), "name");
            need("secrets", from.get("secretRef"), "name");
        }
        for variable in items(container, "/env") {
            need("configmaps", variable.pointer("/valueFrom/configMapKeyRef"), "name");
            need("secrets", variable.pointer("/valueFrom/secretKeyRef"), "name");
        }
    }
    for secret in items(pod, "/spec/imagePullSecrets") {
        need("secrets", Some(secret), "name");
    }
    need("serviceaccounts", pod.get("spec"), "serviceAccountName");
    needs
}

/// How an object is, in a word or two, and whether that is a fault.
fn status(kind: &str, object: &Value) -> (String, bool) {
    let of = |ready: i64, wanted: i64| (format!("{ready}/{wanted}"), ready < wanted);
    match kind {
        "pods" => {
            let (mut ready, mut total) = (0, 0);
            for container in items(object, "/status/containerStatuses") {
                total += 1;
                ready += i64::from(container.get("ready") == Some(&Value::Bool(true)));
            }
            let phase = text(object, "/status/phase");
            let done = phase == "Succeeded";
            (format!("{ready}/{total} {phase}"), !done && (ready < total || phase != "Running"))
        }
        "daemonsets.apps" => {
            of(number(object, "/status/numberReady"), number(object, "/status/desiredNumberScheduled"))
        }
        "jobs.batch" => {
            let failed = items(object, "/status/conditions")
                .any(|c| text(c, "/type") == "Failed" && text(c, "/status") == "True");
            let wanted = object.pointer("/spec/completions").and_then(Value::as_i64).unwrap_or(1);
            (format!("{}/{wanted}", number(object, "/status/succeeded")), failed)
        }
        _ if object.pointer("/spec/replicas").is_some() => {
            of(number(object, "/status/readyReplicas"), number(object, "/spec/replicas"))
        }
        _ => (text(object, "/status/phase").to_owned(), false),
    }
}

fn container_state(state: Option<&Value>) -> (String, bool) {
    let Some(state) = state else { return ("not started".to_owned(), false) };
    for name in ["waiting", "terminated", "running"] {
        let Some(inner) = state.pointer(&format!("/state/{name}")) else { continue };
        let reason = text(inner, "/reason");
        let word = if reason.is_empty() { name } else { reason };
        let waits = name == "waiting" && !matches!(word, "PodInitializing" | "ContainerCreating");
        return (word.to_owned(), waits || (name == "terminated" && number(inner, "/exitCode") != 0));
    }
    ("unknown".to_owned(), false)
}

impl Operation for XrayGet {
    type Deck = Deck;
    type Input = XrayGetInput;
    type Output = XrayGetOutput;

    const SPEC: Spec = Spec::observe(
        "xray_get",
        "/v1/xray/{kind}",
        "Show objects of a kind with all that they own and need, as a tree, and what of that is missing.",
    )
    .asking_each();

    fn complete(deck: &Deck, input: &mut Self::Input) -> Result<()> {
        input.among.fill(deck)
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        set::parts(Self::SPEC.name, input, &input.among.query())
    }

    fn target(input: &Self::Input) -> Target {
        input.among.target(&input.kind, input.name.as_deref().unwrap_or_default())
    }

    async fn run(deck: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let query = input.among.query();
        if !set::is_several(&query) {
            let cluster = query.place(&deck)?;
            let wanted = Wanted { kind: input.kind, name: input.name, depth: 0 };
            let (nodes, cut) = wanted.grow(&cluster, query.namespace.as_deref(), |_| true).await?;
            return Ok(output(nodes, cut, Vec::new()));
        }
        let grow = |member: Arc<set::Member>| -> BoxFuture<'static, _> {
            let wanted = Wanted { kind: input.kind.clone(), name: input.name.clone(), depth: 1 };
            Box::pin(async move {
                let namespace = member.query.namespace.as_deref();
                wanted.grow(&member.cluster, namespace, |namespace| member.reads(namespace)).await
            })
        };
        let (told, lacking) = set::each(&deck, &cx, &query, grow).await?;
        let (mut nodes, mut cut) = (Vec::<Node>::new(), false);
        let mut last = String::new();
        for (member, (mut tree, more)) in told {
            if last != **member.cluster.name() {
                last = member.cluster.name().to_string();
                nodes.push(Node::cluster(last.clone(), String::new()));
            }
            nodes.append(&mut tree);
            cut |= more;
        }
        let silent =
            |one: &Lacking| Node::cluster(one.cluster.clone(), format!("{}: {}", one.state, one.reason));
        nodes.extend(lacking.iter().map(silent));
        Ok(output(nodes, cut, lacking))
    }
}

impl Node {
    /// The root of a cluster's trees; `fault` is why it has none.
    fn cluster(name: String, fault: String) -> Self {
        let kind = "cluster".to_owned();
        Self { depth: 0, kind, namespace: String::new(), name, fault: !fault.is_empty(), status: fault }
    }
}

fn output(nodes: Vec<Node>, cut: bool, lacking: Vec<Lacking>) -> XrayGetOutput {
    let faults = nodes.iter().filter(|node| node.fault).count();
    let note = cut.then(|| format!("only the first {MOST} objects of a kind were looked at"));
    XrayGetOutput { total: nodes.len(), faults, note, lacking, nodes }
}

/// Which trees to grow in a cluster.
struct Wanted {
    kind: String,
    name: Option<String>,
    /// Of the roots.
    depth: usize,
}

impl Wanted {
    /// The trees, and whether something was left out because there is too much. `reads`: which namespaces count.
    async fn grow(
        &self,
        cluster: &Arc<Cluster>,
        namespace: Option<&str>,
        reads: impl Fn(&str) -> bool,
    ) -> Result<(Vec<Node>, bool)> {
        let resource = cluster.resolve(&self.kind).await?;
        let id = resource.full_name();
        let (mut roots, more) = list(cluster, &id, namespace).await?;
        let (world, cut) = World::read(cluster, namespace).await?;
        if resource.namespaced {
            roots.retain(|root| reads(text(root, "/metadata/namespace")));
        }
        if let Some(name) = &self.name {
            roots.retain(|root| text(root, "/metadata/name") == name);
        }
        roots.sort_by(|a, b| {
            let key =
                |v: &Value| (text(v, "/metadata/namespace").to_owned(), text(v, "/metadata/name").to_owned());
            key(a).cmp(&key(b))
        });
        let mut nodes = Vec::new();
        for root in &roots {
            world.grow(&id, root, self.depth, &mut nodes);
        }
        Ok((nodes, more || cut))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_goes_down_to_what_a_pod_needs_and_says_what_is_missing() {
        let pod = json!({
            "metadata": {"name": "web-1-x", "namespace": "shop", "uid": "p", "labels": {"app": "web"},
                "ownerReferences": [{"uid": "r"}]},
            "spec": {
                "serviceAccountName": "web",
                "volumes": [{"configMap": {"name": "here"}}, {"secret": {"secretName": "gone"}}],
                "containers": [{"name": "main", "envFrom": [{"configMapRef": {"name": "may", "optional": true}}]}],
            },
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "main", "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
        });
        let replicas = json!({"metadata": {"name": "web-1", "namespace": "shop", "uid": "r"},
            "spec": {"replicas": 1}, "status": {"readyReplicas": 0}});
        let mut world = World { pods: vec![pod.clone()], ..World::default() };
        world.owned.insert("d".into(), vec![("replicasets.apps", replicas)]);
        world.owned.insert("r".into(), vec![("pods", pod)]);
        world.known = ["configmaps", "secrets", "serviceaccounts"].into();
        world.there = ["configmaps/shop/here", "serviceaccounts/shop/web"].map(str::to_owned).into();
        let deployment = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d"},
            "spec": {"replicas": 1}, "status": {"readyReplicas": 1}});
        let mut nodes = Vec::new();
        world.grow("deployments.apps", &deployment, 0, &mut nodes);
        let lines: Vec<String> = nodes
            .iter()
            .map(|n| {
                format!(
                    "{}{}/{} {}{}",
                    " ".repeat(n.depth),
                    n.kind,
                    n.name,
                    n.status,
                    if n.fault { "!" } else { "" }
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                "deployments.apps/web 1/1",
                " replicasets.apps/web-1 0/1!",
                "  pods/web-1-x 0/1 Running!",
                "   container/main CrashLoopBackOff!",
                "   configmaps/here ",
                "   configmaps/may ",
                "   secrets/gone missing!",
                "   serviceaccounts/web ",
            ]
        );
        let service = json!({"metadata": {"namespace": "shop"}, "spec": {"selector": {"app": "web"}}});
        assert_eq!(world.selected(&service).len(), 1);
    }
}
