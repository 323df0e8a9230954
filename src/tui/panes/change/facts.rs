//! What the card of one's own change shows.

use super::Step;
use crate::base::redact::mask_secret_values;
use crate::bus::ApprovalState;
use crate::gate::{Effect, Preview, Target};
use crate::tui::widgets::card::Facts;

/// The card's contents.
pub fn facts(effect: Effect, step: &Step, preview: Preview) -> Facts {
    // A batch has no one name, and a shell takes nothing with it.
    let nameless = matches!(step.request.operation.as_str(), "batch_run" | "node_shell");
    let mut arguments = step.request.arguments.clone();
    mask_secret_values(&mut arguments);
    Facts {
        actor: None,
        operation: step.request.operation.clone(),
        effect,
        reason: None,
        arguments,
        name: name_to_type(effect, step, &preview.target).filter(|_| !nameless),
        preview,
        amended: None,
        expires_at: None,
        state: ApprovalState::Pending,
        others: Vec::new(),
        binding: Vec::new(),
    }
}

/// What takes others with it asks for its name; a pod does not.
fn name_to_type(effect: Effect, step: &Step, target: &Target) -> Option<String> {
    const WIDE: [&str; 5] = [
        "namespace",
        "node",
        "customresourcedefinition.apiextensions.k8s.io",
        "persistentvolume",
        "persistentvolumeclaim",
    ];
    let wide = WIDE.iter().any(|w| *w == target.kind || w.split('.').next() == Some(target.kind.as_str()));
    // A release is all that was made for it; going back to an earlier revision keeps most of that.
    let wide = wide || step.request.operation == "helm_uninstall";
    (effect == Effect::Destroy && wide).then(|| target.name.clone())
}
