//! The other process's end: a [`Transport`] like the gate's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Ask, LONGEST, Tell, WINDOW, What, line};
use crate::base::{Error, Result};
use crate::bus::{Bus, Events};
use crate::gate::client::{Frame, Reply, Request, Transport, Watch};
use crate::gate::interaction::{self, Duplex, Interaction, Output};
use crate::gate::preview::Preview;
use crate::gate::spec::OperationInfo;

/// A gate in another process. Dropping the last handle closes the stream.
pub struct Remote {
    shared: Arc<Shared>,
    catalogue: OnceLock<Arc<[OperationInfo]>>,
    events_wanted: AtomicBool,
    _end: DropGuard,
}

struct Shared {
    next: AtomicU64,
    /// Unbounded in type only: what is queued is bounded by the requests under way and their windows.
    out: mpsc::UnboundedSender<String>,
    waiting: Mutex<Waiting>,
    bus: Bus,
    /// Cancelled once nothing more will come.
    gone: CancellationToken,
}

#[derive(Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Result<What>>>,
    watches: HashMap<u64, mpsc::Sender<Result<Frame>>>,
    talks: HashMap<u64, Talk>,
    /// Why nothing more will come, once that is so.
    over: Option<Error>,
}

/// An interaction: where its output goes, and leave to send inputs.
struct Talk {
    output: mpsc::Sender<Output>,
    credit: Arc<Semaphore>,
}

impl Remote {
    /// Speaks over a stream on which both sides have greeted.
    pub fn over<R, W>(read: R, mut write: W) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (out, mut lines) = mpsc::unbounded_channel::<String>();
        let end = CancellationToken::new();
        let shared = Arc::new(Shared {
            next: AtomicU64::new(1),
            out,
            waiting: Mutex::default(),
            bus: Bus::default(),
            gone: CancellationToken::new(),
        });
        let stop = end.clone();
        tokio::spawn(async move {
            loop {
                let line = tokio::select! {
                    line = lines.recv() => line,
                    () = stop.cancelled() => None,
                };
                let Some(line) = line else { break };
                if write.write_all(line.as_bytes()).await.is_err() {
                    break;
                }
            }
            let _ = write.shutdown().await;
        });
        let (reader, stop) = (shared.clone(), end.clone());
        tokio::spawn(async move {
            let error = tokio::select! {
                error = reader.read(read) => error,
                () = stop.cancelled() => gone("this end closed it"),
            };
            reader.fail(error);
        });
        Self {
            shared,
            catalogue: OnceLock::new(),
            events_wanted: AtomicBool::new(false),
            _end: end.drop_guard(),
        }
    }

    /// Cancelled once the session on the other side is gone.
    pub fn gone(&self) -> CancellationToken {
        self.shared.gone.clone()
    }

    /// Asks for the catalogue, which [`Transport::catalogue`] then gives. A door that is built from
    /// it needs this first; one that knows what it calls does not.
    pub async fn fetch_catalogue(&self) -> Result<()> {
        match self.ask(|id| Ask::Catalogue { id }).await? {
            What::Catalogue(all) => {
                let _ = self.catalogue.set(all.into());
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a request and waits for its answer. Dropping the future cancels the request.
    async fn ask(&self, make: impl FnOnce(u64) -> Ask) -> Result<What> {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting.lock();
            if let Some(error) = &waiting.over {
                return Err(error.clone());
            }
            waiting.answers.insert(id, sender);
        }
        let mut cancel = CancelOnDrop { shared: &self.shared, id, armed: true };
        self.shared.send(&make(id));
        let answer = receiver.await.unwrap_or_else(|_| Err(gone("no answer came")));
        cancel.armed = false;
        answer
    }
}

struct CancelOnDrop<'a> {
    shared: &'a Shared,
    id: u64,
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            {
                let mut waiting = self.shared.waiting.lock();
                waiting.answers.remove(&self.id);
                waiting.watches.remove(&self.id);
            }
            self.shared.send(&Ask::Cancel { id: self.id });
        }
    }
}

