//! The pulses of one cluster or of several together: a row a kind, with a column for each of several.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use compact_str::CompactString;

use super::super::charge::{FIGURES, Figure, note};
use super::PULSES;
use crate::base::text::sanitize;
use crate::rows::{Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, Tone, spark};

/// Cells of a chart.
const WIDTH: usize = 30;

/// What was told of a kind.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    /// Total, waiting, failing.
    Counts([u64; 3]),
    Figure(Figure),
    /// Why nothing was; empty while that is awaited.
    Nothing(CompactString),
}

impl Told {
    fn of(row: &Row) -> Self {
        let number = |cell: &Cell| match cell {
            Cell::Number(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        let numbers: Vec<u64> = row.cells.iter().map_while(number).collect();
        match numbers[..] {
            [total, waiting, failing] => Told::Counts([total, waiting, failing]),
            [taken, has] => Told::Figure(Figure { taken, has }),
            _ => Told::Nothing(row.cells.first().map(|cell| cell.display(0)).unwrap_or_default()),
        }
    }

    /// What several have told together: of those that told nothing nothing is counted.
    fn sum<'a>(all: impl Iterator<Item = &'a Told>) -> Self {
        all.fold(Told::Nothing("".into()), |sum, one| match (sum, one) {
            (Told::Counts(a), Told::Counts(b)) => Told::Counts([a[0] + b[0], a[1] + b[1], a[2] + b[2]]),
            (Told::Figure(a), Told::Figure(b)) => Told::Figure(a + *b),
            (Told::Nothing(why), Told::Nothing(_)) if !why.is_empty() => Told::Nothing(why),
            (Told::Nothing(_), one) => one.clone(),
            (sum, _) => sum,
        })
    }

    /// What a line of the latest shows of it.
    fn noted(&self) -> Option<u64> {
        match self {
            Told::Counts([_, _, failing]) => Some(*failing),
            Told::Figure(figure) => Some(figure.taken),
            Told::Nothing(_) => None,
        }
    }

    fn cells(&self, kind: &str, lately: &[u64]) -> [Cell; 6] {
        let number = |n: u64| Cell::Number(i64::try_from(n).unwrap_or(i64::MAX));
        match self {
            Told::Counts([total, waiting, failing]) => {
                let line = if *failing > 0 { Tone::Error } else { Tone::Dim };
                [
                    number(*total),
                    number(total - waiting - failing),
                    number(*waiting),
                    number(*failing),
                    Cell::Status(chart(*total, *waiting, *failing), self.tone()),
                    Cell::Status(spark::line(lately), line),
                ]
            }
            Told::Figure(figure) => figure.cells(figure_of(kind), lately),
            Told::Nothing(why) => {
                let mut cells = [const { Cell::Unknown }; 6];
                cells[4] = match why.as_str() {
                    "" => Cell::status("…", Tone::Dim),
                    why => Cell::status(why, Tone::Pending),
                };
                cells
            }
        }
    }

    /// `118 ✗3 …2`: how many, how many fail, how many wait. `~` before it: that is how it was.
    fn short(&self, kind: &str, is_old: bool) -> Cell {
        let (text, tone) = match self {
            Told::Counts([total, waiting, failing]) => {
                let mut text = total.to_string();
                for (sign, n) in [(" ✗", failing), (" …", waiting)].iter().filter(|(_, n)| **n > 0) {
                    text.push_str(&format!("{sign}{n}"));
                }
                (text, self.tone())
            }
            Told::Figure(figure) => figure.short(figure_of(kind)),
            Told::Nothing(_) => return Cell::Unknown,
        };
        if is_old { Cell::status(format!("~{text}"), Tone::Dim) } else { Cell::status(text, tone) }
    }

    fn tone(&self) -> Tone {
        match self {
            Told::Counts([_, 0, 0]) | Told::Figure(_) | Told::Nothing(_) => Tone::Normal,
            Told::Counts([_, _, 0]) => Tone::Pending,
            Told::Counts(_) => Tone::Error,
        }
    }
}

fn figure_of(kind: &str) -> usize {
    FIGURES.iter().position(|name| *name == kind).unwrap_or_default()
}

/// Well, waiting and failing as one bar. What is there has at least one cell.
fn chart(total: u64, waiting: u64, failing: u64) -> CompactString {
    if total == 0 {
        return "·".repeat(WIDTH).into();
    }
    let share = |n: u64| match usize::try_from(u128::from(n) * WIDTH as u128 / u128::from(total)) {
        Ok(0) if n > 0 => 1,
        share => share.unwrap_or(WIDTH),
    };
    let (waiting, failing) = (share(waiting), share(failing));
    let well = WIDTH.saturating_sub(failing + waiting);
    format!("{}{}{}", "█".repeat(well), "▒".repeat(waiting), "░".repeat(failing)).into()
}

/// Who told it: the cluster, and the namespaces where several of them are counted apart.
type Teller = (Arc<str>, CompactString);

/// Adds up the rows of tallies.
pub struct Board {
    /// What a row is of, as far as its key says; empty where it is of several.
    of: Arc<str>,
    /// Those that have a column.
    clusters: Vec<Arc<str>>,
    told: HashMap<CompactString, BTreeMap<Teller, Told>>,
    /// Of each kind how many failed before, and of each figure what was taken.
    lately: HashMap<CompactString, Vec<u64>>,
    /// The clusters that do not tell what changes any more.
    old: HashSet<Arc<str>>,
}

impl Board {
    pub fn of_one(cluster: Arc<str>) -> Self {
        Self::new(cluster, Vec::new())
    }

