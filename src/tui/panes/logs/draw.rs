//! Drawing a log: which rows are on the screen, and each line's colours. Only visible lines are composed.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::chunk::{Kind, Stored};
use super::view::{LogView, Place};
use crate::rows::record::{self, Level};
use crate::tui::theme::Theme;
use crate::tui::widgets::composed::Composed;
use crate::tui::widgets::select::{Selection, Spot};

/// The line that the view shows for `line`. At most `limit` bytes of its text are used. Without a
/// theme only its shape is right, which is enough to measure it.
pub fn compose(view: &LogView, line: &Stored<'_>, theme: Option<&Theme>, limit: usize) -> Composed {
    let style = |pick: fn(&Theme) -> Style| theme.map(pick).unwrap_or_default();
    let mut out = Composed::new();
    match line.kind {
        Kind::Mark | Kind::Told => {
            out.push("── ", style(|t| t.dim));
            label(view, line, theme, &mut out);
            out.push(line.text, style(|t| t.title_highlight));
            out.push(" ──", style(|t| t.dim));
            return out;
        }
        Kind::Lost => {
            out.push("⚠ ", style(|t| t.error));
            label(view, line, theme, &mut out);
            out.push(line.text, style(|t| t.error));
            return out;
        }
        Kind::Text => {}
    }
    head(view, line, theme, &mut out);
    let repeats = view.repeats(line.number);
    if repeats > 1 {
        out.push(&format!("×{repeats} "), style(|t| t.title_counter));
    }
    if line.late {
        out.push("late ", style(|t| t.warning));
    }
    if !view.columns.is_empty()
        && let Some(cells) = view.columns.cells(line.text)
    {
        push_cells(view, cells, line.text, theme, &mut out);
    } else if view.options.readable
        && let Some(record) = record::record(line.text)
    {
        push_record(&record, line.time, theme, limit, &mut out);
    } else {
        let base = level_style(record::level(line.text), theme);
        out.push_coloured(line.text, base, limit);
    }
    if let (Some(filter), Some(theme)) = (view.filter(), theme) {
        for range in filter.ranges(out.text()) {
            if out.text().is_char_boundary(range.start) && out.text().is_char_boundary(range.end) {
                out.paint(range, theme.found);
            }
        }
    }
    out
}

/// The chosen fields, each as wide as its column.
fn push_cells(
    view: &LogView,
    cells: Vec<(String, usize)>,
    text: &str,
    theme: Option<&Theme>,
    out: &mut Composed,
) {
    let colour = level_style(record::level_of(text), theme);
    let pad = |out: &mut Composed, cells: usize| out.push(&" ".repeat(cells), Style::default());
    pad(out, view.columns.head().saturating_sub(out.width()));
    let last = cells.len().saturating_sub(1);
    for (i, (cell, width)) in cells.into_iter().enumerate() {
        let mut one = Composed::plain(&cell, Style::default());
        if i < last && one.width() > width {
            let cut = one.text()[..one.offset(width.saturating_sub(1))].to_owned();
            one = Composed::plain(&format!("{cut}…"), Style::default());
        }
        out.push(one.text(), colour);
        if i < last {
            pad(out, width.saturating_sub(one.width()) + 1);
        }
    }
}

/// The names of the columns, over them.
pub fn titles(view: &LogView, theme: &Theme, area: Rect, buf: &mut Buffer) {
    let mut out = Composed::plain(&" ".repeat(view.columns.head()), theme.table_header);
    for (name, width) in view.columns.names() {
        out.push(&format!("{name:<width$} "), theme.table_header);
    }
    let from = out.offset(if view.options.wrap { 0 } else { view.left });
    out.draw(buf, area.x, area.y, area.width, from);
}

/// The cells of what stands before a line's text.
pub fn head_width(view: &LogView, line: &Stored<'_>) -> usize {
    let mut out = Composed::new();
    head(view, line, None, &mut out);
    out.width()
}

