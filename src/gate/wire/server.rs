//! The session's end: one actor's requests on one stream.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{AT_ONCE, Ask, LONGEST, Tell, WINDOW, What, line};
use crate::base::{Code, Error, Result};
use crate::gate::client::{Client, Request};
use crate::gate::interaction::Input;

/// What runs for one request.
struct Running {
    abort: AbortHandle,
    /// Leave to send frames of a watch.
    credit: Arc<Semaphore>,
    /// Where the inputs of an interaction go.
    input: Option<mpsc::Sender<Input>>,
}

struct Connection {
    client: Client,
    /// Lines for the writer. Bounded: a client that does not read stops what it asked for.
    out: mpsc::Sender<String>,
    running: Arc<Mutex<HashMap<u64, Running>>>,
    tasks: JoinSet<()>,
    events: bool,
}

/// Serves `client`'s actor until the stream ends; what was under way is dropped then.
pub async fn serve<R, W>(client: Client, read: R, mut write: W) -> Result<()>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (out, mut lines) = mpsc::channel::<String>(64);
    let writer = tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if write.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    });
    let mut connection =
        Connection { client, out, running: Arc::default(), tasks: JoinSet::new(), events: false };
    let mut asks = FramedRead::new(read, LinesCodec::new_with_max_length(LONGEST));
    let ended = loop {
        tokio::select! {
            ask = asks.next() => match ask {
                None => break Ok(()),
                Some(Err(e)) => break Err(Error::invalid(format!("the connection broke: {e}"))),
                Some(Ok(text)) => match super::read::<Ask>(&text) {
                    Ok(ask) => connection.take(ask).await,
                    // Which request it was cannot be known, so that the stream cannot go on.
                    Err(error) => break Err(error),
                },
            },
            // Collects the ended; without it the set would grow.
            Some(_) = connection.tasks.join_next(), if !connection.tasks.is_empty() => {}
        }
    };
    if let Err(error) = &ended {
        connection.tell(0, What::Error(error.clone())).await;
    }
    drop(connection);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), writer).await;
    ended
}

impl Connection {
    async fn tell(&self, id: u64, what: What) {
        send(&self.out, id, what).await;
    }

    async fn take(&mut self, ask: Ask) {
        match ask {
            Ask::More { id } => {
                if let Some(running) = self.running.lock().get(&id)
                    && running.credit.available_permits() < WINDOW
                {
                    running.credit.add_permits(1);
                }
            }
            Ask::Cancel { id } => {
                if let Some(running) = self.running.lock().remove(&id) {
                    running.abort.abort();
                }
            }
            Ask::Events => self.forward_events(),
            Ask::Catalogue { id } => {
                let all = self.client.catalogue().to_vec();
                self.tell(id, What::Catalogue(all)).await;
            }
            Ask::Call { id, request } => self.start(id, request, Kind::Call).await,
            Ask::Preview { id, request } => self.start(id, request, Kind::Preview).await,
            Ask::Watch { id, request } => self.start(id, request, Kind::Watch).await,
            Ask::Interact { id, request } => self.start(id, request, Kind::Interact).await,
            Ask::Input { id, input } => {
                if let Some(Running { input: Some(sender), .. }) = self.running.lock().get(&id) {
                    // There is room: the client keeps to the window.
                    let _ = sender.try_send(input);
                }
            }
        }
    }

    async fn start(&mut self, id: u64, request: Request, kind: Kind) {
        let full = {
            let running = self.running.lock();
            running.len() >= AT_ONCE || running.contains_key(&id)
        };
        if full {
            let text = format!("more than {AT_ONCE} requests at once, or the number {id} twice");
            return self.tell(id, What::Error(Error::new(Code::RateLimited, text))).await;
        }
        let credit = Arc::new(Semaphore::new(WINDOW));
        let (input, inputs) = mpsc::channel(WINDOW + 2);
        let work = Work {
            client: self.client.clone(),
            out: self.out.clone(),
            id,
            credit: credit.clone(),
            inputs: Mutex::new(Some(inputs)),
        };
        let running = self.running.clone();
        // Held while it is spawned: a task that ends at once must find its entry.
        let mut table = self.running.lock();
        let abort = self.tasks.spawn(async move {
            work.run(request, kind).await;
            running.lock().remove(&id);
        });
        table.insert(id, Running { abort, credit, input: matches!(kind, Kind::Interact).then_some(input) });
    }

    fn forward_events(&mut self) {
        if std::mem::replace(&mut self.events, true) {
            return;
        }
        let mut events = self.client.events();
        let out = self.out.clone();
        self.tasks.spawn(async move {
            while let Some(event) = events.next().await {
                if !send(&out, 0, What::Event(Box::new((*event).clone()))).await {
                    return;
                }
            }
        });
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Call,
    Preview,
    Watch,
    Interact,
}

struct Work {
    client: Client,
    out: mpsc::Sender<String>,
    id: u64,
    credit: Arc<Semaphore>,
    inputs: Mutex<Option<mpsc::Receiver<Input>>>,
}

impl Work {
    async fn run(&self, request: Request, kind: Kind) {
        let what = match kind {
            Kind::Call => self.client.call(request).await.map(What::Reply),
            Kind::Preview => self.client.preview(request).await.map(|p| What::Preview(Box::new(p))),
            Kind::Watch => return self.watch(request).await,
            Kind::Interact => return self.interact(request).await,
        };
        send(&self.out, self.id, what.unwrap_or_else(What::Error)).await;
    }

    async fn interact(&self, request: Request) {
        let mut interaction = match self.client.interact(request).await {
            Ok(interaction) => interaction,
            Err(error) => {
                send(&self.out, self.id, What::Error(error)).await;
                return;
            }
        };
        let inputs = self.inputs.lock().take();
        let (input, out, id) = (interaction.input(), self.out.clone(), self.id);
        let passing = async move {
            if let Some(mut inputs) = inputs {
                while let Some(piece) = inputs.recv().await {
                    if input.send(piece).await.is_err() || !send(&out, id, What::Taken(true)).await {
                        break;
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let outputs = async {
            while let Some(output) = interaction.next().await {
                match self.credit.acquire().await {
                    Ok(permit) => permit.forget(),
                    Err(_) => return,
                }
                if !send(&self.out, self.id, What::Output(output)).await {
                    return;
                }
            }
        };
        tokio::select! {
            () = outputs => {}
            () = passing => {}
        }
        let what = interaction.end().await.map_or_else(What::Error, What::Reply);
        send(&self.out, self.id, what).await;
    }

    async fn watch(&self, request: Request) {
        let mut watch = match self.client.watch(request).await {
            Ok(watch) => watch,
            Err(error) => {
                send(&self.out, self.id, What::Error(error)).await;
                return;
            }
        };
        send(&self.out, self.id, What::Watching(true)).await;
        loop {
            // Leave first, frame second: what is merged while the reader is slow is merged in the feed.
            match self.credit.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return,
            }
            let what = match watch.next().await {
                Some(Ok(frame)) => What::Frame(frame),
                Some(Err(error)) => What::Error(error),
                None => What::End(true),
            };
            let last = !matches!(what, What::Frame(_));
            if !send(&self.out, self.id, what).await || last {
                return;
            }
        }
    }
}

/// Returns false once nobody reads any more.
async fn send(out: &mpsc::Sender<String>, id: u64, what: What) -> bool {
    match line(&Tell { id, what }) {
        Ok(text) => out.send(text).await.is_ok(),
        Err(_) => false,
    }
}