    pub fn of_several(clusters: Vec<Arc<str>>) -> Self {
        Self::new("".into(), if clusters.len() > 1 { clusters } else { Vec::new() })
    }

    fn new(of: Arc<str>, clusters: Vec<Arc<str>>) -> Self {
        Self { of, clusters, told: HashMap::new(), lately: HashMap::new(), old: HashSet::new() }
    }

    pub fn columns(&self) -> Arc<[Column]> {
        let each = |cluster: &Arc<str>| Column::new(sanitize(cluster), ColumnKind::Status).rank(4);
        [
            Column::new("TOTAL", ColumnKind::Number).rank(1),
            Column::new("WELL", ColumnKind::Number).rank(1),
            Column::new("WAITING", ColumnKind::Number).rank(2),
            Column::new("FAILING", ColumnKind::Number).rank(1),
            Column::new("CHART", ColumnKind::Status).rank(0),
            Column::new("LATELY", ColumnKind::Status).rank(3),
        ]
        .into_iter()
        .chain(self.clusters.iter().map(each))
        .collect()
    }

    /// Takes rows and states of tallies; gives the rows that are others now.
    pub fn take(&mut self, delta: TableDelta) -> TableDelta {
        let mut kinds: HashSet<CompactString> = HashSet::new();
        for row in &delta.upserts {
            let teller = (row.key.cluster.clone(), row.key.namespace.clone());
            self.told.entry(row.key.name.clone()).or_default().insert(teller, Told::of(row));
            kinds.insert(row.key.name.clone());
        }
        if delta.sources.iter().filter(|source| self.hear(source)).count() > 0 {
            kinds.extend(self.told.keys().cloned());
        }
        let order = PULSES.iter().map(|(kind, _)| *kind).chain(FIGURES);
        let upserts = order.filter(|kind| kinds.contains(*kind)).map(|kind| Arc::new(self.row(kind)));
        TableDelta { upserts: upserts.collect(), sources: delta.sources, ..TableDelta::default() }
    }

