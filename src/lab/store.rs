//! The objects of one server and the recent history of their changes.
//!
//! One counter numbers every change, as etcd's revision does; an object's `resourceVersion` is the
//! number of its last one. Watchers hold a position and read the history from there on, so that a
//! slow watcher costs nothing: once the history has gone past it, it gets 410.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::object::Object;

/// Namespace (empty without one) and name: the order of lists.
pub(super) type Key = (CompactString, CompactString);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Added,
    Modified,
    Deleted,
}

/// One change. A deletion's object is the last one, at the version of the deletion.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub verb: Verb,
    pub object: Arc<Object>,
    /// What was there before, for watchers whose selector matched only that.
    pub previous: Option<Arc<Object>>,
}

/// What was changed, for the controllers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Touched {
    pub kind: usize,
    pub namespace: CompactString,
    pub name: CompactString,
    /// Kind and name of what controls it.
    pub owner: Option<(CompactString, CompactString)>,
}

/// Why a write was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another write came first.
    Modified,
    /// It is there already.
    Exists,
    /// It is not there.
    Missing,
}

struct Table {
    objects: BTreeMap<Key, Arc<Object>>,
    history: VecDeque<Change>,
    /// Positions below this one cannot be continued from.
    floor: u64,
    latest: watch::Sender<u64>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self { objects: BTreeMap::new(), history: VecDeque::new(), floor, latest: watch::Sender::new(0) }
    }
}

struct Inner {
    version: u64,
    tables: Vec<Table>,
    touched: Option<mpsc::UnboundedSender<Touched>>,
}

pub(super) struct Store {
    inner: Mutex<Inner>,
    /// How many changes of each kind are kept.
    keep: usize,
}

/// What a watcher finds at its position.
pub(super) enum Since {
    Changes(Vec<Change>, u64),
    /// The history does not go back so far. Carries the oldest position it does go back to.
    Gone(u64),
}

impl Store {
    /// `first` is the version of a server that has run for a while; `keep` changes of each kind can be read again.
    pub fn new(kinds: usize, first: u64, keep: usize) -> Self {
        let tables = (0..kinds).map(|_| Table::new(first)).collect();
        Self { inner: Mutex::new(Inner { version: first, tables, touched: None }), keep }
    }

    /// Makes room for another kind.
    pub fn add_kind(&self, id: usize) {
        let mut inner = self.inner.lock();
        let floor = inner.version;
        while inner.tables.len() <= id {
            inner.tables.push(Table::new(floor));
        }
    }

