//! Namespaces, nodes, configuration, storage, access rules and custom resources of the fleet.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::lab::discovery::RELEASE;
use crate::lab::object::stamp;
use crate::lab::rng::Rng;

/// An object to be stored: group, plural, the object, who made it, its age in minutes.
pub(super) type Entry = (&'static str, &'static str, Value, &'static str, i64);

const MONTH: i64 = 30 * 24 * 60;

pub(super) fn namespaces(names: &[String]) -> Vec<Entry> {
    names
        .iter()
        .map(|name| {
            let object = json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
            });
            ("", "namespaces", object, "kube-apiserver", 3 * MONTH)
        })
        .collect()
}

/// The address of a node.
pub(in crate::lab) fn node_ip(name: &str) -> String {
    let number: u32 = name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    format!("10.20.0.{}", 10 + number)
}

pub(super) fn node(name: &str, control: bool, rng: &mut Rng, now: Timestamp) -> Entry {
    let born = stamp(now - SignedDuration::from_hours(24 * 62));
    let beat = stamp(now - SignedDuration::from_secs(rng.between(1, 9)));
    let zone = format!("coast-1{}", ["a", "b", "c"][usize::try_from(rng.below(3)).unwrap_or(0)]);
    let (cpu, memory) = if control { ("4", "8137528Ki") } else { ("16", "65806892Ki") };
    let role =
        if control { "node-role.kubernetes.io/control-plane" } else { "node-role.kubernetes.io/worker" };
    let condition = |ty: &str, status: &str, reason: &str, message: &str| {
        json!({"type": ty, "status": status, "lastHeartbeatTime": beat, "lastTransitionTime": born, "reason": reason,
               "message": message})
    };
    let labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", role: "",
        "topology.kubernetes.io/region": "coast-1", "topology.kubernetes.io/zone": zone,
        "node.kubernetes.io/instance-type": if control { "c4.small" } else { "m16.large" },
    });
    let spec = if control {
        json!({"podCIDR": "10.244.0.0/24", "taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]})
    } else {
        json!({"podCIDR": format!("10.244.{}.0/24", node_number(name))})
    };
    let capacity = json!({"cpu": cpu, "ephemeral-storage": "101430960Ki", "hugepages-2Mi": "0", "memory": memory, "pods": "110"});
    let object = json!({
        "metadata": {"name": name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": spec,
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [{"type": "InternalIP", "address": node_ip(name)}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": rng.hex(32), "systemUUID": rng.uuid(), "bootID": rng.uuid(),
                "kernelVersion": "6.12.9-amd64", "osImage": "Debian GNU/Linux 13 (trixie)",
                "containerRuntimeVersion": "containerd://2.1.4", "kubeletVersion": RELEASE, "kubeProxyVersion": "",
                "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    });
    ("", "nodes", object, "kubelet", 62 * 24 * 60)
}

fn node_number(name: &str) -> u32 {
    name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

pub(super) fn lease(node: &str, now: Timestamp) -> Entry {
    let object = json!({
        "metadata": {"name": node, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": crate::lab::object::micro_stamp(now)},
    });
    ("coordination.k8s.io", "leases", object, "kubelet", 62 * 24 * 60)
}

/// Configuration and secrets of the namespaces.
pub(super) fn config(names: &[String], authority: &str) -> Vec<Entry> {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut out: Vec<Entry> = Vec::new();
    for name in names {
        out.push((
            "",
            "configmaps",
            json!({"metadata": {"name": "kube-root-ca.crt", "namespace": name}, "data": {"ca.crt": authority}}),
            "kube-controller-manager",
            3 * MONTH,
        ));
        out.push((
            "",
            "serviceaccounts",
            json!({"metadata": {"name": "default", "namespace": name}}),
            "kube-controller-manager",
            3 * MONTH,
        ));
        if matches!(name.as_str(), "shop" | "shop-staging" | "payments" | "warehouse" | "shipping" | "data") {
            out.push((
                "",
                "configmaps",
                json!({"metadata": {"name": "settings", "namespace": name, "labels": {"app": "settings"}},
                       "data": {"currency": "EUR", "features.yaml": "checkout:\n  express: true\nsearch:\n  typos: 2\n",
                                "log.level": "info"}}),
                "kubectl-client-side-apply",
                2 * MONTH,
            ));
            out.push((
                "",
                "secrets",
                json!({"metadata": {"name": "database", "namespace": name}, "type": "Opaque",
                       "data": {"username": encode("shop"), "password": encode("practice-only"),
                                "url": encode("postgres://postgres.data:5432/shop")}}),
                "kubectl-create",
                2 * MONTH,
            ));
            out.push((
                "",
                "secrets",
                json!({"metadata": {"name": "web-tls", "namespace": name}, "type": "kubernetes.io/tls",
                       "data": {"tls.crt": encode(authority), "tls.key": encode("practice-only")}}),
                "cert-manager-certificates-issuing",
                MONTH,
            ));
        }
    }
    out
}

/// Quotas, limits, disruption budgets, network policies and ingresses.
pub(super) fn rules(shop: &str, host: &str, front: &str) -> Vec<Entry> {
    let by = "kubectl-client-side-apply";
    vec![
        (
            "",
            "resourcequotas",
            json!({"metadata": {"name": "team", "namespace": shop},
                   "spec": {"hard": {"limits.cpu": "240", "limits.memory": "128Gi", "pods": "150", "requests.cpu": "190", "requests.memory": "48Gi"}},
                   "status": {"hard": {"limits.cpu": "240", "limits.memory": "128Gi", "pods": "150", "requests.cpu": "190", "requests.memory": "48Gi"},
                              "used": {"limits.cpu": "0", "limits.memory": "0", "pods": "0", "requests.cpu": "0", "requests.memory": "0"}}}),
            by,
            MONTH,
        ),
        (
            "",
            "limitranges",
            json!({"metadata": {"name": "defaults", "namespace": shop},
                   "spec": {"limits": [{"type": "Container", "default": {"memory": "256Mi"}, "defaultRequest": {"cpu": "50m", "memory": "64Mi"}}]}}),
            by,
            MONTH,
        ),
        (
            "policy",
            "poddisruptionbudgets",
            json!({"metadata": {"name": front, "namespace": shop, "generation": 1},
                   "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": front}}},
                   "status": {"observedGeneration": 1, "disruptionsAllowed": 3, "currentHealthy": 6, "desiredHealthy": 3, "expectedPods": 6}}),
            by,
            MONTH,
        ),
        (
            "networking.k8s.io",
            "networkpolicies",
            json!({"metadata": {"name": "from-ingress-only", "namespace": shop, "generation": 1},
                   "spec": {"podSelector": {"matchLabels": {"tier": "frontend"}}, "policyTypes": ["Ingress"],
                            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]}]}}),
            by,
            MONTH,
        ),
        (
            "networking.k8s.io",
            "ingresses",
            json!({"metadata": {"name": front, "namespace": shop, "generation": 1,
                                "annotations": {"cert-manager.io/cluster-issuer": "internal"}},
                   "spec": {"ingressClassName": "nginx", "tls": [{"hosts": [host], "secretName": "web-tls"}],
                            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                                "backend": {"service": {"name": front, "port": {"number": 80}}}}]}}]},
                   "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}}),
            by,
            MONTH,
        ),
        (
            "networking.k8s.io",
            "ingressclasses",
            json!({"metadata": {"name": "nginx", "generation": 1}, "spec": {"controller": "k8s.io/ingress-nginx"}}),
            by,
            3 * MONTH,
        ),
    ]
}

