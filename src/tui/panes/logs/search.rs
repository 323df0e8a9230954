//! Finding lines: the filter as typed, and the search over every line that runs on a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regex::bytes::{Regex, RegexBuilder};

use super::store::Chunk;

/// A filter as k9s knows it: a regex whatever the case, `!` before it for the other lines, `-f` for
/// letters in order. Parts joined by spaces belong to the regex.
#[derive(Debug, Clone)]
pub struct Filter {
    pub typed: String,
    test: Test,
    inverse: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Regex(Regex),
    /// Lower-case letters to be found in this order.
    Fuzzy(Vec<char>),
}

impl Filter {
    /// `None` for an empty filter. A regex that does not parse is an error of one sentence.
    pub fn parse(typed: &str) -> Result<Option<Self>, String> {
        let trimmed = typed.trim();
        let (inverse, rest) = match trimmed.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, trimmed),
        };
        if rest.is_empty() {
            return Ok(None);
        }
        let test = if let Some(letters) = rest.strip_prefix("-f").filter(|r| r.starts_with(' ')) {
            let letters: Vec<char> = letters.chars().filter(|c| !c.is_whitespace()).collect();
            if letters.is_empty() {
                return Ok(None);
            }
            Test::Fuzzy(letters.iter().flat_map(|c| c.to_lowercase()).collect())
        } else {
            Test::Regex(compile(rest)?)
        };
        Ok(Some(Self { typed: trimmed.to_owned(), test, inverse }))
    }

    pub fn matches(&self, line: &[u8]) -> bool {
        self.plain_match(line) != self.inverse
    }

    /// What to highlight in a line that is shown.
    pub fn ranges(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        match &self.test {
            Test::Regex(regex) if !self.inverse => regex
                .find_iter(text.as_bytes())
                .map(|m| m.range())
                .filter(|r| !r.is_empty())
                .take(64)
                .collect(),
            _ => Vec::new(),
        }
    }

    fn plain_match(&self, line: &[u8]) -> bool {
        match &self.test {
            Test::Regex(regex) => regex.is_match(line),
            Test::Fuzzy(letters) => in_order(letters, line),
        }
    }

    /// Appends the numbers of the chunk's lines that match. Gaps always do: they must not become silent.
    fn collect(&self, chunk: &Chunk, found: &mut Vec<u64>) {
        let before = found.len();
        self.collect_matching(chunk, found);
        if !chunk.gaps().is_empty() {
            found.extend(chunk.gaps().iter().map(|i| chunk.first + u64::from(*i)));
            found[before..].sort_unstable();
            found.dedup();
        }
    }

    fn collect_matching(&self, chunk: &Chunk, found: &mut Vec<u64>) {
        match &self.test {
            Test::Regex(regex) => {
                let mut before = 0;
                find_lines(regex, chunk, |i| {
                    if self.inverse {
                        found.extend((before..i).map(|j| chunk.first + j as u64));
                        before = i + 1;
                    } else {
                        found.push(chunk.first + i as u64);
                    }
                });
                if self.inverse {
                    found.extend((before..chunk.len()).map(|j| chunk.first + j as u64));
                }
            }
            Test::Fuzzy(_) => {
                let bytes = chunk.bytes();
                found.extend((0..chunk.len()).filter_map(|i| {
                    let (start, end) = chunk.span(i);
                    self.matches(&bytes[start..end]).then_some(chunk.first + i as u64)
                }));
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
    let mut at = 0;
    while at < bytes.len() {
        let Some(hit) = regex.find_at(bytes, at) else { return };
        if hit.start() >= bytes.len() {
            return;
        }
        let line = chunk.line_at(hit.start());
        let (start, end) = chunk.span(line);
        if hit.end() <= end || regex.is_match(&bytes[start..end]) {
            each(line);
        }
        at = end + 1;
    }
}

fn in_order(letters: &[char], line: &[u8]) -> bool {
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

/// Searches all lines of a snapshot; `None` if it was told to stop. Several threads share the work,
/// each taking a run of chunks, so that the numbers stay in order.
pub fn run(chunks: &[Arc<Chunk>], filter: &Filter, stop: &AtomicBool) -> Option<Vec<u64>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let share = chunks.len().div_ceil(threads).max(1);
    let parts: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = chunks
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let mut found = Vec::new();
                    for chunk in part {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        filter.collect(chunk, &mut found);
                    }
                    found
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap_or_default()).collect()
    });
    (!stop.load(Ordering::Relaxed)).then(|| parts.concat())
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

    fn find(store: &LogStore, typed: &str) -> Vec<u64> {
        let filter = Filter::parse(typed).unwrap().unwrap();
        let found = run(&store.snapshot(), &filter, &AtomicBool::new(false)).unwrap();
        let one_by_one: Vec<u64> = (store.first()..store.next())
            .filter(|n| store.get(*n).is_some_and(|l| filter.matches(l.text.as_bytes())))
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
    fn a_stopped_search_gives_nothing() {
        let s = store(["a".to_owned()]);
        let filter = Filter::parse("a").unwrap().unwrap();
        assert!(run(&s.snapshot(), &filter, &AtomicBool::new(true)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn the_fast_search_agrees_with_the_plain_one(
            lines in proptest::collection::vec("[abx ]{0,6}", 0..40),
            pattern in proptest::sample::select(vec!["a", "[^a]b", "a.b", "^b", "a$", r"b\s", "(a|b)+x", "a*", "!b", "^ "])
        ) {
            find(&store(lines), pattern);
        }
    }

    #[test]
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
        for pattern in ["error", "took 312 ms", "u9[0-3]$", "!info", "-f err req"] {
            let filter = Filter::parse(pattern).unwrap().unwrap();
            let started = std::time::Instant::now();
            let found = run(&s.snapshot(), &filter, &AtomicBool::new(false)).unwrap();
            println!("{pattern:14} {:>8} of {} lines in {:?}", found.len(), s.len(), started.elapsed());
            assert!(!found.is_empty());
        }
    }
}
