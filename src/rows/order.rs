//! What a table is sorted by, and how two rows compare.

use std::cmp::Ordering;

use super::cell::{Cell, Column};
use super::delta::{Row, RowKey};

/// Where a shown column's text comes from: a cell, or a part of the row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    Cluster,
    Namespace,
    Name,
    /// The cell with this index.
    Cell(usize),
}

impl Source {
    /// The source of a column by its name, whatever its case. Key parts stand in where no cell has the name.
    pub fn named(columns: &[Column], name: &str) -> Option<Self> {
        if let Some(i) = columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)) {
            return Some(Source::Cell(i));
        }
        match name.to_ascii_uppercase().as_str() {
            "CLUSTER" => Some(Source::Cluster),
            "NAMESPACE" => Some(Source::Namespace),
            "NAME" => Some(Source::Name),
            _ => None,
        }
    }
}

/// The order of a table. Ties are settled by namespace, name and cluster, so it is always total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub by: Source,
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: Source::Namespace, descending: false }
    }
}

impl Sort {
    pub fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let primary = match self.by {
            Source::Cluster => self.turn(natural(&a.key.cluster, &b.key.cluster)),
            Source::Namespace => self.turn(natural(&a.key.namespace, &b.key.namespace)),
            Source::Name => self.turn(natural(&a.key.name, &b.key.name)),
            Source::Cell(i) => match (cell(a, i), cell(b, i)) {
                // What is not known is last, whichever way the rest goes.
                (Cell::Unknown, _) | (_, Cell::Unknown) => cell(a, i).compare(cell(b, i)),
                (a, b) => self.turn(a.compare(b)),
            },
        };
        primary.then_with(|| compare_keys(&a.key, &b.key))
    }

    fn turn(&self, ordering: Ordering) -> Ordering {
        if self.descending { ordering.reverse() } else { ordering }
    }

    /// A number that never contradicts [`Sort::compare`]: where two rows' numbers differ, the
    /// smaller is first. Sorting compares it before it looks at the rows.
    pub fn prefix(&self, row: &Row) -> u64 {
        let prefix = match self.by {
            Source::Cluster => text_prefix(&row.key.cluster),
            Source::Namespace => text_prefix(&row.key.namespace),
            Source::Name => text_prefix(&row.key.name),
            Source::Cell(i) => match cell(row, i) {
                Cell::Unknown => return u64::MAX,
                known => cell_prefix(known),
            },
        };
        if self.descending { !prefix } else { prefix }
    }
}

fn cell(row: &Row, i: usize) -> &Cell {
    row.cells.get(i).unwrap_or(&Cell::Unknown)
}

/// By namespace, name and cluster.
pub fn compare_keys(a: &RowKey, b: &RowKey) -> Ordering {
    natural(&a.namespace, &b.namespace)
        .then_with(|| natural(&a.name, &b.name))
        .then_with(|| a.cluster.cmp(&b.cluster))
}

/// Three bits of the sort of value, then the value's upper 61 bits.
fn cell_prefix(cell: &Cell) -> u64 {
    let signed = |n: i64| (n as u64) ^ (1 << 63);
    let value: u64 = match cell {
        Cell::Number(n) | Cell::Cpu(n) | Cell::Memory(n) | Cell::Percent(n) => signed(*n),
        Cell::Time(t) => !signed(*t),
        // The bits of floats that are not negative are in the floats' order.
        Cell::Ratio(a, b) => (f64::from(*a) / f64::from((*b).max(1))).to_bits(),
        Cell::Text(t) | Cell::Status(t, _) => return text_prefix(t),
        Cell::Unknown => u64::MAX,
    };
    u64::from(cell.class()) << 61 | value >> 3
}

/// The first bytes up to the first digit: from there on natural order is not the bytes' order.
fn text_prefix(text: &str) -> u64 {
    let mut prefix = [0u8; 8];
    for (to, from) in prefix.iter_mut().zip(text.bytes()) {
        if from.is_ascii_digit() {
            *to = b'0';
            break;
        }
        *to = from;
    }
    u64::from(Cell::TEXT_CLASS) << 61 | u64::from_be_bytes(prefix) >> 3
}

/// Compares texts with their runs of digits as numbers: `web-2` before `web-10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    if i == a.len() || i == b.len() {
        // One is the beginning of the other, unless a number goes on: then it is the smaller one too.
        return a.len().cmp(&b.len());
    }
    // Back to the beginning of the number that the difference is in.
    while i > 0 && a[i - 1].is_ascii_digit() {
        i -= 1;
    }
    let (x, y) = (number(&a[i..]), number(&b[i..]));
    if x.is_empty() || y.is_empty() {
        return a[i..].cmp(&b[i..]);
    }
    let (significant_x, significant_y) = (trim_zeros(x), trim_zeros(y));
    significant_x
        .len()
        .cmp(&significant_y.len())
        .then_with(|| significant_x.cmp(significant_y))
        // Equal numbers with other zeros before them: only the bytes can tell.
        .then_with(|| a[i..].cmp(&b[i..]))
}

fn number(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len())]
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().position(|b| *b != b'0').unwrap_or(digits.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Tone;

    fn row(name: &str, cell: Cell) -> Row {
        Row { key: RowKey::new("c", "ns", name), cells: [cell].into(), tone: Tone::Normal, uid: "".into() }
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names =
            ["web-10", "web-2", "web", "api-1", "web-2b", "web-02", "web-a", "v1.10.0", "v1.9.12"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["api-1", "v1.9.12", "v1.10.0", "web", "web-02", "web-2", "web-2b", "web-10", "web-a"]
        );
    }

    #[test]
    fn unknown_is_last_both_ways() {
        let rows = [row("a", Cell::Unknown), row("b", Cell::Number(0)), row("c", Cell::Number(5))];
        for (descending, want) in [(false, ["b", "c", "a"]), (true, ["c", "b", "a"])] {
            let sort = Sort { by: Source::Cell(0), descending };
            let mut sorted: Vec<_> = rows.iter().collect();
            sorted.sort_by(|a, b| sort.compare(a, b));
            assert_eq!(sorted.iter().map(|r| r.key.name.as_str()).collect::<Vec<_>>(), want);
        }
    }

    fn any_cell() -> impl proptest::strategy::Strategy<Value = Cell> {
        use proptest::prelude::*;
        prop_oneof![
            Just(Cell::Unknown),
            any::<i64>().prop_map(Cell::Number),
            any::<i64>().prop_map(|t| Cell::Time(t / 2)),
            (0u32..50, 0u32..50).prop_map(|(a, b)| Cell::Ratio(a, b)),
            "[a-c0-2-]{0,10}".prop_map(Cell::text),
        ]
    }

    proptest::proptest! {
        #[test]
        fn the_prefix_never_contradicts(a in any_cell(), b in any_cell(), descending: bool) {
            let sort = Sort { by: Source::Cell(0), descending };
            let (a, b) = (row("a", a), row("b", b));
            let by_prefix = sort.prefix(&a).cmp(&sort.prefix(&b));
            if by_prefix != Ordering::Equal {
                assert_eq!(by_prefix, sort.compare(&a, &b));
            }
        }

        #[test]
        fn natural_order_is_an_order(a in "[ab0-2]{0,6}", b in "[ab0-2]{0,6}", c in "[ab0-2]{0,6}") {
            assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            assert_eq!(natural(&a, &b) == Ordering::Equal, a == b);
            if natural(&a, &b).is_lt() && natural(&b, &c).is_lt() {
                assert!(natural(&a, &c).is_lt());
            }
        }
    }
}
