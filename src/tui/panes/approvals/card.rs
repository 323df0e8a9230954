//! The dialog in which a person decides about a held call.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use crate::base::ids::ApprovalId;
use crate::base::{Error, Result, SafeText};
use crate::bus::{ApprovalState, Event};
use crate::gate::{Approval, Decided, Effect, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, Look, Pane, PaneFocus};
use crate::tui::panes::text::field::at_fault;
use crate::tui::panes::yaml;
use crate::tui::widgets::card::{Answer, Card, Facts};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

/// What a reason for refusing is cut at.
const REASON: usize = 500;

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
    /// Arguments that were typed and not taken: the editor opens with them again.
    draft: Option<String>,
    /// Why they were not taken, in the server's words or the schema's.
    fault: Option<String>,
    /// Whether it could be decided when it was last drawn.
    open: bool,
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
            draft: None,
            fault: None,
            open: false,
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
        let fresh = || {
            let yaml = serde_yaml_ng::to_string(&approval.arguments).unwrap_or_default();
            format!(
                "# The arguments of {}. Save to change what was proposed; the new difference is shown before anything runs.\n{yaml}",
                approval.operation
            )
        };
        let text = self.draft.clone().unwrap_or_else(fresh);
        let line = self.fault.as_ref().and_then(|why| at_fault(&text, why));
        self.edit = Some(cx.editor_at(line, text, ".yaml"));
    }

    fn edited(&mut self, result: Result<Option<String>>, cx: &mut Cx<'_>) {
        let text = match result {
            Ok(Some(text)) => text,
            // Closed as it was opened: with a draft, that is what is meant.
            Ok(None) => match self.draft.clone() {
                Some(draft) => draft,
                None => {
                    self.hint = Some("nothing was changed".to_owned());
                    return;
                }
            },
            Err(error) => return cx.error(&error),
        };
        self.draft = Some(text.clone());
        self.fault = None;
        if let Err(mistake) = yaml::check(&text) {
            self.hint = Some(format!("not YAML, {mistake}: e goes back to it"));
            return;
        }
        match serde_yaml_ng::from_str::<Value>(&text) {
            Ok(arguments @ Value::Object(_)) => {
                let arguments = json!({ "approval": self.id, "arguments": arguments });
                self.hint = Some("computing the new difference…".to_owned());
                self.amend = Some(cx.call(Request::new("approval_amend", arguments)));
            }
            _ => self.hint = Some("the arguments must be names and values: e goes back to them".to_owned()),
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
                    self.draft = None;
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
                self.hint = Some(error.told());
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

    fn keys(&self, look: &Look<'_>) -> Vec<(CompactString, CompactString)> {
        let mut keys = dialog::keys(look, &self.modes());
        if matches!(self.mode, Mode::Look) && self.card.as_ref().is_some_and(|c| c.below() > 0) {
            keys.insert(0, ("pgdn".into(), "more".into()));
        }
        keys
    }

    /// Enter: where something is typed it is taken, elsewhere it does nothing.
    fn accept(&mut self, cx: &mut Cx<'_>) {
        match std::mem::replace(&mut self.mode, Mode::Look) {
            Mode::Look => self.hint = Some("Enter never approves: y does".to_owned()),
            Mode::Name(input) => {
                self.hint = match self.card.as_mut().map(|c| c.name_typed(input.text())) {
                    Some(Err(why)) => Some(why),
                    // The name alone decides nothing: the question stands until it is answered.
                    _ => None,
                };
            }
            Mode::Refuse(input) => {
                let reason = input.text().trim();
                self.decide("deny", (!reason.is_empty()).then_some(reason), cx);
            }
        }
    }

    /// Where something is typed.
    fn field(area: Rect, label: &str) -> Rect {
        let (_, foot) = Self::split(area);
        let label = u16::try_from(label.len()).unwrap_or(0).min(foot.width);
        Rect { x: foot.x + label, y: foot.bottom().saturating_sub(1), width: foot.width - label, height: 1 }
    }

    fn typing(&self) -> Option<(&'static str, &Input)> {
        match &self.mode {
            Mode::Name(input) => Some(("type the target's name: ", input)),
            Mode::Refuse(input) => Some(("why not, for the agent: ", input)),
            Mode::Look => None,
        }
    }
}

impl Pane for CardPane {
    fn name(&self) -> CompactString {
        "decision".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        match (&self.mode, &self.approval) {
            (Mode::Name(_), _) => vec!["field".into()],
            (Mode::Refuse(_), _) => vec!["refusal".into(), "field".into()],
            // What was decided or ran out can be read, and nothing else.
            (Mode::Look, Some(approval)) if self.open => {
                let mode = if approval.effect == Effect::Destroy { "destruction" } else { "decision" };
                vec![mode.into(), "card".into()]
            }
            (Mode::Look, Some(_)) => vec!["card".into()],
            (Mode::Look, None) => vec!["waiting".into()],
        }
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
        let open = card.is_open(cx.now);
        match action.name {
            "accept" => self.accept(cx),
            "cancel" | "back" if !matches!(self.mode, Mode::Look) => self.mode = Mode::Look,
            other if card.scroll(other) => {}
            "approve" => self.approve(cx),
            "refuse" if open => self.mode = Mode::Refuse(Input::default().at_most(REASON)),
            "amend" if open => self.edit(cx),
            "grant" if open => self.grant(cx),
            "refuse" | "amend" | "grant" => {
                self.hint = Some("this is over: nothing can be decided".to_owned())
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        match &mut self.mode {
            Mode::Look => Handled::No,
            Mode::Name(input) | Mode::Refuse(input) => Handled::from(input.key(key)),
        }
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
                self.fault = result.as_ref().err().map(|error| error.message.clone());
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

    fn layout(&mut self, area: Rect, now: Timestamp) {
        let (body, _) = Self::split(area);
        let Some(card) = &mut self.card else { return };
        card.run_out(now);
        card.layout(body);
        self.open = card.is_open(now);
        if !self.open && !matches!(self.mode, Mode::Look) {
            self.mode = Mode::Look;
            self.hint = Some("the time ran out while you typed: nothing was decided".to_owned());
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let left = self.card.as_ref().map(|c| c.time_left(look.now)).unwrap_or_default();
        let right =
            Line::styled(if left.is_empty() { left } else { format!(" {left} ") }, theme.title_counter);
        dialog::frame(look, area, buf, Self::title(self, look), right, &self.keys(look));
        let (body, foot) = Self::split(area);
        let Some(card) = &self.card else {
            let text = match &self.error {
                Some(error) => error.told(),
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
        if let Some((label, input)) = self.typing() {
            buf.set_stringn(foot.x, foot.y + 1, label, usize::from(foot.width), theme.dialog_label);
            input.draw(Self::field(area, label), buf, theme.dialog_field, theme);
        } else if let Some(hint) = &self.hint {
            buf.set_stringn(
                foot.x,
                foot.y + 1,
                &*SafeText::new(hint),
                usize::from(foot.width),
                theme.warning,
            );
        } else if self.open && self.decide.is_none() && card.is_named() {
            let line = Rect { y: foot.y + 1, height: 1, ..foot };
            dialog::question(look, line, "y", "approves it now: that is the name", buf);
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        let (label, input) = self.typing()?;
        Some(input.cursor(Self::field(area, label)))
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
