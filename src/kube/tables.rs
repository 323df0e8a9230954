//! A server-side Table as rows: which kind of value each column holds, and its cells.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{ColumnDefinition, JsonTable, PlainMeta};
use super::{quantity, usage};
use crate::rows::{Cell, Column, ColumnKind, Row, RowKey, Tone};

/// How the columns of one watch become cells. Only the first event of a watch has the definitions.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// For each of the server's columns, its column here; `None` for the name, which the key has.
    map: Vec<Option<ColumnKind>>,
    /// Whether each kept column counts time from the object's creation.
    created: Vec<bool>,
    /// Whether the columns of a node's figures stand at the end.
    nodes: bool,
    pub(super) columns: Arc<[Column]>,
}

impl Layout {
    pub(super) fn new(definitions: &[ColumnDefinition]) -> Self {
        let (mut map, mut created, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (i, definition) in definitions.iter().enumerate() {
            let name = definition.name.to_uppercase();
            if (i == 0 && name == "NAME") || definition.format == "name" {
                map.push(None);
                continue;
            }
            let kind = kind(&name, definition);
            map.push(Some(kind));
            created.push(name == "AGE");
            columns.push(Column {
                name: CompactString::from(name),
                kind,
                wide: definition.priority > 0,
                hidden: false,
                rank: 0,
            });
        }
        for column in &mut columns {
            column.rank = rank(column);
        }
        Self { map, created, nodes: false, columns: columns.into() }
    }

    /// With what a node takes and has to give.
    #[must_use]
    pub(super) fn of_nodes(self) -> Self {
        let columns = self.columns.iter().cloned().chain(usage::node_columns()).collect();
        Self { nodes: true, columns, ..self }
    }

    /// The cells at the end, of a node whose status is given.
    fn node_cells(&self, status: Option<&RawValue>, cells: &mut Vec<Cell>) {
        if self.nodes {
            cells.extend(usage::node_cells(status.and_then(|s| usage::node_allocatable(s.get()))));
        }
    }

    /// For a server that makes no Table of a kind: what every object has.
    pub(super) fn plain() -> Self {
        let columns = [Column::new("AGE", ColumnKind::Age).rank(3)].into();
        Self { map: Vec::new(), created: vec![true], nodes: false, columns }
    }

    /// The rows of a Table. `now` turns ages that the server wrote as text back into times.
    pub(super) fn rows(
        &self,
        cluster: &Arc<str>,
        table: &JsonTable<'_>,
        now: i64,
        mut out: impl FnMut(Row, &PlainMeta<'_>),
    ) {
        for row in table.rows.iter().flatten() {
            let meta = &row.object.metadata;
            let created = meta.creation_timestamp.map(|t| t.seconds);
            let kept =
                self.map.iter().zip(&row.cells).filter_map(|(kind, value)| Some((*kind.as_ref()?, value)));
            let mut cells: Vec<Cell> = Vec::with_capacity(self.columns.len());
            for (kind, value) in kept {
                let from_creation = self.created.get(cells.len()).copied().unwrap_or(false);
                cells.push(match created {
                    Some(created) if from_creation => Cell::Time(created),
                    _ => cell(kind, value, now),
                });
            }
            cells.resize(self.created.len(), Cell::Unknown);
            self.node_cells(row.object.status, &mut cells);
            let tone = if meta.deletion_timestamp.is_some() { Tone::Killed } else { tone(&cells) };
            let key = RowKey::new(cluster.clone(), &meta.namespace, &meta.name);
            let row = Row { key, cells: cells.into(), tone, uid: CompactString::new(&meta.uid) };
            out(row, meta);
        }
        for object in table.items.iter().flatten() {
            let meta = &object.metadata;
            let age = meta.creation_timestamp.map_or(Cell::Unknown, |t| Cell::Time(t.seconds));
            let key = RowKey::new(cluster.clone(), &meta.namespace, &meta.name);
            let tone = if meta.deletion_timestamp.is_some() { Tone::Killed } else { Tone::Normal };
            let mut cells = vec![Cell::Unknown; self.created.len()];
            if let Some(at) = self.created.iter().position(|c| *c) {
                cells[at] = age;
            }
            self.node_cells(object.status, &mut cells);
            let row = Row { key, cells: cells.into(), tone, uid: CompactString::new(&meta.uid) };
            out(row, meta);
        }
    }
}

fn kind(name: &str, definition: &ColumnDefinition) -> ColumnKind {
    match (name, definition.kind.as_str()) {
        ("AGE" | "LAST SEEN" | "FIRST SEEN" | "LAST SCHEDULE", _) | (_, "date") => ColumnKind::Age,
        ("READY" | "COMPLETIONS", "string") => ColumnKind::Ratio,
        ("STATUS" | "PHASE" | "STATE" | "HEALTH" | "SYNCED" | "SYNC STATUS" | "HEALTH STATUS", _) => {
            ColumnKind::Status
        }
        // Of events.
        ("TYPE", "string") => ColumnKind::Status,
        (_, "integer") => ColumnKind::Number,
        ("CAPACITY" | "MEMORY" | "STORAGE" | "SIZE" | "DISK", "string") => ColumnKind::Memory,
        ("CPU", "string") => ColumnKind::Cpu,
        // Deployments declare some counts as strings and send numbers.
        ("UP-TO-DATE" | "AVAILABLE" | "DESIRED" | "CURRENT" | "REPLICAS" | "ACTIVE", "string") => {
            ColumnKind::Number
        }
        _ => ColumnKind::Text,
    }
}

fn rank(column: &Column) -> u8 {
    match (&*column.name, column.kind) {
        _ if column.wide => 9,
        ("STATUS" | "READY", _) => 1,
        (_, ColumnKind::Status) => 2,
        ("AGE", _) => 3,
        ("REASON" | "OBJECT" | "LAST SEEN", _) => 2,
        // Long, and made narrower before it is left out.
        ("MESSAGE", _) => 3,
        _ => 5,
    }
}

fn cell(kind: ColumnKind, value: &Value, now: i64) -> Cell {
    match value {
        Value::Null => Cell::Unknown,
        Value::Number(n) => match n.as_i64() {
            Some(n) if kind != ColumnKind::Text => Cell::Number(n),
            _ => Cell::text(n.to_string()),
        },
        Value::Bool(b) => word(kind, if *b { "True" } else { "False" }),
        Value::String(text) => string(kind, text.trim(), now),
        Value::Array(_) | Value::Object(_) => Cell::text(value.to_string()),
    }
}

fn string(kind: ColumnKind, text: &str, now: i64) -> Cell {
    if matches!(text, "" | "<none>" | "<unknown>" | "<unset>") {
        return Cell::Unknown;
    }
    let value = match kind {
        ColumnKind::Age => time(text, now).map(Cell::Time),
        ColumnKind::Ratio => ratio(text),
        ColumnKind::Number => text.parse().ok().map(Cell::Number),
        ColumnKind::Memory => quantity::bytes(text).map(Cell::Memory),
        ColumnKind::Cpu => quantity::millicores(text).map(Cell::Cpu),
        _ => None,
    };
    value.unwrap_or_else(|| word(kind, text))
}

fn word(kind: ColumnKind, text: &str) -> Cell {
    match kind {
        // READY of some kinds is a word.
        ColumnKind::Status | ColumnKind::Ratio => Cell::status(text, word_tone(text)),
        _ => Cell::text(text),
    }
}

/// `1/2`; also `1/2 (3 running)` and `0/1 of 3`, as Jobs have it.
fn ratio(text: &str) -> Option<Cell> {
    let (a, rest) = text.split_once('/')?;
    let b: &str = rest.split(' ').next()?;
    Some(Cell::Ratio(a.parse().ok()?, b.parse().ok()?))
}

/// A point in time: RFC 3339, or how long ago in kubectl's words (`3h12m`, `5d ago`).
fn time(text: &str, now: i64) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_second());
    }
    // Events seen many times: `2m (x5 over 10m)`.
    let first = text.split_whitespace().next()?;
    Some(now - quantity::duration(first)?)
}

