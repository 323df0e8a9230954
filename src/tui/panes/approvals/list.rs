//! The list of held calls, those that wait first.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde::Deserialize;
use serde_json::json;

use super::CardPane;
use crate::base::ids::ApprovalId;
use crate::base::{Error, SafeText};
use crate::bus::{ApprovalState, Event};
use crate::gate::{Effect, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::card::state_word;
use crate::tui::widgets::composed::Composed;

/// An entry of `approval_list`, as far as the list shows it.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    approval: ApprovalId,
    state: ApprovalState,
    actor: String,
    operation: String,
    effect: Effect,
    target: String,
    #[serde(default)]
    reason: Option<String>,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Entries {
    approvals: Vec<Entry>,
}

pub struct ApprovalsPane {
    entries: Vec<Entry>,
    loaded: bool,
    error: Option<Error>,
    get: Option<Ticket>,
    again: bool,
    /// The cursor follows the approval, not the line.
    cursor: Option<ApprovalId>,
    top: usize,
    rows: usize,
}

impl ApprovalsPane {
    #[allow(clippy::new_without_default, reason = "a pane is opened, not defaulted")]
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            loaded: false,
            error: None,
            get: None,
            again: false,
            cursor: None,
            top: 0,
            rows: 0,
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_>) {
        if self.get.is_some() {
            self.again = true;
            return;
        }
        self.get = Some(cx.call(Request::new("approval_list", json!({ "all": true, "limit": 200 }))));
    }

    fn position(&self) -> usize {
        self.cursor.and_then(|id| self.entries.iter().position(|e| e.approval == id)).unwrap_or(0)
    }

    fn move_by(&mut self, rows: isize) {
        let last = self.entries.len().saturating_sub(1);
        let at = self.position().saturating_add_signed(rows).min(last);
        self.cursor = self.entries.get(at).map(|e| e.approval);
    }

    fn take(&mut self, mut entries: Vec<Entry>) {
        // Those that wait first, the one that runs out next on top; then the newest.
        entries.sort_by_key(|e| {
            let waits = e.state == ApprovalState::Pending;
            let second = e.expires_at.as_second();
            (!waits, if waits { second } else { -second })
        });
        self.entries = entries;
        self.loaded = true;
        self.error = None;
    }

    fn line(&self, entry: &Entry, look: &Look<'_>) -> Composed {
        let theme = look.theme;
        let mut line = Composed::new();
        let waits = entry.state == ApprovalState::Pending && look.now < entry.expires_at;
        let (word, style) = if waits {
            let left = entry.expires_at.as_second() - look.now.as_second();
            (format!("{}:{:02} left", left / 60, left % 60), theme.warning)
        } else if entry.state == ApprovalState::Pending {
            ("expired".to_owned(), theme.dim)
        } else {
            let style = if entry.state == ApprovalState::Denied { theme.error } else { theme.dim };
            (state_word(entry.state).to_owned(), style)
        };
        line.push(&format!(" {word:<10} "), style);
        // The sign of its kind is the colour; the name is what tells one from another.
        let actor = entry.actor.as_str();
        let actor = actor.split_once(':').map_or(actor, |(_, name)| name);
        line.push(&format!("{actor:<10} "), theme.agent);
        let effect = if entry.effect == Effect::Destroy { theme.error } else { theme.table };
        line.push(&format!("{:<18} ", entry.operation), effect);
        // The name first: what is cut where the screen is narrow is where the object is.
        let (place, name) = entry.target.rsplit_once('/').unwrap_or(("", &entry.target));
        line.push(name, theme.table);
        if !place.is_empty() {
            line.push(&format!("  {place}"), theme.dim);
        }
        if let Some(reason) = &entry.reason {
            line.push(&format!("  \u{201c}{reason}\u{201d}"), theme.dim);
        }
        line
    }
}

impl Pane for ApprovalsPane {
    fn name(&self) -> CompactString {
        "approvals".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["approvals".into(), "list".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let waiting = self
            .entries
            .iter()
            .filter(|e| e.state == ApprovalState::Pending && look.now < e.expires_at)
            .count();
        Line::from(vec![
            Span::styled("approvals", look.theme.title),
            Span::styled(
                format!("[{waiting} wait, {} in all]", self.entries.len()),
                look.theme.title_counter,
            ),
        ])
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.fetch(cx);
    }

    fn resumed(&mut self, cx: &mut Cx<'_>) {
        self.fetch(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let page = isize::try_from(self.rows.max(2) - 1).unwrap_or(1);
        match action.name {
            "up" => self.move_by(-1),
            "down" => self.move_by(1),
            "page_up" => self.move_by(-page),
            "page_down" => self.move_by(page),
            "top" => self.cursor = self.entries.first().map(|e| e.approval),
            "bottom" => self.cursor = self.entries.last().map(|e| e.approval),
            "refresh" => self.fetch(cx),
            "enter" => {
                if let Some(entry) = self.entries.get(self.position()) {
                    cx.layer(Box::new(CardPane::new(entry.approval)));
                }
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } if self.get == Some(ticket) => {
                self.get = None;
                match result {
                    Ok(Reply::Done { output, .. }) => match serde_json::from_value::<Entries>(output) {
                        Ok(entries) => self.take(entries.approvals),
                        Err(error) => self.error = Some(Error::internal(error)),
                    },
                    Ok(Reply::Held(held)) => self.error = Some(Error::internal(held.reason)),
                    Err(error) => self.error = Some(error),
                }
                if std::mem::take(&mut self.again) {
                    self.fetch(cx);
                }
            }
            Message::Event(event) if matches!(&*event, Event::Approval(_) | Event::Resync { .. }) => {
                self.fetch(cx)
            }
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.rows = usize::from(area.height);
        let at = self.position();
        self.top = self.top.min(at).max((at + 1).saturating_sub(self.rows.max(1)));
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if self.entries.is_empty() {
            let text = match &self.error {
                Some(error) => error.told(),
                None if self.loaded => {
                    "Nothing waits. What an agent wants to change will stand here.".to_owned()
                }
                None => "reading…".to_owned(),
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
        let at = self.position();
        for (y, index) in (area.y..area.bottom()).zip(self.top..self.entries.len()) {
            self.line(&self.entries[index], look).draw(buf, area.x, y, area.width, 0);
            if index == at && look.focused {
                buf.set_style(Rect { y, height: 1, ..area }, look.theme.cursor);
            }
        }
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = |e: &Entry| e.state == ApprovalState::Pending && now < e.expires_at;
        self.entries.iter().any(waits).then(|| Timestamp::from_second(now.as_second() + 1).ok()).flatten()
    }

    fn focus(&self) -> PaneFocus {
        let entry = self.entries.get(self.position());
        PaneFocus {
            selected: entry.map(|e| json!({ "kind": "approval", "name": e.approval })),
            ..PaneFocus::default()
        }
    }
}
