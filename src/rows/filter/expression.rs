//! What is typed after `/`, taken apart: terms joined by `&&`, `||`, `!` and parentheses.
//!
//! A regular expression may hold parentheses and bars of its own. Hence only a doubled sign joins, nothing inside
//! brackets or quotes does, and a group whose end does not end a term is part of a regular expression.

use std::borrow::Cow;

use super::value::{Comparison, Form};
use super::{Expression, Term, fuzzy, labels_of, matcher};
use crate::base::text::nearest;
use crate::rows::cell::Column;
use crate::rows::order::Source;

/// Deeper nesting is no question that a person asks.
const DEEPEST: usize = 32;

/// An expression, and what of it the server must select.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) expression: Expression,
    pub(super) labels: Vec<String>,
}

/// Understands a text. `columns` decides what is a comparison; without any, nothing is wrong with a name.
pub(super) fn parse(text: &str, columns: &[Column]) -> Result<Understood, String> {
    // Half of `!web`: what it will be the opposite of is still being typed.
    if text.trim() == "!" {
        return Ok(Understood::default());
    }
    let signs = signs(text, columns);
    let mut parser = Parser { rest: &signs, columns, labels: Vec::new(), depth: 0, joined: false };
    let expression = parser.either(true)?;
    match parser.rest.trim_start() {
        "" => Ok(Understood { expression, labels: parser.labels }),
        _ => Err("there is a ) too many".to_owned()),
    }
}

/// The text with signs for the words `and`, `or` and `not`, where something in it is a comparison: in a regular expression
/// they are words like any other.
fn signs<'a>(text: &'a str, columns: &[Column]) -> Cow<'a, str> {
    let compares = |word: &str| {
        let form = Form::of(word.trim_start_matches(['(', '!'])).filter(|form| !form.value.is_empty());
        form.is_some_and(|form| Source::named(columns, form.name).is_some())
    };
    if !text.split_whitespace().any(compares) {
        return text.into();
    }
    let (mut walk, mut out, mut from) = (Walk::default(), String::new(), 0);
    for (at, c) in text.char_indices() {
        let begins = walk.before.is_none_or(|b| b.is_whitespace() || b == '(' || b == '!');
        let word = ["and", "or", "not"].into_iter().find(|word| {
            let end = text.get(at..at + word.len()).filter(|part| part.eq_ignore_ascii_case(word));
            end.is_some()
                && text[at + word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || c == '(')
        });
        if let Some(word) = word.filter(|_| begins && walk.is_plain()) {
            out.push_str(&text[from..at]);
            out.push_str(match word {
                "and" => "&&",
                "or" => "||",
                _ => "!",
            });
            from = at + word.len();
        }
        walk.step(c);
    }
    out.push_str(&text[from..]);
    out.into()
}

struct Parser<'a> {
    rest: &'a str,
    columns: &'a [Column],
    labels: Vec<String>,
    depth: usize,
    /// A sign that joins was read.
    joined: bool,
}

impl<'a> Parser<'a> {
    /// `a || b`. Labels select on the server: they can stand only where all else is joined to them by `&&`.
    fn either(&mut self, selecting: bool) -> Result<Expression, String> {
        let before = self.labels.len();
        let mut all = vec![self.both(selecting)?];
        while self.take("||") {
            all.push(self.both(false)?);
        }
        if all.len() > 1 && self.labels.len() > before {
            return Err("labels are selected by the server: they cannot stand beside ||".to_owned());
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { Expression::Any(all) })
    }

    fn both(&mut self, selecting: bool) -> Result<Expression, String> {
        let mut all = vec![self.one(selecting)?];
        while self.take("&&") {
            all.push(self.one(selecting)?);
        }
        all.retain(|e| !matches!(e, Expression::Term(Term::All)));
        Ok(match all.len() {
            0 => Expression::default(),
            1 => all.swap_remove(0),
            _ => Expression::All(all),
        })
    }

