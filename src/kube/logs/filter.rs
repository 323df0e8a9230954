//! Which lines to show: a regular expression with context, and repeats folded together.

use std::collections::{HashMap, VecDeque};

use regex::Regex;

use crate::rows::record::shape;

/// Lines that match, and some around them. Works line by line, so that it can stand in a stream.
#[derive(Debug)]
pub struct Grep {
    pattern: Option<Regex>,
    context: usize,
    /// `context` goes on after a match for this many lines.
    after: usize,
}

impl Grep {
    /// `pattern`: a regular expression. `context`: lines shown
    /// before and after each match.
    pub fn new(pattern: Option<&str>, context: usize) -> Result<Self, regex::Error> {
        Ok(Self { pattern: pattern.map(Regex::new).transpose()?, context, after: 0 })
    }

    pub fn is_everything(&self) -> bool {
        self.pattern.is_none()
    }

    /// Lines to keep before a match.
    pub fn context(&self) -> usize {
        if self.pattern.is_some() { self.context } else { 0 }
    }

    pub fn judge(&mut self, text: &str) -> Judged {
        let Some(pattern) = &self.pattern else { return Judged::Match };
        if pattern.is_match(text) {
            self.after = self.context;
            Judged::Match
        } else if self.after > 0 {
            self.after -= 1;
            Judged::Context
        } else {
            Judged::No
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    Match,
    /// Just after a match.
    Context,
    No,
}

/// Passes items through a [`Grep`], with context before and after.
#[derive(Debug)]
pub struct Sieve<T> {
    grep: Grep,
    before: VecDeque<T>,
    pub matched: u64,
    pub left_out: u64,
}

impl<T> Sieve<T> {
    pub fn new(grep: Grep) -> Self {
        Self { grep, before: VecDeque::new(), matched: 0, left_out: 0 }
    }

    /// Gives `out` the items to show now: none, or this one, with the context before it.
    pub fn push(&mut self, item: T, text: &str, mut out: impl FnMut(T)) {
        match self.grep.judge(text) {
            Judged::Match => {
                self.matched += 1;
                self.before.drain(..).for_each(&mut out);
                out(item);
            }
            Judged::Context => out(item),
            Judged::No => {
                if self.grep.context() > 0 {
                    if self.before.len() == self.grep.context() {
                        self.before.pop_front();
                        self.left_out += 1;
                    }
                    self.before.push_back(item);
                } else {
                    self.left_out += 1;
                }
            }
        }
    }

    /// Items that waited for a match that did not come count as left out.
    pub fn finish(&mut self) -> u64 {
        self.left_out += self.before.len() as u64;
        self.before.clear();
        self.left_out
    }
}

/// Folds lines of the same [`shape`] into the last of them. `text` reads an item's text. Gives the items left with how
/// many each stands for, in the order of the last of each.
pub fn dedupe<T>(items: Vec<T>, text: impl Fn(&T) -> &str) -> Vec<(T, u64)> {
    let mut counts: HashMap<String, (usize, u64)> = HashMap::new();
    for (i, item) in items.iter().enumerate() {
        let entry = counts.entry(shape(text(item))).or_insert((i, 0));
        *entry = (i, entry.1 + 1);
    }
    let last: HashMap<usize, u64> = counts.into_values().collect();
    items.into_iter().enumerate().filter_map(|(i, item)| last.get(&i).map(|n| (item, *n))).collect()
}

/// Folds lines that follow each other and have the same [`shape`], in a stream that does not wait for its end: the first is given at
/// once, those that repeat it are counted, and the last of them is given with their number when another line comes, or when
/// [`Folder::flush`] asks.
#[derive(Debug)]
pub struct Folder<T> {
    shape: Option<String>,
    held: Option<(T, u64)>,
}

impl<T> Default for Folder<T> {
    fn default() -> Self {
        Self { shape: None, held: None }
    }
}

impl<T> Folder<T> {
    /// Gives `out` what is to be shown now, each with the number of lines that it stands for.
    pub fn push(&mut self, item: T, text: &str, mut out: impl FnMut(T, u64)) {
        let shape = shape(text);
        if self.shape.as_ref() == Some(&shape) {
            let count = self.held.take().map_or(0, |(_, n)| n) + 1;
            self.held = Some((item, count));
            return;
        }
        self.flush(&mut out);
        self.shape = Some(shape);
        out(item, 1);
    }

    /// Gives what was counted and not shown yet.
    pub fn flush(&mut self, mut out: impl FnMut(T, u64)) {
        if let Some((item, count)) = self.held.take() {
            out(item, count);
        }
    }

    /// Another line than those pushed came between: what follows repeats nothing.
    pub fn part(&mut self, out: impl FnMut(T, u64)) {
        self.flush(out);
        self.shape = None;
    }

    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sift(pattern: &str, context: usize, lines: &[&str]) -> (Vec<String>, u64) {
        let mut sieve = Sieve::new(Grep::new(Some(pattern), context).unwrap());
        let mut out = Vec::new();
        for line in lines {
            sieve.push((*line).to_owned(), line, |l| out.push(l));
        }
        let left_out = sieve.finish();
        (out, left_out)
    }

    #[test]
    fn context_is_given_once_on_both_sides() {
        let lines = ["a", "b", "error 1", "c", "error 2", "d", "e", "f"];
        assert_eq!(sift("error", 0, &lines), (vec!["error 1".into(), "error 2".into()], 6));
        let (kept, left_out) = sift("error", 1, &lines);
        assert_eq!(kept, ["b", "error 1", "c", "error 2", "d"]);
        assert_eq!(left_out, 3);
        assert_eq!(sift("nothing", 2, &lines), (vec![], 8));
    }

    #[test]
    fn repeats_are_folded_whatever_their_numbers() {
        let lines = vec![
            "10:01 retry 1 of db-7f9c2a",
            "started",
            "10:02 retry 2 of db-7f9c2a",
            "10:03 retry 3 of db-aa01ff",
        ];
        let folded = dedupe(lines, |l| l);
        assert_eq!(folded, [("started", 1), ("10:03 retry 3 of db-aa01ff", 3)]);
        assert_ne!(shape("http error"), shape("http2 error"), "a word with a digit is a word");
    }

    #[test]
    fn a_stream_shows_the_first_at_once_and_the_last_with_its_number() {
        let mut folder = Folder::default();
        let mut out = Vec::new();
        for line in ["try 1", "try 2", "try 3", "ok", "try 4"] {
            folder.push(line, line, |l, n| out.push((l, n)));
        }
        assert_eq!(out, [("try 1", 1), ("try 3", 2), ("ok", 1), ("try 4", 1)]);
        folder.push("try 5", "try 5", |l, n| out.push((l, n)));
        assert!(folder.is_holding());
        folder.flush(|l, n| out.push((l, n)));
        assert_eq!(out.last(), Some(&("try 5", 1)));
        // Counting goes on after a flush; a mark between parts the lines.
        folder.push("try 6", "try 6", |l, n| out.push((l, n)));
        folder.part(|l, n| out.push((l, n)));
        folder.push("try 7", "try 7", |l, n| out.push((l, n)));
        let shown: u64 = out.iter().map(|(_, n)| n).sum();
        assert_eq!((shown, out.last()), (8, Some(&("try 7", 1))));
    }
}
