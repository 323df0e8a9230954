//! JSON lines as columns: what is chosen of them, and how wide it is.

use super::chunk::Kind;
use super::draw;
use super::view::LogView;
use crate::rows::Path;
use crate::rows::record::columns;
use crate::tui::widgets::composed::Composed;

/// No column but the last is wider.
const WIDEST: usize = 40;
/// Sources are no longer lined up where one is longer than this.
const HEAD: usize = 60;

/// The chosen fields. Widths grow with what is shown and do not shrink: nothing moves to and fro while it is scrolled.
#[derive(Debug, Default, Clone)]
pub struct Columns {
    names: Vec<String>,
    paths: Vec<Path>,
    widths: Vec<usize>,
    head: usize,
}

impl Columns {
    /// `.level .msg .http.status`: parted by spaces or commas. Nothing chooses nothing.
    pub fn parse(words: &str) -> Result<Self, String> {
        let names: Vec<String> =
            words.split([' ', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        let read = |name: &String| Path::parse(name).map_err(|e| e.to_string());
        let paths = names.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let widths = names.iter().map(|name| Composed::plain(name, ratatui::style::Style::default()).width());
        Ok(Self { widths: widths.collect(), head: 0, names, paths })
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// As they were typed.
    pub fn words(&self) -> String {
        self.names.join(" ")
    }

    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(String::as_str).zip(self.widths.iter().copied())
    }

    /// The cells of what stands before the columns.
    pub fn head(&self) -> usize {
        self.head
    }

    /// What a line has in each column, with the column's width; `None` for one that is not JSON.
    pub fn cells(&self, text: &str) -> Option<Vec<(String, usize)>> {
        let cells = columns(text, &self.paths)?;
        Some(cells.into_iter().zip(self.widths.iter().copied()).collect())
    }

    /// Makes room for the lines on the screen.
    pub fn fit(view: &LogView, rows: usize) -> Self {
        let mut all = view.columns.clone();
        let top = view.index_of(view.top.number);
        for number in (top..top + rows).map_while(|index| view.number(index)) {
            let Some(kept) = view.line(number) else { break };
            let line = kept.line();
            let Some(cells) = all.cells(line.text).filter(|_| line.kind == Kind::Text) else { continue };
            for (width, (cell, _)) in all.widths.iter_mut().zip(cells) {
                let cells = crate::tui::widgets::composed::raw_width(&cell);
                *width = (*width).max(cells.min(WIDEST));
            }
            let head = draw::head_width(view, &line);
            if head <= HEAD {
                all.head = all.head.max(head);
            }
        }
        all
    }
}
