//! The cursor, scrolling, marks and the keys for them.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::layout::Rect;

use super::{Grid, text_of};
use crate::rows::RowKey;
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Flash};
use crate::tui::pane::Handled;

/// Lines that one notch of the wheel moves.
const WHEEL: isize = 3;

impl Grid {
    /// Where the cursor is: its object's place, or, when that is gone, the line where it was.
    pub fn position(&self) -> usize {
        let last = self.view.len().saturating_sub(1);
        let Some(key) = &self.cursor else { return 0 };
        let found = self.table.find(key).and_then(|slot| self.view.position(slot));
        found.unwrap_or(self.position).min(last)
    }

    fn key_at(&self, position: usize) -> Option<RowKey> {
        self.view.row(&self.table, position).map(|(row, _)| row.key.clone())
    }

    fn go_to(&mut self, position: usize) {
        let position = position.min(self.view.len().saturating_sub(1));
        self.position = position;
        self.cursor = self.key_at(position);
        self.show(position);
    }

    /// Scrolls as little as is needed.
    fn show(&mut self, position: usize) {
        if position < self.top {
            self.top = position;
        } else if self.height > 0 && position >= self.top + self.height {
            self.top = position + 1 - self.height;
        }
    }

    fn step(&mut self, by: isize) {
        let position = self.position();
        self.show(position);
        self.go_to(position.saturating_add_signed(by));
    }

    /// Puts the cursor on an object, if it is shown.
    pub fn select(&mut self, key: &RowKey) -> bool {
        match self.table.find(key).and_then(|slot| self.view.position(slot)) {
            Some(position) => {
                self.go_to(position);
                true
            }
            None => false,
        }
    }

    /// Fits columns and scrolling to the area. The cursor's object stays on its line of the screen.
    pub fn layout(&mut self, area: Rect, now: Timestamp) {
        self.settle(now);
        self.height = usize::from(area.height.saturating_sub(1));
        (self.placed, self.hidden_columns) = self.columns.place(area.width, self.wide, self.scroll);
        self.loose = self.columns.are_loose(&self.placed, self.hidden_columns);
        if self.loose && !self.is_still(now) {
            self.loose = false;
            self.columns.settle();
            (self.placed, self.hidden_columns) = self.columns.place(area.width, self.wide, self.scroll);
        }
        let line = self.position.saturating_sub(self.top);
        let position = self.position();
        if position != self.position {
            self.top = position.saturating_sub(line);
        }
        self.position = position;
        // The object went, and another stands where it was.
        if self.cursor.as_ref().is_some_and(|key| self.table.find(key).is_none()) && !self.view.is_empty() {
            self.cursor = self.key_at(position);
        }
        self.top = self.top.min(self.view.len().saturating_sub(self.height));
        self.show(position);
    }

    /// The actions of every table.
    pub fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled {
        let page = self.height.max(2) as isize - 1;
        match action.name {
            "up" => self.step(-1),
            "down" => self.step(1),
            "page_up" => self.step(-page),
            "page_down" => self.step(page),
            "half_up" => self.step(-page / 2),
            "half_down" => self.step(page / 2),
            "top" => {
                self.go_to(0);
            }
            "bottom" => self.go_to(usize::MAX),
            "left" => self.scroll = self.scroll.saturating_sub(1),
            "right" => {
                if self.hidden_columns > 0 || self.scroll > 0 {
                    self.scroll = (self.scroll + 1).min(self.columns.all().len().saturating_sub(2));
                }
            }
            "wide" => self.toggle_wide(cx),
            "faults" => self.toggle_faults(cx),
            "mark" => self.mark(),
            "mark_range" => self.mark_range(),
            "mark_clear" => {
                self.marks.clear();
                self.anchor = None;
            }
            "sort" => {
                if !self.sort_by(&action.words, None, cx) {
                    cx.flash(Flash::warning(format!("there is no column {} here", action.words)));
                }
            }
            "sort_left" => self.choose_column(-1),
            "sort_right" => self.choose_column(1),
            "sort_selected" => {
                let name = self.sort_choice.and_then(|i| self.columns.all().get(i)).map(|c| c.name.clone());
                if let Some(name) = name {
                    self.sort_by(&name, None, cx);
                }
            }
            "copy_cell" => self.copy_cell(cx),
            "copy" | "copy_namespace" => self.copy(action.name == "copy_namespace", cx),
            _ => return Handled::No,
        }
        if !matches!(action.name, "faults" | "sort" | "sort_selected" | "wide") {
            self.touched(cx.now);
        }
        Handled::Yes
    }

