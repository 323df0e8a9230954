//! A small generator of names and numbers: the same seed gives the same fleet.

use compact_str::CompactString;

/// SplitMix64 (Steele, Lea, Flood 2014): good enough for names and choices, never for secrets.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

/// The letters Kubernetes makes generated names of: no vowels, so that no word appears
/// (`k8s.io/apimachinery/pkg/util/rand`).
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one topic, so that a change in one part of the fleet leaves the others as they were.
    pub fn for_topic(seed: u64, topic: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
        for byte in topic.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut rng = Self(hash);
        rng.next();
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A number of the half-open range.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(0);
        from + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of the items; `None` of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(index)
    }

    /// The random end of a generated name.
    pub fn suffix(&mut self, length: usize) -> CompactString {
        (0..length).filter_map(|_| self.pick(LETTERS).map(|b| char::from(*b))).collect()
    }

    /// A version 4 UUID (RFC 9562).
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }

    /// `length` hexadecimal digits, for image digests and container identifiers.
    pub fn hex(&mut self, length: usize) -> String {
        let mut out = String::with_capacity(length + 16);
        while out.len() < length {
            out.push_str(&format!("{:016x}", self.next()));
        }
        out.truncate(length);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_topic_give_the_same_names() {
        let names = |seed, topic| {
            let mut rng = Rng::for_topic(seed, topic);
            (rng.suffix(5), rng.uuid(), rng.hex(12))
        };
        assert_eq!(names(1, "pods"), names(1, "pods"));
        assert_ne!(names(1, "pods"), names(2, "pods"));
        assert_ne!(names(1, "pods"), names(1, "nodes"));
        let uuid = names(1, "pods").1;
        assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
    }
}
