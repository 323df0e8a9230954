//! How each cluster of a table fares, and each namespace of one: which rows are old, and a line for whatever is not live.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr as _;

use crate::base::text::{glob, members, sanitize};
use crate::base::{Code, Error};
use crate::rows::{Phase, RowKey, SourceState};
use crate::tui::chrome::cut;
use crate::tui::pane::Look;
use crate::tui::panes::words;

/// At most so many lines, and a third of the pane.
const LINES: u16 = 6;

/// The sources of a table's rows, by their names: a cluster, or `cluster/namespace`.
#[derive(Default)]
pub struct Sources(BTreeMap<Arc<str>, Source>);

struct Source {
    phase: Phase,
    /// Since when it is in this state, or in another that is not live.
    since: Timestamp,
    /// It was live once, so that there may be rows of it.
    shown: bool,
}

/// Whether what is there now is told as it changes.
fn is_live(phase: &Phase) -> bool {
    matches!(phase, Phase::Live | Phase::Polling { .. })
}

/// Whether the cluster answers, as far as a state tells.
fn answers(phase: &Phase) -> Option<bool> {
    match phase {
        Phase::Live | Phase::Polling { .. } | Phase::Loading { .. } => Some(true),
        Phase::Reconnecting { .. } => Some(false),
        Phase::Failed { error } => is_down(error).then_some(false),
        Phase::Connecting => None,
    }
}

/// Whether an error means that nobody answers, rather than that an answer was no.
fn is_down(error: &Error) -> bool {
    matches!(error.code, Code::Unavailable | Code::Timeout | Code::Unauthenticated)
}

impl Sources {
    /// Takes note of changed states. Gives those whose cluster answers now and did not before, or the other way round.
    pub fn note(&mut self, states: &[SourceState], now: Timestamp) -> Vec<(Arc<str>, bool)> {
        let mut news = Vec::new();
        for state in states {
            let before = self.0.get(&state.cluster);
            let up = answers(&state.phase);
            if let Some(up) = up
                && before.and_then(|source| answers(&source.phase)) != Some(up)
            {
                news.push((state.cluster.clone(), up));
            }
            let live = is_live(&state.phase);
            let since = match before {
                Some(source) if is_live(&source.phase) == live => source.since,
                _ => now,
            };
            let shown = live || before.is_some_and(|source| source.shown);
            self.0.insert(state.cluster.clone(), Source { phase: state.phase.clone(), since, shown });
        }
        news
    }

    /// How many there are, and how many of them are live.
    pub fn count(&self) -> (usize, usize) {
        (self.0.len(), self.0.values().filter(|source| is_live(&source.phase)).count())
    }

    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Of several, what the title says of them if they are not all live, and that it is bad; `None` if they are not several.
    pub fn told(&self) -> Option<Option<(String, bool)>> {
        let (all, live) = self.count();
        (all > 1).then(|| (live < all).then(|| (format!("{live} of {all} live"), true)))
    }

    pub fn any_live(&self) -> bool {
        self.0.values().any(|source| is_live(&source.phase))
    }

    pub fn any_old(&self) -> bool {
        self.0.values().any(|source| !is_live(&source.phase) && source.shown)
    }

    /// Whether a row is of a source that no longer tells what changes; one of no cluster is of all of them.
    pub fn is_old(&self, key: &RowKey) -> bool {
        if key.cluster.is_empty() {
            return self.any_old();
        }
        let of = |name: &str| match name.strip_prefix(&*key.cluster) {
            Some("") => true,
            Some(rest) => {
                rest.strip_prefix('/').is_some_and(|set| members(set).any(|name| glob(name, &key.namespace)))
            }
            None => false,
        };
        self.0.iter().any(|(name, source)| !is_live(&source.phase) && source.shown && of(name))
    }

    /// The part of a pane that its rows are given, and the one for the lines below them.
    pub fn divide(&self, area: Rect, set: bool) -> (Rect, Rect) {
        let (all, live) = self.count();
        let most = LINES.min(area.height / 3);
        let lines = if set { u16::try_from(all - live).unwrap_or(most).min(most) } else { 0 };
        let rows = Rect { height: area.height - lines, ..area };
        (rows, Rect { y: rows.bottom(), height: lines, ..area })
    }

    /// A line for each source that is not live: its sign, its name, and how it is.
    pub fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let theme = look.theme;
        let troubled: Vec<_> = self.0.iter().filter(|(_, source)| !is_live(&source.phase)).collect();
        let width = troubled.iter().map(|(name, _)| sanitize(name).width()).max().unwrap_or_default().min(40);
        let room = usize::from(area.height);
        for (y, (name, source)) in (area.y..area.bottom()).zip(&troubled) {
            let rest = troubled.len() - usize::from(y - area.y);
            if y + 1 == area.bottom() && troubled.len() > room {
                let more = format!("  and {rest} more are not live: :ctx shows them");
                buf.set_stringn(area.x, y, more, usize::from(area.width), theme.table.patch(theme.warning));
                return;
            }
            let (sign, bad) = match (&source.phase, source.shown) {
                (_, true) => ("~", true),
                (Phase::Connecting | Phase::Loading { .. }, _) => ("…", false),
                _ => ("✗", true),
            };
            let text =
                format!("{sign} {:<width$}  {}", sanitize(name), sanitize(&words_of(source, look.now)));
            let style = if bad { theme.warning } else { theme.dim };
            let text = cut(&text, area.width);
            buf.set_stringn(area.x, y, text, usize::from(area.width), theme.table.patch(style));
        }
    }

    /// When a line says something else by the passing of time alone.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let aging = |source: &&Source| match source.phase {
            Phase::Live | Phase::Polling { .. } | Phase::Loading { .. } => false,
            Phase::Failed { .. } => source.shown,
            Phase::Connecting | Phase::Reconnecting { .. } => true,
        };
        let youngest = self.0.values().filter(aging).map(|s| now.duration_since(s.since).as_secs()).min()?;
        // Where seconds stand beside minutes they are not worth a frame each.
        let least = if youngest < 60 { 1 } else { 10 };
        let after = crate::rows::cell::age_changes_in(youngest).max(least);
        Timestamp::from_second(now.as_second() + after).ok()
    }
}

fn words_of(source: &Source, now: Timestamp) -> String {
    let old = crate::rows::cell::age(now.duration_since(source.since).as_secs());
    match &source.phase {
        Phase::Connecting if source.shown => format!("stale since {old}, connecting again"),
        Phase::Connecting => format!("no answer yet, for {old}"),
        Phase::Reconnecting { reason, .. } if source.shown => format!("stale since {old}: {reason}"),
        Phase::Reconnecting { reason, .. } => format!("trying again, for {old}: {reason}"),
        Phase::Failed { error } if source.shown => format!("stale since {old}: {}", error.message),
        phase => words::state(phase, false, now.as_second()).map(|(text, _)| text).unwrap_or_default(),
    }
}
