//! The terminal: taken at the start, given back however the process ends.
//!
//! One [`Guard`] at a time. It gives the terminal back when it is dropped, a panic hook does so before the
//! panic's message is printed, and both do it once only.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::style::{Print, ResetColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, SetTitle,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect};

use crate::base::{Error, Result, SafeText};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// What the terminal can be asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub mouse: bool,
}

/// The terminal while it is ours.
pub struct Guard {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    options: Options,
}

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// Standard input or output is not a terminal, or the terminal does not answer.
    pub fn take(options: Options) -> Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Error::unsupported("the console needs a terminal").next(
                "Use `qd NOUN VERB` in scripts, `qd serve` without a screen, `qd mcp` for an assistant.",
            ));
        }
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enter(options).map_err(lost)?;
        let writer = BufWriter::with_capacity(1 << 17, io::stdout());
        let terminal = Terminal::new(CrosstermBackend::new(writer)).map_err(lost)?;
        Ok(Self { terminal, options })
    }

    pub fn size(&self) -> Result<Rect> {
        let size = self.terminal.size().map_err(lost)?;
        Ok(Rect::new(0, 0, size.width, size.height))
    }

    /// Draws one frame as one update (DEC mode 2026): a terminal that knows it never shows half a frame.
    /// `draw` gives where the cursor stands, if it is to be seen.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>) -> Option<Position>) -> Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate).map_err(lost)?;
        self.terminal
            .draw(|frame| {
                if let Some(at) = draw(frame) {
                    frame.set_cursor_position(at);
                }
            })
            .map_err(lost)?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate).map_err(lost)
    }

    /// Forgets what was drawn, so that the next frame is drawn whole.
    pub fn redraw(&mut self) -> Result<()> {
        // Not `Terminal::clear`: it asks the terminal where the cursor is, and the reader of keys takes the answer.
        let area = self.size()?;
        self.terminal.resize(area).map_err(lost)
    }

    /// Puts text on the clipboard of the person's own machine (OSC 52), also over SSH.
    pub fn copy(&mut self, text: &str) -> Result<()> {
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text)).map_err(lost)
    }

    /// Gives the terminal to a command for as long as `work` takes, with nobody else reading its input.
    ///
    /// # Errors
    ///
    /// The terminal cannot be taken back.
    pub async fn lend<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        give_back();
        let done = work.await;
        enter(self.options).map_err(lost)?;
        self.redraw()?;
        Ok(done)
    }

    /// Rings the bell.
    pub fn bell(&mut self) -> Result<()> {
        let backend = self.terminal.backend_mut();
        backend.write_all(b"\x07").and_then(|()| io::Write::flush(backend)).map_err(lost)
    }

    /// As [`Guard::lend`], with a line that says whose the terminal is now and how to leave.
    pub async fn lend_as<T>(&mut self, label: &str, work: impl Future<Output = T>) -> Result<T> {
        // What was on the terminal before, the end of another shell perhaps, goes up into its history.
        let rows = usize::from(self.size()?.height);
        let up = "\n".repeat(rows);
        let line = format!("\x1b[{rows};1H{up}\x1b[Hqd: {} (Enter ~ . leaves it)\r\n", SafeText::new(label));
        self.lend(async move {
            let mut out = io::stdout();
            // A terminal that is gone is noticed by the work.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            work.await
        })
        .await
    }

    /// Opens the person's editor on `text`, in a file that ends in `suffix`. Blocks until it is closed: call it
    /// from where blocking is allowed, with nobody else reading the terminal's input.
    ///
    /// Gives `None` if the file was closed as it was.
    pub fn edit(&mut self, text: &str, suffix: &str, line: Option<usize>) -> Result<Option<String>> {
        let command = editor(|name| std::env::var(name).ok())?;
        let file = Scratch::new(text, suffix)?;
        give_back();
        let begin = line.filter(|_| takes_line(&command[0])).map(|line| format!("+{}", line + 1));
        let status =
            std::process::Command::new(&command[0]).args(&command[1..]).args(begin).arg(&file.path).status();
        let entered = enter(self.options);
        self.redraw()?;
        entered.map_err(lost)?;
        let name = command.join(" ");
        let status = status.map_err(|e| {
            Error::invalid(format!("the editor {name:?} cannot be started: {e}"))
                .next("Set EDITOR to an editor that is there, or to nothing for the built-in one.")
        })?;
        let edited = std::fs::read_to_string(&file.path);
        if !status.success() {
            let error = Error::invalid(format!("the editor {name:?} ended with {status}"));
            let saved = edited.is_ok_and(|edited| edited != text);
            return Err(if saved {
                let path = file.keep();
                error.next(format!("Nothing was changed; what was typed is kept in {}.", path.display()))
            } else {
                error.next("Nothing was changed; edit again.")
            });
        }
        let edited = edited.map_err(|e| Error::invalid(format!("the edited file cannot be read: {e}")))?;
        Ok((edited != text).then_some(edited))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(options: Options) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout();
    execute!(
        out,
        EnterAlternateScreen,
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide,
        // XTWINOPS 22: the terminal keeps its title, for `give_back`.
        Print("\x1b[22;2t"),
        SetTitle("qd")
    )?;
    if options.mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back, once. What fails here can be told to nobody.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableFocusChange,
            DisableBracketedPaste,
            ResetColor,
            // XTWINOPS 23: the title it had.
            Print("\x1b[23;2t"),
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

fn lost(error: io::Error) -> Error {
    Error::unavailable(format!("the terminal is lost: {error}"))
}

/// `$K9S_EDITOR` as k9s has it, else `$KUBE_EDITOR` as kubectl, else `$VISUAL`, else `$EDITOR`, split into words as a shell would without quotes.
fn editor(variable: impl Fn(&str) -> Option<String>) -> Result<Vec<String>> {
    ["K9S_EDITOR", "KUBE_EDITOR", "VISUAL", "EDITOR"]
        .iter()
        .filter_map(|name| variable(name))
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .find(|words| !words.is_empty())
        .ok_or_else(|| {
            Error::unsupported("none of KUBE_EDITOR, VISUAL and EDITOR is set")
                .next("Set one of them, or edit in the built-in editor.")
        })
}

/// Whether an editor begins at the line of `+7` before its file: POSIX has it for vi, and these do the same.
fn takes_line(program: &str) -> bool {
    const TAKE: &[&str] =
        &["vi", "vim", "nvim", "nano", "emacs", "emacsclient", "kak", "micro", "joe", "ne", "mg", "mcedit"];
    Path::new(program).file_name().and_then(|name| name.to_str()).is_some_and(|name| TAKE.contains(&name))
}

/// Whether an editor is set.
pub fn has_editor() -> bool {
    editor(|name| std::env::var(name).ok()).is_ok()
}

/// A file that only its owner can read, gone when it is dropped.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(text: &str, suffix: &str) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = if folder.is_dir() { folder } else { std::env::temp_dir() };
        let name = format!("qd-{}{suffix}", ulid::Ulid::generate());
        let path = Path::new(&folder).join(name);
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let cannot = |e: io::Error| Error::unavailable(format!("{} cannot be written: {e}", path.display()));
        let scratch = Self { path: path.clone() };
        made.map_err(cannot)?.write_all(text.as_bytes()).map_err(cannot)?;
        Ok(scratch)
    }

    /// Lets the file stay: it holds what somebody typed.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Empty once it was kept.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_is_visual_then_editor_with_its_flags() {
        let env = |visual: &'static str, edit: &'static str| {
            editor(move |name| match name {
                "VISUAL" if !visual.is_empty() => Some(visual.to_owned()),
                "EDITOR" if !edit.is_empty() => Some(edit.to_owned()),
                _ => None,
            })
        };
        assert_eq!(env("code --wait", "vi").unwrap(), ["code", "--wait"]);
        assert_eq!(env("", "vi").unwrap(), ["vi"]);
        assert_eq!(env(" ", "vi").unwrap(), ["vi"]);
        assert!(env("", "").unwrap_err().next_step().contains("built-in"));
    }

    #[test]
    fn a_scratch_file_is_private_and_does_not_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new("a: 1\n", ".yaml").unwrap();
        let path = scratch.path.clone();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a: 1\n");
        drop(scratch);
        assert!(!path.exists());
    }
}
