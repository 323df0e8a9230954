//! YAML as `kubectl get -o yaml` writes it.
//!
//! Keys are sorted, sequences are not indented below their key, text of several lines is a literal block, and every
//! string that some YAML reader could take for another type is quoted: the rules of YAML 1.1 (which Go's and many
//! other readers follow) and of the 1.2 core schema together. What is printed here reads back as the same value.

use serde_json::{Map, Value};

/// Prints a value as one YAML document, ending in a line feed.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::with_capacity(1024);
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0, true),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        scalar => {
            inline(&mut out, scalar, 0);
            out.push('\n');
        }
    }
    out
}

/// The place of a key at the top of an object: what it is, then its parts, then its state.
fn rank(key: &str) -> u8 {
    match key {
        "apiVersion" => 0,
        "kind" => 1,
        "metadata" => 2,
        "status" => 4,
        _ => 3,
    }
}

fn mapping(out: &mut String, map: &Map<String, Value>, indent: usize, top: bool) {
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    if top && map.contains_key("kind") {
        entries.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then_with(|| a.0.cmp(b.0)));
    } else {
        entries.sort_by(|a, b| a.0.cmp(b.0));
    }
    for (i, (key, value)) in entries.into_iter().enumerate() {
        // The first key of a mapping inside a sequence stands on the line of its dash.
        if i > 0 || top {
            pad(out, indent);
        }
        scalar_text(out, key);
        out.push(':');
        child(out, value, indent);
    }
}

/// What stands after `key:`.
fn child(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            pad(out, indent + 2);
            mapping(out, map, indent + 2, false);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(out, items, indent);
        }
        scalar => {
            out.push(' ');
            inline(out, scalar, indent);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        pad(out, indent);
        sequence_item(out, item, indent);
    }
}

/// One item, its dash included, with the cursor at the dash's column already.
fn sequence_item(out: &mut String, item: &Value, indent: usize) {
    out.push_str("- ");
    match item {
        Value::Object(map) if !map.is_empty() => mapping(out, map, indent + 2, false),
        Value::Array(inner) if !inner.is_empty() => {
            for (i, item) in inner.iter().enumerate() {
                if i > 0 {
                    pad(out, indent + 2);
                }
                sequence_item(out, item, indent + 2);
            }
        }
        scalar => {
            inline(out, scalar, indent);
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    const SPACES: &str = "                                                                ";
    let mut left = indent;
    while left > 0 {
        let n = left.min(SPACES.len());
        out.push_str(&SPACES[..n]);
        left -= n;
    }
}

/// A value that begins on the current line.
fn inline(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(s) if is_block(s) => block(out, s, indent),
        Value::String(s) => scalar_text(out, s),
    }
}

/// Whether a literal block can hold the text as it is.
fn is_block(s: &str) -> bool {
    // A first line that is empty or begins with white space would need an indentation indicator.
    s.contains('\n')
        && !s.starts_with([' ', '\t', '\n'])
        && s.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

fn block(out: &mut String, s: &str, indent: usize) {
    let body = s.trim_end_matches('\n');
    out.push_str(match s.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent + 2);
            out.push_str(line);
        }
    }
    for _ in body.len() + 1..s.len() {
        out.push('\n');
    }
}

/// A string on one line: plain where that is safe, else in single or double quotes.
fn scalar_text(out: &mut String, s: &str) {
    if is_plain(s) {
        out.push_str(s);
    } else if s.chars().all(is_printable) && s.contains(['"', '\\']) {
        out.push('\'');
        for c in s.chars() {
            if c == '\'' {
                out.push('\'');
            }
            out.push(c);
        }
        out.push('\'');
    } else {
        double_quoted(out, s);
    }
}

fn double_quoted(out: &mut String, s: &str) {
    use std::fmt::Write as _;
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\x1b' => out.push_str("\\e"),
            c if is_printable(c) => out.push(c),
            c => {
                let n = u32::from(c);
                let _ = match n {
                    0..=0xff => write!(out, "\\x{n:02X}"),
                    0x100..=0xffff => write!(out, "\\u{n:04X}"),
                    _ => write!(out, "\\U{n:08X}"),
                };
            }
        }
    }
    out.push('"');
}

/// The characters that may stand unescaped: YAML 1.2 `c-printable` without line breaks, tabs, the byte order mark
/// and the line and paragraph separators, which YAML 1.1 takes for line breaks.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Whether the string reads back as itself without quotes, in block context and as a key.
fn is_plain(s: &str) -> bool {
    let Some(first) = s.chars().next() else { return false };
    if first == ' ' || s.ends_with([' ', ':']) || s.contains(": ") || s.contains(" #") {
        return false;
    }
    match first {
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
        | '=' => {
            return false;
        }
        // These begin a plain scalar only when something other than a space follows them.
        '-' | '?' | ':' if matches!(s.as_bytes().get(1), None | Some(b' ')) => return false,
        '-' if s.starts_with("---") => return false,
        '.' if s.starts_with("...") => return false,
        '<' if s == "<<" => return false,
        _ => {}
    }
    s.chars().all(is_printable) && !resolves_to_other(s)
}

