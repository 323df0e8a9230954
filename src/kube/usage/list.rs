//! Lists of `metrics.k8s.io` on the wire.
//!
//! Source: `k8s.io/metrics/pkg/apis/metrics/v1beta1`. Nodes have a usage, pods one of each container.

use std::borrow::Cow;

use compact_str::CompactString;
use serde::Deserialize;

use super::{Amount, Key};
use crate::kube::quantity;

/// What one list told of one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) key: Key,
    /// When it was measured, in seconds since the epoch.
    pub(super) at: i64,
    /// Over how many seconds the CPU is an average.
    pub(super) window: u32,
    pub(super) total: Amount,
    /// None of a node.
    pub(super) containers: Box<[(CompactString, Amount)]>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    window: Cow<'a, str>,
    #[serde(borrow, default)]
    usage: Usage<'a>,
    #[serde(borrow, default)]
    containers: Vec<Container<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    usage: Usage<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage<'a> {
    #[serde(borrow)]
    cpu: Cow<'a, str>,
    #[serde(borrow)]
    memory: Cow<'a, str>,
}

impl Usage<'_> {
    fn amount(&self) -> Result<Amount, String> {
        let wrong = |what: &str, text: &str| format!("{text:?} is no amount of {what}");
        // What a source leaves out it has not measured as something.
        let read =
            |text: &str, read: fn(&str) -> Option<i64>| if text.is_empty() { Some(0) } else { read(text) };
        Ok(Amount {
            cpu: read(&self.cpu, quantity::nanocores).ok_or_else(|| wrong("CPU", &self.cpu))?,
            memory: read(&self.memory, quantity::bytes).ok_or_else(|| wrong("memory", &self.memory))?,
        })
    }
}

/// Reads a list of pods or nodes.
pub(super) fn read(body: &[u8]) -> Result<Vec<Told>, String> {
    let list: List<'_> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    list.items.iter().map(told).collect()
}

fn told(item: &Item<'_>) -> Result<Told, String> {
    let containers: Box<[_]> = item
        .containers
        .iter()
        .map(|c| Ok((CompactString::new(&c.name), c.usage.amount()?)))
        .collect::<Result<_, String>>()?;
    let total = if containers.is_empty() {
        item.usage.amount()?
    } else {
        containers.iter().map(|(_, amount)| *amount).sum()
    };
    Ok(Told {
        key: super::key(&item.metadata.namespace, &item.metadata.name),
        at: item.timestamp.parse::<jiff::Timestamp>().map_or(0, |at| at.as_second()),
        window: seconds(&item.window),
        total,
        containers,
    })
}

/// A duration as Go writes it (`15.007s`, `1m0.5s`), in whole seconds, rounded up.
fn seconds(text: &str) -> u32 {
    let mut total = 0.0;
    let mut rest = text;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit() && c != '.') {
        let Ok(number) = rest[..end].parse::<f64>() else { return 0 };
        let after = rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| end + n);
        total += number
            * match &rest[end..after] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                _ => 0.0,
            };
        rest = &rest[after..];
    }
    f64::min(total.ceil(), 86_400.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What metrics-server 0.9.0 sent.
    #[test]
    fn lists_of_pods_and_nodes_are_read() {
        let pods = read(
            br#"{"kind":"PodMetricsList","items":[{"metadata":{"name":"busy","namespace":"shop"},"timestamp":"2026-11-21T22:40:31Z","window":"15.007s",
            "containers":[{"name":"main","usage":{"cpu":"61469244n","memory":"608Ki"}},{"name":"side","usage":{"cpu":"0","memory":"640Ki"}}]}]}"#,
        )
        .unwrap();
        assert_eq!((pods[0].at, pods[0].window), (1_795_300_831, 16));
        assert_eq!(pods[0].total, Amount { cpu: 61_469_244, memory: 1248 << 10 });
        assert_eq!(pods[0].containers[1], ("side".into(), Amount { cpu: 0, memory: 640 << 10 }));
        let nodes = read(
            br#"{"items":[{"metadata":{"name":"real"},"timestamp":"2026-11-21T22:40:20Z","window":"1m0.5s","usage":{"cpu":"1616087636n","memory":"8516636Ki"}}]}"#,
        )
        .unwrap();
        assert_eq!((nodes[0].total.millicores(), nodes[0].window), (1617, 61));
        assert!(
            read(br#"{"items":[{"metadata":{"name":"x"},"usage":{"cpu":"much"}}]}"#)
                .unwrap_err()
                .contains("CPU")
        );
        assert!(read(b"<html>").is_err());
        assert_eq!(seconds("nonsense"), 0);
    }
}
