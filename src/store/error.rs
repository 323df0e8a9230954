//! What can go wrong with the store, and what a person does about it.

use crate::base::{Code, Error};

/// A failed unit of work. Nothing of it was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The disk answers with an error: most often because the system has made it read-only.
    #[error("the disk does not take what is written to the database: {0}")]
    Disk(String),
    #[error("another process keeps the database {path} locked")]
    Locked { path: String },
    #[error("the database {path} is damaged: {reason}")]
    Corrupt { path: String, reason: String },
    #[error("{path} is on a network file system ({kind}), where SQLite's locks and syncs cannot be trusted")]
    NetworkFileSystem { path: String, kind: &'static str },
    #[error("the database {path} was made by a newer version (schema {found}, known {known})")]
    Newer { path: String, found: i64, known: i64 },
    #[error("migration {version} of the database {path} is not the one that this version knows")]
    Migration { path: String, version: i64 },
    #[error("the key file {path}: {reason}")]
    Key { path: String, reason: String },
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    /// The state of an approval or a grant is no longer what the caller thought.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotFound(String),
    #[error("the store is closed")]
    Closed,
    #[error("the database: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether it means that nothing can be written for now.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly(_)
                | Self::Full(_)
                | Self::Disk(_)
                | Self::Locked { .. }
                | Self::Corrupt { .. }
                | Self::Other(_)
        )
    }

    /// Whether it passes once the place can be written again, with nothing lost.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::ReadOnly(_) | Self::Full(_) | Self::Disk(_))
    }

    /// What a banner of one line says: what is wrong, and what to do.
    pub fn banner(&self) -> &'static str {
        match self {
            Self::Full(_) => "the audit database's disk is full: free space on it",
            Self::ReadOnly(_) => "the audit database is read-only: make it writable",
            Self::Disk(_) => "the audit database's disk fails: see dmesg, remount it",
            Self::Locked { .. } => "a program holds the audit database: close it",
            Self::Corrupt { .. } => "the audit database is damaged: put a backup there",
            _ => "the audit database cannot be written: see the log",
        }
    }

    /// A file of ours that the system does not let us read or write.
    pub(super) fn of_file(path: &std::path::Path, e: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let reason = format!("{}: {e}", path.display());
        match e.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(reason),
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(reason),
            _ => Self::File { path: path.display().to_string(), reason: e.to_string() },
        }
    }
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        let message = e.to_string();
        match e {
            StoreError::Conflict(_) => Error::new(Code::Conflict, message),
            StoreError::NotFound(_) => Error::not_found(message),
            StoreError::Full(_) => Error::new(Code::AuditUnavailable, message)
                .next("Free space on the disk of the state directory; changes go on by themselves."),
            StoreError::Disk(_) => Error::new(Code::AuditUnavailable, message)
                .next("See dmesg: the file system may have been made read-only; changes go on by themselves once it is not."),
            StoreError::ReadOnly(_) => Error::new(Code::AuditUnavailable, message).next(
                "Make the state directory and the database writable again; changes go on by themselves.",
            ),
            StoreError::Locked { .. } => Error::new(Code::AuditUnavailable, message)
                .next("Close the other process that uses the database, or give this one a state directory of its own."),
            StoreError::Corrupt { ref path, .. } => Error::new(Code::AuditUnavailable, message).next(format!(
                "Stop qd, move {path} aside and put a backup in its place; keep the damaged file for the audit."
            )),
            StoreError::NetworkFileSystem { .. } => Error::new(Code::AuditUnavailable, message)
                .next("Put the state directory on a local disk (state.directory in the configuration, or QD_STATE_DIRECTORY)."),
            StoreError::Newer { .. } => {
                Error::new(Code::AuditUnavailable, message).next("Use the newer qd, or another state directory.")
            }
            StoreError::Migration { .. } => Error::new(Code::AuditUnavailable, message)
                .next("The database was changed by hand or by another build: use the qd that made it, or a backup."),
            StoreError::Key { .. } => Error::new(Code::AuditUnavailable, message)
                .next("Put the key file back from a backup: without it the audit log can be neither continued nor checked."),
            StoreError::File { .. } => Error::new(Code::AuditUnavailable, message)
                .next("Make the state directory readable and writable for this user."),
            StoreError::Closed => Error::new(Code::AuditUnavailable, message).next("Start qd again."),
            StoreError::Other(_) => Error::new(Code::AuditUnavailable, message),
        }
    }
}
