//! Protobuf: what typed clients prefer, and what makes long lists quick.
//!
//! Objects are kept as JSON; `messages.txt` says which field has which number (from
//! `k8s.io/api/core/v1/generated.proto` and apimachinery's, 1.36), and the encoder walks both side by
//! side. One line a message: `Name number:field=type`, where a type is `s` text, `i` integer, `b`
//! boolean, `y` bytes, `q` quantity, `t` time, `m` time with microseconds, `x` IntOrString, `f` managed
//! fields, `~s`, `~q` and `~y` maps, or another message; `*` before it is a list, `!` a message whose fields
//! stand among its parent's in JSON.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::Kind;
use super::object::{Object, parse_stamp};

mod decode;

pub(super) use decode::object as decode;

/// The first bytes of every enveloped object.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Debug, Clone, PartialEq)]
enum Type {
    Text,
    Int,
    Bool,
    Bytes,
    Quantity,
    Time,
    IntOrString,
    ManagedFields,
    TextMap,
    QuantityMap,
    BytesMap,
    Message(&'static str),
}

#[derive(Debug)]
struct Field {
    number: u32,
    name: &'static str,
    ty: Type,
    list: bool,
    inline: bool,
}

type Messages = HashMap<&'static str, Vec<Field>>;

fn messages() -> &'static Messages {
    static MESSAGES: OnceLock<Messages> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        include_str!("messages.txt")
            .lines()
            .map(|line| {
                let (name, fields) = line.split_once(' ').unwrap_or((line, ""));
                (name, fields.split(' ').filter_map(field).collect())
            })
            .collect()
    })
}

fn field(text: &'static str) -> Option<Field> {
    let (number, rest) = text.split_once(':')?;
    let (name, ty) = rest.split_once('=')?;
    let (inline, ty) = ty.strip_prefix('!').map_or((false, ty), |t| (true, t));
    let (list, ty) = ty.strip_prefix('*').map_or((false, ty), |t| (true, t));
    let ty = match ty {
        "s" => Type::Text,
        "i" => Type::Int,
        "b" => Type::Bool,
        "y" => Type::Bytes,
        "q" => Type::Quantity,
        "t" | "m" => Type::Time,
        "x" => Type::IntOrString,
        "f" => Type::ManagedFields,
        "~s" => Type::TextMap,
        "~q" => Type::QuantityMap,
        "~y" => Type::BytesMap,
        message => Type::Message(message),
    };
    Some(Field { number: number.parse().ok()?, name, ty, list, inline })
}

/// Whether a kind has a protobuf form here.
pub(super) fn has(kind: &Kind) -> bool {
    kind.custom.is_none() && !kind.group.starts_with("metrics") && messages().contains_key(kind.kind.as_str())
}

/// Appends an object in its envelope, as it stands alone.
pub(super) fn write_enveloped(kind: &Kind, object: &Object, out: &mut Vec<u8>) {
    envelope(&kind.api_version(), &kind.kind, &message(&kind.kind, &object.value()), out);
}

/// A list in its envelope.
pub(super) fn list(kind: &Kind, objects: &[Arc<Object>], metadata: &Value) -> Vec<u8> {
    let mut body = Vec::with_capacity(objects.iter().map(|o| o.body.len()).sum());
    write_bytes(1, &message("ListMeta", metadata), &mut body);
    for object in objects {
        write_bytes(2, &message(&kind.kind, &object.value()), &mut body);
    }
    let mut out = Vec::with_capacity(body.len() + 64);
    envelope(&kind.api_version(), &kind.list_kind(), &body, &mut out);
    out
}

