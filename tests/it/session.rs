//! The shared session: an operator at the real console, an assistant with the official Python SDK, a real cluster.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::bed::{Bed, pause, wait_until};
use crate::console::{Console, Home};
use crate::kubelet::json;

const F2: &str = "\x1bOQ";

/// A namespace with a Deployment `api` of three replicas, and the console on it.
struct Scene {
    bed: &'static Bed,
    home: Home,
    console: Console,
    namespace: &'static str,
}

impl Scene {
    fn open(namespace: &'static str) -> Self {
        let (bed, home) = (Bed::shared(), Home::new());
        bed.namespace(namespace);
        bed.kubectl(&["create", "deployment", "api", "--image=x", "--replicas=3", "-n", namespace], None);
        let console = Self::console(bed, &home, namespace);
        Self { bed, home, console, namespace }
    }

    fn console(bed: &Bed, home: &Home, namespace: &str) -> Console {
        let console = Console::start(home, Some(&bed.kubeconfig), &["deployments", "-n", namespace], 200, 60);
        console.wait("table of deployments", 20, |s| s.contains(&format!("deployments({namespace})[1]")));
        console
    }

    fn replicas(&self) -> String {
        self.bed.kubectl(
            &["get", "deployment", "api", "-n", self.namespace, "-o", "jsonpath={.spec.replicas}"],
            None,
        )
    }

    /// The assistant, which proposes to scale and waits for what the operator decides.
    fn assistant(&self, mode: &str, http: bool, replicas: u32, expect: &str) -> Assistant {
        let python =
            std::env::var("QD_MCP_PYTHON").expect("tests/run sets QD_MCP_PYTHON to the SDK's Python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/sdk_client.py");
        let mut command = std::process::Command::new(python);
        command
            .args([script, "--mode", mode, "--expect", expect, "--scale"])
            .arg(format!("{}/{}/api={replicas}", self.bed.context, self.namespace))
            .envs(self.home.environment())
            .env("KUBECONFIG", &self.bed.kubeconfig);
        if http {
            let (url, token) = self.endpoint();
            command.args(["--url", &url, "--token", &token]);
        } else {
            command.args(["--command", env!("CARGO_BIN_EXE_qd"), "mcp"]);
        }
        Assistant(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Where the session's HTTP doors are, as its file for local tools says.
    fn endpoint(&self) -> (String, String) {
        let folder = self.home.path().join("run/quarterdeck");
        let file = std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "json"))
            .expect("the session's endpoint file");
        let endpoint: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let url = endpoint["url"].as_str().unwrap().trim_end_matches('/');
        (format!("{url}/mcp"), endpoint["token"].as_str().unwrap().to_owned())
    }

    /// Waits for a held call, opens its card and gives the screen with it.
    fn card(&self, diff: &[&str]) -> String {
        self.console.wait("badge of a held call", 60, |s| s.contains("1 waits"));
        self.console.keys(F2);
        self.console.wait("decision card with its diff", 10, |s| diff.iter().all(|line| s.contains(line)))
    }

    fn audit_kinds(&self) -> Vec<String> {
        let rows = json(self.bed, &self.home, &["audit", "list", "--operation", "deployment_scale"]);
        let mut kinds = Vec::new();
        collect(&rows, "kind", &mut kinds);
        if kinds.is_empty() {
            kinds = rows.to_string().split('"').map(str::to_owned).collect();
        }
        kinds
    }
}

/// Every string under `key`, wherever it stands.
fn collect(value: &Value, key: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get(key).and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| collect(v, key, into));
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, key, into)),
        _ => {}
    }
}

struct Assistant(Option<Child>);

