//! What goes when something else goes: dependents of owners, the contents of namespaces.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Control, mark_deleted};
use crate::lab::kinds::{Kind, Serves};
use crate::lab::object::{Object, items};
use crate::lab::store::Touched;

/// The finalizer of an object that goes after what it owns.
pub(in crate::lab) const FOREGROUND: &str = "foregroundDeletion";

/// What objects of a kind own.
pub(in crate::lab) fn dependents(kind: &Kind) -> &'static [(&'static str, &'static str)] {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments") => &[("apps", "replicasets")],
        ("apps", "replicasets" | "statefulsets" | "daemonsets") | ("batch", "jobs") => &[("", "pods")],
        ("batch", "cronjobs") => &[("batch", "jobs")],
        ("", "services") => &[("discovery.k8s.io", "endpointslices")],
        _ => &[],
    }
}

/// An object waits for what it owns to go: sends that away, and goes when nothing of it is left. `None` if it does not wait.
pub(super) fn foreground(control: &mut Control, kind: &Arc<Kind>, object: &Object) -> Option<Timestamp> {
    let mut value = object.value();
    value["metadata"].get("deletionTimestamp")?;
    if !items(&value, "metadata.finalizers").iter().any(|f| f == FOREGROUND) {
        return None;
    }
    let mut left = false;
    for (group, plural) in dependents(kind) {
        let Some(dependent) = control.state.kind(group, plural) else { continue };
        for owned in control.owned((group, plural), object) {
            left = true;
            if *plural == "pods" {
                control.delete_pod(&owned);
                continue;
            }
            let mut going = owned.value();
            if going["metadata"].get("deletionTimestamp").is_none() {
                hold(&mut going);
                mark_deleted(&mut going, 0);
                control.replace(&dependent, &owned, going);
            }
        }
    }
    if !left {
        if let Some(finalizers) = value["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|f| f != FOREGROUND);
        }
        if items(&value, "metadata.finalizers").is_empty() {
            let _ =
                control.state.store.remove(kind.id, &object.namespace, &object.name, Some(object.version));
        } else {
            control.replace(kind, object, value);
        }
    }
    Some(Timestamp::now() + SignedDuration::from_millis(300))
}

/// Makes an object wait for what it owns.
pub(in crate::lab) fn hold(value: &mut Value) {
    let finalizers = &mut value["metadata"]["finalizers"];
    match finalizers.as_array_mut() {
        Some(list) if list.iter().any(|f| f == FOREGROUND) => {}
        Some(list) => list.push(FOREGROUND.into()),
        None => *finalizers = serde_json::json!([FOREGROUND]),
    }
}

/// An object is gone: what it owned goes too, unless its owner was told to leave it.
pub(super) fn removed(control: &mut Control, kind: &Arc<Kind>, gone: &Touched) {
    for (group, plural) in dependents(kind) {
        let Some(dependent) = control.state.kind(group, plural) else { continue };
        for object in control.state.store.list(dependent.id, &gone.namespace, None).0 {
            let ours = object.owner.as_ref().is_some_and(|o| o.kind == kind.kind && o.name == gone.name);
            if !ours {
                continue;
            }
            if *plural == "pods" {
                control.delete_pod(&object);
            } else {
                let _ = control.state.store.remove(dependent.id, &object.namespace, &object.name, None);
            }
        }
    }
    if kind.is("", "services")
        && let Some(endpoints) = control.state.kind("", "endpoints")
    {
        let _ = control.state.store.remove(endpoints.id, &gone.namespace, &gone.name, None);
    }
    if kind.is("apiextensions.k8s.io", "customresourcedefinitions")
        && let Some((plural, group)) = gone.name.split_once('.')
    {
        if let Some(custom) = control.state.kind(group, plural) {
            for object in control.state.store.list(custom.id, "", None).0 {
                let _ = control.state.store.remove(custom.id, &object.namespace, &object.name, None);
            }
        }
        control.state.kinds.write().remove_custom(group, plural);
    }
}

/// Empties a namespace that is being deleted, and then takes it out.
pub(super) fn namespace(control: &mut Control, object: &Object) -> Option<Timestamp> {
    let value = object.value();
    value["metadata"].get("deletionTimestamp")?;
    let kinds: Vec<Arc<Kind>> = control
        .state
        .kinds
        .read()
        .iter()
        .filter(|k| k.namespaced && k.serves == Serves::Stored)
        .cloned()
        .collect();
    let mut left = 0;
    for kind in kinds {
        for content in control.state.store.list(kind.id, &object.name, None).0 {
            if kind.is("", "pods") {
                left += 1;
                control.delete_pod(&content);
            } else if items(&content.value(), "metadata.finalizers")
                .iter()
                .any(|f| f != "kubernetes.io/pvc-protection")
            {
                left += 1;
            } else {
                let _ = control.state.store.remove(kind.id, &content.namespace, &content.name, None);
            }
        }
    }
    if left > 0 {
        return Some(Timestamp::now() + SignedDuration::from_secs(1));
    }
    let namespaces = control.state.kind("", "namespaces")?;
    let _ = control.state.store.remove(namespaces.id, "", &object.name, None);
    None
}
