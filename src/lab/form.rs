//! In which form an object goes over the wire: JSON, a Table row, metadata only, protobuf.

use serde_json::{Map, Value, json};

use super::cluster::Faults;
use super::discovery;
use super::failure::{Failure, Outcome};
use super::kinds::Kind;
use super::object::Object;
use super::route::Ask;
use super::{proto, tables};

/// What a Table's rows carry of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Protobuf,
    Table(Include),
    Metadata,
}

/// What is asked: the same words mean different things for one object and for many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Many,
    Stream,
}

/// The first representation of the `Accept` header that the server has.
pub(super) fn negotiate(ask: &Ask, shape: Shape) -> Outcome<Form> {
    let protobuf = proto::has(&ask.kind) && !Faults::is(&ask.state.faults.no_protobuf);
    if ask.accept.trim().is_empty() {
        return Ok(Form::Json);
    }
    for clause in ask.accept.split(',') {
        let mut words = clause.split(';').map(str::trim);
        let media = words.next().unwrap_or_default();
        let (mut target, mut group, mut version) = ("", "", "");
        for word in words {
            match word.split_once('=') {
                Some(("as", v)) => target = v,
                Some(("g", v)) => group = v,
                Some(("v", v)) => version = v,
                _ => {}
            }
        }
        let json = matches!(media, "application/json" | "*/*" | "application/*");
        if !json && media != "application/vnd.kubernetes.protobuf" {
            continue;
        }
        if target.is_empty() {
            match (json, protobuf) {
                (true, _) => return Ok(Form::Json),
                (false, true) => return Ok(Form::Protobuf),
                (false, false) => continue,
            }
        }
        // Derived forms are made in JSON only, and of version v1 only.
        if !json || group != "meta.k8s.io" || version != "v1" {
            continue;
        }
        match (target, shape) {
            ("Table", _) => return Ok(Form::Table(include(ask)?)),
            ("PartialObjectMetadata", Shape::One | Shape::Stream)
            | ("PartialObjectMetadataList", Shape::Many) => return Ok(Form::Metadata),
            _ => {}
        }
    }
    Err(discovery::representations(protobuf))
}

fn include(ask: &Ask) -> Outcome<Include> {
    match ask.query.text("includeObject") {
        "None" => Ok(Include::Nothing),
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        other => Err(Failure::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}

/// Appends one object that stands alone.
pub(super) fn write_one(form: Form, kind: &Kind, object: &Object, out: &mut Vec<u8>) {
    match form {
        Form::Json => object.write_whole(kind, out),
        Form::Protobuf => proto::write_enveloped(kind, object, out),
        Form::Metadata => out.extend_from_slice(metadata(&object.value()).to_string().as_bytes()),
        Form::Table(include) => {
            out.extend_from_slice(table(kind, object, include, true).to_string().as_bytes());
        }
    }
}

/// A `PartialObjectMetadata` of an object.
fn metadata(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]})
}

/// A Table of one row.
pub(super) fn table(kind: &Kind, object: &Object, include: Include, columns: bool) -> Value {
    let mut table = table_head(&json!({"resourceVersion": object.version.to_string()}), kind, columns);
    table["rows"] = json!([row(kind, object, include)]);
    table
}

/// A Table without rows.
pub(super) fn table_head(metadata: &Value, kind: &Kind, columns: bool) -> Value {
    let columns = if columns { tables::columns(kind) } else { Value::Null };
    let mut map = Map::new();
    map.insert("kind".into(), "Table".into());
    map.insert("apiVersion".into(), "meta.k8s.io/v1".into());
    map.insert("metadata".into(), metadata.clone());
    map.insert("columnDefinitions".into(), columns);
    map.insert("rows".into(), json!([]));
    Value::Object(map)
}

/// One row of a Table.
pub(super) fn row(kind: &Kind, object: &Object, include: Include) -> Value {
    let value = object.value();
    let (cells, conditions) = tables::cells(kind, &value);
    let mut row = Map::new();
    row.insert("cells".into(), cells.into());
    if !conditions.is_null() {
        row.insert("conditions".into(), conditions);
    }
    let inner = match include {
        Include::Nothing => Value::Null,
        Include::Metadata => metadata(&value),
        Include::Object => object.whole(kind),
    };
    row.insert("object".into(), inner);
    Value::Object(row)
}

/// Appends an object as an item of a list.
pub(super) fn write_item(form: Form, kind: &Kind, object: &Object, out: &mut Vec<u8>) {
    match form {
        // The items of built-in lists do not repeat their kind; those of custom resources do.
        Form::Json if kind.custom.is_some() => object.write_whole(kind, out),
        Form::Json => out.extend_from_slice(&object.body),
        Form::Metadata => out.extend_from_slice(metadata(&object.value()).to_string().as_bytes()),
        Form::Table(include) => out.extend_from_slice(row(kind, object, include).to_string().as_bytes()),
        Form::Protobuf => {}
    }
}
