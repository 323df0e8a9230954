//! What is wrong with a pod.

use serde_json::Value;

use super::container::{Part, container};
use super::{Finding, Report, Severity, Subject, condition, quoted};
use crate::kube::objects::describe::part::{age_of, items, plain, seconds, text, text_or};
use crate::kube::objects::quantity;

const CONTAINERS: [(&str, &str, bool); 2] = [
    ("/spec/initContainers", "/status/initContainerStatuses", true),
    ("/spec/containers", "/status/containerStatuses", false),
];

/// Whether it runs and serves.
pub fn is_up(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|c| text(c, "/status") == "True")
}

pub fn pod(subject: &Subject<'_>, report: &mut Report) {
    let pod = subject.object;
    report.looked_at = ["its containers", "its probes", "its scheduling", "its node", "its events"]
        .map(str::to_owned)
        .to_vec();
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        return terminating(subject, report);
    }
    let (phase, reason) = (text(pod, "/status/phase"), text(pod, "/status/reason"));
    if phase == "Failed" && !reason.is_empty() {
        report.found(lost(subject, &reason));
    }
    if phase == "Succeeded" {
        report.looked_at = vec!["it has run to its end".to_owned()];
        return;
    }
    let scheduled = condition(pod, "PodScheduled");
    if let Some(c) = scheduled.filter(|c| text(c, "/status") == "False") {
        return report.found(unscheduled(subject, c));
    }
    let mut begun = false;
    for (specs, statuses, init) in CONTAINERS {
        for spec in items(pod, specs) {
            let name = text(spec, "/name");
            let found = items(pod, statuses).iter().find(|s| text(s, "/name") == name);
            let Some(status) = found else { continue };
            // A sidecar is an init container that goes on beside the others.
            let init = init && text(spec, "/restartPolicy") != "Always";
            begun |= !matches!(
                text(status, "/state/waiting/reason").as_str(),
                "ContainerCreating" | "PodInitializing"
            );
            container(subject, &Part { name, spec, status, init }, report);
        }
    }
    if phase == "Pending" && !begun && report.findings.is_empty() {
        being_made(subject, report);
    }
    if let Some(gate) = condition(pod, "ContainersReady").filter(|c| text(c, "/status") == "True")
        && !is_up(pod)
    {
        let gates: Vec<String> =
            items(pod, "/spec/readinessGates").iter().map(|g| text(g, "/conditionType")).collect();
        report.found(
            subject
                .finding(
                    Severity::Error,
                    "gates",
                    format!(
                        "its containers are ready, but its readiness gates are not: {}",
                        gates.join(", ")
                    ),
                )
                .evidence(quoted(gate))
                .next("What sets these conditions (a load balancer's controller, say) has not done so."),
        );
    }
}

fn terminating(subject: &Subject<'_>, report: &mut Report) {
    let pod = subject.object;
    let since = seconds(&text(pod, "/metadata/deletionTimestamp")).unwrap_or(0);
    let late = subject.now.as_second() - since;
    let age = age_of(pod, "/metadata/deletionTimestamp", subject.now);
    let finalizers: Vec<String> = items(pod, "/metadata/finalizers").iter().map(plain).collect();
    // The time written is that by which it is to be gone.
    let finding = if late < 30 {
        subject
            .finding(Severity::Info, "ends", "it is being deleted".to_owned())
            .next("Wait until it is gone.")
    } else if finalizers.is_empty() {
        subject
            .finding(
                Severity::Error,
                "ends",
                format!("it was to be gone {age} ago, and its node has not said that it is"),
            )
            .next("Look whether the node lives; if it is lost for good, delete the pod with force.")
    } else {
        let what =
            format!("it was to be gone {age} ago, and is held by finalizers: {}", finalizers.join(", "));
        subject
            .finding(Severity::Error, "finalizers", what)
            .next("Whoever set the finalizer takes it off when done: look at that controller, or take it off by hand.")
    };
    report.found(finding.evidence(format!("deletionTimestamp {}", text(pod, "/metadata/deletionTimestamp"))));
}

