//! Rows, their keys, and what changed about them.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, Column, Tone};

/// Which object a row shows. Cursor, marks and focus hold keys, never line numbers.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct RowKey {
    /// Kubeconfig context, or another source's name; empty where there is one source only.
    pub cluster: Arc<str>,
    /// Empty for what has no namespace.
    #[schemars(with = "String")]
    pub namespace: CompactString,
    #[schemars(with = "String")]
    pub name: CompactString,
}

impl RowKey {
    pub fn new(cluster: impl Into<Arc<str>>, namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self {
            cluster: cluster.into(),
            namespace: CompactString::new(namespace),
            name: CompactString::new(name),
        }
    }
}

/// One line of a table. `cells` has one value for each column of the table. Columns and cells leave
/// out cluster, namespace and name: a door makes CLUSTER, NAMESPACE and NAME from the key, so that they are held once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub key: RowKey,
    pub cells: Box<[Cell]>,
    /// The row's own tone: faults are `Error` or `Pending`, so that "faults only" can find them.
    #[serde(default)]
    pub tone: Tone,
    /// The object's unique identifier, where it has one.
    #[serde(default, skip_serializing_if = "CompactString::is_empty")]
    pub uid: CompactString,
}

impl Row {
    /// What it takes, in bytes; the name of its cluster is shared by all.
    pub fn bytes(&self) -> usize {
        let heap = |text: &CompactString| if text.is_heap_allocated() { text.capacity() } else { 0 };
        let cells = self.cells.iter().map(|cell| match cell {
            Cell::Text(text) | Cell::Status(text, _) => heap(text),
            _ => 0,
        });
        let texts = [&self.key.namespace, &self.key.name, &self.uid].into_iter().map(heap).chain(cells);
        size_of::<Self>() + size_of_val(&*self.cells) + texts.sum::<usize>()
    }
}

/// What changed since the delta before. Applied in this order: reset, columns, removed, upserts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TableDelta {
    /// Forget every row of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// The columns from now on, if they changed: those after CLUSTER, NAMESPACE and NAME, which the key
    /// gives. Always present in the first delta that has rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Arc<[Column]>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RowKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upserts: Vec<Arc<Row>>,
    /// The sources whose state changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceState>,
}

impl TableDelta {
    pub fn is_empty(&self) -> bool {
        !self.reset
            && self.columns.is_none()
            && self.removed.is_empty()
            && self.upserts.is_empty()
            && self.sources.is_empty()
    }
}

/// How fresh one source's rows are. The title says whatever is not `Live`, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SourceState {
    pub cluster: Arc<str>,
    pub phase: Phase,
    /// What beside the rows is not as it should be: such as why there are no figures of CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl SourceState {
    pub fn new(cluster: Arc<str>, phase: Phase) -> Self {
        Self { cluster, phase, note: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nothing has come yet.
    Connecting,
    /// The first rows come; `seen` so far, of `expected` if the server said so.
    Loading { seen: u64, expected: Option<u64> },
    /// Everything is here and every change arrives.
    Live,
    /// Watching is not possible: listed again every `every_seconds`.
    Polling { every_seconds: u32, reason: String },
    /// The stream broke; what is shown may be old. `next`: what a person may do meanwhile, if anything.
    /// `since`: seconds since the epoch.
    Reconnecting {
        reason: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        next: String,
        since: i64,
        attempt: u32,
    },
    /// No rows and no more tries until someone asks.
    Failed { error: crate::base::Error },
}
