//! What happens by itself: heartbeats, load that moves, and on request a flood.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Control, node};
use crate::lab::cluster::State;
use crate::lab::events;
use crate::lab::object::{items, number, stamp, text};
use crate::lab::quantity;
use crate::lab::rng::Rng;
use crate::lab::select::Selector;

/// Every node renews its lease once in ten seconds; here one node at a time.
const LEASE_SECONDS: i64 = 10;
const LOAD_SECONDS: i64 = 15;
const SWEEP_SECONDS: i64 = 60;
/// A flood is let out this often.
const FLOOD_MILLIS: i64 = 20;

pub(super) struct Churn {
    rng: Rng,
    nodes: usize,
    beats: usize,
    beat: Timestamp,
    load: Timestamp,
    sweep: Timestamp,
    flood: Timestamp,
    events_per_second: u32,
    flooded: u64,
    flood_began: Timestamp,
    /// Names of the pods that the flood touches, taken once.
    victims: Vec<(String, String)>,
}

impl Churn {
    pub fn new(state: &State, events_per_second: u32) -> Self {
        let now = Timestamp::now();
        let soon = |seconds| now + SignedDuration::from_secs(seconds);
        let victims = if events_per_second == 0 {
            Vec::new()
        } else {
            state.list("", "pods", "").iter().map(|p| (p.namespace.to_string(), p.name.to_string())).collect()
        };
        Self {
            rng: Rng::for_topic(state.seed, "churn"),
            nodes: state.list("", "nodes", "").len().max(1),
            beats: 0,
            beat: soon(1),
            load: soon(5),
            sweep: now,
            flood: if events_per_second == 0 { Timestamp::MAX } else { now },
            events_per_second,
            flooded: 0,
            flood_began: now,
            victims,
        }
    }

    pub fn next_due(&self) -> Timestamp {
        self.beat.min(self.load).min(self.sweep).min(self.flood)
    }

    /// Does what is due.
    pub fn act(&mut self, control: &mut Control) {
        let now = Timestamp::now();
        if now >= self.beat {
            let full = (self.beats / self.nodes) % 6 == 5;
            node::heartbeat(&control.state, self.beats, full);
            self.beats += 1;
            let between = LEASE_SECONDS * 1000 / i64::try_from(self.nodes).unwrap_or(1);
            self.beat = now + SignedDuration::from_millis(between.max(100));
        }
        if now >= self.load {
            self.load = now + SignedDuration::from_secs(LOAD_SECONDS);
            self.autoscale(control);
            quotas(control);
        }
        if now >= self.sweep {
            self.sweep = now + SignedDuration::from_secs(SWEEP_SECONDS);
            events::expire(&control.state, now);
            quotas(control);
        }
        if now >= self.flood {
            self.flood = now + SignedDuration::from_millis(FLOOD_MILLIS);
            self.let_out(control, now);
        }
    }

    /// Load moves up and down, and the autoscalers follow.
    fn autoscale(&mut self, control: &Control) {
        let Some(kind) = control.state.kind("autoscaling", "horizontalpodautoscalers") else { return };
        let Some(deployments) = control.state.kind("apps", "deployments") else { return };
        for object in control.state.store.list(kind.id, "", None).0 {
            let scaler = object.value();
            let name = text(&scaler, "spec.scaleTargetRef.name");
            let Some(target) = control.state.store.get(deployments.id, &object.namespace, name) else {
                continue;
            };
            let mut deployment = target.value();
            let (least, most) =
                (number(&scaler, "spec.minReplicas").max(1), number(&scaler, "spec.maxReplicas"));
            let now = number(&deployment, "spec.replicas");
            let before = items(&scaler, "status.currentMetrics")
                .first()
                .and_then(|m| m["resource"]["current"]["averageUtilization"].as_i64())
                .unwrap_or(60);
            let load = (before + self.rng.between(-9, 10)).clamp(35, 95);
            let wanted = match load {
                80.. => now + 1,
                ..=45 => now - 1,
                _ => now,
            }
            .clamp(least, most.max(least));
            let mut status = json!({
                "observedGeneration": 1, "currentReplicas": number(&deployment, "status.replicas"), "desiredReplicas": wanted,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "current": {"averageUtilization": load, "averageValue": format!("{load}m")}}}],
                "conditions": [
                    {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "recommended size matches current size"},
                    {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound",
                     "message": "the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"},
                ],
            });
            if wanted != now && now > 0 {
                status["lastScaleTime"] = stamp(Timestamp::now()).into();
                deployment["spec"]["replicas"] = wanted.into();
                deployment["metadata"]["generation"] =
                    (number(&deployment, "metadata.generation") + 1).into();
                if control.replace(&deployments, &target, deployment) {
                    let way = if wanted > now { "above" } else { "below" };
                    let message = format!(
                        "New size: {wanted}; reason: cpu resource utilization (percentage of request) {way} target"
                    );
                    control.tell(
                        &kind,
                        &scaler,
                        "horizontal-pod-autoscaler",
                        false,
                        "SuccessfulRescale",
                        &message,
                    );
                }
            }
            control.set_status(&kind, &object, status);
        }
    }

    /// As many changes of pods as should have happened since the start.
    fn let_out(&mut self, control: &Control, now: Timestamp) {
        let Some(kind) = control.state.kind("", "pods") else { return };
        let elapsed = u64::try_from(now.duration_since(self.flood_began).as_millis()).unwrap_or(0);
        let owed = elapsed * u64::from(self.events_per_second) / 1000;
        // A process that slept does not make up for all of it at once.
        self.flooded = self.flooded.max(owed.saturating_sub(u64::from(self.events_per_second)));
        while self.flooded < owed {
            self.flooded += 1;
            let Some((namespace, name)) = self.rng.pick(&self.victims) else { return };
            let Some(object) = control.state.store.get(kind.id, namespace, name) else { continue };
            let mut pod = object.value();
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0);
            if pod["status"]["containerStatuses"].is_array() {
                pod["status"]["containerStatuses"][0]["restartCount"] = (restarts + 1).into();
            }
            control.replace(&kind, &object, pod);
        }
    }
}

