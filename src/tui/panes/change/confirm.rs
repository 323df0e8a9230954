//! The confirmation of one change; the same change to several objects is one too, run as a batch.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::json;

use super::deletion::Deletion;
use super::editing::Editing;
use super::facts::facts;
use super::{ProgressPane, Step, draw};
use crate::base::{Code, Error, Result, SafeText};
use crate::gate::{Effect, Preview, Reply, Request, TargetVersion};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::{ObjectRef, Route};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::card::{Answer, Card};
use crate::tui::widgets::input::Input;

/// Where the change is.
pub(super) enum Stage {
    /// What it would do is being computed.
    Previewing,
    Asking,
    /// It runs, and what was typed must come back if it fails.
    Running,
}

pub struct ConfirmPane {
    effect: Effect,
    pub(super) step: Step,
    version: Option<TargetVersion>,
    /// The preview or the call under way.
    ticket: Option<Ticket>,
    pub(super) stage: Stage,
    pub(super) card: Option<Card>,
    pub(super) error: Option<Error>,
    pub(super) hint: Option<String>,
    delete: Option<(Vec<ObjectRef>, Deletion)>,
    edit: Option<Editing>,
    /// Where the arguments came from, and can be changed.
    form: Option<Route>,
    /// What of the marked rows is left out, and why.
    left_out: Option<String>,
    /// The target's name while it is typed.
    pub(super) naming: Option<Input>,
}

impl ConfirmPane {
    pub fn new(effect: Effect, steps: Vec<Step>) -> Self {
        Self {
            effect,
            step: Step::joined(steps),
            version: None,
            ticket: None,
            stage: Stage::Previewing,
            card: None,
            error: None,
            hint: None,
            delete: None,
            edit: None,
            form: None,
            left_out: None,
            naming: None,
        }
    }

    /// Says what of the marked rows is left out.
    #[must_use]
    pub fn leaving_out(mut self, what: Option<String>) -> Self {
        self.left_out = what;
        self
    }

    /// Can go back to the form that its arguments came from.
    #[must_use]
    pub fn from_form(mut self, form: Option<Route>) -> Self {
        self.form = form;
        self
    }

    /// The deletion of some objects; `kill` for not waiting until they have ended.
    pub fn delete(objects: &[ObjectRef], kill: bool) -> Self {
        let options = if kill { Deletion::killing() } else { Deletion::default() };
        let steps = objects.iter().map(|o| options.step(o)).collect();
        Self { delete: Some((objects.to_vec(), options)), ..Self::new(Effect::Destroy, steps) }
    }

    /// The replacement of an object by its edited manifest, which can be edited again until it is there.
    pub fn edit(edit: Editing) -> Self {
        Self { edit: Some(edit.clone()), ..Self::new(Effect::Change, vec![edit.step()]) }
    }

    /// Asks what it would do, from the start.
    fn preview(&mut self, cx: &mut Cx<'_>) {
        if let Some(old) = self.ticket.take() {
            cx.cancel(old);
        }
        self.hint = None;
        self.stage = Stage::Previewing;
        self.error = self.edit.as_ref().and_then(Editing::mistake);
        if self.error.is_some() {
            self.card = None;
            return;
        }
        self.ticket = Some(cx.preview(self.step.request.clone()));
    }

    fn previewed(&mut self, result: Result<Preview>, cx: &mut Cx<'_>) {
        let mut preview = match result {
            Ok(preview) => preview,
            Err(error) => return self.failed(error, cx),
        };
        self.version.clone_from(&preview.version);
        preview.warnings.extend(self.left_out.clone());
        self.stage = Stage::Asking;
        let facts = facts(self.effect, &self.step, preview);
        match &mut self.card {
            Some(card) => card.replace(facts, None, cx.now),
            None => self.card = Some(Card::new(facts)),
        }
    }

