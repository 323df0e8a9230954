//! The per-user socket through which other programs of the same user join the live session.
//!
//! Whoever holds the lock file beside the socket is the live session; a socket without its lock's
//! holder is stale, whatever killed its process. The directory is the user's own (0700), the socket
//! too (0600), and the peer's user is asked of the kernel for each connection.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::base::{Code, Error, Paths, Result, paths};

/// Connections at once: programs of one user, not a public service.
const CONNECTIONS: usize = 128;
/// How long a lock without a socket is asked for again.
const GLANCE: Duration = Duration::from_millis(20);

/// Where a session's files are.
#[derive(Debug, Clone)]
pub struct Place {
    pub socket: PathBuf,
    lock: PathBuf,
    /// The address and token of the HTTP endpoint, for local tools.
    pub endpoint: PathBuf,
}

impl Place {
    /// `name` must be a plain word: it becomes part of file names.
    pub fn of(paths: &Paths, name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
            return Err(Error::invalid(format!("{name:?} cannot name a session"))
                .next("Use at most 32 letters, digits, \"-\" and \"_\"."));
        }
        let base = if name == "default" { "session".to_owned() } else { format!("session-{name}") };
        Ok(Self::at(&paths.runtime.join(base)))
    }

    fn at(base: &Path) -> Self {
        let with = |ending: &str| base.with_added_extension(ending);
        Self { socket: with("sock"), lock: with("lock"), endpoint: with("json") }
    }

    /// Removes the files, the lock last. Only for whoever holds it.
    fn remove(&self) {
        for file in [&self.socket, &self.endpoint, &self.lock] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The names of the sessions beside the usual one that take connections now.
pub fn others(paths: &Paths) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(&paths.runtime) else { return Vec::new() };
    let name = |file: &str| Some(file.strip_prefix("session-")?.strip_suffix(".sock")?.to_owned());
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| name(entry.file_name().to_str()?))
        // A stale socket refuses.
        .filter(|name| {
            Place::of(paths, name)
                .is_ok_and(|place| std::os::unix::net::UnixStream::connect(place.socket).is_ok())
        })
        .collect();
    names.sort();
    names
}

/// The socket of the session that lives in this process. Dropping it removes the files.
pub struct Listening {
    listener: UnixListener,
    place: Place,
    /// Locked for as long as the session lives; the kernel unlocks it with the process.
    _lock: File,
}

impl Listening {
    /// Becomes the live session of that name. `Ok(None)`: another process is.
    pub fn open(place: &Place) -> Result<Option<Self>> {
        if let Some(directory) = place.socket.parent() {
            paths::private_dir(directory)?;
        }
        let failed = |what: &str, e: &dyn std::fmt::Display| {
            Error::unavailable(format!("cannot {what} {}: {e}", place.socket.display()))
                .next("Set XDG_RUNTIME_DIR to a short path that you can write, or session.socket to false.")
        };
        let Some(lock) = hold(place).map_err(|e| failed("lock", &e))? else { return Ok(None) };
        // Ours by the lock, so that whatever is there was left behind.
        match std::fs::remove_file(&place.socket) {
            Ok(()) => tracing::info!(socket = %place.socket.display(), "replaced a stale socket"),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("replace", &e)),
        }
        sweep(place);
        let listener = UnixListener::bind(&place.socket).map_err(|e| failed("listen on", &e))?;
        std::fs::set_permissions(&place.socket, std::fs::Permissions::from_mode(0o600))
            .map_err(|e| failed("close to others", &e))?;
        Ok(Some(Self { listener, place: place.clone(), _lock: lock }))
    }

    /// Hands each connection of the same user to `serve` until `stop`.
    pub async fn accept<F>(self, stop: CancellationToken, serve: impl Fn(UnixStream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let tasks = tokio_util::task::TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(e) => {
                    // Out of file descriptors, say: it passes, and must not spin meanwhile.
                    tracing::warn!(error = %e, "accept failed");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            if let Err(error) = same_user(&stream) {
                tracing::warn!(%error, "a connection was refused");
                continue;
            }
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!("a connection was refused: {CONNECTIONS} are open");
                continue;
            };
            let (work, stop) = (serve(stream), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = work => {}
                    () = stop.cancelled() => {}
                }
                drop(place);
            });
        }
        tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // While the lock is still held: nobody else's socket can be there yet.
        self.place.remove();
    }
}

