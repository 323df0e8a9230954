//! Log lines as data.

use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineSource {
    #[schemars(with = "String")]
    pub cluster: CompactString,
    #[schemars(with = "String")]
    pub namespace: CompactString,
    #[schemars(with = "String")]
    pub pod: CompactString,
    #[schemars(with = "String")]
    pub container: CompactString,
}

/// One line, or something that must be told between two lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Text {
        source: Arc<LineSource>,
        /// Nanoseconds since the Unix epoch, as the container runtime stamped it.
        time: Option<i64>,
        /// Without its line feed; may hold harmful characters: the screen passes it through `SafeText`.
        text: Box<str>,
    },
    /// A stream began, ended or broke: "container restarted", "stream lost, reconnecting".
    Mark { source: Option<Arc<LineSource>>, text: String },
    /// So many lines were not delivered. Never silent.
    Lost { source: Option<Arc<LineSource>>, count: u64 },
}
