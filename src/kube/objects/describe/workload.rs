//! What keeps pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs, and what scales them.

use jiff::Timestamp;
use serde_json::Value;

use super::part::{self, items, number, plain, text, text_or};
use super::sheet::Sheet;
use super::{Extras, pod};

pub fn workload(sheet: &mut Sheet, kind: &str, w: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, w, now);
    sheet.some("Controlled By", part::controller(w));
    sheet.field("Selector", part::selector(w.pointer("/spec/selector").unwrap_or(&Value::Null)));
    replicas(sheet, kind, w);
    strategy(sheet, kind, w);
    pods_status(sheet, extras);
    template(sheet, w.pointer("/spec/template").unwrap_or(&Value::Null));
    for claim in items(w, "/spec/volumeClaimTemplates") {
        sheet.section(format!("Volume Claim {}", text(claim, "/metadata/name")), |s| claim_sheet(s, claim));
    }
    part::conditions(sheet, w, now);
    let mut sets: Vec<&Value> = extras.replica_sets.iter().collect();
    sets.sort_by_key(|rs| std::cmp::Reverse(revision(rs)));
    let rows = sets
        .into_iter()
        .map(|rs| {
            vec![
                text(rs, "/metadata/name"),
                revision(rs).to_string(),
                text_or(rs, "/status/replicas", "0"),
                text_or(rs, "/status/readyReplicas", "0"),
                items(rs, "/spec/template/spec/containers")
                    .iter()
                    .map(|c| text(c, "/image"))
                    .collect::<Vec<_>>()
                    .join(","),
                part::age_of(rs, "/metadata/creationTimestamp", now),
            ]
        })
        .collect();
    sheet.section("ReplicaSets, newest first", |s| {
        s.table(&["Name", "Revision", "Pods", "Ready", "Images", "Age"], rows);
    });
}

fn revision(replica_set: &Value) -> i64 {
    text(replica_set, "/metadata/annotations/deployment.kubernetes.io~1revision").parse().unwrap_or(0)
}

fn replicas(sheet: &mut Sheet, kind: &str, w: &Value) {
    if kind == "DaemonSet" {
        sheet.field(
            "Nodes",
            format!(
                "{} wanted | {} current | {} up to date | {} ready | {} available | {} misscheduled",
                number(w, "/status/desiredNumberScheduled"),
                number(w, "/status/currentNumberScheduled"),
                number(w, "/status/updatedNumberScheduled"),
                number(w, "/status/numberReady"),
                number(w, "/status/numberAvailable"),
                number(w, "/status/numberMisscheduled"),
            ),
        );
        return;
    }
    let mut parts = vec![
        format!("{} wanted", text_or(w, "/spec/replicas", "1")),
        format!("{} there", number(w, "/status/replicas")),
    ];
    if kind == "Deployment" || kind == "StatefulSet" {
        parts.push(format!("{} updated", number(w, "/status/updatedReplicas")));
    }
    parts.push(format!("{} ready", number(w, "/status/readyReplicas")));
    parts.push(format!("{} available", number(w, "/status/availableReplicas")));
    if kind == "Deployment" {
        parts.push(format!("{} unavailable", number(w, "/status/unavailableReplicas")));
    }
    sheet.field("Replicas", parts.join(" | "));
    if w.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        sheet.field("Paused", "true: changes of the template wait until it is resumed");
    }
}

fn strategy(sheet: &mut Sheet, kind: &str, w: &Value) {
    let (at, rolling) = match kind {
        "Deployment" => ("/spec/strategy", "rollingUpdate"),
        "StatefulSet" | "DaemonSet" => ("/spec/updateStrategy", "rollingUpdate"),
        _ => return,
    };
    let Some(strategy) = w.pointer(at) else { return };
    let details = part::pairs(strategy, &format!("/{rolling}"), " ").join(", ");
    let kind = text(strategy, "/type");
    sheet.field("Strategy", if details.is_empty() { kind } else { format!("{kind}: {details}") });
    sheet.some("Min Ready Seconds", text(w, "/spec/minReadySeconds"));
    sheet.some("Revision", text(w, "/metadata/annotations/deployment.kubernetes.io~1revision"));
    sheet.some("Pod Management", text(w, "/spec/podManagementPolicy"));
    sheet.some("Service", text(w, "/spec/serviceName"));
}

/// How many pods are in which state; what fails comes with its words.
fn pods_status(sheet: &mut Sheet, extras: &Extras) {
    if extras.pods.is_empty() {
        return;
    }
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for p in &extras.pods {
        *counts.entry(pod::status(p)).or_default() += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(word, n)| format!("{n} {word}")).collect();
    sheet.field("Pods Status", parts.join(" | "));
}

fn template(sheet: &mut Sheet, template: &Value) {
    if template.is_null() {
        return;
    }
    sheet.section("Pod Template", |s| {
        s.list("Labels", part::pairs(template, "/metadata/labels", "="));
        s.some_list("Annotations", part::pairs(template, "/metadata/annotations", ": "));
        pod::template(s, template);
    });
}

fn claim_sheet(s: &mut Sheet, claim: &Value) {
    s.field("Storage Class", text(claim, "/spec/storageClassName"));
    s.field("Capacity", text(claim, "/spec/resources/requests/storage"));
    s.field(
        "Access Modes",
        items(claim, "/spec/accessModes").iter().map(plain).collect::<Vec<_>>().join(", "),
    );
}