/// Takes the lock of a session, whose file is made if it is not there. `None`: another process holds it.
fn hold(place: &Place) -> std::io::Result<Option<File>> {
    let patience = Instant::now() + GLANCE;
    loop {
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&place.lock)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // Whoever ends removes the file: then this lock is one that nobody else can see.
            Ok(()) if is_at(&file, &place.lock) => return Ok(Some(file)),
            Ok(()) => {}
            // One that looks whether the session is over holds the lock for a moment, and never listens.
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < patience && !place.socket.exists() => {
                std::thread::yield_now();
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether this is the file that is there now.
fn is_at(file: &File, path: &Path) -> bool {
    let of = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let own = file.metadata().map(of).ok();
    own.is_some() && own == std::fs::metadata(path).map(of).ok()
}

/// Removes what sessions of other names left behind whose processes were killed: nobody holds their locks.
fn sweep(own: &Place) {
    let Some(directory) = own.lock.parent() else { return };
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_lock = name == "session.lock" || (name.starts_with("session-") && name.ends_with(".lock"));
        if !is_lock || path == own.lock {
            continue;
        }
        let Ok(file) = File::options().write(true).open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(&file, &path) {
            Place::at(&path.with_extension("")).remove();
        }
    }
}

/// The peer's user as the kernel knows it (`SO_PEERCRED`, `getpeereid`).
fn same_user(stream: &UnixStream) -> Result<()> {
    let peer =
        stream.peer_cred().map_err(|e| Error::unavailable(format!("the peer's user is not known: {e}")))?;
    let ours = rustix::process::getuid().as_raw();
    if peer.uid() == ours {
        Ok(())
    } else {
        Err(Error::new(Code::PermissionDenied, format!("user {} is not user {ours}", peer.uid())))
    }
}

/// Connects to the live session. `Ok(None)`: there is none, or what is left of one.
pub async fn connect(socket: &Path) -> Result<Option<UnixStream>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    match tokio::time::timeout(Duration::from_secs(2), UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => {
            same_user(&stream)?;
            Ok(Some(stream))
        }
        Ok(Err(e)) if matches!(e.kind(), NotFound | ConnectionRefused) => Ok(None),
        Ok(Err(e)) => {
            Err(Error::unavailable(format!("cannot join the session at {}: {e}", socket.display()))
                .next("Check who owns that socket, or start a session of another name."))
        }
        Err(_) => {
            Err(Error::new(Code::Timeout, format!("the session at {} does not answer", socket.display()))
                .next("See whether its process is stopped, or start a session of another name."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(&Paths::under(dir.path()), "default").unwrap();
        (dir, place)
    }

    #[tokio::test]
    async fn the_socket_is_the_users_own_and_goes_with_the_session() {
        let (_dir, place) = place();
        let live = Listening::open(&place).unwrap().unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().mode() & 0o777;
        assert_eq!(mode(&place.socket), 0o600);
        assert_eq!(mode(place.socket.parent().unwrap()), 0o700);
        assert!(Listening::open(&place).unwrap().is_none(), "a second session must not take the socket");
        assert!(connect(&place.socket).await.unwrap().is_some());
        drop(live);
        assert!(!place.socket.exists());
        assert!(connect(&place.socket).await.unwrap().is_none());
        assert!(Listening::open(&place).unwrap().is_some());
    }

    #[tokio::test]
    async fn lock_files_go_with_their_sessions_and_never_those_that_are_held() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        let place = |name: &str| Place::of(&paths, name).unwrap();
        let files = || {
            let all = std::fs::read_dir(&paths.runtime).unwrap().flatten();
            let mut names: Vec<_> = all.map(|e| e.file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let night = Listening::open(&place("night")).unwrap().unwrap();
        drop(Listening::open(&place("lab")).unwrap().unwrap());
        assert_eq!(files(), ["session-night.lock", "session-night.sock"]);
        // As a killed process leaves them.
        let dead = place("dead");
        drop(std::os::unix::net::UnixListener::bind(&dead.socket).unwrap());
        std::fs::write(&dead.lock, "").unwrap();
        std::fs::write(&dead.endpoint, "{}").unwrap();
        std::fs::write(paths.runtime.join("session-notes.txt"), "").unwrap();
        let usual = Listening::open(&place("default")).unwrap().unwrap();
        assert_eq!(
            files(),
            ["session-night.lock", "session-night.sock", "session-notes.txt", "session.lock", "session.sock"]
        );
        assert!(Listening::open(&place("night")).unwrap().is_none());
        drop((night, usual));
        assert_eq!(files(), ["session-notes.txt"]);
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_no_lock() {
        let (_dir, place) = place();
        paths::private_dir(place.socket.parent().unwrap()).unwrap();
        let first = hold(&place).unwrap().unwrap();
        assert!(hold(&place).unwrap().is_none());
        std::fs::remove_file(&place.lock).unwrap();
        assert!(!is_at(&first, &place.lock));
        let second = hold(&place).unwrap().unwrap();
        assert!(is_at(&second, &place.lock));
    }

    #[tokio::test]
    async fn a_stale_socket_is_no_session_and_is_replaced() {
        let (_dir, place) = place();
        paths::private_dir(place.socket.parent().unwrap()).unwrap();
        // Bound and then abandoned, as a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&place.socket).unwrap());
        assert!(place.socket.exists());
        assert!(connect(&place.socket).await.unwrap().is_none());
        let live = Listening::open(&place).unwrap().unwrap();
        assert!(connect(&place.socket).await.unwrap().is_some());
        drop(live);
    }

    #[tokio::test]
    async fn connections_are_served_until_it_stops() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (_dir, place) = place();
        let live = Listening::open(&place).unwrap().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(live.accept(stop.clone(), |mut stream| async move {
            let _ = stream.write_all(b"hi").await;
            std::future::pending().await
        }));
        let mut stream = connect(&place.socket).await.unwrap().unwrap();
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        stop.cancel();
        assert_eq!(stream.read(&mut two).await.unwrap(), 0);
        serving.await.unwrap();
        assert!(!place.socket.exists());
    }

    #[tokio::test]
    async fn other_sessions_are_found_while_they_live() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::under(dir.path());
        assert!(others(&paths).is_empty());
        let open = |name| Listening::open(&Place::of(&paths, name).unwrap()).unwrap().unwrap();
        let _usual = open("default");
        let lab = open("lab");
        drop(std::os::unix::net::UnixListener::bind(Place::of(&paths, "dead").unwrap().socket).unwrap());
        assert_eq!(others(&paths), ["lab"]);
        let _second = open("night");
        assert_eq!(others(&paths), ["lab", "night"]);
        drop(lab);
        assert_eq!(others(&paths), ["night"]);
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        let paths = Paths::under(Path::new("/tmp/x"));
        for name in ["", "../x", "a/b", "a b", &"x".repeat(33)] {
            assert!(Place::of(&paths, name).is_err(), "{name}");
        }
        assert!(Place::of(&paths, "night-watch_2").unwrap().socket.ends_with("session-night-watch_2.sock"));
    }
}
