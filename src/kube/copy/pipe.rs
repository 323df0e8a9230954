//! A pipe between a thread that reads or writes and a task that waits: archives are made and read by blocking code.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::sync::mpsc;

/// Pieces under way.
const PIECES: usize = 16;
const PIECE: usize = 64 * 1024;

/// What a task puts in for a thread to read.
pub fn to_thread() -> (mpsc::Sender<Bytes>, Reader) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (sender, Reader { receiver, rest: Bytes::new() })
}

/// What a thread writes for a task to take.
pub fn from_thread() -> (Writer, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Writer { sender, held: BytesMut::with_capacity(PIECE) }, receiver)
}

pub struct Reader {
    receiver: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
        }
        let n = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

pub struct Writer {
    sender: mpsc::Sender<Bytes>,
    held: BytesMut,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE);
        self.held.extend_from_slice(&bytes[..n]);
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let bytes = self.held.split().freeze();
        self.held.reserve(PIECE);
        self.sender.blocking_send(bytes).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
