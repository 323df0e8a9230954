//! A watch as text: first what there is, then what changes, a line each.

use serde_json::Value;

use super::command::Format;
use super::render::{escaped, render, safe_lines};
use super::table::Table;
use crate::base::{Error, Result};
use crate::gate::Frame;
use crate::rows::{Align, Column, Line, LineSource, Row, SourceState, TableDelta};

/// What has been written so far, as far as the next line needs it.
#[derive(Default)]
pub struct Writer {
    format: Format,
    /// Rows of several namespaces come: each says its own.
    namespaces: bool,
    /// The first rows wait here until all are there, so that they come in order under a header that fits them.
    first: Vec<std::sync::Arc<Row>>,
    complete: bool,
    columns: Vec<Column>,
    /// Which of the server's columns are written.
    shown: Vec<usize>,
    widths: Vec<usize>,
    header_written: bool,
    /// More than one cluster or container: each line says which.
    sources: Vec<String>,
}

impl Writer {
    /// `namespaces`: whether the rows may be of several.
    pub fn new(format: Format, namespaces: bool) -> Self {
        Self { format, namespaces, ..Self::default() }
    }

    /// The text of one frame; `now` in seconds since the epoch.
    pub fn frame(&mut self, frame: &Frame, now: i64) -> Result<String> {
        match (self.format, frame) {
            (Format::Json, _) => Ok(escaped(&serde_json::to_string(frame).map_err(Error::internal)?)),
            (Format::Yaml, _) => {
                let text = serde_yaml_ng::to_string(frame).map_err(Error::internal)?;
                Ok(format!("---\n{}", safe_lines(&text)))
            }
            (Format::Table, Frame::Table(delta)) => Ok(self.table(delta, now)),
            (Format::Table, Frame::Lines(lines)) => Ok(self.lines(lines)),
            (Format::Table, Frame::Value(value)) => self.value(value),
        }
    }

    fn value(&self, value: &Value) -> Result<String> {
        Ok(render(value, self.format)?.out)
    }

    fn table(&mut self, delta: &TableDelta, now: i64) -> String {
        let mut out: String = delta.sources.iter().filter_map(source).collect();
        if let Some(columns) = &delta.columns {
            self.columns = columns.to_vec();
            self.shown = (0..columns.len()).filter(|i| columns[*i].is_usual()).collect();
            self.header_written = false;
        }
        // As a delta is applied: what goes, then what comes.
        for key in delta.removed.iter().filter(|_| self.header_written) {
            let place: Vec<_> =
                [&*key.cluster, &*key.namespace, &*key.name].into_iter().filter(|p| !p.is_empty()).collect();
            out.push_str(&safe_lines(&format!("gone: {}", place.join("/"))));
        }
        self.complete |= delta.sources.iter().any(|s| !is_loading(s));
        if self.complete && self.first.is_empty() {
            out.push_str(&self.rows(&delta.upserts, now));
        } else {
            self.first.retain(|row| !delta.removed.contains(&row.key));
            self.first.extend(delta.upserts.iter().cloned());
            if self.complete || self.first.len() >= HELD {
                self.complete = true;
                let first = std::mem::take(&mut self.first);
                out.push_str(&self.rows(&first, now));
            }
        }
        out
    }

    fn rows(&mut self, rows: &[std::sync::Arc<Row>], now: i64) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let key = ["NAMESPACE", "NAME"].into_iter().skip(usize::from(!self.namespaces));
        let names = key.chain(self.shown.iter().map(|i| self.columns[*i].name.as_str()));
        let mut table = Table::new(names);
        let left = std::iter::repeat_n(false, 1 + usize::from(self.namespaces));
        table.align_right(left.chain(self.shown.iter().map(|i| self.columns[*i].align() == Align::Right)));
        let mut rows: Vec<&Row> = rows.iter().map(AsRef::as_ref).collect();
        if !self.header_written {
            rows.sort_by(|a, b| a.key.cmp(&b.key));
        }
        for row in rows {
            let key = [&row.key.namespace, &row.key.name].into_iter().skip(usize::from(!self.namespaces));
            let cells =
                self.shown.iter().map(|i| row.cells.get(*i).map(|c| c.display(now)).unwrap_or_default());
            table.push(key.cloned().chain(cells));
        }
        let header = !std::mem::replace(&mut self.header_written, true);
        if header {
            self.widths = table.widths();
        }
        table.text(&self.widths, header)
    }

    fn lines(&mut self, lines: &[Line]) -> String {
        let mut out = String::new();
        for line in lines {
            match line {
                Line::Text { source, text, .. } => {
                    let prefix = self.prefix(source);
                    out.push_str(&safe_lines(&format!("{prefix}{text}")));
                }
                Line::Mark { text, .. } => out.push_str(&safe_lines(&format!("── {text}"))),
                Line::Lost { count, .. } => out.push_str(&format!("── {count} lines were not delivered\n")),
            }
        }
        out
    }

    /// `pod/container: ` once lines come from more than one.
    fn prefix(&mut self, source: &LineSource) -> String {
        let name = format!("{}/{}", source.pod, source.container);
        if !self.sources.contains(&name) {
            self.sources.push(name.clone());
        }
        if self.sources.len() > 1 { format!("{name}: ") } else { String::new() }
    }
}

