//! Redaction of what comes in pieces: lines, and chunks cut anywhere.

use std::sync::Arc;

use super::Redactor;

/// Masks private keys that come line by line: the lines between `BEGIN` and `END` look like nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyLines {
    inside: bool,
}

impl KeyLines {
    /// Whether the next line may belong to the key.
    pub fn is_inside(self) -> bool {
        self.inside
    }

    /// Whether the line belongs to a private key and must be masked whole.
    pub fn hides(&mut self, line: &str) -> bool {
        if self.inside {
            self.inside = !line.contains("-----END ");
            // What cannot be part of a key ends it too, so that a cut-off key hides nothing else.
            if self.inside && line.trim().contains(' ') && !line.contains("-----") && !line.contains(": ") {
                self.inside = false;
                return false;
            }
            return true;
        }
        if line.contains("PRIVATE KEY-----") && line.contains("-----BEGIN ") {
            self.inside = !line.contains("-----END ");
            return true;
        }
        false
    }
}

/// Redacts a stream that comes in pieces: what might go on in the next piece is held back.
pub struct StreamRedactor {
    redactor: Arc<Redactor>,
    held: String,
}

/// Beyond this an unfinished line is let go, but for as much as a secret could span.
const LONGEST_LINE: usize = 16 * 1024;
const LONGEST_TOKEN: usize = 4 * 1024;

impl StreamRedactor {
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, held: String::new() }
    }

    /// What can be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut end = self.held.rfind('\n').map_or(0, |line_feed| line_feed + 1);
        if let Some(begin) = self.held.rfind("-----BEGIN ") {
            // A key is shown, masked, in one piece: not before the line that ends it is whole.
            let key = &self.held[begin..];
            let closed = key.find("-----END ").and_then(|at| Some(at + 9 + key[at + 9..].find("-----")? + 5));
            if closed.is_none_or(|closed| begin + closed > end) {
                end = end.min(begin);
            }
        }
        if self.held.len() - end > LONGEST_LINE {
            end = self.held.len() - LONGEST_TOKEN.max(self.redactor.longest());
            while !self.held.is_char_boundary(end) {
                end -= 1;
            }
            // The cut must not go through a secret either: mask first, then hold the tail back.
            let masked = self.redactor.text(&self.held).into_owned();
            let tail = self.held.split_off(end);
            let masked_tail = self.redactor.text(&tail).into_owned();
            self.held = tail;
            return masked.strip_suffix(masked_tail.as_str()).map_or_else(
                || {
                    self.held.clear();
                    masked.clone()
                },
                str::to_owned,
            );
        }
        let rest = self.held.split_off(end);
        let shown = std::mem::replace(&mut self.held, rest);
        self.redactor.text(&shown).into_owned()
    }

    /// What was held back, at the stream's end.
    pub fn finish(self) -> String {
        self.redactor.text(&self.held).into_owned()
    }
}
