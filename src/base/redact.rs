//! Keeps secrets out of what leaves: one redactor for every door.
//!
//! Two nets. The values of live secrets, and what they look like in base64, URLs and JSON, are found
//! wherever they stand. And what looks like a credential is found by its shape: private keys, bearer
//! tokens, keys of well-known services, passwords in `password=` and in URLs, and fields whose name
//! says that they hold one.
//!
//! Text without anything of the kind is passed through without a copy: one scan by a vectorised
//! searcher for all anchors at once.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

/// What stands in a secret's place. Arguments that hold it are refused, so that it never ends up in
/// a system as if it were the value.
pub const MASK: &str = "«redacted»";

/// Shorter values would blot out harmless text everywhere.
const SHORTEST: usize = 6;

/// Finds and masks secrets.
#[derive(Default)]
pub struct Redactor {
    live: ArcSwap<Live>,
}

#[derive(Default)]
struct Live {
    values: Vec<Zeroizing<String>>,
    searcher: Option<AhoCorasick>,
    longest: usize,
}

impl Redactor {
    /// Masks `value` from now on, in all its forms. Values under six bytes are not taken.
    pub fn register(&self, value: &str) {
        self.register_all([value]);
    }

    /// The same for many at once, which costs no more than one.
    pub fn register_all<'a>(&self, values: impl IntoIterator<Item = &'a str>) {
        let mut new: Vec<&str> = values.into_iter().filter(|value| value.len() >= SHORTEST).collect();
        new.sort_unstable();
        new.dedup();
        self.live.rcu(|live| {
            let mut all = live.values.clone();
            let unknown =
                new.iter().filter(|value| !live.values.iter().any(|known| known.as_str() == **value));
            all.extend(unknown.map(|value| Zeroizing::new((*value).to_owned())));
            Arc::new(Live::of(all))
        });
    }

    /// Forgets a value that is no longer a secret.
    pub fn forget(&self, value: &str) {
        self.live.rcu(|live| {
            let values = live.values.iter().filter(|v| v.as_str() != value).cloned().collect();
            Arc::new(Live::of(values))
        });
    }

    /// The text with every secret masked; borrowed when there is none.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let live = self.live.load();
        let known = match &live.searcher {
            Some(searcher) if searcher.is_match(text) => {
                Some(searcher.replace_all(text, &vec![MASK; searcher.patterns_len()]))
            }
            _ => None,
        };
        match known {
            None => by_shape(text),
            Some(masked) => match by_shape(&masked) {
                Cow::Borrowed(_) => Cow::Owned(masked),
                Cow::Owned(masked) => Cow::Owned(masked),
            },
        }
    }

    /// Masks in place whatever a JSON value holds.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                let secret = fields.get("kind").and_then(Value::as_str) == Some("Secret");
                for (name, field) in fields.iter_mut() {
                    match field {
                        Value::String(text) if is_credential_field(name) => mask(text),
                        Value::Object(data) if secret && (name == "data" || name == "stringData") => {
                            data.values_mut().for_each(mask_value);
                        }
                        field => self.value(field),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Whether the text would be changed.
    pub fn finds(&self, text: &str) -> bool {
        matches!(self.text(text), Cow::Owned(_))
    }

    fn longest(&self) -> usize {
        self.live.load().longest
    }
}

/// Whether the mask stands anywhere in the value.
pub fn holds_mask(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(MASK),
        Value::Array(items) => items.iter().any(holds_mask),
        Value::Object(fields) => fields.iter().any(|(name, field)| name.contains(MASK) || holds_mask(field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn mask(text: &mut String) {
    if !text.is_empty() && text != MASK {
        MASK.clone_into(text);
    }
}

fn mask_value(value: &mut Value) {
    if let Value::String(text) = value {
        mask(text);
    } else if !value.is_null() {
        *value = Value::String(MASK.to_owned());
    }
}

/// Names of fields that hold credentials whatever these look like. Not `token` and `secret` alone:
/// those name cursors and references to secrets as often.
fn is_credential_field(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "clientsecret",
        "privatekey",
        "apikey",
        "authorization",
        "accesstoken",
        "refreshtoken",
        "idtoken",
        "bearertoken",
        "secretaccesskey",
        "clientkeydata",
    ];
    let matches = |known: &str| {
        let mut letters = name.bytes().filter(|b| *b != b'_' && *b != b'-');
        known.bytes().all(|k| letters.next().is_some_and(|l| l.to_ascii_lowercase() == k))
            && letters.next().is_none()
    };
    name.len() <= 24 && NAMES.iter().any(|known| matches(known))
}

impl Live {
    fn of(values: Vec<Zeroizing<String>>) -> Self {
        let mut forms: Vec<String> = values.iter().flat_map(|v| forms(v)).collect();
        forms.sort_unstable();
        forms.dedup();
        let longest = forms.iter().map(String::len).max().unwrap_or(0);
        let searcher = if forms.is_empty() {
            None
        } else {
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms).ok()
        };
        Self { values, searcher, longest }
    }
}

/// The value as it may stand in text: itself, its longer lines, and each encoded.
fn forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= 8);
    for text in std::iter::once(value).chain(lines) {
        forms.push(text.to_owned());
        // Within longer encoded text a value begins at one of three places of a group; the groups
        // that its neighbours share are left out.
        for skipped in 0..3 {
            let mut padded = vec![0; skipped];
            padded.extend_from_slice(text.as_bytes());
            let begin = [0, 2, 3][skipped];
            let end = padded.len() / 3 * 4;
            for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                if let Some(inner) = encoded.get(begin..end).filter(|inner| inner.len() >= SHORTEST) {
                    forms.push(inner.to_owned());
                }
            }
        }
        let percent: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        forms.push(percent.replace('+', "%20"));
        forms.push(percent);
        let json = serde_json::to_string(text).unwrap_or_default();
        forms.push(json.trim_matches('"').to_owned());
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

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
fn by_shape(text: &str) -> Cow<'_, str> {
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
        || value.starts_with(['$', '«']);
    (!harmless).then_some((from, from + length))
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
}

