//! The frame of a dialog: a cleared box with a title on the left and right, and a line of keys below.

use compact_str::CompactString;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};
use unicode_width::UnicodeWidthStr as _;

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

/// What the keymap says of the keys that hold in these modes of a dialog: the bar that is drawn in its frame.
pub fn keys(look: &Look<'_>, modes: &[CompactString]) -> Vec<(CompactString, CompactString)> {
    let modes: Vec<CompactString> = modes.iter().cloned().chain(["dialog".into()]).collect();
    let bindings = look.shared.keymap.bindings(&modes).map(|(_, b)| b);
    let bindings = bindings.filter(|b| b.bar && !(look.shared.read_only && b.action.changes()));
    // The way out stands last, whatever mode it is of.
    let (mut all, out): (Vec<_>, Vec<_>) = bindings.partition(|b| b.action.name != "cancel");
    all.extend(out);
    all.into_iter().filter_map(|b| Some((b.keys.first()?.label(), b.desc.clone()))).collect()
}

/// The last question of a dialog, on a line of its own: the key that answers it as a button, and what it does.
pub fn question(look: &Look<'_>, line: Rect, key: &str, does: &str, buf: &mut Buffer) {
    let mut words = Composed::new();
    words.push(&format!(" {key} "), look.theme.button_focused);
    words.push(" ", look.theme.dialog_label);
    words.push(does, look.theme.dialog_label);
    words.draw(buf, line.x, line.y, line.width, 0);
}

/// Draws the frame. `keys` are pairs of a key and what it does.
pub fn frame(
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
    title: Line<'static>,
    right: Line<'static>,
    keys: &[(CompactString, CompactString)],
) {
    let theme = look.theme;
    Clear.render(area, buf);
    // One of two titles that would stand on each other goes.
    let both = title.width() + right.width() + 3 <= usize::from(area.width);
    let right = if both { right } else { Line::default() };
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
    // Whole entries only; the last, the way out, is never left out.
    let width = |(key, meaning): &(CompactString, CompactString)| key.width() + 1 + meaning.width();
    let mut room = usize::from(area.width - 4);
    let reserved = keys.last().map_or(0, width);
    let mut line = Composed::new();
    for (i, entry) in keys.iter().enumerate() {
        let last = i + 1 == keys.len();
        let kept = if last { 0 } else { reserved + 3 };
        if width(entry) + kept > room {
            continue;
        }
        room = room.saturating_sub(width(entry) + 3);
        line.push(&entry.0, theme.menu_key);
        line.push(" ", theme.menu);
        line.push(&entry.1, theme.menu);
        line.push("   ", theme.menu);
    }
    line.draw(buf, area.x + 2, area.bottom() - 2, area.width - 4, 0);
}
