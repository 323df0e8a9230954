//! What the rules say of objects as real kubelets and controllers leave them.

use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-11-21T11:00:00Z".parse().unwrap()
}

fn warning(reason: &str, message: &str) -> EventRow {
    let at = now().as_second() - 30;
    EventRow {
        last: at,
        first: at,
        count: 3,
        kind: "Warning".into(),
        reason: reason.into(),
        namespace: "shop".into(),
        object: "pod/web-1".into(),
        from: "kubelet".into(),
        message: message.into(),
    }
}

fn of_pod(pod: &Value, events: &[EventRow]) -> Report {
    let mut report = Report::default();
    pod::pod(&Subject { object: pod, kind: "pods".into(), events, now: now() }, &mut report);
    report
}

fn with_status(spec: &Value, status: &Value) -> Value {
    json!({"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"}, "spec": {"containers": [spec]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [status]}})
}

#[test]
fn a_crash_loop_is_told_with_its_exit_code_and_leads_to_the_last_log() {
    let pod = with_status(
        &json!({"name": "main", "image": "x"}),
        &json!({"name": "main", "restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
            "lastState": {"terminated": {"exitCode": 127, "reason": "Error", "message": "sh: serve: not found",
                "startedAt": "2026-11-21T10:58:00Z", "finishedAt": "2026-11-21T10:58:01Z"}}}),
    );
    let report = of_pod(&pod, &[]);
    let finding = &report.findings[0];
    assert!(finding.what.contains("not found in the image (exit code 127)"), "{}", finding.what);
    assert!(finding.evidence.iter().any(|e| e.contains("7 restarts")));
    assert!(finding.evidence.iter().any(|e| e.contains("serve: not found")));
    assert_eq!((finding.lead.view, finding.lead.container.as_str()), ("previous_logs", "main"));

    // Before it waits the kubelet shows it as ended: the loop is the same.
    let ended = json!({"name": "main", "restartCount": 2, "state": {"terminated": {"exitCode": 3, "reason": "Error"}}});
    let mut pod = with_status(&json!({"name": "main", "image": "x"}), &ended);
    let what = |pod: &Value| of_pod(pod, &[]).findings[0].what.clone();
    assert!(
        what(&pod).contains("crashes again and again: it ended with an error (exit code 3)"),
        "{}",
        what(&pod)
    );
    pod["spec"]["restartPolicy"] = "Never".into();
    assert!(what(&pod).contains("has failed"), "{}", what(&pod));
}

#[test]
fn memory_probes_and_images_are_told_apart() {
    let oom = with_status(
        &json!({"name": "main", "resources": {"limits": {"memory": "32Mi"}}}),
        &json!({"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}),
    );
    assert!(of_pod(&oom, &[]).findings[0].what.contains("more memory than its limit of 32Mi"));

    let killed = with_status(
        &json!({"name": "main", "livenessProbe": {"httpGet": {"path": "/live", "port": 80}}}),
        &json!({"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "Error"}}}),
    );
    let events = [warning("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404")];
    let report = of_pod(&killed, &events);
    assert!(report.findings[0].what.contains("liveness probe fails"), "{:?}", report.findings);
    assert!(report.findings[0].evidence[0].contains("GET http://…:80/live"));

    let deaf = with_status(
        &json!({"name": "main", "readinessProbe": {"exec": {"command": ["false"]}}}),
        &json!({"name": "main", "ready": false, "state": {"running": {"startedAt": "2026-11-21T10:00:00Z"}}}),
    );
    let report = of_pod(&deaf, &[warning("Unhealthy", "Readiness probe failed: ")]);
    assert!(report.findings[0].what.contains("readiness probe fails: it gets no traffic"));

    let missing = with_status(
        &json!({"name": "main", "image": "shop/web:9"}),
        &json!({"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}}),
    );
    assert!(of_pod(&missing, &[]).findings[0].what.contains("shop/web:9: the registry has no such image"));
}

#[test]
fn a_pod_that_is_well_has_no_findings_and_says_what_was_looked_at() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "ready": true, "state": {"running": {}}}]}});
    let report = of_pod(&pod, &[]);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.summary().starts_with("nothing is wrong: its containers"));
    let unknown = Report { unknown: vec!["events: forbidden".into()], ..Report::default() };
    assert!(unknown.summary().contains("not everything could be read"), "unknown is never well");
}

#[test]
fn a_workload_tells_the_causes_that_its_pods_share() {
    let pod = |n: usize| {
        let mut pod = with_status(
            &json!({"name": "main", "image": "shop/web:9"}),
            &json!({"name": "main", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}),
        );
        pod["metadata"]["name"] = json!(format!("web-{n}"));
        pod
    };
    let deployment = json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3}, "status": {"readyReplicas": 1, "conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: small"}]}});
    let subject = Subject { object: &deployment, kind: "deployments.apps".into(), events: &[], now: now() };
    let mut report = Report::default();
    workload::workload(&subject, &[pod(1), pod(2)], &[], &[], &mut report);
    let whats: Vec<&str> = report.findings.iter().map(|f| f.what.as_str()).collect();
    assert!(whats.contains(&"1 of 3 pods are ready"), "{whats:?}");
    assert!(whats.iter().any(|w| w.contains("a quota of the namespace is used up")), "{whats:?}");
    assert!(whats.iter().any(|w| w.starts_with("2 of 2 pods, web-1 for one: container main cannot start")));
    let pods = report.findings.iter().find(|f| f.what.starts_with("2 of 2")).unwrap();
    assert_eq!(pods.lead.kind, "pods", "it leads to the pod");
    let at = |words: &str| whats.iter().position(|w| w.contains(words));
    assert!(at("cannot start") < at("pods are ready"), "why goes before what follows from it");
}

#[test]
fn nodes_and_claims_are_explained() {
    let lost = json!({"kind": "Node", "metadata": {"name": "a"}, "spec": {"unschedulable": true}, "status": {"conditions": [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "2026-11-21T10:50:00Z"},
        {"type": "DiskPressure", "status": "True"}]}});
    let mut report = Report::default();
    node::node(&Subject { object: &lost, kind: "nodes".into(), events: &[], now: now() }, &[], &mut report);
    let whats: Vec<&str> = report.findings.iter().map(|f| f.what.as_str()).collect();
    assert!(whats[0].contains("said nothing for 10m"), "{whats:?}");
    assert!(
        whats.iter().any(|w| w.contains("short of disk")) && whats.iter().any(|w| w.contains("cordoned"))
    );

    let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "c", "creationTimestamp": "2026-11-21T10:00:00Z"},
        "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"}});
    let subject = Subject { object: &claim, kind: "persistentvolumeclaims".into(), events: &[], now: now() };
    let mut report = Report::default();
    storage::claim(&subject, Some(None), &[], &mut report);
    assert!(report.findings[0].what.contains("storage class fast is not there"));
    let mut report = Report::default();
    storage::claim(&subject, None, &[], &mut report);
    assert!(report.findings[0].what.contains("has waited for 60m"), "{:?}", report.findings);
}
