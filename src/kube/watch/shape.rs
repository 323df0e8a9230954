//! From bytes to changes: pods in protobuf or JSON, a pod's containers in JSON, everything else as Tables.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use prost::Message;
use serde_json::Value;

use super::hub::Change;
use super::{Owner, Selection};
use crate::kube::error::{Error, Status};
use crate::kube::extra::Extra;
use crate::kube::tables::Layout;
use crate::kube::wire::{self, Framing, TableEvent};
use crate::kube::{containers, pods};
use crate::rows::Column;

/// What the rows of a watch are made from.
pub(super) struct Shape {
    cluster: Arc<str>,
    form: Form,
    /// A node's row tells what it has to give, which stands in the whole object only.
    nodes: bool,
    owner: Option<Owner>,
    extra: Extra,
}

enum Form {
    Pods,
    /// Each pod is as many rows as it has containers.
    Containers,
    /// The layout comes with the first event or list.
    Table(Option<Layout>),
}

/// What else an event says.
#[derive(Default)]
pub(super) struct Told {
    /// The resource version to go on from.
    pub(super) version: Option<CompactString>,
    pub(super) initial_events_end: bool,
    pub(super) error: Option<Status>,
    pub(super) columns: Option<Arc<[Column]>>,
}

/// One page of a list.
#[derive(Default)]
pub(super) struct Page {
    pub(super) version: CompactString,
    /// Empty at the last page.
    pub(super) next: String,
    pub(super) remaining: Option<u64>,
    pub(super) columns: Option<Arc<[Column]>>,
}

impl Shape {
    pub(super) fn new(cluster: Arc<str>, selection: &Selection) -> Self {
        let form = match (selection.containers, selection.resource.is_pods()) {
            (true, _) => Form::Containers,
            (false, true) => Form::Pods,
            (false, false) => Form::Table(None),
        };
        let nodes = selection.resource.is_nodes();
        Self { cluster, form, nodes, owner: selection.owner.clone(), extra: Extra::new(&selection.extra) }
    }

    /// The columns, where they are known before the server says anything.
    pub(super) fn columns(&self) -> Option<Arc<[Column]>> {
        match &self.form {
            Form::Pods => Some(self.extra.columns(&pods::columns())),
            Form::Containers => Some(containers::columns()),
            Form::Table(layout) => layout.as_ref().map(|l| self.extra.columns(&l.columns)),
        }
    }

