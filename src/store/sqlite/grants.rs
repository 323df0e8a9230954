//! Grants, and the switch that pauses agents.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::audit::{from_json, optional_json, optional_time, parsed, time};
use super::tx::{Tx, json};
use crate::base::Actor;
use crate::base::ids::GrantId;
use crate::store::error::StoreError;
use crate::store::record::{GrantRecord, Pause};

pub(super) fn create(tx: &mut Tx<'_>, grant: &GrantRecord) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO access_grant (id, created_by, created_at, agent, operations, target, uses, uses_left,
                                   expires_at, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            grant.id.to_string(),
            json(&grant.created_by),
            grant.created_at.as_microsecond(),
            grant.agent,
            json(&grant.operations),
            grant.target.to_string(),
            grant.uses,
            grant.uses_left,
            grant.expires_at.as_microsecond(),
            grant.reason
        ],
    )?;
    Ok(())
}

pub(super) fn revoke(
    tx: &mut Tx<'_>,
    id: Option<GrantId>,
    by: &Actor,
    at: Timestamp,
) -> Result<u64, StoreError> {
    let id = id.map(|id| id.to_string());
    let revoked = tx.execute(
        "UPDATE access_grant SET revoked_at = ?2, revoked_by = ?3
         WHERE (?1 IS NULL OR id = ?1) AND revoked_at IS NULL AND uses_left > 0 AND expires_at > ?2",
        params![id, at.as_microsecond(), json(by)],
    )?;
    Ok(revoked as u64)
}

pub(super) fn list(connection: &Connection, at: Option<Timestamp>) -> rusqlite::Result<Vec<GrantRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, created_by, created_at, agent, operations, target, uses, uses_left, expires_at, revoked_at,
                revoked_by, reason
         FROM access_grant
         WHERE ?1 IS NULL OR (revoked_at IS NULL AND uses_left > 0 AND expires_at > ?1)
         ORDER BY id DESC LIMIT 1000",
    )?;
    let mut rows = statement.query([at.map(Timestamp::as_microsecond)])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        grants.push(GrantRecord {
            id: parsed(row, 0)?,
            created_by: from_json(row, 1)?,
            created_at: time(row, 2)?,
            agent: row.get(3)?,
            operations: from_json(row, 4)?,
            target: from_json(row, 5)?,
            uses: row.get(6)?,
            uses_left: row.get(7)?,
            expires_at: time(row, 8)?,
            revoked_at: optional_time(row, 9)?,
            revoked_by: optional_json(row, 10)?,
            reason: row.get(11)?,
        });
    }
    Ok(grants)
}

pub(super) fn set_pause(tx: &mut Tx<'_>, pause: Option<&Pause>) -> Result<(), StoreError> {
    match pause {
        Some(pause) => tx.execute(
            "INSERT INTO setting (key, value) VALUES ('pause', ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [json(pause)],
        )?,
        None => tx.execute("DELETE FROM setting WHERE key = 'pause'", [])?,
    };
    Ok(())
}

pub(super) fn pause(connection: &Connection) -> rusqlite::Result<Option<Pause>> {
    connection
        .prepare_cached("SELECT value FROM setting WHERE key = 'pause'")?
        .query_row([], |row| from_json(row, 0))
        .optional()
}
