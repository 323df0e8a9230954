//! The table that panes show: rows kept by deltas, of which only the visible ones are drawn.
//!
//! The cursor is a row's key: it follows its object wherever sorting puts it, and so does the
//! scroll position. While keys arrive nothing moves: changes of the order wait until the hand rests.

mod columns;
mod draw;
mod moves;

use std::collections::HashSet;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;

pub use columns::{Candidate, Columns, Placed};
pub use draw::{Paint, Pointed};

use crate::rows::filter::{Filter, Shape};
use crate::rows::spec::ColumnSpec;
use crate::rows::view::Rebuilt;
use crate::rows::{Column, ColumnKind, Plan, Row, RowKey, Sort, Source, Table, TableDelta, View};
use crate::tui::effect::{Cx, Ticket};
use std::sync::Arc;

/// How long after a key the order is kept still.
const HOLD: Duration = Duration::from_millis(300);
/// Sorting that takes longer is said in the title.
const WORKING_IS_WORTH_SAYING: Duration = Duration::from_millis(500);

/// A table on the screen.
#[derive(Default)]
pub struct Grid {
    table: Table,
    view: View,
    columns: Columns,
    show_cluster: bool,
    show_namespace: bool,
    /// The name says nothing to a person, so that it stands among the wide columns.
    nameless: bool,
    /// What stands above the names, where they are something else.
    heading: Option<&'static str>,
    /// The columns as a person wants them; none is as they come.
    arrangement: Vec<ColumnSpec>,
    sort: Sort,
    /// The sort by its column's name, for columns that are not known yet.
    sort_name: Option<(CompactString, bool)>,
    /// The column that `Shift-←` and `→` have chosen.
    sort_choice: Option<usize>,
    filter: String,
    faults: bool,
    wide: bool,
    /// Columns scrolled away at the left.
    scroll: usize,
    placed: Vec<Placed>,
    hidden_columns: usize,
    /// The columns could stand better, once the hand rests.
    loose: bool,
    /// `None` until the hand moved: then the first row is the current one, whichever it is.
    cursor: Option<RowKey>,
    /// Where the cursor was last.
    position: usize,
    top: usize,
    height: usize,
    marks: HashSet<RowKey>,
    anchor: Option<RowKey>,
    still_until: Option<Timestamp>,
    job: Option<(Ticket, Timestamp)>,
}

impl Grid {
    pub fn new(show_cluster: bool, show_namespace: bool) -> Self {
        let by = match (show_cluster, show_namespace) {
            (true, _) => Source::Cluster,
            (_, true) => Source::Namespace,
            _ => Source::Name,
        };
        let mut grid = Self {
            show_cluster,
            show_namespace,
            sort: Sort { by, descending: false },
            columns: Columns::new(&[], show_cluster, show_namespace),
            ..Self::default()
        };
        grid.view.replan(grid.plan(Filter::default()));
        grid
    }

