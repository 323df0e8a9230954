//! What stands around an object, one step away: its owners, what it owns, what it names, and what names or selects it.

pub mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;

use self::names::{Named, names, resolvable};
use super::describe::part::{items, object, selector, text};
use super::place::{List, Place};
use super::references::{self, Used};
use crate::base;
use crate::kube::{Error, Resource};

/// Requests under way at once.
const AT_ONCE: usize = 4;
/// Objects of one kind that are looked through.
const MOST: usize = 5_000;
/// Kinds that are searched for what an object owns.
const KINDS: usize = 60;
/// Objects that are named of which it is asked whether they are there.
const ASKED: usize = 60;

/// How another object stands to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    Owner,
    Owned,
    Names,
    NamedBy,
    Selects,
    SelectedBy,
}

impl Relation {
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::Owner => "owner",
            Relation::Owned => "owned",
            Relation::Names => "names",
            Relation::NamedBy => "named by",
            Relation::Selects => "selects",
            Relation::SelectedBy => "selected by",
        }
    }
}

/// One object beside another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub relation: Relation,
    /// As discovery resolves it: `deployments.apps`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The evidence: the fields that name it, `controller`, a selector.
    pub how: String,
    /// `missing`, where it was asked for and is not there.
    pub state: &'static str,
}

#[derive(Debug, Default)]
pub struct Adjacent {
    pub neighbours: Vec<Neighbour>,
    /// What could not be read or was not searched, with why.
    pub not_read: Vec<String>,
}

/// What is around the object at `place`. What it owns is searched for in every kind with `every_kind`; else in the kinds
/// that a built-in kind is known to own, and for a custom resource in every kind too.
pub async fn find(place: &Place, every_kind: bool) -> base::Result<Adjacent> {
    let live = place.get().await?;
    let mut out = Adjacent::default();
    owners(place, &live, &mut out).await;
    owned(place, &live, every_kind, &mut out).await;
    named(place, &live, &mut out).await;
    named_by(place, &mut out).await?;
    selections(place, &live, &mut out).await;
    out.neighbours.sort_by(|a, b| {
        (a.relation, &a.kind, &a.namespace, &a.name).cmp(&(b.relation, &b.kind, &b.namespace, &b.name))
    });
    Ok(out)
}

impl Adjacent {
    fn add(&mut self, relation: Relation, kind: &str, object: &Value, how: String) {
        self.neighbours.push(Neighbour {
            relation,
            kind: kind.to_owned(),
            namespace: text(object, "/metadata/namespace"),
            name: text(object, "/metadata/name"),
            how,
            state: "",
        });
    }

    /// Takes a list's objects; says what could not be read, but for kinds that the server does not have.
    fn take(&mut self, kind: &str, read: Result<(Vec<Value>, bool), Error>) -> Vec<Value> {
        match read {
            Ok((found, more)) => {
                if more {
                    self.not_read.push(format!("{kind}: more than the first {MOST}"));
                }
                return found;
            }
            Err(e) if e.is_not_found() || matches!(e, Error::UnknownKind { .. }) => {}
            Err(e) => self.not_read.push(format!("{kind}: {e}")),
        }
        Vec::new()
    }
}

async fn owners(place: &Place, live: &Value, out: &mut Adjacent) {
    for owner in items(live, "/metadata/ownerReferences") {
        let kind = resolvable(&text(owner, "/apiVersion"), &text(owner, "/kind"));
        let found = place.cluster.resolve(&kind).await;
        let (kind, namespaced) = match &found {
            Ok(resource) => (resource.full_name(), resource.namespaced),
            Err(_) => (text(owner, "/kind"), false),
        };
        let controls = owner.get("controller") == Some(&Value::Bool(true));
        out.neighbours.push(Neighbour {
            relation: Relation::Owner,
            kind,
            // An owner is in the same namespace, or in none.
            namespace: place.namespace.clone().filter(|_| namespaced).unwrap_or_default(),
            name: text(owner, "/name"),
            how: if controls { "controller" } else { "owner" }.to_owned(),
            state: if found.is_ok() { "" } else { "unknown kind" },
        });
    }
}