pub fn job(sheet: &mut Sheet, job: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, job, now);
    sheet.some("Controlled By", part::controller(job));
    sheet.field("Selector", part::selector(job.pointer("/spec/selector").unwrap_or(&Value::Null)));
    sheet.field("Parallelism", text_or(job, "/spec/parallelism", "1"));
    sheet.field("Completions", text_or(job, "/spec/completions", "any one"));
    sheet.some("Completion Mode", text(job, "/spec/completionMode"));
    sheet.some("Backoff Limit", text(job, "/spec/backoffLimit"));
    sheet.some("Deadline Seconds", text(job, "/spec/activeDeadlineSeconds"));
    sheet.some("TTL After Finish", text(job, "/spec/ttlSecondsAfterFinished"));
    sheet.some("Suspended", text(job, "/spec/suspend"));
    sheet.some("Started", part::time(job, "/status/startTime", now));
    sheet.some("Completed", part::time(job, "/status/completionTime", now));
    sheet.field(
        "Pods",
        format!(
            "{} active ({} ready) | {} succeeded | {} failed",
            number(job, "/status/active"),
            number(job, "/status/ready"),
            number(job, "/status/succeeded"),
            number(job, "/status/failed"),
        ),
    );
    sheet.some("Completed Indexes", text(job, "/status/completedIndexes"));
    pods_status(sheet, extras);
    template(sheet, job.pointer("/spec/template").unwrap_or(&Value::Null));
    part::conditions(sheet, job, now);
}

pub fn cron_job(sheet: &mut Sheet, c: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, c, now);
    sheet.field("Schedule", text(c, "/spec/schedule"));
    sheet.some("Time Zone", text(c, "/spec/timeZone"));
    sheet.field("Concurrency Policy", text(c, "/spec/concurrencyPolicy"));
    sheet.field("Suspended", text_or(c, "/spec/suspend", "false"));
    sheet.some("Starting Deadline", text(c, "/spec/startingDeadlineSeconds"));
    sheet.field(
        "History Limits",
        format!(
            "{} successful, {} failed",
            text(c, "/spec/successfulJobsHistoryLimit"),
            text(c, "/spec/failedJobsHistoryLimit")
        ),
    );
    sheet.field("Last Schedule", part::time(c, "/status/lastScheduleTime", now));
    sheet.field("Last Success", part::time(c, "/status/lastSuccessfulTime", now));
    sheet.list("Active Jobs", items(c, "/status/active").iter().map(|j| text(j, "/name")).collect());
    let rows = extras.jobs.iter().map(|j| {
        let end = items(j, "/status/conditions")
            .iter()
            .find(|c| text(c, "/status") == "True" && text(c, "/type") != "Suspended");
        vec![
            text(j, "/metadata/name"),
            end.map_or_else(|| "Running".to_owned(), |c| text(c, "/type")),
            part::age_of(j, "/metadata/creationTimestamp", now),
        ]
    });
    let rows = rows.collect();
    sheet.section("Jobs", |s| s.table(&["Name", "Status", "Age"], rows));
    template(sheet, c.pointer("/spec/jobTemplate/spec/template").unwrap_or(&Value::Null));
}

pub fn autoscaler(sheet: &mut Sheet, h: &Value, now: Timestamp) {
    part::head(sheet, h, now);
    sheet.field(
        "Reference",
        format!("{}/{}", text(h, "/spec/scaleTargetRef/kind"), text(h, "/spec/scaleTargetRef/name")),
    );
    sheet.field(
        "Replicas",
        format!(
            "{} now | {} wanted | at least {} | at most {}",
            number(h, "/status/currentReplicas"),
            number(h, "/status/desiredReplicas"),
            text_or(h, "/spec/minReplicas", "1"),
            text(h, "/spec/maxReplicas"),
        ),
    );
    sheet.some("Last Scaled", part::time(h, "/status/lastScaleTime", now));
    sheet.section("Metrics", |s| {
        for (i, metric) in items(h, "/spec/metrics").iter().enumerate() {
            let now = items(h, "/status/currentMetrics").get(i);
            s.field(
                &metric_name(metric),
                format!(
                    "{} of {}",
                    now.map_or("<unknown>".to_owned(), |m| metric_value(m, "current")),
                    metric_value(metric, "target")
                ),
            );
        }
    });
    sheet.section("Behavior", |s| {
        if let Some(b) = h.pointer("/spec/behavior").and_then(Value::as_object) {
            part::tree(s, b);
        }
    });
    part::conditions(sheet, h, now);
}

fn metric_body(metric: &Value) -> &Value {
    let key = text(metric, "/type");
    let mut chars = key.chars();
    let key: String = chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default();
    metric.get(&key).unwrap_or(&Value::Null)
}

fn metric_name(metric: &Value) -> String {
    let body = metric_body(metric);
    let name = text_or(body, "/name", &text(body, "/metric/name"));
    format!("{} {name}", text(metric, "/type")).trim().to_owned()
}

fn metric_value(metric: &Value, side: &str) -> String {
    let value = metric_body(metric).get(side).unwrap_or(&Value::Null);
    if let Some(percent) = value.get("averageUtilization") {
        return format!("{}%", plain(percent));
    }
    text_or(value, "/averageValue", &text_or(value, "/value", "<unknown>"))
}
