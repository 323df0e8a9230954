//! The decision card: what a call would do, and the rules for when a `y` counts.
//!
//! A state machine without I/O. The rules (screen.md §3, OWASP AISVS 9.2.2 and 9.2.8): `Enter` never
//! approves; `y` counts once the card's current proposal was drawn whole, or scrolled to its end
//! where it is longer than the screen; what destroys asks for the target's name first; a proposal
//! that took another one's place unasked needs a moment and a look of its own.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::layout::Rect;
use serde_json::Value;

use super::prose::{Ink, Prose, Row};
use crate::base::Actor;
use crate::bus::ApprovalState;
use crate::gate::{Amendment, Approval, Diff, DiffOp, Effect, Preview};

/// Keys that were meant for what stood here before must not decide about what stands here now.
const HOLD_OFF: Duration = Duration::from_millis(700);
/// Below this the card cannot be read, so nothing can be approved.
const MIN_WIDTH: u16 = 40;
const MIN_ROWS: u16 = 3;

/// What is to be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Who asks; `None` for the operator's own change.
    pub actor: Option<Actor>,
    pub operation: String,
    pub effect: Effect,
    pub reason: Option<String>,
    /// Canonical and whole.
    pub arguments: Value,
    pub preview: Preview,
    pub amended: Option<Amendment>,
    pub expires_at: Option<Timestamp>,
    pub state: ApprovalState,
    /// Other targets of the same change, one a line.
    pub others: Vec<String>,
    /// What must be typed before this can be approved.
    pub name: Option<String>,
    /// Identifiers and hashes, for the page of parameters.
    pub binding: Vec<(&'static str, String)>,
}

impl Facts {
    pub fn of(approval: &Approval) -> Self {
        let target = &approval.target;
        let name = if target.name.is_empty() { &approval.operation } else { &target.name };
        let version = approval.preview.version.clone().unwrap_or_default();
        Self {
            actor: Some(approval.actor.clone()),
            operation: approval.operation.clone(),
            effect: approval.effect,
            reason: approval.reason.clone(),
            arguments: approval.arguments.clone(),
            preview: approval.preview.clone(),
            amended: approval.amended.clone(),
            expires_at: Some(approval.expires_at),
            state: approval.state,
            others: Vec::new(),
            name: (approval.effect == Effect::Destroy).then(|| name.clone()),
            binding: vec![
                ("approval", approval.approval.to_string()),
                ("requested by", format!("{} over {}", approval.actor, approval.actor.door.as_str())),
                ("target", format!("{target}")),
                ("identity", version.identity),
                ("revision", version.revision),
                ("preview", approval.preview_hash.clone()),
                ("digest", approval.digest.clone()),
            ],
        }
    }
}

/// Which side of the card is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Decision,
    Parameters,
}

/// What came of a `y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Approve,
    /// The target's name must be typed first.
    NeedsName(String),
    /// It does not count, for this reason.
    NotYet(String),
}

/// The card.
#[derive(Debug)]
pub struct Card {
    pub facts: Facts,
    page: Page,
    scroll: usize,
    rows: Vec<Row>,
    /// Width and page that `rows` were made for.
    made_for: Option<(u16, Page)>,
    room: usize,
    legible: bool,
    /// How many rows of the decision page must have been on the screen before a `y` counts.
    telling: usize,
    /// They were.
    seen_end: bool,
    armed_at: Timestamp,
    named: bool,
    /// What the operator must know: that this proposal replaced another.
    pub note: Option<String>,
}

