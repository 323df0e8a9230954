//! Containers that are put beside others to look around: ephemeral ones in a pod, and a pod of one's own on a node.

use std::time::Duration;

use serde_json::{Value, json};

use super::pod::Pod;
use crate::base::{self, Code};
use crate::kube::objects::List;
use crate::kube::objects::describe::part::{items, number, text};
use crate::kube::{Call, Cluster, Error, Resource};

/// What such a container may do, as `kubectl debug --profile` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// May trace processes.
    General,
    /// Nothing beyond the pod security standard "baseline".
    Baseline,
    /// Nothing beyond "restricted".
    Restricted,
    Netadmin,
    /// Privileged.
    Sysadmin,
}

impl Profile {
    pub fn security(self) -> Value {
        match self {
            Profile::General => json!({ "capabilities": { "add": ["SYS_PTRACE"] } }),
            Profile::Baseline => json!({}),
            Profile::Restricted => json!({
                "allowPrivilegeEscalation": false,
                "runAsNonRoot": true,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            }),
            Profile::Netadmin => json!({ "capabilities": { "add": ["NET_ADMIN", "NET_RAW"] } }),
            Profile::Sysadmin => json!({ "privileged": true }),
        }
    }
}

/// A container to put in.
#[derive(Debug, Clone)]
pub struct Ephemeral {
    pub name: String,
    pub image: String,
    /// Whose processes it sees.
    pub target: Option<String>,
    pub profile: Profile,
    /// Empty: what the image runs.
    pub command: Vec<String>,
}

impl Ephemeral {
    fn spec(&self) -> Value {
        let mut spec = json!({
            "name": self.name,
            "image": self.image,
            "stdin": true,
            "tty": true,
            "terminationMessagePolicy": "File",
            "securityContext": self.profile.security(),
        });
        if let Some(target) = &self.target {
            spec["targetContainerName"] = json!(target);
        }
        if !self.command.is_empty() {
            spec["command"] = json!(self.command);
        }
        spec
    }

    /// Puts it into the pod, or asks the server what would come of that.
    pub async fn put(&self, pod: &Pod, dry: bool) -> Result<Value, Error> {
        let path = Resource::pods().path(Some(&pod.namespace), Some(&pod.name));
        let body = json!({ "spec": { "ephemeralContainers": [self.spec()] } }).to_string();
        let call = Call::patch(format!("{path}/ephemeralcontainers"))
            .query("fieldManager", "quarterdeck")
            .query_if("dryRun", dry.then_some("All"))
            .body("application/strategic-merge-patch+json", body);
        pod.cluster.json(call).await
    }
}

/// A name that no container of the pod has.
pub fn free_name(pod: &Pod) -> String {
    let taken: Vec<String> = pod.containers().into_iter().map(|c| c.name).collect();
    let name = |n: usize| format!("debugger-{n}");
    (1..).map(name).find(|name| !taken.contains(name)).unwrap_or_else(|| name(0))
}

/// How often a starting container is looked at.
const LOOK: Duration = Duration::from_millis(400);

