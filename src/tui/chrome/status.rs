//! The two lines at the bottom: crumbs with what was last said, and the keys; or the prompt.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{Frame, Prompt, cut, put, width};
use crate::base::SafeText;
use crate::bus::Level;
use crate::tui::shared::Happening;

/// Lines that a flash takes at most.
const LONGEST: u16 = 4;
/// How long a line that nobody's doing brought, such as a notice at the start, is news.
const NEWS_SECONDS: i64 = 60;

/// Crumbs on the left, the latest message on the right. `rail`: whether the rail is shown.
pub fn line(frame: &Frame<'_>, rail: bool, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = frame.look.theme;
    let mut x = 1;
    for (i, tab) in frame.tabs.0.iter().enumerate() {
        let style = if i == frame.tabs.1 { theme.crumb_active } else { theme.crumb };
        x = put(buf, area, x, 0, &format!(" {tab} "), style) + 1;
    }
    if frame.flags.crumbs && (frame.crumbs.len() > 1 || frame.tabs.0.is_empty()) {
        for (i, crumb) in frame.crumbs.iter().enumerate() {
            if i > 0 {
                x = put(buf, area, x, 0, " › ", theme.dim);
            }
            let last = i + 1 == frame.crumbs.len();
            let text = format!(" {} ", SafeText::new(crumb));
            x = put(buf, area, x, 0, &text, if last { theme.crumb_active } else { theme.crumb });
        }
        x += 2;
    }
    let room = area.width.saturating_sub(x + 1);
    let Some(parts) = message(frame, rail) else { return };
    let wanted: u16 = parts.iter().map(|(text, _)| width(text)).sum();
    let mut at = if wanted < room { area.width - 1 - wanted } else { x };
    for (text, style) in parts {
        let left = area.width.saturating_sub(at + 1);
        at = put(buf, area, at, 0, &cut(&text, left), style);
    }
}

/// What to say there: a flash, else where an agent points, else (without the rail) what waits or runs.
fn message(frame: &Frame<'_>, rail: bool) -> Option<Vec<(String, Style)>> {
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    if let Some(flash) = frame.flash {
        let style = match flash.level {
            Level::Info => theme.info,
            Level::Warning => theme.warning,
            Level::Error => theme.error,
        };
        let mut text = SafeText::new(&flash.text).to_string();
        if flash.next.is_some() && !text.ends_with(['.', '?', '!', ':', '…']) {
            text.push('.');
        }
        let mut parts = vec![(text, style)];
        if let Some(next) = &flash.next {
            parts.push((format!("  {}", SafeText::new(next)), theme.dim));
        }
        return Some(parts);
    }
    if let Some(pointer) = shared.pointers.last().filter(|pointer| !pointer.followed) {
        let (sign, style) = theme.actor(pointer.from.kind);
        let words = if pointer.text.is_empty() { &*pointer.name } else { &*pointer.text };
        return Some(vec![
            (format!("{sign} "), style),
            (format!("\"{}\"", SafeText::new(words)), theme.body),
            ("  F3".to_owned(), theme.menu_key),
            (" show me".to_owned(), theme.menu),
        ]);
    }
    // The rail says the rest already: then the line stays calm.
    if rail {
        return None;
    }
    if let Some(waiting) = shared.approvals.first() {
        let sign = waiting.actor.as_ref().map_or("⚑", |a| theme.actor(a.kind).0);
        let text = format!("{sign} {} {} {}", waiting.operation, waiting.target, waiting.summary);
        return Some(vec![
            (text.trim_end().to_owned(), theme.agent),
            ("  F2".to_owned(), theme.menu_key),
            (" decide".to_owned(), theme.menu),
        ]);
    }
    // What nobody did is news for a while only.
    let fresh = |last: &&Happening| {
        last.actor.is_some() || frame.look.now.duration_since(last.at).as_secs() < NEWS_SECONDS
    };
    let last = shared.timeline.back().filter(|last| !last.said).filter(fresh)?;
    let sign = last.actor.as_ref().map_or("·", |a| theme.actor(a.kind).0);
    Some(vec![(format!("{sign} {} {}", last.text, last.mark.sign()), theme.dim)])
}

