use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

#[test]
fn a_pod_killed_for_memory_says_so() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "oom", "namespace": "shop", "creationTimestamp": "2026-11-21T11:00:00Z", "labels": {"app": "oom"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "oom-7d9", "controller": true}]},
        "spec": {"nodeName": "n1", "serviceAccountName": "default", "containers": [{"name": "app", "image": "eat:1", "command": ["/eat"],
            "resources": {"limits": {"memory": "16Mi"}}, "livenessProbe": {"httpGet": {"path": "/ok", "port": 80}, "periodSeconds": 5},
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": true}]}],
            "volumes": [{"name": "data", "configMap": {"name": "conf"}}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "hostIP": "10.1.0.1", "podIPs": [{"ip": "10.2.0.7"}], "qosClass": "Burstable",
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T11:58:00Z", "reason": "ContainersNotReady", "message": "containers with unready status: [app]"}],
            "containerStatuses": [{"name": "app", "ready": false, "restartCount": 12,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-11-21T11:57:50Z", "finishedAt": "2026-11-21T11:58:00Z"}}}]},
    });
    let event = EventRow::of(
        &json!({"type": "Warning", "reason": "BackOff", "message": "Back-off restarting failed container", "count": 40,
        "firstTimestamp": "2026-11-21T11:01:00Z", "lastTimestamp": "2026-11-21T11:59:30Z", "source": {"component": "kubelet"}, "involvedObject": {"kind": "Pod", "name": "oom"}}),
    );
    let extras = Extras { events: Some(vec![event]), ..Extras::default() };
    insta::assert_snapshot!(text(&pod, &extras, now()));
}

#[test]
fn a_deployment_shows_its_rollout() {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2026-11-20T12:00:00Z", "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}]}}},
        "status": {"replicas": 4, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3, "unavailableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True", "lastTransitionTime": "2026-11-20T12:01:00Z", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}]},
    });
    let set = |name: &str, revision: &str, n: i64, image: &str| {
        json!({"metadata": {"name": name, "creationTimestamp": "2026-11-20T12:00:00Z", "annotations": {"deployment.kubernetes.io/revision": revision}},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}}, "status": {"replicas": n, "readyReplicas": n}})
    };
    let extras = Extras {
        events: Some(Vec::new()),
        replica_sets: vec![set("web-1", "1", 2, "nginx:1.26"), set("web-2", "2", 2, "nginx:1.27")],
        pods: vec![
            json!({"status": {"phase": "Running"}}),
            json!({"status": {"phase": "Running"}}),
            json!({"status": {"phase": "Pending"}}),
        ],
        ..Extras::default()
    };
    insta::assert_snapshot!(text(&deployment, &extras, now()));
}

#[test]
fn a_node_shows_what_is_spoken_for() {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "creationTimestamp": "2026-11-01T00:00:00Z", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}], "unschedulable": true},
        "status": {"capacity": {"cpu": "4", "memory": "8Gi"}, "allocatable": {"cpu": "4", "memory": "8Gi"}, "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.3"}},
    });
    let pod = |name: &str, phase: &str| {
        json!({"metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-21T11:00:00Z"}, "status": {"phase": phase},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}}]}})
    };
    let extras = Extras {
        pods: vec![pod("a", "Running"), pod("b", "Running"), pod("done", "Succeeded")],
        events: Some(Vec::new()),
        ..Extras::default()
    };
    insta::assert_snapshot!(text(&node, &extras, now()));
}

#[test]
fn a_secret_gives_sizes_and_no_value() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "type": "Opaque", "data": {"password": "aHVudGVyMg=="}});
    let page = text(&secret, &Extras { events: Some(Vec::new()), ..Extras::default() }, now());
    assert!(!page.contains("aHVudGVy") && page.contains("password (7 bytes)"), "{page}");
}

#[test]
fn a_service_lists_its_endpoints() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"type": "ClusterIP", "clusterIPs": ["10.0.0.9"], "selector": {"app": "api"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}});
    let slice = json!({"ports": [{"name": "http", "port": 8080}], "endpoints": [
        {"addresses": ["10.2.0.1"], "conditions": {"ready": true}}, {"addresses": ["10.2.0.2"], "conditions": {"ready": false}, "targetRef": {"name": "api-2"}}]});
    let extras = Extras { endpoint_slices: vec![slice], events: None, ..Extras::default() };
    let page = text(&service, &extras, now());
    assert!(
        page.contains("http 80/TCP → 8080")
            && page.contains("Endpoints:    10.2.0.1:8080\n")
            && page.contains("10.2.0.2 (api-2)"),
        "{page}"
    );
}

#[test]
fn an_unknown_kind_is_shown_whole() {
    let object = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "tls", "namespace": "shop"},
        "spec": {"dnsNames": ["a.example", "b.example"], "issuerRef": {"name": "ca", "kind": "Issuer"}, "usages": []},
        "status": {"notAfter": "2027-01-01T00:00:00Z", "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2026-11-21T11:00:00Z"}]}});
    insta::assert_snapshot!(text(&object, &Extras { events: Some(Vec::new()), ..Extras::default() }, now()));
}
