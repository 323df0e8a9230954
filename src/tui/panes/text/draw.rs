//! Drawing a document: which rows are on the screen, and what the mouse points at.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::colour;
use super::document::Document;
use crate::tui::effect::{Cx, Flash};
use crate::tui::pane::Look;
use crate::tui::theme::Theme;
use crate::tui::widgets::composed::{Composed, cut};
use crate::tui::widgets::select::{Selection, Spot};

/// What is drawn.
pub struct Page<'a> {
    pub document: &'a Document,
    /// It is a difference: lines are coloured by how they begin.
    pub diff: bool,
    pub wrap: bool,
    pub selection: Option<&'a Selection>,
    /// Lines that somebody points at.
    pub pointed: Vec<usize>,
}

/// A row on the screen: its line, and the byte of what is shown of the line with which it begins.
struct Row<'a> {
    index: usize,
    y: u16,
    line: &'a Composed,
    start: usize,
}

impl Page<'_> {
    /// Calls `each` with the rows on the screen, until it says that it has seen enough.
    fn each_row(&self, theme: Option<&Theme>, area: Rect, mut each: impl FnMut(Row<'_>) -> bool) {
        let document = self.document;
        let (line, mut skip) = document.top;
        let mut y = area.y;
        let width = usize::from(area.width);
        let first = document.shown_index(line).min(document.shown().len());
        for &index in &document.shown()[first..] {
            if y >= area.bottom() {
                return;
            }
            let room = usize::from(area.bottom() - y);
            let cells = if self.wrap { (skip + room) * width } else { document.left + width };
            let composed = self.line(index, theme, cells * 4);
            let starts = if self.wrap {
                composed.rows(width, skip + room)
            } else {
                vec![composed.offset(document.left)]
            };
            for start in starts.iter().skip(skip).take(room) {
                if !each(Row { index, y, line: &composed, start: *start }) {
                    return;
                }
                y += 1;
            }
            skip = 0;
        }
    }

    /// A line as it is shown. Without a theme only its text is right.
    fn line(&self, index: usize, theme: Option<&Theme>, limit: usize) -> Composed {
        let text = self.document.line(index);
        let Some(theme) = theme else { return Composed::plain(cut(text, limit), Style::default()) };
        let mut composed =
            if self.diff { colour::diff(text, theme, limit) } else { colour::line(text, theme, limit) };
        for range in self.document.highlights(composed.text()) {
            composed.paint(range, theme.found);
        }
        if let Some(range) = self.selection.and_then(|s| s.range(index as u64, composed.text().len())) {
            composed.paint(range, Style::new().add_modifier(Modifier::REVERSED));
        }
        if self.pointed.contains(&index) {
            let all = 0..composed.text().len();
            composed.paint(all, theme.agent.add_modifier(Modifier::UNDERLINED));
            composed.push(" ◆", theme.agent);
        }
        let hidden = self.document.hides(index);
        if hidden > 0 {
            composed.push(&format!(" ▸ {hidden} lines"), theme.dim);
        }
        composed
    }

    pub fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        self.each_row(Some(look.theme), area, |row| {
            row.line.draw(buf, area.x, row.y, area.width, row.start);
            if row.index == self.document.cursor && look.focused {
                buf.set_style(Rect { y: row.y, height: 1, ..area }, look.theme.cursor);
            }
            true
        });
    }

    /// The character at a place of the screen. Right of a line's end it is the end.
    pub fn spot(&self, area: Rect, column: u16, y: u16) -> Option<Spot> {
        let mut found = None;
        self.each_row(None, area, |row| {
            if row.y == y {
                let cell = usize::from(column.saturating_sub(area.x));
                let rest = Composed::plain(&row.line.text()[row.start..], Style::default());
                let (from, to) = (row.start + rest.offset(cell), row.start + rest.offset(cell + 1));
                found = Some(Spot { line: row.index as u64, bytes: from..to });
            }
            row.y < y
        });
        found
    }

    /// What is selected, without what folds hide.
    pub fn selected(&self, selection: &Selection) -> String {
        selection.text(|line| {
            let index = usize::try_from(line).ok()?;
            self.document.shown().binary_search(&index).ok()?;
            Some(crate::base::text::sanitize(self.document.line(index)).into_owned())
        })
    }
}

/// Puts a selected text onto the clipboard, or says why not.
pub fn copy(text: String, cx: &mut Cx<'_>) {
    if text.len() > super::COPY_BYTES {
        cx.flash(
            Flash::warning("the selection is too long for the clipboard").next("Ctrl-s saves to a file."),
        );
    } else if !text.is_empty() {
        cx.copy(text);
        cx.flash(Flash::info("the selection is on the clipboard"));
    }
}