    pub(super) fn accept_watch(&self) -> &'static str {
        match self.form {
            Form::Pods if self.extra.is_none() => {
                "application/vnd.kubernetes.protobuf;type=watch, application/json"
            }
            // Paths lead through JSON.
            Form::Pods => "application/json",
            Form::Containers => "application/json",
            Form::Table(_) => "application/json;as=Table;v=v1;g=meta.k8s.io, application/json",
        }
    }

    pub(super) fn accept_list(&self) -> &'static str {
        match self.form {
            Form::Pods if self.extra.is_none() => "application/vnd.kubernetes.protobuf, application/json",
            Form::Pods => "application/json",
            Form::Containers => "application/json",
            Form::Table(_) => "application/json;as=Table;v=v1;g=meta.k8s.io, application/json",
        }
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.form, Form::Table(_))
    }

    /// How much of each object a Table brings along.
    pub(super) fn include_object(&self) -> &'static str {
        if self.extra.is_none() && !self.nodes { "Metadata" } else { "Object" }
    }

    pub(super) fn framing(content_type: &str) -> Framing {
        if content_type.contains("protobuf") { Framing::Length } else { Framing::Lines }
    }

    /// Reads one event of a watch.
    pub(super) fn event(
        &mut self,
        framing: Framing,
        frame: Bytes,
        out: &mut Vec<Change>,
    ) -> Result<Told, String> {
        let before = out.len();
        let mut told = self.plain_event(framing, &frame, out)?;
        if !self.extra.is_none() {
            let event: Value = serde_json::from_slice(&frame).map_err(|e| e.to_string())?;
            self.enrich(event.get("object").unwrap_or(&Value::Null), &mut out[before..]);
            told.columns = told.columns.map(|columns| self.extra.columns(&columns));
        }
        Ok(told)
    }

    /// Puts the cells of extra columns into the rows that came of an object, a Table or a list.
    fn enrich(&self, whole: &Value, rows: &mut [Change]) {
        let base = match &self.form {
            Form::Pods => pods::columns(),
            Form::Table(Some(layout)) => layout.columns.clone(),
            Form::Table(None) | Form::Containers => return,
        };
        let items = whole.get("rows").or_else(|| whole.get("items")).and_then(Value::as_array);
        for (i, change) in rows.iter_mut().enumerate() {
            let Change::Upsert(row) = change else { continue };
            let object = match items {
                Some(items) => items.get(i).map(|item| item.get("object").unwrap_or(item)),
                None => Some(whole),
            };
            let cells = std::mem::take(&mut row.cells);
            row.cells = self.extra.cells(&base, cells, object.unwrap_or(&Value::Null));
        }
    }

    fn plain_event(
        &mut self,
        framing: Framing,
        frame: &Bytes,
        out: &mut Vec<Change>,
    ) -> Result<Told, String> {
        match (&mut self.form, framing) {
            (Form::Pods, Framing::Length) => protobuf_event(&self.cluster, frame.clone(), out),
            (Form::Pods, Framing::Lines) => json_event(&self.cluster, frame, out),
            (Form::Containers, _) => containers_event(&self.cluster, frame, out),
            (Form::Table(layout), _) => {
                let about = (self.nodes, self.owner.as_ref());
                table_event(&self.cluster, layout, about, frame, out)
            }
        }
    }

    /// Reads one page of a list.
    pub(super) fn page(&mut self, body: Bytes, out: &mut Vec<Change>) -> Result<Page, String> {
        if self.extra.is_none() {
            return self.plain_page(body, out);
        }
        let before = out.len();
        let mut page = self.plain_page(body.clone(), out)?;
        let whole: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
        self.enrich(&whole, &mut out[before..]);
        page.columns = page.columns.map(|columns| self.extra.columns(&columns));
        Ok(page)
    }

    fn plain_page(&mut self, body: Bytes, out: &mut Vec<Change>) -> Result<Page, String> {
        match &mut self.form {
            Form::Pods => {
                let list = if wire::is_protobuf(&body) {
                    let (_, raw) = wire::unwrap(body)?;
                    wire::PodList::decode(raw).map_err(|e| e.to_string())?
                } else {
                    serde_json::from_slice::<wire::JsonPodList>(&body).map_err(|e| e.to_string())?
                };
                out.extend(list.items.iter().map(|pod| Change::Upsert(pods::row(&self.cluster, pod))));
                let meta = list.metadata.unwrap_or_default();
                Ok(Page {
                    version: meta.resource_version.into(),
                    next: meta.next,
                    remaining: meta.remaining_item_count.and_then(|n| u64::try_from(n).ok()),
                    columns: None,
                })
            }
            Form::Containers => {
                let list: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
                let pods = list.get("items").and_then(Value::as_array).into_iter().flatten();
                out.extend(pods.flat_map(|pod| containers::rows(&self.cluster, pod)).map(Change::Upsert));
                let word = |pointer: &str| list.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                Ok(Page {
                    version: word("/metadata/resourceVersion").into(),
                    next: word("/metadata/continue").to_owned(),
                    ..Page::default()
                })
            }
            Form::Table(layout) => {
                let table = wire::parse_table(&body)?;
                let columns = learn(layout, self.nodes, &table);
                let now = Timestamp::now().as_second();
                if let Some(layout) = layout {
                    layout.rows(&self.cluster, &table, now, |row, meta| {
                        if owns(self.owner.as_ref(), meta) {
                            out.push(Change::Upsert(row));
                        }
                    });
                }
                let meta = table.metadata.unwrap_or_default();
                Ok(Page {
                    version: meta.resource_version.into(),
                    next: meta.next,
                    remaining: meta.remaining_item_count.and_then(|n| u64::try_from(n).ok()),
                    columns,
                })
            }
        }
    }
}

fn protobuf_event(cluster: &Arc<str>, frame: Bytes, out: &mut Vec<Change>) -> Result<Told, String> {
    let event = wire::WatchEvent::decode(frame).map_err(|e| e.to_string())?;
    let raw = event.object.ok_or("an event without an object")?.raw;
    match event.kind.as_str() {
        "ADDED" | "MODIFIED" | "DELETED" => {
            let (_, raw) = wire::unwrap(raw)?;
            let pod = wire::Pod::decode(raw).map_err(|e| e.to_string())?;
            Ok(pod_event(cluster, &pod, event.kind == "DELETED", out))
        }
        "BOOKMARK" => {
            let (_, raw) = wire::unwrap(raw)?;
            let mark = wire::BookmarkObject::decode(raw).map_err(|e| e.to_string())?;
            Ok(bookmark(&mark))
        }
        "ERROR" => {
            let status = if wire::is_protobuf(&raw) {
                wire::status(wire::unwrap(raw)?.1)?
            } else {
                serde_json::from_slice(&raw).map_err(|e| e.to_string())?
            };
            Ok(Told { error: Some(status), ..Told::default() })
        }
        _ => Ok(Told::default()),
    }
}

