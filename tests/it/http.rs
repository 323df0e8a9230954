//! The HTTP door of a running session, by hand: one request a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::bed::pause;
use crate::console::Home;

pub struct Endpoint {
    pub address: String,
    pub token: String,
}

impl Endpoint {
    /// Where a session says that it listens; waits until it does.
    pub fn of(home: &Home, file: &str) -> Self {
        let file = home.path().join("run/quarterdeck").join(file);
        for _ in 0..500 {
            let endpoint = std::fs::read(&file).ok().and_then(|t| serde_json::from_slice::<Value>(&t).ok());
            if let Some(endpoint) = endpoint {
                let url = endpoint["url"].as_str().unwrap();
                let address = url.strip_prefix("http://").unwrap().to_owned();
                return Self { address, token: endpoint["token"].as_str().unwrap().to_owned() };
            }
            pause(20);
        }
        panic!("no endpoint in {}", file.display());
    }

    /// One request with the endpoint's own token: the status and the answer, headers and all.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let bearer = format!("Authorization: Bearer {}", self.token);
        let json = "Content-Type: application/json";
        self.send(&format!("{method} {path}"), &["Host: localhost", &bearer, json], body)
    }

    /// One request with these header lines.
    pub fn send(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
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
