//! Colours for YAML and for `describe`, a line at a time: only visible lines are looked at.

use super::document::indent;
use crate::tui::theme::Theme;
use crate::tui::widgets::composed::{Composed, cut};

/// Colours one line of YAML or of a description, as k9s's `yaml` colours: key, colon, value.
pub fn line(text: &str, theme: &Theme, limit: usize) -> Composed {
    let text = cut(text, limit);
    let mut out = Composed::new();
    let start = indent(text);
    let (lead, rest) = text.split_at(start);
    out.push(lead, theme.yaml_value);
    let mut rest = rest;
    while let Some(after) = rest.strip_prefix("- ") {
        out.push("- ", theme.yaml_colon);
        rest = after;
    }
    if rest.starts_with('#') {
        out.push(rest, theme.dim);
        return out;
    }
    match key_end(rest) {
        Some(at) => {
            let (key, after) = rest.split_at(at);
            out.push(key, theme.yaml_key);
            out.push(":", theme.yaml_colon);
            out.push(&after[1..], theme.yaml_value);
        }
        None => out.push(rest, theme.yaml_value),
    }
    out
}

/// Colours one line of a difference by how it begins; what is not of it is said about it, behind `#`.
pub fn diff(text: &str, theme: &Theme, limit: usize) -> Composed {
    let style = match text.as_bytes().first() {
        Some(b'+') => theme.diff_added,
        Some(b'-') => theme.diff_removed,
        Some(b'@') => theme.diff_hunk,
        Some(b'#') => theme.title_filter,
        _ => theme.yaml_value,
    };
    Composed::plain(cut(text, limit), style)
}

/// Where the colon after a key is: one followed by a space or the end, outside quotes, after
/// something that can be a key.
fn key_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if let quote @ (b'"' | b'\'') = *bytes.first()? {
        let close = 1 + memchr::memchr(quote, &bytes[1..])?;
        return (bytes.get(close + 1) == Some(&b':')).then_some(close + 1);
    }
    if matches!(bytes[0], b'{' | b'[' | b'|' | b'>' | b'&' | b'*' | b'!' | b'%') {
        return None;
    }
    memchr::memchr_iter(b':', bytes).find(|at| matches!(bytes.get(at + 1), None | Some(b' '))).filter(|at| {
        // Keys of Kubernetes hold no spaces; those of a description do, up to a few words.
        *at < 64 && text[..*at].split(' ').count() <= 4
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_their_colon() {
        for (text, key) in [
            ("name: api", Some("name")),
            ("image: registry:5000/x:1", Some("image")),
            ("metadata:", Some("metadata")),
            ("app.kubernetes.io/name: x", Some("app.kubernetes.io/name")),
            ("\"a: b\": c", Some("\"a: b\"")),
            ("http://example.org/", None),
            ("{a: b}", None),
            ("Node-Selectors:  <none>", Some("Node-Selectors")),
            ("12:00:01 something happened", None),
            ("", None),
        ] {
            assert_eq!(key_end(text).map(|i| &text[..i]), key, "{text}");
        }
    }
}
