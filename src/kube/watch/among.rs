//! The rows of some namespaces of a cluster, named by globs.
//!
//! A few namespaces are watched one by one: that is cheaper than the whole cluster, and allowed to more people. Many, and
//! those of whoever may not list namespaces, are read from one watch of the whole cluster; where that is forbidden, they
//! are watched one by one however many there are. Namespaces that come later and fit are watched from then on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::Selection;
use crate::base::text::glob;
use crate::base::{Code, Error};
use crate::kube::cluster::Cluster;
use crate::kube::kinds::Resource;
use crate::rows::{Phase, RowKey, SourceState, TableDelta, TableFeed, TableSender, feed};

/// With more namespaces than this one watch of the whole cluster is cheaper.
const FEW: usize = 16;
/// Kubernetes allows 100 streams on a connection, and others need some of them.
const MOST: usize = 64;

impl Cluster {
    /// Watches what of a selection is in the namespaces that fit one of `globs`. The states of single namespaces are told
    /// as those of `cluster/namespace`. Needs a runtime.
    /// `whole`: as [`Cluster::watch_whole`] each of them, for who takes what there is.
    pub fn watch_among(self: &Arc<Self>, selection: Selection, globs: Vec<String>, whole: bool) -> TableFeed {
        let (sender, feed) = feed();
        let (told, heard) = mpsc::channel(16);
        let work = Among {
            cluster: self.clone(),
            selection,
            globs,
            whole,
            sender: Arc::new(sender),
            told,
            open: HashMap::new(),
        };
        tokio::spawn(work.run(heard));
        feed
    }
}

/// Which of the watches a delta came from.
#[derive(Clone, PartialEq, Eq, Hash)]
enum From {
    Namespaces,
    Whole,
    One(String),
}

struct Open {
    task: AbortHandle,
    /// What the reader has of it, to be taken back if the namespace goes before its rows do.
    keys: HashSet<RowKey>,
}

struct Among {
    cluster: Arc<Cluster>,
    selection: Selection,
    globs: Vec<String>,
    whole: bool,
    sender: Arc<TableSender>,
    told: mpsc::Sender<(From, TableDelta)>,
    open: HashMap<From, Open>,
}

impl Among {
    async fn run(mut self, mut heard: mpsc::Receiver<(From, TableDelta)>) {
        let names = Selection::all(Resource::namespaces(), None);
        self.begin(From::Namespaces, names);
        let mut fitting = HashSet::new();
        let sender = self.sender.clone();
        loop {
            let (from, delta) = tokio::select! {
                // It has a sender itself: there is always another to wait for.
                Some(heard) = heard.recv() => heard,
                () = sender.closed() => return,
            };
            match from {
                From::Namespaces => self.namespaces(&mut fitting, &delta),
                From::Whole => self.whole(&fitting, delta),
                From::One(name) => self.one(name, delta),
            }
        }
    }

    fn begin(&mut self, from: From, selection: Selection) {
        if self.open.contains_key(&from) {
            return;
        }
        let open = if self.whole { Cluster::watch_whole } else { Cluster::watch_measured };
        let (mut feed, told, whose) = (open(&self.cluster, selection), self.told.clone(), from.clone());
        let task = tokio::spawn(async move {
            while let Some(delta) = feed.next().await {
                if told.send((whose.clone(), delta)).await.is_err() {
                    return;
                }
            }
        });
        self.open.insert(from, Open { task: task.abort_handle(), keys: HashSet::new() });
    }

    fn fits(&self, namespace: &str) -> bool {
        self.globs.iter().any(|pattern| glob(pattern, namespace))
    }

    fn tell(&self, name: Option<&str>, phase: Phase) {
        let cluster = self.cluster.name();
        let source = name.map_or_else(|| cluster.clone(), |name| format!("{cluster}/{name}").into());
        let sources = vec![SourceState::new(source, phase)];
        self.sender.merge(TableDelta { sources, ..TableDelta::default() });
    }

