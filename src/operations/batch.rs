//! The same operation on several objects: one preview, one approval, and what became of each.

use std::sync::Arc;

use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Deck;
use crate::base::{Error, Result};
use crate::bus::{Item, ItemState};
use crate::gate::{
    Context, Definition, Diff, DiffLine, DiffOp, Method, Operation, Part, Preview, Spec, System, Target,
    TargetVersion, define,
};

pub const LIST: &[Definition<Deck>] = &[define::<BatchRun>()];

/// Calls under way at the same time.
const AT_ONCE: usize = 8;
/// More objects than anybody looks through before saying yes.
const MOST: usize = 1_000;

#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct BatchRunInput {
    /// An operation that changes one object, such as `deployment_restart`.
    pub operation: String,
    /// Its arguments, once for each object.
    #[arg(long = "target", required = true, value_name = "JSON", value_parser = arguments)]
    #[schemars(length(min = 1, max = 1000))]
    pub targets: Vec<Map<String, Value>>,
}

fn arguments(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|e| format!("not a JSON object: {e}"))
}

/// How many objects came to what, and each.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BatchRunOutput {
    pub done: usize,
    pub failed: usize,
    /// Left out, because they could not be previewed.
    pub skipped: usize,
    /// Not begun, because the batch was stopped.
    pub not_started: usize,
    pub objects: Vec<Outcome>,
    pub exit_code: u8,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Outcome {
    /// `eu-1/shop/deployment/web`
    pub object: String,
    /// `done`, `failed`, `skipped` or `not started`.
    pub outcome: &'static str,
    /// Why, where it is not done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

struct BatchRun;

impl Operation for BatchRun {
    type Deck = Deck;
    type Input = BatchRunInput;
    type Output = BatchRunOutput;

    // The gate lowers nothing: the call's own effect is that of the worst of its parts.
    const SPEC: Spec = Spec::destroy(
        "batch_run",
        Method::Post,
        "/v1/batches",
        "Run one operation on several objects, with one preview and one approval.",
    )
    .exits(&[(0, "every object is done"), (3, "some failed, were skipped, or were not begun")]);
    const PREVIEW: bool = true;

    fn target(input: &Self::Input) -> Target {
        shared(&input.targets)
    }

    fn parts(input: &Self::Input) -> Result<Vec<Part>> {
        if input.targets.is_empty() || input.targets.len() > MOST {
            return Err(Error::invalid(format!("a batch is of 1 to {MOST} objects")));
        }
        let part = |arguments: &Map<String, Value>| Part {
            operation: input.operation.clone(),
            arguments: Value::Object(arguments.clone()),
        };
        Ok(input.targets.iter().map(part).collect())
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let names: Vec<String> = cx.parts().map(ToString::to_string).collect();
        let bound = cx.expected().map(parted);
        let total = names.len();
        let mut outcomes: Vec<Option<(ItemState, String)>> = vec![None; total];
        for name in &names {
            cx.item(0, total, Item { name: name.clone(), state: ItemState::Waiting, note: String::new() });
        }
        // One node after another: two that are emptied at once may take the last pods of a service.
        let at_once = if input.operation == "node_drain" { 1 } else { AT_ONCE };
        let calls = futures::stream::iter(0..total).map(|index| {
            let (cx, bound, name) = (&cx, &bound, &names[index]);
            async move {
                let expect = bound.as_ref().and_then(|b| b.get(index)).cloned();
                if expect.as_ref().is_some_and(|v| v.identity == SKIPPED) {
                    return (index, Some((ItemState::Skipped, "it could not be previewed".to_owned())));
                }
                if cx.cancelled().is_cancelled() {
                    return (index, None);
                }
                cx.item(
                    0,
                    total,
                    Item { name: name.clone(), state: ItemState::Running, note: String::new() },
                );
                let expect = expect.filter(|v| !v.identity.is_empty());
                (
                    index,
                    Some(match cx.run_part(index, expect).await {
                        Ok(_) => (ItemState::Done, String::new()),
                        Err(e) => (ItemState::Failed, e.message),
                    }),
                )
            }
        });
        let mut calls = Box::pin(calls.buffer_unordered(at_once));
        let mut over = 0;
        while let Some((index, outcome)) = calls.next().await {
            over += 1;
            if let Some((state, note)) = outcome {
                cx.item(over, total, Item { name: names[index].clone(), state, note: note.clone() });
                outcomes[index] = Some((state, note));
            }
        }
        drop(calls);
        Ok(told(names, outcomes))
    }

    async fn preview(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Preview> {
        let total = cx.parts().len();
        let previews = futures::stream::iter(0..total).map(|index| {
            let cx = &cx;
            async move { cx.preview_part(index).await }
        });
        let previews: Vec<Result<Preview>> = previews.buffered(AT_ONCE).collect().await;
        if let (true, Some(Err(error))) = (previews.iter().all(Result::is_err), previews.first()) {
            return Err(error.clone());
        }
        let names: Vec<String> = cx.parts().map(ToString::to_string).collect();
        let mut target = shared(&input.targets);
        target.name = format!("({total} objects)");
        Ok(joined(target, &names, &previews))
    }
}

/// Stands for the state of an object that is left out.
const SKIPPED: &str = "-";

/// What all the objects have in common.
fn shared(targets: &[Map<String, Value>]) -> Target {
    let same = |field: &str| {
        let of = |t: &Map<String, Value>| t.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let first = targets.first().map(of).unwrap_or_default();
        if targets.iter().all(|t| of(t) == first) { first } else { String::new() }
    };
    Target {
        system: System::Kubernetes,
        place: same("cluster"),
        namespace: same("namespace"),
        kind: same("kind"),
        name: String::new(),
    }
}

/// One preview of all: each difference under its object, what several say said once.
fn joined(target: Target, names: &[String], previews: &[Result<Preview>]) -> Preview {
    let mut all = Preview::of(target);
    let mut lines = Vec::new();
    let mut skipped = Vec::new();
    let mut states = Vec::new();
    for (name, preview) in names.iter().zip(previews) {
        let preview = match preview {
            Ok(preview) => preview,
            Err(error) => {
                skipped.push(format!("left out: {name}: {}", error.message));
                states.push(TargetVersion { identity: SKIPPED.to_owned(), revision: String::new() });
                continue;
            }
        };
        states.push(preview.version.clone().unwrap_or_default());
        // Of what goes, that it goes is the difference: twenty manifests would hide it.
        let goes = !preview.diff.is_empty() && preview.diff.lines.iter().all(|l| l.op == DiffOp::Removed);
        if goes || preview.diff.is_empty() {
            let op = if goes { DiffOp::Removed } else { DiffOp::Same };
            let text = if goes { name.clone() } else { format!("{name}: no difference") };
            lines.push(DiffLine { op, text });
        } else {
            lines.push(DiffLine { op: DiffOp::Hunk, text: name.clone() });
            lines.extend(preview.diff.lines.iter().cloned());
        }
        append(&mut all.affects, &preview.affects);
        append(&mut all.warnings, &preview.warnings);
        append(&mut all.checks, &preview.checks);
    }
    if !skipped.is_empty() {
        let count = format!("{} of {} objects are left out", skipped.len(), names.len());
        all.warnings.insert(0, count);
        all.warnings.extend(skipped);
    }
    all.diff = Diff { lines };
    all.version = Some(TargetVersion {
        identity: states.iter().map(|s| s.identity.as_str()).collect::<Vec<_>>().join(";"),
        revision: states.iter().map(|s| s.revision.as_str()).collect::<Vec<_>>().join(";"),
    });
    all
}

/// The states of the objects, from that of the batch.
fn parted(version: &TargetVersion) -> Vec<TargetVersion> {
    let mut revisions = version.revision.split(';');
    let one = |identity: &str| TargetVersion {
        identity: identity.to_owned(),
        revision: revisions.next().unwrap_or_default().to_owned(),
    };
    version.identity.split(';').map(one).collect()
}

fn append(all: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
}

fn told(names: Vec<String>, outcomes: Vec<Option<(ItemState, String)>>) -> BatchRunOutput {
    let objects: Vec<Outcome> = names
        .into_iter()
        .zip(outcomes)
        .map(|(object, outcome)| match outcome {
            Some((ItemState::Done, why)) => Outcome { object, outcome: "done", why },
            Some((ItemState::Skipped, why)) => Outcome { object, outcome: "skipped", why },
            Some((_, why)) => Outcome { object, outcome: "failed", why },
            None => Outcome { object, outcome: "not started", why: "the batch was stopped".to_owned() },
        })
        .collect();
    let count = |word: &str| objects.iter().filter(|o| o.outcome == word).count();
    let done = count("done");
    BatchRunOutput {
        done,
        failed: count("failed"),
        skipped: count("skipped"),
        not_started: count("not started"),
        exit_code: if done == objects.len() { 0 } else { 3 },
        objects,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(name: &str, before: &str, after: &str) -> Preview {
        let mut preview = Preview::of(Target::kubernetes("eu-1", "shop", "pod", name));
        preview.version = Some(TargetVersion { identity: format!("u-{name}"), revision: "7".into() });
        preview.diff = Diff::between(before, after);
        preview.checks = vec!["server dry run ok".into()];
        preview
    }

    #[test]
    fn previews_are_joined_and_what_has_none_is_counted_and_left_out() {
        let names = ["a", "b", "c"].map(|n| format!("eu-1/shop/pod/{n}"));
        let gone = Error::not_found("pods \"b\" not found");
        let previews = [Ok(preview("a", "kind: Pod\n", "")), Err(gone), Ok(preview("c", "x: 1\n", "x: 2\n"))];
        let all = joined(Target::default(), &names, &previews);
        let lines: Vec<&str> = all.diff.lines.iter().map(|l| l.text.as_str()).collect();
        assert_eq!(lines, ["eu-1/shop/pod/a", "eu-1/shop/pod/c", "x: 1", "x: 2"]);
        assert_eq!(all.warnings[0], "1 of 3 objects are left out");
        assert!(all.warnings[1].contains("not found"));
        assert_eq!(all.checks, ["server dry run ok"]);
        let states = parted(&all.version.unwrap());
        assert_eq!((states[0].identity.as_str(), states[1].identity.as_str()), ("u-a", SKIPPED));
        assert_eq!(states[2].revision, "7");
    }

    #[test]
    fn the_target_is_what_all_have_in_common() {
        let target = |namespace: &str| {
            let value = serde_json::json!({"cluster": "eu-1", "namespace": namespace, "kind": "pods"});
            value.as_object().cloned().unwrap()
        };
        assert_eq!(shared(&[target("a"), target("a")]).to_string(), "eu-1/a/pods");
        assert_eq!(shared(&[target("a"), target("b")]).to_string(), "eu-1/pods");
        let effect = BatchRun::SPEC.effect;
        assert_eq!(effect, crate::gate::Effect::Destroy, "it is never taken for less than it may do");
    }
}