    /// Where the names of changed objects go from now on.
    pub fn touched(&self) -> mpsc::UnboundedReceiver<Touched> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner.lock().touched = Some(sender);
        receiver
    }

    pub fn version(&self) -> u64 {
        self.inner.lock().version
    }

    pub fn get(&self, kind: usize, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = (CompactString::from(namespace), CompactString::from(name));
        self.inner.lock().tables.get(kind)?.objects.get(&key).cloned()
    }

    /// Every object of a kind, in one namespace or (empty) in all, after `after` if given; and the
    /// version at which this is so.
    pub fn list(&self, kind: usize, namespace: &str, after: Option<&Key>) -> (Vec<Arc<Object>>, u64) {
        use std::ops::Bound;
        let inner = self.inner.lock();
        let Some(table) = inner.tables.get(kind) else { return (Vec::new(), inner.version) };
        let namespace_start = (CompactString::from(namespace), CompactString::default());
        let start = match after {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(&namespace_start),
        };
        let objects = table
            .objects
            .range((start, Bound::Unbounded))
            .take_while(|((ns, _), _)| namespace.is_empty() || ns == namespace)
            .map(|(_, object)| object.clone())
            .collect();
        (objects, inner.version)
    }

    pub fn count(&self, kind: usize) -> usize {
        self.inner.lock().tables.get(kind).map_or(0, |t| t.objects.len())
    }

    /// Stores a new object.
    pub fn create(&self, kind: usize, value: Value) -> Result<Arc<Object>, Refused> {
        let mut inner = self.inner.lock();
        let version = inner.version + 1;
        let object = Arc::new(Object::new(value, version));
        let key = (object.namespace.clone(), object.name.clone());
        let table = inner.tables.get_mut(kind).ok_or(Refused::Missing)?;
        if table.objects.contains_key(&key) {
            return Err(Refused::Exists);
        }
        table.objects.insert(key, object.clone());
        self.record(&mut inner, kind, Change { verb: Verb::Added, object: object.clone(), previous: None });
        Ok(object)
    }

    /// Stores a new version of an object, if it is still the one at `expected`.
    pub fn replace(&self, kind: usize, expected: u64, value: Value) -> Result<Arc<Object>, Refused> {
        // Serialising happens outside the lock's critical checks, but the version is only known inside.
        let mut inner = self.inner.lock();
        let version = inner.version + 1;
        let object = Arc::new(Object::new(value, version));
        let key = (object.namespace.clone(), object.name.clone());
        let table = inner.tables.get_mut(kind).ok_or(Refused::Missing)?;
        let slot = table.objects.get_mut(&key).ok_or(Refused::Missing)?;
        if slot.version != expected {
            return Err(Refused::Modified);
        }
        let previous = std::mem::replace(slot, object.clone());
        let change = Change { verb: Verb::Modified, object: object.clone(), previous: Some(previous) };
        self.record(&mut inner, kind, change);
        Ok(object)
    }

    /// Takes an object out; if `expected` is given, only at that version.
    pub fn remove(
        &self,
        kind: usize,
        namespace: &str,
        name: &str,
        expected: Option<u64>,
    ) -> Result<Arc<Object>, Refused> {
        let key = (CompactString::from(namespace), CompactString::from(name));
        let mut inner = self.inner.lock();
        let version = inner.version + 1;
        let table = inner.tables.get_mut(kind).ok_or(Refused::Missing)?;
        let found = table.objects.get(&key).ok_or(Refused::Missing)?;
        if expected.is_some_and(|v| v != found.version) {
            return Err(Refused::Modified);
        }
        let last = found.clone();
        table.objects.remove(&key);
        let object = Arc::new(Object::new(last.value(), version));
        let change = Change { verb: Verb::Deleted, object: object.clone(), previous: Some(last) };
        self.record(&mut inner, kind, change);
        Ok(object)
    }

    fn record(&self, inner: &mut Inner, kind: usize, change: Change) {
        let version = change.object.version;
        inner.version = version;
        if let Some(sender) = &inner.touched {
            let _ = sender.send(Touched {
                kind,
                namespace: change.object.namespace.clone(),
                name: change.object.name.clone(),
                owner: change.object.owner.as_ref().map(|o| (o.kind.clone(), o.name.clone())),
            });
        }
        if let Some(table) = inner.tables.get_mut(kind) {
            table.history.push_back(change);
            while table.history.len() > self.keep {
                if let Some(oldest) = table.history.pop_front() {
                    table.floor = oldest.object.version;
                }
            }
            table.latest.send_replace(version);
        }
    }

    /// Tells of changes of a kind; the value is the version of the last one.
    pub fn subscribe(&self, kind: usize) -> Option<watch::Receiver<u64>> {
        self.inner.lock().tables.get(kind).map(|t| t.latest.subscribe())
    }

    /// The changes after a position, at most `limit`, and the position after them.
    pub fn since(&self, kind: usize, position: u64, limit: usize) -> Since {
        let inner = self.inner.lock();
        let Some(table) = inner.tables.get(kind) else { return Since::Changes(Vec::new(), inner.version) };
        if position < table.floor {
            return Since::Gone(table.floor);
        }
        let start = table.history.partition_point(|c| c.object.version <= position);
        let changes: Vec<Change> = table.history.range(start..).take(limit).cloned().collect();
        let more = table.history.len() - start > changes.len();
        let reached = match changes.last() {
            Some(last) if more => last.object.version,
            _ => inner.version,
        };
        Since::Changes(changes, reached)
    }

    /// Forgets the history, as a compaction of etcd does: every version that was handed out is too old now.
    pub fn forget_history(&self) {
        let mut inner = self.inner.lock();
        inner.version += 1000;
        let version = inner.version;
        for table in &mut inner.tables {
            table.history.clear();
            table.floor = version;
            table.latest.send_replace(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop"}})
    }

    #[test]
    fn a_watcher_reads_every_change_once_and_a_late_one_is_told_so() {
        let store = Store::new(1, 100, 3);
        let a = store.create(0, pod("a")).unwrap();
        assert_eq!(a.version, 101);
        let Since::Changes(changes, position) = store.since(0, 100, 10) else { panic!("history was kept") };
        assert_eq!((changes.len(), changes[0].verb, position), (1, Verb::Added, 101));
        let b = store.replace(0, a.version, pod("a")).unwrap();
        assert_eq!(store.replace(0, a.version, pod("a")).unwrap_err(), Refused::Modified);
        assert_eq!(store.create(0, pod("a")).unwrap_err(), Refused::Exists);
        store.remove(0, "shop", "a", Some(b.version)).unwrap();
        let Since::Changes(changes, position) = store.since(0, position, 10) else {
            panic!("history was kept")
        };
        let verbs: Vec<_> = changes.iter().map(|c| c.verb).collect();
        assert_eq!((verbs, position), (vec![Verb::Modified, Verb::Deleted], 103));
        store.create(0, pod("b")).unwrap();
        assert!(matches!(store.since(0, 100, 10), Since::Gone(101)));
        assert!(matches!(store.since(0, 101, 10), Since::Changes(c, 104) if c.len() == 3));
        store.forget_history();
        assert!(matches!(store.since(0, 104, 10), Since::Gone(_)));
    }

    #[test]
    fn lists_are_in_order_and_can_go_on_after_a_key() {
        let store = Store::new(1, 0, 10);
        for name in ["c", "a", "b"] {
            store.create(0, pod(name)).unwrap();
        }
        store.create(0, json!({"metadata": {"name": "z", "namespace": "apps"}})).unwrap();
        let names = |(objects, _): (Vec<Arc<Object>>, u64)| {
            objects.iter().map(|o| o.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(store.list(0, "", None)), ["z", "a", "b", "c"]);
        assert_eq!(names(store.list(0, "shop", Some(&("shop".into(), "a".into())))), ["b", "c"]);
    }
}
