//! Commands, shells and port-forwards against a real kubelet, through the real binary.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::{Bed, pause, wait_until};
use crate::console::{Console, Home};
use crate::kubelet::json;

/// A pod on the real node, in YAML; `containers` are whole lines of the list.
pub fn pod(name: &str, labels: &str, containers: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{{labels}}}}}\nspec:\n  nodeName: real\n  \
         terminationGracePeriodSeconds: 0\n  containers:\n{containers}"
    )
}

pub fn container(name: &str, more: &str) -> String {
    format!("  - {{name: {name}, image: \"localhost/busybox:1\", imagePullPolicy: Never, {more}}}\n")
}

pub fn sleeper(name: &str) -> String {
    container(name, "command: [sleep, \"3600\"]")
}

pub fn running(bed: &Bed, namespace: &str, pod: &str) {
    wait_until(60, &format!("{pod} that runs"), || {
        bed.kubectl(&["get", "pod", pod, "-n", namespace, "-o", "jsonpath={.status.phase}"], None)
            == "Running"
    });
}

pub fn qd(bed: &Bed, home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.qd(arguments);
    command.env("KUBECONFIG", &bed.kubeconfig);
    command
}

pub fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_give_their_exit_codes_and_lose_nothing() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "exec";
    bed.namespace(n);
    bed.kubectl(&["apply", "-n", n, "-f", "-"], Some(&pod("box", "", &(sleeper("main") + &sleeper("side")))));
    running(bed, n, "box");
    let exec = |more: &[&str]| {
        let mut all = vec!["container", "exec", "box", "-n", n];
        all.extend_from_slice(more);
        all.push("-o");
        all.push("json");
        // The options of `qd` stand before the command's words.
        let at = all.iter().position(|a| *a == "--").unwrap();
        let (command, options) = (all[at..all.len() - 2].to_vec(), ["-o", "json"]);
        let mut line = all[..at].to_vec();
        line.extend(options);
        line.extend(command);
        let output = qd(bed, &home, &line).output().unwrap();
        (
            output.status.code(),
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default(),
            text(&output.stderr),
        )
    };
    let (code, output, _) = exec(&["--", "sh", "-c", "echo out; echo bad >&2; exit 3"]);
    assert_eq!(
        (code, output["stdout"].as_str(), output["stderr"].as_str()),
        (Some(3), Some("out\n"), Some("bad\n"))
    );
    assert_eq!((output["exit_code"].as_i64(), output["container"].as_str()), (Some(3), Some("main")));
    let (_, output, _) = exec(&["--container", "side", "--stdin", "one\ntwo\n", "--", "wc", "-l"]);
    assert_eq!((output["stdout"].as_str(), output["container"].as_str()), (Some("2\n"), Some("side")));
    let (code, _, error) = exec(&["--", "no-such-program"]);
    assert_eq!(code, Some(4), "{error}");
    assert!(
        error.contains("no program \"no-such-program\"") && error.contains("qd container debug"),
        "{error}"
    );
    let (_, _, error) = exec(&["--container", "nope", "--", "true"]);
    assert!(error.contains("no container \"nope\"") && error.contains("main, side"), "{error}");
    let (_, output, _) = exec(&["--max-bytes", "1000", "--", "seq", "1", "100000"]);
    let stdout = output["stdout"].as_str().unwrap();
    assert!(stdout.starts_with("1\n2\n") && stdout.ends_with("99999\n100000\n"), "{stdout}");
    assert!(output["left_out"][0].as_str().unwrap().contains("of 588895 bytes of stdout"), "{output}");
    let (code, _, error) = exec(&["--timeout-seconds", "1", "--", "sleep", "20"]);
    assert_eq!(code, Some(14), "{error}");

    // Streamed: 100 MB, numbered so that a gap would show, and the exit code behind them.
    let began = Instant::now();
    let script = "i=0; while [ $i -lt 100 ]; do head -c 1048576 /dev/zero | tr '\\0' a; i=$((i+1)); done; seq 1 5; exit 7";
    let output =
        qd(bed, &home, &["container", "exec", "box", "-n", n, "--", "sh", "-c", script]).output().unwrap();
    println!("100 MiB through stdout in {:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert_eq!(output.stdout.len(), 100 * 1_048_576 + 10);
    assert!(output.stdout[..100 * 1_048_576].iter().all(|b| *b == b'a'));
    assert!(output.stdout.ends_with(b"1\n2\n3\n4\n5\n"));
    // And both ways at once: what `cat` gives back is what it was given.
    let given: Vec<u8> = (0..8 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let output = run(qd(bed, &home, &["container", "exec", "box", "-n", n, "-i", "--", "cat"]), &given);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stdout == given, "{} of {} bytes came back", output.stdout.len(), given.len());

    // A container that ends in the middle: an error or its signal's code, never a hang and never a success.
    let dies = pod("dies", "", &container("main", "command: [sleep, \"6\"]"));
    bed.kubectl(&["apply", "-n", n, "-f", "-"], Some(&dies));
    running(bed, n, "dies");
    let output =
        qd(bed, &home, &["container", "exec", "dies", "-n", n, "--", "sh", "-c", "echo begun; sleep 60"])
            .output()
            .unwrap();
    assert_eq!(text(&output.stdout), "begun\n", "{}", text(&output.stderr));
    assert_ne!(output.status.code(), Some(0));

    // Begin and end are in the audit log, with the container and the exit code.
    let audit =
        json(bed, &home, &["audit", "list", "--operation", "container_exec", "--limit", "100", "--details"])
            .to_string();
    assert!(audit.contains("\"exit_code\":7") && audit.contains("\"container\":\"side\""), "{audit}");
}

