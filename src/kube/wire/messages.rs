//! Protobuf messages with only the fields that a row shows; unknown fields are skipped while decoding.
//!
//! Field numbers are those of `k8s.io/api/core/v1/generated.proto` and
//! `k8s.io/apimachinery/pkg/{apis/meta/v1,runtime}/generated.proto`. The same types read JSON, for
//! servers that answer in it.

use bytes::Bytes;
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::kube::error::{Status, StatusDetails};

/// Before every protobuf object.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[prost(string, tag = "1")]
    pub(in crate::kube) kind: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::kube) object: Option<RawExtension>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct RawExtension {
    #[prost(bytes = "bytes", tag = "1")]
    pub(in crate::kube) raw: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct Unknown {
    #[prost(message, optional, tag = "1")]
    pub(in crate::kube) type_meta: Option<TypeMeta>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(in crate::kube) raw: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct TypeMeta {
    #[prost(string, tag = "1")]
    pub(in crate::kube) api_version: String,
    #[prost(string, tag = "2")]
    pub(in crate::kube) kind: String,
}

/// The last event of the initial ones is a bookmark with an annotation that says so.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct BookmarkObject {
    #[prost(message, optional, tag = "1")]
    metadata: Option<BookmarkMeta>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BookmarkMeta {
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(map = "string, string", tag = "12")]
    annotations: std::collections::HashMap<String, String>,
}

impl BookmarkObject {
    pub(in crate::kube) fn version(&self) -> &str {
        self.metadata.as_ref().map_or("", |m| &m.resource_version)
    }

    pub(in crate::kube) fn ends_initial_events(&self) -> bool {
        self.metadata
            .as_ref()
            .and_then(|m| m.annotations.get("k8s.io/initial-events-end"))
            .is_some_and(|v| v == "true")
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct PodList {
    #[prost(message, optional, tag = "1")]
    pub(in crate::kube) metadata: Option<ListMeta>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::kube) items: Vec<Pod>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct ListMeta {
    #[prost(string, tag = "2")]
    pub(in crate::kube) resource_version: String,
    #[prost(string, tag = "3")]
    #[serde(rename = "continue")]
    pub(in crate::kube) next: String,
    #[prost(int64, optional, tag = "4")]
    pub(in crate::kube) remaining_item_count: Option<i64>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct Pod {
    #[prost(message, optional, tag = "1")]
    pub(in crate::kube) metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::kube) spec: Option<PodSpec>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::kube) status: Option<PodStatus>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct ObjectMeta {
    #[prost(string, tag = "1")]
    pub(in crate::kube) name: String,
    #[prost(string, tag = "3")]
    pub(in crate::kube) namespace: String,
    #[prost(string, tag = "5")]
    pub(in crate::kube) uid: String,
    #[prost(string, tag = "6")]
    pub(in crate::kube) resource_version: String,
    #[prost(message, optional, tag = "8")]
    pub(in crate::kube) creation_timestamp: Option<Time>,
    #[prost(message, optional, tag = "9")]
    pub(in crate::kube) deletion_timestamp: Option<Time>,
}

/// Seconds since the epoch; in JSON, RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(in crate::kube) struct Time {
    #[prost(int64, tag = "1")]
    pub(in crate::kube) seconds: i64,
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        let at: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Time { seconds: at.as_second() })
    }
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct PodSpec {
    #[prost(message, repeated, tag = "2")]
    pub(in crate::kube) containers: Vec<Container>,
    #[prost(string, tag = "8")]
    pub(in crate::kube) service_account_name: String,
    #[prost(string, tag = "10")]
    pub(in crate::kube) node_name: String,
    /// Of the pod as a whole, beside those of its containers (`PodLevelResources`).
    #[prost(message, optional, tag = "40")]
    pub(in crate::kube) resources: Option<Resources>,
    #[prost(message, repeated, tag = "20")]
    pub(in crate::kube) init_containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct Container {
    #[prost(string, tag = "1")]
    pub(in crate::kube) name: String,
    #[prost(message, optional, tag = "8")]
    pub(in crate::kube) resources: Option<Resources>,
    /// `Always` makes an init container a sidecar.
    #[prost(string, tag = "24")]
    pub(in crate::kube) restart_policy: String,
}

/// What is asked for and what is the most, by the resource's name.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct Resources {
    // A map on the wire is a list of its entries; there are few, and a map of them would cost a table each.
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "amounts")]
    pub(in crate::kube) limits: Vec<Amount>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "amounts")]
    pub(in crate::kube) requests: Vec<Amount>,
}

/// One resource's amount.
#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct Amount {
    #[prost(string, tag = "1")]
    pub(in crate::kube) resource: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::kube) quantity: Option<Quantity>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::kube) struct Quantity {
    #[prost(string, tag = "1")]
    pub(in crate::kube) text: String,
}

