//! Every cluster that the kubeconfig files name.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::config::Kubeconfig;
use notify::Watcher;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::cluster::Cluster;
use super::error::{Error, Result};
use super::impersonation::Impersonation;
use super::settings::{IN_CLUSTER, Settings};
use super::watch::Times;
use crate::base::text::{glob, is_glob, members, nearest};
use crate::bus::{Bus, Event, Level};

/// Where to find contexts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One file to read instead of `KUBECONFIG` and `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// The context to start with instead of the file's `current-context`.
    pub context: Option<String>,
    /// Whom to act as in every cluster, instead of what the files say.
    pub acting: Option<Impersonation>,
    /// How long a watch goes on after its last reader left; 5 s if not given.
    pub linger: Option<Duration>,
}

/// The clusters, by context name.
pub struct Clusters {
    options: Options,
    /// `KUBECONFIG` as it was at the start.
    variable: Option<std::ffi::OsString>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    clusters: BTreeMap<Arc<str>, Arc<Cluster>>,
    current: Option<Arc<str>>,
    problem: Option<Error>,
}

impl Clusters {
    /// Reads the kubeconfig. A file that cannot be read is no failure here: it is said when a
    /// cluster is asked for, and by [`Clusters::problem`].
    pub fn new(options: Options) -> Arc<Self> {
        let variable = std::env::var_os("KUBECONFIG");
        let clusters = Self { options, variable, state: Mutex::default(), changed: watch::channel(0).0 };
        let read = clusters.read();
        clusters.begin(read);
        Arc::new(clusters)
    }

