//! What a unit of work is given inside the writer's transaction.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::base::ids::{ApprovalId, CallId};
use crate::store::chain::{Chain, Fields, GENESIS, Hash};
use crate::store::error::StoreError;
use crate::store::record::{Draft, GrantUse};
use crate::store::vault::Vault;

/// The newest row of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: u64,
    pub hash: Hash,
}

impl Head {
    /// Read at the start of each transaction, since another process may have appended.
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare_cached("SELECT seq, hash FROM audit_head WHERE id = 1")?;
        let mut rows = statement.query([])?;
        match rows.next()? {
            Some(row) => Ok(Self { seq: unsigned(row.get(0)?), hash: row.get(1)? }),
            None => Ok(Self { seq: 0, hash: GENESIS }),
        }
    }
}

pub(super) struct Tx<'a> {
    pub connection: &'a Connection,
    pub chain: &'a Chain,
    pub owner: &'a str,
    pub path: &'a str,
    pub vault: &'a Vault,
    pub head: Head,
    pub buffer: Vec<u8>,
}

impl Tx<'_> {
    pub fn fault(&self, e: &rusqlite::Error) -> StoreError {
        super::fault(e, self.path)
    }

    pub fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|e| self.fault(&e))
    }

    /// Adds a row to the chain.
    pub fn append(&mut self, draft: &Draft) -> Result<u64, StoreError> {
        let seq = self.head.seq + 1;
        let call = text(draft.call);
        let approval = text(draft.approval);
        let actor = draft.actor.to_string();
        let detail = draft.detail.to_string();
        let milliseconds = draft.milliseconds.map_or(-1, signed);
        let texts = [
            draft.kind.as_str(),
            &call,
            &actor,
            draft.actor.role.as_str(),
            draft.actor.door.as_str(),
            &draft.operation,
            &draft.target,
            &approval,
            draft.code.map_or("", |c| c.as_str()),
            &detail,
        ];
        let at = draft.at.as_microsecond();
        let hash =
            self.chain.row(&Fields { seq, at, milliseconds, texts }, &self.head.hash, &mut self.buffer);
        let [kind, call, actor, role, door, operation, target, approval, code, detail] = texts;
        self.execute(
            "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            rusqlite::params![
                signed(seq),
                at,
                kind,
                call,
                actor,
                role,
                door,
                operation,
                target,
                approval,
                code,
                milliseconds,
                detail,
                self.head.hash,
                hash
            ],
        )?;
        self.head = Head { seq, hash };
        Ok(seq)
    }

    /// A text of an approval as the database keeps it.
    pub fn hide(&self, id: ApprovalId, column: &str, clear: &str) -> Result<String, StoreError> {
        self.vault.seal(&id.to_string(), column, clear)
    }

    /// Marks a call as started.
    pub fn open_call(&self, draft: &Draft) -> Result<(), StoreError> {
        let Some(call) = draft.call else { return Ok(()) };
        self.execute(
            "INSERT INTO open_call (call, owner, approval, actor, operation, target, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            rusqlite::params![
                call.to_string(),
                self.owner,
                draft.approval.map(|a| a.to_string()),
                json(&draft.actor),
                draft.operation,
                draft.target,
                draft.at.as_microsecond()
            ],
        )?;
        Ok(())
    }

    pub fn close_call(&self, call: CallId) -> Result<(), StoreError> {
        self.execute("DELETE FROM open_call WHERE call = ?1", [call.to_string()])?;
        Ok(())
    }

    /// Takes one use of a grant that is in force at `at`.
    pub fn use_grant(&self, grant: GrantUse, at: Timestamp) -> Result<(), StoreError> {
        let used = self.execute(
            "UPDATE access_grant SET uses_left = uses_left - 1
             WHERE id = ?1 AND uses_left > 0 AND revoked_at IS NULL AND expires_at > ?2",
            (grant.id.to_string(), at.as_microsecond()),
        )?;
        if used == 1 {
            Ok(())
        } else {
            Err(StoreError::Conflict(format!("the grant {} is used up, expired or revoked", grant.id)))
        }
    }

    /// Writes the head as it is now, under the chain's key.
    pub fn seal(&self) -> Result<(), StoreError> {
        let mac = self.chain.head(self.head.seq, &self.head.hash);
        self.execute(
            "INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac",
            (signed(self.head.seq), self.head.hash, mac),
        )?;
        Ok(())
    }
}

fn text(id: Option<impl std::fmt::Display>) -> Cow<'static, str> {
    id.map_or(Cow::Borrowed(""), |id| Cow::Owned(id.to_string()))
}

/// SQLite's integers are signed; ours never reach the sign.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
