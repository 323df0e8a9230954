//! The one thread that writes.
//!
//! It takes what is queued, at most [`BATCH`] units of work, runs them in one transaction and
//! answers all of them after one COMMIT: one sync of the disk for many callers. Each unit is in a
//! savepoint of its own, so that one that finds its conditions unmet undoes only itself.
//!
//! When the database cannot be written, work is refused at once with the reason and reads that
//! should be recorded are counted. The thread tries again once a second, with the row that tells of
//! the gap, and goes on when that can be written. Idle and healthy, it sleeps until there is work.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::SqliteOptions;
use super::location::Owner;
use super::open::Opened;
use super::tx::{Head, Tx};
use crate::base::{Actor, ActorKind, Door, Role};
use crate::store::chain::{Chain, Checkpoint};
use crate::store::error::StoreError;
use crate::store::keys::Keys;
use crate::store::record::{AuditKind, Draft, Interrupted, Status};
use crate::store::vault::Vault;

/// Units of work in one transaction.
const BATCH: usize = 64;
/// Rows that nobody waits for in one transaction.
const LATER_BATCH: usize = 1024;
/// How long such a row may lie in memory.
const LATER_DELAY: Duration = Duration::from_millis(50);
/// How many may lie there before they are counted as lost.
pub(super) const LATER_MOST: usize = 65_536;
/// Outcomes kept in memory while they cannot be written.
const DEFERRED_MOST: usize = 10_000;
const PROBE: Duration = Duration::from_secs(1);
/// Between two attempts for callers while the database cannot be written.
const RETRY: Duration = Duration::from_millis(250);

pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What a unit of work came to, before the commit.
pub(super) struct Done {
    /// False undoes what it wrote.
    pub keep: bool,
    /// Called with the commit's result.
    pub answer: Answer,
}

