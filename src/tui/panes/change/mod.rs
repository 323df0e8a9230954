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
mod merge;
mod scale;
#[cfg(test)]
mod tests;

pub use self::confirm::ConfirmPane;
pub use self::edit::EditPane;
pub use self::scale::ScalePane;
use crate::base::{Error, Result};
use crate::gate::{Effect, Request};
use crate::tui::object::ObjectRef;
use crate::tui::pane::Pane;

/// One call to make, and what it is called in messages: `delete pods web-1`.
#[derive(Debug, Clone)]
pub struct Step {
    pub request: Request,
    pub label: String,
}

/// The dialog for one of the actions `delete`, `kill`, `scale` and `restart` on some objects;
/// `replicas` is how many pods there are now, if that is known.
pub fn dialog(action: &str, objects: &[ObjectRef], replicas: Option<u32>) -> Result<Box<dyn Pane>> {
    if objects.is_empty() {
        return Err(Error::invalid("there is nothing here to change").next("Choose a row first."));
    }
    match action {
        "delete" | "kill" => Ok(Box::new(ConfirmPane::delete(objects, action == "kill"))),
        "restart" => {
            let steps = objects.iter().map(|o| workload("restart", o)).collect::<Result<Vec<_>>>()?;
            Ok(Box::new(ConfirmPane::new(Effect::Change, steps)))
        }
        "scale" => {
            // Checked now: the dialog must not ask for a number that nothing can take.
            for object in objects {
                workload("scale", object)?;
            }
            Ok(Box::new(ScalePane::new(objects.to_vec(), replicas)))
        }
        other => Err(Error::unsupported(format!("{other} is not a change that objects know"))),
    }
}

/// The step that does `verb` to a workload, by the operation of its kind.
fn workload(verb: &str, object: &ObjectRef) -> Result<Step> {
    let kind = object.plural().trim_end_matches('s');
    let known: &[&str] = match verb {
        "scale" => &["deployment", "statefulset", "replicaset"],
        _ => &["deployment", "statefulset", "daemonset"],
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
