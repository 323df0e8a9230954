//! A channel of table deltas that merges what its reader has not yet taken.
//!
//! A slow reader costs memory for the rows that changed, each once, never for the events. The
//! writer never waits. One delta is taken at a time; a reader that is idle is not woken.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::cell::Column;
use super::delta::{Row, RowKey, SourceState, TableDelta};

/// Makes a connected pair.
pub fn feed() -> (TableSender, TableFeed) {
    let shared = Arc::new(Shared::default());
    (TableSender { shared: shared.clone() }, TableFeed { shared })
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
    /// Wakes the writer's [`TableSender::closed`].
    gone: Notify,
}

#[derive(Default)]
struct Pending {
    reset: bool,
    columns: Option<Arc<[Column]>>,
    /// `None` is a removal. Insertion order is kept, so that the first rows sent are the first drawn.
    rows: IndexMap<RowKey, Option<Arc<Row>>>,
    sources: Vec<SourceState>,
    writer_gone: bool,
    reader_gone: bool,
}

/// The writing end. Dropping it ends the feed once everything is taken.
pub struct TableSender {
    shared: Arc<Shared>,
}

impl TableSender {
    /// Merges `delta` into what the reader has not taken yet. Returns false once the reader is gone.
    pub fn merge(&self, delta: TableDelta) -> bool {
        if delta.is_empty() {
            return !self.is_closed();
        }
        {
            let mut p = self.shared.pending.lock();
            if p.reader_gone {
                return false;
            }
            if delta.reset {
                p.rows.clear();
                p.reset = true;
            }
            if delta.columns.is_some() {
                p.columns = delta.columns;
            }
            for key in delta.removed {
                p.rows.insert(key, None);
            }
            for row in delta.upserts {
                p.rows.insert(row.key.clone(), Some(row));
            }
            for source in delta.sources {
                p.sources.retain(|s| s.cluster != source.cluster);
                p.sources.push(source);
            }
        }
        self.shared.wake.notify_one();
        true
    }

    pub fn is_closed(&self) -> bool {
        self.shared.pending.lock().reader_gone
    }

    /// Returns once the reader is gone.
    pub async fn closed(&self) {
        loop {
            let gone = self.shared.gone.notified();
            if self.is_closed() {
                return;
            }
            gone.await;
        }
    }
}

impl Drop for TableSender {
    fn drop(&mut self) {
        self.shared.pending.lock().writer_gone = true;
        self.shared.wake.notify_one();
    }
}

/// The reading end.
pub struct TableFeed {
    shared: Arc<Shared>,
}

impl TableFeed {
    /// The merged changes since the last call; waits until there are some. `None` when the writer
    /// is gone and all was taken. Safe to cancel.
    pub async fn next(&mut self) -> Option<TableDelta> {
        loop {
            let woken = self.shared.wake.notified();
            match self.take() {
                Take::Delta(delta) => return Some(delta),
                Take::Ended => return None,
                Take::Nothing => woken.await,
            }
        }
    }

    /// What is there now, without waiting.
    pub fn try_next(&mut self) -> Option<TableDelta> {
        match self.take() {
            Take::Delta(delta) => Some(delta),
            Take::Nothing | Take::Ended => None,
        }
    }

    fn take(&self) -> Take {
        let mut p = self.shared.pending.lock();
        let ended = p.writer_gone;
        let taken = std::mem::replace(&mut *p, Pending { writer_gone: ended, ..Pending::default() });
        drop(p);
        let mut delta = TableDelta {
            reset: taken.reset,
            columns: taken.columns,
            sources: taken.sources,
            ..TableDelta::default()
        };
        for (key, row) in taken.rows {
            match row {
                Some(row) => delta.upserts.push(row),
                // After a reset the reader has nothing that could be removed.
                None if delta.reset => {}
                None => delta.removed.push(key),
            }
        }
        match (delta.is_empty(), ended) {
            (false, _) => Take::Delta(delta),
            (true, true) => Take::Ended,
            (true, false) => Take::Nothing,
        }
    }
}

impl Drop for TableFeed {
    fn drop(&mut self) {
        let mut p = self.shared.pending.lock();
        *p = Pending { reader_gone: true, ..Pending::default() };
        drop(p);
        self.shared.gone.notify_waiters();
    }
}

enum Take {
    Delta(TableDelta),
    Nothing,
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Cell, Tone};

    fn row(name: &str, n: i64) -> Arc<Row> {
        Arc::new(Row {
            key: RowKey::new("c", "ns", name),
            cells: [Cell::Number(n)].into(),
            tone: Tone::Normal,
            uid: "".into(),
        })
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_last_state_of_each_row_once() {
        let (tx, mut rx) = feed();
        for n in 0..1000 {
            tx.merge(TableDelta { upserts: vec![row("a", n)], ..Default::default() });
        }
        tx.merge(TableDelta { upserts: vec![row("b", 1)], ..Default::default() });
        tx.merge(TableDelta { removed: vec![RowKey::new("c", "ns", "b")], ..Default::default() });
        let delta = rx.next().await.unwrap();
        assert_eq!(delta.upserts, [row("a", 999)]);
        assert_eq!(delta.removed, [RowKey::new("c", "ns", "b")]);
        drop(tx);
        assert!(rx.next().await.is_none());
    }

    #[tokio::test]
    async fn reset_forgets_what_was_pending() {
        let (tx, mut rx) = feed();
        tx.merge(TableDelta { upserts: vec![row("old", 1)], ..Default::default() });
        tx.merge(TableDelta { reset: true, upserts: vec![row("new", 2)], ..Default::default() });
        let delta = rx.next().await.unwrap();
        assert!(delta.reset);
        assert_eq!(delta.upserts, [row("new", 2)]);
    }

    #[tokio::test]
    async fn the_writer_learns_that_the_reader_is_gone() {
        let (tx, rx) = feed();
        drop(rx);
        tx.closed().await;
        assert!(!tx.merge(TableDelta { upserts: vec![row("a", 1)], ..Default::default() }));
    }
}
