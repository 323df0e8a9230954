//! Refuses JSON in which an object names a key twice.
//!
//! Two readers of `{"replicas": 1, "replicas": 100}` may each see another value: what a person
//! approves must be what runs (OWASP AISVS 9.2.8). A parsed value no longer shows it, so the bytes
//! are looked at before.

use std::cell::RefCell;
use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio_util::sync::CancellationToken;

/// The longest line that is looked at; the transport has the same limit.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// The method that a refused message goes on with, so that it is answered in its turn.
pub const REFUSED: &str = "quarterdeck/refused";

/// The first key that is there twice in one object, if any. Text that is not JSON has none: the
/// parser says what is wrong with it.
pub fn find(json: &[u8]) -> Option<String> {
    let found = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(json);
    // The error only stops the walk; a syntax error is for the parser to report.
    let _ = Walk(&found).deserialize(&mut reader);
    found.into_inner()
}

#[derive(Clone, Copy)]
struct Walk<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                *self.0.borrow_mut() = Some(key);
                return Err(serde::de::Error::custom("twice"));
            }
            seen.insert(key);
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What is said about a key that is there twice.
pub fn message(key: &str) -> String {
    format!("the key {:?} is there twice in one object", crate::base::SafeText::new(key).as_str())
}

/// Reads lines from `R` and gives them on, refused ones as a request that is answered with the error.
pub struct Checked<R> {
    inner: BufReader<R>,
    /// The line so far.
    line: Vec<u8>,
    /// What is still to be given on, from `given` on.
    out: Vec<u8>,
    given: usize,
    ended: bool,
    /// Cancelled when the other side has closed its end: nobody waits for a decision any more.
    gone: CancellationToken,
}

impl<R: AsyncRead> Checked<R> {
    pub fn new(inner: R, gone: CancellationToken) -> Self {
        let inner = BufReader::new(inner);
        Self { inner, line: Vec::new(), out: Vec::new(), given: 0, ended: false, gone }
    }

    fn finish_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.given = 0;
        self.out = match find(&line) {
            None => line,
            Some(key) => refusal(&line, &key),
        };
    }
}

/// The line that takes a refused one's place. A notification has no answer: it is dropped.
fn refusal(line: &[u8], key: &str) -> Vec<u8> {
    /// Only the identifier; where that itself is there twice, the last one is answered.
    #[derive(serde::Deserialize)]
    struct Envelope {
        id: Option<Value>,
    }
    let first: Option<Envelope> = serde_json::from_slice(line).ok();
    let id = match first {
        Some(envelope) => envelope.id,
        None => serde_json::from_slice::<Value>(line).ok().and_then(|v| v.get("id").cloned()),
    };
    let Some(id) = id.filter(|id| !id.is_null()) else { return b"\n".to_vec() };
    let params = json!({ "message": message(key) });
    let mut out =
        json!({ "jsonrpc": "2.0", "id": id, "method": REFUSED, "params": params }).to_string().into_bytes();
    out.push(b'\n');
    out
}

impl<R: AsyncRead + Unpin> AsyncRead for Checked<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.given < this.out.len() {
                let n = buffer.remaining().min(this.out.len() - this.given);
                buffer.put_slice(&this.out[this.given..this.given + n]);
                this.given += n;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let available = ready!(Pin::new(&mut this.inner).poll_fill_buf(cx))?;
            if available.is_empty() {
                this.ended = true;
                this.gone.cancel();
                this.finish_line();
                continue;
            }
            let newline = memchr::memchr(b'\n', available);
            let take = newline.map_or(available.len(), |i| i + 1);
            this.line.extend_from_slice(&available[..take]);
            Pin::new(&mut this.inner).consume(take);
            if newline.is_some() {
                this.finish_line();
            } else if this.line.len() > MAX_LINE {
                // Too long to be looked at: given on as it is, for the transport to refuse.
                this.out = std::mem::take(&mut this.line);
                this.given = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn keys_that_are_there_twice_are_found_at_any_depth() {
        assert_eq!(find(br#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#).as_deref(), Some("d"));
        assert_eq!(find(br#"{"a":1,"\u0061":2}"#).as_deref(), Some("a"));
        for fine in
            [r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#, "[1,null,true,1.5,\"x\"]", "{", "", "{\"a\":1,"]
        {
            assert_eq!(find(fine.as_bytes()), None, "{fine}");
        }
    }

    #[tokio::test]
    async fn a_refused_line_keeps_its_identifier_and_the_others_pass_unchanged() {
        let input = concat!(
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            "\n",
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","arguments":{"n":1,"n":2}}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"n":1,"n":2}}"#,
            "\n",
            "tail"
        );
        let mut out = String::new();
        Checked::new(input.as_bytes(), CancellationToken::new()).read_to_string(&mut out).await.unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        let refused: Value = serde_json::from_str(lines[1]).unwrap();
        assert_eq!((&refused["id"], &refused["method"]), (&json!(2), &json!(REFUSED)));
        assert_eq!(&lines[2..], ["", "tail"]);
    }
}
