//! A watch as text: first what there is, then what changes, a line each.

use serde_json::Value;

use super::command::Format;
use super::render::{render, safe_lines};
use super::table::Table;
use crate::base::{Error, Result};
use crate::gate::Frame;
use crate::rows::{Align, Column, Line, LineSource, Row, SourceState, TableDelta};

/// What has been written so far, as far as the next line needs it.
#[derive(Default)]
pub struct Writer {
    format: Format,
    columns: Vec<Column>,
    /// Which of the server's columns are written.
    shown: Vec<usize>,
    widths: Vec<usize>,
    header_written: bool,
    /// More than one cluster or container: each line says which.
    sources: Vec<String>,
}

impl Writer {
    pub fn new(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// The text of one frame; `now` in seconds since the epoch.
    pub fn frame(&mut self, frame: &Frame, now: i64) -> Result<String> {
        match (self.format, frame) {
            (Format::Json, _) => Ok(serde_json::to_string(frame).map_err(Error::internal)? + "\n"),
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
            self.shown = (0..columns.len()).filter(|i| !columns[*i].wide).collect();
            self.header_written = false;
        }
        let mut table = Table::new(self.shown.iter().map(|i| self.columns[*i].name.as_str()));
        table.align_right(self.shown.iter().map(|i| self.columns[*i].align() == Align::Right));
        let mut rows: Vec<&Row> = delta.upserts.iter().map(AsRef::as_ref).collect();
        if !self.header_written {
            rows.sort_by(|a, b| a.key.cmp(&b.key));
        }
        for row in rows {
            table.push(
                self.shown.iter().map(|i| row.cells.get(*i).map(|c| c.display(now)).unwrap_or_default()),
            );
        }
        let header = !self.header_written && (!delta.upserts.is_empty());
        if header {
            self.widths = table.widths();
            self.header_written = true;
        }
        if !delta.upserts.is_empty() {
            out.push_str(&table.text(&self.widths, header));
        }
        for key in &delta.removed {
            let place: Vec<_> =
                [&*key.cluster, &*key.namespace, &*key.name].into_iter().filter(|p| !p.is_empty()).collect();
            out.push_str(&safe_lines(&format!("gone: {}", place.join("/"))));
        }
        out
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

/// What a reader must know about a source that is not simply live.
fn source(state: &SourceState) -> Option<String> {
    use crate::rows::Phase;
    let text = match &state.phase {
        Phase::Connecting | Phase::Loading { .. } | Phase::Live => return None,
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
            cells: Box::new([Cell::text(name), Cell::Number(n), Cell::text("wide")]),
            tone: Tone::Normal,
            uid: "".into(),
        })
    }

    #[test]
    fn the_first_rows_come_in_order_under_a_header_and_changes_follow() {
        let mut writer = Writer::new(Format::Table);
        let columns = [
            Column::new("NAME", ColumnKind::Text),
            Column::new("N", ColumnKind::Number),
            Column::new("W", ColumnKind::Text).wide(),
        ];
        let first = TableDelta {
            columns: Some(columns.into()),
            upserts: vec![row("bb", 1), row("a", 22)],
            ..TableDelta::default()
        };
        assert_eq!(writer.frame(&Frame::Table(first), 0).unwrap(), "NAME    N\na      22\nbb      1\n");
        let then = TableDelta {
            upserts: vec![row("bb", 3)],
            removed: vec![RowKey::new("c", "ns", "a")],
            sources: vec![SourceState {
                cluster: "c".into(),
                phase: Phase::Polling { every_seconds: 9, reason: "watch is forbidden".to_owned() },
            }],
            ..TableDelta::default()
        };
        assert_eq!(
            writer.frame(&Frame::Table(then), 0).unwrap(),
            "── c: listed every 9 s: watch is forbidden\nbb      3\ngone: c/ns/a\n"
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
        let mut writer = Writer::new(Format::Table);
        let frame = Frame::Lines(vec![
            line("a", "one\x1b[2J"),
            line("b", "two"),
            Line::Lost { source: None, count: 7 },
        ]);
        let text = writer.frame(&frame, 0).unwrap();
        assert_eq!(text, "one␛[2J\np/b: two\n── 7 lines were not delivered\n");
    }
}
