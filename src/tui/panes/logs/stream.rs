//! What is read: from where on, and of which objects.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::Error;
use crate::gate::Request;
use crate::tui::effect::{Cx, Ticket};
use crate::tui::object::LogTarget;

/// How many lines to start from, as k9s's default.
const TAIL: u32 = 1000;
/// Long before any log that a node still keeps.
const EVER: &str = "3650d";
/// How often it is looked whether the disk has caught up.
const CATCH_UP: Duration = Duration::from_millis(50);

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
    watch: Option<Ticket>,
    /// Nothing is taken until this timer says so: the disk does not keep up.
    held: Option<Ticket>,
}

impl Stream {
    pub fn new(target: LogTarget) -> Self {
        Self {
            all_containers: target.container.is_none(),
            target,
            range: Range::Tail,
            state: State::Opening,
            watch: None,
            held: None,
        }
    }

    /// The arguments of `log_read`: the first object, and the others beside it.
    fn arguments(&self) -> Value {
        let mut objects = self.target.objects.iter().map(|object| {
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
            all
        });
        let Some(mut all) = objects.next() else { return Value::Null };
        let also: Vec<Value> = objects.collect();
        if !also.is_empty() {
            all["also"] = also.into();
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
        for ticket in self.watch.take().into_iter().chain(self.held.take()) {
            cx.cancel(ticket);
        }
        self.state = State::Opening;
        if !self.target.objects.is_empty() {
            self.watch = Some(cx.watch(Request::new("log_read", self.arguments())));
        }
    }

    pub fn is_mine(&self, ticket: Ticket) -> bool {
        self.watch == Some(ticket) || self.held == Some(ticket)
    }

    /// Takes no more lines while what came waits for the disk: the kubelet waits too, and nothing is lost.
    pub fn pace(&mut self, is_behind: bool, cx: &mut Cx<'_>) {
        let Some(watch) = self.watch else { return };
        match (is_behind, self.held.take()) {
            (true, held) => {
                if held.is_none() {
                    cx.hold(watch, true);
                }
                self.held = Some(held.unwrap_or_else(|| cx.after(CATCH_UP)));
            }
            (false, Some(timer)) => {
                cx.cancel(timer);
                cx.hold(watch, false);
            }
            (false, None) => {}
        }
    }

    /// The timer is over: whether to go on is for [`Stream::pace`] to say.
    pub fn looked(&mut self, is_behind: bool, cx: &mut Cx<'_>) {
        self.held = None;
        match self.watch {
            Some(_) if is_behind => self.held = Some(cx.after(CATCH_UP)),
            Some(watch) => cx.hold(watch, false),
            None => {}
        }
    }

    /// The log came to its end.
    pub fn ended(&mut self, error: Option<Error>) {
        self.watch = None;
        self.state = error.map_or(State::Ended, State::Failed);
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
