//! What an object takes, against what it asks for, with the last while as a line.

use std::time::Duration;

use serde_json::Value;

use super::part::text;
use super::sheet::Sheet;
use crate::base;
use crate::kube::objects::place::Place;
use crate::kube::usage::{self, Amount, Sample, Scope, Shares, Trend};
use crate::rows::{Cell, cell};

/// A description does not wait longer for figures.
const PATIENCE: Duration = Duration::from_secs(3);

/// One container, workload or node.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    pub name: String,
    pub shares: Shares,
    pub now: Option<Amount>,
    pub samples: Vec<Sample>,
}

/// Reads what a pod, a workload with its `pods`, or a node takes; nothing for others, and where nobody measures.
pub async fn read(place: &Place, object: &Value, pods: &[Value]) -> base::Result<Vec<Taken>> {
    let kind = text(object, "/kind");
    let scope = match (kind.as_str(), &place.namespace) {
        ("Node", None) => Scope::Nodes,
        ("Pod", Some(namespace)) => Scope::Pod(namespace.clone(), place.name.clone()),
        ("Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job", Some(namespace)) => {
            Scope::Namespace(namespace.clone())
        }
        _ => return Ok(Vec::new()),
    };
    // A cluster that nobody measures has no such section.
    let kinds = place.cluster.kinds().await?;
    if usage::version(&kinds).is_none() {
        return Ok(Vec::new());
    }
    let mut reader = place.cluster.usage(scope, PATIENCE).await?;
    let figures = reader.window().figures.clone();
    if kind == "Node" {
        let allocatable = Shares::of(&serde_json::json!({"requests": object.pointer("/status/allocatable")}));
        let key = usage::key("", &place.name);
        let (now, samples) = (figures.get(&key).map(|f| f.total), reader.samples(&key, ""));
        return Ok(vec![Taken { name: place.name.clone(), shares: allocatable, now, samples }]);
    }
    let of_pod = |pod: &Value| -> Vec<Taken> {
        let taken = |c: usage::Container| Taken {
            name: c.name.to_string(),
            shares: c.shares,
            now: c.now,
            samples: reader.samples(&usage::key(&c.namespace, &c.pod), &c.name),
        };
        usage::of_pod(pod, &figures).into_iter().map(taken).collect()
    };
    if kind == "Pod" {
        return Ok(of_pod(object));
    }
    let all: Vec<Taken> = pods.iter().flat_map(of_pod).collect();
    let shares = all.iter().map(|t| t.shares).fold(Shares::default(), Shares::and);
    let now = all.iter().filter_map(|t| t.now).reduce(|a, b| a + b);
    let traces: Vec<_> = all.into_iter().map(|t| t.samples).collect();
    Ok(vec![Taken { name: format!("{} pods", pods.len()), shares, now, samples: usage::sum(&traces) }])
}

pub(super) fn section(sheet: &mut Sheet, object: &Value, all: &[Taken]) {
    if all.is_empty() {
        return;
    }
    let is_node = text(object, "/kind") == "Node";
    let last = if is_node { "Allocatable" } else { "Limit" };
    sheet.section("Usage", |s| {
        let headers = if is_node {
            vec!["Of", "Resource", "Now", last, "Lately"]
        } else {
            vec!["Of", "Resource", "Now", "Request", last, "Lately"]
        };
        s.table(&headers, all.iter().flat_map(|taken| rows(taken, is_node)).collect());
    });
}

/// CPU and memory: now with its share of each, and lately.
fn rows(taken: &Taken, is_node: bool) -> [Vec<String>; 2] {
    let trend = Trend::of(&taken.samples);
    let lately = |line: Option<(&str, &str)>| match (line, &trend) {
        (Some((line, max)), Some(trend)) => {
            format!("{line} at most {max} in {}", cell::age(i64::from(trend.span_seconds)))
        }
        _ => "–".to_owned(),
    };
    let of = |now: Option<i64>, of: Option<i64>, show: fn(i64) -> Cell| {
        let Some(of) = of else { return "–".to_owned() };
        let amount = show(of).display(0);
        match now.filter(|_| of > 0) {
            Some(now) => format!("{amount} ({} %)", i128::from(now) * 100 / i128::from(of)),
            None => amount.to_string(),
        }
    };
    let row = |resource: &str, now: Option<i64>, request, limit, show: fn(i64) -> Cell, line| {
        let shown = now.map_or_else(|| "–".to_owned(), |n| show(n).display(0).to_string());
        let mut row = vec![taken.name.clone(), resource.to_owned(), shown, of(now, request, show)];
        if !is_node {
            row.push(of(now, limit, show));
        }
        row.push(lately(line));
        row
    };
    let s = taken.shares;
    let cpu = trend.as_ref().map(|t| (t.cpu.as_str(), t.cpu_max.as_str()));
    let memory = trend.as_ref().map(|t| (t.memory.as_str(), t.memory_max.as_str()));
    [
        row("cpu", taken.now.map(Amount::millicores), s.cpu_request, s.cpu_limit, Cell::Cpu, cpu),
        row(
            "memory",
            taken.now.map(Amount::shown_memory),
            s.memory_request,
            s.memory_limit,
            Cell::Memory,
            memory,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_held_against_what_is_asked_for() {
        let sample = |at, m: u32| Sample { at, microcores: m * 1000, kibibytes: 1024 };
        let taken = Taken {
            name: "main".into(),
            shares: Shares { cpu_request: Some(200), memory_limit: Some(64 << 20), ..Shares::default() },
            now: Some(Amount { cpu: 50_000_000, memory: 1 << 20 }),
            samples: vec![sample(0, 10), sample(60, 80), sample(120, 50)],
        };
        let [cpu, memory] = rows(&taken, false);
        assert_eq!(cpu, ["main", "cpu", "50m", "200m (25 %)", "–", "▁█▅ at most 80m in 2m"]);
        assert_eq!(memory, ["main", "memory", "1Mi", "–", "64Mi (1 %)", "███ at most 1Mi in 2m"]);
        let unknown = Taken { now: None, samples: Vec::new(), ..taken };
        assert_eq!(rows(&unknown, true)[0], ["main", "cpu", "–", "200m", "–"]);
        let mut sheet = Sheet::new();
        section(&mut sheet, &serde_json::json!({"kind": "Pod"}), &[unknown]);
        assert!(sheet.render().contains("Usage"));
    }
}
