//! Jobs, and the cron jobs that make them.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Control;
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, items, number, owner_reference, parse_stamp, stamp, text};

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let job = object.value();
    let ended = |v: &Value| {
        items(v, "status.conditions")
            .iter()
            .any(|c| matches!(text(c, "type"), "Complete" | "Failed") && c["status"] == "True")
    };
    if job["metadata"].get("deletionTimestamp").is_some()
        || ended(&job)
        || job["spec"]["suspend"].as_bool() == Some(true)
    {
        return None;
    }
    let pods: Vec<Value> = control.owned(("", "pods"), object).iter().map(|o| o.value()).collect();
    let count = |phase: &str| pods.iter().filter(|p| text(p, "status.phase") == phase).count() as i64;
    let (done, failed) = (count("Succeeded"), count("Failed"));
    let active = pods.len() as i64 - done - failed;
    let wanted = job["spec"]["completions"].as_i64().unwrap_or(1);
    let limit = number(&job, "spec.backoffLimit");
    let now = Timestamp::now();
    let start = parse_stamp(&job["status"]["startTime"]).unwrap_or(now);
    let mut status = json!({"startTime": stamp(start)});
    let mut again = None;
    let condition = |ty: &str, reason: &str, message: &str| {
        json!({"type": ty, "status": "True", "lastProbeTime": stamp(now), "lastTransitionTime": stamp(now),
               "reason": reason, "message": message})
    };
    if done >= wanted {
        status["completionTime"] = stamp(now).into();
        let message = "Reached expected number of succeeded pods";
        status["conditions"] = json!([
            condition("SuccessCriteriaMet", "CompletionsReached", message),
            condition("Complete", "CompletionsReached", message),
        ]);
        control.tell(kind, &job, "job-controller", false, "Completed", "Job completed");
    } else if failed > limit {
        let message = "Job has reached the specified backoff limit";
        status["conditions"] = json!([
            condition("FailureTarget", "BackoffLimitExceeded", message),
            condition("Failed", "BackoffLimitExceeded", message),
        ]);
        control.tell(kind, &job, "job-controller", true, "BackoffLimitExceeded", message);
    } else {
        let missing = (wanted - done).min(number(&job, "spec.parallelism").max(1)) - active;
        // A failed pod is followed by the next one after ten seconds, then twenty.
        let last_end = pods.iter().filter_map(ended_at).max();
        let wait = last_end
            .filter(|_| failed > 0)
            .map(|t| t + SignedDuration::from_secs(10 << (failed - 1).clamp(0, 5)));
        if missing > 0 && wait.is_some_and(|t| t > now) {
            again = wait;
        } else {
            for _ in 0..missing.max(0) {
                make_pod(control, kind, object, &job);
            }
        }
        if active + missing.max(0) > 0 {
            status["active"] = (active + if again.is_none() { missing.max(0) } else { 0 }).into();
        }
        status["ready"] = 0.into();
    }
    for (key, n) in [("succeeded", done), ("failed", failed)] {
        if n > 0 {
            status[key] = n.into();
        }
    }
    status["terminating"] = 0.into();
    status["uncountedTerminatedPods"] = json!({});
    if let Some(fresh) = control.state.store.get(kind.id, &object.namespace, &object.name) {
        control.set_status(kind, &fresh, status);
    }
    again
}

fn ended_at(pod: &Value) -> Option<Timestamp> {
    items(pod, "status.containerStatuses")
        .iter()
        .filter_map(|c| parse_stamp(&c["state"]["terminated"]["finishedAt"]))
        .max()
}

fn make_pod(control: &Control, kind: &Kind, object: &Object, job: &Value) {
    let mut template = job["spec"]["template"].clone();
    for (key, value) in job_labels(job) {
        template["metadata"]["labels"][key] = value.into();
    }
    let name = format!("{}-{}", object.name, control.state.rng.lock().suffix(5));
    if control.make_pod(kind, job, &template, &name).is_some() {
        control.tell(kind, job, "job-controller", false, "SuccessfulCreate", &format!("Created pod: {name}"));
    }
}

