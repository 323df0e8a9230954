//! Runs a plugin's commands: argument by argument, without a shell of ours.
//!
//! Two ways: with their output caught, and on the terminal, which they then have to themselves: they are in a process
//! group of their own there, so that Ctrl-C reaches them and not the console.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::base::{Code, Error, Result};

/// More of an output is not kept.
const MOST: usize = 1 << 20;

/// Commands, each reading what the one before writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The words of each command, the program first.
    pub stages: Vec<Vec<String>>,
    /// Put into the environment of each.
    pub environment: Vec<(String, String)>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ran {
    /// Of the last command; 128 and the signal's number if one ended it.
    pub exit_code: i32,
    pub output: String,
    pub truncated: bool,
}

impl Pipeline {
    /// As one would type it.
    pub fn line(&self) -> String {
        let stage = |words: &Vec<String>| words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
        self.stages.iter().map(stage).collect::<Vec<_>>().join(" | ")
    }

    fn command(&self, words: &[String]) -> Result<Command> {
        let (program, arguments) = words.split_first().ok_or_else(|| Error::invalid("a command is empty"))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().cloned()).kill_on_drop(true);
        Ok(command)
    }

    /// Starts every command. `first` is what the first reads, `last` and `errors` are where they write.
    fn start(
        &self,
        first: Stdio,
        mut last: impl FnMut() -> Result<Stdio>,
        mut errors: impl FnMut() -> Result<Stdio>,
        alone: bool,
    ) -> Result<Vec<Child>> {
        let mut children: Vec<Child> = Vec::new();
        let mut input = Some(first);
        let mut group = 0;
        for (i, words) in self.stages.iter().enumerate() {
            let is_last = i + 1 == self.stages.len();
            let mut command = self.command(words)?;
            command.stdin(input.take().unwrap_or_else(Stdio::null)).stderr(errors()?);
            command.stdout(if is_last { last()? } else { Stdio::piped() });
            if alone {
                command.process_group(group);
            }
            let mut child = command.spawn().map_err(|e| cannot_start(&words[0], &e))?;
            if group == 0 {
                group = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
            }
            if !is_last {
                let output = child.stdout.take().ok_or_else(|| Error::internal("a pipe without an end"))?;
                input = Some(output.try_into().map_err(Error::internal)?);
            }
            children.push(child);
        }
        Ok(children)
    }

    /// Runs it with its output caught, both streams in the order in which they come. Dropping the future kills it.
    pub async fn caught(&self) -> Result<Ran> {
        let (mut read, write) =
            tokio::net::unix::pipe::pipe().map_err(Error::internal).and_then(|(w, r)| {
                let write: std::os::fd::OwnedFd = w.into_blocking_fd().map_err(Error::internal)?;
                Ok((r, write))
            })?;
        let end = || write.try_clone().map(Stdio::from).map_err(Error::internal);
        let mut children = self.start(Stdio::null(), end, end, true)?;
        drop(write);
        let mut output = Vec::new();
        let mut piece = vec![0; 16 << 10];
        let mut truncated = false;
        loop {
            match read.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    let room = MOST - output.len();
                    truncated |= n > room;
                    output.extend_from_slice(&piece[..n.min(room)]);
                }
            }
        }
        let mut exit_code = 0;
        for child in &mut children {
            exit_code = code(child.wait().await.map_err(Error::internal)?);
        }
        Ok(Ran { exit_code, output: String::from_utf8_lossy(&output).into_owned(), truncated })
    }

    /// Runs it on the terminal of this process, which nobody else may be using meanwhile.
    pub async fn on_terminal(&self) -> Result<Ran> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|e| {
            Error::new(Code::Unsupported, format!("there is no terminal to give to the command: {e}"))
                .next("Run it in the background, or from a console.")
        })?;
        let end = || terminal.try_clone().map(Stdio::from).map_err(Error::internal);
        let mut children = self.start(end()?, end, end, true)?;
        let ids: Vec<i32> = children.iter().filter_map(|c| i32::try_from(c.id()?).ok()).collect();
        let Some(group) = ids.first().copied().and_then(Pid::from_raw) else {
            return Err(Error::internal("a command without a number"));
        };
        let foreground = Foreground::give(terminal, group)?;
        // Ctrl-Z would leave a terminal that nobody reads: what stops goes on.
        let last = ids.last().copied().and_then(Pid::from_raw);
        let waiting = tokio::task::spawn_blocking(move || wait_through_stops(last, group));
        let exit_code = waiting.await.map_err(Error::internal)?;
        foreground.take_back();
        for child in &mut children {
            // What writes to nobody any more ends by itself, or is ended.
            let _ = child.start_kill();
            let _ = child.wait().await;
        }
        Ok(Ran { exit_code, ..Ran::default() })
    }
}

