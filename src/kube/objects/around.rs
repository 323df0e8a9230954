//! What stands around a workload and feels its changes: services, autoscalers, disruption budgets, quotas.

use std::collections::BTreeMap;

use serde_json::Value;

use super::describe::part::{controller, items, number, object, plain, text, text_or};
use super::place::{List, Place};
use super::plan::Plan;
use super::quantity;
use crate::kube::Error;

#[derive(Debug, Default)]
pub struct Around {
    /// Services that select the workload's pods, with the number of their ready endpoints.
    services: Vec<(String, usize)>,
    autoscalers: Vec<Value>,
    budgets: Vec<Value>,
    quotas: Vec<Value>,
    /// What could not be read.
    missing: Vec<String>,
}

impl Around {
    /// Reads what concerns pods made from `template` in the place's namespace. What cannot be read is said, and does not
    /// stop the rest.
    pub async fn read(place: &Place, template: &Value) -> Self {
        let mut around = Self::default();
        let cluster = &*place.cluster;
        let Some(namespace) = place.namespace.as_deref() else { return around };
        let in_namespace = |api: &str, plural: &str| {
            // The namespace comes from the place, whose paths are encoded already.
            let base = place.resource.path(Some(namespace), None);
            let encoded =
                base.split("/namespaces/").nth(1).and_then(|r| r.split('/').next()).unwrap_or_default();
            List::new(cluster, format!("{api}/namespaces/{encoded}/{plural}")).most(2_000)
        };
        let (services, slices, autoscalers, budgets, quotas) = tokio::join!(
            in_namespace("/api/v1", "services").read(),
            in_namespace("/apis/discovery.k8s.io/v1", "endpointslices").read(),
            in_namespace("/apis/autoscaling/v2", "horizontalpodautoscalers").read(),
            in_namespace("/apis/policy/v1", "poddisruptionbudgets").read(),
            in_namespace("/api/v1", "resourcequotas").read(),
        );
        let labels = template.pointer("/metadata/labels").unwrap_or(&Value::Null);
        let slices = around.take("endpoint slices", slices);
        for service in around.take("services", services) {
            let Some(selector) =
                service.pointer("/spec/selector").filter(|s| s.as_object().is_some_and(|s| !s.is_empty()))
            else {
                continue;
            };
            if object(selector, "").all(|(k, v)| labels.get(k) == Some(v)) {
                let name = text(&service, "/metadata/name");
                let ready = ready_endpoints(&slices, &name);
                around.services.push((name, ready));
            }
        }
        around.autoscalers = around.take("autoscalers", autoscalers);
        around.autoscalers.retain(|h| {
            text(h, "/spec/scaleTargetRef/kind") == *place.resource.kind
                && text(h, "/spec/scaleTargetRef/name") == place.name
        });
        around.budgets = around.take("disruption budgets", budgets);
        around
            .budgets
            .retain(|b| matches_labels(b.pointer("/spec/selector").unwrap_or(&Value::Null), labels));
        around.quotas = around.take("quotas", quotas);
        around
    }

    fn take(&mut self, what: &str, listed: Result<super::place::Listed, Error>) -> Vec<Value> {
        match listed {
            Ok(listed) => listed.items,
            // A server without this API has none of it.
            Err(e) if e.is_not_found() => Vec::new(),
            Err(e) => {
                self.missing.push(format!("{what} not read: {e}"));
                Vec::new()
            }
        }
    }

    /// Says what a change of the number of replicas touches.
    pub fn scaled(&self, plan: &mut Plan, workload: &Value, before: i64, after: i64) {
        for (name, ready) in &self.services {
            let then = (*ready as i64 + after - before).max(0);
            plan.affects.push(format!("service {name}: {ready} → {then} endpoints"));
            if then == 0 {
                plan.warnings.push(format!("service {name} will have nobody to answer"));
            }
        }
        for h in &self.autoscalers {
            plan.warnings.push(format!(
                "horizontalpodautoscaler {} sets the replicas too ({} to {}) and may undo this",
                text(h, "/metadata/name"),
                text_or(h, "/spec/minReplicas", "1"),
                text(h, "/spec/maxReplicas"),
            ));
        }
        if after < before {
            self.budgets_broken(plan, after);
        }
        if after > before {
            self.quotas_used(
                plan,
                workload.pointer("/spec/template").unwrap_or(&Value::Null),
                (after - before) as f64,
            );
        }
        plan.checks.extend(self.missing.iter().cloned());
    }

