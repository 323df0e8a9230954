//! What a call would do, computed on the target without doing it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::spec::Target;
use crate::base::Revision;

/// The state of the target that a preview was computed on. An approval is bound to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TargetVersion {
    /// The object's UID, or the host key's fingerprint of a device.
    pub identity: String,
    /// The object's `resourceVersion`, or the hash of a device's configuration. Where only a part of the object counts,
    /// `RESOURCEVERSION+HASH`, with the hash of that part: a controller writes a workload's status with each pod that
    /// comes or goes, and that changes nothing of what was decided. Of several objects, divided by `,` or `;`.
    pub revision: String,
}

impl TargetVersion {
    /// Whether both are the same state: the same revision, or the same content of what counts.
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.parts(), other.parts());
        let same = |(a, b): (&Revision<'_>, &Revision<'_>)| a.is_same(*b);
        self.identity == other.identity && ours.len() == theirs.len() && ours.iter().zip(&theirs).all(same)
    }

    fn parts(&self) -> Vec<Revision<'_>> {
        self.revision.split([',', ';']).map(Revision::of).collect()
    }

    /// What a decision is bound to: the content of what counts, where that is told, else the revision.
    pub(in crate::gate) fn bound(&self) -> Self {
        let revision = self.revision.split_inclusive([',', ';']).map(|part| {
            let bare = part.trim_end_matches([',', ';']);
            Revision::of(bare).bound().to_owned() + &part[bare.len()..]
        });
        Self { identity: self.identity.clone(), revision: revision.collect() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffOp {
    Same,
    Removed,
    Added,
    /// Where lines were left out; the text says which part of the document follows.
    Hunk,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DiffLine {
    pub op: DiffOp,
    pub text: String,
}

/// A line diff with three lines of context.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Diff {
    pub lines: Vec<DiffLine>,
}

impl Diff {
    /// Compares two texts by lines.
    pub fn between(before: &str, after: &str) -> Self {
        let diff = similar::TextDiff::from_lines(before, after);
        let mut lines = Vec::new();
        for (i, group) in diff.grouped_ops(3).into_iter().enumerate() {
            if i > 0 {
                lines.push(DiffLine { op: DiffOp::Hunk, text: "…".to_owned() });
            }
            for op in group {
                for change in diff.iter_changes(&op) {
                    let op = match change.tag() {
                        similar::ChangeTag::Equal => DiffOp::Same,
                        similar::ChangeTag::Delete => DiffOp::Removed,
                        similar::ChangeTag::Insert => DiffOp::Added,
                    };
                    lines.push(DiffLine {
                        op,
                        text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
                    });
                }
            }
        }
        Self { lines }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// The computed effect of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Preview {
    pub target: Target,
    /// Absent where the target has no version, such as an object that is not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TargetVersion>,
    pub diff: Diff,
    /// What else feels it, a sentence each: "service api: 3 → 5 endpoints".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
    /// What was checked and how: "server dry run ok".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// What to be careful about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The same as a shell command, where there is one: `kubectl scale deploy/api --replicas=5 …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equivalent: Option<String>,
}

impl Preview {
    pub fn of(target: Target) -> Self {
        Self {
            target,
            version: None,
            diff: Diff::default(),
            affects: Vec::new(),
            checks: Vec::new(),
            warnings: Vec::new(),
            equivalent: None,
        }
    }

    /// SHA-256, in hexadecimal, of what matters: target, version and diff. Two previews of the same
    /// effect on the same state have the same hash, whatever the wording around it.
    pub fn hash(&self) -> String {
        let bytes =
            serde_json::to_vec(&(&self.target, self.version.as_ref().map(TargetVersion::bound), &self.diff))
                .unwrap_or_default();
        hex::encode(Sha256::digest(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_where_what_counts_is() {
        let version =
            |revision: &str| TargetVersion { identity: "u".to_owned(), revision: revision.to_owned() };
        for (a, b, same) in [
            ("1", "1", true),
            ("1", "2", false),
            ("1+x", "2+x", true),
            ("1+x", "2+y", false),
            ("1+x", "1", true),
            ("1+x", "2", false),
            ("1+x,5;7", "2+x,5;7", true),
            ("1+x,5;7", "2+x,6;7", false),
            ("1+x,5", "1+x", false),
        ] {
            assert_eq!(version(a).is_same(&version(b)), same, "{a} and {b}");
            assert_eq!(version(b).is_same(&version(a)), same, "{b} and {a}");
        }
        assert_eq!(version("1+x,5;7+").bound().revision, "x,5;7");
        let other = TargetVersion { identity: "v".to_owned(), ..version("1") };
        assert!(!other.is_same(&version("1")));
    }
}
