//! What a log line says beside its words: its level, and the fields of one that is JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Path;

/// How bad a line is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    /// Five cells wide at most, for a column.
    pub fn word(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARN",
            Level::Error => "ERROR",
        }
    }

    /// The level that a word of any logger names.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "trace" | "trc" | "debug" | "dbg" | "debu" | "verbose" => Level::Debug,
            "info" | "inf" | "information" | "notice" => Level::Info,
            "warn" | "warning" | "wrn" => Level::Warning,
            "error" | "err" | "eror" | "fatal" | "ftl" | "panic" | "critical" | "crit" | "alert"
            | "emerg" | "severe" => Level::Error,
            _ => return None,
        })
    }

    /// Levels as numbers: bunyan's and pino's tens (10 trace … 60 fatal).
    fn number(n: u64) -> Option<Self> {
        Some(match n {
            10..=20 => Level::Debug,
            21..=30 => Level::Info,
            31..=40 => Level::Warning,
            41..=60 => Level::Error,
            _ => return None,
        })
    }
}

/// A JSON line taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub level: Option<Level>,
    pub time: Option<String>,
    pub message: String,
    /// The other fields, nested ones as JSON.
    pub fields: Vec<(String, String)>,
}

/// Longer lines are shown as they are: taking them apart on each frame would cost too much.
const MAX_JSON: usize = 32 << 10;

/// Takes a JSON object apart; `None` for any other text.
pub fn record(text: &str) -> Option<Record> {
    let Some(Value::Object(mut object)) = json(text) else { return None };
    let level = take(&mut object, &["level", "lvl", "severity", "log.level", "levelname", "loglevel", "s"])
        .and_then(|(key, value)| {
            let level = match &value {
                Value::String(word) => Level::parse(word),
                Value::Number(n) => n.as_u64().and_then(Level::number),
                _ => None,
            };
            if level.is_none() {
                object.insert(key, value);
            }
            level
        });
    let message = take(&mut object, &["msg", "message", "log", "event", "body"]).map(|(_, v)| flat(v));
    let time =
        take(&mut object, &["time", "ts", "timestamp", "@timestamp", "t", "asctime"]).map(|(_, v)| flat(v));
    let fields = object.into_iter().map(|(k, v)| (k, flat(v))).collect();
    Some(Record { level, time, message: message.unwrap_or_default(), fields })
}

fn take(object: &mut Map<String, Value>, names: &[&str]) -> Option<(String, Value)> {
    names.iter().find_map(|name| object.remove_entry(*name))
}

fn flat(value: Value) -> String {
    match value {
        Value::String(s) => s,
        other => other.to_string(),
    }
}

/// The level of a line, JSON or not. Reads no more of JSON than it must, and keeps nothing.
pub fn level_of(text: &str) -> Option<Level> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('{') {
        return level(text);
    }
    match serde_json::from_str::<Head<'_>>(trimmed) {
        Ok(head) => head.level(),
        Err(_) => level(text),
    }
}

/// The fields of a JSON line that may say its level.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    level: Option<Said<'a>>,
    #[serde(borrow, default)]
    lvl: Option<Said<'a>>,
    #[serde(borrow, default)]
    severity: Option<Said<'a>>,
    #[serde(borrow, default, rename = "log.level")]
    ecs: Option<Said<'a>>,
    #[serde(borrow, default)]
    levelname: Option<Said<'a>>,
    #[serde(borrow, default)]
    loglevel: Option<Said<'a>>,
    #[serde(borrow, default)]
    s: Option<Said<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said<'a> {
    Number(u64),
    Word(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

impl Head<'_> {
    fn level(&self) -> Option<Level> {
        let said =
            [&self.level, &self.lvl, &self.severity, &self.ecs, &self.levelname, &self.loglevel, &self.s];
        match said.into_iter().flatten().next()? {
            Said::Number(n) => Level::number(*n),
            Said::Word(word) => Level::parse(word),
            Said::Other(_) => None,
        }
    }
}

/// A JSON line as a value; `None` for any other text.
pub fn json(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with('{') || !text.ends_with('}') || text.len() > MAX_JSON {
        return None;
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// What each path finds in a JSON line, as text; several values are parted by commas, and a path that finds nothing gives
/// "–". `None` for a line that is not JSON.
pub fn columns(text: &str, paths: &[Path]) -> Option<Vec<String>> {
    let value = json(text)?;
    let cell = |path: &Path| {
        let found: Vec<String> = path.find(&value).into_iter().map(|v| flat(v.clone())).collect();
        if found.is_empty() { "–".to_owned() } else { found.join(",") }
    };
    Some(paths.iter().map(cell).collect())
}

/// What makes two lines "the same line again": the text with every number in it blanked, because times, counters and
/// identifiers differ each time.
pub fn shape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let body = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = body.len() >= 6 && body.bytes().all(|b| b.is_ascii_hexdigit());
        if body.bytes().any(|b| b.is_ascii_digit())
            && (hex || body.bytes().filter(u8::is_ascii_digit).count() * 2 >= body.len())
        {
            out.push('#');
        } else {
            out.push_str(body);
        }
        out.push_str(&word[body.len()..]);
    }
    out
}

