//! What of an object is no longer as it was applied: against the manifest that `kubectl apply` leaves in an annotation,
//! against what field managers applied on the server, or against an earlier revision of a workload's pods.
//!
//! Server-side apply keeps who holds which field and not which value was applied: where it was used, what others have
//! set besides is all that can be known, and the report says so.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::describe::part::{controller, plain};
use super::mask::{self, LAST_APPLIED};
use super::owned::{Path, Step, Write, writes};
use super::place::Place;
use super::quantity;
use super::rollout::history;
use super::yaml::to_yaml;
use crate::base;

/// Of more differences only the first are given by field.
const MOST: usize = 200;
/// A longer value is cut where it stands in a line with others.
const SHORT: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The manifest in the annotation of kubectl.
    LastApplied,
    /// What managers hold by server-side apply.
    FieldManagers,
    /// An earlier template of a workload's pods.
    Revision,
    /// Nobody has applied it.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Changed,
    /// It was applied, and is not there.
    Removed,
    /// It was not applied, and somebody else has set it.
    Added,
}

/// One field that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// `spec.template.spec.containers[name=main].image`
    pub field: String,
    pub change: Change,
    /// As JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// The field managers that hold it now; of what was removed, nobody knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// When the last of them wrote: RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// What has drifted, by field and as a difference of manifests.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Drift {
    pub against: Against,
    /// In one sentence.
    pub summary: String,
    pub fields: Vec<Difference>,
    /// What cannot be known, and what to look at besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// All of it to be read, with the lines of the difference: `-` was, `+` is.
    pub text: String,
}

/// What is compared, before it is put into words.
struct Compared {
    against: Against,
    /// With what, and since when.
    what: String,
    before: Value,
    now: Value,
    found: Vec<Path>,
    notes: Vec<String>,
}

/// What of the live object is not as it was applied; with a number, not as in that revision.
pub async fn read(place: &Place, revision: Option<i64>) -> base::Result<Drift> {
    let live = place.get().await?;
    let compared = match revision {
        Some(number) => {
            let all = history::read(place, &live).await?;
            of_revision(&history::choose(place, all, Some(number))?, &live)
        }
        None => of_live(&live),
    };
    Ok(told(place, compared, &live))
}

/// What of a live object is not as it was applied.
fn of_live(live: &Value) -> Compared {
    let writes = writes(live);
    let manifest = live.pointer("/metadata/annotations").and_then(|a| a.get(LAST_APPLIED));
    let manifest = manifest.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    if let Some(applied) = manifest {
        return last_applied(applied, live, &writes);
    }
    if writes.iter().any(|write| write.apply) {
        return field_managers(live, &writes);
    }
    let mut notes: Vec<String> = writes.iter().map(written).collect();
    let keeper = controller(live);
    if !keeper.is_empty() {
        notes.push(format!("{keeper} controls it: what was applied is there, if anything was"));
    }
    Compared {
        against: Against::Nothing,
        what: "it was never applied, by kubectl or on the server".to_owned(),
        before: Value::Null,
        now: Value::Null,
        found: Vec::new(),
        notes,
    }
}

fn last_applied(mut applied: Value, live: &Value, writes: &[Write]) -> Compared {
    tidy(&mut applied);
    let annotation = Path::fields(&["metadata", "annotations"]).and(Step::Field(LAST_APPLIED.to_owned()));
    let applier = writes.iter().rev().find(|w| w.paths.contains(&annotation));
    let mut found = Vec::new();
    compare(&applied, Some(live), &Path::default(), false, &mut found);
    for write in writes.iter().filter(|w| applier.is_none_or(|a| a.manager != w.manager)) {
        for path in set_by(write) {
            let known = path.find(&applied).is_some() || found.iter().any(|f| f.touches(path));
            if !known && *path != annotation && path.find(live).is_some() {
                found.push(path.clone());
            }
        }
    }
    let mut now = applied.clone();
    for path in &found {
        match path.find(live) {
            Some(value) => path.set(&mut now, value.clone()),
            None => path.remove(&mut now),
        }
    }
    let mut notes = Vec::new();
    if found.iter().any(|path| path.find(live).is_none()) {
        notes.push("who removed a field, Kubernetes does not record".to_owned());
    }
    let what = match applier {
        Some(write) => format!("what was last applied{}", by(write)),
        None => "what was last applied".to_owned(),
    };
    Compared { against: Against::LastApplied, what, before: applied, now, found, notes }
}

