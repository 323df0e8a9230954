//! Where the database lies: a directory of our own, on a disk whose locks and syncs can be trusted;
//! and the lock file by which other processes know that this one is alive.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

fn failed(path: &Path, e: &std::io::Error) -> StoreError {
    StoreError::File { path: path.display().to_string(), reason: e.to_string() }
}

/// Makes the directory, for this user only, if it is not there, and refuses network file systems.
pub(super) fn prepare(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| failed(directory, &e))?;
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
        Err(e) => Err(failed(path, &e)),
    }
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

/// This process's mark among those that use the database: a locked file, which the system unlocks
/// whatever way the process ends.
pub(super) struct Owner {
    pub name: String,
    directory: Option<PathBuf>,
    _lock: Option<File>,
}

impl Owner {
    /// Without a directory, or where none can be written, the owner has a name only.
    pub fn claim(directory: Option<&Path>) -> Self {
        let name = ulid::Ulid::generate().to_string();
        let directory = directory.map(|d| d.join("instances"));
        let lock = directory.as_deref().and_then(|d| {
            DirBuilder::new().recursive(true).mode(0o700).create(d).ok()?;
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(d.join(format!("{name}.lock")))
                .ok()?;
            file.try_lock().ok()?;
            Some(file)
        });
        Self { name, directory, _lock: lock }
    }

    /// Whether the process of that name is gone.
    pub fn is_gone(&self, other: &str) -> bool {
        if other == self.name {
            return false;
        }
        let Some(directory) = &self.directory else { return true };
        match File::open(directory.join(format!("{other}.lock"))) {
            // The lock is let go when the file is closed, at the end of the arm.
            Ok(file) => file.try_lock().is_ok(),
            Err(_) => true,
        }
    }

    /// Removes the lock files of processes that are gone.
    pub fn sweep(&self) {
        let Some(entries) = self.directory.as_deref().and_then(|d| std::fs::read_dir(d).ok()) else { return };
        for entry in entries.flatten().take(1000) {
            let name = entry.file_name();
            let Some(other) = name.to_str().and_then(|n| n.strip_suffix(".lock")) else { continue };
            if self.is_gone(other) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Removes this process's own mark.
    pub fn release(&self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_file(directory.join(format!("{}.lock", self.name)));
        }
    }
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
        let a = Owner::claim(Some(directory.path()));
        let b = Owner::claim(Some(directory.path()));
        assert!(!a.is_gone(&b.name));
        let name = b.name.clone();
        drop(b);
        assert!(a.is_gone(&name));
        a.sweep();
        assert!(!directory.path().join("instances").join(format!("{name}.lock")).exists());
        assert!(!a.is_gone(&a.name));
    }
}
