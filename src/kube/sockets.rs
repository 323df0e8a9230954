//! How many connections to a cluster are open.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

/// A connection that was dialled is in the pool long before: what is left to do is to write a few bytes.
const SETTLED: Duration = Duration::from_millis(500);

/// Counts the connections of one cluster, for all who dial it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sockets(Arc<AtomicU64>);

impl Sockets {
    pub(super) fn open(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Socket {
        self.0.fetch_add(1, Ordering::Relaxed);
        Socket { stream, count: self.0.clone(), _shared: None }
    }
}

/// A connection that is counted for as long as it is there.
pub(super) struct Socket {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    count: Arc<AtomicU64>,
    /// Of one that all requests share.
    _shared: Option<Arc<()>>,
}

/// Which connection all requests share. Requests that start together dial together, before any of them can know that
/// the server speaks HTTP/2; what is dialled beside the first is not needed.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Latest>>);

#[derive(Debug, Default)]
struct Latest {
    made: u64,
    alive: Weak<()>,
}

impl Shared {
    /// How many there have been: to be asked before dialling.
    pub(super) fn made(&self) -> u64 {
        self.0.lock().made
    }

    /// What was dialled since `before`, as the one to share; `None` if another became that meanwhile.
    ///
    /// The request that dialled in vain takes the shared one from the pool as soon as it is there, so this one waits for
    /// that, and is used after all if the shared one is lost at once.
    pub(super) async fn claim(&self, mut socket: Socket, before: u64) -> Option<Socket> {
        let first = Arc::new(());
        let alive = {
            let mut latest = self.0.lock();
            if latest.made == before {
                *latest = Latest { made: before + 1, alive: Arc::downgrade(&first) };
                socket._shared = Some(first);
                return Some(socket);
            }
            latest.alive.clone()
        };
        tokio::time::sleep(SETTLED).await;
        (alive.strong_count() == 0).then_some(socket)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut MaybeHttpsStream<TokioIo<TcpStream>>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Read for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bufs)
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_dialled_together_one_stays_unless_it_is_lost() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = Sockets::default();
        let dial = async || {
            let stream = TcpStream::connect(address).await.unwrap();
            sockets.count(MaybeHttpsStream::Http(TokioIo::new(stream)))
        };
        let shared = Shared::default();
        let before = shared.made();
        let first = shared.claim(dial().await, before).await.unwrap();
        assert!(shared.claim(dial().await, before).await.is_none());
        assert_eq!(sockets.open(), 1);
        // What is dialled later is there because the first can no longer be used.
        let before = shared.made();
        let second = shared.claim(dial().await, before).await.unwrap();
        drop(first);
        assert!(shared.claim(dial().await, before).await.is_none());
        drop(second);
        assert!(shared.claim(dial().await, before).await.is_some());
        assert_eq!(sockets.open(), 0);
    }
}
