//! Approvals: every step of `pending → approved | denied | expired | void → consumed` is one
//! conditional UPDATE with its audit row in the same transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use super::audit::{from_json, optional_json, optional_parsed, optional_time, parsed, time};
use super::tx::{Tx, json};
use super::writer::system;
use crate::base::ids::ApprovalId;
use crate::bus::ApprovalState;
use crate::store::error::StoreError;
use crate::store::record::*;
use crate::store::vault::Vault;

const COLUMNS: &str = "id, call, call_key, operation, effect, arguments, target, target_text, preview, preview_hash, \
     schema_hash, policy_version, digest, actor, reason, state, created_at, expires_at, decided_by, decided_at, \
     decision_reason, amended_by, proposed_arguments, supersedes, superseded_by, consumed_at, finished_at, result, \
     returned_at";

fn word(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
        ApprovalState::Void => "void",
        ApprovalState::Consumed => "consumed",
        ApprovalState::Withdrawn => "withdrawn",
    }
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<ApprovalState> {
    Ok(match row.get_ref(column)?.as_str()? {
        "pending" => ApprovalState::Pending,
        "approved" => ApprovalState::Approved,
        "denied" => ApprovalState::Denied,
        "expired" => ApprovalState::Expired,
        "consumed" => ApprovalState::Consumed,
        "withdrawn" => ApprovalState::Withdrawn,
        _ => ApprovalState::Void,
    })
}

/// Opens the sealed columns of one row.
struct Opener<'a> {
    /// Without it they are left out, for readers who only count and compare times.
    vault: Option<&'a Vault>,
    id: String,
    /// Whether something was sealed with a key that is gone.
    lost: bool,
}

impl Opener<'_> {
    fn text(&mut self, row: &Row<'_>, column: usize, name: &str) -> rusqlite::Result<Option<String>> {
        let Some(vault) = self.vault else { return Ok(None) };
        let Some(stored) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
        let clear = vault.open_text(&self.id, name, &stored);
        self.lost |= clear.is_none();
        Ok(clear)
    }

    fn value(&mut self, row: &Row<'_>, column: usize, name: &str) -> rusqlite::Result<Option<Value>> {
        Ok(self.text(row, column, name)?.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

fn record(row: &Row<'_>, vault: Option<&Vault>) -> rusqlite::Result<ApprovalRecord> {
    let mut opener = Opener { vault, id: row.get(0)?, lost: false };
    let arguments = opener.value(row, 5, "arguments")?.unwrap_or_default();
    let preview = opener.value(row, 8, "preview")?.unwrap_or_default();
    let reason = opener.text(row, 14, "reason")?;
    let decision_reason = opener.text(row, 20, "decision_reason")?;
    let proposed_arguments = opener.value(row, 22, "proposed_arguments")?;
    let result = opener.value(row, 27, "result")?;
    let state = match state(row, 15)? {
        // What cannot be shown whole cannot be decided about.
        ApprovalState::Pending | ApprovalState::Approved if opener.lost => ApprovalState::Void,
        state => state,
    };
    Ok(ApprovalRecord {
        id: parsed(row, 0)?,
        call: parsed(row, 1)?,
        call_key: row.get(2)?,
        operation: row.get(3)?,
        effect: row.get(4)?,
        arguments,
        target: from_json(row, 6)?,
        target_text: row.get(7)?,
        preview,
        preview_hash: row.get(9)?,
        schema_hash: row.get(10)?,
        policy_version: row.get(11)?,
        digest: row.get(12)?,
        actor: from_json(row, 13)?,
        reason,
        state,
        created_at: time(row, 16)?,
        expires_at: time(row, 17)?,
        decided_by: optional_json(row, 18)?,
        decided_at: optional_time(row, 19)?,
        decision_reason,
        amended_by: optional_json(row, 21)?,
        proposed_arguments,
        supersedes: optional_parsed(row, 23)?,
        superseded_by: optional_parsed(row, 24)?,
        consumed_at: optional_time(row, 25)?,
        finished_at: optional_time(row, 26)?,
        result,
        returned_at: optional_time(row, 28)?,
    })
}

pub(super) fn get(
    connection: &Connection,
    vault: &Vault,
    id: ApprovalId,
) -> rusqlite::Result<Option<ApprovalRecord>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM approval WHERE id = ?1"))?
        .query_row([id.to_string()], |row| record(row, Some(vault)))
        .optional()
}

fn there(tx: &Tx<'_>, id: ApprovalId) -> Result<ApprovalRecord, StoreError> {
    get(tx.connection, tx.vault, id)
        .map_err(|e| tx.fault(&e))?
        .ok_or_else(|| StoreError::NotFound(format!("there is no approval {id}")))
}

pub(super) fn list(
    connection: &Connection,
    vault: &Vault,
    filter: &ApprovalFilter,
) -> rusqlite::Result<Vec<ApprovalRecord>> {
    let condition = if filter.pending { "state IN ('pending', 'approved')" } else { "1" };
    let vault = (!filter.bare).then_some(vault);
    let limit = if filter.limit == 0 { 100 } else { filter.limit.min(1000) };
    let sql = format!("SELECT {COLUMNS} FROM approval WHERE {condition} ORDER BY id DESC LIMIT ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([limit], |row| record(row, vault))?.collect()
}

pub(super) fn approved_by_owner(
    connection: &Connection,
    vault: &Vault,
    owner: &str,
) -> rusqlite::Result<Vec<ApprovalRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM approval WHERE state = 'approved' AND owner = ?1");
    connection.prepare(&sql)?.query_map([owner], |row| record(row, Some(vault)))?.collect()
}

/// Given ones are attached to while their result has not been handed over; they must be younger
/// than `since`, so that a forgotten result does not answer tomorrow's call.
pub(super) fn attachable(
    connection: &Connection,
    vault: &Vault,
    key: &str,
    now: Timestamp,
    since: Timestamp,
) -> rusqlite::Result<Option<ApprovalRecord>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approval
         WHERE call_key = ?1 AND returned_at IS NULL
           AND ((state IN ('pending', 'approved') AND expires_at > ?2)
             OR (state IN ('consumed', 'denied') AND decided_at > ?3))
         ORDER BY id DESC LIMIT 1"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params![key, now.as_microsecond(), since.as_microsecond()], |row| record(row, Some(vault)))
        .optional()
}

