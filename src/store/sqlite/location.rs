//! Where the database lies: a directory of our own, on a disk whose locks and syncs can be trusted;
//! and the lock file by which other processes know that this one is alive.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// Makes the directory, for this user only, if it is not there, and refuses network file systems.
pub(super) fn prepare(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| StoreError::of_file(directory, &e))?;
    match network_file_system(directory) {
        Some(kind) => Err(StoreError::NetworkFileSystem { path: directory.display().to_string(), kind }),
        None => Ok(()),
    }
}

/// Makes an empty file that only this user can read, if there is none: SQLite would make it
/// readable by all.
pub(super) fn create_private(path: &Path) -> Result<bool, StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(StoreError::of_file(path, &e)),
    }
}

/// Why nothing can be written somewhere, as the file system itself says.
pub(super) enum Place {
    Full,
    ReadOnly,
}

/// Whether the file system that holds `path` is full or read-only.
pub(super) fn state(path: &str) -> Option<Place> {
    let there = rustix::fs::statvfs(path).or_else(|_| {
        let parent = Path::new(path).parent().unwrap_or(Path::new("."));
        rustix::fs::statvfs(parent)
    });
    let there = there.ok()?;
    if there.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Some(Place::ReadOnly);
    }
    // What SQLite grows its shared memory by.
    (there.f_bavail.saturating_mul(there.f_frsize) < 64 * 1024).then_some(Place::Full)
}

/// The name of the network file system that holds `path`, if one does. The numbers are those of
/// `statfs(2)` and Linux's `magic.h`.
#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> Option<&'static str> {
    let magic = rustix::fs::statfs(path).ok()?.f_type as u64 & 0xffff_ffff;
    network_magic(magic)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &Path) -> Option<&'static str> {
    None
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux tells the kind by number"))]
fn network_magic(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        0x7375_7245 => "Coda",
        0x0102_1997 => "9P",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x564c => "NCP",
        0x0116_1970 => "GFS2",
        _ => return None,
    })
}

/// This process's mark among those that use the database: a locked file beside it, which the system
/// unlocks whatever way the process ends.
pub(super) struct Owner {
    /// New with each mark: a name whose file another process took for abandoned is not used.
    pub name: String,
    directory: Option<PathBuf>,
    lock: Option<File>,
}

impl Owner {
    /// Without a directory the owner has a name only: nobody else can see its database.
    pub fn claim(directory: Option<&Path>) -> Result<Self, StoreError> {
        let directory = directory.map(|d| d.join("instances"));
        let mut owner = Self { name: ulid::Ulid::generate().to_string(), directory, lock: None };
        owner.ensure()?;
        Ok(owner)
    }

    /// Makes the mark unless it is there. Nothing may be written without it: the next process to start
    /// would take this one's calls for interrupted.
    pub fn ensure(&mut self) -> Result<(), StoreError> {
        let Some(directory) = self.directory.clone().filter(|_| self.lock.is_none()) else { return Ok(()) };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(|e| StoreError::of_file(&directory, &e))?;
        // A process that sweeps may look at the new file in the moment before it is locked.
        for _ in 0..16 {
            let path = mark_of(&directory, &self.name);
            if let Some(file) = mark(&path).map_err(|e| StoreError::of_file(&path, &e))? {
                self.lock = Some(file);
                return Ok(());
            }
            self.name = ulid::Ulid::generate().to_string();
        }
        Err(StoreError::Locked { path: directory.display().to_string() })
    }

    /// Whether the process of that name is gone. What cannot be looked at is not.
    pub fn is_gone(&self, other: &str) -> bool {
        if other == self.name {
            return false;
        }
        let Some(directory) = &self.directory else { return true };
        match File::open(mark_of(directory, other)) {
            // The lock is let go when the file is closed, at the end of the arm.
            Ok(file) => file.try_lock().is_ok(),
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Removes the lock files of processes that are gone, each while its lock is held: a process that
    /// has just made its own sees that it lost it, and makes another.
    pub fn sweep(&self) {
        let Some(entries) = self.directory.as_deref().and_then(|d| std::fs::read_dir(d).ok()) else { return };
        for entry in entries.flatten().take(1000) {
            let path = entry.path();
            let lock = path.extension().is_some_and(|e| e == "lock");
            let own = path.file_stem().is_some_and(|stem| *stem == *self.name);
            if let Some(file) = (lock && !own).then(|| File::open(&path).ok()).flatten()
                && file.try_lock().is_ok()
            {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Removes this process's own mark.
    pub fn release(&self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_file(mark_of(directory, &self.name));
        }
    }
}

fn mark_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.lock"))
}

/// Makes and locks the file; `None` if another process was faster to take it for abandoned.
fn mark(path: &Path) -> std::io::Result<Option<File>> {
    use std::os::unix::fs::MetadataExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    let ours = file.metadata()?;
    let there = std::fs::metadata(path);
    Ok(there.is_ok_and(|m| (m.dev(), m.ino()) == (ours.dev(), ours.ino())).then_some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_number_and_local_ones_are_not() {
        assert_eq!(network_magic(0x6969), Some("NFS"));
        assert_eq!(network_magic(0xfe53_4d42), Some("SMB"));
        // ext4, tmpfs, btrfs, xfs, overlayfs.
        for magic in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342, 0x794c_7630] {
            assert_eq!(network_magic(magic), None, "{magic:x}");
        }
    }

    #[test]
    fn an_owner_is_gone_when_it_let_go_of_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let a = Owner::claim(Some(directory.path())).unwrap();
        let b = Owner::claim(Some(directory.path())).unwrap();
        assert!(!a.is_gone(&b.name));
        let name = b.name.clone();
        drop(b);
        assert!(a.is_gone(&name));
        a.sweep();
        assert!(!directory.path().join("instances").join(format!("{name}.lock")).exists());
        assert!(!a.is_gone(&a.name));
    }

    #[test]
    fn marks_survive_others_that_sweep_all_the_time() {
        let directory = tempfile::tempdir().unwrap();
        let sweeper = Owner::claim(Some(directory.path())).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sweeping = scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    sweeper.sweep();
                }
            });
            let claimed: Vec<Owner> =
                (0..200).map(|_| Owner::claim(Some(directory.path())).unwrap()).collect();
            assert!(claimed.iter().all(|owner| !sweeper.is_gone(&owner.name)));
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            sweeping.join().unwrap();
        });
    }
}
