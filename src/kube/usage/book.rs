//! What one scope's lists have told: the figures of now, what changed, and the samples of the last while. No I/O: the
//! time is handed in.
//!
//! A figure that is old is not shown as one of now: after two polls without an answer none is left, and a server that
//! goes on telling the same measurement has its figure dropped when that is two windows old.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compact_str::CompactString;
use hashbrown::{Equivalent, HashMap};

use super::Amount;
use super::list::Told;
use crate::base::Error;

/// Namespace (empty of nodes) and name.
pub type Key = (CompactString, CompactString);

/// A key that is looked for, without a copy.
#[derive(Hash)]
pub struct Named<'a>(pub &'a str, pub &'a str);

impl Equivalent<Key> for Named<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0 == self.0 && key.1 == self.1
    }
}

/// What an object takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// When it was measured, in seconds since the epoch.
    pub at: i64,
    pub total: Amount,
    /// By name; none of a node.
    pub containers: Box<[(CompactString, Amount)]>,
    /// When this measurement was told first.
    first_told: Instant,
}

impl Figure {
    pub fn container(&self, name: &str) -> Option<Amount> {
        self.containers.iter().find(|(n, _)| n == name).map(|(_, amount)| *amount)
    }

    /// Whether it would be shown as the other is.
    fn shows(&self, other: &Figure) -> bool {
        let shown = |a: Amount| (a.millicores(), a.shown_memory());
        shown(self.total) == shown(other.total)
            && self.containers.len() == other.containers.len()
            && self
                .containers
                .iter()
                .zip(&other.containers)
                .all(|(a, b)| a.0 == b.0 && shown(a.1) == shown(b.1))
    }
}

pub type Figures = HashMap<Key, Figure>;

/// How the last poll went.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Health {
    /// Nothing was told yet.
    #[default]
    Asking,
    Good,
    /// The figures, if there are any, are those of the poll before.
    Failing(Error),
}

/// The figures after one poll.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// Counts up by one.
    pub number: u64,
    pub figures: Arc<Figures>,
    /// Those that came, went, or are to be shown otherwise than in the window before.
    pub changed: Vec<Key>,
    pub health: Health,
}

impl Window {
    /// Why the figures are not those of now, in words.
    pub fn trouble(&self) -> Option<String> {
        match &self.health {
            Health::Failing(error) if self.figures.is_empty() => {
                Some(format!("no CPU and memory: {}", error.message))
            }
            Health::Failing(error) => Some(format!("CPU and memory are not of now: {}", error.message)),
            Health::Asking | Health::Good => None,
        }
    }
}

/// One measurement of a container or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the epoch.
    pub at: u32,
    /// Millionths of a core.
    pub microcores: u32,
    pub kibibytes: u32,
}

impl Sample {
    pub fn new(at: i64, amount: Amount) -> Self {
        let small = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        Self { at: small(at), microcores: small(amount.cpu / 1_000), kibibytes: small(amount.memory / 1024) }
    }

    pub fn amount(self) -> Amount {
        Amount { cpu: i64::from(self.microcores) * 1_000, memory: i64::from(self.kibibytes) * 1024 }
    }
}

/// Samples of one container or node that are kept: half an hour at the usual pace.
const DEPTH: usize = 120;
/// No samples are kept where there are more containers than this (14 MiB of samples).
const TRACED: usize = 10_000;
/// Samples of what is no longer told go after so many seconds: a metrics server that starts anew tells nothing at first.
const FORGET: i64 = 600;

/// The container is empty for a node.
type Trace = (Key, CompactString);

/// The state of one scope.
#[derive(Default)]
pub(super) struct Book {
    number: u64,
    figures: Arc<Figures>,
    /// When the measurements were made that were dropped as too old, and are told still.
    frozen: HashMap<Key, i64>,
    traces: HashMap<Trace, VecDeque<Sample>>,
    /// More containers than are traced.
    too_many: bool,
    last_good: Option<Instant>,
}

