//! Who uses an object by its name: a ConfigMap, Secret, ServiceAccount, PersistentVolumeClaim or PriorityClass.
//!
//! [`uses`] reads one object and is pure; [`find`] reads the kinds that can name such a thing. What a controller made is
//! left out where what it was made from says the same.

use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;

use super::describe::part::{controller, items, text};
use super::place::{List, Place};
use super::rollout::image::pod_spec;
use crate::base;
use crate::kube::Error;

/// Lists under way at once.
const AT_ONCE: usize = 4;

/// What can be used by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    ConfigMap,
    Secret,
    ServiceAccount,
    Claim,
    PriorityClass,
}

/// One object that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As discovery resolves it: `deployments.apps`.
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// In which ways.
    pub how: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Users {
    pub users: Vec<User>,
    /// Kinds that could not be read, with why.
    pub not_read: Vec<String>,
}

impl Used {
    pub fn of(place: &Place) -> base::Result<Self> {
        Ok(match (&*place.resource.group, &*place.resource.plural) {
            ("", "configmaps") => Self::ConfigMap,
            ("", "secrets") => Self::Secret,
            ("", "serviceaccounts") => Self::ServiceAccount,
            ("", "persistentvolumeclaims") => Self::Claim,
            ("scheduling.k8s.io", "priorityclasses") => Self::PriorityClass,
            _ => {
                return Err(base::Error::unsupported(format!(
                    "who uses a {} is not known",
                    place.resource.kind
                ))
                .next(
                    "It is for configmaps, secrets, serviceaccounts, persistentvolumeclaims and priorityclasses.",
                ));
            }
        })
    }

    /// The kinds whose objects can name it.
    fn kinds(self) -> Vec<&'static str> {
        let mut kinds = vec![
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "cronjobs.batch",
            "jobs.batch",
            "replicasets.apps",
            "pods",
        ];
        kinds.extend_from_slice(match self {
            Self::Secret => &["ingresses.networking.k8s.io", "serviceaccounts"],
            Self::ServiceAccount => {
                &["rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"]
            }
            Self::Claim => &["persistentvolumes"],
            Self::ConfigMap | Self::PriorityClass => &[],
        });
        kinds
    }
}

/// Reads everything that may use the object at `place`.
pub async fn find(place: &Place) -> base::Result<Users> {
    let used = Used::of(place)?;
    // One that is not there is said to be so, rather than to be used by nobody.
    let mut out = Users::default();
    if place.find_live().await?.is_none() {
        out.not_read.push(format!("{} is not there: these name it all the same", place.words()));
    }
    let reads: Vec<_> =
        used.kinds().into_iter().map(|kind| read(place.clone(), used, kind).boxed()).collect();
    let reads: Vec<(&'static str, Result<Vec<User>, Error>)> =
        futures::stream::iter(reads).buffered(AT_ONCE).collect().await;
    for (kind, read) in reads {
        match read {
            Ok(users) => out.users.extend(users),
            Err(e) if e.is_not_found() || matches!(e, Error::UnknownKind { .. }) => {}
            Err(e) => out.not_read.push(format!("{kind}: {e}")),
        }
    }
    Ok(out)
}

async fn read(place: Place, used: Used, kind: &'static str) -> (&'static str, Result<Vec<User>, Error>) {
    (kind, read_kind(&place, used, kind).await)
}

async fn read_kind(place: &Place, used: Used, kind: &str) -> Result<Vec<User>, Error> {
    let resource = place.cluster.resolve(kind).await?;
    let list = List::new(&place.cluster, resource.path(place.namespace.as_deref(), None)).most(20_000);
    let mut users = Vec::new();
    list.each(|mut object| {
        // The items of a list do not repeat what the list says of them.
        object["kind"] = (&*resource.kind).into();
        if !controller(&object).is_empty() {
            return;
        }
        let namespace = place.namespace.as_deref().unwrap_or_default();
        let how = uses(used, namespace, &place.name, &object);
        if !how.is_empty() {
            users.push(User {
                kind: kind.to_owned(),
                namespace: text(&object, "/metadata/namespace"),
                name: text(&object, "/metadata/name"),
                how,
            });
        }
    })
    .await?;
    Ok(users)
}

/// In which ways an object uses what has this kind and name.
pub fn uses(used: Used, namespace: &str, name: &str, object: &Value) -> Vec<String> {
    let mut how = match text(object, "/kind").as_str() {
        "Ingress" => items(object, "/spec/tls")
            .iter()
            .filter(|t| used == Used::Secret && text(t, "/secretName") == name)
            .map(|t| {
                let hosts: Vec<&str> = items(t, "/hosts").iter().filter_map(Value::as_str).collect();
                format!("TLS of {}", if hosts.is_empty() { "all hosts".to_owned() } else { hosts.join(", ") })
            })
            .collect(),
        "ServiceAccount" => ["imagePullSecrets", "secrets"]
            .iter()
            .filter(|list| items(object, &format!("/{list}")).iter().any(|s| text(s, "/name") == name))
            .map(|list| (*list).to_owned())
            .collect(),
        "RoleBinding" | "ClusterRoleBinding" => items(object, "/subjects")
            .iter()
            .filter(|s| text(s, "/kind") == "ServiceAccount" && text(s, "/name") == name)
            .filter(|s| text(s, "/namespace") == namespace)
            .map(|_| format!("{} {}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")))
            .collect(),
        "PersistentVolume" => {
            let claim = object.pointer("/spec/claimRef").unwrap_or(&Value::Null);
            let bound = text(claim, "/name") == name && text(claim, "/namespace") == namespace;
            if bound { vec!["is bound to it".to_owned()] } else { Vec::new() }
        }
        _ => object.pointer(pod_spec(object)).map(|spec| in_pod(used, name, spec)).unwrap_or_default(),
    };
    if used == Used::Claim && text(object, "/kind") == "StatefulSet" {
        how.extend(claim_template(name, object));
    }
    how.dedup();
    how
}