    /// Whether that makes a cluster's counts old, or no longer old.
    fn hear(&mut self, source: &SourceState) -> bool {
        // A part's name is its cluster's, with its namespaces where there are several.
        let of = |cluster: &&Arc<str>| {
            let rest = source.cluster.strip_prefix(&***cluster);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let Some(cluster) = self.clusters.iter().find(of).cloned() else { return false };
        match source.phase {
            Phase::Reconnecting { .. } | Phase::Failed { .. } => self.old.insert(cluster),
            Phase::Connecting | Phase::Loading { .. } => false,
            Phase::Live | Phase::Polling { .. } => self.old.remove(&cluster),
        }
    }

    fn row(&mut self, kind: &str) -> Row {
        let told = self.told.get(kind);
        let whole = Told::sum(told.into_iter().flat_map(BTreeMap::values));
        if let Some(now) = whole.noted() {
            note(self.lately.entry(kind.into()).or_default(), now);
        }
        let lately = self.lately.get(kind).map(Vec::as_slice).unwrap_or_default();
        let mut cells = whole.cells(kind, lately).to_vec();
        for cluster in &self.clusters {
            let its = told.into_iter().flatten().filter(|((name, _), _)| name == cluster);
            let its = Told::sum(its.map(|(_, told)| told));
            cells.push(its.short(kind, self.old.contains(cluster)));
        }
        let key = RowKey::new(self.of.clone(), "", kind);
        Row { key, cells: cells.into(), tone: whole.tone(), uid: "".into() }
    }

    /// The counts as texts: of all, and of each cluster that has a column.
    pub fn texts(&mut self) -> Vec<Vec<String>> {
        let kinds = PULSES.iter().map(|(kind, _)| *kind);
        let known: Vec<&str> = kinds.filter(|kind| self.told.contains_key(*kind)).collect();
        let texts = |row: Row| {
            let (numbers, clusters) = (&row.cells[..4], &row.cells[6..]);
            let cells = numbers.iter().chain(clusters).map(|cell| cell.display(0).to_string());
            std::iter::once(row.key.name.to_string()).chain(cells).collect()
        };
        known.into_iter().map(|kind| texts(self.row(kind))).collect()
    }

    /// Who told nothing of a kind, and why: `pod`, or `pod of eu-1`.
    pub fn unknown(&self) -> Vec<[String; 2]> {
        let mut all = Vec::new();
        for (kind, tellers) in &self.told {
            for ((cluster, scope), told) in tellers {
                let Told::Nothing(why) = told else { continue };
                let place = if scope.is_empty() { cluster.to_string() } else { format!("{cluster}/{scope}") };
                let what = if self.of.is_empty() { format!("{kind} of {place}") } else { kind.to_string() };
                all.push([what, why.to_string()]);
            }
        }
        all.sort();
        all
    }

    /// A figure of all nodes that are measured, in words.
    pub fn figure(&self, i: usize) -> Option<String> {
        let told = self.told.get(FIGURES[i])?;
        match Told::sum(told.values()) {
            Told::Figure(figure) => Some(figure.words(i)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cluster: &str, kind: &str, cells: Vec<Cell>) -> TableDelta {
        let key = RowKey::new(cluster, "", kind);
        let row = Row { key, cells: cells.into(), tone: Tone::Normal, uid: "".into() };
        TableDelta { upserts: vec![Arc::new(row)], ..TableDelta::default() }
    }

    fn heard(cluster: &str, phase: Phase) -> TableDelta {
        TableDelta { sources: vec![SourceState::new(cluster.into(), phase)], ..TableDelta::default() }
    }

    fn texts(delta: &TableDelta) -> Vec<String> {
        delta.upserts.last().unwrap().cells.iter().map(|c| c.display(0).to_string()).collect()
    }

    fn numbers(all: &[i64]) -> Vec<Cell> {
        all.iter().map(|n| Cell::Number(*n)).collect()
    }

    #[test]
    fn counts_of_several_add_up_and_each_has_its_column() {
        let mut board = Board::of_several(["a", "b", "down"].map(Into::into).to_vec());
        let names: Vec<_> = board.columns().iter().map(|c| c.name.to_string()).collect();
        assert_eq!(names[6..], ["a", "b", "down"]);
        let first = board.take(told("a", "pod", vec![Cell::text("")]));
        assert_eq!(texts(&first)[..5], ["–", "–", "–", "–", "…"], "what nobody told is not 0");
        board.take(told("a", "pod", numbers(&[10, 1, 2])));
        let both = board.take(told("b", "pod", numbers(&[5, 0, 0])));
        assert_eq!(texts(&both)[..4], ["15", "12", "1", "2"]);
        assert_eq!(texts(&both)[6..], ["10 ✗2 …1", "5", "–"]);
        let phase = Phase::Reconnecting { reason: "reset".into(), next: String::new(), since: 0, attempt: 1 };
        let broken = board.take(heard("b", phase));
        assert_eq!(texts(&broken)[6..], ["10 ✗2 …1", "~5", "–"], "it says that it is old");
        assert!(board.take(heard("a", Phase::Live)).upserts.is_empty(), "nothing is another now");
        board.take(told("a", "cpu", numbers(&[500, 1000])));
        let cpu = board.take(told("b", "cpu", numbers(&[500, 3000])));
        assert_eq!(texts(&cpu)[6..], ["500m 50 %", "~500m 16 %", "–"]);
        assert_eq!(board.figure(0).as_deref(), Some("1000m of 4000m (25 %)"));
        assert_eq!(board.texts(), [["pod", "15", "12", "1", "2", "10 ✗2 …1", "~5", "–"]]);
        board.take(told("down", "pod", vec![Cell::text("forbidden")]));
        assert_eq!(board.unknown(), [["pod of down", "forbidden"]]);
    }

    #[test]
    fn one_of_many_is_seen_in_a_chart() {
        assert_eq!(chart(0, 0, 0), "·".repeat(30));
        assert_eq!(chart(1000, 0, 1).chars().filter(|c| *c == '░').count(), 1);
    }
}
