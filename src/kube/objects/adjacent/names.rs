//! Which other objects an object names, with the field that does. Pure: what is named need not be there.
//!
//! A field names another object by what it is called, as the conventions of the Kubernetes API have it (`secretName`,
//! `configMapRef.name`, `scaleTargetRef: {kind, name}`), so that custom resources are read as well as built-in kinds.
//! Source: <https://github.com/kubernetes/community/blob/main/contributors/devel/sig-architecture/api-conventions.md#object-references>.

use serde_json::{Map, Value};

use crate::kube::objects::describe::part::text;

/// An object that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As discovery resolves it: `secrets`, `cert-manager.io/Issuer`.
    pub kind: String,
    /// If the field says one; else it is the namer's own.
    pub namespace: Option<String>,
    pub name: String,
    /// The fields that name it: `spec.tls[0].secretName`.
    pub fields: Vec<String>,
    /// All the fields say that it may be missing.
    pub optional: bool,
}

/// Fields whose text is a name.
const NAMES: &[(&str, &str)] = &[
    ("secretName", "secrets"),
    ("configMapName", "configmaps"),
    ("claimName", "persistentvolumeclaims"),
    ("serviceAccountName", "serviceaccounts"),
    ("nodeName", "nodes"),
    ("priorityClassName", "priorityclasses.scheduling.k8s.io"),
    ("runtimeClassName", "runtimeclasses.node.k8s.io"),
    ("storageClassName", "storageclasses.storage.k8s.io"),
    ("ingressClassName", "ingressclasses.networking.k8s.io"),
    ("gatewayClassName", "gatewayclasses.gateway.networking.k8s.io"),
    ("volumeName", "persistentvolumes"),
];

/// Fields whose value is an object with a `name`.
const REFERENCES: &[(&str, &str)] = &[
    ("configMap", "configmaps"),
    ("configMapRef", "configmaps"),
    ("configMapKeyRef", "configmaps"),
    ("secret", "secrets"),
    ("secretRef", "secrets"),
    ("secretKeyRef", "secrets"),
    ("service", "services"),
    ("claimRef", "persistentvolumeclaims"),
];

/// Everything that an object names, in the order of its fields.
pub fn names(object: &Value) -> Vec<Named> {
    let mut found = Finder { kind: text(object, "/kind"), out: Vec::new() };
    for (key, value) in object.as_object().into_iter().flatten() {
        // What an object owns or is owned by is told of it by others, and its status repeats its specification.
        if !matches!(key.as_str(), "metadata" | "status" | "kind" | "apiVersion" | "data" | "stringData") {
            found.field(key, key, value);
        }
    }
    found.out
}

struct Finder {
    /// The namer's kind.
    kind: String,
    out: Vec<Named>,
}

