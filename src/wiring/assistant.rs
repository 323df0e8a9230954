//! `qd mcp`: an assistant's stdin and stdout, and whatever session is live.
//!
//! The assistant outlives the session that it joined. When the process that held the session ends, this one joins
//! the next, or holds one without a screen: it begins the protocol anew in the assistant's name, and answers what
//! was asked and not answered with an error that says so. Nothing is asked twice by itself: whether a change took
//! effect is in the audit log, and a call that was held still waits there.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

use super::build::{Setting, agent};
use super::host::{self, Host};
use super::join;
use crate::base::{Actor, Code, Door, Result};
use crate::gate::wire::Purpose;

/// The longest line that is looked at, as the protocol's transport has it.
const LONGEST: usize = 16 << 20;
const PARSE_ERROR: i32 = -32700;

pub async fn run(mut setting: Setting, name: Option<String>) -> Result<u8> {
    // Without a name it is whoever it says it is when it initializes.
    let actor = agent(name.as_deref().unwrap_or_default(), Door::Mcp);
    let Some(mut joined) = join::any(&mut setting, Purpose::Mcp, &actor).await? else {
        return host::mcp(setting, actor).await;
    };
    let mut assistant = Assistant::new();
    loop {
        tracing::info!(session = joined.welcome.session, pid = joined.welcome.pid, "joined the live session");
        let same = joined.is_same(&setting);
        let (read, write) = joined.split();
        if assistant.talk(read, write).await == Ended::Assistant {
            return Ok(0);
        }
        tracing::warn!("the session has ended; going on in another");
        assistant.disappoint().await;
        match join::again(&setting, Purpose::Mcp, &actor).await? {
            Some(next) => joined = next,
            // A session over other clusters, such as the practice fleet, has no heir here.
            None if !same => return Ok(0),
            None => break,
        }
    }
    assistant.at_home(Host::open(&setting).await?, actor).await
}

/// Who ended a conversation.
#[derive(PartialEq, Eq)]
enum Ended {
    Assistant,
    Session,
}

/// The assistant's side, across sessions.
pub(super) struct Assistant {
    lines: mpsc::Receiver<Vec<u8>>,
    stdout: tokio::io::Stdout,
    /// How it began the protocol, to be said again: `initialize`, what followed it, and its subscriptions.
    greeting: Vec<(Vec<u8>, Option<String>)>,
    /// What it asked and was not answered, by identifier as it is written.
    asked: BTreeSet<String>,
}

/// What a line says of itself.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
}

impl Envelope<'_> {
    fn of(line: &[u8]) -> Option<Envelope<'_>> {
        serde_json::from_slice(line).ok()
    }

    fn id(&self) -> Option<String> {
        self.id.map(|id| id.get().to_owned())
    }
}

impl Assistant {
    pub(super) fn new() -> Self {
        let lines = lines_of(BufReader::new(tokio::io::stdin()));
        Self { lines, stdout: tokio::io::stdout(), greeting: Vec::new(), asked: BTreeSet::new() }
    }

