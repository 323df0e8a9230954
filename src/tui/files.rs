//! Tells when a theme or a keymap of the operator's changed, whether its folder was there at the start or came later.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The folders in the configuration's that are read.
const FOLDERS: [&str; 3] = ["themes", "skins", "keymaps"];
/// An editor writes a file in several steps: one read after the last of them is enough.
const SETTLE: Duration = Duration::from_millis(50);

/// Where themes are looked for: in the folder of our configuration, then in k9s's.
pub fn theme_folders(config: Option<&Path>) -> Vec<PathBuf> {
    let own = config.into_iter().flat_map(|folder| ["themes", "skins"].map(|name| folder.join(name)));
    own.chain(super::skin::k9s_folders(|name| std::env::var(name).ok())).collect()
}

/// The watch. Without a watcher (a system that has none left, say) files are read at the start only.
pub struct Files {
    root: Option<PathBuf>,
    watcher: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    signals: mpsc::Receiver<()>,
    /// When what changed is told.
    due: Option<Instant>,
}

impl Files {
    /// Watches the folders of a configuration; `None` watches nothing.
    pub fn of(root: Option<&Path>) -> Self {
        let (signal, signals) = mpsc::channel(1);
        let root = root.map(Path::to_owned);
        let ours = root.clone().unwrap_or_default();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            // A folder above ours is watched until ours is there: what else happens in it is no news.
            let concerns = |path: &PathBuf| path.starts_with(&ours) || ours.starts_with(path);
            if !event.kind.is_access() && event.paths.iter().any(concerns) {
                // One that waits already stands for this one too.
                let _ = signal.try_send(());
            }
        });
        let watcher = root.as_ref().and(watcher.ok());
        let mut files = Self { root, watcher, watched: BTreeSet::new(), signals, due: None };
        files.follow();
        files
    }

    /// Returns once something changed. Safe to cancel.
    pub async fn changed(&mut self) {
        if self.watcher.is_none() {
            return std::future::pending().await;
        }
        let due = match self.due {
            Some(due) => due,
            None => {
                if self.signals.recv().await.is_none() {
                    return std::future::pending().await;
                }
                *self.due.insert(Instant::now() + SETTLE)
            }
        };
        tokio::time::sleep_until(due).await;
        self.due = None;
        let _ = self.signals.try_recv();
        self.follow();
    }

    /// Watches what is there now: the folders, the configuration's own, or else what is nearest above it.
    fn follow(&mut self) {
        let (Some(root), Some(watcher)) = (&self.root, &mut self.watcher) else { return };
        let above = root.ancestors().find(|folder| folder.is_dir());
        let inside = FOLDERS.iter().map(|name| root.join(name)).filter(|folder| folder.is_dir());
        let wanted: BTreeSet<PathBuf> = above.map(Path::to_owned).into_iter().chain(inside).collect();
        for gone in self.watched.difference(&wanted) {
            // What was removed is not watched any more by itself.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            // Again and again: one that was removed and made anew in between is not watched any more.
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder);
                }
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "theme and keymap files are not watched");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn news(files: &mut Files) -> bool {
        tokio::time::timeout(Duration::from_secs(5), files.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn folders_that_come_later_are_followed() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("config/quarterdeck");
        std::fs::create_dir(home.path().join("config")).unwrap();
        let mut files = Files::of(Some(&root));
        std::fs::create_dir_all(root.join("keymaps")).unwrap();
        assert!(news(&mut files).await, "the folder of the configuration came");
        // The watch of the inner folder begins with the news of the outer one.
        tokio::time::sleep(Duration::from_millis(100)).await;
        std::fs::write(root.join("keymaps/mine.yaml"), "table: []").unwrap();
        assert!(news(&mut files).await, "a keymap was written");
        std::fs::create_dir(root.join("themes")).unwrap();
        assert!(news(&mut files).await, "the folder of themes came");
        std::fs::write(root.join("themes/mine.yaml"), "k9s: {}").unwrap();
        assert!(news(&mut files).await, "a theme was written");
    }

    #[tokio::test]
    async fn what_happens_beside_the_configuration_is_no_news() {
        let home = tempfile::tempdir().unwrap();
        let mut files = Files::of(Some(&home.path().join("quarterdeck")));
        std::fs::write(home.path().join("other.txt"), "x").unwrap();
        let quiet = tokio::time::timeout(Duration::from_millis(300), files.changed()).await;
        assert!(quiet.is_err());
        let mut none = Files::of(None);
        assert!(tokio::time::timeout(Duration::from_millis(50), none.changed()).await.is_err());
    }
}
