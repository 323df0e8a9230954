//! Columns that a person describes by a path into the object, beside those that a kind has anyway.

use std::sync::Arc;

use serde_json::Value;

use super::quantity;
use crate::base::{Error, Result};
use crate::rows::spec::ColumnSpec;
use crate::rows::{Cell, Column, Path, Tone};

/// Such columns, ready to be read from objects.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    columns: Vec<(ColumnSpec, Path)>,
}

/// Checks descriptions: those with a path are read from the object, the others are the table's own.
pub fn specs(texts: &[String]) -> Result<Vec<ColumnSpec>> {
    let mut specs = Vec::new();
    for text in texts {
        let wrong = |what: String| Error::invalid(what).next("Such as IMAGE:.spec.containers[*].image|W.");
        let spec = ColumnSpec::parse(text).map_err(wrong)?;
        if let Some(path) = &spec.path {
            Path::parse(path).map_err(|e| wrong(format!("{}: {e}", spec.name)))?;
            specs.push(spec);
        }
    }
    Ok(specs)
}

impl Extra {
    pub(super) fn new(specs: &[ColumnSpec]) -> Self {
        let read = |spec: &ColumnSpec| Some((spec.clone(), Path::parse(spec.path.as_deref()?).ok()?));
        Self { columns: specs.iter().filter_map(read).collect() }
    }

    pub(super) fn is_none(&self) -> bool {
        self.columns.is_empty()
    }

    /// The columns with these among them. One of the same name as another takes its place.
    pub(super) fn columns(&self, base: &[Column]) -> Arc<[Column]> {
        let mut all = base.to_vec();
        for (spec, _) in &self.columns {
            match all.iter_mut().find(|column| column.name == spec.name) {
                Some(column) => *column = spec.column(),
                None => all.push(spec.column()),
            }
        }
        all.into()
    }

    /// A row's cells with these among them, where [`Extra::columns`] has their columns.
    pub(super) fn cells(&self, base: &[Column], cells: Box<[Cell]>, object: &Value) -> Box<[Cell]> {
        let mut all = cells.into_vec();
        for (spec, path) in &self.columns {
            let cell = cell(spec, &path.find(object));
            match base.iter().position(|column| column.name == spec.name) {
                Some(at) if at < all.len() => all[at] = cell,
                _ => all.push(cell),
            }
        }
        all.into()
    }
}

fn cell(spec: &ColumnSpec, found: &[&Value]) -> Cell {
    match found {
        [] | [Value::Null] => Cell::Unknown,
        [one] => single(spec, one),
        several => Cell::text(several.iter().map(|v| word(v)).collect::<Vec<_>>().join(",")),
    }
}

fn single(spec: &ColumnSpec, value: &Value) -> Cell {
    let text = word(value);
    if spec.time
        && let Ok(at) = text.parse::<jiff::Timestamp>()
    {
        return Cell::Time(at.as_second());
    }
    if let Some(n) = value.as_i64() {
        return Cell::Number(n);
    }
    if spec.number {
        let amount = match text.as_str() {
            t if t.parse::<i64>().is_ok() => t.parse().ok().map(Cell::Number),
            t if t.ends_with('m') => quantity::millicores(t).map(Cell::Cpu),
            t => quantity::bytes(t).map(Cell::Memory),
        };
        if let Some(amount) = amount {
            return amount;
        }
    }
    if spec.status { Cell::status(text, Tone::Normal) } else { Cell::text(text) }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rows::ColumnKind;

    #[test]
    fn values_are_read_by_their_paths_and_flags() {
        let texts = [
            "IMAGES:.spec.containers[*].image",
            "AGE",
            "STARTED:.status.startTime|T",
            "MEM:.spec.memory|N",
            "PRIO:.spec.priority",
            "NONE:.spec.nothing",
            "STATUS:.status.phase|S",
        ]
        .map(str::to_owned);
        let specs = specs(&texts).unwrap();
        assert_eq!(specs.len(), 6, "AGE is the table's own");
        let extra = Extra::new(&specs);
        let base = [Column::new("STATUS", ColumnKind::Status), Column::new("AGE", ColumnKind::Age)];
        let names: Vec<String> = extra.columns(&base).iter().map(|c| c.name.to_string()).collect();
        assert_eq!(names, ["STATUS", "AGE", "IMAGES", "STARTED", "MEM", "PRIO", "NONE"]);
        let object = json!({
            "spec": {"containers": [{"image": "a:1"}, {"image": "b:2"}], "memory": "2Gi", "priority": 7},
            "status": {"startTime": "2026-11-21T10:41:29Z", "phase": "Running"},
        });
        let cells = extra.cells(&base, [Cell::Unknown, Cell::Time(1)].into(), &object);
        let expected = [
            Cell::status("Running", Tone::Normal),
            Cell::Time(1),
            Cell::text("a:1,b:2"),
            Cell::Time(1_795_257_689),
            Cell::Memory(2 << 30),
            Cell::Number(7),
            Cell::Unknown,
        ];
        assert_eq!(*cells, expected);
        assert!(super::specs(&["A:.b[".to_owned()]).unwrap_err().message.contains('A'));
    }
}