/// Whether a JSON line's own time says nothing that its stamp does not.
fn repeats_stamp(said: &str, stamp: Option<i64>) -> bool {
    const NEAR: i128 = 2_000_000_000;
    let Some(stamp) = stamp.map(i128::from) else { return false };
    let said = match said.parse::<f64>() {
        // Seconds, milliseconds, microseconds or nanoseconds since the epoch: loggers write all of them.
        Ok(number) => [1e9, 1e6, 1e3, 1.0].map(|unit| (number * unit) as i128).to_vec(),
        Err(_) => said.parse::<Timestamp>().map(|t| t.as_nanosecond()).into_iter().collect(),
    };
    said.into_iter().any(|time| (time - stamp).abs() < NEAR)
}

fn push_record(
    record: &record::Record,
    stamp: Option<i64>,
    theme: Option<&Theme>,
    limit: usize,
    out: &mut Composed,
) {
    let style = |pick: fn(&Theme) -> Style| theme.map(pick).unwrap_or_default();
    let colour = level_style(record.level, theme);
    if let Some(level) = record.level {
        out.push(&format!("{:<5} ", level.word()), colour);
    }
    out.push_coloured(&record.message, colour, limit);
    let mut gap = if record.message.is_empty() { "" } else { "  " };
    for (key, value) in &record.fields {
        out.push(gap, Style::default());
        out.push(key, style(|t| t.yaml_key));
        out.push("=", style(|t| t.yaml_colon));
        out.push_coloured(value, style(|t| t.yaml_value), limit);
        gap = " ";
    }
    if let Some(time) = record.time.as_ref().filter(|time| !repeats_stamp(time, stamp)) {
        out.push(gap, Style::default());
        out.push(time, style(|t| t.dim));
    }
}

/// What stands before a line's text.
fn head(view: &LogView, line: &Stored<'_>, theme: Option<&Theme>, out: &mut Composed) {
    if view.options.times {
        let time = line.time.map_or_else(|| "–".to_owned(), |t| clock(view, t));
        out.push(&format!("{time:<12} "), theme.map(|t| t.dim).unwrap_or_default());
    }
    label(view, line, theme, out);
}

/// Cells at the left that stay when the text is scrolled: none, unless the columns are locked.
fn held(view: &LogView, line: &Stored<'_>) -> usize {
    if !view.options.lock || view.options.wrap || line.kind != Kind::Text {
        return 0;
    }
    head_width(view, line)
}

/// Where the line comes from, if there is more than one source.
fn label(view: &LogView, line: &Stored<'_>, theme: Option<&Theme>, out: &mut Composed) {
    let sources = view.store.sources();
    let Some(source) = line.source.and_then(|i| Some((i, sources.get(usize::from(i))?))) else { return };
    if sources.len() < 2 {
        return;
    }
    let (index, source) = source;
    let style = theme
        .and_then(|t| t.palette.get(usize::from(index) % t.palette.len().max(1)))
        .copied()
        .unwrap_or_default();
    let several =
        |pick: fn(&crate::rows::LineSource) -> &str| sources.iter().any(|s| pick(s) != pick(&sources[0]));
    if several(|s| &s.cluster) {
        out.push(&source.cluster, style);
        out.push(" ", style);
    }
    if several(|s| &s.pod) {
        out.push(&source.pod, style);
        out.push(" ", style);
    }
    if several(|s| &s.container) {
        out.push(&source.container, style);
        out.push(" ", style);
    }
}

fn level_style(level: Option<Level>, theme: Option<&Theme>) -> Style {
    let Some(theme) = theme else { return Style::default() };
    match level {
        Some(Level::Error) => theme.logs.patch(theme.error),
        Some(Level::Warning) => theme.logs.patch(theme.warning),
        Some(Level::Debug) => theme.logs.patch(theme.dim),
        Some(Level::Info) | None => theme.logs,
    }
}

pub fn clock(view: &LogView, nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map(|t| t.to_zoned(view.options.zone.clone()).strftime("%H:%M:%S%.3f").to_string())
        .unwrap_or_default()
}

