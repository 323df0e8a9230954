//! The logs pane: the merged stream of one or more objects, searched, marked and saved.
//!
//! `stream` says what is read, `store` keeps the lines in `chunk`s, in memory and, by `spill`, on disk; `search` finds among
//! them on a worker, `rows` are the lines that are shown, folded or not, `view` knows them and where the cursor is, `jump`
//! goes elsewhere, `keys` is what else keys do; `draw`, `columns` and `status` put all on the screen, and `output` on the
//! clipboard and into files.

mod chunk;
mod columns;
mod draw;
mod jump;
mod keys;
mod output;
mod rows;
mod search;
mod spill;
mod status;
mod store;
mod stream;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use compact_str::CompactString;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::json;

use self::columns::Columns;
use self::jump::Jump;
use self::output::Saved;
use self::rows::Rows;
pub use self::search::compile;
use self::search::{Filter, Progress};
pub use self::spill::Disk;
use self::status::Shown;
use self::store::LogStore;
use self::stream::{Range, State, Stream};
use self::view::{Job, LogView};
use crate::base::Result;
use crate::gate::Frame;
use crate::rows::Level;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::LogTarget;
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::prose::{Ink, Prose};
use crate::tui::widgets::select::Selection;

/// Lines that the wheel moves.
const WHEEL: isize = 3;
/// How often it is shown how far a search is.
const TICK: std::time::Duration = std::time::Duration::from_millis(200);

pub struct LogsPane {
    stream: Stream,
    view: LogView,
    job: Option<(Ticket, u64, Arc<Progress>)>,
    saving: Option<Ticket>,
    jump: Option<Jump>,
    /// Wakes to show how far a search is.
    tick: Option<Ticket>,
    typed: String,
    /// The least bad level that is shown.
    least: Option<Level>,
    selection: Option<Selection>,
    rows: usize,
    width_cells: usize,
}

impl LogsPane {
    /// `disk` keeps what memory has no room for.
    pub fn new(target: LogTarget, disk: Disk) -> Self {
        let mut view = LogView::default();
        view.store = LogStore::on(disk);
        view.options.zone = jiff::tz::TimeZone::system();
        Self {
            stream: Stream::new(target),
            view,
            job: None,
            saving: None,
            jump: None,
            tick: None,
            typed: String::new(),
            least: None,
            selection: None,
            rows: 0,
            width_cells: 0,
        }
    }

    /// Reads again from the chosen range, into an empty view.
    fn open(&mut self, cx: &mut Cx<'_>) {
        self.view.clear();
        self.stream.open(cx);
        if self.stream.range == Range::Head {
            self.view.options.follow = false;
        } else {
            self.view.end();
        }
    }

    fn run(&mut self, job: Option<Job>, cx: &mut Cx<'_>) {
        if let Some((ticket, _, stop)) = self.job.take() {
            stop.stop.store(true, Ordering::Relaxed);
            cx.cancel(ticket);
        }
        let Some(Job { generation, wanted, chunks }) = job else { return };
        if self.tick.is_none() {
            self.tick = Some(cx.after(TICK));
        }
        let stop = Arc::new(Progress::default());
        let told = stop.clone();
        let ticket = cx.job(move || search::run(&chunks, &wanted, &told));
        self.job = Some((ticket, generation, stop));
    }

    /// How many of a hundred parts of a search under way are done.
    fn searched(&self) -> Option<u64> {
        let (_, _, progress) = self.job.as_ref()?;
        let all = (self.view.store.len() as u64).max(1);
        Some((progress.done.load(Ordering::Relaxed) * 100 / all).min(99))
    }

    /// The filter that was typed, of the chosen level.
    fn refilter(&mut self, typed: Option<Filter>, cx: &mut Cx<'_>) {
        let filter = match self.least {
            Some(least) => Some(Filter::of_level(typed.as_ref(), least)),
            None => typed,
        };
        let job = self.view.set_filter(filter);
        self.run(job, cx);
    }

