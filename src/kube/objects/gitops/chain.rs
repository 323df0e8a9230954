//! What stands before and behind an object of Flux or Argo CD: where it comes from, what it waits for, what it applied.

use serde_json::Value;

use super::{app, argo, flux};
use crate::base;
use crate::kube::Error;
use crate::kube::objects::describe::part::{items, text, text_or};
use crate::kube::objects::place::Place;
use crate::kube::objects::{helm, manifest};

/// A chain of sources is not longer.
const LONGEST: usize = 4;
/// More objects of an inventory are counted, not named.
const MOST: usize = 2_000;

/// One object of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// `source`, `this`, `depends on` or `applied`.
    pub role: &'static str,
    /// As `kind_list` names it.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub state: String,
    pub revision: String,
    pub message: String,
}

/// The chain, and what of it could not be read.
#[derive(Debug, Default)]
pub struct Chain {
    pub links: Vec<Link>,
    pub not_read: Vec<String>,
    /// Where the applied objects are, if that is another cluster.
    pub elsewhere: Option<String>,
}

/// An object that another names.
struct Named {
    kind: String,
    group: String,
    namespace: Option<String>,
    name: String,
}

impl Named {
    fn by(reference: &Value, group: &str, place: &Place) -> Option<Self> {
        let (kind, name) = (text(reference, "/kind"), text(reference, "/name"));
        let version = text(reference, "/apiVersion");
        let own = version.split_once('/').map(|(group, _)| group.to_owned());
        let namespace = Some(text(reference, "/namespace")).filter(|n| !n.is_empty());
        (!kind.is_empty() && !name.is_empty()).then(|| Self {
            kind,
            group: own.unwrap_or_else(|| group.to_owned()),
            namespace: namespace.or_else(|| place.namespace.clone()),
            name,
        })
    }

