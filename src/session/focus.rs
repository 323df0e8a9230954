//! What a participant looks at.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Error;
use crate::rows::RowKey;

/// The most lines of a screen that are kept: more than any terminal shows.
const MAX_LINES: usize = 400;
/// The longest line kept, in characters.
const MAX_LINE: usize = 1000;
const MAX_MARKED: usize = 1000;

/// One object, and perhaps a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// Kubeconfig context; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub kind: String,
    pub name: String,
    /// A column or a path in the object: `STATUS`, `spec.replicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.cluster, self.namespace, self.kind, self.name)?;
        self.field.as_ref().map_or(Ok(()), |field| write!(f, "#{field}"))
    }
}

/// `cluster/namespace/kind/name`, with `#field` behind it if it is about a part.
impl FromStr for ObjectRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (path, field) = match text.split_once('#') {
            Some((path, field)) => (path, Some(field.to_owned())),
            None => (text, None),
        };
        // A cluster's name may hold slashes (EKS uses ARNs), so the parts are taken from the end.
        let mut parts = path.rsplitn(4, '/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(kind), Some(namespace), cluster) if !name.is_empty() && !kind.is_empty() => {
                Ok(Self {
                    cluster: cluster.unwrap_or_default().to_owned(),
                    namespace: namespace.to_owned(),
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    field,
                })
            }
            _ => Err(Error::invalid(format!("{text:?} names no object"))
                .next("Write it as cluster/namespace/kind/name, such as eu-1/shop/pod/api-0.")),
        }
    }
}

/// What a screen shows: the pane, what is selected in it, and the visible lines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Focus {
    /// The pane's name: `pods`, `logs`, `yaml`.
    pub pane: String,
    /// The pane's title as drawn.
    #[arg(long, default_value = "")]
    #[serde(default)]
    pub title: String,
    /// The kubeconfig context, if the pane shows one.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The namespace, if the pane shows one.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The kind of the objects shown.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The filter as typed.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The object under the cursor.
    #[arg(long, value_name = "CLUSTER/NAMESPACE/KIND/NAME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<ObjectRef>,
    /// The rows marked.
    #[arg(long, value_name = "CLUSTER/NAMESPACE/NAME", value_parser = parse_key)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<RowKey>,
    /// The columns shown.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The visible lines of the pane, as text.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// The pane's width in cells.
    #[arg(long, default_value_t = 0)]
    #[serde(default)]
    pub width: u16,
    /// The pane's height in cells.
    #[arg(long, default_value_t = 0)]
    #[serde(default)]
    pub height: u16,
}

impl Focus {
    /// Cuts what no screen has, so that a caller cannot fill the memory.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.lines.truncate(MAX_LINES);
        self.marked.truncate(MAX_MARKED);
        self.columns.truncate(MAX_LINES);
        let short = [&mut self.pane, &mut self.title].into_iter();
        for text in short.chain(&mut self.lines).chain(&mut self.columns).chain(self.filter.as_mut()) {
            if let Some((end, _)) = text.char_indices().nth(MAX_LINE) {
                text.truncate(end);
            }
        }
        self
    }

    /// In one line: `pods › cart-7d9f4-p2lq8`.
    pub fn summary(&self) -> String {
        match &self.selected {
            Some(object) => format!("{} › {}", self.pane, object.name),
            None => self.pane.clone(),
        }
    }
}

fn parse_key(text: &str) -> Result<RowKey, String> {
    let mut parts = text.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), Some(cluster)) if !name.is_empty() => {
            Ok(RowKey::new(cluster, namespace, name))
        }
        _ => Err("write it as cluster/namespace/name".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_is_written() {
        for text in
            ["eu-1/shop/pod/api-0", "arn:aws:eks:eu:1:cluster/prod/shop/pod/api-0#STATUS", "//node/n1"]
        {
            assert_eq!(text.parse::<ObjectRef>().unwrap().to_string(), text);
        }
        assert!("pod/".parse::<ObjectRef>().is_err());
    }

    #[test]
    fn a_huge_focus_is_cut() {
        let focus = Focus { lines: vec!["ü".repeat(5000); 5000], ..Focus::default() }.bounded();
        assert_eq!((focus.lines.len(), focus.lines[0].chars().count()), (MAX_LINES, MAX_LINE));
    }
}
