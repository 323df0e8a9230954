//! Deployments: rolling from one ReplicaSet to the next.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Control;
use crate::lab::build;
use crate::lab::kinds::Kind;
use crate::lab::object::{Object, items, number, owner_reference, stamp, text};

const REVISION: &str = "deployment.kubernetes.io/revision";

/// The ReplicaSet of a deployment's template as it is now.
pub(in crate::lab) fn new_set(kind: &Kind, deployment: &Value, revision: i64) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = build::template_hash(&template, 0);
    template["metadata"]["labels"]["pod-template-hash"] = hash.as_str().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.as_str().into();
    let mut labels = deployment["spec"]["template"]["metadata"]["labels"].clone();
    labels["pod-template-hash"] = hash.as_str().into();
    let replicas = number(deployment, "spec.replicas");
    json!({
        "metadata": {
            "name": format!("{}-{hash}", text(deployment, "metadata.name")),
            "namespace": text(deployment, "metadata.namespace"), "generation": 1, "labels": labels,
            "annotations": {"deployment.kubernetes.io/desired-replicas": replicas.to_string(),
                            "deployment.kubernetes.io/max-replicas": (replicas + surge(deployment)).to_string(),
                            REVISION: revision.to_string()},
            "ownerReferences": [owner_reference(kind, deployment)],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
        "status": {"replicas": 0},
    })
}

/// A number of pods, or a percentage of them.
fn share(value: &Value, of: i64, up: bool) -> i64 {
    match value {
        Value::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(25);
            if up { (of * percent + 99) / 100 } else { of * percent / 100 }
        }
        other => other.as_i64().unwrap_or(0),
    }
}

fn surge(deployment: &Value) -> i64 {
    share(
        &deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"],
        number(deployment, "spec.replicas"),
        true,
    )
}

pub(super) fn reconcile(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let deployment = object.value();
    if deployment["metadata"].get("deletionTimestamp").is_some()
        || deployment["spec"]["paused"].as_bool() == Some(true)
    {
        return None;
    }
    let sets_kind = control.state.kind("apps", "replicasets")?;
    let hash = build::template_hash(&deployment["spec"]["template"], 0);
    let name = format!("{}-{hash}", object.name);
    let mut sets: Vec<(Arc<Object>, Value)> =
        control.owned(("apps", "replicasets"), object).into_iter().map(|o| (o.clone(), o.value())).collect();
    let wanted = number(&deployment, "spec.replicas");
    let revision = |v: &Value| {
        v["metadata"]["annotations"][REVISION].as_str().and_then(|r| r.parse().ok()).unwrap_or(0_i64)
    };
    let latest = sets.iter().map(|(_, v)| revision(v)).max().unwrap_or(0);
    if !sets.iter().any(|(o, _)| o.name == name.as_str()) {
        let mut set = new_set(kind, &deployment, latest + 1);
        let old: i64 = sets.iter().map(|(_, v)| number(v, "spec.replicas")).sum();
        let room = (wanted + surge(&deployment) - old).clamp(0, wanted);
        set["spec"]["replicas"] = room.into();
        let made = control.create(&sets_kind, set)?;
        let message = format!("Scaled up replica set {name} from 0 to {room}");
        control.tell(kind, &deployment, "deployment-controller", false, "ScalingReplicaSet", &message);
        sets.push((made.clone(), made.value()));
        set_revision(control, kind, object, latest + 1);
        // The change of the deployment brings it back here.
        return Some(Timestamp::now());
    }
    let (new, old): (Vec<_>, Vec<_>) = sets.into_iter().partition(|(o, _)| o.name == name.as_str());
    let (new_object, new_value) = new.into_iter().next()?;
    if revision(&new_value) < latest && !old.is_empty() {
        // Rolled back: the old set is the newest revision now.
        let mut value = new_value.clone();
        value["metadata"]["annotations"][REVISION] = (latest + 1).to_string().into();
        control.replace(&sets_kind, &new_object, value);
        set_revision(control, kind, object, latest + 1);
        return Some(Timestamp::now());
    }
    roll(control, kind, &deployment, &sets_kind, (&new_object, &new_value), &old);
    report(control, kind, object, &new_value, &old);
    clean_up(control, &deployment, &sets_kind, &old);
    None
}

fn set_revision(control: &Control, kind: &Kind, object: &Object, revision: i64) {
    let Some(fresh) = control.state.store.get(kind.id, &object.namespace, &object.name) else { return };
    let mut value = fresh.value();
    if value["metadata"]["annotations"][REVISION] != revision.to_string().as_str() {
        value["metadata"]["annotations"][REVISION] = revision.to_string().into();
        control.replace(kind, &fresh, value);
    }
}

