//! `QD_*` variables: `QD_HTTP_PORT` sets `http.port`.

use serde_json::Value;

use super::outline::Key;
use crate::base::Error;
use crate::base::text::nearest;

/// Variables that are not configuration keys: they choose the file, the session, the actor or the server.
const OTHERS: &[&str] = &["QD_CONFIG", "QD_SESSION", "QD_AGENT", "QD_TOKEN", "QD_URL", "QD_LOG"];

/// One variable that sets a key.
pub struct Setting {
    pub path: String,
    pub origin: String,
    pub value: Value,
}

/// The settings among `variables`. A name close to a right one is refused as a slip of the hand; one that
/// is like none is left alone, because Kubernetes gives every container `QD_SERVICE_HOST` and its
/// like where a service is called `qd`.
pub fn read(
    keys: &[Key],
    variables: impl IntoIterator<Item = (String, String)>,
) -> (Vec<Setting>, Vec<Error>) {
    let names: Vec<String> =
        keys.iter().map(|k| format!("QD_{}", k.path.replace('.', "_").to_uppercase())).collect();
    let (mut settings, mut mistakes) = (Vec::new(), Vec::new());
    for (name, text) in variables {
        if !name.starts_with("QD_") || OTHERS.contains(&name.as_str()) {
            continue;
        }
        if let Some(i) = names.iter().position(|n| *n == name) {
            let value = value(&keys[i], &text);
            settings.push(Setting { path: keys[i].path.clone(), origin: name, value });
        } else if let Some(near) = nearest(&name, names.iter().map(String::as_str))
            && strsim::normalized_damerau_levenshtein(&name, near) >= 0.85
        {
            let error = Error::invalid(format!("the environment variable {name} sets nothing"));
            mistakes.push(error.next(format!("Did you mean {near}?")));
        }
    }
    settings.sort_by(|a, b| a.path.cmp(&b.path));
    (settings, mistakes)
}

/// The value that `text` means for `key`: text stays text where the key holds text, a list may be
/// written with commas, all else is read as YAML.
pub fn value(key: &Key, text: &str) -> Value {
    let holds = |name: &str| key.schema.get("type").and_then(Value::as_str) == Some(name);
    if holds("string") {
        return Value::String(text.to_owned());
    }
    if holds("array") && !text.trim_start().starts_with('[') {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        return parts.map(|p| Value::String(p.to_owned())).collect();
    }
    serde_yaml_ng::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
