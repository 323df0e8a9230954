//! `local:remote`, as people and k9s's annotations write it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base;

/// The port at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Remote {
    Number(u16),
    /// As the container, or the service, names it.
    Name(String),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Number(n) => n.fmt(f),
            Remote::Name(name) => name.fmt(f),
        }
    }
}

/// One forward's ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// `None`: any that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<u16>,
    pub remote: Remote,
}

impl Mapping {
    /// Reads `8080:80`, `8080:http`, `80` (the same here and there), `:80` and `http` (a free one here).
    pub fn parse(text: &str) -> base::Result<Self> {
        let wrong = |why: &str| {
            base::Error::invalid(format!("the ports {text:?} are not LOCAL:REMOTE: {why}"))
                .next("Write 8080:80, 8080:http, 80, or :80 for a free port here.")
        };
        let (local, remote) = match text.trim().split_once(':') {
            Some((local, remote)) => (Some(local.trim()), remote.trim()),
            None => (None, text.trim()),
        };
        let remote = match remote.parse::<u32>() {
            Ok(n) => Remote::Number(
                u16::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| wrong("ports are 1 to 65535"))?,
            ),
            Err(_) if is_name(remote) => Remote::Name(remote.to_owned()),
            Err(_) => return Err(wrong("the remote end is neither a number nor a port's name")),
        };
        let local = match (local, &remote) {
            (None, Remote::Number(n)) => Some(*n),
            (None, Remote::Name(_)) | (Some("" | "0"), _) => None,
            (Some(local), _) => Some(local.parse::<u16>().map_err(|_| wrong("the local end is no port"))?),
        };
        Ok(Self { local, remote })
    }
}

/// A port's name: `IANA_SVC_NAME`, at most 15 characters, at least one letter.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            Some(local) => write!(f, "{local}:{}", self.remote),
            None => write!(f, ":{}", self.remote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_as_people_write_them() {
        let read = |text: &str| Mapping::parse(text).map(|m| (m.local, m.remote.to_string()));
        assert_eq!(read("8080:80").unwrap(), (Some(8080), "80".into()));
        assert_eq!(read(" 80 ").unwrap(), (Some(80), "80".into()));
        assert_eq!(read(":80").unwrap(), (None, "80".into()));
        assert_eq!(read("0:80").unwrap(), (None, "80".into()));
        assert_eq!(read("http").unwrap(), (None, "http".into()));
        assert_eq!(read("8080:http-alt").unwrap(), (Some(8080), "http-alt".into()));
        for wrong in ["", ":", "80:", "99999", "x:80", "80:0", "80:a b", "1:2:3"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
