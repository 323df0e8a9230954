//! Pods of each fate, run second by second.

use super::*;

/// Runs a pod for so many seconds and gives its last state and all that was told.
fn run(mut pod: Value, seconds: i64) -> (Value, Vec<Told>) {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut told = Vec::new();
    for second in 0..seconds {
        let around = Around {
            now: later(start, second),
            node_ip: "10.0.0.1",
            pod_ip: "10.244.0.9",
            exists: &|_, _| true,
            seed: 1,
        };
        let step = step(&pod, &around);
        told.extend(step.told);
        if let Some(status) = step.status {
            pod["status"] = status;
        }
        if step.gone {
            pod["gone"] = true.into();
        }
    }
    (pod, told)
}

fn pod(container: Value, policy: &str) -> Value {
    json!({"metadata": {"name": "a", "namespace": "n", "uid": "u"},
           "spec": {"nodeName": "n1", "restartPolicy": policy, "containers": [container]}, "status": {"phase": "Pending"}})
}

fn image(name: &str) -> String {
    format!("{}/shop/{name}", apps::REGISTRY)
}

#[test]
fn a_good_pod_becomes_ready_and_stays_so() {
    let (pod, told) =
        run(pod(json!({"name": "m", "image": image("web:1.2.3"), "readinessProbe": {}}), "Always"), 10);
    assert_eq!(pod["status"]["phase"], "Running");
    assert_eq!(at(&pod, "status.containerStatuses")[0]["ready"], true);
    let ready = items(&pod, "status.conditions").iter().find(|c| c["type"] == "Ready").unwrap();
    assert_eq!(
        (ready["status"].as_str(), ready["lastTransitionTime"].as_str()),
        (Some("True"), Some("2026-01-01T00:00:03Z"))
    );
    let reasons: Vec<_> = told.iter().map(|t| t.reason).collect();
    assert_eq!(reasons, ["Pulled", "Created", "Started"]);
}

#[test]
fn a_crashing_pod_backs_off_longer_each_time() {
    let (pod, told) = run(pod(json!({"name": "m", "image": image("checkout:1.2.3")}), "Always"), 200);
    let container = &at(&pod, "status.containerStatuses")[0];
    assert_eq!(container["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    let restarts = container["restartCount"].as_i64().unwrap();
    assert!((4..=6).contains(&restarts), "{restarts} restarts in 200 s");
    assert!(
        text(container, "state.waiting.message").starts_with("back-off 1m0s restarting failed container m")
    );
    assert!(told.iter().filter(|t| t.reason == "BackOff" && t.warning).count() >= 3);
}

#[test]
fn jobs_end_and_missing_images_wait() {
    let job = json!({"name": "m", "image": "busybox", "command": ["sleep", "5"]});
    let (done, _) = run(pod(job, "Never"), 20);
    assert_eq!(done["status"]["phase"], "Succeeded");
    let (stuck, told) = run(pod(json!({"name": "m", "image": image("web:9")}), "Always"), 60);
    assert_eq!(at(&stuck, "status.containerStatuses")[0]["state"]["waiting"]["reason"], "ImagePullBackOff");
    assert_eq!(stuck["status"]["phase"], "Pending");
    assert!(told.iter().any(|t| t.message.contains("not found")));
}

#[test]
fn a_deleted_pod_is_gone_after_its_containers_stopped() {
    let mut going = pod(json!({"name": "m", "image": image("web:1.2.3")}), "Always");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:40Z".into();
    going["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    assert!(run(going.clone(), 11).0.get("gone").is_none());
    assert_eq!(run(going, 13).0["gone"], true);
}
