//! Server-side Tables (`meta.k8s.io/v1 Table`) in JSON.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::messages::{BookmarkObject, ListMeta, Time};
use crate::kube::error::Status;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct JsonTable<'a> {
    pub(in crate::kube) kind: Cow<'a, str>,
    pub(in crate::kube) metadata: Option<ListMeta>,
    pub(in crate::kube) column_definitions: Option<Vec<ColumnDefinition>>,
    #[serde(borrow)]
    pub(in crate::kube) rows: Option<Vec<TableRow<'a>>>,
    /// Of a plain list, from a server that makes no Tables of this kind.
    #[serde(borrow)]
    pub(in crate::kube) items: Option<Vec<PlainObject<'a>>>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(in crate::kube) struct ColumnDefinition {
    pub(in crate::kube) name: String,
    /// An OpenAPI type: `string`, `integer`, `number`, `boolean`, `date`.
    #[serde(rename = "type")]
    pub(in crate::kube) kind: String,
    pub(in crate::kube) format: String,
    /// Above 0: shown in wide layouts only.
    pub(in crate::kube) priority: i32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::kube) struct TableRow<'a> {
    pub(in crate::kube) cells: Vec<Value>,
    #[serde(borrow)]
    pub(in crate::kube) object: PlainObject<'a>,
}

/// `PartialObjectMetadata`, or the part of any object that is the same in all.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::kube) struct PlainObject<'a> {
    #[serde(borrow)]
    pub(in crate::kube) metadata: PlainMeta<'a>,
    /// Of a whole object, not looked at: kinds differ in what it holds.
    #[serde(borrow)]
    pub(in crate::kube) status: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct PlainMeta<'a> {
    pub(in crate::kube) name: Cow<'a, str>,
    pub(in crate::kube) namespace: Cow<'a, str>,
    pub(in crate::kube) uid: Cow<'a, str>,
    pub(in crate::kube) resource_version: Cow<'a, str>,
    pub(in crate::kube) creation_timestamp: Option<Time>,
    pub(in crate::kube) deletion_timestamp: Option<Time>,
    /// Looked at only where what an object owns is asked for.
    #[serde(borrow)]
    pub(in crate::kube) owner_references: Option<&'a RawValue>,
}

/// One event of a Table watch.
pub(in crate::kube) enum TableEvent<'a> {
    /// Rows that are new or changed, or with `true`, deleted.
    Rows(JsonTable<'a>, bool),
    Bookmark {
        version: String,
        ends_initial_events: bool,
    },
    Error(Status),
    /// A type of event that we do not know.
    Other,
}

pub(in crate::kube) fn parse_table(body: &[u8]) -> Result<JsonTable<'_>, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

pub(in crate::kube) fn parse_event(frame: &[u8]) -> Result<TableEvent<'_>, String> {
    let event: super::JsonEvent<'_> = serde_json::from_slice(frame).map_err(|e| e.to_string())?;
    let object = event.object.get();
    match &*event.kind {
        "ADDED" | "MODIFIED" | "DELETED" => {
            let mut table: JsonTable<'_> = serde_json::from_str(object).map_err(|e| e.to_string())?;
            if table.kind != "Table" {
                // A plain object: a list of one.
                let plain: PlainObject<'_> = serde_json::from_str(object).map_err(|e| e.to_string())?;
                table.items = Some(vec![plain]);
            }
            Ok(TableEvent::Rows(table, event.kind == "DELETED"))
        }
        "BOOKMARK" => {
            // The bookmark's annotation is on the object of the Table's only row.
            #[derive(Deserialize)]
            struct Bookmark {
                #[serde(default)]
                rows: Vec<Row>,
            }
            #[derive(Deserialize)]
            struct Row {
                object: Option<BookmarkObject>,
            }
            let outer: BookmarkObject = serde_json::from_str(object).map_err(|e| e.to_string())?;
            let inner: Bookmark = serde_json::from_str(object).map_err(|e| e.to_string())?;
            let inner = inner.rows.into_iter().next().and_then(|r| r.object).unwrap_or_default();
            let version = if inner.version().is_empty() { outer.version() } else { inner.version() };
            Ok(TableEvent::Bookmark {
                version: version.to_owned(),
                ends_initial_events: outer.ends_initial_events() || inner.ends_initial_events(),
            })
        }
        "ERROR" => serde_json::from_str(object).map(TableEvent::Error).map_err(|e| e.to_string()),
        _ => Ok(TableEvent::Other),
    }
}