/// The object of a bookmark.
pub(super) fn bookmark(kind: &Kind, version: u64, end: bool) -> Vec<u8> {
    let mut value = json!({"metadata": {"resourceVersion": version.to_string()}});
    if end {
        value["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let mut out = Vec::new();
    envelope(&kind.api_version(), &kind.kind, &message(&kind.kind, &value), &mut out);
    out
}

pub(super) fn status(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::new();
    envelope("v1", "Status", &message("Status", &failure.status()), &mut out);
    out
}

/// Appends a frame of a watch: four bytes of length, then `WatchEvent{1: type, 2: RawExtension{1: object}}`.
pub(super) fn write_event(kind: &str, object: &[u8], out: &mut Vec<u8>) {
    let mut raw = Vec::with_capacity(object.len() + 8);
    write_bytes(1, object, &mut raw);
    let mut event = Vec::with_capacity(raw.len() + 32);
    write_bytes(1, kind.as_bytes(), &mut event);
    write_bytes(2, &raw, &mut event);
    out.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&event);
}

/// `runtime.Unknown{1: TypeMeta{1: apiVersion, 2: kind}, 2: raw}` after the magic bytes.
fn envelope(api_version: &str, kind: &str, raw: &[u8], out: &mut Vec<u8>) {
    let mut meta = Vec::new();
    write_bytes(1, api_version.as_bytes(), &mut meta);
    write_bytes(2, kind.as_bytes(), &mut meta);
    out.extend_from_slice(MAGIC);
    write_bytes(1, &meta, out);
    write_bytes(2, raw, out);
    // Encoding and content type are always written, and empty.
    write_bytes(3, b"", out);
    write_bytes(4, b"", out);
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn write_int(number: u32, value: i64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    // Negative numbers are sign-extended to 64 bits, as protobuf's int32 and int64 are.
    encode_varint(u64::from_ne_bytes(value.to_ne_bytes()), out);
}

/// The bytes of a message made from the JSON of it; what the message does not know is left out.
fn message(name: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for field in messages().get(name).into_iter().flatten() {
        if field.inline {
            if let Type::Message(inner) = field.ty {
                write_bytes(field.number, &message(inner, value), &mut out);
            }
            continue;
        }
        match value.get(field.name) {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) if field.list => {
                for item in items {
                    write_value(field, item, &mut out);
                }
            }
            Some(value) => write_value(field, value, &mut out),
        }
    }
    out
}

/// Adds the paths of the fields of `value` that a message does not have.
pub(super) fn unknown(name: &str, value: &Value, path: &str, out: &mut Vec<String>) {
    let Some(fields) = messages().get(name) else { return };
    // The fields of messages that stand inline are looked for among their own.
    let mut known: Vec<&Field> = fields.iter().filter(|f| !f.inline).collect();
    for inline in fields.iter().filter(|f| f.inline) {
        if let Type::Message(inner) = inline.ty {
            known.extend(messages().get(inner).into_iter().flatten());
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{path}.{key}");
        match known.iter().find(|f| f.name == key.as_str()) {
            None => out.push(at),
            Some(Field { ty: Type::Message(inner), list: true, .. }) => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    unknown(inner, item, &format!("{at}[{i}]"), out);
                }
            }
            Some(Field { ty: Type::Message(inner), .. }) => unknown(inner, value, &at, out),
            Some(_) => {}
        }
    }
}

fn write_value(field: &Field, value: &Value, out: &mut Vec<u8>) {
    let number = field.number;
    match &field.ty {
        Type::Text => write_bytes(number, value.as_str().unwrap_or_default().as_bytes(), out),
        Type::Int => write_int(number, value.as_i64().unwrap_or_default(), out),
        Type::Bool => write_int(number, i64::from(value.as_bool().unwrap_or_default()), out),
        Type::Bytes => {
            let text = value.as_str().unwrap_or_default();
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
            write_bytes(number, &bytes, out);
        }
        Type::Quantity => write_bytes(number, &quantity(value), out),
        Type::Time => write_bytes(number, &time(value), out),
        Type::IntOrString => write_bytes(number, &int_or_string(value), out),
        Type::ManagedFields => {
            let mut raw = Vec::new();
            write_bytes(1, value.to_string().as_bytes(), &mut raw);
            write_bytes(number, &raw, out);
        }
        Type::TextMap | Type::QuantityMap | Type::BytesMap => {
            for (key, value) in value.as_object().into_iter().flatten() {
                let mut entry = Vec::new();
                write_bytes(1, key.as_bytes(), &mut entry);
                match field.ty {
                    Type::QuantityMap => write_bytes(2, &quantity(value), &mut entry),
                    Type::BytesMap => {
                        let text = value.as_str().unwrap_or_default();
                        let bytes =
                            base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
                        write_bytes(2, &bytes, &mut entry);
                    }
                    _ => write_bytes(2, value.as_str().unwrap_or_default().as_bytes(), &mut entry),
                }
                write_bytes(number, &entry, out);
            }
        }
        Type::Message(inner) => write_bytes(number, &message(inner, value), out),
    }
}