/// The terminal while another process group has it.
struct Foreground {
    terminal: File,
    before: Pid,
}

impl Foreground {
    fn give(terminal: File, group: Pid) -> Result<Self> {
        let before = rustix::termios::tcgetpgrp(&terminal).map_err(Error::internal)?;
        let given = Self { terminal, before };
        given.set(group)?;
        // One that read before it had the terminal was stopped for that.
        let _ = rustix::process::kill_process_group(group, Signal::CONT);
        Ok(given)
    }

    /// A process in the background is stopped for this, unless it blocks the signal.
    fn set(&self, group: Pid) -> Result<()> {
        use nix::sys::signal::{SigSet, Signal};
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTTOU);
        blocked.thread_block().map_err(Error::internal)?;
        let set = rustix::termios::tcsetpgrp(&self.terminal, group).map_err(Error::internal);
        blocked.thread_unblock().map_err(Error::internal)?;
        set
    }

    fn take_back(self) {
        // A terminal that is gone needs nobody to take it back.
        let _ = self.set(self.before);
    }
}

/// Waits for the end of a command, waking it when it is stopped.
fn wait_through_stops(pid: Option<Pid>, group: Pid) -> i32 {
    loop {
        match rustix::process::waitpid(pid, WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => {
                let _ = rustix::process::kill_process_group(group, Signal::CONT);
            }
            Ok(Some((_, status))) => {
                let signal = status.terminating_signal().map(|n| 128 + n);
                return status.exit_status().or(signal).unwrap_or_default();
            }
            Ok(None) => {}
            Err(rustix::io::Errno::INTR) => {}
            // Somebody else has waited for it.
            Err(_) => return 0,
        }
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().or(status.signal().map(|n| 128 + n)).unwrap_or_default()
}

fn cannot_start(program: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::not_found(format!("the command {program} is not on this machine"))
            .next("Install it, or put its folder into PATH before qd starts.");
    }
    Error::unavailable(format!("the command {program} cannot be started: {error}"))
}

/// A word as a shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(stages: &[&[&str]]) -> Pipeline {
        let stages = stages.iter().map(|s| s.iter().map(|w| (*w).to_owned()).collect()).collect();
        Pipeline { stages, environment: vec![("GREETING".into(), "hello".into())] }
    }

    #[tokio::test]
    async fn output_goes_through_the_pipes_and_no_shell_reads_the_arguments() {
        let ran = pipeline(&[&["echo", "$HOME; b a"], &["tr", "a", "x"]]).caught().await.unwrap();
        assert_eq!((ran.exit_code, ran.output.as_str()), (0, "$HOME; b x\n"));
        let ran = pipeline(&[&["sh", "-c", "echo $GREETING; echo no >&2; exit 3"]]).caught().await.unwrap();
        assert_eq!((ran.exit_code, ran.output.as_str()), (3, "hello\nno\n"));
        let error = pipeline(&[&["no-such-command-anywhere"]]).caught().await.unwrap_err();
        assert!(error.message.contains("not on this machine"), "{}", error.message);
    }

    #[tokio::test]
    async fn an_endless_output_is_cut_and_what_nobody_waits_for_is_ended() {
        let ran = pipeline(&[&["head", "-c", "3000000", "/dev/zero"]]).caught().await.unwrap();
        assert!(ran.truncated && ran.output.len() == MOST);
        let endless = pipeline(&[&["sleep", "1000"]]);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(100), endless.caught()).await;
        assert!(waited.is_err());
    }

    #[test]
    fn a_line_is_what_one_would_type() {
        let line = pipeline(&[&["kubectl", "get", "a b", "it's"], &["jq", "."]]).line();
        assert_eq!(line, r"kubectl get 'a b' 'it'\''s' | jq .");
    }
}
