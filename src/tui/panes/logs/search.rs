//! Finding lines: the filter as typed, and the search over every line that runs on a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use regex::bytes::{Regex, RegexBuilder};

use super::chunk::{Chunk, Kind, Stored};
use super::rows::Rows;
use super::spill::Slot;
use crate::rows::Level;
use crate::rows::record::level_of;

/// A filter as k9s knows it: a regex whatever the case, `-f` for letters in order; and `!` before each part
/// that a line must not hold: `error !healthz !metrics`. Words joined by other spaces belong to one regex.
#[derive(Debug, Clone)]
pub struct Filter {
    pub typed: String,
    /// What a line must hold; anything, if absent.
    include: Option<Test>,
    /// What it must not hold, any of them.
    exclude: Vec<Test>,
    /// The least bad level that is shown.
    pub least: Option<Level>,
}

#[derive(Debug, Clone)]
enum Test {
    Regex(Regex),
    /// Lower-case letters to be found in this order.
    Fuzzy(Vec<char>),
}

impl Test {
    /// `None` if nothing is typed yet.
    fn parse(part: &str) -> Result<Option<Self>, String> {
        let part = part.trim();
        if part.is_empty() {
            return Ok(None);
        }
        let Some(letters) = part.strip_prefix("-f").filter(|r| r.is_empty() || r.starts_with(' ')) else {
            return Ok(Some(Test::Regex(compile(part)?)));
        };
        let letters: Vec<char> =
            letters.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        Ok((!letters.is_empty()).then_some(Test::Fuzzy(letters)))
    }

    fn holds(&self, line: &[u8]) -> bool {
        match self {
            Test::Regex(regex) => regex.is_match(line),
            Test::Fuzzy(letters) => in_order(letters, line),
        }
    }
}

/// Parts a filter at each `!` that begins a word: what must be there, then what must not.
fn parts(typed: &str) -> (&str, Vec<&str>) {
    let mut starts = Vec::new();
    let mut before = ' ';
    for (at, c) in typed.char_indices() {
        if c == '!' && before.is_whitespace() {
            starts.push(at);
        }
        before = c;
    }
    let first = starts.first().copied().unwrap_or(typed.len());
    let ends = starts.iter().skip(1).copied().chain([typed.len()]);
    (&typed[..first], starts.iter().zip(ends).map(|(from, to)| &typed[from + 1..to]).collect())
}

impl Filter {
    /// `None` for an empty filter. A regex that does not parse is an error of one sentence.
    pub fn parse(typed: &str) -> Result<Option<Self>, String> {
        let trimmed = typed.trim();
        let (include, excludes) = parts(trimmed);
        let include = Test::parse(include)?;
        let mut exclude = Vec::new();
        let mut patterns = Vec::new();
        for part in excludes {
            match Test::parse(part)? {
                Some(Test::Regex(_)) => patterns.push(format!("(?:{})", part.trim())),
                other => exclude.extend(other),
            }
        }
        // One pass over the lines, however many are shut out.
        if !patterns.is_empty() {
            exclude.push(Test::Regex(compile(&patterns.join("|"))?));
        }
        let nothing = include.is_none() && exclude.is_empty();
        Ok((!nothing).then(|| Self { typed: trimmed.to_owned(), include, exclude, least: None }))
    }

    /// Only lines of this level and worse ones, among those that `filter` shows.
    pub fn of_level(filter: Option<&Self>, least: Level) -> Self {
        let mut all = filter.cloned().unwrap_or_else(|| Self {
            typed: String::new(),
            include: None,
            exclude: Vec::new(),
            least: None,
        });
        all.least = Some(all.least.map_or(least, |already| already.max(least)));
        all
    }

    pub fn matches(&self, line: &[u8]) -> bool {
        self.include.as_ref().is_none_or(|test| test.holds(line)) && self.lets(line)
    }

    /// Whether a line is shown: it matches, or is one that no filter hides.
    pub fn shows(&self, line: &Stored<'_>) -> bool {
        line.kind.is_always_shown() || self.matches(line.text.as_bytes())
    }

    fn lets(&self, line: &[u8]) -> bool {
        !self.exclude.iter().any(|test| test.holds(line))
            && self.least.is_none_or(|least| {
                std::str::from_utf8(line).ok().and_then(level_of).is_some_and(|level| level >= least)
            })
    }

