//! What keeps the fleet alive: controllers, scheduler and kubelets in one task of each server.
//!
//! The store tells which objects changed; each is looked at once, and again when it asked for it. Nothing
//! is polled: a fleet where nothing is due sleeps.

pub(super) mod churn;
pub(super) mod daemon;
pub(super) mod deployment;
pub(super) mod garbage;
mod job;
pub(super) mod kubelet;
pub(super) mod node;
mod pod_status;
mod pods;
mod replicas;
mod service;
pub(super) mod stateful;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexSet;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::build;
use super::cluster::State;
use super::events::{self, Happened};
use super::kinds::Kind;
use super::object::{Object, items, owner_reference, stamp, text};
use super::store::Touched;
use kubelet::Told;

/// Objects looked at before other tasks get their turn.
const TURN: usize = 32;

/// Runs until the server is over. `settled` is called once, when the fleet has come to rest for the first time: from
/// then on its objects change for reasons of their own only.
pub(super) async fn run(state: Arc<State>, events_per_second: u32, settled: impl FnOnce()) {
    let mut touched = state.store.touched();
    let mut control = Control {
        state: state.clone(),
        dirty: IndexSet::new(),
        due: BTreeMap::new(),
        waits: HashMap::new(),
        numbered: 0,
    };
    control.look_at_everything();
    let mut churn = churn::Churn::new(&state, events_per_second);
    let mut settled = Some(settled);
    loop {
        while let Ok(t) = touched.try_recv() {
            control.mark(t);
        }
        control.take_due(Timestamp::now());
        for _ in 0..TURN {
            let Some(next) = control.dirty.pop() else { break };
            control.reconcile(&next);
        }
        if !control.dirty.is_empty() {
            tokio::task::yield_now().await;
            if state.over.is_cancelled() {
                return;
            }
            continue;
        }
        if touched.is_empty()
            && let Some(settled) = settled.take()
        {
            settled();
        }
        let wake = control.next_due().min(churn.next_due());
        tokio::select! {
            () = state.over.cancelled() => return,
            received = touched.recv() => match received {
                Some(t) => control.mark(t),
                None => return,
            },
            () = tokio::time::sleep(until(wake)) => churn.act(&mut control),
        }
    }
}

/// How long from now; a little past the moment, so that it has come when we wake.
fn until(time: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default().min(Duration::from_secs(30))
        + Duration::from_millis(5)
}

pub(super) struct Control {
    pub state: Arc<State>,
    dirty: IndexSet<Touched>,
    /// What asked to be looked at again, by when.
    due: BTreeMap<(Timestamp, u64), Touched>,
    waits: HashMap<Touched, (Timestamp, u64)>,
    numbered: u64,
}

impl Control {
    fn look_at_everything(&mut self) {
        for (group, plural) in [
            ("", "pods"),
            ("apps", "replicasets"),
            ("apps", "deployments"),
            ("apps", "statefulsets"),
            ("apps", "daemonsets"),
            ("batch", "jobs"),
            ("batch", "cronjobs"),
            ("", "services"),
        ] {
            let Some(kind) = self.state.kind(group, plural) else { continue };
            for object in self.state.store.list(kind.id, "", None).0 {
                let touched = Touched {
                    kind: kind.id,
                    namespace: object.namespace.clone(),
                    name: object.name.clone(),
                    owner: None,
                };
                self.dirty.insert(touched);
            }
        }
    }

    /// Takes note of a change: of the object, of what owns it and of what selects it.
    fn mark(&mut self, mut touched: Touched) {
        if let Some((kind, name)) = touched.owner.take()
            && let Some(kind) = self.owner_kind(&kind)
        {
            let owner = Touched { kind: kind.id, namespace: touched.namespace.clone(), name, owner: None };
            self.dirty.insert(owner);
        }
        if self.state.by_id(touched.kind).is_some_and(|k| k.is("", "pods")) {
            self.mark_services(&touched.namespace);
        }
        self.dirty.insert(touched);
    }

