//! Whether a text is YAML, and if not, where.

use serde::Deserialize as _;

/// A mistake, with its place counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

/// Reads every document of a text. A key that is there twice is a mistake too: the last one would win unseen.
pub fn check(text: &str) -> Result<(), Mistake> {
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        serde_yaml_ng::Value::deserialize(document).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let whole = error.to_string();
            // The place is said already.
            let what = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
            Mistake { line: line.max(1), column: column.max(1), what }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_has_its_line() {
        assert_eq!(check("a: 1\nb: [1, 2]\n---\nc: d\n"), Ok(()));
        let mistake = check("a: 1\nb:\n  c: 1\n d: 2\n").unwrap_err();
        assert_eq!(mistake.line, 4, "{mistake}");
        let twice = check("a:\n  b: 1\n  b: 2\n").unwrap_err();
        assert!(twice.what.contains("duplicate"), "{twice}");
        assert!(check("\tx: 1").is_err());
    }
}
