//! Who may do what: subjects of bindings, the rules that they come to, and the server's own answer.
//!
//! [`collect`] is pure: it joins bindings with the roles that they name.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::describe::part::{items, plain, text};
use super::place::List;
use crate::base;
use crate::kube::{Call, Cluster, Error};

const API: &str = "/apis/rbac.authorization.k8s.io/v1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    User,
    Group,
    ServiceAccount,
}

impl SubjectKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// Whom rules are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub kind: SubjectKind,
    /// Of a service account.
    pub namespace: String,
    pub name: String,
}

impl Subject {
    /// Reads `u:NAME`, `g:NAME` and `s:[NAMESPACE:]NAME`, as k9s writes them.
    pub fn parse(text: &str, namespace: &str) -> base::Result<Self> {
        let wrong = || {
            base::Error::invalid(format!("{text:?} is no subject"))
                .next("Write u:USER, g:GROUP or s:NAMESPACE:SERVICEACCOUNT.")
        };
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
        let subject = |kind, namespace: &str, name: &str| Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Ok(match kind {
            "u" | "user" => subject(SubjectKind::User, "", name),
            "g" | "group" => subject(SubjectKind::Group, "", name),
            "s" | "sa" | "serviceaccount" => {
                let (namespace, name) = name.split_once([':', '/']).unwrap_or((namespace, name));
                subject(SubjectKind::ServiceAccount, namespace, name)
            }
            _ => return Err(wrong()),
        })
    }

    /// The name under which the server knows it.
    pub fn user_name(&self) -> String {
        match self.kind {
            SubjectKind::ServiceAccount => {
                format!("system:serviceaccount:{}:{}", self.namespace, self.name)
            }
            _ => self.name.clone(),
        }
    }

    /// The groups that it is in by what it is; those that an identity provider gives are not known here.
    pub fn groups(&self) -> Vec<String> {
        match self.kind {
            SubjectKind::Group => vec![self.name.clone()],
            SubjectKind::User => vec!["system:authenticated".to_owned()],
            SubjectKind::ServiceAccount => vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{}", self.namespace),
                "system:authenticated".to_owned(),
            ],
        }
    }

    /// How a binding's subject means it: by itself, or by a group that it is in.
    fn meant(&self, subject: &Value, binding_namespace: &str) -> Option<Option<String>> {
        let (kind, name) = (text(subject, "/kind"), text(subject, "/name"));
        if kind == "Group" && self.groups().contains(&name) {
            return Some((self.kind != SubjectKind::Group).then_some(name));
        }
        if kind == "User" && self.kind != SubjectKind::Group && name == self.user_name() {
            return Some(None);
        }
        let namespace = match text(subject, "/namespace") {
            namespace if namespace.is_empty() => binding_namespace.to_owned(),
            namespace => namespace,
        };
        let account =
            kind == SubjectKind::ServiceAccount.as_str() && self.kind == SubjectKind::ServiceAccount;
        (account && name == self.name && namespace == self.namespace).then_some(None)
    }
}

/// A role, or a binding that gives one to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `roles`, `clusterroles`, `rolebindings` or `clusterrolebindings`.
    plural: &'static str,
    /// Empty for what has none.
    namespace: String,
    name: String,
}

