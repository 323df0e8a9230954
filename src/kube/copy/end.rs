//! The two ends of a copy, written as kubectl writes them: `POD:PATH`, and a path here.

use std::path::{Path, PathBuf};

use crate::base;

/// One end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A pod's name or `kind/name`, and a path in it.
    Remote {
        what: String,
        path: String,
    },
    Local(PathBuf),
}

impl End {
    /// `api-1:/var/log`, `deployment/web:/etc/x`; what begins with `/`, `.` or `~` is here, as is what has no colon.
    pub fn parse(text: &str) -> base::Result<Self> {
        if text.is_empty() {
            return Err(
                base::Error::invalid("a path is empty").next("Write POD:PATH, or a path of this machine.")
            );
        }
        match text.split_once(':') {
            Some((what, path)) if !text.starts_with(['/', '.', '~']) => {
                if what.is_empty() || path.is_empty() {
                    return Err(base::Error::invalid(format!("{text:?} is not POD:PATH"))
                        .next("Write api-1:/var/log/app.log; a path of this machine begins with / or ./"));
                }
                Ok(End::Remote { what: what.to_owned(), path: path.to_owned() })
            }
            _ => Ok(End::Local(PathBuf::from(text))),
        }
    }
}

/// From where to where: one of the two is a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    Download { what: String, from: String, to: PathBuf },
    Upload { from: PathBuf, what: String, to: String },
}

impl Pair {
    pub fn parse(from: &str, to: &str) -> base::Result<Self> {
        let whole = |path: PathBuf| {
            if path.is_absolute() {
                Ok(path)
            } else {
                Err(base::Error::invalid(format!("{} is not a whole path", path.display()))
                    .next("Begin it with /: the session that copies may run in another directory."))
            }
        };
        match (End::parse(from)?, End::parse(to)?) {
            (End::Remote { what, path }, End::Local(to)) => {
                Ok(Pair::Download { what, from: path, to: whole(to)? })
            }
            (End::Local(from), End::Remote { what, path }) => {
                Ok(Pair::Upload { from: whole(from)?, what, to: path })
            }
            (End::Local(_), End::Local(_)) => {
                Err(base::Error::invalid("both ends are on this machine").next("One of them is POD:PATH."))
            }
            (End::Remote { .. }, End::Remote { .. }) => Err(base::Error::invalid("both ends are in pods")
                .next("Copy it to this machine first, and from here to the other pod.")),
        }
    }

    /// The pod, as it was written.
    pub fn what(&self) -> &str {
        match self {
            Pair::Download { what, .. } | Pair::Upload { what, .. } => what,
        }
    }
}

/// A remote path as the directory to stand in and the one name there, such that no name is taken for an option.
pub fn split(path: &str) -> (String, String) {
    let trimmed = path.trim_end_matches('/');
    let (directory, name) = match trimmed.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((directory, name)) => (directory, name),
        None if path.starts_with('/') => ("/", ""),
        None => (".", trimmed),
    };
    let directory =
        if directory.starts_with(['/', '.']) { directory.to_owned() } else { format!("./{directory}") };
    match name {
        // The directory itself is meant: all that is in it.
        "" | "." | ".." => (if trimmed.is_empty() { "/".into() } else { rooted(trimmed) }, ".".to_owned()),
        name => (directory, name.to_owned()),
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with(['/', '.']) { path.to_owned() } else { format!("./{path}") }
}

/// The last name of a remote path, for its place here.
pub fn name_of(path: &str) -> Option<&str> {
    let name = Path::new(path).file_name()?.to_str()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_kubectl_writes_them() {
        let remote = |what: &str, path: &str| End::Remote { what: what.into(), path: path.into() };
        assert_eq!(End::parse("api-1:/a:b").unwrap(), remote("api-1", "/a:b"));
        assert_eq!(End::parse("deployment/web:etc").unwrap(), remote("deployment/web", "etc"));
        assert_eq!(End::parse("./a:b").unwrap(), End::Local("./a:b".into()));
        assert_eq!(End::parse("/x:y").unwrap(), End::Local("/x:y".into()));
        assert!(End::parse("api:").is_err());
        assert!(Pair::parse("/a", "/b").is_err());
        assert!(Pair::parse("a:/x", "b:/x").is_err());
        assert!(Pair::parse("a:/x", "here").unwrap_err().message.contains("not a whole path"));
    }

    #[test]
    fn a_remote_path_is_a_place_to_stand_in_and_a_name() {
        let both = |path: &str| {
            let (d, n) = split(path);
            format!("{d} {n}")
        };
        assert_eq!(both("/var/log/app.log"), "/var/log app.log");
        assert_eq!(both("/var/log/"), "/var log");
        assert_eq!(both("/etc"), "/ etc");
        assert_eq!(both("/"), "/ .");
        assert_eq!(both("/data/."), "/data/. .");
        assert_eq!(both("-x/-y"), "./-x -y");
        assert_eq!(both("file"), ". file");
    }
}
