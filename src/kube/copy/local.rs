//! This machine's side: a place to put things together, and putting them where they belong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::base;

/// A directory beside the destination, gone when it is dropped.
pub struct Staging {
    directory: PathBuf,
}

fn cannot(path: &Path, error: &io::Error) -> base::Error {
    base::Error::unavailable(format!("{} cannot be written: {error}", path.display()))
        .next("Check that its directory is there and is yours, and the space on its disk.")
}

impl Staging {
    /// On the same file system as `to`, so that what is complete is put in its place in one step.
    pub fn beside(to: &Path) -> base::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let parent = to.parent().unwrap_or(Path::new("/"));
        let directory = parent.join(format!(".qd-copy-{}", ulid::Ulid::generate()));
        fs::DirBuilder::new().mode(0o700).create(&directory).map_err(|e| cannot(parent, &e))?;
        Ok(Self { directory })
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Moves what is there under `name` to `to`; what is there already is replaced only if that was wanted.
    pub fn place(&self, name: &str, to: &Path, overwrite: bool) -> base::Result<()> {
        let from = if name == "." { self.directory.clone() } else { self.directory.join(name) };
        // What came may itself not be readable by its owner.
        put(&from, to, overwrite)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // It is ours alone; a disk that fails says so elsewhere.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn put(from: &Path, to: &Path, overwrite: bool) -> base::Result<()> {
    let there = fs::symlink_metadata(to).ok();
    let Some(there) = there else {
        return fs::rename(from, to).map_err(|e| cannot(to, &e));
    };
    if !overwrite {
        return Err(taken(to));
    }
    let comes = fs::symlink_metadata(from).map_err(|e| cannot(from, &e))?;
    match (comes.is_dir(), there.is_dir()) {
        (true, true) => {
            for entry in fs::read_dir(from).map_err(|e| cannot(from, &e))? {
                let entry = entry.map_err(|e| cannot(from, &e))?;
                put(&entry.path(), &to.join(entry.file_name()), true)?;
            }
            Ok(())
        }
        // A link here is replaced, never followed.
        (false, false) => fs::rename(from, to).map_err(|e| cannot(to, &e)),
        (true, false) | (false, true) => Err(base::Error::new(
            base::Code::AlreadyExists,
            format!(
                "{} is there, and of another sort: a directory does not replace a file, nor a file a directory",
                to.display()
            ),
        )),
    }
}

fn taken(to: &Path) -> base::Error {
    base::Error::new(base::Code::AlreadyExists, format!("{} is there already", to.display()))
        .next("Choose another name, or say overwrite.")
}

/// Where a copy of `name` ends up that is sent to `to`: inside it, if it is a directory.
pub fn destination(to: &Path, name: Option<&str>, overwrite: bool) -> base::Result<PathBuf> {
    let to = match (to.is_dir(), name) {
        (true, Some(name)) => to.join(name),
        _ => to.to_owned(),
    };
    // Early: nothing needs to be sent for that to be known.
    match fs::symlink_metadata(&to) {
        Ok(there) if !overwrite && !there.is_dir() => Err(taken(&to)),
        Ok(_) if !overwrite => Err(taken(&to)),
        _ => Ok(to),
    }
}