    /// Speaks with a session of this process's own, until either ends.
    pub(super) async fn at_home(mut self, host: Host, actor: Actor) -> Result<u8> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(theirs);
        let core = host.core()?;
        let serving = crate::mcp::serve_stream(&core, Some(actor), read, write, host.stopping());
        let (read, write) = tokio::io::split(ours);
        let (_, served) = tokio::join!(self.talk(BufReader::new(read), write), serving);
        host.close().await;
        served.map(|()| 0)
    }

    /// Passes lines both ways until one side ends.
    async fn talk(
        &mut self,
        read: impl AsyncBufRead + Unpin + Send + 'static,
        mut write: impl AsyncWrite + Unpin,
    ) -> Ended {
        let mut answers = lines_of(read);
        // Answers to what is said again are not the assistant's.
        let mut own: BTreeSet<String> = BTreeSet::new();
        for (line, id) in &self.greeting {
            own.extend(id.clone());
            if write.write_all(line).await.is_err() {
                break;
            }
            // Nothing may be asked before the first is answered.
            if let (Some(id), true) = (id, own.len() == 1) {
                while let Some(answer) = answers.recv().await {
                    if Envelope::of(&answer).and_then(|e| e.id()).as_ref() == Some(id) {
                        break;
                    }
                }
            }
        }
        loop {
            tokio::select! {
                line = self.lines.recv() => {
                    let Some(line) = line else {
                        // The session has the last word: answers to what was asked before stdin closed.
                        let _ = write.shutdown().await;
                        let rest = self.rest(&mut answers, &own);
                        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), rest).await;
                        return Ended::Assistant;
                    };
                    if let Err(error) = self.note(&line) {
                        if !self.refuse(&error).await {
                            return Ended::Assistant;
                        }
                        continue;
                    }
                    if write.write_all(&line).await.is_err() {
                        return Ended::Session;
                    }
                }
                line = answers.recv() => match line {
                    Some(line) => if !self.pass(&line, &own).await { return Ended::Assistant },
                    None => return Ended::Session,
                },
            }
        }
    }

    async fn rest(&mut self, answers: &mut mpsc::Receiver<Vec<u8>>, own: &BTreeSet<String>) {
        while let Some(line) = answers.recv().await {
            if !self.pass(&line, own).await {
                return;
            }
        }
    }

    /// Remembers what the next session must know, and what wants an answer. An error where it is no JSON at all.
    fn note(&mut self, line: &[u8]) -> serde_json::Result<()> {
        let Some(envelope) = Envelope::of(line) else {
            let blank = line.trim_ascii().is_empty();
            return if blank { Ok(()) } else { serde_json::from_slice::<IgnoredAny>(line).map(drop) };
        };
        let id = envelope.id();
        match (envelope.method.as_deref(), &id) {
            (Some("initialize"), _) => self.greeting = vec![(line.to_owned(), id.clone())],
            (Some("notifications/initialized"), _) => self.greeting.push((line.to_owned(), None)),
            // So many at most are taken by a session.
            (Some("resources/subscribe"), Some(_)) if self.greeting.len() < 128 => {
                self.greeting.push((line.to_owned(), id.clone()));
            }
            _ => {}
        }
        if let (Some(_), Some(id)) = (envelope.method, id) {
            self.asked.insert(id);
        }
        Ok(())
    }

    /// Answers a line that is no JSON: nobody knows its identifier (JSON-RPC 2.0, section 5.1).
    async fn refuse(&mut self, error: &serde_json::Error) -> bool {
        let message = format!("the line is not JSON: {error}");
        let answer =
            json!({ "jsonrpc": "2.0", "id": null, "error": { "code": PARSE_ERROR, "message": message } });
        self.say(format!("{answer}\n").as_bytes()).await
    }

    /// Hands a line to the assistant; false once it is gone.
    async fn pass(&mut self, line: &[u8], own: &BTreeSet<String>) -> bool {
        if let Some(envelope) = Envelope::of(line)
            && envelope.method.is_none()
            && let Some(id) = envelope.id()
            && !self.asked.remove(&id)
            && own.contains(&id)
        {
            return true;
        }
        self.say(line).await
    }

    async fn say(&mut self, line: &[u8]) -> bool {
        self.stdout.write_all(line).await.is_ok() && self.stdout.flush().await.is_ok()
    }

    /// Answers what the session no longer can.
    async fn disappoint(&mut self) {
        for id in std::mem::take(&mut self.asked) {
            let Ok(id) = RawValue::from_string(id) else { continue };
            let error = json!({
                "code": Code::OutcomeUnknown.json_rpc(),
                "message": "the session ended before it answered, and goes on in another: look at the target, or at \
                            approval_list, before you call it again",
            });
            #[derive(serde::Serialize)]
            struct Answer<'a> {
                jsonrpc: &'a str,
                id: &'a RawValue,
                error: serde_json::Value,
            }
            if let Ok(mut line) = serde_json::to_vec(&Answer { jsonrpc: "2.0", id: &id, error }) {
                line.push(b'\n');
                self.say(&line).await;
            }
        }
    }
}

/// Whole lines, read by a task of their own: half a line must not be lost where two things are waited for.
fn lines_of(mut read: impl AsyncBufRead + Unpin + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let line = tokio::select! {
                line = next_line(&mut read) => line,
                () = sender.closed() => return,
            };
            let Some(line) = line else { return };
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    lines
}

/// The next whole line with its end; `None` at the end, or where a line is endless.
async fn next_line(read: &mut (impl AsyncBufRead + Unpin)) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let available = read.fill_buf().await.ok()?;
        if available.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', available);
        let take = end.map_or(available.len(), |i| i + 1);
        line.extend_from_slice(&available[..take]);
        read.consume(take);
        if end.is_some() {
            return Some(line);
        }
        if line.len() > LONGEST {
            return None;
        }
    }
}
