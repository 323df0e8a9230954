//! The confirmation of one change, or of the same change to several objects.

use compact_str::CompactString;
use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::Value;

use super::{deletion, edit};
use crate::base::{Error, Result, SafeText};
use crate::bus::ApprovalState;
use crate::gate::{Diff, DiffLine, DiffOp, Effect, Preview, Reply, Request, Target};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash, Message, Ticket};
use crate::tui::object::ObjectRef;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::card::{Answer, Card, Facts};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;
use crate::tui::widgets::prose::{Ink, Prose};

/// Calls of one change under way at the same time.
const AT_ONCE: usize = 8;
const NAMING: &str = "type the target's name: ";

/// One call to make, and what it is called in messages: `delete pods web-1`.
#[derive(Debug, Clone)]
pub struct Step {
    pub request: Request,
    pub label: String,
}

/// How objects are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deletion {
    cascade: usize,
    grace: usize,
    pub force: bool,
}

impl Deletion {
    const CASCADES: [&'static str; 3] = ["background", "foreground", "orphan"];
    const GRACES: [Option<u32>; 5] = [None, Some(0), Some(10), Some(60), Some(300)];

    pub fn cascade(self) -> &'static str {
        Self::CASCADES[self.cascade % Self::CASCADES.len()]
    }

    /// Seconds; `None` is the object's own.
    pub fn grace(self) -> Option<u32> {
        Self::GRACES[self.grace % Self::GRACES.len()]
    }

    fn line(self) -> String {
        let grace = self.grace().map_or_else(|| "its own".to_owned(), |s| format!("{s} s"));
        let force = if self.force { "on" } else { "off" };
        format!("c cascade: {}   g grace: {grace}   f force: {force}", self.cascade())
    }
}

/// Where the change is.
enum Stage {
    /// What it would do is being computed.
    Previewing,
    Asking,
    /// Several calls run; how many are done, and what went wrong.
    Running {
        started: usize,
        done: usize,
        failed: Vec<String>,
    },
}

pub struct ConfirmPane {
    effect: Effect,
    steps: Vec<Step>,
    previews: Vec<Option<Preview>>,
    tickets: Vec<(Ticket, usize)>,
    stage: Stage,
    card: Option<Card>,
    error: Option<Error>,
    hint: Option<String>,
    delete: Option<(Vec<ObjectRef>, Deletion)>,
    edit: Option<(ObjectRef, String)>,
    editor: Option<Ticket>,
    /// The target's name while it is typed.
    naming: Option<Input>,
}

impl ConfirmPane {
    pub fn new(effect: Effect, steps: Vec<Step>) -> Self {
        Self {
            effect,
            previews: vec![None; steps.len()],
            steps,
            tickets: Vec::new(),
            stage: Stage::Previewing,
            card: None,
            error: None,
            hint: None,
            delete: None,
            edit: None,
            editor: None,
            naming: None,
        }
    }

    /// The deletion of some objects; `force` for killing them.
    pub fn delete(objects: &[ObjectRef], force: bool) -> Self {
        let options = Deletion { force, grace: usize::from(force), ..Deletion::default() };
        let steps = objects.iter().map(|o| deletion(o, options)).collect();
        Self { delete: Some((objects.to_vec(), options)), ..Self::new(Effect::Destroy, steps) }
    }

    /// Lets the manifest be edited again before it is confirmed.
    #[must_use]
    pub fn editing(mut self, object: ObjectRef, text: String) -> Self {
        self.edit = Some((object, text));
        self
    }

    /// Asks what the steps would do, from the start.
    fn preview(&mut self, cx: &mut Cx<'_>) {
        for (ticket, _) in self.tickets.drain(..) {
            cx.cancel(ticket);
        }
        self.previews = vec![None; self.steps.len()];
        self.error = None;
        self.stage = Stage::Previewing;
        for index in 0..self.steps.len().min(AT_ONCE) {
            self.preview_one(index, cx);
        }
    }

