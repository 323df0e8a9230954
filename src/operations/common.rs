//! What the operations on Kubernetes objects share: defaults filled in, kinds by one name, previews from plans.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Deck;
use crate::base::clock::seconds;
use crate::base::{Error, Result};
use crate::gate::{Context, Diff, Preview, Target, TargetVersion};
use crate::kube::objects::{Plan, Seen};
use crate::kube::{Cluster, Kinds};
use crate::rows::path::{Path, is_path};

/// Puts the current context's name where no cluster was named.
pub fn fill_cluster(deck: &Deck, cluster: &mut Option<String>) -> Result<Arc<Cluster>> {
    let found = deck.kube.get(cluster.as_deref())?;
    *cluster = Some(found.name().to_string());
    Ok(found)
}

/// Fills in the cluster, the namespace, and the kind's one name, so that policy, approvals and the audit log see the same
/// words however the call was put.
pub fn fill(
    deck: &Deck,
    cluster: &mut Option<String>,
    namespace: &mut Option<String>,
    kind: &mut String,
) -> Result<()> {
    let found = fill_cluster(deck, cluster)?;
    let (word, scope) = canonical(kind, found.known_kinds().as_deref());
    *kind = word;
    match scope {
        Scope::Cluster => *namespace = None,
        Scope::Namespace if namespace.is_none() => *namespace = Some(found.default_namespace()),
        // A namespace that may not be its own would let a rule or a grant for that namespace cover it.
        Scope::Namespace | Scope::Unknown => {}
    }
    Ok(())
}

/// Where the objects of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Namespace,
    /// Only the server knows.
    Unknown,
}

/// Where objects are of the kind that a manifest names, as far as that needs no server: see [`Scope`].
pub fn scope(api_version: &str, kind: &str) -> Scope {
    match api_version.split_once('/') {
        Some((group, _)) => canonical(&format!("{kind}.{group}"), None).1,
        None => BUILT_IN
            .iter()
            .find(|(singular, _, _, home, _)| home.is_empty() && kind.eq_ignore_ascii_case(singular))
            .map_or(Scope::Unknown, |(.., namespaced)| Scope::of(*namespaced)),
    }
}

impl Scope {
    fn of(namespaced: bool) -> Self {
        if namespaced { Scope::Namespace } else { Scope::Cluster }
    }
}

/// Why a call cannot be: it names a namespace for what has none.
pub fn no_namespace(object: &str, namespace: &str) -> Error {
    Error::invalid(format!("{object} has no namespace, and the call names {namespace}"))
        .next("Leave the namespace out.")
}

/// The target of an operation on one object.
pub fn target(cluster: &Option<String>, namespace: &Option<String>, kind: &str, name: &str) -> Target {
    // A version in front says how to read the object, not which object it is.
    let kind = match kind.split('/').collect::<Vec<_>>()[..] {
        [_, word] | [_, _, word] => canonical(word, None).0,
        _ => kind.to_owned(),
    };
    Target::kubernetes(cluster.clone().unwrap_or_default(), namespace.clone().unwrap_or_default(), kind, name)
}

/// A kind's one name, and where its objects are. Without the server's own list, the built-in kinds are known; another is
/// taken as it is written.
pub fn canonical(kind: &str, known: Option<&Kinds>) -> (String, Scope) {
    if let Some((kinds, found)) = known.and_then(|k| Some((k, k.find(kind)?))) {
        let word = if kind.contains('/') {
            kind.to_owned()
        } else {
            let short = found.target_kind();
            // A metrics "pod" is not the pod.
            let same = kinds.find(&short).is_some_and(|f| f.group == found.group);
            if same { short } else { format!("{}.{}", found.singular, found.group) }
        };
        return (word, Scope::of(found.namespaced));
    }
    let lower = kind.trim().to_lowercase();
    let (word, group) = lower.split_once('.').map_or((lower.as_str(), None), |(w, g)| (w, Some(g)));
    let built_in = BUILT_IN.iter().find(|(singular, plural, short, home, _)| {
        (word == *singular || word == *plural || short.contains(&word)) && group.is_none_or(|g| g == *home)
    });
    built_in.map_or((lower.clone(), Scope::Unknown), |(singular, _, _, _, namespaced)| {
        ((*singular).to_owned(), Scope::of(*namespaced))
    })
}

/// Singular, plural, short names, group, whether it has a namespace.
type BuiltIn = (&'static str, &'static str, &'static [&'static str], &'static str, bool);