impl Book {
    /// Takes a list that was told. `pace`: the time between two.
    pub(super) fn take(&mut self, list: Vec<Told>, now: Instant, pace: Duration) -> Window {
        self.last_good = Some(now);
        self.trace(&list);
        let old = std::mem::take(&mut self.figures);
        let mut changed = Vec::new();
        let mut figures = Figures::with_capacity(list.len());
        let mut frozen = HashMap::new();
        for told in list {
            let before = old.get(&told.key);
            let first_told = before.filter(|f| f.at == told.at && told.at != 0).map_or(now, |f| f.first_told);
            let window = Duration::from_secs(told.window.into()).max(pace);
            let is_old = now.saturating_duration_since(first_told) > 2 * window;
            if is_old || self.frozen.get(&told.key) == Some(&told.at) {
                // The same measurement again and again says nothing of now.
                frozen.insert(told.key, told.at);
                continue;
            }
            let figure = Figure { at: told.at, total: told.total, containers: told.containers, first_told };
            if !before.is_some_and(|before| before.shows(&figure)) {
                changed.push(told.key.clone());
            }
            figures.insert(told.key, figure);
        }
        changed.extend(old.keys().filter(|key| !figures.contains_key(*key)).cloned());
        self.frozen = frozen;
        self.figures = Arc::new(figures);
        self.window(changed, Health::Good)
    }

    /// Takes it that a poll failed.
    pub(super) fn miss(&mut self, error: Error, now: Instant, pace: Duration) -> Window {
        let old = self.last_good.is_none_or(|last| now.saturating_duration_since(last) >= 2 * pace);
        let changed = if old { self.clear() } else { Vec::new() };
        self.window(changed, Health::Failing(error))
    }

    /// Nobody asks any more: the figures are no longer those of now, the samples stay what they are.
    pub(super) fn rest(&mut self) -> Window {
        let changed = self.clear();
        self.window(changed, Health::Asking)
    }