impl Shared {
    fn send(&self, ask: &Ask) {
        if let Ok(text) = line(ask) {
            // A closed stream shows in the answers that do not come.
            let _ = self.out.send(text);
        }
    }

    /// Hands out what comes, until the stream ends; says why it did.
    async fn read(&self, read: impl AsyncRead + Unpin) -> Error {
        let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LONGEST));
        loop {
            let text = match lines.next().await {
                Some(Ok(text)) => text,
                Some(Err(e)) => return gone(&e.to_string()),
                None => return gone("the session closed it"),
            };
            match serde_json::from_str::<Tell>(&text) {
                Ok(Tell { what: What::Event(event), .. }) => self.bus.publish(*event),
                Ok(Tell { id: 0, what: What::Error(error) }) => return error,
                Ok(tell) => self.deliver(tell),
                Err(e) => return gone(&format!("a line could not be read: {e}")),
            }
        }
    }

    fn deliver(&self, tell: Tell) {
        let mut waiting = self.waiting.lock();
        match tell.what {
            What::Output(output) => {
                if let Some(talk) = waiting.talks.get(&tell.id) {
                    // There is room: the server keeps to the window.
                    let _ = talk.output.try_send(output);
                }
                return;
            }
            What::Taken(_) => {
                if let Some(talk) = waiting.talks.get(&tell.id) {
                    talk.credit.add_permits(1);
                }
                return;
            }
            _ => {}
        }
        waiting.talks.remove(&tell.id);
        let ends = !matches!(tell.what, What::Frame(_));
        if let Some(answer) = waiting.answers.remove(&tell.id) {
            let result = match tell.what {
                What::Error(error) => Err(error),
                what => Ok(what),
            };
            let _ = answer.send(result);
            return;
        }
        let item = match tell.what {
            What::Frame(frame) => Some(Ok(frame)),
            What::Error(error) => Some(Err(error)),
            _ => None,
        };
        if let (Some(watch), Some(item)) = (waiting.watches.get(&tell.id), item) {
            // There is room: the server keeps to the window, and the last error has a place of its own.
            let _ = watch.try_send(item);
        }
        if ends {
            waiting.watches.remove(&tell.id);
        }
    }

    fn fail(&self, error: Error) {
        let mut waiting = self.waiting.lock();
        for (_, answer) in waiting.answers.drain() {
            let _ = answer.send(Err(error.clone()));
        }
        waiting.talks.clear();
        for (_, watch) in waiting.watches.drain() {
            let _ = watch.try_send(Err(error.clone()));
        }
        waiting.over = Some(error);
        self.gone.cancel();
    }
}

#[async_trait]
impl Transport for Remote {
    async fn call(&self, request: Request) -> Result<Reply> {
        match self.ask(|id| Ask::Call { id, request }).await? {
            What::Reply(reply) => Ok(reply),
            other => Err(unexpected(&other)),
        }
    }

    async fn preview(&self, request: Request) -> Result<Preview> {
        match self.ask(|id| Ask::Preview { id, request }).await? {
            What::Preview(preview) => Ok(*preview),
            other => Err(unexpected(&other)),
        }
    }

    async fn watch(&self, request: Request) -> Result<Watch> {
        let (frames, inner) = mpsc::channel(WINDOW + 2);
        let mut number = 0;
        let shared = self.shared.clone();
        let answer = self.ask(|id| {
            number = id;
            // Before it is asked for: the first frame may come right behind the answer.
            shared.waiting.lock().watches.insert(id, frames);
            Ask::Watch { id, request }
        });
        let answer = answer.await;
        match answer {
            Ok(What::Watching(_)) => Ok(Watch::frames(forward(self.shared.clone(), number, inner))),
            other => {
                self.shared.waiting.lock().watches.remove(&number);
                Err(other.map_or_else(|error| error, |what| unexpected(&what)))
            }
        }
    }

