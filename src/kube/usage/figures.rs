//! The columns that figures fill, and the cells in them.
//!
//! They stand together in a table, from the column CPU on. Pods and containers have [`columns`], nodes
//! [`node_columns`]. As in k9s the figures' columns are left out where a cluster has no metrics: they are hidden until
//! it is known that there are some. What is asked for and what is the most are known without metrics.

use serde_json::Value;

use super::Amount;
use crate::kube::quantity;
use crate::kube::wire::{Container, Pod, Resources};
use crate::rows::{Cell, Column, ColumnKind};

/// The names as k9s has them; of these, the ones that the metrics API gives.
const POD: [(&str, ColumnKind, u8); 6] = [
    ("CPU", ColumnKind::Cpu, 4),
    ("MEM", ColumnKind::Memory, 4),
    ("%CPU/R", ColumnKind::Percent, 6),
    ("%CPU/L", ColumnKind::Percent, 6),
    ("%MEM/R", ColumnKind::Percent, 6),
    ("%MEM/L", ColumnKind::Percent, 6),
];
const NODE: [(&str, ColumnKind, u8); 4] = [
    ("CPU", ColumnKind::Cpu, 4),
    ("MEM", ColumnKind::Memory, 4),
    ("%CPU", ColumnKind::Percent, 4),
    ("%MEM", ColumnKind::Percent, 4),
];
/// Where requests and limits stand, counted from CPU.
pub(in crate::kube) const LIMITS: usize = POD.len();

/// CPU, MEM, their shares, and after them what is requested and what is the limit.
pub(in crate::kube) fn columns(limits_are_wide: bool) -> impl Iterator<Item = Column> {
    let limits = [
        ("CPU/R", ColumnKind::Cpu),
        ("CPU/L", ColumnKind::Cpu),
        ("MEM/R", ColumnKind::Memory),
        ("MEM/L", ColumnKind::Memory),
    ];
    let limits = limits.into_iter().map(move |(name, kind)| {
        let column = Column::new(name, kind);
        if limits_are_wide { column.rank(9).wide() } else { column.rank(6) }
    });
    POD.into_iter().map(|(name, kind, rank)| Column::new(name, kind).rank(rank).hidden()).chain(limits)
}

/// The same, all of them shown: for tables of figures alone.
pub fn shown_columns() -> impl Iterator<Item = Column> {
    columns(false).map(|column| Column { hidden: false, ..column })
}

/// The cells of [`columns`].
pub fn cells(now: Option<Amount>, shares: Shares) -> Vec<Cell> {
    let mut cells = vec![Cell::Unknown; LIMITS];
    cells.extend(shares.cells());
    fill(&mut cells, 0, false, now);
    cells
}

/// CPU, MEM, their shares of what can be allocated, and how much that is.
pub(in crate::kube) fn node_columns() -> impl Iterator<Item = Column> {
    let figures = NODE.into_iter().map(|(name, kind, rank)| Column::new(name, kind).rank(rank).hidden());
    figures.chain([
        Column::new("CPU/A", ColumnKind::Cpu).rank(6),
        Column::new("MEM/A", ColumnKind::Memory).rank(6),
    ])
}

/// Whether a column of this name is filled by the metrics API.
pub fn is_figure(name: &str) -> bool {
    POD.iter().chain(&NODE).any(|(figure, ..)| name.eq_ignore_ascii_case(figure))
}

/// What is requested and what is the limit; `None` is not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shares {
    pub cpu_request: Option<i64>,
    pub cpu_limit: Option<i64>,
    pub memory_request: Option<i64>,
    pub memory_limit: Option<i64>,
}

impl Shares {
    /// As cells: millicores and bytes.
    pub(in crate::kube) fn cells(self) -> [Cell; 4] {
        let cpu = |n: Option<i64>| n.map_or(Cell::Unknown, Cell::Cpu);
        let memory = |n: Option<i64>| n.map_or(Cell::Unknown, Cell::Memory);
        [cpu(self.cpu_request), cpu(self.cpu_limit), memory(self.memory_request), memory(self.memory_limit)]
    }

