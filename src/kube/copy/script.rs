//! What stands in for `tar`: a shell that writes the tree as plain records.
//!
//! `D NAME\0`, and `F SIZE NAME\0` with so many bytes behind it. Names are the whole rest up to the zero byte, which no name
//! can hold.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use super::Copied;
use super::unpack::{Unpack, file};

/// Writes the records of `$1` (a name in the directory `$2`). Needs `find`, `wc`, `cat` and `head`.
pub const DUMP: &str = r#"cd "$2" || exit 9
find "./$1" -exec sh -c 'for p; do
if [ -d "$p" ]; then printf "D %s\0" "$p"
elif [ -f "$p" ]; then s=$(wc -c < "$p") || exit 8; printf "F %d %s\0" "$s" "$p"; head -c "$s" < "$p"
fi; done' sh {} +"#;

/// Writes standard input to the file `$1`. The shell stays until `cat` has ended: where the last command takes its place,
/// as in busybox, containerd cuts its input off (kubectl loses data the same way).
pub const STORE: &str = r#"case $1 in */*) mkdir -p "${1%/*}" || exit 9;; esac; cat > "$1"; r=$?; exit $r"#;

/// Reads records into a directory of our own.
pub fn unpack(
    records: impl Read,
    into: &Path,
    copied: &mut Copied,
    done: impl Fn(u64, Option<u64>, &str),
) -> Result<(), Unpack> {
    let mut records = BufReader::new(records);
    let broken = |what: &str| Unpack::Broken(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    loop {
        let mut head = Vec::new();
        (&mut records).take(64 * 1024).read_until(0, &mut head).map_err(Unpack::Broken)?;
        if head.is_empty() {
            return Ok(());
        }
        if head.pop() != Some(0) {
            return Err(broken("a record is cut off"));
        }
        let head = <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(head);
        let text = head.to_string_lossy().into_owned();
        let (kind, rest) = text.split_once(' ').ok_or_else(|| broken("a record without a kind"))?;
        match kind {
            "D" => {
                std::fs::create_dir_all(into.join(inside(rest)?))
                    .map_err(|error| Unpack::Write { path: rest.to_owned(), error })?;
                copied.directories += 1;
            }
            "F" => {
                let (size, name) = rest.split_once(' ').ok_or_else(|| broken("a file without a size"))?;
                let size: u64 = size.parse().map_err(|_| broken("a file without a size"))?;
                let began = copied.bytes;
                let written = file(&mut (&mut records).take(size), &into.join(inside(name)?), 0o644, |n| {
                    done(began + n, Some(size), name);
                })
                .map_err(|error| Unpack::Write { path: name.to_owned(), error })?;
                if written != size {
                    return Err(Unpack::Short(name.to_owned(), written, size));
                }
                copied.files += 1;
                copied.bytes += written;
            }
            _ => return Err(broken("a record of no known kind")),
        }
    }
}

fn inside(name: &str) -> Result<PathBuf, Unpack> {
    let mut clean = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(Unpack::Outside(name.to_owned())),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_files_and_what_leads_out_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let mut copied = Copied::default();
        let records = b"D ./d\0F 3 ./d/a b\n\0abcF 0 ./d/empty\0";
        unpack(&records[..], root.path(), &mut copied, |_, _, _| {}).unwrap();
        assert_eq!((copied.files, copied.directories, copied.bytes), (2, 1, 3));
        assert_eq!(std::fs::read(root.path().join("d/a b\n")).unwrap(), b"abc");
        let read = |records: &[u8]| unpack(records, root.path(), &mut Copied::default(), |_, _, _| {});
        assert!(matches!(read(b"F 1 ../x\0a"), Err(Unpack::Outside(_))));
        assert!(matches!(read(b"F 5 x\0ab"), Err(Unpack::Short(..))));
        assert!(matches!(read(b"F 5 x"), Err(Unpack::Broken(_))));
    }
}
