//! The filter language of tables: what is typed after `/`, and what `filter` is in the operations that list.
//!
//! | typed | shows the rows |
//! |---|---|
//! | `web.*crash` | whose visible columns, joined by spaces, match the regular expression, whatever the case |
//! | `!running` | that do not |
//! | `-f wbcrsh` | whose text has these letters in this order |
//! | `restarts>3`, `status!=running`, `age<2h`, `memory>=1Gi` | whose column compares so; unknown never does |
//! | `node~^eu-`, `image!~latest` | whose column matches the regular expression, or does not |
//! | `-l app=web`, `app=web` | that the server selects by label |
//! | `a && b`, `a \|\| b`, `!(a)`, `(a \|\| b) && c` | for which that holds; each part is any of the above |
//! | `restarts>3 and not (age<1h or status=Running)` | the same in words, where something is compared |
//! | `restarts>3 age<1h` | for which each of the comparisons holds |

mod expression;
mod value;

use std::collections::HashSet;

use memchr::memmem;
use regex::Regex;

use super::cell::{Cell, Column, Tone};
use super::delta::{Row, RowKey, TableDelta};
use super::order::Source;
use value::Comparison;

/// The columns that are visible, and so searched, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    pub sources: Vec<Source>,
}

impl Shape {
    /// The key's parts that vary, and every column that is not wide: what is searched where there is no screen.
    pub fn usual(columns: &[Column], cluster: bool, namespace: bool) -> Self {
        let key = [(cluster, Source::Cluster), (namespace, Source::Namespace), (true, Source::Name)];
        let key = key.into_iter().filter(|(wanted, _)| *wanted).map(|(_, source)| source);
        let cells = columns.iter().enumerate().filter(|(_, c)| c.is_usual()).map(|(i, _)| Source::Cell(i));
        Self { sources: key.chain(cells).collect() }
    }

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
    expression: Expression,
    /// Only rows whose tone says that something is wrong.
    pub faults: bool,
}

/// Terms joined together.
#[derive(Debug, Clone)]
enum Expression {
    Term(Term),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Default for Expression {
    fn default() -> Self {
        Expression::Term(Term::All)
    }
}

#[derive(Debug, Clone)]
enum Term {
    All,
    /// Lower-case ASCII without any meaning as a regular expression: found much faster than one.
    Literal(Box<memmem::Finder<'static>>),
    Regex(Regex),
    Fuzzy(Box<nucleo_matcher::pattern::Pattern>),
    Compare(Comparison),
}

/// What a filter's text asks for.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// To be applied here.
    pub filter: Filter,
    /// A label selector, for the server.
    pub labels: Option<String>,
}

impl Filter {
    /// Understands `text`. `columns` decides what is a comparison; where none is known yet, no name is wrong. The error
    /// is a sentence for the prompt.
    pub fn parse(text: &str, columns: &[Column]) -> Result<Parsed, String> {
        let understood = expression::parse(text.trim_start(), columns)?;
        let labels = (!understood.labels.is_empty()).then(|| understood.labels.join(","));
        Ok(Parsed { filter: Self { expression: understood.expression, faults: false }, labels })
    }

    #[must_use]
    pub fn faults(mut self, only: bool) -> Self {
        self.faults = only;
        self
    }

    /// Whether every row passes.
    pub fn is_all(&self) -> bool {
        matches!(self.expression, Expression::Term(Term::All)) && !self.faults
    }

    /// Whether every row that passes `self` passes `before` too, so that only those need be looked at.
    pub fn narrows(&self, before: &Filter) -> bool {
        if before.is_all() {
            return true;
        }
        if before.faults && !self.faults {
            return false;
        }
        match (&self.expression, &before.expression) {
            (_, Expression::Term(Term::All)) => true,
            (Expression::Term(Term::Literal(new)), Expression::Term(Term::Literal(old))) => {
                memmem::find(new.needle(), old.needle()).is_some()
            }
            _ => false,
        }
    }
}

/// A filter at work, with what it writes into kept from row to row.
pub struct Tester<'a> {
    filter: &'a Filter,
    matching: Matching<'a>,
}

/// What a test needs beside the filter itself.
struct Matching<'a> {
    shape: &'a Shape,
    now: i64,
    /// The row's text, and the same in lower case, each written when a term first asks for it.
    text: String,
    lower: String,
    fuzzy: Option<Box<nucleo_matcher::Matcher>>,
    wide: Vec<char>,
}

impl<'a> Tester<'a> {
    /// `now`: seconds since the Unix epoch, for ages.
    pub fn new(filter: &'a Filter, shape: &'a Shape, now: i64) -> Self {
        let matching =
            Matching { shape, now, text: String::new(), lower: String::new(), fuzzy: None, wide: Vec::new() };
        Self { filter, matching }
    }

