//! Schema migrations: embedded, checksummed, forward only, each in a transaction, with a copy of
//! the database made before the first that changes an old one.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use super::{fault, location};
use crate::store::error::StoreError;

/// In order; the number is the position, from 1. Never edited once released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_initial.sql")];

/// Brings the database up to date, or says why it cannot be used.
pub(super) fn run(connection: &mut Connection, path: Option<&Path>) -> Result<(), StoreError> {
    apply(connection, path, MIGRATIONS)
}

fn apply(connection: &mut Connection, path: Option<&Path>, migrations: &[&str]) -> Result<(), StoreError> {
    let shown = path.map_or_else(|| "in memory".to_owned(), |p| p.display().to_string());
    let fault = |e: rusqlite::Error| fault(&e, &shown);
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let applied = applied(connection).map_err(fault)?;
    for (version, checksum) in &applied {
        let Some(sql) = usize::try_from(version - 1).ok().and_then(|i| migrations.get(i)) else {
            return Err(StoreError::Newer { path: shown, found: *version, known });
        };
        if *checksum != checksum_of(sql) {
            return Err(StoreError::Migration { path: shown, version: *version });
        }
    }
    let current = applied.last().map_or(0, |(version, _)| *version);
    if current == known {
        return Ok(());
    }
    if let (1.., Some(path)) = (current, path) {
        back_up(connection, path, current)?;
    }
    for version in current + 1..=known {
        let Some(sql) = usize::try_from(version - 1).ok().and_then(|i| migrations.get(i)) else { break };
        let tx =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(fault)?;
        tx.execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (
                version INTEGER PRIMARY KEY, checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT",
        )
        .map_err(fault)?;
        // Another process may have been first while this one waited for the lock.
        let done: Option<i64> = tx
            .query_row("SELECT version FROM migration WHERE version = ?1", [version], |r| r.get(0))
            .optional()
            .map_err(fault)?;
        if done.is_none() {
            tx.execute_batch(sql).map_err(fault)?;
            tx.execute(
                "INSERT INTO migration VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ'))",
                (version, checksum_of(sql)),
            )
            .map_err(fault)?;
        }
        tx.commit().map_err(fault)?;
    }
    Ok(())
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let there: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'", [], |r| {
            r.get(0)
        })
        .optional()?;
    if there.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT version, checksum FROM migration ORDER BY version")?;
    statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
}

fn checksum_of(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}

/// Copies the database while others may read and write it.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<(), StoreError> {
    let target = path.with_extension(format!("before-{}.db", version + 1));
    let shown = target.display().to_string();
    if target.exists() {
        return Ok(());
    }
    let partial = path.with_extension("backup-partial");
    let _ = std::fs::remove_file(&partial);
    location::create_private(&partial)?;
    let copy = || -> rusqlite::Result<()> {
        let mut to = Connection::open(&partial)?;
        let backup = rusqlite::backup::Backup::new(connection, &mut to)?;
        backup.run_to_completion(1024, Duration::ZERO, None)
    };
    copy().map_err(|e| fault(&e, &shown))?;
    std::fs::rename(&partial, &target).map_err(|e| StoreError::File { path: shown, reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_applied_once_and_a_changed_one_is_refused() {
        let mut c = Connection::open_in_memory().unwrap();
        apply(&mut c, None, &["CREATE TABLE a (x INTEGER) STRICT"]).unwrap();
        apply(&mut c, None, &["CREATE TABLE a (x INTEGER) STRICT"]).unwrap();
        let e = apply(&mut c, None, &["CREATE TABLE a (y INTEGER) STRICT"]).unwrap_err();
        assert!(matches!(e, StoreError::Migration { version: 1, .. }), "{e}");
        let e = apply(&mut c, None, &[]).unwrap_err();
        assert!(matches!(e, StoreError::Newer { found: 1, known: 0, .. }), "{e}");
    }

    #[test]
    fn the_database_is_copied_before_it_is_changed_and_a_failed_migration_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("quarterdeck.db");
        let mut c = Connection::open(&path).unwrap();
        let first = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (7)";
        apply(&mut c, Some(&path), &[first]).unwrap();
        apply(&mut c, Some(&path), &[first, "DROP TABLE a; nonsense"]).unwrap_err();
        let x: i64 = c.query_row("SELECT x FROM a", [], |r| r.get(0)).unwrap();
        assert_eq!(x, 7);
        apply(&mut c, Some(&path), &[first, "DROP TABLE a"]).unwrap();
        let copy = Connection::open(directory.path().join("quarterdeck.before-2.db")).unwrap();
        let x: i64 = copy.query_row("SELECT x FROM a", [], |r| r.get(0)).unwrap();
        assert_eq!(x, 7);
    }
}