fn is_userinfo_byte(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'@' | b'/' | b'"' | b'\'' | b'<' | b'>')
}

/// Masks private keys that come line by line: the lines between `BEGIN` and `END` look like nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyLines {
    inside: bool,
}

impl KeyLines {
    /// Whether the next line may belong to the key.
    pub fn is_inside(self) -> bool {
        self.inside
    }

    /// Whether the line belongs to a private key and must be masked whole.
    pub fn hides(&mut self, line: &str) -> bool {
        if self.inside {
            self.inside = !line.contains("-----END ");
            // What cannot be part of a key ends it too, so that a cut-off key hides nothing else.
            if self.inside && line.trim().contains(' ') && !line.contains("-----") && !line.contains(": ") {
                self.inside = false;
                return false;
            }
            return true;
        }
        if line.contains("PRIVATE KEY-----") && line.contains("-----BEGIN ") {
            self.inside = !line.contains("-----END ");
            return true;
        }
        false
    }
}

/// Redacts a stream that comes in pieces: what might go on in the next piece is held back.
pub struct StreamRedactor {
    redactor: Arc<Redactor>,
    held: String,
}

/// Beyond this an unfinished line is let go, but for as much as a secret could span.
const LONGEST_LINE: usize = 16 * 1024;
const LONGEST_TOKEN: usize = 4 * 1024;