    fn preview_one(&mut self, index: usize, cx: &mut Cx<'_>) {
        let ticket = cx.preview(self.steps[index].request.clone());
        self.tickets.push((ticket, index));
    }

    fn previewed(&mut self, index: usize, result: Result<Preview>, cx: &mut Cx<'_>) {
        match result {
            Ok(preview) => self.previews[index] = Some(preview),
            Err(error) => {
                self.error = Some(error);
                self.card = None;
                return;
            }
        }
        let next = self
            .previews
            .iter()
            .enumerate()
            .position(|(i, p)| p.is_none() && !self.tickets.iter().any(|(_, at)| *at == i));
        if let Some(next) = next {
            self.preview_one(next, cx);
        }
        if self.tickets.is_empty() && self.previews.iter().all(Option::is_some) {
            self.stage = Stage::Asking;
            let facts = self.facts();
            match &mut self.card {
                Some(card) => card.replace(facts, None, cx.now),
                None => self.card = Some(Card::new(facts)),
            }
        }
    }

    fn facts(&self) -> Facts {
        let mut all = self.previews.iter().flatten();
        let mut preview = all.next().cloned().unwrap_or_else(|| Preview::of(Target::default()));
        let others: Vec<String> = if self.steps.len() > 1 {
            self.previews.iter().flatten().map(|p| p.target.to_string()).collect()
        } else {
            Vec::new()
        };
        if self.steps.len() > 1 {
            let mut lines = Vec::new();
            for p in self.previews.iter().flatten().filter(|p| !p.diff.is_empty()) {
                lines.push(DiffLine { op: DiffOp::Hunk, text: p.target.to_string() });
                lines.extend(p.diff.lines.iter().cloned());
            }
            preview.diff = Diff { lines };
            for p in all {
                append(&mut preview.affects, &p.affects);
                append(&mut preview.warnings, &p.warnings);
                append(&mut preview.checks, &p.checks);
            }
            preview.equivalent = None;
            preview.target.name = format!("({} objects)", self.steps.len());
        }
        let arguments = match self.steps.as_slice() {
            [one] => one.request.arguments.clone(),
            several => Value::Array(several.iter().map(|s| s.request.arguments.clone()).collect()),
        };
        Facts {
            actor: None,
            operation: self.steps.first().map(|s| s.request.operation.clone()).unwrap_or_default(),
            effect: self.effect,
            reason: None,
            arguments,
            name: self.name_to_type(&preview.target),
            preview,
            amended: None,
            expires_at: None,
            state: ApprovalState::Pending,
            others,
            binding: Vec::new(),
        }
    }

    /// What takes others with it asks for its name; a pod does not.
    fn name_to_type(&self, target: &Target) -> Option<String> {
        const WIDE: [&str; 5] = [
            "namespace",
            "node",
            "customresourcedefinition.apiextensions.k8s.io",
            "persistentvolume",
            "persistentvolumeclaim",
        ];
        let wide =
            WIDE.iter().any(|w| *w == target.kind || w.split('.').next() == Some(target.kind.as_str()));
        (self.effect == Effect::Destroy && wide && self.steps.len() == 1).then(|| target.name.clone())
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
        for (step, preview) in self.steps.iter_mut().zip(&self.previews) {
            step.request.expect = preview.as_ref().and_then(|p| p.version.clone());
        }
        if let [only] = self.steps.as_slice() {
            cx.run(only.request.clone(), only.label.clone());
            cx.close();
            return;
        }
        self.stage = Stage::Running { started: 0, done: 0, failed: Vec::new() };
        for _ in 0..AT_ONCE {
            self.run_next(cx);
        }
    }

    fn run_next(&mut self, cx: &mut Cx<'_>) {
        if let Stage::Running { started, .. } = &mut self.stage
            && let Some(step) = self.steps.get(*started)
        {
            let ticket = cx.call(step.request.clone());
            self.tickets.push((ticket, *started));
            *started += 1;
        }
    }

