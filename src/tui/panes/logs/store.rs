//! The log lines of a pane: the newest in memory, those before them on disk.
//!
//! Text lies in contiguous chunks, each with its lines' ends, so that a search walks plain memory
//! and a line costs 15 bytes beside its text. Full chunks are shared with the search worker and
//! never change. The oldest chunk goes when there is too much; how many lines went is known.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::chunk::{Chunk, Kept, Kind, NO_SOURCE, NO_TIME};
use super::spill::{Disk, MEMORY_ALONE, Slot, Spill, Tally};
use crate::rows::{Line, LineSource};

/// So many bytes that wait to be written are more than the disk keeps up with.
const BEHIND: usize = 64 << 20;
/// Chunks read back from disk that are kept at hand: a screen seldom shows more.
const AT_HAND: usize = 4;
/// A line that is older than one shown before by more than this came late, in nanoseconds.
const LATE: i64 = 100_000_000;

/// The lines, and what is known of those that are gone.
#[derive(Debug, Default)]
pub struct LogStore {
    closed: VecDeque<Arc<Slot>>,
    /// How many of `closed`, from the oldest on, were given to be written.
    given: usize,
    open: Arc<Chunk>,
    next: u64,
    let_go: u64,
    lost: u64,
    sources: Vec<Arc<LineSource>>,
    /// The time of the youngest line, and whose it is.
    youngest: Option<(i64, u16)>,
    tally: Arc<Tally>,
    disk: Disk,
    spill: Option<Spill>,
    at_hand: Mutex<VecDeque<Arc<Chunk>>>,
}

impl LogStore {
    /// Keeps on disk what no longer fits into memory.
    pub fn on(disk: Disk) -> Self {
        Self { disk, ..Self::default() }
    }

    /// Number of the oldest line kept.
    pub fn first(&self) -> u64 {
        self.closed.front().map_or(self.open.first, |c| c.first)
    }

