//! A run of log lines, and how it is written to disk and read back.

use std::sync::Arc;

/// Size at which a chunk is closed.
const BYTES: usize = 256 << 10;
pub const LINES: usize = 4096;
/// A longer line is cut, and says so: one line must not fill the memory. What is followed comes in pieces of a
/// mebibyte, which fit.
pub const MAX_LINE: usize = (1 << 20) + (4 << 10);

/// What a stored line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
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

    fn of(flags: u8) -> Self {
        match flags & !LATE {
            0 => Kind::Text,
            1 => Kind::Told,
            2 => Kind::Mark,
            _ => Kind::Lost,
        }
    }
}

/// Beside the kind: the line came after younger ones of other sources.
const LATE: u8 = 0x80;
/// Time of a line that has none.
pub const NO_TIME: i64 = i64::MIN;
pub const NO_SOURCE: u16 = u16::MAX;

/// A run of lines. Line `i` is `text[ends[i - 1]..ends[i] - 1]`: each is followed by a line feed.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Number of its first line, counted from the first that ever came.
    pub first: u64,
    text: Vec<u8>,
    ends: Vec<u32>,
    times: Vec<i64>,
    sources: Vec<u16>,
    flags: Vec<u8>,
    always: Vec<u32>,
}

/// Bytes of a line beside its text, on disk and nearly so in memory.
const BESIDE: usize = 4 + 8 + 2 + 1;

impl Chunk {
    pub fn from_number(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// The lines that no filter hides.
    pub fn always(&self) -> &[u32] {
        &self.always
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that it takes in memory and on disk.
    pub fn size(&self) -> usize {
        self.text.len() + self.ends.len() * BESIDE
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

    /// The earliest and the latest time of its lines.
    pub fn times(&self) -> Option<(i64, i64)> {
        let timed = || self.times.iter().copied().filter(|t| *t != NO_TIME);
        Some((timed().min()?, timed().max()?))
    }

    /// Line `i`, as it is kept.
    pub fn line(&self, i: usize) -> Stored<'_> {
        let (start, end) = self.span(i);
        let (time, source) = (self.times[i], self.sources[i]);
        Stored {
            number: self.first + i as u64,
            kind: Kind::of(self.flags[i]),
            late: self.flags[i] & LATE != 0,
            text: std::str::from_utf8(&self.text[start..end]).unwrap_or_default(),
            time: (time != NO_TIME).then_some(time),
            source: (source != NO_SOURCE).then_some(source),
        }
    }

    pub fn push(&mut self, text: &str, time: i64, source: u16, kind: Kind, late: bool) {
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
        self.flags.push(kind as u8 | if late { LATE } else { 0 });
    }

    pub fn is_full(&self) -> bool {
        self.text.len() >= BYTES || self.ends.len() >= LINES
    }

    /// Gives back the memory that growing took in advance.
    pub fn close(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.times.shrink_to_fit();
        self.sources.shrink_to_fit();
        self.flags.shrink_to_fit();
    }

    /// As it is written to disk: the text, then what is known of each line. [`Chunk::decode`] needs the number of lines.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size());
        out.extend_from_slice(&self.text);
        self.ends.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        self.times.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        self.sources.iter().for_each(|n| out.extend_from_slice(&n.to_le_bytes()));
        out.extend_from_slice(&self.flags);
        out
    }

    /// What [`Chunk::encode`] wrote of `lines` lines; `None` if these bytes are something else.
    pub fn decode(first: u64, lines: usize, mut bytes: Vec<u8>) -> Option<Self> {
        let text = bytes.len().checked_sub(lines * BESIDE)?;
        let (ends, rest) = bytes[text..].split_at(lines * 4);
        let (times, rest) = rest.split_at(lines * 8);
        let (sources, flags) = rest.split_at(lines * 2);
        let ends: Vec<u32> = ends.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let times = times.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
        let sources = sources.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        let flags = flags.to_vec();
        let rising = ends.iter().try_fold(0u32, |last, end| (*end > last).then_some(*end));
        if rising.is_none_or(|end| end as usize != text) {
            return None;
        }
        let always = (0u32..).zip(&flags).filter(|(_, f)| Kind::of(**f).is_always_shown()).map(|(i, _)| i);
        let always = always.collect();
        bytes.truncate(text);
        Some(Self { first, text: bytes, ends, times, sources, flags, always })
    }

    /// In place of lines that cannot be read back: each says so, and no filter hides it.
    pub fn unreadable(first: u64, lines: usize, why: &str) -> Self {
        let mut chunk = Self::from_number(first);
        for _ in 0..lines {
            chunk.push(
                &format!("this line cannot be read back: {why}"),
                NO_TIME,
                NO_SOURCE,
                Kind::Lost,
                false,
            );
        }
        chunk
    }
}

/// A line as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub number: u64,
    pub kind: Kind,
    /// It came more than a moment after younger lines of other sources.
    pub late: bool,
    pub text: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub time: Option<i64>,
    /// Index into [`super::store::LogStore::sources`].
    pub source: Option<u16>,
}

/// A line, and the chunk that keeps it alive.
#[derive(Debug, Clone)]
pub struct Kept {
    pub chunk: Arc<Chunk>,
    pub index: usize,
}

impl Kept {
    pub fn line(&self) -> Stored<'_> {
        self.chunk.line(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut chunk = Chunk::from_number(7);
        chunk.push("one", 5, 0, Kind::Text, false);
        chunk.push("", NO_TIME, NO_SOURCE, Kind::Mark, false);
        chunk.push("Grüße 日本", 3, 1, Kind::Text, true);
        let bytes = chunk.encode();
        assert_eq!(bytes.len(), chunk.size());
        let back = Chunk::decode(7, 3, bytes.clone()).unwrap();
        let tell = |c: &Chunk| -> Vec<String> { (0..c.len()).map(|i| format!("{:?}", c.line(i))).collect() };
        assert_eq!(tell(&back), tell(&chunk));
        assert_eq!((back.always(), back.times()), (&[1][..], Some((3, 5))));
        assert!(Chunk::decode(7, 2, bytes.clone()).is_none(), "another number of lines is something else");
        assert!(Chunk::decode(7, 3, bytes[1..].to_vec()).is_none());
        let lost = Chunk::unreadable(7, 3, "no");
        assert_eq!((lost.len(), lost.always().len()), (3, 3));
    }
}
