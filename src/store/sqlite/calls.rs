//! Intents and outcomes.

use rusqlite::params;
use serde_json::Value;

use super::tx::Tx;
use crate::store::error::StoreError;
use crate::store::record::{Draft, GrantUse};

pub(super) fn begin(tx: &mut Tx<'_>, intent: &Draft, grant: Option<GrantUse>) -> Result<(), StoreError> {
    if let Some(grant) = grant {
        tx.use_grant(grant, intent.at)?;
    }
    tx.append(intent)?;
    tx.open_call(intent)
}

pub(super) fn finish(tx: &mut Tx<'_>, outcome: &Draft, result: Option<&Value>) -> Result<(), StoreError> {
    tx.append(outcome)?;
    if let Some(call) = outcome.call {
        tx.close_call(call)?;
    }
    if let Some(approval) = outcome.approval {
        let result = result.map(|r| tx.hide(approval, "result", &r.to_string())).transpose()?;
        tx.execute(
            "UPDATE approval SET finished_at = ?2, result = ?3 WHERE id = ?1",
            params![approval.to_string(), outcome.at.as_microsecond(), result],
        )?;
    }
    Ok(())
}
