//! A container that writes faster than anybody reads: every line of it arrives, is held, found and saved.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use quarterdeck::lab::{self, Lab};
use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};

const LINES: usize = 1_000_000;

/// The practice fleet with a pod that floods.
async fn flooded(directory: &Path, pods: &[(&str, usize)]) -> Lab {
    let options = lab::Options { directory: Some(directory.to_owned()), ..lab::Options::default() };
    let lab = lab::start(options).await.unwrap();
    let kubeconfig = lab.kubeconfig_path().to_owned();
    tokio::task::block_in_place(|| {
        for (name, lines) in pods {
            let output = Command::new(Bed::shared().kubectl_path())
                .env("KUBECONFIG", &kubeconfig)
                .args(["run", name, "-n", "shop", "--image=registry.shop.example/shop/flood:1.0.0"])
                .args(["--labels=app=flood", "--env=RATE=200000", &format!("--env=LINES={lines}")])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        wait_until(30, "pods that flood", || {
            let output = Command::new(Bed::shared().kubectl_path())
                .env("KUBECONFIG", &kubeconfig)
                .args([
                    "get",
                    "pods",
                    "-n",
                    "shop",
                    "-l",
                    "app=flood",
                    "-o",
                    "jsonpath={.items[*].status.phase}",
                ])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).matches("Running").count() == pods.len()
        });
    });
    lab
}

