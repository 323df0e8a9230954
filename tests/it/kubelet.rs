//! Pods that fail on a real kubelet, seen through the real binary.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::Home;

fn pod(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: real\n  terminationGracePeriodSeconds: 0\n  \
         containers: [{{name: main, image: \"localhost/busybox:1\", imagePullPolicy: Never, {spec}}}]\n"
    )
}

/// Runs `qd` on the bed and gives its output as JSON.
pub fn json(bed: &Bed, home: &Home, arguments: &[&str]) -> Value {
    let output = home.qd(arguments).args(["-o", "json"]).env("KUBECONFIG", &bed.kubeconfig).output().unwrap();
    assert!(output.status.success(), "qd {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The lines of a running command with the moment each came.
pub fn lines(mut command: std::process::Command) -> (std::process::Child, mpsc::Receiver<(Instant, String)>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                break;
            }
        }
    });
    (child, receiver)
}

/// When the first line came that has all the words.
pub fn first(receiver: &mpsc::Receiver<(Instant, String)>, words: &[&str]) -> Instant {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (at, line) = receiver
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .unwrap_or_else(|_| panic!("no line with {words:?}"));
        if words.iter().all(|w| line.contains(w)) {
            return at;
        }
    }
}

#[test]
fn failing_pods_are_shown_as_such_when_kubectl_shows_them() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("failing");
    let mut kubectl = std::process::Command::new(bed.kubectl_path());
    kubectl.args(["--kubeconfig"]).arg(&bed.kubeconfig).args(["get", "pods", "-n", "failing", "--watch"]);
    let (mut theirs, kubectl) = lines(kubectl);
    let mut qd = home.qd(&["pod", "list", "-n", "failing", "--watch", "-o", "json"]);
    qd.env("KUBECONFIG", &bed.kubeconfig);
    let (mut ours, qd) = lines(qd);
    // Both watch before there is anything to see.
    first(&qd, &["live"]);
    let pods = [
        pod("crash", "command: [sh, -c, \"echo no configuration >&2; sleep 3; exit 3\"]"),
        pod(
            "oom",
            "command: [sh, -c, \"a=x; while true; do a=$a$a; done\"], resources: {limits: {memory: 32Mi}}",
        ),
        pod(
            "probe",
            "command: [sleep, \"3600\"], readinessProbe: {exec: {command: [\"false\"]}, periodSeconds: 1}",
        ),
    ];
    bed.kubectl(&["apply", "-n", "failing", "-f", "-"], Some(&pods.concat()));
    // Each word is what the kubelet's report comes down to; both readers get the same watch events.
    for words in [&["crash", "CrashLoopBackOff"], &["oom", "OOMKilled"]] {
        let (seen, reported) = (first(&qd, words), first(&kubectl, words));
        let late = seen.saturating_duration_since(reported);
        assert!(late < Duration::from_secs(1), "{words:?} came {late:?} after kubectl had it");
    }
    theirs.kill().unwrap();
    ours.kill().unwrap();
    theirs.wait().unwrap();
    ours.wait().unwrap();

    wait_until(30, "probe that fails", || {
        bed.kubectl(&["get", "events", "-n", "failing"], None).contains("Readiness probe failed")
    });
    // Each time one of the two is started again it runs for some seconds, and is no fault while it does.
    wait_until(120, "moment in which all three are among the faults", || {
        let faults = json(bed, &home, &["pod", "list", "-n", "failing", "--faults"]).to_string();
        ["crash", "oom", "probe"].iter().all(|name| faults.contains(&format!("\"{name}\"")))
    });

    // Between two runs the kubelet has thrown away the run before the last, for kubectl as well: it is there again
    // while the next run lives.
    wait_until(60, "log of the run before", || {
        let previous = json(bed, &home, &["log", "read", "crash", "-n", "failing", "--previous"]);
        previous.to_string().contains("no configuration")
    });
    let described = json(bed, &home, &["resource", "describe", "pods", "oom", "-n", "failing"]).to_string();
    assert!(described.contains("OOMKilled") && described.contains("137"), "{described}");
}
