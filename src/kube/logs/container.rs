//! Following one container's log through broken streams and restarts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};

use super::filters::{FOLD, Filters};
use super::pods::ContainerView;
use super::reader::{self, Ask, Lines};
use super::scope::Scope;
use crate::base;
use crate::kube::{ByteStream, Error};
use crate::rows::{Lane, Line, LineSource};

/// Lines go on in batches of at most this many.
pub const BATCH: usize = 512;
/// A reader that takes nothing for so long makes us close the stream and ask again later: what is unread must not fill
/// the window of the connection that watches and other logs share.
const STALLED: Duration = Duration::from_secs(2);
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(8);

/// What a container's follower tells the one who merges.
#[derive(Debug)]
pub enum Told {
    Lines(Lane, Vec<Line>),
    /// Nothing more comes of this container.
    Ended(Lane),
    /// The watch cannot go on.
    Fatal(base::Error),
}

pub struct Follower {
    pub scope: Scope,
    pub pod: String,
    pub source: Arc<LineSource>,
    /// How the first request begins; `container` and the rest are filled in.
    pub first: Ask,
    pub filters: Filters,
    pub view: watch::Receiver<ContainerView>,
    /// Its place among those that are merged.
    pub lane: Lane,
    /// Lines that the merger takes: each that goes on makes room for another.
    pub credits: Arc<Semaphore>,
    pub out: mpsc::Sender<Told>,
}

/// How one stream ended.
enum Ended {
    /// The server closed it: the container ended, or the server did.
    Closed,
    Broke(Error),
    /// The reader was too slow; the stream was closed until it took what there was.
    Shed,
    /// Nobody reads any more.
    Unread,
}

impl Follower {
    /// Reads until the pod is gone or nobody listens.
    pub async fn run(mut self) {
        self.read().await;
        let _ = self.out.send(Told::Ended(self.lane)).await;
    }

