//! What is wrong with a node.

use serde_json::Value;

use super::{Report, Severity, Subject, condition, quoted};
use crate::kube::objects::cordon;
use crate::kube::objects::describe::part::{age_of, items, text};
use crate::kube::objects::describe::pod_status;
use crate::kube::objects::quantity;

/// Conditions that are bad when they hold, in words.
const PRESSURES: &[(&str, &str, &str)] = &[
    (
        "MemoryPressure",
        "it is short of memory and evicts pods",
        "Look at what takes the memory; move pods away.",
    ),
    (
        "DiskPressure",
        "it is short of disk and evicts pods",
        "Free disk on it: images, logs, emptyDir volumes.",
    ),
    ("PIDPressure", "it runs too many processes", "Find the pod that makes them."),
    ("NetworkUnavailable", "its network is not set up", "Look at the network plugin's pod on it."),
];

pub fn node(subject: &Subject<'_>, pods: &[Value], report: &mut Report) {
    let node = subject.object;
    report.looked_at =
        vec!["its conditions".to_owned(), "its taints".to_owned(), format!("its {} pods", pods.len())];
    if let Some(ready) = condition(node, "Ready").filter(|c| text(c, "/status") != "True") {
        let since = age_of(ready, "/lastTransitionTime", subject.now);
        let (what, next) = if text(ready, "/status") == "Unknown" {
            (
                format!("its kubelet has said nothing for {since}: the machine is down, or cut off"),
                "Look at the machine and its kubelet; its pods are moved away after their tolerations.",
            )
        } else {
            (
                format!("its kubelet says that it has not been ready for {since}"),
                "The message says what is missing.",
            )
        };
        let finding = subject.finding(Severity::Error, "ready", what).evidence(quoted(ready)).next(next);
        report.found(finding);
    }
    for (kind, what, next) in PRESSURES {
        if let Some(c) = condition(node, kind).filter(|c| text(c, "/status") == "True") {
            let finding = subject.finding(Severity::Error, kind, (*what).to_owned());
            report.found(finding.evidence(quoted(c)).next(*next));
        }
    }
    if cordon::is_closed(node) {
        let what = "it is cordoned: no new pod comes to it".to_owned();
        report.found(subject.finding(Severity::Warning, "cordoned", what).next("u lets pods on it again."));
    }
    let taints: Vec<String> = items(node, "/spec/taints")
        .iter()
        .filter(|t| !text(t, "/key").starts_with("node.kubernetes.io/unschedulable"))
        .filter(|t| text(t, "/effect") != "PreferNoSchedule")
        .map(|t| format!("{}={}:{}", text(t, "/key"), text(t, "/value"), text(t, "/effect")))
        .collect();
    if !taints.is_empty() {
        let what = format!("only pods that tolerate its taints come to it: {}", taints.join(", "));
        report.found(subject.finding(Severity::Info, "taints", what).next("Most are set on purpose."));
    }
    room(subject, pods, report);
    let faulty: Vec<String> = pods
        .iter()
        .map(|p| (text(p, "/metadata/name"), pod_status(p)))
        .filter(|(_, status)| {
            !matches!(status.as_str(), "Running" | "Completed" | "Succeeded" | "ContainerCreating")
        })
        .map(|(name, status)| format!("{name}: {status}"))
        .collect();
    if !faulty.is_empty() {
        let what = format!("{} of its {} pods are not well", faulty.len(), pods.len());
        let finding = subject.finding(Severity::Warning, "pods", what);
        report.found(finding.all(faulty.into_iter().take(6).collect()).next("Explain one of them."));
    }
    let told = subject.warnings(&[
        "SystemOOM",
        "OOMKilling",
        "NodeNotReady",
        "Rebooted",
        "InvalidDiskCapacity",
        "ImageGCFailed",
        "FreeDiskSpaceFailed",
        "EvictionThresholdMet",
        "KernelDeadlock",
        "ContainerGCFailed",
    ]);
    if !told.is_empty() {
        report.found(
            subject
                .finding(Severity::Warning, "events", "it has told of troubles lately".to_owned())
                .all(told)
                .next("Look at its events in order.")
                .leads(subject.lead("events", "")),
        );
    }
}

/// How much of what it has is asked for by its pods.
fn room(subject: &Subject<'_>, pods: &[Value], report: &mut Report) {
    let live = |p: &&Value| !matches!(text(p, "/status/phase").as_str(), "Succeeded" | "Failed");
    let has = |resource: &str| {
        quantity::parse(&text(subject.object, &format!("/status/allocatable/{resource}"))).unwrap_or(0.0)
    };
    let mut full = Vec::new();
    for resource in ["cpu", "memory"] {
        let key = (resource.to_owned(), false);
        let asked: f64 =
            pods.iter().filter(live).filter_map(|p| quantity::pod_demands(p).get(&key).copied()).sum();
        let all = has(resource);
        if all > 0.0 && asked / all > 0.95 {
            let (asked, all_shown) = (quantity::show(resource, asked), quantity::show(resource, all));
            full.push(format!("{resource}: {asked} of {all_shown} requested"));
        }
    }
    let count = pods.iter().filter(live).count();
    if has("pods") > 0.0 && count as f64 >= has("pods") {
        full.push(format!("pods: {count} of {}", has("pods")));
    }
    if !full.is_empty() {
        let what = format!("it has no room left for pods that ask for more ({})", full.join(", "));
        report.found(
            subject
                .finding(Severity::Warning, "room", what)
                .next("New pods go elsewhere; requests count here, not what is used."),
        );
    }
}
