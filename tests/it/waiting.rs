//! What waits and what streams, at the shell and HTTP doors of the real binary, on the practice fleet.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::bed::{pause, wait_until};
use crate::console::{Console, Home};
use crate::http::Endpoint;

struct Deck {
    home: Home,
    _console: Console,
    http: Endpoint,
}

impl Deck {
    /// The practice fleet, where persons may decide in a shell.
    fn open() -> Self {
        let home = Home::new();
        let arguments = ["lab", "--set", "approvals.decide_elsewhere=true", "--set", "http.port=0"];
        let console = Console::start(&home, None, &arguments, 120, 40);
        console.wait("table of pods", 20, |s| s.contains("pods(") && s.contains("Running"));
        let http = Endpoint::of(&home, "session-lab.json");
        Self { home, _console: console, http }
    }

    fn qd(&self, arguments: &[&str]) -> (i32, Value, String) {
        let output = self.home.qd(arguments).args(["--session", "lab", "-o", "json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
    }

    /// Decides about the only call that waits; where its target changed meanwhile, about what takes its place.
    fn decide(&self, decision: &str) {
        let mut state = Value::Null;
        wait_until(60, "decision", || {
            let (_, list, _) = self.qd(&["approval", "list"]);
            let Some(id) = list["approvals"][0]["approval"].as_str() else { return false };
            let (_, card, _) = self.qd(&["approval", "get", id]);
            let hash = card["preview_hash"].as_str().unwrap();
            let arguments = ["approval", "decide", id, "--decision", decision, "--preview-hash", hash];
            let (code, decided, said) = self.qd(&[&arguments[..], &["--reason", "so be it"]].concat());
            assert_eq!(code, 0, "{said}");
            state = decided["state"].clone();
            state != "void"
        });
        assert_eq!(state, if decision == "deny" { "denied" } else { "consumed" });
    }
}

/// The JSON body of an answer.
fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1.trim())
        .unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[test]
fn a_held_call_is_a_202_with_a_place_to_ask_and_a_shell_waits_for_it() {
    let deck = Deck::open();
    let (_, made, said) = deck.qd(&["token", "create", "bot"]);
    let bearer =
        format!("Authorization: Bearer {}", made["text"].as_str().unwrap_or_else(|| panic!("{said}")));
    let headers =
        ["Host: localhost", "Content-Type: application/json", &bearer, "Quarterdeck-Reason: more%20room"];
    let asks = r#"{"cluster":"harbour","namespace":"monitoring","replicas":2}"#;
    let post = |line: &str, more: &[&str]| deck.http.send(line, &[&headers, more].concat(), asks);
    let scale = "POST /v1/deployments/grafana/scale";

    let (status, answer) = post(&format!("{scale}?preview=true"), &[]);
    assert_eq!(status, 200, "{answer}");
    let lines = body(&answer)["diff"].to_string();
    assert!(lines.contains("replicas: 1") && lines.contains("replicas: 2"), "{lines}");

    let (status, answer) = post(scale, &[]);
    assert_eq!(status, 202, "{answer}");
    let location = answer
        .lines()
        .find_map(|l| l.strip_prefix("location: "))
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned();
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(body(&answer)["approval"], location);
    let get = |path: &str| deck.http.send(&format!("GET {path}"), &["Host: localhost", &bearer], "");
    let (status, answer) = get(&location);
    assert_eq!((status, &body(&answer)["state"]), (200, &json!("pending")));
    assert_eq!(body(&answer)["reason"], "more room");
    // The same call again waits for the same decision.
    let begun = Instant::now();
    let (status, answer) = post(scale, &["Prefer: wait=1"]);
    assert_eq!((status, &body(&answer)["approval"]), (202, &json!(location)));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    deck.decide("approve");
    let (status, answer) = get(&format!("{location}/result?timeout_seconds=20"));
    assert_eq!((status, &body(&answer)["done"]), (200, &json!(true)), "{answer}");

    // In a shell: left at once, or waited for.
    let agent = |arguments: &[&str]| {
        let mut command =
            deck.home.qd(&["deployment", "scale", "grafana", "-n", "monitoring", "-c", "harbour"]);
        command.args(arguments).args(["--session", "lab", "-o", "json"]).env("QD_AGENT", "smith");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let left = agent(&["--replicas", "3", "--no-wait"]).wait_with_output().unwrap();
    assert!(left.status.success());
    let held: Value = serde_json::from_slice(&left.stdout).unwrap();
    assert!(held["approval"].is_string(), "{held}");
    let waits = agent(&["--replicas", "3"]);
    deck.decide("approve");
    let ended = waits.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("Waiting for a person to decide"));
    let refused = agent(&["--replicas", "9"]);
    deck.decide("deny");
    let ended = refused.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("so be it"));
    assert_eq!(deck.qd(&["audit", "verify"]).0, 0);
}

