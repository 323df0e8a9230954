//! What is wrong with what keeps pods: its own conditions, what it could not make, and the causes that its pods share.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Finding, Report, Severity, Subject, condition, pod, quoted};
use crate::kube::objects::describe::part::{age_of, items, number, text};
use crate::kube::objects::events::EventRow;
use crate::kube::objects::rollout::status::{self, State};

/// `events` are those of pods of the namespace, `refused` those of what stands between (a Deployment's ReplicaSets).
pub fn workload(
    subject: &Subject<'_>,
    pods: &[Value],
    events: &[EventRow],
    refused: &[EventRow],
    report: &mut Report,
) {
    report.looked_at =
        vec!["its numbers".to_owned(), "its conditions".to_owned(), format!("{} pods", pods.len())];
    // What its pods and the API server say is why; that too few are ready is only what follows.
    not_made(subject, refused, report);
    its_pods(subject, pods, events, report);
    let object = subject.object;
    match text(object, "/kind").as_str() {
        "Job" => job(subject, report),
        kind => {
            let wanted = match kind {
                "DaemonSet" => number(object, "/status/desiredNumberScheduled"),
                _ => object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
            };
            numbers(subject, wanted, report);
        }
    }
}

fn numbers(subject: &Subject<'_>, wanted: i64, report: &mut Report) {
    let object = subject.object;
    let ready = number(object, "/status/readyReplicas").max(number(object, "/status/numberReady"));
    if wanted == 0 {
        let none = "it is scaled to no pods".to_owned();
        report.found(subject.finding(Severity::Info, "zero", none).next("Scale it (s) if it is to run."));
    } else if ready < wanted {
        let severity = if ready == 0 { Severity::Error } else { Severity::Warning };
        let what = format!("{ready} of {wanted} pods are ready");
        let conditions = items(object, "/status/conditions");
        let bad = conditions.iter().find(|c| text(c, "/type") == "Available" && text(c, "/status") != "True");
        report.found(
            subject
                .finding(severity, "ready", what)
                .evidence(bad.map(quoted).unwrap_or_default())
                .next("The findings about its pods say why."),
        );
    }
    if &*text(object, "/kind") == "ReplicaSet" {
        return;
    }
    let rollout = status::of(object);
    match rollout.state {
        State::Failed => report.found(
            subject
                .finding(Severity::Error, "rollout", format!("its rollout hangs: {}", rollout.message))
                .evidence(condition(object, "Progressing").map(quoted).unwrap_or_default())
                .next("Mend what its new pods say, or go back to the revision before (v, u)."),
        ),
        State::Paused => report.found(
            subject
                .finding(Severity::Warning, "paused", format!("its rollout is {}", rollout.message))
                .next("Resume it (v, p) when its changes are to be rolled out."),
        ),
        State::Progressing => report.found(
            subject
                .finding(Severity::Info, "rollout", format!("it is being rolled out: {}", rollout.message))
                .next("v follows it."),
        ),
        State::Complete | State::Manual => {}
    }
}

/// Pods that could not even be made: quotas, admission, what a template asks for and may not have.
fn not_made(subject: &Subject<'_>, refused: &[EventRow], report: &mut Report) {
    let own = subject.events.iter();
    let mut told: Vec<&EventRow> = own
        .chain(refused)
        .filter(|e| matches!(e.reason.as_str(), "FailedCreate" | "ReplicaSetCreateError"))
        .collect();
    told.sort_by_key(|e| -e.last);
    let failure = condition(subject.object, "ReplicaFailure").filter(|c| text(c, "/status") == "True");
    let message = match (failure, told.first()) {
        (Some(c), _) => text(c, "/message"),
        // What failed an hour ago may be mended.
        (None, Some(e)) if subject.now.as_second() - e.last < 900 => e.message.clone(),
        _ => return,
    };
    let (why, next) = if message.contains("exceeded quota") {
        ("a quota of the namespace is used up", "Ask for less, free some of the quota, or have it raised.")
    } else if message.contains("admission webhook") || message.contains("denied") {
        (
            "an admission policy of the cluster refuses them",
            "Change what the message names, or ask who keeps the policy.",
        )
    } else if message.contains("violates PodSecurity") {
        (
            "the namespace's pod security standard forbids them",
            "Change the security context as the message says.",
        )
    } else if message.contains("serviceaccount") && message.contains("not found") {
        ("their service account is not there", "Make the service account, or mend its name.")
    } else if message.contains("must be less than or equal to") || message.contains("minimum") {
        ("a LimitRange of the namespace forbids what they ask for", "Ask for what the message allows.")
    } else {
        ("the API server refuses them", "Mend what the message names.")
    };
    report.found(
        subject
            .finding(Severity::Error, "not made", format!("its pods are not made: {why}"))
            .evidence(failure.map(quoted).unwrap_or_default())
            .evidence(told.first().map(|e| subject.event(e)).unwrap_or_default())
            .next(next)
            .leads(subject.lead("events", "")),
    );
}