    fn ran(&mut self, index: usize, result: Result<Reply>, cx: &mut Cx<'_>) {
        let Stage::Running { done, failed, .. } = &mut self.stage else { return };
        *done += 1;
        match result {
            Ok(Reply::Done { .. }) => {}
            Ok(Reply::Held(held)) => failed.push(format!("{}: {}", self.steps[index].label, held.reason)),
            Err(error) => failed.push(format!("{}: {}", self.steps[index].label, error.message)),
        }
        let (done, all, wrong) = (*done, self.steps.len(), failed.first().cloned());
        let failures = failed.len();
        if done < all {
            return self.run_next(cx);
        }
        match wrong {
            None => {
                cx.flash(Flash::info(format!("{all} done")));
                cx.close();
            }
            Some(first) if failures == 1 => self.hint = Some(first),
            Some(first) => self.hint = Some(format!("{failures} of {all} failed; the first: {first}")),
        }
    }

    fn option(&mut self, action: &str, cx: &mut Cx<'_>) -> Handled {
        let Some((objects, options)) =
            self.delete.as_mut().filter(|_| !matches!(self.stage, Stage::Running { .. }))
        else {
            return Handled::No;
        };
        match action {
            "force" => options.force = !options.force,
            "cascade" => options.cascade += 1,
            "grace" => options.grace += 1,
            _ => return Handled::No,
        }
        self.steps = objects.iter().map(|o| deletion(o, *options)).collect();
        self.preview(cx);
        Handled::Yes
    }

    fn heading(&self) -> String {
        match self.steps.as_slice() {
            [one] => one.label.clone(),
            several => {
                let verb = several.first().and_then(|s| s.label.split(' ').next()).unwrap_or_default();
                format!("{verb} {} objects", several.len())
            }
        }
    }

    fn split(&self, area: Rect) -> (Rect, Rect) {
        let inside = dialog::inside(area);
        let height = inside.height.saturating_sub(2);
        (Rect { height, ..inside }, Rect { y: inside.y + height, height: inside.height - height, ..inside })
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        let mut keys = Vec::new();
        match &self.stage {
            Stage::Running { started, done, .. } if done < started => return vec![("Esc", "stop")],
            Stage::Running { .. } => return vec![("Esc", "close")],
            Stage::Previewing => {}
            Stage::Asking => {
                if self.card.as_ref().is_some_and(|c| c.below() > 0) {
                    keys.push(("PageDown", "more"));
                }
                keys.push(("y", "do it"));
                keys.push(("p", "all parameters"));
            }
        }
        if self.edit.is_some() {
            keys.push(("e", "edit again"));
        }
        keys.push(("Esc", "not now"));
        keys
    }
}

fn append(all: &mut Vec<String>, more: &[String]) {
    for text in more {
        if !all.contains(text) {
            all.push(text.clone());
        }
    }
}

