//! Workload objects from the lines of [`super::shop`].

use serde_json::{Value, json};

use super::shop::{Cron, Trouble, Workload, image};

/// The pod template of a workload.
pub(super) fn template(w: &Workload) -> Value {
    let mut container = json!({
        "name": w.name, "image": image(w.image),
        "ports": [{"name": "http", "containerPort": w.port, "protocol": "TCP"}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "LOG_LEVEL", "value": "info"},
        ],
        "resources": {
            "limits": {"cpu": cpu(w.cpu.1), "memory": format!("{}Mi", w.memory.1)},
            "requests": {"cpu": cpu(w.cpu.0), "memory": format!("{}Mi", w.memory.0)},
        },
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "initialDelaySeconds": 5},
        "readinessProbe": {"httpGet": {"path": probe(w), "port": "http"}, "initialDelaySeconds": 2},
    });
    if w.image.contains("/checkout") && w.trouble != Trouble::NoDatabase {
        push_env(&mut container, "DATABASE_URL", "postgres://postgres.data:5432/shop");
    }
    if w.trouble == Trouble::NoSecret {
        let source = json!({"name": "SMTP_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "smtp-relay", "key": "password"}}});
        if let Some(env) = container["env"].as_array_mut() {
            env.push(source);
        }
    }
    let mut labels = labels(w);
    if w.trouble == Trouble::Hostile {
        // A label's value cannot hold what an annotation can: the annotation brings the escape sequences.
        labels["app.kubernetes.io/part-of"] = "xn--shop-7d0b".into();
    }
    let mut containers = vec![container];
    if w.trouble == Trouble::Sidecar {
        containers.push(json!({
            "name": "nginx", "image": image("ops/nginx:1.3.0"),
            "ports": [{"name": "proxy", "containerPort": 8443, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "96Mi"}, "requests": {"cpu": "20m", "memory": "48Mi"}},
        }));
    }
    let mut template = json!({
        "metadata": {"labels": labels},
        "spec": {"containers": containers, "serviceAccountName": account(w), "serviceAccount": account(w)},
    });
    if w.trouble == Trouble::Hostile {
        template["metadata"]["annotations"] = json!({
            "shop.example/motto": "sale \u{1b}[31mtoday\u{1b}[0m \u{1b}]52;c;cm0gLXJmIC8=\u{7} only \u{202e}gnp.exe\u{202c}",
        });
    }
    if w.trouble == Trouble::InitWaits {
        template["spec"]["initContainers"] = json!([{
            "name": "wait-for-inventory", "image": image("ops/busybox:1.0.0"),
            "command": ["sh", "-c", "until nslookup inventory; do echo waiting for inventory; sleep 2; done"],
        }]);
    }
    template
}

fn push_env(container: &mut Value, name: &str, value: &str) {
    if let Some(env) = container["env"].as_array_mut() {
        env.push(json!({"name": name, "value": value}));
    }
}

fn probe(w: &Workload) -> &'static str {
    match w.trouble {
        Trouble::WrongProbe => "/healthz",
        _ if w.image.contains("/catalog") => "/health",
        _ => "/ready",
    }
}

pub(super) fn account(w: &Workload) -> &'static str {
    match w.namespace {
        "kube-system" | "monitoring" | "logging" | "ingress" | "cert-manager" => w.name,
        _ => "default",
    }
}

fn cpu(millis: i64) -> String {
    crate::lab::quantity::show_millis(millis)
}

pub(super) fn labels(w: &Workload) -> Value {
    json!({"app": w.name, "app.kubernetes.io/name": w.name, "tier": w.tier})
}

/// The selector that finds a workload's pods.
pub(super) fn selector(w: &Workload) -> Value {
    json!({"matchLabels": {"app": w.name}})
}

pub(super) fn deployment(w: &Workload) -> Value {
    json!({
        "metadata": {"name": w.name, "namespace": w.namespace, "generation": 1, "labels": labels(w),
                     "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"replicas": w.replicas, "selector": selector(w), "template": template(w)},
        "status": {},
    })
}

pub(super) fn stateful_set(w: &Workload) -> Value {
    let mut template = template(w);
    template["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    json!({
        "metadata": {"name": w.name, "namespace": w.namespace, "generation": 1, "labels": labels(w)},
        "spec": {"replicas": w.replicas, "selector": selector(w), "serviceName": w.name, "template": template,
                 "volumeClaimTemplates": [{
                    "kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
                             "resources": {"requests": {"storage": "20Gi"}}, "volumeMode": "Filesystem"},
                    "status": {"phase": "Pending"}}]},
        "status": {},
    })
}

pub(super) fn daemon_set(w: &Workload) -> Value {
    let mut template = template(w);
    template["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    template["spec"]["hostNetwork"] = (w.name == "kube-proxy" || w.name == "node-exporter").into();
    json!({
        "metadata": {"name": w.name, "namespace": w.namespace, "generation": 1, "labels": labels(w),
                     "annotations": {"deprecated.daemonset.template.generation": "1"}},
        "spec": {"selector": selector(w), "template": template},
        "status": {},
    })
}

pub(super) fn service(w: &Workload, address: &str) -> Value {
    let mut service = json!({
        "metadata": {"name": w.name, "namespace": w.namespace, "labels": labels(w)},
        "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": if w.port == 8080 { 80 } else { w.port }, "targetPort": "http"}],
                 "selector": {"app": w.name}, "clusterIP": address, "clusterIPs": [address], "type": "ClusterIP",
                 "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"},
        "status": {"loadBalancer": {}},
    });
    if w.name == "ingress-nginx" {
        service["spec"]["type"] = "LoadBalancer".into();
        service["spec"]["ports"][0]["nodePort"] = 31_443.into();
        service["spec"]["allocateLoadBalancerNodePorts"] = true.into();
        service["status"]["loadBalancer"] = json!({"ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]});
    }
    service
}

pub(super) fn cron_job(cron: &Cron) -> Value {
    let (namespace, name, schedule, short, seconds, code) = *cron;
    let script = if code == 0 {
        format!("echo starting; sleep {seconds}")
    } else {
        format!("echo starting; sleep {seconds}; exit {code}")
    };
    json!({
        "metadata": {"name": name, "namespace": namespace, "generation": 1, "labels": {"app": name}},
        "spec": {"schedule": schedule, "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": name, "image": image(short), "command": ["sh", "-c", script],
                                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}}],
            }},
        }}},
        "status": {},
    })
}

pub(super) fn autoscaler(namespace: &str, name: &str, least: i64, most: i64) -> Value {
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": name, "apiVersion": "apps/v1"},
                 "minReplicas": least, "maxReplicas": most,
                 "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]},
        "status": {"currentReplicas": least, "desiredReplicas": least, "currentMetrics":
            [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 41, "averageValue": "41m"}}}]},
    })
}