/// A pod that failed as a whole.
fn lost(subject: &Subject<'_>, reason: &str) -> Finding {
    let message = text(subject.object, "/status/message");
    let (what, next) = match reason {
        "Evicted" => (
            "its node was short of something and evicted it",
            "The message says of what. Give it requests that fit, or the node more; then remove the pod (z).",
        ),
        "NodeLost" | "NodeShutdown" | "Terminated" => (
            "its node went down",
            "What keeps it has made another, if anything does; this one can be removed.",
        ),
        "DeadlineExceeded" => {
            ("it ran longer than its activeDeadlineSeconds", "Raise the deadline, or make it faster.")
        }
        "UnexpectedAdmissionError" | "OutOfcpu" | "OutOfmemory" | "OutOfpods" => (
            "its node had no room for it after all",
            "What keeps it has made another; this one can be removed.",
        ),
        _ => ("it has failed as a whole", "Do what the message names."),
    };
    subject
        .finding(Severity::Error, &format!("failed {reason}"), format!("{what} ({reason})"))
        .evidence(format!("status {reason}: {message}"))
        .next(next)
}

fn unscheduled(subject: &Subject<'_>, condition: &Value) -> Finding {
    let pod = subject.object;
    let message = text(condition, "/message");
    if text(condition, "/reason") == "SchedulingGated" {
        let gates: Vec<String> =
            items(pod, "/spec/schedulingGates").iter().map(|g| text(g, "/name")).collect();
        return subject
            .finding(Severity::Error, "gated", format!("it waits for scheduling gates: {}", gates.join(", ")))
            .evidence(quoted(condition))
            .next("Whoever set a gate takes it off when the pod may go on.");
    }
    let why = no_node(&message);
    let mut asks: Vec<String> = quantity::pod_demands(pod)
        .into_iter()
        .filter(|((_, limit), _)| !limit)
        .map(|((resource, _), n)| format!("{resource} {}", quantity::show(&resource, n)))
        .collect();
    asks.truncate(6);
    let selector: Vec<String> = pod
        .pointer("/spec/nodeSelector")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", plain(v)))
        .collect();
    let words: Vec<&str> = why.iter().map(|(w, _)| w.as_str()).collect();
    let what = if words.is_empty() {
        "no node takes it".to_owned()
    } else {
        format!("no node takes it: {}", words.join("; "))
    };
    let mut finding = subject
        .finding(Severity::Error, &format!("unscheduled {}", words.join(";")), what)
        .evidence(quoted(condition))
        .evidence(if asks.is_empty() { String::new() } else { format!("it asks for {}", asks.join(", ")) })
        .next(why.first().map_or("Read the scheduler's message.", |(_, next)| next));
    if !selector.is_empty() {
        finding = finding.evidence(format!("its nodeSelector: {}", selector.join(", ")));
    }
    finding
}

