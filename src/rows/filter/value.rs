//! One comparison of a filter: a column, an operator and a value in the column's own units.

use std::cmp::Ordering;

use regex::Regex;

use crate::base::clock::seconds;
use crate::rows::cell::{Cell, Column, ColumnKind};
use crate::rows::delta::Row;
use crate::rows::order::Source;

/// `column operator value`, understood.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    source: Source,
    operator: Operator,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    /// In the column's own units, and in lower case as it was typed.
    Cell(Cell, String),
    /// Of `~` and `!~`: looked for in the text as it is shown.
    Pattern(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    MatchesNot,
}

/// The longer ones first, so that `<=` is not read as `<`.
const SIGNS: [(&str, Operator); 9] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("!~", Operator::MatchesNot),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("~", Operator::Matches),
];

/// A text of the form of a comparison, whatever its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form<'a> {
    pub(super) name: &'a str,
    pub(super) operator: Operator,
    pub(super) sign: &'static str,
    pub(super) value: &'a str,
}

impl<'a> Form<'a> {
    /// `name operator value`, if `text` has that form. A value may be missing: it is still being typed.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let at = text.find(['=', '!', '<', '>', '~'])?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        let (sign, operator) = SIGNS.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
        (!name.is_empty()).then(|| Self { name, operator, sign, value: rest[sign.len()..].trim() })
    }

    /// Whether the name is one that a column could have, and not a part of a regular expression.
    pub(super) fn names_a_column(&self) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '%' | '/');
        self.name.len() <= 40
            && self.name.starts_with(|c: char| c.is_ascii_alphabetic())
            && self.name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '%')
            && self.name.chars().all(word)
    }

    /// Whether it has the form of a label's key and value, or of several
    /// (kubernetes.io/docs/concepts/overview/working-with-objects/labels).
    pub(super) fn is_label(&self) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        self.operator == Operator::Equal
            && !self.value.is_empty()
            && self.name.chars().all(|c| word(c) || c == '/')
            && self.value.split(',').next().is_some_and(|v| v.chars().all(word))
    }
}

impl Comparison {
    /// Reads the value in the units of its column. The error is a sentence for the prompt.
    pub(super) fn new(source: Source, form: &Form<'_>, columns: &[Column]) -> Result<Self, String> {
        let kind = match source {
            Source::Cell(i) => columns.get(i).map_or(ColumnKind::Text, |c| c.kind),
            _ => ColumnKind::Text,
        };
        let text = unquoted(form.value);
        if text.is_empty() && form.value.is_empty() {
            return Err(format!("{} {} what? {}", form.name, form.sign, example(kind)));
        }
        let value = match form.operator {
            Operator::Matches | Operator::MatchesNot => Value::Pattern(super::regex(text)?),
            _ => Value::Cell(amount(kind, text)?, text.to_lowercase()),
        };
        Ok(Self { source, operator: form.operator, value })
    }

    /// `None` where the value is not known. `now`: seconds since the Unix epoch.
    pub(super) fn holds(&self, row: &Row, now: i64) -> Option<bool> {
        let known = match self.source {
            Source::Cell(i) => Some(row.cells.get(i).filter(|cell| !matches!(cell, Cell::Unknown))?),
            _ => None,
        };
        let part = match self.source {
            Source::Cluster => &*row.key.cluster,
            Source::Namespace => row.key.namespace.as_str(),
            Source::Name | Source::Cell(_) => row.key.name.as_str(),
        };
        let (wanted, text) = match &self.value {
            Value::Pattern(pattern) => {
                let found = match known {
                    Some(Cell::Text(t) | Cell::Status(t, _)) => pattern.is_match(t),
                    Some(cell) => pattern.is_match(&cell.display(now)),
                    None => pattern.is_match(part),
                };
                return Some(found == (self.operator == Operator::Matches));
            }
            Value::Cell(wanted, text) => (wanted, text.as_str()),
        };
        let ordering = match known {
            None => compare_words(part, text),
            Some(Cell::Text(t) | Cell::Status(t, _)) => compare_words(t, text),
            // An age counts up as time goes on.
            Some(Cell::Time(t)) if matches!(wanted, Cell::Number(_)) => Cell::Number(now - t).compare(wanted),
            // 2/2 is as ready as 1/1; only where they are asked to be equal does the number count.
            Some(Cell::Ratio(a, b)) if self.orders() && matches!(wanted, Cell::Ratio(..)) => {
                let Cell::Ratio(c, d) = wanted else { return None };
                (u64::from(*a) * u64::from((*d).max(1))).cmp(&(u64::from(*c) * u64::from((*b).max(1))))
            }
            Some(cell) if std::mem::discriminant(cell) == std::mem::discriminant(wanted) => {
                cell.compare(wanted)
            }
            // A word where the column promised a number, or the other way round: compared as it is shown.
            Some(cell) => compare_words(&cell.display(now), text),
        };
        Some(match self.operator {
            Operator::Equal | Operator::Matches => ordering == Ordering::Equal,
            Operator::NotEqual | Operator::MatchesNot => ordering != Ordering::Equal,
            Operator::Less => ordering == Ordering::Less,
            Operator::LessOrEqual => ordering != Ordering::Greater,
            Operator::Greater => ordering == Ordering::Greater,
            Operator::GreaterOrEqual => ordering != Ordering::Less,
        })
    }