    /// Number that the next line will get.
    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn len(&self) -> usize {
        usize::try_from(self.next - self.first()).unwrap_or(usize::MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lines that came and were dropped to bound memory and disk.
    pub fn let_go(&self) -> u64 {
        self.let_go
    }

    /// Lines that were never delivered.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn sources(&self) -> &[Arc<LineSource>] {
        &self.sources
    }

    /// Bytes on disk.
    pub fn on_disk(&self) -> u64 {
        self.tally.on_disk()
    }

    /// Why nothing more is written to disk.
    pub fn disk_failed(&self) -> Option<String> {
        self.tally.failed()
    }

    /// Whether the disk does not keep up: no more should be read for now.
    pub fn is_behind(&self) -> bool {
        self.tally.waiting() > BEHIND
    }

    pub fn push(&mut self, line: &Line) {
        match line {
            Line::Text { source, time, text } => {
                let source = self.intern(source);
                let late = time.is_some_and(|time| self.is_late(time, source));
                self.add(text, time.unwrap_or(NO_TIME), source, Kind::Text, late);
            }
            Line::Mark { source, text } => {
                let source = source.as_ref().map_or(NO_SOURCE, |s| self.intern(s));
                self.add(text, NO_TIME, source, Kind::Told, false);
            }
            Line::Lost { source, count } => {
                let source = source.as_ref().map_or(NO_SOURCE, |s| self.intern(s));
                self.lost += count;
                let lines = if *count == 1 { "line was" } else { "lines were" };
                self.add(&format!("{count} {lines} not delivered"), NO_TIME, source, Kind::Lost, false);
            }
        }
    }

    /// Whether a line came well after a younger one of another source. A source's own order is its own.
    fn is_late(&mut self, time: i64, source: u16) -> bool {
        match self.youngest {
            Some((youngest, of)) if time <= youngest => of != source && youngest - time > LATE,
            _ => {
                self.youngest = Some((time, source));
                false
            }
        }
    }

    /// A mark of the operator's.
    pub fn mark(&mut self, text: &str, time: i64) {
        self.add(text, time, NO_SOURCE, Kind::Mark, false);
    }

    /// Forgets every line; numbers go on, so that nothing points at the wrong line.
    pub fn clear(&mut self) {
        let (next, sources, disk) = (self.next, std::mem::take(&mut self.sources), self.disk.clone());
        *self = Self { next, sources, disk, open: Arc::new(Chunk::from_number(next)), ..Self::default() };
    }

    pub fn get(&self, number: u64) -> Option<Kept> {
        if number < self.first() || number >= self.next {
            return None;
        }
        let chunk = if number >= self.open.first {
            self.open.clone()
        } else {
            let i = self.closed.partition_point(|c| c.end() <= number);
            self.read(self.closed.get(i)?)?
        };
        let index = usize::try_from(number - chunk.first).ok()?;
        Some(Kept { chunk, index })
    }

    /// A closed chunk; from the disk if it is there, which for a file just written is from memory nearly always.
    fn read(&self, slot: &Slot) -> Option<Arc<Chunk>> {
        let mut at_hand = self.at_hand.lock();
        if let Some(chunk) = at_hand.iter().find(|c| c.first == slot.first) {
            return Some(chunk.clone());
        }
        let chunk = slot.load()?;
        if at_hand.len() == AT_HAND {
            at_hand.pop_front();
        }
        at_hand.push_back(chunk.clone());
        Some(chunk)
    }

    /// The chunks as they are now, for a worker: only the open one is copied, if lines come meanwhile.
    pub fn snapshot(&self) -> Vec<Arc<Slot>> {
        let mut chunks: Vec<_> = self.closed.iter().cloned().collect();
        if self.open.len() > 0 {
            chunks.push(Slot::new(self.open.clone(), &Arc::default()));
        }
        chunks
    }

    /// The number of the first line that is not older than `time`, as far as lines are in the order of their times.
    pub fn at_time(&self, time: i64) -> Option<u64> {
        let slot = self.closed.iter().find(|s| s.times.is_some_and(|(_, latest)| latest >= time));
        let chunk = match slot {
            Some(slot) => self.read(slot)?,
            None => self.open.clone(),
        };
        (0..chunk.len())
            .map(|i| chunk.line(i))
            .find(|l| l.time.is_some_and(|t| t >= time))
            .map(|line| line.number)
    }

    /// The time of the oldest line kept that has one.
    pub fn begins(&self) -> Option<i64> {
        let open = self.open.clone();
        let closed = self.closed.iter().find_map(|s| s.times);
        closed.or_else(|| open.times()).map(|(earliest, _)| earliest)
    }

    fn intern(&mut self, source: &Arc<LineSource>) -> u16 {
        // Lines of one source come in runs, each with the same reference.
        let same = self.sources.iter().rposition(|s| Arc::ptr_eq(s, source));
        let found = same.or_else(|| self.sources.iter().position(|s| s == source));
        let index = found.unwrap_or_else(|| {
            self.sources.push(source.clone());
            self.sources.len() - 1
        });
        u16::try_from(index).unwrap_or(NO_SOURCE - 1)
    }

    fn add(&mut self, text: &str, time: i64, source: u16, kind: Kind, late: bool) {
        let open = Arc::make_mut(&mut self.open);
        open.push(text, time, source, kind, late);
        self.next += 1;
        if open.is_full() {
            let next = Chunk::from_number(self.next);
            let mut full = std::mem::replace(&mut self.open, Arc::new(next));
            Arc::make_mut(&mut full).close();
            self.closed.push_back(Slot::new(full, &self.tally));
            self.make_room();
        }
    }

    /// Gives to the disk what is too much for the memory, and lets the oldest go where that is too much too.
    fn make_room(&mut self) {
        let has_disk = self.disk.limit > 0 && self.tally.failed().is_none();
        let keeps = if self.tally.failed().is_some() { MEMORY_ALONE } else { self.disk.memory };
        while has_disk && self.given < self.closed.len() {
            let staying = self.tally.resident().saturating_sub(self.tally.waiting());
            if staying <= keeps {
                break;
            }
            if self.spill.is_none() {
                self.spill = Spill::start(&self.disk, &self.tally);
            }
            let Some(spill) = &self.spill else { break };
            spill.take(&self.closed[self.given]);
            self.given += 1;
        }
        while self.closed.len() > 1
            && (self.tally.on_disk() > self.disk.limit || (!has_disk && self.tally.resident() > keeps))
        {
            let Some(oldest) = self.closed.pop_front() else { break };
            oldest.let_go();
            self.let_go += oldest.lines as u64;
            self.given = self.given.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chunk::{LINES, MAX_LINE};
    use super::*;

    fn source(pod: &str) -> Arc<LineSource> {
        Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: pod.into(),
            container: "main".into(),
        })
    }

    fn text(s: &Arc<LineSource>, text: &str) -> Line {
        Line::Text { source: s.clone(), time: Some(5), text: text.into() }
    }

    #[test]
    fn lines_come_back_as_they_went_in() {
        let mut store = LogStore::default();
        let (a, b) = (source("a"), source("b"));
        store.push(&text(&a, "one"));
        store.push(&text(&b, ""));
        store.push(&Line::Lost { source: Some(a.clone()), count: 7 });
        store.push(&text(&a, "with\nfeed"));
        let got: Vec<_> = (0..4).filter_map(|n| store.get(n)).collect();
        let got: Vec<_> = got.iter().map(|l| (l.line().kind, l.line().text, l.line().source)).collect();
        assert_eq!(
            got,
            [
                (Kind::Text, "one", Some(0)),
                (Kind::Text, "", Some(1)),
                (Kind::Lost, "7 lines were not delivered", Some(0)),
                (Kind::Text, "with␊feed", Some(0)),
            ]
        );
        assert_eq!(store.lost(), 7);
        assert!(store.get(4).is_none());
    }

    fn told(store: &LogStore, number: u64) -> Option<String> {
        store.get(number).map(|l| l.line().text.to_owned())
    }

    fn settled(store: &LogStore) {
        let began = std::time::Instant::now();
        while store.tally.waiting() > 0 {
            assert!(began.elapsed().as_secs() < 30, "the disk is not written");
            std::thread::yield_now();
        }
    }

    #[test]
    fn without_a_disk_the_oldest_lines_go_and_are_counted() {
        let mut store = LogStore::on(Disk { memory: 1 << 20, ..Disk::default() });
        let s = source("a");
        let count = 20 * LINES as u64;
        for i in 0..count {
            store.push(&text(&s, &format!("this is the line with the number {i}")));
        }
        assert!(store.let_go() > 0 && store.tally.resident() <= 1 << 20);
        assert_eq!((store.let_go(), store.next()), (store.first(), count));
        let first = store.first();
        assert_eq!(told(&store, first), Some(format!("this is the line with the number {first}")));
        assert!(store.get(first - 1).is_none());
        store.clear();
        assert!(store.is_empty());
        assert_eq!(store.first(), store.next());
        store.push(&text(&s, "after"));
        assert_eq!(told(&store, store.first()).as_deref(), Some("after"));
    }

    #[test]
    fn with_a_disk_every_line_stays_in_little_memory() {
        let home = tempfile::tempdir().unwrap();
        let disk = Disk { directory: home.path().join("lines"), limit: 1 << 30, memory: 1 << 20 };
        let mut store = LogStore::on(disk.clone());
        let s = source("a");
        let count = 200_000;
        for i in 0..count {
            store.push(&text(&s, &format!("this is the line with the number {i}")));
        }
        settled(&store);
        // The writer gives memory back behind our backs: the next chunk takes that into account.
        assert!(store.tally.resident() <= (1 << 20) + (1 << 19), "{}", store.tally.resident());
        assert!(store.on_disk() > 8 << 20);
        assert_eq!((store.first(), store.let_go(), store.len()), (0, 0, count));
        for number in [0, 1, 4095, 4096, 77_777, 199_999] {
            assert_eq!(told(&store, number), Some(format!("this is the line with the number {number}")));
        }
        let read: usize = store.snapshot().iter().filter_map(|s| s.load()).map(|c| c.len()).sum();
        assert_eq!(read, count);
        // With less room the oldest go, and nothing else.
        let mut small = LogStore::on(Disk { limit: 2 << 20, ..disk });
        for i in 0..count {
            small.push(&text(&s, &format!("this is the line with the number {i}")));
            if i % LINES == 0 {
                settled(&small);
            }
        }
        let first = small.first();
        assert!(first > 0 && small.let_go() == first && small.on_disk() <= (2 << 20) + (1 << 18));
        assert_eq!(told(&small, first), Some(format!("this is the line with the number {first}")));
    }

    #[test]
    fn a_line_behind_younger_ones_of_others_is_late() {
        let mut store = LogStore::default();
        let (a, b) = (source("a"), source("b"));
        let at = |s: &Arc<LineSource>, ms: i64| Line::Text {
            source: s.clone(),
            time: Some(ms * 1_000_000),
            text: "x".into(),
        };
        for line in [at(&a, 1000), at(&b, 950), at(&b, 800), at(&a, 100), at(&b, 1001)] {
            store.push(&line);
        }
        let late: Vec<bool> = (0..5).filter_map(|n| store.get(n)).map(|l| l.line().late).collect();
        assert_eq!(late, [false, false, true, false, false]);
        assert_eq!((store.at_time(900_000_000), store.begins()), (Some(0), Some(100_000_000)));
    }

    #[test]
    fn a_huge_line_is_cut_and_says_so() {
        let mut store = LogStore::default();
        store.push(&text(&source("a"), &"x".repeat(MAX_LINE + 10)));
        assert!(told(&store, 0).is_some_and(|l| l.ends_with(" … 10 bytes more")));
    }
}
