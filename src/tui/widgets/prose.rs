//! Lines of words with a purpose each, wrapped to a width: what dialogs are made of.
//!
//! Wrapping needs no theme, so a dialog can know how tall it is before it is drawn.

use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::composed::Composed;
use crate::base::text::sanitize;
use crate::tui::theme::Theme;

/// What a piece of text is for; the theme gives each its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Text,
    Dim,
    Strong,
    Label,
    Agent,
    Added,
    Removed,
    Hunk,
    Warning,
    Error,
    Good,
    Key,
    Value,
    Help,
    HelpKey,
    HelpSection,
}

impl Ink {
    pub fn style(self, theme: &Theme) -> Style {
        match self {
            Ink::Text => theme.dialog,
            Ink::Dim => theme.dim,
            Ink::Strong => theme.title_highlight,
            Ink::Label => theme.dialog_label,
            Ink::Agent => theme.agent,
            Ink::Added => theme.diff_added,
            Ink::Removed => theme.diff_removed,
            Ink::Hunk => theme.diff_hunk,
            Ink::Warning => theme.warning,
            Ink::Error => theme.error,
            Ink::Good => theme.success,
            Ink::Key => theme.menu_key,
            Ink::Value => theme.yaml_value,
            Ink::Help => theme.help,
            Ink::HelpKey => theme.help_key,
            Ink::HelpSection => theme.help_section,
        }
    }
}

/// A row ready to draw, harmless.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row(pub Vec<(Ink, String)>);

impl Row {
    pub fn compose(&self, theme: &Theme) -> Composed {
        let mut out = Composed::new();
        for (ink, text) in &self.0 {
            out.push(text, ink.style(theme));
        }
        out
    }
}

/// Rows under construction, at one width.
#[derive(Debug)]
pub struct Prose {
    width: usize,
    rows: Vec<Row>,
}

impl Prose {
    pub fn new(width: u16) -> Self {
        Self { width: usize::from(width).max(8), rows: Vec::new() }
    }

    pub fn blank(&mut self) {
        // Never two in a row, and none at the top.
        if self.rows.last().is_some_and(|r| !r.0.is_empty()) {
            self.rows.push(Row::default());
        }
    }

    /// Words, wrapped between them; rows after the first are indented like the first one's text
    /// after `head`. Line feeds in it start a new row.
    pub fn words(&mut self, head: (Ink, &str), ink: Ink, text: &str) {
        let indent = head.1.width().min(self.width / 2);
        let room = self.width - indent;
        let mut first = true;
        for paragraph in text.split('\n') {
            for piece in wrap_words(&sanitize(paragraph), room) {
                let lead = if first { (head.0, head.1.to_owned()) } else { (Ink::Text, " ".repeat(indent)) };
                first = false;
                let lead = (!lead.1.is_empty()).then_some(lead);
                self.rows.push(Row(lead.into_iter().chain([(ink, piece)]).collect()));
            }
        }
    }

    /// A line that must be seen as it is: cut at the width wherever that falls, never left out.
    pub fn verbatim(&mut self, head: &str, ink: Ink, text: &str) {
        let line = Composed::plain(text, Style::default());
        let room = self.width.saturating_sub(head.width()).max(1);
        let starts = line.rows(room, usize::MAX);
        for (i, start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).copied().unwrap_or(line.text().len());
            let lead = if i == 0 { head.to_owned() } else { " ".repeat(head.width()) };
            self.rows.push(Row(vec![(ink, lead), (ink, line.text()[*start..end].to_owned())]));
        }
    }

    /// Several pieces in one row, cut at its end.
    pub fn row(&mut self, pieces: &[(Ink, &str)]) {
        self.rows.push(Row(pieces.iter().map(|(ink, t)| (*ink, sanitize(t).into_owned())).collect()));
    }

    /// How many rows there are.
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    pub fn done(self) -> Vec<Row> {
        self.rows
    }
}

/// Breaks at spaces; a word longer than a row is broken inside.
fn wrap_words(text: &str, room: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let width = word.trim_end().width();
        if used > 0 && used + width > room {
            rows.push(String::new());
            used = 0;
        }
        for grapheme in word.graphemes(true) {
            let w = grapheme.width();
            if used + w > room {
                if grapheme == " " {
                    continue;
                }
                rows.push(String::new());
                used = 0;
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(grapheme);
            }
            used += w;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_between_words_and_nothing_is_lost() {
        assert_eq!(wrap_words("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap_words("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap_words("", 4), [""]);
        let mut prose = Prose::new(12);
        prose.verbatim("+ ", Ink::Added, "image: registry/x\x1b[2J");
        let text: Vec<String> =
            prose.done().iter().map(|r| r.0.iter().map(|(_, t)| t.as_str()).collect()).collect();
        assert_eq!(text, ["+ image: reg", "  istry/x␛[2", "  J"]);
    }
}