impl Role {
    /// Reads `cr:NAME`, `crb:NAME`, `r:NAMESPACE:NAME` and `rb:NAMESPACE:NAME`; `None` for what is no role. A role's own
    /// name may have colons, so that the namespace is never left out of one that has some.
    pub fn parse(text: &str, namespace: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':').filter(|(_, name)| !name.is_empty())?;
        let plural = match kind {
            "r" | "ro" | "role" => "roles",
            "cr" | "clusterrole" => "clusterroles",
            "rb" | "rolebinding" => "rolebindings",
            "crb" | "clusterrolebinding" => "clusterrolebindings",
            _ => return None,
        };
        let (namespace, name) = match plural {
            "roles" | "rolebindings" => name.split_once([':', '/']).unwrap_or((namespace, name)),
            _ => ("", name),
        };
        Some(Self { plural, namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// What may be done with one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// A namespace, or empty for all of them.
    pub namespace: String,
    pub group: String,
    /// `pods`, `pods/log`, `*`; or a path such as `/healthz`.
    pub resource: String,
    /// Only objects of these names, if any are given.
    pub names: Vec<String>,
    pub verbs: BTreeSet<String>,
    /// `ClusterRole/edit by RoleBinding/devs`.
    pub by: String,
}

/// A subject that some binding names, and how many do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub subject: Subject,
    pub bindings: usize,
    pub roles: BTreeSet<String>,
}

struct Bindings {
    /// Cluster-wide ones first.
    all: Vec<Value>,
}

async fn bindings(cluster: &Cluster) -> Result<Bindings, Error> {
    let read = |plural: &str| List::new(cluster, format!("{API}/{plural}")).most(50_000);
    let (wide, narrow) = tokio::try_join!(read("clusterrolebindings").read(), read("rolebindings").read())?;
    let mut all = wide.items;
    all.extend(narrow.items);
    Ok(Bindings { all })
}

/// Every user, group or service account that a binding names.
pub async fn subjects(cluster: &Cluster, kind: SubjectKind) -> base::Result<Vec<Bound>> {
    let bindings = bindings(cluster).await?;
    let mut found: BTreeMap<Subject, Bound> = BTreeMap::new();
    for binding in &bindings.all {
        for subject in items(binding, "/subjects").iter().filter(|s| text(s, "/kind") == kind.as_str()) {
            let namespace = match kind {
                SubjectKind::ServiceAccount => text(subject, "/namespace"),
                _ => String::new(),
            };
            let subject = Subject { kind, namespace, name: text(subject, "/name") };
            let bound = found.entry(subject.clone()).or_insert_with(|| Bound {
                subject,
                bindings: 0,
                roles: BTreeSet::new(),
            });
            bound.bindings += 1;
            bound.roles.insert(text(binding, "/roleRef/name"));
        }
    }
    Ok(found.into_values().collect())
}

/// What a subject may do, by every binding that means it.
pub async fn rules(cluster: &Cluster, subject: &Subject) -> base::Result<Vec<Allowed>> {
    let read = |plural: &str| List::new(cluster, format!("{API}/{plural}")).most(50_000);
    let (bindings, wide, narrow) =
        tokio::try_join!(bindings(cluster), read("clusterroles").read(), read("roles").read())?;
    let mut roles = HashMap::new();
    for (kind, list) in [("ClusterRole", wide.items), ("Role", narrow.items)] {
        for role in list {
            let key = (kind, text(&role, "/metadata/namespace"), text(&role, "/metadata/name"));
            roles.insert(key, role);
        }
    }
    let find = |kind: &str, namespace: &str, name: &str| {
        let (kind, namespace) = if kind == "Role" { ("Role", namespace) } else { ("ClusterRole", "") };
        roles.get(&(kind, namespace.to_owned(), name.to_owned()))
    };
    Ok(collect(subject, &bindings.all, find))
}

/// The rules of a role, or of the role that a binding gives; with what they need to be read rightly.
pub async fn role_rules(cluster: &Cluster, role: &Role) -> base::Result<(Vec<Allowed>, String)> {
    let read = async |plural: &str, namespace: &str, name: &str| {
        let place = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
        cluster.json(Call::get(format!("{API}{place}/{plural}/{name}"))).await
    };
    let found = read(role.plural, &role.namespace, &role.name).await?;
    if !role.plural.ends_with("bindings") {
        let (kind, note) = if role.plural == "roles" {
            ("Role", "it gives nothing by itself: the rolebindings of its namespace say to whom")
        } else {
            ("ClusterRole", "it gives nothing by itself: the bindings say to whom, and where")
        };
        let by = format!("{kind}/{}", role.name);
        return Ok((rules_of(&found, &role.namespace, &by), note.to_owned()));
    }
    let (kind, name) = (text(&found, "/roleRef/kind"), text(&found, "/roleRef/name"));
    let subjects: Vec<String> = items(&found, "/subjects").iter().map(said).collect();
    let to = if subjects.is_empty() { "nobody".to_owned() } else { subjects.join(", ") };
    let sort = if role.namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    let by = format!("{kind}/{name} by {sort}/{}", role.name);
    let given = match kind.as_str() {
        "Role" => read("roles", &role.namespace, &name).await,
        _ => read("clusterroles", "", &name).await,
    };
    let given = given.map_err(|error| {
        let mut error = base::Error::from(error);
        error.message = format!("{}, which the binding {} gives to {to}", error.message, role.name);
        error
    })?;
    Ok((rules_of(&given, &role.namespace, &by), format!("to {to}")))
}

/// A binding's subject in words: `User jane`, `ServiceAccount shop/robot`.
fn said(subject: &Value) -> String {
    let (kind, name) = (text(subject, "/kind"), text(subject, "/name"));
    match text(subject, "/namespace") {
        namespace if namespace.is_empty() => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

fn rules_of(role: &Value, namespace: &str, by: &str) -> Vec<Allowed> {
    let mut all: Vec<Allowed> =
        items(role, "/rules").iter().flat_map(|rule| of_rule(rule, namespace, by)).collect();
    all.sort_by(|a, b| (&a.group, &a.resource).cmp(&(&b.group, &b.resource)));
    all
}

/// Joins the bindings that mean a subject with the rules of the roles that they name.
fn collect<'a>(
    subject: &Subject,
    bindings: &[Value],
    role: impl Fn(&str, &str, &str) -> Option<&'a Value>,
) -> Vec<Allowed> {
    let mut all = Vec::new();
    for binding in bindings {
        let namespace = text(binding, "/metadata/namespace");
        let Some(through) = items(binding, "/subjects").iter().find_map(|s| subject.meant(s, &namespace))
        else {
            continue;
        };
        let (kind, name) = (text(binding, "/roleRef/kind"), text(binding, "/roleRef/name"));
        let sort = if namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
        let through = through.map(|group| format!(" as {group}")).unwrap_or_default();
        let by = format!("{kind}/{name} by {sort}/{}{through}", text(binding, "/metadata/name"));
        match role(&kind, &namespace, &name) {
            Some(role) => {
                for rule in items(role, "/rules") {
                    all.extend(of_rule(rule, &namespace, &by));
                }
            }
            None => all.push(Allowed {
                namespace,
                group: String::new(),
                resource: "(the role is not there)".to_owned(),
                names: Vec::new(),
                verbs: BTreeSet::new(),
                by,
            }),
        }
    }
    all.sort_by(|a, b| {
        (&a.namespace, &a.group, &a.resource, &a.by).cmp(&(&b.namespace, &b.group, &b.resource, &b.by))
    });
    all
}

fn of_rule(rule: &Value, namespace: &str, by: &str) -> Vec<Allowed> {
    let texts = |at: &str| items(rule, at).iter().map(plain).collect::<Vec<_>>();
    let verbs: BTreeSet<String> = texts("/verbs").into_iter().collect();
    let one = |group: &str, resource: String, names: Vec<String>| Allowed {
        namespace: namespace.to_owned(),
        group: group.to_owned(),
        resource,
        names,
        verbs: verbs.clone(),
        by: by.to_owned(),
    };
    let mut all: Vec<Allowed> =
        texts("/nonResourceURLs").into_iter().map(|path| one("", path, Vec::new())).collect();
    for group in texts("/apiGroups") {
        for resource in texts("/resources") {
            all.push(one(&group, resource, texts("/resourceNames")));
        }
    }
    all
}

/// A question to the server.
#[derive(Debug, Clone, Default)]
pub struct Question {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    /// All namespaces, or what has none, if empty.
    pub namespace: String,
    pub name: String,
    /// A path such as `/healthz`, instead of a resource.
    pub path: String,
}

/// The server's answer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    pub reason: String,
}

/// Asks whether somebody may: whoever we are, or another.
pub async fn may(cluster: &Cluster, question: &Question, who: Option<&Subject>) -> base::Result<Answer> {
    let mut spec = if question.path.is_empty() {
        json!({"resourceAttributes": {
            "verb": question.verb, "group": question.group, "resource": question.resource,
            "subresource": question.subresource, "namespace": question.namespace, "name": question.name,
        }})
    } else {
        json!({"nonResourceAttributes": {"verb": question.verb, "path": question.path}})
    };
    let kind = match who {
        None => "SelfSubjectAccessReview",
        Some(who) => {
            if who.kind != SubjectKind::Group {
                spec["user"] = json!(who.user_name());
            }
            spec["groups"] = json!(who.groups());
            "SubjectAccessReview"
        }
    };
    let path = format!("/apis/authorization.k8s.io/v1/{}s", kind.to_lowercase());
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
    let answer = cluster.json(Call::post(path).json(&body)?).await?;
    let mut reason = text(&answer, "/status/reason");
    let error = text(&answer, "/status/evaluationError");
    if !error.is_empty() {
        reason = format!("{reason} ({error})").trim().to_owned();
    }
    Ok(Answer { allowed: answer.pointer("/status/allowed") == Some(&Value::Bool(true)), reason })
}

/// What we ourselves may do in a namespace, as the server says; whether it says all of it.
pub async fn own_rules(cluster: &Cluster, namespace: &str) -> base::Result<(Vec<Allowed>, bool)> {
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let answer = cluster.json(Call::post(path).json(&body)?).await?;
    let mut all = Vec::new();
    for list in ["/status/resourceRules", "/status/nonResourceRules"] {
        for rule in items(&answer, list) {
            all.extend(of_rule(rule, namespace, "the server's answer"));
        }
    }
    Ok((joined(all), answer.pointer("/status/incomplete") != Some(&Value::Bool(true))))
}

/// One entry for what several rules say of the same resource and names: the server lists each role's rule by itself.
fn joined(mut all: Vec<Allowed>) -> Vec<Allowed> {
    all.sort_by(|a, b| (&a.group, &a.resource, &a.names).cmp(&(&b.group, &b.resource, &b.names)));
    all.dedup_by(|next, kept| {
        let same = (&next.group, &next.resource, &next.names) == (&kept.group, &kept.resource, &kept.names);
        if same {
            kept.verbs.append(&mut next.verbs);
        }
        same
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_k9s_writes_them() {
        let robot = Subject::parse("s:shop:robot", "default").unwrap();
        assert_eq!(robot.user_name(), "system:serviceaccount:shop:robot");
        assert_eq!(Subject::parse("s:robot", "default").unwrap().namespace, "default");
        assert_eq!(Subject::parse("g:devs", "").unwrap().groups(), ["devs"]);
        assert!(Subject::parse("jane", "").is_err() && Subject::parse("x:y", "").is_err());
    }

    #[test]
    fn roles_are_read_with_colons_in_their_names() {
        let read = |text: &str| Role::parse(text, "default").map(|r| (r.plural, r.namespace, r.name));
        let role =
            |plural, namespace: &str, name: &str| Some((plural, namespace.to_owned(), name.to_owned()));
        assert_eq!(read("cr:system:node"), role("clusterroles", "", "system:node"));
        assert_eq!(read("r:kube-system:system:x"), role("roles", "kube-system", "system:x"));
        assert_eq!(read("rb:devs"), role("rolebindings", "default", "devs"));
        assert_eq!(read("crb:all"), role("clusterrolebindings", "", "all"));
        assert!(read("u:jane").is_none() && read("cr:").is_none() && read("edit").is_none());
    }

    #[test]
    fn what_several_rules_say_of_one_resource_is_one_entry() {
        let rule = |verbs: &[&str], names: &[&str]| {
            of_rule(
                &json!({"apiGroups": [""], "resources": ["pods"], "verbs": verbs, "resourceNames": names}),
                "shop",
                "x",
            )
        };
        let all = [rule(&["get"], &[]), rule(&["list", "get"], &[]), rule(&["delete"], &["web"])].concat();
        let all = joined(all);
        let verbs = |i: usize| all[i].verbs.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!((all.len(), verbs(0), verbs(1)), (2, vec!["get", "list"], vec!["delete"]));
    }

    #[test]
    fn rules_come_from_bindings_of_the_subject_and_of_its_groups() {
        let edit = json!({"rules": [{"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get", "list"]},
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]});
        let bindings = [
            json!({"metadata": {"name": "one", "namespace": "shop"}, "roleRef": {"kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "ServiceAccount", "name": "robot"}]}),
            json!({"metadata": {"name": "two"}, "roleRef": {"kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]}),
            json!({"metadata": {"name": "lost", "namespace": "shop"}, "roleRef": {"kind": "Role", "name": "gone"},
                "subjects": [{"kind": "User", "name": "system:serviceaccount:shop:robot"}]}),
            json!({"metadata": {"name": "other"}, "roleRef": {"kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "User", "name": "jane"}]}),
        ];
        let robot = Subject::parse("s:shop:robot", "").unwrap();
        let all = collect(&robot, &bindings, |_, _, name| (name == "edit").then_some(&edit));
        let by = |name: &str| all.iter().filter(|a| a.by.contains(name)).count();
        assert_eq!((by("/one"), by("/two"), by("/lost"), by("/other")), (3, 3, 1, 0));
        assert!(
            all.iter().any(|a| a.by.ends_with("as system:serviceaccounts:shop") && a.namespace.is_empty())
        );
        assert!(all.iter().any(|a| a.resource == "/metrics" && a.verbs.contains("get")));
    }
}
