//! What a follower does with its lines before they go on: a pattern with context, and repeats folded.

use std::time::Duration;

use tokio::time::Instant;

use super::filter::{Folder, Grep, Sieve};
use super::follow::Query;
use crate::rows::record::level_of;
use crate::rows::{Level, Line};

/// Lines that repeat the one before are counted so long before their number is shown.
pub const FOLD: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Filters {
    /// The least bad level that is let through.
    least: Option<Level>,
    sieve: Option<Sieve<Line>>,
    folder: Option<Folder<Line>>,
    /// When the oldest line that is counted and not shown came.
    holding: Option<Instant>,
    ready: Vec<Line>,
    /// Nothing follows for now: what is held is shown with the next pass.
    pub ending: bool,
}

impl Filters {
    pub fn new(query: &Query) -> Self {
        // It was read once already: it can be read again.
        let grep = Grep::new(query.grep.as_deref(), query.context).ok();
        Self {
            least: query.least,
            sieve: grep.filter(|g| !g.is_everything()).map(Sieve::new),
            folder: query.dedupe.then(Folder::default),
            holding: None,
            ready: Vec::new(),
            ending: false,
        }
    }

    /// Takes lines, and gives those to show now.
    pub fn pass(&mut self, mut lines: Vec<Line>) -> Vec<Line> {
        if let Some(least) = self.least {
            lines.retain(|line| match line {
                Line::Text { text, .. } => level_of(text).is_some_and(|level| level >= least),
                _ => true,
            });
        }
        let lines = match &mut self.sieve {
            Some(sieve) => sift(sieve, lines),
            None => lines,
        };
        let ending = std::mem::take(&mut self.ending);
        let Some(folder) = &mut self.folder else { return lines };
        let ready = &mut self.ready;
        for line in lines {
            match &line {
                Line::Text { text, .. } => {
                    let text = text.clone();
                    folder.push(line, &text, |line, count| ready.push(counted(line, count)));
                }
                _ => {
                    folder.part(|line, count| ready.push(counted(line, count)));
                    ready.push(line);
                }
            }
        }
        if folder.is_holding() {
            self.holding.get_or_insert_with(Instant::now);
        } else {
            self.holding = None;
        }
        if ending || self.holding.is_some_and(|since| since.elapsed() >= FOLD) {
            self.flush();
        }
        std::mem::take(&mut self.ready)
    }

    pub fn is_holding(&self) -> bool {
        self.holding.is_some()
    }

    /// What is held is shown with the next pass.
    pub fn flush(&mut self) {
        if let Some(folder) = &mut self.folder {
            folder.flush(|line, count| self.ready.push(counted(line, count)));
        }
        self.holding = None;
    }
}

/// As `log_read` writes it.
fn counted(line: Line, count: u64) -> Line {
    match line {
        Line::Text { source, time, text } if count > 1 => {
            Line::Text { source, time, text: format!("{text} (×{count})").into_boxed_str() }
        }
        other => other,
    }
}

fn sift(sieve: &mut Sieve<Line>, lines: Vec<Line>) -> Vec<Line> {
    let mut kept = Vec::new();
    for line in lines {
        match &line {
            Line::Text { text, .. } => {
                let text = text.clone();
                sieve.push(line, &text, |l| kept.push(l));
            }
            _ => kept.push(line),
        }
    }
    kept
}