/// The kinds that objects of a built-in kind own; `None` for what is not known.
fn children(resource: &Resource) -> Option<&'static [&'static str]> {
    Some(match (&*resource.group, &*resource.plural) {
        ("apps", "deployments") => &["replicasets.apps"],
        ("apps", "statefulsets" | "daemonsets") => {
            &["pods", "controllerrevisions.apps", "persistentvolumeclaims"]
        }
        ("apps", "replicasets") | ("batch", "jobs") | ("", "replicationcontrollers") => &["pods"],
        ("batch", "cronjobs") => &["jobs.batch"],
        ("", "services") => &["endpointslices.discovery.k8s.io"],
        // Its pods are among those that name it.
        ("", "nodes") => &["leases.coordination.k8s.io"],
        ("", "pods") => &["persistentvolumeclaims"],
        (group, _) if group.is_empty() || !group.contains('.') || group.ends_with(".k8s.io") => &[],
        _ => return None,
    })
}

async fn owned(place: &Place, live: &Value, every_kind: bool, out: &mut Adjacent) {
    let uid = text(live, "/metadata/uid");
    let known = children(&place.resource).filter(|_| !every_kind);
    let kinds: Vec<String> = match known {
        Some(known) => known.iter().map(|kind| (*kind).to_owned()).collect(),
        None => match place.cluster.kinds().await {
            Ok(kinds) => {
                let all = kinds.preferred.iter().filter(|r| {
                    r.can("list") && (r.namespaced || place.namespace.is_none()) && &*r.plural != "events"
                });
                let mut all: Vec<String> = all.map(Resource::full_name).collect();
                if all.len() > KINDS {
                    let rest = all.split_off(KINDS);
                    out.not_read.push(format!("owned objects of {} more kinds: not searched", rest.len()));
                }
                all
            }
            Err(e) => return out.not_read.push(format!("owned objects: {e}")),
        },
    };
    let reads = kinds.into_iter().map(|kind| {
        let place = place.clone();
        async move {
            let read = list(&place, &kind, true).await;
            (kind, read)
        }
        .boxed()
    });
    let mut reads = futures::stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some((kind, read)) = reads.next().await {
        for object in out.take(&kind, read) {
            let owner = items(&object, "/metadata/ownerReferences").iter().find(|o| text(o, "/uid") == uid);
            if let Some(owner) = owner {
                let controls = owner.get("controller") == Some(&Value::Bool(true));
                let how = if controls { "it controls it" } else { "it owns it" };
                out.add(Relation::Owned, &kind, &object, how.to_owned());
            }
        }
    }
}

/// The objects of a kind in the object's namespace, and whether there are more.
async fn list(place: &Place, kind: &str, metadata: bool) -> Result<(Vec<Value>, bool), Error> {
    let resource = place.cluster.resolve(kind).await?;
    let mut list = List::new(&place.cluster, resource.path(place.namespace.as_deref(), None)).most(MOST);
    list.metadata = metadata;
    let mut read = list.read().await?;
    for object in &mut read.items {
        // The items of a list do not repeat what the list says of them.
        object["kind"] = (&*resource.kind).into();
    }
    Ok((read.items, read.more))
}

async fn named(place: &Place, live: &Value, out: &mut Adjacent) {
    let mut all = names(live);
    if all.len() > ASKED {
        out.not_read.push(format!("it names {} objects: only the first {ASKED} are told", all.len()));
        all.truncate(ASKED);
    }
    let asked = all.into_iter().map(|named| look(place.clone(), named).boxed()).collect::<Vec<_>>();
    let mut asked = futures::stream::iter(asked).buffered(AT_ONCE);
    while let Some((neighbour, unread)) = asked.next().await {
        out.neighbours.extend(neighbour);
        out.not_read.extend(unread);
    }
}

/// Whether what is named is there. A `kind` that the server does not know is no reference to an object.
async fn look(place: Place, named: Named) -> (Option<Neighbour>, Option<String>) {
    let resource = match place.cluster.resolve(&named.kind).await {
        Ok(resource) => resource,
        Err(Error::UnknownKind { .. }) => return (None, None),
        Err(e) => return (None, Some(format!("{} {}: {e}", named.kind, named.name))),
    };
    let kind = resource.full_name();
    // What has a namespace names others in its own, unless it says one.
    let namespace = named.namespace.or_else(|| place.namespace.clone());
    let target = match (&namespace, resource.namespaced) {
        (None, true) => return (None, None),
        _ => Place::at(place.cluster.clone(), resource, namespace.as_deref(), &named.name),
    };
    let (state, unread) = match target.exists().await {
        Ok(true) => ("", None),
        Ok(false) if named.optional => ("missing, as it may", None),
        Ok(false) => ("missing", None),
        Err(e) => ("not known", Some(format!("{kind} {}: {e}", named.name))),
    };
    let neighbour = Neighbour {
        relation: Relation::Names,
        kind,
        namespace: target.namespace.unwrap_or_default(),
        name: named.name,
        how: named.fields.join(", "),
        state,
    };
    (Some(neighbour), unread)
}

