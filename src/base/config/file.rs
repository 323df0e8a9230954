//! Reading the file: every mistake is named with its line, its column and the nearest right name.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::Config;
use crate::base::text::nearest;
use crate::base::{Error, Result};

/// Parses the text of a configuration file. `path` is named in errors only.
#[cfg(test)]
pub fn parse(path: &Path, text: &str) -> Result<Config> {
    // A file of comments alone is a null document.
    let parsed: Result<Option<Config>, _> = serde_yaml_ng::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|e| explain(path, &e))
}

/// The configuration of a file's text, and every mistake in it: what each of them is about is taken out, until the rest can be read.
pub fn parse_all(path: &Path, text: &str) -> (Config, Vec<Error>) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut mistakes = Vec::new();
    // Each round takes a line out, so that it ends.
    while mistakes.len() < lines.len() + 1 {
        let text = lines.join("\n");
        let error = match serde_yaml_ng::from_str::<Option<Config>>(&text) {
            Ok(config) => return (config.unwrap_or_default(), mistakes),
            Err(error) => error,
        };
        mistakes.push(explain(path, &error));
        // Below what is no YAML nothing can be told from anything.
        let can_go_on = serde_yaml_ng::from_str::<serde_yaml_ng::Value>(&text)
            .err()
            .is_none_or(|error| error.to_string().contains("duplicate"));
        let at = error.location().map(|at| at.line().saturating_sub(1));
        if !can_go_on || !at.is_some_and(|at| take_out(&mut lines, at)) {
            break;
        }
    }
    (Config::default(), mistakes)
}

/// Takes out the key of a line and what is below it; false where there is nothing left to take.
fn take_out(lines: &mut [String], at: usize) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let is_item = |line: &str| line.trim_start().starts_with('-');
    let is_none = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let mut key = at.min(lines.len().saturating_sub(1));
    // An item goes with its list: half of one may be another mistake. What is not there is told of the line after it.
    while key > 0 && (is_none(&lines[key]) || is_item(&lines[key])) {
        key -= 1;
    }
    let Some(first) = lines.get(key).filter(|line| !is_none(line)) else { return false };
    let own = depth(first);
    let below = |line: &String| is_none(line) || depth(line) > own || (depth(line) == own && is_item(line));
    let more = lines[key + 1..].iter().take_while(|line| below(line)).count();
    lines[key..=key + more].iter_mut().for_each(String::clear);
    true
}

/// The line, from 1, on which a file has a key: `screen.theme`.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
    let (section, key) = path.split_once('.').unwrap_or((path, ""));
    let is = |line: &str, name: &str| {
        line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
    };
    let head = text.lines().position(|line| line.starts_with(section) && is(line, section))?;
    let inside = |line: &&str| line.trim().is_empty() || line.starts_with([' ', '#']);
    let found = text.lines().skip(head + 1).take_while(inside).position(|line| is(line, key));
    Some(found.map_or(head + 1, |below| head + below + 2))
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
    fn every_mistake_is_named_and_the_rest_is_read() {
        let text = "htp:\n  port: 1\n  hosts:\n  - a\nhttp:\n  # the port\n  prot: 1\n  port: seven\n  body_kib: 0\n  \
            timeout_seconds: 7\n  hosts:\n  - [1]\n  - b\nlog:\n  keep: 1\n  keep: 2\nscreen: 5\n";
        let (config, mistakes) = parse_all(Path::new("c.yaml"), text);
        let said: Vec<String> = mistakes.iter().map(|e| format!("{} {}", e.message, e.next_step())).collect();
        for part in [
            "c.yaml:1:1: there is no section \"htp\" Did you mean \"http\"?",
            "c.yaml:7:3: there is no key \"prot\" in \"http\" Did you mean \"port\"?",
            "c.yaml:8:9: http.port: invalid type",
            "c.yaml:9:3: http: 0 is not from 1 to 65536",
            "http.hosts[0]: invalid type",
            "duplicate",
            "screen: invalid type",
        ] {
            assert!(said.iter().any(|line| line.contains(part)), "{part}: {said:#?}");
        }
        assert_eq!(said.len(), 7, "{said:#?}");
        assert_eq!(config.http.timeout_seconds, 7);
        let (_, mistakes) = parse_all(Path::new("c.yaml"), "http: {port: 1\nlog: [\n");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        let first = parse(Path::new("c.yaml"), text).unwrap_err();
        let (_, mistakes) = parse_all(Path::new("c.yaml"), text);
        assert!(mistakes.iter().any(|e| e.message == first.message));
    }

    #[test]
    fn a_key_is_found_where_it_is_written() {
        let text = "# c\nreadonly: true\nscreen:\n\n  # theme: a\n  theme: b\nlog: {keep: 1}\n";
        for (path, line) in
            [("readonly", Some(2)), ("screen.theme", Some(6)), ("log.keep", Some(7)), ("http.port", None)]
        {
            assert_eq!(line_of(text, path), line, "{path}");
        }
    }

    #[test]
    fn empty_files_and_sections_mean_the_defaults() {
        for text in ["", "# nothing\n", "http:\n", "http:\n  # port: 1\nlog: {}\n"] {
            assert_eq!(parse(Path::new("c.yaml"), text).unwrap(), Config::default(), "{text:?}");
        }
    }
}
