//! Helm releases, decoded from the Secrets that Helm keeps them in: no helm binary is needed.
//!
//! A release's revision is a Secret of the type `helm.sh/release.v1`, whose `release` is JSON, compressed and encoded twice
//! in base64. Source: `helm.sh/helm/v3/pkg/storage/driver/{secrets,util}.go`. [`codec`] has no I/O.

pub mod codec;
mod merge;
mod rollback;
mod uninstall;

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use serde_json::Value;

pub use rollback::{Report, plan as plan_rollback, run as rollback};
pub use uninstall::{Uninstalled, plan as plan_uninstall, run as uninstall};

use super::describe::part::{items, seconds, text};
use super::place::List;
use crate::base;
use crate::kube::{Call, Cluster, Error, Resource};
use crate::rows::cell::age;

/// Secrets read at once.
const AT_ONCE: usize = 8;

/// One revision of a release.
#[derive(Debug, Clone)]
pub struct Release {
    pub name: String,
    pub namespace: String,
    pub revision: i64,
    /// `deployed`, `superseded`, `failed`, `pending-upgrade`, …
    pub status: String,
    /// All that Helm knows of it.
    pub body: Value,
    /// The Secret that keeps it.
    pub secret: Value,
}

impl Release {
    fn of(secret: Value) -> base::Result<Self> {
        let data = text(&secret, "/data/release");
        let body = codec::decode(&data).map_err(|why| {
            base::Error::unsupported(format!(
                "secret {} is no Helm release that can be read: {why}",
                text(&secret, "/metadata/name")
            ))
        })?;
        Ok(Self {
            name: text(&body, "/name"),
            namespace: text(&secret, "/metadata/namespace"),
            revision: body.get("version").and_then(Value::as_i64).unwrap_or(0),
            status: text(&body, "/info/status"),
            body,
            secret,
        })
    }

    /// `web-1.2.3`
    pub fn chart(&self) -> String {
        let part = |field: &str| text(&self.body, &format!("/chart/metadata/{field}"));
        format!("{}-{}", part("name"), part("version"))
    }

    pub fn app_version(&self) -> String {
        text(&self.body, "/chart/metadata/appVersion")
    }

    pub fn description(&self) -> String {
        text(&self.body, "/info/description")
    }

    pub fn updated(&self, now: Timestamp) -> String {
        let at = seconds(&text(&self.body, "/info/last_deployed"));
        at.map_or_else(|| "–".to_owned(), |at| age(now.as_second() - at).to_string())
    }

    /// What was given to the chart; with `all`, over the chart's own values.
    pub fn values(&self, all: bool) -> Value {
        let given = self.body.get("config").cloned().unwrap_or_default();
        if !all {
            return given;
        }
        let mut values = self.body.pointer("/chart/values").cloned().unwrap_or_default();
        merge::lay(&mut values, &given);
        values
    }

    pub fn manifest(&self) -> String {
        text(&self.body, "/manifest")
    }

    /// Hooks that run at an event such as `pre-rollback`, by name.
    fn hooks(&self, event: &str) -> Vec<String> {
        let runs =
            |h: &&Value| items(h, "/events").iter().any(|e| e.as_str().is_some_and(|e| e.contains(event)));
        items(&self.body, "/hooks").iter().filter(runs).map(|h| text(h, "/name")).collect()
    }
}

fn secrets(namespace: Option<&str>) -> String {
    Resource { plural: "secrets".into(), ..Resource::pods() }.path(namespace, None)
}

/// The last revision of every release, by namespace and name; what could not be read is said beside.
pub async fn list(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
) -> base::Result<(Vec<Release>, Vec<String>)> {
    let mut last: std::collections::BTreeMap<(String, String), (i64, String)> = Default::default();
    let heads = List::new(cluster, secrets(namespace)).labels("owner=helm").metadata().most(50_000);
    heads
        .each(|head| {
            let label = |name: &str| text(&head, &format!("/metadata/labels/{name}"));
            let revision = label("version").parse().unwrap_or(0);
            let key = (text(&head, "/metadata/namespace"), label("name"));
            let entry = last.entry(key).or_default();
            if revision > entry.0 {
                *entry = (revision, text(&head, "/metadata/name"));
            }
        })
        .await?;
    let reads: Vec<_> = last
        .into_iter()
        .map(|((namespace, name), (_, secret))| {
            let cluster = cluster.clone();
            async move {
                let path = format!("{}/{secret}", secrets(Some(&namespace)));
                let found =
                    cluster.json(Call::get(path)).await.map_err(base::Error::from).and_then(Release::of);
                found.map_err(|e| format!("{namespace}/{name}: {}", e.message))
            }
            .boxed()
        })
        .collect();
    let found: Vec<Result<Release, String>> = futures::stream::iter(reads).buffered(AT_ONCE).collect().await;
    let (mut releases, mut wrong) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(release) => releases.push(release),
            Err(why) => wrong.push(why),
        }
    }
    Ok((releases, wrong))
}

/// Every revision of a release that is kept, oldest first.
pub async fn history(cluster: &Cluster, namespace: &str, name: &str) -> base::Result<Vec<Release>> {
    let listed = List::new(cluster, secrets(Some(namespace)))
        .labels(format!("owner=helm,name={name}"))
        .read()
        .await
        .map_err(|e: Error| base::Error::from(e))?;
    let mut all: Vec<Release> =
        listed.items.into_iter().map(Release::of).collect::<base::Result<Vec<_>>>()?;
    if all.is_empty() {
        let what = format!("there is no Helm release {name} in {namespace}");
        return Err(base::Error::not_found(what).next("helm_list names the releases."));
    }
    all.sort_by_key(|r| r.revision);
    Ok(all)
}

/// One revision of a release, the last unless told.
pub async fn find(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    revision: Option<i64>,
) -> base::Result<Release> {
    let mut all = history(cluster, namespace, name).await?;
    let known: Vec<String> = all.iter().map(|r| r.revision.to_string()).collect();
    let at = match revision {
        None => Some(all.len() - 1),
        Some(wanted) => all.iter().position(|r| r.revision == wanted),
    };
    match at {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(base::Error::not_found(format!(
            "release {name} has no revision {}",
            revision.unwrap_or_default()
        ))
        .next(format!("There are {}.", known.join(", ")))),
    }
}
