//! Held calls from end to end: an assistant with the official SDK, the operator at the real console, the practice
//! fleet. Whatever happens on the way, nothing runs but what was shown and approved.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::bed::{pause, wait_until};
use crate::console::{Console, Home};

const F2: &str = "\x1bOQ";
const ESC: &str = "\x1b";

/// The console on the practice fleet, and an assistant that wants to scale `monitoring/grafana`.
struct Deck {
    home: Home,
    console: Console,
    agent: Agent,
}

impl Deck {
    fn open(options: &[&str], mode: &str) -> Self {
        let home = Home::new();
        // What the operator's editor does with the arguments.
        let editor = home.path().join("editor");
        std::fs::write(&editor, "#!/bin/sh\nsed -i 's/replicas: 7/replicas: 4/' \"$1\"\n").unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = [&["lab"], options].concat();
        let console =
            Console::start_with(&home, None, &arguments, 200, 60, &[("EDITOR", editor.as_os_str())]);
        console.wait("table of pods", 20, |s| s.contains("pods(") && s.contains("Running"));
        let agent = Agent::join(&home, "lab", "claude", mode);
        Self { home, console, agent }
    }

    fn scale(&mut self, replicas: u32) -> u64 {
        self.agent.call("deployment_scale", wanted(replicas))
    }

