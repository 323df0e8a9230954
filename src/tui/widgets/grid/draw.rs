//! Drawing the visible rows. The cost is the area's, whatever the table holds.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::symbols::scrollbar;
use unicode_width::UnicodeWidthStr;

use super::{Candidate, Grid, text_of};
use crate::base::text::sanitize;
use crate::rows::{Align, Cell, Row, RowKey, Source, Tone};
use crate::tui::pane::Look;

/// How a pane wants its rows painted, beyond what the rows say themselves.
pub struct Paint<'a> {
    /// Where an agent points: the row gets its sign, and the cell of the column that it names is underlined.
    pub pointed: Option<Pointed<'a>>,
    /// Which rows may have changed since: they are dim, and have a sign.
    pub old: Option<&'a dyn Fn(&RowKey) -> bool>,
}

/// The column that is meant of a row that is pointed at; empty where it is the whole row.
pub type Pointed<'a> = &'a dyn Fn(&RowKey) -> Option<&'a str>;

/// Stands behind the name of a row that is not live.
const OLD: &str = "~";

impl Grid {
    pub fn render(&self, look: &Look<'_>, paint: &Paint<'_>, area: Rect, buf: &mut Buffer) {
        if area.height == 0 || area.width == 0 {
            return;
        }
        self.header(look, Rect { height: 1, ..area }, buf);
        let now = look.now.as_second();
        for line in 0..area.height - 1 {
            let position = self.top + usize::from(line);
            let Some((row, there)) = self.view.row(&self.table, position) else { break };
            let line = Rect { y: area.y + 1 + line, height: 1, ..area };
            let old = paint.old.is_some_and(|old| old(&row.key));
            let style = self.row_style(look, row, (there, old), position);
            let pointed = paint.pointed.and_then(|pointed| pointed(&row.key));
            buf.set_style(line, style.row);
            for placed in &self.placed {
                let column = &self.columns.all()[placed.index];
                let cell = Rect { x: line.x + placed.x, width: placed.width, ..line };
                self.cell(row, column, now, cell, &style, look, buf);
                if pointed.is_some_and(|field| column.name.eq_ignore_ascii_case(field)) {
                    buf.set_style(cell, look.theme.agent.add_modifier(Modifier::UNDERLINED));
                }
            }
            if pointed.is_some() {
                self.sign(row, "◆", look.theme.agent, line, buf);
            }
            if old {
                self.sign(row, OLD, look.theme.warning, line, buf);
            }
            if self.marks.contains(&row.key) {
                // The mark is a sign too, for screens without colour.
                buf.set_string(
                    line.right().saturating_sub(1),
                    line.y,
                    "•",
                    style.row.patch(look.theme.marked),
                );
            }
        }
        self.scroll_mark(look, area, buf);
    }

    fn row_style(&self, look: &Look<'_>, row: &Row, (there, old): (bool, bool), position: usize) -> RowStyle {
        let theme = look.theme;
        let mut base = theme.table;
        if old {
            base = base.patch(theme.dim);
        }
        if !there {
            base = base.patch(theme.dim).add_modifier(Modifier::CROSSED_OUT);
        }
        if self.marks.contains(&row.key) {
            base = base.patch(theme.marked);
        }
        let current = position == self.position;
        RowStyle { row: if current { base.patch(theme.cursor) } else { base }, current, fresh: there && !old }
    }

    fn header(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        buf.set_style(area, theme.table_header);
        for placed in &self.placed {
            let column = &self.columns.all()[placed.index];
            let sorted = column.source == self.sort.by || self.is_sort_name(column);
            let arrow = match (sorted, self.sort.descending) {
                (false, _) => "",
                (true, false) => "↑",
                (true, true) => "↓",
            };
            let mut style =
                if sorted { theme.table_header.patch(theme.table_sorter) } else { theme.table_header };
            if self.sort_choice == Some(placed.index) {
                style = style.add_modifier(Modifier::UNDERLINED);
            }
            let name = match (column.source, self.heading) {
                (Source::Name, Some(heading)) => heading.into(),
                _ => sanitize(&column.name),
            };
            let room = usize::from(placed.width).saturating_sub(arrow.width());
            let name = cut(&name, room);
            let text = format!("{name}{arrow}");
            let x = aligned(area.x + placed.x, placed.width, text.width(), column.align);
            buf.set_stringn(x, area.y, &text, usize::from(placed.width), style);
        }
    }

