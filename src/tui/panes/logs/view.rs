//! What of the log is shown, where the cursor is, and how it moves. No drawing, no I/O.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::chunk::Kept;
use super::columns::Columns;
use super::rows::Rows;
use super::search::Filter;
use super::search::Wanted;
use super::spill::Slot;
use super::store::LogStore;
use crate::rows::Line;

/// How lines are shown.
#[derive(Debug, Clone)]
pub struct Options {
    pub times: bool,
    pub wrap: bool,
    /// Stay at the newest line.
    pub follow: bool,
    /// JSON lines as sentences.
    pub readable: bool,
    /// Times and sources stay when the text is scrolled to the right.
    pub lock: bool,
    pub zone: TimeZone,
}

impl Default for Options {
    fn default() -> Self {
        Self { times: false, wrap: false, follow: true, readable: true, lock: false, zone: TimeZone::UTC }
    }
}

/// A place in the log: a line, and with wrapping a row of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub number: u64,
    pub row: usize,
}

/// What is to be shown, and which lines those are.
#[derive(Debug)]
struct Found {
    wanted: Wanted,
    /// The lines; `None` while the first search runs.
    rows: Option<Rows>,
    /// Lines from this number on were tried as they came, not by the search.
    tried_from: u64,
    /// Those among them that are shown, until the search's result is joined with them.
    newer: Rows,
    /// All lines are shown, and the matches are walked through.
    among_all: bool,
}

/// A search to be run on a worker.
pub struct Job {
    pub generation: u64,
    pub wanted: Wanted,
    pub chunks: Vec<Arc<Slot>>,
}

/// No longer run is shown line by line.
pub const LONGEST_RUN: u32 = 100_000;

/// The state of a log pane.
#[derive(Debug, Default)]
pub struct LogView {
    pub store: LogStore,
    pub options: Options,
    /// The fields that JSON lines are shown by.
    pub columns: Columns,
    found: Option<Found>,
    generation: u64,
    /// The line that keys act on, and that a citation points at.
    pub cursor: u64,
    /// First row on the screen; drawing moves it as little as needed to show the cursor.
    pub top: Place,
    /// Cells scrolled to the right, without wrapping.
    pub left: usize,
}

impl LogView {
    /// Takes lines as they come.
    pub fn push(&mut self, lines: &[Line]) {
        let from = self.store.next();
        for line in lines {
            self.store.push(line);
        }
        self.after_growth(from);
    }

    /// Adds a mark of the operator's.
    pub fn mark(&mut self, text: &str, time: i64) {
        let from = self.store.next();
        self.store.mark(text, time);
        self.after_growth(from);
    }

    pub fn clear(&mut self) {
        self.store.clear();
        if let Some(found) = &mut self.found {
            found.rows = Some(Rows::new(found.wanted.folds));
            found.newer = Rows::new(found.wanted.folds);
        }
        // A search that still runs looks at lines that are gone.
        self.generation += 1;
        self.cursor = self.store.next();
        self.top = Place { number: self.cursor, row: 0 };
    }

    fn after_growth(&mut self, from: u64) {
        let (first, next) = (self.store.first(), self.store.next());
        if let Some(found) = &mut self.found {
            let rows = found.rows.as_mut().unwrap_or(&mut found.newer);
            for number in from.max(first)..next {
                if let Some(kept) = self.store.get(number).filter(|l| found.wanted.shows(&l.line())) {
                    rows.push(&kept.line());
                }
            }
            if rows.numbers().first().is_some_and(|n| *n < first) {
                let gone = rows.numbers().partition_point(|n| *n < first);
                // Moving the rest down costs; do it seldom, the gone ones are skipped meanwhile.
                if gone > 4096 || gone == rows.numbers().len() {
                    rows.clip(first, u64::MAX);
                }
            }
        }
        if self.options.follow {
            self.cursor = self.last().unwrap_or(self.cursor);
        }
        self.cursor = self.cursor.max(first);
    }

    pub fn filter(&self) -> Option<&Arc<Filter>> {
        self.found.as_ref().and_then(|f| f.wanted.filter.as_ref())
    }

    /// Whether lines that repeat each other are folded.
    pub fn folds(&self) -> bool {
        self.found.as_ref().is_some_and(|f| f.wanted.folds)
    }

    /// Whether the first search of the filter still runs.
    pub fn is_searching(&self) -> bool {
        self.found.as_ref().is_some_and(|f| f.rows.is_none())
    }

    /// Sets or removes the filter. Gives the search to run; the newest wins.
    pub fn set_filter(&mut self, filter: Option<Filter>) -> Option<Job> {
        self.show(Wanted { filter: filter.map(Arc::new), folds: self.folds() })
    }

