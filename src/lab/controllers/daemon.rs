//! DaemonSets: one pod a node.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Control, alive, node, ready};
use crate::lab::build;
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, number, text};

const HASH: &str = "controller-revision-hash";

/// The template with the mark of its revision.
pub(in crate::lab) fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = build::template_hash(&set["spec"]["template"], 0).into();
    template["metadata"]["labels"]["pod-template-generation"] =
        number(set, "metadata.generation").max(1).to_string().into();
    template
}

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let set = object.value();
    if set["metadata"].get("deletionTimestamp").is_some() {
        return None;
    }
    let template = template_of(&set);
    let hash = text(&template["metadata"]["labels"], HASH).to_owned();
    let pods: Vec<(Arc<Object>, Value)> =
        control.owned(("", "pods"), object).into_iter().map(|o| (o.clone(), o.value())).collect();
    let nodes = node::candidates(&control.state, &json!({"spec": template["spec"]}));
    let component = "daemonset-controller";
    for name in &nodes {
        let there =
            pods.iter().any(|(_, p)| text(p, "spec.nodeName") == name || node::pinned(p) == Some(name));
        if there {
            continue;
        }
        let mut own = template.clone();
        own["spec"]["affinity"] = node::pin(name);
        let pod = format!("{}-{}", object.name, control.state.rng.lock().suffix(5));
        if control.make_pod(kind, &set, &own, &pod).is_some() {
            control.tell(kind, &set, component, false, "SuccessfulCreate", &format!("Created pod: {pod}"));
        }
    }
    let live: Vec<_> = pods.iter().filter(|(_, p)| alive(p)).collect();
    let current = |o: &Object| o.label(HASH) == Some(hash.as_str());
    let all_ready =
        live.len() == pods.len() && live.len() >= nodes.len() && live.iter().all(|(_, p)| ready(p));
    let stale = live.iter().find(|(o, _)| !current(o)).filter(|_| all_ready);
    if let Some((pod, _)) = stale {
        control.delete_pod(pod);
        let message = format!("Deleted pod: {}", pod.name);
        control.tell(kind, &set, component, false, "SuccessfulDelete", &message);
    }
    let ready_pods = live.iter().filter(|(_, p)| ready(p)).count();
    let fresh = control.state.store.get(kind.id, &object.namespace, &object.name)?;
    let mut status = json!({
        "currentNumberScheduled": live.len(), "numberMisscheduled": 0, "desiredNumberScheduled": nodes.len(),
        "numberReady": ready_pods, "observedGeneration": number(&set, "metadata.generation").max(1),
        "updatedNumberScheduled": live.iter().filter(|(o, _)| current(o)).count(), "numberAvailable": ready_pods,
    });
    if nodes.len() > ready_pods {
        status["numberUnavailable"] = (nodes.len() - ready_pods).into();
    }
    control.set_status(kind, &fresh, status);
    None
}
