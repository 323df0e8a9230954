//! What answers to the application's own questions say: clusters, kinds, who is here, what waits.

use compact_str::CompactString;
use serde_json::Value;

use crate::base::{Actor, SafeText};
use crate::tui::shared::{ClusterInfo, KindInfo, Participant, Waiting};

/// The rows of a page, each with its values by column.
fn rows(output: &Value) -> impl Iterator<Item = impl Fn(&str) -> CompactString> {
    let columns: Vec<&str> = output
        .get("columns")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let rows = output.get("rows").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_array);
    rows.map(move |row| {
        let columns = columns.clone();
        move |name: &str| {
            let at = columns.iter().position(|column| *column == name);
            at.and_then(|at| row.get(at)).and_then(Value::as_str).map(CompactString::new).unwrap_or_default()
        }
    })
}

/// `cluster_list`'s output.
pub(super) fn clusters(output: &Value) -> Vec<ClusterInfo> {
    rows(output).map(|text| ClusterInfo::told(text("NAME"), text)).collect()
}

/// `kind_list`'s output.
pub(super) fn kinds(output: &Value) -> Vec<KindInfo> {
    rows(output)
        .map(|text| {
            let (id, kind) = (text("NAME"), text("KIND"));
            let (plural, group) = id.split_once('.').unwrap_or((&id, ""));
            KindInfo {
                plural: plural.into(),
                group: group.into(),
                singular: kind.to_lowercase(),
                version: text("VERSION"),
                short_names: text("SHORT")
                    .split(',')
                    .filter(|s| !s.is_empty())
                    .map(CompactString::new)
                    .collect(),
                namespaced: text("SCOPE") == "namespace",
                kind,
                id: id.clone(),
            }
        })
        .collect()
}

/// `participant_list`'s output.
pub(super) fn participants(output: &Value, before: &[Participant], own: &Actor) -> Vec<Participant> {
    let list = output.get("participants").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|item| {
            let actor: Actor = serde_json::from_value(item.get("actor")?.clone()).ok()?;
            let looks_at = SafeText::new(item.get("looks_at").and_then(Value::as_str).unwrap_or_default());
            let running = item.get("activity").filter(|a| a.get("running") == Some(&Value::Bool(true)));
            let doing = running.and_then(|activity| {
                let at = activity.get("at")?.as_str()?.parse().ok()?;
                Some((SafeText::new(activity.get("operation")?.as_str()?), at))
            });
            let known = before.iter().find(|p| p.actor.same_as(&actor)).and_then(|p| p.doing.clone());
            // What this screen reads goes on for as long as it is shown: a spinner for it would never stand still.
            let doing = doing.or(known).filter(|_| !actor.same_as(own));
            Some(Participant { actor, looks_at, doing })
        })
        .collect()
}

/// `approval_list`'s output: what is still to be decided, the oldest first.
pub(super) fn approvals(output: &Value) -> Vec<Waiting> {
    let list = output.get("approvals").and_then(Value::as_array);
    let mut waiting: Vec<Waiting> = list
        .into_iter()
        .flatten()
        .filter(|item| item.get("state").and_then(Value::as_str).is_none_or(|state| state == "pending"))
        .filter_map(|item| {
            let text =
                |value: Option<&Value>| SafeText::new(value.and_then(Value::as_str).unwrap_or_default());
            let target = item.get("target");
            let target = match target {
                Some(Value::String(line)) => SafeText::new(line),
                Some(object) => {
                    let part =
                        |name: &str| object.get(name).and_then(Value::as_str).filter(|p| !p.is_empty());
                    let parts: Vec<&str> = ["kind", "name"].iter().filter_map(|n| part(n)).collect();
                    SafeText::new(&parts.join(" "))
                }
                None => SafeText::default(),
            };
            Some(Waiting {
                approval: item.get("approval")?.as_str()?.parse().ok()?,
                actor: item.get("actor").and_then(|a| serde_json::from_value(a.clone()).ok()),
                operation: text(item.get("operation")),
                target,
                summary: text(item.get("summary")),
                expires_at: item.get("expires_at").and_then(Value::as_str).and_then(|t| t.parse().ok()),
            })
        })
        .collect();
    waiting.sort_by_key(|w| w.approval);
    waiting
}
