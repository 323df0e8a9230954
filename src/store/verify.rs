//! What a check of the audit log found.

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

#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    pub finding: Finding,
    /// Rows checked.
    pub rows: u64,
    pub checkpoints: u64,
    /// The first row that is not as it should be.
    pub first_bad: Option<u64>,
    /// One sentence of what was found.
    pub note: String,
    pub milliseconds: u64,
}
