//! Numbers as a line of bars.

use compact_str::CompactString;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A line of bars, the highest full: what is there against what it was. Nothing is the lowest bar, as is zero.
pub fn line(numbers: &[u64]) -> CompactString {
    let most = numbers.iter().copied().max().unwrap_or_default().max(1);
    let bar = |n: &u64| BARS[(u128::from(*n) * (BARS.len() as u128 - 1) / u128::from(most)) as usize];
    numbers.iter().map(bar).collect()
}

/// At most `count` numbers that stand for all: of each group the largest, so that no peak is lost.
pub fn fold(numbers: &[u64], count: usize) -> Vec<u64> {
    if numbers.len() <= count || count == 0 {
        return numbers.to_vec();
    }
    let group = |i: usize| i * numbers.len() / count;
    (0..count).map(|i| numbers[group(i)..group(i + 1)].iter().copied().max().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_full_and_no_peak_is_lost() {
        assert_eq!((line(&[0, 1, 2]), line(&[]), line(&[0, 0])), ("▁▄█".into(), "".into(), "▁▁".into()));
        assert_eq!(line(&[u64::MAX, 0]), "█▁");
        let mut many = vec![1; 100];
        many[37] = 9;
        let folded = fold(&many, 24);
        assert_eq!((folded.len(), folded.iter().filter(|n| **n == 9).count()), (24, 1));
        assert_eq!(fold(&[1, 2], 24), [1, 2]);
    }
}
