//! Checking the whole chain.
//!
//! Each row carries the hash of the row before it, so that rows can be hashed on several threads;
//! the links between ranges are compared at their seams.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _};

use super::open::{Pool, open_copy};
use super::tx::{signed, unsigned};
use super::walk::{Bad, Hasher, walk};
use crate::store::chain::{Chain, Checkpoint};
use crate::store::error::StoreError;
use crate::store::keys::Keys;
use crate::store::verify::{Evidence, Fault, Finding, Used, Verification};

/// The file of the checkpoints, in the directory of the keys.
pub(super) const CHECKPOINTS: &str = "checkpoints.jsonl";

/// Checks what `evidence` names, and where it names nothing the store's own: `pool`'s database with the
/// keys and checkpoints of `audit`.
pub(super) fn on_disk(evidence: &Evidence, pool: &Pool, audit: &Path) -> Result<Verification, StoreError> {
    let Some(named) = &evidence.database else {
        let used = Used {
            database: pool.path().to_owned(),
            checkpoints: evidence.checkpoints.clone().unwrap_or_else(|| audit.join(CHECKPOINTS)),
            keys: evidence.keys.clone().unwrap_or_else(|| audit.to_owned()),
        };
        let keys = keys_in(&used.keys)?;
        // The checkpoints first: one written while the rows are read would seem to miss them.
        let checkpoints = load(&used.checkpoints)?;
        let more = || super::open::open_reader(pool.path()).map(|(connection, _)| connection);
        let found = pool.read(move |c| run(c, Some(&more), &keys, checkpoints))?;
        return Ok(Verification { used: Some(used), ..found });
    };
    let database = if named.is_dir() { named.join("quarterdeck.db") } else { named.clone() };
    if let Err(e) = std::fs::File::open(&database) {
        return Err(StoreError::of_file(&database, &e));
    }
    // A copy of a whole state directory brings its own keys and checkpoints.
    let beside = database.parent().map(|parent| parent.join("audit")).filter(|beside| beside != audit);
    let own_or = |name: &str| -> PathBuf {
        let found = beside.as_ref().filter(|beside| beside.join(name).exists());
        found.map_or_else(|| audit.to_owned(), Clone::clone)
    };
    let used = Used {
        keys: evidence.keys.clone().unwrap_or_else(|| own_or("audit-chain.key")),
        checkpoints: evidence
            .checkpoints
            .clone()
            .unwrap_or_else(|| beside.as_deref().unwrap_or(audit).join(CHECKPOINTS)),
        database: database.clone(),
    };
    let keys = keys_in(&used.keys)?;
    let checkpoints = load(&used.checkpoints)?;
    let fault = |e: rusqlite::Error| super::fault(&e, &database.display().to_string());
    let connection = open_copy(&database).map_err(fault)?;
    let found = run(&connection, Some(&|| open_copy(&database)), &keys, checkpoints).map_err(fault)?;
    Ok(Verification { used: Some(used), ..found })
}

fn keys_in(directory: &Path) -> Result<Keys, StoreError> {
    Keys::open(directory, false)
}

/// The checkpoints of a file; the inner error is a line that cannot be read as one.
pub(super) fn load(path: &Path) -> Result<Result<Vec<Checkpoint>, u64>, StoreError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ok(Vec::new())),
        Err(e) => return Err(StoreError::File { path: path.display().to_string(), reason: e.to_string() }),
    };
    // A process killed while it wrote leaves a line without an end: that one is not a checkpoint yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut checkpoints = Vec::new();
    for (i, line) in whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            // A torn line that the next process's line was appended to.
            Err(_) if line.matches("{\"seq\"").count() > 1 => {
                let last = line.rfind("{\"seq\"").map_or(line, |at| &line[at..]);
                match serde_json::from_str(last) {
                    Ok(checkpoint) => checkpoints.push(checkpoint),
                    Err(_) => return Ok(Err(i as u64 + 1)),
                }
            }
            Err(_) => return Ok(Err(i as u64 + 1)),
        }
    }
    Ok(Ok(checkpoints))
}

/// How far the last whole checkpoint of a file reaches: its end is read, not all of it.
pub(super) fn last_seq(path: &Path) -> Option<u64> {
    const END: u64 = 4096;
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END))).ok()?;
    let mut text = Vec::new();
    file.take(END).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find_map(|line| serde_json::from_str::<Checkpoint>(line).ok()).map(|c| c.seq)
}

/// Opens one more connection to the database that is checked.
type More<'a> = &'a (dyn Fn() -> rusqlite::Result<Connection> + Sync);

pub(super) fn run(
    connection: &Connection,
    more: Option<More<'_>>,
    keys: &Keys,
    checkpoints: Result<Vec<Checkpoint>, u64>,
) -> rusqlite::Result<Verification> {
    let started = Instant::now();
    // One snapshot for all that is read here.
    let tx = connection.unchecked_transaction()?;
    let mut verification = verdict(&tx, more, keys, checkpoints)?;
    verification.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(verification)
}

