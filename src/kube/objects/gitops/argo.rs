//! Argo CD: refreshing, syncing, ending an operation, going back to what was synced before.
//!
//! Sources: `pkg/apis/application/v1alpha1/types.go` (the Application), `server/application/application.go` (what its own
//! API server writes for each verb) and `controller/appcontroller.go` (what the controller does with it) of
//! `github.com/argoproj/argo-cd`.

use std::time::Duration;

use serde_json::{Value, json};

use super::app::revisions;
use super::{Answer, annotate, same_one, seen, unanswered};
use crate::base;
use crate::kube::objects::amend;
use crate::kube::objects::describe::part::{items, number, text};
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::{MANAGER, Plan};
use crate::kube::objects::states;

pub const REFRESH: &str = "argocd.argoproj.io/refresh";

/// How to sync.
#[derive(Debug, Clone, Default)]
pub struct Sync {
    /// A commit, tag or branch; else what the application names.
    pub revision: Option<String>,
    /// Delete what is no longer in Git.
    pub prune: bool,
    /// The controller tries it, and changes nothing.
    pub dry_run: bool,
}

pub fn is_application(place: &Place) -> bool {
    (&*place.resource.group, &*place.resource.plural) == ("argoproj.io", "applications")
}

/// Refuses what is no Application.
pub fn check(place: &Place) -> base::Result<()> {
    if is_application(place) {
        return Ok(());
    }
    Err(base::Error::unsupported(format!("a {} is no Application of Argo CD", place.resource.kind))
        .next("Name an application of argoproj.io."))
}

fn phase(object: &Value) -> String {
    text(object, "/status/operationState/phase")
}

fn is_asked(object: &Value) -> bool {
    object.get("operation").is_some_and(|o| !o.is_null())
}

fn is_busy(object: &Value) -> bool {
    is_asked(object) || matches!(phase(object).as_str(), "Running" | "Terminating")
}

pub async fn plan_refresh(place: &Place, hard: bool) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, _) = amend::plan(place, |object: &mut Value| refreshing(object, hard)).await?;
    plan.affects.push(
        "its controller compares it with Git at once; nothing is synced unless it syncs by itself".to_owned(),
    );
    if hard {
        plan.affects.push("its manifests are rendered anew, whatever is cached of them".to_owned());
    }
    Ok(plan)
}

/// Has the controller compare the application with Git, and waits until it has.
pub async fn refresh(
    place: &Place,
    hard: bool,
    wait: Duration,
    expected: Option<&Seen>,
) -> base::Result<(Answer, Seen)> {
    check(place)?;
    let same = same_one(expected);
    let after = amend::run(place, same.as_ref(), |object: &mut Value| refreshing(object, hard)).await?;
    if wait.is_zero() {
        return Ok((Answer::asked(place), seen(&after)));
    }
    // The controller takes the annotation away once it has compared.
    let done =
        |object: &Value| object.pointer("/metadata/annotations").is_none_or(|a| a.get(REFRESH).is_none());
    match states::until(place, wait, done, |_| {}).await? {
        Some(object) => {
            let (sync, health) =
                (text(&object, "/status/sync/status"), text(&object, "/status/health/status"));
            let answer = Answer {
                object: place.words(),
                handled: Some(true),
                state: sync,
                revision: text(&object, "/status/sync/revision"),
                message: health,
            };
            Ok((answer, seen(&object)))
        }
        None => Err(unanswered(place, wait, "")),
    }
}

fn refreshing(object: &mut Value, hard: bool) -> base::Result<()> {
    annotate(object, REFRESH, if hard { "hard" } else { "normal" });
    Ok(())
}

pub async fn plan_sync(place: &Place, sync: &Sync) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, live) = amend::plan(place, |object: &mut Value| syncing(place, object, sync)).await?;
    say_what_is_out_of_sync(&mut plan, &live, sync);
    Ok(plan)
}

/// Has the controller sync the application, and waits for how it ends.
pub async fn sync(
    place: &Place,
    sync: &Sync,
    wait: Duration,
    expected: Option<&Seen>,
    progress: impl Fn(String),
) -> base::Result<(Answer, Seen)> {
    check(place)?;
    let after = amend::run(place, expected, |object: &mut Value| syncing(place, object, sync)).await?;
    ended(place, after, wait, progress).await
}

fn syncing(place: &Place, object: &mut Value, sync: &Sync) -> base::Result<()> {
    let mut wanted = json!({});
    if let Some(revision) = &sync.revision {
        wanted["revision"] = json!(revision);
    }
    start(place, object, wanted, sync)
}

/// Puts an operation there for the controller to begin, with the options that the application has for its own.
fn start(place: &Place, object: &mut Value, mut wanted: Value, sync: &Sync) -> base::Result<()> {
    if is_busy(object) {
        let phase = phase(object);
        let phase = if phase.is_empty() { "is asked for".to_owned() } else { format!("is {phase}") };
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} has an operation that {phase}", place.words()),
        )
        .next("Wait for its end, or end it with argo_terminate."));
    }
    for (set, name) in [(sync.prune, "prune"), (sync.dry_run, "dryRun")] {
        if set {
            wanted[name] = json!(true);
        }
    }
    if let Some(options) = object.pointer("/spec/syncPolicy/syncOptions") {
        wanted["syncOptions"] = options.clone();
    }
    let mut operation = json!({ "initiatedBy": { "username": MANAGER }, "sync": wanted });
    if let Some(retry) = object.pointer("/spec/syncPolicy/retry") {
        operation["retry"] = retry.clone();
    }
    object["operation"] = operation;
    Ok(())
}

