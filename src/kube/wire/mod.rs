//! What API servers put on the wire, as far as rows need it.

mod frames;
mod messages;
mod table;

pub(super) use frames::{Frames, Framing};
pub(super) use messages::{
    Amount, BookmarkObject, Condition, Container, ContainerState, ContainerStatus, JsonEvent, JsonPodList,
    Pod, PodList, Resources, WatchEvent, is_protobuf, status, unwrap,
};
#[cfg(test)]
pub(super) use messages::{RawExtension, envelope};
pub(super) use table::{ColumnDefinition, JsonTable, PlainMeta, TableEvent, parse_event, parse_table};