/// Storage and priority classes, roles and bindings.
pub(super) fn access_and_storage(shop: &str) -> Vec<Entry> {
    let by = "kubectl-client-side-apply";
    let group = "rbac.authorization.k8s.io";
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let role_ref = |kind: &str, name: &str| json!({"apiGroup": group, "kind": kind, "name": name});
    let everything = rule(&["*"], &["*"], &["*"]);
    let read = rule(
        &["", "apps", "batch"],
        &["pods", "pods/log", "deployments", "replicasets", "jobs"],
        &["get", "list", "watch"],
    );
    let class = |name: &str, default: &str, provisioner: &str| {
        json!({"metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default}},
               "provisioner": provisioner, "reclaimPolicy": "Delete", "allowVolumeExpansion": true,
               "volumeBindingMode": "WaitForFirstConsumer"})
    };
    vec![
        ("storage.k8s.io", "storageclasses", class("fast", "true", "csi.shop.example"), by, 3 * MONTH),
        ("storage.k8s.io", "storageclasses", class("archive", "false", "csi.shop.example"), by, 3 * MONTH),
        (
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"metadata": {"name": "system-cluster-critical", "generation": 1}, "value": 2_000_000_000,
                   "preemptionPolicy": "PreemptLowerPriority", "description": "Used for system critical pods."}),
            "kube-apiserver",
            3 * MONTH,
        ),
        (
            group,
            "clusterroles",
            json!({"metadata": {"name": "cluster-admin"}, "rules": [everything]}),
            "kube-apiserver",
            3 * MONTH,
        ),
        (
            group,
            "clusterroles",
            json!({"metadata": {"name": "view"}, "rules": [read]}),
            "kube-apiserver",
            3 * MONTH,
        ),
        (
            group,
            "clusterrolebindings",
            json!({"metadata": {"name": "cluster-admin"}, "roleRef": role_ref("ClusterRole", "cluster-admin"),
                   "subjects": [{"kind": "Group", "apiGroup": group, "name": "system:masters"}]}),
            "kube-apiserver",
            3 * MONTH,
        ),
        (
            group,
            "roles",
            json!({"metadata": {"name": "deployer", "namespace": shop},
                   "rules": [rule(&["apps"], &["deployments", "deployments/scale"], &["get", "patch", "update"])]}),
            by,
            MONTH,
        ),
        (
            group,
            "rolebindings",
            json!({"metadata": {"name": "deployers", "namespace": shop}, "roleRef": role_ref("Role", "deployer"),
                   "subjects": [{"kind": "User", "apiGroup": group, "name": "mara"},
                                {"kind": "ServiceAccount", "name": "default", "namespace": shop}]}),
            by,
            MONTH,
        ),
    ]
}

