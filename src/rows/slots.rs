//! Rows by number, shared cheaply: a snapshot for a thread costs one pointer for each 256 rows.

use std::sync::Arc;

use super::delta::Row;

const CHUNK: usize = 256;

type Chunk = Vec<Option<Arc<Row>>>;

/// A vector of optional rows. Cloning shares the chunks; writing copies a chunk that is shared.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

impl Slots {
    /// One more than the highest slot in use so far.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, slot: u32) -> Option<&Arc<Row>> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
    }

    /// Puts a row into a slot, which may be one past the end or further.
    pub fn set(&mut self, slot: u32, row: Option<Arc<Row>>) {
        let slot = slot as usize;
        while self.chunks.len() <= slot / CHUNK {
            self.chunks.push(Arc::new(Vec::new()));
        }
        self.len = self.len.max(slot + 1);
        let chunk = Arc::make_mut(&mut self.chunks[slot / CHUNK]);
        if chunk.len() <= slot % CHUNK {
            chunk.resize(slot % CHUNK + 1, None);
        }
        chunk[slot % CHUNK] = row;
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Every slot that has a row.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Row>)> {
        self.chunks.iter().enumerate().flat_map(|(c, chunk)| {
            chunk.iter().enumerate().filter_map(move |(i, row)| {
                // Fewer than 2^32 rows fit into memory.
                row.as_ref().map(|row| ((c * CHUNK + i) as u32, row))
            })
        })
    }
}

/// A set of slots.
#[derive(Debug, Clone, Default)]
pub struct SlotSet {
    words: Vec<u64>,
    count: usize,
}

impl SlotSet {
    pub fn contains(&self, slot: u32) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|w| w & (1 << (slot % 64)) != 0)
    }

    /// Whether it was not there before.
    pub fn insert(&mut self, slot: u32) -> bool {
        let word = slot as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & (1 << (slot % 64)) == 0;
        self.words[word] |= 1 << (slot % 64);
        self.count += usize::from(fresh);
        fresh
    }

    /// Whether it was there.
    pub fn remove(&mut self, slot: u32) -> bool {
        let was = self.contains(slot);
        if was {
            self.words[slot as usize / 64] &= !(1 << (slot % 64));
            self.count -= 1;
        }
        was
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn clear(&mut self) {
        self.words.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{RowKey, Tone};

    fn row(name: &str) -> Arc<Row> {
        Arc::new(Row { key: RowKey::new("", "", name), cells: [].into(), tone: Tone::Normal, uid: "".into() })
    }

    #[test]
    fn a_snapshot_does_not_see_later_writes() {
        let mut slots = Slots::default();
        slots.set(300, Some(row("a")));
        let snapshot = slots.clone();
        slots.set(300, Some(row("b")));
        slots.set(1, Some(row("c")));
        assert_eq!(snapshot.get(300).unwrap().key.name, "a");
        assert!(snapshot.get(1).is_none());
        assert_eq!(slots.iter().map(|(s, _)| s).collect::<Vec<_>>(), [1, 300]);
    }

    #[test]
    fn a_set_counts_each_slot_once() {
        let mut set = SlotSet::default();
        assert!(set.insert(130) && !set.insert(130));
        assert_eq!(set.len(), 1);
        assert!(set.remove(130) && !set.remove(130) && !set.contains(130));
    }
}