    /// Folds lines that repeat each other, or shows them all again.
    pub fn toggle_fold(&mut self) -> Option<Job> {
        self.show(Wanted { filter: self.filter().cloned(), folds: !self.folds() })
    }

    fn show(&mut self, wanted: Wanted) -> Option<Job> {
        self.generation += 1;
        if wanted.filter.is_none() && !wanted.folds {
            self.found = None;
            return None;
        }
        self.found = Some(Found {
            wanted: wanted.clone(),
            rows: None,
            tried_from: self.store.next(),
            newer: Rows::new(wanted.folds),
            among_all: false,
        });
        Some(Job { generation: self.generation, wanted, chunks: self.store.snapshot() })
    }

    /// How many lines a shown one stands for.
    pub fn repeats(&self, number: u64) -> u32 {
        let rows = self.found.as_ref().and_then(|f| f.rows.as_ref()).filter(|rows| rows.folds());
        rows.map_or(1, |rows| match rows.numbers().binary_search(&number) {
            Ok(index) => rows.count(index),
            Err(_) => 1,
        })
    }

    /// Shows the lines that the cursor's stands for, or folds them again. Gives how many they are; `None` where nothing
    /// is folded. More than [`LONGEST_RUN`] are left as they are.
    pub fn open_run(&mut self) -> Option<u32> {
        let (cursor, count) = (self.cursor, self.repeats(self.cursor));
        let found = self.found.as_mut()?;
        let rows = found.rows.as_mut().filter(|rows| rows.folds())?;
        if let Some(first) = rows.close(cursor) {
            self.cursor = first;
            return Some(1);
        }
        if count < 2 {
            return None;
        }
        if count <= LONGEST_RUN {
            let lines = (cursor..self.store.next())
                .filter(|n| self.store.get(*n).is_some_and(|kept| found.wanted.shows(&kept.line())));
            let members = lines.take(count as usize).collect();
            if let Ok(index) = rows.numbers().binary_search(&cursor) {
                rows.open(index, members);
            }
            self.options.follow = false;
        }
        Some(count)
    }

    /// Takes a search's result. A late one of an older filter is dropped.
    pub fn searched(&mut self, generation: u64, mut rows: Rows) {
        let first = self.store.first();
        let Some(found) = self.found.as_mut().filter(|_| generation == self.generation) else { return };
        // What came since the search began was tried as it came.
        rows.clip(first, found.tried_from);
        rows.append(std::mem::take(&mut found.newer));
        found.rows = Some(rows);
        if self.options.follow {
            self.cursor = self.last().unwrap_or(self.cursor);
        } else {
            // The nearest line that is still shown.
            let i = self.index_of(self.cursor);
            self.cursor = self.number(i.min(self.shown().saturating_sub(1))).unwrap_or(self.cursor);
        }
        self.top = Place { number: self.cursor, row: 0 };
    }

    /// How many lines are shown.
    pub fn shown(&self) -> usize {
        match self.numbers() {
            Some(numbers) => numbers.len(),
            None => self.store.len(),
        }
    }

    /// The number of the `index`th line shown.
    pub fn number(&self, index: usize) -> Option<u64> {
        match self.numbers() {
            Some(numbers) => numbers.get(index).copied(),
            None => (index < self.store.len()).then(|| self.store.first() + index as u64),
        }
    }

    /// The index of a shown line, or where it would be.
    pub fn index_of(&self, number: u64) -> usize {
        match self.numbers() {
            Some(numbers) => numbers.partition_point(|n| *n < number),
            None => usize::try_from(number.saturating_sub(self.store.first())).unwrap_or(usize::MAX),
        }
    }

    /// The last line shown.
    pub fn last(&self) -> Option<u64> {
        self.number(self.shown().checked_sub(1)?)
    }

    /// The filtered numbers that are still kept. While the first search runs, all lines stay on the
    /// screen, so that typing does not flicker.
    fn numbers(&self) -> Option<&[u64]> {
        self.matches().filter(|_| !self.is_among_all())
    }

    /// The numbers of the lines that the filter found and that are still kept.
    fn matches(&self) -> Option<&[u64]> {
        let numbers = self.found.as_ref()?.rows.as_ref()?.numbers();
        Some(&numbers[numbers.partition_point(|n| *n < self.store.first())..])
    }

    /// Whether the filter only marks its matches among all lines.
    pub fn is_among_all(&self) -> bool {
        self.found.as_ref().is_some_and(|f| f.among_all)
    }

    /// Hides again what does not match.
    pub fn hide_others(&mut self) {
        if let Some(found) = &mut self.found {
            found.among_all = false;
        }
        self.top = Place { number: self.cursor, row: 0 };
    }

