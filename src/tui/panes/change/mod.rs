//! The operator's own changes: asked for with a key, shown as a difference, run when confirmed.
//!
//! The same card as for an agent's proposal, and the same rules: the call that runs is the one
//! whose effect was shown, bound to the version of the target that it was computed on.

mod confirm;
mod deletion;
mod draw;
mod edit;
mod editing;
mod facts;
mod image;
mod merge;
mod progress;
mod scale;
#[cfg(test)]
mod tests;
mod values;

use serde_json::{Value, json};

pub use self::confirm::ConfirmPane;
pub use self::edit::EditPane;
pub use self::image::ImagePane;
pub use self::progress::ProgressPane;
pub use self::scale::ScalePane;
use crate::base::{Error, Result};
use crate::gate::{Effect, Request};
use crate::tui::object::{GitOps, ObjectRef};
use crate::tui::pane::Pane;

/// One call to make, and what it is called in messages: `delete pods web-1`.
#[derive(Debug, Clone)]
pub struct Step {
    pub request: Request,
    pub label: String,
}

impl Step {
    /// The step that does what these do: several calls of one operation are a batch.
    pub fn joined(mut steps: Vec<Step>) -> Self {
        let Some(first) = steps.first() else {
            return Self { request: Request::default(), label: String::new() };
        };
        if steps.len() == 1 {
            return steps.remove(0);
        }
        let verb = first.label.split(' ').next().unwrap_or_default();
        let label = format!("{verb} {} objects", steps.len());
        let operation = first.request.operation.clone();
        let targets: Vec<Value> = steps.into_iter().map(|s| s.request.arguments).collect();
        let request = Request::new("batch_run", json!({ "operation": operation, "targets": targets }));
        Self { request, label }
    }

    /// Whether it does many things one by one, so that how each fares is worth following.
    pub fn is_long(&self) -> bool {
        matches!(
            self.request.operation.as_str(),
            "batch_run" | "node_drain" | "pod_sanitize" | "helm_rollback" | "helm_uninstall"
        )
    }
}

/// The dialog for one of the actions that change objects; `replicas` is how many pods there are now, if that is known,
/// `left_out` what of the marked rows is not among them.
pub fn dialog(
    action: &str,
    objects: &[ObjectRef],
    replicas: Option<u32>,
    left_out: Option<String>,
) -> Result<Box<dyn Pane>> {
    if objects.is_empty() {
        return Err(Error::invalid("there is nothing here to change").next("Choose a row first."));
    }
    let confirm = match action {
        "delete" | "kill" => ConfirmPane::delete(objects, action == "kill"),
        "scale" => {
            // Checked now: the dialog must not ask for a number that nothing can take.
            steps("scale", objects)?;
            return Ok(Box::new(ScalePane::new(objects.to_vec(), replicas, left_out)));
        }
        "prune" => ConfirmPane::new(Effect::Destroy, steps(action, objects)?),
        // A certificate that was issued is not taken back.
        "approve" => ConfirmPane::new(Effect::Destroy, steps("approve", objects)?),
        verb => ConfirmPane::new(Effect::Change, steps(verb, objects)?),
    };
    Ok(Box::new(confirm.leaving_out(left_out)))
}

/// The verbs that are operations of a kind's own, and the kinds that have them.
const VERBS: &[(&str, &[&str])] = &[
    ("scale", &["deployment", "statefulset", "replicaset"]),
    ("restart", &["deployment", "statefulset", "daemonset"]),
    ("cordon", &["node"]),
    ("uncordon", &["node"]),
    ("trigger", &["cronjob"]),
    ("suspend", &["cronjob"]),
    ("resume", &["cronjob"]),
    ("rollback", &["replicaset"]),
    ("approve", &["certificatesigningrequest"]),
    ("deny", &["certificatesigningrequest"]),
];

/// The steps that do `verb` to objects.
fn steps(verb: &str, objects: &[ObjectRef]) -> Result<Vec<Step>> {
    objects.iter().map(|object| step(verb, object)).collect()
}

/// The step that does `verb` to an object, by the operation of its kind.
pub fn step(verb: &str, object: &ObjectRef) -> Result<Step> {
    if let Some(keeper) = object.gitops() {
        return gitops_step(verb, keeper, object);
    }
    let kind = object.plural().trim_end_matches('s');
    let Some((_, known)) = VERBS.iter().find(|(v, _)| *v == verb) else {
        return Err(Error::unsupported(format!("{verb} is not a change that objects know")));
    };
    if !known.contains(&kind) {
        return Err(Error::unsupported(format!("{} cannot be asked to {verb}", object.plural()))
            .next(format!("It works on {}.", known.join("s, ") + "s")));
    }
    let mut arguments = object.arguments();
    if let Some(map) = arguments.as_object_mut() {
        map.remove("kind");
    }
    Ok(Step {
        request: Request::new(format!("{kind}_{verb}"), arguments),
        label: format!("{verb} {kind} {}", object.name),
    })
}

/// The step that has a GitOps controller do `verb`: Flux's operations take the kind, Argo CD's are for one.
fn gitops_step(verb: &str, keeper: GitOps, object: &ObjectRef) -> Result<Step> {
    let (known, operation): (&[&str], _) = match (keeper, verb) {
        (GitOps::Flux, _) => (&["suspend", "resume", "reconcile"], verb),
        // Comparing with Git is as near as it comes to that.
        (GitOps::Argo, "reconcile") => (&["reconcile"], "refresh"),
        (GitOps::Argo, _) => (&["sync", "prune", "terminate"], verb),
    };
    if !known.contains(&verb) {
        return Err(Error::unsupported(format!("{} cannot be asked to {verb}", object.plural()))
            .next("? shows the keys that they have."));
    }
    Ok(Step {
        request: Request::new(format!("{}_{operation}", keeper.name()), object.keeper_arguments()),
        label: format!("{operation} {} {}", object.plural().trim_end_matches('s'), object.name),
    })
}
