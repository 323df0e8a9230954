//! What is wrong with a volume claim.

use serde_json::Value;

use super::{Report, Severity, Subject, condition, quoted};
use crate::kube::objects::describe::part::{age_of, items, plain, text};

/// `class` is the claim's storage class: absent where it names none or it was not read, and inside that, where it is not
/// there.
pub fn claim(subject: &Subject<'_>, class: Option<Option<&Value>>, pods: &[Value], report: &mut Report) {
    let claim = subject.object;
    report.looked_at =
        ["its phase", "its storage class", "its volume", "its events"].map(str::to_owned).to_vec();
    let name = subject.name();
    let users: Vec<String> = pods
        .iter()
        .filter(|p| {
            let volumes = items(p, "/spec/volumes");
            volumes.iter().any(|v| text(v, "/persistentVolumeClaim/claimName") == name)
        })
        .map(|p| text(p, "/metadata/name"))
        .collect();
    if !text(claim, "/metadata/deletionTimestamp").is_empty() {
        let finalizers: Vec<String> = items(claim, "/metadata/finalizers").iter().map(plain).collect();
        let age = age_of(claim, "/metadata/deletionTimestamp", subject.now);
        let what = format!("it is being deleted for {age}, and goes once nothing uses it");
        report.found(
            subject
                .finding(Severity::Warning, "deleted", what)
                .evidence(format!("finalizers: {}", finalizers.join(", ")))
                .evidence(if users.is_empty() {
                    String::new()
                } else {
                    format!("used by {}", users.join(", "))
                })
                .next("Remove the pods that use it, if it is to go."),
        );
    }
    match text(claim, "/status/phase").as_str() {
        "Pending" => pending(subject, class, &users, report),
        "Lost" => report.found(
            subject
                .finding(
                    Severity::Error,
                    "lost",
                    format!("its volume {} is gone, and its data with it", text(claim, "/spec/volumeName")),
                )
                .next("Restore the data into a new claim."),
        ),
        _ => {}
    }
    for kind in ["FileSystemResizePending", "Resizing", "ControllerResizeError", "NodeResizeError"] {
        if let Some(c) = condition(claim, kind).filter(|c| text(c, "/status") == "True") {
            let failed = kind.ends_with("Error");
            let severity = if failed { Severity::Error } else { Severity::Warning };
            let what = if failed { "it could not be made larger" } else { "it is being made larger" };
            let next = match kind {
                "FileSystemResizePending" => "It is done when a pod that uses it starts again.",
                _ => "The message says how far it is.",
            };
            report.found(subject.finding(severity, kind, what.to_owned()).evidence(quoted(c)).next(next));
        }
    }
}

fn pending(subject: &Subject<'_>, class: Option<Option<&Value>>, users: &[String], report: &mut Report) {
    let claim = subject.object;
    let wanted = text(claim, "/spec/storageClassName");
    let age = age_of(claim, "/metadata/creationTimestamp", subject.now);
    let told = subject.warnings(&["ProvisioningFailed", "FailedBinding", "VolumeMismatch"]);
    let waits = subject
        .events
        .iter()
        .filter(|e| e.reason == "WaitForFirstConsumer" || e.reason == "WaitForPodScheduled");
    let waits: Vec<String> = waits.take(1).map(|e| subject.event(e)).collect();
    let late = class.flatten().is_some_and(|c| text(c, "/volumeBindingMode") == "WaitForFirstConsumer");
    let found = if !wanted.is_empty() && class == Some(None) {
        subject
            .finding(Severity::Error, "class", format!("its storage class {wanted} is not there"))
            .all(told)
            .next("Name a class that there is (:sc), or make this one: a claim's class cannot be changed, so make it anew.")
    } else if !told.is_empty() {
        subject
            .finding(Severity::Error, "provisioning", format!("no volume could be made for it for {age}"))
            .all(told)
            .next("The provisioner's message says why; look at its log too.")
            .leads(subject.lead("events", ""))
    } else if (late || !waits.is_empty()) && users.is_empty() {
        subject
            .finding(Severity::Info, "waits", "it waits for the first pod that uses it".to_owned())
            .all(waits)
            .next("That is how its storage class is meant: a pod that uses it gets it a volume.")
    } else if late || !waits.is_empty() {
        subject
            .finding(
                Severity::Warning,
                "waits",
                format!("it waits until the pod that uses it has a node: {}", users.join(", ")),
            )
            .all(waits)
            .next("Explain that pod.")
    } else if wanted.is_empty() {
        subject
            .finding(
                Severity::Error,
                "no class",
                format!("it has waited for {age}: it names no storage class, and no volume fits it"),
            )
            .next("Name a storage class, mark one as the default, or make a volume that fits.")
    } else {
        let who = class.flatten().map(|c| text(c, "/provisioner")).unwrap_or_default();
        let subject_words = if who.is_empty() { "whoever provisions it".to_owned() } else { who };
        subject
            .finding(
                Severity::Error,
                "silent",
                format!("it has waited for {age}, and {subject_words} says nothing"),
            )
            .next("Look whether the provisioner runs.")
    };
    report.found(found);
}