fn insert(tx: &Tx<'_>, a: &ApprovalRecord) -> Result<(), StoreError> {
    let seal = |column: &str, clear: &str| tx.hide(a.id, column, clear);
    tx.execute(
        "INSERT INTO approval (id, call, call_key, operation, effect, arguments, target, target_text, preview,
             preview_hash, schema_hash, policy_version, digest, actor, reason, state, created_at, expires_at,
             amended_by, proposed_arguments, supersedes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        params![
            a.id.to_string(),
            a.call.to_string(),
            a.call_key,
            a.operation,
            a.effect,
            seal("arguments", &a.arguments.to_string())?,
            a.target.to_string(),
            a.target_text,
            seal("preview", &a.preview.to_string())?,
            a.preview_hash,
            a.schema_hash,
            a.policy_version,
            a.digest,
            json(&a.actor),
            a.reason.as_ref().map(|reason| seal("reason", reason)).transpose()?,
            word(a.state),
            a.created_at.as_microsecond(),
            a.expires_at.as_microsecond(),
            a.amended_by.as_ref().map(json),
            a.proposed_arguments
                .as_ref()
                .map(|v| seal("proposed_arguments", &v.to_string()))
                .transpose()?,
            a.supersedes.map(|id| id.to_string()),
        ],
    )?;
    Ok(())
}

pub(super) fn hold(
    tx: &mut Tx<'_>,
    approval: &ApprovalRecord,
    proposed: &Draft,
) -> Result<HoldOutcome, StoreError> {
    // One that ran out in the meantime must not answer for the new one.
    expire(tx, proposed.at)?;
    let sql = format!("SELECT {COLUMNS} FROM approval WHERE call_key = ?1 AND state = 'pending'");
    let waiting = tx
        .connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row([&approval.call_key], |row| record(row, Some(tx.vault))).optional()
        })
        .map_err(|e| tx.fault(&e))?;
    if let Some(waiting) = waiting {
        return Ok(HoldOutcome::Attached(Box::new(waiting)));
    }
    insert(tx, approval)?;
    tx.append(proposed)?;
    Ok(HoldOutcome::Filed)
}

pub(super) fn decide(
    tx: &mut Tx<'_>,
    decide: &Decide,
    decided: &Draft,
) -> Result<ApprovalRecord, StoreError> {
    let state = if decide.approve { ApprovalState::Approved } else { ApprovalState::Denied };
    let changed = tx.execute(
        "UPDATE approval SET state = ?2, decided_by = ?3, decided_at = ?4, decision_reason = ?5, owner = ?6
         WHERE id = ?1 AND state = 'pending' AND digest = ?7 AND preview_hash = ?8 AND expires_at > ?4",
        params![
            decide.id.to_string(),
            word(state),
            json(&decide.by),
            decide.at.as_microsecond(),
            decide.reason.as_ref().map(|reason| tx.hide(decide.id, "decision_reason", reason)).transpose()?,
            tx.owner,
            decide.digest,
            decide.preview_hash,
        ],
    )?;
    let after = there(tx, decide.id)?;
    if changed == 0 {
        return Err(unmet(&after, decide.at));
    }
    tx.append(decided)?;
    Ok(after)
}

/// Why a step was not possible on the record as it is.
fn unmet(record: &ApprovalRecord, now: Timestamp) -> StoreError {
    StoreError::Conflict(match record.state_at(now) {
        ApprovalState::Pending => "the approval is no longer the one that was shown".to_owned(),
        state => format!("the approval is {} already", word(state)),
    })
}

