//! The resources that the server knows: the built-in ones, and those that CRDs add.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;

use super::tables::crd::CustomColumn;

/// One resource of one group and version.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// Its table in the store.
    pub id: usize,
    pub group: CompactString,
    pub version: CompactString,
    pub kind: CompactString,
    pub plural: CompactString,
    pub singular: CompactString,
    pub short: Vec<CompactString>,
    pub categories: Vec<CompactString>,
    pub namespaced: bool,
    pub serves: Serves,
    pub subresources: Vec<CompactString>,
    /// The printer columns of a custom resource; `None` for what is built in.
    pub custom: Option<Arc<[CustomColumn]>>,
}

/// What can be done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// Stored objects with every verb.
    Stored,
    /// Questions such as `SelfSubjectAccessReview`: created, answered, not kept.
    Review,
    /// Figures made when asked: get and list.
    Figures,
}

impl Serves {
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Serves::Stored => {
                &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
            }
            Serves::Review => &["create"],
            Serves::Figures => &["get", "list"],
        }
    }
}

impl Kind {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// As errors name it: `pods`, `deployments.apps`.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

/// Every resource of one server. Ids never change; a CRD's resource that is deleted leaves a gap.
#[derive(Debug, Clone)]
pub(super) struct Kinds {
    all: Vec<Option<Arc<Kind>>>,
}

impl Kinds {
    pub fn builtin() -> Self {
        let all = BUILTIN.iter().enumerate().map(|(id, line)| Some(Arc::new(parse(id, line)))).collect();
        Self { all }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.all.iter().flatten()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.iter().find(|k| k.plural == plural && k.group == group && k.version == version)
    }

    /// By group and plural, whatever the version.
    pub fn resource(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.iter().find(|k| k.plural == plural && k.group == group)
    }

    /// By API version and kind, as owner references and bodies name it.
    #[cfg(test)]
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.iter().find(|k| k.kind == kind && k.group == group && k.version == version)
    }

    /// Takes in the storage version of a CRD; a resource that is there already gets its new columns.
    pub fn add_custom(&mut self, crd: &Value) -> Option<Arc<Kind>> {
        let text = |v: &Value| v.as_str().map(CompactString::from);
        let spec = crd.get("spec")?;
        let names = spec.get("names")?;
        let version = spec
            .get("versions")?
            .as_array()?
            .iter()
            .find(|v| v.get("storage").and_then(Value::as_bool) == Some(true))?;
        let list =
            |key: &str| names.get(key).and_then(Value::as_array).map(|a| a.iter().filter_map(text).collect());
        let (group, plural) = (text(spec.get("group")?)?, text(names.get("plural")?)?);
        let existing =
            self.all.iter().flatten().find(|k| k.group == group && k.plural == plural).map(|k| k.id);
        let id = existing.unwrap_or(self.all.len());
        let kind = text(names.get("kind")?)?;
        let subresources = version
            .get("subresources")
            .and_then(Value::as_object)
            .map(|m| m.keys().map(CompactString::from).filter(|k| k == "status").collect())
            .unwrap_or_default();
        let made = Arc::new(Kind {
            id,
            version: text(version.get("name")?)?,
            singular: names.get("singular").and_then(text).unwrap_or_else(|| kind.to_lowercase()),
            short: list("shortNames").unwrap_or_default(),
            categories: list("categories").unwrap_or_default(),
            namespaced: spec.get("scope").and_then(Value::as_str) == Some("Namespaced"),
            serves: Serves::Stored,
            subresources,
            custom: Some(CustomColumn::of_version(version).into()),
            group,
            plural,
            kind,
        });
        if id == self.all.len() {
            self.all.push(Some(made.clone()));
        } else {
            self.all[id] = Some(made.clone());
        }
        Some(made)
    }

    pub fn remove_custom(&mut self, group: &str, plural: &str) {
        for slot in &mut self.all {
            if slot.as_ref().is_some_and(|k| k.custom.is_some() && k.is(group, plural)) {
                *slot = None;
            }
        }
    }
}