/// The scheduler's reasons, each in words with what to do. Its message is
/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: …`.
fn no_node(message: &str) -> Vec<(String, &'static str)> {
    let reasons = message.split_once("available: ").map_or(message, |(_, rest)| rest);
    let reasons = reasons.split(". ").next().unwrap_or(reasons).trim_end_matches('.');
    let mut out: Vec<(String, &'static str)> = Vec::new();
    for reason in reasons.split(", ").filter(|r| !r.is_empty()) {
        let (count, rest) = match reason.split_once(' ') {
            Some((n, rest)) if n.bytes().all(|b| b.is_ascii_digit()) => (n, rest),
            _ => ("", reason),
        };
        let nodes = if count == "1" { "1 node".to_owned() } else { format!("{count} nodes") };
        let nodes = nodes.trim_start();
        let rest = rest.trim_start_matches("node(s) ");
        let (words, next) = if let Some(what) = rest.strip_prefix("Insufficient ") {
            (
                format!("{nodes} have too little {what} left"),
                "Ask for less, free some, or add a node: what counts is what is requested, not what is used.",
            )
        } else if rest.contains("taint") {
            (
                format!("{nodes} keep it off by a taint ({})", rest.trim_start_matches("had ").trim()),
                "Give the pod a toleration of the taint, or take the taint off.",
            )
        } else if rest.contains("affinity") && rest.contains("anti") {
            (
                format!("{nodes} run a pod that it does not go beside"),
                "Loosen its anti-affinity, or add nodes.",
            )
        } else if rest.contains("selector") || rest.contains("affinity") {
            (
                format!("{nodes} do not have the labels that it asks for"),
                "Label a node as the pod's nodeSelector or affinity asks, or mend that.",
            )
        } else if rest.contains("unschedulable") {
            (format!("{nodes} are cordoned"), "Uncordon a node (u).")
        } else if rest.contains("unbound") || rest.contains("persistentvolumeclaim") {
            ("its volume claim is not bound".to_owned(), "Explain the claim: it says why it has no volume.")
        } else if rest.contains("volume node affinity") {
            (format!("{nodes} cannot reach its volume"), "Its volume is in another zone or on another node.")
        } else if rest.contains("Too many pods") {
            (format!("{nodes} hold as many pods as they may"), "Add a node, or move pods away.")
        } else if rest.contains("topology spread") {
            (
                format!("{nodes} would spread its pods unevenly"),
                "Loosen its topologySpreadConstraints, or add nodes.",
            )
        } else if rest.contains("free ports") {
            (format!("{nodes} have its host port taken"), "Run fewer of it, or without a host port.")
        } else {
            (format!("{nodes} {rest}"), "Read the scheduler's message.")
        };
        out.push((words.trim().to_owned(), next));
    }
    out
}

/// A pod that has a node, but whose containers are not made yet.
fn being_made(subject: &Subject<'_>, report: &mut Report) {
    let told = subject.warnings(&[
        "FailedMount",
        "FailedAttachVolume",
        "FailedCreatePodSandBox",
        "FailedCreatePodContainer",
        "NetworkNotReady",
        "FailedMapVolume",
    ]);
    let age = age_of(subject.object, "/status/startTime", subject.now);
    let all = told.join(" ").to_lowercase();
    let (what, next) = if all.contains("secret \"") || all.contains("configmap \"") {
        (
            "a volume that it mounts refers to a Secret or ConfigMap that is not there",
            "Make what the message names.",
        )
    } else if all.contains("attach") || all.contains("multi-attach") {
        (
            "its volume cannot be attached to the node",
            "Another node may still hold it: look at the pod that used it last, and at volumeattachments.",
        )
    } else if all.contains("mount") {
        ("a volume cannot be mounted", "Read the node's message.")
    } else if all.contains("sandbox") || all.contains("network") {
        ("its network cannot be set up on the node", "Look at the node's network plugin.")
    } else {
        let started = seconds(&text(subject.object, "/status/startTime")).unwrap_or(subject.now.as_second());
        if subject.now.as_second() - started < 60 {
            return report.found(
                subject
                    .finding(Severity::Info, "making", format!("its containers are being made since {age}"))
                    .next("Wait a moment: images may still be pulled."),
            );
        }
        (
            "its containers are not made, and the node does not say why",
            "Look at the node and its kubelet's log.",
        )
    };
    report.found(
        subject
            .finding(Severity::Error, what, format!("{what} (for {age})"))
            .all(told)
            .next(next)
            .leads(subject.lead("events", "")),
    );
}

/// What the node that it runs on says.
pub fn its_node(subject: &Subject<'_>, name: &str, node: Option<&Value>, report: &mut Report) {
    let lead = super::Lead {
        view: "describe",
        kind: "nodes".to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    let Some(node) = node else {
        return report.found(
            subject
                .finding(Severity::Error, "node", format!("its node {name} is no longer there"))
                .next("It is removed in a while; delete it to be rid of it at once.")
                .leads(lead),
        );
    };
    if let Some(ready) = condition(node, "Ready").filter(|c| text(c, "/status") != "True") {
        let since = age_of(ready, "/lastTransitionTime", subject.now);
        report.found(
            subject
                .finding(
                    Severity::Error,
                    "node",
                    format!(
                        "its node {name} has not been ready for {since}: what is said of the pod may be old"
                    ),
                )
                .evidence(quoted(ready))
                .next("Explain the node.")
                .leads(lead),
        );
    }
}

/// The objects that it cannot start without: the kind, the name, and what for.
pub fn needs(pod: &Value) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let optional = |v: &Value| v.get("optional") == Some(&Value::Bool(true));
    for volume in items(pod, "/spec/volumes") {
        let how = format!("volume {}", text(volume, "/name"));
        for (field, kind, name) in [
            ("configMap", "configmaps", "/name"),
            ("secret", "secrets", "/secretName"),
            ("persistentVolumeClaim", "persistentvolumeclaims", "/claimName"),
        ] {
            if let Some(source) = volume.get(field).filter(|s| !optional(s)) {
                all.push((kind, text(source, name), how.clone()));
            }
        }
    }
    for list in ["/spec/initContainers", "/spec/containers"] {
        for container in items(pod, list) {
            let of = text(container, "/name");
            for (at, kind) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
                for from in
                    items(container, "/envFrom").iter().filter_map(|e| e.get(at)).filter(|s| !optional(s))
                {
                    all.push((kind, text(from, "/name"), format!("environment of {of}")));
                }
            }
            for (at, kind) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
                for e in items(container, "/env") {
                    if let Some(from) = e.pointer(&format!("/valueFrom/{at}")).filter(|s| !optional(s)) {
                        all.push((kind, text(from, "/name"), format!("{} of {of}", text(e, "/name"))));
                    }
                }
            }
        }
    }
    all.retain(|(_, name, _)| !name.is_empty());
    all.sort();
    all.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
    all.truncate(20);
    all
}

/// What one of those says.
pub fn needed(
    subject: &Subject<'_>,
    kind: &'static str,
    name: &str,
    how: &str,
    found: Option<&Value>,
    report: &mut Report,
) {
    let one = kind.trim_end_matches('s');
    let lead = super::Lead {
        view: "describe",
        kind: kind.to_owned(),
        namespace: text(subject.object, "/metadata/namespace"),
        name: name.to_owned(),
        container: String::new(),
    };
    match found {
        None => report.found(
            subject
                .finding(
                    Severity::Error,
                    &format!("missing {kind} {name}"),
                    format!("the {one} {name} is not there"),
                )
                .evidence(format!("it is needed for {how}"))
                .next(format!("Make the {one} {name}, or mend its name in the pod's template.")),
        ),
        Some(claim) if kind == "persistentvolumeclaims" && text(claim, "/status/phase") != "Bound" => {
            let phase = text_or(claim, "/status/phase", "unknown");
            report.found(
                subject
                    .finding(
                        Severity::Error,
                        &format!("claim {name}"),
                        format!("its volume claim {name} is {phase}, not Bound"),
                    )
                    .evidence(format!("it is needed for {how}"))
                    .next("Explain the claim.")
                    .leads(lead),
            );
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedulers_reasons_are_put_into_words() {
        let all = no_node(
            "0/9 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, \
             8 Insufficient cpu. preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling.",
        );
        let words: Vec<&str> = all.iter().map(|(w, _)| w.as_str()).collect();
        assert_eq!(words[1], "8 nodes have too little cpu left");
        assert!(words[0].starts_with("1 node keep it off by a taint"), "{words:?}");
        assert!(no_node("0/3 nodes are available: 3 node(s) were unschedulable.")[0].0.ends_with("cordoned"));
        let odd = no_node("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
        assert_eq!(odd[0].0, "its volume claim is not bound");
    }
}
