//! Flux: suspending, resuming, and having its controllers reconcile at once.
//!
//! Sources: <https://fluxcd.io/flux/components/kustomize/kustomizations/#triggering-a-reconcile>,
//! <https://fluxcd.io/flux/components/helm/helmreleases/#triggering-a-reconcile> (forced, and with its failures forgotten).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, annotate, chain, condition, same_one, seen, unanswered};
use crate::base;
use crate::kube::objects::amend;
use crate::kube::objects::describe::part::text;
use crate::kube::objects::place::{Place, Seen};
use crate::kube::objects::plan::Plan;
use crate::kube::objects::states;

/// The end of the groups that are Flux's.
pub const GROUP: &str = ".toolkit.fluxcd.io";

pub const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";
const FORCED: &str = "reconcile.fluxcd.io/forceAt";
const RESET: &str = "reconcile.fluxcd.io/resetAt";

/// What a preview writes for the time of the call: it must be the same each time it is computed.
const LATER: &str = "(the time of the call)";

/// How to reconcile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// Its source first.
    pub with_source: bool,
    /// A HelmRelease is installed or upgraded though nothing changed.
    pub force: bool,
    /// A HelmRelease forgets its failures.
    pub reset: bool,
    /// How long to wait for the controller; not at all if it is zero.
    pub wait: Duration,
}

/// Refuses what is not Flux's.
pub fn check(place: &Place) -> base::Result<()> {
    if place.resource.group.ends_with(GROUP) {
        return Ok(());
    }
    Err(base::Error::unsupported(format!("a {} is not Flux's", place.resource.kind))
        .next("Name a kustomization, a helmrelease, a gitrepository or another kind of *.toolkit.fluxcd.io."))
}

/// What suspending (or going on) would do.
pub async fn plan_suspend(place: &Place, suspend: bool) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, _) = amend::plan(place, |object: &mut Value| turn(place, object, suspend)).await?;
    if plan.before == plan.after {
        return Err(no_suspend(place));
    }
    plan.affects.push(if suspend {
        "its controller does nothing with it until it is resumed; what it has applied stays".to_owned()
    } else {
        "its controller reconciles it at once".to_owned()
    });
    Ok(plan)
}

/// Suspends, or lets go on.
pub async fn suspend(place: &Place, suspend: bool, expected: Option<&Seen>) -> base::Result<Seen> {
    check(place)?;
    let after = amend::run(place, expected, |object: &mut Value| turn(place, object, suspend)).await?;
    if is_suspended(&after) != suspend {
        return Err(no_suspend(place));
    }
    Ok(seen(&after))
}

/// The server drops a field that the kind does not have.
fn no_suspend(place: &Place) -> base::Error {
    base::Error::unsupported(format!("a {} has no spec.suspend", place.resource.kind))
        .next("Suspend what applies it, or its source.")
}

