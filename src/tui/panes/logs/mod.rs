//! The logs pane: the merged stream of one or more objects, searched, marked and saved.
//!
//! `store` keeps the lines, `search` finds among them on a worker, `view` knows what is shown and
//! where the cursor is, `reading` makes single lines readable and `draw` puts them on the screen.

mod draw;
mod reading;
mod search;
mod store;
mod view;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use self::search::Filter;
pub use self::search::compile;
use self::view::{Job, LogView};
use super::save::save;
use crate::base::{Error, Result, SafeText};
use crate::gate::{Frame, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::LogTarget;
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};

/// Terminals take about this much through OSC 52.
const COPY_BYTES: usize = 72 << 10;
/// How many lines to start from, as k9s's default.
const TAIL: u32 = 1000;
/// Long before any log that a node still keeps.
const EVER: &str = "3650d";

/// From where the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    Tail,
    Head,
    Since(u32),
}

impl Range {
    /// `tail`, `head`, or minutes and hours: `15m`, `1h`.
    fn parse(words: &str) -> Option<Self> {
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

    fn label(self) -> String {
        match self {
            Range::Tail => "tail".to_owned(),
            Range::Head => "head".to_owned(),
            Range::Since(s) if s % 3600 == 0 => format!("{}h", s / 3600),
            Range::Since(s) => format!("{}m", s / 60),
        }
    }
}

/// What the stream is doing.
#[derive(Debug, Clone, PartialEq)]
enum Stream {
    Opening,
    Open,
    /// It came to its end, as that of a container that has ended does.
    Ended,
    Failed(Error),
}

pub struct LogsPane {
    target: LogTarget,
    range: Range,
    all_containers: bool,
    view: LogView,
    stream: Stream,
    watch: Vec<Ticket>,
    job: Option<(Ticket, u64, Arc<AtomicBool>)>,
    saving: Option<Ticket>,
    typed: String,
    rows: usize,
    width_cells: usize,
}

impl LogsPane {
    pub fn new(target: LogTarget) -> Self {
        let mut view = LogView::default();
        view.options.zone = jiff::tz::TimeZone::system();
        Self {
            all_containers: target.container.is_none(),
            target,
            range: Range::Tail,
            view,
            stream: Stream::Opening,
            watch: Vec::new(),
            job: None,
            saving: None,
            typed: String::new(),
            rows: 0,
            width_cells: 0,
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

    /// Reads again from the chosen range, into an empty view.
    fn open(&mut self, cx: &mut Cx<'_>) {
        for ticket in self.watch.drain(..) {
            cx.cancel(ticket);
        }
        self.view.clear();
        self.stream = Stream::Opening;
        for index in 0..self.target.objects.len() {
            let request = Request::new("log_read", self.arguments(index));
            self.watch.push(cx.watch(request));
        }
        if matches!(self.range, Range::Head) {
            self.view.options.follow = false;
        } else {
            self.view.end();
        }
    }

    fn run(&mut self, job: Option<Job>, cx: &mut Cx<'_>) {
        if let Some((ticket, _, stop)) = self.job.take() {
            stop.store(true, Ordering::Relaxed);
            cx.cancel(ticket);
        }
        let Some(Job { generation, filter, chunks }) = job else { return };
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let ticket = cx.job(move || search::run(&chunks, &filter, &told));
        self.job = Some((ticket, generation, stop));
    }

    fn copy(&mut self, cx: &mut Cx<'_>) {
        let mut lines = Vec::new();
        let mut bytes = 0;
        for index in (0..self.view.shown()).rev() {
            let Some(number) = self.view.number(index) else { break };
            let text = self.view.text_of(number);
            bytes += text.len() + 1;
            if bytes > COPY_BYTES {
                break;
            }
            lines.push(text);
        }
        lines.reverse();
        let note = if lines.len() < self.view.shown() {
            format!("the newest {} of {} lines are on the clipboard", lines.len(), self.view.shown())
        } else {
            format!("{} lines are on the clipboard", lines.len())
        };
        cx.copy(lines.join("\n"));
        cx.flash(Flash::info(note).next("Ctrl-s saves all of them to a file."));
    }

    /// Writes the lines shown to a file, on a worker: there may be a million.
    fn save(&mut self, cx: &mut Cx<'_>) {
        let chunks = self.view.store.snapshot();
        let sources: Vec<String> =
            self.view.store.sources().iter().map(|s| format!("{}/{}", s.pod, s.container)).collect();
        let filter = self.view.filter().cloned();
        let (name, now) = (self.subject(), cx.now);
        self.saving = Some(cx.job(move || {
            save(&name, "log", now, |out| {
                for chunk in &chunks {
                    for line in (0..chunk.len()).map(|i| chunk.line(i)) {
                        if filter.as_ref().is_some_and(|f| !f.matches(line.text.as_bytes())) {
                            continue;
                        }
                        if let Some(time) = line.time.and_then(|t| Timestamp::from_nanosecond(t.into()).ok())
                        {
                            write!(out, "{time} ")?;
                        }
                        if let Some(source) = line.source.and_then(|s| sources.get(usize::from(s))) {
                            write!(out, "{} ", SafeText::new(source))?;
                        }
                        writeln!(out, "{}", SafeText::new(line.text))?;
                    }
                }
                Ok(())
            })
        }));
    }

    /// What the log is of, for titles and file names: `shop/api-1:main`.
    fn subject(&self) -> String {
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

    /// One page, or rows inside a line that is taller than the screen.
    fn page(&mut self, rows: isize) {
        let down = rows > 0;
        let inside = self.view.options.wrap && self.view.top.number == self.view.cursor;
        let tall = if inside { draw::height(&self.view, self.view.cursor, self.width()) } else { 0 };
        let row = self.view.top.row;
        if inside && down && row + self.rows < tall {
            self.view.options.follow = false;
            self.view.top.row = (row + rows.unsigned_abs()).min(tall.saturating_sub(self.rows));
        } else if inside && !down && row > 0 {
            self.view.options.follow = false;
            self.view.top.row = row.saturating_sub(rows.unsigned_abs());
        } else {
            self.view.move_by(rows);
        }
    }

    fn width(&self) -> usize {
        self.width_cells.max(1)
    }

    fn toggle(&mut self, name: &str, cx: &mut Cx<'_>) -> Handled {
        match name {
            "wrap" => self.view.toggle_wrap(),
            "timestamps" => self.view.options.times = !self.view.options.times,
            "autoscroll" => self.view.toggle_follow(),
            "json" => self.view.options.readable = !self.view.options.readable,
            "all_containers" => {
                self.all_containers = !self.all_containers;
                if !self.all_containers && self.target.container.is_none() {
                    // One container must be chosen: that of the line under the cursor.
                    let source = self.view.line(self.view.cursor).and_then(|l| l.source);
                    let source = source.and_then(|i| self.view.store.sources().get(usize::from(i)));
                    self.target.container = source.map(|s| s.container.clone());
                }
                self.open(cx);
            }
            "logs_previous" => {
                self.target.previous = !self.target.previous;
                self.open(cx);
            }
            "mark" => {
                let time = cx.now.to_zoned(self.view.options.zone.clone()).strftime("%H:%M:%S").to_string();
                self.view.mark(&time);
            }
            "clear" => self.view.clear(),
            "copy" => self.copy(cx),
            "save" => self.save(cx),
            "refresh" => self.open(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn indicator(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let o = &self.view.options;
        let mut x = area.x;
        let mut put = |text: &str, style: Style| {
            let room = usize::from(area.right().saturating_sub(x));
            x = buf.set_stringn(x, area.y, text, room, style).0;
        };
        put(&format!(" {}  ", self.range.label()), theme.indicator);
        for (label, on) in [
            ("Autoscroll", o.follow),
            ("Time", o.times),
            ("Wrap", o.wrap),
            ("JSON", o.readable),
            ("AllContainers", self.all_containers),
            ("Previous", self.target.previous),
        ] {
            put(label, theme.indicator);
            put(":", theme.indicator);
            let (word, style) = if on { ("On", theme.indicator_on) } else { ("Off", theme.indicator_off) };
            put(word, style);
            put("  ", theme.indicator);
        }
    }

    /// Why nothing is shown, and the key that changes it.
    fn nothing(&self) -> String {
        match &self.stream {
            Stream::Failed(error) => format!("{}. {}", error.message, error.next_step()),
            _ if self.view.is_searching() => "searching…".to_owned(),
            _ if self.view.filter().is_some() && !self.view.store.is_empty() => {
                format!("none of {} lines matches the filter: Esc removes it", self.view.store.len())
            }
            Stream::Opening => "waiting for the first lines…".to_owned(),
            Stream::Open => "no lines yet: the stream is open".to_owned(),
            Stream::Ended => {
                "the log is empty: p shows the previous container's, 1 reads from the start".to_owned()
            }
        }
    }
}

impl Pane for LogsPane {
    fn name(&self) -> CompactString {
        "logs".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["logs".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let mut spans = vec![
            Span::styled("logs(", theme.title),
            Span::styled(SafeText::new(&self.subject()).to_string(), theme.title_highlight),
            Span::styled(")", theme.title),
        ];
        let (shown, all) = (self.view.shown(), self.view.store.len());
        let count =
            if shown == all { thousands(all) } else { format!("{}/{}", thousands(shown), thousands(all)) };
        spans.push(Span::styled(format!("[{count}]"), theme.title_counter));
        if let Some(filter) = self.view.filter() {
            spans.push(Span::styled(format!(" /{}", SafeText::new(&filter.typed)), theme.title_filter));
        }
        let mut say = |text: String, style: Style| spans.push(Span::styled(format!(" {text}"), style));
        if self.view.is_searching() {
            say("searching".to_owned(), theme.dim);
        }
        if self.target.previous {
            say("previous".to_owned(), theme.warning);
        }
        if self.view.store.lost() > 0 {
            say(format!("{} not delivered", thousands_u64(self.view.store.lost())), theme.error);
        }
        if self.view.store.let_go() > 0 {
            say(format!("{} oldest let go", thousands_u64(self.view.store.let_go())), theme.warning);
        }
        match &self.stream {
            Stream::Opening => say("opening".to_owned(), theme.dim),
            Stream::Open => {}
            Stream::Ended => say("ended".to_owned(), theme.dim),
            Stream::Failed(error) => say(SafeText::new(&error.message).to_string(), theme.error),
        }
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.open(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let page = isize::try_from(self.rows.max(2)).unwrap_or(isize::MAX);
        match action.name {
            "up" => self.view.move_by(-1),
            "down" => {
                // The last rows of a line that is taller than the screen come before the next line.
                let inside = self.view.options.wrap && self.view.top.number == self.view.cursor;
                if inside && draw::height(&self.view, self.view.cursor, self.width()) > self.rows {
                    self.page(1);
                } else {
                    self.view.move_by(1);
                }
            }
            "page_up" => self.page(1 - page),
            "page_down" => self.page(page - 1),
            "half_up" => self.page(-page / 2),
            "half_down" => self.page(page / 2),
            "top" => self.view.home(),
            "bottom" => self.view.end(),
            "left" => self.view.scroll_right(-8),
            "right" => self.view.scroll_right(8),
            "since" => {
                if let Some(range) = Range::parse(&action.words) {
                    self.range = range;
                    self.open(cx);
                }
            }
            "back" if self.view.filter().is_some() => {
                self.typed.clear();
                let job = self.view.set_filter(None);
                self.run(job, cx);
            }
            other => return self.toggle(other, cx),
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Lines(lines) } if self.watch.contains(&ticket) => {
                self.stream = Stream::Open;
                self.view.push(&lines);
            }
            Message::Ended { ticket, error } if self.watch.contains(&ticket) => {
                self.watch.retain(|t| *t != ticket);
                if let Some(error) = error {
                    self.stream = Stream::Failed(error);
                } else if self.watch.is_empty() && !matches!(self.stream, Stream::Failed(_)) {
                    self.stream = Stream::Ended;
                }
            }
            Message::Job { ticket, value } if self.saving == Some(ticket) => {
                self.saving = None;
                match value.downcast::<Result<std::path::PathBuf>>().map(|v| *v) {
                    Ok(Ok(path)) => cx.flash(Flash::info(format!("saved to {}", path.display()))),
                    Ok(Err(error)) => cx.error(&error),
                    Err(_) => {}
                }
            }
            Message::Job { ticket, value } => {
                let Some((_, generation, _)) = self.job.as_ref().filter(|(t, _, _)| *t == ticket) else {
                    return;
                };
                let generation = *generation;
                self.job = None;
                if let Ok(found) = value.downcast::<Option<Vec<u64>>>()
                    && let Some(numbers) = *found
                {
                    self.view.searched(generation, numbers);
                }
            }
            _ => {}
        }
    }

    fn filter_changed(&mut self, text: &str, _done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        if text.trim() == self.typed.trim() {
            return Ok(());
        }
        let filter = Filter::parse(text)?;
        text.clone_into(&mut self.typed);
        let job = self.view.set_filter(filter);
        self.run(job, cx);
        Ok(())
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.typed)
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.rows = usize::from(area.height.saturating_sub(1));
        self.width_cells = usize::from(area.width);
        self.view.top = draw::settle(&self.view, self.width_cells, self.rows);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if area.height < 2 {
            return;
        }
        self.indicator(look, Rect { height: 1, ..area }, buf);
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if self.view.shown() == 0 {
            let text = SafeText::new(&self.nothing());
            buf.set_stringn(
                body.x + 1,
                body.y,
                &*text,
                usize::from(body.width.saturating_sub(1)),
                look.theme.dim,
            );
            return;
        }
        draw::draw(&self.view, look.theme, body, buf, look.focused);
    }

    fn focus(&self) -> PaneFocus {
        let object = self.target.objects.first();
        let line = self.view.line(self.view.cursor);
        PaneFocus {
            cluster: object.map(|o| o.cluster.to_string()),
            namespace: object.map(|o| o.namespace.to_string()),
            kind: object.map(|o| o.kind.to_string()),
            filter: (!self.typed.is_empty()).then(|| self.typed.clone()),
            selected: object.map(|o| {
                let mut value = o.arguments();
                if let Some(line) = line {
                    value["field"] = json!(format!("log line {}", line.number + 1));
                }
                value
            }),
            ..PaneFocus::default()
        }
    }
}

/// `1204` as `1,204`.
fn thousands(n: usize) -> String {
    thousands_u64(n as u64)
}

fn thousands_u64(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