    fn owner_kind(&self, kind: &str) -> Option<Arc<Kind>> {
        match kind {
            "ReplicaSet" => self.state.kind("apps", "replicasets"),
            "Deployment" => self.state.kind("apps", "deployments"),
            "StatefulSet" => self.state.kind("apps", "statefulsets"),
            "DaemonSet" => self.state.kind("apps", "daemonsets"),
            "Job" => self.state.kind("batch", "jobs"),
            "CronJob" => self.state.kind("batch", "cronjobs"),
            _ => None,
        }
    }

    /// Endpoints follow pods a moment later, all changes of that moment together.
    fn mark_services(&mut self, namespace: &str) {
        let Some(kind) = self.state.kind("", "services") else { return };
        let soon = Timestamp::now() + jiff::SignedDuration::from_millis(400);
        for object in self.state.store.list(kind.id, namespace, None).0 {
            let service = Touched {
                kind: kind.id,
                namespace: object.namespace.clone(),
                name: object.name.clone(),
                owner: None,
            };
            self.again(service, soon);
        }
    }

    /// Asks to look at an object again; an earlier wish stays.
    fn again(&mut self, touched: Touched, time: Timestamp) {
        if let Some((old, number)) = self.waits.get(&touched) {
            if *old <= time {
                return;
            }
            self.due.remove(&(*old, *number));
        }
        self.numbered += 1;
        let number = self.numbered;
        self.due.insert((time, number), touched.clone());
        self.waits.insert(touched, (time, number));
    }

    fn take_due(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let touched = entry.remove();
            self.waits.remove(&touched);
            self.dirty.insert(touched);
        }
    }

    fn next_due(&self) -> Timestamp {
        self.due.first_key_value().map_or(Timestamp::MAX, |((t, _), _)| *t)
    }

    fn reconcile(&mut self, touched: &Touched) {
        let Some(kind) = self.state.by_id(touched.kind) else { return };
        let object = self.state.store.get(kind.id, &touched.namespace, &touched.name);
        let Some(object) = object else {
            garbage::removed(self, &kind, touched);
            return;
        };
        if let Some(time) = garbage::foreground(self, &kind, &object) {
            self.again(Touched { owner: None, ..touched.clone() }, time);
            return;
        }
        let again = match (kind.group.as_str(), kind.plural.as_str()) {
            ("", "pods") => pods::reconcile(self, &kind, &object),
            ("apps", "deployments") => deployment::reconcile(self, &kind, &object),
            ("apps", "replicasets") => replicas::reconcile(self, &kind, &object),
            ("apps", "statefulsets") => stateful::reconcile(self, &kind, &object),
            ("apps", "daemonsets") => daemon::reconcile(self, &kind, &object),
            ("batch", "jobs") => job::reconcile(self, &kind, &object),
            ("batch", "cronjobs") => job::schedule(self, &kind, &object),
            ("", "services") => service::reconcile(self, &object),
            ("", "namespaces") => garbage::namespace(self, &object),
            _ => None,
        };
        if let Some(time) = again {
            self.again(Touched { owner: None, ..touched.clone() }, time);
        }
    }

    /// Stores an object that a controller makes.
    fn create(&self, kind: &Kind, mut value: Value) -> Option<Arc<Object>> {
        let now = Timestamp::now();
        super::defaults::apply(kind, &mut value);
        build::identity(&mut value, self.state.uuid(), now);
        build::owners(kind, &mut value, "kube-controller-manager", "", &stamp(now));
        self.state.store.create(kind.id, value).ok()
    }

    /// Stores what a controller changed; false if somebody else was faster, who has marked it anew.
    fn replace(&self, kind: &Kind, old: &Object, value: Value) -> bool {
        self.state.store.replace(kind.id, old.version, value).is_ok()
    }

    /// Stores a new status if it is another one.
    fn set_status(&self, kind: &Kind, old: &Object, status: Value) -> bool {
        let mut value = old.value();
        if value["status"] == status {
            return true;
        }
        value["status"] = status;
        own_status(kind, &mut value, "kube-controller-manager");
        self.replace(kind, old, value)
    }

    /// Begins a pod's end.
    fn delete_pod(&self, pod: &Object) {
        let Some(kind) = self.state.kind("", "pods") else { return };
        let mut value = pod.value();
        if value["metadata"].get("deletionTimestamp").is_some() {
            return;
        }
        let grace = value["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
        let ended = matches!(text(&value, "status.phase"), "Succeeded" | "Failed");
        if ended || text(&value, "spec.nodeName").is_empty() {
            let _ = self.state.store.remove(kind.id, &pod.namespace, &pod.name, Some(pod.version));
            return;
        }
        mark_deleted(&mut value, grace);
        if self.replace(&kind, pod, value.clone()) {
            self.tell_killing(&kind, &value);
        }
    }

    fn tell_killing(&self, kind: &Kind, pod: &Value) {
        for container in items(pod, "spec.containers") {
            let name = text(container, "name");
            let told = Told {
                warning: false,
                reason: "Killing",
                message: format!("Stopping container {name}"),
                container: name.to_owned(),
                init: false,
            };
            self.tell_of_pod(kind, pod, &told);
        }
    }

    fn tell_of_pod(&self, kind: &Kind, pod: &Value, told: &Told) {
        let field = field_path(told);
        let happened = Happened {
            kind,
            object: pod,
            warning: told.warning,
            reason: told.reason,
            message: &told.message,
            field: &field,
            component: "kubelet",
            host: text(pod, "spec.nodeName"),
        };
        events::tell(&self.state, &happened, Timestamp::now());
    }

    fn tell(&self, kind: &Kind, object: &Value, component: &str, warning: bool, reason: &str, message: &str) {
        let happened = Happened { kind, object, warning, reason, message, field: "", component, host: "" };
        events::tell(&self.state, &happened, Timestamp::now());
    }

    /// The pods that an object controls.
    fn owned(&self, plural: (&str, &str), owner: &Object) -> Vec<Arc<Object>> {
        let mut list = self.state.list(plural.0, plural.1, &owner.namespace);
        list.retain(|o| o.owner.as_ref().is_some_and(|r| r.uid == owner.uid));
        list
    }

    /// Makes a pod of a template for its owner.
    fn make_pod(&self, kind: &Kind, owner: &Value, template: &Value, name: &str) -> Option<Arc<Object>> {
        let pods = self.state.kind("", "pods")?;
        let reference = owner_reference(kind, owner);
        let namespace = text(owner, "metadata.namespace");
        let mut pod = build::pod(template, name, namespace, reference, &mut self.state.rng.lock());
        if let Some((stem, _)) = name.rsplit_once('-').filter(|_| kind.plural != "statefulsets") {
            pod["metadata"]["generateName"] = format!("{stem}-").into();
        }
        self.create(&pods, pod)
    }
}