/// The tone of a status word, whichever kind it is of.
fn word_tone(text: &str) -> Tone {
    // Nodes join words: `Ready,SchedulingDisabled`.
    let mut tone = Tone::Normal;
    for word in text.split(',') {
        let own = match word.trim() {
            "Ready" | "Running" | "Active" | "Bound" | "Available" | "Healthy" | "Synced" | "True"
            | "Normal" | "Succeeded" | "Deployed" | "Approved" | "Issued" => Tone::Normal,
            "Complete" | "Completed" => Tone::Completed,
            "Terminating" | "Released" => Tone::Killed,
            "Pending" | "Progressing" | "Creating" | "Suspended" | "SchedulingDisabled" | "OutOfSync"
            | "Unknown" | "Waiting" | "Provisioning" | "Updating" => Tone::Pending,
            "NotReady" | "False" | "Failed" | "Error" | "Warning" | "Lost" | "Degraded" | "Missing"
            | "Denied" | "CrashLoopBackOff" | "Unhealthy" | "FailureTarget" => Tone::Error,
            _ => Tone::Normal,
        };
        if rank_of(own) > rank_of(tone) {
            tone = own;
        }
    }
    tone
}

fn rank_of(tone: Tone) -> u8 {
    match tone {
        Tone::Error => 4,
        Tone::Pending => 3,
        Tone::Killed => 2,
        Tone::Completed => 1,
        _ => 0,
    }
}

