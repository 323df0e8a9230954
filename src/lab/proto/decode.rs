//! From protobuf back to JSON: what typed clients send.

use base64::Engine as _;
use jiff::Timestamp;
use prost::encoding::{WireType, decode_key, decode_varint};
use serde_json::{Map, Value};

use super::{Field, MAGIC, Type, messages};
use crate::lab::object::stamp;

/// Fields whose zero says something: they are pointers in Kubernetes' types, where others are left out when zero.
const MEANT: &[&str] = &[
    "replicas",
    "completions",
    "parallelism",
    "backoffLimit",
    "terminationGracePeriodSeconds",
    "gracePeriodSeconds",
    "automountServiceAccountToken",
    "minReplicas",
    "optional",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "allowPrivilegeEscalation",
    "privileged",
    "readOnlyRootFilesystem",
    "revisionHistoryLimit",
    "defaultMode",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "immutable",
    "orphanDependents",
    "suspend",
    "enableServiceLinks",
];

/// An object out of its envelope, with its kind; `None` if it is not one that is known here.
pub(in crate::lab) fn object(bytes: &[u8]) -> Option<Value> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    while let Some((number, field)) = next(&mut rest) {
        match (number, field) {
            (1, Wire::Bytes(mut meta)) => {
                while let Some((number, field)) = next(&mut meta) {
                    match (number, field) {
                        (1, Wire::Bytes(b)) => api_version = String::from_utf8_lossy(b).into_owned(),
                        (2, Wire::Bytes(b)) => kind = String::from_utf8_lossy(b).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(b)) => raw = b,
            _ => {}
        }
    }
    let mut out = Map::new();
    out.insert("kind".into(), kind.as_str().into());
    out.insert("apiVersion".into(), api_version.into());
    message(&kind, raw, &mut out)?;
    Some(Value::Object(out))
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field of a message; `None` at its end, and where it is broken.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, Wire<'a>)> {
    if rest.is_empty() {
        return None;
    }
    let (number, wire) = decode_key(rest).ok()?;
    match wire {
        WireType::Varint => Some((number, Wire::Number(decode_varint(rest).ok()?))),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let bytes = rest.get(..length)?;
            *rest = rest.get(length..)?;
            Some((number, Wire::Bytes(bytes)))
        }
        _ => None,
    }
}

fn message(name: &str, mut rest: &[u8], out: &mut Map<String, Value>) -> Option<()> {
    let fields = messages().get(name)?;
    while let Some((number, wire)) = next(&mut rest) {
        let Some(field) = fields.iter().find(|f| f.number == number) else { continue };
        if let (true, Type::Message(inner), Wire::Bytes(bytes)) = (field.inline, &field.ty, &wire) {
            message(inner, bytes, out)?;
            continue;
        }
        if matches!(field.ty, Type::TextMap | Type::QuantityMap | Type::BytesMap) {
            if let Wire::Bytes(entry) = wire {
                let map = out.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                map_entry(field, entry, map);
            }
            continue;
        }
        let Some(value) = value(field, &wire) else { continue };
        if field.list {
            let list = out.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(value);
            }
        } else if !empty(&value) || MEANT.contains(&field.name) {
            out.insert(field.name.to_owned(), value);
        }
    }
    Some(())
}

fn empty(value: &Value) -> bool {
    match value {
        Value::String(s) => s.is_empty(),
        Value::Number(n) => n.as_i64() == Some(0),
        Value::Bool(b) => !b,
        Value::Null => true,
        _ => false,
    }
}

fn map_entry(field: &Field, mut entry: &[u8], map: &mut Value) {
    let (mut key, mut value) = (String::new(), Value::from(""));
    while let Some((number, wire)) = next(&mut entry) {
        match (number, wire) {
            (1, Wire::Bytes(b)) => key = String::from_utf8_lossy(b).into_owned(),
            (2, Wire::Bytes(b)) => {
                value = match field.ty {
                    Type::QuantityMap => first_text(b),
                    Type::BytesMap => base64::engine::general_purpose::STANDARD.encode(b).into(),
                    _ => String::from_utf8_lossy(b).into(),
                }
            }
            _ => {}
        }
    }
    map[key] = value;
}

/// The text in field 1, as quantities hold it.
fn first_text(mut bytes: &[u8]) -> Value {
    match next(&mut bytes) {
        Some((1, Wire::Bytes(b))) => String::from_utf8_lossy(b).into(),
        _ => Value::Null,
    }
}

fn value(field: &Field, wire: &Wire<'_>) -> Option<Value> {
    Some(match (&field.ty, wire) {
        (Type::Text, Wire::Bytes(b)) => String::from_utf8_lossy(b).into(),
        (Type::Int, Wire::Number(n)) => i64::from_ne_bytes(n.to_ne_bytes()).into(),
        (Type::Bool, Wire::Number(n)) => (*n != 0).into(),
        (Type::Bytes, Wire::Bytes(b)) => base64::engine::general_purpose::STANDARD.encode(b).into(),
        (Type::Quantity, Wire::Bytes(b)) => first_text(b),
        (Type::ManagedFields, Wire::Bytes(b)) => {
            serde_json::from_str(first_text(b).as_str().unwrap_or_default()).unwrap_or_default()
        }
        (Type::Time, Wire::Bytes(b)) => time(b),
        (Type::IntOrString, Wire::Bytes(b)) => int_or_string(b),
        (Type::Message(inner), Wire::Bytes(b)) => {
            let mut map = Map::new();
            message(inner, b, &mut map)?;
            Value::Object(map)
        }
        _ => return None,
    })
}

fn time(mut bytes: &[u8]) -> Value {
    match next(&mut bytes) {
        Some((1, Wire::Number(n))) => i64::try_from(n)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok())
            .map_or(Value::Null, |t| stamp(t).into()),
        _ => Value::Null,
    }
}

fn int_or_string(mut bytes: &[u8]) -> Value {
    let (mut text, mut number, mut is_text) = (String::new(), 0_i64, false);
    while let Some((field, wire)) = next(&mut bytes) {
        match (field, wire) {
            (1, Wire::Number(n)) => is_text = n == 1,
            (2, Wire::Number(n)) => number = i64::from_ne_bytes(n.to_ne_bytes()),
            (3, Wire::Bytes(b)) => text = String::from_utf8_lossy(b).into_owned(),
            _ => {}
        }
    }
    if is_text { text.into() } else { number.into() }
}
