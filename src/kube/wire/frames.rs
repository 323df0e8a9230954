//! Cuts a stream of bytes into the events of a watch.

use bytes::{Buf, Bytes, BytesMut};

/// Larger than any object that etcd takes, with room for a Table of it.
const FRAME_LIMIT: usize = 32 << 20;

/// How events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kube) enum Framing {
    /// A 4-byte big-endian length before each (`apimachinery/pkg/util/framer`): protobuf.
    Length,
    /// A line feed after each: JSON, which escapes the line feeds inside it.
    Lines,
}

/// The bytes that have come and are not yet a whole event.
#[derive(Debug)]
pub(in crate::kube) struct Frames {
    framing: Framing,
    buffer: BytesMut,
    /// Up to where no line feed was found, so that a long line is looked through once.
    scanned: usize,
}

impl Frames {
    pub(in crate::kube) fn new(framing: Framing) -> Self {
        Self { framing, buffer: BytesMut::new(), scanned: 0 }
    }

    pub(in crate::kube) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event, if there is one. An error means that the stream makes no sense from here on.
    pub(in crate::kube) fn next(&mut self) -> Result<Option<Bytes>, String> {
        match self.framing {
            Framing::Length => self.by_length(),
            Framing::Lines => self.by_line(),
        }
    }

    /// Whether the stream ended inside an event.
    pub(in crate::kube) fn is_cut(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn by_length(&mut self) -> Result<Option<Bytes>, String> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > FRAME_LIMIT {
            return Err(format!("an event of {length} bytes"));
        }
        if self.buffer.len() < 4 + length {
            // One allocation for a large event instead of one for each doubling.
            self.buffer.reserve(4 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn by_line(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                if self.scanned > FRAME_LIMIT {
                    return Err(format!("an event of more than {FRAME_LIMIT} bytes"));
                }
                return Ok(None);
            };
            let line = self.buffer.split_to(self.scanned + at + 1).freeze();
            self.scanned = 0;
            let line = line.slice(..line.len() - 1);
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(framing);
        let mut out = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Some(frame) = frames.next().unwrap() {
                out.push(frame.to_vec());
            }
        }
        assert!(!frames.is_cut());
        out
    }

    #[test]
    fn a_stream_split_at_any_byte_gives_the_same_events() {
        let events: [&[u8]; 4] = [b"one", b"", b"a longer one \n with a line feed", b"x"];
        let mut stream = Vec::new();
        for event in events {
            stream.extend_from_slice(&u32::try_from(event.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(event);
        }
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(all(Framing::Length, &[a, b]), events, "split at {at}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(all(Framing::Length, &single), events);
    }

    #[test]
    fn lines_split_at_any_byte_give_the_same_events() {
        let stream = b"{\"a\":1}\n\n{\"b\":\"\\n\"}\n";
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(
                all(Framing::Lines, &[a, b]),
                [&b"{\"a\":1}"[..], b"{\"b\":\"\\n\"}"],
                "split at {at}"
            );
        }
    }

    #[test]
    fn an_absurd_length_is_an_error_and_takes_no_memory() {
        let mut frames = Frames::new(Framing::Length);
        frames.push(&[0xff, 0xff, 0xff, 0xff]);
        assert!(frames.next().is_err());
        assert!(frames.buffer.capacity() < 1024);
    }

    #[test]
    fn a_stream_that_ends_inside_an_event_is_cut() {
        let mut frames = Frames::new(Framing::Length);
        frames.push(&[0, 0, 0, 9, 1]);
        assert_eq!(frames.next().unwrap(), None);
        assert!(frames.is_cut());
    }
}
