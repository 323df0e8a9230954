//! Several tables as one: their columns by name, their rows side by side.
//!
//! Clusters of different versions have other columns for the same kind. A column that one of them has and another has not
//! is there for all, and unknown where it is missing. Columns are only ever added, at the end, so that rows that were
//! given before stay right.

use std::collections::HashMap;
use std::sync::Arc;

use super::cell::{Cell, Column};
use super::delta::{Row, TableDelta};

/// What the tables have in common, as they become known.
#[derive(Debug, Default)]
pub struct Union {
    columns: Vec<Column>,
    /// For each table, where its columns stand; `None` while they stand as they are.
    places: HashMap<usize, Option<Vec<usize>>>,
}

impl Union {
    /// One table's delta as a delta of all of them. The tables' rows must have keys of their own, and a table must not
    /// reset: the others' rows would be forgotten with its own.
    pub fn pass(&mut self, table: usize, delta: TableDelta) -> TableDelta {
        debug_assert!(!delta.reset, "a part of a union does not reset");
        let columns = delta.columns.as_ref().and_then(|columns| self.learn(table, columns));
        let upserts = match self.places.get(&table).and_then(Option::as_ref) {
            Some(places) => delta.upserts.iter().map(|row| Arc::new(self.spread(row, places))).collect(),
            // Shared as it is: most clusters have the same columns.
            None => delta.upserts,
        };
        TableDelta { reset: false, columns, upserts, ..delta }
    }

    /// Finds the place of each of a table's columns; gives the whole if there are new ones among them. A column that one
    /// of the tables has values for is shown.
    fn learn(&mut self, table: usize, columns: &[Column]) -> Option<Arc<[Column]>> {
        let mut changed = false;
        let mut places = Vec::with_capacity(columns.len());
        for column in columns {
            if let Some((at, known)) =
                self.columns.iter_mut().enumerate().find(|(_, c)| c.name == column.name)
            {
                changed |= known.hidden && !column.hidden;
                known.hidden &= column.hidden;
                places.push(at);
            } else {
                places.push(self.columns.len());
                self.columns.push(column.clone());
                changed = true;
            }
        }
        let as_they_are = places.iter().enumerate().all(|(i, place)| i == *place);
        self.places.insert(table, (!as_they_are).then_some(places));
        changed.then(|| self.columns.clone().into())
    }

    fn spread(&self, row: &Row, places: &[usize]) -> Row {
        let mut cells = vec![Cell::Unknown; self.columns.len()];
        for (cell, place) in row.cells.iter().zip(places) {
            if let Some(at) = cells.get_mut(*place) {
                *at = cell.clone();
            }
        }
        Row { key: row.key.clone(), cells: cells.into(), tone: row.tone, uid: row.uid.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ColumnKind, RowKey, Tone};

    fn delta(cluster: &str, columns: &[&str], cells: &[i64]) -> TableDelta {
        let columns: Vec<Column> =
            columns.iter().map(|name| Column::new(*name, ColumnKind::Number)).collect();
        TableDelta {
            columns: Some(columns.into()),
            upserts: vec![Arc::new(Row {
                key: RowKey::new(cluster, "shop", "web"),
                cells: cells.iter().map(|n| Cell::Number(*n)).collect(),
                tone: Tone::Normal,
                uid: "".into(),
            })],
            ..TableDelta::default()
        }
    }

    fn names(delta: &TableDelta) -> Option<Vec<&str>> {
        delta.columns.as_ref().map(|all| all.iter().map(|c| c.name.as_str()).collect())
    }

    #[test]
    fn columns_are_joined_by_name_and_what_is_missing_is_unknown() {
        let mut union = Union::default();
        let first = union.pass(0, delta("a", &["READY", "AGE"], &[1, 2]));
        assert_eq!(names(&first), Some(vec!["READY", "AGE"]));
        let given = delta("b", &["READY", "AGE"], &[3, 4]);
        let same = union.pass(1, given.clone());
        assert!(same.columns.is_none(), "nothing is new");
        assert!(Arc::ptr_eq(&same.upserts[0], &given.upserts[0]), "the row is not copied");
        let other = union.pass(2, delta("c", &["PHASE", "AGE"], &[5, 6]));
        assert_eq!(names(&other), Some(vec!["READY", "AGE", "PHASE"]));
        assert_eq!(*other.upserts[0].cells, [Cell::Unknown, Cell::Number(6), Cell::Number(5)]);
        // Later rows of the first stand where they stood.
        let later = union.pass(0, TableDelta { columns: None, ..delta("a", &[], &[7, 8]) });
        assert_eq!(*later.upserts[0].cells, [Cell::Number(7), Cell::Number(8)]);
    }

    #[test]
    fn a_column_is_hidden_only_while_no_table_has_values_for_it() {
        let mut union = Union::default();
        let with = |cluster: &str, hidden: bool| {
            let columns = [Column { hidden, ..Column::new("CPU", ColumnKind::Cpu) }];
            TableDelta { columns: Some(columns.into()), ..delta(cluster, &[], &[1]) }
        };
        let hidden = |delta: TableDelta| delta.columns.map(|columns| columns[0].hidden);
        assert_eq!(hidden(union.pass(0, with("a", true))), Some(true));
        assert_eq!(hidden(union.pass(1, with("b", true))), None);
        assert_eq!(hidden(union.pass(1, with("b", false))), Some(false));
        assert_eq!(hidden(union.pass(0, with("a", true))), None, "the other still has them");
    }

    #[test]
    fn a_table_whose_columns_change_is_read_by_the_new_ones() {
        let mut union = Union::default();
        union.pass(0, delta("a", &["READY", "AGE"], &[1, 2]));
        let changed = union.pass(0, delta("a", &["AGE", "READY"], &[2, 1]));
        assert!(changed.columns.is_none());
        assert_eq!(*changed.upserts[0].cells, [Cell::Number(1), Cell::Number(2)]);
    }
}