    fn word(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    async fn place(&self, beside: &Place) -> Result<Place, Error> {
        let resource = beside.cluster.resolve(&self.word()).await?;
        Ok(Place::at(beside.cluster.clone(), resource, self.namespace.as_deref(), &self.name))
    }
}

const SOURCES: &str = "source.toolkit.fluxcd.io";

/// The source that an object of Flux's names.
fn names(place: &Place, live: &Value) -> Option<Named> {
    let at = |pointer: &str| live.pointer(pointer).and_then(|r| Named::by(r, SOURCES, place));
    // A HelmRelease has its chart made of a source, by an object that its status names.
    let chart = text(live, "/status/helmChart");
    if let (Some((namespace, name)), true) = (chart.split_once('/'), live.pointer("/spec/chart").is_some()) {
        return Some(Named {
            kind: "HelmChart".to_owned(),
            group: SOURCES.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        });
    }
    if let Some(repository) = live.pointer("/spec/imageRepositoryRef") {
        let mut reference = repository.clone();
        reference["kind"] = "ImageRepository".into();
        return Named::by(&reference, "image.toolkit.fluxcd.io", place);
    }
    at("/spec/chartRef").or_else(|| at("/spec/sourceRef")).or_else(|| at("/spec/chart/spec/sourceRef"))
}

/// Where the source of an object of Flux's is, if it names one.
pub async fn source_of(place: &Place, live: &Value) -> base::Result<Option<Place>> {
    match names(place, live) {
        Some(named) => Ok(Some(named.place(place).await?)),
        None => Ok(None),
    }
}

/// Reads the chain of an object.
pub async fn read(place: &Place) -> base::Result<Chain> {
    let live = place.get().await?;
    if argo::is_application(place) {
        return Ok(app::chain(place, &live));
    }
    flux::check(place)?;
    let mut out = Chain::default();
    sources(place, &live, &mut out).await;
    out.links.reverse();
    out.links.push(link("this", place, &live));
    for dependency in items(&live, "/spec/dependsOn") {
        let namespace = text_or(dependency, "/namespace", place.namespace.as_deref().unwrap_or_default());
        let resource = place.resource.clone();
        let other = Place::at(place.cluster.clone(), resource, Some(&namespace), &text(dependency, "/name"));
        reach("depends on", &other, &mut out).await;
    }
    let entries = items(&live, "/status/inventory/entries");
    for entry in entries.iter().take(MOST) {
        let id = text(entry, "/id");
        match inventoried(&id) {
            Some(named) => out.links.push(applied(place, &named).await),
            None => out.not_read.push(format!("{id:?} in its inventory is no object")),
        }
    }
    if entries.len() > MOST {
        out.not_read.push(format!("{} more objects of its inventory", entries.len() - MOST));
    }
    if entries.is_empty() && &*place.resource.plural == "helmreleases" {
        released(place, &live, &mut out).await;
    }
    Ok(out)
}

/// The sources, the nearest first.
async fn sources(place: &Place, live: &Value, out: &mut Chain) {
    let (mut here, mut object) = (place.clone(), live.clone());
    while let Some(named) = names(&here, &object) {
        let found = match named.place(&here).await {
            Ok(found) => found,
            Err(e) => return out.not_read.push(format!("{} {}: {e}", named.kind, named.name)),
        };
        match reach("source", &found, out).await {
            Some(live) if out.links.len() < LONGEST => (here, object) = (found, live),
            _ => return,
        }
    }
}

/// Reads one object of the chain. One that cannot be read is a link all the same, which says why.
async fn reach(role: &'static str, place: &Place, out: &mut Chain) -> Option<Value> {
    match place.get().await {
        Ok(live) => {
            out.links.push(link(role, place, &live));
            Some(live)
        }
        Err(e) => {
            out.links.push(Link {
                message: e.to_string(),
                state: "unknown".to_owned(),
                ..link(role, place, &Value::Null)
            });
            None
        }
    }
}

fn link(role: &'static str, place: &Place, live: &Value) -> Link {
    let (state, message) = flux::ready(live);
    let suspended = live.pointer("/spec/suspend") == Some(&Value::Bool(true));
    Link {
        role,
        kind: place.resource.full_name(),
        namespace: place.namespace.clone().unwrap_or_default(),
        name: place.name.clone(),
        state: if suspended { "suspended".to_owned() } else { state },
        revision: flux::revision(live),
        message: message.replace('\n', " "),
    }
}

async fn applied(place: &Place, named: &Named) -> Link {
    let known = place.cluster.resolve(&named.word()).await.ok();
    let namespaced = known.as_ref().is_none_or(|resource| resource.namespaced);
    Link {
        role: "applied",
        kind: known.map_or_else(|| named.word(), |resource| resource.full_name()),
        namespace: named.namespace.clone().filter(|_| namespaced).unwrap_or_default(),
        name: named.name.clone(),
        state: String::new(),
        revision: String::new(),
        message: String::new(),
    }
}

/// An inventory's `namespace_name_group_kind`; a colon in a name is two underscores there.
/// Source: `ObjMetadata` of `github.com/fluxcd/cli-utils/pkg/object`.
fn inventoried(id: &str) -> Option<Named> {
    let (namespace, rest) = id.split_once('_')?;
    let (rest, kind) = rest.rsplit_once('_')?;
    let (name, group) = rest.rsplit_once('_')?;
    (!name.is_empty() && !kind.is_empty()).then(|| Named {
        kind: kind.to_owned(),
        group: group.to_owned(),
        namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
        name: name.replace("__", ":"),
    })
}

/// What Helm keeps of the release that a HelmRelease has made.
async fn released(place: &Place, live: &Value, out: &mut Chain) {
    let own = place.namespace.clone().unwrap_or_default();
    let target = text(live, "/spec/targetNamespace");
    let usual = if target.is_empty() { place.name.clone() } else { format!("{target}-{}", place.name) };
    let name = text_or(live, "/spec/releaseName", &usual);
    let stored = text_or(live, "/spec/storageNamespace", &own);
    let namespace = if target.is_empty() { own } else { target };
    let documents = match helm::find(&place.cluster, &stored, &name, None).await {
        Ok(release) => manifest::parse(&release.manifest()),
        Err(e) => Err(e),
    };
    match documents {
        Ok(documents) => {
            for document in documents.iter().take(MOST) {
                let version = document.api_version();
                let named = Named {
                    kind: document.kind(),
                    group: version.split_once('/').map_or("", |(group, _)| group).to_owned(),
                    namespace: document.namespace().or_else(|| Some(namespace.clone())),
                    name: document.name(),
                };
                out.links.push(applied(place, &named).await);
            }
        }
        Err(e) => out.not_read.push(format!("what it applied: {}", e.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventorys_identifiers_are_objects() {
        let named = inventoried("shop_web_apps_Deployment").unwrap();
        assert_eq!((named.word().as_str(), named.namespace.as_deref()), ("deployment.apps", Some("shop")));
        let cluster_wide = inventoried("_system__view_rbac.authorization.k8s.io_ClusterRole").unwrap();
        assert_eq!((cluster_wide.name.as_str(), cluster_wide.namespace), ("system:view", None));
        let core = inventoried("shop_settings__ConfigMap").unwrap();
        assert_eq!((core.word().as_str(), core.name.as_str()), ("configmap", "settings"));
        assert!(inventoried("web").is_none());
    }
}
