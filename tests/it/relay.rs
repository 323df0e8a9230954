//! What stands between a client and a server: a relay that can be cut, and proxies that write down what they are asked.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// How a connection begins, before bytes pass both ways.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Plain,
    /// `CONNECT host:port`, as HTTP proxies take it.
    Connect,
    /// RFC 1928, without authentication.
    Socks,
}

/// Every connection is passed on to one server, whatever a proxy is asked for.
pub struct Relay {
    pub address: SocketAddr,
    /// The first lines of each connection that a proxy was asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Bytes that the server has sent.
    pub sent: Arc<AtomicU64>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// New connections are closed at once.
    closed: Arc<AtomicBool>,
}

impl Relay {
    pub fn start(kind: Kind, server: &str) -> Self {
        Self::between(kind, "127.0.0.1:0", server, None)
    }

    /// `replace`: bytes of the client's that are sent on as others, of the same length.
    pub fn between(
        kind: Kind,
        at: &str,
        server: &str,
        replace: Option<(&'static [u8], &'static [u8])>,
    ) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            sent: Arc::default(),
            open: Arc::default(),
            closed: Arc::default(),
        };
        let server = server.trim_start_matches("https://").trim_start_matches("http://").to_owned();
        let (asked, open, sent) = (relay.asked.clone(), relay.open.clone(), relay.sent.clone());
        let closed = relay.closed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if closed.load(Ordering::Relaxed) {
                    continue;
                }
                let (server, asked, open, sent) = (server.clone(), asked.clone(), open.clone(), sent.clone());
                std::thread::spawn(move || {
                    let mut client = client;
                    if kind != Kind::Plain && !greet(kind, &mut client, &asked) {
                        return;
                    }
                    let Ok(upstream) = TcpStream::connect(&server) else { return };
                    open.lock().unwrap().extend([client.try_clone().unwrap(), upstream.try_clone().unwrap()]);
                    let back = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
                    std::thread::spawn(move || pass(back.0, back.1, None, &sent));
                    pass(client, upstream, replace, &AtomicU64::new(0));
                });
            }
        });
        relay
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Ends every connection, and takes none until it is opened.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.cut();
    }

    pub fn reopen(&self) {
        self.closed.store(false, Ordering::Relaxed);
    }

    /// Ends every connection of now.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, replace: Option<(&[u8], &[u8])>, count: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n) = from.read(&mut buffer) {
        count.fetch_add(n as u64, Ordering::Relaxed);
        let mut bytes = buffer[..n].to_vec();
        if let Some((old, new)) = replace {
            assert_eq!(old.len(), new.len());
            while let Some(at) = memchr::memmem::find(&bytes, old) {
                bytes[at..at + old.len()].copy_from_slice(new);
            }
        }
        if n == 0 || to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn greet(kind: Kind, client: &mut TcpStream, asked: &Mutex<Vec<String>>) -> bool {
    match kind {
        Kind::Plain => true,
        Kind::Connect => {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                if client.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                } else {
                    return false;
                }
            }
            asked.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok()
        }
        Kind::Socks => {
            let mut take = |n: usize| {
                let mut bytes = vec![0; n];
                client.read_exact(&mut bytes).map(|()| bytes)
            };
            let Ok(hello) = take(2) else { return false };
            let Ok(_) = take(hello[1].into()) else { return false };
            if client.write_all(&[5, 0]).is_err() {
                return false;
            }
            let mut head = [0; 4];
            if client.read_exact(&mut head).is_err() {
                return false;
            }
            let mut rest = vec![0; if head[3] == 1 { 6 } else { 1 }];
            client.read_exact(&mut rest).unwrap();
            if head[3] == 3 {
                rest.resize(rest[0] as usize + 2, 0);
                client.read_exact(&mut rest).unwrap();
            }
            asked.lock().unwrap().push(format!("{} {rest:?}", head[3]));
            client.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).is_ok()
        }
    }
}