/// A StatefulSet's claims are named after the template, the set and the pod's number.
fn claim_template(name: &str, set: &Value) -> Option<String> {
    let owner = text(set, "/metadata/name");
    items(set, "/spec/volumeClaimTemplates").iter().find_map(|t| {
        let template = text(t, "/metadata/name");
        let number = name.strip_prefix(&format!("{template}-{owner}-"))?;
        number.parse::<u32>().ok().map(|n| format!("claim template {template}, pod {n}"))
    })
}

/// In which ways a pod's specification uses it.
fn in_pod(used: Used, name: &str, spec: &Value) -> Vec<String> {
    let mut how = Vec::new();
    match used {
        Used::ServiceAccount => {
            if text(spec, "/serviceAccountName") == name
                || (name == "default" && text(spec, "/serviceAccountName").is_empty())
            {
                how.push("its pods run as it".to_owned());
            }
            return how;
        }
        Used::PriorityClass => {
            if text(spec, "/priorityClassName") == name {
                how.push("its pods have this priority".to_owned());
            }
            return how;
        }
        Used::ConfigMap | Used::Secret | Used::Claim => {}
    }
    for volume in items(spec, "/volumes") {
        let named = |source: &Value| match used {
            Used::ConfigMap => text(source, "/configMap/name") == name,
            Used::Secret => {
                text(source, "/secret/secretName") == name || text(source, "/secret/name") == name
            }
            _ => text(source, "/persistentVolumeClaim/claimName") == name,
        };
        if named(volume) || items(volume, "/projected/sources").iter().any(named) {
            how.push(format!("volume {}", text(volume, "/name")));
        }
    }
    let (key, all) = match used {
        Used::ConfigMap => ("/valueFrom/configMapKeyRef", "/configMapRef/name"),
        Used::Secret => ("/valueFrom/secretKeyRef", "/secretRef/name"),
        _ => return how,
    };
    if used == Used::Secret && items(spec, "/imagePullSecrets").iter().any(|s| text(s, "/name") == name) {
        how.push("pulls its images with it".to_owned());
    }
    for list in ["/initContainers", "/containers", "/ephemeralContainers"] {
        for container in items(spec, list) {
            let container_name = text(container, "/name");
            if items(container, "/envFrom").iter().any(|e| text(e, all) == name) {
                how.push(format!("environment of {container_name}"));
            }
            let variables: Vec<String> = items(container, "/env")
                .iter()
                .filter(|e| text(e, &format!("{key}/name")) == name)
                .map(|e| text(e, "/name"))
                .collect();
            if !variables.is_empty() {
                how.push(format!("{} of {container_name}", variables.join(", ")));
            }
        }
    }
    how
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_name_a_secret_is_found() {
        let web = json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": {"spec": {
            "imagePullSecrets": [{"name": "s"}],
            "volumes": [{"name": "tls", "secret": {"secretName": "s"}},
                {"name": "all", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
            "initContainers": [{"name": "init", "envFrom": [{"secretRef": {"name": "s"}}]}],
            "containers": [{"name": "main", "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "b"}}}]}]}}}});
        let how = uses(Used::Secret, "shop", "s", &web);
        assert_eq!(
            how,
            ["volume tls", "volume all", "pulls its images with it", "environment of init", "A of main"]
        );
        assert_eq!(uses(Used::ConfigMap, "shop", "s", &web), ["B of main"]);
        let ingress =
            json!({"kind": "Ingress", "spec": {"tls": [{"hosts": ["a.example"], "secretName": "s"}]}});
        assert_eq!(uses(Used::Secret, "shop", "s", &ingress), ["TLS of a.example"]);
        let account = json!({"kind": "ServiceAccount", "imagePullSecrets": [{"name": "s"}]});
        assert_eq!(uses(Used::Secret, "shop", "s", &account), ["imagePullSecrets"]);
    }

    #[test]
    fn accounts_claims_and_priorities_are_found() {
        let cron = json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {
            "serviceAccountName": "robot", "priorityClassName": "high",
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}}}}}});
        assert_eq!(uses(Used::ServiceAccount, "shop", "robot", &cron).len(), 1);
        assert_eq!(uses(Used::PriorityClass, "", "high", &cron).len(), 1);
        assert_eq!(uses(Used::Claim, "shop", "c", &cron), ["volume data"]);
        let set = json!({"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}], "template": {"spec": {}}}});
        assert_eq!(uses(Used::Claim, "shop", "data-db-2", &set), ["claim template data, pod 2"]);
        assert!(uses(Used::Claim, "shop", "data-db-x", &set).is_empty());
        let binding = json!({"kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "edit"}, "subjects": [
            {"kind": "ServiceAccount", "name": "robot", "namespace": "other"}]});
        assert!(uses(Used::ServiceAccount, "shop", "robot", &binding).is_empty());
        assert_eq!(uses(Used::ServiceAccount, "other", "robot", &binding), ["Role edit"]);
    }
}
