//! What `$NAME`, `${NAME}` and `$!NAME` stand for in a plugin or a hotkey.
//!
//! A name that nobody knows stays as it is: it is the shell's. `$COL-REVISION-1` is the column REVISION and `-1`: the
//! longest name that is known counts.

use std::collections::BTreeMap;

use crate::base::{Error, Result};

/// The values, by their names in capitals.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
struct Value {
    text: String,
    /// It is from an object of a cluster, and not the person's own words.
    foreign: bool,
}

impl Variables {
    /// What comes from an object: into a shell's script it goes only as far as a shell runs nothing of it.
    pub fn foreign(&mut self, name: &str, text: impl Into<String>) {
        self.values.insert(name.to_uppercase(), Value { text: text.into(), foreign: true });
    }

    /// What the person at the screen has typed or chosen.
    pub fn own(&mut self, name: &str, text: impl Into<String>) {
        self.values.insert(name.to_uppercase(), Value { text: text.into(), foreign: false });
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_uppercase()).map(|value| value.text.as_str())
    }

    /// The text with what is known put in. `script`: a shell will read it.
    ///
    /// # Errors
    ///
    /// A shell would run something that stands in an object's fields.
    pub fn fill(&self, text: &str, script: bool) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            match self.reference(rest) {
                Some((name, inverse, length)) => {
                    let Some(value) = self.values.get(&name) else { break };
                    if script && value.foreign && !is_harmless(&value.text) {
                        return Err(Error::invalid(format!(
                            "${name} is {:?}, of which a shell would run a part: the plugin is not run",
                            value.text
                        ))
                        .next(
                            "Use the plugin on another object, or let its command be run without a shell.",
                        ));
                    }
                    out.push_str(&written(&value.text, inverse));
                    rest = &rest[length..];
                }
                None => {
                    out.push('$');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The name that a text beginning with `$` refers to, whether its opposite is meant, and how long that is.
    fn reference(&self, text: &str) -> Option<(String, bool, usize)> {
        let after = &text[1..];
        if let Some(braced) = after.strip_prefix('{') {
            let (inside, _) = braced.split_once('}')?;
            let (name, inverse) = inside.strip_prefix('!').map_or((inside, false), |name| (name, true));
            let name = name.to_uppercase();
            return self.values.contains_key(&name).then(|| (name, inverse, inside.len() + 3));
        }
        let (body, inverse) = after.strip_prefix('!').map_or((after, false), |body| (body, true));
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '/');
        let mut name = &body[..body.find(|c| !word(c)).unwrap_or(body.len())];
        while !name.is_empty() {
            let upper = name.to_uppercase();
            if self.values.contains_key(&upper) {
                return Some((upper, inverse, 1 + usize::from(inverse) + name.len()));
            }
            // `$NAMESPACES` is not `$NAMESPACE` and an S: only what stands behind a sign can be left out.
            name = &name[..name.rfind(['-', '/', '%'])?];
        }
        None
    }
}

/// Columns write True and False; JSON and shells want them small.
fn written(text: &str, inverse: bool) -> String {
    match (text.to_ascii_lowercase().as_str(), inverse) {
        ("true", false) | ("false", true) => "true".to_owned(),
        ("false", false) | ("true", true) => "false".to_owned(),
        _ => text.to_owned(),
    }
}

/// Whether a shell takes it for a word or several, and runs nothing of it, inside double quotes or outside of any.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_alphanumeric()
            || matches!(c, '-' | '_' | '.' | ':' | '/' | '@' | ',' | '=' | '+' | '%' | ' ' | '[' | ']')
    }) && !text.starts_with('-')
        || text == "-"
}

/// Whether a command reads its arguments as a script.
pub fn is_shell(command: &str) -> bool {
    let name = command.rsplit('/').next().unwrap_or(command);
    let shells =
        ["sh", "bash", "zsh", "dash", "ash", "ksh", "fish", "powershell", "pwsh", "eval", "watch", "ssh"];
    shells.contains(&name) || name.contains("python") || name.contains("perl") || name == "env"
}

/// A command line in words: quotes hold words together. For pipes, which k9s writes as one text.
pub fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.peek().copied() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            match c {
                '\'' | '"' => loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => word.extend(chars.next()),
                        Some(inside) => word.push(inside),
                        None => {
                            return Err(Error::invalid(format!("the quote {c} of {line:?} is not closed")));
                        }
                    }
                },
                '\\' => word.extend(chars.next()),
                c => word.push(c),
            }
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Variables {
        let mut v = Variables::default();
        for (name, text) in [
            ("NAME", "web-1"),
            ("NAMESPACE", "shop"),
            ("COL-REVISION", "7"),
            ("COL-SUSPEND", "False"),
            ("COL-LAST SEEN", "5m"),
            ("COL-IMAGE", "nginx$(id)"),
        ] {
            v.foreign(name, text);
        }
        v.own("INPUT_SIZE", "10Gi; echo");
        v
    }

    #[test]
    fn the_longest_name_that_is_known_counts_and_the_shells_own_stay() {
        let v = known();
        for (text, filled) in [
            ("$NAME -n $NAMESPACE", "web-1 -n shop"),
            ("${NAME}.${NAMESPACE}x", "web-1.shopx"),
            ("$name/$NAMESPACE/x", "web-1/shop/x"),
            ("$(($COL-REVISION-1))", "$((7-1))"),
            ("$!COL-SUSPEND $COL-SUSPEND ${!COL-SUSPEND}", "true false true"),
            ("{\"suspend\" : $!COL-SUSPEND }}", "{\"suspend\" : true }}"),
            ("${COL-LAST SEEN}", "5m"),
            ("$NAMES $HOME ${EDITOR:-nano} $(date) $", "$NAMES $HOME ${EDITOR:-nano} $(date) $"),
            ("sh.helm.release.v1.$NAME.v$REV", "sh.helm.release.v1.web-1.v$REV"),
            ("size=$INPUT_SIZE", "size=10Gi; echo"),
        ] {
            assert_eq!(v.fill(text, true).unwrap(), filled, "{text}");
        }
    }

    #[test]
    fn what_an_object_says_is_not_run_by_a_shell() {
        let v = known();
        assert_eq!(v.fill("$COL-IMAGE", false).unwrap(), "nginx$(id)", "an argument is only an argument");
        let error = v.fill("dive $COL-IMAGE", true).unwrap_err();
        assert!(error.message.contains("COL-IMAGE") && error.message.contains("shell"), "{}", error.message);
        for text in ["a b", "a:b/c@sha256-1", "x=y,z"] {
            assert!(is_harmless(text), "{text}");
        }
        for text in
            ["a;b", "`id`", "a|b", "a\nb", "a'b", "a\"b", "a>b", "$x", "a&b", "--force", "a*", "~x", "#x"]
        {
            assert!(!is_harmless(text), "{text}");
        }
        assert!(is_shell("/usr/bin/sh") && is_shell("bash") && !is_shell("kubectl"));
    }

    #[test]
    fn pipes_are_split_with_their_quotes() {
        assert_eq!(words("jq -r '.a b' \"c \\\" d\" e\\ f").unwrap(), ["jq", "-r", ".a b", "c \" d", "e f"]);
        assert!(words("a 'b").is_err());
        assert!(words("  ").unwrap().is_empty());
    }
}
