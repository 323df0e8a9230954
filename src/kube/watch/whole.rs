//! A table of which everything is wanted at once, figures too.

use std::pin::pin;
use std::sync::Arc;

use super::hub::Lease;
use super::join::Join;
use super::{FIGURES, Selection};
use crate::kube::cluster::Cluster;
use crate::rows::{Phase, SourceState, TableDelta, TableFeed, feed};

impl Cluster {
    /// As [`Cluster::watch_measured`], for who takes what there is and leaves: it is live only once the figures are known,
    /// or it is known why there are none, which then is its note. Needs a runtime.
    pub fn watch_whole(self: &Arc<Self>, selection: Selection) -> TableFeed {
        if Join::of(&selection).is_none() {
            return self.watch(selection);
        }
        let (sender, whole) = feed();
        let mut rows = self.watch_measured(selection.clone());
        let lease = self.watches().enter_measured(self, selection);
        tokio::spawn(async move {
            let mut known = pin!(figures(&lease));
            let (mut held, mut done) = (None, false);
            loop {
                tokio::select! {
                    delta = rows.next() => {
                        let Some(mut delta) = delta else { return };
                        if !done {
                            delta.sources.iter_mut().for_each(|state| hold(state, &mut held));
                        }
                        sender.merge(delta);
                    }
                    absent = &mut known, if !done => {
                        done = true;
                        // What the figures changed was merged before they were known.
                        if let Some(mut delta) = rows.try_next() {
                            delta.sources.iter_mut().for_each(|state| hold(state, &mut held));
                            sender.merge(delta);
                        }
                        if let Some(state) = held.take() {
                            let state = SourceState { note: state.note.or(absent), ..state };
                            sender.merge(TableDelta { sources: vec![state], ..TableDelta::default() });
                        }
                    }
                    () = sender.closed() => return,
                }
            }
        });
        whole
    }
}

/// Waits for the rows, and then for their figures; gives why there are none.
async fn figures(lease: &Lease) -> Option<String> {
    let mut phases = lease.hub().phases();
    let live = phases.wait_for(|phase| matches!(phase, Phase::Live | Phase::Polling { .. }));
    if live.await.is_err() {
        return None;
    }
    lease.measured(FIGURES).await
}

/// Keeps back that all is here.
fn hold(state: &mut SourceState, held: &mut Option<SourceState>) {
    *held = None;
    if matches!(state.phase, Phase::Live | Phase::Polling { .. }) {
        *held = Some(state.clone());
        state.phase = Phase::Loading { seen: 0, expected: None };
    }
}
