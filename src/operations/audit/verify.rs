//! Checking the audit log: the session's own, or somebody's copy.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{ActorKind, Code, Error, Result};
use crate::gate::{Context, Operation, Spec, Target};
use crate::operations::Deck;
use crate::store::{Evidence, Fault, Finding, Used, Verification};

/// What to check, and against what.
#[derive(Debug, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct AuditVerifyInput {
    /// A database file or state directory to check instead of the own one: a copy, say.
    #[arg(long, value_name = "PATH", value_parser = whole_path)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// A copy of the checkpoints kept elsewhere; those beside the database unless told.
    #[arg(long, value_name = "FILE", value_parser = whole_path)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The directory with the keys of the log; those beside the database unless told.
    #[arg(long, value_name = "DIRECTORY", value_parser = whole_path)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
}

/// The session that answers may have been started in another directory.
fn whole_path(text: &str) -> std::io::Result<String> {
    let path = std::path::absolute(text)?;
    path.into_os_string().into_string().map_err(|_| std::io::Error::other("the path is not UTF-8"))
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct AuditVerifyOutput {
    /// 0 intact, 1 could not run, 2 tampered, 3 truncated, 4 no checkpoint.
    pub exit_code: u8,
    /// `None` where it could not run.
    pub finding: Option<Finding>,
    /// What is wrong with the first bad row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// One sentence of what was found.
    pub note: String,
    /// Rows checked.
    pub rows: u64,
    pub checkpoints: u64,
    /// The first row that is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<u64>,
    pub milliseconds: u64,
    /// The database that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The directory of the keys that it was checked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// The file of the checkpoints that it was checked against; it need not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

pub struct AuditVerify;

impl AuditVerifyOutput {
    fn of(v: Verification) -> Self {
        Self {
            exit_code: v.finding.exit_code(),
            finding: Some(v.finding),
            fault: v.fault,
            note: v.note,
            rows: v.rows,
            checkpoints: v.checkpoints,
            first_bad: v.first_bad,
            milliseconds: v.milliseconds,
            ..Self::default()
        }
        .with(v.used)
    }

    fn could_not_run(why: &str) -> Self {
        Self { exit_code: 1, note: format!("could not run: {why}"), ..Self::default() }
    }

    fn with(self, used: Option<Used>) -> Self {
        let Some(used) = used else { return self };
        let shown = |path: PathBuf| Some(path.display().to_string());
        Self {
            database: shown(used.database),
            keys: shown(used.keys),
            checkpoint: shown(used.checkpoints),
            ..self
        }
    }
}

impl Operation for AuditVerify {
    type Deck = Deck;
    type Input = AuditVerifyInput;
    type Output = AuditVerifyOutput;

    const SPEC: Spec = Spec::observe(
        "audit_verify",
        "/v1/audit/verification",
        "Check that no row of the audit log was edited, removed or cut off.",
    )
    .exits(&[
        (0, "intact: every row is there and as it was written"),
        (1, "could not run: a file or a key is missing, or the key is another log's"),
        (2, "tampered: a row was edited, deleted or moved, or a checkpoint forged; `fault` and the row's number say which"),
        (3, "truncated: rows at the end are gone"),
        (4, "no checkpoint: every row fits, but nothing outside the database says how many there were"),
    ]);

    fn target(_: &Self::Input) -> Target {
        Target::own("audit")
    }

    async fn run(_: Arc<Deck>, cx: Context, input: Self::Input) -> Result<Self::Output> {
        let AuditVerifyInput { database, checkpoint, keys } = input;
        let named = database.is_some() || checkpoint.is_some() || keys.is_some();
        if named && cx.actor().kind != ActorKind::Person {
            // The files are read with the rights of this process, not of whoever asks from elsewhere.
            return Err(Error::new(Code::PermissionDenied, "only a person names files here"));
        }
        let other_log = database.is_some() || keys.is_some();
        let evidence = Evidence {
            database: database.map(Into::into),
            checkpoints: checkpoint.map(Into::into),
            keys: keys.map(Into::into),
        };
        Ok(match cx.gate().verify_audit(evidence).await {
            // In the own state directory keys that fit nothing mean that the log was replaced.
            Ok(v) if v.fault == Some(Fault::OtherKeys) && other_log => {
                let why = format!("{}: name this log's with --keys", v.note);
                AuditVerifyOutput::could_not_run(&why).with(v.used)
            }
            Ok(v) => AuditVerifyOutput::of(v),
            Err(e) => AuditVerifyOutput::could_not_run(&e.message),
        })
    }
}
