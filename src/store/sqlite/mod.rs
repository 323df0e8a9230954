//! The store on SQLite: one writer thread, a few read-only connections, one file.
//!
//! WAL with `synchronous=FULL`: what is committed survives a loss of power, and readers never wait
//! for the writer.

mod approvals;
mod audit;
mod calls;
mod check;
mod grants;
mod location;
mod migrate;
mod recover;
mod tx;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{oneshot, watch};

use self::tx::Tx;
use self::writer::{Checkpoints, Done, Job, Writer};
use super::chain::{Chain, Checkpoint};
use super::error::StoreError;
use super::keys::Keys;
use super::record::*;
use super::verify::Verification;
use super::{Result, Store};
use crate::base::ids::{ApprovalId, GrantId};
use crate::base::{Actor, SharedClock};

/// No caller waits longer than this for a commit.
const DEADLINE: Duration = Duration::from_secs(10);
const BUSY: Duration = Duration::from_secs(5);
/// Read-only connections kept open between reads.
const READERS: usize = 3;

/// How to open the store.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Holds `audit/` with the keys and checkpoints, and the database unless told.
    pub directory: PathBuf,
    pub database: PathBuf,
    pub clock: SharedClock,
    pub checkpoint_every: Duration,
    pub checkpoint_rows: u64,
}

impl SqliteOptions {
    pub fn new(directory: impl Into<PathBuf>, clock: SharedClock) -> Self {
        let directory = directory.into();
        Self {
            database: directory.join("quarterdeck.db"),
            directory,
            clock,
            checkpoint_every: Duration::from_secs(60),
            checkpoint_rows: 1000,
        }
    }
}

/// Limits that make a healthy database refuse writes, for tests of what happens then.
#[derive(Debug, Clone, Copy)]
pub enum Limits {
    /// No page more than there are now: `SQLITE_FULL`.
    Full,
    /// `SQLITE_READONLY`.
    ReadOnly,
    None,
}

/// The store on SQLite.
pub struct SqliteStore {
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    status: watch::Receiver<Status>,
    head: watch::Receiver<u64>,
    lost: Arc<AtomicU64>,
    queued: Arc<AtomicUsize>,
    interrupted: Mutex<Vec<Interrupted>>,
    keys: Arc<Keys>,
    checkpoints: CheckpointSource,
}

enum CheckpointSource {
    File(PathBuf),
    Memory(Arc<Mutex<Vec<Checkpoint>>>),
}

enum Readers {
    File {
        path: PathBuf,
        idle: Arc<Mutex<Vec<Connection>>>,
    },
    /// A database in memory has one connection: the writer's.
    Writer,
}