fn field_managers(live: &Value, writes: &[Write]) -> Compared {
    let mut before = json!({ "apiVersion": live["apiVersion"], "kind": live["kind"] });
    Path::fields(&["metadata", "name"]).set(&mut before, live["metadata"]["name"].clone());
    let appliers: Vec<&Write> = writes.iter().filter(|w| w.apply && w.subresource.is_empty()).collect();
    for path in appliers.iter().flat_map(|w| set_by(w)) {
        if let Some(value) = path.find(live) {
            path.set(&mut before, value.clone());
        }
    }
    let mut now = before.clone();
    let mut found: Vec<Path> = Vec::new();
    for path in writes.iter().filter(|w| !w.apply).flat_map(set_by) {
        let theirs = appliers.iter().any(|w| w.paths.contains(path)) || found.contains(path);
        if let (false, Some(value)) = (theirs, path.find(live)) {
            path.set(&mut now, value.clone());
            found.push(path.clone());
        }
    }
    let names: Vec<String> = appliers
        .iter()
        .map(|w| format!("{}{}", w.manager, at(w).map(|t| format!(" at {t}")).unwrap_or_default()))
        .collect();
    let notes = vec![
        "server-side apply records who holds a field, not the value that was applied: what an applier still holds is as it applied it, and what it lost to another is among the fields below"
            .to_owned(),
    ];
    let what = format!("what was applied on the server by {}", names.join(", "));
    Compared { against: Against::FieldManagers, what, before, now, found, notes }
}

fn of_revision(revision: &history::Revision, live: &Value) -> Compared {
    let template = Path::fields(&["spec", "template"]);
    let (mut before, mut now) = (Value::Null, Value::Null);
    template.set(&mut before, revision.template.clone());
    template.set(&mut now, live.pointer("/spec/template").cloned().unwrap_or_default());
    let mut found = Vec::new();
    compare(&before, Some(&now), &Path::default(), true, &mut found);
    let what = format!("revision {} ({})", revision.number, revision.name);
    Compared { against: Against::Revision, what, before, now, found, notes: Vec::new() }
}

/// What Kubernetes' own controllers note in annotations of what they keep.
pub(super) const NOTED: [&str; 2] =
    ["deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"];

/// The fields of the object itself that a write set; its status is what it became, and nobody applied that.
fn set_by(write: &Write) -> impl Iterator<Item = &Path> {
    let own = |path: &&Path| {
        let field = |step: Option<&Step>, names: &[&str]| match step {
            Some(Step::Field(name)) => names.contains(&name.as_str()),
            _ => false,
        };
        !field(path.0.first(), &["status"]) && !field(path.0.last(), &NOTED)
    };
    write.paths.iter().filter(own)
}

/// Takes out of a manifest what says nothing, and writes a Secret's texts as the server keeps them.
fn tidy(manifest: &mut Value) {
    use base64::Engine as _;
    if let Some(map) = manifest.as_object_mut() {
        map.remove("status");
    }
    if let Some(meta) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.retain(|name, value| name != "creationTimestamp" && !value.is_null());
        meta.retain(|name, value| name != "annotations" || value.as_object().is_none_or(|m| !m.is_empty()));
    }
    if mask::is_secret(manifest)
        && let Some(Value::Object(texts)) = manifest.as_object_mut().and_then(|map| map.remove("stringData"))
    {
        for (key, value) in texts {
            let encoded = base64::engine::general_purpose::STANDARD.encode(plain(&value));
            Path::fields(&["data", &key]).set(manifest, json!(encoded));
        }
    }
}

