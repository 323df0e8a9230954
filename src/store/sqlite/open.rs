//! Opening the database: to write, with its keys; or, while its place cannot be written, to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::location::{self, Owner};
use super::{BUSY, SqliteOptions, fault, migrate, tx};
use crate::store::Result;
use crate::store::keys::Keys;
use crate::store::vault::Vault;

/// Read-only connections kept open between reads.
const READERS: usize = 3;

/// What the writer works with.
pub(super) struct Opened {
    pub connection: Connection,
    pub keys: Arc<Keys>,
    pub owner: Owner,
    /// Absent while the database cannot be opened.
    pub vault: Option<Vault>,
}

impl Opened {
    /// The database for writing. An error that passes leaves nothing half done: it can be tried again.
    pub fn open(options: &SqliteOptions) -> Result<Self> {
        location::prepare(&options.directory)?;
        let path = &options.database;
        if let Some(parent) = path.parent().filter(|parent| *parent != options.directory) {
            location::prepare(parent)?;
        }
        let audit = options.audit();
        let made = location::create_private(path)?;
        let shown = path.display().to_string();
        let fault = |e: rusqlite::Error| fault(&e, &shown);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        configure(&connection, true).map_err(fault)?;
        // SQLite opens for reading what it may not write, and would stay so.
        if connection.is_readonly("main").unwrap_or(false) {
            return Err(crate::store::StoreError::ReadOnly(format!("{shown} can only be read")));
        }
        migrate::run(&mut connection, Some(path))?;
        let rows = tx::Head::read(&connection).map_err(fault)?.seq;
        location::prepare(&audit)?;
        let keys = Arc::new(Keys::open(&audit, made || rows == 0)?);
        let vault = Some(Vault::open(&audit)?);
        let owner = Owner::claim(path.parent())?;
        Ok(Self { connection, keys, owner, vault })
    }

    /// What lives as long as the process.
    pub fn in_memory() -> Result<Self> {
        let fault = |e: rusqlite::Error| fault(&e, "in memory");
        let mut connection = Connection::open_in_memory().map_err(fault)?;
        configure(&connection, false).map_err(fault)?;
        migrate::run(&mut connection, None)?;
        let (keys, vault) = (Arc::new(Keys::ephemeral()?), Some(Vault::ephemeral()?));
        Ok(Self { connection, keys, owner: Owner::claim(None)?, vault })
    }

    /// Stands in while the database cannot be opened for writing.
    pub fn away(options: &SqliteOptions) -> Result<Self> {
        let connection = Connection::open_in_memory().map_err(|e| fault(&e, "in memory"))?;
        let keys = Arc::new(Keys::ephemeral()?);
        Ok(Self { connection, keys, owner: Owner::claim(None)?, vault: Vault::find(&options.audit()) })
    }
}

fn configure(connection: &Connection, wal: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    if wal {
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |r| r.get(0))?;
        if mode != "wal" {
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        }
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;",
    )
}

/// Where reads go.
pub(super) enum Readers {
    File(Pool),
    /// A database in memory has one connection: the writer's.
    Writer,
}

/// Read-only connections to one file.
#[derive(Clone)]
pub(super) struct Pool {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Pool {
    pub fn new(path: PathBuf) -> Self {
        Self { path, idle: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a read on an idle connection, or on a new one.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let shown = self.path.display().to_string();
        let reused = self.idle.lock().pop();
        let (connection, keep) = match reused {
            Some(connection) => (connection, true),
            None => open_reader(&self.path).map_err(|e| fault(&e, &shown))?,
        };
        let result = read(&connection).map_err(|e| fault(&e, &shown));
        let mut idle = self.idle.lock();
        if keep && idle.len() < READERS {
            idle.push(connection);
        }
        result
    }

    pub fn clear(&self) {
        self.idle.lock().clear();
    }
}

/// A connection for reading, and whether it sees what is written later: a file on a disk that cannot be
/// written is read as it lies there.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<(Connection, bool)> {
    let live = open_with(path, "");
    match live {
        Err(_) if !has_wal(path) => Ok((open_with(path, "?immutable=1")?, false)),
        live => Ok((live?, true)),
    }
}

/// A file that is somebody's copy: nothing is written beside it if that can be helped.
pub(super) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    open_with(path, if has_wal(path) { "" } else { "?immutable=1" })
}

fn open_with(path: &Path, how: &str) -> rusqlite::Result<Connection> {
    let encoded: String = path.to_string_lossy().chars().fold(String::new(), |mut out, c| {
        match c {
            '%' | '?' | '#' => out.push_str(&format!("%{:02x}", u32::from(c))),
            c => out.push(c),
        }
        out
    });
    let connection = Connection::open_with_flags(
        format!("file:{encoded}{how}"),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA cache_size = -512; PRAGMA trusted_schema = OFF;")?;
    // Only a read shows whether the file and what lies beside it can be opened.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// Whether committed rows may lie beside the database and not in it yet.
fn has_wal(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(PathBuf::from(wal)).is_ok_and(|meta| meta.len() > 0)
}
