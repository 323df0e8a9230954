//! The body of an answer, read piece by piece.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::connect;
use super::error::{Error, Result};

/// A body that is still coming: a watch, a log.
pub struct ByteStream {
    body: Pin<Box<Incoming>>,
    server: Arc<str>,
    content_type: String,
}

impl ByteStream {
    pub(super) fn new(response: http::Response<Incoming>, server: Arc<str>) -> Self {
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self { body: Box::pin(response.into_body()), server, content_type }
    }

    /// In lower case, with its parameters.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    /// The next piece, never empty; `None` at the end. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            match self.body.as_mut().frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Some(Ok(data)),
                    _ => {}
                },
                Err(e) => return Some(Err(connect::explain_body(&self.server, &e))),
            }
        }
    }

    /// The next piece if it has come already: `None` says that there is nothing to read now.
    pub fn ready(&mut self) -> Option<Option<Result<Bytes>>> {
        self.next().now_or_never()
    }

    /// Reads to the end, but not more than `limit` bytes.
    pub async fn collect(mut self, limit: usize, what: &str) -> Result<Bytes> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let mut whole = Vec::new();
        let mut piece = first;
        loop {
            if whole.len() + piece.len() > limit {
                return Err(Error::TooLarge { what: what.to_owned(), limit });
            }
            match self.next().await.transpose()? {
                // One piece is the whole: no copy.
                None if whole.is_empty() => return Ok(piece),
                None => {
                    whole.extend_from_slice(&piece);
                    return Ok(whole.into());
                }
                Some(next) => {
                    whole.extend_from_slice(&piece);
                    piece = next;
                }
            }
        }
    }
}
