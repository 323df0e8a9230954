//! One forward: its listener, its connections, and what is known of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use super::route::{Route, Way};
use super::tunnel::{self, Counts, Ended, Socket};
use crate::base::{self, Code};
use crate::kube::Clusters;

/// Connections of one forward at once.
const AT_ONCE: usize = 256;
/// A new connection waits for a pod this long before it is reset.
const PATIENCE: Duration = Duration::from_secs(15);
/// A port that another program has is tried again.
const BUSY: Duration = Duration::from_secs(5);

/// How a forward does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It listens, and the last it knows of the pod is good.
    Ready,
    /// It listens, and looks for a pod; why.
    Seeking(String),
    /// The local port cannot be had now; why.
    Deaf(String),
}

/// What went through it since it was made, or the session began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
    pub connections: u64,
    pub open: u64,
}

/// See the module.
pub struct Forward {
    pub way: Way,
    /// Where it listens; the port is the forward's name.
    pub address: SocketAddr,
    pub since: Timestamp,
    clusters: Arc<Clusters>,
    counts: Arc<Counts>,
    connections: AtomicU64,
    open: AtomicU64,
    known: Mutex<Known>,
    /// Counts the changes of what a row shows.
    changed: watch::Sender<u64>,
}

struct Known {
    state: State,
    route: Option<Route>,
    /// The newest error, kept when it is over.
    error: Option<(Timestamp, String)>,
}

/// A forward that runs until this is dropped.
pub(super) struct Running {
    pub forward: Arc<Forward>,
    _task: AbortOnDropHandle<()>,
}

/// Takes a local port: the one that is wanted, or any.
pub(super) async fn listen(address: IpAddr, port: Option<u16>) -> base::Result<TcpListener> {
    let wanted = SocketAddr::new(address, port.unwrap_or(0));
    TcpListener::bind(wanted).await.map_err(|e| {
        let next = match e.kind() {
            io::ErrorKind::AddrInUse => {
                "Leave the local port out (`:REMOTE`) for a free one, or choose another."
            }
            io::ErrorKind::PermissionDenied => {
                "Ports below 1024 are root's: choose another, or `:REMOTE` for a free one."
            }
            io::ErrorKind::AddrNotAvailable => {
                "Name an address of this machine: 127.0.0.1, or 0.0.0.0 for all."
            }
            _ => "Choose another local port, or `:REMOTE` for a free one.",
        };
        let code = match e.kind() {
            io::ErrorKind::AddrInUse => base::Code::AlreadyExists,
            io::ErrorKind::PermissionDenied => base::Code::PermissionDenied,
            _ => base::Code::InvalidArgument,
        };
        base::Error::new(code, format!("{wanted} cannot be listened at: {e}")).next(next)
    })
}