/// The kinds whose objects name one of this kind, where that is not for [`references`] to tell.
fn namers(resource: &Resource) -> &'static [&'static str] {
    match (&*resource.group, &*resource.plural) {
        ("", "services") => {
            &["ingresses.networking.k8s.io", "statefulsets.apps", "httproutes.gateway.networking.k8s.io"]
        }
        ("apps", "deployments" | "statefulsets" | "replicasets") => &["horizontalpodautoscalers.autoscaling"],
        ("rbac.authorization.k8s.io", "roles") => &["rolebindings.rbac.authorization.k8s.io"],
        ("rbac.authorization.k8s.io", "clusterroles") => {
            &["clusterrolebindings.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"]
        }
        ("storage.k8s.io", "storageclasses") => &["persistentvolumeclaims", "persistentvolumes"],
        ("", "persistentvolumes") => &["persistentvolumeclaims"],
        ("networking.k8s.io", "ingressclasses") => &["ingresses.networking.k8s.io"],
        ("", "nodes") => &["pods"],
        _ => &[],
    }
}

async fn named_by(place: &Place, out: &mut Adjacent) -> base::Result<()> {
    if Used::of(place).is_ok() {
        let found = references::find(place).await?;
        out.not_read.extend(found.not_read);
        out.neighbours.extend(found.users.into_iter().map(|user| Neighbour {
            relation: Relation::NamedBy,
            kind: user.kind,
            namespace: user.namespace,
            name: user.name,
            how: user.how.join("; "),
            state: "",
        }));
    }
    for kind in namers(&place.resource) {
        let found = if *kind == "pods" && place.resource.is_nodes() {
            let fields = format!("spec.nodeName={}", place.name);
            let list = List::new(&place.cluster, "/api/v1/pods").fields(fields).most(MOST).read().await;
            list.map(|listed| (listed.items, listed.more))
        } else {
            list(place, kind, false).await
        };
        for object in out.take(kind, found) {
            let from = Some(text(&object, "/metadata/namespace")).filter(|n| !n.is_empty());
            let mut fields = Vec::new();
            for named in names(&object) {
                let namespace = named.namespace.or_else(|| from.clone());
                let here = place.namespace.is_none() || place.namespace == namespace;
                // One word of a kind is enough to tell two that have the name apart.
                if named.name == place.name && here && means(&named.kind, &place.resource) {
                    fields.extend(named.fields);
                }
            }
            if !fields.is_empty() {
                out.add(Relation::NamedBy, kind, &object, fields.join(", "));
            }
        }
    }
    Ok(())
}

/// Whether a kind as [`Named`] has it is this one.
fn means(kind: &str, resource: &Resource) -> bool {
    let (group, word) = kind.rsplit_once('/').map_or(("", kind), |(group, word)| (group, word));
    let word = word.split('.').next().unwrap_or(word);
    let same = word == &*resource.plural || word == &*resource.kind;
    let group = group.split('/').next().unwrap_or(group);
    same && (group.is_empty() || group == "core" || group == &*resource.group)
}

/// The labels of the pods that a service, a budget or a policy is for, as a label selector's text; `None` for no pods.
fn selects(kind: &str, object: &Value) -> Option<Selects> {
    match kind {
        "services" => {
            let labels: BTreeMap<_, _> = self::object(object, "/spec/selector").collect();
            (!labels.is_empty()).then(|| {
                let pairs =
                    labels.iter().map(|(k, v)| ((*k).clone(), v.as_str().unwrap_or_default().to_owned()));
                Selects { labels: pairs.collect(), expressions: Vec::new() }
            })
        }
        _ => {
            let at = if kind.starts_with("networkpolicies") { "/spec/podSelector" } else { "/spec/selector" };
            let selector = object.pointer(at)?;
            let pairs = self::object(selector, "/matchLabels")
                .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()));
            Some(Selects {
                labels: pairs.collect(),
                expressions: items(selector, "/matchExpressions").to_vec(),
            })
        }
    }
}

