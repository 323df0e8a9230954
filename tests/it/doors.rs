//! The shell and HTTP doors of the real binary.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::bed::pause;
use crate::console::Home;
use crate::http::Endpoint;

/// Runs `qd` to its end: exit code, stdout, stderr.
fn qd(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let output = home.qd(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_and_mistakes_say_what_to_do_next() {
    let home = Home::new();
    let (code, out, _) = qd(&home, &["--help"]);
    assert_eq!(code, 0);
    for part in ["qd NOUN VERB", "pod ", "Examples:", "config.yaml", "qd lab"] {
        assert!(out.contains(part), "no {part:?} in:\n{out}");
    }
    for (arguments, code, message) in [
        (&["frobnicate"][..], 2, "\"frobnicate\" is no command"),
        (&["operaton", "list"], 2, "Did you mean `qd operation list`?"),
        (&["operation", "list", "--nonsense"], 2, "--nonsense"),
        (&["approval", "get", "01M7YZJMZ81G8V1ZSEJJWXTEQ5"], 4, "qd: "),
        (&["config", "check", "--set", "http.prot=1"], 2, "Did you mean http.port?"),
        (&["config", "check", "--config", "/nonexistent.yaml"], 2, "/nonexistent.yaml"),
        (&["operation", "list", "--session", "../x"], 2, "cannot name a session"),
    ] {
        let (got, out, err) = qd(&home, arguments);
        assert_eq!(got, code, "{arguments:?}: {out}{err}");
        assert!(err.contains(message), "{arguments:?}: {err}");
    }
}

#[test]
fn the_configuration_is_written_once_checked_and_shown_with_its_origins() {
    let home = Home::new();
    assert_eq!(qd(&home, &["config", "init"]).0, 0);
    assert_eq!(qd(&home, &["config", "init"]).0, 5, "it must not be overwritten");
    assert_eq!(qd(&home, &["config", "check"]).0, 0);
    let file = home.path().join("config/quarterdeck/config.yaml");
    std::fs::write(&file, "http:\n  prot: 1\n").unwrap();
    let (code, _, err) = qd(&home, &["config", "check"]);
    assert_eq!(code, 2);
    assert!(err.contains("config.yaml:2:3: there is no key \"prot\"") && err.contains("\"port\""), "{err}");
    std::fs::write(&file, "http:\n  prot: 1\n  body_kib: 0\nscren: {}\nscreen:\n  theme: defualt\n").unwrap();
    let (code, _, err) = qd(&home, &["config", "check", "--set", "log.kep=1"]);
    assert_eq!(code, 2);
    for part in [
        "config.yaml:2:3: there is no key \"prot\"",
        "config.yaml:3:3: http: 0 is not from",
        "config.yaml:4:1: there is no section \"scren\"",
        "config.yaml:6: screen.theme: ",
        "--set log.kep=1: there is no key",
        "Did you mean log.keep?",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    std::fs::write(&file, "http:\n  port: 1234\n").unwrap();
    let (_, out, _) = qd(&home, &["config", "show"]);
    let line = out.lines().find(|l| l.contains("port:")).unwrap();
    assert!(line.contains("1234") && line.ends_with("config.yaml"), "{line}");
}

/// `qd serve` on a port of its own.
struct Served {
    home: Home,
    child: Child,
    http: Endpoint,
}

impl Served {
    fn start() -> Self {
        let home = Home::new();
        let child = home.qd(&["serve", "--set", "http.port=0"]).stderr(Stdio::null()).spawn().unwrap();
        let http = Endpoint::of(&home, "session.json");
        Self { home, child, http }
    }

    fn ask(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        self.http.send(line, headers, body)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn http_refuses_whatever_is_not_ours_and_answers_what_is() {
    let served = Served::start();
    let bearer = format!("Authorization: Bearer {}", served.http.token);
    let (host, json) = ("Host: localhost", "Content-Type: application/json");
    let twice = r#"{"name":"a","name":"b"}"#;
    let cases: &[(&str, &[&str], &str, u16, &str)] = &[
        ("GET /healthz", &[host], "", 200, "ok"),
        ("GET /v1/operations", &[host], "", 401, "unauthenticated"),
        ("GET /v1/operations", &[host, "Authorization: Bearer qd_0_0"], "", 401, "not valid"),
        ("GET /v1/operations", &["Host: evil.example", &bearer], "", 403, "permission_denied"),
        ("GET /v1/operations", &[host, &bearer, "Origin: http://evil.example"], "", 403, "permission_denied"),
        ("GET /v1/operations?matching=pod_list", &[host, &bearer], "", 200, "\"pod_list\""),
        ("GET /v1/operations?matchin=pod", &[host, &bearer], "", 400, "Did you mean \\\"matching\\\"?"),
        ("PUT /v1/operations", &[host, &bearer], "", 405, "allow: GET"),
        ("GET /v1/nothing", &[host, &bearer], "", 404, "openapi.json"),
        ("POST /v1/tokens", &[host, &bearer, json], twice, 400, "twice"),
        ("POST /v1/tokens", &[host, &bearer], "{}", 400, "application/json"),
        ("POST /v1/tokens", &[host, &bearer, json], r#"{"name":"a"}"#, 403, "permission_denied"),
        ("GET /v1/events", &[host, &bearer], "", 400, "WebSocket"),
        ("GET /metrics", &[host, &bearer], "", 200, "status=\"4xx\"} "),
        ("GET /v1/openapi.json", &[host, &bearer], "", 200, "\"openapi\":\"3.1.0\""),
    ];
    for (line, headers, body, status, part) in cases {
        let (got, answer) = served.ask(line, headers, body);
        assert_eq!(got, *status, "{line} {headers:?}: {answer}");
        assert!(answer.contains(part), "{line}: no {part:?} in {answer}");
    }
}

#[test]
fn tokens_are_made_in_a_shell_used_over_http_and_revoked() {
    let served = Served::start();
    let (code, out, err) = qd(&served.home, &["token", "create", "reader", "--role", "viewer", "-o", "json"]);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let bearer = format!("Authorization: Bearer {}", made["text"].as_str().unwrap());
    let ask = || served.ask("GET /v1/operations", &["Host: localhost", &bearer], "").0;
    assert_eq!(ask(), 200);
    let id = made["token"]["id"].as_str().unwrap();
    assert_eq!(qd(&served.home, &["token", "revoke", id]).0, 0);
    assert_eq!(ask(), 401);
    let log = std::fs::read_to_string(served.home.state().join("qd.log")).unwrap_or_default();
    assert!(!log.contains(made["text"].as_str().unwrap()) && !log.contains(&served.http.token));
}

#[test]
fn the_live_session_is_joined_and_goes_cleanly() {
    let mut served = Served::start();
    let (code, out, err) = qd(&served.home, &["operation", "list", "-o", "json"]);
    assert_eq!(code, 0, "{err}");
    assert!(serde_json::from_str::<Value>(&out).unwrap()["total"].as_u64().unwrap() > 20);
    let (code, _, err) = qd(&served.home, &["serve"]);
    assert_eq!(code, 5, "a second one of the same name: {err}");
    assert!(err.contains("--session NAME"), "{err}");
    let pid = served.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = (0..500).find_map(|_| {
        pause(20);
        served.child.try_wait().unwrap()
    });
    assert!(ended.expect("it ends within 10 s").success());
    for name in ["session.sock", "session.json"] {
        assert!(!served.home.path().join("run/quarterdeck").join(name).exists(), "{name} is left");
    }
    // Without a session the same command runs in a session of its own.
    assert_eq!(qd(&served.home, &["operation", "list"]).0, 0);
    assert_eq!(qd(&served.home, &["audit", "verify"]).0, 0);
}

#[test]
fn a_reader_that_has_read_enough_is_no_mistake() {
    let home = Home::new();
    for command in ["operation list", "operation list -o json", "--help", "completions bash", "config show"] {
        let line = format!("set -o pipefail; {} {command} | head -1", env!("CARGO_BIN_EXE_qd"));
        let output = std::process::Command::new("bash")
            .args(["-c", &line])
            .envs(home.environment())
            .env_remove("KUBECONFIG")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {} {said}", output.status);
        assert!(!output.stdout.is_empty());
        for word in ["panic", "Broken pipe", "qd: "] {
            assert!(!said.contains(word), "{command}: {said}");
        }
    }
}
