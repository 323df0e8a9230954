//! Up to a million log lines in bounded memory.
//!
//! Text lies in contiguous chunks, each with its lines' ends, so that a search walks plain memory
//! and a line costs 16 bytes beside its text. Full chunks are shared with the search worker and
//! never change. The oldest chunk goes when there is too much; how many lines went is known.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::rows::{Line, LineSource};

/// Lines kept.
pub const MAX_LINES: usize = 1_000_000;
/// Bytes of text kept.
pub const MAX_BYTES: usize = 256 << 20;
/// Size at which a chunk is closed.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNK_LINES: usize = 4096;
/// A longer line is cut, and says so: one line must not fill the memory.
const MAX_LINE: usize = 1 << 20;

/// What a stored line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Something told between two lines: a container restarted.
    Told,
    /// A mark of the operator's.
    Mark,
    /// A gap: lines that were not delivered.
    Lost,
}

impl Kind {
    /// What no filter hides: a gap must not become silent, a mark was set to be found again.
    pub fn is_always_shown(self) -> bool {
        matches!(self, Kind::Mark | Kind::Lost)
    }
}

/// Time of a line that has none.
const NO_TIME: i64 = i64::MIN;
const NO_SOURCE: u16 = u16::MAX;

/// A run of lines. Line `i` is `text[ends[i - 1]..ends[i] - 1]`: each is followed by a line feed.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Number of its first line, counted from the first that ever came.
    pub first: u64,
    text: Vec<u8>,
    ends: Vec<u32>,
    times: Vec<i64>,
    sources: Vec<u16>,
    kinds: Vec<Kind>,
    always: Vec<u32>,
}

impl Chunk {
    /// The lines that no filter hides.
    pub fn always(&self) -> &[u32] {
        &self.always
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All its text, lines separated by line feeds.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// Where line `i` lies in [`Chunk::bytes`], without its line feed.
    pub fn span(&self, i: usize) -> (usize, usize) {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        (start, self.ends[i] as usize - 1)
    }

    /// Which line holds byte `at`, which is in line `from` or after it. Next to it this costs a comparison or two.
    pub fn line_from(&self, from: usize, at: usize) -> usize {
        const NEAR: usize = 4;
        for line in from..(from + NEAR).min(self.ends.len()) {
            if at < self.ends[line] as usize {
                return line;
            }
        }
        let rest = (from + NEAR).min(self.ends.len());
        rest + self.ends[rest..].partition_point(|&end| (end as usize) <= at)
    }

    /// Line `i`, as it is kept.
    pub fn line(&self, i: usize) -> Stored<'_> {
        let (start, end) = self.span(i);
        let (time, source) = (self.times[i], self.sources[i]);
        Stored {
            number: self.first + i as u64,
            kind: self.kinds[i],
            text: std::str::from_utf8(&self.text[start..end]).unwrap_or_default(),
            time: (time != NO_TIME).then_some(time),
            source: (source != NO_SOURCE).then_some(source),
        }
    }

    fn push(&mut self, text: &str, time: i64, source: u16, kind: Kind) {
        let cut = crate::tui::widgets::composed::cut(text, MAX_LINE);
        if memchr::memchr(b'\n', cut.as_bytes()).is_some() {
            // A line feed inside a line would split it; this is its visible form.
            self.text.extend_from_slice(cut.replace('\n', "␊").as_bytes());
        } else {
            self.text.extend_from_slice(cut.as_bytes());
        }
        if cut.len() < text.len() {
            self.text.extend_from_slice(format!(" … {} bytes more", text.len() - cut.len()).as_bytes());
        }
        self.text.push(b'\n');
        if kind.is_always_shown() {
            self.always.push(u32::try_from(self.ends.len()).unwrap_or(u32::MAX));
        }
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        self.times.push(time);
        self.sources.push(source);
        self.kinds.push(kind);
    }

    fn is_full(&self) -> bool {
        self.text.len() >= CHUNK_BYTES || self.ends.len() >= CHUNK_LINES
    }
}

/// A line as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub number: u64,
    pub kind: Kind,
    pub text: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub time: Option<i64>,
    /// Index into [`LogStore::sources`].
    pub source: Option<u16>,
}

/// The lines, and what is known of those that are gone.
#[derive(Debug, Default)]
pub struct LogStore {
    closed: VecDeque<Arc<Chunk>>,
    open: Chunk,
    bytes: usize,
    next: u64,
    let_go: u64,
    lost: u64,
    sources: Vec<Arc<LineSource>>,
}

impl LogStore {
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

    /// Lines that came and were dropped to bound the memory.
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

