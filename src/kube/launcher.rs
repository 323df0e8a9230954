//! Starting a program of the user's where it has no terminal.
//!
//! A process group keeps a program from reading our terminal, but `/dev/tty` still opens for writing, and one line of a
//! plugin's tears the screen. Only a session of its own has no terminal at all, and only the process itself can
//! make one (`setsid(2)`) before it becomes the program: so `qd` starts itself, and that becomes the program.

use std::ffi::{OsStr, OsString};
use std::io::{Error, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use tokio::process::Command;

/// The first argument of a `qd` that is to become another program.
const WORD: &str = "__without-terminal";
/// Its exit code when it cannot, as a shell has it.
const CANNOT: i32 = 127;
/// Before the system's error number on its stderr.
const MARK: &str = "qd cannot become the program: ";

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// For `main`: if `arguments` (the program's name first) ask for it, becomes the program that they name. Returns only if
/// that failed, with the exit code, or if something else is asked for; from then on programs are started this way.
pub fn launch(arguments: &[OsString]) -> Option<u8> {
    if let [_, word, program, rest @ ..] = arguments
        && word == WORD
    {
        // It fails only for a group's leader, which we are not: our starter made no group.
        let _ = rustix::process::setsid();
        let error = std::process::Command::new(program).args(rest).exec();
        let number = error.raw_os_error().unwrap_or_default();
        let _ = write!(std::io::stderr(), "{MARK}{number}");
        return u8::try_from(CANNOT).ok();
    }
    // It stays the same program when the file is replaced by a newer one while we run.
    let own = if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
    if let Ok(own) = own {
        let _ = PROGRAM.set(own);
    }
    None
}

/// A command for `program`, which will have no terminal; outside `qd` itself, at least not as its group's own.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    match PROGRAM.get() {
        Some(own) => {
            let mut command = Command::new(own);
            command.arg(WORD).arg(program);
            command
        }
        None => {
            let mut command = Command::new(program);
            command.process_group(0);
            command
        }
    }
}

/// Why the program could not be started, if that is what ended it.
pub(super) fn cannot_start(code: Option<i32>, stderr: &[u8]) -> Option<Error> {
    let text = std::str::from_utf8(stderr).ok()?.strip_prefix(MARK)?;
    let number = text.parse().ok().filter(|_| code == Some(CANNOT))?;
    Some(Error::from_raw_os_error(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_told_from_what_failed() {
        let missing = cannot_start(Some(127), b"qd cannot become the program: 2").unwrap();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
        assert!(cannot_start(Some(127), b"sh: aws: not found").is_none());
        assert!(cannot_start(Some(1), b"qd cannot become the program: 2").is_none());
    }
}
