//! Where files live, by the XDG Base Directory Specification (and its like on other systems).
//!
//! Directories that hold secrets or sockets are made with mode 0700 and refused if another user
//! owns them: a socket in a directory that others can write is a socket that others can replace.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Code, Error, Result};

const APPLICATION: &str = "quarterdeck";

/// The directories of one user. None of them need exist: see [`private_dir`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `config.yaml`, own themes, keymaps and policies.
    pub config: PathBuf,
    /// The audit database, its checkpoints, the log.
    pub state: PathBuf,
    /// What can be made again: discovery, downloads.
    pub cache: PathBuf,
    /// Sockets and the session's token; gone at logout.
    pub runtime: PathBuf,
}

impl Paths {
    /// From `XDG_*_HOME`, `XDG_RUNTIME_DIR` and the home directory.
    pub fn discover() -> Result<Self> {
        let dirs = directories::ProjectDirs::from("", "", APPLICATION).ok_or_else(|| {
            Error::unavailable("no home directory is known")
                .next("Set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME.")
        })?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
        Ok(Self {
            config: dirs.config_dir().to_owned(),
            state: state.to_owned(),
            cache: dirs.cache_dir().to_owned(),
            runtime: dirs.runtime_dir().map_or_else(fallback_runtime, Path::to_owned),
        })
    }

    /// All four below one directory: for tests, and for a practice session that leaves no trace.
    pub fn under(root: &Path) -> Self {
        Self {
            config: root.join("config"),
            state: root.join("state"),
            cache: root.join("cache"),
            runtime: root.join("run"),
        }
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.yaml")
    }

    pub fn log_file(&self) -> PathBuf {
        self.state.join("qd.log")
    }
}

/// Where `XDG_RUNTIME_DIR` is not set (a container, `su`, cron): a directory of the user's own below
/// the temporary one. [`private_dir`] refuses it if somebody else was there first.
fn fallback_runtime() -> PathBuf {
    std::env::temp_dir().join(format!("{APPLICATION}-{}", rustix::process::getuid().as_raw()))
}

/// Makes `path` and its parents, `path` itself with mode 0700, and checks that nobody else owns it or
/// can write to it.
pub fn private_dir(path: &Path) -> Result<()> {
    let failed = |what: &str, e: std::io::Error| {
        Error::unavailable(format!("{what} {}: {e}", path.display()))
            .next("Check the permissions of the directory above it, and the space on its disk.")
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| failed("cannot make the directory", e))?;
    // Not followed: a symbolic link in a directory that all can write may lead anywhere.
    let meta = fs::symlink_metadata(path).map_err(|e| failed("cannot look at the directory", e))?;
    let uid = rustix::process::getuid().as_raw();
    if !meta.is_dir() || meta.uid() != uid {
        return Err(Error::new(
            Code::PermissionDenied,
            format!(
                "{} is not a directory of yours (user {uid}), but of user {}",
                path.display(),
                meta.uid()
            ),
        )
        .next("Remove it, or set XDG_RUNTIME_DIR to a directory that only you can write."));
    }
    if meta.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|e| failed("cannot close to others the directory", e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_directory_is_closed_to_others_and_made_with_its_parents() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        std::os::unix::fs::symlink(root.path(), &path).unwrap();
        assert_eq!(private_dir(&path).unwrap_err().code, Code::PermissionDenied);
    }
}
