//! CPU and memory of a whole cluster, as two rows of its pulse: what its nodes take of what they have to give.

use std::collections::HashMap;
use std::sync::Arc;

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
    lately: [Vec<u64>; 2],
}

/// Cells of a chart.
const WIDTH: usize = 30;
/// How many counts back a line goes.
const LATELY: usize = 24;
const NAMES: [&str; 2] = ["cpu", "memory"];

impl Charge {
    /// Takes the rows of nodes; true if that changed what is shown.
    pub fn take(&mut self, columns: &[Column], delta: &TableDelta) -> bool {
        if delta.reset {
            self.nodes.clear();
        }
        for key in &delta.removed {
            self.nodes.remove(key);
        }
        for row in &delta.upserts {
            self.nodes.insert(row.key.clone(), node(columns, row));
        }
        let Some(taken) = self.taken() else { return false };
        for (lately, now) in self.lately.iter_mut().zip(taken) {
            note(lately, now);
        }
        true
    }

    /// What the nodes take that are measured; `None` where none is.
    fn taken(&self) -> Option<[u64; 2]> {
        let mut measured = self.nodes.values().filter_map(|node| node.taken).peekable();
        measured.peek()?;
        Some(measured.fold([0, 0], |sum, taken| [sum[0] + taken[0], sum[1] + taken[1]]))
    }

    /// What the same nodes have to give.
    fn has(&self) -> [u64; 2] {
        let measured = self.nodes.values().filter(|node| node.taken.is_some());
        measured.fold([0, 0], |sum, node| [sum[0] + node.has[0], sum[1] + node.has[1]])
    }

    /// `1617m of 2000m (80 %)`, for CPU and memory.
    pub fn words(&self) -> Option<[String; 2]> {
        let (taken, has) = (self.taken()?, self.has());
        let words = |i: usize| {
            let share = share(taken[i], has[i]);
            format!("{} of {} ({share} %)", amount(i, taken[i]), amount(i, has[i]))
        };
        Some([words(0), words(1)])
    }

    /// The rows beside those of the kinds, in the same columns.
    pub fn rows(&self, cluster: &Arc<str>) -> Vec<Arc<Row>> {
        let Some(taken) = self.taken() else { return Vec::new() };
        let has = self.has();
        let row = |i: usize| {
            let share = share(taken[i], has[i]);
            // k9s's thresholds.
            let tone = match share {
                90.. => Tone::Error,
                70.. => Tone::Pending,
                _ => Tone::Normal,
            };
            let used = usize::try_from(share).unwrap_or(100).min(100) * WIDTH / 100;
            let chart = format!("{}{}", "█".repeat(used), "·".repeat(WIDTH - used));
            let lately = format!("{} {} {share} %", spark::line(&self.lately[i]), amount(i, taken[i]));
            let cells = [
                Cell::text(amount(i, has[i])),
                Cell::Unknown,
                Cell::Unknown,
                Cell::Unknown,
                Cell::status(chart, tone),
                Cell::status(lately, if tone == Tone::Normal { Tone::Dim } else { tone }),
            ];
            // A high share is no object that fails.
            let key = RowKey::new(cluster.clone(), "", NAMES[i]);
            Arc::new(Row { key, cells: cells.into(), tone: Tone::Normal, uid: "".into() })
        };
        vec![row(0), row(1)]
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

fn share(taken: u64, has: u64) -> u64 {
    (u128::from(taken) * 100 / u128::from(has.max(1))) as u64
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
        assert!(!charge.take(&columns, &told(vec![row("a", None)])));
        assert!(charge.rows(&"c".into()).is_empty() && charge.words().is_none());
        assert!(
            charge.take(&columns, &told(vec![row("a", Some(500)), row("b", Some(1500)), row("c", None)]))
        );
        charge.take(&columns, &told(vec![row("a", Some(1500))]));
        let rows = charge.rows(&"c".into());
        let texts: Vec<_> = rows[0].cells.iter().map(|c| c.display(0).to_string()).collect();
        assert_eq!(texts[0], "4000m");
        assert_eq!(texts[4], format!("{}{}", "█".repeat(22), "·".repeat(8)));
        assert_eq!(texts[5], "▅█ 3000m 75 %");
        let short = [amount(0, 132_000), amount(0, 132_460), amount(1, 547_425_550_336), amount(1, 12 << 30)];
        assert_eq!(short, ["132", "132.5", "509.8Gi", "12Gi"]);
        assert_eq!(charge.words().unwrap(), ["3000m of 4000m (75 %)", "3000Mi of 4000Mi (75 %)"]);
    }
}