    fn copy(&self, namespace: bool, cx: &mut Cx<'_>) {
        let texts: Vec<String> = self
            .chosen()
            .into_iter()
            .map(|key| if namespace { key.namespace.to_string() } else { key.name.to_string() })
            .filter(|text| !text.is_empty())
            .collect();
        if texts.is_empty() {
            cx.flash(Flash::warning("there is nothing to copy"));
            return;
        }
        let what = if texts.len() == 1 { texts[0].clone() } else { format!("{} names", texts.len()) };
        cx.copy(texts.join("\n"));
        cx.flash(Flash::info(format!("copied {what}")));
    }

    /// The whole text of the chosen column, or else of the one that is sorted by: of the marked rows, each on its line.
    fn copy_cell(&self, cx: &mut Cx<'_>) {
        let sorted = || self.columns.all().iter().position(|c| c.source == self.sort.by);
        let column = self.sort_choice.or_else(sorted).and_then(|at| self.columns.all().get(at));
        let Some(column) = column else { return cx.flash(Flash::warning("there is nothing to copy")) };
        let rows = self.chosen();
        let rows = rows.iter().filter_map(|key| self.table.get(self.table.find(key)?));
        let texts: Vec<String> =
            rows.map(|row| text_of(row, column.source, cx.now.as_second()).to_string()).collect();
        let what = match texts.as_slice() {
            [] => return cx.flash(Flash::warning("there is nothing to copy")),
            [one] => format!("{}: {one}", column.name),
            several => format!("{} of {} rows", column.name, several.len()),
        };
        cx.copy(texts.join("\n"));
        cx.flash(
            Flash::info(format!("copied {what}")).next("Shift-Left and Shift-Right choose another column."),
        );
    }

    fn choose_column(&mut self, by: isize) {
        if self.placed.is_empty() {
            return;
        }
        let here =
            self.sort_choice.or_else(|| self.columns.all().iter().position(|c| c.source == self.sort.by));
        let at = here.and_then(|i| self.placed.iter().position(|p| p.index == i)).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(self.placed.len() - 1);
        self.sort_choice = Some(self.placed[next].index);
    }

    fn mark(&mut self) {
        let Some(key) = self.selected().map(|row| row.key.clone()) else { return };
        if !self.marks.remove(&key) {
            self.marks.insert(key.clone());
        }
        self.anchor = Some(key);
        self.step(1);
    }

    /// From the last mark to the cursor.
    fn mark_range(&mut self) {
        let here = self.position();
        let from = self
            .anchor
            .as_ref()
            .and_then(|key| self.table.find(key))
            .and_then(|slot| self.view.position(slot))
            .unwrap_or(here);
        for position in from.min(here)..=from.max(here) {
            if let Some(key) = self.key_at(position) {
                self.marks.insert(key);
            }
        }
        self.anchor = self.key_at(here);
    }