/// Waits for the end of the operation that was put there.
async fn ended(
    place: &Place,
    after: Value,
    wait: Duration,
    progress: impl Fn(String),
) -> base::Result<(Answer, Seen)> {
    if wait.is_zero() {
        return Ok((Answer::asked(place), seen(&after)));
    }
    // The controller takes the operation away when it is over.
    let done = |o: &Value| !is_asked(o) && matches!(phase(o).as_str(), "Succeeded" | "Failed" | "Error");
    let told = |o: &Value| {
        progress(format!("{}: {} {}", place.name, phase(o), text(o, "/status/operationState/message")));
    };
    let Some(object) = states::until(place, wait, done, told).await? else {
        return Err(unanswered(place, wait, ""));
    };
    let answer = Answer {
        object: place.words(),
        handled: Some(true),
        state: phase(&object),
        revision: text(&object, "/status/operationState/syncResult/revision"),
        message: text(&object, "/status/operationState/message"),
    };
    if answer.state != "Succeeded" {
        let what =
            format!("{}: the operation ended with {}: {}", answer.object, answer.state, answer.message);
        return Err(base::Error::unavailable(what)
            .next("Its resources in argo_chain say which of them could not be synced."));
    }
    Ok((answer, seen(&object)))
}

fn say_what_is_out_of_sync(plan: &mut Plan, live: &Value, sync: &Sync) {
    let out = |pruned: bool| -> Vec<String> {
        items(live, "/status/resources")
            .iter()
            .filter(|r| text(r, "/status") == "OutOfSync" && (r["requiresPruning"] == true) == pruned)
            .map(|r| format!("{} {}", text(r, "/kind").to_lowercase(), text(r, "/name")))
            .collect()
    };
    let named = |all: &[String]| {
        let more = all.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", all[..all.len().min(8)].join(", "))
    };
    let (differ, gone) = (out(false), out(true));
    if !differ.is_empty() {
        plan.affects.push(format!("out of sync: {}", named(&differ)));
    }
    match (gone.is_empty(), sync.prune) {
        (true, _) => {}
        (false, true) => plan.warnings.push(format!("deletes what is no longer in Git: {}", named(&gone))),
        (false, false) => {
            plan.affects.push(format!("no longer in Git, and kept without prune: {}", named(&gone)))
        }
    }
    if differ.is_empty() && gone.is_empty() {
        plan.affects.push(format!("nothing is out of sync; it is {}", text(live, "/status/sync/status")));
    }
}

pub async fn plan_terminate(place: &Place) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, live) = amend::plan(place, |object: &mut Value| terminating(place, object)).await?;
    plan.affects.push(format!(
        "what it has applied so far stays; now: {}",
        text(&live, "/status/operationState/message")
    ));
    Ok(plan)
}

/// Ends the operation that runs.
pub async fn terminate(place: &Place, expected: Option<&Seen>) -> base::Result<Seen> {
    check(place)?;
    let after = amend::run(place, expected, |object: &mut Value| terminating(place, object)).await?;
    Ok(seen(&after))
}

fn terminating(place: &Place, object: &mut Value) -> base::Result<()> {
    if !is_asked(object) || phase(object) != "Running" {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} has no operation that runs", place.words()),
        )
        .next("There is nothing to end."));
    }
    object["status"]["operationState"]["phase"] = json!("Terminating");
    Ok(())
}

pub async fn plan_rollback(place: &Place, id: i64, how: &Sync) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, live) =
        amend::plan(place, |object: &mut Value| going_back(place, object, id, how)).await?;
    let to = items(&live, "/status/history").iter().find(|h| number(h, "/id") == id).map(revisions);
    plan.affects.push(format!("what was synced from {} is applied again", to.unwrap_or_default()));
    plan.warnings.push(
        "Git stays as it is: the application is out of sync afterwards, and the next sync undoes this"
            .to_owned(),
    );
    Ok(plan)
}

/// Goes back to an entry of the history, and waits for how it ends.
pub async fn rollback(
    place: &Place,
    id: i64,
    how: &Sync,
    wait: Duration,
    expected: Option<&Seen>,
    progress: impl Fn(String),
) -> base::Result<(Answer, Seen)> {
    check(place)?;
    let after = amend::run(place, expected, |object: &mut Value| going_back(place, object, id, how)).await?;
    ended(place, after, wait, progress).await
}

fn going_back(place: &Place, object: &mut Value, id: i64, how: &Sync) -> base::Result<()> {
    let automated = object.pointer("/spec/syncPolicy/automated");
    if automated.is_some_and(|a| !a.is_null() && a["enabled"] != false) {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} syncs by itself, and would undo it at once", place.words()),
        )
        .next("Turn spec.syncPolicy.automated off first, or go back in Git."));
    }
    let known = items(object, "/status/history");
    let Some(entry) = known.iter().find(|h| number(h, "/id") == id) else {
        let ids: Vec<String> = known.iter().map(|h| number(h, "/id").to_string()).collect();
        let error = base::Error::not_found(format!("{} has no entry {id} in its history", place.words()));
        return Err(error.next(if ids.is_empty() {
            "Nothing was synced yet.".to_owned()
        } else {
            format!("There are {}.", ids.join(", "))
        }));
    };
    let mut wanted = json!({ "syncStrategy": { "apply": {} } });
    for field in ["revision", "revisions", "source", "sources"] {
        if let Some(value) = entry.get(field).filter(|v| !v.is_null()) {
            wanted[field] = value.clone();
        }
    }
    start(place, object, wanted, how)
}
