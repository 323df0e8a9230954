//! Objects of every kind by a part of their name.
//!
//! A server can select by labels, but by a part of a name it cannot: each kind is listed, no more of it than the
//! metadata, some kinds at a time. What is found is told at once; what could not be looked at is told by its name.

use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::call::{Call, METADATA_LIST};
use super::cluster::Cluster;
use super::error::{Error, Result};
use super::kinds::{Kinds, Resource};
use super::wire::parse_table;
use crate::base::text::{glob, is_glob};
use crate::rows::{
    Cell, Column, ColumnKind, Phase, Row, RowKey, SourceState, TableDelta, TableFeed, TableSender, Tone, feed,
};

/// Kinds of a cluster that are read at the same time.
const AT_ONCE: usize = 8;
const PAGE: &str = "500";
/// More of a cluster's objects are counted, and not shown.
const MOST: usize = 10_000;

/// What is looked for in a cluster.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// A part of the name, whatever the case, or a glob for all of it; empty is any name.
    pub text: String,
    /// Label selector.
    pub labels: Option<String>,
    /// Field selector: those on `metadata.name` and `metadata.namespace` hold for every kind.
    pub fields: Option<String>,
    /// Only in these kinds; none is every kind that can be listed but events and what is measured.
    pub kinds: Vec<String>,
    /// Only in this namespace, for what has one.
    pub namespace: Option<String>,
    /// And of those only in what fits one of these; none is all.
    pub globs: Vec<String>,
    /// Nothing is said of the kinds that are left out by themselves.
    pub brief: bool,
}

impl Sought {
    /// After NAME and the other columns of a row's key, which has the kind in front of its name: `deployments.apps/web`.
    /// `several`: rows of several clusters are among them.
    pub fn columns(several: bool) -> Arc<[Column]> {
        let cluster = Column::new("CLUSTER", ColumnKind::Text).rank(2);
        [
            Column::new("KIND", ColumnKind::Text).rank(1),
            Column::new("NAMESPACE", ColumnKind::Text).rank(1),
            Column::new("NAME", ColumnKind::Text).rank(0),
            if several { cluster } else { cluster.hidden() },
            Column::new("AGE", ColumnKind::Age).rank(3),
        ]
        .into()
    }

    fn fits(&self, name: &str, namespace: &str) -> bool {
        let name = name.to_lowercase();
        let named = if is_glob(&self.text) { glob(&self.text, &name) } else { name.contains(&self.text) };
        let within =
            self.globs.is_empty() || namespace.is_empty() || self.globs.iter().any(|g| glob(g, namespace));
        named && within
    }

    /// The kinds to look in, and how many are left out by themselves.
    fn kinds(&self, cluster: &Cluster, known: &Kinds) -> Result<(Vec<Resource>, Vec<String>)> {
        if !self.kinds.is_empty() {
            let find = |kind: &String| {
                known.find(kind).cloned().ok_or_else(|| Error::UnknownKind {
                    cluster: cluster.name().to_string(),
                    kind: kind.clone(),
                    nearest: known.nearest(kind),
                })
            };
            return Ok((self.kinds.iter().map(find).collect::<Result<_>>()?, Vec::new()));
        }
        let listable = known.preferred.iter().filter(|r| r.can("list"));
        let (left, kinds): (Vec<&Resource>, Vec<&Resource>) = listable.partition(|r| is_noise(r));
        Ok((kinds.into_iter().cloned().collect(), left.iter().map(|r| r.full_name()).collect()))
    }
}

/// What is named after the objects that it is about, and would bury them.
fn is_noise(resource: &Resource) -> bool {
    &*resource.plural == "events" || resource.group.ends_with("metrics.k8s.io")
}

/// What came of the search besides rows.
#[derive(Debug, Default)]
struct Outcome {
    found: usize,
    refused: Vec<String>,
    failed: Vec<String>,
    left_out: Vec<String>,
    warnings: Vec<String>,
}