fn verdict(
    connection: &Connection,
    more: Option<More<'_>>,
    keys: &Keys,
    checkpoints: Result<Vec<Checkpoint>, u64>,
) -> rusqlite::Result<Verification> {
    let chain = Chain::new(keys);
    let mut v = Verification::begun();
    let tampered = |mut v: Verification, fault: Fault, row: Option<u64>, note: String| {
        v.finding = Finding::Tampered;
        v.fault = Some(fault);
        v.first_bad = row;
        v.note = note;
        Ok(v)
    };
    if let Some(table) = missing_table(connection)? {
        let note = format!("the table {table:?} of the log has been taken out of the database");
        return tampered(v, Fault::Deleted, None, note);
    }
    let walked = walk(connection, more, &chain)?;
    v.rows = walked.rows;
    let end = match walked.end {
        Ok(end) => end,
        Err(Bad { seq, fault, why }) => {
            if seq == 1 && others(connection, &chain, keys, checkpoints.as_deref().unwrap_or(&[]))? {
                let note = "neither a row nor a checkpoint was written with these keys".to_owned();
                return tampered(v, Fault::OtherKeys, Some(seq), note);
            }
            return tampered(v, fault, Some(seq), format!("row {seq}: {why}"));
        }
    };
    let mut checkpoints = match checkpoints {
        Ok(checkpoints) => checkpoints,
        Err(line) => {
            let note = format!("line {line} of the checkpoints is not a checkpoint");
            return tampered(v, Fault::Forged, None, note);
        }
    };
    v.checkpoints = checkpoints.len() as u64;
    checkpoints.sort_by_key(|c| c.seq);
    for checkpoint in &checkpoints {
        if !checkpoint.verify(&keys.verifying()) {
            let note = format!("the checkpoint at row {} is not signed by this log's key", checkpoint.seq);
            return tampered(v, Fault::Forged, Some(checkpoint.seq), note);
        }
        if checkpoint.seq <= end.seq {
            let found = hash_of(connection, checkpoint.seq)?;
            if found.is_none_or(|hash| hex::encode(hash) != checkpoint.head) {
                let note = format!("row {} is not the one that was signed in the checkpoint", checkpoint.seq);
                return tampered(v, Fault::Forged, Some(checkpoint.seq), note);
            }
        }
    }
    let head = sealed_head(connection, &chain)?;
    if let Some(Err(())) = head {
        let note = "the head of the log was not written with its key".to_owned();
        return tampered(v, Fault::Forged, Some(end.seq), note);
    }
    let known = checkpoints.last().map_or(0, |c| c.seq).max(head.and_then(Result::ok).unwrap_or(0));
    if known > end.seq {
        v.finding = Finding::Truncated;
        v.fault = Some(Fault::Truncated);
        v.first_bad = Some(end.seq + 1);
        v.note =
            format!("the log ends at row {} and had {known}: {} rows are missing", end.seq, known - end.seq);
    } else if head.is_none() && end.seq > 0 {
        // The head is written with every row: nobody but who cut rows off has a use for a log without it.
        let note = "the head of the log is missing: rows after the last one may have been cut off".to_owned();
        return tampered(v, Fault::Forged, Some(end.seq + 1), note);
    } else if checkpoints.is_empty() && end.seq > 0 {
        v.finding = Finding::CheckpointMissing;
        v.note = "every row fits, but no checkpoint says how long the log was".to_owned();
    } else {
        v.note = format!("{} rows and {} checkpoints fit together", v.rows, v.checkpoints);
    }
    Ok(v)
}

/// A table of the log that is not there in a database that is ours: it holds the migrations that made it.
fn missing_table(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let has = |table: &str| {
        let asked = "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
        connection.query_row(asked, [table], |row| row.get::<_, bool>(0))
    };
    if !has("migration")? {
        return Ok(None);
    }
    for table in ["audit", "audit_head"] {
        if !has(table)? {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// Whether nothing at all fits the keys, once the first row does not: not the last row, not the head, no
/// checkpoint. Then they are another log's keys, or this is another log.
fn others(
    connection: &Connection,
    chain: &Chain,
    keys: &Keys,
    checkpoints: &[Checkpoint],
) -> rusqlite::Result<bool> {
    if checkpoints.iter().any(|checkpoint| checkpoint.verify(&keys.verifying())) {
        return Ok(false);
    }
    if let Some(Ok(_)) = sealed_head(connection, chain)? {
        return Ok(false);
    }
    Ok(!Hasher::new(chain).last_fits(connection)?)
}

fn hash_of(connection: &Connection, seq: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
        .query_row([signed(seq)], |row| row.get(0))
        .optional()
}

/// The newest row's number as the database itself has it; an inner error when it is forged.
fn sealed_head(connection: &Connection, chain: &Chain) -> rusqlite::Result<Option<Result<u64, ()>>> {
    let found: Option<(i64, Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT seq, hash, mac FROM audit_head WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(found.map(|(seq, hash, mac)| {
        let seq = unsigned(seq);
        if mac == chain.head(seq, &hash) { Ok(seq) } else { Err(()) }
    }))
}
