//! Reading parts of untyped objects, and the phrases that several kinds share.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::sheet::Sheet;
use crate::rows::cell::age;

/// A string, number or boolean at a JSON pointer, as text; empty where there is none.
pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map(plain).unwrap_or_default()
}

/// As [`text`], with a word for nothing.
pub fn text_or(value: &Value, pointer: &str, default: &str) -> String {
    let found = text(value, pointer);
    if found.is_empty() { default.to_owned() } else { found }
}

pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        other => other.to_string(),
    }
}

pub fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub fn object<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// `key=value` of a map of strings, in order.
pub fn pairs(value: &Value, pointer: &str, separator: &str) -> Vec<String> {
    object(value, pointer).map(|(k, v)| format!("{k}{separator}{}", plain(v))).collect()
}

/// A label selector as kubectl writes it: `app=web,tier in (a,b)`.
pub fn selector(value: &Value) -> String {
    let mut parts = pairs(value, "/matchLabels", "=");
    for e in items(value, "/matchExpressions") {
        let key = text(e, "/key");
        let values = items(e, "/values").iter().map(plain).collect::<Vec<_>>().join(",");
        parts.push(match text(e, "/operator").as_str() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key,
            "DoesNotExist" => format!("!{key}"),
            other => format!("{key} {other} ({values})"),
        });
    }
    parts.join(",")
}

/// Seconds since the epoch of an RFC 3339 time.
pub fn seconds(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(|t| t.as_second())
}

/// The age of a time at a JSON pointer: "3h12m", or `<unknown>`.
pub fn age_of(value: &Value, pointer: &str, now: Timestamp) -> String {
    seconds(&text(value, pointer))
        .map_or_else(|| "<unknown>".to_owned(), |t| age(now.as_second() - t).to_string())
}

/// A time with its age: "2026-11-21T10:00:00Z (15m)".
pub fn time(value: &Value, pointer: &str, now: Timestamp) -> String {
    let text = text(value, pointer);
    if text.is_empty() { text } else { format!("{text} ({} ago)", age_of(value, pointer, now)) }
}

/// The owner that keeps the object as it is, as `Kind/name`.
pub fn controller(value: &Value) -> String {
    items(value, "/metadata/ownerReferences")
        .iter()
        .find(|o| o.get("controller") == Some(&Value::Bool(true)))
        .map(|o| format!("{}/{}", text(o, "/kind"), text(o, "/name")))
        .unwrap_or_default()
}

/// The head that every description begins with.
pub fn head(sheet: &mut Sheet, object: &Value, now: Timestamp) {
    sheet.field("Name", text(object, "/metadata/name"));
    sheet.some("Namespace", text(object, "/metadata/namespace"));
    sheet.some("Created", time(object, "/metadata/creationTimestamp", now));
    if !text(object, "/metadata/deletionTimestamp").is_empty() {
        let grace = text(object, "/metadata/deletionGracePeriodSeconds");
        let since = time(object, "/metadata/deletionTimestamp", now);
        sheet.field("Terminating", format!("{since}, grace period {grace} s"));
        sheet.some_list("Finalizers", items(object, "/metadata/finalizers").iter().map(plain).collect());
    }
    labels(sheet, object);
}

pub fn labels(sheet: &mut Sheet, object: &Value) {
    sheet.list("Labels", pairs(object, "/metadata/labels", "="));
    sheet.list("Annotations", annotations(object));
}

/// Annotations, without the whole manifest that kubectl keeps in one of them.
fn annotations(object: &Value) -> Vec<String> {
    self::object(object, "/metadata/annotations")
        .filter(|(k, _)| *k != "kubectl.kubernetes.io/last-applied-configuration")
        .map(|(k, v)| {
            let v = plain(v);
            if v.chars().count() > 200 || v.contains('\n') {
                let cut: String = v.chars().take(120).map(|c| if c == '\n' { ' ' } else { c }).collect();
                format!("{k}: {cut}… ({} bytes)", v.len())
            } else {
                format!("{k}: {v}")
            }
        })
        .collect()
}

/// Type, status, reason, message and age of `status.conditions`.
pub fn conditions(sheet: &mut Sheet, object: &Value, now: Timestamp) {
    let rows: Vec<Vec<String>> = items(object, "/status/conditions")
        .iter()
        .map(|c| {
            vec![
                text(c, "/type"),
                text(c, "/status"),
                age_of(c, "/lastTransitionTime", now),
                text(c, "/reason"),
                text(c, "/message").replace('\n', " "),
            ]
        })
        .collect();
    sheet.section("Conditions", |s| s.table(&["Type", "Status", "Since", "Reason", "Message"], rows));
}

/// A map as indented fields, nested as deep as it goes: for the parts of kinds that we do not know.
pub fn tree(sheet: &mut Sheet, map: &Map<String, Value>) {
    for (key, value) in map {
        node(sheet, &title(key), value);
    }
}

fn node(sheet: &mut Sheet, label: &str, value: &Value) {
    match value {
        Value::Object(map) => sheet.section(label, |s| tree(s, map)),
        Value::Array(items) if items.iter().all(|i| !i.is_object() && !i.is_array()) => {
            sheet.some_list(label, items.iter().map(plain).collect());
        }
        Value::Array(items) => sheet.section(label, |s| {
            for (i, item) in items.iter().enumerate() {
                let name =
                    ["/name", "/type", "/key", "/id"].iter().map(|p| text(item, p)).find(|n| !n.is_empty());
                node(s, &name.unwrap_or_else(|| format!("[{i}]")), item);
            }
        }),
        other => sheet.some(label, plain(other)),
    }
}

/// `lastTransitionTime` as "Last Transition Time".
pub fn title(key: &str) -> String {
    if key.contains(['.', '/', '-', '_']) {
        return key.to_owned();
    }
    let mut out = String::with_capacity(key.len() + 8);
    let chars: Vec<char> = key.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let border = c.is_uppercase()
            && i > 0
            && (chars[i - 1].is_lowercase()
                // "IPAddress" parts before its A; the plural s of "IPs" parts nothing.
                || chars.get(i + 1).is_some_and(|n| n.is_lowercase() && (*n != 's' || i + 2 < chars.len())));
        if border {
            out.push(' ');
        }
        if i == 0 { out.extend(c.to_uppercase()) } else { out.push(*c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_and_titles_read_well() {
        let s = json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "t", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "DoesNotExist"}]});
        assert_eq!(selector(&s), "app=web,t in (a,b),!x");
        for (key, expected) in [
            ("lastTransitionTime", "Last Transition Time"),
            ("podIP", "Pod IP"),
            ("clusterIPs", "Cluster IPs"),
            ("app.kubernetes.io/name", "app.kubernetes.io/name"),
        ] {
            assert_eq!(title(key), expected);
        }
    }
}
