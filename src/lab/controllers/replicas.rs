//! ReplicaSets: as many pods as asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::churn::exceeded;
use super::{Control, alive, ready};
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, number, text};

/// When a pod that a quota refused is tried again.
const RETRY: Duration = Duration::from_secs(30);

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let set = object.value();
    if set["metadata"].get("deletionTimestamp").is_some() {
        return None;
    }
    let wanted = usize::try_from(number(&set, "spec.replicas")).unwrap_or(0);
    let mut pods: Vec<(Arc<Object>, Value)> =
        control.owned(("", "pods"), object).into_iter().map(|o| (o.clone(), o.value())).collect();
    let leaving = pods.iter().filter(|(_, p)| p["metadata"].get("deletionTimestamp").is_some()).count();
    pods.retain(|(_, p)| alive(p));
    let component = "replicaset-controller";
    let mut again = None;
    if pods.len() < wanted {
        for _ in pods.len()..wanted {
            let name = format!("{}-{}", object.name, control.state.rng.lock().suffix(5));
            if let Some(why) = exceeded(control, &object.namespace, &set["spec"]["template"], &name) {
                let message = format!("Error creating: {why}");
                control.tell(kind, &set, component, true, "FailedCreate", &message);
                again = Timestamp::now().checked_add(RETRY).ok();
                break;
            }
            if let Some(made) = control.make_pod(kind, &set, &set["spec"]["template"], &name) {
                control.tell(
                    kind,
                    &set,
                    component,
                    false,
                    "SuccessfulCreate",
                    &format!("Created pod: {name}"),
                );
                pods.push((made.clone(), made.value()));
            }
        }
    } else if pods.len() > wanted {
        // The unready first, then the youngest, as the real one chooses.
        pods.sort_by_key(|(_, p)| {
            (ready(p), std::cmp::Reverse(text(p, "metadata.creationTimestamp").to_owned()))
        });
        let excess = pods.len() - wanted;
        for (pod, _) in pods.drain(..excess) {
            control.delete_pod(&pod);
            let message = format!("Deleted pod: {}", pod.name);
            control.tell(kind, &set, component, false, "SuccessfulDelete", &message);
        }
    }
    let fresh = control.state.store.get(kind.id, &object.namespace, &object.name)?;
    let ready_pods = pods.iter().filter(|(_, p)| ready(p)).count();
    let mut status = json!({"replicas": pods.len()});
    if !pods.is_empty() {
        status["fullyLabeledReplicas"] = pods.len().into();
    }
    if ready_pods > 0 {
        status["readyReplicas"] = ready_pods.into();
        status["availableReplicas"] = ready_pods.into();
    }
    status["terminatingReplicas"] = leaving.into();
    status["observedGeneration"] = number(&set, "metadata.generation").max(1).into();
    control.set_status(kind, &fresh, status);
    again
}
