//! The shell and HTTP doors of the real binary.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::bed::pause;
use crate::console::Home;

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
    std::fs::write(&file, "http:\n  port: 1234\n").unwrap();
    let (_, out, _) = qd(&home, &["config", "show"]);
    let line = out.lines().find(|l| l.contains("port:")).unwrap();
    assert!(line.contains("1234") && line.ends_with("config.yaml"), "{line}");
}

/// `qd serve` on a port of its own.
struct Served {
    home: Home,
    child: Child,
    address: String,
    token: String,
}

impl Served {
    fn start() -> Self {
        let home = Home::new();
        let child = home.qd(&["serve", "--set", "http.port=0"]).stderr(Stdio::null()).spawn().unwrap();
        let mut served = Self { home, child, address: String::new(), token: String::new() };
        let file = served.home.path().join("run/quarterdeck/session.json");
        for _ in 0..500 {
            let endpoint = std::fs::read(&file).ok().and_then(|t| serde_json::from_slice::<Value>(&t).ok());
            if let Some(endpoint) = endpoint {
                let url = endpoint["url"].as_str().unwrap();
                served.address = url.strip_prefix("http://").unwrap().to_owned();
                served.token = endpoint["token"].as_str().unwrap().to_owned();
                return served;
            }
            pause(20);
        }
        panic!("qd serve wrote no endpoint");
    }

    /// One request with these header lines; gives the status and the rest.
    fn ask(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
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
    let bearer = format!("Authorization: Bearer {}", served.token);
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
    assert!(!log.contains(made["text"].as_str().unwrap()) && !log.contains(&served.token));
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