/// Collects where `live` is not what `applied` says. Of what only `live` has nothing is said, unless `both` are whole.
fn compare(applied: &Value, live: Option<&Value>, at: &Path, both: bool, out: &mut Vec<Path>) {
    match (applied, live) {
        (Value::Null, _) => {}
        (Value::Object(a), Some(Value::Object(l))) => {
            for (name, value) in a {
                compare(value, l.get(name), &at.and(Step::Field(name.clone())), both, out);
            }
            let new = l.keys().filter(|name| both && !a.contains_key(*name));
            out.extend(new.map(|name| at.and(Step::Field(name.clone()))));
        }
        (Value::Array(a), Some(Value::Array(l))) => compare_lists(a, l, at, both, out),
        (a, Some(l)) if same(a, l, at) => {}
        (Value::Object(map), None) if map.is_empty() => {}
        (Value::Array(list), None) if list.is_empty() => {}
        _ => out.push(at.clone()),
    }
}

fn compare_lists(a: &[Value], l: &[Value], at: &Path, both: bool, out: &mut Vec<Path>) {
    let step = |item: &Value, key: &str| Step::Key(Map::from_iter([(key.to_owned(), item[key].clone())]));
    if let Some(key) = key_of(a, l) {
        for item in a {
            let path = at.and(step(item, key));
            compare(item, l.iter().find(|other| other[key] == item[key]), &path, both, out);
        }
        let new = l.iter().filter(|item| both && !a.iter().any(|other| other[key] == item[key]));
        out.extend(new.map(|item| at.and(step(item, key))));
    } else if a.len() == l.len() && a.iter().all(Value::is_object) {
        for (i, (item, other)) in a.iter().zip(l).enumerate() {
            compare(item, Some(other), &at.and(Step::Index(i)), both, out);
        }
    } else if a != l {
        out.push(at.clone());
    }
}

/// The field by which the items of two lists are told apart, as those of Kubernetes' own kinds are.
fn key_of(a: &[Value], l: &[Value]) -> Option<&'static str> {
    const KEYS: &[&str] =
        &["containerPort", "mountPath", "port", "name", "key", "type", "ip", "topologyKey", "uid"];
    let tells = |list: &[Value], key: &str| {
        let all: Vec<&Value> = list.iter().filter_map(|item| item.get(key)).collect();
        all.len() == list.len() && (1..all.len()).all(|i| !all[..i].contains(&all[i]))
    };
    KEYS.iter().copied().find(|key| !a.is_empty() && tells(a, key) && tells(l, key))
}

/// Whether two values mean the same: the server writes `1000m` as `1`.
fn same(a: &Value, l: &Value, at: &Path) -> bool {
    if a == l || (a.is_number() && a.as_f64() == l.as_f64()) {
        return true;
    }
    let measured = at.0.iter().any(|step| {
        matches!(step, Step::Field(name) if ["limits", "requests", "capacity", "hard", "sizeLimit"].contains(&name.as_str()))
    });
    let (a, l) = (quantity::parse(&plain(a)), quantity::parse(&plain(l)));
    measured && a.is_some() && a == l
}

fn at(write: &Write) -> Option<String> {
    write.at.map(|t| t.to_string())
}

fn by(write: &Write) -> String {
    let at = at(write).map(|t| format!(" at {t}")).unwrap_or_default();
    format!("{at} by {}", write.manager)
}

fn written(write: &Write) -> String {
    let how = if write.apply { "applied" } else { "wrote" };
    let of =
        if write.subresource.is_empty() { String::new() } else { format!(" of its {}", write.subresource) };
    let at = at(write).map(|t| format!(", last at {t}")).unwrap_or_default();
    format!("{} {how} {} fields{of}{at}", write.manager, write.paths.len())
}

