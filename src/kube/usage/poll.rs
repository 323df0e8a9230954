//! The task that asks for one scope's figures while somebody reads them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::book::{Book, Health, Key, Sample, Window};
use super::list::{self, Told};
use super::{Pace, Scope, path};
use crate::base;
use crate::kube::call::Call;
use crate::kube::cluster::Cluster;
use crate::kube::error::{Error, Result};

/// Longer lists are asked for less often,
const LARGE: usize = 5_000;
/// and read on a thread of their own.
const LARGE_BODY: usize = 256 << 10;
const TIMEOUT: Duration = Duration::from_secs(15);

/// What is asked of one cluster.
pub(in crate::kube) struct Metrics {
    pace: Pace,
    open: Mutex<HashMap<Scope, Arc<Poll>>>,
}

/// One scope.
struct Poll {
    windows: watch::Sender<Arc<Window>>,
    book: Mutex<Book>,
    /// A reader came while nobody was asking.
    came: Notify,
}

/// One reader of a scope's figures.
pub struct Reader {
    windows: watch::Receiver<Arc<Window>>,
    poll: Arc<Poll>,
}

impl Metrics {
    pub(in crate::kube) fn new(pace: Pace) -> Self {
        Self { pace, open: Mutex::default() }
    }

    /// Reads a scope, as long as the reader is kept. What is asked for anyway is not asked for twice; `traced` wants one
    /// that keeps samples. Needs a runtime.
    pub(in crate::kube) fn read(
        &self,
        cluster: &Arc<Cluster>,
        scope: Scope,
        version: Arc<str>,
        traced: bool,
    ) -> Reader {
        let mut open = self.open.lock();
        let serves = |other: &Scope, poll: &Poll| {
            *other == scope
                || other.covers(&scope)
                    && poll.windows.receiver_count() > 0
                    && !(traced && poll.book.lock().is_too_large())
        };
        let found = open.get(&scope).or_else(|| open.iter().find(|(s, p)| serves(s, p)).map(|(_, p)| p));
        if let Some(poll) = found {
            let reader = Reader { windows: poll.windows.subscribe(), poll: poll.clone() };
            poll.came.notify_one();
            return reader;
        }
        let (windows, receiver) = watch::channel(Arc::default());
        let poll = Arc::new(Poll { windows, book: Mutex::default(), came: Notify::new() });
        open.insert(scope.clone(), poll.clone());
        drop(open);
        tokio::spawn(run(cluster.clone(), self.pace, scope, version, poll.clone()));
        Reader { windows: receiver, poll }
    }

    /// Forgets a scope that nobody came back to; false if somebody did.
    fn forget(&self, scope: &Scope, poll: &Poll) -> bool {
        let mut open = self.open.lock();
        if poll.windows.receiver_count() > 0 {
            return false;
        }
        open.remove(scope);
        true
    }
}

/// Asks for as long as there are readers; ends a while after the last has left.
async fn run(cluster: Arc<Cluster>, pace: Pace, scope: Scope, version: Arc<str>, poll: Arc<Poll>) {
    loop {
        if poll.windows.receiver_count() == 0 {
            // What is kept is not shown to who comes next: it is not of now.
            let window = poll.book.lock().rest();
            poll.windows.send_replace(Arc::new(window));
            tokio::select! {
                () = poll.came.notified() => {}
                () = tokio::time::sleep(pace.keep) => {
                    if cluster.metrics().forget(&scope, &poll) {
                        return;
                    }
                }
            }
            continue;
        }
        let told = tokio::select! {
            told = ask(&cluster, &scope, &version) => told,
            () = poll.windows.closed() => continue,
        };
        let pause = match &told {
            Ok(list) if list.len() > LARGE => pace.large,
            Err(error) if matches!(error.http_status(), Some(401 | 403)) => pace.refused,
            _ => pace.every,
        };
        let window = match told {
            Ok(list) => poll.book.lock().take(list, Instant::now(), pause),
            Err(error) => {
                tracing::debug!(cluster = %cluster.name(), ?scope, %error, "no figures");
                poll.book.lock().miss(reason(error), Instant::now(), pace.every)
            }
        };
        poll.windows.send_replace(Arc::new(window));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = poll.windows.closed() => {}
        }
    }
}

async fn ask(cluster: &Cluster, scope: &Scope, version: &Arc<str>) -> Result<Vec<Told>> {
    let (path, fields) = path(version, scope);
    let call = Call::get(path).query_if("fieldSelector", fields).accept("application/json").timeout(TIMEOUT);
    let body = cluster.send(call).await?.body;
    let read = if body.len() < LARGE_BODY {
        list::read(&body)
    } else {
        tokio::task::spawn_blocking(move || list::read(&body)).await.unwrap_or_else(|e| Err(e.to_string()))
    };
    read.map_err(|reason| Error::Decode {
        server: cluster.server(),
        what: "figures of metrics.k8s.io",
        reason,
    })
}

/// Why there are no figures, with what to do.
fn reason(error: Error) -> base::Error {
    let status = error.http_status();
    let error = base::Error::from(error);
    match status {
        Some(403) => error.next("Ask for `get` and `list` on pods and nodes of metrics.k8s.io."),
        Some(404 | 500..) => error.next(
            "Look at the APIService v1beta1.metrics.k8s.io and at the pods of the metrics server behind it.",
        ),
        _ => error,
    }
}

impl Reader {
    /// Returns once there is another window. Safe to cancel.
    pub(in crate::kube) async fn changed(&mut self) {
        // The sender lives in `self.poll`.
        let _ = self.windows.changed().await;
    }

    /// The window of now, which then is no longer a changed one.
    pub fn window(&mut self) -> Arc<Window> {
        self.windows.borrow_and_update().clone()
    }

    /// Waits for the first answer; the error is why there are no figures.
    pub async fn settled(&mut self, patience: Duration) -> base::Result<Arc<Window>> {
        let answered = self.windows.wait_for(|window| window.health != Health::Asking);
        let window = match tokio::time::timeout(patience, answered).await {
            Ok(Ok(window)) => window.clone(),
            _ => {
                let what = format!("metrics.k8s.io did not answer within {} s", patience.as_secs());
                return Err(base::Error::new(base::Code::Timeout, what));
            }
        };
        match &window.health {
            Health::Failing(error) if window.figures.is_empty() => Err(error.clone()),
            _ => Ok(window),
        }
    }

    /// The samples of a container, or of a node if the container is empty; the oldest first.
    pub fn samples(&self, key: &Key, container: &str) -> Vec<Sample> {
        self.poll.book.lock().samples(key, container)
    }

    /// Whether no samples are kept because there are too many containers.
    pub fn is_too_large(&self) -> bool {
        self.poll.book.lock().is_too_large()
    }
}