    /// What to highlight in a line that is shown.
    pub fn ranges(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        match &self.include {
            Some(Test::Regex(regex)) => regex
                .find_iter(text.as_bytes())
                .map(|m| m.range())
                .filter(|r| !r.is_empty())
                .take(64)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Appends the numbers of the chunk's lines that are shown.
    fn collect(&self, chunk: &Chunk, found: &mut Vec<u64>) {
        let before = found.len();
        self.collect_matching(chunk, found);
        if !chunk.always().is_empty() {
            found.extend(chunk.always().iter().map(|i| chunk.first + u64::from(*i)));
            found[before..].sort_unstable();
            found.dedup();
        }
    }

    fn collect_matching(&self, chunk: &Chunk, found: &mut Vec<u64>) {
        let bytes = chunk.bytes();
        let line = |i: usize| {
            let (start, end) = chunk.span(i);
            &bytes[start..end]
        };
        match (&self.include, self.exclude.as_slice()) {
            (Some(Test::Regex(regex)), _) => find_lines(regex, chunk, |i| {
                if self.lets(line(i)) {
                    found.push(chunk.first + i as u64);
                }
            }),
            // All but those that are found.
            (None, [Test::Regex(regex)]) if self.least.is_none() => {
                let mut next = 0;
                find_lines(regex, chunk, |i| {
                    found.extend((next..i).map(|j| chunk.first + j as u64));
                    next = i + 1;
                });
                found.extend((next..chunk.len()).map(|j| chunk.first + j as u64));
            }
            _ => {
                let matching = (0..chunk.len()).filter(|i| self.matches(line(*i)));
                found.extend(matching.map(|i| chunk.first + i as u64));
            }
        }
    }
}

/// A regex for one line, usable on many: `^` and `$` hold at line ends.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).case_insensitive(true).multi_line(true).size_limit(4 << 20).build().map_err(
        |e| match e {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            other => {
                // The last line of the parser's message names the mistake; those before it draw it.
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("not a regular expression: {last}")
            }
        },
    )
}

/// Calls `each` with the index of every line that matches, in order.
///
/// The regex runs over the whole chunk, which lets its literal search skip whole lines; a hit is
/// then tried on its own line, because a pattern such as `[^x]` can also match a line feed. No line
/// is passed over: the leftmost hit cannot start after a line that matches by itself.
fn find_lines(regex: &Regex, chunk: &Chunk, mut each: impl FnMut(usize)) {
    let bytes = chunk.bytes();
    let (mut at, mut next) = (0, 0);
    while at < bytes.len() {
        let Some(hit) = regex.find_at(bytes, at) else { return };
        if hit.start() >= bytes.len() {
            return;
        }
        let line = chunk.line_from(next, hit.start());
        let (start, end) = chunk.span(line);
        if hit.end() <= end || regex.is_match(&bytes[start..end]) {
            each(line);
        }
        at = end + 1;
        next = line + 1;
    }
}

fn in_order(letters: &[char], line: &[u8]) -> bool {
    if letters.iter().all(char::is_ascii) {
        // The letters of ASCII are no part of any other character: from one to the next, whatever lies between.
        let mut rest = line;
        return letters.iter().all(|letter| {
            let (lower, upper) = (*letter as u8, letter.to_ascii_uppercase() as u8);
            memchr::memchr2(lower, upper, rest).is_some_and(|at| {
                rest = &rest[at + 1..];
                true
            })
        });
    }
    let mut wanted = letters.iter();
    let Some(mut next) = wanted.next() else { return true };
    for c in String::from_utf8_lossy(line).chars().flat_map(char::to_lowercase) {
        if c == *next {
            match wanted.next() {
                Some(letter) => next = letter,
                None => return true,
            }
        }
    }
    false
}

/// A search under way, as the pane sees it.
#[derive(Debug, Default)]
pub struct Progress {
    pub stop: AtomicBool,
    /// Lines looked at so far.
    pub done: AtomicU64,
}

/// What is to be shown: of the lines that `filter` lets through, folded or not.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub filter: Option<Arc<Filter>>,
    pub folds: bool,
}

impl Wanted {
    pub fn shows(&self, line: &Stored<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.shows(line))
    }

    fn collect(&self, chunk: &Chunk, found: &mut Rows) {
        let mut numbers = Vec::new();
        match &self.filter {
            Some(filter) if !self.folds => return filter.collect(chunk, found.plain()),
            Some(filter) => filter.collect(chunk, &mut numbers),
            None => numbers.extend(chunk.first..chunk.first + chunk.len() as u64),
        }
        for number in numbers {
            let index = usize::try_from(number - chunk.first).unwrap_or_default();
            found.push(&chunk.line(index));
        }
    }
}

