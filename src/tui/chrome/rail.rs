//! The rail: who is here and what they do, what waits for a decision, what happened.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Frame, cut, put, width};
use crate::tui::shared::{Happening, Mark, Participant};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

pub fn render(frame: &Frame<'_>, area: Rect, buf: &mut Buffer) {
    if area.width < 4 || area.height < 3 {
        return;
    }
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    buf.set_style(area, theme.body);
    border(area, buf, theme.border);
    put(buf, area, 2, 0, " session ", theme.title);
    let inner = Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 };
    let mut row = 0;
    // People first: half of the rail at most.
    for participant in &shared.participants {
        if row + 1 >= inner.height / 2 {
            break;
        }
        row = someone(frame, participant, inner, row, buf);
    }
    if shared.participants.is_empty() {
        put(buf, inner, 0, row, "nobody else is here", theme.dim);
        row += 1;
    }
    row += 1;
    for waiting in &shared.approvals {
        if row + 2 >= inner.height * 2 / 3 {
            break;
        }
        let text = format!("⚑ {} {} {}", waiting.operation, waiting.target, waiting.summary);
        put(buf, inner, 0, row, &cut(text.trim_end(), inner.width.saturating_sub(4)), theme.warning);
        put(buf, inner, inner.width.saturating_sub(2), row, "F2", theme.menu_key);
        row += 1;
    }
    if row >= inner.height {
        return;
    }
    let rule = "─".repeat(usize::from(inner.width));
    put(buf, inner, 0, row, &rule, theme.border);
    put(buf, inner, 2, row, " timeline ", theme.header_label);
    row += 1;
    if shared.timeline.is_empty() {
        put(buf, inner, 0, row, "nothing yet", theme.dim);
    }
    for (row, happening) in (row..inner.height).zip(shared.timeline.iter().rev()) {
        line(frame, happening, inner, row, buf);
    }
}

fn someone(frame: &Frame<'_>, participant: &Participant, area: Rect, row: u16, buf: &mut Buffer) -> u16 {
    let (theme, shared) = (frame.look.theme, frame.look.shared);
    let (sign, style) = theme.actor(participant.actor.kind);
    let own = participant.actor == shared.actor;
    let name = if own { "you" } else { participant.actor.name.as_str() };
    let name = crate::base::SafeText::new(name);
    put(buf, area, 0, row, sign, style);
    put(buf, area, 2, row, &cut(&name, 10), style);
    put(buf, area, 13, row, &cut(&participant.looks_at, area.width.saturating_sub(13)), theme.dim);
    match &participant.doing {
        Some((what, since)) => {
            let seconds = frame.look.now.duration_since(*since).as_secs().max(0);
            let turn = SPINNER[usize::try_from(seconds).unwrap_or(0) % SPINNER.len()];
            let text = format!("{turn} {what} {seconds} s");
            put(buf, area, 2, row + 1, &cut(&text, area.width - 2), theme.info);
            row + 2
        }
        None => row + 1,
    }
}

fn line(frame: &Frame<'_>, happening: &Happening, area: Rect, row: u16, buf: &mut Buffer) {
    let theme = frame.look.theme;
    let time = happening.at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string();
    let mut x = put(buf, area, 0, row, &time, theme.dim) + 1;
    if let Some(actor) = &happening.actor {
        let (sign, style) = theme.actor(actor.kind);
        x = put(buf, area, x, row, sign, style) + 1;
    }
    let sign = happening.mark.sign();
    let room = area.width.saturating_sub(x + width(sign) + 1);
    let mark: Style = match happening.mark {
        Mark::Done => theme.success,
        Mark::Failed | Mark::Refused => theme.error,
        Mark::Waits => theme.warning,
        Mark::Running | Mark::None => theme.dim,
    };
    put(buf, area, x, row, &cut(&happening.text, room), theme.body);
    put(buf, area, area.width.saturating_sub(width(sign)), row, sign, mark);
}

fn border(area: Rect, buf: &mut Buffer, style: Style) {
    use ratatui::widgets::{Block, BorderType, Borders, Widget as _};
    Block::new().borders(Borders::ALL).border_type(BorderType::Rounded).border_style(style).render(area, buf);
}
