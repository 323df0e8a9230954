//! Following the logs of many containers as one stream, in the order of their times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::container::{BATCH, Follower, Told};
use super::filter::Grep;
use super::filters::Filters;
use super::pods::{self, ContainerView, PodChange, PodView};
use super::reader::Ask;
use super::scope::{Filter, Finder, Scope};
use crate::base;
use crate::rows::{Lane, Level, Line, LineSource, Merger};

/// No more containers are followed in one watch.
const MOST: usize = 300;
/// Lines of all containers together that may wait for those of others.
const HELD: usize = 1 << 18;
/// How long until pods are looked for again that could not be found.
const AGAIN: Duration = Duration::from_secs(5);

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
    /// Only lines of this level and worse ones.
    pub least: Option<Level>,
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
/// under its name, as a StatefulSet's does. What is wrong with one scope of several is told in the stream, and that one
/// is tried again.
pub async fn start<T: Send + 'static>(finders: Vec<Finder>, query: Query, sink: Sink<T>) -> base::Result<()> {
    Grep::new(query.grep.as_deref(), query.context)
        .map_err(|e| base::Error::invalid(format!("grep: {e}")))?;
    let (changes, changed) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    let single = finders.len() == 1;
    for (at, finder) in finders.into_iter().enumerate() {
        let first = if single { Some(look(&finder, &query).await?) } else { None };
        tasks.spawn(watch_scope(at, finder, query.clone(), first, changes.clone()));
    }
    let (out, told) = mpsc::channel(16);
    let state = State {
        scopes: HashMap::new(),
        single,
        query,
        followed: HashMap::new(),
        tasks,
        out,
        merger: Merger::default(),
        credits: HashMap::new(),
        full: false,
    };
    tokio::spawn(state.run(changed, told, sink));
    Ok(())
}

type Found = (Scope, Vec<PodView>, String);

/// The pods of a scope, as they are now.
async fn look(finder: &Finder, query: &Query) -> base::Result<Found> {
    let scope = finder.find().await?;
    let (views, version) = pods::read(&scope).await?;
    if views.is_empty() && matches!(scope.filter, Filter::Name(_)) {
        return Err(base::Error::not_found(format!("there is no {}", scope.words())));
    }
    if let (Some(container), false) = (&query.container, views.is_empty()) {
        check_container(&views, container)?;
    }
    Ok((scope, views, version))
}