    async fn interact(&self, request: Request) -> Result<Interaction> {
        let (ours, theirs, end) = interaction::pair();
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (output, pieces) = mpsc::channel(WINDOW + 2);
        let (sender, answer) = oneshot::channel();
        let credit = Arc::new(Semaphore::new(WINDOW));
        {
            let mut waiting = self.shared.waiting.lock();
            if let Some(error) = &waiting.over {
                return Err(error.clone());
            }
            waiting.answers.insert(id, sender);
            waiting.talks.insert(id, Talk { output, credit: credit.clone() });
        }
        self.shared.send(&Ask::Interact { id, request });
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let talking = talk(&shared, id, theirs, pieces, &credit);
            talking.await;
            // The last of the output has been passed on: now the result may say that it is over.
            let gave_up = end.is_closed();
            if gave_up {
                {
                    let mut waiting = shared.waiting.lock();
                    waiting.answers.remove(&id);
                    waiting.talks.remove(&id);
                }
                shared.send(&Ask::Cancel { id });
                return;
            }
            let result = match answer.await {
                Ok(Ok(What::Reply(reply))) => Ok(reply),
                Ok(Ok(other)) => Err(unexpected(&other)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(gone("no answer came")),
            };
            let _ = end.send(result);
        });
        Ok(ours)
    }

    fn events(&self) -> Events {
        let events = self.shared.bus.subscribe();
        if !self.events_wanted.swap(true, Ordering::Relaxed) {
            self.shared.send(&Ask::Events);
        }
        events
    }

    fn catalogue(&self) -> Arc<[OperationInfo]> {
        self.catalogue.get().cloned().unwrap_or_else(|| Arc::new([]))
    }
}

/// Passes frames on as the reader takes them, giving the server leave for one more each time, and
/// cancels the watch when the reader is dropped.
fn forward(
    shared: Arc<Shared>,
    id: u64,
    mut inner: mpsc::Receiver<Result<Frame>>,
) -> mpsc::Receiver<Result<Frame>> {
    let (outer, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let item = tokio::select! {
                item = inner.recv() => item,
                () = outer.closed() => break,
            };
            let Some(item) = item else { return };
            if outer.send(item).await.is_err() {
                break;
            }
            shared.send(&Ask::More { id });
        }
        shared.waiting.lock().watches.remove(&id);
        shared.send(&Ask::Cancel { id });
    });
    receiver
}

/// Passes inputs and outputs on until the call is over or its caller has gone.
async fn talk(
    shared: &Shared,
    id: u64,
    ours: Duplex,
    mut pieces: mpsc::Receiver<Output>,
    credit: &Semaphore,
) {
    let Duplex { mut input, output } = ours;
    let inputs = async {
        while let Some(input) = input.recv().await {
            match credit.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => break,
            }
            shared.send(&Ask::Input { id, input });
        }
        // Without its input the call goes on.
        std::future::pending::<()>().await;
    };
    let outputs = async {
        // The channel ends when the answer comes: what came before it is in it still.
        while let Some(piece) = pieces.recv().await {
            if output.send(piece).await.is_err() {
                return;
            }
            shared.send(&Ask::More { id });
        }
    };
    tokio::select! {
        () = inputs => {}
        () = outputs => {}
        () = output.closed() => {}
    }
}

fn gone(why: &str) -> Error {
    Error::unavailable(format!("the connection to the session is gone: {why}"))
        .next("A change may have run: look at its target, or at the audit log, before you make it again.")
}

fn unexpected(what: &What) -> Error {
    let kind = match what {
        What::Reply(_) => "a reply",
        What::Preview(_) => "a preview",
        What::Watching(_) => "a watch",
        What::Frame(_) => "a frame",
        What::Output(_) => "output",
        What::Taken(_) => "leave to send",
        What::End(_) => "an end",
        What::Error(_) => "an error",
        What::Event(_) => "an event",
        What::Catalogue(_) => "a catalogue",
    };
    Error::internal(format!("the session answered with {kind}, which was not asked for"))
}
