//! Drawing the dialog of a change.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::Value;

use super::confirm::{ConfirmPane, Stage};
use crate::base::{Error, SafeText};
use crate::tui::pane::{Look, Pane as _};
use crate::tui::widgets::dialog;
use crate::tui::widgets::prose::{Ink, Prose, Row};

const NAMING: &str = "type the target's name: ";
/// Rows that a dialog without a card is tall.
const LEAST: u16 = 6;

/// Above: the card, or why there is none. Below: options, what is typed, why a key did not count.
pub fn split(area: Rect) -> (Rect, Rect) {
    let inside = dialog::inside(area);
    let height = inside.height.saturating_sub(2);
    (Rect { height, ..inside }, Rect { y: inside.y + height, height: inside.height - height, ..inside })
}

/// Where the target's name is typed.
pub fn field(area: Rect) -> Rect {
    let (_, foot) = split(area);
    let label = u16::try_from(NAMING.len()).unwrap_or(0).min(foot.width);
    Rect { x: foot.x + label, y: foot.bottom().saturating_sub(1), width: foot.width - label, height: 1 }
}

pub fn place(pane: &ConfirmPane, screen: Rect) -> Rect {
    let width = screen.width.min(100);
    let inside = width.saturating_sub(4);
    let rows = match (&pane.error, &pane.card) {
        (Some(error), _) => failure(pane, error, inside).len(),
        (None, Some(card)) => card.wants(inside),
        (None, None) => 1,
    };
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(dialog::FRAME_ROWS + 2);
    dialog::centred(screen, width, height.max(dialog::FRAME_ROWS + LEAST))
}

/// What went wrong, what to do next, and what the error knows besides: the lines around a mistake, another's change.
fn failure(pane: &ConfirmPane, error: &Error, width: u16) -> Vec<Row> {
    let mut p = Prose::new(width);
    p.words((Ink::Error, ""), Ink::Error, &error.message);
    p.words((Ink::Text, ""), Ink::Text, pane.next_step(error));
    let lines = |field: &str| -> Vec<String> {
        let details = error.details.as_ref().and_then(|d| d[field].as_array());
        details.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for (field, heading) in [("around", ""), ("other_change", "what another changed meanwhile:")] {
        let lines = lines(field);
        if lines.is_empty() {
            continue;
        }
        p.blank();
        if !heading.is_empty() {
            p.words((Ink::Label, ""), Ink::Label, heading);
        }
        for line in lines {
            let ink = match line.as_bytes().first() {
                Some(b'-') => Ink::Removed,
                Some(b'+') => Ink::Added,
                Some(b'>') => Ink::Error,
                _ => Ink::Text,
            };
            p.verbatim("  ", ink, &line);
        }
    }
    p.done()
}

pub fn render(pane: &ConfirmPane, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let theme = look.theme;
    let mut keys = dialog::keys(look, &pane.modes());
    let below = pane.card.as_ref().map_or(0, |c| c.below());
    if below > 0 && pane.error.is_none() {
        keys.insert(0, ("pgdn".into(), "more".into()));
    }
    dialog::frame(look, area, buf, pane.title(look), Line::default(), &keys);
    let (body, foot) = split(area);
    let rows = pane.error.as_ref().map(|e| failure(pane, e, body.width));
    match (&rows, &pane.card) {
        (Some(rows), _) => draw_rows(rows, look, body, buf),
        (None, Some(card)) => draw_rows(card.visible(), look, body, buf),
        (None, None) => {
            buf.set_stringn(body.x, body.y, "asking what it would do…", usize::from(body.width), theme.dim);
        }
    }
    if foot.height < 2 {
        return;
    }
    let width = usize::from(foot.width);
    if let Some(options) = pane.options() {
        buf.set_stringn(foot.x, foot.y, options, width, theme.dialog_label);
    } else if below > 0 && rows.is_none() {
        buf.set_stringn(foot.x, foot.y, format!("… {below} more rows below"), width, theme.warning);
    }
    let last = foot.y + 1;
    if let Some(input) = &pane.naming {
        buf.set_stringn(foot.x, last, NAMING, width, theme.dialog_label);
        input.draw(field(area), buf, theme.dialog_field, theme);
        return;
    }
    if pane.hint.is_none() && pane.is_asking() {
        let line = Rect { y: last, height: 1, ..foot };
        return dialog::question(look, line, "y", "does it now: that is the name", buf);
    }
    let text = match (&pane.stage, &pane.hint) {
        (_, Some(hint)) => hint.clone(),
        (Stage::Running, None) => "it is being made…".to_owned(),
        _ => String::new(),
    };
    buf.set_stringn(foot.x, last, &*SafeText::new(&text), width, theme.warning);
}

fn draw_rows(rows: &[Row], look: &Look<'_>, body: Rect, buf: &mut Buffer) {
    for (y, row) in (body.y..body.bottom()).zip(rows) {
        row.compose(look.theme).draw(buf, body.x, y, body.width, 0);
    }
}
