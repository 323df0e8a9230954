//! Reading the audit log, and reading columns in general.

use std::fmt::Write as _;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use super::tx::{Head, signed, unsigned};
use crate::store::record::{AuditFilter, AuditKind, AuditPage, AuditRow};

/// Rows in one page at most.
const PAGE: u32 = 5_000;

pub(super) fn page(connection: &Connection, filter: &AuditFilter) -> rusqlite::Result<AuditPage> {
    let (conditions, mut values) = conditions(filter);
    let order = if filter.forward { "ASC" } else { "DESC" };
    let limit = match filter.limit {
        0 => 100,
        n => n.min(PAGE),
    };
    let sql = format!(
        "SELECT seq, at, kind, call, actor, role, door, operation, target, approval, code, milliseconds, detail,
                prev, hash
         FROM audit WHERE {conditions} ORDER BY seq {order} LIMIT ?"
    );
    // One more than asked for, to know whether there is a next page.
    values.push(Sql::Integer(i64::from(limit) + 1));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(audit_row(row)?);
    }
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = if more { found.last().map(|row| row.seq) } else { None };
    Ok(AuditPage { rows: found, total: Head::read(connection)?.seq, next })
}

fn conditions(filter: &AuditFilter) -> (String, Vec<Sql>) {
    let mut sql = String::from("1");
    let mut values = Vec::new();
    let mut add = |condition: &str, value: Sql| {
        let _ = write!(sql, " AND {condition}");
        values.push(value);
    };
    if let Some(actor) = &filter.actor {
        add("instr(actor, ?) > 0", Sql::Text(actor.clone()));
    }
    if let Some(operation) = &filter.operation {
        add("operation = ?", Sql::Text(operation.clone()));
    }
    if let Some(target) = &filter.target {
        add("instr(target, ?) > 0", Sql::Text(target.clone()));
    }
    if let Some(call) = &filter.call {
        add("call = ?", Sql::Text(call.to_string()));
    }
    if let Some(approval) = &filter.approval {
        add("approval = ?", Sql::Text(approval.to_string()));
    }
    if let Some(since) = filter.since {
        add("at >= ?", Sql::Integer(since.as_microsecond()));
    }
    if let Some(until) = filter.until {
        add("at < ?", Sql::Integer(until.as_microsecond()));
    }
    if let Some(cursor) = filter.cursor {
        let condition = if filter.forward { "seq > ?" } else { "seq < ?" };
        add(condition, Sql::Integer(signed(cursor)));
    }
    if !filter.kinds.is_empty() {
        let marks = vec!["?"; filter.kinds.len()].join(", ");
        let _ = write!(sql, " AND kind IN ({marks})");
        values.extend(filter.kinds.iter().map(|kind| Sql::Text(kind.as_str().to_owned())));
    }
    (sql, values)
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let kind: String = row.get(2)?;
    let milliseconds: i64 = row.get(11)?;
    let prev: Vec<u8> = row.get(13)?;
    let hash: Vec<u8> = row.get(14)?;
    Ok(AuditRow {
        seq: unsigned(row.get(0)?),
        at: time(row, 1)?,
        kind: AuditKind::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == kind)
            .ok_or_else(|| bad(2, format!("{kind:?} is no kind of audit row")))?,
        call: optional_id(row, 3)?,
        actor: row.get(4)?,
        role: row.get(5)?,
        door: row.get(6)?,
        operation: row.get(7)?,
        target: row.get(8)?,
        approval: optional_id(row, 9)?,
        code: Some(row.get::<_, String>(10)?).filter(|code| !code.is_empty()),
        milliseconds: u64::try_from(milliseconds).ok(),
        detail: from_json(row, 12)?,
        prev: hex::encode(prev),
        hash: hex::encode(hash),
    })
}

fn bad(column: usize, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}

/// A column that holds an identifier, or an empty text.
fn optional_id<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, String>(column)?.parse().ok())
}

/// A column that holds an identifier.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| bad(column, format!("{text:?} is no identifier")))
}

pub(super) fn optional_parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|text| text.parse().ok()))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|e| bad(column, e.to_string()))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => time(row, column).map(Some),
        None => Ok(None),
    }
}

/// A column that holds JSON.
pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|e| bad(column, e.to_string()))
}

pub(super) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get::<_, Option<String>>(column)? {
        Some(_) => from_json(row, column).map(Some),
        None => Ok(None),
    }
}