    /// The contexts' names, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.state.lock().clusters.keys().cloned().collect()
    }

    /// Every cluster, in the order of the names.
    pub fn all(&self) -> Vec<Arc<Cluster>> {
        self.state.lock().clusters.values().cloned().collect()
    }

    /// The current context's name.
    pub fn current(&self) -> Option<Arc<str>> {
        self.state.lock().current.clone()
    }

    /// What `KUBECONFIG` is to be for a command that is to see the same contexts; empty for what it does by itself.
    pub fn kubeconfig(&self) -> String {
        match (&self.options.kubeconfig, &self.variable) {
            (Some(file), _) => file.display().to_string(),
            (None, Some(variable)) => variable.to_string_lossy().into_owned(),
            (None, None) => String::new(),
        }
    }

    /// Why the kubeconfig could not be read the last time.
    pub fn problem(&self) -> Option<Error> {
        self.state.lock().problem.clone()
    }

    /// Counts up each time that the contexts may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The cluster of a context; without a name, the current one.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<Cluster>> {
        let state = self.state.lock();
        let wanted = match (name, &state.current) {
            (Some(name), _) => name,
            (None, Some(current)) => current,
            (None, None) => {
                return Err(match (&state.problem, state.clusters.is_empty()) {
                    (Some(problem), _) => problem.clone(),
                    (None, true) => Error::NoContexts,
                    (None, false) => Error::NoCurrentContext,
                });
            }
        };
        state.clusters.get(wanted).cloned().ok_or_else(|| match (&state.problem, state.clusters.is_empty()) {
            (Some(problem), true) => problem.clone(),
            _ => Error::UnknownContext {
                name: wanted.to_owned(),
                nearest: nearest(wanted, state.clusters.keys().map(|n| &**n)).map(str::to_owned),
            },
        })
    }

    /// The clusters of a set as it is typed: names and globs, `all` for every one. Each once, those of a glob in the
    /// order of their names. A set of one name is the cluster of that name.
    pub fn among(&self, set: &str) -> Result<Vec<Arc<Cluster>>> {
        if let Ok(one) = self.get(Some(set)) {
            return Ok(vec![one]);
        }
        let all = self.all();
        let mut found: Vec<Arc<Cluster>> = Vec::new();
        for word in members(set) {
            let fits = |cluster: &&Arc<Cluster>| word == "all" || glob(word, cluster.name());
            let fitting: Vec<_> = match self.get(Some(word)) {
                Ok(one) => vec![one],
                Err(_) if word == "all" || is_glob(word) => all.iter().filter(fits).cloned().collect(),
                Err(error) => return Err(error),
            };
            if fitting.is_empty() {
                return Err(Error::UnknownContext { name: word.to_owned(), nearest: None });
            }
            found.extend(fitting);
        }
        let mut seen = HashSet::new();
        found.retain(|cluster| seen.insert(cluster.name().clone()));
        if found.is_empty() {
            return Err(Error::UnknownContext { name: set.to_owned(), nearest: None });
        }
        Ok(found)
    }

    /// Reads the files again. Contexts that did not change keep their connections and watches.
    pub async fn reload(&self) -> Result<()> {
        let read = match self.read() {
            Ok(read) => read,
            Err(error) => {
                self.state.lock().problem = Some(error.clone());
                self.changed.send_modify(|n| *n += 1);
                return Err(error);
            }
        };
        let mut replaced = Vec::new();
        {
            let mut state = self.state.lock();
            let mut old = std::mem::take(&mut state.clusters);
            for settings in read.settings {
                let name = settings.context.clone();
                let cluster = match old.remove(&name) {
                    Some(cluster) if cluster.digest() == settings.digest => cluster,
                    Some(cluster) => {
                        replaced.push((cluster.clone(), settings));
                        cluster
                    }
                    None => Cluster::new(settings, self.times()),
                };
                state.clusters.insert(name, cluster);
            }
            state.current = read.current;
            state.problem = None;
        }
        for (cluster, settings) in replaced {
            cluster.replace(settings).await;
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Reads the files again whenever they change, until the clusters are dropped. For processes
    /// that live long; needs a runtime.
    pub fn follow(self: &Arc<Self>, bus: Bus) {
        let (signal, mut signalled) = watch::channel(());
        let names: Vec<PathBuf> = self.paths();
        let wanted = names.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|e| !e.kind.is_access() && e.paths.iter().any(|p| wanted.contains(p))) {
                signal.send_replace(());
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => return tracing::warn!(%error, "the kubeconfig cannot be watched for changes"),
        };
        // The folders, because editors replace a file rather than write into it.
        for folder in names.iter().filter_map(|p| p.parent()) {
            if let Err(error) = watcher.watch(folder, notify::RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "not watched");
            }
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            let _watcher = watcher;
            while signalled.changed().await.is_ok() {
                // An editor writes in several steps.
                tokio::time::sleep(Duration::from_millis(150)).await;
                signalled.mark_unchanged();
                let Some(clusters) = weak.upgrade() else { return };
                let (level, text) = match clusters.reload().await {
                    Ok(()) => {
                        bus.publish(Event::Contexts);
                        (Level::Info, "the kubeconfig changed and was read again".to_owned())
                    }
                    Err(error) => (Level::Warning, error.to_string()),
                };
                bus.publish(Event::Notice { level, text });
            }
        });
    }

    fn times(&self) -> Times {
        let usual = Times::default();
        Times { linger: self.options.linger.unwrap_or(usual.linger), ..usual }
    }

    fn begin(&self, read: Result<Read>) {
        let mut state = self.state.lock();
        match read {
            Ok(read) => {
                state.current = read.current;
                for settings in read.settings {
                    state.clusters.insert(settings.context.clone(), Cluster::new(settings, self.times()));
                }
            }
            Err(error) => state.problem = Some(error),
        }
    }

    /// The files to read, as client-go looks for them.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.options.kubeconfig {
            return vec![path.clone()];
        }
        let named: Vec<PathBuf> = self
            .variable
            .iter()
            .flat_map(std::env::split_paths)
            .filter(|p| !p.as_os_str().is_empty())
            .collect();
        if !named.is_empty() {
            return named;
        }
        directories::BaseDirs::new().map(|d| d.home_dir().join(".kube/config")).into_iter().collect()
    }

    fn read(&self) -> Result<Read> {
        let fail =
            |path: &Path, reason: String| Error::Kubeconfig { path: path.display().to_string(), reason };
        let mut merged = Kubeconfig::default();
        let mut found = false;
        for path in self.paths() {
            // kubectl passes over files of the list that are not there, but not over one named alone.
            if !path.exists() && self.options.kubeconfig.is_none() {
                continue;
            }
            let file = Kubeconfig::read_from(&path).map_err(|e| fail(&path, e.to_string()))?;
            merged = merged.merge(file).map_err(|e| fail(&path, e.to_string()))?;
            found = true;
        }
        let mut settings = Vec::new();
        let current = merged.current_context.clone().filter(|c| !c.is_empty());
        let merged = Arc::new(merged);
        for context in &merged.contexts {
            settings.push(Settings::of(&merged, &context.name).acting_as(self.options.acting.as_ref()));
        }
        let mut current: Option<Arc<str>> = self.options.context.clone().or(current).map(Into::into);
        if !found && let Some(inside) = Settings::in_cluster() {
            settings.push(inside.acting_as(self.options.acting.as_ref()));
            current = current.or_else(|| Some(IN_CLUSTER.into()));
        }
        Ok(Read { settings, current })
    }
}

