//! Discovery: which kinds a server has.
//!
//! Two requests on any server since 1.26 (aggregated discovery); one a group on older ones. A group
//! whose server is broken is left out with a warning: it must not hide the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use serde::Deserialize;

use super::call::Call;
use super::cluster::Cluster;
use super::error::{Error, Result};
use super::kinds::{Kinds, Resource};

/// Aggregated discovery as v2 (1.30) or v2beta1 (1.26), else the old form.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// Unknown kinds make the server be asked again, but not more often than this.
const AGAIN: Duration = Duration::from_secs(1);

/// The cache of one cluster's kinds.
#[derive(Default)]
pub(super) struct Discovery {
    known: ArcSwapOption<Kinds>,
    /// When it was read last; held while it is read, so that it is read once.
    reading: tokio::sync::Mutex<Option<Instant>>,
}

impl Discovery {
    pub(super) fn forget(&self) {
        self.known.store(None);
    }

    pub(super) fn known(&self) -> Option<Arc<Kinds>> {
        self.known.load_full()
    }

    pub(super) async fn kinds(&self, cluster: &Cluster) -> Result<Arc<Kinds>> {
        match self.known.load_full() {
            Some(known) => Ok(known),
            None => self.read(cluster, None).await,
        }
    }

    pub(super) async fn resolve(&self, cluster: &Cluster, kind: &str) -> Result<Resource> {
        if matches!(kind, "pods" | "pod" | "po" | "Pod" | "v1/pods") {
            return Ok(Resource::pods());
        }
        let known = self.kinds(cluster).await?;
        if let Some(found) = known.find(kind) {
            return Ok(found.clone());
        }
        let known = self.read(cluster, Some(&known)).await?;
        known.find(kind).cloned().ok_or_else(|| Error::UnknownKind {
            cluster: cluster.name().to_string(),
            kind: kind.to_owned(),
            nearest: known.nearest(kind),
        })
    }

    /// Reads what the server has, unless another reader has just done so since `old`.
    async fn read(&self, cluster: &Cluster, old: Option<&Arc<Kinds>>) -> Result<Arc<Kinds>> {
        let mut read = self.reading.lock().await;
        if let Some(known) = self.known.load_full()
            && (old.is_none_or(|old| !Arc::ptr_eq(old, &known))
                || read.is_some_and(|at| at.elapsed() < AGAIN))
        {
            return Ok(known);
        }
        let kinds = Arc::new(discover(cluster).await?);
        for warning in &kinds.warnings {
            tracing::warn!(cluster = %cluster.name(), "{warning}");
        }
        *read = Some(Instant::now());
        self.known.store(Some(kinds.clone()));
        Ok(kinds)
    }
}

async fn discover(cluster: &Cluster) -> Result<Kinds> {
    let (core, groups) = tokio::join!(
        cluster.read::<Answer>(Call::get("/api").accept(ACCEPT)),
        cluster.read::<Answer>(Call::get("/apis").accept(ACCEPT)),
    );
    let (core, groups) = (core?, groups?);
    let mut resources = Vec::new();
    let mut warnings = Vec::new();
    for answer in [core, groups] {
        if answer.kind == "APIGroupDiscoveryList" {
            for group in answer.items {
                group.take(&mut resources, &mut warnings);
            }
        } else {
            legacy(cluster, answer, &mut resources, &mut warnings).await;
        }
    }
    Ok(Kinds::new(resources, warnings))
}

/// Either form of answer.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    kind: String,
    items: Vec<GroupDiscovery>,
    /// `APIVersions`: of the core group.
    versions: Vec<String>,
    /// `APIGroupList`.
    groups: Vec<LegacyGroup>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupDiscovery {
    metadata: GroupName,
    versions: Vec<VersionDiscovery>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupName {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VersionDiscovery {
    version: String,
    resources: Vec<ResourceDiscovery>,
    freshness: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    singular_resource: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    subresources: Vec<SubresourceDiscovery>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SubresourceDiscovery {
    subresource: String,
}

impl GroupDiscovery {
    fn take(self, resources: &mut Vec<Resource>, warnings: &mut Vec<String>) {
        let group: Arc<str> = self.metadata.name.into();
        for version in self.versions {
            if version.freshness == "Stale" {
                warnings.push(format!(
                    "the API group {group}/{} does not answer; its kinds may be missing",
                    version.version
                ));
            }
            let api: Arc<str> = version.version.into();
            for r in version.resources {
                // An entry for subresources alone has no kind of its own.
                let Some(kind) = r.response_kind.map(|k| k.kind).filter(|k| !k.is_empty()) else { continue };
                let singular =
                    if r.singular_resource.is_empty() { kind.to_lowercase() } else { r.singular_resource };
                resources.push(Resource {
                    group: group.clone(),
                    version: api.clone(),
                    plural: r.resource.into(),
                    singular: singular.into(),
                    kind: kind.into(),
                    namespaced: r.scope == "Namespaced",
                    short_names: r.short_names.into_iter().map(Into::into).collect(),
                    verbs: r.verbs.into_iter().map(Into::into).collect(),
                    subresources: r.subresources.into_iter().map(|s| s.subresource.into()).collect(),
                });
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct LegacyGroup {
    name: String,
    versions: Vec<LegacyVersion>,
    preferred_version: LegacyVersion,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
struct LegacyVersion {
    version: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LegacyResources {
    resources: Vec<LegacyResource>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct LegacyResource {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
}

async fn legacy(
    cluster: &Cluster,
    answer: Answer,
    resources: &mut Vec<Resource>,
    warnings: &mut Vec<String>,
) {
    let mut wanted: Vec<(Arc<str>, Arc<str>)> =
        answer.versions.into_iter().map(|v| ("".into(), v.into())).collect();
    for group in answer.groups {
        let name: Arc<str> = group.name.into();
        let preferred = group.preferred_version.version;
        let mut versions: Vec<_> = group.versions.into_iter().map(|v| v.version).collect();
        versions.sort_by_key(|v| *v != preferred);
        wanted.extend(versions.into_iter().map(|v| (name.clone(), v.into())));
    }
    let mut answers = futures::stream::iter(wanted.into_iter().map(|(group, version)| async move {
        let path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let call = Call::get(path).timeout(Duration::from_secs(10));
        let read = cluster.read::<LegacyResources>(call).await;
        (group, version, read)
    }))
    .buffered(8);
    while let Some((group, version, read)) = answers.next().await {
        match read {
            Ok(list) => legacy_resources(&group, &version, list, resources),
            Err(error) => warnings.push(format!("the API group {group}/{version} was left out: {error}")),
        }
    }
}

fn legacy_resources(
    group: &Arc<str>,
    version: &Arc<str>,
    list: LegacyResources,
    resources: &mut Vec<Resource>,
) {
    let (subresources, whole): (Vec<_>, Vec<_>) =
        list.resources.into_iter().partition(|r| r.name.contains('/'));
    for r in whole {
        let prefix = format!("{}/", r.name);
        let own = subresources.iter().filter_map(|s| s.name.strip_prefix(&prefix));
        let singular = if r.singular_name.is_empty() { r.kind.to_lowercase() } else { r.singular_name };
        resources.push(Resource {
            group: group.clone(),
            version: version.clone(),
            subresources: own.map(Into::into).collect(),
            plural: r.name.into(),
            singular: singular.into(),
            kind: r.kind.into(),
            namespaced: r.namespaced,
            short_names: r.short_names.into_iter().map(Into::into).collect(),
            verbs: r.verbs.into_iter().map(Into::into).collect(),
        });
    }
}