    pub fn push(&mut self, line: &Line) {
        match line {
            Line::Text { source, time, text } => {
                let source = self.intern(source);
                self.add(text, time.unwrap_or(NO_TIME), source, Kind::Text);
            }
            Line::Mark { source, text } => {
                let source = source.as_ref().map_or(NO_SOURCE, |s| self.intern(s));
                self.add(text, NO_TIME, source, Kind::Told);
            }
            Line::Lost { source, count } => {
                let source = source.as_ref().map_or(NO_SOURCE, |s| self.intern(s));
                self.lost += count;
                let lines = if *count == 1 { "line was" } else { "lines were" };
                self.add(&format!("{count} {lines} not delivered"), NO_TIME, source, Kind::Lost);
            }
        }
    }

    /// A mark of the operator's.
    pub fn mark(&mut self, text: &str) {
        self.add(text, NO_TIME, NO_SOURCE, Kind::Mark);
    }

    /// Forgets every line; numbers go on, so that nothing points at the wrong line.
    pub fn clear(&mut self) {
        let (next, sources) = (self.next, std::mem::take(&mut self.sources));
        *self = Self { next, sources, open: Chunk { first: next, ..Chunk::default() }, ..Self::default() };
    }

    pub fn get(&self, number: u64) -> Option<Stored<'_>> {
        if number < self.first() || number >= self.next {
            return None;
        }
        let chunk = if number >= self.open.first {
            &self.open
        } else {
            let i = self.closed.partition_point(|c| c.first + c.len() as u64 <= number);
            self.closed.get(i)?
        };
        let i = usize::try_from(number - chunk.first).ok()?;
        Some(chunk.line(i))
    }

    /// The chunks as they are now, for a worker: only the open one is copied.
    pub fn snapshot(&self) -> Vec<Arc<Chunk>> {
        let mut chunks: Vec<_> = self.closed.iter().cloned().collect();
        if self.open.len() > 0 {
            chunks.push(Arc::new(self.open.clone()));
        }
        chunks
    }

    fn intern(&mut self, source: &Arc<LineSource>) -> u16 {
        // The last few sources speak most often, and there are seldom more than some dozens.
        let found = self.sources.iter().rposition(|s| Arc::ptr_eq(s, source) || s == source);
        let index = found.unwrap_or_else(|| {
            self.sources.push(source.clone());
            self.sources.len() - 1
        });
        u16::try_from(index).unwrap_or(NO_SOURCE - 1)
    }

    fn add(&mut self, text: &str, time: i64, source: u16, kind: Kind) {
        let before = self.open.text.len();
        self.open.push(text, time, source, kind);
        self.bytes += self.open.text.len() - before;
        self.next += 1;
        if self.open.is_full() {
            let mut full = std::mem::replace(&mut self.open, Chunk { first: self.next, ..Chunk::default() });
            full.text.shrink_to_fit();
            self.closed.push_back(Arc::new(full));
        }
        while (self.len() > MAX_LINES || self.bytes > MAX_BYTES) && !self.closed.is_empty() {
            if let Some(oldest) = self.closed.pop_front() {
                self.bytes -= oldest.text.len();
                self.let_go += oldest.len() as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let got: Vec<_> = (0..4).filter_map(|n| store.get(n)).map(|l| (l.kind, l.text, l.source)).collect();
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

    #[test]
    fn the_oldest_lines_go_and_are_counted() {
        let mut store = LogStore::default();
        let s = source("a");
        for i in 0..(MAX_LINES + 3 * CHUNK_LINES) {
            store.push(&text(&s, &format!("line {i}")));
        }
        assert!(store.len() <= MAX_LINES && store.len() > MAX_LINES - 2 * CHUNK_LINES);
        assert_eq!(store.let_go(), store.first());
        assert_eq!(store.next(), (MAX_LINES + 3 * CHUNK_LINES) as u64);
        let first = store.first();
        assert_eq!(store.get(first).map(|l| l.text.to_owned()), Some(format!("line {first}")));
        assert!(store.get(first - 1).is_none());
        store.clear();
        assert!(store.is_empty());
        assert_eq!(store.first(), store.next());
        store.push(&text(&s, "after"));
        assert_eq!(store.get(store.first()).map(|l| l.text), Some("after"));
    }

    #[test]
    fn a_huge_line_is_cut_and_says_so() {
        let mut store = LogStore::default();
        store.push(&text(&source("a"), &"x".repeat(MAX_LINE + 10)));
        assert!(store.get(0).is_some_and(|l| l.text.ends_with(" … 10 bytes more")));
    }
}