    /// Which match the cursor is on or behind, counted from 1, and how many there are.
    pub fn match_place(&self) -> Option<(usize, usize)> {
        let matches = self.matches()?;
        Some((matches.partition_point(|n| *n <= self.cursor), matches.len()))
    }

    /// To the next match or the one before, round at the ends, with its neighbours around it. Out of a filter's own
    /// view the first step only shows the neighbours. False without a match. `rows` is the screen's height.
    pub fn step_match(&mut self, forward: bool, rows: usize) -> bool {
        let Some(matches) = self.matches().filter(|m| !m.is_empty()) else { return false };
        let at = self.cursor;
        let after = matches.partition_point(|n| *n <= at);
        let before = matches.partition_point(|n| *n < at);
        let next = match (self.is_among_all(), forward) {
            (false, _) if before < after => at,
            (_, true) => matches.get(after).copied().unwrap_or(matches[0]),
            (_, false) => matches[before.checked_sub(1).unwrap_or(matches.len() - 1)],
        };
        if let Some(found) = &mut self.found {
            found.among_all = true;
        }
        self.options.follow = false;
        self.cursor = next;
        self.show_around(rows);
        true
    }

    /// Puts the cursor on a line far away, or on the next one that is shown, with its neighbours.
    pub fn jump(&mut self, number: u64, rows: usize) {
        let last = self.shown().saturating_sub(1);
        self.go(self.index_of(number).min(last));
        self.options.follow = false;
        self.show_around(rows);
    }

    /// Puts the cursor's line into the middle, unless it is on the screen anyway.
    fn show_around(&mut self, rows: usize) {
        let (index, top) = (self.index_of(self.cursor), self.index_of(self.top.number));
        if (top..top + rows).contains(&index) && self.number(top) == Some(self.top.number) {
            return;
        }
        let first = index.saturating_sub(rows / 2);
        self.top = Place { number: self.number(first).unwrap_or(self.cursor), row: 0 };
    }

    /// Moves the screen by lines, as a wheel does; the cursor stays on it.
    pub fn scroll(&mut self, lines: isize, rows: usize) {
        let last = self.shown().saturating_sub(1);
        let top =
            self.index_of(self.top.number).saturating_add_signed(lines).min((last + 1).saturating_sub(rows));
        let cursor = self.index_of(self.cursor).clamp(top, (top + rows.max(1) - 1).min(last.max(top)));
        self.options.follow &= lines > 0 && cursor == last;
        self.top = Place { number: self.number(top).unwrap_or(self.top.number), row: 0 };
        self.cursor = self.number(cursor).unwrap_or(self.cursor);
    }

    /// Puts the cursor on a line that is shown.
    pub fn point(&mut self, number: u64) {
        self.go(self.index_of(number));
    }

    /// Moves the cursor by lines. Away from the newest line it no longer follows; back there it
    /// does not start to by itself, so that nothing moves under a hand.
    pub fn move_by(&mut self, lines: isize) {
        let last = self.shown().saturating_sub(1);
        let index = self.index_of(self.cursor).min(last).saturating_add_signed(lines).min(last);
        self.go(index);
    }

    /// To the first line.
    pub fn home(&mut self) {
        self.go(0);
        if !self.options.lock {
            self.left = 0;
        }
    }

    /// To the newest line, and stay there.
    pub fn end(&mut self) {
        self.options.follow = true;
        self.cursor = self.last().unwrap_or(self.cursor);
    }

    fn go(&mut self, index: usize) {
        if let Some(number) = self.number(index) {
            if Some(number) != self.last() {
                self.options.follow = false;
            }
            self.cursor = number;
        }
    }

    pub fn toggle_follow(&mut self) {
        self.options.follow = !self.options.follow;
        if self.options.follow {
            self.end();
        }
    }

    pub fn toggle_wrap(&mut self) {
        self.options.wrap = !self.options.wrap;
        self.left = 0;
        // The line at the top stays there, as far as the cursor's line is then on the screen.
        self.top.row = 0;
    }

    pub fn scroll_right(&mut self, cells: isize) {
        if !self.options.wrap {
            self.left = self.left.saturating_add_signed(cells);
        }
    }

    pub fn line(&self, number: u64) -> Option<Kept> {
        self.store.get(number)
    }

    /// Lines shown as text, for copying and saving: as they came, made harmless.
    pub fn text_of(&self, number: u64) -> String {
        self.line(number).map(|l| super::draw::saved_text(self, &l.line())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::search;
    use super::*;
    use crate::rows::LineSource;

    fn lines(texts: &[&str]) -> Vec<Line> {
        let source = Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: "p".into(),
            container: "m".into(),
        });
        texts.iter().map(|t| Line::Text { source: source.clone(), time: None, text: (*t).into() }).collect()
    }