fn is_suspended(object: &Value) -> bool {
    object.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

fn turn(place: &Place, object: &mut Value, suspend: bool) -> base::Result<()> {
    if is_suspended(object) == suspend {
        let word = if suspend { "suspended already" } else { "not suspended" };
        return Err(base::Error::new(base::Code::Conflict, format!("{} is {word}", place.words()))
            .next("There is nothing to do."));
    }
    object["spec"]["suspend"] = json!(suspend);
    Ok(())
}

/// What asking for a reconciliation would do.
pub async fn plan_reconcile(place: &Place, ask: Ask) -> base::Result<Plan> {
    check(place)?;
    let (mut plan, live) =
        amend::plan(place, |object: &mut Value| request(place, object, ask, LATER)).await?;
    if ask.with_source {
        let source = source(place, &live).await?;
        let (before, _) =
            amend::plan(&source, |object: &mut Value| request(&source, object, Ask::default(), LATER))
                .await?;
        plan.affects.push(format!("{} is asked first", source.words()));
        plan.before.push_str(&format!("--- # {}\n{}", source.words(), before.before));
        plan.after.push_str(&format!("--- # {}\n{}", source.words(), before.after));
    }
    plan.affects
        .push("its controller reconciles it at once, as it does by itself at every interval".to_owned());
    if ask.force {
        plan.warnings.push("the release is installed or upgraded though nothing has changed".to_owned());
    }
    Ok(plan)
}

/// Asks the controller, of the source first if that is wanted, and waits for what it says.
pub async fn reconcile(
    place: &Place,
    ask: Ask,
    now: Timestamp,
    expected: Option<&Seen>,
    progress: impl Fn(String),
) -> base::Result<(Vec<Answer>, Seen)> {
    check(place)?;
    let token = now.to_string();
    let mut answers = Vec::new();
    if ask.with_source {
        let live = place.get().await?;
        place.expect(&live, same_one(expected).as_ref())?;
        request(place, &mut live.clone(), ask, &token)?;
        let source = source(place, &live).await?;
        let only = Ask { wait: ask.wait, ..Ask::default() };
        progress(format!("asks {}", source.words()));
        let (answer, _) = one(&source, only, &token, None, &progress).await?;
        answers.push(answer);
    }
    let same = same_one(expected);
    let (answer, seen) = one(place, ask, &token, same.as_ref(), &progress).await?;
    answers.push(answer);
    Ok((answers, seen))
}

async fn one(
    place: &Place,
    ask: Ask,
    token: &str,
    expected: Option<&Seen>,
    progress: &impl Fn(String),
) -> base::Result<(Answer, Seen)> {
    let after = amend::run(place, expected, |object: &mut Value| request(place, object, ask, token)).await?;
    if ask.wait.is_zero() {
        return Ok((Answer::asked(place), seen(&after)));
    }
    let done = |object: &Value| is_handled(object, token);
    let told = |object: &Value| progress(format!("{}: {}", place.name, ready(object).1));
    match states::until(place, ask.wait, done, told).await? {
        Some(object) => {
            let (state, message) = ready(&object);
            if state == "False" {
                let what = format!("{} was reconciled, and is not ready: {message}", place.words());
                return Err(base::Error::unavailable(what)
                    .next("Mend what it says; flux_chain shows whether its source is ready."));
            }
            let answer = Answer {
                object: place.words(),
                handled: Some(true),
                state,
                revision: revision(&object),
                message,
            };
            Ok((answer, seen(&object)))
        }
        None => Err(unanswered(place, ask.wait, "")),
    }
}

/// Whether the controller has taken up this request and come to an end with it.
fn is_handled(object: &Value, token: &str) -> bool {
    let unknown = condition(object, "Ready").is_some_and(|c| text(c, "/status") == "Unknown");
    text(object, "/status/lastHandledReconcileAt") == token && !unknown
}

/// Ready, and what is said with it.
pub fn ready(object: &Value) -> (String, String) {
    let ready = condition(object, "Ready");
    let part = |field: &str| ready.map(|c| text(c, field)).unwrap_or_default();
    (part("/status"), part("/message"))
}

/// What of its source it has come to.
pub fn revision(object: &Value) -> String {
    ["/status/lastAppliedRevision", "/status/artifact/revision", "/status/lastAttemptedRevision"]
        .iter()
        .map(|at| text(object, at))
        .find(|revision| !revision.is_empty())
        .unwrap_or_default()
}

fn request(place: &Place, object: &mut Value, ask: Ask, token: &str) -> base::Result<()> {
    if is_suspended(object) {
        return Err(base::Error::new(base::Code::Conflict, format!("{} is suspended", place.words()))
            .next("Resume it first: its controller does nothing with it until then."));
    }
    if (ask.force || ask.reset) && &*place.resource.plural != "helmreleases" {
        return Err(base::Error::invalid(format!("a {} cannot be forced or reset", place.resource.kind))
            .next("These are for helmreleases."));
    }
    annotate(object, REQUESTED, token);
    for (wanted, name) in [(ask.force, FORCED), (ask.reset, RESET)] {
        if wanted {
            annotate(object, name, token);
        }
    }
    Ok(())
}

/// The source that is asked before the object. It must be in the object's own namespace: whoever may change this one has not
/// been asked about another.
async fn source(place: &Place, live: &Value) -> base::Result<Place> {
    let Some(found) = chain::source_of(place, live).await? else {
        return Err(
            base::Error::invalid(format!("{} names no source", place.words())).next("Leave with_source out.")
        );
    };
    if found.namespace != place.namespace {
        return Err(base::Error::new(
            base::Code::PermissionDenied,
            format!("its source, {}, is in another namespace", found.words()),
        )
        .next("Reconcile the source by itself first, then this without with_source."));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_handled_when_its_controller_says_so_and_is_ready_or_not() {
        let object = |handled: &str, ready: &str| {
            json!({"status": {"lastHandledReconcileAt": handled, "lastAppliedRevision": "main@sha1:1",
                "conditions": [{"type": "Ready", "status": ready, "message": "said"}]}})
        };
        assert!(!is_handled(&object("before", "True"), "now"));
        assert!(!is_handled(&object("now", "Unknown"), "now"), "it is still at it");
        assert!(is_handled(&object("now", "False"), "now"));
        assert_eq!(ready(&object("now", "True")), ("True".to_owned(), "said".to_owned()));
        assert_eq!(revision(&object("now", "True")), "main@sha1:1");
    }
}
