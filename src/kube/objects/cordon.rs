//! Keeping new pods off a node, and letting them on again.

use serde_json::{Value, json};

use super::describe::part::items;
use super::place::{List, Place, Seen};
use super::plan::{MANAGER, Plan, racing, refusal};
use super::yaml::to_yaml;
use crate::base;
use crate::kube::{Call, Error};

/// Whether the scheduler may put pods on a node.
pub fn is_closed(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
}

/// A node as far as this matters: its status changes every few seconds, and that voids nothing.
pub fn seen(node: &Value) -> Seen {
    let revision = if is_closed(node) { "unschedulable" } else { "schedulable" };
    Seen { revision: revision.to_owned(), ..Seen::of(node) }
}

/// What closing or opening the node would do.
pub async fn plan(place: &Place, close: bool) -> base::Result<Plan> {
    let node = place.get().await?;
    write(place, &node, close, true).await.map_err(refusal)?;
    let side = |closed: bool| to_yaml(&json!({"spec": {"unschedulable": closed}}));
    let mut plan = Plan {
        seen: Some(seen(&node)),
        before: side(is_closed(&node)),
        after: side(close),
        checks: vec!["server dry run ok".to_owned()],
        ..Plan::default()
    };
    if is_closed(&node) == close {
        let word = if close { "closed to new pods" } else { "open to new pods" };
        plan.warnings.push(format!("it is {word} already"));
    } else if close {
        plan.affects.push(pods_there(place).await);
        let taints = items(&node, "/spec/taints").len();
        if taints > 0 {
            plan.affects.push(format!("{taints} taints stay as they are"));
        }
    }
    Ok(plan)
}

async fn pods_there(place: &Place) -> String {
    let pods = List::new(&place.cluster, "/api/v1/pods").fields(format!("spec.nodeName={}", place.name));
    match pods.metadata().read().await {
        Ok(pods) => format!("its {} pods go on; no new one comes", pods.items.len()),
        Err(e) => format!("its pods go on (they were not counted: {e})"),
    }
}

/// Closes or opens the node; whether it was otherwise before.
pub async fn run(place: &Place, close: bool, expected: Option<&Seen>) -> base::Result<(bool, Seen)> {
    racing(|| run_once(place, close, expected)).await
}

async fn run_once(place: &Place, close: bool, expected: Option<&Seen>) -> base::Result<(bool, Seen)> {
    let node = place.get().await?;
    if let Some(expected) = expected {
        same(place, &node, expected)?;
    }
    if is_closed(&node) == close {
        return Ok((false, seen(&node)));
    }
    let after = write(place, &node, close, false).await.map_err(refusal)?;
    Ok((true, seen(&after)))
}

/// Fails for a node that was made anew, or that somebody closed or opened meanwhile.
fn same(place: &Place, node: &Value, expected: &Seen) -> base::Result<()> {
    let now = seen(node);
    if now == *expected {
        return Ok(());
    }
    let what =
        if now.uid == expected.uid { format!("is {} now", now.revision) } else { "was made anew".to_owned() };
    Err(base::Error::new(base::Code::Conflict, format!("{} {what}: nothing was done", place.words()))
        .next("Preview the change again on what is there now."))
}

/// The uid in the patch makes the server refuse any other node of the name.
async fn write(place: &Place, node: &Value, close: bool, dry: bool) -> Result<Value, Error> {
    // As kubectl does it: an open node has no such field.
    let value = if close { Value::Bool(true) } else { Value::Null };
    let patch = json!({"metadata": {"uid": Seen::of(node).uid}, "spec": {"unschedulable": value}});
    let body = serde_json::to_vec(&patch).map_err(|e| Error::Request(e.to_string()))?;
    let call = Call::patch(place.path())
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .body("application/merge-patch+json", body);
    place.cluster.json(call).await
}
