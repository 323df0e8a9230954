//! Right-sizing: what is requested against what was observed. Pure.
//!
//! A request of CPU is what a container needs nearly always: the 95th percentile and 15 % more. Memory cannot be taken
//! back: its request is the most that was seen and 15 % more. Nothing is said on too few samples, and nothing is ever
//! changed here.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Sample, Shares};
use crate::base::{Code, Error, Result};
use crate::rows::cell;

/// The least that anything is said on.
pub const LEAST_SAMPLES: usize = 20;
pub const LEAST_SECONDS: u32 = 300;

/// What an advice is based on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Basis {
    /// `metrics.k8s.io` or `prometheus`.
    pub source: &'static str,
    /// Of all the containers of that name.
    pub samples: usize,
    /// From the first sample to the last, in seconds.
    pub span_seconds: u32,
}

/// One resource of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hint {
    pub container: String,
    /// `cpu` or `memory`.
    pub resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    pub median: String,
    pub p95: String,
    pub max: String,
    /// What to request; absent where the request fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    pub verdict: String,
}

/// Hints for every container of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Advice {
    #[serde(flatten)]
    pub basis: Basis,
    pub hints: Vec<Hint>,
}

/// One container name of a workload: what it asks for, and its samples, a trace for each pod.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub container: String,
    pub shares: Shares,
    pub traces: Vec<Vec<Sample>>,
}

impl Observed {
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.traces.iter().flatten()
    }

    fn basis(&self, source: &'static str) -> Basis {
        let times = || self.samples().map(|s| s.at);
        let span_seconds = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        Basis { source, samples: self.samples().count(), span_seconds }
    }
}

/// Advises on what was observed. The basis is that of the container with the least.
pub fn advise(observed: &[Observed], source: &'static str) -> Result<Advice> {
    let basis = observed.iter().map(|o| o.basis(source)).min_by_key(|b| (b.samples, b.span_seconds));
    let Some(basis) = basis else {
        return Err(Error::not_found("there is no container that runs"));
    };
    let enough = |o: &Observed| {
        let basis = o.basis(source);
        basis.samples >= LEAST_SAMPLES && basis.span_seconds >= LEAST_SECONDS
    };
    if !observed.iter().all(enough) {
        let (n, seconds) = (basis.samples, cell::age(i64::from(basis.span_seconds)));
        return Err(Error::new(
            Code::Conflict,
            format!("too few samples to advise on: {n} over {seconds}; {LEAST_SAMPLES} over 5 minutes are the least"),
        )
        .next("Keep its pods' table open until there are enough, or configure a Prometheus (kubernetes.prometheus)."));
    }
    let hints = observed.iter().flat_map(|o| [cpu(o), memory(o)]).collect();
    Ok(Advice { basis, hints })
}

/// Median, 95th percentile and maximum.
fn spread(mut values: Vec<u64>) -> (u64, u64, u64) {
    values.sort_unstable();
    // The nearest rank: of 20 values the 95th percentile is the 19th.
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied();
    (rank(50).unwrap_or(0), rank(95).unwrap_or(0), values.last().copied().unwrap_or(0))
}

fn cpu(observed: &Observed) -> Hint {
    let (median, p95, max) =
        spread(observed.samples().map(|s| u64::from(s.microcores.div_ceil(1000))).collect());
    // In steps of 5m, and no less than 10m.
    let wanted = ((p95 * 115).div_ceil(100).div_ceil(5) * 5).max(10);
    let (request, limit) = (positive(observed.shares.cpu_request), positive(observed.shares.cpu_limit));
    let show = |m: u64| format!("{m}m");
    let throttled = limit.is_some_and(|limit| max * 100 >= limit * 95);
    let verdict = verdict(&Judged { request, limit, wanted, reached: p95, slack: 20, show: &show });
    let verdict = match throttled {
        true => format!("{verdict}; it ran into its limit, where it is slowed down"),
        false => verdict,
    };
    let suggestion = suggestion(request, wanted, p95, 20).map(show);
    Hint {
        container: observed.container.clone(),
        resource: "cpu",
        request: request.map(show),
        limit: limit.map(show),
        median: show(median),
        p95: show(p95),
        max: show(max),
        suggestion,
        verdict,
    }
}

fn memory(observed: &Observed) -> Hint {
    const MEBI: u64 = 1 << 20;
    let (median, p95, max) = spread(observed.samples().map(|s| u64::from(s.kibibytes) * 1024).collect());
    let wanted = ((max * 115).div_ceil(100).div_ceil(MEBI) * MEBI).max(16 * MEBI);
    let (request, limit) = (positive(observed.shares.memory_request), positive(observed.shares.memory_limit));
    let show = |b: u64| cell::memory(i64::try_from(b).unwrap_or(i64::MAX)).to_string();
    let near = limit.is_some_and(|limit| max * 100 >= limit * 90);
    let verdict = verdict(&Judged { request, limit, wanted, reached: max, slack: 32 * MEBI, show: &show });
    let verdict = match near {
        true => format!("{verdict}; it came near its limit, where it is killed"),
        false => verdict,
    };
    Hint {
        container: observed.container.clone(),
        resource: "memory",
        request: request.map(show),
        limit: limit.map(show),
        median: show(median),
        p95: show(p95),
        max: show(max),
        suggestion: suggestion(request, wanted, max, 32 * MEBI).map(show),
        verdict,
    }
}

