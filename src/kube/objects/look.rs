//! Reading objects for people and agents: as text, described, and their events.

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::Value;

use super::describe::part::{items, selector, text};
use super::describe::{self, Extras, Need};
use super::events::{self, EventRow};
use super::place::{List, Listed, Place};
use super::{mask, yaml};
use crate::base;
use crate::kube::{Error, Resource};
use crate::rows::path;

/// How to show an object.
#[derive(Debug, Clone, Default)]
pub struct Show {
    pub json: bool,
    pub managed_fields: bool,
    /// Show the values of Secrets, decoded.
    pub reveal: bool,
    /// Only this part.
    pub path: Option<String>,
}

/// The object as text.
pub fn show(mut object: Value, show: &Show) -> base::Result<String> {
    if !show.managed_fields {
        mask::hide_managed_fields(&mut object);
    }
    if show.reveal {
        mask::decode_secret(&mut object);
    } else {
        mask::mask_secret(&mut object);
    }
    let part = match &show.path {
        Some(path) => path::select(&object, path).map_err(|e| {
            let code = match e {
                path::PathError::Syntax { .. } => base::Code::InvalidArgument,
                path::PathError::Missing { .. } => base::Code::NotFound,
            };
            base::Error::new(code, e.to_string()).next("Give a path such as spec.containers[0].image.")
        })?,
        None => object,
    };
    if show.json {
        let mut text = serde_json::to_string_pretty(&part).map_err(base::Error::internal)?;
        text.push('\n');
        return Ok(text);
    }
    Ok(match part {
        // One word needs no quotes when it is all there is.
        Value::String(s) => s + "\n",
        other => yaml::to_yaml(&other),
    })
}

/// The object's description, with what stands around it and its events.
pub async fn describe(place: &Place, now: Timestamp) -> base::Result<(Value, String)> {
    let object = place.get().await?;
    let events = events_of(place, &object, 50);
    let (mut extras, events) = tokio::join!(gather(place, &object), events);
    match events {
        Ok(events) => extras.events = Some(events),
        Err(e) => extras.missing.push(format!("events: {e}")),
    }
    let pods = if place.namespace.is_some() { extras.pods.as_slice() } else { &[] };
    match describe::usage::read(place, &object, pods).await {
        Ok(taken) => extras.usage = taken,
        Err(e) => extras.missing.push(format!("CPU and memory: {}", e.told())),
    }
    let page = describe::text(&object, &extras, now);
    Ok((object, page))
}

async fn gather(place: &Place, object: &Value) -> Extras {
    let mut extras = Extras::default();
    let cluster = &*place.cluster;
    let namespace = place.namespace.as_deref();
    let list = |resource: Resource| List::new(cluster, resource.path(namespace, None));
    let need = describe::need(&text(object, "/apiVersion"), &text(object, "/kind"));
    match need {
        Need::Nothing => {}
        Need::Workload => {
            let labels = selector(object.pointer("/spec/selector").unwrap_or(&Value::Null));
            if labels.is_empty() {
                return extras;
            }
            let pods = list(Resource::pods()).labels(&labels).most(1_000).read().await;
            let uid = text(object, "/metadata/uid");
            extras.pods = take(&mut extras.missing, "pods", pods);
            if &*place.resource.plural == "deployments" {
                let sets = match cluster.resolve("replicasets.apps").await {
                    Ok(resource) => list(resource).labels(&labels).most(200).read().await,
                    Err(e) => Err(e),
                };
                extras.replica_sets = take(&mut extras.missing, "replicasets", sets);
                extras.replica_sets.retain(|s| is_owned(s, &uid));
            } else {
                extras.pods.retain(|p| is_owned(p, &uid));
            }
        }
        Need::Jobs => {
            let uid = text(object, "/metadata/uid");
            let jobs = match cluster.resolve("jobs.batch").await {
                Ok(resource) => list(resource).most(500).read().await,
                Err(e) => Err(e),
            };
            extras.jobs = take(&mut extras.missing, "jobs", jobs);
            extras.jobs.retain(|j| is_owned(j, &uid));
        }
        Need::EndpointSlices => {
            let slices = match cluster.resolve("endpointslices.discovery.k8s.io").await {
                Ok(resource) => {
                    list(resource)
                        .labels(format!("kubernetes.io/service-name={}", place.name))
                        .most(100)
                        .read()
                        .await
                }
                Err(e) => Err(e),
            };
            extras.endpoint_slices = take(&mut extras.missing, "endpoint slices", slices);
        }
        Need::PodsOnNode => {
            let pods = List::new(cluster, "/api/v1/pods")
                .fields(format!("spec.nodeName={}", place.name))
                .most(2_000)
                .read()
                .await;
            extras.pods = take(&mut extras.missing, "pods", pods);
        }
        Need::PodsInNamespace => {
            let pods = list(Resource::pods()).most(2_000).read().await;
            extras.pods = take(&mut extras.missing, "pods", pods);
        }
        Need::NamespaceLimits => {
            for (kind, ranges) in [("resourcequotas", false), ("limitranges", true)] {
                let found = match cluster.resolve(kind).await {
                    Ok(resource) => {
                        List::new(cluster, resource.path(Some(&place.name), None)).most(50).read().await
                    }
                    Err(e) => Err(e),
                };
                let found = take(&mut extras.missing, kind, found);
                if ranges { extras.limit_ranges = found } else { extras.quotas = found }
            }
        }
    }
    extras
}

