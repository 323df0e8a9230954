//! Which columns fit, how wide each is, and where it stands.

use compact_str::CompactString;
use unicode_width::UnicodeWidthStr;

use crate::rows::spec::ColumnSpec;
use crate::rows::{Align, Cell, Column, ColumnKind, Row, Source};

/// Cells between two columns.
const GAP: u16 = 2;
/// The widest that a column of text gets before others are left out for it.
const WIDEST: u16 = 60;
/// The narrowest that text is cut to; the name gets twice as much.
const NARROWEST: u16 = 10;
/// The narrowest that a status is cut to: `CrashLoopBackOff` is whole.
const NARROWEST_STATUS: u16 = 16;
/// Columns of this rank and below are kept, and made narrower, before they are left out.
const KEPT_RANK: u8 = 3;
/// Texts are counted by their width up to this one.
const COUNTED: usize = 512;

/// A column that could be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub source: Source,
    pub name: CompactString,
    pub align: Align,
    pub wide: bool,
    pub rank: u8,
    text: bool,
    status: bool,
    /// The widest text seen since the widths were [settled](Columns::settle).
    natural: u16,
    /// What the header takes.
    least: u16,
    /// How many of the rows' texts are so wide, by their width; the last stands for all that are wider.
    counts: Vec<u32>,
}

impl Candidate {
    fn count(&mut self, width: u16) {
        let at = usize::from(width).min(COUNTED);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.natural = self.natural.max(width);
    }

    fn uncount(&mut self, width: u16) {
        if let Some(count) = self.counts.get_mut(usize::from(width).min(COUNTED)) {
            *count = count.saturating_sub(1);
        }
        // Those at the end that are none any more are given up: the last is the widest there is.
        let used = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.truncate(used);
    }

    /// What the texts that are there need.
    fn needed(&self) -> u16 {
        match self.counts.len() {
            0 => self.least,
            // How wide the widest of these is was not kept.
            n if n > COUNTED => self.natural,
            n => self.least.max(u16::try_from(n - 1).unwrap_or(u16::MAX)),
        }
    }
}

/// A column with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Index among the candidates.
    pub index: usize,
    pub x: u16,
    pub width: u16,
}

/// Every column of a table with the widths seen. While everything fits widths only grow, so that nothing jumps as
/// rows come and go.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    candidates: Vec<Candidate>,
}

impl Columns {
    /// Cluster, namespace and name come from the key where no cell has them.
    pub fn new(columns: &[Column], cluster: bool, namespace: bool) -> Self {
        let has = |name: &str| columns.iter().any(|c| c.name == name);
        let key = |source, name: &str, rank| Candidate {
            source,
            name: name.into(),
            align: Align::Left,
            wide: false,
            rank,
            text: true,
            status: false,
            natural: name.len() as u16 + 1,
            least: name.len() as u16 + 1,
            counts: Vec::new(),
        };
        let mut candidates = Vec::with_capacity(columns.len() + 3);
        if cluster && !has("CLUSTER") {
            candidates.push(key(Source::Cluster, "CLUSTER", 1));
        }
        if namespace && !has("NAMESPACE") {
            candidates.push(key(Source::Namespace, "NAMESPACE", 1));
        }
        if !has("NAME") {
            candidates.push(key(Source::Name, "NAME", 0));
        }
        let known = columns.iter().enumerate().filter(|(_, column)| !column.hidden);
        candidates.extend(known.map(|(i, column)| {
            // The header, and a place for the sort's arrow.
            let least =
                (column.name.width() as u16 + 1).max(if column.kind == ColumnKind::Age { 5 } else { 0 });
            Candidate {
                source: Source::Cell(i),
                name: column.name.clone(),
                align: column.align(),
                wide: column.wide,
                rank: column.rank,
                text: column.kind == ColumnKind::Text,
                status: column.kind == ColumnKind::Status,
                natural: least,
                least,
                counts: Vec::new(),
            }
        }));
        Self { candidates }
    }

    /// The name as one of the wide columns.
    #[must_use]
    pub fn with_wide_name(mut self) -> Self {
        for candidate in self.candidates.iter_mut().filter(|c| c.source == Source::Name) {
            (candidate.wide, candidate.rank) = (true, 9);
        }
        self
    }

    /// The columns that a person has named, in that order and as they say; the others are wide only.
    #[must_use]
    pub fn arranged(self, specs: &[ColumnSpec]) -> Self {
        let mut rest = self.candidates;
        let mut candidates = Vec::with_capacity(rest.len());
        for (i, spec) in specs.iter().enumerate() {
            let Some(at) = rest.iter().position(|c| c.name.eq_ignore_ascii_case(&spec.name)) else {
                continue;
            };
            let mut candidate = rest.remove(at);
            if spec.hidden {
                continue;
            }
            candidate.wide = spec.wide;
            candidate.align = spec.align().unwrap_or(candidate.align);
            // What is named first stays longest on a narrow screen.
            candidate.rank = u8::try_from(i).unwrap_or(u8::MAX).min(8);
            candidates.push(candidate);
        }
        for mut candidate in rest {
            (candidate.wide, candidate.rank) = (true, 9);
            candidates.push(candidate);
        }
        Self { candidates }
    }

