//! Everything around the pane: header, banner, rail, status line, key bar. Drawn from state alone.
//!
//! ```text
//!  qd  eu-1 ▸ shop            k8s 1.36.3 · 3 clusters, 1 down · api 2 ms         ⚑ 1 waits  12:04   header
//!  changes are refused: the disk is full                                                            banner
//! ╭ pods(shop)[1,204] ───────────────────────────────────────────╮╭ session ──────────────────────╮
//! │ the pane's                                                   ││ the rail's                     │
//! ╰──────────────────────────────────────────────────────────────╯╰───────────────────────────────╯
//!  pods › logs                          ◆ "tag 1.2.4 does not exist"  F3 show me                    status
//!  l logs  d describe  y yaml                                                                       keys
//! ```
//!
//! The prompt takes the status line, so that nothing moves when it opens.

mod header;
mod rail;
mod status;

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::effect::Flash;
use super::keymap::Keymap;
use super::pane::Look;
use super::shared::Shared;
use super::widgets::input::Input;

/// From this width up there is room for the rail.
pub const RAIL_FROM: u16 = 160;
/// The rail's width with its border.
pub const RAIL: u16 = 38;
/// The tall header's height.
const TALL: u16 = 6;

/// What the operator has switched on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    pub tall_header: bool,
    pub crumbs: bool,
    /// Shown where the width allows it.
    pub rail: bool,
    /// Only the pane: no header, rail, status or keys.
    pub fullscreen: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { tall_header: false, crumbs: true, rail: true, fullscreen: false }
    }
}

/// Where everything stands. What has no room, or is off, is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Areas {
    pub header: Rect,
    pub banner: Rect,
    /// The pane with its border.
    pub body: Rect,
    pub rail: Rect,
    pub status: Rect,
    pub keys: Rect,
}

/// On a smaller screen than this nothing can be read.
const LEAST: (u16, u16) = (24, 7);

/// Says that the screen is too small, if it is; then nothing else is drawn.
pub fn too_small(screen: Rect, theme: &super::theme::Theme, buf: &mut Buffer) -> bool {
    if screen.width >= LEAST.0 && screen.height >= LEAST.1 {
        return false;
    }
    buf.set_style(screen, theme.body);
    let whole =
        format!("too small: {}×{}, and {}×{} is needed", screen.width, screen.height, LEAST.0, LEAST.1);
    let lines: Vec<&str> = match screen.width {
        0..5 => vec!["small"],
        5..9 => vec!["too", "small"],
        _ => vec!["too small"],
    };
    if width(&whole) <= screen.width {
        put(buf, screen, 0, 0, &whole, theme.warning);
        return true;
    }
    let needed = format!("needs {}×{}", LEAST.0, LEAST.1);
    let needed = Some(needed.as_str()).filter(|needed| width(needed) <= screen.width);
    for (row, line) in (0..screen.height).zip(lines.into_iter().chain(needed)) {
        put(buf, screen, 0, row, &cut(line, screen.width), theme.warning);
    }
    true
}

/// Divides the screen. The pane always gets what is left, however small the terminal.
pub fn layout(screen: Rect, flags: Flags, banner: bool, prompt: bool) -> Areas {
    let mut rest = screen;
    let top = |rest: &mut Rect, height: u16| {
        let height = height.min(rest.height.saturating_sub(1));
        let area = Rect { height, ..*rest };
        rest.y += height;
        rest.height -= height;
        area
    };
    let bottom = |rest: &mut Rect, height: u16| {
        let height = height.min(rest.height.saturating_sub(1));
        rest.height -= height;
        Rect { y: rest.y + rest.height, height, ..*rest }
    };
    let mut areas = Areas::default();
    if !flags.fullscreen {
        let tall = flags.tall_header && screen.height >= 24;
        areas.header = top(&mut rest, if tall { TALL } else { 1 });
    }
    if banner {
        areas.banner = top(&mut rest, 1);
    }
    if !flags.fullscreen {
        areas.keys = bottom(&mut rest, 1);
    }
    if !flags.fullscreen || prompt {
        areas.status = bottom(&mut rest, 1);
    }
    if flags.rail && !flags.fullscreen && screen.width >= RAIL_FROM {
        rest.width -= RAIL;
        areas.rail = Rect { x: rest.x + rest.width, width: RAIL, ..rest };
    }
    areas.body = rest;
    areas
}

