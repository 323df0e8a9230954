//! The program's own log: JSON lines in the state directory, rotated by size, never on the screen.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::base::config::Log;
use crate::base::{Error, Paths, Result, paths};

/// Starts logging. Dropping the guard writes what is still queued.
///
/// `RUST_LOG` goes over `-v`, which goes over the configuration. A directory that cannot be written
/// is an error: a console that cannot say what went wrong should not start in silence.
pub fn start(paths: &Paths, log: &Log, verbose: u8) -> Result<WorkerGuard> {
    paths::private_dir(&paths.state)?;
    let filter = match (std::env::var("RUST_LOG"), verbose) {
        (Ok(directives), _) if !directives.is_empty() => directives,
        (_, 0) => log.level.clone(),
        (_, 1) => "info,quarterdeck=debug".to_owned(),
        (_, _) => "debug,quarterdeck=trace".to_owned(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|e| {
        Error::invalid(format!("{filter:?} is not a log level: {e}"))
            .next("Write info, or warn,quarterdeck::kube=debug.")
    })?;
    let file = Rotating::new(paths.log_file(), u64::from(log.max_mib) << 20, log.keep);
    // A worker of its own thread: a slow disk must not hold up the runtime. What does not fit its
    // queue is dropped and counted, never waited for.
    let (writer, guard): (NonBlocking, WorkerGuard) =
        tracing_appender::non_blocking::NonBlockingBuilder::default()
            .buffered_lines_limit(8192)
            .thread_name("log")
            .finish(file);
    let layer = tracing_subscriber::fmt::layer().json().with_writer(writer).with_current_span(false);
    // Set already only where a test started it.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    log_panics();
    Ok(guard)
}

/// A panic is logged with its place, and then said as before.
fn log_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        let backtrace = std::backtrace::Backtrace::force_capture();
        tracing::error!(place, text, %backtrace, "panic");
        before(panic);
    }));
}

/// A file that is renamed to `.1`, `.2`, … when it has grown to its size. Opened with the first line.
struct Rotating {
    path: PathBuf,
    limit: u64,
    keep: u32,
    open: Option<(File, u64)>,
}

impl Rotating {
    fn new(path: PathBuf, limit: u64, keep: u32) -> Self {
        Self { path, limit, keep, open: None }
    }

    fn file(&mut self) -> std::io::Result<&mut (File, u64)> {
        if self.open.as_ref().is_some_and(|(file, size)| *size >= self.limit || moved(file, &self.path)) {
            self.open = None;
        }
        if self.open.is_none() {
            if std::fs::metadata(&self.path).is_ok_and(|m| m.len() >= self.limit) {
                self.rotate();
            }
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        self.open.as_mut().ok_or_else(|| std::io::Error::other("the log is not open"))
    }

    fn rotate(&self) {
        let numbered = |n: u32| PathBuf::from(format!("{}.{n}", self.path.display()));
        // A rename that fails leaves the file to grow: better than losing lines.
        if self.keep == 0 {
            let _ = std::fs::remove_file(&self.path);
            return;
        }
        for n in (1..self.keep).rev() {
            let _ = std::fs::rename(numbered(n), numbered(n + 1));
        }
        let _ = std::fs::rename(&self.path, numbered(1));
    }
}

/// Whether another process has rotated the file away from under us.
fn moved(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) != (there.dev(), there.ino()),
        _ => true,
    }
}

impl Write for Rotating {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let (file, size) = self.file()?;
        file.write_all(line)?;
        *size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.open {
            Some((file, _)) => file.flush(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_rotated_by_size_and_only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qd.log");
        let mut log = Rotating::new(path.clone(), 100, 2);
        for n in 0..40 {
            log.write_all(format!("line {n:02} {}\n", "x".repeat(12)).as_bytes()).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["qd.log", "qd.log.1", "qd.log.2"]);
        let last = std::fs::read_to_string(&path).unwrap();
        assert!(last.lines().last().unwrap().starts_with("line 39"), "{last}");
        assert!(std::fs::metadata(&path).unwrap().len() <= 121);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_another_process_rotated_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qd.log");
        let mut log = Rotating::new(path.clone(), 1000, 2);
        log.write_all(b"one\n").unwrap();
        std::fs::rename(&path, dir.path().join("qd.log.1")).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }
}
