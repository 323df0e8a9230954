//! Every operation there is, to choose one: fuzzy over names and summaries, the effect beside each.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::Value;

use crate::base::SafeText;
use crate::gate::{Effect, OperationInfo};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message};
use crate::tui::object::Route;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::shared::Shared;
use crate::tui::widgets::composed::Composed;
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

struct Choice {
    name: String,
    summary: String,
    effect: Effect,
}

pub struct PalettePane {
    all: Vec<Choice>,
    input: Input,
    found: Vec<usize>,
    at: usize,
    top: usize,
}

impl PalettePane {
    pub fn new(shared: &Shared) -> Self {
        let offered = |o: &&OperationInfo| !shared.read_only || o.effect == Effect::Observe;
        let mut all: Vec<Choice> = shared
            .catalogue
            .iter()
            .filter(offered)
            .map(|o| Choice { name: o.name.clone(), summary: o.summary.clone(), effect: o.effect })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let found = (0..all.len()).collect();
        Self { all, input: Input::default(), found, at: 0, top: 0 }
    }

    fn search(&mut self) {
        // Names are written with underscores everywhere else.
        let typed = self.input.text().trim().replace('_', " ");
        self.at = 0;
        if typed.is_empty() {
            self.found = (0..self.all.len()).collect();
            return;
        }
        let pattern = Pattern::new(&typed, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        for (i, choice) in self.all.iter().enumerate() {
            // The name's words, as people type them; a hit in the name weighs more than in the summary.
            let name = choice.name.replace('_', " ");
            let in_name = pattern.score(Utf32Str::new(&name, &mut buffer), &mut matcher).map(|s| s * 2 + 64);
            let in_all = format!("{name} {}", choice.summary);
            let score = in_name.or_else(|| pattern.score(Utf32Str::new(&in_all, &mut buffer), &mut matcher));
            if let Some(score) = score {
                scored.push((score, i));
            }
        }
        scored.sort_by_key(|(score, i)| (std::cmp::Reverse(*score), *i));
        self.found = scored.into_iter().map(|(_, i)| i).collect();
    }

    fn move_by(&mut self, by: isize) {
        let last = self.found.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
    }

    fn rows(area: Rect) -> usize {
        usize::from(dialog::inside(area).height.saturating_sub(2)).max(1)
    }
}

impl Pane for PalettePane {
    fn name(&self) -> CompactString {
        "palette".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["palette".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(" operations ", look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "up" => self.move_by(-1),
            "down" => self.move_by(1),
            "page_up" => self.move_by(-10),
            "page_down" => self.move_by(10),
            "accept" => {
                if let Some(choice) = self.found.get(self.at).and_then(|i| self.all.get(*i)) {
                    cx.close();
                    cx.go(Route::Form { operation: choice.name.clone(), arguments: Value::Null });
                }
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        if !self.input.key(key) {
            return Handled::No;
        }
        self.search();
        Handled::Yes
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        self.input.paste(text);
        self.search();
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(Self::rows(area)));
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let count =
            Line::styled(format!(" {} of {} ", self.found.len(), self.all.len()), theme.title_counter);
        dialog::frame(look, area, buf, self.title(look), count, &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        self.input.draw(Rect { height: 1, ..inside }, buf, theme.dialog_field, theme);
        if self.found.is_empty() {
            buf.set_stringn(
                inside.x,
                inside.y + 2,
                "no operation is like that",
                usize::from(inside.width),
                theme.dim,
            );
        }
        let shown = self.found.iter().enumerate().skip(self.top).take(Self::rows(area));
        for (y, (index, choice)) in (inside.y + 2..).zip(shown) {
            let Some(choice) = self.all.get(*choice) else { continue };
            let (badge, style) = match choice.effect {
                Effect::Observe => ("observe", theme.info),
                Effect::Change => ("change ", theme.warning),
                Effect::Destroy => ("destroy", theme.error),
            };
            let mut line = Composed::new();
            line.push(&format!("{:<22} ", choice.name), theme.dialog);
            line.push(badge, style);
            line.push("  ", theme.dialog);
            line.push(&SafeText::new(&choice.summary), theme.dim);
            line.draw(buf, inside.x, y, inside.width, 0);
            if index == self.at {
                buf.set_style(Rect { y, height: 1, ..inside }, theme.cursor);
            }
        }
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        Some(self.input.cursor(Rect { height: 1, ..dialog::inside(area) }))
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, screen.width.min(100), screen.height.min(28))
    }
}
