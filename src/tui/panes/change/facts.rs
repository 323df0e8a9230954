//! What the card of one's own change shows: the previews of one step, or of several as one.

use serde_json::Value;

use super::Step;
use crate::bus::ApprovalState;
use crate::gate::{Diff, DiffLine, DiffOp, Effect, Preview, Target};
use crate::tui::widgets::card::Facts;

/// The card's contents. `previews` are those of the steps, in their order.
pub fn facts(effect: Effect, steps: &[Step], previews: &[Preview]) -> Facts {
    let several = steps.len() > 1;
    let mut preview = previews.first().cloned().unwrap_or_else(|| Preview::of(Target::default()));
    if several {
        join(&mut preview, previews);
    }
    let arguments = match steps {
        [one] => one.request.arguments.clone(),
        several => Value::Array(several.iter().map(|s| s.request.arguments.clone()).collect()),
    };
    let name = name_to_type(effect, &preview.target).filter(|_| !several);
    Facts {
        actor: None,
        operation: steps.first().map(|s| s.request.operation.clone()).unwrap_or_default(),
        effect,
        reason: None,
        arguments,
        name,
        preview,
        amended: None,
        expires_at: None,
        state: ApprovalState::Pending,
        others: if several { previews.iter().map(|p| p.target.to_string()).collect() } else { Vec::new() },
        binding: Vec::new(),
    }
}

/// One preview of all: each difference under its target, what they say of themselves once.
fn join(preview: &mut Preview, all: &[Preview]) {
    let mut lines = Vec::new();
    for p in all.iter().filter(|p| !p.diff.is_empty()) {
        lines.push(DiffLine { op: DiffOp::Hunk, text: p.target.to_string() });
        lines.extend(p.diff.lines.iter().cloned());
    }
    preview.diff = Diff { lines };
    for p in all.iter().skip(1) {
        append(&mut preview.affects, &p.affects);
        append(&mut preview.warnings, &p.warnings);
        append(&mut preview.checks, &p.checks);
    }
    preview.equivalent = None;
    preview.target.name = format!("({} objects)", all.len());
}

fn append(all: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
}

/// What takes others with it asks for its name; a pod does not.
fn name_to_type(effect: Effect, target: &Target) -> Option<String> {
    const WIDE: [&str; 5] = [
        "namespace",
        "node",
        "customresourcedefinition.apiextensions.k8s.io",
        "persistentvolume",
        "persistentvolumeclaim",
    ];
    let wide = WIDE.iter().any(|w| *w == target.kind || w.split('.').next() == Some(target.kind.as_str()));
    (effect == Effect::Destroy && wide).then(|| target.name.clone())
}