const BUILT_IN: &[BuiltIn] = &[
    ("pod", "pods", &["po"], "", true),
    ("service", "services", &["svc"], "", true),
    ("configmap", "configmaps", &["cm"], "", true),
    ("secret", "secrets", &["sec"], "", true),
    ("serviceaccount", "serviceaccounts", &["sa"], "", true),
    ("persistentvolumeclaim", "persistentvolumeclaims", &["pvc"], "", true),
    ("persistentvolume", "persistentvolumes", &["pv"], "", false),
    ("node", "nodes", &["no"], "", false),
    ("namespace", "namespaces", &["ns"], "", false),
    ("event", "events", &["ev"], "", true),
    ("endpoints", "endpoints", &["ep"], "", true),
    ("resourcequota", "resourcequotas", &["quota"], "", true),
    ("limitrange", "limitranges", &["limits"], "", true),
    ("replicationcontroller", "replicationcontrollers", &["rc"], "", true),
    ("deployment", "deployments", &["deploy", "dp"], "apps", true),
    ("replicaset", "replicasets", &["rs"], "apps", true),
    ("statefulset", "statefulsets", &["sts"], "apps", true),
    ("daemonset", "daemonsets", &["ds"], "apps", true),
    ("controllerrevision", "controllerrevisions", &[], "apps", true),
    ("job", "jobs", &["jo"], "batch", true),
    ("cronjob", "cronjobs", &["cj"], "batch", true),
    ("horizontalpodautoscaler", "horizontalpodautoscalers", &["hpa"], "autoscaling", true),
    ("ingress", "ingresses", &["ing"], "networking.k8s.io", true),
    ("ingressclass", "ingressclasses", &[], "networking.k8s.io", false),
    ("networkpolicy", "networkpolicies", &["netpol", "np"], "networking.k8s.io", true),
    ("poddisruptionbudget", "poddisruptionbudgets", &["pdb"], "policy", true),
    ("endpointslice", "endpointslices", &[], "discovery.k8s.io", true),
    ("role", "roles", &["ro"], "rbac.authorization.k8s.io", true),
    ("rolebinding", "rolebindings", &["rb"], "rbac.authorization.k8s.io", true),
    ("clusterrole", "clusterroles", &["cr"], "rbac.authorization.k8s.io", false),
    ("clusterrolebinding", "clusterrolebindings", &["crb"], "rbac.authorization.k8s.io", false),
    ("storageclass", "storageclasses", &["sc"], "storage.k8s.io", false),
    ("volumeattachment", "volumeattachments", &[], "storage.k8s.io", false),
    ("priorityclass", "priorityclasses", &["pc"], "scheduling.k8s.io", false),
    ("lease", "leases", &[], "coordination.k8s.io", true),
    (
        "customresourcedefinition",
        "customresourcedefinitions",
        &["crd", "crds"],
        "apiextensions.k8s.io",
        false,
    ),
    ("apiservice", "apiservices", &[], "apiregistration.k8s.io", false),
    (
        "mutatingwebhookconfiguration",
        "mutatingwebhookconfigurations",
        &[],
        "admissionregistration.k8s.io",
        false,
    ),
    (
        "validatingwebhookconfiguration",
        "validatingwebhookconfigurations",
        &[],
        "admissionregistration.k8s.io",
        false,
    ),
];

/// `NAME=VALUE`, each.
pub fn pairs<'a>(texts: &'a [String], field: &str) -> Result<Vec<(&'a str, &'a str)>> {
    let split = |text: &'a String| {
        text.split_once('=').ok_or_else(|| Error::invalid(format!("{field}: {text:?} is not NAME=VALUE")))
    };
    texts.iter().map(split).collect()
}

/// A point in time, or a span before now.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || {
        Error::invalid(format!("{text:?} is no time"))
            .next("Write 2026-01-31T12:00:00Z, or a span such as 15m, 2h or 3d.")
    };
    let ago = seconds(text).ok_or_else(wrong)?;
    now.checked_sub(Duration::from_secs(ago)).map_err(|_| wrong())
}

/// A plan as the gate shows it. Comparing large texts takes time, so a thread does it.
pub async fn preview(target: Target, plan: Plan) -> Result<Preview> {
    let (before, after) = (plan.before, plan.after);
    let compare = move || Diff::between(&before, &after);
    let diff = tokio::task::spawn_blocking(compare).await.map_err(crate::base::Error::internal)?;
    Ok(Preview {
        version: plan.seen.as_ref().map(version),
        diff,
        affects: plan.affects,
        checks: plan.checks,
        warnings: plan.warnings,
        ..Preview::of(target)
    })
}

/// An error where a path leads nowhere in an object. A column's name is no path.
pub fn has_field(object: &Value, field: Option<&str>) -> Result<()> {
    let Some(field) = field.filter(|f| is_path(f)) else { return Ok(()) };
    let path = Path::parse_any(field).map_err(|e| Error::invalid(e.to_string()))?;
    match path.find(object).is_empty() {
        false => Ok(()),
        true => Err(Error::not_found(format!("it has no field {field:?}"))
            .next("Name a path that its manifest has, such as spec.replicas, or a column, such as STATUS.")),
    }
}

pub fn version(seen: &Seen) -> TargetVersion {
    TargetVersion { identity: seen.uid.clone(), revision: seen.revision.clone() }
}

/// The state that the caller or approver has seen, if the call is bound to one.
pub fn seen(cx: &Context) -> Option<Seen> {
    cx.expected().map(|v| Seen { uid: v.identity.clone(), revision: v.revision.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_however_it_is_written() {
        for word in ["deploy", "deployments", "Deployment", "deployments.apps", "dp"] {
            assert_eq!(canonical(word, None), ("deployment".into(), Scope::Namespace), "{word}");
        }
        assert_eq!(canonical("no", None), ("node".into(), Scope::Cluster));
        assert_eq!(
            canonical("certificates.cert-manager.io", None),
            ("certificates.cert-manager.io".into(), Scope::Unknown)
        );
        assert_eq!(canonical("services.serving.knative.dev", None).0, "services.serving.knative.dev");
        let cluster = Some("c".to_owned());
        assert_eq!(target(&cluster, &None, "apps/v1/deployments", "web").kind, "deployment");
    }
}