    fn clear(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.figures).keys().cloned().collect()
    }

    fn window(&mut self, changed: Vec<Key>, health: Health) -> Window {
        self.number += 1;
        Window { number: self.number, figures: self.figures.clone(), changed, health }
    }

    fn trace(&mut self, list: &[Told]) {
        self.too_many = list.iter().map(|told| told.containers.len().max(1)).sum::<usize>() > TRACED;
        if self.too_many {
            self.traces = HashMap::new();
            return;
        }
        let mut latest = 0;
        for told in list {
            latest = latest.max(told.at);
            let whole = [(CompactString::default(), told.total)];
            let parts = if told.containers.is_empty() { &whole } else { &*told.containers };
            for (container, amount) in parts {
                let trace = self.traces.entry((told.key.clone(), container.clone())).or_default();
                let sample = Sample::new(told.at, *amount);
                if trace.back().is_some_and(|last| last.at >= sample.at) {
                    continue;
                }
                if trace.len() == DEPTH {
                    trace.pop_front();
                }
                trace.push_back(sample);
            }
        }
        self.traces.retain(|_, trace| trace.back().is_some_and(|last| i64::from(last.at) + FORGET >= latest));
    }

    /// The samples of a container, or of a node if the container is empty; the oldest first.
    pub(super) fn samples(&self, key: &Key, container: &str) -> Vec<Sample> {
        let trace = self.traces.get(&(key.clone(), CompactString::new(container)));
        trace.map(|trace| trace.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether no samples are kept because there is too much.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Code;

    const PACE: Duration = Duration::from_secs(15);

    fn told(name: &str, at: i64, millicores: i64, mebi: i64) -> Told {
        let amount = Amount { cpu: millicores * 1_000_000, memory: mebi << 20 };
        Told {
            key: super::super::key("ns", name),
            at,
            window: 15,
            total: amount,
            containers: [("main".into(), amount)].into(),
        }
    }

    fn names(window: &Window) -> Vec<&str> {
        let mut names: Vec<&str> = window.changed.iter().map(|key| key.1.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn error() -> Error {
        Error::new(Code::Unavailable, "503")
    }

    #[test]
    fn only_what_is_to_be_shown_otherwise_is_a_change() {
        let (mut book, begun) = (Book::default(), Instant::now());
        let first = book.take(vec![told("a", 10, 5, 9), told("b", 10, 5, 9)], begun, PACE);
        assert_eq!((names(&first), first.number), (vec!["a", "b"], 1));
        let mut same = told("b", 25, 5, 9);
        same.total.cpu -= 400_000;
        same.containers[0].1.cpu -= 400_000;
        let second = book.take(vec![told("a", 25, 6, 9), same], begun + PACE, PACE);
        assert_eq!(names(&second), ["a"]);
        let third = book.take(vec![told("a", 40, 6, 9), told("c", 40, 1, 1)], begun + 2 * PACE, PACE);
        assert_eq!(names(&third), ["b", "c"]);
        assert!(third.figures.get(&Named("ns", "b")).is_none());
        assert_eq!(third.figures[&Named("ns", "c")].container("main").unwrap().millicores(), 1);
    }

    #[test]
    fn after_two_polls_without_an_answer_no_figure_is_left() {
        let (mut book, begun) = (Book::default(), Instant::now());
        book.take(vec![told("a", 10, 5, 9)], begun, PACE);
        let once = book.miss(error(), begun + PACE, PACE);
        assert_eq!((once.figures.len(), names(&once)), (1, vec![]));
        let twice = book.miss(error(), begun + 2 * PACE, PACE);
        assert_eq!((twice.figures.len(), names(&twice)), (0, vec!["a"]));
        assert_eq!(twice.health, Health::Failing(error()));
        let back = book.take(vec![told("a", 55, 5, 9)], begun + 3 * PACE, PACE);
        assert_eq!((names(&back), &back.health), (vec!["a"], &Health::Good));
        assert_eq!(book.samples(&super::super::key("ns", "a"), "main").len(), 2, "the samples are kept");
        // Where there never was an answer there is nothing to keep.
        assert!(Book::default().miss(error(), begun, PACE).figures.is_empty());
    }

    #[test]
    fn a_measurement_that_is_told_again_and_again_grows_old() {
        let (mut book, begun) = (Book::default(), Instant::now());
        for n in 0..3 {
            let window = book.take(vec![told("a", 10, 5, 9)], begun + n * PACE, PACE);
            assert_eq!(window.figures.len(), 1, "poll {n}");
        }
        let old = book.take(vec![told("a", 10, 5, 9)], begun + 3 * PACE, PACE);
        assert_eq!((old.figures.len(), names(&old)), (0, vec!["a"]));
        assert_eq!(book.samples(&super::super::key("ns", "a"), "main").len(), 1);
        let still = book.take(vec![told("a", 10, 5, 9)], begun + 4 * PACE, PACE);
        assert_eq!((still.figures.len(), names(&still)), (0, vec![]), "it does not come back as it was");
        let new = book.take(vec![told("a", 70, 5, 9)], begun + 5 * PACE, PACE);
        assert_eq!(names(&new), ["a"]);
    }

    #[test]
    fn samples_are_bounded_and_outlive_a_short_silence() {
        let (mut book, begun) = (Book::default(), Instant::now());
        for n in 0..300 {
            book.take(vec![told("a", 15 * (n + 1), n, 9)], begun, PACE);
        }
        let key = super::super::key("ns", "a");
        let samples = book.samples(&key, "main");
        assert_eq!((samples.len(), samples[0].at, samples[DEPTH - 1].microcores), (DEPTH, 15 * 181, 299_000));
        book.take(vec![], begun, PACE);
        book.take(vec![told("b", 15 * 310, 1, 1)], begun, PACE);
        assert_eq!(book.samples(&key, "main").len(), DEPTH);
        book.take(vec![told("b", 15 * 400, 1, 1)], begun, PACE);
        assert!(book.samples(&key, "main").is_empty());
        let many = (0..=TRACED).map(|n| told(&n.to_string(), 1, 1, 1)).collect();
        assert_eq!(book.take(many, begun, PACE).figures.len(), TRACED + 1);
        assert!(book.is_too_large() && book.samples(&super::super::key("ns", "1"), "main").is_empty());
        let resting = book.rest();
        assert!(resting.figures.is_empty() && resting.changed.len() == TRACED + 1);
    }
}