/// Searches all lines of a snapshot; `None` if it was told to stop. Several threads share the work,
/// each taking a run of chunks, so that the numbers stay in order.
pub fn run(chunks: &[Arc<Slot>], wanted: &Wanted, progress: &Progress) -> Option<Rows> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let share = chunks.len().div_ceil(threads).max(1);
    let parts: Vec<Rows> = std::thread::scope(|scope| {
        let workers: Vec<_> = chunks
            .chunks(share)
            .map(|part| {
                // A regex keeps its working memory for one thread at a time: each has a copy of its own.
                let filter = wanted.filter.as_ref().map(|filter| Arc::new(Filter::clone(filter)));
                let wanted = Wanted { filter, folds: wanted.folds };
                scope.spawn(move || {
                    let mut found = Rows::new(wanted.folds);
                    for slot in part {
                        if progress.stop.load(Ordering::Relaxed) {
                            break;
                        }
                        if let Some(chunk) = slot.load() {
                            wanted.collect(&chunk, &mut found);
                        }
                        progress.done.fetch_add(slot.lines as u64, Ordering::Relaxed);
                    }
                    found
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap_or_default()).collect()
    });
    let mut all = Rows::new(wanted.folds);
    parts.into_iter().for_each(|part| all.append(part));
    (!progress.stop.load(Ordering::Relaxed)).then_some(all)
}

/// What is jumped to.
#[derive(Debug, Clone)]
pub enum Goal {
    /// A line that the filter lets through by itself: a gap is not one.
    Line(Filter),
    /// A mark of the operator's.
    Mark,
}

/// The nearest such line after line `from`, or before it; `None` if there is none, or it was told to stop.
pub fn next(chunks: &[Arc<Slot>], goal: &Goal, from: u64, forward: bool, progress: &Progress) -> Option<u64> {
    let is_goal = |line: &Stored<'_>| match goal {
        Goal::Line(filter) => line.kind == Kind::Text && filter.matches(line.text.as_bytes()),
        Goal::Mark => line.kind == Kind::Mark,
    };
    let among = |slot: &Arc<Slot>| {
        if progress.stop.load(Ordering::Relaxed) {
            return None;
        }
        let chunk = slot.load()?;
        progress.done.fetch_add(slot.lines as u64, Ordering::Relaxed);
        let lines = (0..chunk.len()).map(|i| chunk.line(i));
        let found = if forward {
            lines.filter(|l| l.number > from).find(is_goal)
        } else {
            lines.rev().filter(|l| l.number < from).find(is_goal)
        };
        found.map(|line| line.number)
    };
    if forward {
        chunks.iter().filter(|slot| slot.end() > from).find_map(among)
    } else {
        chunks.iter().rev().filter(|slot| slot.first < from).find_map(among)
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::LogStore;
    use super::*;
    use crate::rows::{Line, LineSource};

    fn store(lines: impl IntoIterator<Item = String>) -> LogStore {
        let source = Arc::new(LineSource {
            cluster: "c".into(),
            namespace: "n".into(),
            pod: "p".into(),
            container: "m".into(),
        });
        let mut store = LogStore::default();
        for line in lines {
            store.push(&Line::Text { source: source.clone(), time: None, text: line.into() });
        }
        store
    }

    fn wanted(filter: &Filter) -> Wanted {
        Wanted { filter: Some(Arc::new(filter.clone())), folds: false }
    }

    fn find(store: &LogStore, typed: &str) -> Vec<u64> {
        let filter = Filter::parse(typed).unwrap().unwrap();
        let found = run(&store.snapshot(), &wanted(&filter), &Progress::default()).unwrap();
        let found = found.numbers().to_vec();
        let one_by_one: Vec<u64> = (store.first()..store.next())
            .filter(|n| store.get(*n).is_some_and(|l| filter.matches(l.line().text.as_bytes())))
            .collect();
        assert_eq!(found, one_by_one, "{typed}: the whole-chunk search differs from line by line");
        found
    }

    #[test]
    fn regex_inverse_and_fuzzy() {
        let s = store(["Error: a".into(), "fine".into(), "".into(), "x error y".into()]);
        assert_eq!(find(&s, "error"), [0, 3]);
        assert_eq!(find(&s, "!error"), [1, 2]);
        assert_eq!(find(&s, "^error"), [0]);
        assert_eq!(find(&s, "y$"), [3]);
        assert_eq!(find(&s, "-f eroy"), [3]);
        assert_eq!(find(&s, "^$"), [2]);
        assert_eq!(find(&s, "x error"), [3]);
        assert_eq!(find(&s, "error !x"), [0]);
        assert_eq!(find(&s, "!fine !a$"), [2, 3]);
        assert_eq!(find(&s, "!-f xy"), [0, 1, 2]);
        assert_eq!(find(&s, "-f er !y"), [0]);
    }

    #[test]
    fn an_exclamation_mark_inside_a_word_belongs_to_it() {
        let s = store(["stop!".into(), "stop".into(), "Überfüllt".into()]);
        assert_eq!(find(&s, "stop!"), [0]);
        assert_eq!(find(&s, "stop !"), [0, 1], "nothing is shut out yet");
        assert_eq!(find(&s, "-f üfü"), [2]);
    }

    #[test]
    fn a_pattern_that_could_cross_lines_does_not() {
        let s = store(["ab".into(), "cd".into(), "bxc".into()]);
        assert_eq!(find(&s, "b[^x]c"), Vec::<u64>::new());
        assert_eq!(find(&s, r"b\s*c"), Vec::<u64>::new());
        assert_eq!(find(&s, r"b[\s\S]c"), [2]);
        assert_eq!(find(&s, r"\n"), Vec::<u64>::new());
    }

    #[test]
    fn an_empty_filter_is_none_and_a_bad_one_says_why() {
        assert!(Filter::parse("  ! ").unwrap().is_none());
        let error = Filter::parse("(").unwrap_err();
        assert!(error.starts_with("not a regular expression: unclosed group"), "{error}");
    }

    #[test]
    fn levels_are_a_filter_and_a_goal() {
        let s = store(
            ["INFO a", "WARN b", r#"{"level":"error","msg":"c"}"#, "plain", "ERROR x"].map(str::to_owned),
        );
        let find = |filter: &Filter| {
            run(&s.snapshot(), &wanted(filter), &Progress::default()).unwrap().numbers().to_vec()
        };
        assert_eq!(find(&Filter::of_level(None, Level::Warning)), [1, 2, 4]);
        let not_x = Filter::parse("!x").unwrap();
        assert_eq!(find(&Filter::of_level(not_x.as_ref(), Level::Error)), [2]);
        let goal = Goal::Line(Filter::of_level(None, Level::Error));
        let next = |from, forward| next(&s.snapshot(), &goal, from, forward, &Progress::default());
        assert_eq!((next(0, true), next(2, true), next(4, true)), (Some(2), Some(4), None));
        assert_eq!((next(4, false), next(2, false)), (Some(2), None));
    }

    #[test]
    fn repeats_are_folded_among_what_is_found() {
        let s = store(["try 1", "noise", "try 2", "done", "try 3"].map(str::to_owned));
        let filter = Filter::parse("!noise").unwrap().map(Arc::new);
        let found = run(&s.snapshot(), &Wanted { filter, folds: true }, &Progress::default()).unwrap();
        assert_eq!(found.numbers(), [0, 3, 4]);
        assert_eq!((found.count(0), found.count(1)), (2, 1));
    }

    #[test]
    fn a_stopped_search_gives_nothing() {
        let s = store(["a".to_owned()]);
        let filter = Filter::parse("a").unwrap().unwrap();
        let stopped = Progress { stop: true.into(), ..Progress::default() };
        assert!(run(&s.snapshot(), &wanted(&filter), &stopped).is_none());
    }

    proptest::proptest! {
        #[test]
        fn the_fast_search_agrees_with_the_plain_one(
            lines in proptest::collection::vec("[abx ]{0,6}", 0..40),
            pattern in proptest::sample::select(vec!["a", "[^a]b", "a.b", "^b", "a$", r"b\s", "(a|b)+x", "a*", "!b", "^ ", "a !b", "!a !b", "-f ab !x"])
        ) {
            find(&store(lines), pattern);
        }
    }

    #[test]
    #[ignore = "a measurement, run by hand in release"]
    fn a_million_lines() {
        let s = store((0..1_000_000).map(|i| {
            format!(
                "2026-11-21T12:00:00Z {} request {i} path=/v1/items/{} took {} ms user=u{}",
                if i % 1000 == 0 { "ERROR" } else { "INFO" },
                i * 7,
                i % 313,
                i % 97
            )
        }));
        for pattern in ["error", "took 312 ms", "u9[0-3]$", "!info", "-f err req", "took !user=u1 !items"] {
            let filter = Filter::parse(pattern).unwrap().unwrap();
            let started = std::time::Instant::now();
            let found = run(&s.snapshot(), &wanted(&filter), &Progress::default()).unwrap();
            let took = started.elapsed();
            println!("{pattern:14} {:>8} of {} lines in {took:?}", found.numbers().len(), s.len());
            assert!(!found.numbers().is_empty());
            assert!(took.as_millis() <= 200, "{pattern}: {took:?}");
        }
    }
}
