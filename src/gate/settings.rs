//! What can be set about the gate.

use std::time::Duration;

use super::acting::Acting;

#[derive(Debug, Clone)]
pub struct Settings {
    /// The session's name: a call held in one is decided about there, where it will run.
    pub session: String,
    /// Refuse every change and destroy, whoever asks.
    pub read_only: bool,
    /// As whom the clusters take the calls, where that is not whoever they log in as.
    pub acting: Acting,
    /// How long a held call may wait for its decision.
    pub approval_lifetime: Duration,
    /// How long the result of a held call that nobody fetched answers the same call again.
    pub handover: Duration,
    /// Calls of one actor that may wait at once.
    pub pending_per_actor: usize,
    pub calls_per_second: u32,
    pub burst: u32,
    /// How long computing a preview may take.
    pub preview_timeout: Duration,
    /// How long shutting down waits for changes under way.
    pub drain: Duration,
    /// The longest lifetime of a grant.
    pub grant_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session: String::new(),
            read_only: false,
            acting: Acting::default(),
            approval_lifetime: Duration::from_secs(300),
            handover: Duration::from_secs(600),
            pending_per_actor: 50,
            calls_per_second: 5_000,
            burst: 10_000,
            preview_timeout: Duration::from_secs(20),
            drain: Duration::from_secs(10),
            grant_lifetime: Duration::from_secs(24 * 3600),
        }
    }
}
