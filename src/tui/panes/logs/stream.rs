//! What is read: from where on, of which objects, and in which order it comes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Error;
use crate::gate::Request;
use crate::rows::{Line, Merger};
use crate::tui::effect::{Cx, Ticket};
use crate::tui::object::LogTarget;

/// How many lines to start from, as k9s's default.
const TAIL: u32 = 1000;
/// Long before any log that a node still keeps.
const EVER: &str = "3650d";
/// Half of the time that a line of one object may wait for an earlier one of another.
const TURN: Duration = Duration::from_millis(120);
/// The first lines come when each server gets round to it.
const FIRST: Duration = Duration::from_millis(600);

/// From where the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    Tail,
    Head,
    Since(u32),
}

impl Range {
    /// `tail`, `head`, or minutes and hours: `15m`, `1h`.
    pub fn parse(words: &str) -> Option<Self> {
        match words {
            "tail" => Some(Range::Tail),
            "head" => Some(Range::Head),
            other => {
                let (number, unit) = other.split_at_checked(other.len().checked_sub(1)?)?;
                let seconds = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" => 3600,
                    _ => return None,
                };
                number.parse::<u32>().ok()?.checked_mul(seconds).map(Range::Since)
            }
        }
    }

    pub fn label(self) -> String {
        match self {
            Range::Tail => "tail".to_owned(),
            Range::Head => "head".to_owned(),
            Range::Since(s) if s % 3600 == 0 => format!("{}h", s / 3600),
            Range::Since(s) if s % 60 == 0 => format!("{}m", s / 60),
            Range::Since(s) => format!("{s}s"),
        }
    }
}

/// What the stream is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    Opening,
    Open,
    /// It came to its end, as that of a container that has ended does.
    Ended,
    Failed(Error),
}

/// The logs of some objects as one stream.
pub struct Stream {
    pub target: LogTarget,
    pub range: Range,
    pub all_containers: bool,
    pub state: State,
    watches: Vec<Ticket>,
    /// Lines of several objects wait here a moment, to come out in the order of their times.
    merger: Merger,
    turn: Option<Ticket>,
}

impl Stream {
    pub fn new(target: LogTarget) -> Self {
        Self {
            all_containers: target.container.is_none(),
            target,
            range: Range::Tail,
            state: State::Opening,
            watches: Vec::new(),
            merger: Merger::default(),
            turn: None,
        }
    }

    /// The arguments of `log_read` for one object.
    fn arguments(&self, index: usize) -> Value {
        let Some(object) = self.target.objects.get(index) else { return Value::Null };
        let kind = object.plural();
        let name = if matches!(kind, "pods" | "pod") {
            object.name.to_string()
        } else {
            format!("{kind}/{}", object.name)
        };
        let mut all = json!({ "name": name });
        for (field, value) in [("cluster", &object.cluster), ("namespace", &object.namespace)] {
            if !value.is_empty() {
                all[field] = json!(value);
            }
        }
        if let Some(container) = self.target.container.as_ref().filter(|_| !self.all_containers) {
            all["container"] = json!(container);
        }
        match self.range {
            Range::Tail => all["tail"] = json!(TAIL),
            Range::Head => all["since"] = json!(EVER),
            Range::Since(seconds) => all["since"] = json!(format!("{seconds}s")),
        }
        if self.target.previous {
            all["previous"] = json!(true);
        }
        all
    }

    /// Reads again from the chosen range.
    pub fn open(&mut self, cx: &mut Cx<'_>) {
        for ticket in self.watches.drain(..).chain(self.turn.take()) {
            cx.cancel(ticket);
        }
        self.merger = Merger::default();
        self.state = State::Opening;
        for index in 0..self.target.objects.len() {
            let request = Request::new("log_read", self.arguments(index));
            self.watches.push(cx.watch(request));
        }
        if self.watches.len() > 1 {
            self.turn = Some(cx.after(FIRST));
        }
    }

    pub fn is_mine(&self, ticket: Ticket) -> bool {
        self.watches.contains(&ticket) || self.turn == Some(ticket)
    }

    /// Lines of one object: what can be shown of all.
    pub fn lines(&mut self, lines: Vec<Line>, cx: &mut Cx<'_>) -> Vec<Line> {
        self.state = State::Open;
        // One stream is in order already, and its lines need not wait.
        if self.watches.len() <= 1 && self.merger.is_empty() {
            return lines;
        }
        self.merger.push(lines);
        if self.merger.is_full() {
            return self.merger.drain();
        }
        if self.turn.is_none() {
            self.turn = Some(cx.after(TURN));
        }
        Vec::new()
    }

    /// The moment is over: what has waited long enough.
    pub fn turned(&mut self, cx: &mut Cx<'_>) -> Vec<Line> {
        let ripe = self.merger.turn();
        self.turn = (!self.merger.is_empty()).then(|| cx.after(TURN));
        ripe
    }

    /// One object's log came to its end. With the last one, nothing has to wait any more.
    pub fn ended(&mut self, ticket: Ticket, error: Option<Error>, cx: &mut Cx<'_>) -> Vec<Line> {
        self.watches.retain(|t| *t != ticket);
        if let Some(error) = error {
            self.state = State::Failed(error);
        } else if self.watches.is_empty() && !matches!(self.state, State::Failed(_)) {
            self.state = State::Ended;
        }
        if !self.watches.is_empty() {
            return Vec::new();
        }
        if let Some(turn) = self.turn.take() {
            cx.cancel(turn);
        }
        self.merger.drain()
    }

    /// What the log is of, for titles and file names: `shop/api-1:main`.
    pub fn subject(&self) -> String {
        match self.target.objects.as_slice() {
            [one] => {
                let mut text = one.name.to_string();
                if !one.namespace.is_empty() {
                    text = format!("{}/{text}", one.namespace);
                }
                if let Some(container) = self.target.container.as_ref().filter(|_| !self.all_containers) {
                    text = format!("{text}:{container}");
                }
                text
            }
            several => format!("{} objects", several.len()),
        }
    }
}