/// The worst of the cells; fewer ready than wanted is a fault that may pass.
fn tone(cells: &[Cell]) -> Tone {
    let of = |cell: &Cell| match cell {
        Cell::Status(_, tone) => *tone,
        Cell::Ratio(ready, total) if ready < total => Tone::Pending,
        _ => Tone::Normal,
    };
    cells.iter().map(of).max_by_key(|tone| rank_of(*tone)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::wire::parse_table;

    const NOW: i64 = 1_800_000_000;

    fn rows(json: &str) -> (Layout, Vec<Row>) {
        let table = parse_table(json.as_bytes()).unwrap();
        let layout = table.column_definitions.as_deref().map_or_else(Layout::plain, Layout::new);
        let mut rows = Vec::new();
        layout.rows(&"c".into(), &table, NOW, |row, _| rows.push(row));
        (layout, rows)
    }

    #[test]
    fn a_deployments_table_becomes_typed_cells() {
        let (layout, rows) = rows(
            r#"{"kind":"Table","columnDefinitions":[{"name":"Name","type":"string","format":"name"},{"name":"Ready","type":"string"},
            {"name":"Up-to-date","type":"string"},{"name":"Available","type":"string"},{"name":"Age","type":"string"},{"name":"Images","type":"string","priority":1}],
            "rows":[{"cells":["web","1/3",3,1,"4s","nginx"],"object":{"metadata":{"name":"web","namespace":"shop","uid":"u","resourceVersion":"9","creationTimestamp":"2026-11-21T10:41:29Z","labels":{"a":"b"}}}}]}"#,
        );
        let names: Vec<_> = layout.columns.iter().map(|c| (c.name.as_str(), c.kind, c.wide)).collect();
        assert_eq!(names[0], ("READY", ColumnKind::Ratio, false));
        assert_eq!(names[4], ("IMAGES", ColumnKind::Text, true));
        assert_eq!(rows[0].key, RowKey::new("c", "shop", "web"));
        let expected = [
            Cell::Ratio(1, 3),
            Cell::Number(3),
            Cell::Number(1),
            Cell::Time(1_795_257_689),
            Cell::text("nginx"),
        ];
        assert_eq!(*rows[0].cells, expected);
        assert_eq!(rows[0].tone, Tone::Pending);
    }

    #[test]
    fn nodes_events_and_custom_resources() {
        let (_, nodes) = rows(
            r#"{"kind":"Table","columnDefinitions":[{"name":"Name","type":"string","format":"name"},{"name":"Status","type":"string"}],
            "rows":[{"cells":["a","NotReady,SchedulingDisabled"],"object":{"metadata":{"name":"a"}}}]}"#,
        );
        assert_eq!(*nodes[0].cells, [Cell::status("NotReady,SchedulingDisabled", Tone::Error)]);
        let (_, events) = rows(
            r#"{"kind":"Table","columnDefinitions":[{"name":"Last Seen","type":"string"},{"name":"Type","type":"string"},{"name":"Name","type":"string","priority":1,"format":"name"}],
            "rows":[{"cells":["2m5s (x5 over 10m)","Warning","x"],"object":{"metadata":{"name":"x"}}}]}"#,
        );
        assert_eq!(*events[0].cells, [Cell::Time(NOW - 125), Cell::status("Warning", Tone::Error)]);
        let (_, custom) = rows(
            r#"{"kind":"Table","columnDefinitions":[{"name":"Name","type":"string","format":"name"},{"name":"Ready","type":"string"},{"name":"Due","type":"date"},{"name":"Size","type":"integer"}],
            "rows":[{"cells":["c","False","5d",null],"object":{"metadata":{"name":"c"}}}]}"#,
        );
        let expected = [Cell::status("False", Tone::Error), Cell::Time(NOW - 5 * 86_400), Cell::Unknown];
        assert_eq!(*custom[0].cells, expected);
    }

    #[test]
    fn a_plain_list_still_gives_names_and_ages() {
        let (layout, rows) = rows(
            r#"{"kind":"FooList","items":[{"metadata":{"name":"a","creationTimestamp":"2026-11-21T10:41:29Z"},"spec":{"x":[1,2]}}]}"#,
        );
        assert_eq!(layout.columns.len(), 1);
        assert_eq!(*rows[0].cells, [Cell::Time(1_795_257_689)]);
    }
}