impl Forward {
    /// Starts one. Without a listener it tries to have its port by itself.
    pub(super) fn start(
        way: Way,
        address: SocketAddr,
        listener: Option<TcpListener>,
        route: Option<Route>,
        clusters: Arc<Clusters>,
        changed: watch::Sender<u64>,
    ) -> Running {
        let state = if listener.is_some() { State::Ready } else { State::Deaf("not yet tried".into()) };
        let forward = Arc::new(Self {
            way,
            address,
            since: Timestamp::now(),
            clusters,
            counts: Arc::default(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            known: Mutex::new(Known { state, route, error: None }),
            changed,
        });
        let task = AbortOnDropHandle::new(tokio::spawn(forward.clone().run(listener)));
        Running { forward, _task: task }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn state(&self) -> State {
        self.known.lock().state.clone()
    }

    /// The pod that the next connection goes to first.
    pub fn route(&self) -> Option<Route> {
        self.known.lock().route.clone()
    }

    pub fn last_error(&self) -> Option<(Timestamp, String)> {
        self.known.lock().error.clone()
    }

    pub fn traffic(&self) -> Traffic {
        Traffic {
            up: self.counts.up.load(Ordering::Relaxed),
            down: self.counts.down.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock());
        self.changed.send_modify(|n| *n += 1);
    }

    fn failed(&self, words: &str) {
        self.change(|known| known.error = Some((Timestamp::now(), words.to_owned())));
    }

    async fn run(self: Arc<Self>, listener: Option<TcpListener>) {
        let listener = match listener {
            Some(listener) => listener,
            None => self.have_port().await,
        };
        self.change(|known| known.state = State::Ready);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        // Dropping the set ends the connections with the forward.
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((client, _)) => {
                    let forward = self.clone();
                    tasks.spawn(async move {
                        forward.serve(client).await;
                        drop(place);
                    });
                }
                Err(e) => {
                    self.failed(&format!("a connection could not be taken: {e}"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Tries until the port is free: after a restart another program may have it for a while.
    async fn have_port(&self) -> TcpListener {
        loop {
            match listen(self.address.ip(), Some(self.port())).await {
                Ok(listener) => return listener,
                Err(error) => self.change(|known| {
                    known.state = State::Deaf(error.message.clone());
                    known.error = Some((Timestamp::now(), error.message));
                }),
            }
            tokio::time::sleep(BUSY).await;
        }
    }

    async fn serve(&self, client: TcpStream) {
        // Small pieces of an interactive protocol should not wait for more.
        let _ = client.set_nodelay(true);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.changed.send_modify(|n| *n += 1);
        let _open = Open(self);
        let connected = tokio::time::timeout(PATIENCE, self.connect());
        let (socket, route) = match connected.await {
            Ok(Some(found)) => found,
            Ok(None) => return tunnel::reset(&client),
            Err(_) => {
                let why = format!("no pod could be reached within {} s", PATIENCE.as_secs());
                self.failed(&why);
                tunnel::reset(&client);
                return;
            }
        };
        match tunnel::carry(client, socket, &self.counts).await {
            Ended::Closed => {}
            Ended::Refused(words) => {
                let words = plain(&words, route.port);
                self.failed(&format!("{}: {words}", route.pod));
            }
            Ended::Lost(words) => {
                self.failed(&format!("the way to {} broke: {words}", route.pod));
                self.look_again(&route).await;
            }
        }
    }

    /// A tunnel to the pod of the moment; looks for another pod, with growing pauses, until there is one. `None`: that
    /// would not help.
    async fn connect(&self) -> Option<(Socket, Route)> {
        let mut pauses = pauses();
        loop {
            let route = match self.route() {
                Some(route) => Ok(route),
                None => self.way.resolve(&self.clusters).await,
            };
            let error = match route {
                Ok(route) => match self.open(&route).await {
                    Ok(socket) => {
                        self.change(|known| {
                            known.state = State::Ready;
                            known.route = Some(route.clone());
                        });
                        return Some((socket, route));
                    }
                    Err(error) => base::Error::from(error),
                },
                Err(error) => error,
            };
            let refused =
                matches!(error.code, Code::Unsupported | Code::PermissionDenied | Code::Unauthenticated);
            self.change(|known| {
                known.route = None;
                known.state = State::Seeking(error.message.clone());
                known.error = Some((Timestamp::now(), error.message));
            });
            if refused {
                return None;
            }
            tokio::time::sleep(pauses.next().unwrap_or(Duration::from_secs(2))).await;
        }
    }

    async fn open(&self, route: &Route) -> crate::kube::Result<Socket> {
        let cluster = self.clusters.get(Some(&self.way.cluster))?;
        tunnel::open(&cluster, &self.way.namespace, route).await
    }

    /// After a broken tunnel: is the pod still the one? So that the list tells before the next connection comes.
    async fn look_again(&self, old: &Route) {
        let found = self.way.resolve(&self.clusters).await;
        self.change(|known| {
            if known.route.as_ref().is_some_and(|r| r != old) {
                return;
            }
            match found {
                Ok(route) => (known.route, known.state) = (Some(route), State::Ready),
                Err(error) => (known.route, known.state) = (None, State::Seeking(error.message)),
            }
        });
    }
}

struct Open<'a>(&'a Forward);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.send_modify(|n| *n += 1);
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(1.6)
        .with_jitter()
        .without_max_times()
        .build()
}

/// What the kubelet says of a port that nobody listens at, in a few words.
fn plain(words: &str, port: u16) -> String {
    if words.contains("connection refused") {
        return format!("nothing listens at port {port} in the pod");
    }
    let cut = words.rfind(": ").map_or(words, |at| &words[at + 2..]);
    cut.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error_that_names_the_way_out() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let held = listen(address, None).await.unwrap();
        let port = held.local_addr().unwrap().port();
        let error = listen(address, Some(port)).await.unwrap_err();
        assert_eq!(error.code, base::Code::AlreadyExists);
        assert!(error.next_step().contains("free one"), "{}", error.next_step());
        let error = listen(IpAddr::from([203, 0, 113, 1]), None).await.unwrap_err();
        assert!(error.next_step().contains("127.0.0.1"), "{}", error.next_step());
    }

    #[test]
    fn a_closed_port_is_said_in_words() {
        let words = "error forwarding port 81 to pod 7c, uid : failed to execute portforward in network namespace \"/x\": failed to connect to localhost:81 inside namespace \"7c\", IPv4: dial tcp4 127.0.0.1:81: connect: connection refused IPv6 dial tcp6 [::1]:81: connect: connection refused";
        assert_eq!(plain(words, 81), "nothing listens at port 81 in the pod");
    }
}
