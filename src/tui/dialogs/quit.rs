//! Asks before leaving while something runs.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{buttons, centred, frame};
use crate::base::SafeText;
use crate::tui::action::Action;
use crate::tui::chrome::cut;
use crate::tui::effect::{Cx, Message};
use crate::tui::pane::{Handled, Look, Pane};

/// Lines of what is open that are shown at most.
const MOST: u16 = 10;

/// Lists what runs and what waits, and leaves only when told to.
pub struct Quit {
    running: Vec<SafeText>,
    leave: bool,
}

impl Quit {
    /// `running`: a line for each thing that runs or waits.
    pub fn new(running: &[String]) -> Self {
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
        Line::from(" leave with this open? ")
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
        centred(screen, 76, u16::try_from(self.running.len()).unwrap_or(MOST).min(MOST) + 5)
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let inner = frame(look, self.title(look), area, buf);
        let room = inner.height.saturating_sub(2);
        let more = self.running.len().saturating_sub(usize::from(room));
        for (line, text) in (0..room).zip(&self.running) {
            let (y, width) = (inner.y + line, usize::from(inner.width));
            // The last line that fits stands for all that do not.
            let rest = (more > 0 && line + 1 == room).then(|| format!("and {} more", more + 1));
            let text = cut(rest.as_deref().unwrap_or(text.as_str()), inner.width);
            buf.set_stringn(inner.x, y, text, width, look.theme.dialog);
        }
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        buttons(look, &["stay", "leave"], usize::from(self.leave), last, buf);
    }
}
