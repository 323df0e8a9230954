//! What kubectl's and k9s's short names mean everywhere.

/// What kubectl's short names mean everywhere, for as long as discovery has not answered.
const WELL_KNOWN: &[(&str, &str)] = &[
    ("po", "pods"),
    ("pod", "pods"),
    ("pods", "pods"),
    ("deploy", "deployments.apps"),
    ("dp", "deployments.apps"),
    ("deployment", "deployments.apps"),
    ("deployments", "deployments.apps"),
    ("sts", "statefulsets.apps"),
    ("statefulset", "statefulsets.apps"),
    ("statefulsets", "statefulsets.apps"),
    ("ds", "daemonsets.apps"),
    ("daemonset", "daemonsets.apps"),
    ("daemonsets", "daemonsets.apps"),
    ("rs", "replicasets.apps"),
    ("replicaset", "replicasets.apps"),
    ("replicasets", "replicasets.apps"),
    ("svc", "services"),
    ("service", "services"),
    ("services", "services"),
    ("no", "nodes"),
    ("node", "nodes"),
    ("nodes", "nodes"),
    ("ns", "namespaces"),
    ("namespace", "namespaces"),
    ("namespaces", "namespaces"),
    ("cm", "configmaps"),
    ("configmap", "configmaps"),
    ("configmaps", "configmaps"),
    ("secret", "secrets"),
    ("secrets", "secrets"),
    ("ev", "events"),
    ("event", "events"),
    ("events", "events"),
    ("job", "jobs.batch"),
    ("jobs", "jobs.batch"),
    ("csr", "certificatesigningrequests.certificates.k8s.io"),
    ("certificatesigningrequests", "certificatesigningrequests.certificates.k8s.io"),
    ("cj", "cronjobs.batch"),
    ("cronjob", "cronjobs.batch"),
    ("cronjobs", "cronjobs.batch"),
    ("ing", "ingresses.networking.k8s.io"),
    ("ingresses", "ingresses.networking.k8s.io"),
    ("pvc", "persistentvolumeclaims"),
    ("persistentvolumeclaims", "persistentvolumeclaims"),
    ("pv", "persistentvolumes"),
    ("persistentvolumes", "persistentvolumes"),
    ("sa", "serviceaccounts"),
    ("serviceaccounts", "serviceaccounts"),
    ("hpa", "horizontalpodautoscalers.autoscaling"),
    ("crd", "customresourcedefinitions.apiextensions.k8s.io"),
    ("crds", "customresourcedefinitions.apiextensions.k8s.io"),
    ("jo", "jobs.batch"),
    ("sec", "secrets"),
    ("cr", "clusterroles.rbac.authorization.k8s.io"),
    ("clusterroles", "clusterroles.rbac.authorization.k8s.io"),
    ("crb", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("clusterrolebindings", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("ro", "roles.rbac.authorization.k8s.io"),
    ("roles", "roles.rbac.authorization.k8s.io"),
    ("rb", "rolebindings.rbac.authorization.k8s.io"),
    ("rolebindings", "rolebindings.rbac.authorization.k8s.io"),
    ("np", "networkpolicies.networking.k8s.io"),
    ("netpol", "networkpolicies.networking.k8s.io"),
    ("networkpolicies", "networkpolicies.networking.k8s.io"),
    ("pdb", "poddisruptionbudgets.policy"),
    ("sc", "storageclasses.storage.k8s.io"),
    ("ep", "endpoints"),
];

/// The identifier of the kind that a word means in every cluster, for as long as discovery has not answered. k9s's
/// `group/version/plural` is taken too.
pub fn well_known(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    let (path, last) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let found = WELL_KNOWN.iter().find(|(name, _)| *name == last).map(|(_, id)| *id)?;
    let group = path.rsplit_once('/').map_or("", |(group, _)| group);
    (path.is_empty() || found.split_once('.').map_or("", |(_, group)| group) == group).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_its_own_group_only() {
        assert_eq!(well_known("Deploy"), Some("deployments.apps"));
        assert_eq!(well_known("apps/v1/deployments"), Some("deployments.apps"));
        assert_eq!(well_known("v1/pods"), Some("pods"));
        assert_eq!(well_known("other.io/v1/deployments"), None);
        assert_eq!(well_known("certificates"), None);
    }
}
