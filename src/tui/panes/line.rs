//! A question of one line, whose answer is an action of the pane below: which fields, which time, which file.

use compact_str::CompactString;
use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::widgets::dialog;
use crate::tui::widgets::input::Input;

pub struct LinePane {
    title: &'static str,
    hint: &'static str,
    /// What the answer is given to.
    action: &'static str,
    input: Input,
}

impl LinePane {
    /// `action` must be one that takes words; `offered` stands in the field, to be kept or typed over.
    pub fn new(title: &'static str, hint: &'static str, action: &'static str, offered: &str) -> Self {
        Self { title, hint, action, input: Input::offer(offered) }
    }

    fn field(area: Rect) -> Rect {
        let inside = dialog::inside(area);
        Rect { y: inside.y + 1, height: 1, ..inside }
    }
}

impl Pane for LinePane {
    fn name(&self) -> CompactString {
        "line".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["line".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::styled(format!(" {} ", self.title), look.theme.title)
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        if action.name != "accept" {
            return Handled::No;
        }
        cx.close();
        cx.act(Action { words: self.input.text().trim().into(), ..Action::named(self.action) });
        Handled::Yes
    }

    fn text(&mut self, key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        if self.input.key(key) { Handled::Yes } else { Handled::No }
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) -> Handled {
        self.input.paste(text);
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        dialog::frame(look, area, buf, self.title(look), Line::default(), &dialog::keys(look, &self.modes()));
        let inside = dialog::inside(area);
        buf.set_stringn(inside.x, inside.y, self.hint, usize::from(inside.width), look.theme.dialog_label);
        self.input.draw(Self::field(area), buf, look.theme.dialog_field, look.theme);
    }

    fn cursor(&self, area: Rect) -> Option<Position> {
        Some(self.input.cursor(Self::field(area)))
    }

    fn place(&self, screen: Rect) -> Rect {
        dialog::centred(screen, 76, dialog::FRAME_ROWS + 3)
    }
}