    /// Says what a replacement of every pod touches.
    pub fn restarted(&self, plan: &mut Plan) {
        for (name, ready) in &self.services {
            plan.affects
                .push(format!("service {name}: its {ready} endpoints are replaced one after another"));
        }
        plan.checks.extend(self.missing.iter().cloned());
    }

    /// The names of the services that select the pods.
    pub fn service_names(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|(name, _)| name.as_str())
    }

    fn budgets_broken(&self, plan: &mut Plan, after: i64) {
        for b in &self.budgets {
            let least = b.pointer("/spec/minAvailable").and_then(Value::as_i64).unwrap_or(0);
            if after < least {
                let name = text(b, "/metadata/name");
                plan.warnings.push(format!(
                    "poddisruptionbudget {name} wants {least} pods available: none may be evicted then"
                ));
            }
        }
    }

    fn quotas_used(&self, plan: &mut Plan, template: &Value, more: f64) {
        let mut wanted: BTreeMap<String, f64> =
            BTreeMap::from([("pods".into(), more), ("count/pods".into(), more)]);
        for ((resource, limit), value) in quantity::pod_demands(template) {
            let name = if limit { format!("limits.{resource}") } else { format!("requests.{resource}") };
            if !limit {
                wanted.insert(resource, value * more);
            }
            wanted.insert(name, value * more);
        }
        for quota in &self.quotas {
            let name = text(quota, "/metadata/name");
            let mut parts = Vec::new();
            for (resource, hard) in object(quota, "/status/hard") {
                let Some(more) = wanted.get(resource).filter(|m| **m > 0.0) else { continue };
                let hard = quantity::parse(&plain(hard)).unwrap_or(0.0);
                let used = quota
                    .pointer("/status/used")
                    .and_then(|u| u.get(resource))
                    .map(plain)
                    .unwrap_or_default();
                let used = quantity::parse(&used).unwrap_or(0.0);
                let show = |v| quantity::show(resource, v);
                parts.push(format!("{resource} {} → {} of {}", show(used), show(used + more), show(hard)));
                if used + more > hard {
                    plan.warnings.push(format!(
                        "quota {name} has no room for all of it: {resource} would be {} of {}",
                        show(used + more),
                        show(hard)
                    ));
                }
            }
            if !parts.is_empty() {
                plan.affects.push(format!("quota {name}: {}", parts.join(", ")));
            }
        }
    }
}

fn ready_endpoints(slices: &[Value], service: &str) -> usize {
    let of_service = |s: &&Value| {
        s.pointer("/metadata/labels/kubernetes.io~1service-name").map(plain).as_deref() == Some(service)
    };
    slices
        .iter()
        .filter(of_service)
        // A dual-stack service has each endpoint once for IPv4 and once for IPv6.
        .filter(|s| text_or(s, "/addressType", "IPv4") != "IPv6")
        .flat_map(|s| items(s, "/endpoints"))
        .filter(|e| e.pointer("/conditions/ready") != Some(&Value::Bool(false)))
        .count()
}

/// Whether a label selector matches labels. An empty one matches all.
pub fn matches_labels(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    object(selector, "/matchLabels").all(|(k, v)| labels.get(k) == Some(v))
        && items(selector, "/matchExpressions").iter().all(|e| {
            let found = label(&text(e, "/key")).map(str::to_owned);
            let among = || found.as_ref().is_some_and(|f| items(e, "/values").iter().any(|v| plain(v) == *f));
            match text(e, "/operator").as_str() {
                "In" => among(),
                "NotIn" => !among(),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// A sentence about who keeps an object, for one that will be deleted or changed under its keeper's hands.
pub fn keeper(object: &Value) -> Option<String> {
    let owner = controller(object);
    (!owner.is_empty()).then_some(owner)
}

/// How many pods a workload should have.
pub fn wanted(workload: &Value) -> i64 {
    match text(workload, "/kind").as_str() {
        "DaemonSet" => number(workload, "/status/desiredNumberScheduled"),
        _ => workload.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
    }
}
