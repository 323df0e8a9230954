//! Out of a container.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::end::{name_of, split};
use super::local::{Staging, destination};
use super::unpack::Unpack;
use super::{Copied, Progress, Side, pipe, script, unpack, words};
use crate::base::{self, Code};
use crate::kube::exec::{Exit, Piece, Process};

/// How the container sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Tar,
    Shell,
    Cat,
}

/// Copies a file or a directory to `to`, or into it where it is a directory. Gives where it is now.
pub async fn download(
    from: &Side<'_>,
    path: &str,
    to: &Path,
    overwrite: bool,
    progress: Progress<'_>,
) -> base::Result<(Copied, PathBuf)> {
    let (directory, name) = split(path);
    let to = destination(to, name_of(path), overwrite)?;
    for by in [By::Tar, By::Shell, By::Cat] {
        let command = match by {
            By::Tar => words(["tar", "cf", "-", "-C", &directory, &format!("./{name}")]),
            By::Shell => words(["sh", "-c", script::DUMP, "sh", &name, &directory]),
            By::Cat => words(["cat", &format!("{}/{name}", directory.trim_end_matches('/'))]),
        };
        let staging = Staging::beside(&to)?;
        match fetch(from, by, &command, &name, &staging, progress).await? {
            Some(copied) => {
                staging.place(&name, &to, overwrite)?;
                return Ok((copied, to));
            }
            None => continue,
        }
    }
    Err(base::Error::unsupported(format!(
        "the container {} has neither tar, nor a shell, nor cat",
        from.container
    ))
    .next("container_debug puts a container with tools beside it; its files are under /proc/1/root there."))
}

/// Runs one of the ways. `None`: the container does not have the program.
async fn fetch(
    from: &Side<'_>,
    by: By,
    command: &[String],
    name: &str,
    staging: &Staging,
    progress: Progress<'_>,
) -> base::Result<Option<Copied>> {
    let mut process = match Process::start(&from.pod.cluster, &from.command(command, false)).await {
        Ok(process) => process,
        Err(e) if e.http_status() == Some(500) && Exit::Failed(e.to_string()).is_missing() => {
            return Ok(None);
        }
        Err(e) => return Err(e.into()),
    };
    let (feed, reader) = pipe::to_thread();
    let (told, tells) = mpsc::unbounded_channel();
    let (into, single) = (staging.path().to_owned(), staging.path().join(name));
    let writing = tokio::task::spawn_blocking(move || write_down(by, reader, &into, &single, &told));
    let (words, whole) = receive(&mut process, feed, tells, progress).await?;
    let (mut copied, written) = writing.await.map_err(base::Error::internal)?;
    // Where writing gave up, that is the reason, whatever the process came to.
    if whole && !has_sent(process.exit()?, command, &words)? {
        return Ok(None);
    }
    written.map_err(|e| {
        let code = match e {
            Unpack::Outside(_) => Code::PermissionDenied,
            _ => Code::Unavailable,
        };
        base::Error::new(code, e.to_string())
    })?;
    copied.by = match by {
        By::Tar => "tar",
        By::Shell => "a shell",
        By::Cat => "cat",
    };
    let sizes = "every file has the size that the container gave for it";
    copied.checked = (by != By::Cat).then(|| sizes.to_owned());
    if copied.files + copied.directories == 0 && copied.skips == 0 {
        return Err(base::Error::not_found("the container sent nothing"));
    }
    Ok(Some(copied))
}

type Told = (u64, Option<u64>, String);

/// The thread's part: what comes is written into the directory that was made for it.
fn write_down(
    by: By,
    mut reader: pipe::Reader,
    into: &Path,
    single: &Path,
    told: &mpsc::UnboundedSender<Told>,
) -> (Copied, Result<(), Unpack>) {
    let mut copied = Copied::default();
    let last = std::cell::Cell::new(Instant::now());
    let tell = |bytes, total, name: &str| {
        if last.get().elapsed() >= Duration::from_millis(200) {
            last.set(Instant::now());
            let _ = told.send((bytes, total, name.to_owned()));
        }
    };
    let result = match by {
        By::Tar => unpack::unpack(reader, into, &mut copied, tell),
        By::Shell => script::unpack(reader, into, &mut copied, tell),
        By::Cat => unpack::file(&mut reader, single, 0o644, |n| tell(n, None, ""))
            .map(|n| (copied.files, copied.bytes) = (1, n))
            .map_err(|error| Unpack::Write { path: single.display().to_string(), error }),
    };
    (copied, result)
}

/// Hands on what the process sends. Gives what it said beside, and whether all was taken.
async fn receive(
    process: &mut Process,
    feed: mpsc::Sender<Bytes>,
    mut tells: mpsc::UnboundedReceiver<Told>,
    progress: Progress<'_>,
) -> base::Result<(String, bool)> {
    let mut words = Vec::new();
    let mut whole = true;
    loop {
        tokio::select! {
            piece = process.next() => match piece? {
                Some(Piece::Out(bytes)) => {
                    if feed.send(bytes).await.is_err() {
                        whole = false;
                        break;
                    }
                }
                Some(Piece::Error(bytes)) if words.len() < 4_096 => words.extend_from_slice(&bytes),
                Some(Piece::Error(_)) => {}
                None => break,
            },
            Some((bytes, total, name)) = tells.recv() => progress(bytes, total, &name),
        }
    }
    Ok((String::from_utf8_lossy(&words).trim().to_owned(), whole))
}

/// Whether the container had the program; an error if that did not do its work.
fn has_sent(exit: &Exit, command: &[String], words: &str) -> base::Result<bool> {
    match exit {
        exit if exit.is_missing() || matches!(exit, Exit::Code(126 | 127)) => Ok(false),
        Exit::Code(0) => Ok(true),
        // The path is checked by the program: in its own words.
        Exit::Code(_) if missing(words) => {
            Err(base::Error::not_found(format!("there is no such path in the container: {words}"))
                .next("container_exec with `ls` shows what is there."))
        }
        exit => {
            let code = exit.code(command)?;
            let what = format!("the container's {} ended with {code}: {words}; nothing was kept", command[0]);
            Err(base::Error::new(Code::Unavailable, what))
        }
    }
}

/// Whether the words are of a path that is not there.
fn missing(words: &str) -> bool {
    words.contains("No such file or directory") || words.contains("Cannot stat")
}
