//! A table of anything but objects: where its rows come from and what its own keys do is its [`Content`]'s; all else
//! (cursor, sorting, filter, marks, saving, titles, what is said in place of rows) is the same for all of them.

use std::time::Duration;

use compact_str::CompactString;
use crossterm::event::MouseEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::resources::thousands;
use super::{save, sources::Sources, words};
use crate::base::Error;
use crate::base::text::sanitize;
use crate::bus::Event;
use crate::gate::{Frame, Reply, Request};
use crate::rows::{Phase, RowKey, TableDelta};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::grid::{Grid, Paint};

/// The least time between two reads of what cannot be watched.
const PAUSE: Duration = Duration::from_millis(250);

/// Where rows come from.
pub enum Source {
    /// A watch of a table.
    Watch(Request),
    /// An answer, from which [`Content::rows`] makes rows; read again when [`Content::concerns`] says so.
    Call(Request),
}

/// What makes one table another than the next.
pub trait Content: Send {
    /// In crumbs, in the focus, in the title, and the keymap mode.
    fn name(&self) -> &'static str;

    fn source(&self) -> Source;

    /// What stands in parentheses behind the name.
    fn scope(&self) -> String {
        String::new()
    }

    /// The clusters that it reads, where they may be others than those in view.
    fn clusters(&self) -> Option<&[CompactString]> {
        None
    }

    /// Reads these from now on; whether it can.
    fn take_clusters(&mut self, _clusters: &[CompactString]) -> bool {
        false
    }

    /// The column that it is sorted by at first, and whether downwards.
    fn sort(&self) -> Option<(&'static str, bool)> {
        None
    }

    /// Why there are no rows though nothing is missing, and what to do.
    fn empty(&self) -> (String, String);

    /// The rows of an answer: see [`Source::Call`].
    fn rows(&self, _output: &Value) -> TableDelta {
        TableDelta::default()
    }

    /// The rows made anew, where an action of its own has changed them.
    fn remade(&mut self) -> Option<TableDelta> {
        None
    }

    /// An answer came: what of it is kept beside the rows.
    fn answered(&mut self, _output: &Value) {}

    /// Whether an event means that the rows are others now.
    fn concerns(&self, _event: &Event) -> bool {
        false
    }