fn job_labels(job: &Value) -> [(&'static str, String); 4] {
    let (uid, name) = (text(job, "metadata.uid").to_owned(), text(job, "metadata.name").to_owned());
    [
        ("batch.kubernetes.io/controller-uid", uid.clone()),
        ("batch.kubernetes.io/job-name", name.clone()),
        ("controller-uid", uid),
        ("job-name", name),
    ]
}

/// Makes the jobs of a cron job when their time comes, and takes out the oldest ones.
pub(super) fn schedule(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let cron = object.value();
    if cron["metadata"].get("deletionTimestamp").is_some() {
        return None;
    }
    let jobs_kind = control.state.kind("batch", "jobs")?;
    let jobs: Vec<(Arc<Object>, Value)> =
        control.owned(("batch", "jobs"), object).into_iter().map(|o| (o.clone(), o.value())).collect();
    let done = |v: &Value, ty: &str| {
        items(v, "status.conditions").iter().any(|c| c["type"] == ty && c["status"] == "True")
    };
    for (ty, key) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")] {
        let keep = usize::try_from(cron["spec"][key].as_i64().unwrap_or(1)).unwrap_or(1);
        let mut ended: Vec<_> = jobs.iter().filter(|(_, v)| done(v, ty)).collect();
        ended.sort_by_key(|(o, _)| o.version);
        for (job, _) in ended.iter().take(ended.len().saturating_sub(keep)) {
            let _ = control.state.store.remove(jobs_kind.id, &job.namespace, &job.name, None);
        }
    }
    let every = interval(text(&cron, "spec.schedule"));
    let now = Timestamp::now();
    let slot = now.as_second() / every * every;
    let next = Timestamp::from_second(slot + every).ok();
    let active: Vec<&(Arc<Object>, Value)> =
        jobs.iter().filter(|(_, v)| !done(v, "Complete") && !done(v, "Failed")).collect();
    let last = parse_stamp(&cron["status"]["lastScheduleTime"]).map_or(0, Timestamp::as_second);
    let due = last < slot && cron["spec"]["suspend"].as_bool() != Some(true);
    let blocked = text(&cron, "spec.concurrencyPolicy") == "Forbid" && !active.is_empty();
    let mut status = cron["status"].clone();
    let mut running: Vec<Value> = active.iter().map(|(o, v)| reference(o, v)).collect();
    if due && !blocked {
        let name = format!("{}-{}", object.name, slot / 60);
        if let Some(made) = make_job(control, kind, &jobs_kind, &cron, &name) {
            running.push(reference(&made, &made.value()));
            let message = format!("Created job {name}");
            control.tell(kind, &cron, "cronjob-controller", false, "SuccessfulCreate", &message);
        }
        status["lastScheduleTime"] = Timestamp::from_second(slot).map(stamp).unwrap_or_default().into();
    }
    let success = jobs.iter().filter_map(|(_, v)| v["status"]["completionTime"].as_str()).max();
    if let Some(success) = success {
        status["lastSuccessfulTime"] = success.into();
    }
    if let Some(map) = status.as_object_mut() {
        map.shift_remove("active");
    }
    if !running.is_empty() {
        status["active"] = running.into();
    }
    if let Some(fresh) = control.state.store.get(kind.id, &object.namespace, &object.name) {
        control.set_status(kind, &fresh, status);
    }
    next
}

fn reference(object: &Object, value: &Value) -> Value {
    json!({"kind": "Job", "namespace": object.namespace.as_str(), "name": object.name.as_str(),
           "uid": value["metadata"]["uid"], "apiVersion": "batch/v1", "resourceVersion": object.version.to_string()})
}

fn make_job(control: &Control, kind: &Kind, jobs: &Kind, cron: &Value, name: &str) -> Option<Arc<Object>> {
    let template = &cron["spec"]["jobTemplate"];
    let mut job = json!({
        "metadata": {"name": name, "namespace": text(cron, "metadata.namespace"), "generation": 1,
                     "labels": cron["metadata"]["labels"],
                     "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": stamp(Timestamp::now())},
                     "ownerReferences": [owner_reference(kind, cron)]},
        "spec": template["spec"], "status": {},
    });
    crate::lab::write::prepare_job(&mut job, &control.state.uuid());
    control.create(jobs, job)
}

/// Seconds between the runs of a schedule: `*/N * * * *` and `* * * * *`; anything else once an hour.
fn interval(schedule: &str) -> i64 {
    let minutes = schedule.split(' ').next().unwrap_or_default();
    match minutes.strip_prefix("*/") {
        Some(n) => n.parse::<i64>().map_or(3600, |n| n.clamp(1, 60) * 60),
        None if minutes == "*" => 60,
        None => 3600,
    }
}