impl Pane for ConfirmPane {
    fn name(&self) -> CompactString {
        "confirm".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        if self.delete.is_some() {
            vec!["deletion".into(), "decision".into()]
        } else {
            vec!["decision".into()]
        }
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" {} ", SafeText::new(&self.heading())), look.theme.title)
    }

    fn start(&mut self, cx: &mut Cx<'_>) {
        self.preview(cx);
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if self.option(action.name, cx) == Handled::Yes {
            return Handled::Yes;
        }
        if action.name == "amend"
            && let Some((_, text)) = &self.edit
        {
            self.editor = Some(cx.editor(text.clone(), ".yaml"));
            return Handled::Yes;
        }
        let Some(card) = &mut self.card else { return Handled::No };
        self.hint = None;
        match action.name {
            "up" => card.scroll_by(-1),
            "down" => card.scroll_by(1),
            "page_up" => card.page_by(-1),
            "page_down" => card.page_by(1),
            "parameters" => card.turn(),
            "approve" => self.confirm(cx),
            "accept" => self.hint = Some("Enter changes nothing: y does".to_owned()),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        let Some(input) = &mut self.naming else { return Handled::No };
        match key.code {
            KeyCode::Esc => self.naming = None,
            KeyCode::Enter => {
                let text = input.text().to_owned();
                self.naming = None;
                self.hint = match self.card.as_mut().map(|c| c.name_typed(&text)) {
                    Some(Err(why)) => Some(why),
                    _ => Some("that is the name: y does it now".to_owned()),
                };
            }
            _ => {
                input.key(key);
            }
        }
        Handled::Yes
    }

    fn receive(&mut self, message: Message, cx: &mut Cx<'_>) {
        let found = |tickets: &mut Vec<(Ticket, usize)>, ticket: Ticket| {
            let at = tickets.iter().position(|(t, _)| *t == ticket)?;
            Some(tickets.swap_remove(at).1)
        };
        match message {
            Message::Preview { ticket, result } => {
                if let Some(index) = found(&mut self.tickets, ticket) {
                    self.previewed(index, result, cx);
                }
            }
            Message::Reply { ticket, result } => {
                if let Some(index) = found(&mut self.tickets, ticket) {
                    self.ran(index, result, cx);
                }
            }
            Message::Edited { ticket, result } if self.editor == Some(ticket) => {
                self.editor = None;
                match (result, &mut self.edit) {
                    (Ok(Some(text)), Some((object, kept))) => {
                        kept.clone_from(&text);
                        self.steps = vec![edit::step(object, &text)];
                        self.preview(cx);
                    }
                    (Err(error), _) => cx.error(&error),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        let (body, _) = self.split(area);
        if let Some(card) = &mut self.card {
            card.layout(body);
        }
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        dialog::frame(look, area, buf, self.title(look), Line::default(), &self.keys());
        let (body, foot) = self.split(area);
        match (&self.error, &self.card) {
            (Some(error), _) => {
                let mut p = Prose::new(body.width);
                p.words((Ink::Error, ""), Ink::Error, &error.message);
                p.words((Ink::Text, ""), Ink::Text, error.next_step());
                for (y, row) in (body.y..body.bottom()).zip(p.done()) {
                    row.compose(theme).draw(buf, body.x, y, body.width, 0);
                }
            }
            (None, Some(card)) => {
                for (y, row) in (body.y..).zip(card.visible()) {
                    row.compose(theme).draw(buf, body.x, y, body.width, 0);
                }
            }
            (None, None) => {
                buf.set_stringn(
                    body.x,
                    body.y,
                    "asking what it would do…",
                    usize::from(body.width),
                    theme.dim,
                );
            }
        }
        if foot.height < 2 {
            return;
        }
        let width = usize::from(foot.width);
        if let Some((_, options)) = &self.delete {
            buf.set_stringn(foot.x, foot.y, options.line(), width, theme.dialog_label);
        }
        if let Some(input) = &self.naming {
            let (x, _) = buf.set_stringn(foot.x, foot.y + 1, NAMING, width, theme.dialog_label);
            input.draw(
                Rect { x, y: foot.y + 1, width: foot.right().saturating_sub(x), height: 1 },
                buf,
                theme.dialog_field,
            );
            return;
        }
        let text = match (&self.stage, &self.hint) {
            (_, Some(hint)) => hint.clone(),
            (Stage::Running { done, failed, .. }, None) => {
                format!("{done} of {} done, {} failed", self.steps.len(), failed.len())
            }
            _ => String::new(),
        };
        buf.set_stringn(foot.x, foot.y + 1, &*SafeText::new(&text), width, theme.warning);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        let (_, foot) = self.split(area);
        let x = foot.x + u16::try_from(NAMING.len()).unwrap_or(0);
        let field = Rect { x, y: foot.y + 1, width: foot.right().saturating_sub(x), height: 1 };
        self.naming.as_ref().map(|input| input.cursor(field))
    }

    fn place(&self, screen: Rect) -> Rect {
        let width = screen.width.min(100);
        let rows = self.card.as_ref().map_or(4, |c| c.wants(width.saturating_sub(4)));
        let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(dialog::FRAME_ROWS + 2);
        dialog::centred(screen, width, height.max(dialog::FRAME_ROWS + 6))
    }
}
