//! How fast one asker may call. Generous: it is there against loops gone wild, not against work.

use std::num::NonZeroU32;

use compact_str::CompactString;
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::settings::Settings;
use crate::base::{Actor, Code, Error, Result};

/// Askers remembered one by one; beyond, all others share one allowance, so that memory is bounded.
const ASKERS: usize = 10_000;

pub(in crate::gate) struct Limits {
    calls: RateLimiter<CompactString, DashMapStateStore<CompactString>, DefaultClock>,
}

impl Limits {
    pub fn new(settings: &Settings) -> Self {
        let per_second = NonZeroU32::new(settings.calls_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(settings.burst).unwrap_or(per_second);
        Self { calls: RateLimiter::dashmap(Quota::per_second(per_second).allow_burst(burst)) }
    }

    pub fn check(&self, actor: &Actor) -> Result<()> {
        let mut key = compact_str::format_compact!("{actor}");
        if self.calls.len() >= ASKERS {
            self.calls.retain_recent();
            if self.calls.len() >= ASKERS {
                key = CompactString::const_new("*");
            }
        }
        self.calls.check_key(&key).map_err(|_| {
            Error::new(Code::RateLimited, format!("{actor} calls too often"))
                .next("Wait a second; ask for more in one call, or watch instead of asking again.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_asker_has_an_allowance_of_its_own_and_memory_is_bounded() {
        let limits = Limits::new(&Settings { calls_per_second: 1, burst: 3, ..Settings::default() });
        let check = |name: &str| limits.check(&Actor::agent(name));
        (0..3).for_each(|_| check("a").unwrap());
        assert_eq!(check("a").unwrap_err().code, Code::RateLimited);
        check("b").unwrap();
        for i in 0..ASKERS + 500 {
            let _ = check(&format!("agent-{i}"));
        }
        assert!(limits.calls.len() <= ASKERS + 1, "{}", limits.calls.len());
    }
}