fn told(place: &Place, compared: Compared, live: &Value) -> Drift {
    let Compared { against, what, mut before, mut now, mut found, mut notes } = compared;
    mask::mask_secret_pair(&mut before, &mut now);
    let writes = writes(live);
    let applied: Option<&Write> = match against {
        Against::LastApplied => writes.iter().find(|w| what.ends_with(&by(w))),
        _ => None,
    };
    let total = found.len();
    found.truncate(MOST);
    let fields: Vec<Difference> = found
        .iter()
        .map(|path| {
            let mut holders: Vec<&Write> =
                writes.iter().filter(|w| w.paths.iter().any(|p| p.touches(path))).collect();
            if holders.len() > 1 {
                holders.retain(|w| applied.is_none_or(|a| a.manager != w.manager));
            }
            let value = |of: &Value| path.find(of).map(Value::to_string);
            let (before, now) = (value(&before), value(&now));
            if now.is_none() {
                holders.clear();
            }
            let change = match (&before, &now) {
                (Some(_), None) => Change::Removed,
                (None, _) => Change::Added,
                _ => Change::Changed,
            };
            Difference {
                field: path.to_string(),
                change,
                before,
                now,
                at: holders.iter().filter_map(|w| w.at).max().map(|t| t.to_string()),
                by: holders.iter().map(|w| w.manager.clone()).collect(),
            }
        })
        .collect();
    if total > fields.len() {
        notes.push(format!("{} more fields differ; the lines below have them", total - fields.len()));
    }
    let summary = summary(against, &what, &fields, total);
    let text = page(place, &summary, &fields, &notes, &before, &now);
    Drift { against, summary, fields, notes, text }
}

fn summary(against: Against, what: &str, fields: &[Difference], total: usize) -> String {
    let many =
        |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let added = fields.iter().filter(|f| f.change == Change::Added).count();
    match against {
        Against::Nothing => format!("there is nothing to compare with: {what}"),
        _ if total == 0 => format!("as in {what}: nothing differs"),
        Against::FieldManagers => {
            format!("{} set by others besides {what}", many(total, "field was", "fields were"))
        }
        Against::LastApplied if added > 0 => format!(
            "{} not as in {what}; {} set by others besides",
            many(total - added, "field is", "fields are"),
            many(added, "was", "were")
        ),
        _ => format!("{} not as in {what}", many(total, "field is", "fields are")),
    }
}