pub(super) type Work = Box<dyn FnOnce(Result<&mut Tx<'_>, StoreError>) -> Done + Send>;

pub(super) enum Job {
    Work(Work),
    Later(Draft),
    /// Kept until it is written; closes its call.
    Deferred(Draft, Option<serde_json::Value>),
    /// With the connection itself, outside a transaction: reads of a database in memory, and tests.
    Direct(Box<dyn FnOnce(&Connection) + Send>),
    Close(oneshot::Sender<()>),
}

/// Where checkpoints go: outside the database.
pub(super) enum Checkpoints {
    File(PathBuf),
    Memory(Arc<Mutex<Vec<Checkpoint>>>),
}

pub(super) struct Writer {
    pub connection: Connection,
    pub path: String,
    /// What to open once it can be: until then the connection is to nothing.
    pub away: Option<SqliteOptions>,
    pub vault: Arc<OnceLock<Vault>>,
    pub interrupted: Arc<Mutex<Vec<Interrupted>>>,
    pub chain: Chain,
    pub keys: Arc<Keys>,
    pub owner: Owner,
    pub checkpoints: Checkpoints,
    pub checkpoint_every: Duration,
    pub checkpoint_rows: u64,
    pub clock: crate::base::SharedClock,
    pub status: watch::Sender<Status>,
    pub head: watch::Sender<u64>,
    /// Reads that could not be queued.
    pub lost: Arc<AtomicU64>,
    /// Rows queued that nobody waits for.
    pub queued: Arc<AtomicUsize>,
    pub state: State,
}

/// What changes while it runs.
#[derive(Default)]
pub(super) struct State {
    later: Vec<Draft>,
    later_since: Option<Instant>,
    deferred: VecDeque<(Draft, Option<serde_json::Value>)>,
    outage_since: Option<Timestamp>,
    /// Whether what an earlier process left is still to be taken up.
    to_take_up: bool,
    /// What it is refused with meanwhile.
    outage: Option<StoreError>,
    last_attempt: Option<Instant>,
    /// Head at the last checkpoint.
    sealed: u64,
    dirty_since: Option<Instant>,
}

impl Writer {
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let mut closing = None;
        while closing.is_none() {
            let first = match self.wait() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(timeout) => jobs.recv_timeout(timeout),
            };
            let mut work = Vec::new();
            match first {
                Ok(job) => {
                    closing = self.sort(job, &mut work);
                    while closing.is_none() && work.len() < BATCH && self.state.later.len() < LATER_BATCH {
                        let Ok(job) = jobs.try_recv() else { break };
                        closing = self.sort(job, &mut work);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => closing = Some(None),
            }
            self.turn(work, closing.is_some());
        }
        self.checkpoint();
        let _ = self.connection.execute_batch("PRAGMA optimize");
        self.owner.release();
        // The connection closes before the answer, so that whoever waited can move the file.
        drop(self.connection);
        drop(self.owner);
        if let Some(Some(answer)) = closing {
            let _ = answer.send(());
        }
    }

    /// How long to sleep for want of work; `None` is for ever.
    fn wait(&self) -> Option<Duration> {
        if self.state.outage_since.is_some() {
            let since = self.state.last_attempt.map_or(Duration::ZERO, |a| a.elapsed());
            return Some(PROBE.saturating_sub(since));
        }
        let later = self.state.later_since.map(|since| LATER_DELAY.saturating_sub(since.elapsed()));
        let checkpoint =
            self.state.dirty_since.map(|since| self.checkpoint_every.saturating_sub(since.elapsed()));
        [later, checkpoint].into_iter().flatten().min()
    }

    /// Puts a job where it belongs; `Some` ends the thread.
    fn sort(&mut self, job: Job, work: &mut Vec<Work>) -> Option<Option<oneshot::Sender<()>>> {
        match job {
            Job::Work(unit) => work.push(unit),
            Job::Later(draft) => {
                self.queued.fetch_sub(1, Ordering::Relaxed);
                if self.state.outage_since.is_some() {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                } else {
                    self.state.later.push(draft);
                    self.state.later_since.get_or_insert_with(Instant::now);
                }
            }
            Job::Deferred(draft, result) => {
                if self.state.deferred.len() < DEFERRED_MOST {
                    self.state.deferred.push_back((draft, result));
                }
            }
            Job::Direct(f) => f(&self.connection),
            Job::Close(answer) => return Some(Some(answer)),
        }
        None
    }

    /// One transaction, if there is reason for one; and the checkpoint, if it is due.
    fn turn(&mut self, work: Vec<Work>, closing: bool) {
        let due = closing
            || self.state.later.len() >= LATER_BATCH
            || self.state.later_since.is_some_and(|since| since.elapsed() >= LATER_DELAY);
        let later = !self.state.later.is_empty() && (due || !work.is_empty());
        let attempted = self.state.last_attempt.map(|a| a.elapsed());
        if self.state.outage_since.is_some() {
            if attempted.is_some_and(|a| a < RETRY) {
                self.refuse(work);
                return;
            }
            self.batch(work);
        } else if later || !work.is_empty() || !self.state.deferred.is_empty() {
            self.batch(work);
        }
        let grown = self.head.borrow().saturating_sub(self.state.sealed);
        // The first rows of a log at once: without any checkpoint it could be replaced unseen.
        if grown >= self.checkpoint_rows
            || (self.state.sealed == 0 && grown > 0)
            || self.state.dirty_since.is_some_and(|since| since.elapsed() >= self.checkpoint_every)
        {
            self.checkpoint();
        }
    }

    /// Answers every unit with the reason of the outage.
    fn refuse(&self, work: Vec<Work>) {
        let error = self.state.outage.clone().unwrap_or(StoreError::Closed);
        for unit in work {
            let error = error.clone();
            (unit(Err(error.clone())).answer)(Err(error));
        }
    }

    fn batch(&mut self, work: Vec<Work>) {
        self.state.last_attempt = Some(Instant::now());
        let mut answers = Vec::with_capacity(work.len());
        let mut units = work.into_iter();
        let result = self.return_to().and_then(|()| self.transaction(&mut units, &mut answers));
        // Units that the transaction did not come to, because it broke before.
        if let Err(e) = &result {
            for unit in units {
                answers.push(unit(Err(e.clone())).answer);
            }
        }
        match result {
            Ok(head) => {
                self.state.later.clear();
                self.state.later_since = None;
                self.state.deferred.clear();
                self.state.outage = None;
                if self.state.outage_since.take().is_some() {
                    self.status.send_replace(Status::default());
                    tracing::info!(database = self.path, "the store can be written again");
                }
                if head != *self.head.borrow() {
                    self.state.dirty_since.get_or_insert_with(Instant::now);
                    self.head.send_replace(head);
                }
                for answer in answers {
                    answer(Ok(()));
                }
            }
            Err(e) => {
                self.outage(&e);
                for answer in answers {
                    answer(Err(e.clone()));
                }
            }
        }
    }

    /// Runs the units in one transaction and commits; gives the new head. On an error nothing of it stays.
    fn transaction(
        &mut self,
        units: &mut std::vec::IntoIter<Work>,
        answers: &mut Vec<Answer>,
    ) -> Result<u64, StoreError> {
        self.owner.ensure()?;
        let connection = &self.connection;
        let vault = self.vault.get().ok_or(StoreError::Closed)?;
        let fault = |e: rusqlite::Error| super::fault(&e, &self.path);
        run(connection, "BEGIN IMMEDIATE").map_err(fault)?;
        let undo = |e: StoreError| {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            e
        };
        let mut tx = Tx {
            connection,
            chain: &self.chain,
            owner: &self.owner.name,
            path: &self.path,
            vault,
            head: Head::read(connection).map_err(|e| undo(fault(e)))?,
            buffer: Vec::with_capacity(512),
        };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let restore = |e: StoreError| {
            self.lost.fetch_add(lost, Ordering::Relaxed);
            undo(e)
        };
        if let Some(gap) = gap(self.state.outage_since, lost, self.clock.now()) {
            tx.append(&gap).map_err(restore)?;
        }
        for (draft, result) in &self.state.deferred {
            super::calls::finish(&mut tx, draft, result.as_ref()).map_err(restore)?;
        }
        for draft in &self.state.later {
            tx.append(draft).map_err(restore)?;
        }
        for unit in units.by_ref() {
            unit_in_savepoint(&mut tx, unit, answers).map_err(restore)?;
        }
        tx.seal().map_err(restore)?;
        run(connection, "COMMIT").map_err(|e| restore(fault(e)))?;
        Ok(tx.head.seq)
    }

    fn outage(&mut self, e: &StoreError) {
        // Queued reads will not be written in time to mean anything; their number will.
        self.lost.fetch_add(self.state.later.len() as u64, Ordering::Relaxed);
        self.state.later.clear();
        self.state.later_since = None;
        if self.state.outage_since.is_none() {
            self.state.outage_since = Some(self.clock.now());
            tracing::error!(database = self.path, error = %e, "the store cannot be written");
        }
        let reason = e.to_string();
        if self.status.borrow().outage.as_deref() != Some(&reason) {
            self.status.send_replace(Status { outage: Some(reason), banner: Some(e.banner()) });
        }
        self.state.outage = Some(e.clone());
    }

    /// Opens the database that could not be opened before.
    fn return_to(&mut self) -> Result<(), StoreError> {
        let Some(options) = &self.away else {
            return if self.state.to_take_up { self.take_up() } else { Ok(()) };
        };
        let opened = Opened::open(options)?;
        self.connection = opened.connection;
        self.chain = Chain::new(&opened.keys);
        self.keys = opened.keys;
        self.owner = opened.owner;
        if let Some(vault) = opened.vault {
            // The same key, if it was found before.
            let _ = self.vault.set(vault);
        }
        self.away = None;
        self.take_up()
    }

    /// Takes up what an earlier process left: its open calls, its head, rows that it had no time to seal.
    pub fn take_up(&mut self) -> Result<(), StoreError> {
        self.state.to_take_up = true;
        let found = super::recover::run(&self.connection, self)?;
        self.state.to_take_up = false;
        self.interrupted.lock().extend(found);
        let head = Head::read(&self.connection).map_err(|e| super::fault(&e, &self.path))?;
        self.head.send_replace(head.seq);
        self.state.sealed = match &self.checkpoints {
            Checkpoints::Memory(all) => all.lock().last().map_or(0, |c| c.seq),
            Checkpoints::File(path) => super::check::last_seq(path).unwrap_or(0),
        };
        self.checkpoint();
        Ok(())
    }

    /// Starts in the state of an outage: the database could be opened, but not for writing.
    pub fn begin_in_outage(&mut self, e: &StoreError) {
        self.outage(e);
        self.state.last_attempt = Some(Instant::now());
    }

    /// Signs the head and puts it where the database is not.
    pub fn checkpoint(&mut self) {
        if self.away.is_some() {
            return;
        }
        let head = match Head::read(&self.connection) {
            Ok(head) if head.seq > self.state.sealed => head,
            _ => {
                self.state.dirty_since = None;
                return;
            }
        };
        let checkpoint = Checkpoint::sign(&self.keys, head.seq, &head.hash, self.clock.now());
        match &self.checkpoints {
            Checkpoints::Memory(all) => all.lock().push(checkpoint),
            Checkpoints::File(path) => {
                if let Err(e) = append_line(path, &checkpoint) {
                    // Tried again in a while: an audit log without a fresh checkpoint still refuses edits.
                    tracing::error!(file = %path.display(), error = %e, "the audit checkpoint cannot be written");
                    self.state.dirty_since = Some(Instant::now());
                    return;
                }
            }
        }
        self.state.sealed = head.seq;
        self.state.dirty_since = None;
    }
}

/// Runs one unit; an error means that the whole transaction is lost.
fn unit_in_savepoint(tx: &mut Tx<'_>, unit: Work, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
    let connection = tx.connection;
    if let Err(e) = run(connection, "SAVEPOINT unit") {
        let e = tx.fault(&e);
        answers.push(unit(Err(e.clone())).answer);
        return Err(e);
    }
    let before = tx.head;
    let done = unit(Ok(tx));
    answers.push(done.answer);
    // SQLite ends the whole transaction by itself when the disk is full or fails.
    if connection.is_autocommit() {
        return Err(StoreError::Full("the transaction was undone by the database".to_owned()));
    }
    let end = if done.keep { "RELEASE unit" } else { "ROLLBACK TO unit" };
    run(connection, end).map_err(|e| tx.fault(&e))?;
    if !done.keep {
        tx.head = before;
        run(connection, "RELEASE unit").map_err(|e| tx.fault(&e))?;
    }
    Ok(())
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// The row that tells what is missing, if something is.
fn gap(outage_since: Option<Timestamp>, lost: u64, now: Timestamp) -> Option<Draft> {
    if outage_since.is_none() && lost == 0 {
        return None;
    }
    let detail = serde_json::json!({
        "lost_reads": lost,
        "not_writable_since": outage_since.map(|t| t.to_string()),
    });
    Some(Draft::new(AuditKind::Gap, now, &system(), "audit_write").target("audit").detail(detail))
}

/// Quarterdeck itself, as the actor of rows that nobody asked for.
pub(super) fn system() -> Actor {
    Actor::new(ActorKind::Pipeline, "quarterdeck", Role::Admin, Door::Cli)
}

fn append_line(path: &std::path::Path, checkpoint: &Checkpoint) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(checkpoint)?;
    line.push(b'\n');
    let mut file: File = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(&line)?;
    file.sync_data()
}
