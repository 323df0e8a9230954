//! Arguments that many operations take, and what is done with them. An input struct flattens the ones it needs, so that
//! a word means the same in every operation and at every door.
//!
//! The outer struct keeps `deny_unknown_fields`: what none of its parts takes is refused (`tests` hold this).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Deck, common};
use crate::base::Result;
use crate::gate::Target;
use crate::kube::objects::Place;
use crate::kube::{Cluster, Resource, Selection, extra};

// A doc comment on one of these structs would become the help text of every command that flattens it: clap takes the
// innermost. Hence plain comments.

// The cluster and the namespace in which an operation acts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Within {
    /// Kubeconfig context; default: the current one.
    #[arg(long, short = 'c', visible_alias = "context")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// Default: the context's namespace.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
}

impl Within {
    /// Fills in the cluster and the namespace, for a kind that has one.
    pub fn fill(&mut self, deck: &Deck) -> Result<Arc<Cluster>> {
        let found = common::fill_cluster(deck, &mut self.cluster)?;
        if self.namespace.as_deref().is_none_or(str::is_empty) {
            self.namespace = Some(found.default_namespace());
        }
        Ok(found)
    }

    /// As [`Within::fill`], for what can be asked of every namespace at once.
    pub fn fill_or_all(&mut self, deck: &Deck, all: bool) -> Result<Arc<Cluster>> {
        if !all {
            return self.fill(deck);
        }
        self.namespace = None;
        common::fill_cluster(deck, &mut self.cluster)
    }

    /// The target of an operation on what has this kind and name here.
    pub fn target(&self, kind: &str, name: &str) -> Target {
        common::target(&self.cluster, &self.namespace, kind, name)
    }

    /// Finds where the object of this kind and name is served.
    pub async fn place(&self, deck: &Deck, kind: &str, name: &str) -> Result<Place> {
        Place::find(&deck.kube, self.cluster.as_deref(), self.namespace.as_deref(), kind, name).await
    }

    /// As [`Within::place`], for a change: policy, grants and approvals have taken the call's namespace for the
    /// object's, so that it must not name one where the object has none.
    pub async fn place_to_change(&self, deck: &Deck, kind: &str, name: &str) -> Result<Place> {
        let place = self.place(deck, kind, name).await?;
        match (&place.namespace, &self.namespace) {
            (None, Some(namespace)) => Err(common::no_namespace(&place.words(), namespace)),
            _ => Ok(place),
        }
    }
}

// One object of any kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Object {
    #[schemars(extend("x-complete" = "kind"))]
    pub kind: String,
    #[schemars(extend("x-complete" = "name"))]
    pub name: String,
    #[serde(flatten)]
    #[command(flatten)]
    pub within: Within,
}

impl Object {
    /// Fills in the cluster, the namespace, and the kind's one name.
    pub fn fill(&mut self, deck: &Deck) -> Result<()> {
        common::fill(deck, &mut self.within.cluster, &mut self.within.namespace, &mut self.kind)
    }

    pub fn target(&self) -> Target {
        self.within.target(&self.kind, &self.name)
    }

    pub async fn place(&self, deck: &Deck) -> Result<Place> {
        self.within.place(deck, &self.kind, &self.name).await
    }

    pub async fn place_to_change(&self, deck: &Deck) -> Result<Place> {
        self.within.place_to_change(deck, &self.kind, &self.name).await
    }
}

// The clusters and the namespaces in which an operation looks: see [`super::set`] for several.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Among {
    /// a,b, eu-*, all; default: the current context.
    #[arg(long, short = 'c', visible_aliases = ["context", "contexts", "clusters"])]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// a,b, team-*; default: the context's.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
    /// Of every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
}

impl Among {
    /// As [`Query::fill`].
    pub fn fill(&mut self, deck: &Deck) -> Result<()> {
        let mut query = self.query();
        query.fill(deck)?;
        (self.cluster, self.namespace) = (query.cluster, query.namespace);
        self.all_namespaces = query.all_namespaces;
        Ok(())
    }

    /// Everything there.
    pub fn query(&self) -> Query {
        let Self { cluster, namespace, all_namespaces } = self.clone();
        Query { cluster, namespace, all_namespaces, ..Query::default() }
    }

    /// The target of an operation on what has this kind and name there.
    pub fn target(&self, kind: &str, name: &str) -> Target {
        common::target(&self.cluster, &self.namespace, kind, name)
    }
}

// Which objects of a kind to list, and which page of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Query {
    /// a,b, eu-*, all; default: the current context.
    #[arg(long, short = 'c', visible_aliases = ["context", "contexts", "clusters"])]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "cluster"))]
    pub cluster: Option<String>,
    /// a,b, team-*; default: the context's.
    #[arg(long, short = 'n')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-complete" = "namespace"))]
    pub namespace: Option<String>,
    /// Of every namespace.
    #[arg(long, short = 'A')]
    #[serde(default)]
    pub all_namespaces: bool,
    /// Label selector.
    #[arg(long, short = 'l')]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Field selector.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    /// `age<1h && status!=Running`, or a regex.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only faults.
    #[arg(long)]
    #[serde(default)]
    pub faults: bool,
    /// Rows a page; default 80.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Query {
    /// Fills in the clusters and the namespaces. Of several clusters each has its own default namespace.
    pub fn fill(&mut self, deck: &Deck) -> Result<()> {
        if self.fill_several(deck)? {
            return Ok(());
        }
        let mut within = self.within();
        within.fill_or_all(deck, self.all_namespaces)?;
        (self.cluster, self.namespace) = (within.cluster, within.namespace);
        Ok(())
    }

    /// As [`Query::fill`], for a kind that may have no namespace, which then gets its one name.
    pub fn fill_kind(&mut self, deck: &Deck, kind: &mut String) -> Result<()> {
        if self.fill_several(deck)? {
            let (word, scope) = common::canonical(kind, None);
            *kind = word;
            if scope == common::Scope::Cluster {
                self.namespace = None;
            }
            return Ok(());
        }
        common::fill(deck, &mut self.cluster, &mut self.namespace, kind)?;
        if self.all_namespaces {
            self.namespace = None;
        }
        Ok(())
    }

    /// Puts the names of the clusters where a set of them is asked for; whether there are several.
    fn fill_several(&mut self, deck: &Deck) -> Result<bool> {
        self.all_namespaces |= self.namespace.as_deref() == Some("*");
        if self.all_namespaces {
            self.namespace = None;
        }
        let Some(set) = &self.cluster else { return Ok(false) };
        let names: Vec<String> = deck.kube.among(set)?.iter().map(|c| c.name().to_string()).collect();
        self.cluster = Some(names.join(","));
        Ok(names.len() > 1)
    }

    pub fn within(&self) -> Within {
        Within { cluster: self.cluster.clone(), namespace: self.namespace.clone() }
    }

    /// The cluster, where it is one: see [`super::set`] for several.
    pub fn place(&self, deck: &Deck) -> Result<Arc<Cluster>> {
        Ok(deck.kube.get(self.cluster.as_deref())?)
    }

    /// What of this kind is asked for. `columns` that have a path are read from the whole object.
    pub fn selection(&mut self, resource: Resource, columns: Option<&[String]>) -> Result<Selection> {
        let extra = extra::specs(columns.unwrap_or_default())?;
        Ok(Selection::all(resource, self.namespace.take())
            .selecting(self.labels.take(), self.fields.take())
            .with_columns(extra))
    }
}

// A span of time.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, clap::Args)]
pub struct Span {
    /// From this time on: 2026-01-31T12:00:00Z, or 15m, 2h, 3d ago.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Before this time.
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
