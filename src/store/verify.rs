//! What a check of the audit log found.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The verdict on the chain; its number is the exit code of `qd audit verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Every row is there and as it was written.
    Intact,
    /// A row was edited, deleted, moved or written by someone else; or a checkpoint was forged.
    Tampered,
    /// Rows at the end are missing.
    Truncated,
    /// There is nothing outside the database to check it against.
    CheckpointMissing,
}

impl Finding {
    /// 1 is kept for "could not run".
    pub fn exit_code(self) -> u8 {
        match self {
            Finding::Intact => 0,
            Finding::Tampered => 2,
            Finding::Truncated => 3,
            Finding::CheckpointMissing => 4,
        }
    }
}

/// What is wrong with the first row that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not what was written.
    Edited,
    /// It is not there, and later ones are.
    Deleted,
    /// It is as it was written, and does not follow the row before it.
    Moved,
    /// It and all after it are gone.
    Truncated,
    /// It is not the row that a signed checkpoint knows, or the checkpoint is forged.
    Forged,
    /// Nothing fits the keys: they are another log's, or the whole log was replaced.
    OtherKeys,
}

/// What is checked, and against what. Empty parts are the store's own.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// A database file, or a state directory that holds one.
    pub database: Option<PathBuf>,
    /// A file of checkpoints.
    pub checkpoints: Option<PathBuf>,
    /// The directory of the keys with which the log was written.
    pub keys: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    pub finding: Finding,
    /// Rows checked.
    pub rows: u64,
    pub checkpoints: u64,
    /// What is wrong, unless it is intact.
    pub fault: Option<Fault>,
    /// The first row that is not as it should be.
    pub first_bad: Option<u64>,
    /// One sentence of what was found.
    pub note: String,
    pub milliseconds: u64,
    /// The files that were read; none where the log is in memory alone.
    pub used: Option<Used>,
}

impl Verification {
    /// Before anything was read: nothing is wrong yet.
    pub(super) fn begun() -> Self {
        Self {
            finding: Finding::Intact,
            rows: 0,
            checkpoints: 0,
            fault: None,
            first_bad: None,
            note: String::new(),
            milliseconds: 0,
            used: None,
        }
    }
}

/// What a log was checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    pub database: PathBuf,
    /// The file of the checkpoints; it need not be there.
    pub checkpoints: PathBuf,
    /// The directory of the keys.
    pub keys: PathBuf,
}