/// The causes that its pods share, each with how many have it and one pod as the evidence.
fn its_pods(subject: &Subject<'_>, pods: &[Value], events: &[EventRow], report: &mut Report) {
    let mut causes: BTreeMap<String, (usize, Finding, String)> = BTreeMap::new();
    let uid = text(subject.object, "/metadata/uid");
    let direct = |p: &Value| items(p, "/metadata/ownerReferences").iter().any(|o| text(o, "/uid") == uid);
    let is_deployment = text(subject.object, "/kind") == "Deployment";
    let own: Vec<&Value> = pods.iter().filter(|p| is_deployment || direct(p)).collect();
    for pod in &own {
        let name = text(pod, "/metadata/name");
        let about = format!("pod/{name}");
        let its: Vec<EventRow> = events
            .iter()
            .filter(|e| e.object == about || e.object.starts_with(&format!("{about} ")))
            .cloned()
            .collect();
        let of_pod = Subject { object: pod, kind: "pods".to_owned(), events: &its, now: subject.now };
        let mut found = Report::default();
        pod::pod(&of_pod, &mut found);
        for finding in found.findings.into_iter().filter(|f| f.severity < Severity::Info) {
            let entry = causes.entry(finding.cause.clone());
            entry.and_modify(|(n, _, _)| *n += 1).or_insert((1, finding, name.clone()));
        }
    }
    let mut all: Vec<(usize, Finding, String)> = causes.into_values().collect();
    all.sort_by_key(|(n, f, _)| (f.severity, std::cmp::Reverse(*n)));
    for (count, mut finding, name) in all.into_iter().take(6) {
        let of = own.len();
        finding.what = match count {
            1 if of == 1 => format!("its pod {name}: {}", finding.what),
            1 => format!("1 of {of} pods, {name}: {}", finding.what),
            n => format!("{n} of {of} pods, {name} for one: {}", finding.what),
        };
        report.found(finding);
    }
}

fn job(subject: &Subject<'_>, report: &mut Report) {
    let job = subject.object;
    if let Some(failed) = condition(job, "Failed").filter(|c| text(c, "/status") == "True") {
        let (why, next) = match text(failed, "/reason").as_str() {
            "BackoffLimitExceeded" => {
                ("its pods failed more often than backoffLimit allows", "Read the log of a failed pod.")
            }
            "DeadlineExceeded" => {
                ("it took longer than activeDeadlineSeconds", "Raise the deadline, or find out what is slow.")
            }
            "PodFailurePolicy" => ("its pod failure policy ended it", "The message names the rule."),
            _ => ("it has failed", "The message says why."),
        };
        report.found(
            subject
                .finding(Severity::Error, "failed", format!("the job has failed: {why}"))
                .evidence(quoted(failed))
                .evidence(format!("{} pods failed", number(job, "/status/failed")))
                .next(next),
        );
        return;
    }
    if job.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        let what = "the job is suspended: it makes no pods".to_owned();
        report
            .found(subject.finding(Severity::Warning, "suspended", what).next("Set spec.suspend to false."));
    }
    if condition(job, "Complete").is_some_and(|c| text(c, "/status") == "True") {
        report.looked_at = vec!["it has run to its end".to_owned()];
    } else if number(job, "/status/failed") > 0 {
        let (failed, limit) = (number(job, "/status/failed"), number(job, "/spec/backoffLimit"));
        let what = format!("{failed} of its pods have failed; it gives up after {limit} retries");
        report
            .found(subject.finding(Severity::Warning, "retries", what).next("Read the log of a failed pod."));
    }
}

pub fn cron_job(subject: &Subject<'_>, report: &mut Report) {
    let cron = subject.object;
    report.looked_at = vec!["its schedule".to_owned(), "its last runs".to_owned(), "its events".to_owned()];
    if cron.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        let what = "it is suspended: its schedule makes no jobs".to_owned();
        report.found(subject.finding(Severity::Warning, "suspended", what).next("s resumes it."));
    }
    let (last, good) = (text(cron, "/status/lastScheduleTime"), text(cron, "/status/lastSuccessfulTime"));
    let active = items(cron, "/status/active").len();
    if last.is_empty() {
        let age = age_of(cron, "/metadata/creationTimestamp", subject.now);
        let what = format!("it has not run yet since it was made {age} ago");
        report.found(subject.finding(Severity::Info, "never", what).next("t runs it now."));
    } else if good.is_empty() || (good < last && active == 0) {
        let since = if good.is_empty() {
            "no run of it has succeeded".to_owned()
        } else {
            format!("its last success was {} ago", age_of(cron, "/status/lastSuccessfulTime", subject.now))
        };
        let ago = age_of(cron, "/status/lastScheduleTime", subject.now);
        report.found(
            subject
                .finding(
                    Severity::Error,
                    "runs fail",
                    format!("its last run, {ago} ago, did not succeed: {since}"),
                )
                .evidence(format!("lastScheduleTime {last}, lastSuccessfulTime {good}"))
                .next("Explain its newest job."),
        );
    }
    let told = subject.warnings(&[
        "FailedNeedsStart",
        "TooManyMissedTimes",
        "InvalidSchedule",
        "UnknownTimeZone",
        "FailedCreate",
    ]);
    if !told.is_empty() {
        report.found(
            subject
                .finding(Severity::Error, "schedule", "its schedule cannot be kept".to_owned())
                .all(told)
                .next("Mend what the message names.")
                .leads(subject.lead("events", "")),
        );
    }
}
