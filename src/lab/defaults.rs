//! The values that the server fills in where an object says nothing.
//!
//! As `k8s.io/kubernetes/pkg/apis/*/v1/defaults.go` and the ServiceAccount, Priority and
//! DefaultTolerationSeconds admission plugins do, for the kinds that people write by hand.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::object::text;
use super::rng::Rng;

/// Sets a field if it is not there.
fn default(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(map) = object.as_object_mut()
        && !map.contains_key(key)
    {
        map.insert(key.to_owned(), value.into());
    }
}

/// Fills in a whole object of any kind.
pub(super) fn apply(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => pod_spec(&mut object["spec"]),
        ("apps", "deployments") => {
            let spec = &mut object["spec"];
            default(spec, "replicas", 1);
            default(spec, "revisionHistoryLimit", 10);
            default(spec, "progressDeadlineSeconds", 600);
            default(spec, "strategy", json!({"type": "RollingUpdate"}));
            default(&mut spec["strategy"], "type", "RollingUpdate");
            if spec["strategy"]["type"] == "RollingUpdate" {
                default(&mut spec["strategy"], "rollingUpdate", json!({}));
                default(&mut spec["strategy"]["rollingUpdate"], "maxSurge", "25%");
                default(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", "25%");
            }
            template(spec);
        }
        ("apps", "replicasets") => {
            default(&mut object["spec"], "replicas", 1);
            template(&mut object["spec"]);
        }
        ("apps", "statefulsets") => {
            let spec = &mut object["spec"];
            default(spec, "replicas", 1);
            default(spec, "revisionHistoryLimit", 10);
            default(spec, "podManagementPolicy", "OrderedReady");
            let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
            default(spec, "updateStrategy", rolling);
            default(
                spec,
                "persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            );
            template(spec);
        }
        ("apps", "daemonsets") => {
            let spec = &mut object["spec"];
            default(spec, "revisionHistoryLimit", 10);
            let rolling =
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
            default(spec, "updateStrategy", rolling);
            template(spec);
        }
        ("batch", "jobs") => job(&mut object["spec"]),
        ("batch", "cronjobs") => {
            let spec = &mut object["spec"];
            default(spec, "concurrencyPolicy", "Allow");
            default(spec, "suspend", false);
            default(spec, "successfulJobsHistoryLimit", 3);
            default(spec, "failedJobsHistoryLimit", 1);
            template(&mut spec["jobTemplate"]["spec"]);
        }
        ("", "services") => service(&mut object["spec"]),
        ("", "secrets") => secret(object),
        ("", "namespaces") => {
            default(object, "spec", json!({"finalizers": ["kubernetes"]}));
            default(object, "status", json!({}));
            default(&mut object["status"], "phase", "Active");
            let name = text(object, "metadata.name").to_owned();
            default(&mut object["metadata"], "labels", json!({}));
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
        }
        _ => {}
    }
}

fn template(spec: &mut Value) {
    if spec["template"].is_object() {
        pod_spec(&mut spec["template"]["spec"]);
    }
}

fn job(spec: &mut Value) {
    default(spec, "parallelism", 1);
    default(spec, "completions", 1);
    default(spec, "backoffLimit", 6);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "podReplacementPolicy", "TerminatingOrFailed");
    template(spec);
}

fn service(spec: &mut Value) {
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    default(spec, "internalTrafficPolicy", "Cluster");
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        default(port, "targetPort", number);
    }
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    default(object, "type", "Opaque");
    // Text that is given in the clear is stored encoded, and not shown again as it was given.
    let Some(given) = object.as_object_mut().and_then(|m| m.shift_remove("stringData")) else { return };
    default(object, "data", json!({}));
    for (key, value) in given.as_object().into_iter().flatten() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        object["data"][key] = encoded.into();
    }
}

/// Fills in a pod's specification.
pub(super) fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            let image = text(container, "image").to_owned();
            let latest =
                image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or_default().contains(':');
            default(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
            default(container, "resources", json!({}));
            default(container, "terminationMessagePath", "/dev/termination-log");
            default(container, "terminationMessagePolicy", "File");
            for port in container["ports"].as_array_mut().into_iter().flatten() {
                default(port, "protocol", "TCP");
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if container.get(probe).is_some_and(Value::is_object) {
                    let probe = &mut container[probe];
                    default(probe, "timeoutSeconds", 1);
                    default(probe, "periodSeconds", 10);
                    default(probe, "successThreshold", 1);
                    default(probe, "failureThreshold", 3);
                    if probe["httpGet"].is_object() {
                        default(&mut probe["httpGet"], "path", "/");
                        default(&mut probe["httpGet"], "scheme", "HTTP");
                    }
                }
            }
            // What is limited and not asked for is asked for.
            if container["resources"]["limits"].is_object() {
                let limits = container["resources"]["limits"].clone();
                default(&mut container["resources"], "requests", json!({}));
                for (key, value) in limits.as_object().into_iter().flatten() {
                    default(&mut container["resources"]["requests"], key, value.clone());
                }
            }
        }
        // Looking a list up that is not there has made it null.
        if spec[list].is_null()
            && let Some(map) = spec.as_object_mut()
        {
            map.shift_remove(list);
        }
    }
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", "default-scheduler");
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        tidy(container);
    }
    for container in spec.get_mut("initContainers").and_then(Value::as_array_mut).into_iter().flatten() {
        tidy(container);
    }
}

/// Takes out the nulls that looking up left behind.
fn tidy(container: &mut Value) {
    if let Some(map) = container.as_object_mut() {
        map.retain(|_, v| !v.is_null());
        if let Some(resources) = map.get_mut("resources").and_then(Value::as_object_mut) {
            resources.retain(|_, v| !v.is_null());
        }
    }
}

/// What admission adds to a pod that is about to be stored.
pub(super) fn admit_pod(pod: &mut Value, rng: &mut Rng) {
    pod_spec(&mut pod["spec"]);
    let spec = &mut pod["spec"];
    default(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    default(spec, "serviceAccount", account);
    default(spec, "enableServiceLinks", true);
    default(spec, "preemptionPolicy", "PreemptLowerPriority");
    default(spec, "priority", 0);
    let not_ready = |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    if spec.get("tolerations").is_none() {
        spec["tolerations"] =
            json!([not_ready("node.kubernetes.io/not-ready"), not_ready("node.kubernetes.io/unreachable")]);
    }
    if spec["automountServiceAccountToken"].as_bool() != Some(false) {
        mount_token(spec, rng);
    }
    if let Some(map) = spec.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
    default(pod, "status", json!({"phase": "Pending"}));
    let class = super::build::qos(pod);
    default(&mut pod["status"], "phase", "Pending");
    default(&mut pod["status"], "qosClass", class);
}

fn mount_token(spec: &mut Value, rng: &mut Rng) {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let name = format!("kube-api-access-{}", rng.suffix(5));
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            default(container, "volumeMounts", json!([]));
            if let Some(mounts) = container["volumeMounts"].as_array_mut()
                && !mounts.iter().any(|m| m["mountPath"] == PATH)
            {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": PATH}));
            }
        }
    }
    default(spec, "volumes", json!([]));
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": name, "projected": {"sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ], "defaultMode": 420}}));
    }
}
