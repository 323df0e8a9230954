//! Pods that never rest: makes them, and changes them at a given rate.
//!
//! Every event changes what a table shows: the pod's `status.reason`, which stands in the column STATUS. One in a hundred
//! makes a pod, and one in a hundred deletes the oldest that was so made, over the API both. Nothing but the API server is
//! behind them: the nodes' simulator is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::etcd::Etcd;

/// Requests on their way at a time.
const IN_FLIGHT: usize = 48;
/// As many young pods stay.
const YOUNG: u64 = 20;
const MERGE: &str = "application/merge-patch+json";

pub fn path(name: &str) -> String {
    format!("/api/v1/namespaces/default/pods/{name}")
}

fn name(number: u64) -> String {
    format!("web-{number:06}")
}

/// As the test bed makes them.
fn pod(name: &str, number: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "labels": {"app": format!("app-{}", number % 200), "tier": "front"},
            "annotations": {"checksum/config": "8a1f".repeat(16)},
        },
        "spec": {"nodeName": format!("node-{}", number % 20), "containers": [
            {
                "name": "main", "image": "registry.example/web:1.2.3", "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "value": "b"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 80}},
            },
            {"name": "side", "image": "registry.example/side:0.9"},
        ]},
    })
}

/// As a kubelet reports a pod that runs.
fn running(number: u64) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "imageID": format!("{image}@sha256:{}", "ab12".repeat(16)),
            "containerID": format!("containerd://{}", "cd34".repeat(16)), "ready": true, "started": true,
            "restartCount": 0, "state": {"running": {"startedAt": now}},
        })
    };
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    json!({"status": {
        "phase": "Running", "startTime": now, "hostIP": "10.0.0.1",
        "podIP": format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
        "conditions": kinds.map(condition),
        "containerStatuses": [
            container("main", "registry.example/web:1.2.3"), container("side", "registry.example/side:0.9"),
        ],
    }})
}

/// Makes the pods from `first` to `until`, all running.
pub async fn make(api: &Api, first: u64, until: u64) {
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    for number in first..until {
        let (api, permit) = (api.clone(), room.clone().acquire_owned().await.unwrap());
        tokio::spawn(async move {
            let name = name(number);
            let body = pod(&name, number).to_string();
            api.change("POST", "/api/v1/namespaces/default/pods", "application/json", body).await;
            api.change("PATCH", &format!("{}/status", path(&name)), MERGE, running(number).to_string()).await;
            drop(permit);
        });
    }
    let _all = room.acquire_many(IN_FLIGHT as u32).await.unwrap();
}

/// Writes a reason into a pod's status.
pub async fn mark(api: &Api, name: &str, reason: &str) {
    let body = json!({"status": {"reason": reason}}).to_string();
    api.change("PATCH", &format!("{}/status", path(name)), MERGE, body).await;
}

/// The way that changes take: the API server's store, or the API alone.
#[derive(Clone)]
pub struct By {
    pub api: Api,
    pub etcd: Option<Etcd>,
}

/// What makes the events, and how many there were.
#[derive(Default)]
pub struct Churner {
    stopped: AtomicBool,
    done: AtomicU64,
    /// Young pods are numbered through all rounds of a run.
    born: AtomicU64,
    gone: AtomicU64,
    events: AtomicU64,
}

impl Churner {
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Changes pods at `rate` a second until it is stopped, but never the one named; gives the rate that was reached.
    pub async fn run(self: &Arc<Self>, by: &By, pods: u64, rate: u64, but: &str) -> f64 {
        self.stopped.store(false, Ordering::SeqCst);
        self.done.store(0, Ordering::SeqCst);
        let room = Arc::new(Semaphore::new(IN_FLIGHT));
        let (began, mut issued) = (Instant::now(), 0u64);
        while !self.stopped.load(Ordering::SeqCst) {
            let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
            // What the server could not bear is not made up for in a burst.
            issued = issued.max(due.saturating_sub(rate / 5));
            while issued < due && !self.stopped.load(Ordering::SeqCst) {
                issued += 1;
                let permit = room.clone().acquire_owned().await.unwrap();
                let (churner, by, but) = (self.clone(), by.clone(), but.to_owned());
                tokio::spawn(async move {
                    churner.event(&by, pods, &but).await;
                    churner.done.fetch_add(1, Ordering::SeqCst);
                    drop(permit);
                });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let _all = room.acquire_many(IN_FLIGHT as u32).await.unwrap();
        self.done.load(Ordering::SeqCst) as f64 / seconds
    }

    async fn event(&self, by: &By, pods: u64, but: &str) {
        let api = &by.api;
        let number = self.events.fetch_add(1, Ordering::SeqCst);
        match number % 100 {
            33 => {
                let born = self.born.fetch_add(1, Ordering::SeqCst);
                let body = pod(&format!("young-{born:06}"), born).to_string();
                api.change("POST", "/api/v1/namespaces/default/pods", "application/json", body).await;
            }
            66 if self.born.load(Ordering::SeqCst) > self.gone.load(Ordering::SeqCst) + YOUNG => {
                let gone = self.gone.fetch_add(1, Ordering::SeqCst);
                let path = format!("{}?gracePeriodSeconds=0", path(&format!("young-{gone:06}")));
                api.change("DELETE", &path, "application/json", String::new()).await;
            }
            _ => {
                // A step that leads to every pod, and to no pod twice in a while.
                let name = name((number * 7_919) % pods);
                let name = if name == but { self::name(pods - 1) } else { name };
                let reason = format!("c{number:x}");
                match &by.etcd {
                    Some(etcd) => etcd.mark(&name, &reason).await,
                    None => mark(api, &name, &reason).await,
                }
            }
        }
    }
}
