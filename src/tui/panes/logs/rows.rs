//! Which lines are shown, by their numbers; folded, one for each run of lines that repeat each other.

use super::chunk::{Kind, Stored};
use crate::rows::record::shape;

/// Numbers of lines, ascending, and how many lines each stands for.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    numbers: Vec<u64>,
    /// As long as `numbers` where lines are folded, else empty.
    counts: Vec<u32>,
    folds: bool,
    /// What the first and the last line are like, to tell what repeats them.
    first: Option<Like>,
    last: Option<Like>,
    /// Runs that are shown line by line: the first line's number and the last's, ascending.
    opened: Vec<(u64, u64)>,
}

/// Whose line it is, and its text without its numbers.
type Like = (Option<u16>, String);

impl Rows {
    pub fn new(folds: bool) -> Self {
        Self { folds, ..Self::default() }
    }

    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// How many lines the `index`th one stands for.
    pub fn count(&self, index: usize) -> u32 {
        self.counts.get(index).copied().unwrap_or(1)
    }

    /// For a search that folds nothing: numbers may be put at its end, ascending.
    pub fn plain(&mut self) -> &mut Vec<u64> {
        &mut self.numbers
    }

    pub fn folds(&self) -> bool {
        self.folds
    }

    pub fn push(&mut self, line: &Stored<'_>) {
        if !self.folds {
            self.numbers.push(line.number);
            return;
        }
        let like = (line.kind == Kind::Text).then(|| (line.source, shape(line.text)));
        let repeats = like.is_some() && like == self.last;
        match (self.counts.last_mut(), self.opened.last_mut()) {
            (Some(_), Some(run)) if repeats && Some(&run.1) == self.numbers.last() => {
                run.1 = line.number;
                self.numbers.push(line.number);
                self.counts.push(1);
            }
            (Some(count), _) if repeats => *count += 1,
            _ => {
                if self.numbers.is_empty() {
                    self.first.clone_from(&like);
                }
                self.numbers.push(line.number);
                self.counts.push(1);
            }
        }
        self.last = like;
    }

    /// Joins what was found in later lines.
    pub fn append(&mut self, mut later: Rows) {
        if later.numbers.is_empty() {
            return;
        }
        if self.numbers.is_empty() {
            *self = later;
            return;
        }
        if self.folds && later.first.is_some() && later.first == self.last {
            let more = later.counts.first().copied().unwrap_or_default();
            if let Some(count) = self.counts.last_mut() {
                *count += more;
            }
            later.numbers.remove(0);
            later.counts.remove(0);
        }
        self.numbers.append(&mut later.numbers);
        self.counts.append(&mut later.counts);
        self.last = later.last;
    }

    /// Leaves out the lines before `first`, and those from `end` on.
    pub fn clip(&mut self, first: u64, end: u64) {
        let end = self.numbers.partition_point(|n| *n < end);
        if end < self.numbers.len() {
            self.numbers.truncate(end);
            self.counts.truncate(end);
            self.last = None;
        }
        let gone = self.numbers.partition_point(|n| *n < first);
        self.numbers.drain(..gone);
        self.counts.drain(..gone.min(self.counts.len()));
        self.opened.retain(|(_, last)| *last >= first);
    }

    /// The lines of the run that line `number` belongs to, if that is shown line by line.
    pub fn opened(&self, number: u64) -> Option<(u64, u64)> {
        self.opened.iter().copied().find(|(first, last)| (*first..=*last).contains(&number))
    }

    /// Shows the run at `index` line by line. `members` are its lines, the first included.
    pub fn open(&mut self, index: usize, members: Vec<u64>) {
        let (Some(first), Some(last)) = (members.first().copied(), members.last().copied()) else { return };
        self.counts.splice(index..=index, members.iter().map(|_| 1));
        self.numbers.splice(index..=index, members);
        let at = self.opened.partition_point(|(f, _)| *f < first);
        self.opened.insert(at, (first, last));
    }

    /// Folds again the run that line `number` belongs to; gives its first line.
    pub fn close(&mut self, number: u64) -> Option<u64> {
        let (first, last) = self.opened(number)?;
        let from = self.numbers.partition_point(|n| *n < first);
        let to = self.numbers.partition_point(|n| *n <= last);
        let count = u32::try_from(to - from).unwrap_or(u32::MAX);
        self.numbers.splice(from..to, [first]);
        self.counts.splice(from..to, [count]);
        self.opened.retain(|run| *run != (first, last));
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> Stored<'_> {
        Stored { number, kind: Kind::Text, late: false, text, time: None, source: Some(0) }
    }

    fn told(rows: &Rows) -> Vec<(u64, u32)> {
        rows.numbers.iter().enumerate().map(|(i, n)| (*n, rows.count(i))).collect()
    }

    fn rows(from: u64, texts: &[&str]) -> Rows {
        let mut rows = Rows::new(true);
        for (number, text) in (from..).zip(texts) {
            rows.push(&line(number, text));
        }
        rows
    }

    #[test]
    fn runs_are_folded_opened_and_closed() {
        let mut r = rows(0, &["try 1", "try 2", "ok", "try 3", "try 4"]);
        assert_eq!(told(&r), [(0, 2), (2, 1), (3, 2)]);
        r.open(2, vec![3, 4]);
        r.push(&line(5, "try 5"));
        assert_eq!(told(&r), [(0, 2), (2, 1), (3, 1), (4, 1), (5, 1)], "what repeats an open run is open");
        assert_eq!(r.opened(4), Some((3, 5)));
        assert_eq!(r.close(4), Some(3));
        r.push(&line(6, "try 6"));
        assert_eq!(told(&r), [(0, 2), (2, 1), (3, 4)]);
        let gap = Stored { kind: Kind::Lost, ..line(7, "try 7") };
        r.push(&gap);
        r.push(&line(8, "try 8"));
        assert_eq!(told(&r)[3..], [(7, 1), (8, 1)], "a gap parts what repeats");
        r.push(&Stored { source: Some(1), ..line(9, "try 9") });
        assert_eq!(told(&r)[4..], [(8, 1), (9, 1)], "so does another source");
    }

    #[test]
    fn what_several_threads_found_is_joined_as_one_would_have() {
        let texts = ["a 1", "a 2", "a 3", "b", "a 4", "a 5"];
        for cut in 0..=texts.len() {
            let mut joined = rows(0, &texts[..cut]);
            joined.append(rows(cut as u64, &texts[cut..]));
            assert_eq!(told(&joined), told(&rows(0, &texts)), "cut at {cut}");
            joined.push(&line(6, "a 6"));
            assert_eq!(told(&joined), [(0, 3), (3, 1), (4, 3)]);
        }
        let mut r = rows(0, &texts);
        r.clip(3, 4);
        assert_eq!(told(&r), [(3, 1)]);
    }
}