struct Read {
    settings: Vec<Settings>,
    current: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn over(paths: &[PathBuf]) -> Clusters {
        let variable = std::env::join_paths(paths).unwrap();
        let clusters = Clusters {
            options: Options::default(),
            variable: Some(variable),
            state: Mutex::default(),
            changed: watch::channel(0).0,
        };
        let read = clusters.read();
        clusters.begin(read);
        clusters
    }

    const ONE: &str = "current-context: a\nclusters: [{name: a, cluster: {server: 'https://one'}}]\ncontexts: [{name: a, context: {cluster: a, user: u}}]\nusers: [{name: u, user: {token: t}}]\n";
    const TWO: &str = "current-context: b\nclusters: [{name: a, cluster: {server: 'https://two'}}, {name: b, cluster: {server: 'https://b'}}]\ncontexts: [{name: b, context: {cluster: b, user: u, namespace: shop}}]\n";

    #[test]
    fn several_files_merge_and_the_first_to_say_it_wins() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [file(dir.path(), "1", ONE), dir.path().join("missing"), file(dir.path(), "2", TWO)];
        let clusters = over(&paths);
        assert_eq!(clusters.names(), ["a".into(), Arc::<str>::from("b")]);
        assert_eq!(clusters.current().as_deref(), Some("a"));
        assert_eq!(clusters.get(None).unwrap().server(), "https://one");
        assert_eq!(clusters.get(Some("b")).unwrap().default_namespace(), "shop");
        let error: crate::base::Error = clusters.get(Some("bb")).err().unwrap().into();
        assert_eq!(error.code, crate::base::Code::NotFound);
        let names = |set: &str| -> Vec<String> {
            clusters.among(set).unwrap().iter().map(|c| c.name().to_string()).collect()
        };
        for (set, found) in [("b", "b"), ("b,a,b", "b a"), ("all", "a b"), ("*", "a b"), ("a*, b", "a b")] {
            assert_eq!(names(set).join(" "), found, "{set}");
        }
        assert!(
            clusters.among("a,c").is_err() && clusters.among("x*").is_err() && clusters.among(",").is_err()
        );
    }

    #[tokio::test]
    async fn a_changed_context_keeps_its_cluster_and_a_broken_file_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "1", ONE);
        let clusters = over(std::slice::from_ref(&path));
        let before = clusters.get(Some("a")).unwrap();
        std::fs::write(&path, ONE.replace("https://one", "https://other")).unwrap();
        clusters.reload().await.unwrap();
        assert!(Arc::ptr_eq(&before, &clusters.get(Some("a")).unwrap()));
        assert_eq!(before.server(), "https://other");
        std::fs::write(&path, "contexts: [").unwrap();
        clusters.reload().await.unwrap_err();
        assert!(clusters.problem().is_some());
        assert_eq!(clusters.names().len(), 1);
    }

    #[test]
    fn without_a_file_the_error_says_what_to_do() {
        let clusters = over(&[PathBuf::from("/nonexistent/kubeconfig")]);
        let error: crate::base::Error = clusters.get(None).err().unwrap().into();
        assert!(error.next_step().contains("kubeconfig"));
    }
}
