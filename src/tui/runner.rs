//! The loop that owns the terminal: input first, then what came in, then at most one frame.

use std::time::{Duration, Instant};

use crossterm::event::EventStream;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::app::{App, Dirty, Options, Outbound};
use super::executor::Envelope;
use super::files::Files;
use super::terminal::{self, Guard};
use crate::base::{Error, Result};
use crate::bus::Events;
use crate::gate::{Client, Request, talk};

/// The least time between two frames, whatever happens.
const GAP: Duration = Duration::from_millis(5);
/// The least time between two frames that only show what came in.
const FLOOD_GAP: Duration = Duration::from_millis(34);
/// How long messages are taken in before the screen and the keys get their turn.
const BUDGET: Duration = Duration::from_millis(5);
/// The least time between two publications of the focus.
const FOCUS_GAP: Duration = Duration::from_millis(100);
/// The longest sleep: the wall clock may be set while we sleep.
const LONGEST: Duration = Duration::from_secs(60);

/// Everything that can wake the loop.
struct Sources {
    /// Absent while an editor has the terminal.
    input: Option<Input>,
    messages: mpsc::Receiver<Envelope>,
    events: Events,
    files: Files,
    terminate: Signal,
    hangup: Signal,
    focus: FocusPublisher,
    /// When something on the screen changes by time alone.
    due: Option<Timestamp>,
}

#[allow(clippy::large_enum_variant, reason = "one at a time, taken apart at once")]
enum Woken {
    Input(Option<std::io::Result<crossterm::event::Event>>),
    Message(Option<Envelope>),
    Event(Option<std::sync::Arc<crate::bus::Event>>),
    Files,
    Signal,
    Time,
    Published,
}

/// The terminal's events, read by a task of their own. Polling the stream itself without waiting would leave it
/// with a waker that wakes nobody: it keeps the first one that it is given.
struct Input {
    events: mpsc::Receiver<std::io::Result<crossterm::event::Event>>,
    /// Ends with this: a task left behind would take the next key from whoever reads then.
    task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Input {
    fn start() -> Self {
        let (sender, events) = mpsc::channel(256);
        let task = tokio::spawn(async move {
            let mut stream = EventStream::new();
            while let Some(event) = stream.next().await {
                if sender.send(event).await.is_err() {
                    return;
                }
            }
        });
        Self { events, task: tokio_util::task::AbortOnDropHandle::new(task) }
    }

    /// Returns once nobody reads the terminal any more.
    async fn stop(self) {
        self.task.abort();
        // That it was aborted is what we wait for.
        let _ = self.task.await;
    }
}

/// Runs the console until the operator leaves it. Writing to a slow terminal blocks the thread that
/// polls this: let it be `Runtime::block_on`'s, which is no worker's.
pub async fn run(client: Client, options: Options) -> Result<()> {
    let mouse = options.mouse;
    let events = client.events();
    let (mut app, messages) = App::new(client.clone(), options)?;
    let files = Files::of(app.watched_folder());
    let mut guard = Guard::take(terminal::Options { mouse })?;
    let mut sources = Sources {
        input: Some(Input::start()),
        messages,
        events,
        files,
        terminate: listen(SignalKind::terminate())?,
        hangup: listen(SignalKind::hangup())?,
        focus: FocusPublisher::new(client),
        due: None,
    };
    let mut last_frame: Option<Instant> = None;
    while !app.wants_quit() {
        let woken = sources.next(&app, last_frame).await;
        if !sources.take(&mut app, woken) {
            break;
        }
        sources.drain(&mut app);
        outbound(&mut app, &mut guard, &mut sources).await?;
        if app.dirty() != Dirty::No && frame_due(&app, last_frame) <= Instant::now() {
            if app.dirty() == Dirty::Everything {
                guard.redraw()?;
            }
            guard.draw(|frame| app.draw(frame.buffer_mut()))?;
            last_frame = Some(Instant::now());
            sources.due = None;
        }
        sources.focus.publish(&mut app);
    }
    Ok(())
}

async fn next_input(input: &mut Option<Input>) -> Option<std::io::Result<crossterm::event::Event>> {
    match input {
        Some(input) => input.events.recv().await,
        None => std::future::pending().await,
    }
}

/// When the next frame may be drawn.
fn frame_due(app: &App, last: Option<Instant>) -> Instant {
    let Some(last) = last else { return Instant::now() };
    match app.dirty() {
        Dirty::No | Dirty::Data => last + FLOOD_GAP,
        Dirty::Input | Dirty::Everything => last + GAP,
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::unavailable(format!("signals cannot be listened to: {e}")))
}

impl Sources {
    /// Waits for whatever comes first; input is looked at before the rest.
    async fn next(&mut self, app: &App, last_frame: Option<Instant>) -> Woken {
        let sleep = self.sleep(app, last_frame);
        tokio::select! {
            biased;
            input = next_input(&mut self.input) => Woken::Input(input),
            _ = self.terminate.recv() => Woken::Signal,
            _ = self.hangup.recv() => Woken::Signal,
            () = tokio::time::sleep(sleep) => Woken::Time,
            message = self.messages.recv() => Woken::Message(message),
            event = self.events.next() => Woken::Event(event),
            () = self.files.changed() => Woken::Files,
            () = self.focus.done() => Woken::Published,
        }
    }