    /// Shows the name among the wide columns only: those of events are made of digits.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.nameless = true;
        self.columns = self.columns_of(&[]);
        self
    }

    /// Heads the names with another word: those of the audit log are numbers.
    #[must_use]
    pub fn headed(mut self, heading: &'static str) -> Self {
        self.heading = Some(heading);
        self
    }

    /// Whether it has such a column to sort by; as long as none is known, it may have.
    pub fn may_sort_by(&self, name: &str) -> bool {
        self.table.columns().is_empty()
            || self.columns.all().iter().any(|column| column.name.eq_ignore_ascii_case(name))
    }

    fn columns_of(&self, columns: &[Column]) -> Columns {
        let columns = Columns::new(columns, self.show_cluster, self.show_namespace);
        match (self.arrangement.as_slice(), self.nameless) {
            ([], true) => columns.with_wide_name(),
            ([], false) => columns,
            (specs, _) => columns.arranged(specs),
        }
    }

    /// The table has other columns: where the old ones stood on the screen means nothing any more.
    fn take_columns(&mut self) {
        self.columns = self.columns_of(self.table.columns());
        self.placed.clear();
        self.sort_choice = None;
    }

    /// Shows these columns, in this order, and the others in the wide layout only.
    pub fn arrange(&mut self, specs: Vec<ColumnSpec>, cx: &mut Cx<'_>) {
        if self.arrangement == specs {
            return;
        }
        self.arrangement = specs;
        self.take_columns();
        for (_, row) in self.table.slots().iter() {
            self.columns.grow(row);
        }
        self.replan(cx);
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// How many rows are shown.
    pub fn shown(&self) -> usize {
        self.view.len()
    }

    pub fn total(&self) -> usize {
        self.table.len()
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    pub fn faults_only(&self) -> bool {
        self.faults
    }

    pub fn is_wide(&self) -> bool {
        self.wide
    }

    pub fn hidden_columns(&self) -> usize {
        self.hidden_columns
    }

    pub fn marks(&self) -> &HashSet<RowKey> {
        &self.marks
    }

    /// Whether sorting or filtering takes so long that the operator should know.
    pub fn is_working(&self, now: Timestamp) -> bool {
        self.job
            .as_ref()
            .is_some_and(|(_, since)| now.duration_since(*since).unsigned_abs() > WORKING_IS_WORTH_SAYING)
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&Arc<Row>> {
        self.view.row(&self.table, self.position()).map(|(row, _)| row)
    }

    /// The marked rows that are still there, or the one under the cursor.
    pub fn chosen(&self) -> Vec<RowKey> {
        let mut marked: Vec<RowKey> =
            self.marks.iter().filter(|key| self.table.find(key).is_some()).cloned().collect();
        if marked.is_empty() {
            return self.selected().map(|row| row.key.clone()).into_iter().collect();
        }
        marked.sort_by(crate::rows::order::compare_keys);
        marked
    }

    /// How many marked rows are no longer there.
    pub fn gone_marks(&self) -> usize {
        self.marks.iter().filter(|key| self.table.find(key).is_none()).count()
    }

    /// The text of a row's column, by the column's name.
    pub fn cell_text(&self, row: &Row, column: &str, now: Timestamp) -> Option<CompactString> {
        let source = Source::named(self.table.columns(), column)?;
        Some(text_of(row, source, now.as_second()))
    }

    /// Every column of the row under the cursor by its name, those too that have no place on the screen.
    pub fn cells(&self, now: Timestamp) -> Vec<(String, String)> {
        let Some(row) = self.selected() else { return Vec::new() };
        let key = [("CLUSTER", Source::Cluster), ("NAMESPACE", Source::Namespace), ("NAME", Source::Name)];
        let key = key.into_iter().map(|(name, source)| (name.to_owned(), source));
        let cells =
            self.table.columns().iter().enumerate().map(|(i, c)| (c.name.to_string(), Source::Cell(i)));
        key.chain(cells)
            .map(|(name, source)| (name, text_of(row, source, now.as_second()).to_string()))
            .collect()
    }

    /// The names of the columns shown.
    pub fn column_names(&self) -> Vec<String> {
        self.placed.iter().map(|p| self.columns.all()[p.index].name.to_string()).collect()
    }

    /// Every row shown with its visible columns, the header first, as CSV (RFC 4180).
    pub fn csv(&self, now: Timestamp) -> String {
        let shape = self.shape();
        let names: Vec<_> = self
            .columns
            .all()
            .iter()
            .filter(|c| shape.sources.contains(&c.source))
            .map(|c| c.name.to_string())
            .collect();
        let mut out = String::new();
        let line = |fields: &mut dyn Iterator<Item = String>, out: &mut String| {
            for (i, field) in fields.enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if field.contains([',', '"', '\n', '\r']) {
                    out.push('"');
                    out.push_str(&field.replace('"', "\"\""));
                    out.push('"');
                } else {
                    out.push_str(&field);
                }
            }
            out.push_str("\r\n");
        };
        line(&mut names.into_iter(), &mut out);
        for position in 0..self.view.len() {
            if let Some((row, _)) = self.view.row(&self.table, position) {
                let mut fields = shape.sources.iter().map(|s| text_of(row, *s, now.as_second()).to_string());
                line(&mut fields, &mut out);
            }
        }
        out
    }

    fn shape(&self) -> Shape {
        let visible = |c: &&Candidate| self.wide || !c.wide;
        Shape { sources: self.columns.all().iter().filter(visible).map(|c| c.source).collect() }
    }

    fn plan(&self, filter: Filter) -> Plan {
        Plan { filter: filter.faults(self.faults), shape: self.shape(), sort: self.sort }
    }

    /// Takes in what a watch says. With an `origin`, a reset forgets that cluster's rows only.
    pub fn apply(&mut self, delta: TableDelta, origin: Option<&str>, cx: &mut Cx<'_>) {
        let changes = self.table.apply(delta, origin);
        if changes.columns {
            self.take_columns();
            for (_, row) in self.table.slots().iter() {
                self.columns.grow(row);
            }
            if let Some((name, descending)) = self.sort_name.clone() {
                self.choose_sort(&name, Some(descending));
            }
            self.view.outdated();
            self.replan(cx);
            return;
        }
        changes.came.iter().for_each(|row| self.columns.grow(row));
        changes.went.iter().for_each(|row| self.columns.shed(row));
        if changes.slots.is_empty() {
            return;
        }
        if self.is_still(cx.now) && !self.view.is_empty() {
            self.view.defer(&changes.slots);
        } else {
            self.view.update(&self.table, &changes.slots, cx.now.as_second());
            self.catch_up(cx);
        }
    }

    /// Forgets everything, as before a new watch of other objects.
    pub fn clear(&mut self, cx: &mut Cx<'_>) {
        self.table = Table::default();
        self.marks.clear();
        self.anchor = None;
        self.cursor = None;
        (self.position, self.top) = (0, 0);
        self.view = View::default();
        self.replan(cx);
    }

    fn is_still(&self, now: Timestamp) -> bool {
        self.still_until.is_some_and(|until| now < until)
    }

    /// A key was pressed: nothing moves for a moment.
    pub fn touched(&mut self, now: Timestamp) {
        self.still_until = now.checked_add(HOLD).ok();
    }

    fn replan(&mut self, cx: &mut Cx<'_>) {
        let filter = Filter::parse(&self.filter, self.table.columns()).unwrap_or_default().filter;
        self.view.replan(self.plan(filter));
        if View::is_small(&self.table) {
            self.job = None;
            self.view.refresh(&self.table, cx.now.as_second());
            self.catch_up(cx);
        } else {
            self.begin(cx);
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>) {
        let rebuild = self.view.begin(&self.table, cx.now.as_second());
        if let Some((old, _)) = self.job.take() {
            cx.cancel(old);
        }
        self.job = Some((cx.job(move || rebuild.run()), cx.now));
    }

    fn catch_up(&mut self, cx: &mut Cx<'_>) {
        if self.view.wants_rebuild() {
            if View::is_small(&self.table) {
                self.view.refresh(&self.table, cx.now.as_second());
            } else {
                self.begin(cx);
            }
        }
    }

    /// Takes the result of sorting on a thread. False if it was not asked for here.
    pub fn receive(&mut self, ticket: Ticket, value: Box<dyn std::any::Any + Send>, cx: &mut Cx<'_>) -> bool {
        if self.job.as_ref().is_none_or(|(job, _)| *job != ticket) {
            return false;
        }
        self.job = None;
        if let Ok(rebuilt) = value.downcast::<Rebuilt>() {
            self.view.finish(*rebuilt, &self.table, cx.now.as_second());
            self.catch_up(cx);
        }
        true
    }

    /// Shows what matches `text`; gives the labels that the server must select by, if it names any. What cannot be
    /// understood changes nothing.
    pub fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> Result<Option<String>, String> {
        let parsed = Filter::parse(text, self.table.columns())?;
        let local = if parsed.labels.is_some() && parsed.filter.is_all() { "" } else { text };
        if self.filter != local {
            local.clone_into(&mut self.filter);
            self.replan(cx);
        }
        Ok(parsed.labels)
    }

    pub fn toggle_faults(&mut self, cx: &mut Cx<'_>) {
        self.faults = !self.faults;
        self.replan(cx);
    }

    pub fn toggle_wide(&mut self, cx: &mut Cx<'_>) {
        self.wide = !self.wide;
        self.scroll = 0;
        self.replan(cx);
    }

    /// Sorts by the column of this name; again, the other way round.
    pub fn sort_by(&mut self, name: &str, descending: Option<bool>, cx: &mut Cx<'_>) -> bool {
        let found = self.choose_sort(name, descending);
        if found {
            self.replan(cx);
        }
        found
    }

    /// The order before anyone has chosen one. Its column may be known later only.
    pub fn sort_at_first(&mut self, name: &str, descending: bool) {
        if !self.choose_sort(name, Some(descending)) {
            self.sort_name = Some((name.into(), descending));
        }
    }

    /// The column that somebody has had it sorted by, and whether downwards.
    pub fn sorted_by(&self) -> Option<(&str, bool)> {
        self.sort_name.as_ref().map(|(name, descending)| (name.as_str(), *descending))
    }

    fn choose_sort(&mut self, name: &str, descending: Option<bool>) -> bool {
        let Some(source) = Source::named(self.table.columns(), name) else { return false };
        let column = if let Source::Cell(i) = source { self.table.columns().get(i) } else { None };
        if column.is_some_and(|c| c.hidden) {
            return false;
        }
        // Of what is taken the most comes first, as in k9s.
        let is_amount =
            |c: &Column| matches!(c.kind, ColumnKind::Cpu | ColumnKind::Memory | ColumnKind::Percent);
        let turned =
            if self.sort.by == source { !self.sort.descending } else { column.is_some_and(is_amount) };
        self.sort = Sort { by: source, descending: descending.unwrap_or(turned) };
        self.sort_name = Some((name.into(), self.sort.descending));
        true
    }

    /// The time that [`Grid::wake`] named has come. So much may have waited for a still hand that the order is made anew,
    /// though no change comes any more.
    pub fn woken(&mut self, cx: &mut Cx<'_>) {
        self.settle(cx.now);
        self.catch_up(cx);
    }

    /// Puts in what waited for a still hand.
    fn settle(&mut self, now: Timestamp) {
        if !self.is_still(now) && self.view.has_deferred() {
            self.view.settle(&self.table, now.as_second());
        }
    }

    /// When the text of a visible age changes, or what waits for a still hand may move.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.view.wants_rebuild() {
            return Some(now);
        }
        let settle = if self.view.has_deferred() || self.loose { self.still_until } else { None };
        let ages: Vec<usize> = self
            .placed
            .iter()
            .filter_map(|p| match self.columns.all()[p.index].source {
                Source::Cell(i) => Some(i),
                _ => None,
            })
            .collect();
        let second = now.as_second();
        let change = (self.top..self.top + self.height)
            .filter_map(|position| self.view.row(&self.table, position))
            .flat_map(|(row, _)| ages.iter().filter_map(|i| row.cells.get(*i)))
            .filter_map(|cell| match cell {
                // Where seconds stand beside minutes they are not worth a frame each.
                crate::rows::Cell::Time(t) => {
                    let least = if second - t < 120 { 1 } else { 10 };
                    Some(crate::rows::cell::age_changes_in(second - t).max(least))
                }
                _ => None,
            })
            .min()
            .and_then(|seconds| Timestamp::from_second(second + seconds).ok());
        settle.into_iter().chain(change).min()
    }
}

/// The text of a cell or of a part of the key.
pub fn text_of(row: &Row, source: Source, now: i64) -> CompactString {
    match source {
        Source::Cluster => CompactString::new(&row.key.cluster),
        Source::Namespace => row.key.namespace.clone(),
        Source::Name => row.key.name.clone(),
        Source::Cell(i) => row.cells.get(i).map_or_else(|| "–".into(), |cell| cell.display(now)),
    }
}