struct Selects {
    labels: Vec<(String, String)>,
    expressions: Vec<Value>,
}

impl Selects {
    fn fits(&self, labels: &Value) -> bool {
        let of = |key: &str| labels.get(key).and_then(Value::as_str);
        self.labels.iter().all(|(key, value)| of(key) == Some(value.as_str()))
            && self.expressions.iter().all(|e| {
                let own = of(e["key"].as_str().unwrap_or_default());
                let among = items(e, "/values").iter().any(|v| v.as_str() == own && own.is_some());
                match e["operator"].as_str().unwrap_or_default() {
                    "In" => among,
                    "NotIn" => !among,
                    "Exists" => own.is_some(),
                    "DoesNotExist" => own.is_none(),
                    _ => false,
                }
            })
    }

    fn words(&self) -> String {
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        let words =
            selector(&serde_json::json!({"matchLabels": labels, "matchExpressions": self.expressions}));
        if words.is_empty() { "every pod".to_owned() } else { words }
    }
}

/// The kinds that select pods by their labels.
const SELECTORS: &[&str] = &["services", "poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io"];

async fn selections(place: &Place, live: &Value, out: &mut Adjacent) {
    let own = place.resource.full_name();
    if SELECTORS.contains(&own.as_str()) {
        let Some(selects) = selects(&own, live) else { return };
        let found = list(place, "pods", true).await;
        let labels = |pod: &Value| pod.pointer("/metadata/labels").cloned().unwrap_or_default();
        for pod in out.take("pods", found).iter().filter(|pod| selects.fits(&labels(pod))) {
            out.add(Relation::Selects, "pods", pod, selects.words());
        }
        return;
    }
    let labels = match &*place.resource.plural {
        "pods" => live.pointer("/metadata/labels"),
        _ => live.pointer("/spec/template/metadata/labels"),
    };
    let Some(labels) = labels.cloned().filter(|_| place.namespace.is_some()) else { return };
    let labels = Arc::new(labels);
    for kind in SELECTORS {
        let found = list(place, kind, false).await;
        for object in out.take(kind, found) {
            if let Some(selects) = selects(kind, &object).filter(|selects| selects.fits(&labels)) {
                out.add(Relation::SelectedBy, kind, &object, selects.words());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_of_services_budgets_and_policies_are_read() {
        let labels = json!({"app": "web", "tier": "front"});
        let service = |selector: Value| selects("services", &json!({"spec": {"selector": selector}}));
        assert!(service(json!({"app": "web"})).unwrap().fits(&labels));
        assert!(!service(json!({"app": "db"})).unwrap().fits(&labels));
        assert!(service(json!({})).is_none(), "a service without a selector selects nothing");
        let policy = |selector: Value| {
            selects("networkpolicies.networking.k8s.io", &json!({"spec": {"podSelector": selector}})).unwrap()
        };
        assert_eq!(policy(json!({})).words(), "every pod");
        assert!(policy(json!({})).fits(&labels));
        let tier = |operator: &str, values: Value| {
            policy(json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]}))
        };
        assert!(tier("In", json!(["front", "back"])).fits(&labels));
        assert!(!tier("NotIn", json!(["front"])).fits(&labels));
        assert!(tier("Exists", json!([])).fits(&labels) && !tier("DoesNotExist", json!([])).fits(&labels));
    }

    #[test]
    fn a_kind_is_meant_by_its_name_and_group() {
        let issuer = Resource {
            group: "cert-manager.io".into(),
            plural: "issuers".into(),
            kind: "Issuer".into(),
            ..Resource::pods()
        };
        for (kind, holds) in [
            ("cert-manager.io/Issuer", true),
            ("cert-manager.io/v1/Issuer", true),
            ("apps/v1/Issuer", false),
            ("pods", false),
        ] {
            assert_eq!(means(kind, &issuer), holds, "{kind}");
        }
        assert!(means("core/v1/Pod", &Resource::pods()) && means("pods", &Resource::pods()));
    }
}