impl Card {
    /// A card that the operator asked for.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            page: Page::Decision,
            scroll: 0,
            rows: Vec::new(),
            made_for: None,
            room: 0,
            legible: false,
            telling: usize::MAX,
            seen_end: false,
            armed_at: Timestamp::MIN,
            named: false,
            note: None,
        }
    }

    /// Shows another proposal in this one's place. If it is not what was shown, everything must be
    /// looked at again.
    pub fn replace(&mut self, facts: Facts, note: Option<String>, now: Timestamp) {
        let same = facts.preview == self.facts.preview && facts.arguments == self.facts.arguments;
        if same {
            self.facts = facts;
            self.made_for = None;
        } else {
            *self = Self { armed_at: now + HOLD_OFF, ..Self::new(facts) };
        }
        if note.is_some() {
            self.note = note;
            self.made_for = None;
        }
    }

    /// Whether it can still be decided.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.facts.state == ApprovalState::Pending && self.facts.expires_at.is_none_or(|at| now < at)
    }

    /// Takes note that the time is over, also where nobody has told it yet.
    pub fn run_out(&mut self, now: Timestamp) {
        if self.facts.state == ApprovalState::Pending && !self.is_open(now) {
            self.facts.state = ApprovalState::Expired;
            self.made_for = None;
        }
    }

    /// Prepares the rows for the frame that is about to be drawn, and takes note of what it shows.
    pub fn layout(&mut self, body: Rect) {
        if self.made_for != Some((body.width, self.page)) {
            self.rows = match self.page {
                Page::Decision => {
                    let (rows, telling) = self.decision(body.width);
                    self.telling = telling;
                    rows
                }
                Page::Parameters => self.parameters(body.width),
            };
            self.made_for = Some((body.width, self.page));
        }
        self.room = usize::from(body.height);
        self.scroll = self.scroll.min(self.rows.len().saturating_sub(self.room));
        self.legible = body.width >= MIN_WIDTH && body.height >= MIN_ROWS;
        if self.legible && self.page == Page::Decision && self.scroll + self.room >= self.telling {
            self.seen_end = true;
        }
    }

    /// How many rows the whole card needs at this width.
    pub fn wants(&self, width: u16) -> usize {
        match self.page {
            Page::Decision => self.decision(width).0.len(),
            Page::Parameters => self.parameters(width).len(),
        }
    }

    /// The rows on the screen.
    pub fn visible(&self) -> &[Row] {
        let end = (self.scroll + self.room).min(self.rows.len());
        &self.rows[self.scroll.min(end)..end]
    }

    /// How many rows are below the screen.
    pub fn below(&self) -> usize {
        self.rows.len().saturating_sub(self.scroll + self.room)
    }

    /// Does an action of looking; false for any other.
    pub fn scroll(&mut self, action: &str) -> bool {
        match action {
            "up" => self.scroll_by(-1),
            "down" => self.scroll_by(1),
            "page_up" => self.page_by(-1),
            "page_down" => self.page_by(1),
            "top" => self.scroll_by(isize::MIN / 2),
            "bottom" => self.scroll_by(isize::MAX / 2),
            "parameters" => self.turn(),
            _ => return false,
        }
        true
    }

    pub fn scroll_by(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(self.room);
        self.scroll = self.scroll.saturating_add_signed(rows).min(last);
    }

    pub fn page_by(&mut self, pages: isize) {
        let rows = isize::try_from(self.room.max(2) - 1).unwrap_or(1);
        self.scroll_by(rows * pages);
    }

    /// Turns to the parameters and back.
    pub fn turn(&mut self) {
        self.page = if self.page == Page::Decision { Page::Parameters } else { Page::Decision };
        self.scroll = 0;
    }

    pub fn shows_parameters(&self) -> bool {
        self.page == Page::Parameters
    }

    /// Takes what was typed as the target's name.
    pub fn name_typed(&mut self, typed: &str) -> Result<(), String> {
        match &self.facts.name {
            Some(name) if typed.trim() != name => Err(format!("that is not the name; it is {name}")),
            _ => {
                self.named = true;
                Ok(())
            }
        }
    }

    /// Whether the name is still to be typed.
    pub fn needs_name(&self) -> bool {
        self.facts.name.is_some() && !self.named
    }

    /// Whether the name was typed, and `y` alone is left.
    pub fn is_named(&self) -> bool {
        self.named && self.facts.name.is_some()
    }

    /// What a `y` pressed now comes to.
    pub fn approve(&self, now: Timestamp) -> Answer {
        let no = |text: &str| Answer::NotYet(text.to_owned());
        if self.facts.state != ApprovalState::Pending {
            return Answer::NotYet(format!("this is {} already", state_word(self.facts.state)));
        }
        if !self.is_open(now) {
            return no("the time is over: the call must be proposed again");
        }
        if !self.legible && self.made_for.is_some() {
            return no("the card does not fit: make the window larger, then look at it");
        }
        if self.page == Page::Parameters {
            return no("p goes back to the change, where y counts");
        }
        if now < self.armed_at {
            return no("this proposal has just taken another one's place: look at it first");
        }
        if !self.seen_end {
            return no("scroll to the end of the change first");
        }
        match &self.facts.name {
            Some(name) if !self.named => Answer::NeedsName(name.clone()),
            _ => Answer::Approve,
        }
    }

    /// `4:31 left`, or what it came to.
    pub fn time_left(&self, now: Timestamp) -> String {
        let Some(expires) = self.facts.expires_at.filter(|_| self.facts.state == ApprovalState::Pending)
        else {
            return if self.facts.state == ApprovalState::Pending {
                String::new()
            } else {
                state_word(self.facts.state).to_owned()
            };
        };
        match expires.as_second() - now.as_second() {
            ..=0 => state_word(ApprovalState::Expired).to_owned(),
            left => format!("{}:{:02} left", left / 60, left % 60),
        }
    }

    /// When [`Card::time_left`] changes next.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let expires = self.facts.expires_at.filter(|_| self.facts.state == ApprovalState::Pending)?;
        (now <= expires).then(|| Timestamp::from_second(now.as_second() + 1).ok()).flatten()
    }

    /// The rows, and how many of them say what is to be decided.
    fn decision(&self, width: u16) -> (Vec<Row>, usize) {
        let f = &self.facts;
        let mut p = Prose::new(width);
        if let Some(note) = &self.note {
            p.words((Ink::Warning, ""), Ink::Warning, note);
        }
        if f.state != ApprovalState::Pending {
            let what = format!("This is {}: it cannot be approved.{}", state_word(f.state), why(f.state));
            p.words((Ink::Error, ""), Ink::Error, &what);
        }
        let target = &f.preview.target;
        let place: Vec<&str> = [&target.place, &target.namespace]
            .into_iter()
            .filter(|t| !t.is_empty())
            .map(String::as_str)
            .collect();
        let subject = format!("{} {}", target.kind, target.name);
        let line = place.into_iter().chain([subject.trim()]).collect::<Vec<_>>().join(" / ");
        let effect = if f.effect == Effect::Destroy { Ink::Error } else { Ink::Strong };
        p.words((effect, &format!("{}   ", f.operation)), Ink::Text, &line);
        if f.effect == Effect::Destroy {
            p.words((Ink::Error, ""), Ink::Error, "This is hard to undo.");
        }
        if let Some(reason) = f.reason.as_deref().filter(|r| !r.trim().is_empty()) {
            p.words((Ink::Agent, "\u{201c}"), Ink::Agent, &format!("{}\u{201d}", reason.trim()));
        }
        for other in &f.others {
            p.words((Ink::Text, "  · "), Ink::Text, other);
        }
        p.blank();
        if let Some(amended) = &f.amended {
            p.words(
                (Ink::Warning, ""),
                Ink::Warning,
                &format!("changed by {}, from what was proposed:", amended.by.name),
            );
            diff(&mut p, &amended.diff);
            p.blank();
            p.words((Ink::Label, ""), Ink::Label, "and so, on the target:");
        }
        // What is deleted differs in being gone: what that means comes first, and what it was like can be read below.
        let goes = f.effect == Effect::Destroy && f.preview.diff.lines.iter().all(|l| l.op != DiffOp::Added);
        if !goes {
            if f.preview.diff.is_empty() {
                p.words((Ink::Dim, ""), Ink::Dim, "No difference could be computed, or there is none.");
            }
            diff(&mut p, &f.preview.diff);
            p.blank();
        }
        section(&mut p, "affects   ", Ink::Text, &f.preview.affects);
        section(&mut p, "checked   ", Ink::Good, &f.preview.checks);
        section(&mut p, "careful   ", Ink::Warning, &f.preview.warnings);
        if let Some(same) = &f.preview.equivalent {
            p.verbatim("same as   ", Ink::Dim, same);
        }
        let told = p.height();
        if goes && !f.preview.diff.is_empty() {
            p.blank();
            p.words((Ink::Label, ""), Ink::Label, "What goes:");
            diff(&mut p, &f.preview.diff);
        }
        let rows = p.done();
        let telling = if goes { told } else { rows.len() };
        (rows, telling)
    }

    fn parameters(&self, width: u16) -> Vec<Row> {
        let mut p = Prose::new(width);
        p.words((Ink::Label, ""), Ink::Label, "All parameters, exactly as the call will be made:");
        let json = serde_json::to_string_pretty(&self.facts.arguments).unwrap_or_default();
        p.verbatim("", Ink::Strong, &self.facts.operation);
        for line in json.lines() {
            p.verbatim("", Ink::Value, line);
        }
        p.blank();
        for (label, value) in self.facts.binding.iter().filter(|(_, v)| !v.is_empty()) {
            p.verbatim(&format!("{label:<13} "), Ink::Dim, value);
        }
        p.done()
    }
}

fn section(p: &mut Prose, label: &str, ink: Ink, sentences: &[String]) {
    if !sentences.is_empty() {
        p.words((Ink::Label, label), ink, &sentences.join(" · "));
    }
}

fn diff(p: &mut Prose, diff: &Diff) {
    for line in &diff.lines {
        let (head, ink) = match line.op {
            DiffOp::Same => ("    ", Ink::Text),
            DiffOp::Removed => ("  - ", Ink::Removed),
            DiffOp::Added => ("  + ", Ink::Added),
            DiffOp::Hunk => ("  ", Ink::Hunk),
        };
        p.verbatim(head, ink, &line.text);
    }
}

/// What it means that it is over.
fn why(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Expired => " Nothing ran; whoever asked can propose it again.",
        ApprovalState::Void => " The target changed; nothing ran.",
        ApprovalState::Denied => " Nothing ran.",
        _ => "",
    }
}

pub fn state_word(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "waiting",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied => "refused",
        ApprovalState::Expired => "expired",
        ApprovalState::Void => "void",
        ApprovalState::Consumed => "done",
        ApprovalState::Withdrawn => "taken back by whoever asked",
    }
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