#[test]
fn a_shell_takes_the_terminal_and_gives_it_back() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "shells";
    bed.namespace(n);
    bed.kubectl(
        &["apply", "-n", n, "-f", "-"],
        Some(&(pod("two", "", &(sleeper("main") + &sleeper("side"))))),
    );
    running(bed, n, "two");
    let line = format!("pods {n}");
    let console = Console::start(&home, Some(&bed.kubeconfig), &[&line], 100, 30);
    console.wait("the pod", 20, |s| s.contains("two") && s.contains("Running"));
    console.keys("s");
    console.wait("the choice", 10, |s| s.contains("which container") && s.contains("side"));
    console.keys("j\r");
    console.wait("a prompt", 20, |s| s.contains("shell in two/side") && s.contains('#'));
    console.keys("stty size; hostname\r");
    console.wait("its size", 10, |s| s.contains("30 100") && s.matches("two").count() > 1);
    // Ctrl-c is the remote's.
    console.keys("sleep 100\r");
    pause(300);
    console.keys("\x03");
    console.keys("echo still-$((40+2))\r");
    console.wait("the shell after Ctrl-c", 10, |s| s.contains("still-42"));
    console.keys("exit 5\r");
    let screen = console.wait("the console", 10, |s| s.contains("pods(") && s.contains("ended with 5"));
    assert!(!screen.contains("still-42"), "{screen}");
    console.keys("s");
    console.wait("the choice again", 10, |s| s.contains("which container"));
    console.keys("\r");
    console.wait("a prompt again", 20, |s| s.contains("shell in two/main") && s.contains('#'));
    console.keys("\r~.");
    console.wait("the console again", 10, |s| s.contains("pods(") && s.contains("you left"));
    wait_until(10, "the shell that was left to end", || {
        !bed.kubectl(&["exec", "-n", n, "two", "-c", "main", "--", "ps"], None).contains(" sh")
    });
}

#[test]
fn what_was_attached_to_goes_on_when_it_is_left() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "attached";
    bed.namespace(n);
    let talks = container("main", "stdin: true, tty: true, command: [sh]");
    let silent = container("main", "command: [sh, -c, \"while sleep 1; do echo tick; done\"]");
    bed.kubectl(
        &["apply", "-n", n, "-f", "-"],
        Some(&(pod("talks", "", &talks) + &pod("ticks", "", &silent))),
    );
    running(bed, n, "talks");
    running(bed, n, "ticks");
    let line = format!("pods {n}");
    let console = Console::start(&home, Some(&bed.kubeconfig), &[&line], 100, 30);
    console.wait("the pods", 20, |s| s.contains("talks") && s.contains("ticks"));
    console.keys("/talks\ra");
    console.wait("the terminal", 20, |s| s.contains("attached to talks/main"));
    console.keys("echo at-$((40+2)); state=kept\r");
    console.wait("its own process", 10, |s| s.contains("at-42"));
    console.keys("\r~.");
    let screen = console.wait("the console", 10, |s| s.contains("pods(") && s.contains("you left"));
    assert!(!screen.contains("at-42"), "{screen}");
    console.keys("a");
    console.wait("the terminal again", 20, |s| !s.contains("pods(") && s.contains("attached to talks/main"));
    console.keys("echo $state-$((1+1))\r");
    console.wait("the same process", 10, |s| s.contains("kept-2"));
    console.keys("\r~.");
    console.wait("the console again", 10, |s| s.contains("pods(") && s.contains("you left"));
    // What takes no input is watched, and left by the same keys.
    console.keys("/ticks\ra");
    console.wait("its output", 20, |s| !s.contains("pods(") && s.contains("tick\n"));
    console.keys("\r~.");
    console.wait("the console once more", 10, |s| s.contains("pods(") && s.contains("you left"));
    let restarts = "jsonpath={.items[*].status.containerStatuses[0].restartCount}";
    assert_eq!(bed.kubectl(&["get", "pods", "-n", n, "-o", restarts], None), "0 0");
}