/// One line of [`BUILTIN`]: `group version Kind plural scope short categories subresources`, `-` for nothing.
fn parse(id: usize, line: &str) -> Kind {
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next().filter(|w| *w != "-").unwrap_or_default();
    let (group, version, kind, plural, scope) = (next(), next(), next(), next(), next());
    let (short, categories, subresources) = (next(), next(), next());
    let list = |words: &str| words.split(',').filter(|w| !w.is_empty()).map(CompactString::from).collect();
    let serves = match group {
        "authorization.k8s.io" | "authentication.k8s.io" => Serves::Review,
        "metrics.k8s.io" => Serves::Figures,
        _ => Serves::Stored,
    };
    Kind {
        id,
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        plural: plural.into(),
        // The aggregated metrics server names no singular.
        singular: if group == "metrics.k8s.io" {
            CompactString::default()
        } else {
            kind.to_lowercase().into()
        },
        short: list(short),
        categories: list(categories),
        namespaced: scope == "N",
        serves,
        subresources: list(subresources),
        custom: None,
    }
}

/// Names, short names, categories and the order of groups as Kubernetes 1.36 tells them in its discovery.
const BUILTIN: &[&str] = &[
    "- v1 ConfigMap configmaps N cm - -",
    "- v1 Endpoints endpoints N ep - -",
    "- v1 Event events N ev - -",
    "- v1 LimitRange limitranges N limits - -",
    "- v1 Namespace namespaces C ns - finalize,status",
    "- v1 Node nodes C no - status",
    "- v1 PersistentVolumeClaim persistentvolumeclaims N pvc - status",
    "- v1 PersistentVolume persistentvolumes C pv - status",
    "- v1 Pod pods N po all eviction,log,status",
    "- v1 PodTemplate podtemplates N - - -",
    "- v1 ReplicationController replicationcontrollers N rc all scale,status",
    "- v1 ResourceQuota resourcequotas N quota - status",
    "- v1 Secret secrets N - - -",
    "- v1 ServiceAccount serviceaccounts N sa - -",
    "- v1 Service services N svc all status",
    "apiregistration.k8s.io v1 APIService apiservices C - api-extensions status",
    "apps v1 ControllerRevision controllerrevisions N - - -",
    "apps v1 DaemonSet daemonsets N ds all status",
    "apps v1 Deployment deployments N deploy all scale,status",
    "apps v1 ReplicaSet replicasets N rs all scale,status",
    "apps v1 StatefulSet statefulsets N sts all scale,status",
    "authentication.k8s.io v1 SelfSubjectReview selfsubjectreviews C - - -",
    "authorization.k8s.io v1 SelfSubjectAccessReview selfsubjectaccessreviews C - - -",
    "authorization.k8s.io v1 SelfSubjectRulesReview selfsubjectrulesreviews C - - -",
    "autoscaling v2 HorizontalPodAutoscaler horizontalpodautoscalers N hpa all status",
    "batch v1 CronJob cronjobs N cj all status",
    "batch v1 Job jobs N - all status",
    "networking.k8s.io v1 IngressClass ingressclasses C - - -",
    "networking.k8s.io v1 Ingress ingresses N ing - status",
    "networking.k8s.io v1 NetworkPolicy networkpolicies N netpol - -",
    "policy v1 PodDisruptionBudget poddisruptionbudgets N pdb - status",
    "rbac.authorization.k8s.io v1 ClusterRoleBinding clusterrolebindings C - - -",
    "rbac.authorization.k8s.io v1 ClusterRole clusterroles C - - -",
    "rbac.authorization.k8s.io v1 RoleBinding rolebindings N - - -",
    "rbac.authorization.k8s.io v1 Role roles N - - -",
    "storage.k8s.io v1 StorageClass storageclasses C sc - -",
    "apiextensions.k8s.io v1 CustomResourceDefinition customresourcedefinitions C crd,crds api-extensions status",
    "scheduling.k8s.io v1 PriorityClass priorityclasses C pc - -",
    "coordination.k8s.io v1 Lease leases N - - -",
    "discovery.k8s.io v1 EndpointSlice endpointslices N - - -",
    "metrics.k8s.io v1beta1 NodeMetrics nodes C - - -",
    "metrics.k8s.io v1beta1 PodMetrics pods N - - -",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_kind_is_found_by_its_names() {
        let kinds = Kinds::builtin();
        assert_eq!(kinds.iter().count(), BUILTIN.len());
        let deployments = kinds.find("apps", "v1", "deployments").unwrap();
        assert_eq!(
            (deployments.resource(), deployments.api_version()),
            ("deployments.apps".into(), "apps/v1".into())
        );
        assert_eq!(deployments.short, ["deploy"]);
        assert_eq!(kinds.by_kind("v1", "Pod").unwrap().plural, "pods");
        assert!(!kinds.by_kind("v1", "Node").unwrap().namespaced);
    }
}