impl Finder {
    fn field(&mut self, key: &str, path: &str, value: &Value) {
        match value {
            Value::String(name) => self.name(key, path, name),
            Value::Object(map) => self.object(key, path, map),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    // Items with a name are told by it.
                    let at = match item.get("name").and_then(Value::as_str) {
                        Some(name) => format!("{path}[{name}]"),
                        None => format!("{path}[{i}]"),
                    };
                    match (key, item.get("name").and_then(Value::as_str)) {
                        ("imagePullSecrets", Some(name)) => self.push("secrets", None, name, path, false),
                        ("secrets", Some(name)) if self.kind == "ServiceAccount" => {
                            self.push("secrets", None, name, path, false);
                        }
                        _ => self.field(key, &at, item),
                    }
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, key: &str, path: &str, name: &str) {
        if key == "serviceName" && self.kind == "StatefulSet" {
            return self.push("services", None, name, path, false);
        }
        // The old name of the same field, which the server keeps beside it.
        let known = NAMES.iter().find(|(field, _)| *field == key);
        // Volumes of a pod have names too, which are their own.
        let own = key == "volumeName" && self.kind != "PersistentVolumeClaim";
        if let Some((_, kind)) = known.filter(|_| !own) {
            self.push(kind, None, name, path, false);
        }
    }

    fn object(&mut self, key: &str, path: &str, map: &Map<String, Value>) {
        let word = |name: &str| map.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let optional = map.get("optional") == Some(&Value::Bool(true));
        let namespace = word("namespace");
        if let (Some(kind), Some(name)) = (word("kind"), word("name")) {
            // Subjects that are no objects.
            if !matches!(kind, "User" | "Group") {
                let group = word("apiVersion").or_else(|| word("apiGroup")).or_else(|| word("group"));
                self.push(&resolvable(group.unwrap_or_default(), kind), namespace, name, path, optional);
            }
            return;
        }
        let secret = key.ends_with("SecretRef").then_some("secrets");
        let known = REFERENCES.iter().find(|(field, _)| *field == key).map(|(_, kind)| *kind);
        if let (Some(kind), Some(name)) = (known.or(secret), word("name")) {
            return self.push(kind, namespace, name, path, optional);
        }
        for (key, value) in map {
            // A volume's secret says `secretName`, and beside it that it may be missing.
            match (key.as_str(), value) {
                ("secretName", Value::String(name)) if optional => {
                    self.push("secrets", None, name, &format!("{path}.{key}"), true);
                }
                _ => self.field(key, &format!("{path}.{key}"), value),
            }
        }
    }

    fn push(&mut self, kind: &str, namespace: Option<&str>, name: &str, path: &str, optional: bool) {
        if name.is_empty() {
            return;
        }
        let known = |n: &&mut Named| n.kind == kind && n.name == name && n.namespace.as_deref() == namespace;
        if let Some(known) = self.out.iter_mut().find(known) {
            known.fields.push(path.to_owned());
            known.optional &= optional;
            return;
        }
        self.out.push(Named {
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            fields: vec![path.to_owned()],
            optional,
        });
    }
}

/// A kind as discovery takes it, from the `apiVersion` or the group that stands beside it.
pub fn resolvable(group: &str, kind: &str) -> String {
    match group {
        "" => kind.to_owned(),
        version if !version.contains(['/', '.']) && version.starts_with('v') => {
            format!("core/{version}/{kind}")
        }
        group => format!("{group}/{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(object: &Value) -> Vec<String> {
        let mut told: Vec<String> = names(object)
            .into_iter()
            .map(|mut n| {
                n.fields.sort();
                let namespace = n.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
                let optional = if n.optional { "?" } else { "" };
                format!("{} {namespace}{}{optional} {}", n.kind, n.name, n.fields.join(" "))
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn what_a_workload_names_is_found_with_its_fields() {
        let web = json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {
            "serviceAccount": "web", "serviceAccountName": "web", "imagePullSecrets": [{"name": "pull"}],
            "volumes": [{"name": "a", "secret": {"secretName": "s", "optional": true}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "m"}}]}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "disk"}}],
            "containers": [{"name": "main", "envFrom": [{"configMapRef": {"name": "m"}}],
                "volumeMounts": [{"name": "a"}],
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "k", "key": "a"}}}]}]}}}});
        assert_eq!(
            told(&web),
            [
                "configmaps m spec.template.spec.containers[main].envFrom[0].configMapRef \
                 spec.template.spec.volumes[b].projected.sources[0].configMap",
                "persistentvolumeclaims disk spec.template.spec.volumes[c].persistentVolumeClaim.claimName",
                "secrets k spec.template.spec.containers[main].env[A].valueFrom.secretKeyRef",
                "secrets pull spec.template.spec.imagePullSecrets",
                "secrets s? spec.template.spec.volumes[a].secret.secretName",
                "serviceaccounts web spec.template.spec.serviceAccountName",
            ]
        );
    }

    #[test]
    fn references_of_any_kind_are_read_by_the_conventions() {
        let certificate = json!({"kind": "Certificate", "spec": {"secretName": "tls",
            "issuerRef": {"kind": "ClusterIssuer", "group": "cert-manager.io", "name": "le"}}});
        assert_eq!(
            told(&certificate),
            ["cert-manager.io/ClusterIssuer le spec.issuerRef", "secrets tls spec.secretName"]
        );
        let binding = json!({"kind": "RoleBinding", "roleRef": {"apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role", "name": "edit"}, "subjects": [{"kind": "User", "name": "jane"},
            {"kind": "ServiceAccount", "name": "robot", "namespace": "ops"}]});
        assert_eq!(
            told(&binding),
            ["ServiceAccount ops/robot subjects[robot]", "rbac.authorization.k8s.io/Role edit roleRef"]
        );
        let autoscaler = json!({"kind": "HorizontalPodAutoscaler", "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
        assert_eq!(told(&autoscaler), ["apps/v1/Deployment web spec.scaleTargetRef"]);
        let ingress = json!({"kind": "Ingress", "spec": {"ingressClassName": "nginx",
            "rules": [{"http": {"paths": [{"backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}});
        assert_eq!(
            told(&ingress),
            [
                "ingressclasses.networking.k8s.io nginx spec.ingressClassName",
                "services web spec.rules[0].http.paths[0].backend.service"
            ]
        );
        let volume = json!({"kind": "PersistentVolume", "spec": {"claimRef": {"apiVersion": "v1",
            "kind": "PersistentVolumeClaim", "namespace": "shop", "name": "disk"}}});
        assert_eq!(told(&volume), ["core/v1/PersistentVolumeClaim shop/disk spec.claimRef"]);
    }
}
