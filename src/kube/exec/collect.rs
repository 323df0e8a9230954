//! Running a command to its end and keeping what it wrote, within limits.

use std::time::Duration;

use bytes::Bytes;

use super::process::{Piece, Process, Put};
use super::status::Exit;
use crate::base::{self, Code};

/// What may be kept, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes kept of each stream: half of them its beginning, half its end.
    pub bytes: usize,
    pub time: Duration,
}

/// A stream's beginning and end.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
}

impl Kept {
    fn take(&mut self, bytes: &[u8], most: usize) {
        self.total += bytes.len() as u64;
        let half = most / 2;
        let room = half.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Moving the tail's start costs as much as it holds: seldom is cheap.
        if self.tail.len() > most.max(8 * 1024) * 2 {
            self.tail.drain(..self.tail.len() - (most - half));
        }
    }

    /// The text, and how many bytes of the middle are not in it.
    fn text(mut self, most: usize) -> (String, u64) {
        let room = most - most / 2;
        let cut = self.tail.len().saturating_sub(room);
        let left_out = self.total - self.head.len() as u64 - (self.tail.len() - cut) as u64;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if left_out == 0 {
            self.head.extend_from_slice(&self.tail);
            return (text(&self.head), 0);
        }
        let mut out = text(&self.head);
        if !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&format!("[… {left_out} bytes left out …]\n"));
        out.push_str(&text(&self.tail[cut..]));
        (out, left_out)
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Collected {
    pub exit: Exit,
    pub out: String,
    pub error: String,
    /// Bytes that each stream had.
    pub out_bytes: u64,
    pub error_bytes: u64,
    /// Bytes of each that are not in the text.
    pub out_left: u64,
    pub error_left: u64,
}

/// Gives a process its whole input and waits for its end.
pub async fn collect(mut process: Process, input: Option<Bytes>, limits: Limits) -> base::Result<Collected> {
    if input.is_some() && !process.can_end_input() {
        return Err(base::Error::unsupported(
            "this server cannot be told where a command's input ends (it has no v5.channel.k8s.io)",
        )
        .next("Kubernetes 1.30 and newer can; leave the input out, or put it into the command."));
    }
    let sender = process.input.clone();
    let feeding = async move {
        if let Some(bytes) = input {
            // A process that ended without reading all of it is no failure of ours.
            let _ = sender.send(Put::Bytes(bytes)).await;
            let _ = sender.send(Put::End).await;
        }
        std::future::pending::<()>().await;
    };
    let (mut out, mut error) = (Kept::default(), Kept::default());
    let reading = async {
        while let Some(piece) = process.next().await? {
            match piece {
                Piece::Out(bytes) => out.take(&bytes, limits.bytes),
                Piece::Error(bytes) => error.take(&bytes, limits.bytes),
            }
        }
        process.exit().cloned()
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(limits.time, reading) => ended,
        () = feeding => return Err(base::Error::internal("feeding a command ended")),
    };
    let (out_bytes, error_bytes) = (out.total, error.total);
    let ((out, out_left), (error, error_left)) = (out.text(limits.bytes), error.text(limits.bytes));
    match ended {
        Ok(Ok(exit)) => Ok(Collected { exit, out, error, out_bytes, error_bytes, out_left, error_left }),
        Ok(Err(broken)) => Err(broken.into()),
        Err(_) => {
            let mut late = base::Error::new(
                Code::Timeout,
                format!("the command did not end within {} s; it may still run", limits.time.as_secs()),
            )
            .next("Give a longer timeout_seconds, or end it with kill in the container.");
            late.details = Some(Box::new(serde_json::json!({ "stdout": out, "stderr": error })));
            Err(late)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let mut kept = Kept::default();
        for i in 0..100_000 {
            kept.take(format!("{i}\n").as_bytes(), 100);
        }
        let total = kept.total;
        let (text, left_out) = kept.text(100);
        assert!(text.starts_with("0\n1\n2\n"), "{text}");
        assert!(text.ends_with("99998\n99999\n"), "{text}");
        assert_eq!(left_out, total - 100);
        assert!(text.contains(&format!("[… {left_out} bytes left out …]")), "{text}");

        let mut small = Kept::default();
        small.take(b"hello ", 8);
        small.take(b"yo", 8);
        assert_eq!(small.text(8), ("hello yo".to_owned(), 0));
    }
}
