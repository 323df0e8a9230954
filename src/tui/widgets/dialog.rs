//! The frame of a dialog: a cleared box with a title on the left and right, and a line of keys below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use super::composed::Composed;
use crate::tui::pane::Look;

/// A box in the middle of the screen, at most as large as it.
pub fn centred(screen: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        // A little above the middle, where the eye is.
        y: screen.y + (screen.height - height) * 2 / 5,
        width,
        height,
    }
}

/// What is inside the frame and its margin, above the line of keys.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 2.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(3),
    }
}

/// Rows around what is inside.
pub const FRAME_ROWS: u16 = 3;

/// Draws the frame. `keys` are pairs of a key and what it does.
pub fn frame(
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
    title: Line<'static>,
    right: Line<'static>,
    keys: &[(&str, &str)],
) {
    let theme = look.theme;
    Clear.render(area, buf);
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.border_focused)
        .style(theme.dialog)
        .title_top(title)
        .title_top(right.right_aligned())
        .render(area, buf);
    if area.height < 3 || area.width < 6 {
        return;
    }
    let mut line = Composed::new();
    for (key, meaning) in keys {
        line.push(key, theme.menu_key);
        line.push(" ", theme.menu);
        line.push(meaning, theme.menu);
        line.push("   ", theme.menu);
    }
    line.draw(buf, area.x + 2, area.bottom() - 2, area.width - 4, 0);
}
