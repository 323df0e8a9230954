//! Text from outside, made harmless for a terminal.
//!
//! Pod names, labels, log lines, banners and agents' messages can hold escape sequences that move
//! the cursor, write the clipboard (OSC 52) or reorder what a person reads (bidirectional
//! controls, Unicode TR 36). A [`SafeText`] holds none of them: each such character is replaced by
//! something visible, so that nothing is hidden either.

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// One line of text without control, bidirectional or invisible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct SafeText(CompactString);

impl SafeText {
    /// Makes `raw` harmless. Line feeds become `␊`: see [`SafeText::lines`] for text of many lines.
    pub fn new(raw: &str) -> Self {
        Self(CompactString::from(sanitize(raw)))
    }

    /// Splits at line feeds (and drops the carriage return of a CRLF), each line made harmless.
    pub fn lines(raw: &str) -> impl Iterator<Item = SafeText> + '_ {
        raw.split('\n').map(|line| SafeText::new(line.strip_suffix('\r').unwrap_or(line)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SafeText {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(SafeText::new(&String::deserialize(d)?))
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for SafeText {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl std::ops::Deref for SafeText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Text in which characters that would act on a terminal are written as JSON's escapes (RFC 8259 section 7), but for those
/// that are `kept`.
pub fn escape_harmful(text: &str, kept: &[char]) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_harmful(c) && !kept.contains(&c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character must not reach the terminal as it is.
pub fn is_harmful(c: char) -> bool {
    match c {
        ' '..='~' => false,
        // C0 controls, DEL and C1 controls (ECMA-48).
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => true,
        // Mongolian vowel separator and free variation selectors.
        '\u{180b}'..='\u{180f}' => true,
        // Zero width space and non-joiner, the directional marks. U+200D, the joiner, stays: emoji need it.
        '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' => true,
        // Line and paragraph separators, embeddings, overrides, word joiner and invisible operators, isolates.
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Byte order mark, interlinear annotation, tag characters (used to hide text from people).
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Replaces every harmful character by a visible one; borrows when there is none.
pub fn sanitize(raw: &str) -> Cow<'_, str> {
    if raw.bytes().all(|b| (b' '..=b'~').contains(&b)) || !raw.chars().any(is_harmful) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len() + 16);
    for c in raw.chars() {
        match c {
            '\t' => out.push_str("    "),
            // U+2400 "Control Pictures" has a glyph for each C0 control at the same offset.
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\x7f' => out.push('\u{2421}'),
            _ if is_harmful(c) => {
                use fmt::Write as _;
                let _ = write!(out, "\u{27e8}{:x}\u{27e9}", c as u32);
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The candidate most like `wrong`, if any is like it at all.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::normalized_damerau_levenshtein(&wrong, &c.to_lowercase()), c))
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters. Linear in both: it
/// remembers the last star only.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// The names and globs of a set as it is typed: `eu-1,us-*`.
pub fn members(set: &str) -> impl Iterator<Item = &str> {
    set.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Whether a name in a set stands for all that fit it.
pub fn is_glob(name: &str) -> bool {
    name.contains('*')
}

/// Whether a text names a set rather than one thing.
pub fn is_set(text: &str) -> bool {
    text.contains(',') || is_glob(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_what_they_should() {
        for (pattern, text, fits) in [
            ("api", "api", true),
            ("api", "api-2", false),
            ("api-*", "api-2", true),
            ("*-api", "shop-api", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("*", "", true),
            ("a", "", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
        assert_eq!(members(" a, b-* ,,c").collect::<Vec<_>>(), ["a", "b-*", "c"]);
        assert!(is_set("a,b") && is_set("team-*") && !is_set("a"));
    }

    #[test]
    fn escape_osc52_c1_and_bidi_become_visible() {
        assert_eq!(SafeText::new("\x1b[2J").as_str(), "␛[2J");
        assert_eq!(SafeText::new("\x1b]52;c;aGk=\x07").as_str(), "␛]52;c;aGk=␇");
        assert_eq!(SafeText::new("a\u{9b}31mb").as_str(), "a⟨9b⟩31mb");
        assert_eq!(SafeText::new("user\u{202e}gnp.exe").as_str(), "user⟨202e⟩gnp.exe");
        assert_eq!(SafeText::new("a\r\nb").as_str(), "a␍␊b");
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in ["web-7d9f4", "Grüße", "日本語", "👩\u{200d}🚀", "–"] {
            assert_eq!(SafeText::new(text).as_str(), text);
        }
    }

    #[test]
    fn lines_are_split_and_safe() {
        let lines: Vec<_> = SafeText::lines("a\r\nb\x1b\n").map(|l| l.to_string()).collect();
        assert_eq!(lines, ["a", "b␛", ""]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_harmful_is_left(raw in "\\PC*|.*|[\\x00-\\u{9f}]*") {
            let safe = SafeText::new(&raw);
            assert!(!safe.chars().any(is_harmful), "{safe:?}");
        }
    }
}
