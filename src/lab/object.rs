//! A stored object: its identity in the open, the rest as the bytes that go over the wire.
//!
//! A pod as a tree of values costs ten times its bytes; almost every request only passes bytes on.
//! So the bytes are kept, and the tree is made when a controller or a patch needs it.

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// One version of one object. Never changed: a write makes another.
#[derive(Debug)]
pub(super) struct Object {
    pub namespace: CompactString,
    pub name: CompactString,
    pub uid: CompactString,
    /// `metadata.resourceVersion`.
    pub version: u64,
    pub labels: Box<[(CompactString, CompactString)]>,
    /// What controls it.
    pub owner: Option<Owner>,
    /// The object as JSON without `kind` and `apiVersion`, as it stands in a list.
    pub body: Bytes,
}

/// The controller of an object, from its owner references.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owner {
    pub kind: CompactString,
    pub name: CompactString,
    pub uid: CompactString,
}

impl Object {
    /// From a whole object, whose `kind` and `apiVersion` are left out. Its `resourceVersion` is set to `version`.
    pub fn new(mut value: Value, version: u64) -> Self {
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("kind");
            map.shift_remove("apiVersion");
        }
        value["metadata"]["resourceVersion"] = version.to_string().into();
        let meta = &value["metadata"];
        let text = |key: &str| CompactString::from(meta[key].as_str().unwrap_or_default());
        let labels = meta["labels"]
            .as_object()
            .map(|m| m.iter().map(|(k, v)| (k.into(), v.as_str().unwrap_or_default().into())).collect())
            .unwrap_or_default();
        let owner = items(meta, "ownerReferences")
            .iter()
            .find(|r| r["controller"].as_bool() == Some(true))
            .map(|r| {
                let text = |key: &str| CompactString::from(r[key].as_str().unwrap_or_default());
                Owner { kind: text("kind"), name: text("name"), uid: text("uid") }
            });
        Self {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            version,
            labels,
            owner,
            body: Bytes::from(value.to_string()),
        }
    }

    /// The object as a tree, without `kind` and `apiVersion`.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The object as a tree that names its kind.
    pub fn whole(&self, kind: &Kind) -> Value {
        let mut map = Map::new();
        map.insert("kind".into(), kind.kind.as_str().into());
        map.insert("apiVersion".into(), kind.api_version().into());
        if let Value::Object(body) = self.value() {
            map.extend(body);
        }
        Value::Object(map)
    }

    /// Appends the object with its kind, as one that stands alone.
    pub fn write_whole(&self, kind: &Kind, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"kind\":\"");
        out.extend_from_slice(kind.kind.as_bytes());
        out.extend_from_slice(b"\",\"apiVersion\":\"");
        out.extend_from_slice(kind.api_version().as_bytes());
        out.push(b'"');
        if self.body.len() > 2 {
            out.push(b',');
        }
        out.extend_from_slice(self.body.get(1..).unwrap_or(b"}"));
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// A time as `metav1.Time` writes it: whole seconds, UTC.
pub(super) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as `metav1.MicroTime` writes it.
pub(super) fn micro_stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form of time.
pub(super) fn parse_stamp(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// The value at a dotted path of plain keys; null if it is not there.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    const NULL: &Value = &Value::Null;
    path.split('.').fold(value, |v, key| v.get(key).unwrap_or(NULL))
}

pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).as_str().unwrap_or_default()
}

pub(super) fn number(value: &Value, path: &str) -> i64 {
    at(value, path).as_i64().unwrap_or_default()
}

pub(super) fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The reference that a dependent keeps to its controller.
pub(super) fn owner_reference(kind: &Kind, owner: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind.as_str(), "name": text(owner, "metadata.name"),
        "uid": text(owner, "metadata.uid"), "controller": true, "blockOwnerDeletion": true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Kinds;
    use super::*;

    #[test]
    fn an_object_alone_names_its_kind_and_in_a_list_does_not() {
        let kinds = Kinds::builtin();
        let kind = kinds.by_kind("v1", "Pod").unwrap();
        let object = Object::new(
            json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"app": "x"}}, "spec": {}}),
            7,
        );
        assert_eq!(object.value()["metadata"]["resourceVersion"], "7");
        assert!(object.value().get("kind").is_none());
        let mut out = Vec::new();
        object.write_whole(kind, &mut out);
        let whole: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(whole, object.whole(kind));
        assert_eq!((whole["kind"].as_str(), object.label("app")), (Some("Pod"), Some("x")));
    }
}
