//! What Enter does: where an object leads to.

use compact_str::CompactString;
use serde_json::{Value, json};

use super::Resources;
use crate::base::{Error, Result};
use crate::gate::{Reply, Request};
use crate::rows::RowKey;
use crate::tui::effect::{Cx, Flash, Ticket};
use crate::tui::object::{Namespaces, ObjectRef, Query, Route, TextKind};
use crate::tui::panes::talk;

impl Resources {
    /// The part of an object that Enter or the owner's key has asked for.
    pub(super) fn answered(&mut self, ticket: Ticket, result: Result<Reply>, cx: &mut Cx<'_>) {
        if self.bundled(ticket, &result, cx) {
            return;
        }
        let drilled = self.drilling.take_if(|(asked, _)| *asked == ticket);
        let chosen = self.choosing.take_if(|(asked, ..)| *asked == ticket);
        if let (Ok(Reply::Done { output, .. }), Some((_, want, pod))) = (&result, &chosen) {
            return talk::choose(*want, pod, output, cx);
        }
        let owned = self.owning.take_if(|(asked, _)| *asked == ticket);
        if let Some((_, object, jump)) = self.jumping.take_if(|(asked, ..)| *asked == ticket) {
            return self.jumped(&object, &jump, result, cx);
        }
        match (result, drilled, owned) {
            (Ok(Reply::Done { output, .. }), Some((_, object)), _) => self.drill_into(&object, &output, cx),
            (Ok(Reply::Done { output, .. }), _, Some((_, object))) => self.go_to_owner(&object, &output, cx),
            (Ok(Reply::Done { .. }), None, None) => {}
            (Ok(Reply::Held(held)), ..) => cx.flash(Flash::warning(held.reason)),
            (Err(error), ..) => cx.error(&error),
        }
    }

    pub(super) fn enter(&mut self, cx: &mut Cx<'_>) {
        let Some(object) = self.object() else { return };
        if self.jump(&object, cx) {
            return;
        }
        let clusters: Vec<CompactString> = if object.cluster.is_empty() {
            self.query.clusters.clone()
        } else {
            vec![object.cluster.clone()]
        };
        match object.plural() {
            "pods" => cx.go(Route::Containers(object)),
            "events" => self.enter_event(clusters, cx),
            "namespaces" => {
                let namespaces = Namespaces::One(object.name.clone());
                cx.namespace(namespaces.clone());
                cx.go(Route::Resources(Query {
                    kind: "pods".into(),
                    clusters,
                    namespaces,
                    ..Query::default()
                }));
            }
            "nodes" => cx.go(Route::Resources(Query {
                kind: "pods".into(),
                clusters,
                fields: Some(format!("spec.nodeName={}", object.name)),
                origin: Some(format!("node {}", object.name)),
                ..Query::default()
            })),
            "cronjobs" => cx.go(Route::Resources(Query {
                kind: "jobs.batch".into(),
                clusters,
                namespaces: Namespaces::One(object.namespace.clone()),
                owner: Some(format!("{}/{}", object.kind, object.name)),
                origin: Some(format!("cronjob {}", object.name)),
                ..Query::default()
            })),
            "customresourcedefinitions" => cx.go(Route::Resources(Query {
                // A definition's name is the plural and the group of what it defines.
                kind: object.name.clone(),
                clusters,
                namespaces: cx.shared.namespaces.clone(),
                ..Query::default()
            })),
            "deployments"
            | "statefulsets"
            | "daemonsets"
            | "replicasets"
            | "jobs"
            | "services"
            | "replicationcontrollers" => {
                self.drill_to = "pods";
                let mut arguments = object.arguments();
                arguments["path"] = json!("spec.selector");
                arguments["format"] = json!("json");
                let ticket = cx.call(Request::new("resource_get", arguments));
                self.drilling = Some((ticket, object));
            }
            _ if object.gitops().is_some() => cx.go(Route::Chain(object)),
            _ => cx.go(Route::Text(TextKind::Describe, object)),
        }
    }

    /// From a Deployment to its ReplicaSets.
    pub(super) fn replica_sets(&mut self, cx: &mut Cx<'_>) {
        let Some(object) = self.object() else { return super::keys::nothing(cx) };
        self.drill_to = "replicasets.apps";
        let mut arguments = object.arguments();
        arguments["path"] = json!("spec.selector");
        arguments["format"] = json!("json");
        self.drilling = Some((cx.call(Request::new("resource_get", arguments)), object));
    }

    /// From an event to the object that it is about, in the table of its kind.
    fn enter_event(&self, clusters: Vec<CompactString>, cx: &mut Cx<'_>) {
        let Some(row) = self.grid.selected() else { return };
        let about = self.grid.cell_text(row, "OBJECT", cx.now).unwrap_or_default();
        // `pod/web-1`; some servers write `Pod/web-1`.
        let Some((kind, name)) = about.split_once('/').filter(|(_, name)| !name.is_empty()) else {
            cx.flash(Flash::info("the event does not say what it is about"));
            return;
        };
        let Some(kind) = cx.shared.kind(kind).map(|k| k.id.clone()) else {
            let error = Error::not_found(format!("there is no kind {kind:?} to go to"));
            cx.error(&error.next("y shows the event whole."));
            return;
        };
        cx.go(Route::Resources(Query {
            kind,
            clusters,
            namespaces: Namespaces::One(row.key.namespace.clone()),
            select: Some(RowKey::new(row.key.cluster.clone(), &row.key.namespace, name)),
            ..Query::default()
        }));
    }

