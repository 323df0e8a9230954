//! Sets of contexts that are open: other contexts may come to fit them.

use compact_str::CompactString;

use super::App;
use crate::base::text::{is_glob, members};

impl App {
    /// Takes note of a set that other contexts may come to fit.
    pub(super) fn note_set(&mut self, set: &str, clusters: &[CompactString]) {
        let open = members(set).any(|name| is_glob(name) || name == "all");
        if open && !self.shared.known_clusters.is_empty() {
            self.session.sets.insert(set.to_owned(), clusters.to_vec());
        } else {
            // Named one by one, they are these and no others.
            self.session.sets.retain(|_, known| known != clusters);
        }
    }

    /// What a set fits now takes the place of what it fitted before: in view, and in every pane that shows it.
    pub(super) fn follow_sets(&mut self) {
        for (set, old) in std::mem::take(&mut self.session.sets) {
            let new = match self.contexts_of(&set) {
                Ok(new) if !new.is_empty() => new,
                // None is left of it; what is gone is told as of every other context.
                _ => continue,
            };
            if new != old {
                self.tabs.take_clusters(&old, &new);
                if self.shared.clusters == old {
                    self.set_clusters(new.clone());
                }
                self.every_pane(|pane, cx| {
                    if pane
                        .clusters()
                        .is_some_and(|shown| shown == old.as_slice() || members(&set).eq(shown.iter()))
                    {
                        pane.take_clusters(&new, cx);
                    }
                });
            }
            self.session.sets.insert(set, new);
        }
    }
}
