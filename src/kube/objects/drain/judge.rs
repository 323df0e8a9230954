//! Which pods of a node go. The rules are those of `kubectl drain`.
//! Source: `k8s.io/kubectl/pkg/drain/filters.go`.

use serde_json::Value;

use super::Options;
use crate::kube::objects::describe::part::{items, text};

const MIRROR: &str = "/metadata/annotations/kubernetes.io~1config.mirror";

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes. What is lost by that, if something is.
    Goes(Option<&'static str>),
    /// It stays, for this reason.
    Stays(&'static str),
    /// It must not go without leave: why, and the option that gives it.
    Blocks(&'static str, &'static str),
}

/// Judges one pod. `daemon_sets` are those that there are, as `namespace/name`.
pub fn judge(pod: &Value, options: &Options, daemon_sets: &[String]) -> Verdict {
    if pod.pointer(MIRROR).is_some() {
        return Verdict::Stays("it mirrors a static pod, which the kubelet keeps");
    }
    let controller = items(pod, "/metadata/ownerReferences")
        .iter()
        .find(|o| o.get("controller") == Some(&Value::Bool(true)));
    let over = matches!(text(pod, "/status/phase").as_str(), "Succeeded" | "Failed");
    let owner_kind = controller.map(|o| text(o, "/kind")).unwrap_or_default();
    if owner_kind == "DaemonSet" && !over {
        let name = controller.map(|o| text(o, "/name")).unwrap_or_default();
        let known = daemon_sets.contains(&format!("{}/{name}", text(pod, "/metadata/namespace")));
        return match (known, options.ignore_daemonsets, options.force) {
            (true, true, _) => Verdict::Stays("its DaemonSet would put it back"),
            (true, false, _) => Verdict::Blocks("a DaemonSet keeps it", "ignore_daemonsets"),
            (false, _, true) => Verdict::Goes(Some("its DaemonSet is gone: nothing makes it again")),
            (false, _, false) => Verdict::Blocks("its DaemonSet is gone", "force"),
        };
    }
    let local = items(pod, "/spec/volumes").iter().any(|v| v.get("emptyDir").is_some());
    if local && !over && !options.delete_emptydir_data {
        return Verdict::Blocks("it keeps data in an emptyDir", "delete_emptydir_data");
    }
    if controller.is_none() && !over {
        return if options.force {
            Verdict::Goes(Some("nothing makes it again"))
        } else {
            Verdict::Blocks("no controller keeps it: nothing would make it again", "force")
        };
    }
    Verdict::Goes((local && !over).then_some("it loses the data in its emptyDir"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(owner: &str, volumes: Value, phase: &str) -> Value {
        let owners = match owner {
            "" => json!([]),
            kind => json!([{"kind": kind, "name": "keeper", "controller": true}]),
        };
        json!({"metadata": {"namespace": "shop", "name": "a", "ownerReferences": owners},
            "spec": {"volumes": volumes}, "status": {"phase": phase}})
    }

    #[test]
    fn pods_are_judged_as_kubectl_judges_them() {
        let none = Options::default();
        let all = Options {
            ignore_daemonsets: true,
            delete_emptydir_data: true,
            force: true,
            ..Options::default()
        };
        let sets = ["shop/keeper".to_owned()];
        let empty = json!([{"name": "tmp", "emptyDir": {}}]);
        let set = pod("ReplicaSet", json!([]), "Running");
        assert_eq!(judge(&set, &none, &sets), Verdict::Goes(None));
        let data = pod("ReplicaSet", empty.clone(), "Running");
        assert!(matches!(judge(&data, &none, &sets), Verdict::Blocks(_, "delete_emptydir_data")));
        assert!(matches!(judge(&data, &all, &sets), Verdict::Goes(Some(_))));
        let bare = pod("", json!([]), "Running");
        assert!(matches!(judge(&bare, &none, &sets), Verdict::Blocks(_, "force")));
        assert!(matches!(judge(&bare, &all, &sets), Verdict::Goes(Some(_))));
        let daemon = pod("DaemonSet", json!([]), "Running");
        assert!(matches!(judge(&daemon, &none, &sets), Verdict::Blocks(_, "ignore_daemonsets")));
        assert!(matches!(judge(&daemon, &all, &sets), Verdict::Stays(_)));
        assert!(matches!(judge(&daemon, &none, &[]), Verdict::Blocks(_, "force")));
        assert_eq!(judge(&pod("", empty, "Succeeded"), &none, &sets), Verdict::Goes(None));
        let mut mirror = bare;
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        assert!(matches!(judge(&mirror, &none, &sets), Verdict::Stays(_)));
    }
}