    /// Asks who owns the object under the cursor; [`Resources::go_to_owner`] follows.
    pub(super) fn owner(&mut self, cx: &mut Cx<'_>) {
        let Some(object) = self.object() else { return super::keys::nothing(cx) };
        let mut arguments = object.arguments();
        arguments["path"] = json!("metadata");
        arguments["format"] = json!("json");
        self.owning = Some((cx.call(Request::new("resource_get", arguments)), object));
    }

    /// Goes to what controls the object, else to the first of what owns it.
    pub(super) fn go_to_owner(&self, object: &ObjectRef, output: &Value, cx: &mut Cx<'_>) {
        let text = output.get("text").and_then(Value::as_str).unwrap_or_default();
        let metadata: Value = serde_json::from_str(text).unwrap_or_default();
        let owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
        let owner = owners.iter().find(|o| o["controller"] == true).or_else(|| owners.first());
        let Some(owner) = owner else {
            cx.flash(
                Flash::info(format!("nothing owns the {} {}", singular(object.plural()), object.name))
                    .next("It was made by hand, or by what sets no owner."),
            );
            return;
        };
        let word = |name: &str| owner[name].as_str().unwrap_or_default();
        let (kind, namespaced) = kind_of(word("apiVersion"), word("kind"), cx);
        let namespace = if namespaced { object.namespace.clone() } else { CompactString::default() };
        cx.go(Route::Resources(Query {
            kind,
            clusters: if object.cluster.is_empty() {
                self.query.clusters.clone()
            } else {
                vec![object.cluster.clone()]
            },
            namespaces: if namespaced { Namespaces::One(namespace.clone()) } else { Namespaces::All },
            select: Some(RowKey::new(&*object.cluster, &namespace, word("name"))),
            ..Query::default()
        }));
    }

    /// Goes to the pods that a workload's selector means.
    pub(super) fn drill_into(&mut self, object: &ObjectRef, output: &Value, cx: &mut Cx<'_>) {
        let text = output.get("text").and_then(Value::as_str).unwrap_or_default();
        let selector = serde_json::from_str(text).ok().and_then(|value: Value| selector(&value));
        let Some(labels) = selector else {
            let error =
                Error::not_found(format!("{} {} selects no pods by label", object.plural(), object.name))
                    .next("d describes it.");
            cx.error(&error);
            return;
        };
        let singular = singular(object.plural());
        cx.go(Route::Resources(Query {
            kind: self.drill_to.into(),
            clusters: if object.cluster.is_empty() {
                self.query.clusters.clone()
            } else {
                vec![object.cluster.clone()]
            },
            namespaces: Namespaces::One(object.namespace.clone()),
            labels: Some(labels),
            origin: Some(format!("{singular} {}", object.name)),
            ..Query::default()
        }));
    }
}

/// A plural as people say one of it.
fn singular(plural: &str) -> &str {
    match plural {
        "ingresses" | "storageclasses" | "ingressclasses" | "priorityclasses" => {
            plural.trim_end_matches("es")
        }
        "endpoints" => plural,
        _ => plural.strip_suffix('s').unwrap_or(plural),
    }
}

/// The identifier of a kind that an object names by `apiVersion` and `kind`, and whether it has a namespace.
fn kind_of(version: &str, kind: &str, cx: &Cx<'_>) -> (CompactString, bool) {
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    let found = cx.shared.kinds.iter().find(|k| k.kind == kind && k.group == group);
    match found {
        Some(known) => (known.id.clone(), known.namespaced),
        None => {
            // Until discovery has answered: the server takes the singular too.
            let lower = kind.to_lowercase();
            let word = if group.is_empty() { lower.clone() } else { format!("{lower}.{group}") };
            (word.into(), !matches!(lower.as_str(), "node" | "namespace" | "persistentvolume"))
        }
    }
}

/// A label selector as the API's query parameter has it, from an object's `spec.selector`: a plain map (services)
/// or `matchLabels` and `matchExpressions`.
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api>.
fn selector(value: &Value) -> Option<String> {
    let map = value.as_object()?;
    let structured = map.contains_key("matchLabels") || map.contains_key("matchExpressions");
    let labels = if structured { map.get("matchLabels").and_then(Value::as_object) } else { Some(map) };
    let mut parts: Vec<String> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    let expressions = map.get("matchExpressions").and_then(Value::as_array).filter(|_| structured);
    for expression in expressions.into_iter().flatten() {
        let key = expression.get("key")?.as_str()?;
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        parts.push(match expression.get("operator")?.as_str()? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_both_forms_are_written_as_queries() {
        assert_eq!(selector(&json!({"app": "web", "tier": "db"})).unwrap(), "app=web,tier=db");
        let structured = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "env", "operator": "In", "values": ["a", "b"]},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector(&structured).unwrap(), "app=web,env in (a,b),!canary");
        assert_eq!(selector(&json!({})), None);
        assert_eq!(selector(&json!(null)), None);
        assert_eq!(selector(&json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})), None);
    }
}
