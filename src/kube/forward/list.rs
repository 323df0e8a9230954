//! All forwards, and the file that remembers them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::one::{Forward, Running, listen};
use super::ports::Mapping;
use super::route::{Route, Way};
use crate::base;
use crate::kube::Clusters;

/// Local ports are the forwards' names: two at different addresses would share one.
pub struct Forwards {
    clusters: Arc<Clusters>,
    running: Mutex<BTreeMap<u16, Running>>,
    changed: watch::Sender<u64>,
    /// Where they are written down; `None` until [`Forwards::restore`].
    file: Mutex<Option<PathBuf>>,
}

/// A forward to make.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub cluster: String,
    pub namespace: String,
    /// A pod's name, or `kind/name`.
    pub what: String,
    pub address: IpAddr,
    pub ports: Mapping,
}

/// As the file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    way: Way,
    address: SocketAddr,
}

impl Forwards {
    pub fn new(clusters: Arc<Clusters>) -> Self {
        Self { clusters, running: Mutex::default(), changed: watch::Sender::new(0), file: Mutex::default() }
    }

    /// Starts those that the session had before, and writes down what is made from now on. Gives how many there were.
    ///
    /// # Errors
    ///
    /// The file cannot be read. It is left as it is, and nothing is written over it.
    pub fn restore(&self, file: PathBuf) -> base::Result<usize> {
        let kept: Vec<Kept> = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                base::Error::invalid(format!("the port-forwards in {} cannot be read: {e}", file.display()))
                    .next("Mend or remove the file; new forwards work, and are not remembered.")
            })?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                return Err(base::Error::unavailable(format!("{} cannot be read: {e}", file.display())));
            }
        };
        *self.file.lock() = Some(file);
        let mut running = self.running.lock();
        for Kept { way, address } in kept {
            let start =
                || Forward::start(way, address, None, None, self.clusters.clone(), self.changed.clone());
            running.entry(address.port()).or_insert_with(start);
        }
        Ok(running.len())
    }

    /// Finds where a forward would lead, and whether its local port can be had.
    pub async fn look(&self, wanted: &Wanted) -> base::Result<Route> {
        let (_, route) = self.find(wanted).await?;
        if wanted.ports.local.is_some() {
            listen(wanted.address, wanted.ports.local).await?;
        }
        Ok(route)
    }

    async fn find(&self, wanted: &Wanted) -> base::Result<(Way, Route)> {
        if let Some(port) = wanted.ports.local
            && let Some(other) = self.get(port)
        {
            return Err(base::Error::new(
                base::Code::AlreadyExists,
                format!("the local port {port} leads to {} already", other.way.what),
            )
            .next(format!(
                "`qd forward delete {port}` ends that one; `:{}` takes a free port.",
                wanted.ports.remote
            )));
        }
        let remote = wanted.ports.remote.clone();
        Way::find(&self.clusters, &wanted.cluster, &wanted.namespace, &wanted.what, remote).await
    }

    /// Makes one, once the way is known and the port is had.
    pub async fn create(&self, wanted: &Wanted) -> base::Result<Arc<Forward>> {
        let (way, route) = self.find(wanted).await?;
        let listener = listen(wanted.address, wanted.ports.local).await?;
        let address = listener.local_addr().map_err(base::Error::internal)?;
        let forward = {
            let mut running = self.running.lock();
            let one = Forward::start(
                way,
                address,
                Some(listener),
                Some(route),
                self.clusters.clone(),
                self.changed.clone(),
            );
            let forward = one.forward.clone();
            running.insert(address.port(), one);
            forward
        };
        self.touched()?;
        Ok(forward)
    }

    /// Ends one, and its connections.
    pub fn delete(&self, port: u16) -> base::Result<Arc<Forward>> {
        let ended = self.running.lock().remove(&port);
        let Some(ended) = ended else { return Err(self.unknown(port)) };
        let forward = ended.forward.clone();
        drop(ended);
        self.touched()?;
        Ok(forward)
    }

    fn unknown(&self, port: u16) -> base::Error {
        let ports: Vec<String> = self.running.lock().keys().map(u16::to_string).collect();
        let error = base::Error::not_found(format!("no forward listens at the local port {port}"));
        match ports.is_empty() {
            true => error.next("There are none: forward_create makes one."),
            false => error.next(format!("There are {}.", ports.join(", "))),
        }
    }

    pub fn get(&self, port: u16) -> Option<Arc<Forward>> {
        self.running.lock().get(&port).map(|r| r.forward.clone())
    }

    /// One that must be there.
    pub fn one(&self, port: u16) -> base::Result<Arc<Forward>> {
        self.get(port).ok_or_else(|| self.unknown(port))
    }

    /// All of them, by local port.
    pub fn all(&self) -> Vec<Arc<Forward>> {
        self.running.lock().values().map(|r| r.forward.clone()).collect()
    }

    /// Changes whenever a row does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Whether they outlive this process.
    pub fn are_kept(&self) -> bool {
        self.file.lock().is_some()
    }

    fn touched(&self) -> base::Result<()> {
        self.changed.send_modify(|n| *n += 1);
        let Some(file) = self.file.lock().clone() else { return Ok(()) };
        let kept: Vec<Kept> =
            self.all().iter().map(|f| Kept { way: f.way.clone(), address: f.address }).collect();
        let text = serde_json::to_vec_pretty(&kept).map_err(base::Error::internal)?;
        write(&file, &text).map_err(|e| {
            base::Error::unavailable(format!("{} cannot be written: {e}", file.display()))
                .next("The forward works, and will not be there after a restart: free space on the disk.")
        })
    }
}

/// Replaces the file in one step: a crash leaves the old one or the new one.
fn write(file: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = file.with_extension("new");
    let mut new =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(text)?;
    new.sync_all()?;
    std::fs::rename(&beside, file)
}