/// All of it to be read: what is said about it as comments, then the difference of the manifests.
fn page(
    place: &Place,
    summary: &str,
    fields: &[Difference],
    notes: &[String],
    before: &Value,
    now: &Value,
) -> String {
    let mut page = format!("# {}\n# {summary}\n", place.words());
    for note in notes {
        page.push_str(&format!("# note: {note}\n"));
    }
    let short = |value: &Option<String>| match value {
        None => "–".to_owned(),
        Some(text) if text.chars().count() <= SHORT => text.clone(),
        Some(text) => format!("{}…", text.chars().take(SHORT).collect::<String>()),
    };
    for f in fields {
        let who = if f.by.is_empty() { String::new() } else { format!("  by {}", f.by.join(", ")) };
        let when = f.at.as_ref().map(|t| format!(" at {t}")).unwrap_or_default();
        page.push_str(&format!("# {}: {} → {}{who}{when}\n", f.field, short(&f.before), short(&f.now)));
    }
    if before == now {
        return page;
    }
    let (before, now) = (to_yaml(before), to_yaml(now));
    let difference = similar::TextDiff::from_lines(&before, &now);
    for (i, group) in difference.grouped_ops(3).iter().enumerate() {
        page.push_str(if i == 0 { "\n" } else { "@@\n" });
        for change in group.iter().flat_map(|op| difference.iter_changes(op)) {
            page.push_str(&change.tag().to_string());
            page.push_str(change.value().trim_end_matches(['\n', '\r']));
            page.push('\n');
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(applied: Value, live: &Value) -> Vec<String> {
        let mut out = Vec::new();
        compare(&applied, Some(live), &Path::default(), false, &mut out);
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_and_other_writings_of_the_same_are_no_drift() {
        let live = json!({"spec": {"replicas": 3, "strategy": {"type": "RollingUpdate"}, "template": {"spec": {
            "containers": [
                {"name": "side", "image": "s:1"},
                {"name": "main", "image": "x:1", "imagePullPolicy": "Always",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]}}}});
        let applied = json!({"spec": {"replicas": 3, "strategy": {}, "paused": null, "template": {"spec": {
            "initContainers": [], "containers": [
                {"name": "main", "image": "x:1", "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}]}}}});
        assert_eq!(found(applied, &live), Vec::<String>::new());
    }

    #[test]
    fn what_was_changed_or_removed_is_named_by_its_field() {
        let live =
            json!({"spec": {"replicas": 5, "containers": [{"name": "main", "image": "x:2", "args": ["a"]}]}});
        let applied = json!({"spec": {"replicas": 3, "paused": true, "containers": [
            {"name": "main", "image": "x:1", "args": ["a", "b"]}, {"name": "side", "image": "s"}]}});
        let mut fields = found(applied, &live);
        fields.sort();
        assert_eq!(
            fields,
            [
                "spec.containers[name=main].args",
                "spec.containers[name=main].image",
                "spec.containers[name=side]",
                "spec.paused",
                "spec.replicas",
            ]
        );
    }

    #[test]
    fn what_another_manager_set_besides_is_added() {
        let live = json!({"metadata": {"name": "web", "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-11-21T10:00:00Z", "fieldsV1":
                {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}}, "f:spec": {"f:a": {}, "f:default": {}}}},
            {"manager": "hand", "operation": "Update", "time": "2026-11-21T11:00:00Z", "fieldsV1": {"f:spec": {"f:b": {}, "f:a": {}}}},
            {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:x": {}}}}]},
            "spec": {"a": 2, "b": 1, "default": true}, "status": {"x": 1}});
        let compared = last_applied(json!({"spec": {"a": 1}}), &live, &writes(&live));
        let fields: Vec<String> = compared.found.iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["spec.a", "spec.b"], "neither defaults nor the status");
        assert_eq!(compared.now, json!({"spec": {"a": 2, "b": 1}}));
        assert!(
            compared.what.ends_with("at 2026-11-21T10:00:00Z by kubectl-client-side-apply"),
            "{}",
            compared.what
        );
    }

    #[test]
    fn by_server_side_apply_what_others_hold_is_all_that_is_known() {
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "managedFields": [
            {"manager": "flux", "operation": "Apply", "time": "2026-11-21T10:00:00Z", "fieldsV1": {"f:data": {"f:a": {}, "f:both": {}}}},
            {"manager": "hand", "operation": "Update", "time": "2026-11-21T11:00:00Z", "fieldsV1": {"f:data": {"f:b": {}, "f:both": {}}}}]},
            "data": {"a": "1", "b": "2", "both": "3", "old": "4"}});
        let compared = of_live(&live);
        assert_eq!(compared.against, Against::FieldManagers);
        let fields: Vec<String> = compared.found.iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["data.b"]);
        assert_eq!(compared.before["data"], json!({"a": "1", "both": "3"}));
        assert_eq!(of_live(&json!({"metadata": {"name": "x"}})).against, Against::Nothing);
    }

    #[test]
    fn the_texts_of_a_secret_are_compared_as_the_server_keeps_them() {
        let mut manifest = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "hunter2"}, "metadata": {"creationTimestamp": null}});
        tidy(&mut manifest);
        assert_eq!(
            manifest,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": {"a": "aHVudGVyMg=="}})
        );
    }
}
