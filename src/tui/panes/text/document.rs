//! A long text to read: its lines, what is folded, what is found, and where the reader is.

use std::ops::Range;

use regex::bytes::Regex;

/// The text and the reader's place in it. Lines are numbered from 0.
#[derive(Debug, Default)]
pub struct Document {
    text: String,
    starts: Vec<usize>,
    /// First lines of folded blocks.
    folded: Vec<usize>,
    /// The lines that are shown, ascending.
    shown: Vec<usize>,
    pattern: Option<Regex>,
    /// Lines that the search found.
    found: Vec<usize>,
    pub cursor: usize,
    /// First line on the screen, and with wrapping its first row.
    pub top: (usize, usize),
    pub left: usize,
}

impl Document {
    pub fn new(text: String) -> Self {
        let mut doc = Self::default();
        doc.set(text);
        doc
    }

    /// Takes a newer text. The place stays, as far as the text reaches; folds go with their lines.
    pub fn set(&mut self, text: String) {
        let folded: Vec<String> = self.folded.iter().map(|i| self.line(*i).to_owned()).collect();
        self.text = text;
        self.starts = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|i| i + 1))
            .filter(|s| *s < self.text.len() || *s == 0)
            .collect();
        self.folded = (0..self.len()).filter(|i| folded.iter().any(|f| f == self.line(*i))).collect();
        self.show();
        let last = self.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        self.top.0 = self.top.0.min(last);
        self.look();
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn line(&self, index: usize) -> &str {
        let Some(start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).map_or(self.text.len(), |e| *e);
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }

    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// The place of a line among those shown, or of the one that hides it.
    pub fn shown_index(&self, line: usize) -> usize {
        self.shown.partition_point(|l| *l <= line).saturating_sub(1)
    }

    /// How many lines the fold at `line` hides; 0 if it is not folded.
    pub fn hides(&self, line: usize) -> usize {
        if self.folded.contains(&line) { self.block(line).len() } else { 0 }
    }

    /// Folds or unfolds the block that the cursor's line opens, or else the one it lies in.
    pub fn fold(&mut self) {
        let mut at = self.cursor;
        if self.block(at).is_empty() {
            let depth = indent(self.line(at));
            let parent =
                (0..at).rev().find(|i| !self.line(*i).trim().is_empty() && indent(self.line(*i)) < depth);
            let Some(parent) = parent else { return };
            at = parent;
        }
        match self.folded.iter().position(|f| *f == at) {
            Some(i) => {
                self.folded.remove(i);
            }
            None => self.folded.push(at),
        }
        self.cursor = at;
        self.show();
    }

    /// The lines below `line` that are indented deeper, and the items of a list under its key.
    fn block(&self, line: usize) -> Range<usize> {
        let head = self.line(line);
        let depth = indent(head);
        let is_key = head.trim_end().ends_with(':') || head.trim_end().ends_with(['|', '>', '-']);
        let deeper = |i: &usize| {
            let l = self.line(*i);
            l.trim().is_empty()
                || indent(l) > depth
                || (is_key
                    && indent(l) == depth
                    && l.trim_start().starts_with("- ")
                    && !head.trim_start().starts_with("- "))
        };
        let end = (line + 1..self.len()).find(|i| !deeper(i)).unwrap_or(self.len());
        line + 1..end
    }

    fn show(&mut self) {
        let mut shown = Vec::with_capacity(self.len());
        let mut i = 0;
        while i < self.len() {
            shown.push(i);
            i = if self.folded.contains(&i) { self.block(i).end } else { i + 1 };
        }
        self.shown = shown;
    }

    /// Looks for a pattern; an empty one ends the search. Goes to the first match from the cursor on.
    pub fn search(&mut self, typed: &str) -> Result<(), String> {
        self.pattern = if typed.trim().is_empty() {
            None
        } else {
            Some(crate::tui::panes::logs::compile(typed.trim())?)
        };
        self.look();
        if let Some(line) = self.found.iter().find(|l| **l >= self.cursor).or(self.found.first()) {
            self.reveal(*line);
        }
        Ok(())
    }

    fn look(&mut self) {
        self.found = match &self.pattern {
            None => Vec::new(),
            Some(pattern) => (0..self.len()).filter(|i| pattern.is_match(self.line(*i).as_bytes())).collect(),
        };
    }

    /// To the next match, or the one before; from the last to the first. False where nothing is searched for.
    pub fn next_match(&mut self, forward: bool) -> bool {
        let line = if forward {
            self.found.iter().find(|l| **l > self.cursor).or(self.found.first())
        } else {
            self.found.iter().rev().find(|l| **l < self.cursor).or(self.found.last())
        };
        if let Some(line) = line.copied() {
            self.reveal(line);
        }
        self.pattern.is_some()
    }

    /// Which match the cursor is on, counted from 1, and how many there are.
    pub fn matches(&self) -> Option<(usize, usize)> {
        self.pattern.as_ref()?;
        Some((self.found.partition_point(|l| *l <= self.cursor), self.found.len()))
    }

    /// What to highlight in a text that is on the screen.
    pub fn highlights(&self, text: &str) -> Vec<Range<usize>> {
        let Some(pattern) = &self.pattern else { return Vec::new() };
        pattern.find_iter(text.as_bytes()).map(|m| m.range()).filter(|r| !r.is_empty()).take(64).collect()
    }

    /// Puts the cursor on a line and opens the folds that hide it.
    pub fn reveal(&mut self, line: usize) {
        self.cursor = line.min(self.len().saturating_sub(1));
        if self.shown.binary_search(&self.cursor).is_err() {
            let at = self.cursor;
            let open: Vec<usize> =
                self.folded.iter().copied().filter(|f| !self.block(*f).contains(&at)).collect();
            self.folded = open;
            self.show();
        }
    }

    pub fn move_by(&mut self, lines: isize) {
        let last = self.shown.len().saturating_sub(1);
        let index = self.shown_index(self.cursor).saturating_add_signed(lines).min(last);
        self.cursor = self.shown.get(index).copied().unwrap_or_default();
    }

    pub fn home(&mut self) {
        self.cursor = 0;
        self.left = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.shown.last().copied().unwrap_or_default();
    }
}

pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "metadata:\n  name: api\n  labels:\n    app: api\nspec:\n  containers:\n  - name: main\n    image: x\n  - name: side\nstatus: {}\n";

    fn doc(cursor: usize) -> Document {
        let mut d = Document::new(YAML.to_owned());
        d.cursor = cursor;
        d
    }

    #[test]
    fn lines_are_as_they_were() {
        let d = doc(0);
        assert_eq!(d.len(), 10);
        assert_eq!(d.line(9), "status: {}");
        assert_eq!(Document::new(String::new()).len(), 1);
    }

    #[test]
    fn a_block_folds_from_its_head_or_from_within() {
        let mut d = doc(3);
        d.fold();
        assert_eq!(d.cursor, 2, "the fold's head");
        assert_eq!(d.shown(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(d.hides(2), 1);
        d.fold();
        assert_eq!(d.shown().len(), 10);
        d.cursor = 5;
        d.fold();
        assert_eq!(d.shown(), [0, 1, 2, 3, 4, 5, 9], "a list under its key folds with it");
    }

    #[test]
    fn searching_opens_the_fold_that_hides_a_match_and_goes_round() {
        let mut d = doc(5);
        d.fold();
        d.search("IMAGE").unwrap();
        assert_eq!(d.cursor, 7);
        assert_eq!(d.shown().len(), 10);
        d.search("name:").unwrap();
        assert_eq!((d.cursor, d.matches()), (8, Some((3, 3))));
        d.next_match(true);
        assert_eq!(d.cursor, 1);
        d.next_match(false);
        assert_eq!(d.cursor, 8);
        assert!(d.search("(").is_err());
    }

    #[test]
    fn a_newer_text_keeps_place_and_folds() {
        let mut d = doc(3);
        d.fold();
        d.cursor = 9;
        d.set(YAML.replace("name: api", "name: api\n  uid: 7"));
        assert_eq!(d.cursor, 9);
        assert_eq!(d.hides(3), 1);
        d.set("short".to_owned());
        assert_eq!(d.cursor, 0);
    }
}
