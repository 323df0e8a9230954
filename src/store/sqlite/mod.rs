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
mod open;
mod recover;
mod tx;
mod walk;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use self::open::{Opened, Pool, Readers};
use self::tx::Tx;
use self::writer::{Checkpoints, Done, Job, Writer};
use super::chain::{Chain, Checkpoint};
use super::error::StoreError;
use super::keys::Keys;
use super::record::*;
use super::vault::Vault;
use super::verify::{Evidence, Verification};
use super::{Result, Store};
use crate::base::ids::{ApprovalId, GrantId};
use crate::base::{Actor, SharedClock};

/// No caller waits longer than this for a commit.
const DEADLINE: Duration = Duration::from_secs(10);
const BUSY: Duration = Duration::from_secs(5);

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

    /// Where the keys and the checkpoints are.
    fn audit(&self) -> PathBuf {
        self.directory.join("audit")
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
    interrupted: Arc<Mutex<Vec<Interrupted>>>,
    vault: Arc<OnceLock<Vault>>,
    evidence: Own,
}

/// What the log is checked with unless told: its keys and its checkpoints.
enum Own {
    /// The directory that holds both.
    Directory(PathBuf),
    Memory(Arc<Keys>, Arc<Mutex<Vec<Checkpoint>>>),
}

impl SqliteStore {
    /// Opens or makes the store in a directory; writes down what an earlier process left open.
    /// Blocks for some milliseconds. Where nothing can be written for now it opens all the same: reads
    /// go on, changes are refused, and it tries again by itself.
    pub fn open(options: SqliteOptions) -> Result<Self> {
        let readers = Readers::File(Pool::new(options.database.clone()));
        let checkpoints = Checkpoints::File(options.audit().join(check::CHECKPOINTS));
        let own = Own::Directory(options.audit());
        match Opened::open(&options) {
            Ok(opened) => Self::start(opened, options, checkpoints, own, readers, None),
            Err(e) if e.passes() => {
                let opened = Opened::away(&options)?;
                Self::start(opened, options, checkpoints, own, readers, Some(e))
            }
            Err(e) => Err(e),
        }
    }

    /// A store that lives as long as the process and touches no disk: for the lab and for tests.
    pub fn in_memory(clock: SharedClock) -> Result<Self> {
        let opened = Opened::in_memory()?;
        let all: Arc<Mutex<Vec<Checkpoint>>> = Arc::default();
        let own = Own::Memory(opened.keys.clone(), all.clone());
        let options = SqliteOptions::new(PathBuf::new(), clock);
        Self::start(opened, options, Checkpoints::Memory(all), own, Readers::Writer, None)
    }

    fn start(
        opened: Opened,
        options: SqliteOptions,
        checkpoints: Checkpoints,
        evidence: Own,
        readers: Readers,
        outage: Option<StoreError>,
    ) -> Result<Self> {
        let (status_sender, status) = watch::channel(Status::default());
        let (head_sender, head) = watch::channel(0);
        let mut writer = Writer {
            path: options.database.display().to_string(),
            checkpoint_every: options.checkpoint_every,
            checkpoint_rows: options.checkpoint_rows,
            clock: options.clock.clone(),
            chain: Chain::new(&opened.keys),
            connection: opened.connection,
            keys: opened.keys,
            owner: opened.owner,
            vault: Arc::new(opened.vault.map_or_else(OnceLock::new, OnceLock::from)),
            interrupted: Arc::default(),
            away: outage.is_some().then_some(options),
            checkpoints,
            status: status_sender,
            head: head_sender,
            lost: Arc::default(),
            queued: Arc::default(),
            state: writer::State::default(),
        };
        match outage.map_or_else(|| writer.take_up(), Err) {
            Ok(()) => {}
            Err(e) if e.is_outage() => writer.begin_in_outage(&e),
            Err(e) => return Err(e),
        }
        let (lost, queued) = (writer.lost.clone(), writer.queued.clone());
        let (interrupted, vault) = (writer.interrupted.clone(), writer.vault.clone());
        let (jobs, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("qd-store".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || writer.run(&receiver))
            .map_err(|e| StoreError::Other(format!("no thread for it: {e}")))?;
        Ok(Self { jobs, readers, status, head, lost, queued, interrupted, vault, evidence })
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
            Readers::File(pool) => {
                let pool = pool.clone();
                let read = tokio::task::spawn_blocking(move || pool.read(read));
                read.await.map_err(|e| StoreError::Other(e.to_string()))?
            }
        }
    }

    /// Runs a read of approvals, with the key that opens what they carry.
    async fn read_held<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Vault) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let vault = self.vault.clone();
        if vault.get().is_none() {
            return Err(StoreError::ReadOnly("the key of held calls cannot be made".to_owned()));
        }
        self.read(move |c| vault.get().map_or(Err(rusqlite::Error::InvalidQuery), |vault| read(c, vault)))
            .await
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

/// SQLite's error as ours, with the file it is about.
fn fault(e: &rusqlite::Error, path: &str) -> StoreError {
    use rusqlite::ErrorCode;
    let reason = match e {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        other => other.to_string(),
    };
    match e.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(reason),
        Some(ErrorCode::DiskFull) => StoreError::Full(reason),
        // SQLite does not say why: the file system does.
        Some(code @ (ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)) => match location::state(path) {
            Some(location::Place::Full) => StoreError::Full(reason),
            Some(location::Place::ReadOnly) => StoreError::ReadOnly(reason),
            None if code == ErrorCode::CannotOpen => StoreError::ReadOnly(reason),
            None => StoreError::Disk(reason),
        },
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
        self.read_held(move |c, vault| approvals::attachable(c, vault, &key, now, since)).await
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

    async fn withdraw(&self, id: ApprovalId, reason: &str, row: Draft) -> Result<ApprovalRecord> {
        let reason = reason.to_owned();
        self.write(move |tx| approvals::withdraw(tx, id, &reason, &row)).await
    }

    async fn returned(&self, id: ApprovalId, row: Draft) -> Result<bool> {
        self.write(move |tx| approvals::returned(tx, id, &row)).await
    }

    async fn expire(&self, now: Timestamp) -> Result<Vec<ApprovalId>> {
        self.write(move |tx| approvals::expire(tx, now)).await
    }

    async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRecord>> {
        self.read_held(move |c, vault| approvals::get(c, vault, id)).await
    }

    async fn approvals(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRecord>> {
        self.read_held(move |c, vault| approvals::list(c, vault, &filter)).await
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

    async fn verify(&self, evidence: Evidence) -> Result<Verification> {
        match &self.evidence {
            Own::Memory(keys, checkpoints) => {
                let (keys, checkpoints) = (keys.clone(), checkpoints.lock().clone());
                self.read(move |c| check::run(c, None, &keys, Ok(checkpoints))).await
            }
            Own::Directory(audit) => {
                let Readers::File(pool) = &self.readers else { return Err(StoreError::Closed) };
                let (pool, audit) = (pool.clone(), audit.clone());
                let work = move || check::on_disk(&evidence, &pool, &audit);
                tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Other(e.to_string()))?
            }
        }
    }

    async fn close(&self) {
        let (sender, receiver) = oneshot::channel();
        if let Readers::File(pool) = &self.readers {
            pool.clear();
        }
        if self.jobs.send(Job::Close(sender)).is_ok() {
            let _ = tokio::time::timeout(DEADLINE, receiver).await;
        }
    }
}
