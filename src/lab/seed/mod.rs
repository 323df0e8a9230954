//! The fleet as it stands at the start: a shop and its warehouse, some of it in trouble.
//!
//! The same seed gives the same names; times are counted back from now. What a pod has been through is
//! played by the same kubelet that goes on with it.

pub(super) mod base;
mod shop;
mod workloads;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::shop::{Sort, Trouble, Workload};
use super::build;
use super::cluster::State;
use super::controllers::kubelet::{self, Around, Told};
use super::defaults;
use super::events::{self, Happened};
use super::object::{Object, owner_reference, stamp, text};
use super::rng::Rng;

/// So many steps show what a pod comes to; what follows repeats itself.
const WARM_UP: usize = 30;

/// The last minutes of a pod that does not come to rest are played in full again.
const LAST_SECONDS: i64 = 150;

const MOST_STEPS: usize = 150;

/// When something was told first and last, how often, and what.
type Repeated = (Timestamp, Timestamp, i64, Told);

/// Fills a server. `pods`: at least so many, by adding plain ones.
pub(super) fn plant(state: &State, authority: &str, pods: usize, now: Timestamp) {
    let mut planter =
        Planter { state, now, rng: Rng::for_topic(state.seed, &state.name), nodes: Vec::new(), next: 0 };
    planter.ground(authority);
    for workload in shop::workloads(&state.name) {
        planter.workload(&workload);
    }
    for cron in shop::crons(&state.name) {
        planter.put(
            "batch",
            "cronjobs",
            workloads::cron_job(&cron),
            "kubectl-client-side-apply",
            30 * 24 * 60,
        );
    }
    planter.oddities();
    let have = state.kind("", "pods").map_or(0, |k| state.store.count(k.id));
    planter.plain_pods(pods.saturating_sub(have));
    planter.accounts();
}

struct Planter<'a> {
    state: &'a State,
    now: Timestamp,
    rng: Rng,
    nodes: Vec<String>,
    next: usize,
}

