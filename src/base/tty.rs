//! This process's own terminal, handed to somebody else byte by byte: raw mode, what is typed, its size.
//!
//! What is typed is read by a thread that can be stopped between two reads: a read that merely waits in the background
//! would take the next key from whoever owns the terminal afterwards.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

/// The most that is read at once.
const PIECE: usize = 16 * 1024;

/// Undoes what a program may leave behind on the terminal that it had: mouse reports, bracketed paste, application keys, a
/// scroll region, another character set, colours, a hidden cursor. The region's end would send the cursor to the corner:
/// it is kept where it was.
const TIDY: &[u8] =
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b7\x1b[r\x1b8\x1b(B\x0f\x1b[0m\x1b[?25h";

/// Leaves the other screen. Only for who is on it: some terminals move the cursor even if not.
const MAIN_SCREEN: &[u8] = b"\x1b[?1049l";

/// What turns the other screen on with `h` behind it, and off with `l`.
const SCREENS: [&[u8]; 3] = [b"\x1b[?1049", b"\x1b[?1047", b"\x1b[?47"];

/// Whether both standard input and output are a terminal.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Columns and rows, if there is a terminal.
pub fn size() -> Option<(u16, u16)> {
    crossterm::terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Raw mode while it lives: every key, Ctrl-c too, is a byte for the other side.
pub struct Raw {
    screen: Screen,
}

impl Raw {
    pub fn enter() -> io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self { screen: Screen::default() })
    }

    /// Writes what the other side sends.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.screen.pass(bytes);
        write(false, bytes)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What fails here can be told to nobody.
        if self.screen.other {
            let _ = write(false, MAIN_SCREEN);
        }
        let _ = write(false, TIDY);
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Which of the terminal's two screens the other side is on, from what it writes.
#[derive(Debug, Default)]
struct Screen {
    other: bool,
    /// The end of the piece before: a sequence may be cut in two.
    tail: Vec<u8>,
}

impl Screen {
    /// The longest sequence that is looked for, less one.
    const TAIL: usize = 7;

    fn pass(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        for (at, _) in self.tail.iter().enumerate().filter(|(_, byte)| **byte == 0x1b) {
            let rest = &self.tail[at..];
            let number = SCREENS.iter().find(|n| rest.starts_with(n));
            match number.and_then(|n| rest.get(n.len())) {
                Some(b'h') => self.other = true,
                Some(b'l') => self.other = false,
                _ => {}
            }
        }
        let cut = self.tail.len().saturating_sub(Self::TAIL);
        self.tail.drain(..cut);
    }
}

/// Standard input, read until it ends or this is dropped.
pub struct Typed {
    pieces: mpsc::Receiver<Bytes>,
    /// Its end wakes the thread.
    _stop: UnixStream,
}

impl Typed {
    pub fn start() -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let (sender, pieces) = mpsc::channel(8);
        std::thread::Builder::new().name("typed".into()).spawn(move || read(&stopped, &sender))?;
        Ok(Self { pieces, _stop: stop })
    }

    /// The next piece; `None` at the end of the input.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.pieces.recv().await
    }
}

fn read(stopped: &UnixStream, sender: &mpsc::Sender<Bytes>) {
    let stdin = io::stdin();
    let mut buffer = vec![0; PIECE];
    loop {
        let fd = stdin.as_fd();
        let mut both = [PollFd::new(&fd, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        if !both[1].revents().is_empty() {
            return;
        }
        // Not through Rust's own buffer: what would stay in it would be lost for the terminal's next owner.
        match rustix::io::read(stdin.as_fd(), &mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                if sender.blocking_send(Bytes::copy_from_slice(&buffer[..n])).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Finds the keys that leave, as ssh's: Enter, then `~`, then `.`. What the terminal itself answers in between (a shell that
/// asks where the cursor is, at each prompt) is no key.
#[derive(Debug)]
pub struct Escape {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inside,
    LineStart,
    Tilde,
    /// At the start of a line came an escape.
    Escaped,
    /// A control sequence: a key or an answer, as its last byte says.
    Sequence,
    /// An answer that is a text; the byte before.
    Text(u8),
}

impl Default for Escape {
    fn default() -> Self {
        Self { state: State::LineStart }
    }
}

impl State {
    /// After a byte that was sent on.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (State::LineStart, 0x1b) => State::Escaped,
            (State::Escaped, b'[') => State::Sequence,
            (State::Escaped, b']' | b'P') => State::Text(0),
            // Parameters, or the end: of the cursor's place, of what the terminal is, how it is, its size, its focus.
            (State::Sequence, 0x20..=0x3f) => State::Sequence,
            (State::Sequence, b'R' | b'c' | b'n' | b't' | b'y' | b'I' | b'O') => State::LineStart,
            (State::Text(_), 0x07) | (State::Text(0x1b), b'\\') => State::LineStart,
            (State::Text(_), byte) => State::Text(byte),
            (_, b'\r' | b'\n') => State::LineStart,
            _ => State::Inside,
        }
    }
}

impl Escape {
    /// The bytes to send on, and whether the keys to leave came behind them.
    pub fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (self.state, byte) {
                (State::LineStart, b'~') => {
                    // Held back until it is known what it begins.
                    self.state = State::Tilde;
                    continue;
                }
                (State::Tilde, b'.') => return (out, true),
                // Typed twice it means itself.
                (State::Tilde, b'~') => {
                    out.push(b'~');
                    self.state = State::Inside;
                    continue;
                }
                (State::Tilde, _) => out.push(b'~'),
                _ => {}
            }
            out.push(byte);
            self.state = self.state.after(byte);
        }
        (out, false)
    }
}

/// Writes to standard output, or error output, at once.
pub fn write(error: bool, bytes: &[u8]) -> io::Result<()> {
    if error {
        let mut to = io::stderr().lock();
        to.write_all(bytes).and_then(|()| to.flush())
    } else {
        let mut to = io::stdout().lock();
        to.write_all(bytes).and_then(|()| to.flush())
    }
}

/// Throws away what was typed and not read.
pub fn forget_typed() {
    // A terminal that cannot do it keeps the keys, which does no harm.
    let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// Reads standard input to its end, up to a limit; `None` if there was more.
pub fn read_whole(limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_screen_is_noticed_wherever_the_sequence_is_cut() {
        let whole = b"ls\r\n\x1b[?1049h\x1b[2J";
        for cut in 0..whole.len() {
            let mut screen = Screen::default();
            screen.pass(&whole[..cut]);
            screen.pass(&whole[cut..]);
            assert!(screen.other, "{cut}");
            screen.pass(b"\x1b[?1049");
            screen.pass(b"l");
            assert!(!screen.other, "{cut}");
            screen.pass(b"x");
            assert!(!screen.other, "{cut}");
        }
    }

    #[test]
    fn only_a_tilde_and_a_dot_at_the_start_of_a_line_leave() {
        let mut keys = Escape::default();
        assert_eq!(keys.pass(b"ls ~.\r"), (b"ls ~.\r".to_vec(), false));
        assert_eq!(keys.pass(b"~"), (Vec::new(), false));
        assert_eq!(keys.pass(b"x~.\r"), (b"~x~.\r".to_vec(), false));
        assert_eq!(keys.pass(b"~~."), (b"~.".to_vec(), false));
        assert_eq!(keys.pass(b"\r~.rest"), (b"\r".to_vec(), true));
        assert_eq!(Escape::default().pass(b"~."), (Vec::new(), true));
    }

    #[test]
    fn what_the_terminal_answers_is_no_key() {
        for answer in ["\x1b[11;5R", "\x1b[?62;c", "\x1b]11;rgb:0/0/0\x1b\\", "\x1b]0;t\x07", "\x1b[I"] {
            let mut keys = Escape::default();
            keys.pass(b"ls\r");
            // However it is cut.
            for byte in answer.bytes() {
                assert_eq!(keys.pass(&[byte]), (vec![byte], false));
            }
            assert_eq!(keys.pass(b"~."), (Vec::new(), true), "{answer:?}");
        }
        // Keys that move or recall a line are.
        for key in ["\x1b[A", "\x1bOA", "\x1bb", "\x1b[3~"] {
            let mut keys = Escape::default();
            keys.pass(b"ls\r");
            keys.pass(key.as_bytes());
            assert_eq!(keys.pass(b"~."), (b"~.".to_vec(), false), "{key:?}");
        }
    }
}
