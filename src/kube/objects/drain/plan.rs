//! What draining a node would do.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Options;
use super::judge::{Verdict, judge};
use crate::base;
use crate::kube::objects::around::matches_labels;
use crate::kube::objects::cordon;
use crate::kube::objects::describe::part::{controller, number, text};
use crate::kube::objects::place::{List, Place, Seen};
use crate::kube::objects::plan::Plan;
use crate::kube::objects::yaml::to_yaml;
use crate::kube::{Cluster, Error};

/// One pod that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// `ReplicaSet/web-5d9`, or empty.
    keeper: String,
    labels: Value,
    lost: Option<&'static str>,
}

impl Going {
    pub fn words(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// The pods of a node, parted.
#[derive(Debug, Default)]
pub struct Parted {
    pub going: Vec<Going>,
    /// `namespace/name` and why.
    pub staying: Vec<(String, &'static str)>,
    blocking: Vec<(String, &'static str, &'static str)>,
}

impl Parted {
    /// Fails if pods stand in the way.
    pub fn passable(self) -> base::Result<Self> {
        if self.blocking.is_empty() {
            return Ok(self);
        }
        let mut options: Vec<&str> = self.blocking.iter().map(|(_, _, option)| *option).collect();
        options.sort_unstable();
        options.dedup();
        let named: Vec<String> =
            self.blocking.iter().take(5).map(|(pod, why, _)| format!("{pod} ({why})")).collect();
        let more = self.blocking.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = self.blocking.len();
        let all: Vec<Value> = self
            .blocking
            .iter()
            .map(|(pod, why, option)| json!({"pod": pod, "why": why, "option": option}))
            .collect();
        Err(base::Error::invalid(format!(
            "{count} pods stand in the way of the drain: {}{more}",
            named.join(", ")
        ))
        .next(format!("Turn on {}, or move these pods first.", options.join(", ")))
        .details(json!({"pods": all})))
    }
}

/// Reads and parts the pods of a node.
pub async fn part(place: &Place, options: &Options) -> base::Result<Parted> {
    let field = format!("spec.nodeName={}", place.name);
    let pods = List::new(&place.cluster, "/api/v1/pods").fields(field).most(5_000).read().await?;
    let of_daemons = |p: &Value| controller(p).starts_with("DaemonSet/");
    let sets =
        if pods.items.iter().any(of_daemons) { daemon_sets(&place.cluster).await? } else { Vec::new() };
    let mut out = Parted::default();
    for pod in &pods.items {
        let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        let words = format!("{namespace}/{name}");
        match judge(pod, options, &sets) {
            Verdict::Stays(why) => out.staying.push((words, why)),
            Verdict::Blocks(why, option) => out.blocking.push((words, why, option)),
            Verdict::Goes(lost) => out.going.push(Going {
                namespace,
                name,
                uid: text(pod, "/metadata/uid"),
                keeper: controller(pod),
                labels: pod.pointer("/metadata/labels").cloned().unwrap_or_default(),
                lost,
            }),
        }
    }
    out.going.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    out.staying.sort();
    Ok(out)
}

async fn daemon_sets(cluster: &Cluster) -> Result<Vec<String>, Error> {
    let sets = List::new(cluster, "/apis/apps/v1/daemonsets").metadata().read().await?;
    let name = |s: &Value| format!("{}/{}", text(s, "/metadata/namespace"), text(s, "/metadata/name"));
    Ok(sets.items.iter().map(name).collect())
}

/// The node and the pods that would go, as one state: another pod there is another drain.
pub fn seen(node: &Value, going: &[Going]) -> Seen {
    let mut hash = Sha256::new();
    hash.update(cordon::seen(node).revision);
    for pod in going {
        hash.update(&pod.uid);
    }
    Seen { uid: Seen::of(node).uid, revision: hex::encode(&hash.finalize()[..8]) }
}

pub async fn plan(place: &Place, options: &Options) -> base::Result<Plan> {
    let (node, parted) = tokio::try_join!(async { Ok(place.get().await?) }, part(place, options))?;
    let parted = parted.passable()?;
    let page = |closed: bool, drained: bool| {
        let going = parted.going.iter().filter(|_| !drained).map(Going::words);
        let all: Vec<String> = going.chain(parted.staying.iter().map(|(p, _)| p.clone())).collect();
        to_yaml(&json!({"spec": {"unschedulable": closed}, "pods": all}))
    };
    let mut plan = Plan {
        seen: Some(seen(&node, &parted.going)),
        before: page(cordon::is_closed(&node), false),
        after: page(true, true),
        checks: vec![format!("{} pods judged", parted.going.len() + parted.staying.len())],
        ..Plan::default()
    };
    let verb = if options.disable_eviction { "deleted" } else { "evicted" };
    plan.affects.push(format!("{} pods are {verb}{}", parted.going.len(), keepers(&parted.going)));
    if !parted.staying.is_empty() {
        plan.affects.push(format!("{} stay: {}", parted.staying.len(), reasons(&parted.staying)));
    }
    let lost: Vec<(String, &str)> = parted.going.iter().filter_map(|p| Some((p.words(), p.lost?))).collect();
    plan.warnings.extend(lost.iter().take(8).map(|(pod, what)| format!("{pod}: {what}")));
    if lost.len() > 8 {
        plan.warnings.push(format!("and {} more lose something", lost.len() - 8));
    }
    if options.disable_eviction {
        plan.warnings.push("no disruption budget is asked: the pods are deleted".to_owned());
    } else {
        budgets(place, &parted.going, &mut plan).await;
    }
    if parted.going.is_empty() {
        plan.warnings.push("no pod is to go".to_owned());
    }
    Ok(plan)
}

/// ` (web 3, cart 2)`
fn keepers(going: &[Going]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in going {
        *counts.entry(pod.keeper.split_once('/').map_or("without a keeper", |(_, n)| n)).or_default() += 1;
    }
    let mut words: Vec<String> = counts.iter().take(12).map(|(k, n)| format!("{k} {n}")).collect();
    if counts.len() > 12 {
        words.push("…".to_owned());
    }
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn reasons(staying: &[(String, &str)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, why) in staying {
        *counts.entry(why).or_default() += 1;
    }
    let words: Vec<String> = counts.iter().map(|(why, n)| format!("{n} × {why}")).collect();
    words.join(", ")
}

/// Says which disruption budgets will hold the drain up.
async fn budgets(place: &Place, going: &[Going], plan: &mut Plan) {
    let list = List::new(&place.cluster, "/apis/policy/v1/poddisruptionbudgets").read().await;
    let budgets = match list {
        Ok(listed) => listed.items,
        Err(e) if e.is_not_found() => return,
        Err(e) => return plan.checks.push(format!("disruption budgets not read: {e}")),
    };
    for budget in &budgets {
        let namespace = text(budget, "/metadata/namespace");
        let selector = budget.pointer("/spec/selector").unwrap_or(&Value::Null);
        let here =
            going.iter().filter(|p| p.namespace == namespace && matches_labels(selector, &p.labels)).count();
        if here == 0 {
            continue;
        }
        let name = format!("{namespace}/{}", text(budget, "/metadata/name"));
        let allowed = number(budget, "/status/disruptionsAllowed");
        if allowed == 0 {
            let (wants, has) =
                (number(budget, "/status/desiredHealthy"), number(budget, "/status/currentHealthy"));
            plan.warnings.push(format!(
                "disruption budget {name} lets none of its {here} pods here go now ({wants} healthy wanted, {has} \
                 are): the drain waits for it"
            ));
        } else if allowed < here as i64 {
            plan.affects.push(format!(
                "disruption budget {name} lets {allowed} of its {here} pods here go at a time"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_named_with_the_option_that_lets_it_go() {
        let parted = Parted {
            blocking: vec![
                ("shop/a".into(), "it keeps data in an emptyDir", "delete_emptydir_data"),
                ("shop/b".into(), "no controller keeps it", "force"),
            ],
            ..Parted::default()
        };
        let error = parted.passable().unwrap_err();
        assert!(error.message.contains("2 pods") && error.message.contains("shop/b (no controller"));
        assert_eq!(error.next_step(), "Turn on delete_emptydir_data, force, or move these pods first.");
    }
}
