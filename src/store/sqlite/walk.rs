//! Following the chain row by row, in ranges on several threads.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::tx::{Head, signed, unsigned};
use crate::store::chain::{Chain, Fields, GENESIS, Hash};
use crate::store::verify::Fault;

/// Logs shorter than this are read by one thread: they take some milliseconds.
const ONE_THREAD: u64 = if cfg!(test) { 500 } else { 20_000 };
const THREADS: usize = 8;

const COLUMNS: &str = "seq, at, milliseconds, kind, call, actor, role, door, operation, target, approval, code, detail, prev, hash";

/// The first row that is not as it should be.
pub(super) struct Bad {
    pub seq: u64,
    pub fault: Fault,
    pub why: &'static str,
}

pub(super) struct Walked {
    /// Rows looked at.
    pub rows: u64,
    /// The last row, or the first that is wrong.
    pub end: Result<Head, Bad>,
}

/// One range of rows.
struct Range {
    rows: u64,
    /// What its first row says comes before it.
    prev: Option<Hash>,
    last: Option<Head>,
    bad: Option<Bad>,
}

/// Follows the chain from its beginning. `more` opens connections for other threads; they may see rows that
/// were added since, which the bound of the last range leaves out.
pub(super) fn walk(
    connection: &Connection,
    more: Option<&(dyn Fn() -> rusqlite::Result<Connection> + Sync)>,
    chain: &Chain,
) -> rusqlite::Result<Walked> {
    let newest: Option<i64> = connection.query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))?;
    let newest = newest.map_or(0, unsigned);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS) as u64;
    let ranges = match more {
        Some(more) if newest >= ONE_THREAD && threads > 1 => {
            let step = newest.div_ceil(threads);
            std::thread::scope(|scope| {
                let others: Vec<_> = (1..threads)
                    .map(|i| {
                        let (from, to) = (i * step, ((i + 1) * step).min(newest));
                        scope.spawn(move || range(&more()?, chain, from, to))
                    })
                    .collect();
                let first = range(connection, chain, 0, step.min(newest));
                let joined = others
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or(Err(rusqlite::Error::InvalidQuery)));
                std::iter::once(first).chain(joined).collect::<rusqlite::Result<Vec<_>>>()
            })?
        }
        _ => vec![range(connection, chain, 0, newest)?],
    };
    Ok(joined(ranges))
}

/// Puts the ranges together: the first fault in the order of the rows is the log's.
fn joined(ranges: Vec<Range>) -> Walked {
    let mut head = Head { seq: 0, hash: GENESIS };
    let mut rows = 0;
    let mut end = None;
    for range in ranges {
        rows += range.rows;
        if end.is_some() {
            continue;
        }
        // Where there is such a row it is the next one: a range that begins later has a fault instead.
        if range.prev.is_some_and(|prev| prev != head.hash) {
            let why = "it does not follow the row before it";
            end = Some(Bad { seq: head.seq + 1, fault: Fault::Moved, why });
            continue;
        }
        match (range.bad, range.last) {
            (Some(bad), _) => end = Some(bad),
            (None, Some(last)) => head = last,
            (None, None) => {}
        }
    }
    Walked { rows, end: end.map_or(Ok(head), Err) }
}

/// Follows the rows after `from` up to `to`. The first range takes in what has no business being before row 1.
fn range(connection: &Connection, chain: &Chain, from: u64, to: u64) -> rusqlite::Result<Range> {
    let least = if from == 0 { i64::MIN } else { signed(from) + 1 };
    let mut statement = connection
        .prepare(&format!("SELECT {COLUMNS} FROM audit WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq"))?;
    let mut found = statement.query([least, signed(to)])?;
    let mut hasher = Hasher::new(chain);
    let mut out = Range { rows: 0, prev: None, last: None, bad: None };
    let mut expected = from + 1;
    while let Some(row) = found.next()? {
        let seq = unsigned(row.get(0)?);
        if seq != expected {
            out.bad = Some(Bad { seq: expected, fault: Fault::Deleted, why: "it is missing" });
            return Ok(out);
        }
        let before = match (&out.last, from) {
            (Some(last), _) => Some(last.hash),
            (None, 0) => Some(GENESIS),
            (None, _) => None,
        };
        match hasher.row(row, seq, before.as_ref()) {
            Ok((prev, hash)) => {
                out.prev = out.prev.or(Some(prev));
                out.last = Some(Head { seq, hash });
            }
            Err((fault, why)) => {
                out.bad = Some(Bad { seq, fault, why });
                return Ok(out);
            }
        }
        out.rows += 1;
        expected += 1;
    }
    if expected <= to {
        out.bad = Some(Bad { seq: expected, fault: Fault::Deleted, why: "it is missing" });
    }
    Ok(out)
}

/// Computes the hashes of rows as they are read.
pub(super) struct Hasher<'a> {
    chain: &'a Chain,
    buffer: Vec<u8>,
}

impl<'a> Hasher<'a> {
    pub fn new(chain: &'a Chain) -> Self {
        Self { chain, buffer: Vec::with_capacity(1024) }
    }

    /// What the row says comes before it, and its hash; `before` is what it must follow.
    fn row(
        &mut self,
        row: &Row<'_>,
        seq: u64,
        before: Option<&Hash>,
    ) -> Result<(Hash, Hash), (Fault, &'static str)> {
        const ILL_TYPED: (Fault, &str) = (Fault::Edited, "it holds values of another type");
        let text = |column: usize| row.get_ref(column).ok().and_then(|v| v.as_str().ok()).ok_or(ILL_TYPED);
        let number = |column: usize| row.get_ref(column).ok().and_then(|v| v.as_i64().ok()).ok_or(ILL_TYPED);
        let hash = |column: usize| -> Result<Hash, _> {
            let blob = row.get_ref(column).ok().and_then(|v| v.as_blob().ok()).ok_or(ILL_TYPED)?;
            blob.try_into().map_err(|_| ILL_TYPED)
        };
        let prev = hash(13)?;
        let mut texts = [""; 10];
        for (i, t) in texts.iter_mut().enumerate() {
            *t = text(3 + i)?;
        }
        let fields = Fields { seq, at: number(1)?, milliseconds: number(2)?, texts };
        let computed = self.chain.row(&fields, &prev, &mut self.buffer);
        if hash(14)? != computed {
            return Err((Fault::Edited, "it was changed after it was written"));
        }
        if before.is_some_and(|before| *before != prev) {
            return Err((Fault::Moved, "it does not follow the row before it"));
        }
        Ok((prev, computed))
    }

    /// Whether the newest row was written with the key.
    pub fn last_fits(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY seq DESC LIMIT 1");
        let fits = connection
            .query_row(&sql, [], |row| {
                let seq = unsigned(row.get(0)?);
                Ok(self.row(row, seq, None).is_ok())
            })
            .optional()?;
        Ok(fits.unwrap_or(false))
    }
}
