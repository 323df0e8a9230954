//! Descriptions of objects for people, as `kubectl describe` gives them: what matters of each kind, in words, with what
//! stands around it and its events at the end.
//!
//! Drawing is pure: [`text()`] makes the page from the object and its [`Extras`], which `gather` reads from the cluster.

mod config;
mod network;
mod node;
pub mod part;
mod pod;
mod sheet;
pub mod usage;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

use super::events::EventRow;
pub use pod::status as pod_status;
use sheet::Sheet;

/// What stands around an object.
#[derive(Debug, Default)]
pub struct Extras {
    /// The object's events, oldest first. `None`: they could not be read.
    pub events: Option<Vec<EventRow>>,
    /// Pods it keeps, or that run on it.
    pub pods: Vec<Value>,
    pub replica_sets: Vec<Value>,
    pub jobs: Vec<Value>,
    pub endpoint_slices: Vec<Value>,
    pub quotas: Vec<Value>,
    pub limit_ranges: Vec<Value>,
    /// What it takes.
    pub usage: Vec<usage::Taken>,
    /// What could not be read, and why.
    pub missing: Vec<String>,
}

/// Which extras describe an object of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// Pods that the workload's selector matches; ReplicaSets too for a Deployment.
    Workload,
    /// Jobs that the CronJob owns.
    Jobs,
    EndpointSlices,
    PodsOnNode,
    PodsInNamespace,
    NamespaceLimits,
}

/// What [`text()`] wants to know about an object besides itself.
pub fn need(api_version: &str, kind: &str) -> Need {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") | ("batch", "Job") => {
            Need::Workload
        }
        ("batch", "CronJob") => Need::Jobs,
        ("", "Service") => Need::EndpointSlices,
        ("", "Node") => Need::PodsOnNode,
        ("", "PersistentVolumeClaim") => Need::PodsInNamespace,
        ("", "Namespace") => Need::NamespaceLimits,
        _ => Need::Nothing,
    }
}

/// The whole page.
pub fn text(object: &Value, extras: &Extras, now: Timestamp) -> String {
    let mut sheet = Sheet::new();
    let api_version = part::text(object, "/apiVersion");
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let kind = part::text(object, "/kind");
    match (group, kind.as_str()) {
        ("", "Pod") => pod::pod(&mut sheet, object, now),
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet") => {
            workload::workload(&mut sheet, &kind, object, extras, now);
        }
        ("batch", "Job") => workload::job(&mut sheet, object, extras, now),
        ("batch", "CronJob") => workload::cron_job(&mut sheet, object, extras, now),
        ("autoscaling", "HorizontalPodAutoscaler") => workload::autoscaler(&mut sheet, object, now),
        ("", "Service") => network::service(&mut sheet, object, extras, now),
        ("networking.k8s.io", "Ingress") => network::ingress(&mut sheet, object, now),
        ("", "Node") => node::node(&mut sheet, object, extras, now),
        ("", "ConfigMap") => config::config_map(&mut sheet, object, now),
        ("", "Secret") => config::secret(&mut sheet, object, now),
        ("", "ServiceAccount") => config::service_account(&mut sheet, object, now),
        ("", "Namespace") => config::namespace(&mut sheet, object, extras, now),
        ("", "PersistentVolumeClaim") => config::claim(&mut sheet, object, extras, now),
        ("", "PersistentVolume") => config::volume(&mut sheet, object, now),
        _ => config::anything(&mut sheet, object, now),
    }
    usage::section(&mut sheet, object, &extras.usage);
    sheet.some_list("Not Read", extras.missing.clone());
    match &extras.events {
        Some(events) if events.is_empty() => sheet.field("Events", "<none>"),
        Some(events) => sheet.section("Events", |s| {
            let rows = events
                .iter()
                .map(|e| {
                    vec![
                        e.kind.clone(),
                        e.reason.clone(),
                        e.ages(now),
                        e.from.clone(),
                        e.message.replace('\n', " "),
                    ]
                })
                .collect();
            s.table(&["Type", "Reason", "Age", "From", "Message"], rows);
        }),
        None => {}
    }
    sheet.render()
}

#[cfg(test)]
mod tests;