fn json_event(cluster: &Arc<str>, frame: &[u8], out: &mut Vec<Change>) -> Result<Told, String> {
    let event: wire::JsonEvent<'_> = serde_json::from_slice(frame).map_err(|e| e.to_string())?;
    let object = event.object.get();
    match &*event.kind {
        "ADDED" | "MODIFIED" | "DELETED" => {
            let pod: wire::Pod = serde_json::from_str(object).map_err(|e| e.to_string())?;
            Ok(pod_event(cluster, &pod, event.kind == "DELETED", out))
        }
        "BOOKMARK" => {
            let mark: wire::BookmarkObject = serde_json::from_str(object).map_err(|e| e.to_string())?;
            Ok(bookmark(&mark))
        }
        "ERROR" => {
            let status = serde_json::from_str(object).map_err(|e| e.to_string())?;
            Ok(Told { error: Some(status), ..Told::default() })
        }
        _ => Ok(Told::default()),
    }
}

fn containers_event(cluster: &Arc<str>, frame: &[u8], out: &mut Vec<Change>) -> Result<Told, String> {
    let event: wire::JsonEvent<'_> = serde_json::from_slice(frame).map_err(|e| e.to_string())?;
    let kind = &*event.kind;
    if !matches!(kind, "ADDED" | "MODIFIED" | "DELETED") {
        // Bookmarks and errors are the same whatever is watched.
        return json_event(cluster, frame, out);
    }
    let pod: Value = serde_json::from_str(event.object.get()).map_err(|e| e.to_string())?;
    if kind == "DELETED" {
        out.extend(containers::keys(cluster, &pod).into_iter().map(Change::Remove));
    } else {
        out.extend(containers::rows(cluster, &pod).into_iter().map(Change::Upsert));
    }
    let version = pod.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(CompactString::new);
    Ok(Told { version, ..Told::default() })
}

fn table_event(
    cluster: &Arc<str>,
    layout: &mut Option<Layout>,
    (nodes, owner): (bool, Option<&Owner>),
    frame: &[u8],
    out: &mut Vec<Change>,
) -> Result<Told, String> {
    match wire::parse_event(frame)? {
        TableEvent::Rows(table, deleted) => {
            let mut told = Told { columns: learn(layout, nodes, &table), ..Told::default() };
            let now = Timestamp::now().as_second();
            if let Some(layout) = layout {
                layout.rows(cluster, &table, now, |row, meta| {
                    if !meta.resource_version.is_empty() {
                        told.version = Some((&*meta.resource_version).into());
                    }
                    // What was let go by its owner is no longer of its rows.
                    let kept = !deleted && owns(owner, meta);
                    out.push(if kept { Change::Upsert(row) } else { Change::Remove(row.key) });
                });
            }
            Ok(told)
        }
        TableEvent::Bookmark { version, ends_initial_events } => Ok(Told {
            version: Some(version.into()),
            initial_events_end: ends_initial_events,
            ..Told::default()
        }),
        TableEvent::Error(status) => Ok(Told { error: Some(status), ..Told::default() }),
        TableEvent::Other => Ok(Told::default()),
    }
}

/// Whether an object is among those that `owner` owns; without an owner all are.
fn owns(owner: Option<&Owner>, meta: &wire::PlainMeta<'_>) -> bool {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Reference {
        kind: String,
        name: String,
    }
    let Some(owner) = owner else { return true };
    let references = meta.owner_references.map(|raw| serde_json::from_str::<Vec<Reference>>(raw.get()));
    let references = references.and_then(Result::ok).unwrap_or_default();
    references.iter().any(|r| r.kind == owner.kind && r.name == owner.name)
}

/// Takes the column definitions, if these have some that are not known yet.
fn learn(layout: &mut Option<Layout>, nodes: bool, table: &wire::JsonTable<'_>) -> Option<Arc<[Column]>> {
    let new = match &table.column_definitions {
        Some(definitions) if !definitions.is_empty() => Layout::new(definitions),
        _ if layout.is_none() && table.items.is_some() => Layout::plain(),
        _ => return None,
    };
    let new = if nodes { new.of_nodes() } else { new };
    let columns = new.columns.clone();
    *layout = Some(new);
    Some(columns)
}

fn pod_event(cluster: &Arc<str>, pod: &wire::Pod, deleted: bool, out: &mut Vec<Change>) -> Told {
    out.push(if deleted {
        Change::Remove(pods::key(cluster, pod))
    } else {
        Change::Upsert(pods::row(cluster, pod))
    });
    let version = pod.metadata.as_ref().map(|m| CompactString::new(&m.resource_version));
    Told { version, ..Told::default() }
}

fn bookmark(mark: &wire::BookmarkObject) -> Told {
    Told {
        version: Some(mark.version().into()),
        initial_events_end: mark.ends_initial_events(),
        ..Told::default()
    }
}

/// The error that an `ERROR` event stands for.
pub(super) fn told_error(server: &str, status: Status) -> Error {
    Error::Status { server: server.to_owned(), status: Box::new(status) }
}
