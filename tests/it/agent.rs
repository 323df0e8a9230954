//! An assistant that does as it is told: `tests/mcp/agent.py`, with the official Python SDK.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::console::Home;

pub struct Agent {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<Value>,
    /// Answers that came before they were asked for.
    kept: Vec<Value>,
    next: u64,
}

impl Agent {
    /// Joins the session of that name as the agent of that name.
    pub fn join(home: &Home, session: &str, name: &str, mode: &str) -> Self {
        let python =
            std::env::var("QD_MCP_PYTHON").expect("tests/run sets QD_MCP_PYTHON to the SDK's Python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp/agent.py");
        let mut child = std::process::Command::new(python)
            .args([script, "--mode", mode, "--command", env!("CARGO_BIN_EXE_qd"), "mcp"])
            .args(["--agent", name, "--session", session])
            .envs(home.environment())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, answers) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let orders = child.stdin.take();
        let agent = Self { child, orders, answers, kept: Vec::new(), next: 1 };
        let ready = agent.answers.recv_timeout(Duration::from_secs(60)).expect("the agent is ready");
        assert!(ready["ready"].is_string(), "{ready}");
        agent
    }

    fn order(&mut self, order: &Value) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
    }

    /// Begins a call; gives its number.
    pub fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.next += 1;
        self.order(&json!({ "n": self.next, "call": tool, "arguments": arguments }));
        self.next
    }

    /// One round of a call, with the state of the round before.
    pub fn once(&mut self, tool: &str, arguments: Value, state: Option<&str>) -> Value {
        self.next += 1;
        let n = self.next;
        self.order(&json!({ "n": n, "call": tool, "arguments": arguments, "once": true, "state": state }));
        self.answer(n)
    }

    pub fn cancel(&mut self, n: u64) {
        self.order(&json!({ "cancel": n }));
    }

    /// What came of the call of that number.
    pub fn answer(&mut self, n: u64) -> Value {
        if let Some(i) = self.kept.iter().position(|answer| answer["n"] == n) {
            return self.kept.remove(i);
        }
        loop {
            let answer = self.answers.recv_timeout(Duration::from_secs(90)).expect("an answer of the agent");
            if answer["n"] == n {
                return answer;
            }
            self.kept.push(answer);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Closing its orders ends it, and its connection.
        self.orders = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
