//! Shared watches.
use std::time::Duration;

pub(super) struct Watches {
    linger: Duration,
}

impl Watches {
    pub(super) fn new(linger: Duration) -> Self {
        Self { linger }
    }

    pub(super) fn restart(&self) {
        let _ = self.linger;
    }
}