pub(super) fn supersede(
    tx: &mut Tx<'_>,
    supersede: &Supersede,
    decided: &Draft,
    proposed: &Draft,
) -> Result<ApprovalRecord, StoreError> {
    let by = json(&decided.actor);
    let changed = tx.execute(
        "UPDATE approval SET state = 'void', superseded_by = ?2, decided_by = ?3, decided_at = ?4,
                decision_reason = 'the target changed after the preview'
         WHERE id = ?1 AND state IN ('pending', 'approved') AND expires_at > ?4",
        params![
            supersede.id.to_string(),
            supersede.replacement.id.to_string(),
            by,
            supersede.at.as_microsecond()
        ],
    )?;
    if changed == 0 {
        let record = there(tx, supersede.id)?;
        return Err(unmet(&record, supersede.at));
    }
    tx.append(decided)?;
    insert(tx, &supersede.replacement)?;
    tx.append(proposed)?;
    there(tx, supersede.replacement.id)
}

pub(super) fn amend(tx: &mut Tx<'_>, amend: &Amend, row: &Draft) -> Result<ApprovalRecord, StoreError> {
    let r = &amend.record;
    let changed = tx.execute(
        "UPDATE approval SET arguments = ?2, target = ?3, target_text = ?4, preview = ?5, preview_hash = ?6,
                digest = ?7, amended_by = ?8, proposed_arguments = ?9, schema_hash = ?10, policy_version = ?11
         WHERE id = ?1 AND state = 'pending' AND digest = ?12 AND expires_at > ?13",
        params![
            amend.id.to_string(),
            tx.hide(amend.id, "arguments", &r.arguments.to_string())?,
            r.target.to_string(),
            r.target_text,
            tx.hide(amend.id, "preview", &r.preview.to_string())?,
            r.preview_hash,
            r.digest,
            r.amended_by.as_ref().map(json),
            r.proposed_arguments
                .as_ref()
                .map(|v| tx.hide(amend.id, "proposed_arguments", &v.to_string()))
                .transpose()?,
            r.schema_hash,
            r.policy_version,
            amend.digest,
            amend.at.as_microsecond(),
        ],
    )?;
    let after = there(tx, amend.id)?;
    if changed == 0 {
        return Err(unmet(&after, amend.at));
    }
    tx.append(row)?;
    Ok(after)
}

/// Takes a pending approval back, in the name of whoever asked for it.
pub(super) fn withdraw(
    tx: &mut Tx<'_>,
    id: ApprovalId,
    reason: &str,
    row: &Draft,
) -> Result<ApprovalRecord, StoreError> {
    let changed = tx.execute(
        "UPDATE approval SET state = 'withdrawn', decided_by = ?2, decided_at = ?3, decision_reason = ?4
         WHERE id = ?1 AND state = 'pending'",
        params![
            id.to_string(),
            json(&row.actor),
            row.at.as_microsecond(),
            tx.hide(id, "decision_reason", reason)?
        ],
    )?;
    let after = there(tx, id)?;
    if changed == 0 {
        return Err(unmet(&after, row.at));
    }
    tx.append(row)?;
    Ok(after)
}

pub(super) fn consume(
    tx: &mut Tx<'_>,
    id: ApprovalId,
    digest: &str,
    now: Timestamp,
    consumed: &Draft,
) -> Result<Consumed, StoreError> {
    let changed = tx.execute(
        "UPDATE approval SET state = 'consumed', consumed_at = ?3
         WHERE id = ?1 AND digest = ?2 AND state = 'approved' AND expires_at > ?3",
        params![id.to_string(), digest, now.as_microsecond()],
    )?;
    if changed == 0 {
        return Ok(Consumed::No(there(tx, id)?.state_at(now)));
    }
    tx.append(consumed)?;
    tx.open_call(consumed)?;
    Ok(Consumed::Now)
}

pub(super) fn returned(tx: &mut Tx<'_>, id: ApprovalId, row: &Draft) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE approval SET returned_at = ?2 WHERE id = ?1 AND returned_at IS NULL",
        params![id.to_string(), row.at.as_microsecond()],
    )?;
    if changed == 1 {
        tx.append(row)?;
    }
    Ok(changed == 1)
}

pub(super) fn expire(tx: &mut Tx<'_>, now: Timestamp) -> Result<Vec<ApprovalId>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approval WHERE state IN ('pending', 'approved') AND expires_at <= ?1 LIMIT 1000"
    );
    let due: Vec<ApprovalRecord> = tx
        .connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_map([now.as_microsecond()], |row| record(row, None))?.collect()
        })
        .map_err(|e| tx.fault(&e))?;
    for approval in &due {
        tx.execute("UPDATE approval SET state = 'expired' WHERE id = ?1", [approval.id.to_string()])?;
        let draft = Draft::new(AuditKind::Expired, now, &system(), approval.operation.clone())
            .call(approval.call)
            .approval(approval.id)
            .target(approval.target_text.clone())
            .detail(serde_json::json!({ "state": "expired", "expires_at": approval.expires_at }));
        tx.append(&draft)?;
    }
    Ok(due.into_iter().map(|a| a.id).collect())
}