    /// Keys of its own, before those of every table.
    fn act(&mut self, action: &Action, grid: &Grid, cx: &mut Cx<'_>) -> Handled;

    /// What it asked for itself, and every event.
    fn receive(&mut self, _message: Message, _grid: &Grid, _cx: &mut Cx<'_>) {}

    /// Rows came.
    fn changed(&mut self, _grid: &Grid, _cx: &mut Cx<'_>) {}

    /// What the title says besides; whether it is bad.
    fn remark(&self, _grid: &Grid) -> Option<(String, bool)> {
        None
    }

    /// The command line that leads here again.
    fn command(&self) -> Option<String> {
        Some(self.name().to_owned())
    }

    /// The part of the focus that is not the grid's.
    fn focus(&self, grid: &Grid) -> PaneFocus;
}

/// The pane over a content.
pub struct TablePane<C> {
    pub content: C,
    grid: Grid,
    /// The watch or the call under way.
    asked: Option<Ticket>,
    /// How each cluster fares, where it shows several.
    sources: Sources,
    /// Rows came at least once since it was opened.
    heard: bool,
    error: Option<Error>,
    /// It is to be read again once the pause is over.
    again: bool,
    pause: Option<Ticket>,
    saving: Option<Ticket>,
    /// What is typed after `/` from the start.
    filter: Option<String>,
}

impl<C: Content> TablePane<C> {
    pub fn of(content: C) -> Self {
        Self::with(content, Grid::new(false, false))
    }

    pub fn with(content: C, grid: Grid) -> Self {
        Self {
            content,
            grid,
            asked: None,
            sources: Sources::default(),
            heard: false,
            error: None,
            again: false,
            pause: None,
            saving: None,
            filter: None,
        }
    }

    /// Opens it with a filter, which Esc clears as always.
    pub fn filter_at_first(&mut self, filter: String) {
        self.filter = Some(filter);
    }

    fn open(&mut self, cx: &mut Cx<'_>) {
        if let Some(old) = self.asked.take() {
            cx.cancel(old);
        }
        self.error = None;
        self.asked = Some(match self.content.source() {
            Source::Watch(request) => cx.watch(request),
            Source::Call(request) => cx.call(request),
        });
    }

    /// Reads again: at once, or after the pause when it was just read.
    fn reread(&mut self, cx: &mut Cx<'_>) {
        if self.asked.is_some() || self.pause.is_some() {
            self.again = true;
            return;
        }
        self.again = false;
        self.pause = Some(cx.after(PAUSE));
        self.open(cx);
    }

    fn take(&mut self, delta: TableDelta, cx: &mut Cx<'_>) {
        self.heard |= delta.columns.is_some() || !delta.upserts.is_empty();
        self.error = None;
        self.sources.note(&delta.sources, cx.now);
        self.grid.apply(delta, None, cx);
        self.content.changed(&self.grid, cx);
    }

    fn answered(&mut self, result: crate::base::Result<Reply>, cx: &mut Cx<'_>) {
        self.asked = None;
        if self.again && self.pause.is_none() {
            self.reread(cx);
        }
        match result {
            Ok(Reply::Done { output, .. }) => {
                self.content.answered(&output);
                let delta = self.content.rows(&output);
                self.take(delta, cx);
            }
            Ok(Reply::Held(held)) => {
                self.error = Some(Error::new(crate::base::Code::PermissionDenied, held.reason));
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn failure(&self) -> Option<&Error> {
        let failed = self.grid.table().sources().values().find_map(|phase| match phase {
            Phase::Failed { error } => Some(error),
            _ => None,
        });
        self.error.as_ref().or(failed)
    }

    fn why_empty(&self) -> (String, String) {
        let (name, total) = (self.content.name(), self.grid.total());
        if total > 0 && self.grid.faults_only() && self.grid.filter().is_empty() {
            let what = format!("nothing is wrong with any of {} {name}", thousands(total));
            return (what, "Ctrl-z shows them all".to_owned());
        }
        if total > 0 {
            let what = format!("none of {} {name} matches /{}", thousands(total), self.grid.filter());
            return (what, "Esc clears the filter".to_owned());
        }
        if let Some(error) = self.failure() {
            return (error.message.clone(), format!("{} Ctrl-r tries again.", error.next_step()));
        }
        match self.grid.table().sources().values().find_map(words::awaited) {
            Some(awaited) => awaited,
            None if !self.heard => (format!("asking for {name}…"), "rows appear as they come".to_owned()),
            None => self.content.empty(),
        }
    }

    fn save(&mut self, cx: &mut Cx<'_>) {
        let scope = self.content.scope();
        let name = if scope.is_empty() {
            self.content.name().to_owned()
        } else {
            format!("{}-{scope}", self.content.name())
        };
        self.saving = Some(save::csv(&name, self.grid.csv(cx.now), self.grid.shown(), cx));
    }
}

impl<C: Content> Pane for TablePane<C> {
    fn name(&self) -> CompactString {
        self.content.name().into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec![self.content.name().into(), "table".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let mut spans = words::head(self.content.name(), &self.content.scope(), &self.grid, theme);
        if !self.grid.filter().is_empty() {
            spans.push(Span::styled(format!(" /{}", sanitize(self.grid.filter())), theme.title_filter));
        }
        if self.grid.faults_only() {
            spans.push(Span::styled(" faults only", theme.title_filter));
        }
        let now = look.now.as_second();
        let any = self.grid.total() > 0;
        let phases = self.grid.table().sources().values();
        let states: Vec<_> = match self.sources.told() {
            Some(count) => count.into_iter().collect(),
            None => phases.filter_map(|phase| words::state(phase, any, now)).collect(),
        };
        let notes = self.grid.table().notes().values().map(|note| (note.clone(), true));
        let error = self.error.as_ref().map(|e| (e.message.clone(), true));
        for (text, bad) in self.content.remark(&self.grid).into_iter().chain(states).chain(notes).chain(error)
        {
            let style = if bad { theme.warning } else { theme.dim };
            spans.push(Span::styled(format!(" {}", sanitize(&text)), style));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        if let Some((column, descending)) = self.content.sort() {
            self.grid.sort_at_first(column, descending);
        }
        if let Some(filter) = self.filter.take() {
            // A name is always understood.
            let _ = self.grid.set_filter(&filter, cx);
        }
        self.open(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if self.content.act(action, &self.grid, cx) == Handled::Yes {
            if let Some(delta) = self.content.remade() {
                self.take(delta, cx);
            }
            return Handled::Yes;
        }
        if self.grid.act(action, cx) == Handled::Yes {
            return Handled::Yes;
        }
        match action.name {
            "refresh" => {
                self.open(cx);
                cx.flash(Flash::info("read again"));
            }
            "save" => self.save(cx),
            "back" if !self.grid.filter().is_empty() => {
                // An empty filter is always understood.
                let _ = self.grid.set_filter("", cx);
            }
            "back" if self.grid.faults_only() => self.grid.toggle_faults(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        match self.grid.mouse(event, area, cx) {
            Some(true) => self.act(&Action::named("enter"), cx),
            Some(false) => Handled::Yes,
            None => Handled::No,
        }
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Table(delta) } if self.asked == Some(ticket) => {
                self.take(delta, cx);
            }
            Message::Ended { ticket, error } if self.asked == Some(ticket) => {
                self.asked = None;
                self.error = Some(error.unwrap_or_else(|| {
                    Error::unavailable("the watch ended").next("Ctrl-r starts it again.")
                }));
            }
            Message::Reply { ticket, result } if self.asked == Some(ticket) => self.answered(result, cx),
            Message::Timer { ticket } if self.pause == Some(ticket) => {
                self.pause = None;
                if self.again {
                    self.reread(cx);
                }
            }
            Message::Job { ticket, value } if self.saving == Some(ticket) => {
                self.saving = None;
                save::saved(value, cx);
            }
            Message::Job { ticket, value } => {
                self.grid.receive(ticket, value, cx);
            }
            Message::Event(event) => {
                if self.content.concerns(&event) {
                    self.reread(cx);
                }
                self.content.receive(Message::Event(event), &self.grid, cx);
            }
            other => self.content.receive(other, &self.grid, cx),
        }
    }

    fn filter_changed(&mut self, text: &str, _done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        match self.grid.set_filter(text, cx)? {
            None => Ok(()),
            Some(_) => Err(format!("{} have no labels", self.content.name())),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(self.grid.filter())
    }

    fn clusters(&self) -> Option<&[CompactString]> {
        self.content.clusters().filter(|clusters| !clusters.is_empty())
    }

    fn take_clusters(&mut self, clusters: &[CompactString], cx: &mut Cx<'_>) {
        if self.content.take_clusters(clusters) {
            self.sources = Sources::default();
            self.grid.clear(cx);
            self.open(cx);
        }
    }

    fn command(&self) -> Option<String> {
        self.content.command()
    }

    fn layout(&mut self, area: Rect, now: Timestamp) {
        let (rows, _) = self.sources.divide(area, self.sources.are_several());
        self.grid.layout(rows, now);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let (rows, lines) = self.sources.divide(area, self.sources.are_several());
        let old: &dyn Fn(&RowKey) -> bool = &|key| self.sources.is_old(key);
        let paint = Paint { pointed: None, old: self.sources.any_old().then_some(old) };
        self.grid.render(look, &paint, rows, buf);
        if self.grid.shown() == 0 {
            let (what, next) = self.why_empty();
            words::instead(&what, &next, look, rows, buf);
        }
        self.sources.render(look, lines, buf);
    }

    fn woken(&mut self, cx: &mut Cx<'_>) {
        self.grid.woken(cx);
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let lines = if self.sources.are_several() { self.sources.wake(now) } else { None };
        self.grid.wake(now).into_iter().chain(lines).min()
    }

    fn may_sort_by(&self, column: &str) -> bool {
        self.grid.may_sort_by(column)
    }

    fn cells(&self, now: Timestamp) -> Vec<(String, String)> {
        self.grid.cells(now)
    }

    fn focus(&self) -> PaneFocus {
        PaneFocus {
            filter: (!self.grid.filter().is_empty()).then(|| self.grid.filter().to_owned()),
            columns: self.grid.column_names(),
            ..self.content.focus(&self.grid)
        }
    }
}
