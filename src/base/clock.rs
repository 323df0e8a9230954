//! Time as a dependency, so that expiry and ages can be tested without waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// Wall-clock time. Time-outs inside one process use tokio's monotonic clock instead.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is told to move: for tests, and for replaying a screen.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now.as_millisecond())))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millisecond(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// `90`, `90s`, `15m`, `2h30m`, `1d`, `2w`, `1y` in seconds; nothing if the text is no span of time, or longer than can be
/// counted. A year has 365 days, as in kubectl's ages.
pub fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut number) = (0u64, String::new());
    for c in text.trim().chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            'y' => 31_536_000,
            _ => return None,
        };
        let count: u64 = std::mem::take(&mut number).parse().ok()?;
        total = count.checked_mul(unit).and_then(|n| total.checked_add(n))?;
    }
    if number.is_empty() {
        return if text.trim().is_empty() { None } else { Some(total) };
    }
    number.parse::<u64>().ok().and_then(|n| total.checked_add(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read() {
        for (text, expected) in
            [("90", 90), ("90s", 90), ("15m", 900), ("2h30m", 9_000), ("1d", 86_400), ("0s", 0)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", " ", "5x", "m", "h5", "99999999999999999999d", "999999999999999999w", "-5m"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
