//! Aligned columns of harmless text.

use unicode_width::UnicodeWidthStr as _;

use crate::base::SafeText;

/// Rows of text under a header.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<SafeText>,
    rows: Vec<Vec<SafeText>>,
    /// Columns whose values are numbers.
    right: Vec<bool>,
}

impl Table {
    pub fn new<S: AsRef<str>>(header: impl IntoIterator<Item = S>) -> Self {
        let header: Vec<_> = header.into_iter().map(|h| SafeText::new(&h.as_ref().to_uppercase())).collect();
        let right = vec![false; header.len()];
        Self { header, rows: Vec::new(), right }
    }

    pub fn push<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<_> = cells.into_iter().map(|c| SafeText::new(c.as_ref())).collect();
        row.resize_with(self.header.len(), SafeText::default);
        self.rows.push(row);
    }

    /// Aligns the columns named to the right.
    pub fn align_right(&mut self, right: impl IntoIterator<Item = bool>) {
        self.right = right.into_iter().collect();
        self.right.resize(self.header.len(), false);
    }

    /// The widths that fit the header and every row.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<_> = self.header.iter().map(|h| h.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        widths
    }

    /// The text, each line ended by a line feed, with at least these column widths.
    pub fn text(&self, widths: &[usize], with_header: bool) -> String {
        let header = with_header.then_some(&self.header);
        let mut out = String::new();
        for row in header.into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                let gap = widths.get(i).copied().unwrap_or(0).saturating_sub(cell.width());
                let right = self.right.get(i).copied().unwrap_or(false);
                if right {
                    line.extend(std::iter::repeat_n(' ', gap));
                }
                line.push_str(cell);
                if !right {
                    line.extend(std::iter::repeat_n(' ', gap));
                }
                line.push_str("   ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_width_on_screen_and_escapes_are_visible() {
        let mut table = Table::new(["name", "n"]);
        table.push(["日本", "1"]);
        table.push(["\x1b[31mred", "1000"]);
        table.align_right([false, true]);
        let text = table.text(&table.widths(), true);
        assert_eq!(text, "NAME          N\n日本          1\n␛[31mred   1000\n");
    }
}
