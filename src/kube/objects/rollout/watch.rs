//! Following a rollout until it is over: one watch of one object.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::status::{self, State, Status};
use crate::base;
use crate::kube::objects::describe::part::text;
use crate::kube::objects::place::Place;
use crate::kube::{Call, Error};

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
    let live = place.get().await?;
    if tell(&live, keep, sender, last).await {
        return Ok(Ended::Over);
    }
    let call = Call::get(place.resource.path(place.namespace.as_deref(), None))
        .query("watch", "true")
        .query("fieldSelector", format!("metadata.name={}", place.name))
        .query("resourceVersion", text(&live, "/metadata/resourceVersion"));
    let mut stream = place.cluster.stream(call).await?;
    let mut held = Vec::new();
    while let Some(piece) = stream.next().await {
        held.extend_from_slice(&piece?);
        while let Some(end) = memchr::memchr(b'\n', &held) {
            let line: Vec<u8> = held.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).map_err(|e| Error::Decode {
                server: place.cluster.server(),
                what: "JSON",
                reason: e.to_string(),
            })?;
            match text(&event, "/type").as_str() {
                "DELETED" => {
                    return Err(base::Error::not_found(format!("{} was deleted", place.words())));
                }
                // Too old a version: read anew.
                "ERROR" => return Ok(Ended::Again),
                _ if tell(&event["object"], keep, sender, last).await => return Ok(Ended::Over),
                _ => {}
            }
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
