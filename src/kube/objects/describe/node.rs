//! Nodes: what they are, how they fare, what runs on them and how much of them is spoken for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::super::quantity;
use super::Extras;
use super::part::{self, items, text, text_or};
use super::sheet::Sheet;

pub fn node(sheet: &mut Sheet, n: &Value, extras: &Extras, now: Timestamp) {
    part::head(sheet, n, now);
    let roles: Vec<String> = part::object(n, "/metadata/labels")
        .filter_map(|(k, _)| k.strip_prefix("node-role.kubernetes.io/").map(str::to_owned))
        .collect();
    sheet.field("Roles", roles.join(","));
    let taints = items(n, "/spec/taints").iter().map(|t| {
        let value = text(t, "/value");
        let value = if value.is_empty() { value } else { format!("={value}") };
        format!("{}{value}:{}", text(t, "/key"), text(t, "/effect"))
    });
    sheet.list("Taints", taints.collect());
    sheet.field("Unschedulable", text_or(n, "/spec/unschedulable", "false"));
    part::conditions(sheet, n, now);
    sheet.section("Addresses", |s| {
        for a in items(n, "/status/addresses") {
            s.field(&text(a, "/type"), text(a, "/address"));
        }
    });
    let rows = part::object(n, "/status/capacity")
        .map(|(name, v)| {
            vec![
                name.clone(),
                part::plain(v),
                text(n, &format!("/status/allocatable/{}", name.replace('~', "~0").replace('/', "~1"))),
            ]
        })
        .collect();
    sheet.section("Resources", |s| s.table(&["Resource", "Capacity", "Allocatable"], rows));
    sheet.section("System Info", |s| {
        for (key, value) in part::object(n, "/status/nodeInfo") {
            s.some(&part::title(key), part::plain(value));
        }
    });
    sheet.some("Pod CIDR", text(n, "/spec/podCIDR"));
    sheet.some("Provider ID", text(n, "/spec/providerID"));
    pods(sheet, n, extras, now);
}

const SHOWN: usize = 250;

fn pods(sheet: &mut Sheet, n: &Value, extras: &Extras, now: Timestamp) {
    let live = |p: &&Value| !matches!(text(p, "/status/phase").as_str(), "Succeeded" | "Failed");
    let pods: Vec<&Value> = extras.pods.iter().filter(live).collect();
    let mut totals: BTreeMap<(String, bool), f64> = BTreeMap::new();
    let mut rows = Vec::new();
    for pod in &pods {
        let demands = quantity::pod_demands(pod);
        let of =
            |resource: &str, limit: bool| demands.get(&(resource.to_owned(), limit)).copied().unwrap_or(0.0);
        if rows.len() < SHOWN {
            rows.push(vec![
                text(pod, "/metadata/namespace"),
                text(pod, "/metadata/name"),
                quantity::cpu(of("cpu", false)),
                quantity::cpu(of("cpu", true)),
                quantity::bytes(of("memory", false)),
                quantity::bytes(of("memory", true)),
                part::age_of(pod, "/metadata/creationTimestamp", now),
            ]);
        }
        for (key, value) in demands {
            *totals.entry(key).or_default() += value;
        }
    }
    let heading = format!("Pods ({} in all)", pods.len());
    sheet.section(heading, |s| {
        s.table(
            &["Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"],
            rows,
        );
        if pods.len() > SHOWN {
            s.text(format!("… and {} more", pods.len() - SHOWN));
        }
    });
    let mut resources: Vec<String> = totals.keys().map(|(r, _)| r.clone()).collect();
    resources.dedup();
    let rows = resources
        .into_iter()
        .map(|resource| {
            let pointer = format!("/status/allocatable/{}", resource.replace('~', "~0").replace('/', "~1"));
            let all = quantity::parse(&text(n, &pointer)).unwrap_or(0.0);
            let cell = |limit: bool| {
                let used = totals.get(&(resource.clone(), limit)).copied().unwrap_or(0.0);
                let percent =
                    if all > 0.0 { format!(" ({:.0}%)", used / all * 100.0) } else { String::new() };
                format!("{}{percent}", quantity::show(&resource, used))
            };
            let (requests, limits) = (cell(false), cell(true));
            vec![resource, requests, limits]
        })
        .collect();
    sheet.section("Allocated Resources", |s| s.table(&["Resource", "Requests", "Limits"], rows));
}
