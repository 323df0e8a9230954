//! CPU and memory of a whole cluster, as two rows of its pulse: what its nodes take of what they have to give.

use std::collections::HashMap;

use crate::rows::{Cell, Column, Row, RowKey, TableDelta, Tone, spark};

/// What one node takes and has: CPU in millicores, memory in bytes. What it takes may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Node {
    taken: Option<[u64; 2]>,
    has: [u64; 2],
}

/// The nodes of a cluster together.
#[derive(Default)]
pub struct Charge {
    nodes: HashMap<RowKey, Node>,
}

/// Cells of a chart.
const WIDTH: usize = 30;
/// How many counts back a line goes.
const LATELY: usize = 24;
/// What is added up: the names of the rows.
pub const FIGURES: [&str; 2] = ["cpu", "memory"];

impl Charge {
    /// Takes the rows of nodes.
    pub fn take(&mut self, columns: &[Column], delta: &TableDelta) {
        if delta.reset {
            self.nodes.clear();
        }
        for key in &delta.removed {
            self.nodes.remove(key);
        }
        for row in &delta.upserts {
            self.nodes.insert(row.key.clone(), node(columns, row));
        }
    }

    /// What the nodes take that are measured, and what they have to give, for each of [`FIGURES`]; `None` where none is
    /// measured.
    pub fn sums(&self) -> Option<[Figure; 2]> {
        let mut measured = self.nodes.values().filter_map(|node| Some((node.taken?, node.has))).peekable();
        measured.peek()?;
        let zero = [Figure::default(); 2];
        Some(
            measured.fold(zero, |sum, (taken, has)| {
                [0, 1].map(|i| sum[i] + Figure { taken: taken[i], has: has[i] })
            }),
        )
    }
}

/// What is taken of what there is: millicores or bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    pub taken: u64,
    pub has: u64,
}

impl std::ops::Add for Figure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { taken: self.taken + other.taken, has: self.has + other.has }
    }
}

impl Figure {
    /// `1617m of 2000m (80 %)`. `i`: which of [`FIGURES`] it is.
    pub fn words(self, i: usize) -> String {
        format!("{} of {} ({} %)", amount(i, self.taken), amount(i, self.has), self.share())
    }

    /// `1617m 80 %`, and how bad that is by k9s's thresholds.
    pub fn short(self, i: usize) -> (String, Tone) {
        (format!("{} {} %", amount(i, self.taken), self.share()), self.tone())
    }

    fn share(self) -> u64 {
        (u128::from(self.taken) * 100 / u128::from(self.has.max(1))) as u64
    }

    fn tone(self) -> Tone {
        match self.share() {
            90.. => Tone::Error,
            70.. => Tone::Pending,
            _ => Tone::Normal,
        }
    }

    /// Its cells beside those of the kinds, in the same columns. `lately`: what was taken before.
    pub fn cells(self, i: usize, lately: &[u64]) -> [Cell; 6] {
        let (share, tone) = (self.share(), self.tone());
        let used = usize::try_from(share).unwrap_or(100).min(100) * WIDTH / 100;
        let chart = format!("{}{}", "█".repeat(used), "·".repeat(WIDTH - used));
        let lately = format!("{} {} {share} %", spark::line(lately), amount(i, self.taken));
        [
            Cell::text(amount(i, self.has)),
            Cell::Unknown,
            Cell::Unknown,
            Cell::Unknown,
            Cell::status(chart, tone),
            Cell::status(lately, if tone == Tone::Normal { Tone::Dim } else { tone }),
        ]
    }
}

/// Adds a count to a line of the latest, where it is another than before.
pub fn note(lately: &mut Vec<u64>, now: u64) {
    if lately.last() != Some(&now) {
        lately.push(now);
        let over = lately.len().saturating_sub(LATELY);
        lately.drain(..over);
    }
}

/// As a quantity of Kubernetes that is short enough to be read: `1617m`, `132.4` cores, `7227Mi`, `509.8Gi`.
fn amount(i: usize, n: u64) -> String {
    const CORES: u64 = 10_000;
    const GIBI: u64 = 1 << 30;
    let tenths = |n: u64, unit: u64| {
        let tenths = (u128::from(n) * 10 + u128::from(unit) / 2) / u128::from(unit);
        if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
    };
    let whole = i64::try_from(n).unwrap_or(i64::MAX);
    match i {
        0 if n >= CORES => tenths(n, 1000),
        0 => Cell::Cpu(whole).display(0).into(),
        _ if n >= 10 * GIBI => tenths(n, GIBI) + "Gi",
        _ => Cell::Memory(whole).display(0).into(),
    }
}

fn node(columns: &[Column], row: &Row) -> Node {
    let number = |name: &str| {
        let at = columns.iter().position(|c| c.name == name)?;
        match row.cells.get(at)? {
            Cell::Cpu(n) | Cell::Memory(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    };
    let pair = |cpu: &str, memory: &str| Some([number(cpu)?, number(memory)?]);
    Node { taken: pair("CPU", "MEM"), has: pair("CPU/A", "MEM/A").unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rows::ColumnKind;

    #[test]
    fn the_nodes_that_are_measured_add_up() {
        let columns = ["CPU", "MEM", "CPU/A", "MEM/A"].map(|name| Column::new(name, ColumnKind::Number));
        let row = |name: &str, taken: Option<i64>| {
            let of = |n: Option<i64>| {
                (n.map_or(Cell::Unknown, Cell::Cpu), n.map_or(Cell::Unknown, |n| Cell::Memory(n << 20)))
            };
            let ((cpu, memory), (cpu_has, memory_has)) = (of(taken), of(Some(2000)));
            let cells = [cpu, memory, cpu_has, memory_has].into();
            Arc::new(Row { key: RowKey::new("c", "", name), cells, tone: Tone::Normal, uid: "".into() })
        };
        let told = |upserts| TableDelta { upserts, ..TableDelta::default() };
        let mut charge = Charge::default();
        charge.take(&columns, &told(vec![row("a", None)]));
        assert!(charge.sums().is_none());
        charge.take(&columns, &told(vec![row("a", Some(500)), row("b", Some(1500)), row("c", None)]));
        let before = charge.sums().unwrap()[0].taken;
        charge.take(&columns, &told(vec![row("a", Some(1500))]));
        let [cpu, memory] = charge.sums().unwrap();
        let cells = cpu.cells(0, &[before, cpu.taken]);
        let texts: Vec<_> = cells.iter().map(|c| c.display(0).to_string()).collect();
        assert_eq!(texts[0], "4000m");
        assert_eq!(texts[4], format!("{}{}", "█".repeat(22), "·".repeat(8)));
        assert_eq!(texts[5], "▅█ 3000m 75 %");
        assert_eq!(cpu.short(0), ("3000m 75 %".to_owned(), Tone::Pending));
        let short = [amount(0, 132_000), amount(0, 132_460), amount(1, 547_425_550_336), amount(1, 12 << 30)];
        assert_eq!(short, ["132", "132.5", "509.8Gi", "12Gi"]);
        assert_eq!([cpu.words(0), memory.words(1)], ["3000m of 4000m (75 %)", "3000Mi of 4000Mi (75 %)"]);
    }
}
