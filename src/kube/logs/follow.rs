//! Following the logs of many containers as one stream, in the order of their times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::container::{BATCH, Follower, Told};
use super::filter::Grep;
use super::pods::{self, ContainerView, PodChange, PodView};
use super::reader::Ask;
use super::scope::{Filter, Scope};
use crate::base;
use crate::rows::{Line, LineSource, Merger};

/// Half of the time that a line may wait for an earlier one of another container.
const TURN: Duration = Duration::from_millis(50);
/// The first lines of many containers come when each server gets round to it.
const FIRST_HOLD: Duration = Duration::from_millis(500);
/// No more containers are followed in one watch.
const MOST: usize = 300;

/// What to follow.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only this container of each pod.
    pub container: Option<String>,
    /// Lines from the end of each container's log to begin with; all if absent.
    pub tail: Option<u64>,
    pub since_seconds: Option<u64>,
    /// A regular expression that lines must match, and lines of context around them.
    pub grep: Option<String>,
    pub context: usize,
    /// Fold lines that repeat the one before in all but numbers.
    pub dedupe: bool,
}

/// Where lines go: a channel of whatever the reader takes.
pub struct Sink<T> {
    pub channel: mpsc::Sender<T>,
    pub wrap: fn(base::Result<Vec<Line>>) -> T,
}