/// Whether a reader of YAML 1.1 or 1.2 may take the plain text for null, a boolean, a number or a date.
fn resolves_to_other(s: &str) -> bool {
    const WORDS: &[&str] = &["null", "~", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if s.len() <= 5 && WORDS.iter().any(|w| s.eq_ignore_ascii_case(w)) {
        return true;
    }
    let unsigned = s.strip_prefix(['+', '-']).unwrap_or(s);
    match unsigned.bytes().next() {
        Some(b'0'..=b'9' | b'.') => is_number(unsigned) || is_date(s),
        _ => false,
    }
}

fn is_number(s: &str) -> bool {
    if [".inf", ".nan"].iter().any(|w| s.eq_ignore_ascii_case(w)) {
        return true;
    }
    let digits = |s: &str, ok: fn(&u8) -> bool| {
        !s.is_empty() && s.bytes().all(|b| b == b'_' || ok(&b)) && s.bytes().any(|b| ok(&b))
    };
    for (prefix, ok) in [
        ("0x", u8::is_ascii_hexdigit as fn(&u8) -> bool),
        ("0o", u8::is_ascii_digit),
        ("0b", u8::is_ascii_digit),
    ] {
        if s.len() > 2 && s.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(prefix)) {
            return digits(&s[2..], ok);
        }
    }
    // Base 60 of YAML 1.1: "12:30", "1:02:03.5".
    if s.contains(':') {
        return s
            .split(':')
            .all(|part| digits(part.trim_end_matches('.'), |b| b.is_ascii_digit() || *b == b'.'));
    }
    let (mantissa, exponent) = match s.find(['e', 'E']) {
        Some(at) => (&s[..at], Some(&s[at + 1..])),
        None => (s, None),
    };
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        digits(e, u8::is_ascii_digit)
    });
    exponent_ok
        && mantissa.bytes().filter(|b| *b == b'.').count() <= 1
        && digits(mantissa, |b| b.is_ascii_digit() || *b == b'.')
        && mantissa.bytes().any(|b| b.is_ascii_digit())
}

/// "2026-11-21" with or without a time after it.
fn is_date(s: &str) -> bool {
    let b = s.as_bytes();
    b.len() >= 8 && b[..4].iter().all(u8::is_ascii_digit) && b[4] == b'-' && b[5].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_looks_as_kubectl_prints_it() {
        let object = json!({
            "kind": "Pod", "apiVersion": "v1", "status": {"phase": "Running", "podIP": "10.0.0.1"},
            "spec": {"containers": [{"name": "web", "args": ["-c", "--port=80", "80"], "env": [{"name": "DEBUG", "value": "yes"}],
                "resources": {}, "volumeMounts": []}], "nested": [[1, 2], ["a"]]},
            "metadata": {"name": "web", "creationTimestamp": "2026-11-21T10:00:00Z", "labels": {"on": "off", "mode": "0755"}},
        });
        insta::assert_snapshot!(to_yaml(&object), @r#"
        apiVersion: v1
        kind: Pod
        metadata:
          creationTimestamp: "2026-11-21T10:00:00Z"
          labels:
            mode: "0755"
            "on": "off"
          name: web
        spec:
          containers:
          - args:
            - -c
            - --port=80
            - "80"
            env:
            - name: DEBUG
              value: "yes"
            name: web
            resources: {}
            volumeMounts: []
          nested:
          - - 1
            - 2
          - - a
        status:
          phase: Running
          podIP: 10.0.0.1
        "#);
    }

    #[test]
    fn text_of_several_lines_is_a_literal_block() {
        let object = json!({"data": {"a": "one\n  two\n\nthree\n", "b": "no end\nhere", "c": "many\nends\n\n\n", "d": " led\nby space"}});
        insta::assert_snapshot!(to_yaml(&object), @r#"
        data:
          a: |
            one
              two

            three
          b: |-
            no end
            here
          c: |+
            many
            ends


          d: " led\nby space"
        "#);
    }

    #[test]
    fn strings_that_look_like_something_else_are_quoted() {
        for s in [
            "",
            "1",
            "-1",
            "+1",
            "0755",
            "0o17",
            "0x1F",
            "0b01",
            "1_000",
            "1.5",
            ".5",
            "1.",
            "1e3",
            "12e03",
            "1E+5",
            "-.inf",
            ".NaN",
            "12:30",
            "1:02:03",
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "N",
            "true",
            "False",
            "null",
            "~",
            "NULL",
            "2026-11-21",
            "2026-11-21T10:00:00Z",
            "- a",
            "-",
            "?",
            ": b",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "'a'",
            "\"a\"",
            "%a",
            "@a",
            "`a",
            "=",
            "<<",
            "---",
            "...",
            " a",
            "a ",
            "[a]",
            "{a}",
            "a\tb",
            "a\u{85}b",
            "\u{feff}",
            "a\u{2028}b",
        ] {
            assert!(!is_plain(s), "{s:?} must be quoted");
        }
        for s in [
            "10.0.0.1",
            "web-1",
            "-c",
            "--flag=1",
            "1Gi",
            "100m",
            "a:b",
            "http://x:80/",
            "v1",
            "1.2.3",
            "nginx:1.25",
            "Grüße",
            "a=b",
            "yesterday",
        ] {
            assert!(is_plain(s), "{s:?} needs no quotes");
        }
    }

    fn any_text() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        prop_oneof![
            "[a-z0-9 :#\\-\\n\\t'\"|>_.+eExXoO]{0,24}",
            "\\PC{0,12}",
            "[\\x00-\\u{ff}\\u{2028}\\u{feff}\\u{1f600}]{0,8}",
            "[yYnN~.0-9-]{1,5}",
        ]
    }

    fn any_value() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any_text().prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any_text(), inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn it_reads_back_as_the_same_value(value in any_value()) {
            let text = to_yaml(&value);
            let back: Value = serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
            proptest::prop_assert_eq!(&back, &value, "\n{}", text);
        }
    }

    #[test]
    fn ten_megabytes_take_no_noticeable_time() {
        let data: Map<String, Value> =
            (0..10_000).map(|i| (format!("key-{i}"), Value::from("0123456789abcdef ".repeat(64)))).collect();
        let started = std::time::Instant::now();
        let text = to_yaml(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data}));
        assert!(text.len() > 10_000_000);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