    fn step_match(&mut self, forward: bool, cx: &mut Cx<'_>) {
        if self.view.filter().is_none() {
            cx.flash(
                Flash::info("nothing is looked for")
                    .next("Type / and a pattern; n then goes through its matches."),
            );
        } else if self.view.is_searching() {
            cx.flash(Flash::info("the search still runs"));
        } else if !self.view.step_match(forward, self.rows) {
            cx.flash(Flash::info(format!("no line matches {}", self.typed)));
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

    /// Where lines are drawn: below the switches, and the names of columns.
    fn body(&self, area: Rect) -> Rect {
        let above = (1 + u16::from(!self.view.columns.is_empty())).min(area.height);
        Rect { y: area.y + above, height: area.height - above, ..area }
    }

    fn width(&self) -> usize {
        self.width_cells.max(1)
    }

    /// A press, a drag or the release of the left button: what is selected goes to the clipboard.
    fn select(&mut self, kind: MouseEventKind, event: MouseEvent, body: Rect, cx: &mut Cx<'_>) {
        let spot = draw::spot(&self.view, body, event.column, event.row);
        match (kind, spot) {
            (MouseEventKind::Down(_), Some(spot)) => {
                // What is being selected must not move away.
                self.view.options.follow = false;
                self.view.point(spot.line);
                self.selection = Some(Selection::new(spot));
            }
            (MouseEventKind::Drag(_), Some(spot)) => {
                if let Some(selection) = &mut self.selection {
                    self.view.point(spot.line);
                    selection.drag(spot);
                }
            }
            (MouseEventKind::Up(_), _) => {
                let Some(selection) = self.selection.as_ref().filter(|s| !s.is_empty()) else { return };
                let among = |n: &u64| self.view.number(self.view.index_of(*n)) == Some(*n);
                let text =
                    selection.text(|n| Some(n).filter(among).and_then(|n| draw::shown_text(&self.view, n)));
                output::copy(text, cx);
            }
            _ => {}
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
        let state = Shown { searched: self.searched(), least: self.least };
        status::title(&self.view, &self.stream, &state, look)
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
            "fields" => match Columns::parse(&action.words) {
                Ok(columns) => self.view.columns = columns,
                Err(error) => cx.flash(Flash::warning(error).next("Such as .level .msg .http.status.")),
            },
            "go_to_time" => self.go_to_time(&action.words, cx),
            "save_as" => self.save(Some(&action.words).filter(|w| !w.is_empty()).map(|w| w.as_str()), cx),
            "since" => {
                if let Some(range) = Range::parse(&action.words) {
                    self.stream.range = range;
                    self.open(cx);
                }
            }
            "back" if self.selection.take().is_some_and(|s| !s.is_empty()) => {}
            "back" if self.view.filter().is_some() => {
                self.typed.clear();
                self.least = None;
                self.refilter(None, cx);
            }
            other => return self.toggle(other, cx),
        }
        Handled::Yes
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        let body = self.body(area);
        match event.kind {
            MouseEventKind::ScrollUp => self.view.scroll(-WHEEL, self.rows),
            MouseEventKind::ScrollDown => self.view.scroll(WHEEL, self.rows),
            MouseEventKind::ScrollLeft => self.view.scroll_right(-4),
            MouseEventKind::ScrollRight => self.view.scroll_right(4),
            kind @ (MouseEventKind::Down(MouseButton::Left)
            | MouseEventKind::Drag(MouseButton::Left)
            | MouseEventKind::Up(MouseButton::Left)) => self.select(kind, event, body, cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Lines(lines) } if self.stream.is_mine(ticket) => {
                self.stream.state = State::Open;
                self.view.push(&lines);
                self.stream.pace(self.view.store.is_behind(), cx);
            }
            Message::Timer { ticket } if self.tick == Some(ticket) => {
                self.tick = self.job.is_some().then(|| cx.after(TICK));
            }
            Message::Job { ticket, value } if self.jump.as_ref().is_some_and(|j| j.ticket == ticket) => {
                if let Ok(found) = value.downcast::<Option<u64>>() {
                    self.jumped(*found, cx);
                }
            }
            Message::Timer { ticket } if self.stream.is_mine(ticket) => {
                self.stream.looked(self.view.store.is_behind(), cx);
            }
            Message::Ended { ticket, error } if self.stream.is_mine(ticket) => {
                self.stream.ended(error);
            }
            Message::Ended { ticket, error } if self.saving == Some(ticket) => {
                self.saving = None;
                if let Some(error) = error {
                    cx.error(&error);
                }
            }
            Message::Job { ticket, value } if self.saving == Some(ticket) => {
                self.saving = None;
                if let Ok(result) = value.downcast::<Result<Saved>>() {
                    self.saved(*result, cx);
                }
            }
            Message::Job { ticket, value } => {
                let Some((_, generation, _)) = self.job.as_ref().filter(|(t, _, _)| *t == ticket) else {
                    return;
                };
                let generation = *generation;
                self.job = None;
                if let Ok(found) = value.downcast::<Option<Rows>>()
                    && let Some(rows) = *found
                {
                    self.view.searched(generation, rows);
                }
            }
            _ => {}
        }
    }

    fn filter_changed(&mut self, text: &str, done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        if text.trim() == self.typed.trim() {
            // Enter on the pattern whose matches were walked through: a filter again.
            if done && self.view.is_among_all() {
                self.view.hide_others();
            }
            if done && !self.typed.trim().is_empty() {
                cx.flash(Flash::info("n and Shift-n go through the matches among all lines"));
            }
            return Ok(());
        }
        let filter = Filter::parse(text)?;
        text.clone_into(&mut self.typed);
        self.refilter(filter, cx);
        Ok(())
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.typed)
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let above = 1 + usize::from(!self.view.columns.is_empty());
        self.rows = usize::from(area.height).saturating_sub(above);
        self.width_cells = usize::from(area.width);
        self.view.top = draw::settle(&self.view, self.width_cells, self.rows);
        if !self.view.columns.is_empty() {
            self.view.columns = Columns::fit(&self.view, self.rows);
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if area.height < 2 {
            return;
        }
        status::indicator(&self.view, &self.stream, look, Rect { height: 1, ..area }, buf);
        let body = self.body(area);
        if self.view.shown() == 0 {
            let mut p = Prose::new(body.width.saturating_sub(2));
            p.words((Ink::Dim, ""), Ink::Dim, &status::nothing(&self.view, &self.stream));
            for (y, row) in (body.y..body.bottom()).zip(p.done()) {
                row.compose(look.theme).draw(buf, body.x + 1, y, body.width.saturating_sub(1), 0);
            }
            return;
        }
        if !self.view.columns.is_empty() {
            draw::titles(&self.view, look.theme, Rect { y: area.y + 1, height: 1, ..area }, buf);
        }
        draw::draw(&self.view, self.selection.as_ref(), look.theme, body, buf, look.focused);
    }

    fn focus(&self) -> PaneFocus {
        let object = self.stream.target.objects.first();
        let line = self.view.line(self.view.cursor);
        PaneFocus {
            cluster: object.map(|o| o.cluster.to_string()),
            namespace: object.map(|o| o.namespace.to_string()),
            kind: object.map(|o| o.kind.to_string()),
            filter: (!self.typed.is_empty()).then(|| self.typed.clone()),
            selected: object.map(|o| {
                let mut value = o.arguments();
                if let Some(line) = line {
                    value["field"] = json!(format!("log line {}", line.line().number + 1));
                }
                value
            }),
            ..PaneFocus::default()
        }
    }
}

#[cfg(test)]
mod tests;