    fn search(view: &mut LogView, typed: &str) -> Job {
        view.set_filter(Filter::parse(typed).unwrap()).unwrap()
    }

    fn finish(view: &mut LogView, job: &Job) {
        let found = search::run(&job.chunks, &job.wanted, &search::Progress::default()).unwrap();
        view.searched(job.generation, found);
    }

    fn shown(view: &LogView) -> Vec<String> {
        (0..view.shown())
            .filter_map(|i| view.line(view.number(i)?).map(|l| l.line().text.to_owned()))
            .collect()
    }

    #[test]
    fn lines_that_come_while_a_search_runs_are_neither_lost_nor_doubled() {
        let mut view = LogView::default();
        view.push(&lines(&["a1", "b1", "a2"]));
        let job = search(&mut view, "a");
        view.push(&lines(&["a3", "b2"]));
        assert_eq!(view.shown(), 5, "everything stays until the search is done");
        finish(&mut view, &job);
        view.push(&lines(&["b3", "a4"]));
        assert_eq!(shown(&view), ["a1", "a2", "a3", "a4"]);
        assert_eq!(view.cursor, 6);
    }

    #[test]
    fn only_the_newest_search_counts() {
        let mut view = LogView::default();
        view.push(&lines(&["a", "b"]));
        let old = search(&mut view, "a");
        let new = search(&mut view, "b");
        finish(&mut view, &new);
        finish(&mut view, &old);
        assert_eq!(shown(&view), ["b"]);
        assert!(view.set_filter(None).is_none());
        assert_eq!(view.shown(), 2);
    }

    #[test]
    fn gaps_and_marks_are_shown_whatever_the_filter() {
        let mut view = LogView::default();
        view.mark("12:00:01", 0);
        view.push(&lines(&["a"]));
        let job = search(&mut view, "nothing");
        finish(&mut view, &job);
        view.push(&[
            Line::Lost { source: None, count: 3 },
            Line::Mark { source: None, text: "restarted".into() },
        ]);
        assert_eq!(shown(&view), ["12:00:01", "3 lines were not delivered"]);
    }

    #[test]
    fn matches_are_walked_through_among_their_neighbours() {
        let mut view = LogView::default();
        view.push(&lines(&["a1", "b", "a2", "c", "a3"]));
        assert!(!view.step_match(true, 3), "there is nothing to go to without a filter");
        let job = search(&mut view, "a");
        finish(&mut view, &job);
        view.move_by(-1);
        assert_eq!((view.shown(), view.cursor), (3, 2));
        assert!(view.step_match(true, 3));
        assert_eq!(
            (view.shown(), view.cursor, view.match_place()),
            (5, 2, Some((2, 3))),
            "first the neighbours"
        );
        view.step_match(true, 3);
        assert_eq!(view.cursor, 4);
        view.step_match(true, 3);
        assert_eq!(view.cursor, 0, "round at the end");
        view.step_match(false, 3);
        assert_eq!(view.cursor, 4);
        view.push(&lines(&["x", "a4"]));
        view.step_match(true, 3);
        assert_eq!((view.cursor, view.match_place()), (6, Some((4, 4))), "what came meanwhile is found too");
        view.hide_others();
        assert_eq!(shown(&view), ["a1", "a2", "a3", "a4"]);
    }

    #[test]
    fn the_wheel_moves_the_screen_and_keeps_the_cursor_on_it() {
        let mut view = LogView::default();
        view.push(&lines(&["a"; 20]));
        view.top = Place { number: 15, row: 0 };
        view.scroll(-3, 5);
        assert_eq!((view.top.number, view.cursor, view.options.follow), (12, 16, false));
        view.scroll(100, 5);
        assert_eq!((view.top.number, view.cursor), (15, 16));
        view.scroll(-100, 5);
        assert_eq!((view.top.number, view.cursor), (0, 4));
    }

    #[test]
    fn the_cursor_follows_the_newest_until_it_is_moved() {
        let mut view = LogView::default();
        view.push(&lines(&["a", "b", "c"]));
        assert_eq!(view.cursor, 2);
        view.move_by(-1);
        view.push(&lines(&["d"]));
        assert_eq!(view.cursor, 1);
        view.end();
        view.push(&lines(&["e"]));
        assert_eq!(view.cursor, 4);
        view.clear();
        assert_eq!(view.shown(), 0);
        view.push(&lines(&["f"]));
        assert_eq!(shown(&view), ["f"]);
        view.move_by(-5);
        assert_eq!(view.cursor, 5);
    }
}
