//! The kinds that a server has, and what a person means by a word for one.

use std::sync::Arc;

use crate::base::text::nearest;

/// One kind of object at one version, as discovery gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Empty for the core group.
    pub group: Arc<str>,
    pub version: Arc<str>,
    /// Lower case, as in paths: `deployments`.
    pub plural: Arc<str>,
    /// Lower case: `deployment`. Never empty.
    pub singular: Arc<str>,
    /// `Deployment`.
    pub kind: Arc<str>,
    pub namespaced: bool,
    pub short_names: Vec<Arc<str>>,
    pub verbs: Vec<Arc<str>>,
    /// `scale`, `status`, `log`, …
    pub subresources: Vec<Arc<str>>,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`: unambiguous in one cluster.
    pub fn full_name(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `pod`, `deployment`, or with the group where the group is not one of Kubernetes' own:
    /// `certificate.cert-manager.io`. What a target's kind is.
    pub fn target_kind(&self) -> String {
        if !self.group.contains('.') || self.group.ends_with(".k8s.io") {
            self.singular.to_string()
        } else {
            qualified(&self.singular, &self.group)
        }
    }

    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| &**v == verb)
    }

    pub fn is_pods(&self) -> bool {
        self.group.is_empty() && &*self.plural == "pods"
    }

    pub fn is_nodes(&self) -> bool {
        self.group.is_empty() && &*self.plural == "nodes"
    }

    /// The path of all objects, of those of a namespace, or of one of them. A namespace is left out
    /// for what has none; names are percent-encoded.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            path.push_str("/namespaces/");
            encode(&mut path, namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            encode(&mut path, name);
        }
        path
    }

    /// Namespaces, which every server has.
    pub fn namespaces() -> Resource {
        Resource {
            group: "".into(),
            version: "v1".into(),
            plural: "namespaces".into(),
            singular: "namespace".into(),
            kind: "Namespace".into(),
            namespaced: false,
            short_names: vec!["ns".into()],
            verbs: ["create", "delete", "get", "list", "patch", "update", "watch"].map(Into::into).to_vec(),
            subresources: vec!["finalize".into(), "status".into()],
        }
    }

    /// Pods, which every server has: known without asking, so that the first rows need no discovery.
    pub fn pods() -> Resource {
        let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        let subresources = [
            "attach",
            "binding",
            "ephemeralcontainers",
            "eviction",
            "exec",
            "log",
            "portforward",
            "proxy",
            "resize",
            "status",
        ];
        Resource {
            group: "".into(),
            version: "v1".into(),
            plural: "pods".into(),
            singular: "pod".into(),
            kind: "Pod".into(),
            namespaced: true,
            short_names: vec!["po".into()],
            verbs: verbs.into_iter().map(Into::into).collect(),
            subresources: subresources.into_iter().map(Into::into).collect(),
        }
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Appends one part of a path or of a query. A name with a slash or a dot-dot must not lead elsewhere.
pub(super) fn encode(path: &mut String, part: &str) {
    use std::fmt::Write;
    let dots_only = !part.is_empty() && part.bytes().all(|b| b == b'.');
    for byte in part.bytes() {
        match byte {
            b'.' if dots_only => path.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                path.push(char::from(byte));
            }
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
}

/// Everything a server has, at the version it prefers, with the other versions after.
#[derive(Debug, Default)]
pub struct Kinds {
    /// The preferred version of each, core first, then in the server's order.
    pub preferred: Vec<Resource>,
    /// The other versions.
    pub others: Vec<Resource>,
    /// Groups that could not be read, in words.
    pub warnings: Vec<String>,
}

impl Kinds {
    /// Sorts resources, given in the order of preference, into preferred and others.
    pub(super) fn new(resources: Vec<Resource>, warnings: Vec<String>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let (preferred, others) =
            resources.into_iter().partition(|r| seen.insert((r.group.clone(), r.plural.clone())));
        Self { preferred, others, warnings }
    }

    /// What `text` means, or `None`.
    pub fn find(&self, text: &str) -> Option<&Resource> {
        let lower = text.trim().to_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        match parts[..] {
            [word] => self.by_word(word),
            // `v1/pods` and `apps/deployments`.
            [a, word] => self
                .any(|r| r.group.is_empty() && *r.version == *a && is(r, word))
                .or_else(|| self.any(|r| *r.group == *a && is(r, word))),
            [group, version, word] => {
                let group = if group == "core" { "" } else { group };
                self.any(|r| *r.group == *group && *r.version == *version && is(r, word))
            }
            _ => None,
        }
    }

    /// Whether a group is there whose server does not answer.
    pub fn is_broken(&self, group: &str) -> bool {
        let named = |warning: &String| {
            warning.strip_prefix("the API group ").is_some_and(|rest| rest.starts_with(&format!("{group}/")))
        };
        self.warnings.iter().any(named)
    }

    /// The name most like `text`.
    pub fn nearest(&self, text: &str) -> Option<String> {
        nearest(text, self.preferred.iter().flat_map(|r| [&*r.plural, &*r.singular])).map(str::to_owned)
    }

    fn by_word(&self, word: &str) -> Option<&Resource> {
        // A CRD's plural may hold no dot, so a dot begins a group or `version.group`.
        if let Some((name, rest)) = word.split_once('.') {
            return self.any(|r| *r.group == *rest && is(r, name)).or_else(|| {
                let (version, group) = rest.split_once('.').unwrap_or((rest, ""));
                self.any(|r| *r.version == *version && *r.group == *group && is(r, name))
            });
        }
        self.plain(word).or_else(|| self.plain(alias(word)?))
    }

    /// A full name goes before a short name, and the core group before all, as in kubectl.
    fn plain(&self, word: &str) -> Option<&Resource> {
        let first = |test: &dyn Fn(&Resource) -> bool| self.preferred.iter().find(|r| test(r));
        first(&|r| *r.plural == *word)
            .or_else(|| first(&|r| *r.singular == *word))
            .or_else(|| first(&|r| r.short_names.iter().any(|s| **s == *word)))
            .or_else(|| first(&|r| r.kind.eq_ignore_ascii_case(word)))
    }

    fn any(&self, test: impl Fn(&Resource) -> bool) -> Option<&Resource> {
        self.preferred.iter().chain(&self.others).find(|r| test(r))
    }
}

fn is(resource: &Resource, word: &str) -> bool {
    *resource.plural == *word
        || *resource.singular == *word
        || resource.kind.eq_ignore_ascii_case(word)
        || resource.short_names.iter().any(|s| **s == *word)
}

/// k9s's own names for kinds, where the server's short names do not have them.
fn alias(word: &str) -> Option<&'static str> {
    Some(match word {
        "dp" => "deployments",
        "sec" => "secrets",
        "jo" => "jobs",
        "cr" => "clusterroles",
        "crb" => "clusterrolebindings",
        "ro" => "roles",
        "rb" => "rolebindings",
        "np" => "networkpolicies",
        "po" => "pods",
        "svc" => "services",
        "sts" => "statefulsets",
        "ds" => "daemonsets",
        "rs" => "replicasets",
        "cj" => "cronjobs",
        "cm" => "configmaps",
        "sa" => "serviceaccounts",
        "pvc" => "persistentvolumeclaims",
        "pv" => "persistentvolumes",
        "no" => "nodes",
        "ns" => "namespaces",
        "ev" => "events",
        "ing" => "ingresses",
        "sc" => "storageclasses",
        "crd" => "customresourcedefinitions",
        "hpa" => "horizontalpodautoscalers",
        "pdb" => "poddisruptionbudgets",
        "ep" => "endpoints",
        "pc" => "priorityclasses",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(group: &str, version: &str, plural: &str, kind: &str, short: &[&str]) -> Resource {
        Resource {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            singular: kind.to_lowercase().into(),
            kind: kind.into(),
            namespaced: true,
            short_names: short.iter().map(|s| Arc::from(*s)).collect(),
            verbs: vec!["list".into()],
            subresources: Vec::new(),
        }
    }

    fn kinds() -> Kinds {
        Kinds::new(
            vec![
                Resource::pods(),
                resource("", "v1", "events", "Event", &["ev"]),
                resource("", "v1", "services", "Service", &["svc"]),
                resource("apps", "v1", "deployments", "Deployment", &["deploy"]),
                resource("events.k8s.io", "v1", "events", "Event", &["ev"]),
                resource(
                    "autoscaling",
                    "v2",
                    "horizontalpodautoscalers",
                    "HorizontalPodAutoscaler",
                    &["hpa"],
                ),
                resource(
                    "autoscaling",
                    "v1",
                    "horizontalpodautoscalers",
                    "HorizontalPodAutoscaler",
                    &["hpa"],
                ),
                resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", &[]),
                resource("serving.knative.dev", "v1", "services", "Service", &["ksvc"]),
                resource("example.com", "v1", "po", "Po", &[]),
            ],
            Vec::new(),
        )
    }

    #[test]
    fn everything_that_kubectl_takes_is_understood() {
        let kinds = kinds();
        let cases = [
            ("pods", "/api/v1/pods"),
            ("Pod", "/api/v1/pods"),
            ("v1/pods", "/api/v1/pods"),
            ("core/v1/pods", "/api/v1/pods"),
            ("pods.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1/pods"),
            ("PodMetrics", "/apis/metrics.k8s.io/v1beta1/pods"),
            ("deploy", "/apis/apps/v1/deployments"),
            ("dp", "/apis/apps/v1/deployments"),
            ("deployments.apps", "/apis/apps/v1/deployments"),
            ("deployments.v1.apps", "/apis/apps/v1/deployments"),
            ("apps/v1/deployments", "/apis/apps/v1/deployments"),
            ("apps/deployment", "/apis/apps/v1/deployments"),
            ("events", "/api/v1/events"),
            ("events.events.k8s.io", "/apis/events.k8s.io/v1/events"),
            ("svc", "/api/v1/services"),
            ("ksvc", "/apis/serving.knative.dev/v1/services"),
            ("hpa", "/apis/autoscaling/v2/horizontalpodautoscalers"),
            ("autoscaling/v1/hpa", "/apis/autoscaling/v1/horizontalpodautoscalers"),
            // A full name goes before another's short name.
            ("po", "/apis/example.com/v1/po"),
        ];
        for (text, path) in cases {
            let found = kinds.find(text).map(|r| r.path(None, None));
            assert_eq!(found.as_deref(), Some(path), "{text}");
        }
        assert!(kinds.find("nonsense").is_none());
        assert!(kinds.find("a/b/c/d").is_none());
        assert_eq!(kinds.nearest("deploymnet").as_deref(), Some("deployment"));
    }

    #[test]
    fn a_name_cannot_lead_to_another_path() {
        let pods = Resource::pods();
        assert_eq!(
            pods.path(Some("shop"), Some("../../secrets?x=1")),
            "/api/v1/namespaces/shop/pods/..%2F..%2Fsecrets%3Fx%3D1"
        );
        assert_eq!(pods.path(Some(".."), None), "/api/v1/namespaces/%2E%2E/pods");
    }
}