/// Finds the pods of a scope, as often as it takes, and sends what becomes of them.
async fn watch_scope(
    at: usize,
    finder: Finder,
    query: Query,
    mut first: Option<Found>,
    out: mpsc::Sender<(usize, PodChange)>,
) {
    let mut told = None;
    let (scope, views, version) = loop {
        let found = match first.take() {
            Some(found) => Ok(found),
            None => look(&finder, &query).await,
        };
        match found {
            Ok(found) => break found,
            Err(error) => {
                // The same trouble again is no news.
                if told.as_ref() != Some(&error.message) {
                    told = Some(error.message.clone());
                    let message = format!("{}: {}", finder.words, error.message);
                    if out.send((at, PodChange::NotFound(message))).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    let known = views.iter().map(|v| v.uid.clone()).collect();
    if out.send((at, PodChange::Found(scope.clone(), views, version.clone()))).await.is_ok() {
        pods::follow(scope, known, version, at, out).await;
    }
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
    /// By their places among those asked for; those that are found.
    scopes: HashMap<usize, Scope>,
    /// One scope was asked for: what is wrong with it is the end.
    single: bool,
    query: Query,
    /// By pod's uid and container.
    followed: HashMap<(String, String), watch::Sender<ContainerView>>,
    tasks: JoinSet<()>,
    out: mpsc::Sender<Told>,
    merger: Merger,
    /// How many lines of each container may still come before some of them went on.
    credits: HashMap<Lane, Arc<Semaphore>>,
    /// It was said that no more containers are followed.
    full: bool,
}

impl State {
    async fn run<T: Send>(
        mut self,
        mut changed: mpsc::Receiver<(usize, PodChange)>,
        mut told: mpsc::Receiver<Told>,
        sink: Sink<T>,
    ) {
        loop {
            let due = self.merger.due(std::time::Instant::now());
            let turn = due.map_or_else(Instant::now, Instant::from_std);
            let going = tokio::select! {
                biased;
                () = sink.channel.closed() => return,
                Some((at, change)) = changed.recv() => {
                    let marks = self.change(at, change);
                    sink.send(marks).await && self.pass(&sink).await
                }
                () = tokio::time::sleep_until(turn), if due.is_some() => self.pass(&sink).await,
                Some(news) = told.recv() => match news {
                    Told::Lines(lane, lines) => self.take(lane, lines, &sink).await,
                    Told::Ended(lane) => {
                        self.merger.leave(lane);
                        self.credits.remove(&lane);
                        self.pass(&sink).await
                    }
                    Told::Fatal(error) if self.single => {
                        let _ = self.rest(&sink).await;
                        let _ = sink.channel.send((sink.wrap)(Err(error))).await;
                        return;
                    }
                    Told::Fatal(error) => sink.send(vec![mark(error.message)]).await,
                },
                _ = self.tasks.join_next(), if self.tasks.len() > 1 => true,
                else => return,
            };
            if !going {
                return;
            }
        }
    }

    /// Takes lines of one container. One alone needs no ordering, and its lines no waiting.
    async fn take<T: Send>(&mut self, lane: Lane, lines: Vec<Line>, sink: &Sink<T>) -> bool {
        if self.merger.is_empty() && self.merger.lanes() <= 1 {
            let count = lines.len();
            let sent = sink.send(lines).await;
            self.paid(lane, count);
            return sent;
        }
        self.merger.push(lane, lines, std::time::Instant::now());
        self.pass(sink).await
    }

    /// Sends on the lines whose turn it is.
    async fn pass<T: Send>(&mut self, sink: &Sink<T>) -> bool {
        let (mut ripe, mut spent) = (Vec::new(), HashMap::new());
        self.merger.take(std::time::Instant::now(), |lane, line| {
            ripe.push(line);
            *spent.entry(lane).or_default() += 1;
        });
        let sent = sink.send(ripe).await;
        spent.into_iter().for_each(|(lane, count)| self.paid(lane, count));
        sent
    }

    /// Sends on all that is held.
    async fn rest<T: Send>(&mut self, sink: &Sink<T>) -> bool {
        let mut all = Vec::new();
        self.merger.drain(|_, line| all.push(line));
        sink.send(all).await
    }

    /// So many lines of a container have gone on: as many more may come.
    fn paid(&self, lane: Lane, count: usize) {
        if let Some(credits) = self.credits.get(&lane) {
            credits.add_permits(count);
        }
    }

    fn change(&mut self, at: usize, change: PodChange) -> Vec<Line> {
        match change {
            PodChange::Found(scope, views, _) => {
                self.scopes.insert(at, scope);
                views.into_iter().flat_map(|view| self.now(at, view, true)).collect()
            }
            PodChange::NotFound(message) => vec![mark(format!("{message}; it will be tried again"))],
            PodChange::Now(view) => self.now(at, view, false),
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
    fn now(&mut self, at: usize, pod: PodView, first: bool) -> Vec<Line> {
        let mut marks = Vec::new();
        let Some(scope) = self.scopes.get(&at).cloned() else { return marks };
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
            } else if self.followed.len() < MOST {
                let view = self.follow(&scope, &pod.name, container, first);
                self.followed.insert(key, view);
            } else if !std::mem::replace(&mut self.full, true) {
                marks.push(mark(format!(
                    "more than {MOST} containers: the logs of the others are not followed"
                )));
            }
        }
        marks
    }

    /// Starts following one container. Gives where to tell how it is.
    fn follow(
        &mut self,
        scope: &Scope,
        pod: &str,
        container: ContainerView,
        first: bool,
    ) -> watch::Sender<ContainerView> {
        let source = Arc::new(LineSource {
            cluster: (**scope.cluster.name()).into(),
            namespace: scope.namespace.as_str().into(),
            pod: pod.into(),
            container: container.name.as_str().into(),
        });
        let now = std::time::Instant::now();
        let room = (HELD / (self.followed.len() + 8)).max(2 * BATCH);
        let lane = self.merger.join(room, now);
        if !first {
            let joined = Line::Mark { source: Some(source.clone()), text: "container joined".into() };
            self.merger.push(lane, [joined], now);
        }
        let credits = Arc::new(Semaphore::new(room));
        self.credits.insert(lane, credits.clone());
        let (tell, view) = watch::channel(container.clone());
        // What starts while we look is shown from its beginning.
        let (tail, since_seconds) =
            if first { (self.query.tail, self.query.since_seconds) } else { (None, None) };
        let follower = Follower {
            scope: scope.clone(),
            pod: pod.to_owned(),
            source,
            first: Ask { container: container.name, follow: true, tail, since_seconds, ..Ask::default() },
            filters: Filters::new(&self.query),
            view,
            lane,
            credits,
            out: self.out.clone(),
        };
        self.tasks.spawn(follower.run());
        tell
    }
}

fn mark(text: String) -> Line {
    Line::Mark { source: None, text }
}