    /// Click selects, a second click on the same line enters, the wheel scrolls, the header sorts.
    /// `Some(true)` asks to enter.
    pub fn mouse(&mut self, event: MouseEvent, area: Rect, cx: &mut Cx<'_>) -> Option<bool> {
        match event.kind {
            MouseEventKind::ScrollDown => self.step(WHEEL),
            MouseEventKind::ScrollUp => self.step(-WHEEL),
            MouseEventKind::Down(MouseButton::Left) if event.row == area.y => {
                let x = event.column.saturating_sub(area.x);
                let hit = self.placed.iter().find(|p| (p.x..=p.x + p.width).contains(&x))?;
                let name = self.columns.all()[hit.index].name.clone();
                self.sort_by(&name, None, cx);
            }
            MouseEventKind::Down(MouseButton::Left) => {
                let position = self.top + usize::from(event.row.checked_sub(area.y + 1)?);
                if position >= self.view.len() {
                    return Some(false);
                }
                let again = self.cursor.is_some()
                    && position == self.position()
                    && self.still_until.is_some_and(|until| cx.now < until);
                self.go_to(position);
                if event.modifiers.contains(KeyModifiers::CONTROL) {
                    self.mark();
                }
                self.touched(cx.now);
                return Some(again);
            }
            _ => return None,
        }
        self.touched(cx.now);
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::HOLD;
    use super::*;
    use crate::rows::spec::ColumnSpec;
    use crate::rows::{Cell, Column, ColumnKind, Row, TableDelta, Tone};
    use crate::tui::panes::testing::Stage;

    fn grid(stage: &mut Stage, area: Rect) -> Grid {
        let mut grid = Grid::new(false, false);
        let row = |i: i64| {
            Arc::new(Row {
                key: RowKey::new("", "", format!("row-{i}")),
                cells: [Cell::Number(100 - i), Cell::text("x")].into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        };
        let columns = [Column::new("COUNT", ColumnKind::Number), Column::new("WORD", ColumnKind::Text)];
        let delta = TableDelta {
            columns: Some(columns.into()),
            upserts: (0..40).map(row).collect(),
            ..TableDelta::default()
        };
        stage.with(|cx| grid.apply(delta, None, cx));
        grid.layout(area, stage.now);
        grid
    }

    #[test]
    fn the_mouse_selects_enters_scrolls_and_sorts() {
        let area = Rect::new(2, 3, 40, 11);
        let mut stage = Stage::new(vec![]);
        let mut grid = grid(&mut stage, area);
        let mut mouse = |grid: &mut Grid, kind, column, row| {
            let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
            let taken = stage.with(|cx| grid.mouse(event, area, cx));
            grid.layout(area, stage.now);
            taken
        };
        let click = MouseEventKind::Down(MouseButton::Left);
        let name = |grid: &Grid| grid.selected().unwrap().key.name.to_string();
        assert_eq!(mouse(&mut grid, click, 5, 7), Some(false));
        assert_eq!(name(&grid), "row-3");
        assert_eq!(mouse(&mut grid, click, 5, 7), Some(true), "the second click enters");
        mouse(&mut grid, MouseEventKind::ScrollDown, 5, 7);
        assert_eq!(name(&grid), "row-6");
        let count = grid.placed.iter().find(|p| grid.columns.all()[p.index].name == "COUNT").unwrap().x;
        mouse(&mut grid, click, area.x + count, 3);
        let first = grid.key_at(0).unwrap().name.to_string();
        assert_eq!(first, "row-39", "by the count, the smallest first");
        assert_eq!(mouse(&mut grid, MouseEventKind::Moved, 5, 7), None);
    }

    #[test]
    fn fewer_columns_than_are_drawn_harm_nothing() {
        let area = Rect::new(0, 0, 60, 10);
        let mut stage = Stage::new(vec![]);
        let mut grid = grid(&mut stage, area);
        assert_eq!(grid.column_names(), ["NAME", "COUNT", "WORD"]);
        let fewer: Arc<[Column]> = [Column::new("WORD", ColumnKind::Text)].into();
        let delta = TableDelta { reset: true, columns: Some(fewer), ..TableDelta::default() };
        stage.with(|cx| grid.apply(delta, None, cx));
        assert!(grid.wake(stage.now).is_none() && grid.column_names().is_empty(), "nothing is placed yet");
        grid.layout(area, stage.now);
        assert_eq!(grid.column_names(), ["NAME", "WORD"]);
    }

    #[test]
    fn what_waited_for_a_still_hand_moves_in_the_end_however_much_it_is() {
        let area = Rect::new(0, 0, 60, 10);
        let mut stage = Stage::new(vec![]);
        let mut grid = grid(&mut stage, area);
        let row = |name: String| {
            Arc::new(Row {
                key: RowKey::new("", "", name),
                cells: [Cell::Number(1), Cell::text("x")].into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        };
        for part in [0..3_000, 3_000..6_000] {
            let upserts = part.map(|i| row(format!("young-{i}"))).collect();
            stage.with(|cx| grid.apply(TableDelta { upserts, ..TableDelta::default() }, None, cx));
        }
        assert_eq!(grid.shown(), 6_040);
        // All of them go while a key is held, and then nothing comes any more.
        grid.touched(stage.now);
        let removed = (0..6_000).map(|i| RowKey::new("", "", format!("young-{i}"))).collect();
        stage.with(|cx| grid.apply(TableDelta { removed, ..TableDelta::default() }, None, cx));
        assert_eq!(grid.shown(), 6_040);
        stage.now += HOLD * 2;
        grid.layout(area, stage.now);
        assert_eq!(grid.wake(stage.now), Some(stage.now));
        stage.with(|cx| grid.woken(cx));
        assert_eq!(grid.shown(), 40);
        assert!(grid.wake(stage.now).is_none_or(|at| at > stage.now));
    }

    #[test]
    fn a_column_comes_back_once_the_long_text_that_took_its_room_is_gone() {
        let area = Rect::new(0, 0, 40, 10);
        let mut stage = Stage::new(vec![]);
        let mut grid = Grid::new(false, false);
        let row = |name: &str, status: &str| {
            Arc::new(Row {
                key: RowKey::new("", "", name),
                cells: [Cell::status(status, Tone::Normal), Cell::text("v1.36.3")].into(),
                tone: Tone::Normal,
                uid: "".into(),
            })
        };
        let columns = [
            Column::new("STATUS", ColumnKind::Status).rank(0),
            Column::new("VERSION", ColumnKind::Text).rank(5),
        ];
        let told = |grid: &mut Grid, stage: &mut Stage, delta: TableDelta| {
            stage.with(|cx| grid.apply(delta, None, cx));
            grid.layout(area, stage.now);
            grid.column_names().join(" ")
        };
        let upserts = |rows: Vec<Arc<Row>>| TableDelta { upserts: rows, ..TableDelta::default() };
        let first = TableDelta {
            columns: Some(columns.into()),
            ..upserts(vec![row("worker-one", "Ready"), row("worker-two", "Ready")])
        };
        assert_eq!(told(&mut grid, &mut stage, first), "NAME STATUS VERSION");
        let cordoned = || upserts(vec![row("worker-one", "Ready,SchedulingDisabled")]);
        assert_eq!(told(&mut grid, &mut stage, cordoned()), "NAME STATUS");
        let ready = || upserts(vec![row("worker-one", "Ready")]);
        assert_eq!(told(&mut grid, &mut stage, ready()), "NAME STATUS VERSION");
        // What goes away altogether makes room too, but nothing moves under a hand.
        told(&mut grid, &mut stage, cordoned());
        grid.touched(stage.now);
        let gone = TableDelta { removed: vec![RowKey::new("", "", "worker-one")], ..TableDelta::default() };
        assert_eq!(told(&mut grid, &mut stage, gone), "NAME STATUS");
        let wake = grid.wake(stage.now).unwrap();
        grid.layout(area, wake);
        assert_eq!(grid.column_names().join(" "), "NAME STATUS VERSION");
        assert!(grid.wake(wake).is_none());
    }

    #[test]
    fn columns_are_arranged_as_a_person_wants_them() {
        let area = Rect::new(0, 0, 60, 10);
        let mut stage = Stage::new(vec![]);
        let mut grid = grid(&mut stage, area);
        let specs = ["WORD|R", "NAME"].map(|text| ColumnSpec::parse(text).unwrap());
        stage.with(|cx| grid.arrange(specs.to_vec(), cx));
        grid.layout(area, stage.now);
        assert_eq!(grid.column_names(), ["WORD", "NAME"]);
        stage.with(|cx| grid.toggle_wide(cx));
        grid.layout(area, stage.now);
        assert_eq!(grid.column_names(), ["WORD", "NAME", "COUNT"]);
        assert_eq!(stage.with(|cx| grid.cells(cx.now)).len(), 5, "plugins see every column");
    }
}