/// One HTTP request over a forward; what went wrong otherwise.
fn get(port: u16) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n").map_err(|e| e.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    if answer.contains("200 OK") { Ok(answer) } else { Err(format!("answered {answer:?}")) }
}

/// A session without a screen.
struct Session(Child);

impl Session {
    fn start(bed: &Bed, home: &Home) -> Self {
        let mut serve = qd(bed, home, &["serve", "--set", "http.enabled=false"]);
        let child = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let socket = home.path().join("run");
        wait_until(20, "the session's socket", || {
            walk(&socket).iter().any(|p| p.extension().is_some_and(|e| e == "sock"))
        });
        Self(child)
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] }).collect()
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const WEB: &str = r#"---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeName: real
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: "localhost/busybox:1"
        imagePullPolicy: Never
        command: [sh, -c, "mkdir -p /www/cgi-bin; printf '#!/bin/sh\necho Content-Type: text/plain; echo; hostname\n' > /www/cgi-bin/who; chmod +x /www/cgi-bin/who; exec httpd -f -p 8080 -h /www"]
        ports: [{name: http, containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"#;

#[test]
fn a_forward_outlives_its_pod_and_its_session() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "forwards";
    bed.namespace(n);
    bed.kubectl(&["apply", "-n", n, "-f", "-"], Some(WEB));
    bed.kubectl(&["wait", "-n", n, "--for=condition=Available", "deployment/web", "--timeout=60s"], None);
    let session = Session::start(bed, &home);
    let make = |to: &str, ports: &str| json(bed, &home, &["forward", "create", to, ports, "-n", n]);
    let made = make("service/web", ":80");
    let port = u16::try_from(made["local_port"].as_u64().unwrap()).unwrap();
    assert_eq!((made["state"].as_str(), made["kept"].as_bool()), (Some("ready"), Some(true)), "{made}");
    wait_until(20, "an answer", || get(port).is_ok());
    let pod = |port: u16| {
        let list = json(bed, &home, &["forward", "list"]);
        let all = list["forwards"].as_array().unwrap().clone();
        let one = all.into_iter().find(|f| f["local_port"] == port).unwrap();
        one["pod"].as_str().unwrap_or_default().to_owned()
    };
    let first = pod(port);
    assert!(get(port).unwrap().contains(&first));

    // A command through the session's socket, with much in both directions at once.
    let given: Vec<u8> = (0..4 << 20).map(|i: u32| (i.wrapping_mul(40_503) >> 8) as u8).collect();
    let output = run(qd(bed, &home, &["container", "exec", &first, "-n", n, "-i", "--", "cat"]), &given);
    assert!(output.stdout == given, "{} bytes came back: {}", output.stdout.len(), text(&output.stderr));

    // A forward to a pod by its name goes on with its siblings.
    let of_pod = make(&first, ":http");
    let pod_port = u16::try_from(of_pod["local_port"].as_u64().unwrap()).unwrap();
    assert!(get(pod_port).is_ok());

    // Traffic through the death of the pod: some connections fail, and then none.
    bed.kubectl(&["delete", "pod", "-n", n, &first, "--wait=false"], None);
    let (began, mut failures, mut good) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_secs(60) && good < 20 {
        match get(port) {
            Ok(_) => good += 1,
            Err(_) => (failures, good) = (failures + 1, 0),
        }
        pause(50);
    }
    assert_eq!(good, 20, "20 good answers in a row after {failures} failures");
    println!("{failures} failed requests, well again after {:?}", began.elapsed());
    assert_ne!(pod(port), first);
    wait_until(30, "an answer by the pod's sibling", || get(pod_port).is_ok());

    // A port that is taken is an error with the way out.
    let output = qd(bed, &home, &["forward", "create", "service/web", &format!("{port}:80"), "-n", n])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("leads to service/web already"), "{}", text(&output.stderr));
    let list = json(bed, &home, &["forward", "list"]).to_string();
    assert!(list.contains("bytes_received"), "{list}");

    // The next session has it again, at the same port.
    drop(session);
    assert!(get(port).is_err());
    let _session = Session::start(bed, &home);
    wait_until(20, "an answer after the restart", || get(port).is_ok());
    json(bed, &home, &["forward", "delete", &port.to_string()]);
    assert!(get(port).is_err());
    let left = json(bed, &home, &["forward", "list"]);
    assert_eq!(left["forwards"].as_array().unwrap().len(), 1, "{left}");
}
