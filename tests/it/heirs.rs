//! Two processes and one session: what those who joined see when the one that held it ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::bed::wait_until;
use crate::console::{Console, Home};
use crate::http::Endpoint;

fn serve(home: &Home) -> Child {
    let child = home.qd(&["serve", "--set", "http.port=0"]).stderr(Stdio::null()).spawn().unwrap();
    Endpoint::of(home, "session.json");
    child
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let output = home.qd(arguments).args(["-o", "json"]).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_assistant_goes_on_when_the_process_that_held_its_session_is_killed() {
    for mode in ["auto", "legacy"] {
        let home = Home::new();
        let mut host = serve(&home);
        let mut agent = Agent::join(&home, "default", "claude", mode);
        let waits = agent.call("approval_wait", json!({ "approval": "01M7YZJMZ81G8V1ZSEJJWXTEQ5" }));
        assert_eq!(agent.answer(waits)["is_error"], true);
        // Something is under way when the process dies.
        let under_way = agent.call("message_list", json!({ "wait_seconds": 40 }));
        wait_until(10, "the call", || {
            json_of(&home, &["participant", "list"])["participants"].to_string().contains("message_list")
        });
        host.kill().unwrap();
        host.wait().unwrap();
        let answer = agent.answer(under_way);
        assert!(
            answer["failed"].as_str().is_some_and(|f| f.contains("goes on in another")),
            "{mode}: {answer}"
        );
        // The same connection, another session: of the assistant's own process, which others join.
        let said = agent.call("operation_list", json!({ "matching": "pod" }));
        let answer = agent.answer(said);
        assert_eq!(answer["is_error"], false, "{mode}: {answer}");
        let present = json_of(&home, &["participant", "list"])["participants"].to_string();
        assert!(present.contains("claude"), "{mode}: {present}");
        drop(agent);
        assert!(home.qd(&["audit", "verify"]).output().unwrap().status.success());
    }
}

#[test]
fn a_joined_console_holds_the_session_once_its_holder_is_gone() {
    let home = Home::new();
    let mut host = serve(&home);
    let console = Console::start(&home, None, &["audit"], 120, 40);
    console.wait("the audit pane", 20, |s| s.contains("audit") && s.contains("session_start"));
    host.kill().unwrap();
    host.wait().unwrap();
    console.wait("word of it", 20, |s| s.contains("this console holds it now"));
    console.keys(":participants\r");
    console.wait("a pane of the new session", 10, |s| s.contains("participants"));
    // It is the live session now: a shell joins it.
    wait_until(10, "the new session", || {
        json_of(&home, &["participant", "list"])["participants"].to_string().contains("screen")
    });
}

/// A process that starts while another has a call under way must not take that call for abandoned.
#[test]
fn a_start_beside_a_live_process_interrupts_none_of_its_calls() {
    let home = Home::new();
    let mut host = serve(&home);
    // One process of its own after the other, on the same state directory, while the first lives.
    for name in ["a", "b", "c"] {
        assert!(home.qd(&["operation", "list", "--session", name]).output().unwrap().status.success());
    }
    let marks = || std::fs::read_dir(home.state().join("instances")).unwrap().count();
    assert_eq!(marks(), 1, "the live process keeps its mark, the ended ones are swept");
    host.kill().unwrap();
    host.wait().unwrap();
    assert_eq!(marks(), 1);
    assert_eq!(json_of(&home, &["audit", "verify"])["exit_code"], 0);
    assert_eq!(marks(), 0, "what a killed process left is swept by the next");
}

#[test]
fn a_line_that_is_no_json_is_answered_and_ends_nothing() {
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } } });
    for joined in [false, true] {
        let home = Home::new();
        let host = joined.then(|| serve(&home));
        let mut assistant = home
            .qd(&["mcp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = assistant.stdin.take().unwrap();
        let mut lines = BufReader::new(assistant.stdout.take().unwrap()).lines();
        let mut ask = |line: &str| -> Value {
            writeln!(input, "{line}").unwrap();
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap()
        };
        assert_eq!(ask(&initialize.to_string())["id"], 1);
        for broken in ["{", "hello", r#"{"jsonrpc":"2.0","id":2,"method":"ping""#] {
            let answer = ask(broken);
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{answer}");
        }
        assert_eq!(ask(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#)["id"], 3);
        drop(input);
        assert!(assistant.wait().unwrap().success());
        if let Some(mut host) = host {
            host.kill().unwrap();
            host.wait().unwrap();
        }
    }
}
