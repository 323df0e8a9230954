//! What is under way in one stream of a watch: the bytes of half an event, the changes not told yet, and until when to
//! wait for more.

use std::time::Duration;

use compact_str::CompactString;
use tokio::time::Instant;

use super::Times;
use super::hub::{Change, Hub};
use crate::kube::wire::{Frames, Framing};
use crate::rows::Phase;

/// Readers are told at most this often, and at once when nothing was told for as long.
const FLUSH_EVERY: Duration = Duration::from_millis(10);

/// What is under way in one stream.
pub(super) struct Reading {
    pub(super) frames: Frames,
    pub(super) framing: Framing,
    pub(super) changes: Vec<Change>,
    pub(super) version: CompactString,
    pub(super) loading: bool,
    pub(super) times: Times,
    pub(super) began: Instant,
    pub(super) last_row: Instant,
    /// When the readers were told last.
    pub(super) told: Option<Instant>,
}

impl Reading {
    /// When what has gathered should be told.
    pub(super) fn due(&self) -> Instant {
        self.told.map_or(self.began, |told| told + FLUSH_EVERY)
    }

    /// The socket is empty: tells what is due, and says until when to wait for more.
    pub(super) fn wait(&mut self, hub: &Hub, been_live: bool) -> Option<Instant> {
        let now = Instant::now();
        if !self.changes.is_empty() {
            if self.due() > now {
                return Some(self.due());
            }
            self.flush(hub, been_live);
        }
        self.loading
            .then(|| (self.began + self.times.bookmark_within).max(self.last_row + self.times.still_coming))
    }

    /// Whether the end of the initial events should have come.
    pub(super) fn overdue(&self) -> bool {
        let now = Instant::now();
        self.loading
            && now >= self.began + self.times.bookmark_within
            && now >= self.last_row + self.times.still_coming
    }

    pub(super) fn flush(&mut self, hub: &Hub, been_live: bool) {
        let seen = hub.len() as u64 + self.changes.len() as u64;
        let phase = (self.loading && !been_live).then_some(Phase::Loading { seen, expected: None });
        hub.apply(&mut self.changes, phase);
        self.told = Some(Instant::now());
    }
}