/// The level of a plain line: klog's first letter, `level=…` of logfmt, or a level's word among the
/// first few.
pub fn level(text: &str) -> Option<Level> {
    let head = &text[..text.floor_char_boundary(160.min(text.len()))];
    if let [letter, digits @ ..] = head.as_bytes()
        && digits.len() > 4
        && digits[..4].iter().all(u8::is_ascii_digit)
        && digits[4] == b' '
    {
        // klog: `E1121 12:00:00.000000 …`.
        match letter {
            b'I' => return Some(Level::Info),
            b'W' => return Some(Level::Warning),
            b'E' | b'F' => return Some(Level::Error),
            _ => {}
        }
    }
    if let Some((_, after)) = head.split_once("level=").or_else(|| head.split_once("lvl=")) {
        let word = after.trim_start_matches('"').split(|c: char| !c.is_ascii_alphabetic()).next()?;
        return Level::parse(word);
    }
    head.split(|c: char| !c.is_ascii_alphabetic())
        .filter(|w| !w.is_empty())
        .take(8)
        // In a sentence the small words mean other things ("no error so far"); levels are written large.
        .filter(|w| {
            w.bytes().all(|b| b.is_ascii_uppercase()) || head.trim_start_matches(['[', '<']).starts_with(w)
        })
        .find_map(Level::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_where_loggers_write_them() {
        for (text, wanted) in [
            ("E1121 12:00:00.000000 1 reflector.go:1] failed", Some(Level::Error)),
            ("time=x level=warn msg=slow", Some(Level::Warning)),
            ("2026-11-21T12:00:00Z INFO started", Some(Level::Info)),
            ("[error] nginx: no such file", Some(Level::Error)),
            ("debug: cache miss", Some(Level::Debug)),
            ("there was no error so far", None),
            ("GET /info 200", None),
            ("", None),
        ] {
            assert_eq!(level(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_level_of_json_is_read_without_the_rest() {
        for (text, wanted) in [
            (r#"{"msg":"x","level":"error","n":{"level":"info"}}"#, Some(Level::Error)),
            (r#"{"severity":"WARNING"}"#, Some(Level::Warning)),
            (r#"{"level":30}"#, Some(Level::Info)),
            (r#"{"log.level":"d\u0065bug"}"#, Some(Level::Debug)),
            (r#"{"level":{"a":1},"msg":"ERROR"}"#, None),
            (r#"{"msg":"no level"}"#, None),
            ("{broken ERROR", Some(Level::Error)),
            ("plain WARN", Some(Level::Warning)),
        ] {
            assert_eq!(level_of(text), wanted, "{text}");
        }
    }

    #[test]
    fn paths_of_jq_are_columns() {
        let paths: Vec<Path> = [".level", ".http.status", ".tags[]", r#"."log.level""#, ".none", ".a[1].b"]
            .iter()
            .map(|p| Path::parse(p).unwrap())
            .collect();
        let line = r#"{"level":"info","http":{"status":502},"tags":["a","b"],"log.level":"x","a":[{},{"b":{"c":1}}]}"#;
        assert_eq!(columns(line, &paths).unwrap(), ["info", "502", "a,b", "x", "–", r#"{"c":1}"#]);
        assert!(columns("plain", &paths).is_none());
    }

    #[test]
    fn json_becomes_a_sentence_with_fields() {
        let r =
            record(r#"{"ts":1.5,"level":"error","msg":"dial failed","err":"refused","n":{"a":1}}"#).unwrap();
        assert_eq!(r.level, Some(Level::Error));
        assert_eq!(r.message, "dial failed");
        assert_eq!(r.time.as_deref(), Some("1.5"));
        assert_eq!(r.fields, [("err".into(), "refused".into()), ("n".into(), "{\"a\":1}".into())]);
        assert_eq!(record(r#"{"level":30,"msg":"x"}"#).unwrap().level, Some(Level::Info));
        let odd = record(r#"{"level":"loud","msg":"x"}"#).unwrap();
        assert_eq!(odd.fields, [("level".into(), "loud".into())], "nothing is dropped");
        assert!(record("{not json}").is_none());
    }
}