fn quantity(value: &Value) -> Vec<u8> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut out = Vec::new();
    write_bytes(1, text.as_bytes(), &mut out);
    out
}

fn time(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(time) = parse_stamp(value) {
        write_int(1, time.as_second(), &mut out);
        write_int(2, i64::from(time.subsec_nanosecond()), &mut out);
    }
    out
}

/// `IntOrString{1: type (0 number, 1 text), 2: number, 3: text}`.
fn int_or_string(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => {
            write_int(1, 1, &mut out);
            write_int(2, 0, &mut out);
            write_bytes(3, text.as_bytes(), &mut out);
        }
        other => {
            write_int(1, 0, &mut out);
            write_int(2, other.as_i64().unwrap_or_default(), &mut out);
            write_bytes(3, b"", &mut out);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Meta {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(map = "string, string", tag = "11")]
        labels: HashMap<String, String>,
        #[prost(message, optional, tag = "8")]
        created: Option<Stamp>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Stamp {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Status {
        #[prost(string, tag = "1")]
        phase: String,
        #[prost(message, repeated, tag = "8")]
        containers: Vec<ContainerStatus>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct ContainerStatus {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(bool, tag = "4")]
        ready: bool,
        #[prost(int32, tag = "5")]
        restarts: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Pod {
        #[prost(message, optional, tag = "1")]
        metadata: Option<Meta>,
        #[prost(message, optional, tag = "3")]
        status: Option<Status>,
    }

    #[test]
    fn a_pod_is_read_back_by_the_numbers_of_the_real_definition() {
        let value = json!({
            "metadata": {"name": "a", "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "m", "ready": true, "restartCount": 3}]},
        });
        let pod = <Pod as prost::Message>::decode(message("Pod", &value).as_slice()).unwrap();
        let meta = pod.metadata.unwrap();
        assert_eq!((meta.name.as_str(), meta.labels["app"].as_str()), ("a", "web"));
        assert_eq!(meta.created.unwrap().seconds, 1_767_225_600);
        let status = pod.status.unwrap();
        assert_eq!(status.phase, "Running");
        assert_eq!((status.containers[0].ready, status.containers[0].restarts), (true, 3));
    }

    #[test]
    fn every_message_that_is_named_is_there() {
        for (name, fields) in messages() {
            for field in fields {
                if let Type::Message(inner) = field.ty {
                    assert!(messages().contains_key(inner), "{name}.{} is a {inner}", field.name);
                }
            }
        }
        assert!(messages().len() > 100);
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        let value = json!({
            "metadata": {"name": "a", "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                     "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                     "template": {"spec": {"volumes": [{"name": "v", "emptyDir": {}}],
                        "containers": [{"name": "m", "resources": {"limits": {"cpu": "1"}}}]}}},
        });
        let mut bytes = Vec::new();
        envelope("apps/v1", "Deployment", &message("Deployment", &value), &mut bytes);
        let mut back = decode(&bytes).unwrap();
        assert_eq!(
            (back["kind"].as_str(), back["apiVersion"].as_str()),
            (Some("Deployment"), Some("apps/v1"))
        );
        let map = back.as_object_mut().unwrap();
        map.shift_remove("kind");
        map.shift_remove("apiVersion");
        assert_eq!(back, value);
    }
}