fn amounts<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<Amount>, D::Error> {
    /// Servers write quantities as strings; the schema allows numbers.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(serde_json::Number),
    }
    let map = std::collections::BTreeMap::<String, Written>::deserialize(d)?;
    let amount = |(resource, written)| {
        let text = match written {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        Amount { resource, quantity: Some(Quantity { text }) }
    };
    Ok(map.into_iter().map(amount).collect())
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct PodStatus {
    #[prost(string, tag = "1")]
    pub(in crate::kube) phase: String,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::kube) conditions: Vec<Condition>,
    #[prost(string, tag = "4")]
    pub(in crate::kube) reason: String,
    #[prost(message, repeated, tag = "8")]
    pub(in crate::kube) container_statuses: Vec<ContainerStatus>,
    #[prost(string, tag = "9")]
    pub(in crate::kube) qos_class: String,
    #[prost(message, repeated, tag = "10")]
    pub(in crate::kube) init_container_statuses: Vec<ContainerStatus>,
    #[prost(message, repeated, tag = "12")]
    #[serde(rename = "podIPs")]
    pub(in crate::kube) pod_ips: Vec<PodIp>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct PodIp {
    #[prost(string, tag = "1")]
    pub(in crate::kube) ip: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct Condition {
    #[prost(string, tag = "1")]
    #[serde(rename = "type")]
    pub(in crate::kube) kind: String,
    #[prost(string, tag = "2")]
    pub(in crate::kube) status: String,
    #[prost(string, tag = "5")]
    pub(in crate::kube) reason: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(in crate::kube) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::kube) state: Option<ContainerState>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::kube) last_state: Option<ContainerState>,
    #[prost(bool, tag = "4")]
    pub(in crate::kube) ready: bool,
    #[prost(int32, tag = "5")]
    pub(in crate::kube) restart_count: i32,
    #[prost(bool, optional, tag = "9")]
    pub(in crate::kube) started: Option<bool>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct ContainerState {
    #[prost(message, optional, tag = "1")]
    pub(in crate::kube) waiting: Option<Waiting>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::kube) running: Option<Nothing>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::kube) terminated: Option<Terminated>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct Waiting {
    #[prost(string, tag = "1")]
    pub(in crate::kube) reason: String,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
pub(in crate::kube) struct Nothing {}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::kube) struct Terminated {
    #[prost(int32, tag = "1")]
    pub(in crate::kube) exit_code: i32,
    #[prost(int32, tag = "2")]
    pub(in crate::kube) signal: i32,
    #[prost(string, tag = "3")]
    pub(in crate::kube) reason: String,
    #[prost(message, optional, tag = "6")]
    pub(in crate::kube) finished_at: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct StatusMessage {
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, optional, tag = "5")]
    details: Option<StatusDetailsMessage>,
    #[prost(int32, tag = "6")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StatusDetailsMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

/// A watch event in JSON, its object not yet looked at.
#[derive(Deserialize)]
pub(in crate::kube) struct JsonEvent<'a> {
    #[serde(rename = "type")]
    pub(in crate::kube) kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::kube) object: &'a RawValue,
}

pub(in crate::kube) type JsonPodList = PodList;

/// Whether `body` is an object in Kubernetes' protobuf envelope.
pub(in crate::kube) fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// Takes an object out of its envelope: its kind, and its bytes without a copy.
pub(in crate::kube) fn unwrap(mut body: Bytes) -> Result<(String, Bytes), String> {
    if !is_protobuf(&body) {
        return Err("no Kubernetes protobuf object".into());
    }
    let inner = Unknown::decode(body.split_off(MAGIC.len())).map_err(|e| e.to_string())?;
    Ok((inner.type_meta.map(|t| t.kind).unwrap_or_default(), inner.raw))
}

/// Reads a `Status` in protobuf without its envelope.
pub(in crate::kube) fn status(raw: Bytes) -> Result<Status, String> {
    let read = StatusMessage::decode(raw).map_err(|e| e.to_string())?;
    let details = read.details.unwrap_or_default();
    Ok(Status {
        code: u16::try_from(read.code).unwrap_or(500),
        reason: read.reason,
        message: read.message,
        details: StatusDetails {
            name: details.name,
            kind: details.kind,
            retry_after_seconds: u64::try_from(details.retry_after_seconds).unwrap_or(0),
            causes: Vec::new(),
        },
    })
}

/// Puts an object into its envelope, as a server does.
#[cfg(test)]
pub(in crate::kube) fn envelope(kind: &str, object: &impl Message) -> Bytes {
    let type_meta = Some(TypeMeta { api_version: "v1".into(), kind: kind.into() });
    let unknown = Unknown { type_meta, raw: object.encode_to_vec().into() };
    [MAGIC, &unknown.encode_to_vec()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_protobuf_give_the_same_pod() {
        let json = r#"{"metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"x":"y"}},
          "spec":{"nodeName":"node-1","containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"100m"},"limits":{"memory":"1Gi"}}}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},
          "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"}],
            "containerStatuses":[{"name":"c","ready":true,"restartCount":2,"started":true,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}},
            "lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled","finishedAt":"2026-01-01T00:00:01Z"}}}]}}"#;
        let pod: Pod = serde_json::from_str(json).unwrap();
        let (kind, raw) = unwrap(envelope("Pod", &pod)).unwrap();
        assert_eq!(kind, "Pod");
        assert_eq!(Pod::decode(raw).unwrap(), pod);
        let status = &pod.status.unwrap().container_statuses[0];
        assert!(status.state.as_ref().unwrap().running.is_some());
        let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!(last.finished_at.unwrap().seconds, 1_767_225_601);
    }
}
