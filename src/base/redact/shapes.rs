//! What a credential looks like.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::MASK;

/// How what follows an anchor is recognised.
#[derive(Clone, Copy)]
enum Shape {
    /// So many characters of a token, at least.
    Token(usize),
    /// Up to the `-----END` line's end, or the end of the text.
    Key,
    /// The value of `name=`, `name: `, quoted or not.
    Value,
    /// `user:password@` of a URL.
    UserInfo,
}

const ANCHORS: &[(&str, Shape)] = &[
    ("-----BEGIN ", Shape::Key),
    ("Bearer ", Shape::Token(12)),
    ("bearer ", Shape::Token(12)),
    ("Basic ", Shape::Token(12)),
    ("AKIA", Shape::Token(16)),
    ("ASIA", Shape::Token(16)),
    ("ghp_", Shape::Token(30)),
    ("gho_", Shape::Token(30)),
    ("ghs_", Shape::Token(30)),
    ("github_pat_", Shape::Token(30)),
    ("glpat-", Shape::Token(16)),
    ("xoxb-", Shape::Token(16)),
    ("xoxp-", Shape::Token(16)),
    ("sk-ant-", Shape::Token(16)),
    ("eyJhbGciOi", Shape::Token(20)),
    ("password", Shape::Value),
    ("Password", Shape::Value),
    ("PASSWORD", Shape::Value),
    ("passwd", Shape::Value),
    ("client_secret", Shape::Value),
    ("api_key", Shape::Value),
    ("apikey", Shape::Value),
    ("API_KEY", Shape::Value),
    ("secret_access_key", Shape::Value),
    ("SECRET_ACCESS_KEY", Shape::Value),
    ("access_token", Shape::Value),
    ("://", Shape::UserInfo),
];

static SHAPES: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(ANCHORS.iter().map(|(anchor, _)| anchor))
        .ok()
});

/// Masks what looks like a credential.
pub(super) fn by_shape(text: &str) -> Cow<'_, str> {
    let Some(searcher) = SHAPES.as_ref() else { return Cow::Borrowed(text) };
    let mut out: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = searcher.find(&text[at..]) {
        let (start, end) = (at + found.start(), at + found.end());
        let shape = ANCHORS[found.pattern().as_usize()].1;
        match credential(text, start, end, shape) {
            Some((from, to)) => {
                let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
                out.push_str(&text[copied..from]);
                out.push_str(MASK);
                copied = to;
                at = to;
            }
            None => at = end,
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    }
}

/// The range to mask for an anchor found at `start..end`, if what follows is a credential.
fn credential(text: &str, start: usize, end: usize, shape: Shape) -> Option<(usize, usize)> {
    let rest = &text[end..];
    match shape {
        Shape::Token(least) => {
            let length = rest.bytes().take_while(|b| is_token_byte(*b)).count();
            let preceded = text[..start].bytes().next_back().is_some_and(|b| b.is_ascii_alphanumeric());
            // The word before the token is not secret; a prefix of the token itself is masked with it.
            let from = if text[start..end].ends_with(' ') { end } else { start };
            (length >= least && !preceded).then_some((from, end + length))
        }
        Shape::Key => {
            let header = rest.find("-----")?;
            if !rest[..header].ends_with("PRIVATE KEY") {
                return None;
            }
            let after = match rest.find("-----END ") {
                Some(i) => rest[i + 9..].find("-----").map_or(text.len(), |j| end + i + 9 + j + 5),
                None => text.len(),
            };
            Some((start, after))
        }
        Shape::Value => value_after(text, end),
        Shape::UserInfo => {
            let authority = rest.bytes().take(256).take_while(|b| is_userinfo_byte(*b)).count();
            if rest.as_bytes().get(authority) != Some(&b'@') {
                return None;
            }
            let colon = rest[..authority].find(':')?;
            (colon + 1 < authority).then_some((end + colon + 1, end + authority))
        }
    }
}

/// `=value`, `: value`, `": "value"`: the value's range, without quotes.
fn value_after(text: &str, name_end: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut i = name_end;
    // A closing quote of the name, escaped where JSON stands within JSON.
    while matches!(bytes.get(i), Some(b'"' | b'\'' | b'\\')) {
        i += 1;
    }
    let spaced = match bytes.get(i) {
        Some(b'=') => false,
        Some(b':') => true,
        _ => return None,
    };
    i += 1;
    while spaced && bytes.get(i) == Some(&b' ') {
        i += 1;
    }
    while bytes.get(i) == Some(&b'\\') {
        i += 1;
    }
    let quote = bytes.get(i).copied().filter(|b| matches!(b, b'"' | b'\''));
    let from = if quote.is_some() { i + 1 } else { i };
    let length = match quote {
        Some(quote) => {
            bytes[from..].iter().take_while(|b| **b != quote && **b != b'\\' && **b != b'\n').count()
        }
        None => bytes[from..]
            .iter()
            .take_while(|b| {
                !matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b'&' | b',' | b';' | b'}' | b'"' | b'\'')
            })
            .count(),
    };
    let value = &text[from..from + length];
    // A reference says where the value is, and is what the reader needs to see.
    let harmless = matches!(value, "" | "null" | "true" | "false" | "{" | "[" | "|" | ">")
        || value.starts_with(['$', '«'])
        || is_mask(value);
    (!harmless).then_some((from, from + length))
}

/// A value that was masked before, as `*** (7 bytes)`: an editor gives it back to say "as it was", so it must stay readable.
fn is_mask(value: &str) -> bool {
    let size = value.strip_prefix("*** (").and_then(|rest| rest.split_once(" bytes)"));
    value == "***" || size.is_some_and(|(size, _)| size.bytes().all(|b| b.is_ascii_digit()))
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
}

fn is_userinfo_byte(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'@' | b'/' | b'"' | b'\'' | b'<' | b'>')
}
