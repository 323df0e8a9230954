//! Asks before leaving while something runs.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{buttons, centred, frame};
use crate::base::SafeText;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Message};
use crate::tui::pane::{Handled, Look, Pane};

/// Lists what runs, and leaves only when told to.
pub struct Quit {
    running: Vec<SafeText>,
    leave: bool,
}

impl Quit {
    pub fn new(running: Vec<String>) -> Self {
        Self { running: running.iter().map(|text| SafeText::new(text)).collect(), leave: false }
    }
}

impl Pane for Quit {
    fn name(&self) -> CompactString {
        "quit".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        Vec::new()
    }

    fn title(&self, _: &Look<'_>) -> Line<'static> {
        Line::from(" leave while something runs? ")
    }

    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        match action.name {
            "tab" | "tab_back" | "up" | "down" => self.leave = !self.leave,
            "accept" if self.leave => cx.quit(),
            "accept" | "cancel" | "back" => cx.close(),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, _: Message, _: &mut Cx<'_>) {}

    fn place(&self, screen: Rect) -> Rect {
        centred(screen, 60, (self.running.len() as u16).min(10) + 5)
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let inner = frame(look, self.title(look), area, buf);
        for (line, text) in (0..inner.height.saturating_sub(2)).zip(&self.running) {
            buf.set_stringn(
                inner.x,
                inner.y + line,
                text.as_str(),
                usize::from(inner.width),
                look.theme.dialog,
            );
        }
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        buttons(look, &["stay", "leave"], usize::from(self.leave), last, buf);
    }
}