impl Assistant {
    /// Waits for its end: every assertion of the script held.
    fn ends_well(mut self) -> Value {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        assert!(output.status.success(), "the assistant: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Assistant {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_proposal_is_shown_as_a_diff_and_runs_when_approved_over_every_transport() {
    let scene = Scene::open("proposals");
    let ways = [("auto", false), ("legacy", false), ("auto", true), ("legacy", true)];
    for (before, (mode, http)) in (3u32..).zip(ways) {
        let assistant = scene.assistant(mode, http, before + 1, "approved");
        let screen =
            scene.card(&[&format!("-   replicas: {before}"), &format!("+   replicas: {}", before + 1)]);
        assert!(screen.contains("the load doubled"), "the reason is on the card:\n{screen}");
        assert!(screen.contains("kubectl scale"), "the equivalent is on the card:\n{screen}");
        // Enter never approves.
        scene.console.keys("\r");
        pause(300);
        assert_eq!(scene.replicas(), before.to_string(), "Enter approved");
        scene.console.keys("y");
        let seen = assistant.ends_well();
        assert_eq!(scene.replicas(), (before + 1).to_string(), "{mode}, http {http}: {seen}");
        let focus = &seen["focus"].to_string();
        assert!(
            focus.contains("deployments") && focus.contains("proposals"),
            "the focus is the screen's: {focus}"
        );
        scene.console.wait("empty badge", 10, |s| !s.contains("1 waits"));
        scene.console.keys("\x1b");
        scene.console.wait("table again", 10, |s| s.contains("deployments(proposals)[1]"));
    }
    let kinds = scene.audit_kinds();
    for kind in ["proposed", "decided", "consumed", "executed", "returned"] {
        assert!(kinds.iter().filter(|k| *k == kind).count() >= 4, "{kind} is missing in {kinds:?}");
    }
}

#[test]
fn a_refused_proposal_does_not_run_and_the_reason_reaches_the_assistant() {
    let scene = Scene::open("refusals");
    let assistant = scene.assistant("auto", false, 9, "refused");
    scene.card(&["+   replicas: 9"]);
    scene.console.keys("n");
    pause(300);
    scene.console.keys("not during the sale\r");
    let seen = assistant.ends_well().to_string();
    assert!(seen.contains("not during the sale"), "{seen}");
    assert_eq!(scene.replicas(), "3");
}

#[test]
fn an_amended_proposal_runs_as_amended_and_the_assistant_learns_it() {
    let scene = Scene::open("amendments");
    let assistant = scene.assistant("auto", false, 8, "approved");
    scene.card(&["-   replicas: 3", "+   replicas: 8"]);
    scene.console.keys("e");
    scene
        .console
        .wait("the arguments in the editor", 10, |s| s.contains("# The arguments of deployment_scale"));
    scene.console.keys("\x06replicas\r");
    pause(300);
    scene.console.keys("\x1b");
    pause(300);
    // To the end of the line, the 8 away, a 6 in its place, save.
    scene.console.keys("\x1b[F\x7f6\x13");
    let screen = scene.console.wait("the new preview", 20, |s| s.contains("+   replicas: 6"));
    assert!(screen.contains("changed by") && screen.contains("\"replicas\": 8"), "{screen}");
    assert_eq!(scene.replicas(), "3", "amending runs nothing");
    pause(1_500);
    scene.console.keys("\x1b[F");
    pause(300);
    scene.console.keys("y");
    let seen = assistant.ends_well().to_string();
    assert_eq!(scene.replicas(), "6");
    assert!(
        seen.contains("amended") && seen.contains("\\\"replicas\\\": 6"),
        "the assistant is told: {seen}"
    );
}

#[test]
fn a_target_that_changed_voids_the_approval() {
    let scene = Scene::open("voids");
    let assistant = scene.assistant("auto", false, 8, "approved");
    scene.card(&["-   replicas: 3", "+   replicas: 8"]);
    scene.bed.kubectl(&["scale", "deployment", "api", "--replicas=4", "-n", "voids"], None);
    wait_until(10, "the other's change", || scene.replicas() == "4");
    scene.console.keys("y");
    // Nothing ran; the card shows the change as it is now, to be decided anew.
    scene
        .console
        .wait("fresh preview", 20, |s| s.contains("-   replicas: 4") && s.contains("+   replicas: 8"));
    assert_eq!(scene.replicas(), "4");
    // A card that has just taken another's place does not count a key that was meant for the old one.
    pause(1_500);
    scene.console.keys("y");
    assistant.ends_well();
    assert_eq!(scene.replicas(), "8");
}

#[test]
fn a_call_cut_off_by_a_kill_is_shown_as_unknown_and_not_run_again() {
    // A cluster of its own, whose API server can be made to hang.
    let (bed, home) = (Bed::up("hang", &[]), Home::new());
    bed.namespace("cut");
    bed.kubectl(&["create", "deployment", "api", "--image=x", "--replicas=3", "-n", "cut"], None);
    let mut console = Scene::console(&bed, &home, "cut");
    bed.command("pause apiserver");
    // A command in a shell joins the session of the console, which makes the call.
    let mut shell = home
        .qd(&["deployment", "scale", "api", "--replicas", "5", "-n", "cut", "-c", "hang"])
        .env("KUBECONFIG", &bed.kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The intent is in the log, the outcome is not.
    wait_until(10, "intent in the audit log", || audit(&home).contains("intent"));
    console.kill();
    assert!(!shell.wait().unwrap().success(), "the shell is told that the session is gone");
    bed.command("resume apiserver");
    let console = Scene::console(&bed, &home, "cut");
    let rows = audit(&home);
    assert_eq!(rows.matches("\"intent\"").count(), 1, "it was run again: {rows}");
    assert!(rows.contains("interrupted"), "{rows}");
    console.keys(":audit\r");
    console.wait("the row on the screen", 10, |s| s.contains("1 with an unknown outcome"));
}

/// The audit rows of the scaling, as JSON text. Asks the live session, or the database itself.
fn audit(home: &Home) -> String {
    let output =
        home.qd(&["audit", "list", "--operation", "deployment_scale", "-o", "json"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
