//! How many wrong tokens one address may show.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Addresses remembered at most; beyond it those that have rested long enough are forgotten.
const ADDRESSES: usize = 4096;

/// A burst of 20, then one in three seconds, for each address.
pub struct Failures {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Failures {
    fn default() -> Self {
        let burst = NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN);
        Self { limiter: RateLimiter::keyed(Quota::per_minute(burst)) }
    }
}

impl Failures {
    /// Notes a failure; false once there were too many.
    pub fn note(&self, peer: IpAddr) -> bool {
        if self.limiter.len() >= ADDRESSES {
            self.limiter.retain_recent();
            if self.limiter.len() >= ADDRESSES {
                // A crowd of addresses: each new one is as one that failed too often.
                return false;
            }
        }
        self.limiter.check_key(&block(peer)).is_ok()
    }
}

/// One household of IPv6 addresses (a /64) counts as one.
fn block(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let mut parts = v6.segments();
            parts[4..].fill(0);
            IpAddr::from(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_however_many_addresses_there_are() {
        let failures = Failures::default();
        for n in 0..20_000u32 {
            failures.note(IpAddr::from(n.to_be_bytes()));
        }
        assert!(failures.limiter.len() <= ADDRESSES);
    }
}
