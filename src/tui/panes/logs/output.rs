//! What leaves the pane: lines on the clipboard, and lines in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::search::Filter;
use super::spill::Slot;
use super::view::LogView;
use crate::base::{Result, SafeText};
use crate::rows::LineSource;
use crate::tui::effect::{Cx, Flash};
use crate::tui::panes::save::{fill, save};

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

impl Saved {
    pub fn words(&self) -> String {
        let lines = if self.lines == 1 { "line" } else { "lines" };
        format!("{} {lines} saved to {}", self.lines, self.path.display())
    }
}

impl Lines {
    /// Blocks: call it on a job.
    pub fn save(&self, name: &str, now: Timestamp) -> Result<Saved> {
        let mut lines = 0;
        let path = save(name, "log", now, |out| self.write(false, out).map(|count| lines = count))?;
        Ok(Saved { path, lines })
    }

    /// To a new file of the operator's naming. Its ending says what the lines are. Blocks: call it on a job.
    pub fn save_as(&self, path: &Path) -> Result<Saved> {
        let path = match (path.strip_prefix("~"), std::env::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        };
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let json = matches!(ending.as_str(), "json" | "jsonl" | "ndjson");
        let mut lines = 0;
        fill(&path, |out| self.write(json, out).map(|count| lines = count))?;
        Ok(Saved { path, lines })
    }

    /// Writes the lines, and says how many they are.
    fn write(&self, json: bool, out: &mut impl std::io::Write) -> std::io::Result<usize> {
        let mut lines = 0;
        for chunk in self.chunks.iter().filter_map(|slot| slot.load()) {
            for line in (0..chunk.len()).map(|i| chunk.line(i)) {
                if self.filter.as_ref().is_some_and(|f| !f.shows(&line)) {
                    continue;
                }
                let time = line.time.and_then(|t| Timestamp::from_nanosecond(t.into()).ok());
                let source = line.source.and_then(|s| self.sources.get(usize::from(s)));
                if json {
                    let value = serde_json::json!({
                        "time": time,
                        "cluster": source.map(|s| &s.cluster),
                        "namespace": source.map(|s| &s.namespace),
                        "pod": source.map(|s| &s.pod),
                        "container": source.map(|s| &s.container),
                        "text": line.text,
                    });
                    writeln!(out, "{value}")?;
                } else {
                    if let Some(time) = time {
                        write!(out, "{time} ")?;
                    }
                    if let Some(source) = source {
                        write!(out, "{}/{} ", SafeText::new(&source.pod), SafeText::new(&source.container))?;
                    }
                    writeln!(out, "{}", SafeText::new(line.text))?;
                }
                lines += 1;
            }
        }
        Ok(lines)
    }
}
