//! Draining a node: every pod asked to go, those that a budget holds asked again, until they are gone, somebody stops
//! it, or its time is over.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::plan::{Going, part, seen};
use crate::base::{self, Code};
use crate::bus::{Item, ItemState};
use crate::kube::objects::cordon;
use crate::kube::objects::place::{Place, Seen};
use crate::kube::{Call, Cluster, Error, Resource, Selection};
use crate::rows::{Phase, TableDelta, TableFeed};

/// Requests to evict under way at once.
const AT_ONCE: usize = 8;
/// Between two requests for a pod that a budget holds, unless the server says otherwise; as kubectl.
const AGAIN: Duration = Duration::from_secs(5);

/// A pod that is still there, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub pod: String,
    pub why: String,
}

/// What a drain came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub gone: Vec<String>,
    pub stayed: Vec<Left>,
    pub unfinished: Vec<Left>,
    /// The caller stopped it.
    pub stopped: bool,
}

enum State {
    Due(Instant),
    Asking,
    /// Evicted, and ends.
    Ending,
    Gone,
    Failed,
}

struct Pod {
    going: Going,
    state: State,
    note: String,
}

impl Pod {
    fn is_over(&self) -> bool {
        matches!(self.state, State::Gone | State::Failed)
    }
}

/// Drains. With `expected`, only the node with the pods that were seen there. `tell` is called with how many are over, of
/// how many, and the pod that something became of.
pub async fn run(
    place: &Place,
    options: &Options,
    expected: Option<&Seen>,
    cancel: &CancellationToken,
    tell: impl Fn(usize, usize, Item) + Send,
) -> base::Result<Report> {
    let node = place.get().await?;
    let parted = part(place, options).await?.passable()?;
    let now = seen(&node, &parted.going);
    if expected.is_some_and(|e| *e != now) {
        return Err(base::Error::new(
            Code::Conflict,
            format!("the pods of {} are others than were shown: nothing was done", place.words()),
        )
        .next("Preview the drain again."));
    }
    cordon::run(place, true, None).await?;
    let start = Instant::now();
    let pods =
        parted.going.into_iter().map(|going| Pod { going, state: State::Due(start), note: String::new() });
    let mut drain = Drain {
        cluster: &place.cluster,
        options,
        pods: pods.collect(),
        present: Present::default(),
        asking: FuturesUnordered::new(),
        tell,
    };
    for index in 0..drain.pods.len() {
        drain.say(index, ItemState::Waiting);
    }
    let selection =
        Selection::all(Resource::pods(), None).selecting(None, Some(format!("spec.nodeName={}", place.name)));
    let feed = place.cluster.watch(selection);
    let deadline = options.timeout.map(|t| start + t);
    let stopped = drain.go(feed, deadline, cancel).await;
    let mut report = Report { stopped, ..Report::default() };
    report.stayed = parted.staying.into_iter().map(|(pod, why)| Left { pod, why: why.to_owned() }).collect();
    for pod in drain.pods {
        let words = pod.going.words();
        match pod.state {
            State::Gone => report.gone.push(words),
            State::Ending => {
                report.unfinished.push(Left { pod: words, why: "it was evicted and still ends".to_owned() });
            }
            _ if pod.note.is_empty() => {
                report.unfinished.push(Left { pod: words, why: "it was not asked to go".to_owned() });
            }
            _ => report.unfinished.push(Left { pod: words, why: pod.note }),
        }
    }
    Ok(report)
}

struct Drain<'a, F> {
    cluster: &'a Cluster,
    options: &'a Options,
    pods: Vec<Pod>,
    present: Present,
    asking: FuturesUnordered<BoxFuture<'a, (usize, Result<(), Error>)>>,
    tell: F,
}

