//! The filter language of tables: what is typed after `/`.
//!
//! | typed | shows the rows |
//! |---|---|
//! | `web.*crash` | whose visible columns, joined by spaces, match the regular expression, whatever the case |
//! | `!running` | that do not |
//! | `-f wbcrsh` | whose text has these letters in this order |
//! | `restarts>3`, `status!=running`, `age<2h`, `memory>=1Gi` | whose column compares so; unknown never does |
//! | `-l app=web`, `app=web` | that the server selects by label |

use std::cmp::Ordering;

use memchr::memmem;
use regex::Regex;

use super::cell::{Cell, Column, ColumnKind, Tone};
use super::delta::Row;
use super::order::Source;
use crate::base::clock::seconds;

/// The columns that are visible, and so searched, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    pub sources: Vec<Source>,
}

impl Shape {
    /// The row's visible text, joined by spaces, at the end of `out`.
    pub fn write(&self, row: &Row, now: i64, out: &mut String) {
        for (i, source) in self.sources.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            match source {
                Source::Cluster => out.push_str(&row.key.cluster),
                Source::Namespace => out.push_str(&row.key.namespace),
                Source::Name => out.push_str(&row.key.name),
                Source::Cell(i) => row.cells.get(*i).unwrap_or(&Cell::Unknown).write(now, out),
            }
        }
    }
}

/// What is typed, understood.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    test: Test,
    invert: bool,
    /// Only rows whose tone says that something is wrong.
    pub faults: bool,
}

#[derive(Debug, Clone, Default)]
enum Test {
    #[default]
    All,
    /// Lower-case ASCII without any meaning as a regular expression: found much faster than one.
    Literal(Box<memmem::Finder<'static>>),
    Regex(Regex),
    Fuzzy(Box<nucleo_matcher::pattern::Pattern>),
    Compare(Comparison),
}

#[derive(Debug, Clone)]
struct Comparison {
    source: Source,
    operator: Operator,
    /// The value in the column's own units.
    value: Cell,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a filter's text asks for.
#[derive(Debug, Clone)]
pub enum Parsed {
    /// To be applied here.
    Local(Filter),
    /// A label selector, for the server.
    Labels(String),
}

impl Filter {
    /// Understands `text`. `columns` decides what is a comparison. The error is a sentence for the prompt.
    pub fn parse(text: &str, columns: &[Column]) -> Result<Parsed, String> {
        let text = text.trim_start();
        if let Some(rest) = flag(text, "-l") {
            return Ok(Parsed::Labels(rest.trim().to_owned()));
        }
        if let Some(rest) = flag(text, "-f") {
            return Ok(Parsed::Local(Self { test: fuzzy(rest.trim()), ..Self::default() }));
        }
        let (invert, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        if let Some((name, operator, value)) = comparison(text) {
            if let Some(source) = Source::named(columns, name) {
                let test = Test::Compare(compare(source, operator, value, columns)?);
                return Ok(Parsed::Local(Self { test, invert, faults: false }));
            }
            if !invert && operator == Operator::Equal && is_label(name, value) {
                return Ok(Parsed::Labels(text.trim().to_owned()));
            }
        }
        Ok(Parsed::Local(Self { test: matcher(text)?, invert, faults: false }))
    }

    #[must_use]
    pub fn faults(mut self, only: bool) -> Self {
        self.faults = only;
        self
    }

    /// Whether every row passes.
    pub fn is_all(&self) -> bool {
        matches!(self.test, Test::All) && !self.faults
    }

    /// Whether every row that passes `self` passes `before` too, so that only those need be looked at.
    pub fn narrows(&self, before: &Filter) -> bool {
        if before.is_all() {
            return true;
        }
        let plain = !self.invert && !before.invert && (self.faults || !before.faults);
        match (&self.test, &before.test) {
            (_, Test::All) => self.faults || !before.faults,
            (Test::Literal(new), Test::Literal(old)) => {
                plain && memmem::find(new.needle(), old.needle()).is_some()
            }
            _ => false,
        }
    }
}

/// A filter at work, with what it writes into kept from row to row.
pub struct Tester<'a> {
    filter: &'a Filter,
    shape: &'a Shape,
    now: i64,
    text: String,
    fuzzy: Option<Box<nucleo_matcher::Matcher>>,
    wide: Vec<char>,
}

impl<'a> Tester<'a> {
    /// `now`: seconds since the Unix epoch, for ages.
    pub fn new(filter: &'a Filter, shape: &'a Shape, now: i64) -> Self {
        let fuzzy = matches!(filter.test, Test::Fuzzy(_))
            .then(|| Box::new(nucleo_matcher::Matcher::new(nucleo_matcher::Config::DEFAULT)));
        Self { filter, shape, now, text: String::new(), fuzzy, wide: Vec::new() }
    }

