//! Lines of several logs in the order of their times, as far as a short wait allows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use super::Line;

/// How long a log that has not said anything yet is waited for, from when it joined or another began to speak: while
/// servers get round to them one by one, the next may be its turn.
const OPENING: Duration = Duration::from_millis(500);
/// And how long in all.
const OPENING_MOST: Duration = Duration::from_secs(5);
/// How long one is waited for whose old lines are still coming.
const CATCHING: Duration = Duration::from_millis(400);
/// How long one is waited for that has nothing old left to say: what is written at the same time arrives within this.
const LIVE: Duration = Duration::from_millis(100);

/// Names one of the logs that are merged.
pub type Lane = usize;

/// Merges logs line by line: the earliest line goes first, once every other log has a later one or is silent. What is
/// held of a log is for its reader to bound: whoever holds back one log while another catches up loses nothing. A
/// line that is later than the wait is given late; none is dropped.
#[derive(Debug, Default)]
pub struct Merger {
    lanes: Vec<Queue>,
    held: usize,
    /// When one last began to speak.
    began: Option<Instant>,
}

#[derive(Debug)]
struct Queue {
    /// With their places in time: nanoseconds since the epoch, never before those of the line before, so that a log's own
    /// order stays. A line without a time has that of the line before.
    lines: VecDeque<(i64, Line)>,
    /// The place of its last line.
    last: i64,
    /// When it last said anything, or could say more.
    since: Instant,
    /// How many lines of it are held before its reader waits, and whether it may have waited.
    capacity: usize,
    pressed: bool,
    patience: Duration,
    open: bool,
}

impl Queue {
    /// Until when it is waited for, because it may still say something that belongs before the lines of others.
    fn awaited(&self, began: Option<Instant>, now: Instant) -> Option<Instant> {
        if !self.open || !self.lines.is_empty() {
            return None;
        }
        let until = match began {
            Some(began) if self.patience == OPENING => {
                (began.max(self.since) + OPENING).min(self.since + OPENING_MOST)
            }
            _ => self.since + self.patience,
        };
        (until > now).then_some(until)
    }
}

impl Merger {
    /// A log joins, of which so many lines are held at most.
    pub fn join(&mut self, capacity: usize, now: Instant) -> Lane {
        let queue = Queue {
            lines: VecDeque::new(),
            last: i64::MIN,
            since: now,
            capacity,
            pressed: false,
            patience: OPENING,
            open: true,
        };
        match self.lanes.iter().position(|q| !q.open && q.lines.is_empty()) {
            Some(lane) => {
                self.lanes[lane] = queue;
                lane
            }
            None => {
                self.lanes.push(queue);
                self.lanes.len() - 1
            }
        }
    }

