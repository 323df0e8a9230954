//! Dialogs: layers that ask one thing.

mod quit;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Padding, Widget as _};

pub use quit::Quit;

use super::pane::Look;

/// A rectangle of that size in the middle, as large as the screen allows.
pub fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}

/// Clears the place, draws the border and gives the inside.
pub fn frame(look: &Look<'_>, title: Line<'static>, area: Rect, buf: &mut Buffer) -> Rect {
    Clear.render(area, buf);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(look.theme.border_focused)
        .style(look.theme.dialog)
        .padding(Padding::horizontal(1))
        .title(title);
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// Draws buttons side by side from the left; `focused` is the index of the one that Enter presses.
pub fn buttons(look: &Look<'_>, labels: &[&str], focused: usize, area: Rect, buf: &mut Buffer) {
    let mut x = area.x;
    for (i, label) in labels.iter().enumerate() {
        let style = if i == focused { look.theme.button_focused } else { look.theme.button };
        let sign = if i == focused { ["▸", " "] } else { [" ", " "] };
        let text = format!("{}{label}{} ", sign[0], sign[1]);
        if x >= area.right() {
            return;
        }
        let (end, _) = buf.set_stringn(x, area.y, &text, usize::from(area.right() - x), style);
        x = end + 2;
    }
}