impl<T: Send> Sink<T> {
    /// False once nobody reads.
    pub(super) async fn send(&self, mut lines: Vec<Line>) -> bool {
        while !lines.is_empty() {
            let rest = if lines.len() > BATCH { lines.split_off(BATCH) } else { Vec::new() };
            if self.channel.send((self.wrap)(Ok(std::mem::replace(&mut lines, rest)))).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Finds the pods and starts following. The work ends when the sink's reader is gone: a pod that goes may come again
/// under its name, as a StatefulSet's does.
pub async fn start<T: Send + 'static>(scope: Scope, query: Query, sink: Sink<T>) -> base::Result<()> {
    Grep::new(query.grep.as_deref(), query.context)
        .map_err(|e| base::Error::invalid(format!("grep: {e}")))?;
    let (views, version) = pods::read(&scope).await?;
    if views.is_empty() && matches!(scope.filter, Filter::Name(_)) {
        return Err(base::Error::not_found(format!("there is no {}", scope.words())));
    }
    if let (Some(container), false) = (&query.container, views.is_empty()) {
        check_container(&views, container)?;
    }
    let (changes, changed) = mpsc::channel(64);
    let known = views.iter().map(|v| v.uid.clone()).collect();
    let mut tasks = JoinSet::new();
    tasks.spawn(pods::follow(scope.clone(), known, version, changes));
    let (out, told) = mpsc::channel(16);
    let state =
        State { scope, query, followed: HashMap::new(), tasks, out, merger: Merger::default(), full: false };
    tokio::spawn(state.run(views, changed, told, sink));
    Ok(())
}

/// Whether any of the pods has the container.
pub fn check_container(views: &[PodView], container: &str) -> base::Result<()> {
    let names: std::collections::BTreeSet<&str> =
        views.iter().flat_map(|v| &v.containers).map(|c| c.name.as_str()).collect();
    if names.is_empty() || names.contains(container) {
        return Ok(());
    }
    let names: Vec<&str> = names.into_iter().collect();
    Err(base::Error::not_found(format!("there is no container {container}; there is: {}", names.join(", "))))
}

struct State {
    scope: Scope,
    query: Query,
    /// By pod's uid and container.
    followed: HashMap<(String, String), watch::Sender<ContainerView>>,
    tasks: JoinSet<()>,
    out: mpsc::Sender<Told>,
    merger: Merger,
    /// It was said that no more containers are followed.
    full: bool,
}

impl State {
    async fn run<T: Send>(
        mut self,
        views: Vec<PodView>,
        mut changed: mpsc::Receiver<PodChange>,
        mut told: mpsc::Receiver<Told>,
        sink: Sink<T>,
    ) {
        for view in views {
            self.now(view, true);
        }
        let mut hold_until = Instant::now() + FIRST_HOLD;
        let mut turns = tokio::time::interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // One container needs no ordering, and its lines no waiting.
            let direct = self.followed.len() <= 1 && self.merger.is_empty();
            let waiting = !self.merger.is_empty();
            let going = tokio::select! {
                biased;
                () = sink.channel.closed() => return,
                Some(change) = changed.recv() => {
                    let marks = self.change(change);
                    hold_until = hold_until.max(Instant::now());
                    self.take(marks, direct, &sink).await
                }
                _ = turns.tick(), if waiting => {
                    if Instant::now() < hold_until { true } else { sink.send(self.merger.turn()).await }
                }
                Some(news) = told.recv() => match news {
                    Told::Lines(lines) => self.take(lines, direct, &sink).await,
                    Told::Fatal(error) => {
                        let _ = sink.send(self.merger.drain()).await;
                        let _ = sink.channel.send((sink.wrap)(Err(error))).await;
                        return;
                    }
                },
                _ = self.tasks.join_next(), if self.tasks.len() > 1 => true,
                else => return,
            };
            if !going {
                return;
            }
        }
    }

    async fn take<T: Send>(&mut self, lines: Vec<Line>, direct: bool, sink: &Sink<T>) -> bool {
        if direct {
            return sink.send(lines).await;
        }
        self.merger.push(lines);
        if self.merger.is_full() {
            return sink.send(self.merger.drain()).await;
        }
        true
    }

    fn change(&mut self, change: PodChange) -> Vec<Line> {
        match change {
            PodChange::Now(view) => self.now(view, false),
            PodChange::Gone(uid) => {
                self.followed.retain(|(pod, _), view| {
                    if *pod == uid {
                        view.send_modify(|v| v.gone = true);
                    }
                    *pod != uid
                });
                Vec::new()
            }
        }
    }

    /// Tells the followers of a pod's containers how it is, and starts those that are missing.
    fn now(&mut self, pod: PodView, first: bool) -> Vec<Line> {
        let mut marks = Vec::new();
        for container in pod.containers {
            if self.query.container.as_ref().is_some_and(|c| *c != container.name)
                || container.instance.is_none()
            {
                continue;
            }
            let key = (pod.uid.clone(), container.name.clone());
            if let Some(follower) = self.followed.get(&key) {
                follower.send_if_modified(|v| {
                    let differs = *v != container;
                    if differs {
                        v.clone_from(&container);
                    }
                    differs
                });
                continue;
            }
            if self.followed.len() >= MOST {
                if !std::mem::replace(&mut self.full, true) {
                    let text =
                        format!("more than {MOST} containers: the logs of the others are not followed");
                    marks.push(Line::Mark { source: None, text });
                }
                continue;
            }
            let source = Arc::new(LineSource {
                cluster: (**self.scope.cluster.name()).into(),
                namespace: self.scope.namespace.as_str().into(),
                pod: pod.name.as_str().into(),
                container: container.name.as_str().into(),
            });
            if !first {
                marks.push(Line::Mark { source: Some(source.clone()), text: "container joined".into() });
            }
            let (tell, view) = watch::channel(container.clone());
            // What starts while we look is shown from its beginning.
            let (tail, since_seconds) =
                if first { (self.query.tail, self.query.since_seconds) } else { (None, None) };
            let first_ask =
                Ask { container: container.name, follow: true, tail, since_seconds, ..Ask::default() };
            let follower = Follower {
                scope: self.scope.clone(),
                pod: pod.name.clone(),
                source,
                first: first_ask,
                grep: Grep::new(self.query.grep.as_deref(), self.query.context).ok(),
                fold: self.query.dedupe,
                view,
                out: self.out.clone(),
            };
            self.tasks.spawn(follower.run());
            self.followed.insert(key, tell);
        }
        marks
    }
}
