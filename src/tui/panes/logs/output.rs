//! What leaves the pane: lines on the clipboard, and lines in a file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::search::Filter;
use super::spill::Slot;
use super::view::LogView;
use crate::base::{Result, SafeText};
use crate::rows::LineSource;
use crate::tui::effect::{Cx, Flash};
use crate::tui::panes::save::save;

/// Terminals take about this much through OSC 52.
const COPY_BYTES: usize = 72 << 10;

/// The newest lines shown, as many as a clipboard takes; and how many they are.
pub fn newest(view: &LogView) -> (String, usize) {
    let mut lines = Vec::new();
    let mut bytes = 0;
    for index in (0..view.shown()).rev() {
        let Some(number) = view.number(index) else { break };
        let text = view.text_of(number);
        bytes += text.len() + 1;
        if bytes > COPY_BYTES {
            break;
        }
        lines.push(text);
    }
    lines.reverse();
    (lines.join("\n"), lines.len())
}

/// Puts a selected text onto the clipboard, or says why not.
pub fn copy(text: String, cx: &mut Cx<'_>) {
    if text.is_empty() {
        return;
    }
    if text.len() > COPY_BYTES {
        cx.flash(
            Flash::warning("the selection is too long for the clipboard").next("Ctrl-s saves to a file."),
        );
        return;
    }
    let lines = text.lines().count();
    let what =
        if lines == 1 { format!("{} characters", text.chars().count()) } else { format!("{lines} lines") };
    cx.copy(text);
    cx.flash(Flash::info(format!("{what} are on the clipboard")));
}

/// Everything that a file is written from, on a worker: there may be a million lines.
pub struct Lines {
    pub chunks: Vec<Arc<Slot>>,
    pub sources: Vec<Arc<LineSource>>,
    pub filter: Option<Arc<Filter>>,
}

/// What was written.
#[derive(Debug)]
pub struct Saved {
    pub path: PathBuf,
    pub lines: usize,
}

impl Lines {
    /// Blocks: call it on a job.
    pub fn save(&self, name: &str, now: Timestamp) -> Result<Saved> {
        let mut lines = 0;
        let sources: Vec<String> =
            self.sources.iter().map(|s| format!("{}/{}", s.pod, s.container)).collect();
        let path = save(name, "log", now, |out| {
            for chunk in self.chunks.iter().filter_map(|slot| slot.load()) {
                for line in (0..chunk.len()).map(|i| chunk.line(i)) {
                    if self.filter.as_ref().is_some_and(|f| !f.shows(&line)) {
                        continue;
                    }
                    if let Some(time) = line.time.and_then(|t| Timestamp::from_nanosecond(t.into()).ok()) {
                        write!(out, "{time} ")?;
                    }
                    if let Some(source) = line.source.and_then(|s| sources.get(usize::from(s))) {
                        write!(out, "{} ", SafeText::new(source))?;
                    }
                    writeln!(out, "{}", SafeText::new(line.text))?;
                    lines += 1;
                }
            }
            Ok(())
        })?;
        Ok(Saved { path, lines })
    }
}
