//! What tables say in words: in the title of rows that are not as they should be, and in place of rows that are not there.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use super::resources::thousands;
use crate::base::text::sanitize;
use crate::rows::Phase;
use crate::tui::pane::Look;
use crate::tui::theme::Theme;
use crate::tui::widgets::grid::Grid;

/// How a table's title begins, as k9s has it: `pods(shop)[12/1,204]`.
pub fn head(name: &str, scope: &str, grid: &Grid, theme: &Theme) -> Vec<Span<'static>> {
    let mut spans = vec![Span::styled(format!(" {}", sanitize(name)), theme.title)];
    if !scope.is_empty() {
        spans.push(Span::styled("(", theme.title));
        spans.push(Span::styled(sanitize(scope).into_owned(), theme.title_highlight));
        spans.push(Span::styled(")", theme.title));
    }
    let (shown, total) = (grid.shown(), grid.total());
    let narrowed = !grid.filter().is_empty() || grid.faults_only();
    let count =
        if narrowed { format!("{}/{}", thousands(shown), thousands(total)) } else { thousands(total) };
    spans.push(Span::styled("[", theme.title));
    spans.push(Span::styled(count, theme.title_counter));
    spans.push(Span::styled("]", theme.title));
    spans
}

/// What of a source is not live, and whether that is bad; `None` if all is well. `any`: rows of it are shown.
pub fn state(phase: &Phase, any: bool, now: i64) -> Option<(String, bool)> {
    Some(match phase {
        Phase::Live => return None,
        Phase::Connecting => ("connecting…".to_owned(), false),
        Phase::Loading { seen, expected: Some(all) } => {
            (format!("loading {} of {}…", thousands(*seen as usize), thousands(*all as usize)), false)
        }
        Phase::Loading { seen: 0, expected: None } => ("loading…".to_owned(), false),
        Phase::Loading { seen, expected: None } => (format!("loading {}…", thousands(*seen as usize)), false),
        Phase::Polling { every_seconds, reason } => {
            (format!("polling every {every_seconds} s ({reason})"), true)
        }
        Phase::Reconnecting { reason, .. } if !any => (format!("trying again: {reason}"), true),
        Phase::Reconnecting { reason, since, .. } => {
            let old = crate::rows::cell::age(now - since);
            (format!("stale since {old}, reconnecting: {reason}"), true)
        }
        Phase::Failed { error } => (error.message.clone(), true),
    })
}

/// Why rows are not there yet, and what to do; `None` where nothing is awaited.
pub fn awaited(phase: &Phase) -> Option<(String, String)> {
    let (what, _) = state(phase, false, 0)?;
    let next = match phase {
        // A reason that must be heard in a title too has the step already.
        Phase::Reconnecting { reason, next, .. } if !reason.contains(next.as_str()) => {
            format!("{next} Ctrl-r tries at once.")
        }
        Phase::Reconnecting { .. } => "Ctrl-r tries at once.".to_owned(),
        _ => "rows appear as they come".to_owned(),
    };
    Some((what, next))
}

/// Why there are no rows, and below it what changes that: each centred, and folded where it is too long for a line.
pub fn instead(what: &str, next: &str, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let mut y = area.y + (area.height / 3).max(1);
    let ground = look.theme.table.bg.map_or_else(Style::default, |bg| Style::new().bg(bg));
    for (text, style) in [(what, look.theme.body), (next, look.theme.dim)] {
        for line in folded(&sanitize(text), usize::from(area.width.saturating_sub(2))) {
            if y >= area.bottom() {
                return;
            }
            let width = u16::try_from(line.width()).unwrap_or(u16::MAX).min(area.width);
            let x = area.x + (area.width - width) / 2;
            buf.set_stringn(x, y, &line, usize::from(width), style.patch(ground));
            y += 1;
        }
    }
}

/// Words in lines of at most `width` cells, at most four: a longer text is a page, not a hint.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let count = lines.len();
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ if count == 4 => break,
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_folded_at_words() {
        assert_eq!(folded("one two three", 7), ["one two", "three"]);
        assert!(folded("", 7).is_empty());
        assert_eq!(folded(&"word ".repeat(90), 10).len(), 4);
    }

    #[test]
    fn only_what_is_live_needs_no_words() {
        assert_eq!(state(&Phase::Live, true, 0), None);
        let broken =
            Phase::Reconnecting { reason: "reset".into(), next: "Wait.".into(), since: 40, attempt: 2 };
        assert_eq!(state(&broken, true, 100), Some(("stale since 60s, reconnecting: reset".into(), true)));
        assert_eq!(state(&broken, false, 100), Some(("trying again: reset".into(), true)));
        let told = awaited(&broken).unwrap();
        assert_eq!(told, ("trying again: reset".into(), "Wait. Ctrl-r tries at once.".into()));
        let loading = Phase::Loading { seen: 1200, expected: Some(3000) };
        assert_eq!(state(&loading, false, 0), Some(("loading 1,200 of 3,000…".into(), false)));
    }
}
