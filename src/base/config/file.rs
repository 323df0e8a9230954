//! Reading the file: every mistake is named with its line, its column and the nearest right name.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::Config;
use crate::base::text::nearest;
use crate::base::{Error, Result};

/// Parses the text of a configuration file. `path` is named in errors only.
pub fn parse(path: &Path, text: &str) -> Result<Config> {
    // A file of comments alone is a null document.
    let parsed: Result<Option<Config>, _> = serde_yaml_ng::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|e| explain(path, &e))
}

/// The same text as plain values, for merging and for saying where a value came from.
pub fn values(path: &Path, text: &str) -> Result<serde_json::Value> {
    serde_yaml_ng::from_str(text).map_err(|e| explain(path, &e))
}

fn explain(path: &Path, error: &serde_yaml_ng::Error) -> Error {
    let text = error.to_string();
    let (text, place) = match error.location() {
        Some(at) => {
            let suffix = format!(" at line {} column {}", at.line(), at.column());
            let text = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
            (text, format!("{}:{}:{}", path.display(), at.line(), at.column()))
        }
        None => (text, path.display().to_string()),
    };
    let (message, next) = reword(&text);
    Error::invalid(format!("{place}: {message}")).next(next)
}

/// Turns serde's "unknown field" into a sentence with the nearest name; leaves the rest as it is.
pub fn reword(text: &str) -> (String, String) {
    let general = "Correct it; `qd config init` writes every key with its default and meaning.".to_owned();
    let Some((before, after)) = text.split_once("unknown field `") else {
        return (text.trim_end_matches('.').to_owned(), general);
    };
    let mut names = after.split('`').step_by(2);
    let wrong = names.next().unwrap_or_default();
    let right: Vec<&str> = names.filter(|n| !n.is_empty()).collect();
    let section = before.trim_end().trim_end_matches(':').trim();
    let message = if section.is_empty() {
        format!("there is no section {wrong:?}")
    } else {
        format!("there is no key {wrong:?} in {section:?}")
    };
    match nearest(wrong, right.iter().copied()) {
        Some(name) => (message, format!("Did you mean {name:?}?")),
        None => (message, format!("There are: {}.", right.join(", "))),
    }
}

/// A section whose keys are all commented out is null in YAML: it means the defaults.
pub fn section<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number from `LOW` to `HIGH`, both allowed.
pub fn between<'de, const LOW: u32, const HIGH: u32, D>(deserializer: D) -> Result<u32, D::Error>
where
    D: Deserializer<'de>,
{
    let number = u32::deserialize(deserializer)?;
    if (LOW..=HIGH).contains(&number) {
        Ok(number)
    } else {
        Err(serde::de::Error::custom(format!("{number} is not from {LOW} to {HIGH}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_their_place_and_the_nearest_right_name() {
        let cases = [
            ("htp:\n  port: 1\n", "c.yaml:1:1: there is no section \"htp\"", "Did you mean \"http\"?"),
            (
                "http:\n  address: 127.0.0.1\n  prot: 1\n",
                "c.yaml:3:3: there is no key \"prot\" in \"http\"",
                "Did you mean \"port\"?",
            ),
            ("log:\n  zzzzzz: 1\n", "c.yaml:2:3: there is no key \"zzzzzz\" in \"log\"", "There are: level"),
            ("http:\n  port: seven\n", "c.yaml:2:9: http.port: invalid type", "Correct it"),
            ("http:\n  port: 70000\n", "c.yaml:2:9: http.port: invalid value", "Correct it"),
            ("http:\n  body_kib: 0\n", "0 is not from 1 to 65536", "Correct it"),
            ("http:\n  port: 1\n  port: 2\n", "duplicate", "Correct it"),
            ("session:\n  role: king\n", "c.yaml:2:9: session.role: unknown variant `king`", "Correct it"),
            ("http: {port: 1\n", "c.yaml:2:1", "Correct it"),
        ];
        for (text, message, next) in cases {
            let error = parse(Path::new("c.yaml"), text).unwrap_err();
            assert!(error.message.contains(message), "{text:?} gave {:?}", error.message);
            assert!(error.next_step().starts_with(next), "{text:?} gave {:?}", error.next_step());
        }
    }

    #[test]
    fn empty_files_and_sections_mean_the_defaults() {
        for text in ["", "# nothing\n", "http:\n", "http:\n  # port: 1\nlog: {}\n"] {
            assert_eq!(parse(Path::new("c.yaml"), text).unwrap(), Config::default(), "{text:?}");
        }
    }
}