    fn take(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                self.joined = true;
                true
            }
            None => false,
        }
    }

    /// A term, a group, or the opposite of one.
    fn one(&mut self, selecting: bool) -> Result<Expression, String> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('!') {
            self.rest = rest;
            return self.nested(|parser| Ok(Expression::Not(Box::new(parser.one(false)?))));
        }
        if let Some(group) = self.group()? {
            return Ok(group);
        }
        let end = term_end(self.rest);
        let (term, rest) = self.rest.split_at(end);
        let alone = self.depth == 0 && rest.is_empty() && !self.joined;
        self.rest = rest;
        self.term(if alone { term } else { term.trim_end() }, selecting, alone)
    }

    fn nested<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} parentheses inside each other"));
        }
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// `( … )`, unless the parenthesis belongs to a regular expression: then nothing is taken.
    fn group(&mut self) -> Result<Option<Expression>, String> {
        let before = self.rest;
        let Some(inner) = before.strip_prefix('(') else { return Ok(None) };
        let Some(end) = closing(inner) else { return Ok(None) };
        let after = inner[end + 1..].trim_start();
        let ends =
            after.is_empty() || after.starts_with(')') || after.starts_with("&&") || after.starts_with("||");
        // `(?i)web` and `(web|api)` are as good as regular expressions.
        if !ends || inner.starts_with('?') {
            return Ok(None);
        }
        self.rest = &inner[..end];
        let group = self.nested(|parser| {
            let inside = parser.either(false)?;
            match parser.rest.trim_start() {
                "" => Ok(inside),
                _ => Err("there is a ) too many".to_owned()),
            }
        })?;
        self.rest = after;
        Ok(Some(group))
    }

    fn term(&mut self, text: &'a str, selecting: bool, alone: bool) -> Result<Expression, String> {
        let of = |term: Term| Ok(Expression::Term(term));
        if text.is_empty() {
            // Half an expression is still being typed; nothing at all is everything.
            return if alone {
                of(Term::All)
            } else {
                Err("something is missing beside && || or !".to_owned())
            };
        }
        if let Some(labels) = labels_of(text) {
            return self.select(labels, selecting);
        }
        if let Some(letters) = super::flag(text, "-f") {
            return of(fuzzy(letters.trim()));
        }
        if let Some(words) = self.comparisons(text)? {
            return Ok(words);
        }
        match Form::of(text) {
            Some(form) if form.is_label() => self.select(text, selecting),
            Some(form) => match self.unknown(&form) {
                Some(error) => Err(error),
                None => of(matcher(text)?),
            },
            None => of(matcher(text)?),
        }
    }

    fn select(&mut self, labels: &str, selecting: bool) -> Result<Expression, String> {
        if !selecting {
            return Err("labels are selected by the server: join them by && outside of ! and ( )".to_owned());
        }
        self.labels.push(labels.trim().to_owned());
        Ok(Expression::default())
    }

    /// A comparison, or several with spaces between them, each of which must hold.
    fn comparisons(&self, text: &str) -> Result<Option<Expression>, String> {
        let Some(form) = Form::of(text) else { return Ok(None) };
        let Some(source) = Source::named(self.columns, form.name) else { return Ok(None) };
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() > 1 {
            let each = words.iter().map(|word| {
                let form = Form::of(word).filter(|form| !form.value.is_empty())?;
                Some((Source::named(self.columns, form.name)?, form))
            });
            if let Some(each) = each.collect::<Option<Vec<_>>>() {
                let all = each.iter().map(|(source, form)| {
                    Comparison::new(*source, form, self.columns).map(|c| Expression::Term(Term::Compare(c)))
                });
                return all.collect::<Result<_, _>>().map(|all| Some(Expression::All(all)));
            }
        }
        Comparison::new(source, &form, self.columns).map(|c| Some(Expression::Term(Term::Compare(c))))
    }

    /// What to say of a comparison with a column that there is not.
    fn unknown(&self, form: &Form<'_>) -> Option<String> {
        if self.columns.is_empty() || !form.names_a_column() {
            return None;
        }
        let names = || self.columns.iter().map(|c| c.name.as_str()).chain(["NAME", "NAMESPACE"]);
        let hint = match nearest(form.name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Some(format!("there is no column {}: {hint}", form.name.to_uppercase()))
    }
}

/// Where a term ends: before `&&`, `||` or a parenthesis that it did not open, outside of brackets and quotes.
fn term_end(text: &str) -> usize {
    let mut walk = Walk::default();
    for (at, c) in text.char_indices() {
        let plain = walk.is_plain();
        if plain
            && walk.open == 0
            && (c == ')' || text[at..].starts_with("&&") || text[at..].starts_with("||"))
        {
            return at;
        }
        walk.step(c);
    }
    text.len()
}

/// Where the parenthesis that `text` comes after is closed.
fn closing(text: &str) -> Option<usize> {
    let mut walk = Walk::default();
    for (at, c) in text.char_indices() {
        if walk.is_plain() && walk.open == 0 && c == ')' {
            return Some(at);
        }
        walk.step(c);
    }
    None
}

/// How deep in parentheses, brackets and quotes one is.
#[derive(Default)]
struct Walk {
    open: usize,
    bracket: bool,
    quote: Option<char>,
    escaped: bool,
    /// The character before, to tell a quote at the beginning of a value from an apostrophe.
    before: Option<char>,
}

impl Walk {
    fn is_plain(&self) -> bool {
        !self.bracket && self.quote.is_none() && !self.escaped
    }

    fn step(&mut self, c: char) {
        let opens = self.before.is_none_or(|b| b.is_whitespace() || matches!(b, '=' | '<' | '>' | '~' | '('));
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' => self.escaped = true,
            _ if self.quote == Some(c) => self.quote = None,
            _ if self.quote.is_some() => {}
            ']' if self.bracket => self.bracket = false,
            _ if self.bracket => {}
            '[' => self.bracket = true,
            '"' | '\'' if opens => self.quote = Some(c),
            '(' => self.open += 1,
            ')' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.before = Some(c);
    }
}