    /// Of an object's `resources`.
    pub fn of(resources: &Value) -> Self {
        let text = |pointer: &str| resources.pointer(pointer).and_then(Value::as_str);
        Self {
            cpu_request: text("/requests/cpu").and_then(quantity::millicores),
            cpu_limit: text("/limits/cpu").and_then(quantity::millicores),
            memory_request: text("/requests/memory").and_then(quantity::bytes),
            memory_limit: text("/limits/memory").and_then(quantity::bytes),
        }
    }

    fn of_wire(resources: &Resources) -> Self {
        let amount = |list: &[crate::kube::wire::Amount], name: &str, read: fn(&str) -> Option<i64>| {
            list.iter().find(|a| a.resource == name)?.quantity.as_ref().and_then(|q| read(&q.text))
        };
        Self {
            cpu_request: amount(&resources.requests, "cpu", quantity::millicores),
            cpu_limit: amount(&resources.limits, "cpu", quantity::millicores),
            memory_request: amount(&resources.requests, "memory", quantity::bytes),
            memory_limit: amount(&resources.limits, "memory", quantity::bytes),
        }
    }

    /// The sum of what is set: as k9s, a container without a limit does not make the pod one without.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self {
            cpu_request: sum(self.cpu_request, other.cpu_request),
            cpu_limit: sum(self.cpu_limit, other.cpu_limit),
            memory_request: sum(self.memory_request, other.memory_request),
            memory_limit: sum(self.memory_limit, other.memory_limit),
        }
    }

    /// What the pod as a whole says goes over what its containers say.
    #[must_use]
    fn under(self, whole: Self) -> Self {
        Self {
            cpu_request: whole.cpu_request.or(self.cpu_request),
            cpu_limit: whole.cpu_limit.or(self.cpu_limit),
            memory_request: whole.memory_request.or(self.memory_request),
            memory_limit: whole.memory_limit.or(self.memory_limit),
        }
    }
}

/// Of a pod: its containers and sidecars, which run together.
pub(in crate::kube) fn limits(pod: &Pod) -> Shares {
    let Some(spec) = &pod.spec else { return Shares::default() };
    let sidecars = spec.init_containers.iter().filter(|c| c.restart_policy == "Always");
    let of = |c: &Container| c.resources.as_ref().map(Shares::of_wire).unwrap_or_default();
    let sum = spec.containers.iter().chain(sidecars).map(of).fold(Shares::default(), Shares::and);
    sum.under(spec.resources.as_ref().map(Shares::of_wire).unwrap_or_default())
}

/// A node's allocatable CPU in millicores and memory in bytes, from its `status` in JSON.
pub fn node_allocatable(status: &str) -> Option<(i64, i64)> {
    #[derive(serde::Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        allocatable: Allocatable<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Allocatable<'a> {
        #[serde(borrow)]
        cpu: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        memory: std::borrow::Cow<'a, str>,
    }
    let status: Status<'_> = serde_json::from_str(status).ok()?;
    Some((quantity::millicores(&status.allocatable.cpu)?, quantity::bytes(&status.allocatable.memory)?))
}

/// The cells of [`node_columns`] without figures.
pub(in crate::kube) fn node_cells(allocatable: Option<(i64, i64)>) -> [Cell; 6] {
    let unknown = || Cell::Unknown;
    let (cpu, memory) = allocatable.map_or((unknown(), unknown()), |(c, m)| (Cell::Cpu(c), Cell::Memory(m)));
    [unknown(), unknown(), unknown(), unknown(), cpu, memory]
}