    pub fn all(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Makes room for a row's texts.
    pub fn grow(&mut self, row: &Row) {
        for candidate in &mut self.candidates {
            candidate.count(width_in(row, candidate.source));
        }
    }

    /// A row is there no more, or not as it was. Its room stays until it is wanted: see [`Columns::settle`].
    pub fn shed(&mut self, row: &Row) {
        for candidate in &mut self.candidates {
            candidate.uncount(width_in(row, candidate.source));
        }
    }

    /// Whether columns that stand like this lack room that others keep for texts which are there no more.
    pub fn are_loose(&self, placed: &[Placed], left_out: usize) -> bool {
        let is_cut = |p: &Placed| p.width < self.candidates[p.index].natural;
        (left_out > 0 || placed.iter().any(is_cut)) && self.candidates.iter().any(|c| c.needed() < c.natural)
    }

    /// Takes back the room that is needed no more.
    pub fn settle(&mut self) {
        for candidate in &mut self.candidates {
            candidate.natural = candidate.needed();
        }
    }

    fn name_index(&self) -> Option<usize> {
        self.candidates
            .iter()
            .position(|c| c.source == Source::Name && !c.wide)
            .or_else(|| self.candidates.iter().position(|c| c.name == "NAME"))
    }

    /// The columns that fit into `width`, and how many are left out. `wide` shows all that there
    /// are; `scroll` skips so many of the others, with the name kept first.
    pub fn place(&self, width: u16, wide: bool, scroll: usize) -> (Vec<Placed>, usize) {
        let name = self.name_index();
        let eligible: Vec<usize> =
            (0..self.candidates.len()).filter(|i| wide || !self.candidates[*i].wide).collect();
        let mut shown = eligible.clone();
        if scroll > 0 {
            let mut others: Vec<usize> = shown.iter().copied().filter(|i| Some(*i) != name).collect();
            others.drain(..scroll.min(others.len().saturating_sub(1)));
            shown = name.into_iter().chain(others).collect();
        }
        let mut widths: Vec<u16> = shown
            .iter()
            .map(|i| {
                let c = &self.candidates[*i];
                if c.text && Some(*i) != name { c.natural.min(WIDEST) } else { c.natural }
            })
            .collect();
        if scroll > 0 || wide {
            // Everything is there, and one scrolls: what does not fit is cut at the right.
            self.shrink(&shown, &mut widths, width, name);
        } else {
            self.leave_out(&mut shown, &mut widths, width, name);
        }
        self.stretch(&shown, &mut widths, width);
        let placed = pack(&shown, &widths, width);
        let hidden = eligible.len() - placed.len().min(eligible.len());
        (placed, hidden)
    }

    /// Leaves out the highest ranks until the rest fits; what matters most is made narrower first.
    fn leave_out(&self, shown: &mut Vec<usize>, widths: &mut Vec<u16>, width: u16, name: Option<usize>) {
        loop {
            if total(widths) <= width {
                return;
            }
            let worst = (0..shown.len())
                .filter(|at| Some(shown[*at]) != name)
                .max_by_key(|at| (self.candidates[shown[*at]].rank, *at));
            let Some(worst) = worst else { break };
            if self.candidates[shown[worst]].rank <= KEPT_RANK {
                self.shrink(shown, widths, width, name);
                if total(widths) <= width {
                    return;
                }
            }
            shown.remove(worst);
            widths.remove(worst);
        }
        self.shrink(shown, widths, width, name);
    }

    /// Takes from statuses whose longest word is rare, and then from the widest texts.
    fn shrink(&self, shown: &[usize], widths: &mut [u16], width: u16, name: Option<usize>) {
        let mut over = total(widths).saturating_sub(width);
        for (index, column) in shown.iter().zip(widths.iter_mut()) {
            if self.candidates[*index].status {
                let less = over.min(column.saturating_sub(NARROWEST_STATUS));
                *column -= less;
                over -= less;
            }
        }
        while over > 0 {
            let least = |at: usize| if Some(shown[at]) == name { 2 * NARROWEST } else { NARROWEST };
            let widest = (0..shown.len())
                .filter(|at| self.candidates[shown[*at]].text && widths[*at] > least(*at))
                .max_by_key(|at| widths[*at] - least(*at));
            let Some(at) = widest else { return };
            widths[at] -= 1;
            over -= 1;
        }
    }

    /// Gives room that is left over to texts that were cut, the longest first.
    fn stretch(&self, shown: &[usize], widths: &mut [u16], width: u16) {
        let mut spare = width.saturating_sub(total(widths));
        while spare > 0 {
            let lacks = |at: usize| self.candidates[shown[at]].natural.saturating_sub(widths[at]);
            let most = (0..shown.len()).max_by_key(|at| (lacks(*at), std::cmp::Reverse(*at)));
            let Some(at) = most.filter(|at| lacks(*at) > 0) else { return };
            let more = lacks(at).min(spare);
            widths[at] += more;
            spare -= more;
        }
    }
}

fn total(widths: &[u16]) -> u16 {
    widths.iter().sum::<u16>() + GAP * (widths.len().saturating_sub(1) as u16)
}

/// Places columns from the left; room that is left over widens the gaps a little.
fn pack(shown: &[usize], widths: &[u16], width: u16) -> Vec<Placed> {
    let spare = width.saturating_sub(total(widths));
    let gaps = shown.len().saturating_sub(1).max(1) as u16;
    let gap = GAP + (spare / gaps).min(4);
    let mut placed = Vec::with_capacity(shown.len());
    let mut x = 0;
    for (index, column) in shown.iter().zip(widths) {
        if x >= width {
            break;
        }
        placed.push(Placed { index: *index, x, width: (*column).min(width - x) });
        x += column + gap;
    }
    placed
}

fn width_in(row: &Row, source: Source) -> u16 {
    match source {
        Source::Cluster => text_width(&row.key.cluster),
        Source::Namespace => text_width(&row.key.namespace),
        Source::Name => text_width(&row.key.name),
        Source::Cell(i) => row.cells.get(i).map_or(1, cell_width),
    }
}

fn text_width(text: &str) -> u16 {
    let width = if text.is_ascii() { text.len() } else { text.width() };
    u16::try_from(width).unwrap_or(u16::MAX / 4).min(u16::MAX / 4)
}

/// How wide a cell's text is, without making it. Ages are given the width of the longest.
fn cell_width(cell: &Cell) -> u16 {
    match cell {
        Cell::Unknown => 1,
        Cell::Text(t) | Cell::Status(t, _) => text_width(t),
        Cell::Number(n) => digits(*n),
        Cell::Time(_) => 5,
        Cell::Cpu(n) => digits(*n) + 1,
        Cell::Memory(n) => {
            if *n < 1 << 20 {
                digits(n >> 10) + 2
            } else {
                digits(n >> 20) + 2
            }
        }
        Cell::Percent(n) => digits(n / 100),
        Cell::Ratio(a, b) => digits(i64::from(*a)) + 1 + digits(i64::from(*b)),
    }
}

fn digits(n: i64) -> u16 {
    let sign = u16::from(n < 0);
    sign + n.unsigned_abs().checked_ilog10().map_or(1, |log| log as u16 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let list = [
            Column::new("READY", ColumnKind::Ratio).rank(1),
            Column::new("STATUS", ColumnKind::Status).rank(0),
            Column::new("RESTARTS", ColumnKind::Number).rank(2),
            Column::new("IP", ColumnKind::Text).rank(7),
            Column::new("NODE", ColumnKind::Text).rank(6),
            Column::new("QOS", ColumnKind::Text).rank(9).wide(),
            Column::new("AGE", ColumnKind::Age).rank(3),
        ];
        let mut columns = Columns::new(&list, false, true);
        for candidate in &mut columns.candidates {
            if candidate.text {
                candidate.natural = candidate.natural.max(24);
            }
        }
        columns
    }

    fn shown(width: u16, wide: bool, scroll: usize) -> Vec<String> {
        let columns = columns();
        let (placed, _) = columns.place(width, wide, scroll);
        for pair in placed.windows(2) {
            assert!(pair[0].x + pair[0].width < pair[1].x);
        }
        assert!(placed.iter().all(|p| p.x + p.width <= width));
        placed.iter().map(|p| columns.candidates[p.index].name.to_string()).collect()
    }

    #[test]
    fn what_matters_least_goes_first() {
        assert_eq!(
            shown(200, false, 0),
            ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "IP", "NODE", "AGE"]
        );
        assert_eq!(shown(112, false, 0), ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "NODE", "AGE"]);
        assert_eq!(shown(78, false, 0), ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        assert_eq!(shown(24, false, 0), ["NAME"]);
    }

    #[test]
    fn scrolling_keeps_the_name() {
        assert_eq!(shown(78, false, 4)[..2], ["NAME", "IP"]);
        assert_eq!(shown(78, true, 99), ["NAME", "AGE"]);
    }

    #[test]
    fn a_cell_is_as_wide_as_its_text() {
        for cell in [
            Cell::Number(-10),
            Cell::Number(0),
            Cell::Cpu(1000),
            Cell::Memory(5000),
            Cell::Memory(5 << 20),
            Cell::Percent(12_345),
            Cell::Ratio(1, 12),
            Cell::text("日本"),
        ] {
            assert_eq!(usize::from(cell_width(&cell)), cell.display(0).width(), "{cell:?}");
        }
    }
}
