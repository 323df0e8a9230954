//! The forwards as rows.

use std::sync::Arc;
use std::time::Duration;

use super::list::Forwards;
use super::one::{Forward, State};
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, Tone, feed,
};

/// Traffic moves its row at most so often.
const PAUSE: Duration = Duration::from_millis(500);

impl Forwards {
    pub fn columns() -> Arc<[Column]> {
        [
            Column::new("TO", ColumnKind::Text).rank(0),
            Column::new("PORT", ColumnKind::Text).rank(1),
            Column::new("STATE", ColumnKind::Status).rank(1),
            Column::new("POD", ColumnKind::Text).rank(3),
            Column::new("OPEN", ColumnKind::Number).rank(4),
            Column::new("CONNS", ColumnKind::Number).rank(6),
            Column::new("SENT", ColumnKind::Memory).rank(4),
            Column::new("RECEIVED", ColumnKind::Memory).rank(4),
            Column::new("LAST ERROR", ColumnKind::Text).rank(5),
            Column::new("AGE", ColumnKind::Age).rank(7),
        ]
        .into()
    }

    pub fn rows(&self) -> Vec<Row> {
        self.all().iter().map(|forward| row(forward)).collect()
    }

    /// The rows, and then their changes.
    pub fn watch(self: &Arc<Self>) -> TableFeed {
        let (sender, reader) = feed();
        let forwards = Arc::downgrade(self);
        let mut changes = self.changes();
        let live = || SourceState::new("".into(), Phase::Live);
        let mut sent = self.rows();
        sender.merge(TableDelta {
            columns: Some(Self::columns()),
            upserts: sent.iter().cloned().map(Arc::new).collect(),
            sources: vec![live()],
            ..TableDelta::default()
        });
        tokio::spawn(async move {
            loop {
                // Bytes count without a signal of their own: they are looked at while something is open.
                let busy = sent.iter().any(is_busy);
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(PAUSE), if busy => {}
                    () = sender.closed() => return,
                }
                let Some(forwards) = forwards.upgrade() else { return };
                let now = forwards.rows();
                drop(forwards);
                let delta = TableDelta {
                    upserts: now.iter().filter(|row| !sent.contains(row)).cloned().map(Arc::new).collect(),
                    removed: sent
                        .iter()
                        .filter(|old| !now.iter().any(|row| row.key == old.key))
                        .map(|old| old.key.clone())
                        .collect(),
                    ..TableDelta::default()
                };
                sent = now;
                if !sender.merge(delta) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        reader
    }
}

/// Whether connections are open.
fn is_busy(row: &Row) -> bool {
    matches!(row.cells.get(4), Some(Cell::Number(n)) if *n > 0)
}

fn row(forward: &Forward) -> Row {
    let traffic = forward.traffic();
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (word, tone) = match forward.state() {
        State::Ready => ("ready", Tone::Normal),
        State::Seeking(_) => ("seeking a pod", Tone::Pending),
        State::Deaf(_) => ("port taken", Tone::Error),
    };
    let error = match (forward.state(), forward.last_error()) {
        (State::Seeking(why) | State::Deaf(why), _) => Cell::text(why),
        (State::Ready, Some((_, words))) => Cell::text(words),
        (State::Ready, None) => Cell::Unknown,
    };
    let cells = [
        Cell::text(&forward.way.what),
        Cell::text(forward.way.remote.to_string()),
        Cell::status(word, tone),
        forward.route().map_or(Cell::Unknown, |r| Cell::text(r.pod)),
        Cell::Number(number(traffic.open)),
        Cell::Number(number(traffic.connections)),
        Cell::Memory(number(traffic.up)),
        Cell::Memory(number(traffic.down)),
        error,
        Cell::Time(forward.since.as_second()),
    ];
    Row {
        key: RowKey::new(forward.way.cluster.as_str(), &forward.way.namespace, forward.address.to_string()),
        cells: Box::new(cells),
        tone,
        uid: "".into(),
    }
}