/// What is typed after `:` or `/`.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// `:` or `/`.
    pub sign: char,
    pub input: &'a Input,
    /// What is typed next takes the text's place.
    pub selected: bool,
    /// What completion would add.
    pub ghost: &'a str,
    /// Why what was typed is not understood.
    pub error: Option<&'a str>,
}

/// What drawing around the pane reads.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub look: Look<'a>,
    pub keymap: &'a Keymap,
    /// The modes of what has the focus, with `global` or `dialog`.
    pub modes: &'a [CompactString],
    /// The names of the panes from the bottom of the stack to the one in view.
    pub crumbs: &'a [CompactString],
    /// The tabs' names and which has the focus; none where there is one only.
    pub tabs: (&'a [CompactString], usize),
    pub flags: Flags,
    pub prompt: Option<Prompt<'a>>,
    /// The clusters of the pane in view, where they are not the session's, and its namespaces as titles say them.
    pub elsewhere: Option<(&'a [CompactString], &'a str)>,
    /// Whether what has the focus can be filtered.
    pub filterable: bool,
    pub flash: Option<&'a Flash>,
}

/// Draws everything but the pane; gives where the cursor stands if there is a prompt.
pub fn render(frame: &Frame<'_>, areas: &Areas, buf: &mut Buffer) -> Option<Position> {
    let theme = frame.look.theme;
    for area in [areas.header, areas.status, areas.keys] {
        buf.set_style(area, theme.body);
    }
    header::render(frame, areas.header, buf);
    if let Some(reason) = &frame.look.shared.store_blocked {
        buf.set_style(areas.banner, theme.banner);
        let text = format!(" changes are refused: {}", crate::base::SafeText::new(reason));
        put(buf, areas.banner, 0, 0, &text, theme.banner);
    }
    rail::render(frame, areas.rail, buf);
    status::keys(frame, areas.keys, buf);
    match &frame.prompt {
        Some(prompt) => status::prompt(frame, prompt, areas.status, buf),
        None => {
            status::line(frame, !areas.rail.is_empty(), areas.status, buf);
            None
        }
    }
}

/// Draws what goes over everything else: a message that is longer than its line, or whose line is under a dialog, `layer`.
pub fn notice(frame: &Frame<'_>, areas: &Areas, layer: Option<Rect>, buf: &mut Buffer) {
    let covered = layer.is_some_and(|layer| layer.intersects(areas.status));
    status::notice(frame, areas.status, covered, buf);
}

/// When what is drawn here changes by time alone: the clock's minute, or the second of a call that runs.
pub fn wake(shared: &Shared, now: Timestamp) -> Timestamp {
    let running = shared.participants.iter().any(|p| p.doing.is_some());
    let step = if running { 1 } else { 60 };
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(step) + step).unwrap_or(now)
}

/// Writes `text` at `column`, `row` of `area`, as far as it goes; gives the column after it.
fn put(buf: &mut Buffer, area: Rect, column: u16, row: u16, text: &str, style: Style) -> u16 {
    if row >= area.height || column >= area.width {
        return column;
    }
    let room = usize::from(area.width - column);
    let (x, _) = buf.set_stringn(area.x + column, area.y + row, text, room, style);
    x - area.x
}

/// Columns that a text takes.
fn width(text: &str) -> u16 {
    u16::try_from(unicode_width::UnicodeWidthStr::width(text)).unwrap_or(u16::MAX)
}

/// The text cut to `columns`, with an ellipsis where something was left out.
pub fn cut(text: &str, columns: u16) -> CompactString {
    use unicode_width::UnicodeWidthChar as _;
    if width(text) <= columns {
        return text.into();
    }
    let mut out = CompactString::default();
    let mut left = usize::from(columns.saturating_sub(1));
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if w > left {
            break;
        }
        left -= w;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
