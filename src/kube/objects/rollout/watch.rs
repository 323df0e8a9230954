//! Following a rollout until it is over: one watch of one object.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::status::{self, State, Status};
use crate::base;
use crate::kube::objects::place::Place;
use crate::kube::objects::states::States;

/// Between two tries to watch again.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of one watch.
enum Ended {
    /// There is nothing more to tell.
    Over,
    /// The server ended it: watched again.
    Again,
}

/// Tells each change of the status, until the rollout is over (unless `keep`), nobody listens, or it is cancelled. An
/// error is the last that is told.
pub async fn follow(
    place: Place,
    keep: bool,
    sender: mpsc::Sender<base::Result<Status>>,
    cancel: CancellationToken,
) {
    let mut last: Option<Status> = None;
    loop {
        let once = tokio::select! {
            once = watch(&place, keep, &sender, &mut last) => once,
            () = cancel.cancelled() => return,
            () = sender.closed() => return,
        };
        match once {
            Ok(Ended::Over) => return,
            Ok(Ended::Again) => {}
            Err(e) if e.code == base::Code::Unavailable || e.code == base::Code::Timeout => {}
            Err(e) => {
                let _ = sender.send(Err(e)).await;
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn watch(
    place: &Place,
    keep: bool,
    sender: &mpsc::Sender<base::Result<Status>>,
    last: &mut Option<Status>,
) -> base::Result<Ended> {
    let mut states = States::of(place);
    while let Some(object) = states.next().await? {
        if tell(&object, keep, sender, last).await {
            return Ok(Ended::Over);
        }
    }
    Ok(Ended::Again)
}

/// Tells a status that is news; true if it was the last one.
async fn tell(
    object: &Value,
    keep: bool,
    sender: &mpsc::Sender<base::Result<Status>>,
    last: &mut Option<Status>,
) -> bool {
    let status = status::of(object);
    let over = matches!(status.state, State::Complete | State::Failed | State::Manual) && !keep;
    if last.as_ref() != Some(&status) {
        *last = Some(status.clone());
        if sender.send(Ok(status.clone())).await.is_err() {
            return true;
        }
    }
    if over && status.state == State::Failed {
        let error = base::Error::unavailable(format!("the rollout failed: {}", status.message));
        let _ = sender.send(Err(error.next("Look at its newest pods, or go back with rollout_undo."))).await;
    }
    over
}