/// Puts figures into a row's cells, `None` takes them out. `at` is where CPU stands; what is counted against is in the
/// row already. True if that changed anything.
pub(in crate::kube) fn fill(cells: &mut [Cell], at: usize, node: bool, amount: Option<Amount>) -> bool {
    let count = if node { NODE.len() } else { POD.len() };
    let Some((figures, against)) = cells.get_mut(at..).and_then(|cells| cells.split_at_mut_checked(count))
    else {
        return false;
    };
    let mut new = [const { Cell::Unknown }; POD.len()];
    if let Some(amount) = amount {
        let (cpu, memory) = (amount.millicores(), amount.shown_memory());
        let share = |amount: i64, of: usize| match against.get(of) {
            Some(Cell::Cpu(n) | Cell::Memory(n)) if *n > 0 => {
                Cell::Percent(i64::try_from(i128::from(amount) * 10_000 / i128::from(*n)).unwrap_or(i64::MAX))
            }
            _ => Cell::Unknown,
        };
        new[0] = Cell::Cpu(cpu);
        new[1] = Cell::Memory(memory);
        let memory = amount.memory;
        if node {
            (new[2], new[3]) = (share(cpu, 0), share(memory, 1));
        } else {
            (new[2], new[3]) = (share(cpu, 0), share(cpu, 1));
            (new[4], new[5]) = (share(memory, 2), share(memory, 3));
        }
        // A share whose figure is not seen to change does not change either.
        if figures[0] == new[0] && figures[1] == new[1] && figures[2..] != new[2..count] {
            let is_same = |(a, b): (&Cell, &Cell)| a.display(0) == b.display(0);
            if figures[2..].iter().zip(&new[2..count]).all(is_same) {
                return false;
            }
        }
    }
    if *figures == new[..count] {
        return false;
    }
    for (cell, new) in figures.iter_mut().zip(new) {
        *cell = new;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(json: &str) -> Vec<Cell> {
        let pod: Pod = serde_json::from_str(json).unwrap();
        let mut cells = vec![Cell::Unknown; LIMITS];
        cells.extend(limits(&pod).cells());
        cells
    }

    fn texts(cells: &[Cell]) -> String {
        cells.iter().map(|c| c.display(0).to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shares_are_of_what_the_containers_that_run_together_ask_for() {
        let mut cells = cells(
            r#"{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"memory":"128Mi"}}},{"name":"b"}],
            "initContainers":[{"name":"s","restartPolicy":"Always","resources":{"requests":{"cpu":"50m"}}},{"name":"i","resources":{"requests":{"cpu":"4"}}}]}}"#,
        );
        let amount = Amount { cpu: 74_500_000, memory: 33 << 20 };
        assert!(fill(&mut cells, 0, false, Some(amount)));
        assert_eq!(texts(&cells), "75m 33Mi 50 – 51 25 150m – 64Mi 128Mi");
        assert!(!fill(&mut cells, 0, false, Some(amount)), "the same again is no change");
        let hardly = Amount { cpu: 74_100_000, memory: (33 << 20) + 900 };
        assert!(!fill(&mut cells, 0, false, Some(hardly)), "what is not seen is no change");
        assert!(fill(&mut cells, 0, false, None));
        assert_eq!(texts(&cells), "– – – – – – 150m – 64Mi 128Mi");
        assert_eq!(columns(true).count(), cells.len());
    }

    #[test]
    fn what_the_pod_says_as_a_whole_goes_over_its_containers() {
        let cells = cells(
            r#"{"spec":{"resources":{"limits":{"cpu":"2"}},"containers":[{"name":"a","resources":{"limits":{"cpu":"500m","memory":"1Gi"}}}]}}"#,
        );
        assert_eq!(texts(&cells[LIMITS..]), "– 2000m – 1Gi");
    }

    #[test]
    fn a_nodes_shares_are_of_what_can_be_allocated() {
        let status = r#"{"capacity":{"cpu":"4"},"allocatable":{"cpu":"3920m","memory":"8Gi","pods":"110"},"images":[]}"#;
        let mut cells = node_cells(node_allocatable(status)).to_vec();
        fill(&mut cells, 0, true, Some(Amount { cpu: 1_960_000_000, memory: 2 << 30 }));
        assert_eq!(texts(&cells), "1960m 2Gi 50 25 3920m 8Gi");
        assert_eq!(node_columns().count(), cells.len());
        assert_eq!(node_allocatable("{}"), None);
        let mut short = vec![Cell::Unknown];
        assert!(!fill(&mut short, 0, true, Some(Amount::default())));
    }
}