    /// Runs a command in the session; gives its exit code and what it said.
    fn qd(&self, arguments: &[&str]) -> (i32, Value, String) {
        let output = self.home.qd(arguments).args(["--session", "lab", "-o", "json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }

    fn replicas(&self) -> u64 {
        let place = ["resource", "get", "deployments", "grafana", "-n", "monitoring", "-c", "harbour"];
        let (code, found, said) = self.qd(&place);
        assert_eq!(code, 0, "{said}");
        let text = found.to_string();
        let after = text.split("replicas").nth(1).unwrap_or_else(|| panic!("no replicas in {text}"));
        let digits: String =
            after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// Waits for a card to wait, and opens it.
    fn card(&self, line: &str) -> String {
        self.console.wait("badge of a held call", 30, |s| s.contains("1 waits"));
        self.console.keys(F2);
        self.console.wait("decision card", 10, |s| s.contains(line))
    }

    /// The newest approval, and what happened with it according to the audit log.
    fn story(&self) -> (Value, Vec<String>) {
        let (_, list, said) = self.qd(&["approval", "list", "--all", "--limit", "1"]);
        let newest = list["approvals"][0].clone();
        let id = newest["approval"].as_str().unwrap_or_else(|| panic!("{list} {said}")).to_owned();
        let (_, rows, _) = self.qd(&["audit", "list", "--approval", &id, "--details"]);
        let mut kinds: Vec<String> = rows["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.reverse();
        (newest, kinds)
    }

    /// The session's own log is whole.
    fn verify(&self) {
        let (code, verdict, said) = self.qd(&["audit", "verify"]);
        assert_eq!(code, 0, "{verdict} {said}");
    }

    fn back_to_the_table(&self) {
        for _ in 0..4 {
            self.console.keys(ESC);
            pause(200);
        }
        self.console.wait("table again", 10, |s| s.contains("pods(") && !s.contains("wants to change"));
    }
}

fn wanted(replicas: u32) -> Value {
    json!({
        "cluster": "harbour", "namespace": "monitoring", "name": "grafana", "replicas": replicas,
        "reason": "the load doubled",
    })
}

/// How long a card says that is left.
fn left(screen: &str) -> String {
    let before = screen.split(" left").next().unwrap_or_default();
    before.rsplit(' ').next().unwrap_or_default().to_owned()
}

const WHOLE: [&str; 5] = ["proposed", "decided", "consumed", "executed", "returned"];

#[test]
fn an_approval_is_used_once_by_the_call_that_was_shown() {
    let mut deck = Deck::open(&[], "auto");
    assert_eq!(deck.replicas(), 1);
    let first = deck.scale(3);
    let card = deck.card("+   replicas: 3");
    // Time alone moves what is on the screen.
    let left = left(&card);
    deck.console
        .wait("countdown that goes on", 5, |s| s.contains("+   replicas: 3") && self::left(s) != left);
    deck.console.keys("y");
    let answer = deck.agent.answer(first);
    assert_eq!(answer["is_error"], false, "{answer}");
    assert_eq!(deck.replicas(), 3);
    assert_eq!(deck.story().1, WHOLE);
    deck.back_to_the_table();

    // The same call again is another call: it is held anew, and refusing it changes nothing.
    let again = deck.scale(3);
    deck.card("wants to change");
    deck.console.keys("n");
    pause(300);
    deck.console.keys("once is enough\r");
    let answer = deck.agent.answer(again);
    assert!(
        answer["is_error"] == true && answer["text"].as_str().unwrap().contains("once is enough"),
        "{answer}"
    );
    assert_eq!(deck.story().1, ["proposed", "decided", "returned"]);
    // A second decision about a used approval does not count, whoever makes it.
    let (_, all, _) = deck.qd(&["approval", "list", "--all"]);
    let used = all["approvals"].as_array().unwrap().iter().find(|a| a["state"] == "consumed").unwrap();
    let id = used["approval"].as_str().unwrap();
    let (_, card, _) = deck.qd(&["approval", "get", id]);
    let hash = card["preview_hash"].as_str().unwrap().to_owned();
    let (code, _, said) =
        deck.qd(&["approval", "decide", id, "--decision", "approve", "--preview-hash", &hash]);
    assert_eq!(code, 8, "a shell decides nothing unless configured: {said}");
    assert_eq!(deck.replicas(), 3);
    deck.verify();
}

#[test]
fn an_approvals_state_is_good_for_no_other_arguments() {
    let mut deck = Deck::open(&["--set", "approvals.decide_elsewhere=true"], "auto");
    let waits = deck.agent.once("deployment_scale", wanted(2), None);
    let state = waits["state"].as_str().unwrap_or_else(|| panic!("{waits}")).to_owned();
    // The same approval with other arguments, and with those of another object.
    let mut elsewhere = wanted(2);
    elsewhere["name"] = "loki".into();
    for other in [wanted(50), elsewhere] {
        let answer = deck.agent.once("deployment_scale", other, Some(&state));
        assert!(answer["failed"].as_str().is_some_and(|f| f.contains("requestState")), "{answer}");
    }
    let other_tool = deck.agent.once("deployment_restart", wanted(2), Some(&state));
    assert!(other_tool["state"].is_null() && other_tool["content"]["result"].is_null(), "{other_tool}");
    assert_eq!(deck.replicas(), 1);
    // Where the configuration lets a person decide in a shell, the preview's hash is what counts.
    let (newest, _) = deck.story();
    let id = newest["approval"].as_str().unwrap().to_owned();
    let (code, _, said) =
        deck.qd(&["approval", "decide", &id, "--decision", "approve", "--preview-hash", "00"]);
    assert_eq!(code, 6, "{said}");
    let (_, card, _) = deck.qd(&["approval", "get", &id]);
    assert_eq!(card["arguments"]["replicas"], 2, "{card}");
    let hash = card["preview_hash"].as_str().unwrap().to_owned();
    let decide = ["approval", "decide", &id, "--decision", "approve", "--preview-hash", &hash];
    assert_eq!(deck.qd(&decide).0, 0);
    let answer = deck.agent.once("deployment_scale", wanted(2), Some(&state));
    assert_eq!(answer["is_error"], false, "{answer}");
    assert_eq!(deck.replicas(), 2);
    assert_eq!(deck.qd(&decide).0, 6, "an approval works once");
    assert_eq!(deck.story().1, WHOLE);
    deck.verify();
}

#[test]
fn the_operator_amends_what_is_proposed_and_the_agent_learns_what_ran() {
    let mut deck = Deck::open(&[], "auto");
    let call = deck.scale(7);
    deck.card("+   replicas: 7");
    deck.console.keys("e");
    deck.console.wait("the amended change", 20, |s| s.contains("+   replicas: 4"));
    assert_eq!(deck.replicas(), 1);
    // A card that has just changed does not count a key that was meant for what it showed before.
    wait_until(20, "approval of what is shown now", || {
        deck.console.keys("y");
        pause(700);
        !deck.console.screen().contains("wants to change")
    });
    let answer = deck.agent.answer(call);
    assert_eq!(answer["is_error"], false, "{answer}");
    let text = answer["text"].as_str().unwrap();
    assert!(text.contains("changed your arguments") && text.contains("4") && text.contains("7"), "{text}");
    assert!(
        answer["content"]["decision"]["amended"].as_str().unwrap().contains("\"replicas\": 4"),
        "{answer}"
    );
    assert_eq!(deck.replicas(), 4);
    assert_eq!(deck.story().1, ["proposed", "amended", "decided", "consumed", "executed", "returned"]);
    deck.verify();
}

#[test]
fn what_the_agent_gives_up_is_withdrawn_and_what_nobody_decides_expires() {
    let mut deck = Deck::open(&["--set", "approvals.expire_seconds=15"], "auto");
    // Cancelled by the agent, while the operator looks at the card.
    let call = deck.scale(5);
    deck.card("+   replicas: 5");
    deck.agent.cancel(call);
    deck.console.wait("word on the card", 10, |s| s.contains("taken back by whoever asked"));
    deck.console.keys("y");
    pause(500);
    let (newest, kinds) = deck.story();
    assert_eq!(newest["state"], "withdrawn", "{newest}");
    assert_eq!(kinds[..2], ["proposed", "withdrawn"]);
    assert_eq!(deck.replicas(), 1);
    deck.back_to_the_table();

    // Gone with the agent's connection.
    deck.scale(6);
    deck.console.wait("badge", 20, |s| s.contains("1 waits"));
    deck.agent = Agent::join(&deck.home, "lab", "claude", "legacy");
    wait_until(10, "withdrawal", || deck.story().0["state"] == "withdrawn");
    deck.console.wait("no badge", 10, |s| !s.contains("1 waits"));

    // Nobody decides.
    let call = deck.scale(9);
    deck.card("+   replicas: 9");
    deck.console.wait("end of its time", 30, |s| s.contains("This is expired"));
    deck.console.keys("y");
    let answer = deck.agent.answer(call);
    assert!(answer["is_error"] == true && answer["text"].as_str().unwrap().contains("expired"), "{answer}");
    assert_eq!(deck.story().1, ["proposed", "expired", "returned"]);
    assert_eq!(deck.replicas(), 1);
    deck.verify();
}

#[test]
fn a_grant_is_used_as_often_as_it_says_and_not_once_it_is_revoked() {
    let mut deck = Deck::open(&["--set", "approvals.decide_elsewhere=true"], "auto");
    let grant = [
        "grant",
        "create",
        "--agent",
        "claude",
        "--operation",
        "deployment_scale",
        "--operation",
        "resource_apply",
        "--namespace",
        "monitoring",
        "--uses",
        "5",
    ];
    let (code, made, said) = deck.qd(&grant);
    assert_eq!(code, 0, "{said}");
    let call = deck.scale(2);
    let answer = deck.agent.answer(call);
    assert_eq!(answer["is_error"], false, "{answer}");
    assert_eq!(deck.replicas(), 2);
    // Elsewhere it does not count.
    let elsewhere =
        json!({ "cluster": "harbour", "namespace": "shop", "name": "cart", "replicas": 1, "reason": "r" });
    let held = deck.agent.once("deployment_scale", elsewhere, None);
    assert!(held["state"].is_string(), "{held}");
    // Nor for what has no namespace, whatever the call says.
    let rights = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: mine}\n\
                  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n";
    let wide = json!({ "cluster": "harbour", "namespace": "monitoring", "manifest": rights });
    let held = deck.agent.once("resource_apply", wide, None);
    assert!(held["state"].is_string(), "{held}");
    // A name that is a path leads nowhere else.
    for name in ["monitoring/secrets/grafana", "monitoring/secrets", ".."] {
        let (code, _, said) = deck.qd(&["resource", "get", "namespace", name, "-c", "harbour"]);
        assert!(code != 0 && said.contains("no Kubernetes name"), "{name}: {code} {said}");
    }
    let id = made["grant"].as_str().unwrap();
    assert_eq!(deck.qd(&["grant", "revoke", id]).0, 0);
    let held = deck.agent.once("deployment_scale", wanted(3), None);
    assert!(held["state"].is_string(), "{held}");
    assert_eq!(deck.replicas(), 2);
    // An agent gives itself nothing, and nobody is asked whether it may.
    for (tool, arguments) in [
        (
            "grant_create",
            json!({ "agent": "claude", "operations": ["deployment_scale"], "namespace": "shop" }),
        ),
        ("token_create", json!({ "name": "mine", "role": "operator" })),
        ("agents_resume", json!({})),
    ] {
        let answer = deck.agent.once(tool, arguments, None);
        assert_eq!(answer["content"]["error"]["code"], "permission_denied", "{tool}: {answer}");
    }
    deck.verify();
}
