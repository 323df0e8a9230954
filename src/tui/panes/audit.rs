//! The audit log as a live table: who, what, on what, how it ended. Enter opens a row whole.

use compact_str::CompactString;
use crossterm::event::MouseEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use super::text::TextPane;
use crate::base::{Error, SafeText};
use crate::gate::{Frame, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::grid::{Filtered, Grid, Paint};

pub struct AuditPane {
    grid: Grid,
    watch: Option<Ticket>,
    details: Option<(Ticket, u64)>,
    verify: Option<Ticket>,
    error: Option<Error>,
    /// Calls of which nobody knows whether they took effect.
    unknown: usize,
}

impl AuditPane {
    #[allow(clippy::new_without_default, reason = "a pane is opened, not defaulted")]
    pub fn new() -> Self {
        Self {
            grid: Grid::new(false, false),
            watch: None,
            details: None,
            verify: None,
            error: None,
            unknown: 0,
        }
    }

    fn open(&mut self, cx: &mut Cx<'_>) {
        if let Some(old) = self.watch.take() {
            cx.cancel(old);
            self.grid.clear(cx);
        }
        self.error = None;
        self.watch = Some(cx.watch(Request::new("audit_list", json!({}))));
    }

    /// Rows whose call was interrupted stand out, and are counted in the title.
    fn count_unknown(&mut self) {
        let unknown = |row: &crate::rows::Row| {
            row.cells.iter().any(|c| matches!(c, crate::rows::Cell::Status(s, _) if s == "interrupted" || s == "outcome_unknown"))
        };
        self.unknown = self.grid.table().slots().iter().filter(|(_, row)| unknown(row)).count();
    }

    /// All rows of the call that the selected row belongs to.
    fn enter(&mut self, cx: &mut Cx<'_>) {
        let Some(row) = self.grid.selected() else { return };
        // The row's name is its number, padded.
        let Ok(seq) = row.key.name.parse::<u64>() else { return };
        let arguments = json!({ "details": true, "limit": 1, "cursor": (seq + 1).to_string() });
        self.details = Some((cx.call(Request::new("audit_list", arguments)), seq));
    }

    fn show(&self, seq: u64, output: &Value, cx: &mut Cx<'_>) {
        let rows = output["rows"].as_array();
        let row = rows.into_iter().flatten().find(|r| r["seq"] == seq);
        match row {
            Some(row) => cx.push(Box::new(TextPane::value("audit row", format!("#{seq}"), row))),
            None => cx.flash(Flash::warning(format!("row {seq} was not found"))),
        }
    }
}

impl Pane for AuditPane {
    fn name(&self) -> CompactString {
        "audit".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["audit".into(), "table".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let theme = look.theme;
        let (shown, total) = (self.grid.shown(), self.grid.total());
        let count = if shown == total { format!("[{total}]") } else { format!("[{shown}/{total}]") };
        let mut spans = vec![Span::styled("audit", theme.title), Span::styled(count, theme.title_counter)];
        if !self.grid.filter().is_empty() {
            let filter = SafeText::new(self.grid.filter());
            spans.push(Span::styled(format!(" /{filter}"), theme.title_filter));
        }
        if self.unknown > 0 {
            spans.push(Span::styled(format!(" {} with an unknown outcome", self.unknown), theme.error));
        }
        if let Some(error) = &self.error {
            spans.push(Span::styled(format!(" {}", SafeText::new(&error.message)), theme.error));
        }
        Line::from(spans)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        // The newest on top: the name is the row's number.
        self.grid.sort_by("NAME", Some(true), cx);
        self.open(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "enter" => self.enter(cx),
            "refresh" => self.open(cx),
            "verify" => self.verify = Some(cx.call(Request::new("audit_verify", json!({})))),
            "export" => cx.go(Route::Form { operation: "audit_export".to_owned(), arguments: Value::Null }),
            "back" if !self.grid.filter().is_empty() => {
                let _ = self.grid.set_filter("", cx);
            }
            _ => return self.grid.act(action, cx),
        }
        Handled::Yes
    }

    fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Handled {
        match self.grid.mouse(event, area, cx) {
            Some(true) => self.enter(cx),
            Some(false) => {}
            None => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Frame { ticket, frame: Frame::Table(delta) } if self.watch == Some(ticket) => {
                self.grid.apply(delta, None, cx);
                self.count_unknown();
            }
            Message::Ended { ticket, error } if self.watch == Some(ticket) => {
                self.watch = None;
                self.error = error;
            }
            Message::Job { ticket, value } => {
                self.grid.receive(ticket, value, cx);
            }
            Message::Reply { ticket, result } if self.verify == Some(ticket) => {
                self.verify = None;
                match result {
                    Ok(Reply::Done { output, .. }) => {
                        cx.push(Box::new(TextPane::value("audit", "verification", &output)));
                    }
                    Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
                    Err(error) => cx.error(&error),
                }
            }
            Message::Reply { ticket, result } => {
                let Some((_, seq)) = self.details.take_if(|(t, _)| *t == ticket) else { return };
                match result {
                    Ok(Reply::Done { output, .. }) => self.show(seq, &output, cx),
                    Ok(Reply::Held(held)) => cx.flash(Flash::warning(held.reason)),
                    Err(error) => cx.error(&error),
                }
            }
            _ => {}
        }
    }

    fn filter_changed(&mut self, text: &str, _done: bool, cx: &mut Cx<'_>) -> Result<(), String> {
        match self.grid.set_filter(text, cx)? {
            Filtered::Here => Ok(()),
            Filtered::Labels(_) => Err("audit rows have no labels".to_owned()),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(self.grid.filter())
    }

    fn command(&self) -> Option<String> {
        Some("audit".to_owned())
    }

    fn layout(&mut self, area: Rect, now: Timestamp) {
        self.grid.layout(area, now);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if self.grid.total() == 0 {
            let text = match &self.error {
                Some(error) => format!("{}. {}", error.message, error.next_step()),
                None => "no rows yet".to_owned(),
            };
            let text = SafeText::new(&text);
            buf.set_stringn(
                area.x + 1,
                area.y,
                &*text,
                usize::from(area.width.saturating_sub(1)),
                look.theme.dim,
            );
            return;
        }
        self.grid.render(look, &Paint { pointed: None }, area, buf);
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.grid.wake(now)
    }

    fn focus(&self) -> PaneFocus {
        PaneFocus {
            filter: (!self.grid.filter().is_empty()).then(|| self.grid.filter().to_owned()),
            selected: self.grid.selected().map(|r| json!({ "kind": "audit", "name": r.key.name })),
            columns: self.grid.column_names(),
            ..PaneFocus::default()
        }
    }
}