fn take(missing: &mut Vec<String>, what: &str, listed: Result<Listed, Error>) -> Vec<Value> {
    match listed {
        Ok(listed) => {
            if listed.more {
                missing.push(format!("more {what} than {}", listed.items.len()));
            }
            listed.items
        }
        Err(e) => {
            missing.push(format!("{what}: {e}"));
            Vec::new()
        }
    }
}

fn is_owned(object: &Value, uid: &str) -> bool {
    items(object, "/metadata/ownerReferences").iter().any(|o| text(o, "/uid") == uid)
}

/// The events about one object, oldest first, the newest `most` of them.
pub(super) async fn events_of(place: &Place, object: &Value, most: usize) -> Result<Vec<EventRow>, Error> {
    let kind = text(object, "/kind");
    let query = EventQuery {
        namespace: place.namespace.clone(),
        kind: Some(kind),
        name: Some(place.name.clone()),
        // A kubelet reports about its node under the node's name instead of its uid.
        uid: place.namespace.is_some().then(|| text(object, "/metadata/uid")),
        warnings: false,
    };
    let found = list_events(&place.cluster, &query, most).await?;
    Ok(found.rows)
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// All namespaces if absent.
    pub namespace: Option<String>,
    /// `Pod`, as events write it.
    pub kind: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
    /// Only warnings.
    pub warnings: bool,
}

/// The newest events that were asked for, oldest of them first.
#[derive(Debug, Default)]
pub struct Events {
    pub rows: Vec<EventRow>,
    pub total: usize,
    pub warnings: usize,
    /// The server had still more than were read.
    pub more: bool,
}

/// No more events than this are read for one call.
const READ: usize = 20_000;

pub async fn list_events(
    cluster: &crate::kube::Cluster,
    query: &EventQuery,
    most: usize,
) -> Result<Events, Error> {
    let mut fields = Vec::new();
    for (field, value) in [("kind", &query.kind), ("name", &query.name), ("uid", &query.uid)] {
        fields.extend(value.as_ref().map(|v| format!("involvedObject.{field}={v}")));
    }
    if query.warnings {
        fields.push("type=Warning".to_owned());
    }
    let resource = Resource { plural: "events".into(), ..Resource::pods() };
    let mut list = List::new(cluster, resource.path(query.namespace.as_deref(), None)).most(READ);
    if !fields.is_empty() {
        list = list.fields(fields.join(","));
    }
    let mut out = Events::default();
    let reading = list.each(|event| {
        let row = EventRow::of(&event);
        out.total += 1;
        out.warnings += usize::from(row.kind == "Warning");
        out.rows.push(row);
        // The newest are kept; sorting now and then bounds the memory.
        if out.rows.len() >= (most * 2).max(1_000) {
            events::sort(&mut out.rows);
            out.rows.drain(..out.rows.len() - most);
        }
    });
    let more = reading.boxed().await?;
    out.more = more;
    events::sort(&mut out.rows);
    let surplus = out.rows.len().saturating_sub(most);
    out.rows.drain(..surplus);
    Ok(out)
}