impl SqliteStore {
    /// Opens or makes the store in a directory; writes down what an earlier process left open.
    /// Blocks for some milliseconds.
    pub fn open(options: SqliteOptions) -> Result<Self> {
        location::prepare(&options.directory)?;
        let path = options.database.clone();
        if let Some(parent) = path.parent().filter(|parent| *parent != options.directory) {
            location::prepare(parent)?;
        }
        let audit = options.directory.join("audit");
        let made = location::create_private(&path)?;
        let shown = path.display().to_string();
        let mut connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|e| fault(&e, &shown))?;
        configure(&connection, true).map_err(|e| fault(&e, &shown))?;
        let read_only = connection.is_readonly("main").unwrap_or(false);
        migrate::run(&mut connection, Some(&path))?;
        let rows = tx::Head::read(&connection).map_err(|e| fault(&e, &shown))?.seq;
        location::prepare(&audit)?;
        let keys = Arc::new(Keys::open(&audit, made || rows == 0)?);
        let checkpoints = audit.join("checkpoints.jsonl");
        let readers = Readers::File { path, idle: Arc::default() };
        let owner = location::Owner::claim(Some(&options.directory));
        let kept = (Checkpoints::File(checkpoints.clone()), CheckpointSource::File(checkpoints));
        Self::start(connection, shown, keys, owner, kept, readers, options, read_only)
    }

    /// A store that lives as long as the process and touches no disk: for the lab and for tests.
    pub fn in_memory(clock: SharedClock) -> Result<Self> {
        let shown = "in memory".to_owned();
        let mut connection = Connection::open_in_memory().map_err(|e| fault(&e, &shown))?;
        configure(&connection, false).map_err(|e| fault(&e, &shown))?;
        migrate::run(&mut connection, None)?;
        let keys = Arc::new(Keys::ephemeral()?);
        let all: Arc<Mutex<Vec<Checkpoint>>> = Arc::default();
        let kept = (Checkpoints::Memory(all.clone()), CheckpointSource::Memory(all));
        let options = SqliteOptions::new(PathBuf::new(), clock);
        let owner = location::Owner::claim(None);
        Self::start(connection, shown, keys, owner, kept, Readers::Writer, options, false)
    }

    #[allow(clippy::too_many_arguments, reason = "one call site for each kind of database")]
    fn start(
        connection: Connection,
        path: String,
        keys: Arc<Keys>,
        owner: location::Owner,
        kept: (Checkpoints, CheckpointSource),
        readers: Readers,
        options: SqliteOptions,
        read_only: bool,
    ) -> Result<Self> {
        let (status_sender, status) = watch::channel(Status::default());
        let (head_sender, head) = watch::channel(0);
        let (lost, queued) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut writer = Writer {
            chain: Chain::new(&keys),
            connection,
            path,
            keys: keys.clone(),
            owner,
            checkpoints: kept.0,
            checkpoint_every: options.checkpoint_every,
            checkpoint_rows: options.checkpoint_rows,
            clock: options.clock,
            status: status_sender,
            head: head_sender,
            lost: lost.clone(),
            queued: queued.clone(),
            state: writer::State::default(),
        };
        let interrupted = match recover::run(&writer.connection, &writer) {
            Ok(found) => found,
            Err(e) if e.is_outage() || read_only => {
                writer.begin_in_outage(&e);
                Vec::new()
            }
            Err(e) => return Err(e),
        };
        if let Ok(head) = tx::Head::read(&writer.connection) {
            writer.head.send_replace(head.seq);
        }
        // Rows that an earlier process had no time to seal are sealed now.
        writer.state.sealed = kept.1.last_seq();
        writer.checkpoint();
        let (jobs, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("qd-store".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || writer.run(&receiver))
            .map_err(|e| StoreError::Other(format!("no thread for it: {e}")))?;
        Ok(Self {
            jobs,
            readers,
            status,
            head,
            lost,
            queued,
            interrupted: Mutex::new(interrupted),
            keys,
            checkpoints: kept.1,
        })
    }

    /// Runs a unit of work on the writer's thread and waits for its commit.
    async fn write<T: Send + 'static>(
        &self,
        unit: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move |tx: Result<&mut Tx<'_>>| {
            // A caller that has given up in the meantime must not find its work done later.
            let result = match tx {
                _ if sender.is_closed() => Err(StoreError::Closed),
                Ok(tx) => unit(tx),
                Err(e) => Err(e),
            };
            let keep = result.is_ok();
            let answer = Box::new(move |committed: Result<()>| {
                // The unit's own reason says more than that the transaction was undone.
                let _ = sender.send(match (result, committed) {
                    (Ok(value), Ok(())) => Ok(value),
                    (Ok(_), Err(e)) | (Err(e), _) => Err(e),
                });
            });
            Done { keep, answer }
        });
        self.jobs.send(Job::Work(work)).map_err(|_| StoreError::Closed)?;
        match tokio::time::timeout(DEADLINE, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::Other("the disk has not answered for 10 s".to_owned())),
        }
    }

    /// Runs a read on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.readers {
            Readers::Writer => {
                let (sender, receiver) = oneshot::channel();
                let job = Job::Direct(Box::new(move |connection| {
                    let _ = sender.send(read(connection).map_err(|e| fault(&e, "in memory")));
                }));
                self.jobs.send(job).map_err(|_| StoreError::Closed)?;
                receiver.await.map_err(|_| StoreError::Closed)?
            }
            Readers::File { path, idle } => {
                let (path, idle) = (path.clone(), idle.clone());
                let work = move || {
                    let shown = path.display().to_string();
                    let reused = idle.lock().pop();
                    let connection = match reused {
                        Some(connection) => connection,
                        None => open_reader(&path).map_err(|e| fault(&e, &shown))?,
                    };
                    let result = read(&connection).map_err(|e| fault(&e, &shown));
                    let mut idle = idle.lock();
                    if idle.len() < READERS {
                        idle.push(connection);
                    }
                    result
                };
                tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Other(e.to_string()))?
            }
        }
    }

    /// Makes the database refuse writes as a full disk or a read-only one would.
    #[doc(hidden)]
    pub async fn limit(&self, limits: Limits) {
        let (sender, receiver) = oneshot::channel();
        let job = Job::Direct(Box::new(move |connection| {
            let pragmas = match limits {
                Limits::Full => "PRAGMA query_only = 0; PRAGMA max_page_count = 1;",
                Limits::ReadOnly => "PRAGMA query_only = 1;",
                Limits::None => "PRAGMA query_only = 0; PRAGMA max_page_count = 1073741823;",
            };
            let _ = connection.execute_batch(pragmas);
            let _ = sender.send(());
        }));
        let _ = self.jobs.send(job);
        let _ = receiver.await;
    }
}

impl CheckpointSource {
    /// How far the newest checkpoint reaches; 0 if there is none.
    fn last_seq(&self) -> u64 {
        match self {
            CheckpointSource::Memory(all) => all.lock().last().map_or(0, |c| c.seq),
            CheckpointSource::File(path) => check::last_seq(path).unwrap_or(0),
        }
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

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA cache_size = -512; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

/// SQLite's error as ours, with the file it is about.
fn fault(e: &rusqlite::Error, path: &str) -> StoreError {
    use rusqlite::ErrorCode;
    let reason = match e {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match e.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly(reason)
        }
        Some(ErrorCode::DiskFull) => StoreError::Full(reason),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { path: path.to_owned() }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: path.to_owned(), reason }
        }
        _ => StoreError::Other(reason),
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    fn take_interrupted(&self) -> Vec<Interrupted> {
        std::mem::take(&mut self.interrupted.lock())
    }