    async fn read(&mut self) {
        let mut lines = Lines::new(self.source.clone());
        let mut filters = std::mem::take(&mut self.filters);
        let mut instance = self.view.borrow().clone();
        let (mut ask, mut wait, mut lost) = (self.first.clone(), RETRY_MIN, false);
        loop {
            let began = Instant::now();
            let count = lines.resume.clone();
            let ended = match reader::open(&self.scope, &self.pod, &ask).await {
                Ok(stream) => {
                    if std::mem::take(&mut lost) && !self.mark("the stream is back").await {
                        return;
                    }
                    self.pump(stream, &mut lines, &mut filters).await
                }
                Err(e) => Ended::Broke(e),
            };
            // Progress, or a stream that lasted, makes the next failure the first again.
            if lines.resume != count || began.elapsed() > RETRY_MAX {
                wait = RETRY_MIN;
            }
            let clean = match ended {
                Ended::Unread => return,
                Ended::Shed => {
                    lines.broke();
                    ask = self.again(&lines);
                    continue;
                }
                Ended::Closed => true,
                Ended::Broke(e) if e.is_forbidden() => {
                    let _ = self.out.send(Told::Fatal(e.into())).await;
                    return;
                }
                // 400: there is no log to read yet or any more; 404: the pod is going.
                Ended::Broke(e) if matches!(e.http_status(), Some(400 | 404)) => true,
                Ended::Broke(e) => {
                    if !lost && !self.mark(&format!("stream lost ({e}), reconnecting")).await {
                        return;
                    }
                    lost = true;
                    false
                }
            };
            match self.next(&mut instance, &mut lines, &mut filters, clean, wait).await {
                Some(next) => ask = next,
                None => return,
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Decides how to go on after a stream's end: what to ask for next, or `None` when all is read.
    async fn next(
        &mut self,
        instance: &mut ContainerView,
        lines: &mut Lines,
        filters: &mut Filters,
        clean: bool,
        wait: Duration,
    ) -> Option<Ask> {
        let mut told_end = false;
        loop {
            let now = self.view.borrow_and_update().clone();
            if now.instance != instance.instance && now.instance.is_some() {
                self.finish(lines, filters, clean).await.then_some(())?;
                if !clean && now.restarts == instance.restarts + 1 && now.has_previous {
                    self.read_rest(lines, filters).await;
                }
                let skipped = now.restarts.saturating_sub(instance.restarts + 1);
                let how = now.ended.as_ref().map(|e| format!(" after {e}")).unwrap_or_default();
                let gap = if skipped > 0 {
                    format!("; the logs of {skipped} instances between are gone")
                } else {
                    String::new()
                };
                self.mark(&format!("container restarted{how}, restart {}{gap}", now.restarts))
                    .await
                    .then_some(())?;
                lines.restart();
                *instance = now;
                return Some(Ask {
                    container: self.source.container.to_string(),
                    follow: true,
                    ..Ask::default()
                });
            }
            if now.gone {
                self.finish(lines, filters, clean).await;
                self.mark("the pod is gone").await;
                return None;
            }
            if now.running || !clean || now.instance.is_none() {
                // The server ended the stream of a container that still runs, or its state is not known yet.
                lines.broke();
                let changed = timeout(wait, self.view.changed()).await;
                if matches!(changed, Ok(Err(_))) {
                    return None;
                }
                if self.view.borrow().instance == instance.instance && !self.view.borrow().gone {
                    return Some(self.again(lines));
                }
                continue;
            }
            if !told_end {
                self.finish(lines, filters, clean).await.then_some(())?;
                let how = now.ended.clone().unwrap_or_else(|| "no reason known".into());
                self.mark(&format!("container ended: {how}")).await.then_some(())?;
                told_end = true;
            }
            tokio::select! {
                changed = self.view.changed() => changed.ok()?,
                () = self.out.closed() => return None,
            }
        }
    }

    /// The request that goes on where the reading stands.
    fn again(&self, lines: &Lines) -> Ask {
        let container = self.source.container.to_string();
        match lines.resume.since() {
            Some(since) => Ask { container, follow: true, since_time: Some(since), ..Ask::default() },
            None => self.first.clone(),
        }
    }

    /// The stream of an instance that has ended since broke: its last lines are in the previous log.
    async fn read_rest(&self, lines: &mut Lines, filters: &mut Filters) {
        let since_time = lines.resume.since();
        let ask = Ask {
            container: self.source.container.to_string(),
            previous: true,
            since_time,
            ..Ask::default()
        };
        lines.broke();
        let mut all = Vec::new();
        if let Ok(mut stream) = reader::open(&self.scope, &self.pod, &ask).await {
            while let Some(Ok(chunk)) = stream.next().await {
                lines.feed(&chunk, &mut all);
                if !self.send(&mut all, filters, None).await {
                    return;
                }
            }
            lines.finish(&mut all);
            self.send(&mut all, filters, None).await;
        }
    }

    async fn pump(&self, stream: ByteStream, lines: &mut Lines, filters: &mut Filters) -> Ended {
        let mut stream = Some(stream);
        let mut all = Vec::new();
        loop {
            let Some(body) = stream.as_mut() else { return Ended::Shed };
            // What has come already is taken along; a batch is sent when there is nothing more to read now.
            let next = match body.ready() {
                Some(next) if all.len() < BATCH => next,
                ready => {
                    if !self.send(&mut all, filters, Some(&mut stream)).await {
                        return Ended::Unread;
                    }
                    let Some(body) = stream.as_mut() else { return Ended::Shed };
                    match ready {
                        Some(next) => next,
                        None => tokio::select! {
                            next = body.next() => next,
                            () = tokio::time::sleep(FOLD), if filters.is_holding() => {
                                filters.flush();
                                continue;
                            }
                            () = self.out.closed() => return Ended::Unread,
                        },
                    }
                }
            };
            match next {
                Some(Ok(chunk)) => lines.feed(&chunk, &mut all),
                end => {
                    filters.ending = true;
                    if !self.send(&mut all, filters, None).await {
                        return Ended::Unread;
                    }
                    return match end {
                        Some(Err(e)) => Ended::Broke(e),
                        _ => Ended::Closed,
                    };
                }
            }
        }
    }

    /// Sends lines on in batches; false once nobody reads. Drops `stream` while the reader takes nothing.
    async fn send(
        &self,
        lines: &mut Vec<Line>,
        filters: &mut Filters,
        mut stream: Option<&mut Option<ByteStream>>,
    ) -> bool {
        let mut ready = filters.pass(std::mem::take(lines));
        while !ready.is_empty() {
            let rest = if ready.len() > BATCH { ready.split_off(BATCH) } else { Vec::new() };
            let room = match timeout(STALLED, self.room(ready.len())).await {
                Ok(room) => room,
                Err(_) => {
                    if let Some(stream) = stream.as_mut() {
                        **stream = None;
                    }
                    self.room(ready.len()).await
                }
            };
            let Some(room) = room else { return false };
            room.send(Told::Lines(self.lane, std::mem::replace(&mut ready, rest)));
        }
        true
    }

    /// Waits until so many lines are taken; `None` once nobody reads.
    async fn room(&self, lines: usize) -> Option<mpsc::Permit<'_, Told>> {
        let credits = self.credits.acquire_many(u32::try_from(lines).unwrap_or(u32::MAX));
        let credits = tokio::select! {
            credits = credits => credits.ok()?,
            () = self.out.closed() => return None,
        };
        let room = self.out.reserve().await.ok()?;
        // Whoever gave them gives them back once the lines have gone on.
        credits.forget();
        Some(room)
    }

    async fn finish(&self, lines: &mut Lines, filters: &mut Filters, clean: bool) -> bool {
        let mut all = Vec::new();
        if clean {
            lines.finish(&mut all);
        }
        filters.ending = true;
        self.send(&mut all, filters, None).await
    }

    async fn mark(&self, text: &str) -> bool {
        let mark = Line::Mark { source: Some(self.source.clone()), text: text.to_owned() };
        let Some(room) = self.room(1).await else { return false };
        room.send(Told::Lines(self.lane, vec![mark]));
        true
    }
}
