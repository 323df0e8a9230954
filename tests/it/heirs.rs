//! Two processes and one session: what those who joined see when the one that held it ends.

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