    fn sleep(&mut self, app: &App, last_frame: Option<Instant>) -> Duration {
        let now = Instant::now();
        let mut sleep = LONGEST;
        if app.dirty() != Dirty::No {
            sleep = sleep.min(frame_due(app, last_frame).saturating_duration_since(now));
        }
        if let Some(due) = self.focus.due() {
            sleep = sleep.min(due.saturating_duration_since(now));
        }
        // What is drawn changes at the earliest time told since: told anew, it is always still to come.
        self.due = self.due.into_iter().chain(app.wake()).min();
        if let Some(at) = self.due {
            let wait = at.duration_since(Timestamp::now());
            // A millisecond late shows the new text; one early shows the old one again.
            sleep = sleep.min(Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(1));
        }
        sleep
    }

    /// False once there is nothing to go on with.
    fn take(&mut self, app: &mut App, woken: Woken) -> bool {
        match woken {
            Woken::Input(Some(Ok(input))) => app.input(input),
            // The terminal is gone.
            Woken::Input(_) | Woken::Signal => return false,
            Woken::Message(Some(envelope)) => app.receive(envelope),
            Woken::Event(Some(event)) => app.event(event),
            Woken::Message(None) | Woken::Event(None) => return false,
            Woken::Files => app.reload_files(),
            Woken::Time => {
                if self.due.take_if(|at| *at <= app.now()).is_some() {
                    app.woken();
                }
            }
            Woken::Published => {}
        }
        true
    }

    /// Takes in what waits, for a bounded time, a key always before the rest.
    fn drain(&mut self, app: &mut App) {
        let start = Instant::now();
        while start.elapsed() < BUDGET && !app.wants_quit() {
            if let Some(Ok(Ok(input))) = self.input.as_mut().map(|input| input.events.try_recv()) {
                app.input(input);
            } else if let Ok(envelope) = self.messages.try_recv() {
                app.receive(envelope);
            } else if let Some(Some(event)) = self.events.next().now_or_never() {
                app.event(event);
            } else {
                return;
            }
        }
    }
}

/// What only the owner of the terminal can do.
async fn outbound(app: &mut App, guard: &mut Guard, sources: &mut Sources) -> Result<()> {
    while let Some(outbound) = app.outbound() {
        match outbound {
            Outbound::Copy(text) => guard.copy(&text)?,
            Outbound::Bell => guard.bell()?,
            Outbound::Editor { ticket, text, suffix, line } => {
                // Two readers of one terminal would share its keys between them.
                if let Some(input) = sources.input.take() {
                    input.stop().await;
                }
                let result = guard.edit(&text, suffix, line);
                sources.input = Some(Input::start());
                app.edited(ticket, result);
            }
            Outbound::Terminal { ticket, request } => {
                if let Some(input) = sources.input.take() {
                    input.stop().await;
                }
                let client = app.client().clone();
                let result = guard.lend(client.call(request)).await;
                sources.input = Some(Input::start());
                app.returned(ticket, result?);
            }
            Outbound::Talk { ticket, label } => {
                let Some(interaction) = app.take_talk(ticket) else { continue };
                if let Some(input) = sources.input.take() {
                    input.stop().await;
                }
                let result = guard.lend_as(&label, talk::terminal(interaction)).await?;
                sources.input = Some(Input::start());
                app.talked(ticket, &result);
            }
        }
    }
    Ok(())
}

/// Publishes the focus, one call at a time.
struct FocusPublisher {
    client: Client,
    running: Option<tokio::task::JoinHandle<()>>,
    last: Option<Instant>,
    /// The screen changed since the last publication.
    pending: bool,
}

impl FocusPublisher {
    fn new(client: Client) -> Self {
        Self { client, running: None, last: None, pending: false }
    }

    fn due(&self) -> Option<Instant> {
        (self.pending && self.running.is_none())
            .then(|| self.last.map_or_else(Instant::now, |at| at + FOCUS_GAP))
    }

    /// Returns when the running publication is over. Safe to cancel.
    async fn done(&mut self) {
        match &mut self.running {
            Some(task) => {
                // A publication that failed is followed by the next one.
                let _ = task.await;
                self.running = None;
            }
            None => std::future::pending().await,
        }
    }

    fn publish(&mut self, app: &mut App) {
        self.pending |= app.take_drawn();
        if self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.pending = false;
        self.last = Some(Instant::now());
        if let Some(request) = app.focus_request() {
            let client = self.client.clone();
            self.running = Some(tokio::spawn(publish(client, request)));
        }
    }
}

async fn publish(client: Client, request: Request) {
    if let Err(error) = client.call(request).await {
        tracing::debug!(%error, "the focus was not published");
    }
}