    async fn append(&self, draft: Draft) -> Result<u64> {
        self.write(move |tx| tx.append(&draft)).await
    }

    fn append_later(&self, draft: Draft) {
        if self.queued.fetch_add(1, Ordering::Relaxed) >= writer::LATER_MOST
            || self.jobs.send(Job::Later(draft)).is_err()
        {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn begin(&self, intent: Draft, grant: Option<GrantUse>) -> Result<()> {
        self.write(move |tx| calls::begin(tx, &intent, grant)).await
    }

    async fn finish(&self, outcome: Draft, result: Option<serde_json::Value>) -> Result<()> {
        let kept = (outcome.clone(), result.clone());
        let written = self.write(move |tx| calls::finish(tx, &outcome, result.as_ref())).await;
        if written.is_err() {
            let _ = self.jobs.send(Job::Deferred(kept.0, kept.1));
        }
        written
    }

    async fn hold(&self, approval: ApprovalRecord, proposed: Draft) -> Result<HoldOutcome> {
        self.write(move |tx| approvals::hold(tx, &approval, &proposed)).await
    }

    async fn attachable(
        &self,
        call_key: &str,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<Option<ApprovalRecord>> {
        let key = call_key.to_owned();
        self.read(move |c| approvals::attachable(c, &key, now, since)).await
    }

    async fn decide(&self, decide: Decide, decided: Draft) -> Result<ApprovalRecord> {
        self.write(move |tx| approvals::decide(tx, &decide, &decided)).await
    }

    async fn supersede(
        &self,
        supersede: Supersede,
        decided: Draft,
        proposed: Draft,
    ) -> Result<ApprovalRecord> {
        self.write(move |tx| approvals::supersede(tx, &supersede, &decided, &proposed)).await
    }

    async fn amend(&self, amend: Amend, row: Draft) -> Result<ApprovalRecord> {
        self.write(move |tx| approvals::amend(tx, &amend, &row)).await
    }

    async fn consume(
        &self,
        id: ApprovalId,
        digest: &str,
        now: Timestamp,
        consumed: Draft,
    ) -> Result<Consumed> {
        let digest = digest.to_owned();
        self.write(move |tx| approvals::consume(tx, id, &digest, now, &consumed)).await
    }

    async fn returned(&self, id: ApprovalId, row: Draft) -> Result<bool> {
        self.write(move |tx| approvals::returned(tx, id, &row)).await
    }

    async fn expire(&self, now: Timestamp) -> Result<Vec<ApprovalId>> {
        self.write(move |tx| approvals::expire(tx, now)).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRecord>> {
        self.read(move |c| approvals::get(c, id)).await
    }

    async fn approvals(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRecord>> {
        self.read(move |c| approvals::list(c, &filter)).await
    }

    async fn create_grant(&self, grant: GrantRecord) -> Result<()> {
        self.write(move |tx| grants::create(tx, &grant)).await
    }

    async fn revoke_grants(&self, id: Option<GrantId>, by: &Actor, at: Timestamp) -> Result<u64> {
        let by = by.clone();
        self.write(move |tx| grants::revoke(tx, id, &by, at)).await
    }

    async fn grants(&self, at: Option<Timestamp>) -> Result<Vec<GrantRecord>> {
        self.read(move |c| grants::list(c, at)).await
    }

    async fn set_pause(&self, pause: Option<Pause>) -> Result<()> {
        self.write(move |tx| grants::set_pause(tx, pause.as_ref())).await
    }

    async fn pause(&self) -> Result<Option<Pause>> {
        self.read(grants::pause).await
    }

    async fn audit(&self, filter: AuditFilter) -> Result<AuditPage> {
        self.read(move |c| audit::page(c, &filter)).await
    }

    async fn verify(&self, checkpoints: Option<PathBuf>) -> Result<Verification> {
        // The checkpoints first: one written while the rows are read would seem to miss them.
        let checkpoints = match (&checkpoints, &self.checkpoints) {
            (Some(path), _) | (None, CheckpointSource::File(path)) => check::load(path)?,
            (None, CheckpointSource::Memory(all)) => Ok(all.lock().clone()),
        };
        let keys = self.keys.clone();
        self.read(move |c| check::run(c, &keys, checkpoints)).await
    }

    async fn close(&self) {
        let (sender, receiver) = oneshot::channel();
        if let Readers::File { idle, .. } = &self.readers {
            idle.lock().clear();
        }
        if self.jobs.send(Job::Close(sender)).is_ok() {
            let _ = tokio::time::timeout(DEADLINE, receiver).await;
        }
    }
}
