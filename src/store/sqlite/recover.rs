//! What an earlier process left behind when it died.
//!
//! A call with an intent and no outcome may or may not have taken effect: that is written down for a
//! person and the call is never run again. An approval that was given and not yet used is void: the
//! person who gave it is not there to see what it would do now.

use rusqlite::{Connection, params};

use super::tx::{Head, Tx, json};
use super::writer::{Writer, system};
use crate::base::{Actor, Code, Error};
use crate::store::error::StoreError;
use crate::store::record::{AuditKind, Draft, Interrupted};

pub(super) fn run(connection: &Connection, writer: &Writer) -> Result<Vec<Interrupted>, StoreError> {
    let fault = |e: rusqlite::Error| super::fault(&e, &writer.path);
    let gone: Vec<String> =
        owners(connection).map_err(fault)?.into_iter().filter(|owner| writer.owner.is_gone(owner)).collect();
    writer.owner.sweep();
    let vault = writer.vault.get().ok_or(StoreError::Closed)?;
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(fault)?;
    let mut tx = Tx {
        connection,
        chain: &writer.chain,
        owner: &writer.owner.name,
        path: &writer.path,
        vault,
        head: Head::read(connection).map_err(fault)?,
        buffer: Vec::new(),
    };
    let now = writer.clock.now();
    let mut work = || -> Result<Vec<Interrupted>, StoreError> {
        let mut found = Vec::new();
        for owner in &gone {
            for call in open_calls(connection, owner).map_err(fault)? {
                interrupt(&mut tx, &call, now)?;
                found.push(call);
            }
            void_unused(&mut tx, owner, now)?;
        }
        tx.seal()?;
        connection.execute_batch("COMMIT").map_err(fault)?;
        Ok(found)
    };
    let result = work();
    if result.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    result
}

fn owners(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(
            "SELECT owner FROM open_call UNION
             SELECT owner FROM approval WHERE state = 'approved' AND owner IS NOT NULL",
        )?
        .query_map([], |r| r.get(0))?
        .collect()
}

fn open_calls(connection: &Connection, owner: &str) -> rusqlite::Result<Vec<Interrupted>> {
    let mut statement = connection.prepare(
        "SELECT call, approval, actor, operation, target, at FROM open_call WHERE owner = ?1 ORDER BY at, call",
    )?;
    let mut rows = statement.query([owner])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        let approval: Option<String> = row.get(1)?;
        calls.push(Interrupted {
            call: super::audit::parsed(row, 0)?,
            approval: approval.and_then(|a| a.parse().ok()),
            actor: super::audit::from_json(row, 2)?,
            operation: row.get(3)?,
            target: row.get(4)?,
            started_at: super::audit::time(row, 5)?,
        });
    }
    Ok(calls)
}

fn interrupt(tx: &mut Tx<'_>, call: &Interrupted, now: jiff::Timestamp) -> Result<(), StoreError> {
    let mut draft = Draft::new(AuditKind::Interrupted, now, &call.actor, call.operation.clone())
        .call(call.call)
        .target(call.target.clone())
        .code(Some(Code::OutcomeUnknown))
        .detail(serde_json::json!({
            "note": "outcome unknown: the process ended after the call had started",
            "started_at": call.started_at,
        }));
    draft.approval = call.approval;
    tx.append(&draft)?;
    tx.close_call(call.call)?;
    if let Some(approval) = call.approval {
        let error = Error::new(Code::OutcomeUnknown, "the process ended while the call ran");
        let result = tx.hide(approval, "result", &serde_json::json!({ "error": error }).to_string())?;
        tx.execute(
            "UPDATE approval SET finished_at = ?2, result = ?3 WHERE id = ?1 AND finished_at IS NULL",
            params![approval.to_string(), now.as_microsecond(), result],
        )?;
    }
    Ok(())
}

fn void_unused(tx: &mut Tx<'_>, owner: &str, now: jiff::Timestamp) -> Result<(), StoreError> {
    let approvals =
        super::approvals::approved_by_owner(tx.connection, tx.vault, owner).map_err(|e| tx.fault(&e))?;
    for approval in approvals {
        let by: Actor = system();
        let reason = "the process ended after the approval and before the call; it did not run";
        let draft = Draft::new(AuditKind::Decided, now, &by, approval.operation.clone())
            .call(approval.call)
            .approval(approval.id)
            .target(approval.target_text.clone())
            .detail(serde_json::json!({ "state": "void", "reason": reason }));
        tx.append(&draft)?;
        tx.execute(
            "UPDATE approval SET state = 'void', decided_by = ?2, decided_at = ?3, decision_reason = ?4
             WHERE id = ?1 AND state = 'approved'",
            params![approval.id.to_string(), json(&by), now.as_microsecond(), reason],
        )?;
    }
    Ok(())
}
