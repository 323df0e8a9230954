//! The embedded practice fleet: API servers of ours on loopback that speak Kubernetes' wire protocol.
//!
//! `qd lab` opens the console on it, so that a newcomer sees everything work with nothing installed;
//! tests use it to pause, cut off and confuse a server at will. It goes through the same client code as a
//! real cluster, and `kubectl` works on it too.
//!
//! # Use
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use quarterdeck::lab;
//!
//! let fleet = lab::start(lab::Options::default()).await?;
//! // A kubeconfig with two clusters and one that is down; the file is there as long as `fleet` is.
//! let path = fleet.kubeconfig_path();
//! // Faults, for tests:
//! fleet.cluster("harbour")?.pause();
//! # Ok(())
//! # }
//! ```
//!
//! # Inside
//!
//! [`open`] makes a certificate authority and, for each cluster, a store filled by `seed`, a listener
//! (`serve`) whose requests go through `route` to `read`, `watch`, `write` and `subresource`, and one task of
//! `controllers` that reconciles, schedules, plays the kubelets and keeps things moving. Objects are held
//! as the bytes that are sent; forms other than JSON are made in `form`, `tables` and `proto`.

mod apps;
mod build;
mod cluster;
mod controllers;
mod defaults;
mod delete;
mod discovery;
mod events;
mod failure;
mod fields;
mod form;
mod kinds;
mod logs;
mod metrics;
mod object;
mod openapi;
mod patch;
mod proto;
mod quantity;
mod read;
mod reply;
mod rng;
mod route;
mod seed;
mod select;
mod serve;
mod store;
mod subresource;
mod tables;
mod tls;
mod validate;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use tokio_util::sync::CancellationToken;

use cluster::State;

/// How the fleet is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same names.
    pub seed: u64,
    /// The clusters' names, which are their contexts; the first is the current one. `offshore` is a
    /// warehouse of about 110 pods, any other name a shop of about 210.
    pub clusters: Vec<String>,
    /// The name of a further context whose address refuses connections; empty for none.
    pub dead: String,
    /// Fill each cluster up to at least so many pods, with plain ones in the namespace `default`.
    pub pods: usize,
    /// Besides what happens by itself, change so many pods a second in each cluster.
    pub events_per_second: u32,
    /// Whether controllers, scheduler and kubelets run. Without them nothing changes by itself.
    pub live: bool,
    /// Where the kubeconfig file is put; default: the runtime directory, or else the temporary one.
    pub directory: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 7,
            clusters: vec!["harbour".into(), "offshore".into()],
            dead: "wreck".into(),
            pods: 0,
            events_per_second: 0,
            live: true,
            directory: None,
        }
    }
}

/// A running fleet. Dropping it ends its servers and tasks and removes its kubeconfig file.
pub struct Lab {
    clusters: Vec<Cluster>,
    dead: Option<(String, SocketAddr)>,
    authority: String,
    file: PathBuf,
    /// Locked as long as we live: one that can be locked is of a fleet that was killed.
    lock: Option<std::fs::File>,
}

/// Starts the fleet, on the runtime that this is called from, and returns when everything in it is there.
pub async fn start(options: Options) -> anyhow::Result<Lab> {
    let lab = open(options).await?;
    for cluster in &lab.clusters {
        cluster.state.ready().await;
    }
    Ok(lab)
}

/// As [`start`], but returns when the servers listen: what they are asked waits for the moment that filling them takes, so
/// that a console can begin meanwhile.
pub async fn open(options: Options) -> anyhow::Result<Lab> {
    let trust = tls::make().context("make the practice fleet's certificates")?;
    let mut lab = Lab {
        clusters: Vec::new(),
        dead: None,
        authority: trust.authority,
        file: PathBuf::new(),
        lock: None,
    };
    for (i, name) in options.clusters.iter().enumerate() {
        let state = Arc::new(State::new(name, options.seed + i as u64, options.events_per_second));
        let (listener, address) = serve::listen(0).await.context("listen on loopback")?;
        let cluster = Cluster { state: state.clone(), address, tls: trust.server.clone() };
        cluster.serve(listener);
        tokio::spawn(fill(state, lab.authority.clone(), options.clone()));
        lab.clusters.push(cluster);
    }
    if !options.dead.is_empty() {
        // A port below the ephemeral range where nothing listens: nothing will take it while we run.
        lab.dead = Some((options.dead, SocketAddr::from((Ipv4Addr::LOCALHOST, 9))));
    }
    lab.write_kubeconfig(options.directory.as_deref())?;
    Ok(lab)
}

/// Fills a server with what it begins with, and lets it live.
async fn fill(state: Arc<State>, authority: String, options: Options) {
    let planted = state.clone();
    let planting = tokio::task::spawn_blocking(move || {
        seed::plant(&planted, &authority, options.pods, Timestamp::now())
    });
    if let Err(error) = planting.await {
        tracing::error!(cluster = state.name, %error, "the practice fleet could not be filled");
    }
    let whole = || {
        state.planted.send_replace(true);
    };
    if options.live {
        controllers::run(state.clone(), options.events_per_second, whole).await;
    } else {
        whole();
    }
}

impl Lab {
    /// The kubeconfig: a context for each cluster, and the dead one.
    pub fn kubeconfig(&self) -> String {
        let mut entries: Vec<tls::Entry> = self
            .clusters
            .iter()
            .map(|c| tls::Entry {
                name: c.state.name.clone(),
                address: c.address.to_string(),
                token: c.state.access.admin(),
                namespace: if c.state.name == "offshore" { "warehouse" } else { "shop" }.into(),
            })
            .collect();
        if let Some((name, address)) = &self.dead {
            entries.push(tls::Entry {
                name: name.clone(),
                address: address.to_string(),
                token: "none".into(),
                namespace: "default".into(),
            });
        }
        tls::kubeconfig(&self.authority, &entries)
    }

