//! The dialog in which a person decides about a held call.

use compact_str::CompactString;
use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use crate::base::ids::ApprovalId;
use crate::base::{Error, Result, SafeText};
use crate::bus::{ApprovalState, Event};
use crate::gate::{Approval, Decided, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::widgets::card::{Answer, Card, Facts};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// What keys do now.
#[derive(Debug)]
enum Mode {
    Look,
    /// Typing the target's name.
    Name(Input),
    /// Typing why not, for the agent.
    Refuse(Input),
}

pub struct CardPane {
    id: ApprovalId,
    approval: Option<Approval>,
    card: Option<Card>,
    mode: Mode,
    error: Option<Error>,
    /// What stands above the keys: why a key did not count.
    hint: Option<String>,
    get: Option<Ticket>,
    again: bool,
    decide: Option<Ticket>,
    edit: Option<Ticket>,
    amend: Option<Ticket>,
    /// What the card must say of the one that it replaces, once the next one is here.
    note: Option<String>,
}

impl CardPane {
    pub fn new(id: ApprovalId) -> Self {
        Self {
            id,
            approval: None,
            card: None,
            mode: Mode::Look,
            error: None,
            hint: None,
            get: None,
            again: false,
            decide: None,
            edit: None,
            amend: None,
            note: None,
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_>) {
        if self.get.is_some() {
            self.again = true;
            return;
        }
        self.get = Some(cx.call(Request::new("approval_get", json!({ "approval": self.id }))));
    }

    /// Turns to the approval that took this one's place.
    fn follow(&mut self, next: ApprovalId, note: &str, cx: &mut Cx<'_>) {
        self.id = next;
        self.note = Some(note.to_owned());
        self.mode = Mode::Look;
        self.hint = None;
        self.fetch(cx);
    }

    fn show(&mut self, approval: Approval, cx: &mut Cx<'_>) {
        if approval.approval != self.id {
            return;
        }
        if approval.state == ApprovalState::Void
            && let Some(next) = approval.superseded_by
        {
            self.put(approval, cx.now);
            return self.follow(
                next,
                "The target changed, so the proposal before this one is void. This is the new one.",
                cx,
            );
        }
        self.put(approval, cx.now);
    }

    fn put(&mut self, approval: Approval, now: Timestamp) {
        let facts = Facts::of(&approval);
        let note = self.note.take();
        match &mut self.card {
            Some(card) => card.replace(facts, note, now),
            None => self.card = Some(Card::new(facts)),
        }
        self.approval = Some(approval);
    }

    fn decide(&mut self, decision: &str, reason: Option<&str>, cx: &mut Cx<'_>) {
        let Some(approval) = self.approval.as_ref().filter(|_| self.decide.is_none()) else { return };
        let mut arguments = json!({
            "approval": approval.approval,
            "decision": decision,
            "preview_hash": approval.preview_hash,
        });
        if let Some(reason) = reason {
            arguments["reason"] = json!(reason);
        }
        self.decide = Some(cx.call(Request::new("approval_decide", arguments)));
    }

    fn approve(&mut self, cx: &mut Cx<'_>) {
        let Some(card) = self.card.as_ref().filter(|_| self.decide.is_none()) else { return };
        match card.approve(cx.now) {
            Answer::Approve => {
                self.hint = Some("running it…".to_owned());
                self.decide("approve", None, cx);
            }
            Answer::NeedsName(_) => self.mode = Mode::Name(Input::default()),
            Answer::NotYet(why) => self.hint = Some(why),
        }
    }

    fn edit(&mut self, cx: &mut Cx<'_>) {
        let Some(approval) = self.approval.as_ref().filter(|a| a.state == ApprovalState::Pending) else {
            return;
        };
        let yaml = serde_yaml_ng::to_string(&approval.arguments).unwrap_or_default();
        let text = format!(
            "# The arguments of {}. Save to change what was proposed; the new difference is shown before anything runs.\n{yaml}",
            approval.operation
        );
        self.edit = Some(cx.editor(text, ".yaml"));
    }

    fn edited(&mut self, result: Result<Option<String>>, cx: &mut Cx<'_>) {
        let text = match result {
            Ok(Some(text)) => text,
            Ok(None) => {
                self.hint = Some("nothing was changed".to_owned());
                return;
            }
            Err(error) => return cx.error(&error),
        };
        match serde_yaml_ng::from_str::<Value>(&text) {
            Ok(arguments @ Value::Object(_)) => {
                let arguments = json!({ "approval": self.id, "arguments": arguments });
                self.hint = Some("computing the new difference…".to_owned());
                self.amend = Some(cx.call(Request::new("approval_amend", arguments)));
            }
            Ok(_) => self.hint = Some("the arguments must be a list of names and values".to_owned()),
            Err(error) => self.hint = Some(format!("not YAML: {error}")),
        }
    }

    fn decided(&mut self, result: Result<Reply>, cx: &mut Cx<'_>) {
        self.hint = None;
        let decided = match result {
            Ok(Reply::Done { output, .. }) => {
                serde_json::from_value::<Decided>(output).map_err(Error::internal)
            }
            Ok(Reply::Held(held)) => Err(Error::internal(held.reason)),
            Err(error) => Err(error),
        };
        match decided {
            Ok(decided) => match (decided.state, decided.superseded_by) {
                (ApprovalState::Void, Some(next)) => self.follow(next, &decided.note, cx),
                (ApprovalState::Pending, _) => {
                    self.id = decided.approval;
                    self.note = Some(decided.note);
                    self.fetch(cx);
                }
                (ApprovalState::Consumed | ApprovalState::Approved | ApprovalState::Denied, _) => {
                    cx.flash(Flash::info(decided.note));
                    cx.close();
                }
                _ => {
                    self.hint = Some(decided.note);
                    self.fetch(cx);
                }
            },
            Err(error) => {
                self.hint = Some(format!("{}. {}", error.message, error.next_step()));
                self.fetch(cx);
            }
        }
    }

    /// A form for a grant that would have covered this call.
    fn grant(&self, cx: &mut Cx<'_>) {
        let Some(a) = &self.approval else { return };
        let mut arguments = json!({ "agent": a.actor.name, "operations": [a.operation] });
        for (field, value) in [
            ("cluster", &a.target.place),
            ("namespace", &a.target.namespace),
            ("kind", &a.target.kind),
            ("name", &a.target.name),
        ] {
            if !value.is_empty() {
                arguments[field] = json!(value);
            }
        }
        cx.go(Route::Form { operation: "grant_create".to_owned(), arguments });
    }

    /// The size of the dialog for what it holds.
    fn size(&self, screen: Rect) -> Rect {
        let width = screen.width.min(100);
        let rows = self.card.as_ref().map_or(3, |c| c.wants(width.saturating_sub(4)));
        // A row for the hint or the input is always kept.
        let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(dialog::FRAME_ROWS + 2);
        dialog::centred(screen, width, height)
    }

    /// Above: the card. Below: what is typed, or why a key did not count.
    fn split(area: Rect) -> (Rect, Rect) {
        let inside = dialog::inside(area);
        let height = inside.height.saturating_sub(2);
        (Rect { height, ..inside }, Rect { y: inside.y + height, height: inside.height - height, ..inside })
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        let Some(approval) = &self.approval else { return Line::styled(" a held call ", look.theme.title) };
        let (sign, style) = look.theme.actor(approval.actor.kind);
        Line::from(vec![
            Span::styled(format!(" {sign} {} ", SafeText::new(&approval.actor.name)), style),
            Span::styled("wants to change ", look.theme.title),
        ])
    }

    fn keys(&self, now: Timestamp) -> Vec<(&'static str, &'static str)> {
        match (&self.mode, &self.card) {
            (Mode::Name(_), _) => vec![("Enter", "this is it"), ("Esc", "not now")],
            (Mode::Refuse(_), _) => vec![("Enter", "refuse with these words"), ("Esc", "not now")],
            (Mode::Look, Some(card)) if card.is_open(now) => {
                let page = if card.shows_parameters() { "the change" } else { "all parameters" };
                let mut keys = vec![
                    ("y", "approve"),
                    ("e", "edit"),
                    ("g", "grant…"),
                    ("n", "refuse…"),
                    ("p", page),
                    ("Esc", "later"),
                ];
                if card.below() > 0 {
                    keys.insert(0, ("PageDown", "more"));
                }
                keys
            }
            _ => vec![("p", "all parameters"), ("Esc", "close")],
        }
    }

    fn mode_key(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> Handled {
        let input = match &mut self.mode {
            Mode::Look => return Handled::No,
            Mode::Name(input) | Mode::Refuse(input) => input,
        };
        match key.code {
            KeyCode::Esc => {
                self.mode = Mode::Look;
                self.hint = None;
            }
            KeyCode::Enter => {
                let text = input.text().to_owned();
                match std::mem::replace(&mut self.mode, Mode::Look) {
                    Mode::Name(_) => match self.card.as_mut().map(|c| c.name_typed(&text)) {
                        Some(Err(why)) => self.hint = Some(why),
                        // Enter never approves: `y` does, now that the name was typed.
                        _ => self.hint = Some("that is the name: y approves now".to_owned()),
                    },
                    Mode::Refuse(_) => {
                        let reason = text.trim();
                        self.decide("deny", (!reason.is_empty()).then_some(reason), cx);
                    }
                    Mode::Look => {}
                }
            }
            _ => {
                input.key(key);
            }
        }
        // Nothing typed here may reach the keymap.
        Handled::Yes
    }
}

impl Pane for CardPane {
    fn name(&self) -> CompactString {
        "decision".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["decision".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Self::title(self, look)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.fetch(cx);
    }

    fn resumed(&mut self, cx: &mut Cx<'_>) {
        self.fetch(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let Some(card) = &mut self.card else { return Handled::No };
        self.hint = None;
        match action.name {
            "up" => card.scroll_by(-1),
            "down" => card.scroll_by(1),
            "page_up" => card.page_by(-1),
            "page_down" => card.page_by(1),
            "top" => card.scroll_by(isize::MIN / 2),
            "bottom" => card.scroll_by(isize::MAX / 2),
            "parameters" => card.turn(),
            "approve" => self.approve(cx),
            "refuse" if card.is_open(cx.now) => self.mode = Mode::Refuse(Input::default()),
            "amend" if card.is_open(cx.now) => self.edit(cx),
            "grant" if card.is_open(cx.now) => self.grant(cx),
            "accept" => self.hint = Some("Enter never approves: y does".to_owned()),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> Handled {
        self.mode_key(key, cx)
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        match &mut self.mode {
            Mode::Look => Handled::No,
            Mode::Name(input) | Mode::Refuse(input) => {
                input.paste(text);
                Handled::Yes
            }
        }
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Reply { ticket, result } if self.get == Some(ticket) => {
                self.get = None;
                match result {
                    Ok(Reply::Done { output, .. }) => match serde_json::from_value::<Approval>(output) {
                        Ok(approval) => self.show(approval, cx),
                        Err(error) => self.error = Some(Error::internal(error)),
                    },
                    Ok(Reply::Held(held)) => self.error = Some(Error::internal(held.reason)),
                    Err(error) => self.error = Some(error),
                }
                if std::mem::take(&mut self.again) {
                    self.fetch(cx);
                }
            }
            Message::Reply { ticket, result } if self.decide == Some(ticket) => {
                self.decide = None;
                self.decided(result, cx);
            }
            Message::Reply { ticket, result } if self.amend == Some(ticket) => {
                self.amend = None;
                self.decided(result, cx);
            }
            Message::Edited { ticket, result } if self.edit == Some(ticket) => {
                self.edit = None;
                self.edited(result, cx);
            }
            Message::Event(event) => {
                // A signal, not the state: read it again. While deciding, the answer says it.
                let mine = matches!(&*event, Event::Approval(e) if e.approval == self.id);
                let resync = matches!(&*event, Event::Resync { .. });
                if (mine || resync) && self.decide.is_none() && self.amend.is_none() {
                    self.fetch(cx);
                }
            }
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let (body, _) = Self::split(area);
        if let Some(card) = &mut self.card {
            card.layout(body);
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let left = self.card.as_ref().map(|c| c.time_left(look.now)).unwrap_or_default();
        let right =
            Line::styled(if left.is_empty() { left } else { format!(" {left} ") }, theme.title_counter);
        dialog::frame(look, area, buf, Self::title(self, look), right, &self.keys(look.now));
        let (body, foot) = Self::split(area);
        let Some(card) = &self.card else {
            let text = match &self.error {
                Some(error) => format!("{}. {}", error.message, error.next_step()),
                None => "reading what is proposed…".to_owned(),
            };
            buf.set_stringn(body.x, body.y, &*SafeText::new(&text), usize::from(body.width), theme.dialog);
            return;
        };
        for (y, row) in (body.y..).zip(card.visible()) {
            row.compose(theme).draw(buf, body.x, y, body.width, 0);
        }
        if foot.height < 2 {
            return;
        }
        if card.below() > 0 {
            let more = format!("… {} more rows below", card.below());
            buf.set_stringn(foot.x, foot.y, &more, usize::from(foot.width), theme.warning);
        }
        let (prompt, input) = match &self.mode {
            Mode::Name(input) => ("type the target's name: ", Some(input)),
            Mode::Refuse(input) => ("why not, for the agent: ", Some(input)),
            Mode::Look => ("", None),
        };
        if let Some(input) = input {
            let (x, _) =
                buf.set_stringn(foot.x, foot.y + 1, prompt, usize::from(foot.width), theme.dialog_label);
            input.draw(
                Rect { x, y: foot.y + 1, width: foot.right().saturating_sub(x), height: 1 },
                buf,
                theme.dialog_field,
            );
        } else if let Some(hint) = &self.hint {
            buf.set_stringn(
                foot.x,
                foot.y + 1,
                &*SafeText::new(hint),
                usize::from(foot.width),
                theme.warning,
            );
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        let (_, foot) = Self::split(area);
        let (Mode::Name(input) | Mode::Refuse(input)) = &self.mode else { return None };
        let x = foot.x + 24;
        Some(input.cursor(Rect { x, y: foot.y + 1, width: foot.right().saturating_sub(x), height: 1 }))
    }

    fn place(&self, screen: Rect) -> Rect {
        self.size(screen)
    }

    fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.card.as_ref()?.wake(now)
    }

    fn focus(&self) -> PaneFocus {
        PaneFocus {
            selected: self.approval.as_ref().map(|a| json!({ "kind": "approval", "name": a.approval })),
            ..PaneFocus::default()
        }
    }
}
