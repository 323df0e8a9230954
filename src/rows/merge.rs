//! Lines of several logs in the order of their times, as far as a short window allows.

use super::Line;

/// Holds lines for one or two turns of the clock, so that containers that write at the same time come out in order.
/// A line that is late by more than that is given late; none is dropped.
#[derive(Debug, Default)]
pub struct Merger {
    held: Vec<Entry>,
    /// How many of `held` came before the last turn.
    old: usize,
    last: i64,
}

#[derive(Debug)]
struct Entry {
    /// Nanoseconds since the epoch. A line without a time gets that of the line before it, and stays behind it.
    time: i64,
    line: Line,
}

/// With more lines than this waiting, order gives way to memory.
const FULL: usize = 20_000;

impl Merger {
    /// Takes lines of one source, in its order.
    pub fn push(&mut self, lines: impl IntoIterator<Item = Line>) {
        let mut time = self.last;
        let mut stamped = false;
        for line in lines {
            if let Line::Text { time: Some(t), .. } = &line {
                // A source's own order is kept even where its stamps are not monotonic.
                time = if stamped { time.max(*t) } else { *t };
                stamped = true;
            }
            self.held.push(Entry { time, line });
        }
        self.last = self.last.max(time);
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether so much waits that it should be taken before the next turn.
    pub fn is_full(&self) -> bool {
        self.held.len() >= FULL
    }

    /// One turn of the clock: what waited since the turn before, and all that is earlier than it.
    pub fn turn(&mut self) -> Vec<Line> {
        let Some(latest) = self.held[..self.old].iter().map(|e| e.time).max() else {
            self.old = self.held.len();
            return Vec::new();
        };
        self.held.sort_by_key(|e| e.time);
        let ripe = self.held.partition_point(|e| e.time <= latest);
        let young = self.held.split_off(ripe);
        let out = std::mem::replace(&mut self.held, young);
        self.old = self.held.len();
        out.into_iter().map(|e| e.line).collect()
    }

    /// All there is, in order.
    pub fn drain(&mut self) -> Vec<Line> {
        self.held.sort_by_key(|e| e.time);
        self.old = 0;
        std::mem::take(&mut self.held).into_iter().map(|e| e.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: i64) -> Line {
        let source = std::sync::Arc::new(crate::rows::LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: "p".into(),
            container: "c".into(),
        });
        Line::Text { source, time: Some(time), text: time.to_string().into() }
    }

    fn times(lines: Vec<Line>) -> Vec<i64> {
        lines.iter().filter_map(|l| if let Line::Text { time, .. } = l { *time } else { None }).collect()
    }

    #[test]
    fn two_sources_come_out_in_order() {
        let mut merger = Merger::default();
        merger.push([line(10), line(30)]);
        assert!(merger.turn().is_empty(), "a line waits at least one turn");
        merger.push([line(5), line(20), line(40)]);
        assert_eq!(times(merger.turn()), [5, 10, 20, 30]);
        assert_eq!(times(merger.turn()), [40]);
        assert!(merger.is_empty());
    }

    #[test]
    fn a_late_line_is_given_late_but_given() {
        let mut merger = Merger::default();
        merger.push([line(100)]);
        merger.turn();
        assert_eq!(times(merger.turn()), [100]);
        merger.push([line(50)]);
        merger.turn();
        assert_eq!(times(merger.turn()), [50]);
    }

    #[test]
    fn marks_stay_behind_the_line_they_follow() {
        let mut merger = Merger::default();
        let mark = Line::Mark { source: None, text: "restarted".into() };
        merger.push([line(10), mark.clone(), line(12)]);
        merger.push([line(11)]);
        let out = merger.drain();
        assert_eq!(out[1], mark);
        assert_eq!(times(out), [10, 11, 12]);
    }
}