fn positive(n: Option<i64>) -> Option<u64> {
    n.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0)
}

/// What to request, unless the request fits: not below what was reached, and not above what is wanted by half and more.
fn suggestion(request: Option<u64>, wanted: u64, reached: u64, slack: u64) -> Option<u64> {
    match request {
        Some(request) if request >= reached && (request * 2 <= wanted * 3 || request - wanted < slack) => {
            None
        }
        _ => Some(wanted),
    }
}

struct Judged<'a> {
    request: Option<u64>,
    limit: Option<u64>,
    wanted: u64,
    reached: u64,
    /// A difference that is not worth a change.
    slack: u64,
    show: &'a dyn Fn(u64) -> String,
}

fn verdict(j: &Judged<'_>) -> String {
    let above = match j.limit {
        Some(limit) if j.wanted > limit => ", which is above its limit: raise that too",
        _ => "",
    };
    match (j.request, suggestion(j.request, j.wanted, j.reached, j.slack)) {
        (Some(_), None) => "fits".to_owned(),
        (None, _) => format!("requests none: request {}{above}", (j.show)(j.wanted)),
        (Some(request), Some(wanted)) if request < j.reached => {
            format!("requests too little: request {}{above}", (j.show)(wanted))
        }
        (Some(request), Some(wanted)) => {
            format!("requests too much: {} would do, {} less", (j.show)(wanted), (j.show)(request - wanted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(shares: Shares, millicores: impl Fn(u32) -> u32, mebi: u32, count: u32) -> Observed {
        let sample =
            |n: u32| Sample { at: 1_000 + n * 15, microcores: millicores(n) * 1000, kibibytes: mebi * 1024 };
        Observed { container: "main".into(), shares, traces: vec![(0..count).map(sample).collect()] }
    }

    fn mebi(n: i64) -> Option<i64> {
        Some(n << 20)
    }

    #[test]
    fn too_few_samples_are_refused_with_their_number() {
        for (count, words) in [(19, "advise on: 19 over 4m30s"), (0, "advise on: 0 over 0s")] {
            let error =
                advise(&[observed(Shares::default(), |_| 1, 1, count)], "metrics.k8s.io").unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
            assert!(error.next_step().contains("kubernetes.prometheus"));
        }
        // Many pods make many samples, but not a longer time.
        let mut many = observed(Shares::default(), |_| 1, 1, 10);
        many.traces = vec![many.traces[0].clone(); 10];
        assert!(advise(&[many], "metrics.k8s.io").unwrap_err().message.contains("100 over 2m15s"));
        assert!(advise(&[], "x").is_err());
    }

    #[test]
    fn requests_are_held_against_what_was_seen() {
        let shares = |cpu, cpu_limit, memory, memory_limit| Shares {
            cpu_request: cpu,
            cpu_limit,
            memory_request: memory,
            memory_limit,
        };
        let advice = |shares, spike: u32| {
            // One of twenty samples is a spike: the 95th percentile is without it, the maximum is it.
            let cpu = move |n: u32| if n % 20 == 7 { spike } else { 100 };
            let advice = advise(&[observed(shares, cpu, 200, 40)], "metrics.k8s.io").unwrap();
            assert_eq!(advice.basis, Basis { source: "metrics.k8s.io", samples: 40, span_seconds: 585 });
            let [cpu, memory] = &advice.hints[..] else { panic!("{advice:?}") };
            assert_eq!(
                (cpu.median.as_str(), cpu.p95.as_str(), cpu.max.as_str()),
                ("100m", "100m", &*format!("{spike}m"))
            );
            assert_eq!((memory.p95.as_str(), memory.max.as_str()), ("200Mi", "200Mi"));
            (cpu.verdict.clone(), memory.verdict.clone())
        };
        let fits = advice(shares(Some(120), Some(1000), mebi(240), mebi(400)), 300);
        assert_eq!(fits, ("fits".into(), "fits".into()));
        let much = advice(shares(Some(1000), None, mebi(1024), None), 300);
        assert_eq!(much.0, "requests too much: 115m would do, 885m less");
        assert_eq!(much.1, "requests too much: 230Mi would do, 794Mi less");
        let little = advice(shares(Some(50), Some(300), mebi(64), mebi(210)), 300);
        assert_eq!(
            little.0,
            "requests too little: request 115m; it ran into its limit, where it is slowed down"
        );
        assert_eq!(
            little.1,
            "requests too little: request 230Mi, which is above its limit: raise that too; it came near its limit, where it is killed"
        );
        let none = advice(Shares::default(), 300);
        assert_eq!(none, ("requests none: request 115m".into(), "requests none: request 230Mi".into()));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        assert_eq!(spread((1..=20).collect()), (10, 19, 20));
        assert_eq!(spread(vec![7]), (7, 7, 7));
        assert_eq!(spread(vec![]), (0, 0, 0));
    }
}