impl StreamRedactor {
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, held: String::new() }
    }

    /// What can be shown now.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let mut end = self.held.rfind('\n').map_or(0, |line_feed| line_feed + 1);
        if let Some(begin) = self.held.rfind("-----BEGIN ") {
            // A key is shown, masked, in one piece: not before the line that ends it is whole.
            let key = &self.held[begin..];
            let closed = key.find("-----END ").and_then(|at| Some(at + 9 + key[at + 9..].find("-----")? + 5));
            if closed.is_none_or(|closed| begin + closed > end) {
                end = end.min(begin);
            }
        }
        if self.held.len() - end > LONGEST_LINE {
            end = self.held.len() - LONGEST_TOKEN.max(self.redactor.longest());
            while !self.held.is_char_boundary(end) {
                end -= 1;
            }
            // The cut must not go through a secret either: mask first, then hold the tail back.
            let masked = self.redactor.text(&self.held).into_owned();
            let tail = self.held.split_off(end);
            let masked_tail = self.redactor.text(&tail).into_owned();
            self.held = tail;
            return masked.strip_suffix(masked_tail.as_str()).map_or_else(
                || {
                    self.held.clear();
                    masked.clone()
                },
                str::to_owned,
            );
        }
        let rest = self.held.split_off(end);
        let shown = std::mem::replace(&mut self.held, rest);
        self.redactor.text(&shown).into_owned()
    }

    /// What was held back, at the stream's end.
    pub fn finish(self) -> String {
        self.redactor.text(&self.held).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(text: &str) -> String {
        Redactor::default().text(text).into_owned()
    }

    #[test]
    fn credentials_are_masked_by_their_shape_and_the_rest_stays() {
        for (text, masked) in [
            ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer «redacted»"),
            ("key AKIAIOSFODNN7EXAMPLE in use", "key «redacted» in use"),
            ("password=hunter2&x=1", "password=«redacted»&x=1"),
            ("db_password: s3cr3t\nhost: a", "db_password: «redacted»\nhost: a"),
            (r#"{"password":"a b c","x":1}"#, r#"{"password":"«redacted»","x":1}"#),
            (r#"{\"password\":\"abc\"}"#, r#"{\"password\":\"«redacted»\"}"#),
            ("postgres://app:pw@db:5432/x", "postgres://app:«redacted»@db:5432/x"),
            (
                "a\n-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\nb",
                "a\n«redacted»\nb",
            ),
        ] {
            assert_eq!(shaped(text), masked);
        }
        for text in [
            "GET http://api:8080/health 200",
            "see https://example.org/a@b",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "wrong password for user ana",
            "password: null",
            "password: $DB_PASSWORD",
            "the bearer of this",
            "BAKIAIOSFODNN7EXAMPLE",
        ] {
            assert!(matches!(Redactor::default().text(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_live_secret_is_found_in_every_form() {
        let r = Redactor::default();
        let secret = "pä\"ss/w+rd 42";
        r.register(secret);
        let within = |prefix: &str| {
            let encoded = STANDARD_NO_PAD.encode(format!("{prefix}{secret}-and-more"));
            (encoded.clone(), r.text(&encoded).into_owned())
        };
        for prefix in ["", "a", "ab", "abc"] {
            let (encoded, masked) = within(prefix);
            assert_ne!(encoded, masked, "base64 after {prefix:?}");
        }
        let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for text in [secret.to_owned(), percent, serde_json::to_string(secret).unwrap()] {
            assert!(r.text(&format!("x {text} y")).contains(MASK), "{text}");
        }
        r.forget(secret);
        assert!(!r.finds(secret));
    }

    #[test]
    fn a_thousand_planted_secrets_are_all_masked() {
        let r = Redactor::default();
        let secrets: Vec<String> = (0..1000).map(|i| format!("canary-{i:04}-{}", i * 7919)).collect();
        r.register_all(secrets.iter().map(String::as_str));
        let mut value = serde_json::json!({ "lines": secrets, "deep": { "er": [secrets.join(",")] } });
        r.value(&mut value);
        assert!(!value.to_string().contains("canary-"));
    }

    #[test]
    fn fields_that_are_named_for_credentials_and_the_data_of_secrets_are_masked() {
        let mut value = serde_json::json!({
            "kind": "Secret", "metadata": { "name": "db" }, "data": { "x": "aGVsbG8=" },
            "clientSecret": "abc", "secretName": "db", "token": "next-page", "access-token": "t",
        });
        Redactor::default().value(&mut value);
        let expected = serde_json::json!({
            "kind": "Secret", "metadata": { "name": "db" }, "data": { "x": MASK },
            "clientSecret": MASK, "secretName": "db", "token": "next-page", "access-token": MASK,
        });
        assert_eq!(value, expected);
        assert!(holds_mask(&value));
    }

    #[test]
    fn a_stream_is_redacted_across_every_cut() {
        let r = Arc::new(Redactor::default());
        r.register("correct-horse-battery");
        let text = "one correct-horse-battery two\nAuthorization: Bearer abcdefghijklmnopqrst\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend";
        for cut in 1..text.len() {
            let mut stream = StreamRedactor::new(r.clone());
            let mut out = stream.push(&text[..cut]);
            out += &stream.push(&text[cut..]);
            out += &stream.finish();
            assert_eq!(
                out, "one «redacted» two\nAuthorization: Bearer «redacted»\n«redacted»\nend",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn key_lines_are_hidden_from_begin_to_end_only() {
        let mut lines = KeyLines::default();
        let text = ["a", "-----BEGIN EC PRIVATE KEY-----", "MHcCAQ", "-----END EC PRIVATE KEY-----", "b"];
        assert_eq!(text.map(|l| lines.hides(l)), [false, true, true, true, false]);
        lines.hides("-----BEGIN EC PRIVATE KEY-----");
        assert!(!lines.hides("12:00:01 INFO started the server"));
    }
}