#[test]
fn a_watch_over_http_is_lines_or_events_that_go_on() {
    let deck = Deck::open();
    for (accept, begins) in
        [("application/x-ndjson", "{\"table\":"), ("text/event-stream", "data: {\"table\":")]
    {
        let mut stream = TcpStream::connect(&deck.http.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "GET /v1/pods?all_namespaces=true&watch=true HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\
             Authorization: Bearer {}\r\n\r\n",
            deck.http.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // The first table, and then what changes in it: the fleet is never still.
        let frames: Vec<String> = lines.filter(|line| line.starts_with(begins)).take(3).collect();
        assert_eq!(frames.len(), 3, "{accept}");
        let first: Value = serde_json::from_str(frames[0].trim_start_matches("data: ")).unwrap();
        assert!(first["table"]["columns"].is_array(), "{first}");
    }
}

fn events(deck: &Deck) -> WebSocket<TcpStream> {
    events_as(deck, &deck.http.token)
}

fn events_as(deck: &Deck, token: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(&deck.http.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = http::Request::builder()
        .uri(format!("ws://{}/v1/events", deck.http.address))
        .header("Host", "localhost")
        .header("Authorization", format!("Bearer {token}"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key())
        .body(())
        .unwrap();
    tungstenite::client(request, stream).unwrap().0
}

#[test]
fn a_revoked_token_gets_no_more_events() {
    let deck = Deck::open();
    let (code, made, said) = deck.qd(&["token", "create", "watcher", "--role", "viewer"]);
    assert_eq!(code, 0, "{said}");
    let mut stream = events_as(&deck, made["text"].as_str().unwrap());
    let id = made["token"]["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    assert_eq!(deck.qd(&["token", "revoke", id]).0, 0);
    deck.qd(&["cluster", "list"]);
    let (mut after, end) = (0, Instant::now() + Duration::from_secs(15));
    loop {
        assert!(Instant::now() < end, "the stream goes on");
        match stream.read() {
            Ok(Message::Close(Some(frame))) => {
                assert_eq!(u16::from(frame.code), 1008, "{}", frame.reason);
                break;
            }
            Ok(Message::Text(text)) => after += usize::from(text.contains("cluster_list")),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(after, 0);
}

#[test]
fn a_revoked_token_ends_an_assistants_stream() {
    let deck = Deck::open();
    let (code, made, said) = deck.qd(&["token", "create", "helper"]);
    assert_eq!(code, 0, "{said}");
    let bearer = format!("Authorization: Bearer {}", made["text"].as_str().unwrap());
    let accept = "Accept: application/json, text/event-stream";
    let headers = ["Host: localhost", "Content-Type: application/json", accept, &bearer];
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "helper", "version": "1" } } });
    let (_, answer) = deck.http.send("POST /mcp", &headers, &hello.to_string());
    let session = answer.lines().find(|line| line.to_lowercase().starts_with("mcp-session-id:"));
    let session = session.unwrap_or_else(|| panic!("{answer}"));

    let mut stream = TcpStream::connect(&deck.http.address).unwrap();
    let ask = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n{bearer}\r\n{session}\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    // A sign of life comes every 15 s at most: the stream is not let go on after that.
    stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    let mut head = [0; 16];
    stream.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let id = made["token"]["id"].as_str().unwrap();
    assert_eq!(deck.qd(&["token", "revoke", id]).0, 0);
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.ends_with(b"0\r\n\r\n") {
        match stream.read(&mut buffer).expect("the stream goes on") {
            0 => break,
            n => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Says so many long things over one connection, each of which is an event of some 4 KB.
fn traffic(deck: &Deck, messages: usize) {
    let mut stream = TcpStream::connect(&deck.http.address).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let (mut found, mut text) = (0, Vec::new());
        let mut buffer = vec![0; 1 << 16];
        while found < messages {
            let n = answers.read(&mut buffer).unwrap();
            assert!(n > 0, "the connection ended after {found} answers");
            text.extend_from_slice(&buffer[..n]);
            let seen: Vec<_> = memchr::memmem::find_iter(&text, "HTTP/1.1 200").collect();
            found += seen.len();
            // What may be the beginning of the next one is kept.
            text.drain(..text.len().saturating_sub(11).max(seen.last().map_or(0, |at| at + 1)));
        }
    });
    let body = json!({ "text": "x".repeat(4000) }).to_string();
    let one = format!(
        "POST /v1/session/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Authorization: Bearer {}\r\n\r\n{body}",
        body.len(),
        deck.http.token
    );
    for _ in 0..messages {
        stream.write_all(one.as_bytes()).unwrap();
    }
    reading.join().unwrap();
}

#[test]
fn a_stalled_reader_of_events_is_told_to_read_again_and_holds_nobody_up() {
    let deck = Deck::open();
    let (mut reader, mut stalled) = (events(&deck), events(&deck));
    let reading = std::thread::spawn(move || {
        let mut calls = 0;
        let end = Instant::now() + Duration::from_secs(60);
        while calls < 1000 && Instant::now() < end {
            if let Ok(Message::Text(text)) = reader.read() {
                calls += usize::from(text.contains("xxxxxxxx"));
            }
        }
        calls
    });
    let begun = Instant::now();
    traffic(&deck, 3000);
    let took = begun.elapsed();
    // Long enough for the message that it does not take to be given up.
    pause(11_000);
    assert!(reading.join().unwrap() >= 1000, "a reader that reads gets the events");
    assert_eq!(deck.http.ask("GET", "/healthz", "").0, 200);
    // The stalled one finds, once it reads, that it was cut off with the reason.
    let end = Instant::now() + Duration::from_secs(60);
    let reason = loop {
        assert!(Instant::now() < end, "the stalled reader was not closed; the traffic took {took:?}");
        match stalled.read() {
            Ok(Message::Close(Some(frame))) => break format!("{} {}", u16::from(frame.code), frame.reason),
            Ok(_) => {}
            // Closed without a word where not even the close could be sent.
            Err(error) => break error.to_string(),
        }
    };
    assert!(
        reason.contains("1013 resync") || reason.contains("reset") || reason.contains("closed"),
        "{reason}"
    );
    assert_eq!(events(&deck).get_ref().peer_addr().unwrap().to_string(), deck.http.address);
}

#[test]
fn what_lies_on_this_machine_is_not_for_tokens_and_no_grant_covers_a_command() {
    let deck = Deck::open();
    let (code, made, said) = deck.qd(&["token", "create", "robot", "--role", "operator"]);
    assert_eq!(code, 0, "{said}");
    let bearer = format!("Authorization: Bearer {}", made["text"].as_str().unwrap());
    let headers = ["Host: localhost", &bearer, "Content-Type: application/json"];
    for (from, to) in [("/etc/hostname", "cart-0:/tmp/x"), ("cart-0:/etc/hostname", "/tmp/qd-not-there")] {
        let body = json!({ "from": from, "to": to, "cluster": "harbour", "namespace": "shop" }).to_string();
        let (status, answer) = deck.http.send("POST /v1/files/copy", &headers, &body);
        assert_eq!(status, 403, "{answer}");
        assert!(answer.contains("for people to copy"), "{answer}");
    }
    for operation in ["container_exec", "container_debug", "node_shell", "file_copy", "batch_run"] {
        let grant = ["grant", "create", "--agent", "claude", "--operation", operation, "--namespace", "shop"];
        let (code, _, said) = deck.qd(&grant);
        assert!(code != 0 && said.contains("cannot be granted"), "{operation}: {said}");
    }
}
