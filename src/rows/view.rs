//! What of a table is shown, and in which order; kept up to date at the cost of what changed.
//!
//! A view remembers each row as it was when it got its place, so that its order is consistent
//! even while the table is already further on. Small changes go in at once. A new order or filter
//! of a big table, and big changes, are worked out on a thread from a snapshot
//! ([`View::begin`], [`Rebuild::run`], [`View::finish`]): the newest wins, and what changed
//! meanwhile is put in afterwards.

use std::sync::Arc;

use super::delta::Row;
use super::filter::{Filter, Shape, Tester};
use super::order::Sort;
use super::slots::{SlotSet, Slots};
use super::table::Table;

/// Changes of more rows than this are worked out on a thread.
const BIG: usize = 4_000;

/// How a view shows its table.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub filter: Filter,
    pub shape: Shape,
    pub sort: Sort,
}

/// The shown slots in their order.
#[derive(Default)]
pub struct View {
    plan: Arc<Plan>,
    /// What `order` was made by; differs from `plan` while a rebuild runs.
    current: Arc<Plan>,
    order: Vec<u32>,
    shown: SlotSet,
    /// The rows as they were when they got their places.
    held: Slots,
    /// Counts rebuilds begun; only the newest one's result is taken.
    generation: u64,
    running: bool,
    /// Slots that changed since the snapshot of the running rebuild.
    since: Vec<u32>,
    /// Slots that changed while order is kept still.
    deferred: Vec<u32>,
    /// Another plan was asked for and not yet begun.
    replanned: bool,
    /// More changed than can be mended in place.
    behind: bool,
}

/// Work for a thread.
pub struct Rebuild {
    generation: u64,
    slots: Slots,
    /// Only these, where the new filter narrows the old one.
    among: Option<Vec<u32>>,
    plan: Arc<Plan>,
    now: i64,
}

/// Its result.
pub struct Rebuilt {
    generation: u64,
    slots: Slots,
    order: Vec<u32>,
    plan: Arc<Plan>,
}

