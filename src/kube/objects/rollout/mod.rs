//! Rollouts: how far one is, which revisions there were, going back to one, stopping and going on, other images.
//!
//! [`status`] is pure. A Deployment keeps its revisions as ReplicaSets, a StatefulSet and a DaemonSet as
//! ControllerRevisions; [`history`] reads both alike.

pub mod history;
pub mod image;
pub mod status;
mod undo;
pub mod watch;

use serde_json::{Value, json};

pub use undo::{plan as plan_undo, run as undo};

use super::describe::part::text;
use super::place::{Place, Seen};
use super::plan::Plan;
use super::{amend, around, describe};
use crate::base;

/// Refuses a kind that has no rollouts.
pub fn check(place: &Place) -> base::Result<()> {
    let known = matches!(
        (&*place.resource.group, &*place.resource.plural),
        ("apps", "deployments" | "statefulsets" | "daemonsets")
    );
    if known {
        return Ok(());
    }
    Err(base::Error::unsupported(format!("a {} has no rollouts", place.resource.kind))
        .next("Name a deployment, a statefulset or a daemonset."))
}

/// The Deployment that a ReplicaSet is a revision of, and the revision's number.
pub async fn of_set(set: &Place) -> base::Result<(String, i64)> {
    let live = set.get().await?;
    let owner = describe::part::controller(&live);
    let revision = text(&live, history::REVISION).parse().ok();
    match (owner.strip_prefix("Deployment/"), revision) {
        (Some(name), Some(revision)) => Ok((name.to_owned(), revision)),
        _ => Err(base::Error::unsupported(format!("{} is no revision of a deployment", set.words()))
            .next("Only what a Deployment keeps can be gone back to.")),
    }
}

/// Refuses what cannot be paused, and says what stops it instead.
fn check_pausable(place: &Place) -> base::Result<()> {
    check(place)?;
    if &*place.resource.plural == "deployments" {
        return Ok(());
    }
    let error = base::Error::unsupported(format!("a {} cannot be paused", place.resource.kind));
    Err(error.next(match &*place.resource.plural {
        "statefulsets" => {
            "Set spec.updateStrategy.rollingUpdate.partition: pods below that number keep their version."
        }
        _ => "Set spec.updateStrategy.type to OnDelete: pods are then replaced only when they are deleted.",
    }))
}

/// What pausing (or going on) would do.
pub async fn plan_pause(place: &Place, pause: bool) -> base::Result<Plan> {
    check_pausable(place)?;
    let (mut plan, live) = amend::plan(place, |object: &mut Value| turn(object, pause)).await?;
    let now = status::of(&live);
    plan.affects.push(if pause {
        format!("changes of its template wait until it goes on; now: {}", now.message)
    } else {
        "changes of its template made meanwhile are rolled out now".to_owned()
    });
    Ok(plan)
}

/// Pauses, or lets go on.
pub async fn pause(place: &Place, pause: bool, seen: Option<&Seen>) -> base::Result<Seen> {
    check_pausable(place)?;
    let after = amend::run(place, seen, |object: &mut Value| turn(object, pause)).await?;
    Ok(Seen::of(&after))
}

fn turn(object: &mut Value, pause: bool) -> base::Result<()> {
    let paused = object.pointer("/spec/paused") == Some(&Value::Bool(true));
    if paused == pause {
        let word = if pause { "paused already" } else { "not paused" };
        let name = text(object, "/metadata/name");
        return Err(base::Error::new(base::Code::Conflict, format!("deployment {name} is {word}"))
            .next("There is nothing to do."));
    }
    if pause {
        object["spec"]["paused"] = json!(true);
    } else if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("paused");
    }
    Ok(())
}

/// Says what a new template replaces, and what feels it.
async fn replaced(place: &Place, live: &Value, plan: &mut Plan) {
    if plan.before == plan.after {
        return;
    }
    if live.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        plan.warnings.push("it is paused: nothing is rolled out until it is resumed".to_owned());
    }
    super::restart::describe_rollout(plan, live);
    let template = live.pointer("/spec/template").unwrap_or(&Value::Null);
    around::Around::read(place, template).await.restarted(plan);
}
