//! Keeps secrets out of what leaves: one redactor for every door.
//!
//! Two nets. The values of live secrets, and what they look like in base64, URLs and JSON, are found
//! wherever they stand. And what looks like a credential is found by its shape: private keys, bearer
//! tokens, keys of well-known services, passwords in `password=` and in URLs, and fields whose name
//! says that they hold one.
//!
//! Text without anything of the kind is passed through without a copy: one scan by a vectorised
//! searcher for all anchors at once.

mod shapes;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use shapes::by_shape;
pub use stream::{KeyLines, StreamRedactor};

/// What stands in a secret's place. Arguments that hold it are refused, so that it never ends up in
/// a system as if it were the value.
pub const MASK: &str = "«redacted»";

/// Arguments of this name are `KEY=VALUE` of what is secret whatever it looks like: their values are masked everywhere.
pub const SECRET_VALUES: &str = "secret_values";

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
                        Value::Array(pairs) if name == SECRET_VALUES => pairs.iter_mut().for_each(mask_pair),
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

/// Masks the values of arguments that are secret by their name alone, such as those of one's own call.
pub fn mask_secret_values(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask_secret_values),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::Array(pairs) if name == SECRET_VALUES => pairs.iter_mut().for_each(mask_pair),
                    field => mask_secret_values(field),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Leaves the key of `KEY=VALUE`.
fn mask_pair(pair: &mut Value) {
    *pair = match pair.as_str().and_then(|text| text.split_once('=')) {
        Some((key, _)) => format!("{key}={MASK}").into(),
        None => MASK.into(),
    };
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