impl View {
    /// The slots shown, in order. Use [`View::row`] to read them.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The row to draw at a position: as it is now, or, when it is gone and its place not yet
    /// closed, as it was. The flag says that it is still there.
    pub fn row<'a>(&'a self, table: &'a Table, position: usize) -> Option<(&'a Arc<Row>, bool)> {
        let slot = *self.order.get(position)?;
        let held = self.held.get(slot)?;
        match table.get(slot) {
            Some(row) if row.key == held.key => Some((row, true)),
            _ => Some((held, false)),
        }
    }

    /// Where a slot stands now. Logarithmic.
    pub fn position(&self, slot: u32) -> Option<usize> {
        if !self.shown.contains(slot) {
            return None;
        }
        self.place(self.held.get(slot)?).ok()
    }

    fn place(&self, row: &Row) -> Result<usize, usize> {
        let sort = self.current.sort;
        self.order.binary_search_by(|slot| match self.held.get(*slot) {
            Some(held) => sort.compare(held, row),
            None => std::cmp::Ordering::Less,
        })
    }

    /// Whether a rebuild is needed that nobody has begun.
    pub fn wants_rebuild(&self) -> bool {
        (self.behind || self.replanned) && !self.running
    }

    /// Whether what is shown is not yet what was asked for.
    pub fn is_working(&self) -> bool {
        self.running || self.behind || self.replanned
    }

    /// Rows came that the view was not told of one by one: the next order is made from all of them.
    pub fn outdated(&mut self) {
        self.behind = true;
    }

    /// Asks for another order, filter or shape; [`View::refresh`] or [`View::begin`] must follow.
    pub fn replan(&mut self, plan: Plan) {
        self.plan = Arc::new(plan);
        self.replanned = true;
    }

    /// Whether the table is small enough to be ordered while the operator waits.
    pub fn is_small(table: &Table) -> bool {
        table.len() <= BIG
    }

    /// Orders everything now: for small tables.
    pub fn refresh(&mut self, table: &Table, now: i64) {
        let rebuild = self.begin(table, now);
        self.finish(rebuild.run(), table, now);
    }

    /// Takes a snapshot to order on a thread. A rebuild that runs already is outdated by it.
    pub fn begin(&mut self, table: &Table, now: i64) -> Rebuild {
        self.generation += 1;
        // The old order is a start only where it misses nothing that changed.
        let complete = !self.running && !self.behind && self.deferred.is_empty() && self.generation > 1;
        let narrows = complete
            && self.plan.sort == self.current.sort
            && self.plan.shape == self.current.shape
            && self.plan.filter.narrows(&self.current.filter);
        self.running = true;
        self.behind = false;
        self.replanned = false;
        // The snapshot has everything that was put off.
        self.since.clear();
        self.deferred.clear();
        Rebuild {
            generation: self.generation,
            slots: table.slots().clone(),
            among: narrows.then(|| self.order.clone()),
            plan: self.plan.clone(),
            now,
        }
    }

    /// Takes a rebuild's result; false if a newer one was begun since.
    pub fn finish(&mut self, rebuilt: Rebuilt, table: &Table, now: i64) -> bool {
        if rebuilt.generation != self.generation {
            return false;
        }
        self.running = false;
        self.current = rebuilt.plan;
        self.order = rebuilt.order;
        self.held = rebuilt.slots;
        self.shown.clear();
        for slot in &self.order {
            self.shown.insert(*slot);
        }
        let since = std::mem::take(&mut self.since);
        self.update(table, &since, now);
        true
    }

    /// Takes note of changed slots without moving anything: [`View::settle`] follows.
    pub fn defer(&mut self, slots: &[u32]) {
        self.deferred.extend_from_slice(slots);
        if self.running {
            self.since.extend_from_slice(slots);
        }
    }

    /// Puts in what was deferred. Whether there was something.
    pub fn settle(&mut self, table: &Table, now: i64) -> bool {
        let deferred = std::mem::take(&mut self.deferred);
        let any = !deferred.is_empty();
        if any {
            self.put(table, deferred, now);
        }
        any
    }

    pub fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Puts in changed slots. Where there are too many, [`View::wants_rebuild`] is true afterwards.
    pub fn update(&mut self, table: &Table, slots: &[u32], now: i64) {
        if self.running {
            self.since.extend_from_slice(slots);
        }
        let mut all = std::mem::take(&mut self.deferred);
        all.extend_from_slice(slots);
        self.put(table, all, now);
    }

    fn put(&mut self, table: &Table, mut slots: Vec<u32>, now: i64) {
        if slots.len() > BIG {
            self.behind = true;
            return;
        }
        slots.sort_unstable();
        slots.dedup();
        let plan = self.current.clone();
        let mut tester = Tester::new(&plan.filter, &plan.shape, now);
        let mut leaving = Vec::new();
        let mut coming: Vec<(u32, Arc<Row>)> = Vec::new();
        for slot in slots {
            let new = table.get(slot).filter(|row| tester.passes(row));
            let old = if self.shown.contains(slot) { self.held.get(slot) } else { None };
            match (old, new) {
                (None, None) => {}
                (Some(old), Some(new)) if plan.sort.compare(old, new).is_eq() => {
                    self.held.set(slot, Some(new.clone()));
                }
                (old, new) => {
                    if let Some(old) = old {
                        leaving.extend(self.place(old));
                        self.shown.remove(slot);
                    }
                    coming.extend(new.map(|new| (slot, new.clone())));
                }
            }
        }
        if leaving.is_empty() && coming.is_empty() {
            return;
        }
        self.splice(leaving, coming, &plan.sort);
    }

    /// One pass over the order, copying the runs between the places that change.
    fn splice(&mut self, mut leaving: Vec<usize>, mut coming: Vec<(u32, Arc<Row>)>, sort: &Sort) {
        leaving.sort_unstable();
        coming.sort_by(|(_, a), (_, b)| sort.compare(a, b));
        // Places are found among the rows that stay or leave, all as the view holds them.
        let places: Vec<usize> =
            coming.iter().map(|(_, row)| self.place(row).unwrap_or_else(|place| place)).collect();
        let mut order = Vec::with_capacity(self.order.len() + coming.len() - leaving.len());
        let mut from = 0;
        let mut leaving = leaving.into_iter().peekable();
        let mut copy_to = |to: usize, order: &mut Vec<u32>| {
            while let Some(gap) = leaving.next_if(|gap| *gap < to) {
                order.extend_from_slice(&self.order[from..gap]);
                from = gap + 1;
            }
            order.extend_from_slice(&self.order[from..to]);
            from = to;
        };
        for ((slot, _), place) in coming.iter().zip(&places) {
            copy_to(*place, &mut order);
            order.push(*slot);
        }
        copy_to(self.order.len(), &mut order);
        self.order = order;
        for (slot, row) in coming {
            self.held.set(slot, Some(row));
            self.shown.insert(slot);
        }
    }
}

impl Rebuild {
    /// The long part: tests and sorts every row.
    pub fn run(self) -> Rebuilt {
        let mut tester = Tester::new(&self.plan.filter, &self.plan.shape, self.now);
        let sort = self.plan.sort;
        let order = match self.among {
            // A part of an ordered whole is ordered.
            Some(among) => among
                .into_iter()
                .filter(|slot| self.slots.get(*slot).is_some_and(|row| tester.passes(row)))
                .collect(),
            None => {
                let mut keyed: Vec<(u64, u32, &Row)> = self
                    .slots
                    .iter()
                    .filter(|(_, row)| tester.passes(row))
                    .map(|(slot, row)| (sort.prefix(row), slot, &**row))
                    .collect();
                keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| sort.compare(a.2, b.2)));
                keyed.into_iter().map(|(_, slot, _)| slot).collect()
            }
        };
        Rebuilt { generation: self.generation, slots: self.slots, order, plan: self.plan }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