    /// The namespaces changed: those that fit now are watched, those that are gone no more.
    fn namespaces(&mut self, fitting: &mut HashSet<String>, delta: &TableDelta) {
        for key in &delta.removed {
            if fitting.remove(key.name.as_str()) {
                self.end(&key.name);
            }
        }
        let came = delta.upserts.iter().map(|row| row.key.name.to_string());
        fitting.extend(came.filter(|name| self.globs.iter().any(|pattern| glob(pattern, name))));
        let Some(phase) = delta.sources.last().map(|source| source.phase.clone()) else {
            return self.follow(fitting);
        };
        match &phase {
            Phase::Live | Phase::Polling { .. } => self.follow(fitting),
            // Whoever may not list the namespaces may yet read the kind in all of them.
            Phase::Failed { error } if error.code == Code::PermissionDenied => {
                return self.begin(From::Whole, self.selection.clone());
            }
            _ => {}
        }
        if !self.open.contains_key(&From::Whole) {
            self.tell(None, phase);
        }
    }

    /// Watches the namespaces that fit, in the way that costs less.
    fn follow(&mut self, fitting: &HashSet<String>) {
        let each = self.open.len().saturating_sub(1);
        if self.open.contains_key(&From::Whole) {
            return;
        }
        let all = Selection { namespace: None, ..self.selection.clone() };
        // What is watched whole already, for another reader, costs nothing more.
        if each == 0 && (fitting.len() > FEW || self.cluster.rows_if_watched(&all).is_some()) {
            return self.begin(From::Whole, all);
        }
        self.each(fitting);
    }

    fn each(&mut self, fitting: &HashSet<String>) {
        for name in fitting {
            let known = self.open.contains_key(&From::One(name.clone()));
            if !known && self.open.len() > MOST {
                let error = Error::unsupported(format!("more than {MOST} namespaces fit"))
                    .next("Name fewer: what is in all of them at once may not be read.");
                return self.tell(Some(name), Phase::Failed { error });
            }
            if !known {
                self.tell(Some(name), Phase::Connecting);
                let selection = Selection { namespace: Some(name.clone()), ..self.selection.clone() };
                self.begin(From::One(name.clone()), selection);
            }
        }
    }

    fn end(&mut self, namespace: &str) {
        let Some(open) = self.open.remove(&From::One(namespace.to_owned())) else { return };
        open.task.abort();
        let removed = open.keys.into_iter().collect();
        self.sender.merge(TableDelta { removed, ..TableDelta::default() });
        // Nothing of it is shown that could be old.
        self.tell(Some(namespace), Phase::Live);
    }

    fn one(&mut self, name: String, mut delta: TableDelta) {
        let source: Arc<str> = format!("{}/{name}", self.cluster.name()).into();
        let Some(open) = self.open.get_mut(&From::One(name)) else { return };
        for key in &delta.removed {
            open.keys.remove(key);
        }
        open.keys.extend(delta.upserts.iter().map(|row| row.key.clone()));
        for state in &mut delta.sources {
            state.cluster = source.clone();
        }
        self.sender.merge(delta);
    }

    fn whole(&mut self, fitting: &HashSet<String>, mut delta: TableDelta) {
        let refused = delta.sources.iter().any(
            |source| matches!(&source.phase, Phase::Failed { error } if error.code == Code::PermissionDenied),
        );
        if refused && !fitting.is_empty() {
            if let Some(open) = self.open.remove(&From::Whole) {
                open.task.abort();
            }
            self.each(fitting);
            return self.tell(None, Phase::Live);
        }
        delta.upserts.retain(|row| self.fits(&row.key.namespace));
        delta.removed.retain(|key| self.fits(&key.namespace));
        self.sender.merge(delta);
    }
}

impl Drop for Among {
    fn drop(&mut self) {
        for open in self.open.values() {
            open.task.abort();
        }
    }
}