    fn is_sort_name(&self, column: &Candidate) -> bool {
        // A cell that is named as the key's part that one sorts by.
        match self.sort.by {
            Source::Name => column.name == "NAME",
            Source::Namespace => column.name == "NAMESPACE",
            Source::Cluster => column.name == "CLUSTER",
            Source::Cell(_) => false,
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one cell is all of these")]
    fn cell(
        &self,
        row: &Row,
        column: &Candidate,
        now: i64,
        area: Rect,
        style: &RowStyle,
        look: &Look<'_>,
        buf: &mut Buffer,
    ) {
        let text = text_of(row, column.source, now);
        let text = sanitize(&text);
        let tone = match column.source {
            Source::Cell(i) => row.cells.get(i).map_or(Tone::Dim, Cell::tone),
            _ => Tone::Normal,
        };
        let mut cell_style = style.row;
        if style.fresh && tone != Tone::Normal {
            let tone = look.theme.tone(tone);
            // On the cursor's line the theme's cursor colours hold; the tone's weight stays.
            cell_style = if style.current {
                cell_style.add_modifier(tone.add_modifier)
            } else {
                cell_style.patch(tone)
            };
        }
        let width = text.width();
        let shown = cut(&text, usize::from(area.width));
        let x = aligned(area.x, area.width, width, column.align);
        buf.set_stringn(x, area.y, shown, usize::from(area.width), cell_style);
    }

    /// A sign right behind the name.
    fn sign(&self, row: &Row, sign: &str, sign_style: Style, line: Rect, buf: &mut Buffer) {
        let name = self.placed.iter().find(|p| {
            let column = &self.columns.all()[p.index];
            column.source == Source::Name || column.name == "NAME"
        });
        let Some(placed) = name else { return };
        let width = sanitize(&row.key.name).width().min(usize::from(placed.width)) as u16;
        let x = (line.x + placed.x + width + 1).min(line.right().saturating_sub(1));
        let style = buf.cell((x, line.y)).map_or(Style::default(), |c| c.style());
        buf.set_string(x, line.y, sign, style.patch(sign_style));
    }

    /// A thumb at the right border where there is more than fits.
    fn scroll_mark(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let (total, height) = (self.view.len(), usize::from(area.height - 1));
        if total <= height || height == 0 {
            return;
        }
        let length = (height * height / total).max(1);
        let start = (self.top * (height - length)).div_ceil((total - height).max(1)).min(height - length);
        for line in start..start + length {
            let y = area.y + 1 + line as u16;
            if let Some(cell) = buf.cell_mut((area.right() - 1, y))
                && cell.symbol() == " "
            {
                cell.set_symbol(scrollbar::VERTICAL.thumb).set_style(look.theme.border);
            }
        }
    }
}

struct RowStyle {
    row: Style,
    current: bool,
    /// False for a row that is gone and whose place is not closed yet, and for an old one.
    fresh: bool,
}

/// What fits of a text, with an ellipsis where some is left out.
fn cut(text: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let mut out = String::new();
    let mut used = 1;
    for grapheme in unicode_segmentation::UnicodeSegmentation::graphemes(text, true) {
        used += grapheme.width();
        if used > width {
            break;
        }
        out.push_str(grapheme);
    }
    if width > 0 {
        out.push('…');
    }
    out.into()
}

fn aligned(x: u16, width: u16, text: usize, align: Align) -> u16 {
    match align {
        Align::Left => x,
        Align::Right => x + width.saturating_sub(text.min(usize::from(width)) as u16),
    }
}