/// No more of the first rows wait for the others: a large cluster's begin to show at once.
const HELD: usize = 500;

fn is_loading(state: &SourceState) -> bool {
    use crate::rows::Phase;
    matches!(state.phase, Phase::Connecting | Phase::Loading { .. })
}

/// What a reader must know about a source that is not simply live.
fn source(state: &SourceState) -> Option<String> {
    use crate::rows::Phase;
    let text = match &state.phase {
        Phase::Connecting | Phase::Loading { .. } | Phase::Live => state.note.clone()?,
        Phase::Polling { every_seconds, reason } => format!("listed every {every_seconds} s: {reason}"),
        Phase::Reconnecting { reason, attempt, .. } => format!("reconnecting, try {attempt}: {reason}"),
        Phase::Failed { error } => format!("failed: {error}"),
    };
    Some(safe_lines(&format!("── {}: {text}", state.cluster)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Cell, ColumnKind, Phase, RowKey, Tone};
    use std::sync::Arc;

    fn row(name: &str, n: i64) -> Arc<Row> {
        Arc::new(Row {
            key: RowKey::new("c", "ns", name),
            cells: Box::new([Cell::Number(n), Cell::text("wide")]),
            tone: Tone::Normal,
            uid: "".into(),
        })
    }

    #[test]
    fn the_first_rows_come_in_order_under_a_header_and_changes_follow() {
        let columns = || [Column::new("N", ColumnKind::Number), Column::new("W", ColumnKind::Text).wide()];
        let phase = |phase: Phase| vec![SourceState::new("c".into(), phase)];
        let loading = TableDelta {
            columns: Some(columns().into()),
            upserts: vec![row("bb", 1)],
            sources: phase(Phase::Loading { seen: 1, expected: None }),
            ..TableDelta::default()
        };
        let rest =
            TableDelta { upserts: vec![row("a", 22)], sources: phase(Phase::Live), ..TableDelta::default() };
        let then = TableDelta {
            upserts: vec![row("bb", 3)],
            removed: vec![RowKey::new("c", "ns", "a")],
            sources: phase(Phase::Polling { every_seconds: 9, reason: "watch is forbidden".to_owned() }),
            ..TableDelta::default()
        };
        let expect = |namespaces: bool, texts: [&str; 3]| {
            let mut writer = Writer::new(Format::Table, namespaces);
            for (delta, text) in [&loading, &rest, &then].into_iter().zip(texts) {
                assert_eq!(writer.frame(&Frame::Table(delta.clone()), 0).unwrap(), text);
            }
        };
        let said = "── c: listed every 9 s: watch is forbidden\n";
        expect(false, ["", "NAME    N\na      22\nbb      1\n", &format!("{said}gone: c/ns/a\nbb      3\n")]);
        expect(
            true,
            [
                "",
                "NAMESPACE   NAME    N\nns          a      22\nns          bb      1\n",
                &format!("{said}gone: c/ns/a\nns          bb      3\n"),
            ],
        );
    }

    #[test]
    fn lines_say_their_source_once_there_are_two() {
        let line = |container: &str, text: &str| Line::Text {
            source: Arc::new(LineSource {
                cluster: "c".into(),
                namespace: "n".into(),
                pod: "p".into(),
                container: container.into(),
            }),
            time: None,
            text: text.into(),
        };
        let mut writer = Writer::new(Format::Table, false);
        let frame = Frame::Lines(vec![
            line("a", "one\x1b[2J"),
            line("b", "two"),
            Line::Lost { source: None, count: 7 },
        ]);
        let text = writer.frame(&frame, 0).unwrap();
        assert_eq!(text, "one␛[2J\np/b: two\n── 7 lines were not delivered\n");
    }
}
