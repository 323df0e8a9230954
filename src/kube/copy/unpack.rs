//! Writing down an archive that nobody vouches for.
//!
//! The destination is a directory that was just made, so that no link is there before; names that leave it are refused,
//! links are made last, and only those that stay inside.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::Copied;

/// Why an archive was given up.
#[derive(Debug, thiserror::Error)]
pub enum Unpack {
    #[error("the container sent a path that leads out of the destination: {0:?}; nothing was kept")]
    Outside(String),
    #[error("the container sent what is no archive, or only a part of one: {0}")]
    Broken(io::Error),
    #[error("{path} cannot be written: {error}")]
    Write { path: String, error: io::Error },
    #[error("{0:?} came with {1} bytes where its header says {2}")]
    Short(String, u64, u64),
}

/// A path below the destination. `Err`: it would not be.
fn inside(path: &Path) -> Result<PathBuf, Unpack> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(Unpack::Outside(path.display().to_string()));
            }
        }
    }
    Ok(clean)
}

/// Whether a link at `at` with this target stays inside. After a name `..` counts as leading out: the name may be a link
/// itself, and then nobody knows whose parent that is.
fn stays(at: &Path, target: &Path) -> bool {
    let mut depth = at.parent().map_or(0, |p| p.components().count());
    let mut named = false;
    for part in target.components() {
        match part {
            Component::Normal(_) => named = true,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 && !named => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Whether a link is among the directories that lead to `path`, below `root`.
fn through_link(root: &Path, path: &Path) -> bool {
    let above = path.ancestors().skip(1);
    above.take_while(|p| p.components().next().is_some()).any(|p| root.join(p).is_symlink())
}

/// Unpacks into `into`, an empty directory of our own. `done` is told the bytes so far, the entry's size and its name.
pub fn unpack(
    archive: impl Read,
    into: &Path,
    copied: &mut Copied,
    done: impl Fn(u64, Option<u64>, &str),
) -> Result<(), Unpack> {
    let mut archive = tar::Archive::new(archive);
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    for entry in archive.entries().map_err(Unpack::Broken)? {
        let mut entry = entry.map_err(Unpack::Broken)?;
        let path = inside(&entry.path().map_err(Unpack::Broken)?)?;
        let name = path.display().to_string();
        let to = into.join(&path);
        let cannot = |error: io::Error| Unpack::Write { path: name.clone(), error };
        match entry.header().entry_type() {
            EntryType::Directory => {
                fs::create_dir_all(&to).map_err(cannot)?;
                copied.directories += 1;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let size = entry.size();
                let mode = entry.header().mode().unwrap_or(0o644);
                let began = copied.bytes;
                let written =
                    file(&mut entry, &to, mode, |n| done(began + n, Some(size), &name)).map_err(cannot)?;
                if written != size {
                    return Err(Unpack::Short(name, written, size));
                }
                copied.files += 1;
                copied.bytes += written;
            }
            EntryType::Symlink => match entry.link_name().map_err(Unpack::Broken)? {
                Some(target) if stays(&path, &target) => links.push((path, target.into_owned())),
                Some(target) => {
                    copied.skip(format!("{name}: a link that leads outside, to {}", target.display()))
                }
                None => copied.skip(format!("{name}: a link to nothing")),
            },
            EntryType::Link => {
                let target = entry.link_name().map_err(Unpack::Broken)?;
                match target.map(|t| inside(&t)).transpose()? {
                    Some(target) => {
                        // A name for a file that came before: here it becomes a file of its own.
                        parents(&to).map_err(cannot)?;
                        copied.bytes += fs::copy(into.join(target), &to).map_err(cannot)?;
                        copied.files += 1;
                    }
                    None => copied.skip(format!("{name}: a link to nothing")),
                }
            }
            EntryType::XGlobalHeader => {}
            _ => copied.skip(format!("{name}: a device, a pipe or a socket")),
        }
    }
    for (path, target) in links {
        let to = into.join(&path);
        let name = path.display().to_string();
        // It would be made elsewhere than its name says, and lead from there.
        if through_link(into, &path) {
            copied.skip(format!("{name}: a link behind another link"));
            continue;
        }
        parents(&to).map_err(|error| Unpack::Write { path: name.clone(), error })?;
        // What is there already came under the same name: the later one is what a real tar would leave.
        let _ = fs::remove_file(&to);
        std::os::unix::fs::symlink(&target, &to).map_err(|error| Unpack::Write { path: name, error })?;
    }
    Ok(())
}

fn parents(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Writes one file: neither set-user-id nor foreign owners come along.
pub fn file(from: &mut impl Read, to: &Path, mode: u32, done: impl Fn(u64)) -> io::Result<u64> {
    use std::os::unix::fs::OpenOptionsExt as _;
    parents(to)?;
    let mut options = fs::OpenOptions::new();
    // Never through a link, and never over what was there: the directory was empty.
    let opened = options.write(true).create_new(true).mode(mode & 0o777 | 0o600).open(to);
    let mut out = match opened {
        Ok(out) => out,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(to)?;
            options.open(to)?
        }
        Err(e) => return Err(e),
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        out.write_all(&buffer[..n])?;
        written += n as u64;
        done(written);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            // Not `set_path`: it refuses what a hostile archive has.
            let field = &mut header.as_old_mut().name;
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name_literal(content).unwrap();
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    fn into(directory: &Path, entries: &[(&str, EntryType, &str)]) -> Result<Copied, Unpack> {
        let mut copied = Copied::default();
        unpack(archive(entries).as_slice(), directory, &mut copied, |_, _, _| {}).map(|()| copied)
    }

    #[test]
    fn what_leads_out_is_refused() {
        use EntryType::{Link, Regular, Symlink};
        let root = tempfile::tempdir().unwrap();
        let to = root.path().join("to");
        fs::create_dir(&to).unwrap();
        for path in ["../evil", "/evil", "a/../../evil"] {
            let refused = into(&to, &[(path, Regular, "x")]);
            assert!(matches!(refused, Err(Unpack::Outside(_))), "{path}");
        }
        assert!(matches!(into(&to, &[("h", Link, "../../etc/passwd")]), Err(Unpack::Outside(_))));
        // A link out of the tree and then a file through it: the link is not made, the file stays inside.
        let done = into(&to, &[("link", Symlink, "/tmp"), ("link/evil", Regular, "x")]).unwrap();
        assert_eq!((done.files, done.skips), (1, 1));
        assert!(to.join("link").is_dir() && !to.join("link").is_symlink());
        let done = into(&to, &[("up", Symlink, "../../x"), ("fifo", EntryType::Fifo, "")]).unwrap();
        assert_eq!(done.skips, 2);
        // Links that lead out together, though each of them stays inside by itself.
        let done = into(&to, &[("p/q", Symlink, ".."), ("p/q/r/s", Symlink, "../../etc")]).unwrap();
        assert_eq!(done.skips, 1);
        assert!(!to.join("r").exists() && !to.join("p/q/r").exists());
        let done = into(&to, &[("a/b/u", Symlink, "../.."), ("a/b/l", Symlink, "u/../x")]).unwrap();
        assert_eq!((done.skips, done.skipped[0].starts_with("a/b/l")), (1, true));
        assert!(!root.path().join("evil").exists() && !Path::new("/tmp/evil").exists());
    }

    #[test]
    fn files_links_and_odd_names_arrive_without_rights_they_should_not_have() {
        use EntryType::{Directory, Link, Regular, Symlink};
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let entries = [
            ("d/", Directory, ""),
            ("d/a b\n*?", Regular, "odd"),
            ("d/l", Symlink, "a b\n*?"),
            ("d/h", Link, "d/a b\n*?"),
        ];
        let done = into(root.path(), &entries).unwrap();
        assert_eq!((done.files, done.directories, done.bytes, done.skips), (2, 1, 6, 0));
        assert_eq!(fs::read_to_string(root.path().join("d/l")).unwrap(), "odd");
        assert_eq!(fs::read_to_string(root.path().join("d/h")).unwrap(), "odd");
        let mode = fs::metadata(root.path().join("d/a b\n*?")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0);
    }

    #[test]
    fn a_cut_off_archive_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let whole = archive(&[("a", EntryType::Regular, &"x".repeat(5000))]);
        let mut copied = Copied::default();
        assert!(unpack(&whole[..2000], root.path(), &mut copied, |_, _, _| {}).is_err());
    }
}
