//! Answers that come compressed.
//!
//! API servers compress what is larger than 128 KiB where that is asked for (`APIResponseCompression`), but never a stream. Of
//! 500 pods a page of protobuf comes down from 1.4 MB to 64 KB and one of a Table from 2.9 MB to 125 KB; even on loopback that took
//! no longer, so it is asked for everywhere.

use std::io::Read as _;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http::{HeaderMap, Method};

use super::call::Call;

/// The call, saying that its answer may be compressed if it reads something.
pub(super) fn offered(call: Call) -> Call {
    if call.method == Method::GET {
        call.header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
    } else {
        call
    }
}

pub(super) fn is_used(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// The body as it was before, up to `limit` bytes. A thread does it: megabytes take a while.
pub(super) async fn decode(body: Bytes, limit: usize) -> Result<Bytes, String> {
    tokio::task::spawn_blocking(move || inflate(&body, limit)).await.map_err(|e| e.to_string())?
}

fn inflate(body: &[u8], limit: usize) -> Result<Bytes, String> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut whole = Vec::new();
    // One byte more than is allowed tells whether there is more.
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(most.saturating_add(1));
    reader.read_to_end(&mut whole).map_err(|e| e.to_string())?;
    if whole.len() > limit {
        return Err(format!("it is larger than {limit} bytes"));
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_compressed_comes_back_and_a_bomb_does_not() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let text = "pods ".repeat(100_000);
        encoder.write_all(text.as_bytes()).unwrap();
        let small = encoder.finish().unwrap();
        assert!(small.len() < 10_000);
        assert_eq!(inflate(&small, text.len()).unwrap(), text.as_bytes());
        assert!(inflate(&small, text.len() - 1).unwrap_err().contains("larger"));
        assert!(inflate(&small[..small.len() / 2], text.len()).is_err(), "half of it is no answer");
        assert!(inflate(b"{}", 100).is_err());
    }
}
