//! The rows of one watch, by key.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::rows::{Row, RowKey};

/// A set of rows that finds them by the key inside, which is thus held once.
#[derive(Default)]
pub(super) struct Table {
    rows: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    /// The list that is being read; rows not seen in it go when it ends.
    generation: u32,
    /// What the rows take, in bytes.
    bytes: usize,
}

struct Entry {
    row: Arc<Row>,
    generation: u32,
}

/// The cluster is the same for all.
fn hash(hasher: &DefaultHashBuilder, key: &RowKey) -> u64 {
    hasher.hash_one((key.namespace.as_str(), key.name.as_str()))
}

fn same(a: &RowKey, b: &RowKey) -> bool {
    a.name == b.name && a.namespace == b.namespace
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What the rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.iter().map(|e| &e.row)
    }

    /// Puts a row in; gives it back shared if it is new or differs from the one before.
    pub(super) fn upsert(&mut self, row: Row) -> Option<Arc<Row>> {
        let hash_of = hash(&self.hasher, &row.key);
        let generation = self.generation;
        if let Some(entry) = self.rows.find_mut(hash_of, |e| same(&e.row.key, &row.key)) {
            entry.generation = generation;
            if *entry.row == row {
                return None;
            }
            self.bytes = self.bytes + row.bytes() - entry.row.bytes();
            entry.row = Arc::new(row);
            return Some(entry.row.clone());
        }
        self.bytes += row.bytes();
        let row = Arc::new(row);
        let hasher = &self.hasher;
        self.rows
            .insert_unique(hash_of, Entry { row: row.clone(), generation }, |e| hash(hasher, &e.row.key));
        Some(row)
    }

    pub(super) fn get(&self, key: &RowKey) -> Option<&Arc<Row>> {
        let hash = hash(&self.hasher, key);
        self.rows.find(hash, |e| same(&e.row.key, key)).map(|e| &e.row)
    }

    /// Puts a row in the place of the one that is there, which no list has named anew by that.
    pub(super) fn replace(&mut self, row: Row) -> Option<Arc<Row>> {
        let hash = hash(&self.hasher, &row.key);
        let entry = self.rows.find_mut(hash, |e| same(&e.row.key, &row.key))?;
        entry.row = Arc::new(row);
        Some(entry.row.clone())
    }

    /// Takes a row out; true if it was there.
    pub(super) fn remove(&mut self, key: &RowKey) -> bool {
        let hash = hash(&self.hasher, key);
        match self.rows.find_entry(hash, |e| same(&e.row.key, key)) {
            Ok(entry) => {
                let (entry, _) = entry.remove();
                self.bytes -= entry.row.bytes();
                true
            }
            Err(_) => false,
        }
    }

    /// A new list begins: what it does not name is gone.
    pub(super) fn begin_list(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// The list is complete: gives the keys of the rows that it did not name.
    pub(super) fn end_list(&mut self) -> Vec<RowKey> {
        let generation = self.generation;
        let gone: Vec<Entry> = self.rows.extract_if(|e| e.generation != generation).collect();
        self.bytes -= gone.iter().map(|e| e.row.bytes()).sum::<usize>();
        let hasher = &self.hasher;
        self.rows.shrink_to(self.rows.len(), |e| hash(hasher, &e.row.key));
        gone.into_iter().map(|e| e.row.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Cell, Tone};

    fn row(name: &str, n: i64) -> Row {
        Row {
            key: RowKey::new("c", "ns", name),
            cells: [Cell::Number(n)].into(),
            tone: Tone::Normal,
            uid: "".into(),
        }
    }

    #[test]
    fn only_what_differs_is_a_change_and_a_list_takes_away_what_it_does_not_name() {
        let mut table = Table::default();
        table.begin_list();
        for name in ["a", "b", "c"] {
            assert!(table.upsert(row(name, 1)).is_some());
        }
        assert!(table.end_list().is_empty());
        assert!(table.upsert(row("a", 1)).is_none());
        assert!(table.upsert(row("a", 2)).is_some());
        assert!(table.remove(&row("b", 0).key));
        assert!(!table.remove(&row("b", 0).key));
        table.begin_list();
        assert!(table.upsert(row("a", 2)).is_none());
        assert_eq!(table.end_list(), [RowKey::new("c", "ns", "c")]);
        assert_eq!(table.len(), 1);
        assert_eq!(table.bytes(), row("a", 2).bytes(), "only what is there counts");
    }
}