/// A line as it is copied and saved: whole, with its time and source, harmless, without colours.
pub fn saved_text(view: &LogView, line: &Stored<'_>) -> String {
    let mut out = String::new();
    if let Some(time) = line.time.and_then(|t| Timestamp::from_nanosecond(t.into()).ok()) {
        out.push_str(&time.to_string());
        out.push(' ');
    }
    let mut rest = Composed::new();
    label(view, line, None, &mut rest);
    rest.push_coloured(line.text, Style::default(), usize::MAX);
    out.push_str(rest.text());
    out
}

/// Rows that a line takes at this width.
pub fn height(view: &LogView, number: u64, width: usize) -> usize {
    if !view.options.wrap {
        return 1;
    }
    let Some(line) = view.line(number) else { return 1 };
    compose(view, &line.line(), None, usize::MAX).rows(width, usize::MAX).len()
}

/// The first row to draw, so that the cursor's line is on a screen of this size and as little moves
/// as can be.
pub fn settle(view: &LogView, width: usize, rows: usize) -> Place {
    let shown = view.shown();
    if shown == 0 || rows == 0 {
        return Place::default();
    }
    let wanted = around_cursor(view, shown, width, rows);
    if view.options.follow {
        return wanted;
    }
    // Below the last line nothing is left empty that a line could fill.
    wanted.min(end_from(view, shown - 1, width, rows, true))
}

fn around_cursor(view: &LogView, shown: usize, width: usize, rows: usize) -> Place {
    let cursor = view.index_of(view.cursor).min(shown - 1);
    if view.options.follow {
        return end_from(view, cursor, width, rows, true);
    }
    let top = view.index_of(view.top.number).min(shown - 1);
    if cursor < top {
        return place(view, cursor, 0);
    }
    if cursor == top {
        // Inside a line that is longer than the screen the rows move, not the line.
        let row = if view.top.number == view.cursor { view.top.row } else { 0 };
        return place(view, cursor, row.min(height(view, view.cursor, width).saturating_sub(1)));
    }
    if cursor - top >= rows {
        return end_from(view, cursor, width, rows, false);
    }
    let row = if view.number(top) == Some(view.top.number) { view.top.row } else { 0 };
    let mut used = 0;
    for index in top..=cursor {
        let tall = view.number(index).map_or(1, |n| height(view, n, width));
        used += if index == top { tall.saturating_sub(row) } else { tall };
        if used > rows {
            return end_from(view, cursor, width, rows, false);
        }
    }
    place(view, top, row)
}

/// The place from which the line at `index` ends on the last row. One taller than the screen shows its beginning, or its
/// `end`.
fn end_from(view: &LogView, index: usize, width: usize, rows: usize, end: bool) -> Place {
    let mut left = rows;
    let mut at = index;
    loop {
        let tall = view.number(at).map_or(1, |n| height(view, n, width));
        if tall >= left {
            let row = if at == index && !end { 0 } else { tall - left };
            return place(view, at, row);
        }
        left -= tall;
        if at == 0 {
            return place(view, 0, 0);
        }
        at -= 1;
    }
}

fn place(view: &LogView, index: usize, row: usize) -> Place {
    Place { number: view.number(index).unwrap_or_default(), row }
}

/// A row on the screen.
struct Row<'a> {
    number: u64,
    y: u16,
    line: &'a Composed,
    /// Cells of its beginning that stay at the left, and the byte of the line that stands behind them.
    held: usize,
    start: usize,
}