    /// A log has come to its end: nobody waits for it any more. What is held of it is still given.
    pub fn leave(&mut self, lane: Lane) {
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.open = false;
        }
    }

    /// How many logs are merged.
    pub fn lanes(&self) -> usize {
        self.lanes.iter().filter(|q| q.open || !q.lines.is_empty()).count()
    }

    /// Takes lines of one log, in its order.
    pub fn push(&mut self, lane: Lane, lines: impl IntoIterator<Item = Line>, now: Instant) {
        let Some(queue) = self.lanes.get_mut(lane) else { return };
        let before = queue.lines.len();
        for line in lines {
            if let Line::Text { time: Some(time), .. } = &line {
                queue.last = queue.last.max(*time);
            }
            queue.lines.push_back((queue.last, line));
        }
        self.held += queue.lines.len() - before;
        queue.since = now;
        queue.pressed |= queue.lines.len() > queue.capacity / 2;
        if queue.patience == OPENING {
            queue.patience = CATCHING;
            self.began = Some(now);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Gives the lines whose turn it is.
    pub fn take(&mut self, now: Instant, out: impl FnMut(Lane, Line)) {
        let (mut limit, began) = (i64::MAX, self.began);
        for queue in self.lanes.iter_mut().filter(|q| q.open && q.lines.is_empty()) {
            if queue.awaited(began, now).is_some() {
                limit = limit.min(queue.last);
            } else {
                queue.patience = LIVE;
            }
        }
        self.give(limit, now, out);
    }

    /// Gives all there is, in order.
    pub fn drain(&mut self, out: impl FnMut(Lane, Line)) {
        self.lanes.iter_mut().for_each(|q| q.patience = Duration::ZERO);
        self.give(i64::MAX, Instant::now(), out);
        self.lanes.iter_mut().for_each(|q| q.patience = LIVE);
    }

    fn give(&mut self, mut limit: i64, now: Instant, mut out: impl FnMut(Lane, Line)) {
        let head = |(lane, q): (Lane, &Queue)| q.lines.front().map(|(time, _)| Reverse((*time, lane)));
        let mut heads: BinaryHeap<_> = self.lanes.iter().enumerate().filter_map(head).collect();
        while let Some(Reverse((time, lane))) = heads.pop() {
            if time > limit {
                return;
            }
            let queue = &mut self.lanes[lane];
            let Some((_, line)) = queue.lines.pop_front() else { continue };
            self.held -= 1;
            out(lane, line);
            match queue.lines.front() {
                Some((time, _)) => heads.push(Reverse((*time, lane))),
                None => {
                    // What its reader held back is still to come; else it has been silent since it last spoke.
                    if std::mem::take(&mut queue.pressed) {
                        queue.since = now;
                    }
                    if queue.awaited(None, now).is_some() {
                        limit = limit.min(queue.last);
                    }
                }
            }
        }
    }

    /// When [`Merger::take`] has more to give though nothing comes; `None` if nothing is held.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let waited = self.lanes.iter().filter_map(|q| q.awaited(self.began, now)).min();
        Some(waited.unwrap_or(now))
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

    fn take(merger: &mut Merger, now: Instant) -> Vec<i64> {
        let mut out = Vec::new();
        merger.take(now, |_, line| {
            if let Line::Text { time: Some(t), .. } = line {
                out.push(t);
            }
        });
        out
    }

    #[test]
    fn two_logs_come_out_in_order_however_far_apart_they_are_read() {
        let (mut merger, now) = (Merger::default(), Instant::now());
        let (a, b) = (merger.join(9_999, now), merger.join(9_999, now));
        merger.push(a, [line(10), line(30)], now);
        assert!(take(&mut merger, now).is_empty(), "the other is waited for");
        merger.push(b, [line(5), line(20)], now);
        assert_eq!(take(&mut merger, now), [5, 10, 20], "30 waits for what b says next");
        // b is far ahead, and waits for a as long as a's old lines come.
        merger.push(b, (0..1000).map(|i| line(1000 + i)), now);
        let mut at = now;
        for i in 0..10 {
            at += CATCHING / 2;
            merger.push(a, [line(40 + i)], at);
            take(&mut merger, at);
        }
        assert_eq!(merger.held, 1000);
        assert_eq!(merger.due(at), Some(at + CATCHING));
        assert_eq!(take(&mut merger, at + CATCHING).len(), 1000, "a is silent");
        assert!(merger.is_empty() && merger.due(at).is_none());
    }

    #[test]
    fn one_that_is_silent_holds_nobody_up_and_a_late_line_is_given_late() {
        let (mut merger, now) = (Merger::default(), Instant::now());
        let (a, b) = (merger.join(9_999, now), merger.join(9_999, now));
        let later = now + OPENING;
        merger.push(a, [line(100)], later);
        let later = later + OPENING;
        assert_eq!(take(&mut merger, later), [100]);
        merger.push(b, [line(50)], later);
        assert_eq!(take(&mut merger, later), [50]);
        let later = later + CATCHING;
        merger.push(a, [line(200)], later);
        merger.leave(b);
        assert_eq!((take(&mut merger, later), merger.lanes()), (vec![200], 1));
        assert_eq!(merger.join(9_999, later), b, "a place that is free is taken again");
    }

    #[test]
    fn one_whose_reader_was_held_back_is_waited_for_again() {
        let (mut merger, now) = (Merger::default(), Instant::now());
        let (a, b) = (merger.join(4, now), merger.join(4, now));
        merger.push(a, [line(1), line(2), line(3)], now);
        let later = now + OPENING + CATCHING;
        merger.push(b, [line(10), line(11)], later);
        assert_eq!(take(&mut merger, later), [1, 2, 3], "a may have 4 to say");
        merger.push(a, [line(4)], later);
        assert_eq!(take(&mut merger, later), [4]);
        assert_eq!(take(&mut merger, later + CATCHING), [10, 11]);
    }

    #[test]
    fn logs_that_begin_one_by_one_are_waited_for_and_not_for_ever() {
        let (mut merger, start) = (Merger::default(), Instant::now());
        let lanes: Vec<Lane> = (0..20).map(|_| merger.join(9_999, start)).collect();
        let mut now = start;
        for (i, lane) in lanes.iter().enumerate().take(19) {
            now = start + Duration::from_millis(200 * i as u64);
            merger.push(*lane, [line(100 - i as i64)], now);
            assert!(take(&mut merger, now).is_empty(), "{i} of them speak");
        }
        let wanted: Vec<i64> = (82..=100).collect();
        assert_eq!(take(&mut merger, now + OPENING), wanted, "the last says nothing");
        assert!(merger.is_empty());
    }

    #[test]
    fn a_log_keeps_its_own_order_and_marks_stay_behind_the_line_they_follow() {
        let (mut merger, now) = (Merger::default(), Instant::now());
        let (a, b) = (merger.join(9_999, now), merger.join(9_999, now));
        let mark = Line::Mark { source: None, text: "restarted".into() };
        merger.push(a, [line(10), mark.clone(), line(9), line(12)], now);
        merger.push(b, [line(11)], now);
        let mut out = Vec::new();
        merger.drain(|_, line| out.push(line));
        assert_eq!(out, [line(10), mark, line(9), line(11), line(12)]);
    }

    proptest::proptest! {
        #[test]
        fn logs_that_are_in_order_come_out_in_order_and_whole(
            logs in proptest::collection::vec(proptest::collection::vec(0i64..1000, 0..50), 1..6),
            step in 1usize..7,
        ) {
            let (mut merger, mut now) = (Merger::default(), Instant::now());
            let mut logs: Vec<VecDeque<i64>> =
                logs.into_iter().map(|mut l| { l.sort_unstable(); l.into() }).collect();
            let mut wanted: Vec<i64> = logs.iter().flatten().copied().collect();
            wanted.sort_unstable();
            let lanes: Vec<Lane> = logs.iter().map(|_| merger.join(9_999, now)).collect();
            let mut out = Vec::new();
            while logs.iter().any(|l| !l.is_empty()) {
                for (i, (log, lane)) in logs.iter_mut().zip(&lanes).enumerate() {
                    let some = (step + i) % 5 + 1;
                    let piece: Vec<Line> = (0..some).filter_map(|_| log.pop_front()).map(line).collect();
                    if piece.is_empty() { merger.leave(*lane) } else { merger.push(*lane, piece, now) }
                }
                now += Duration::from_millis(1);
                out.extend(take(&mut merger, now));
            }
            lanes.iter().for_each(|lane| merger.leave(*lane));
            out.extend(take(&mut merger, now));
            proptest::prop_assert_eq!(out, wanted);
        }
    }
}