/// One step from the old sets to the new one, within the surge and what may be missing.
fn roll(
    control: &Control,
    kind: &Arc<Kind>,
    deployment: &Value,
    sets_kind: &Arc<Kind>,
    (new, new_value): (&Arc<Object>, &Value),
    old: &[(Arc<Object>, Value)],
) {
    let wanted = number(deployment, "spec.replicas");
    let strategy = &deployment["spec"]["strategy"];
    let recreate = strategy["type"] == "Recreate";
    let spec_of = |v: &Value| number(v, "spec.replicas");
    let old_total: i64 = old.iter().map(|(_, v)| spec_of(v)).sum();
    let available: i64 = old.iter().map(|(_, v)| number(v, "status.availableReplicas")).sum::<i64>()
        + number(new_value, "status.availableReplicas");
    let missing = share(&strategy["rollingUpdate"]["maxUnavailable"], wanted, false)
        .max(i64::from(surge(deployment) == 0));
    let grown = if old_total == 0 {
        wanted
    } else if recreate {
        let pods: i64 = old
            .iter()
            .map(|(_, v)| number(v, "status.replicas") + number(v, "status.terminatingReplicas"))
            .sum();
        if pods == 0 { wanted } else { spec_of(new_value) }
    } else {
        (wanted + surge(deployment) - old_total).clamp(spec_of(new_value).min(wanted), wanted)
    };
    if grown != spec_of(new_value) {
        scale(control, kind, deployment, sets_kind, (new, new_value), grown);
    }
    // Unready pods of old sets go first; ready ones only as far as enough stay available.
    let mut spare = if recreate { old_total } else { (available - (wanted - missing)).max(0) };
    for (set, value) in old.iter().filter(|(_, v)| spec_of(v) > 0) {
        let unready = if recreate { 0 } else { spec_of(value) - number(value, "status.availableReplicas") };
        let down = (unready.max(0) + spare).min(spec_of(value));
        if down > 0 {
            spare -= (down - unready.max(0)).max(0);
            scale(control, kind, deployment, sets_kind, (set, value), spec_of(value) - down);
        }
    }
}

fn scale(
    control: &Control,
    kind: &Arc<Kind>,
    deployment: &Value,
    sets_kind: &Kind,
    (set, value): (&Arc<Object>, &Value),
    to: i64,
) {
    let from = number(value, "spec.replicas");
    let mut changed = value.clone();
    changed["spec"]["replicas"] = to.into();
    changed["metadata"]["generation"] = (number(value, "metadata.generation") + 1).into();
    changed["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] =
        number(deployment, "spec.replicas").to_string().into();
    if control.replace(sets_kind, set, changed) {
        let way = if to > from { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {from} to {to}", set.name);
        control.tell(kind, deployment, "deployment-controller", false, "ScalingReplicaSet", &message);
    }
}

/// The deployment's status from its sets.
fn report(control: &Control, kind: &Kind, object: &Object, new: &Value, old: &[(Arc<Object>, Value)]) {
    let Some(fresh) = control.state.store.get(kind.id, &object.namespace, &object.name) else { return };
    let deployment = fresh.value();
    let sum = |path: &str| old.iter().map(|(_, v)| number(v, path)).sum::<i64>() + number(new, path);
    let (wanted, total) = (number(&deployment, "spec.replicas"), sum("status.replicas"));
    let (ready, available) = (sum("status.readyReplicas"), sum("status.availableReplicas"));
    let updated = number(new, "status.replicas");
    let mut status = json!({"observedGeneration": number(&deployment, "metadata.generation").max(1)});
    for (key, n) in [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        if n > 0 {
            status[key] = n.into();
        }
    }
    status["terminatingReplicas"] = sum("status.terminatingReplicas").into();
    let missing = share(&deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], wanted, false);
    let enough = available >= wanted - missing;
    let done = updated == wanted && total == wanted && available == wanted;
    let set = text(new, "metadata.name");
    let conditions = items(&deployment, "status.conditions");
    let (progress_reason, progress) = if done {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
    } else {
        ("ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
    };
    // What has come to its end stays so, as long as the same set serves.
    let finished = conditions
        .iter()
        .any(|c| c["reason"] == "NewReplicaSetAvailable" && text(c, "message").contains(set));
    let (progress_reason, progress) = if finished && updated == total {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed."))
    } else {
        (progress_reason, progress)
    };
    let available_condition = if enough {
        ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
    } else {
        (
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.".to_owned(),
        )
    };
    status["conditions"] = json!([
        condition(conditions, available_condition),
        condition(conditions, ("Progressing", "True", progress_reason, progress)),
    ]);
    control.set_status(kind, &fresh, status);
}

fn condition(old: &[Value], (ty, status, reason, message): (&str, &str, &str, String)) -> Value {
    let now = stamp(Timestamp::now());
    let before = old.iter().find(|c| c["type"] == ty);
    let same = |key: &str, value: &str| before.is_some_and(|c| c[key] == value);
    let since =
        if same("status", status) { before.map(|c| text(c, "lastTransitionTime").to_owned()) } else { None };
    let unchanged = same("status", status) && same("reason", reason) && same("message", &message);
    let updated = if unchanged { before.map(|c| text(c, "lastUpdateTime").to_owned()) } else { None };
    json!({"type": ty, "status": status, "lastUpdateTime": updated.unwrap_or_else(|| now.clone()),
           "lastTransitionTime": since.unwrap_or(now), "reason": reason, "message": message})
}

/// Takes out the oldest empty sets beyond the history that is kept.
fn clean_up(control: &Control, deployment: &Value, sets_kind: &Kind, old: &[(Arc<Object>, Value)]) {
    let keep = usize::try_from(number(deployment, "spec.revisionHistoryLimit")).unwrap_or(10);
    let mut empty: Vec<&(Arc<Object>, Value)> = old
        .iter()
        .filter(|(_, v)| number(v, "spec.replicas") == 0 && number(v, "status.replicas") == 0)
        .collect();
    empty.sort_by_key(|(o, _)| o.version);
    for (set, _) in empty.iter().take(empty.len().saturating_sub(keep)) {
        let _ = control.state.store.remove(sets_kind.id, &set.namespace, &set.name, None);
    }
}