    fn orders(&self) -> bool {
        !matches!(self.operator, Operator::Equal | Operator::NotEqual)
    }
}

/// Natural order whatever the case; `wanted` is in lower case. Most words are equal or not: that needs no copy.
fn compare_words(text: &str, wanted: &str) -> Ordering {
    if text.eq_ignore_ascii_case(wanted) {
        return Ordering::Equal;
    }
    crate::rows::order::natural(&text.to_lowercase(), wanted)
}

/// What stands in quotes, without them.
fn unquoted(text: &str) -> &str {
    let inner = |q: char| text.strip_prefix(q).and_then(|t| t.strip_suffix(q));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// What a column of this kind is compared with, for who is still typing.
fn example(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text | ColumnKind::Status => "A word, such as Running",
        ColumnKind::Number => "A number, such as 3",
        ColumnKind::Age => "An age, such as 90s, 2h or 3d12h",
        ColumnKind::Cpu => "An amount of CPU, such as 250m or 2",
        ColumnKind::Memory => "An amount of memory, such as 100Mi or 1.5Gi",
        ColumnKind::Percent => "A share, such as 80%",
        ColumnKind::Ratio => "A ratio, such as 1/2",
    }
}

fn amount(kind: ColumnKind, text: &str) -> Result<Cell, String> {
    let read = match kind {
        ColumnKind::Text | ColumnKind::Status => Some(Cell::text(text.to_lowercase())),
        ColumnKind::Number => text.parse().ok().map(Cell::Number),
        ColumnKind::Age => seconds(text).and_then(|n| i64::try_from(n).ok()).map(Cell::Number),
        ColumnKind::Cpu => cpu(text).map(Cell::Cpu),
        ColumnKind::Memory => bytes(text).map(Cell::Memory),
        ColumnKind::Percent => text
            .trim_end_matches('%')
            .trim_end()
            .parse::<f64>()
            .ok()
            .map(|p| Cell::Percent((p * 100.0) as i64)),
        ColumnKind::Ratio => ratio(text),
    };
    read.ok_or_else(|| {
        let what = match kind {
            ColumnKind::Text | ColumnKind::Status => "word",
            ColumnKind::Number => "number",
            ColumnKind::Age => "age",
            ColumnKind::Cpu => "amount of CPU",
            ColumnKind::Memory => "amount of memory",
            ColumnKind::Percent => "share",
            ColumnKind::Ratio => "ratio",
        };
        format!("{text:?} is no {what}. {}", example(kind))
    })
}

/// `250m` or whole and decimal cores, in millicores.
fn cpu(text: &str) -> Option<i64> {
    match text.strip_suffix('m') {
        Some(milli) => milli.parse().ok(),
        None => {
            text.parse::<f64>().ok().filter(|cores| cores.is_finite()).map(|cores| (cores * 1000.0) as i64)
        }
    }
}

/// Kubernetes quantities of memory, in bytes. Units may be written in any case: `1gi` can mean nothing else.
fn bytes(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match &*text[end..].trim().to_ascii_lowercase() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1_048_576.0,
        "gi" | "gib" => 1_073_741_824.0,
        "ti" | "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    Some((number * unit) as i64)
}

fn ratio(text: &str) -> Option<Cell> {
    let (a, b) = text.split_once('/')?;
    Some(Cell::Ratio(a.trim().parse().ok()?, b.trim().parse().ok()?))
}