    pub fn passes(&mut self, row: &Row) -> bool {
        if self.filter.faults && !matches!(row.tone, Tone::Error | Tone::Pending) {
            return false;
        }
        if matches!(self.filter.expression, Expression::Term(Term::All)) {
            return true;
        }
        self.matching.text.clear();
        self.matching.lower.clear();
        self.matching.holds(&self.filter.expression, row) == Some(true)
    }
}

impl Matching<'_> {
    /// `None` where a value is not known: neither that nor its opposite holds then.
    fn holds(&mut self, expression: &Expression, row: &Row) -> Option<bool> {
        match expression {
            Expression::Term(term) => self.term(term, row),
            Expression::Not(inner) => self.holds(inner, row).map(|holds| !holds),
            Expression::All(all) => {
                let mut result = Some(true);
                for one in all {
                    match self.holds(one, row) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => result = None,
                    }
                }
                result
            }
            Expression::Any(all) => {
                let mut result = Some(false);
                for one in all {
                    match self.holds(one, row) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => result = None,
                    }
                }
                result
            }
        }
    }

    fn term(&mut self, term: &Term, row: &Row) -> Option<bool> {
        if let Term::Compare(comparison) = term {
            return comparison.holds(row, self.now);
        }
        if self.text.is_empty() {
            self.shape.write(row, self.now, &mut self.text);
        }
        Some(match term {
            Term::All | Term::Compare(_) => true,
            Term::Literal(finder) => {
                if self.lower.is_empty() {
                    self.lower.push_str(&self.text);
                    self.lower.make_ascii_lowercase();
                }
                finder.find(self.lower.as_bytes()).is_some()
            }
            Term::Regex(regex) => regex.is_match(&self.text),
            Term::Fuzzy(pattern) => {
                let matcher = self.fuzzy.get_or_insert_with(|| {
                    Box::new(nucleo_matcher::Matcher::new(nucleo_matcher::Config::DEFAULT))
                });
                let text = nucleo_matcher::Utf32Str::new(&self.text, &mut self.wide);
                pattern.score(text, matcher).is_some()
            }
        })
    }
}

/// Lets through a table's deltas what passes a filter, for readers that keep no view of their own. The filter is parsed
/// anew with each set of columns. A row that passes by the going of time alone passes with its next change.
pub struct Sieve {
    text: String,
    cluster: bool,
    namespace: bool,
    filter: Filter,
    shape: Shape,
    /// What the reader has.
    told: HashSet<RowKey>,
}

impl Sieve {
    /// `cluster` and `namespace`: whether rows of several are among them, so that their names are searched too.
    pub fn new(text: &str, cluster: bool, namespace: bool) -> Self {
        let (filter, shape) = (Filter::default(), Shape::default());
        Self { text: text.to_owned(), cluster, namespace, filter, shape, told: HashSet::new() }
    }

    /// What of a delta is to be told. A row that does not pass is gone, for whoever had it.
    ///
    /// # Errors
    ///
    /// The filter does not fit the columns.
    pub fn pass(&mut self, mut delta: TableDelta, now: i64) -> Result<TableDelta, String> {
        if let Some(columns) = &delta.columns {
            self.filter = Filter::parse(&self.text, columns)?.filter;
            self.shape = Shape::usual(columns, self.cluster, self.namespace);
        }
        let mut tester = Tester::new(&self.filter, &self.shape, now);
        if delta.reset {
            self.told.clear();
        }
        delta.removed.retain(|key| self.told.remove(key));
        let (upserts, removed, told) = (&mut delta.upserts, &mut delta.removed, &mut self.told);
        upserts.retain(|row| {
            let passes = tester.passes(row);
            if passes {
                told.insert(row.key.clone());
            } else if told.remove(&row.key) {
                removed.push(row.key.clone());
            }
            passes
        });
        Ok(delta)
    }
}

/// What follows a flag at the beginning.
fn flag<'a>(text: &'a str, flag: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(flag)?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

/// The selector of `-l …`.
fn labels_of(text: &str) -> Option<&str> {
    flag(text, "-l").map(str::trim)
}

fn fuzzy(text: &str) -> Term {
    if text.is_empty() {
        return Term::All;
    }
    use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
    Term::Fuzzy(Box::new(Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart)))
}

fn matcher(text: &str) -> Result<Term, String> {
    if text.is_ascii() && regex::escape(text).chars().eq(text.chars().flat_map(escaped)) && !is_meta(text) {
        let finder = memmem::Finder::new(text.to_ascii_lowercase().as_bytes()).into_owned();
        return Ok(Term::Literal(Box::new(finder)));
    }
    regex(text).map(Term::Regex)
}

/// A regular expression that minds no case. Its error is a sentence.
fn regex(text: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
    built.map_err(|e| explain(&e))
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

#[cfg(test)]
mod tests;