    /// The file that holds [`Lab::kubeconfig`], readable by this user only.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.file
    }

    /// A cluster by its name.
    pub fn cluster(&self, name: &str) -> anyhow::Result<&Cluster> {
        self.clusters
            .iter()
            .find(|c| c.state.name == name)
            .with_context(|| format!("no practice cluster {name:?}"))
    }

    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter()
    }

    /// Makes the tokens of a cluster invalid. The file of the kubeconfig gets the new one, so that a
    /// client that reads it again goes on.
    pub fn renew_token(&self, name: &str) -> anyhow::Result<()> {
        self.cluster(name)?.expire_token();
        write_private(&self.file, &self.kubeconfig())
    }

    fn write_kubeconfig(&mut self, directory: Option<&Path>) -> anyhow::Result<()> {
        let runtime = || std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| d.is_dir());
        let directory = directory.map(Path::to_owned).or_else(runtime).unwrap_or_else(std::env::temp_dir);
        sweep(&directory);
        let mut unique = [0_u8; 8];
        getrandom::fill(&mut unique).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
        let file = directory.join(format!("{PREFIX}{}{SUFFIX}", hex::encode(unique)));
        write_private(&file, &self.kubeconfig())?;
        let lock = std::fs::File::open(&file).context("open the practice fleet's kubeconfig")?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .context("lock the practice fleet's kubeconfig")?;
        (self.file, self.lock) = (file, Some(lock));
        Ok(())
    }
}

const PREFIX: &str = "quarterdeck-lab-";
const SUFFIX: &str = ".kubeconfig";
/// A file is locked just after it is made: one so young is not looked at.
const YOUNG: Duration = Duration::from_secs(10);

/// Removes the kubeconfig files of fleets that were killed. What cannot be removed is somebody else's.
fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        let old = || entry.metadata().and_then(|m| m.modified()).ok()?.elapsed().ok().map(|age| age > YOUNG);
        if !ours || old() != Some(true) {
            continue;
        }
        if let Ok(file) = std::fs::File::open(entry.path())
            && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes a file that only this user can read.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("write {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.file.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.file);
        }
    }
}

/// One server of the fleet, and the switches that make it misbehave.
pub struct Cluster {
    state: Arc<State>,
    address: SocketAddr,
    tls: Arc<rustls::ServerConfig>,
}

impl Cluster {
    pub fn name(&self) -> &str {
        &self.state.name
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token of a member of `system:masters`.
    pub fn admin_token(&self) -> String {
        self.state.access.admin()
    }

    /// A token of somebody who may read everything but secrets.
    pub fn viewer_token(&self) -> String {
        self.state.access.viewer()
    }

    /// The version of the last change.
    pub fn resource_version(&self) -> u64 {
        self.state.store.version()
    }

    /// How many pods there are.
    pub fn pods(&self) -> usize {
        self.state.kind("", "pods").map_or(0, |k| self.state.store.count(k.id))
    }

    /// Answers nothing any more: connections stay open, requests and watches hang.
    pub fn pause(&self) {
        self.state.faults.pause(true);
    }

    /// Answers again, what had waited first.
    pub fn resume(&self) {
        self.state.faults.pause(false);
    }

    /// Breaks every connection and refuses new ones.
    pub fn stop(&self) {
        self.state.faults.generation.lock().cancel();
    }

    /// Listens again, at the same address, with everything as it was.
    pub async fn resume_listening(&self) -> anyhow::Result<()> {
        *self.state.faults.generation.lock() = self.state.over.child_token();
        let (listener, _) = serve::listen(self.address.port()).await.context("listen again")?;
        self.serve(listener);
        Ok(())
    }

    /// Is down for a while, as when the process is started anew: connections break and new ones are refused.
    pub async fn restart(&self, down_for: Duration) -> anyhow::Result<()> {
        self.stop();
        tokio::time::sleep(down_for).await;
        self.resume_listening().await
    }

    /// Waits so long before each answer and each piece of a watch.
    pub fn set_latency(&self, latency: Duration) {
        self.state.faults.set_latency(latency);
    }

    /// Forgets all history: watches end with 410, and versions handed out before cannot be continued from.
    pub fn forget_history(&self) {
        self.state.store.forget_history();
    }

    /// Forbids new watches (403), as a role without the verb does.
    pub fn reject_watch(&self, reject: bool) {
        self.state.faults.no_watch.store(reject, Ordering::Relaxed);
    }

    /// Refuses `sendInitialEvents` (422), as servers before 1.32 do.
    pub fn reject_streaming(&self, reject: bool) {
        self.state.faults.no_streaming.store(reject, Ordering::Relaxed);
    }

    /// Refuses to stream a Table (406), as servers before 1.36 do.
    pub fn reject_table_streaming(&self, reject: bool) {
        self.state.faults.no_table_watch.store(reject, Ordering::Relaxed);
    }

    /// Has no protobuf: answers JSON where both are accepted, and 406 where only protobuf is.
    pub fn reject_protobuf(&self, reject: bool) {
        self.state.faults.no_protobuf.store(reject, Ordering::Relaxed);
    }

    /// Makes both tokens invalid (401). See [`Lab::renew_token`] for one that is written to the kubeconfig.
    pub fn expire_token(&self) {
        self.state.access.renew();
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let over: CancellationToken = {
            let mut generation = self.state.faults.generation.lock();
            if generation.is_cancelled() {
                *generation = self.state.over.child_token();
            }
            generation.clone()
        };
        tokio::spawn(serve::accept(listener, self.tls.clone(), self.state.clone(), over));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.state.over.cancel();
        self.state.faults.generation.lock().cancel();
    }
}
