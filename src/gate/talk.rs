//! Joins this process's own terminal, or its pipes, to an interaction.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::client::Reply;
use super::interaction::{Input, Interaction, Output};
use crate::base::tty::{self, Escape, Raw, Typed};
use crate::base::{Code, Error, Result};

/// Hands the terminal to the other side until the call ends, or until the person leaves (Enter, `~`, `.`). Nobody else may
/// read or write the terminal meanwhile. The thread that polls this may be blocked by a slow terminal.
///
/// # Errors
///
/// [`Code::Cancelled`]: the person left, or a signal asked to end.
pub async fn terminal(mut interaction: Interaction) -> Result<Reply> {
    let lost = |e: io::Error| Error::unavailable(format!("the terminal cannot be used: {e}"));
    let mut raw = Raw::enter().map_err(lost)?;
    let (left, leaving) = oneshot::channel();
    let typed = Typed::start().map_err(lost)?;
    let typing = AbortOnDropHandle::new(tokio::spawn(type_keys(typed, interaction.input(), left)));
    let sizes = AbortOnDropHandle::new(tokio::spawn(follow_size(
        interaction.input(),
        listen(SignalKind::window_change())?,
    )));
    let (mut terminate, mut hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let mut leaving = std::pin::pin!(leaving);
    let stopped = loop {
        tokio::select! {
            output = interaction.next() => match output {
                // A terminal that is gone says so by its hang-up.
                Some(Output { bytes, .. }) => drop(raw.write(&bytes)),
                None => break false,
            },
            _ = &mut leaving => break true,
            _ = terminate.recv() => break true,
            _ = hangup.recv() => break true,
        }
    };
    drop((typing, sizes, raw));
    if stopped {
        drop(interaction);
        return Err(Error::new(Code::Cancelled, "you left it"));
    }
    interaction.end().await
}

/// Sends what is typed, until the keys to leave come.
async fn type_keys(mut typed: Typed, input: mpsc::Sender<Input>, left: oneshot::Sender<()>) {
    let mut escape = Escape::default();
    while let Some(bytes) = typed.next().await {
        let (bytes, leave) = escape.pass(&bytes);
        if leave {
            let _ = left.send(());
            return;
        }
        if !bytes.is_empty() && input.send(Input::Bytes(bytes.into())).await.is_err() {
            break;
        }
    }
    // The call has ended, or the terminal: both are seen elsewhere. Dropping `left` would look like leaving.
    std::future::pending::<()>().await;
    drop(left);
}

async fn follow_size(input: mpsc::Sender<Input>, mut changes: Signal) {
    loop {
        if let Some((columns, rows)) = tty::size()
            && input.send(Input::Size { columns, rows }).await.is_err()
        {
            return;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}

/// Passes standard input on to its end, if it is wanted, and writes what comes to standard output and error.
///
/// # Errors
///
/// [`Code::Cancelled`]: a signal asked to end, or nobody reads the output any more.
pub async fn pipes(mut interaction: Interaction, stdin: bool) -> Result<Reply> {
    let feeding = if stdin {
        let typed =
            Typed::start().map_err(|e| Error::unavailable(format!("standard input cannot be read: {e}")))?;
        Some(AbortOnDropHandle::new(tokio::spawn(feed(typed, interaction.input()))))
    } else {
        None
    };
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let why = loop {
        tokio::select! {
            output = interaction.next() => match output {
                Some(Output { error, bytes }) => {
                    if let Err(e) = tty::write(error, &bytes) {
                        break format!("its output can be written no more: {e}");
                    }
                }
                None => {
                    drop(feeding);
                    return interaction.end().await;
                }
            },
            _ = interrupt.recv() => break "it was interrupted".to_owned(),
            _ = terminate.recv() => break "it was told to end".to_owned(),
        }
    };
    Err(Error::new(Code::Cancelled, format!("the command was left: {why}")))
}

async fn feed(mut typed: Typed, input: mpsc::Sender<Input>) {
    while let Some(bytes) = typed.next().await {
        if input.send(Input::Bytes(bytes)).await.is_err() {
            return;
        }
    }
    let _ = input.send(Input::End).await;
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::unavailable(format!("signals cannot be listened to: {e}")))
}