/// A custom resource with printer columns.
pub(super) fn certificate_crd() -> Value {
    let column = |name: &str, ty: &str, path: &str, priority: i64| json!({"name": name, "type": ty, "jsonPath": path, "priority": priority});
    crd(
        ("cert-manager.io", "Certificate", "certificates", &["cert", "certs"]),
        &[
            column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", 0),
            column("Secret", "string", ".spec.secretName", 0),
            column("Issuer", "string", ".spec.issuerRef.name", 1),
            column("Expires", "string", ".status.notAfter", 0),
            column("Age", "date", ".metadata.creationTimestamp", 0),
        ],
    )
}

/// Another: campaigns of the shop.
pub(super) fn campaign_crd() -> Value {
    let column =
        |name: &str, ty: &str, path: &str| json!({"name": name, "type": ty, "jsonPath": path, "priority": 0});
    crd(
        ("shop.example", "Campaign", "campaigns", &["camp"]),
        &[
            column("Discount", "integer", ".spec.discountPercent"),
            column("Active", "boolean", ".status.active"),
            column("Orders", "integer", ".status.orders"),
            column("Ends", "date", ".spec.started"),
        ],
    )
}

fn crd((group, kind, plural, short): (&str, &str, &str, &[&str]), columns: &[Value]) -> Value {
    json!({
        "metadata": {"name": format!("{plural}.{group}"), "generation": 1},
        "spec": {"group": group, "scope": "Namespaced", "conversion": {"strategy": "None"},
                 "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": short},
                 "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                               "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                               "additionalPrinterColumns": columns}]},
        "status": {"storedVersions": ["v1"], "acceptedNames": {"plural": plural, "kind": kind},
                   "conditions": [{"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
                                  {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"}]},
    })
}

pub(super) fn custom_objects(namespaces: &[&str], now: Timestamp) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for (i, namespace) in namespaces.iter().enumerate() {
        let ready = if i == 1 { "False" } else { "True" };
        let until = stamp(now + SignedDuration::from_hours(24 * (20 + i64::try_from(i).unwrap_or(0))));
        out.push((
            "cert-manager.io",
            "certificates",
            json!({"metadata": {"name": "web-tls", "namespace": namespace, "generation": 1},
                   "spec": {"secretName": "web-tls", "dnsNames": [format!("{namespace}.shop.example")],
                            "issuerRef": {"name": "internal", "kind": "ClusterIssuer"}},
                   "status": {"notAfter": until, "conditions": [{"type": "Ready", "status": ready, "reason": if ready == "True" { "Ready" } else { "Expired" },
                              "message": "Certificate is up to date", "lastTransitionTime": stamp(now - SignedDuration::from_hours(500))}]}}),
            "cert-manager-certificates-readiness",
            MONTH,
        ));
        out.push((
            "shop.example",
            "campaigns",
            json!({"metadata": {"name": format!("autumn-{namespace}"), "namespace": namespace, "generation": 1},
                   "spec": {"discountPercent": 10 + 5 * i, "started": stamp(now - SignedDuration::from_hours(90))},
                   "status": {"active": i != 1, "orders": 1200 + 311 * i}}),
            "kubectl-client-side-apply",
            90 * 60,
        ));
    }
    out
}
