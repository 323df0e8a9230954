//! StatefulSets: pods by number, one after the other.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Control, alive, ready};
use crate::lab::build;
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, number, text};

const HASH: &str = "controller-revision-hash";

fn revision(set: &Value) -> String {
    format!("{}-{}", text(set, "metadata.name"), build::template_hash(&set["spec"]["template"], 0))
}

/// The template of one pod of the set.
pub(in crate::lab) fn template_of(set: &Value, index: i64) -> Value {
    let name = text(set, "metadata.name");
    let mut template = set["spec"]["template"].clone();
    let labels = &mut template["metadata"]["labels"];
    labels["apps.kubernetes.io/pod-index"] = index.to_string().into();
    labels[HASH] = revision(set).into();
    labels["statefulset.kubernetes.io/pod-name"] = format!("{name}-{index}").into();
    template["spec"]["hostname"] = format!("{name}-{index}").into();
    template["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    let claims = set["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default();
    if !claims.is_empty() {
        let volumes: Vec<Value> = claims
            .iter()
            .map(|c| {
                let claim = text(c, "metadata.name");
                json!({"name": claim, "persistentVolumeClaim": {"claimName": format!("{claim}-{name}-{index}")}})
            })
            .collect();
        template["spec"]["volumes"] = volumes.into();
    }
    template
}

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let set = object.value();
    if set["metadata"].get("deletionTimestamp").is_some() {
        return None;
    }
    let wanted = number(&set, "spec.replicas");
    let revision = revision(&set);
    let pods: Vec<(i64, Arc<Object>, Value)> = control
        .owned(("", "pods"), object)
        .into_iter()
        .filter_map(|o| Some((o.name.rsplit('-').next()?.parse().ok()?, o.clone(), o.value())))
        .collect();
    let find = |i: i64| pods.iter().find(|(n, ..)| *n == i);
    let parallel = text(&set, "spec.podManagementPolicy") == "Parallel";
    let mut busy = false;
    for i in 0..wanted {
        match find(i) {
            None => {
                let name = format!("{}-{i}", object.name);
                if control.make_pod(kind, &set, &template_of(&set, i), &name).is_some() {
                    let message = format!("create Pod {name} in StatefulSet {} successful", object.name);
                    control.tell(kind, &set, "statefulset-controller", false, "SuccessfulCreate", &message);
                }
                busy = true;
            }
            Some((_, pod, value)) => {
                if matches!(text(value, "status.phase"), "Failed" | "Succeeded") {
                    control.delete_pod(pod);
                }
                busy |= !ready(value) || !alive(value);
            }
        }
        if busy && !parallel {
            break;
        }
    }
    // From the highest down: too many, then out of date, one at a time.
    let mut sorted: Vec<_> = pods.iter().collect();
    sorted.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    let excess = sorted.iter().find(|(n, ..)| *n >= wanted);
    let stale = sorted.iter().find(|(_, o, v)| o.label(HASH) != Some(&revision) && alive(v));
    let leaving = pods.iter().any(|(.., v)| v["metadata"].get("deletionTimestamp").is_some());
    if !leaving && let Some((_, pod, _)) = excess.or(if busy { None } else { stale }) {
        control.delete_pod(pod);
        let message = format!("delete Pod {} in StatefulSet {} successful", pod.name, object.name);
        control.tell(kind, &set, "statefulset-controller", false, "SuccessfulDelete", &message);
    }
    let live: Vec<_> = pods.iter().filter(|(.., v)| alive(v)).collect();
    let ready_pods = live.iter().filter(|(.., v)| ready(v)).count();
    let updated = live.iter().filter(|(_, o, _)| o.label(HASH) == Some(&revision)).count();
    let fresh = control.state.store.get(kind.id, &object.namespace, &object.name)?;
    let current = if updated == live.len() {
        revision.clone()
    } else {
        text(&set, "status.currentRevision").to_owned()
    };
    let mut status =
        json!({"observedGeneration": number(&set, "metadata.generation").max(1), "replicas": live.len()});
    for (key, n) in
        [("readyReplicas", ready_pods), ("currentReplicas", updated), ("updatedReplicas", updated)]
    {
        if n > 0 {
            status[key] = n.into();
        }
    }
    status["currentRevision"] = if current.is_empty() { revision.clone() } else { current }.into();
    status["updateRevision"] = revision.into();
    status["collisionCount"] = 0.into();
    status["availableReplicas"] = ready_pods.into();
    control.set_status(kind, &fresh, status);
    None
}