impl Planter<'_> {
    fn ago(&self, minutes: i64) -> Timestamp {
        self.now - SignedDuration::from_secs(minutes * 60)
    }

    /// Stores an object that `manager` made so many minutes ago.
    fn put(
        &mut self,
        group: &str,
        plural: &str,
        mut value: Value,
        manager: &str,
        minutes: i64,
    ) -> Option<Value> {
        let kind = self.state.kind(group, plural)?;
        defaults::apply(&kind, &mut value);
        let created = self.ago(minutes) + SignedDuration::from_secs(self.rng.between(0, 59));
        build::identity(&mut value, self.rng.uuid(), created);
        let reporter = if manager.starts_with("kubelet") { "kubelet" } else { "kube-controller-manager" };
        build::owners(&kind, &mut value, manager, reporter, &stamp(created));
        self.state.store.create(kind.id, value).ok().map(|o| o.value())
    }

    fn ground(&mut self, authority: &str) {
        let cluster = self.state.name.clone();
        for crd in [base::certificate_crd(), base::campaign_crd()] {
            self.state.adopt_crd(&crd);
            self.put(
                "apiextensions.k8s.io",
                "customresourcedefinitions",
                crd,
                "kubectl-client-side-apply",
                60 * 24 * 60,
            );
        }
        let mut names: Vec<String> =
            ["default", "kube-system", "kube-public", "kube-node-lease"].map(str::to_owned).to_vec();
        for workload in shop::workloads(&cluster) {
            if !names.iter().any(|n| n == workload.namespace) {
                names.push(workload.namespace.to_owned());
            }
        }
        let control = format!("{cluster}-control-0");
        let workers: Vec<String> =
            (1..=shop::nodes(&cluster)).map(|i| format!("{cluster}-node-{i}")).collect();
        let mut entries = base::namespaces(&names);
        entries.push(base::node(&control, true, &mut self.rng, self.now));
        entries.push(base::lease(&control, self.now));
        for node in &workers {
            entries.push(base::node(node, false, &mut self.rng, self.now));
            entries.push(base::lease(node, self.now));
        }
        entries.extend(base::config(&names, authority));
        let offshore = cluster == "offshore";
        let (home, host, front) = if offshore {
            ("warehouse", "dock.shop.example", "dock")
        } else {
            ("shop", "www.shop.example", "web")
        };
        entries.extend(base::rules(home, host, front));
        entries.extend(base::access_and_storage(home));
        let own: &[&str] =
            if offshore { &["warehouse", "shipping"] } else { &["shop", "shop-staging", "payments"] };
        entries.extend(base::custom_objects(own, self.now));
        for (group, plural, value, manager, minutes) in entries {
            self.put(group, plural, value, manager, minutes);
        }
        let scaled: &[(&str, i64, i64)] =
            if offshore { &[("tracker", 12, 20)] } else { &[("web", 20, 40), ("api", 12, 30)] };
        for (name, least, most) in scaled {
            let scaler = workloads::autoscaler(home, name, *least, *most);
            self.put(
                "autoscaling",
                "horizontalpodautoscalers",
                scaler,
                "kubectl-client-side-apply",
                40 * 24 * 60,
            );
        }
        self.nodes = workers;
    }

    /// The service accounts as which workloads run; the controller has made the default ones.
    fn accounts(&mut self) {
        for w in shop::workloads(&self.state.name) {
            let name = workloads::account(&w);
            if name != "default" {
                let account = json!({"metadata": {"name": name, "namespace": w.namespace}});
                self.put("", "serviceaccounts", account, "kubectl-client-side-apply", 40 * 24 * 60);
            }
        }
    }

    fn workload(&mut self, w: &Workload) {
        let minutes = self.rng.between(3 * 60, 40 * 24 * 60);
        let by = if self.rng.one_in(3) { "helm" } else { "kubectl-client-side-apply" };
        match w.sort {
            Sort::Deployment => {
                let Some(deployment) = self.put("apps", "deployments", workloads::deployment(w), by, minutes)
                else {
                    return;
                };
                let Some(set) = self.replica_set(&deployment, minutes) else { return };
                let owner = self.state.kind("apps", "replicasets").map(|k| owner_reference(&k, &set));
                let hash = text(&set["metadata"]["labels"], "pod-template-hash").to_owned();
                for _ in 0..w.replicas {
                    let name = format!("{}-{hash}-{}", w.name, self.rng.suffix(5));
                    let age = self.pod_age(w, minutes);
                    self.pod(&set["spec"]["template"], &name, w.namespace, owner.clone(), age, None);
                }
            }
            Sort::StatefulSet => {
                let Some(set) = self.put("apps", "statefulsets", workloads::stateful_set(w), by, minutes)
                else {
                    return;
                };
                let owner = self.state.kind("apps", "statefulsets").map(|k| owner_reference(&k, &set));
                for i in 0..w.replicas {
                    let name = format!("{}-{i}", w.name);
                    self.claim(w.namespace, &format!("data-{name}"), minutes);
                    let template = super::controllers::stateful::template_of(&set, i);
                    self.pod(
                        &template,
                        &name,
                        w.namespace,
                        owner.clone(),
                        minutes.min(30 * 24 * 60) - i,
                        None,
                    );
                }
            }
            Sort::DaemonSet => {
                let Some(set) = self.put("apps", "daemonsets", workloads::daemon_set(w), by, minutes) else {
                    return;
                };
                let owner = self.state.kind("apps", "daemonsets").map(|k| owner_reference(&k, &set));
                let template = super::controllers::daemon::template_of(&set);
                let mut nodes = self.nodes.clone();
                nodes.push(format!("{}-control-0", self.state.name));
                for node in nodes {
                    let name = format!("{}-{}", w.name, self.rng.suffix(5));
                    self.pod(&template, &name, w.namespace, owner.clone(), minutes, Some(node));
                }
            }
        }
        let address = format!("10.96.{}.{}", self.rng.between(1, 250), self.rng.between(2, 250));
        self.put("", "services", workloads::service(w, &address), by, minutes);
    }

    /// Pods are younger than what owns them, and a crashing one is never so old that its restarts look endless.
    fn pod_age(&mut self, w: &Workload, most: i64) -> i64 {
        let starving = w.memory.1 < 320 && w.image.contains("thumbnailer");
        if starving || !matches!(w.trouble, Trouble::None | Trouble::Hostile | Trouble::Sidecar) {
            return self.rng.between(20, 85);
        }
        let most = most.clamp(10, 9 * 24 * 60);
        self.rng.between(5, most)
    }

    fn replica_set(&mut self, deployment: &Value, minutes: i64) -> Option<Value> {
        let kind = self.state.kind("apps", "deployments")?;
        let set = super::controllers::deployment::new_set(&kind, deployment, 1);
        self.put("apps", "replicasets", set, "kube-controller-manager", minutes)
    }

    fn claim(&mut self, namespace: &str, name: &str, minutes: i64) {
        let volume = format!("pvc-{}", self.rng.uuid());
        let claim = json!({
            "metadata": {"name": name, "namespace": namespace, "finalizers": ["kubernetes.io/pvc-protection"],
                         "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}},
                     "volumeName": volume, "storageClassName": "fast", "volumeMode": "Filesystem"},
            "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "20Gi"}},
        });
        let Some(claim) = self.put("", "persistentvolumeclaims", claim, "kube-controller-manager", minutes)
        else {
            return;
        };
        let volume = json!({
            "metadata": {"name": volume, "finalizers": ["kubernetes.io/pv-protection"]},
            "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete",
                     "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "uid": claim["metadata"]["uid"], "apiVersion": "v1"},
                     "storageClassName": "fast", "volumeMode": "Filesystem",
                     "csi": {"driver": "csi.shop.example", "volumeHandle": volume, "fsType": "ext4"}},
            "status": {"phase": "Bound"},
        });
        self.put("", "persistentvolumes", volume, "csi-provisioner", minutes);
    }

    /// Stores a pod with all that happened to it since it was made.
    fn pod(
        &mut self,
        template: &Value,
        name: &str,
        namespace: &str,
        owner: Option<Value>,
        minutes: i64,
        node: Option<String>,
    ) {
        let Some(kind) = self.state.kind("", "pods") else { return };
        let created = self.ago(minutes) + SignedDuration::from_secs(self.rng.between(0, 59));
        let mut pod = build::pod(template, name, namespace, owner.unwrap_or(Value::Null), &mut self.rng);
        if let Some((stem, _)) = name.rsplit_once('-').filter(|_| name.len() > 12) {
            pod["metadata"]["generateName"] = format!("{stem}-").into();
        }
        build::identity(&mut pod, self.rng.uuid(), created);
        let fits = super::controllers::node::fits(&pod);
        if fits {
            let node = node.unwrap_or_else(|| {
                self.next += 1;
                self.nodes.get(self.next % self.nodes.len().max(1)).cloned().unwrap_or_default()
            });
            pod["spec"]["nodeName"] = node.into();
        }
        let told = if fits { self.play(&mut pod, created) } else { Vec::new() };
        if !fits {
            super::controllers::node::mark_unschedulable(&mut pod, self.nodes.len() + 1, created);
        }
        build::owners(&kind, &mut pod, "kube-controller-manager", "kubelet", &stamp(created));
        let Ok(object) = self.state.store.create(kind.id, pod) else { return };
        self.pod_events(&object, told, created, fits);
    }

    /// Plays the kubelet from the pod's creation to now.
    fn play(&mut self, pod: &mut Value, created: Timestamp) -> Vec<(Timestamp, Told)> {
        let node_ip = base::node_ip(text(pod, "spec.nodeName"));
        let host_network = pod["spec"]["hostNetwork"].as_bool() == Some(true);
        let pod_ip = if host_network { node_ip.clone() } else { self.state.pod_ip() };
        let namespace = text(pod, "metadata.namespace").to_owned();
        let exists = |what: &str, name: &str| self.state.exists(&namespace, what, name);
        let (mut at, mut told) = (created, Vec::new());
        let seed = self.rng.next();
        for i in 0..MOST_STEPS {
            let left = self.now.duration_since(at).as_secs();
            if i == WARM_UP && left > LAST_SECONDS {
                at = skip(pod, created, at, left - LAST_SECONDS);
            }
            let around = Around { now: at, node_ip: &node_ip, pod_ip: &pod_ip, exists: &exists, seed };
            let step = kubelet::step(pod, &around);
            told.extend(step.told.into_iter().map(|t| (at, t)));
            if let Some(status) = step.status {
                pod["status"] = status;
            }
            match step.again {
                Some(next) if next <= self.now => at = next.max(at),
                _ => break,
            }
        }
        told
    }

    fn pod_events(&self, object: &Object, told: Vec<(Timestamp, Told)>, created: Timestamp, fits: bool) {
        let Some(kind) = self.state.kind("", "pods") else { return };
        let pod = object.value();
        let node = text(&pod, "spec.nodeName").to_owned();
        let scheduler = |warning, reason: &str, message: &str, at: Timestamp| {
            let event = Happened {
                kind: &kind,
                object: &pod,
                warning,
                reason,
                message,
                field: "",
                component: "default-scheduler",
                host: "",
            };
            events::remember(self.state, &event, at, at, 1);
        };
        if fits {
            let message = format!("Successfully assigned {}/{} to {node}", object.namespace, object.name);
            scheduler(false, "Scheduled", &message, created);
        } else {
            let message = super::controllers::node::why_not(self.nodes.len() + 1);
            scheduler(
                true,
                "FailedScheduling",
                &message,
                created.max(self.now - SignedDuration::from_mins(4)),
            );
        }
        let mut counted: HashMap<[String; 3], Repeated> = HashMap::new();
        let mut order = Vec::new();
        for (at, t) in told {
            let key = [t.reason.to_owned(), t.container.clone(), t.message.clone()];
            if let Some(entry) = counted.get_mut(&key) {
                (entry.1, entry.2) = (at, entry.2 + 1);
            } else {
                order.push(key.clone());
                counted.insert(key, (at, at, 1, t));
            }
        }
        for key in order {
            let Some((first, last, count, t)) = counted.remove(&key) else { continue };
            let field = super::controllers::field_path(&t);
            let event = Happened {
                kind: &kind,
                object: &pod,
                warning: t.warning,
                reason: t.reason,
                message: &t.message,
                field: &field,
                component: "kubelet",
                host: &node,
            };
            events::remember(self.state, &event, first, last, count);
        }
    }

    /// Pods in states that no workload keeps: evicted, done, on their way out.
    fn oddities(&mut self) {
        let offshore = self.state.name == "offshore";
        let namespace = if offshore { "warehouse" } else { "shop" };
        let image = shop::image("shop/worker:1.2.3");
        let template = |labels: Value, extra: Value| {
            let mut spec = json!({"containers": [{"name": "main", "image": image, "resources":
                {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}}]});
            for (key, value) in extra.as_object().into_iter().flatten() {
                spec[key] = value.clone();
            }
            json!({"metadata": {"labels": labels}, "spec": spec})
        };
        for i in 0..if offshore { 1 } else { 3 } {
            let name = format!("report-{i}-{}", self.rng.suffix(5));
            self.pod(
                &template(json!({"app": "report"}), json!({})),
                &name,
                namespace,
                None,
                200 + 60 * i,
                None,
            );
            self.evict(namespace, &name);
        }
        let script = json!({"restartPolicy": "Never", "containers": [{"name": "migrate", "image": image,
            "command": ["sh", "-c", "echo migrating; sleep 30"]}]});
        self.pod(&template(json!({"app": "migrate"}), script), "migrate-2026-11", namespace, None, 300, None);
        // Somebody's finalizer holds this one: it stays until the finalizer is taken off.
        let mut held = template(json!({"app": "exporter"}), json!({}));
        held["metadata"]["finalizers"] = json!(["shop.example/final-export"]);
        self.pod(&held, "exporter-0", namespace, None, 400, None);
        self.change_pod(namespace, "exporter-0", |pod, now| {
            pod["metadata"]["deletionTimestamp"] = stamp(now - SignedDuration::from_mins(17)).into();
            pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
        });
    }

    fn change_pod(&self, namespace: &str, name: &str, change: impl FnOnce(&mut Value, Timestamp)) {
        let Some(kind) = self.state.kind("", "pods") else { return };
        if let Some(object) = self.state.store.get(kind.id, namespace, name) {
            let mut pod = object.value();
            change(&mut pod, self.now);
            let _ = self.state.store.replace(kind.id, object.version, pod);
        }
    }

    fn evict(&self, namespace: &str, name: &str) {
        self.change_pod(namespace, name, |pod, _| {
            let started = pod["status"]["startTime"].clone();
            pod["status"] = json!({
                "phase": "Failed", "reason": "Evicted", "startTime": started,
                "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 10142709Ki, available: 8291Mi. \
                            Container main was using 14Gi, request is 0, has larger consumption of ephemeral-storage. ",
                "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet",
                                "message": "The node was low on resource: ephemeral-storage.", "lastTransitionTime": started}],
            });
        });
    }

    /// Many pods alike, without owners: for measuring.
    fn plain_pods(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let Some(kind) = self.state.kind("", "pods") else { return };
        let mut container = json!({
            "name": "main", "image": shop::image("shop/web:1.2.3"), "ports": [{"containerPort": 80}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 80}},
        });
        container["env"] = json!([{"name": "A", "value": "b"}]);
        let template = json!({"metadata": {"labels": {"tier": "bulk"}, "annotations": {"checksum/config": "8a1f".repeat(16)}},
                              "spec": {"containers": [container]}});
        let created = self.ago(90);
        let mut model = build::pod(&template, "bulk-000000", "default", Value::Null, &mut self.rng);
        build::identity(&mut model, self.rng.uuid(), created);
        model["spec"]["nodeName"] = self.nodes.first().cloned().unwrap_or_default().into();
        self.play(&mut model, created);
        build::owners(&kind, &mut model, "kube-controller-manager", "kubelet", &stamp(created));
        for i in 0..count {
            let mut pod = model.clone();
            pod["metadata"]["name"] = format!("bulk-{i:06}").into();
            pod["metadata"]["uid"] = self.rng.uuid().into();
            pod["metadata"]["labels"]["app"] = format!("bulk-{}", i % 200).into();
            pod["spec"]["nodeName"] =
                self.nodes.get(i % self.nodes.len().max(1)).cloned().unwrap_or_default().into();
            let ip = self.state.pod_ip();
            pod["status"]["podIP"] = ip.as_str().into();
            pod["status"]["podIPs"] = json!([{"ip": ip}]);
            let _ = self.state.store.create(kind.id, pod);
        }
    }
}

/// Leaves out so many seconds of a pod that goes round in circles: its stamps move on, its restarts
/// are counted as they came before.
fn skip(pod: &mut Value, created: Timestamp, at: Timestamp, seconds: i64) -> Timestamp {
    let by = SignedDuration::from_secs(seconds);
    let lived = at.duration_since(created).as_secs().max(1);
    for container in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
        let restarts = container["restartCount"].as_i64().unwrap_or(0);
        container["restartCount"] = (restarts + restarts * seconds / lived).into();
        for state in ["state", "lastState"] {
            for phase in container[state].as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
                for key in ["startedAt", "finishedAt"] {
                    if let Some(time) = phase.get(key).and_then(super::object::parse_stamp) {
                        phase[key] = stamp(time + by).into();
                    }
                }
            }
        }
    }
    at + by
}
