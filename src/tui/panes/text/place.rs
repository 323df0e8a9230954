//! Where the reader is: the cursor's line on the screen, and moving within and between wrapped lines.

use super::TextPane;

impl TextPane {
    fn rows_of(&self, line: usize) -> usize {
        if !self.wrap {
            return 1;
        }
        let safe = crate::base::text::sanitize(self.document.line(line));
        crate::tui::widgets::composed::Composed::plain(&safe, ratatui::style::Style::default())
            .rows(self.size.0, usize::MAX)
            .len()
    }

    /// Keeps the cursor's line on the screen and moves as little as can be.
    pub(super) fn settle(&mut self) {
        let (_, rows) = self.size;
        let shown = self.document.shown();
        let cursor = self.document.shown_index(self.document.cursor);
        let mut top = self.document.shown_index(self.document.top.0);
        let mut row = self.document.top.1;
        if cursor < top {
            (top, row) = (cursor, 0);
        } else {
            // From the cursor back, as many lines as fit.
            let (mut used, mut first) = (0, cursor);
            loop {
                used += self.rows_of(shown.get(first).copied().unwrap_or_default());
                if used > rows && first < cursor {
                    first += 1;
                    break;
                }
                if first == 0 || used >= rows || first == top {
                    break;
                }
                first -= 1;
            }
            if first > top {
                (top, row) = (first, 0);
            }
            if top < cursor {
                row = 0;
            }
        }
        let line = shown.get(top).copied().unwrap_or_default();
        let row = row.min(self.rows_of(line).saturating_sub(1));
        self.document.top = (line, row);
    }

    /// Scrolls inside a wrapped line that is taller than the screen; false when there is none.
    fn scroll_inside(&mut self, rows: isize) -> bool {
        let (line, row) = self.document.top;
        if !self.wrap || line != self.document.cursor {
            return false;
        }
        let last = self.rows_of(line).saturating_sub(self.size.1);
        let next = row.saturating_add_signed(rows).min(last);
        let moved = next != row;
        self.document.top.1 = next;
        moved
    }

    pub(super) fn move_by(&mut self, rows: isize) {
        if !self.scroll_inside(rows) {
            self.document.move_by(rows);
        }
    }

    /// Moves the screen as a wheel does; the cursor stays on it.
    pub(super) fn scroll(&mut self, rows: isize) {
        if self.scroll_inside(rows) {
            return;
        }
        let shown = self.document.shown();
        let last = shown.len().saturating_sub(1);
        let top = self.document.shown_index(self.document.top.0).saturating_add_signed(rows);
        let top = top.min((last + 1).saturating_sub(self.size.1));
        let cursor = self.document.shown_index(self.document.cursor);
        let cursor = cursor.clamp(top, (top + self.size.1.max(1) - 1).min(last.max(top)));
        let (top, cursor) = (shown.get(top).copied(), shown.get(cursor).copied());
        self.document.top = (top.unwrap_or_default(), 0);
        self.document.cursor = cursor.unwrap_or_default();
    }
}