    fn confirm(&mut self, cx: &mut Cx<'_>) {
        let Some(card) = self.card.as_ref().filter(|_| matches!(self.stage, Stage::Asking)) else { return };
        match card.approve(cx.now) {
            Answer::Approve => {}
            Answer::NeedsName(_) => {
                self.naming = Some(Input::default());
                return;
            }
            Answer::NotYet(why) => {
                self.hint = Some(why);
                return;
            }
        }
        let request = Request { expect: self.version.clone(), ..self.step.request.clone() };
        // What was typed must come back if the change fails: then the dialog waits for the end.
        if self.edit.is_some() {
            self.stage = Stage::Running;
            self.ticket = Some(cx.call(request));
            return;
        }
        if self.step.is_long() {
            cx.layer(Box::new(ProgressPane::new(request.operation.clone(), self.step.label.clone())));
        }
        cx.run(request, self.step.label.clone());
        cx.close();
    }

    /// What it would do, or did not do, is an error.
    fn failed(&mut self, error: Error, cx: &mut Cx<'_>) {
        if let Some(edit) = &mut self.edit {
            edit.compare(&error, cx);
        }
        self.error = Some(error);
        self.card = None;
    }

    /// The end of an edit.
    fn ran(&mut self, result: Result<Reply>, cx: &mut Cx<'_>) {
        match result {
            Ok(Reply::Done { output, .. }) => {
                let flash = Flash::info(format!("{}: done", self.step.label));
                cx.flash(match output["equivalent"].as_str() {
                    Some(same) => flash.next(same),
                    None => flash,
                });
                cx.close();
            }
            Ok(Reply::Held(held)) => self.hint = Some(held.reason),
            Err(error) => {
                self.stage = Stage::Previewing;
                self.failed(error, cx);
            }
        }
    }

    /// Turns an option of a deletion; the preview is computed anew.
    fn option(&mut self, action: &str, cx: &mut Cx<'_>) -> Handled {
        let running = matches!(self.stage, Stage::Running);
        let Some((objects, options)) = self.delete.as_mut().filter(|_| !running) else { return Handled::No };
        if !options.turn(action) {
            return Handled::No;
        }
        self.step = Step::joined(objects.iter().map(|o| options.step(o)).collect());
        self.preview(cx);
        Handled::Yes
    }

    /// Esc. Typed text goes only when it is pressed twice.
    fn leave(&mut self) -> Handled {
        if self.naming.take().is_some() {
            return Handled::Yes;
        }
        // Before the server has said that nothing would change, or where it refused, what was typed is still wanted.
        let asked = matches!(self.stage, Stage::Asking) && self.error.is_none();
        let nothing = asked && self.card.as_ref().is_some_and(|c| c.facts.preview.diff.is_empty());
        if !nothing && self.edit.as_mut().is_some_and(Editing::keeps) {
            self.hint = Some("Esc again throws the edit away; e goes back to it".to_owned());
            return Handled::Yes;
        }
        Handled::No
    }

    /// Enter, where the target's name is typed.
    fn named(&mut self) {
        let Some(input) = self.naming.take() else {
            self.hint = Some("Enter changes nothing: y does".to_owned());
            return;
        };
        self.hint = match self.card.as_mut().map(|c| c.name_typed(input.text())) {
            Some(Err(why)) => Some(why),
            // What is left to do is asked for as long as it is: see `is_asking`.
            _ => None,
        };
    }