/// A flash that is too long for the room beside the crumbs, over the crumbs and the last lines of the pane: what to do
/// next is never cut off. Where a dialog is `covering` the line, whose keys are at its foot, it stands at the top of the
/// screen. Drawn last.
pub fn notice(frame: &Frame<'_>, area: Rect, covering: bool, buf: &mut Buffer) {
    if frame.flash.is_none() || frame.prompt.is_some() || area.is_empty() {
        return;
    }
    let Some(parts) = message(frame, false) else { return };
    let crumbs: u16 = frame.crumbs.iter().chain(frame.tabs.0).map(|c| width(c) + 5).sum();
    let wanted: u16 = parts.iter().map(|(text, _)| width(text)).sum();
    if !covering && wanted < area.width.saturating_sub(if frame.flags.crumbs { crumbs + 1 } else { 2 }) {
        return;
    }
    let lines = folded(&parts, area.width.saturating_sub(2));
    let count = u16::try_from(lines.len()).unwrap_or(LONGEST).min(LONGEST).min(area.y + 1);
    let first = if covering { buf.area.y } else { area.y + 1 - count };
    for (line, words) in (0..count).zip(&lines) {
        let row = Rect { y: first + line, height: 1, ..area };
        buf.set_stringn(
            row.x,
            row.y,
            " ".repeat(usize::from(row.width)),
            usize::from(row.width),
            Style::reset(),
        );
        buf.set_style(row, frame.look.theme.body);
        let mut x = 1;
        for (word, style) in words {
            x = put(buf, row, x, 0, word, *style) + 1;
        }
    }
}

/// Words in lines of a width.
fn folded(parts: &[(String, Style)], room: u16) -> Vec<Vec<(String, Style)>> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for (text, style) in parts {
        for word in text.split_whitespace().flat_map(|word| pieces(word, room)) {
            let wide = width(word);
            if used > 0 && used + 1 + wide > room {
                lines.push(Vec::new());
                used = 0;
            }
            used += wide + u16::from(used > 0);
            if let Some(line) = lines.last_mut() {
                line.push((word.to_owned(), *style));
            }
        }
    }
    lines
}

/// A word that is wider than the line, such as a path, in pieces that are not.
fn pieces(word: &str, room: u16) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (at, grapheme) in word.grapheme_indices(true) {
        let wide = width(grapheme);
        if used + wide > room.max(1) && at > from {
            found.push(&word[from..at]);
            (from, used) = (at, 0);
        }
        used += wide;
    }
    found.push(&word[from..]);
    found
}

/// What is typed, its completion, and what is wrong with it; gives where the cursor stands.
pub fn prompt(frame: &Frame<'_>, prompt: &Prompt<'_>, area: Rect, buf: &mut Buffer) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let theme = frame.look.theme;
    buf.set_style(area, theme.prompt);
    let sign = prompt.sign.to_string();
    let start = put(buf, area, 1, 0, &sign, theme.prompt_border);
    let error = prompt.error.or(prompt.input.note());
    // What is wrong has its place on the right; a long line scrolls beside it.
    let reserved = error.map_or(0, |e| width(e).min(area.width / 2) + 2);
    let room = area.width.saturating_sub(start + reserved).max(8).min(area.width.saturating_sub(start));
    let field = Rect { x: area.x + start, width: room, height: 1, ..area };
    let style = if prompt.selected { theme.prompt.add_modifier(Modifier::REVERSED) } else { theme.prompt };
    let x = start + prompt.input.draw_text(field, buf, style, theme);
    match error {
        Some(error) => {
            let text = cut(error, area.width.saturating_sub(x + 3));
            put(buf, area, x + 2, 0, &text, theme.error);
        }
        None => {
            put(buf, area, x, 0, prompt.ghost, theme.prompt_ghost);
        }
    }
    Some(prompt.input.cursor_in(field))
}

/// The keys, ordered by use, as many as fit.
pub fn keys(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    let mut x = 1;
    let shown = frame
        .keymap
        .bindings(frame.modes)
        .map(|(_, b)| b)
        .filter(|b| b.bar && !(shared.read_only && b.action.changes()))
        .filter(|b| frame.filterable || b.action.name != "prompt_filter");
    // The way to all the others is never cut off.
    let help = frame.keymap.bindings(frame.modes).map(|(_, b)| b).find(|b| b.action.name == "help");
    let help_text = help.and_then(|b| b.keys.first()).map(|k| k.label());
    let reserved = help_text.as_ref().map_or(0, |k| width(k) + 7);
    // A person's own plugins, and what is needed seldom, come behind what everybody needs first.
    let (seldom, own): (Vec<_>, Vec<_>) = shown
        .filter(|b| b.action.name != "help")
        .partition(|b| matches!(b.action.name, "plugin" | "attach" | "forward"));
    for binding in own.into_iter().chain(seldom) {
        let Some(key) = binding.keys.first().map(|k| k.label()) else { continue };
        if x + width(&key) + 1 + width(&binding.desc) + 2 + reserved > area.width {
            continue;
        }
        x = put(buf, area, x, 0, &key, theme.menu_key) + 1;
        x = put(buf, area, x, 0, &binding.desc, theme.menu) + 2;
    }
    if let Some(key) = help_text {
        x = put(buf, area, x, 0, &key, theme.menu_key) + 1;
        put(buf, area, x, 0, "help", theme.menu);
    }
}