impl<F: Fn(usize, usize, Item)> Drain<'_, F> {
    /// Goes on until every pod is over; true if it was stopped before.
    async fn go(
        &mut self,
        mut feed: TableFeed,
        deadline: Option<Instant>,
        cancel: &CancellationToken,
    ) -> bool {
        loop {
            self.ask();
            if self.pods.iter().all(Pod::is_over) {
                return false;
            }
            let due = self.pods.iter().filter_map(|p| match p.state {
                State::Due(at) => Some(at),
                _ => None,
            });
            let due = due.min().filter(|_| self.asking.len() < AT_ONCE);
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                () = cancel.cancelled() => return true,
                () = tokio::time::sleep_until(deadline.unwrap_or(far)), if deadline.is_some() => return false,
                () = tokio::time::sleep_until(due.unwrap_or(far)), if due.is_some() => {}
                Some((index, answer)) = self.asking.next() => self.answered(index, answer),
                delta = feed.next() => match delta {
                    Some(delta) => {
                        self.present.take(delta);
                        self.look();
                    }
                    // Without the watch nobody would say that a pod is gone.
                    None => return false,
                },
            }
        }
    }

    /// Asks the pods to go whose time has come.
    fn ask(&mut self) {
        let now = Instant::now();
        for index in 0..self.pods.len() {
            if self.asking.len() >= AT_ONCE {
                return;
            }
            let pod = &mut self.pods[index];
            if !matches!(pod.state, State::Due(at) if at <= now) {
                continue;
            }
            pod.state = State::Asking;
            let call = request(&pod.going, self.options);
            let cluster = self.cluster;
            self.asking.push(Box::pin(async move {
                let sent = async { cluster.send(call?).await.map(drop) };
                (index, sent.await)
            }));
        }
    }

    fn answered(&mut self, index: usize, answer: Result<(), Error>) {
        let pod = &mut self.pods[index];
        let state = match answer {
            Ok(()) => {
                pod.note.clear();
                pod.state = State::Ending;
                ItemState::Running
            }
            // Gone, or another pod has its name by now.
            Err(e) if e.is_not_found() || is_another(&e) => {
                pod.state = State::Gone;
                ItemState::Done
            }
            Err(Error::Status { status, .. }) if status.code == 429 => {
                let wait = match status.details.retry_after_seconds {
                    0 => AGAIN,
                    seconds => Duration::from_secs(seconds.min(60)),
                };
                let cause = status.details.causes.first().map(|c| c.message.as_str());
                pod.note = cause.filter(|m| !m.is_empty()).unwrap_or(&status.message).to_owned();
                pod.state = State::Due(Instant::now() + wait);
                ItemState::Waiting
            }
            Err(e) => {
                pod.note = e.to_string();
                pod.state = State::Failed;
                ItemState::Failed
            }
        };
        self.say(index, state);
        self.look();
    }

    /// Takes note of the pods that are gone.
    fn look(&mut self) {
        for index in 0..self.pods.len() {
            let pod = &self.pods[index];
            if matches!(pod.state, State::Ending) && self.present.lacks(&pod.going) {
                self.pods[index].state = State::Gone;
                self.say(index, ItemState::Done);
            }
        }
    }

    fn say(&self, index: usize, state: ItemState) {
        let over = self.pods.iter().filter(|p| p.is_over()).count();
        let pod = &self.pods[index];
        let note = match pod.state {
            State::Ending => "ends".to_owned(),
            _ => pod.note.clone(),
        };
        (self.tell)(over, self.pods.len(), Item { name: pod.going.words(), state, note });
    }
}

/// The uid in the request makes the server refuse any other pod of the name.
fn request(pod: &Going, options: &Options) -> Result<Call, Error> {
    let path = Resource::pods().path(Some(&pod.namespace), Some(&pod.name));
    let mut how = json!({"preconditions": {"uid": pod.uid}});
    if let Some(grace) = options.grace {
        how["gracePeriodSeconds"] = json!(grace);
    }
    if options.disable_eviction {
        return Call::delete(path).json(&how);
    }
    Call::post(format!("{path}/eviction")).json(&json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace}, "deleteOptions": how,
    }))
}

/// Whether the pod asked for by its uid is not the one that has the name now.
fn is_another(error: &Error) -> bool {
    matches!(error, Error::Status { status, .. } if status.code == 409 && status.message.contains("UID"))
}

/// The pods that the watch shows.
#[derive(Default)]
struct Present {
    uids: HashMap<(String, String), String>,
    /// All of them are here: what is not, is gone.
    whole: bool,
}

impl Present {
    fn take(&mut self, delta: TableDelta) {
        if delta.reset {
            self.uids.clear();
        }
        for key in &delta.removed {
            self.uids.remove(&(key.namespace.to_string(), key.name.to_string()));
        }
        for row in delta.upserts {
            let key = (row.key.namespace.to_string(), row.key.name.to_string());
            self.uids.insert(key, row.uid.to_string());
        }
        for source in delta.sources {
            self.whole = matches!(source.phase, Phase::Live | Phase::Polling { .. });
        }
    }

    fn lacks(&self, pod: &Going) -> bool {
        let key = (pod.namespace.clone(), pod.name.clone());
        self.whole && self.uids.get(&key) != Some(&pod.uid)
    }
}
