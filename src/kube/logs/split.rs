//! Chunks of bytes into lines, wherever the chunks are cut.

/// A line longer than this is given in several pieces. It bounds the memory that one stream can take.
pub const MAX_LINE: usize = 1 << 20;

/// How a piece ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At a line feed.
    Feed,
    /// At the size limit: the same line goes on in the next piece.
    Continues,
    /// At the end of the stream, without a line feed.
    Stream,
}

/// Keeps what came after the last line feed until the rest of its line comes.
#[derive(Debug)]
pub struct Splitter {
    partial: Vec<u8>,
    max: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(MAX_LINE)
    }
}

impl Splitter {
    /// `max`: bytes of one piece at most.
    pub fn new(max: usize) -> Self {
        Self { partial: Vec::new(), max: max.max(4) }
    }

    /// Gives `piece` every piece that ends within `chunk`, without its line feed (or CR and line feed).
    pub fn feed(&mut self, mut chunk: &[u8], mut piece: impl FnMut(&[u8], End)) {
        while let Some(at) = memchr::memchr(b'\n', chunk) {
            let (head, tail) = (&chunk[..at], &chunk[at + 1..]);
            if self.partial.is_empty() && head.len() <= self.max {
                piece(without_cr(head), End::Feed);
            } else {
                self.take(head, &mut piece);
                piece(without_cr(&self.partial), End::Feed);
                self.partial.clear();
            }
            chunk = tail;
        }
        self.take(chunk, &mut piece);
    }

    /// The stream ended: gives what is left as a piece of its own.
    pub fn finish(&mut self, mut piece: impl FnMut(&[u8], End)) {
        if !self.partial.is_empty() {
            piece(without_cr(&self.partial), End::Stream);
            self.partial = Vec::new();
        }
    }

    /// The stream broke and will be read again: forgets the unfinished line.
    pub fn forget(&mut self) {
        self.partial.clear();
    }

    fn take(&mut self, mut bytes: &[u8], piece: &mut impl FnMut(&[u8], End)) {
        while self.partial.len() + bytes.len() > self.max {
            let room = self.max - self.partial.len();
            self.partial.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            // A character is not cut in two: its first bytes go to the next piece.
            let cut = self.max - unfinished_char(&self.partial);
            let rest = self.partial.split_off(cut);
            piece(&self.partial, End::Continues);
            self.partial.clear();
            self.partial.extend_from_slice(&rest);
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.is_empty() && self.partial.capacity() > 64 * 1024 {
            // One huge line must not keep its memory for the life of the stream.
            self.partial = Vec::new();
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many bytes at the end are the beginning of a UTF-8 character whose rest is missing: 0 to 3.
fn unfinished_char(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len()) {
        let byte = bytes[bytes.len() - back];
        if byte & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(splitter: &mut Splitter, chunks: &[&[u8]]) -> Vec<(String, End)> {
        let mut out = Vec::new();
        let mut push = |b: &[u8], end| out.push((String::from_utf8_lossy(b).into_owned(), end));
        for chunk in chunks {
            splitter.feed(chunk, &mut push);
        }
        splitter.finish(&mut push);
        out
    }

    #[test]
    fn the_same_lines_come_at_every_border() {
        let text = "one\ntwo: Grüße 日本 👩\r\n\n\nlast without feed".as_bytes();
        let whole = pieces(&mut Splitter::default(), &[text]);
        assert_eq!(whole.len(), 5);
        assert_eq!(whole[1].0, "two: Grüße 日本 👩");
        assert_eq!(whole[4], ("last without feed".to_owned(), End::Stream));
        for a in 0..=text.len() {
            for b in a..=text.len() {
                let cut = pieces(&mut Splitter::default(), &[&text[..a], &text[a..b], &text[b..]]);
                assert_eq!(cut, whole, "cut at {a} and {b}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(pieces(&mut Splitter::default(), &bytes), whole);
    }

    #[test]
    fn a_huge_line_comes_in_pieces_and_nothing_is_lost() {
        let text = "ab日cdef".repeat(20) + "\nshort\n";
        for max in 4..24 {
            for step in [1, 3, 7, 1000] {
                let chunks: Vec<&[u8]> = text.as_bytes().chunks(step).collect();
                let got = pieces(&mut Splitter::new(max), &chunks);
                assert!(got.iter().all(|(p, _)| p.len() <= max && !p.contains('\u{fffd}')), "{max} {step}");
                let joined: String = got
                    .iter()
                    .map(|(p, end)| if *end == End::Feed { format!("{p}\n") } else { p.clone() })
                    .collect();
                assert_eq!(joined, text, "{max} {step}");
            }
        }
    }

    #[test]
    fn memory_stays_bounded_without_any_line_feed() {
        let mut splitter = Splitter::new(1024);
        let mut count = 0;
        for _ in 0..1000 {
            splitter.feed(&[b'x'; 4096], |piece, end| {
                assert_eq!((piece.len(), end), (1024, End::Continues));
                count += 1;
            });
        }
        assert!(count >= 3999 && splitter.partial.capacity() < 16 * 1024);
    }

    #[test]
    fn a_forgotten_piece_does_not_join_the_next_line() {
        let mut splitter = Splitter::default();
        splitter.feed(b"half a li", |_, _| panic!("no line yet"));
        splitter.forget();
        assert_eq!(pieces(&mut splitter, &[b"half a line\n"]), [("half a line".to_owned(), End::Feed)]);
    }
}
