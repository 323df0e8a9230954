//! The last while as one line: samples of several containers put together.

use std::collections::BTreeMap;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Amount, Sample};
use crate::rows::{Cell, spark};

/// Figures are made every 15 s at the most: samples of one such time are of the same moment.
const STEP: u32 = 15;
/// A container that was not told for so many steps is gone.
const CARRY: u32 = 8;
/// Cells of a line.
pub const WIDTH: usize = 24;

/// How CPU and memory went, as far as somebody looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Trend {
    pub samples: usize,
    /// From the first to the last, in seconds.
    pub span_seconds: u32,
    /// A line of bars, the highest full.
    #[schemars(with = "String")]
    pub cpu: CompactString,
    pub cpu_max: String,
    #[schemars(with = "String")]
    pub memory: CompactString,
    pub memory_max: String,
}

/// The sum over time of what each trace says; a value holds until the next, but not for long.
pub fn sum(traces: &[Vec<Sample>]) -> Vec<Sample> {
    let mut steps: BTreeMap<u32, Amount> = BTreeMap::new();
    for step in traces.iter().flatten().map(|s| s.at / STEP) {
        steps.entry(step).or_default();
    }
    for trace in traces {
        for (i, sample) in trace.iter().enumerate() {
            let from = sample.at / STEP;
            // The last of a step stands for the step.
            let until = match trace.get(i + 1) {
                Some(next) => (next.at / STEP).min(from + CARRY),
                None => from + 1,
            };
            for (_, amount) in steps.range_mut(from..until.max(from)) {
                *amount = *amount + sample.amount();
            }
        }
    }
    steps.into_iter().map(|(step, amount)| Sample::new(i64::from(step * STEP), amount)).collect()
}

impl Trend {
    /// Of samples in the order of their times; `None` of fewer than two, which are no line.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let (first, last) = (samples.first()?, samples.last()?);
        if samples.len() < 2 {
            return None;
        }
        let line = |of: &dyn Fn(&Sample) -> u32| {
            let numbers: Vec<u64> = samples.iter().map(|s| u64::from(of(s))).collect();
            (spark::line(&spark::fold(&numbers, WIDTH)), numbers.into_iter().max().unwrap_or(0))
        };
        let (cpu, cpu_max) = line(&|s| s.microcores);
        let (memory, memory_max) = line(&|s| s.kibibytes);
        let most = Amount { cpu: cpu_max as i64 * 1_000, memory: memory_max as i64 * 1024 };
        Some(Self {
            samples: samples.len(),
            span_seconds: last.at - first.at,
            cpu,
            cpu_max: Cell::Cpu(most.millicores()).display(0).into(),
            memory,
            memory_max: Cell::Memory(most.shown_memory()).display(0).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(samples: &[(u32, u32)]) -> Vec<Sample> {
        samples.iter().map(|(at, m)| Sample { at: *at, microcores: m * 1000, kibibytes: m * 1024 }).collect()
    }

    #[test]
    fn containers_add_up_though_they_are_measured_at_other_times() {
        let total = sum(&[trace(&[(0, 10), (30, 20), (60, 30)]), trace(&[(17, 1), (31, 2)])]);
        let texts: Vec<_> = total.iter().map(|s| (s.at, s.microcores / 1000)).collect();
        assert_eq!(texts, [(0, 10), (15, 11), (30, 22), (60, 30)]);
        let gap = sum(&[trace(&[(0, 10), (900, 20)]), trace(&[(600, 5)])]);
        assert_eq!(gap[1].microcores, 5000, "what was not told for long is not carried on");
    }

    #[test]
    fn a_line_needs_two_samples() {
        assert_eq!(Trend::of(&trace(&[(0, 1)])), None);
        let trend = Trend::of(&trace(&[(0, 0), (15, 100), (30, 50)])).unwrap();
        assert_eq!(
            (trend.cpu.as_str(), trend.cpu_max.as_str(), trend.memory_max.as_str()),
            ("▁█▄", "100m", "100Mi")
        );
        assert_eq!((trend.samples, trend.span_seconds), (3, 30));
    }
}
