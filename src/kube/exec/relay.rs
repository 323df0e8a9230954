//! Passing a process through to a caller who talks with it.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::process::{Piece, Process, Put};
use super::status::Exit;
use crate::base::{self, Code};

/// How long a shell that lost its caller may take to end by itself.
const HANGUP: Duration = Duration::from_millis(300);

const BETWEEN: Duration = Duration::from_millis(150);

/// How a relayed process ended.
#[derive(Debug)]
pub struct Relayed {
    pub exit: Exit,
    /// Bytes that the process wrote.
    pub bytes: u64,
}

/// Passes `puts` to the process, and its pieces to `output` in the caller's own form, until it ends or the caller goes.
///
/// With `hang_up` a caller who goes ends the process as a closed terminal does.
///
/// # Errors
///
/// [`Code::Cancelled`]: the caller has gone.
pub async fn relay<P, O>(
    mut process: Process,
    mut puts: mpsc::Receiver<P>,
    output: mpsc::Sender<O>,
    put: impl Fn(P) -> Put,
    wrap: impl Fn(Piece) -> O,
    hang_up: bool,
) -> base::Result<Relayed> {
    let input = process.input.clone();
    let passing = async {
        while let Some(one) = puts.recv().await {
            if input.send(put(one)).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut bytes = 0;
    let reading = async {
        while let Some(piece) = process.next().await? {
            bytes += match &piece {
                Piece::Out(b) | Piece::Error(b) => b.len() as u64,
            };
            if output.send(wrap(piece)).await.is_err() {
                return Ok(None);
            }
        }
        process.exit().cloned().map(Some)
    };
    let ended = tokio::select! {
        ended = reading => ended?,
        () = passing => None,
        () = output.closed() => None,
    };
    match ended {
        Some(exit) => Ok(Relayed { exit, bytes }),
        None => {
            if !hang_up {
                return Err(base::Error::new(Code::Cancelled, "the caller left; the process goes on"));
            }
            // A shell whose connection merely goes away stays, as no hang-up reaches it: Ctrl-c ends what it runs, and
            // Ctrl-d itself. Not at once, as some throw away what was typed before their prompt.
            for key in [b"\x03", b"\x04"] {
                let _ = tokio::time::timeout(HANGUP, input.send(Put::Bytes(Bytes::from_static(key)))).await;
                let _ = tokio::time::timeout(BETWEEN, drain(&mut process)).await;
            }
            let _ = tokio::time::timeout(HANGUP, input.send(Put::End)).await;
            let _ = tokio::time::timeout(HANGUP, drain(&mut process)).await;
            Err(base::Error::new(Code::Cancelled, "the caller left before the command had ended"))
        }
    }
}

async fn drain(process: &mut Process) {
    while let Ok(Some(_)) = process.next().await {}
}