/// Waits until a container of the pod runs; `told` is given what it waits for, when that changes.
pub async fn until_running(
    pod: &Pod,
    container: &str,
    patience: Duration,
    mut told: impl FnMut(&str),
) -> base::Result<Pod> {
    let end = tokio::time::Instant::now() + patience;
    let path = Resource::pods().path(Some(&pod.namespace), Some(&pod.name));
    let mut last = String::new();
    loop {
        let object = pod.cluster.json(Call::get(&path)).await?;
        let now = Pod {
            cluster: pod.cluster.clone(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            object,
        };
        let state = now.container(Some(container))?;
        if state.running {
            return Ok(now);
        }
        let why = why_not(&now.object, container);
        if state.state != "not started" && now.object.pointer("/metadata/deletionTimestamp").is_some() {
            return Err(base::Error::unavailable(format!("the pod {} is being deleted", pod.name)));
        }
        // These do not mend themselves within a person's patience.
        let hopeless =
            ["ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"];
        let ended = has_ended(&now.object, container);
        if ended || hopeless.contains(&state.state.as_str()) || tokio::time::Instant::now() >= end {
            let what = format!("the container {container} does not run: {why}");
            // An image may have nothing of its own to run.
            let next = if ended || why.contains("no command specified") {
                "Give it a command that stays, such as `sh`, or another image."
            } else {
                "Check the image's name, and that the node can pull it; another image may be there already."
            };
            return Err(base::Error::new(if ended { Code::Conflict } else { Code::Timeout }, what).next(next));
        }
        if why != last {
            told(&why);
            last = why;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The exit code of a container's process that has just ended; `pod` is as it was before. Whoever is attached to it is told
/// that it ended, and not how: the kubelet's word is waited for a moment.
pub async fn ended_with(pod: &Pod, container: &str) -> Option<i32> {
    let restarts = |object: &Value| status(object, container).map_or(0, |s| number(s, "/restartCount"));
    let path = Resource::pods().path(Some(&pod.namespace), Some(&pod.name));
    for _ in 0..8 {
        let object = pod.cluster.json(Call::get(&path)).await.ok()?;
        // It may run again already.
        let state = if restarts(&object) > restarts(&pod.object) { "lastState" } else { "state" };
        let code = status(&object, container)?.pointer(&format!("/{state}/terminated/exitCode"));
        if let Some(code) = code.and_then(Value::as_i64) {
            return i32::try_from(code).ok();
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    ["/status/ephemeralContainerStatuses", "/status/containerStatuses", "/status/initContainerStatuses"]
        .iter()
        .flat_map(|list| items(pod, list))
        .find(|s| text(s, "/name") == container)
}

fn has_ended(pod: &Value, container: &str) -> bool {
    status(pod, container).is_some_and(|s| s.pointer("/state/terminated").is_some())
}

fn why_not(pod: &Value, container: &str) -> String {
    let Some(status) = status(pod, container) else {
        let unscheduled = items(pod, "/status/conditions")
            .iter()
            .find(|c| text(c, "/type") == "PodScheduled" && text(c, "/status") == "False");
        return unscheduled.map_or_else(|| "waiting for the kubelet".to_owned(), |c| text(c, "/message"));
    };
    for (state, reason) in [("waiting", "reason"), ("terminated", "reason")] {
        let word = text(status, &format!("/state/{state}/{reason}"));
        if !word.is_empty() {
            let message = text(status, &format!("/state/{state}/message"));
            return if message.is_empty() { word } else { format!("{word}: {message}") };
        }
    }
    "not started".to_owned()
}

/// Marks pods that node shells made, so that one left behind is found.
pub const NODE_SHELL: &str = "quarterdeck.dev/node-shell";

/// A pod with the node's own processes, network and files (under `/host`).
pub fn node_pod(node: &str, namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { NODE_SHELL: "true", "app.kubernetes.io/managed-by": "quarterdeck" },
        },
        "spec": {
            "nodeName": node,
            "hostPID": true,
            "hostNetwork": true,
            "hostIPC": true,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            // If nobody is left to remove it, it does not run for ever.
            "activeDeadlineSeconds": 12 * 3600,
            "automountServiceAccountToken": false,
            "tolerations": [{ "operator": "Exists" }],
            "volumes": [{ "name": "host", "hostPath": { "path": "/" } }],
            "containers": [{
                "name": "shell",
                "image": image,
                "stdin": true,
                "tty": true,
                "command": ["sleep", "43200"],
                "securityContext": { "privileged": true },
                "volumeMounts": [{ "name": "host", "mountPath": "/host" }],
            }],
        },
    })
}

/// Makes a pod, or asks the server whether it would.
pub async fn create_pod(cluster: &Cluster, pod: &Value, dry: bool) -> Result<Value, Error> {
    let path = Resource::pods().path(Some(&text(pod, "/metadata/namespace")), None);
    let call = Call::post(path)
        .query("fieldManager", "quarterdeck")
        .query_if("dryRun", dry.then_some("All"))
        .json(pod)?;
    cluster.json(call).await
}

/// Removes a pod at once.
pub async fn remove_pod(cluster: &Cluster, namespace: &str, name: &str) -> Result<(), Error> {
    let path = Resource::pods().path(Some(namespace), Some(name));
    match cluster.send(Call::delete(path).query("gracePeriodSeconds", "0")).await {
        Ok(_) => Ok(()),
        Err(e) if e.is_not_found() => Ok(()),
        Err(e) => Err(e),
    }
}

/// The pods of node shells that are still there, as `namespace/name`, with their nodes.
pub async fn left_behind(cluster: &Cluster) -> Result<Vec<(String, String)>, Error> {
    let listed =
        List::new(cluster, "/api/v1/pods").labels(format!("{NODE_SHELL}=true")).most(100).read().await?;
    let name = |pod: &Value| {
        (
            format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name")),
            text(pod, "/spec/nodeName"),
        )
    };
    Ok(listed.items.iter().filter(|p| p.pointer("/metadata/deletionTimestamp").is_none()).map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_container_does_not_run_is_told_in_the_kubelets_words() {
        let pod = json!({"status": {"ephemeralContainerStatuses": [
            {"name": "debugger-1", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}},
            {"name": "gone", "state": {"terminated": {"reason": "Error"}}},
        ]}});
        assert_eq!(why_not(&pod, "debugger-1"), "ErrImagePull: no such host");
        assert_eq!(why_not(&pod, "other"), "waiting for the kubelet");
        assert!(has_ended(&pod, "gone") && !has_ended(&pod, "debugger-1"));
    }

    #[test]
    fn the_restricted_profile_gives_up_everything() {
        let security = Profile::Restricted.security();
        assert_eq!(security["capabilities"]["drop"][0], "ALL");
        assert_eq!(security["allowPrivilegeEscalation"], false);
    }
}
