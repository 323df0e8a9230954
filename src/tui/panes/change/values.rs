//! A Secret's values as a text to edit, and what of them was changed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::base::{Error, Result};
use crate::tui::object::ObjectRef;

/// What an edit of the values comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    set: BTreeMap<String, String>,
    remove: Vec<String>,
}

impl Changes {
    /// Puts them among the arguments of `secret_edit`.
    pub fn put(&self, arguments: &mut Value, revision: &str) {
        if let Some(map) = arguments.as_object_mut() {
            map.remove("kind");
        }
        let pairs: Vec<String> = self.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
        arguments["secret_values"] = json!(pairs);
        arguments["remove"] = json!(self.remove);
        arguments["revision"] = json!(revision);
    }
}

/// The decoded values of a Secret that was read as JSON, to be edited. What is no text stands in the comments.
pub fn document(object: &ObjectRef, secret: &Value) -> String {
    let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
    let mut binary = Vec::new();
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        match binary_size(value) {
            Some(size) => binary.push(format!("#   {key}: {size} bytes\n")),
            None => {
                texts.insert(key, value);
            }
        }
    }
    let mut out = format!(
        "# The values of the secret {}/{}, decoded.\n\
         # Only what you change is sent: an added line is a new key,\n\
         # one that is taken out removes its key. The rest: y, then e.\n",
        object.namespace, object.name
    );
    if !binary.is_empty() {
        out.push_str("# These are no text, and stay as they are:\n");
        out.extend(binary);
    }
    if !texts.is_empty() {
        // A map of texts can always be written.
        out.push_str(&serde_yaml_ng::to_string(&texts).unwrap_or_default());
    }
    out
}

/// How long a value is that is no text, if it is told as `resource_get` tells such: `3 bytes that are no text: …`.
fn binary_size(value: &str) -> Option<usize> {
    let (size, encoded) = value.split_once(" bytes that are no text: ")?;
    let size: usize = size.parse().ok()?;
    let bytes = STANDARD.decode(encoded).ok()?;
    // A text that only looks like one is a text.
    (bytes.len() == size && std::str::from_utf8(&bytes).is_err()).then_some(size)
}

/// What changed from one document to the other.
///
/// # Errors
///
/// A value is no text, or nothing changed.
pub fn changes(before: &str, after: &str) -> Result<Changes> {
    let (before, after) = (values(before)?, values(after)?);
    let remove: Vec<String> = before.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
    let set: BTreeMap<String, String> =
        after.into_iter().filter(|(key, value)| before.get(key) != Some(value)).collect();
    if set.is_empty() && remove.is_empty() {
        return Err(Error::invalid("no value was changed").next("e goes back to the text, Esc leaves it."));
    }
    Ok(Changes { set, remove })
}

fn values(text: &str) -> Result<BTreeMap<String, String>> {
    let again = "Nothing is lost: e goes back to the text.";
    let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text)
        .map_err(|_| Error::invalid("the values are not one YAML document").next(again))?;
    let map = match value {
        serde_yaml_ng::Value::Null => return Ok(BTreeMap::new()),
        serde_yaml_ng::Value::Mapping(map) => map,
        _ => return Err(Error::invalid("the values must be lines of KEY: VALUE").next(again)),
    };
    let mut out = BTreeMap::new();
    for (key, value) in map {
        let Some(key) = key.as_str() else {
            return Err(Error::invalid("a key is no text: put it in quotes").next(again));
        };
        match value {
            serde_yaml_ng::Value::String(text) => {
                out.insert(key.to_owned(), text);
            }
            // What such a value would be as text, YAML does not say: 0755 is one number of many spellings.
            _ => {
                return Err(Error::invalid(format!("the value of {key} is no text: put it in quotes"))
                    .next("Nothing is lost: e goes back to the text."));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> (ObjectRef, Value) {
        let object = ObjectRef::new("eu-1", "secrets", "shop", "db");
        let data = json!({"password": "hunter2", "port": "5432", "motd": "one\n  two\n", "none": "",
            "store": "2 bytes that are no text: //4=", "odd": "9 bytes that are no text: abc"});
        (object, json!({ "data": data }))
    }

    #[test]
    fn what_was_read_reads_back_and_binary_values_are_only_told() {
        let (object, secret) = secret();
        let text = document(&object, &secret);
        assert!(text.contains("#   store: 2 bytes\n"), "{text}");
        let read = values(&text).unwrap();
        assert_eq!(read["motd"], "one\n  two\n");
        assert_eq!(read["port"], "5432");
        assert_eq!(read["odd"], "9 bytes that are no text: abc");
        assert!(!read.contains_key("store") && read.len() == 5, "{read:?}");
        assert!(changes(&text, &text).is_err(), "nothing changed");
        assert_eq!(values(&document(&object, &json!({}))).unwrap(), BTreeMap::new());
    }

    #[test]
    fn only_what_changed_is_sent() {
        let (object, secret) = secret();
        let text = document(&object, &secret);
        let edited = text.replace("hunter2", "correct=horse").replace("none: ''\n", "") + "new: \"1\"\n";
        let changed = changes(&text, &edited).unwrap();
        let mut arguments = object.arguments();
        changed.put(&mut arguments, "7");
        assert_eq!(
            arguments,
            json!({"cluster": "eu-1", "namespace": "shop", "name": "db", "revision": "7", "remove": ["none"],
                "secret_values": ["new=1", "password=correct=horse"]})
        );
        for (wrong, why) in [("port: 5432", "port is no text"), ("- a", "KEY: VALUE"), ("1: a", "key")] {
            let error = changes(&text, wrong).unwrap_err();
            assert!(error.message.contains(why) && error.next.is_some(), "{}", error.message);
        }
    }
}
