//! What a follower does with its lines before they go on: a pattern with context, and repeats folded.

use std::time::Duration;

use tokio::time::Instant;

use super::filter::{Folder, Grep, Sieve};
use crate::rows::Line;

/// Lines that repeat the one before are counted so long before their number is shown.
pub const FOLD: Duration = Duration::from_secs(1);

pub struct Filters {
    sieve: Option<Sieve<Line>>,
    folder: Option<Folder<Line>>,
    /// When the oldest line that is counted and not shown came.
    holding: Option<Instant>,
    ready: Vec<Line>,
    /// Nothing follows for now: what is held is shown with the next pass.
    pub ending: bool,
}

impl Filters {
    pub fn new(grep: Option<Grep>, fold: bool) -> Self {
        Self {
            sieve: grep.filter(|g| !g.is_everything()).map(Sieve::new),
            folder: fold.then(Folder::default),
            holding: None,
            ready: Vec::new(),
            ending: false,
        }
    }

    /// Takes lines, and gives those to show now.
    pub fn pass(&mut self, lines: Vec<Line>) -> Vec<Line> {
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
