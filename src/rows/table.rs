//! The table store: what a watch has said so far, by row key.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::cell::Column;
use super::delta::{Phase, Row, RowKey, TableDelta};
use super::slots::{SlotSet, Slots};

/// Rows in slots that keep their numbers for as long as the row lives. Several watches can write
/// into one table: each owns the rows of its cluster.
#[derive(Default)]
pub struct Table {
    columns: Arc<[Column]>,
    slots: Slots,
    free: Vec<u32>,
    /// Slots by the hash of their row's key: four bytes a row, the key itself is in the row.
    index: HashTable<u32>,
    hasher: RandomState,
    sources: BTreeMap<Arc<str>, Phase>,
    notes: BTreeMap<Arc<str>, String>,
}

/// What one delta changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Slots whose row came, changed or went.
    pub slots: Vec<u32>,
    /// The rows that came, as they are, and those that went, as they were; one that changed did both.
    pub came: Vec<Arc<Row>>,
    pub went: Vec<Arc<Row>>,
    /// The columns are others now: every cell means something else.
    pub columns: bool,
    /// A source changed its state.
    pub sources: bool,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && !self.columns && !self.sources
    }
}

impl Table {
    pub fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    pub fn get(&self, slot: u32) -> Option<&Arc<Row>> {
        self.slots.get(slot)
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn sources(&self) -> &BTreeMap<Arc<str>, Phase> {
        &self.sources
    }

    /// What beside the rows is not as it should be, by source.
    pub fn notes(&self) -> &BTreeMap<Arc<str>, String> {
        &self.notes
    }

    pub fn find(&self, key: &RowKey) -> Option<u32> {
        self.index.find(self.hasher.hash_one(key), |slot| self.is_at(*slot, key)).copied()
    }

    fn is_at(&self, slot: u32, key: &RowKey) -> bool {
        self.slots.get(slot).is_some_and(|row| row.key == *key)
    }

    /// The columns where several sources write: one that any of them has values for is shown.
    fn shared(&self, columns: Arc<[Column]>, origin: Option<&str>) -> Arc<[Column]> {
        let hides = |(old, new): (&Column, &Column)| new.hidden && !old.hidden && old.name == new.name;
        if origin.is_none()
            || columns.len() != self.columns.len()
            || !self.columns.iter().zip(&*columns).any(hides)
        {
            return columns;
        }
        let merged = self.columns.iter().zip(&*columns).map(|(old, new)| Column {
            hidden: new.hidden && (old.hidden || old.name != new.name),
            ..new.clone()
        });
        merged.collect()
    }

    /// Takes in a delta. With an `origin` its reset forgets only that cluster's rows; without one,
    /// all of them. A row that comes again as it was is no change.
    pub fn apply(&mut self, delta: TableDelta, origin: Option<&str>) -> Changes {
        let mut changes = Changes::default();
        if let Some(columns) = delta.columns.map(|columns| self.shared(columns, origin))
            && *columns != *self.columns
        {
            self.columns = columns;
            changes.columns = true;
        }
        // After a reset, what does not come again is removed: a row that does keeps its slot.
        let mut stale = SlotSet::default();
        if delta.reset {
            for (slot, row) in self.slots.iter() {
                if origin.is_none_or(|origin| *row.key.cluster == *origin) {
                    stale.insert(slot);
                }
            }
        }
        for key in &delta.removed {
            if let Some(slot) = self.find(key) {
                changes.went.extend(self.remove(slot));
                changes.slots.push(slot);
            }
        }
        for row in delta.upserts {
            let found = self.find(&row.key);
            if let Some(slot) = found {
                stale.remove(slot);
                let Some(old) = self.slots.get(slot).filter(|old| ***old != *row) else { continue };
                changes.went.push(old.clone());
            }
            changes.came.push(row.clone());
            changes.slots.push(self.put(found, row));
        }
        if !stale.is_empty() {
            let gone: Vec<u32> =
                self.slots.iter().map(|(slot, _)| slot).filter(|slot| stale.contains(*slot)).collect();
            for slot in gone {
                changes.went.extend(self.remove(slot));
                changes.slots.push(slot);
            }
        }
        for source in delta.sources {
            changes.sources |= self.sources.get(&source.cluster) != Some(&source.phase)
                || self.notes.get(&source.cluster) != source.note.as_ref();
            match source.note {
                Some(note) => drop(self.notes.insert(source.cluster.clone(), note)),
                None => drop(self.notes.remove(&source.cluster)),
            }
            self.sources.insert(source.cluster, source.phase);
        }
        changes
    }

    fn put(&mut self, found: Option<u32>, row: Arc<Row>) -> u32 {
        let slot = found.unwrap_or_else(|| {
            // Fewer than 2^32 rows fit into memory.
            self.free.pop().unwrap_or(self.slots.len() as u32)
        });
        let hash = self.hasher.hash_one(&row.key);
        self.slots.set(slot, Some(row));
        if found.is_none() {
            let (slots, hasher) = (&self.slots, &self.hasher);
            self.index.insert_unique(hash, slot, |slot| {
                slots.get(*slot).map_or(0, |row| hasher.hash_one(&row.key))
            });
        }
        slot
    }

    fn remove(&mut self, slot: u32) -> Option<Arc<Row>> {
        let row = self.slots.get(slot)?.clone();
        let hash = self.hasher.hash_one(&row.key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        self.slots.set(slot, None);
        self.free.push(slot);
        Some(row)
    }

    /// Forgets the state of sources that are no longer read.
    pub fn retain_sources(&mut self, keep: impl Fn(&str) -> bool) {
        self.sources.retain(|cluster, _| keep(cluster));
        self.notes.retain(|cluster, _| keep(cluster));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Cell, SourceState, Tone};

    fn row(cluster: &str, name: &str, n: i64) -> Arc<Row> {
        Arc::new(Row {
            key: RowKey::new(cluster, "ns", name),
            cells: [Cell::Number(n)].into(),
            tone: Tone::Normal,
            uid: "".into(),
        })
    }

    fn upserts(rows: Vec<Arc<Row>>) -> TableDelta {
        TableDelta { upserts: rows, ..TableDelta::default() }
    }

    #[test]
    fn rows_keep_their_slot_and_free_ones_are_used_again() {
        let mut table = Table::default();
        assert_eq!(table.apply(upserts(vec![row("c", "a", 1), row("c", "b", 1)]), None).slots, [0, 1]);
        assert!(table.apply(upserts(vec![row("c", "a", 1)]), None).is_empty(), "the same row is no change");
        assert_eq!(table.apply(upserts(vec![row("c", "a", 2)]), None).slots, [0]);
        let removed = TableDelta { removed: vec![RowKey::new("c", "ns", "a")], ..TableDelta::default() };
        assert_eq!(table.apply(removed, None).slots, [0]);
        assert_eq!(table.apply(upserts(vec![row("c", "z", 1)]), None).slots, [0]);
        assert_eq!(table.len(), 2);
        assert_eq!(table.find(&RowKey::new("c", "ns", "z")), Some(0));
        assert_eq!(table.find(&RowKey::new("c", "ns", "a")), None);
    }

    #[test]
    fn a_column_that_one_of_several_sources_has_values_for_is_shown() {
        use crate::rows::ColumnKind;
        let columns = |hidden: bool| -> Arc<[Column]> {
            let cpu = Column { hidden, ..Column::new("CPU", ColumnKind::Cpu) };
            [Column::new("READY", ColumnKind::Ratio), cpu].into()
        };
        let told = |hidden| TableDelta { columns: Some(columns(hidden)), ..TableDelta::default() };
        let mut table = Table::default();
        let mut hidden = |hidden, origin| {
            table.apply(told(hidden), origin);
            table.columns()[1].hidden
        };
        assert!(hidden(true, Some("a")));
        assert!(!hidden(false, Some("b")));
        assert!(!hidden(true, Some("a")), "b still has values");
        assert!(hidden(true, None), "one source alone says how it is");
        let failing = |note: Option<&str>| {
            let source =
                SourceState { note: note.map(str::to_owned), ..SourceState::new("a".into(), Phase::Live) };
            TableDelta { sources: vec![source], ..TableDelta::default() }
        };
        assert!(table.apply(failing(Some("down")), None).sources);
        assert_eq!(table.notes()["a"], "down");
        assert!(table.apply(failing(None), None).sources && table.notes().is_empty());
    }

    #[test]
    fn a_reset_of_one_source_leaves_the_others_and_keeps_slots() {
        let mut table = Table::default();
        table.apply(upserts(vec![row("x", "a", 1), row("x", "b", 1), row("y", "a", 1)]), None);
        let relist = TableDelta {
            reset: true,
            upserts: vec![row("x", "b", 1), row("x", "c", 1)],
            ..Default::default()
        };
        let mut slots = table.apply(relist, Some("x")).slots;
        slots.sort_unstable();
        // "x/a" went, "x/c" came, "x/b" and "y/a" were not touched.
        assert_eq!(slots, [0, 3]);
        assert_eq!(table.len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_map_by_key(steps in proptest::collection::vec((0u8..4, 0u8..12, 0i64..3), 0..200)) {
            let mut table = Table::default();
            let mut model = std::collections::BTreeMap::new();
            for (what, key, value) in steps {
                let name = format!("n{key}");
                match what {
                    0 => {
                        model.remove(&name);
                        let removed = vec![RowKey::new("c", "ns", &name)];
                        table.apply(TableDelta { removed, ..Default::default() }, None);
                    }
                    1 if key == 0 => {
                        model.clear();
                        model.insert(name.clone(), value);
                        let upserts = vec![row("c", &name, value)];
                        table.apply(TableDelta { reset: true, upserts, ..Default::default() }, None);
                    }
                    _ => {
                        model.insert(name.clone(), value);
                        let changes = table.apply(upserts(vec![row("c", &name, value)]), None);
                        proptest::prop_assert!(changes.came.len() <= 1 && changes.went.len() <= changes.came.len());
                    }
                }
                let mut got: Vec<_> = table.slots().iter()
                    .map(|(_, r)| (r.key.name.to_string(), r.cells[0].clone())).collect();
                got.sort_by(|a, b| a.0.cmp(&b.0));
                let want: Vec<_> = model.iter().map(|(k, v)| (k.clone(), Cell::Number(*v))).collect();
                assert_eq!(got, want);
                assert_eq!(table.len(), model.len());
            }
        }
    }
}