    /// Whether the name was typed, and nothing but `y` is left.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking)
            && self.error.is_none()
            && self.card.as_ref().is_some_and(Card::is_named)
    }

    /// What to do about an error: an edit knows better than the error itself.
    pub(super) fn next_step<'a>(&self, error: &'a Error) -> &'a str {
        match &self.edit {
            Some(_) if error.code == Code::Conflict => {
                "e lays your edit on what is there now, and shows both."
            }
            Some(_) if error.next.is_none() => "Nothing is lost: e goes back to the text.",
            None if self.form.is_some() && error.next.is_none() => "e goes back to the form.",
            _ => error.next_step(),
        }
    }

    /// The options of a deletion in words.
    pub(super) fn options(&self) -> Option<String> {
        self.delete.as_ref().map(|(_, options)| options.line())
    }

    fn edited(&mut self, result: Result<Option<String>>, cx: &mut Cx<'_>) {
        let Some(edit) = &mut self.edit else { return };
        match result {
            Ok(text) => {
                edit.take(text);
                self.step = edit.step();
                self.preview(cx);
            }
            Err(error) => cx.error(&error),
        }
    }

    fn replied(&mut self, ticket: Ticket, result: Result<Reply>, cx: &mut Cx<'_>) {
        if let Some(edit) = self.edit.as_mut().filter(|e| e.is_reading(ticket)) {
            match result {
                Ok(Reply::Done { output, .. }) => edit.read(&output, cx),
                Ok(Reply::Held(held)) => {
                    edit.reading_failed();
                    self.hint = Some(held.reason);
                }
                Err(error) => {
                    edit.reading_failed();
                    self.hint = Some(error.told());
                }
            }
        } else if let Some(edit) = self.edit.as_mut().filter(|e| e.is_comparing(ticket)) {
            // What cannot be read now is not shown; the error itself stays.
            let others = result.map_or_else(
                |_| Vec::new(),
                |reply| match reply {
                    Reply::Done { output, .. } => edit.others(&output),
                    Reply::Held(_) => Vec::new(),
                },
            );
            self.error = self.error.take().map(|e| e.details(json!({ "other_change": others })));
        } else if self.ticket.take_if(|t| *t == ticket).is_some() {
            self.ran(result, cx);
        }
    }
}

impl Pane for ConfirmPane {
    fn name(&self) -> CompactString {
        "confirm".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        if self.naming.is_some() {
            return vec!["field".into()];
        }
        let asking = matches!(self.stage, Stage::Asking);
        let idle = !matches!(self.stage, Stage::Running);
        let all = [
            ("change", asking),
            ("edited", idle && (self.edit.is_some() || self.form.is_some())),
            ("deletion", idle && self.delete.is_some()),
            ("card", self.card.is_some()),
            // Enter is nothing yet.
            ("waiting", self.card.is_none()),
        ];
        all.into_iter().filter(|(_, holds)| *holds).map(|(mode, _)| mode.into()).collect()
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" {} ", SafeText::new(&self.step.label)), look.theme.title)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.preview(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if matches!(action.name, "cancel" | "back") {
            return self.leave();
        }
        if let Some(edit) = &mut self.edit {
            edit.stays();
        }
        if self.option(action.name, cx) == Handled::Yes {
            return Handled::Yes;
        }
        if action.name == "amend"
            && let Some(form) = self.form.take()
        {
            cx.close();
            cx.go(form);
            return Handled::Yes;
        }
        if action.name == "amend"
            && let Some(edit) = self.edit.as_mut().filter(|_| !matches!(self.stage, Stage::Running))
        {
            edit.again(self.error.as_ref(), cx);
            return Handled::Yes;
        }
        let Some(card) = &mut self.card else { return Handled::No };
        self.hint = None;
        match action.name {
            "accept" => self.named(),
            "approve" => self.confirm(cx),
            other if card.scroll(other) => {}
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        self.naming.as_mut().map_or(Handled::No, |input| input.key(key).into())
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        let Some(input) = &mut self.naming else { return Handled::No };
        input.paste(text);
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        match message {
            Message::Preview { ticket, result } if self.ticket == Some(ticket) => {
                self.ticket = None;
                self.previewed(result, cx);
            }
            Message::Reply { ticket, result } => self.replied(ticket, result, cx),
            Message::Edited { ticket, result } if self.edit.as_ref().is_some_and(|e| e.is_edited(ticket)) => {
                self.edited(result, cx);
            }
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let (body, _) = draw::split(area);
        if let Some(card) = &mut self.card {
            card.layout(body);
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        draw::render(self, look, area, buf);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        self.naming.as_ref().map(|input| input.cursor(draw::field(area)))
    }

    fn place(&self, screen: Rect) -> Rect {
        draw::place(self, screen)
    }
}
