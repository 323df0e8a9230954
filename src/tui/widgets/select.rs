//! Text selected with the mouse: from one character of a line to another, as terminals do it.

use std::ops::Range;

/// A character on the screen: its line, and its bytes in what is shown of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub line: u64,
    pub bytes: Range<usize>,
}

/// Where the button went down, and where the mouse is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    from: Spot,
    to: Spot,
}

impl Selection {
    pub fn new(at: Spot) -> Self {
        Self { from: at.clone(), to: at }
    }

    pub fn drag(&mut self, to: Spot) {
        self.to = to;
    }

    /// A click selects nothing.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    fn ends(&self) -> (&Spot, &Spot) {
        let key = |s: &Spot| (s.line, s.bytes.start);
        if key(&self.from) <= key(&self.to) { (&self.from, &self.to) } else { (&self.to, &self.from) }
    }

    /// First and last line.
    pub fn lines(&self) -> (u64, u64) {
        let (first, last) = self.ends();
        (first.line, last.line)
    }

    /// The selected bytes of a line of so many.
    pub fn range(&self, line: u64, length: usize) -> Option<Range<usize>> {
        let (first, last) = self.ends();
        if self.is_empty() || !(first.line..=last.line).contains(&line) {
            return None;
        }
        let from = if line == first.line { first.bytes.start } else { 0 };
        let to = if line == last.line { last.bytes.end } else { length };
        Some(from.min(length)..to.min(length))
    }

    /// The selected text, from what is shown of each line.
    pub fn text(&self, mut shown: impl FnMut(u64) -> Option<String>) -> String {
        let (first, last) = self.lines();
        let mut out = Vec::new();
        for line in first..=last {
            let Some(text) = shown(line) else { continue };
            if let Some(part) = self.range(line, text.len()).and_then(|r| text.get(r)) {
                out.push(part.to_owned());
            }
        }
        out.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(line: u64, at: usize) -> Spot {
        Spot { line, bytes: at..at + 1 }
    }

    #[test]
    fn a_drag_selects_from_here_to_there_in_either_direction() {
        let lines = ["first line", "second", "third"];
        let text = |s: &Selection| s.text(|l| lines.get(l as usize).map(|t| (*t).to_owned()));
        let mut selection = Selection::new(spot(0, 6));
        assert!(selection.is_empty());
        selection.drag(spot(0, 8));
        assert_eq!(text(&selection), "lin");
        selection.drag(spot(2, 1));
        assert_eq!(text(&selection), "line\nsecond\nth");
        let mut back = Selection::new(spot(2, 1));
        back.drag(spot(0, 6));
        assert_eq!(text(&back), text(&selection));
        assert_eq!(selection.range(1, 6), Some(0..6));
        assert_eq!(selection.range(3, 6), None);
    }
}
