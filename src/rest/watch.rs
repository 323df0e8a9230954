//! A long read as a stream of JSON lines or of server-sent events.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::base::Result;
use crate::gate::auth::Standing;
use crate::gate::{Frame, Watch};

/// Something is sent at least this often, so that a reader that is gone is noticed.
const ALIVE: Duration = Duration::from_secs(15);

struct Stream {
    watch: Watch,
    events: bool,
    stop: CancellationToken,
    standing: Option<Standing>,
    over: bool,
}

/// The frames as they come. Dropping the response, as the server does when the client is gone,
/// drops the watch.
pub fn stream(watch: Watch, request: &http::request::Parts, stop: CancellationToken) -> Response {
    let accept = request.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let events = accept.contains("text/event-stream");
    let standing = request.extensions.get::<Standing>().cloned();
    let stream = Stream { watch, events, stop, standing, over: false };
    let body = futures::stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), stream))
    });
    let mut response = Response::new(Body::from_stream(body));
    let kind = if events { "text/event-stream" } else { "application/x-ndjson" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let item = tokio::select! {
            item = self.watch.next() => item?,
            () = tokio::time::sleep(ALIVE) => {
                // A comment in one form, an empty line in the other.
                return Some(Bytes::from_static(if self.events { b":\n\n" } else { b"\n" }));
            }
            () = self.stop.cancelled() => return None,
        };
        let item = self.standing.as_ref().map_or(Ok(()), Standing::check).and(item);
        self.over = item.is_err();
        Some(self.write(item))
    }

    fn write(&self, item: Result<Frame>) -> Bytes {
        let (name, value) = match item {
            Ok(frame) => ("frame", serde_json::to_value(frame).unwrap_or(Value::Null)),
            Err(error) => ("error", json!({ "error": error })),
        };
        let text =
            if self.events { format!("event: {name}\ndata: {value}\n\n") } else { format!("{value}\n") };
        Bytes::from(text)
    }
}
