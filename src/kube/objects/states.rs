//! One object, followed: what it is, and then each state that it comes to.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::describe::part::text;
use super::place::Place;
use crate::base;
use crate::kube::stream::ByteStream;
use crate::kube::{Call, Error};

/// Between two tries to watch again.
const PAUSE: Duration = Duration::from_secs(1);

/// The states of one object: one GET, and then one watch until the server ends it.
pub struct States<'a> {
    place: &'a Place,
    /// The version that was read, once it was.
    from: Option<String>,
    stream: Option<ByteStream>,
    held: Vec<u8>,
}

impl<'a> States<'a> {
    pub fn of(place: &'a Place) -> Self {
        Self { place, from: None, stream: None, held: Vec::new() }
    }

    /// The next state. `None`: the server ended the watch, and it is to be begun anew.
    ///
    /// # Errors
    ///
    /// It was deleted, or cannot be read.
    pub async fn next(&mut self) -> base::Result<Option<Value>> {
        let Some(from) = &self.from else {
            let live = self.place.get().await?;
            self.from = Some(text(&live, "/metadata/resourceVersion"));
            return Ok(Some(live));
        };
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let call = Call::get(self.place.resource.path(self.place.namespace.as_deref(), None))
                    .query("watch", "true")
                    .query("fieldSelector", format!("metadata.name={}", self.place.name))
                    .query("resourceVersion", from);
                none.insert(self.place.cluster.stream(call).await?)
            }
        };
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held) {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).map_err(|e| Error::Decode {
                    server: self.place.cluster.server(),
                    what: "JSON",
                    reason: e.to_string(),
                })?;
                return match text(&event, "/type").as_str() {
                    "DELETED" => Err(base::Error::not_found(format!("{} was deleted", self.place.words()))),
                    // Too old a version: read anew.
                    "ERROR" => Ok(None),
                    _ => Ok(Some(event["object"].take())),
                };
            }
            match stream.next().await {
                Some(piece) => self.held.extend_from_slice(&piece?),
                None => return Ok(None),
            }
        }
    }
}

/// Waits until the object is as `wanted` says, and gives it. `None` if that does not come within `time`. Each state on the
/// way is told to `told`.
pub async fn until(
    place: &Place,
    time: Duration,
    wanted: impl Fn(&Value) -> bool,
    told: impl Fn(&Value),
) -> base::Result<Option<Value>> {
    let end = Instant::now() + time;
    loop {
        let mut states = States::of(place);
        loop {
            let Ok(next) = tokio::time::timeout_at(end, states.next()).await else { return Ok(None) };
            match next {
                Ok(Some(object)) if wanted(&object) => return Ok(Some(object)),
                Ok(Some(object)) => told(&object),
                Ok(None) => break,
                Err(e) if matches!(e.code, base::Code::Unavailable | base::Code::Timeout) => break,
                Err(e) => return Err(e),
            }
        }
        if tokio::time::timeout_at(end, tokio::time::sleep(PAUSE)).await.is_err() {
            return Ok(None);
        }
    }
}
