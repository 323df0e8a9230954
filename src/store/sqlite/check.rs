//! Checking the whole chain.
//!
//! Each row carries the hash of the row before it, so that rows can be hashed on several threads;
//! the links between ranges are compared at their seams.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::tx::{Head, signed, unsigned};
use crate::store::chain::{Chain, Checkpoint, Fields, GENESIS, Hash};
use crate::store::error::StoreError;
use crate::store::keys::Keys;
use crate::store::verify::{Finding, Verification};

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

pub(super) fn run(
    connection: &Connection,
    keys: &Keys,
    checkpoints: Result<Vec<Checkpoint>, u64>,
) -> rusqlite::Result<Verification> {
    let started = Instant::now();
    // One snapshot for all that is read.
    let tx = connection.unchecked_transaction()?;
    let mut verification = verdict(&tx, keys, checkpoints)?;
    verification.milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(verification)
}

fn verdict(
    connection: &Connection,
    keys: &Keys,
    checkpoints: Result<Vec<Checkpoint>, u64>,
) -> rusqlite::Result<Verification> {
    let chain = Chain::new(keys);
    let mut v = Verification {
        finding: Finding::Intact,
        rows: 0,
        checkpoints: 0,
        first_bad: None,
        note: String::new(),
        milliseconds: 0,
    };
    let tampered = |mut v: Verification, row: Option<u64>, note: String| {
        v.finding = Finding::Tampered;
        v.first_bad = row;
        v.note = note;
        Ok(v)
    };
    let end = match walk(connection, &chain, &mut v.rows)? {
        Ok(end) => end,
        Err(Bad { seq, why }) => return tampered(v, Some(seq), why.to_owned()),
    };
    let mut checkpoints = match checkpoints {
        Ok(checkpoints) => checkpoints,
        Err(line) => return tampered(v, None, format!("line {line} of the checkpoints is not a checkpoint")),
    };
    v.checkpoints = checkpoints.len() as u64;
    checkpoints.sort_by_key(|c| c.seq);
    for checkpoint in &checkpoints {
        if !checkpoint.verify(&keys.verifying()) {
            let note = format!("the checkpoint at row {} is not signed by this log's key", checkpoint.seq);
            return tampered(v, Some(checkpoint.seq), note);
        }
        if checkpoint.seq <= end.seq {
            let found = hash_of(connection, checkpoint.seq)?;
            if found.is_none_or(|hash| hex::encode(hash) != checkpoint.head) {
                let note = format!("row {} is not the one that was signed in the checkpoint", checkpoint.seq);
                return tampered(v, Some(checkpoint.seq), note);
            }
        }
    }
    let head = sealed_head(connection, &chain)?;
    if let Some(Err(())) = head {
        return tampered(v, Some(end.seq), "the head of the log was not written with its key".to_owned());
    }
    let known = checkpoints.last().map_or(0, |c| c.seq).max(head.and_then(Result::ok).unwrap_or(0));
    if known > end.seq {
        v.finding = Finding::Truncated;
        v.first_bad = Some(end.seq + 1);
        v.note =
            format!("the log ends at row {} and had {known}: {} rows are missing", end.seq, known - end.seq);
    } else if checkpoints.is_empty() && end.seq > 0 {
        v.finding = Finding::CheckpointMissing;
        v.note = "every row fits, but no checkpoint says how long the log was".to_owned();
    } else {
        v.note = format!("{} rows and {} checkpoints fit together", v.rows, v.checkpoints);
    }
    Ok(v)
}

struct Bad {
    seq: u64,
    why: &'static str,
}

/// Follows the chain from its beginning; gives its last row, or the first that is wrong.
fn walk(connection: &Connection, chain: &Chain, rows: &mut u64) -> rusqlite::Result<Result<Head, Bad>> {
    let mut statement = connection.prepare(
        "SELECT seq, at, milliseconds, kind, call, actor, role, door, operation, target, approval, code, detail,
                prev, hash
         FROM audit ORDER BY seq",
    )?;
    let mut found = statement.query([])?;
    let mut head = Head { seq: 0, hash: GENESIS };
    let mut buffer = Vec::with_capacity(1024);
    while let Some(row) = found.next()? {
        let seq = unsigned(row.get(0)?);
        if seq != head.seq + 1 {
            return Ok(Err(Bad { seq: head.seq + 1, why: "the row is missing" }));
        }
        match hash_row(row, seq, &head, chain, &mut buffer) {
            Ok(hash) => head = Head { seq, hash },
            Err(why) => return Ok(Err(Bad { seq, why })),
        }
        *rows += 1;
    }
    Ok(Ok(head))
}

fn hash_row(
    row: &Row<'_>,
    seq: u64,
    before: &Head,
    chain: &Chain,
    buffer: &mut Vec<u8>,
) -> Result<Hash, &'static str> {
    const ILL_TYPED: &str = "the row holds values of another type";
    let text = |column: usize| row.get_ref(column).ok().and_then(|v| v.as_str().ok()).ok_or(ILL_TYPED);
    let number = |column: usize| row.get_ref(column).ok().and_then(|v| v.as_i64().ok()).ok_or(ILL_TYPED);
    let blob = |column: usize| row.get_ref(column).ok().and_then(|v| v.as_blob().ok()).ok_or(ILL_TYPED);
    let prev = blob(13)?;
    if prev != before.hash {
        return Err("the row does not follow the row before it");
    }
    let mut texts = [""; 10];
    for (i, t) in texts.iter_mut().enumerate() {
        *t = text(3 + i)?;
    }
    let fields = Fields { seq, at: number(1)?, milliseconds: number(2)?, texts };
    let hash = chain.row(&fields, prev, buffer);
    if blob(14)? == hash { Ok(hash) } else { Err("the row was changed after it was written") }
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