/// Marks an object as being deleted.
pub(super) fn mark_deleted(value: &mut Value, grace: i64) {
    let until = Timestamp::now() + jiff::SignedDuration::from_secs(grace);
    value["metadata"]["deletionTimestamp"] = stamp(until).into();
    value["metadata"]["deletionGracePeriodSeconds"] = grace.into();
    let generation = value["metadata"]["generation"].as_i64().unwrap_or(1);
    value["metadata"]["generation"] = (generation + 1).into();
}

/// Writes down that the status is a controller's.
fn own_status(kind: &Kind, value: &mut Value, manager: &str) {
    let mut set = super::fields::owned(&json!({"status": value["status"]}), true);
    if set.as_object().is_none_or(serde_json::Map::is_empty) {
        set = json!({"f:status": {}});
    }
    let now = stamp(Timestamp::now());
    let entry = super::fields::entry(manager, "Update", &kind.api_version(), &now, set, "status");
    if let Some(list) = value["metadata"]["managedFields"].as_array_mut() {
        list.retain(|e| e["subresource"] != "status");
        list.push(entry);
    }
}

/// Which part of a pod an event is about.
pub(super) fn field_path(told: &Told) -> String {
    match (told.container.as_str(), told.init) {
        ("", _) => String::new(),
        (name, false) => format!("spec.containers{{{name}}}"),
        (name, true) => format!("spec.initContainers{{{name}}}"),
    }
}

/// Whether a pod counts: not ended and not on its way out.
fn alive(pod: &Value) -> bool {
    pod["metadata"].get("deletionTimestamp").is_none()
        && !matches!(text(pod, "status.phase"), "Succeeded" | "Failed")
}

fn ready(pod: &Value) -> bool {
    items(pod, "status.conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
