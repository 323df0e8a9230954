//! The state of an object as one word.

use std::fmt;

/// An object's `resourceVersion`; where only a part of the object counts, `RESOURCEVERSION+HASH` with the hash of that
/// part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision<'a> {
    pub version: &'a str,
    /// Empty where all of the object counts.
    pub content: &'a str,
}

impl<'a> Revision<'a> {
    pub fn of(word: &'a str) -> Self {
        let (version, content) = word.split_once('+').unwrap_or((word, ""));
        Self { version, content }
    }

    /// Whether both are the same state of what counts.
    pub fn is_same(self, other: Revision<'_>) -> bool {
        self.version == other.version || (!self.content.is_empty() && self.content == other.content)
    }

    /// What does not change while nothing that counts does.
    pub fn bound(self) -> &'a str {
        if self.content.is_empty() { self.version } else { self.content }
    }
}

impl fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            "" => f.write_str(self.version),
            content => write!(f, "{}+{content}", self.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_the_same_by_version_or_by_what_counts() {
        let same = |a: &str, b: &str| Revision::of(a).is_same(Revision::of(b));
        assert!(same("7", "7") && same("7", "7+ab") && same("7+ab", "9+ab"));
        assert!(!same("7", "9") && !same("7+ab", "9+cd") && !same("7+ab", "9") && !same("7+", "9+"));
        assert_eq!(["7", "7+ab"].map(|word| Revision::of(word).bound()), ["7", "ab"]);
        assert_eq!(Revision { version: "7", content: "ab" }.to_string(), "7+ab");
    }
}
