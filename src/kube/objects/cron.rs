//! Cron jobs: a job of theirs now, and stopping or resuming their schedule.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::amend;
use super::describe::part::{age_of, items, text};
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, comparable_new, refusal, sides};
use crate::base;
use crate::kube::{Call, Resource};

/// What suspending (or going on) would do.
pub async fn plan_suspend(place: &Place, suspend: bool, now: Timestamp) -> base::Result<Plan> {
    let (mut plan, live) = amend::plan(place, |object: &mut Value| turn(object, suspend)).await?;
    let running = items(&live, "/status/active").len();
    if suspend && running > 0 {
        plan.affects.push(format!("{running} jobs that run now go on"));
    }
    plan.affects.push(format!("schedule: {}", text(&live, "/spec/schedule")));
    if !suspend && live.pointer("/spec/startingDeadlineSeconds").is_none() {
        let last = age_of(&live, "/status/lastScheduleTime", now);
        plan.warnings.push(format!(
            "without startingDeadlineSeconds a run that was missed is made up for at once (last run {last} ago)"
        ));
    }
    Ok(plan)
}

/// Suspends, or lets go on.
pub async fn suspend(place: &Place, suspend: bool, seen: Option<&Seen>) -> base::Result<Seen> {
    let after = amend::run(place, seen, |object: &mut Value| turn(object, suspend)).await?;
    Ok(Seen::of(&after))
}

fn turn(object: &mut Value, suspend: bool) -> base::Result<()> {
    let suspended = object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    if suspended == suspend {
        let word = if suspend { "suspended already" } else { "not suspended" };
        let name = text(object, "/metadata/name");
        return Err(base::Error::new(base::Code::Conflict, format!("cronjob {name} is {word}"))
            .next("There is nothing to do."));
    }
    object["spec"]["suspend"] = json!(suspend);
    Ok(())
}

/// What a job made now would be.
pub async fn plan_trigger(place: &Place) -> base::Result<Plan> {
    let live = place.get().await?;
    let wanted = job(place, &live, None);
    let mut made = create(place, &wanted, true).await?;
    let drawn = text(&made, "/metadata/name");
    // The name is drawn again when it is made.
    forget(&mut made, &drawn);
    comparable_new(&mut made, &wanted, &jobs(place).await?);
    let (before, after) = sides(None, made);
    let mut plan = Plan {
        seen: Some(Seen::of(&live)),
        before,
        after,
        checks: vec!["server dry run ok".to_owned()],
        ..Plan::default()
    };
    let running = items(&live, "/status/active");
    let policy = text(&live, "/spec/concurrencyPolicy");
    if !running.is_empty() {
        let names: Vec<String> = running.iter().map(|r| text(r, "/name")).collect();
        plan.warnings.push(format!(
            "{} of its jobs run already ({}); concurrencyPolicy {policy} does not hold this one back",
            running.len(),
            names.join(", ")
        ));
    }
    if live.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
        plan.affects.push("its schedule stays suspended".to_owned());
    }
    Ok(plan)
}

/// Makes a job of it now; the job's name. With `seen`, only as the cron job is in that state.
pub async fn trigger(place: &Place, name: Option<&str>, seen: Option<&Seen>) -> base::Result<(String, Seen)> {
    let live = place.get().await?;
    // Its status moves with every run; only another template is another job.
    if let Some(seen) = seen {
        place.expect(&live, Some(&Seen { uid: seen.uid.clone(), revision: String::new() }))?;
    }
    let made = create(place, &job(place, &live, name), false).await?;
    Ok((text(&made, "/metadata/name"), Seen::of(&made)))
}

/// The job as `kubectl create job --from` makes it.
fn job(place: &Place, cron: &Value, name: Option<&str>) -> Value {
    let template = cron.pointer("/spec/jobTemplate").cloned().unwrap_or_default();
    let mut annotations = template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    annotations["cronjob.kubernetes.io/instantiate"] = json!("manual");
    let mut meta = json!({
        "namespace": place.namespace,
        "annotations": annotations,
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": place.name,
            "uid": Seen::of(cron).uid, "controller": true}],
    });
    if let Some(labels) = template.pointer("/metadata/labels") {
        meta["labels"] = labels.clone();
    }
    match name {
        Some(name) => meta["name"] = json!(name),
        None => {
            // A job's name is 63 characters at most, and five are drawn.
            let stem: String = place.name.chars().take(48).collect();
            meta["generateName"] = json!(format!("{stem}-manual-"));
        }
    }
    let spec = template.get("spec").cloned().unwrap_or_default();
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
}

async fn jobs(place: &Place) -> base::Result<Resource> {
    Ok(place.cluster.resolve("jobs.batch").await?)
}

async fn create(place: &Place, job: &Value, dry: bool) -> base::Result<Value> {
    let path = jobs(place).await?.path(place.namespace.as_deref(), None);
    let call =
        Call::post(path).query("fieldManager", MANAGER).query_if("dryRun", dry.then_some("All")).json(job)?;
    place.cluster.json(call).await.map_err(refusal)
}

fn forget(value: &mut Value, drawn: &str) {
    match value {
        Value::String(s) if !drawn.is_empty() && s == drawn => *s = "(drawn)".to_owned(),
        Value::Array(all) => all.iter_mut().for_each(|v| forget(v, drawn)),
        Value::Object(map) => map.values_mut().for_each(|v| forget(v, drawn)),
        _ => {}
    }
}