/// Counts what the quotas' namespaces use.
fn quotas(control: &Control) {
    let Some(kind) = control.state.kind("", "resourcequotas") else { return };
    for object in control.state.store.list(kind.id, "", None).0 {
        let quota = object.value();
        let used: Map<String, Value> = used(control, &object.namespace)
            .into_iter()
            .map(|(resource, amount)| (resource.to_owned(), shown(resource, amount).into()))
            .collect();
        control.set_status(&kind, &object, json!({"hard": quota["spec"]["hard"], "used": used}));
        budgets(control, &object.namespace);
    }
}

type Amounts = [(&'static str, i64); 5];

/// What a namespace's pods take, by the names that quotas have for it: thousandths of cores, bytes, pods.
fn used(control: &Control, namespace: &str) -> Amounts {
    let mut sum = takes(&Value::Null).map(|(resource, _)| (resource, 0));
    for pod in control.state.list("", "pods", namespace) {
        let value = pod.value();
        if !matches!(text(&value, "status.phase"), "Succeeded" | "Failed") {
            for ((_, all), (_, amount)) in sum.iter_mut().zip(takes(&value["spec"])) {
                *all += amount;
            }
        }
    }
    sum
}

/// What one pod takes.
fn takes(spec: &Value) -> Amounts {
    let sum = |each: &dyn Fn(&Value) -> i64| items(spec, "containers").iter().map(each).sum();
    [
        ("limits.cpu", sum(&|c| quantity::millis(text(c, "resources.limits.cpu")))),
        ("limits.memory", sum(&|c| quantity::bytes(text(c, "resources.limits.memory")))),
        ("pods", 1),
        ("requests.cpu", sum(&|c| quantity::millis(text(c, "resources.requests.cpu")))),
        ("requests.memory", sum(&|c| quantity::bytes(text(c, "resources.requests.memory")))),
    ]
}

fn shown(resource: &str, amount: i64) -> String {
    match resource {
        "pods" => amount.to_string(),
        cpu if cpu.ends_with("cpu") => quantity::show_millis(amount),
        _ => quantity::show_bytes(amount),
    }
}

/// Why a quota has no room for one more pod like this one, in the API server's words.
pub(super) fn exceeded(control: &Control, namespace: &str, template: &Value, name: &str) -> Option<String> {
    let kind = control.state.kind("", "resourcequotas")?;
    let quotas = control.state.store.list(kind.id, namespace, None).0;
    if quotas.is_empty() {
        return None;
    }
    let (used, more) = (used(control, namespace), takes(&template["spec"]));
    for quota in quotas {
        let hard = &quota.value()["spec"]["hard"];
        for ((resource, used), (_, more)) in used.into_iter().zip(more) {
            let Some(limit) = hard[resource].as_str() else { continue };
            let limit_in_units = match resource {
                "pods" => limit.parse().unwrap_or(i64::MAX),
                cpu if cpu.ends_with("cpu") => quantity::millis(limit),
                _ => quantity::bytes(limit),
            };
            if more > 0 && used + more > limit_in_units {
                return Some(format!(
                    "pods \"{name}\" is forbidden: exceeded quota: {}, requested: {resource}={}, used: {resource}={}, limited: {resource}={limit}",
                    quota.name,
                    shown(resource, more),
                    shown(resource, used)
                ));
            }
        }
    }
    None
}

/// Brings the disruption budgets of a namespace up to date.
fn budgets(control: &Control, namespace: &str) {
    let Some(kind) = control.state.kind("policy", "poddisruptionbudgets") else { return };
    for object in control.state.store.list(kind.id, namespace, None).0 {
        let budget = object.value();
        let selector = Selector::of_object(&budget["spec"]["selector"]);
        let pods: Vec<Value> = control
            .state
            .list("", "pods", namespace)
            .iter()
            .filter(|p| selector.matches(p))
            .map(|p| p.value())
            .collect();
        let expected = i64::try_from(pods.len()).unwrap_or(0);
        let healthy = i64::try_from(pods.iter().filter(|p| super::ready(p)).count()).unwrap_or(0);
        let least = text(&budget, "spec.minAvailable").trim_end_matches('%').parse().unwrap_or(50);
        let desired = (expected * least + 99) / 100;
        let status = json!({"observedGeneration": 1, "disruptionsAllowed": (healthy - desired).max(0),
                            "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected});
        control.set_status(&kind, &object, status);
    }
}