impl Outcome {
    /// In words; `None` if everything was looked at.
    fn note(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.found > MOST {
            parts.push(format!("{} more than {MOST} are not shown", self.found - MOST));
        }
        let lists = [("refused", &self.refused), ("failed", &self.failed), ("left out", &self.left_out)];
        for (word, kinds) in lists.iter().filter(|(_, kinds)| !kinds.is_empty()) {
            let count = if kinds.len() == 1 { "1 kind".to_owned() } else { format!("{} kinds", kinds.len()) };
            parts.push(format!("{word} {count}: {}", kinds.join(", ")));
        }
        parts.extend(self.warnings.iter().cloned());
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl Cluster {
    /// Looks for objects. The feed tells them as they are found, and then that it has told all: it does not tell what
    /// comes later. Fails where the cluster does not say which kinds it has.
    pub async fn find(self: &Arc<Self>, mut sought: Sought, several: bool) -> Result<TableFeed> {
        sought.text = sought.text.to_lowercase();
        let known = self.kinds().await?;
        let (kinds, left_out) = sought.kinds(self, &known)?;
        let (sender, feed) = feed();
        sender.merge(TableDelta { columns: Some(Sought::columns(several)), ..TableDelta::default() });
        let left_out = if sought.brief { Vec::new() } else { left_out };
        let outcome = Outcome { left_out, warnings: known.warnings.clone(), ..Outcome::default() };
        let search = Search { cluster: self.clone(), sought, sender };
        tokio::spawn(async move {
            tokio::select! {
                () = search.run(kinds, outcome) => {}
                () = search.sender.closed() => {}
            }
        });
        Ok(feed)
    }
}

struct Search {
    cluster: Arc<Cluster>,
    sought: Sought,
    sender: TableSender,
}

impl Search {
    async fn run(&self, kinds: Vec<Resource>, mut outcome: Outcome) {
        let all = kinds.len() as u64;
        self.tell(Phase::Loading { seen: 0, expected: Some(all) }, None);
        let read = |kind: Resource| async move { (self.read(&kind).await, kind) };
        let mut answers = stream::iter(kinds).map(read).buffer_unordered(AT_ONCE);
        let mut done = 0;
        while let Some((answer, kind)) = answers.next().await {
            done += 1;
            match answer {
                Ok(rows) => {
                    let room = MOST.saturating_sub(outcome.found);
                    outcome.found += rows.len();
                    let upserts = rows.into_iter().take(room).collect();
                    self.sender.merge(TableDelta { upserts, ..TableDelta::default() });
                }
                Err(error) if error.is_forbidden() => outcome.refused.push(kind.full_name()),
                // Gone since the server was asked what it has, or of a sort that cannot be listed after all.
                Err(error) if matches!(error.http_status(), Some(404 | 405)) => {}
                Err(error) => outcome.failed.push(format!("{} ({error})", kind.full_name())),
            }
            if done < all {
                self.tell(Phase::Loading { seen: done, expected: Some(all) }, None);
            }
        }
        outcome.refused.sort();
        outcome.failed.sort();
        self.tell(Phase::Live, outcome.note());
        self.sender.closed().await;
    }

    fn tell(&self, phase: Phase, note: Option<String>) {
        let sources = vec![SourceState { note, ..SourceState::new(self.cluster.name().clone(), phase) }];
        self.sender.merge(TableDelta { sources, ..TableDelta::default() });
    }

    /// What fits of a kind.
    async fn read(&self, kind: &Resource) -> Result<Vec<Arc<Row>>> {
        let (mut rows, mut next) = (Vec::new(), String::new());
        loop {
            let call = Call::get(kind.path(self.sought.namespace.as_deref(), None))
                .accept(METADATA_LIST)
                .query("limit", PAGE)
                .query_if("labelSelector", self.sought.labels.as_ref())
                .query_if("fieldSelector", self.sought.fields.as_ref())
                .query_if("continue", (!next.is_empty()).then_some(&next));
            let answer = self.cluster.send(call).await?;
            let page = parse_table(&answer.body).map_err(|reason| Error::Decode {
                server: self.cluster.server(),
                what: "a list",
                reason,
            })?;
            let metas = page.items.iter().flatten().map(|object| &object.metadata);
            for meta in metas.filter(|meta| self.sought.fits(&meta.name, &meta.namespace)) {
                let cluster = self.cluster.name();
                let age = meta.creation_timestamp.map_or(Cell::Unknown, |t| Cell::Time(t.seconds));
                let short = kind.target_kind();
                let cells = [Cell::text(short), Cell::text(&meta.namespace), Cell::text(&meta.name)];
                let tone = if meta.deletion_timestamp.is_some() { Tone::Killed } else { Tone::Normal };
                let name = format!("{}/{}", kind.full_name(), meta.name);
                rows.push(Arc::new(Row {
                    key: RowKey::new(cluster.clone(), &meta.namespace, name),
                    cells: cells.into_iter().chain([Cell::text(cluster), age]).collect(),
                    tone,
                    uid: (&*meta.uid).into(),
                }));
            }
            next = page.metadata.map(|meta| meta.next).unwrap_or_default();
            if next.is_empty() {
                return Ok(rows);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_by_a_part_of_it_or_by_a_glob() {
        let sought = |text: &str, globs: &[&str]| Sought {
            text: text.to_owned(),
            globs: globs.iter().map(|g| (*g).to_owned()).collect(),
            ..Sought::default()
        };
        assert!(sought("art", &[]).fits("Cart-7", "shop") && !sought("art-8", &[]).fits("cart-7", "shop"));
        assert!(sought("c*-7", &[]).fits("cart-7", "") && !sought("c*-7", &[]).fits("a-cart-7", ""));
        assert!(sought("", &["team-*"]).fits("a", "team-a") && !sought("", &["team-*"]).fits("a", "shop"));
        assert!(sought("", &["team-*"]).fits("node-1", ""), "what has no namespace is in all of them");
    }

    #[test]
    fn what_was_not_looked_at_is_said_by_name() {
        assert_eq!(Outcome::default().note(), None);
        let outcome = Outcome {
            found: MOST + 5,
            refused: vec!["nodes".to_owned(), "secrets".to_owned()],
            left_out: vec!["events".to_owned()],
            ..Outcome::default()
        };
        let note = outcome.note().unwrap();
        assert_eq!(
            note,
            "5 more than 10000 are not shown; refused 2 kinds: nodes, secrets; left out 1 kind: events"
        );
    }
}