/// Calls `each` with the rows from `view.top` on, until it says that it has seen enough.
fn each_row(
    view: &LogView,
    theme: Option<&Theme>,
    area: Rect,
    selection: Option<&Selection>,
    mut each: impl FnMut(Row<'_>) -> bool,
) {
    let width = usize::from(area.width);
    let mut index = view.index_of(view.top.number);
    let mut skip = view.top.row;
    let mut y = area.y;
    while y < area.bottom() {
        let Some(kept) = view.number(index).and_then(|n| view.line(n)) else { break };
        let line = kept.line();
        let room = usize::from(area.bottom() - y);
        // Four bytes are the most that a cell takes; escape sequences are seldom longer than that.
        let cells = if view.options.wrap { (skip + room) * width } else { view.left + width };
        let limit = if view.options.wrap { cells * 8 } else { cells.saturating_mul(8).max(4096) };
        let mut composed = compose(view, &line, theme, limit);
        if let Some(range) = selection.and_then(|s| s.range(line.number, composed.text().len())) {
            composed.paint(range, Style::new().add_modifier(Modifier::REVERSED));
        }
        let held = held(view, &line).min(width);
        let starts = if view.options.wrap {
            composed.rows(width, skip + room)
        } else {
            vec![composed.offset(held + view.left)]
        };
        for start in starts.iter().skip(skip).take(room) {
            let row = Row { number: line.number, y, line: &composed, held, start: *start };
            if !each(row) {
                return;
            }
            y += 1;
        }
        skip = 0;
        index += 1;
    }
}

/// Draws the lines from `view.top` on.
pub fn draw(
    view: &LogView,
    selection: Option<&Selection>,
    theme: &Theme,
    area: Rect,
    buf: &mut Buffer,
    focused: bool,
) {
    each_row(view, Some(theme), area, selection, |row| {
        let held = u16::try_from(row.held).unwrap_or(area.width);
        row.line.draw(buf, area.x, row.y, held, 0);
        row.line.draw(buf, area.x + held, row.y, area.width - held, row.start);
        if row.number == view.cursor && focused {
            buf.set_style(Rect { y: row.y, height: 1, ..area }, theme.cursor);
        }
        true
    });
}

/// The character under the mouse. Right of a line's end it is the end.
pub fn spot(view: &LogView, area: Rect, column: u16, y: u16) -> Option<Spot> {
    let mut found = None;
    each_row(view, None, area, None, |row| {
        if row.y != y {
            return true;
        }
        let x = usize::from(column.saturating_sub(area.x));
        let from = if x < row.held { 0 } else { row.start };
        let cell = if x < row.held { x } else { x - row.held };
        let rest = Composed::plain(&row.line.text()[from..], Style::default());
        found =
            Some(Spot { line: row.number, bytes: from + rest.offset(cell)..from + rest.offset(cell + 1) });
        false
    });
    found
}

/// A line as it is shown, without its colours.
pub fn shown_text(view: &LogView, number: u64) -> Option<String> {
    let line = view.line(number)?;
    Some(compose(view, &line.line(), None, usize::MAX).text().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rows::{Line, LineSource};
    use crate::tui::panes::testing::{frame, theme};

    fn source(pod: &str) -> Arc<LineSource> {
        Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: pod.into(),
            container: "m".into(),
        })
    }

    fn view(lines: &[(&str, &str)]) -> LogView {
        let mut view = LogView::default();
        let all: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(i, (pod, text))| Line::Text {
                source: source(pod),
                time: Some(1_700_000_000_000_000_000 + i as i64 * 1_000_000),
                text: (*text).into(),
            })
            .collect();
        view.push(&all);
        view
    }

    fn show(view: &mut LogView, width: u16, height: u16) -> String {
        view.top = settle(view, usize::from(width), usize::from(height));
        frame(width, height, |area, buf| draw(view, None, &theme(), area, buf, true))
    }

    #[test]
    fn sources_levels_json_marks_and_gaps() {
        let mut v = view(&[
            ("api-1", "plain line"),
            ("api-2", r#"{"level":"error","msg":"dial failed","host":"db"}"#),
            ("api-1", "W1121 12:00:00.000000 1 x.go:1] slow"),
            ("api-1", "\x1b[32mgreen\x1b[0m \x1b]52;c;aGk=\x07 and \u{202e}bidi"),
        ]);
        v.options.times = true;
        v.push(&[Line::Lost { source: Some(source("api-2")), count: 12 }]);
        v.mark("12:04:03", 0);
        insta::assert_snapshot!(show(&mut v, 70, 7));
    }

    #[test]
    fn long_lines_wrap_and_the_newest_row_is_at_the_bottom() {
        let mut v = view(&[("a", "0123456789abcdef"), ("a", "short"), ("a", "日本語日本語日本語")]);
        v.options.wrap = true;
        insta::assert_snapshot!(show(&mut v, 8, 5));
        v.options.follow = false;
        v.cursor = 0;
        v.options.readable = false;
        insta::assert_snapshot!(show(&mut v, 8, 5));
    }

    #[test]
    fn locked_columns_stay_when_the_text_is_scrolled() {
        let mut v = view(&[("api-1", "0123456789abcdef"), ("api-2", "日本語日本語日本語")]);
        v.options.lock = true;
        v.left = 4;
        insta::assert_snapshot!(show(&mut v, 16, 2));
        v.options.lock = false;
        insta::assert_snapshot!(show(&mut v, 16, 2));
    }

    #[test]
    fn the_mouse_finds_the_character_under_it() {
        let mut v = view(&[("api-1", "0123456789abcdef"), ("api-2", "日本語")]);
        let area = Rect::new(2, 1, 16, 4);
        v.top = settle(&v, 16, 4);
        let at = |v: &LogView, x, y| {
            spot(v, area, x, y).map(|s| shown_text(v, s.line).unwrap()[s.bytes].to_owned())
        };
        assert_eq!(at(&v, 2, 1).as_deref(), Some("a"), "the label is text too");
        assert_eq!(at(&v, 8, 1).as_deref(), Some("0"));
        assert_eq!(at(&v, 8, 2).as_deref(), Some("日"));
        assert_eq!(at(&v, 17, 2).as_deref(), Some(""), "right of the end");
        assert_eq!(at(&v, 8, 4), None);
        v.options.lock = true;
        v.left = 4;
        assert_eq!((at(&v, 2, 1).as_deref(), at(&v, 8, 1).as_deref()), (Some("a"), Some("4")));
        v.options.wrap = true;
        v.left = 0;
        assert_eq!(at(&v, 2, 2).as_deref(), Some("a"), "the second row of a wrapped line");
    }

    #[test]
    fn a_screen_of_long_lines_is_wrapped_in_no_time() {
        let long = "日x".repeat(25_000);
        let mut v = view(&(0..30).map(|_| ("a", long.as_str())).collect::<Vec<_>>());
        v.options.wrap = true;
        v.options.follow = false;
        let started = std::time::Instant::now();
        for _ in 0..10 {
            v.move_by(1);
            show(&mut v, 80, 24);
        }
        let frame = started.elapsed() / 10;
        println!("100 kB lines, none of ASCII, wrapped, 80x24: {frame:?} a frame");
        assert!(frame < std::time::Duration::from_millis(500), "{frame:?} a frame, even unoptimized");
    }

    #[test]
    fn a_line_of_100_kilobytes_is_drawn_at_once() {
        let long = "x".repeat(100_000);
        let mut v = view(&[("a", "before"), ("a", &long), ("a", "after")]);
        v.options.wrap = true;
        let started = std::time::Instant::now();
        for _ in 0..20 {
            show(&mut v, 80, 24);
        }
        println!("100 kB line, wrapped, 80x24: {:?} a frame", started.elapsed() / 20);
        v.options.follow = false;
        v.cursor = 1;
        v.top = Place::default();
        v.top = settle(&v, 80, 24);
        assert_eq!(v.top, Place { number: 1, row: 0 });
        v.top.row = 500;
        assert_eq!(settle(&v, 80, 24), Place { number: 1, row: 500 }, "scrolled inside the line it stays");
    }

    #[test]
    fn text_that_tries_to_hide_or_act_is_saved_harmless() {
        let v = view(&[("a", "\x1b[8mx\x1b[2J\u{9b}1m")]);
        assert_eq!(v.text_of(0), "2023-11-14T22:13:20Z x␛[2J⟨9b⟩1m");
    }
}