fn line(number: usize) -> String {
    format!("line {number:010} of a flood that no reader may lose a drop of")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_lines_are_held_found_and_saved_and_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let lab = flooded(directory.path(), &[("torrent", LINES)]).await;
    tokio::task::block_in_place(|| {
        let home = Home::new();
        let kubeconfig = lab.kubeconfig_path().to_owned();
        let console = Console::start(&home, Some(&kubeconfig), &["pods shop"], 120, 30);
        console.wait("the pods", 30, |s| s.contains("pods(shop)[") && s.contains("Running"));
        console.keys("/torrent\r");
        console.wait("the pod", 10, |s| s.contains("/torrent"));
        let began = Instant::now();
        console.keys("l1");
        console.wait("all lines", 300, |s| s.contains("[1,000,000]"));
        println!("{LINES} lines through an unoptimised build in {:?}", began.elapsed());
        // Keys are heeded, and the first line is still there.
        console.keys("g");
        console.wait("the first line", 10, |s| s.contains(&line(0)));
        console.keys("/0999999\r");
        console.wait("the one line", 60, |s| s.contains("[1/1,000,000]") && s.contains(&line(999_999)));
        console.keys("\x1b");
        console.wait("all lines again", 10, |s| s.contains("[1,000,000]"));
        let file = home.path().join("flood.txt");
        console.keys("S");
        console.wait("the question", 10, |s| s.contains("save the lines shown"));
        console.keys(&format!("{}\r", file.display()));
        console.wait("what was saved", 60, |s| s.contains("1000000 lines saved to"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, found) in text.lines().enumerate() {
            assert!(found.ends_with(&line(number)), "line {number}: {found}");
        }
        assert_eq!(text.lines().count(), LINES);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_floods_are_one_log_in_the_order_of_their_times_and_pages_lead_back() {
    let directory = tempfile::tempdir().unwrap();
    let lab = flooded(directory.path(), &[("one", 30_000), ("two", 20_000)]).await;
    tokio::task::block_in_place(|| {
        let home = Home::new();
        let kubeconfig = lab.kubeconfig_path().to_owned();
        let qd = |arguments: &[&str]| {
            let mut command = home.qd(arguments);
            let output = command.env("KUBECONFIG", &kubeconfig).args(["-n", "shop"]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            (String::from_utf8_lossy(&output.stdout).into_owned(), said)
        };
        // As objects, by the operation that writes files.
        let file = directory.path().join("both.jsonl");
        qd(&["log", "export", "-l", "app=flood", "--to", &file.display().to_string()]);
        let lines: Vec<Value> = std::fs::read_to_string(&file)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 50_000);
        let times: Vec<jiff::Timestamp> =
            lines.iter().map(|line| line["time"].as_str().unwrap().parse().unwrap()).collect();
        assert!(times.is_sorted());
        for (pod, count) in [("one", 30_000), ("two", 20_000)] {
            let of_pod = lines.iter().filter(|line| line["pod"] == pod);
            let all = of_pod.enumerate().all(|(number, found)| found["text"] == line(number).as_str());
            assert!(all, "the lines of {pod} are whole and in order");
            assert_eq!(lines.iter().filter(|line| line["pod"] == pod).count(), count);
        }
        // Page by page, from the newest: each line once.
        let (mut until, mut seen) = (None::<String>, Vec::new());
        for _ in 0..6 {
            let mut arguments =
                vec!["log", "read", "two", "--tail", "4000", "--max-bytes", "4000000", "-o", "json"];
            if let Some(until) = &until {
                arguments.extend(["--until", until]);
            }
            let page: Value = serde_json::from_str(&qd(&arguments).0).unwrap();
            let mut text: Vec<String> = page["text"].as_str().unwrap().lines().map(str::to_owned).collect();
            text.append(&mut seen);
            seen = text;
            until = page["next"].as_str().map(str::to_owned);
            if until.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 20_000);
        assert!(seen.iter().enumerate().all(|(number, found)| *found == line(number)));
        let (none, said) = qd(&["log", "read", "two", "--grep", "no such words"]);
        assert!(none.is_empty() && said.contains("no line matches"), "{none}{said}");
    });
}

const CHATTY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: chatty}
spec:
  replicas: 1
  selector: {matchLabels: {app: chatty}}
  template:
    metadata: {labels: {app: chatty}}
    spec:
      nodeName: real
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sh, -c, "echo begun as $HOSTNAME; while sleep 0.2; do echo still here; done"]}
"#;

/// A deployment's log goes on with the pods of its next revision, and says so; what the kubelet itself gives, whole.
#[test]
fn a_rollout_is_followed_and_says_who_joins_and_who_ends() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "rollouts-logs";
    bed.namespace(n);
    bed.kubectl(&["apply", "-n", n, "-f", "-"], Some(CHATTY));
    bed.kubectl(&["wait", "-n", n, "--for=condition=Available", "deployment/chatty", "--timeout=60s"], None);
    let first = bed.kubectl(&["get", "pods", "-n", n, "-o", "jsonpath={.items[0].metadata.name}"], None);
    let console = Console::start(&home, Some(&bed.kubeconfig), &[&format!("deployments {n}")], 160, 40);
    console.wait("the deployment", 30, |s| s.contains("chatty"));
    console.keys("l");
    console.wait("its log", 20, |s| s.contains(&format!("begun as {first}")));
    // Folded, what repeats does not push away what is told; Enter shows it.
    console.keys("d");
    console.wait("the fold", 10, |s| s.contains("×") && s.contains("folded"));
    bed.kubectl(&["rollout", "restart", "deployment/chatty", "-n", n], None);
    bed.kubectl(&["rollout", "status", "deployment/chatty", "-n", n, "--timeout=90s"], None);
    let screen = console.wait("the pod that joined and the one that went", 60, |s| {
        s.contains("container joined") && s.contains("the pod is gone") && s.matches("begun as").count() == 2
    });
    assert!(screen.contains(&first), "{screen}");

    // Numbered lines of a real kubelet, more than one of its reads: every one, in order, through its rotation of files
    // or without.
    let script = "i=0; while [ $i -lt 60000 ]; do echo number $i; i=$((i+1)); done; sleep 3600";
    let pod = crate::streams::pod(
        "counts",
        "",
        &crate::streams::container("main", &format!("command: [sh, -c, \"{script}\"]")),
    );
    bed.kubectl(&["apply", "-n", n, "-f", "-"], Some(&pod));
    crate::streams::running(bed, n, "counts");
    let read = crate::streams::qd(bed, &home, &["log", "read", "counts", "-n", n, "--watch", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn();
    let mut read = read.unwrap();
    let mut next = 0;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(read.stdout.take().unwrap()));
    'all: for frame in lines.map_while(Result::ok) {
        let frame: Value = serde_json::from_str(&frame).unwrap();
        for line in frame["lines"].as_array().into_iter().flatten() {
            if let Some(text) = line["text"]["text"].as_str() {
                assert_eq!(text, format!("number {next}"));
                next += 1;
                if next == 60_000 {
                    break 'all;
                }
            }
        }
    }
    let _ = read.kill();
    let _ = read.wait();
    assert_eq!(next, 60_000);
}
