//! What reading logs needs to know of pods, and following them as they come, restart and go.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use super::scope::{Filter, Scope};
use super::split::Splitter;
use crate::kube::{Call, Error, Resource};

/// One pod, reduced to its containers' lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodView {
    pub uid: String,
    pub name: String,
    pub containers: Vec<ContainerView>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerView {
    pub name: String,
    pub restarts: u64,
    /// The instance whose log a request gives now: the running one, else the last that ran. `None` before the first.
    pub instance: Option<String>,
    pub running: bool,
    /// How the last ended instance ended: "OOMKilled, exit code 137".
    pub ended: Option<String>,
    /// There is an instance before the current one whose log can be asked for.
    pub has_previous: bool,
    /// The pod is no more.
    pub gone: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pod {
    metadata: Meta,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    name: String,
    uid: String,
    resource_version: String,
    #[serde(rename = "continue")]
    cursor: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    restart_count: u64,
    #[serde(rename = "containerID")]
    container_id: String,
    state: State,
    last_state: State,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    running: Option<serde::de::IgnoredAny>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Terminated {
    reason: String,
    exit_code: i64,
    #[serde(rename = "containerID")]
    container_id: String,
}

#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    items: Vec<Pod>,
}

impl From<Pod> for PodView {
    fn from(pod: Pod) -> Self {
        let status = pod.status;
        let all =
            [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        Self {
            uid: pod.metadata.uid,
            name: pod.metadata.name,
            containers: all.into_iter().flatten().map(ContainerView::from).collect(),
        }
    }
}

impl From<ContainerStatus> for ContainerView {
    /// Which instance's log a request gives follows the kubelet: `validateContainerLogStatus` in `pkg/kubelet`.
    fn from(status: ContainerStatus) -> Self {
        let running = status.state.running.is_some();
        // Simulated nodes give no identifiers: the number of restarts tells their instances apart.
        let name = |id: &str, number: u64| if id.is_empty() { format!("#{number}") } else { id.to_owned() };
        let before = status.restart_count.saturating_sub(1);
        let now = status.state.terminated.as_ref().map(|t| name(&t.container_id, status.restart_count));
        let last = status.last_state.terminated.as_ref().map(|t| name(&t.container_id, before));
        let own = name(&status.container_id, status.restart_count);
        let instance = if running { Some(own) } else { now.or_else(|| last.clone()) };
        let ended = if running { &status.last_state.terminated } else { &status.state.terminated };
        let ended = ended.as_ref().or(status.last_state.terminated.as_ref()).map(|t| {
            let reason = if t.reason.is_empty() { "ended" } else { &t.reason };
            format!("{reason}, exit code {}", t.exit_code)
        });
        let has_previous = last.is_some();
        Self {
            name: status.name,
            restarts: status.restart_count,
            instance,
            running,
            ended,
            has_previous,
            gone: false,
        }
    }
}

/// Reads the pods as they are now, and the resource version of the list.
pub async fn read(scope: &Scope) -> Result<(Vec<PodView>, String), Error> {
    let mut views = Vec::new();
    let mut cursor = String::new();
    loop {
        let call = Call::get(scope.path())
            .query("limit", "500")
            .query_if("labelSelector", scope.label_selector())
            .query_if("fieldSelector", scope.field_selector())
            .query_if("continue", Some(&cursor).filter(|c| !c.is_empty()));
        let list: PodList = match (scope.cluster.read(call).await, &scope.filter) {
            (Ok(list), _) => list,
            // Whoever may read one pod need not be allowed to list all.
            (Err(e), Filter::Name(name)) if e.is_forbidden() => {
                let path = Resource::pods().path(Some(&scope.namespace), Some(name));
                return match scope.cluster.read::<Pod>(Call::get(path)).await {
                    Ok(pod) => Ok((vec![pod.into()], String::new())),
                    Err(e) if e.is_not_found() => Ok((Vec::new(), String::new())),
                    Err(e) => Err(e),
                };
            }
            (Err(e), _) => return Err(e),
        };
        views.extend(list.items.into_iter().map(PodView::from));
        if list.metadata.cursor.is_empty() {
            return Ok((views, list.metadata.resource_version));
        }
        cursor = list.metadata.cursor;
    }
}

/// What became of a pod, or of looking for the pods.
pub enum PodChange {
    /// The pods were found: these are there, and from this version on their changes come.
    Found(Scope, Vec<PodView>, String),
    /// They could not be looked for, for this reason; it will be tried again.
    NotFound(String),
    Now(PodView),
    /// The pod with this uid is gone.
    Gone(String),
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: serde_json::Value,
}

/// A watch event is a whole pod: larger than any that etcd stores by default (1.5 MiB).
const EVENT_LIMIT: usize = 16 << 20;
const POLL: Duration = Duration::from_secs(5);

/// Sends every change of the pods from `version` on, until the reader is gone. `known` are the uids that were read; `at`
/// is sent along.
pub async fn follow(
    scope: Scope,
    known: Vec<String>,
    version: String,
    at: usize,
    out: mpsc::Sender<(usize, PodChange)>,
) {
    let mut known: HashMap<String, ()> = known.into_iter().map(|uid| (uid, ())).collect();
    let mut version = version;
    let mut wait = Duration::from_millis(200);
    loop {
        let may_watch = !version.is_empty();
        let ended = if may_watch { watch(&scope, &mut version, &mut known, at, &out).await } else { Ok(()) };
        if out.is_closed() {
            return;
        }
        let relist = match ended {
            Ok(()) if may_watch => false,
            Ok(()) => {
                tokio::time::sleep(POLL).await;
                true
            }
            Err(e) => {
                tokio::time::sleep(if e.is_forbidden() { POLL } else { wait }).await;
                wait = (wait * 2).min(POLL);
                // The version may be too old by now, or the watch not allowed: what is there now settles both.
                true
            }
        };
        if relist && let Ok((views, now)) = read(&scope).await {
            version = now;
            wait = Duration::from_millis(200);
            let seen: HashMap<String, ()> = views.iter().map(|v| (v.uid.clone(), ())).collect();
            for uid in known.keys().filter(|uid| !seen.contains_key(*uid)) {
                if out.send((at, PodChange::Gone(uid.clone()))).await.is_err() {
                    return;
                }
            }
            known = seen;
            for view in views {
                if out.send((at, PodChange::Now(view))).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// One watch, to its end.
async fn watch(
    scope: &Scope,
    version: &mut String,
    known: &mut HashMap<String, ()>,
    at: usize,
    out: &mpsc::Sender<(usize, PodChange)>,
) -> Result<(), Error> {
    let call = Call::get(scope.path())
        .query("watch", "true")
        .query("allowWatchBookmarks", "true")
        .query("resourceVersion", &*version)
        .query("timeoutSeconds", "300")
        .query_if("labelSelector", scope.label_selector())
        .query_if("fieldSelector", scope.field_selector());
    let mut stream = scope.cluster.stream(call).await?;
    let mut splitter = Splitter::new(EVENT_LIMIT);
    loop {
        let chunk = tokio::select! {
            chunk = stream.next() => chunk,
            () = out.closed() => return Ok(()),
        };
        let Some(chunk) = chunk.transpose()? else { return Ok(()) };
        let mut events = Vec::new();
        splitter.feed(&chunk, |line, _| events.extend(serde_json::from_slice::<WatchEvent>(line)));
        for event in events {
            if event.kind == "ERROR" {
                let status = serde_json::to_vec(&event.object).unwrap_or_default();
                let code = event.object.get("code").and_then(serde_json::Value::as_u64).unwrap_or(500);
                let status = crate::kube::Status::from_body(code as u16, &status);
                return Err(Error::Status { server: scope.cluster.server(), status: Box::new(status) });
            }
            let Ok(pod) = serde_json::from_value::<Pod>(event.object) else { continue };
            version.clone_from(&pod.metadata.resource_version);
            let change = match event.kind.as_str() {
                "ADDED" | "MODIFIED" => {
                    known.insert(pod.metadata.uid.clone(), ());
                    PodChange::Now(pod.into())
                }
                "DELETED" => {
                    known.remove(&pod.metadata.uid);
                    PodChange::Gone(pod.metadata.uid)
                }
                _ => continue,
            };
            if out.send((at, change)).await.is_err() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(status: serde_json::Value) -> ContainerView {
        serde_json::from_value::<ContainerStatus>(status).unwrap().into()
    }

    #[test]
    fn the_instance_is_the_one_whose_log_the_kubelet_gives() {
        let running =
            view(json!({"name": "a", "restartCount": 2, "containerID": "c3", "state": {"running": {}},
            "lastState": {"terminated": {"containerID": "c2", "exitCode": 137, "reason": "OOMKilled"}}}));
        assert_eq!(
            (running.instance.as_deref(), running.ended.as_deref()),
            (Some("c3"), Some("OOMKilled, exit code 137"))
        );
        assert!(running.running && running.has_previous);
        let waiting = view(
            json!({"name": "a", "containerID": "c2", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"containerID": "c2", "exitCode": 1}}}),
        );
        assert_eq!((waiting.instance.as_deref(), waiting.running), (Some("c2"), false));
        let fresh = view(json!({"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}));
        assert_eq!(fresh.instance, None);
        let simulated = view(
            json!({"name": "a", "restartCount": 1, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}),
        );
        assert_eq!((simulated.instance.as_deref(), simulated.has_previous), (Some("#1"), true));
        let ended = view(
            json!({"name": "a", "containerID": "c1", "state": {"terminated": {"containerID": "c1", "exitCode": 0, "reason": "Completed"}}}),
        );
        assert_eq!(
            (ended.instance.as_deref(), ended.ended.as_deref()),
            (Some("c1"), Some("Completed, exit code 0"))
        );
    }
}