    pub fn passes(&mut self, row: &Row) -> bool {
        if self.filter.faults && !matches!(row.tone, Tone::Error | Tone::Pending) {
            return false;
        }
        let found = match &self.filter.test {
            Test::All => return true,
            Test::Compare(comparison) => match comparison.holds(row, self.now) {
                Some(holds) => holds,
                // Unknown never matches, inverted or not.
                None => return false,
            },
            test => {
                self.text.clear();
                self.shape.write(row, self.now, &mut self.text);
                match test {
                    Test::Literal(finder) => {
                        self.text.make_ascii_lowercase();
                        finder.find(self.text.as_bytes()).is_some()
                    }
                    Test::Regex(regex) => regex.is_match(&self.text),
                    Test::Fuzzy(pattern) => self.fuzzy.as_mut().is_some_and(|matcher| {
                        let text = nucleo_matcher::Utf32Str::new(&self.text, &mut self.wide);
                        pattern.score(text, matcher).is_some()
                    }),
                    Test::All | Test::Compare(_) => true,
                }
            }
        };
        found != self.filter.invert
    }
}

fn flag<'a>(text: &'a str, flag: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(flag)?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

fn fuzzy(text: &str) -> Test {
    if text.is_empty() {
        return Test::All;
    }
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    Test::Fuzzy(Box::new(Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart)))
}

fn matcher(text: &str) -> Result<Test, String> {
    if text.is_empty() {
        return Ok(Test::All);
    }
    if text.is_ascii() && regex::escape(text).chars().eq(text.chars().flat_map(escaped)) && !is_meta(text) {
        let finder = memmem::Finder::new(text.to_ascii_lowercase().as_bytes()).into_owned();
        return Ok(Test::Literal(Box::new(finder)));
    }
    regex::RegexBuilder::new(text)
        .case_insensitive(true)
        .size_limit(1 << 20)
        .build()
        .map(Test::Regex)
        .map_err(|e| explain(&e))
}

fn is_meta(text: &str) -> bool {
    text.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'])
}

/// What `regex::escape` makes of a character that has no meaning outside of classes and comments.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let slash = matches!(c, '#' | '&' | '-' | '~').then_some('\\');
    slash.into_iter().chain(std::iter::once(c))
}

/// The last line of a regular expression's error says what is wrong; the others draw it.
fn explain(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    format!("not a regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
}

/// `name operator value`, if it has that form.
fn comparison(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find(['=', '!', '<', '>'])?;
    let (name, rest) = (text[..at].trim(), &text[at..]);
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    let (operator, value) = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ]
    .into_iter()
    .find_map(|(sign, operator)| rest.strip_prefix(sign).map(|value| (operator, value.trim())))?;
    (!value.is_empty()).then_some((name, operator, value))
}

/// Whether it has the form of a label's key and value (kubernetes.io/docs/concepts/overview/working-with-objects/labels).
fn is_label(key: &str, value: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    key.chars().all(|c| word(c) || c == '/') && value.split(',').next().is_some_and(|v| v.chars().all(word))
}

fn compare(
    source: Source,
    operator: Operator,
    value: &str,
    columns: &[Column],
) -> Result<Comparison, String> {
    let kind = match source {
        Source::Cell(i) => columns.get(i).map_or(ColumnKind::Text, |c| c.kind),
        _ => ColumnKind::Text,
    };
    let cell = match kind {
        ColumnKind::Text | ColumnKind::Status => Cell::text(value.to_lowercase()),
        ColumnKind::Number => {
            value.parse().map(Cell::Number).map_err(|_| format!("{value:?} is no number"))?
        }
        ColumnKind::Age => {
            Cell::Number(duration(value).ok_or_else(|| format!("{value:?} is no age: 90s, 2h, 3d"))?)
        }
        ColumnKind::Cpu => Cell::Cpu(cpu(value).ok_or_else(|| format!("{value:?} is no CPU: 250m, 2"))?),
        ColumnKind::Memory => {
            Cell::Memory(bytes(value).ok_or_else(|| format!("{value:?} is no memory: 100Mi, 1Gi"))?)
        }
        ColumnKind::Percent => value
            .trim_end_matches('%')
            .parse::<f64>()
            .map(|p| Cell::Percent((p * 100.0) as i64))
            .map_err(|_| format!("{value:?} is no percentage"))?,
        ColumnKind::Ratio => ratio(value).ok_or_else(|| format!("{value:?} is no ratio: 1/2"))?,
    };
    Ok(Comparison { source, operator, value: cell, text: value.to_lowercase() })
}

impl Comparison {
    /// `None` where the value is not known.
    fn holds(&self, row: &Row, now: i64) -> Option<bool> {
        let key_part = |text: &str| Cell::text(text.to_lowercase());
        let cell = match self.source {
            Source::Cluster => key_part(&row.key.cluster),
            Source::Namespace => key_part(&row.key.namespace),
            Source::Name => key_part(&row.key.name),
            Source::Cell(i) => match row.cells.get(i)? {
                Cell::Unknown => return None,
                Cell::Time(t) => Cell::Number(now - t),
                Cell::Text(t) | Cell::Status(t, _) => key_part(t),
                other => other.clone(),
            },
        };
        // A word where the column promised a number, or the other way round: compared as it is shown.
        let same = std::mem::discriminant(&cell) == std::mem::discriminant(&self.value);
        let ordering = match same {
            true => cell.compare(&self.value),
            false => cell.display(now).to_lowercase().as_str().cmp(self.text.as_str()),
        };
        Some(match self.operator {
            Operator::Equal => ordering == Ordering::Equal,
            Operator::NotEqual => ordering != Ordering::Equal,
            Operator::Less => ordering == Ordering::Less,
            Operator::LessOrEqual => ordering != Ordering::Greater,
            Operator::Greater => ordering == Ordering::Greater,
            Operator::GreaterOrEqual => ordering != Ordering::Less,
        })
    }
}

/// `90s`, `3h12m`, `2d` in seconds.
fn duration(text: &str) -> Option<i64> {
    seconds(text).and_then(|n| i64::try_from(n).ok())
}

/// `250m` or whole and decimal cores, in millicores.
fn cpu(text: &str) -> Option<i64> {
    match text.strip_suffix('m') {
        Some(milli) => milli.parse().ok(),
        None => text.parse::<f64>().ok().map(|cores| (cores * 1000.0) as i64),
    }
}

/// Kubernetes quantities of memory, in bytes.
fn bytes(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match &text[end..] {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some((number * unit) as i64)
}

fn ratio(text: &str) -> Option<Cell> {
    let (a, b) = text.split_once('/')?;
    Some(Cell::Ratio(a.trim().parse().ok()?, b.trim().parse().ok()?))
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
