//! Replacing an object by an edited manifest, unless someone else changed it meanwhile.

use serde_json::{Value, json};

use super::describe::part::{items, text};
use super::keepers::keepers;
use super::manifest::Document;
use super::mask;
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, comparable, racing, refusal, sides};
use crate::base;
use crate::kube::{Call, Error};

/// What the edit would change.
pub async fn plan(place: &Place, document: &Document) -> base::Result<Plan> {
    racing(|| plan_once(place, document)).await
}

async fn plan_once(place: &Place, document: &Document) -> base::Result<Plan> {
    let (live, edited) = prepare(place, document).await?;
    let mut after = write(place, &edited, true).await.map_err(refusal)?;
    let seen = Some(Seen::settled(&live, &place.resource));
    let keepers = keepers(&live);
    let mut before = live;
    comparable(&mut before, &place.resource);
    comparable(&mut after, &place.resource);
    let (before, after) = sides(Some(before), after);
    let mut plan = Plan { seen, checks: vec!["server dry run ok".to_owned()], ..Plan::default() };
    match before == after {
        true => plan.warnings.push("nothing changes".to_owned()),
        false => plan.warnings.extend(keepers),
    }
    (plan.before, plan.after) = (before, after);
    Ok(plan)
}

/// Writes the edit. With `seen`, only on the object in that state.
pub async fn run(place: &Place, document: &Document, seen: Option<&Seen>) -> base::Result<Seen> {
    racing(|| run_once(place, document, seen)).await
}

async fn run_once(place: &Place, document: &Document, seen: Option<&Seen>) -> base::Result<Seen> {
    let (live, edited) = prepare(place, document).await?;
    place.expect(&live, seen)?;
    let after = write(place, &edited, false).await.map_err(refusal)?;
    Ok(Seen::of(&after))
}

async fn write(place: &Place, edited: &Value, dry: bool) -> Result<Value, Error> {
    let call = Call::put(place.path())
        .query("fieldManager", MANAGER)
        .query("fieldValidation", "Strict")
        .query_if("dryRun", dry.then_some("All"))
        .json(edited)?;
    place.cluster.json(call).await
}

/// The live object, and the edit as it may be written on it.
async fn prepare(place: &Place, document: &Document) -> base::Result<(Value, Value)> {
    let mut edited = document.value.clone();
    if document.name() != place.name || document.kind() != *place.resource.kind {
        return Err(base::Error::invalid(format!(
            "the manifest is of {}, not of {}",
            document.words(),
            place.words()
        ))
        .next("An object's kind and name cannot be edited: apply the manifest to make another object."));
    }
    if document.namespace().is_some_and(|n| Some(&n) != place.namespace.as_ref()) {
        return Err(base::Error::invalid(format!(
            "the manifest is of another namespace than {}",
            place.words()
        )));
    }
    let read_at = text(&edited, "/metadata/resourceVersion");
    if read_at.is_empty() {
        return Err(base::Error::invalid("the manifest has no metadata.resourceVersion")
            .next("Keep it as resource_get gave it: it says which state was edited."));
    }
    let live = place.get().await?;
    let now = Seen::of(&live);
    let uid = text(&edited, "/metadata/uid");
    if !uid.is_empty() && uid != now.uid {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} was deleted and made anew since it was read", place.words()),
        ));
    }
    let base = if read_at == now.revision { Some(live.clone()) } else { at_revision(place, &read_at).await };
    let lost = mask::unmask_from(&mut edited, base.as_ref().unwrap_or(&live));
    if !lost.is_empty() {
        return Err(base::Error::invalid(format!("the values of {} are masks, not values", lost.join(", "))));
    }
    if read_at != now.revision {
        edited = onto(place, base, &live, edited)?;
    }
    if let (Some(status), Some(map)) = (live.get("status"), edited.as_object_mut()) {
        map.insert("status".to_owned(), status.clone());
    }
    edited["metadata"]["resourceVersion"] = json!(now.revision);
    Ok((live, edited))
}

/// The edit carried over to what the object became meanwhile. A change by another of the same part is a conflict.
fn onto(place: &Place, base: Option<Value>, live: &Value, mut edited: Value) -> base::Result<Value> {
    let Some(mut base) = base else { return Err(too_old(place, live, &edited)) };
    let mut theirs = live.clone();
    for side in [&mut base, &mut theirs, &mut edited] {
        comparable(side, &place.resource);
    }
    let mut clashes = Vec::new();
    let merged = merge(&base, &edited, &theirs, "", &mut clashes);
    if clashes.is_empty() { Ok(merged) } else { Err(conflict(place, base, theirs, &clashes)) }
}

/// Joins two changes of one base. Paths that both changed, each in another way, go to `clashes`. A list is one part.
fn merge(base: &Value, ours: &Value, theirs: &Value, path: &str, clashes: &mut Vec<String>) -> Value {
    if ours == theirs || theirs == base {
        return ours.clone();
    }
    if ours == base {
        return theirs.clone();
    }
    let (Value::Object(b), Value::Object(o), Value::Object(t)) = (base, ours, theirs) else {
        clashes.push(path.trim_start_matches('.').to_owned());
        return ours.clone();
    };
    let keys: std::collections::BTreeSet<&String> = b.keys().chain(o.keys()).chain(t.keys()).collect();
    let mut out = serde_json::Map::new();
    for key in keys {
        let side = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or(Value::Null);
        // Absent reads as null, which no object of the API holds as a value.
        let value = merge(&side(b), &side(o), &side(t), &format!("{path}.{key}"), clashes);
        if !value.is_null() {
            out.insert(key.clone(), value);
        }
    }
    Value::Object(out)
}

/// The object as it was at a resource version, while the server still keeps that (five minutes by default): a GET
/// cannot ask for it, a list of one can. Source: Kubernetes API concepts, `resourceVersionMatch=Exact`.
pub(super) async fn at_revision(place: &Place, revision: &str) -> Option<Value> {
    let call = Call::get(place.resource.path(place.namespace.as_deref(), None))
        .query("fieldSelector", format!("metadata.name={}", place.name))
        .query("resourceVersion", revision)
        .query("resourceVersionMatch", "Exact")
        .query("limit", "1");
    let list = place.cluster.json(call).await.ok()?;
    let mut found = items(&list, "/items").first()?.clone();
    // The items of a list do not repeat what the list says of them.
    found["apiVersion"] = json!(place.resource.api_version());
    found["kind"] = json!(&*place.resource.kind);
    Some(found)
}

fn changed(place: &Place, what: &str) -> base::Error {
    base::Error::new(base::Code::Conflict, format!("{} changed since it was read{what}", place.words()))
        .next("Read it again and repeat the edit on what is there now.")
}

/// The server no longer knows what was edited, so nothing can be compared.
fn too_old(place: &Place, live: &Value, edited: &Value) -> base::Error {
    let read_at = text(edited, "/metadata/resourceVersion");
    let managers: Vec<Value> = items(live, "/metadata/managedFields")
        .iter()
        .map(|m| json!({"manager": text(m, "/manager"), "time": text(m, "/time"), "operation": text(m, "/operation")}))
        .collect();
    changed(place, &format!(" at revision {read_at}, too long ago to tell how"))
        .details(json!({"managers": managers}))
}

/// Both changed the same part: the error has the other's change.
fn conflict(place: &Place, base: Value, theirs: Value, clashes: &[String]) -> base::Error {
    let (before, after) = sides(Some(base), theirs);
    let diff: Vec<String> = similar::TextDiff::from_lines(&before, &after)
        .iter_all_changes()
        .filter_map(|c| match c.tag() {
            similar::ChangeTag::Delete => Some(format!("-{}", c.value().trim_end())),
            similar::ChangeTag::Insert => Some(format!("+{}", c.value().trim_end())),
            similar::ChangeTag::Equal => None,
        })
        .take(60)
        .collect();
    changed(place, &format!(", and another changed {} too: {}", clashes.join(", "), brief(&diff)))
        .details(json!({"fields": clashes, "other_change": diff}))
}

fn brief(diff: &[String]) -> String {
    let words: Vec<String> =
        diff.iter().take(4).map(|l| format!("{}{}", &l[..1], l[1..].trim_start())).collect();
    let more = if diff.len() > 4 { format!(" … ({} lines)", diff.len()) } else { String::new() };
    format!("{}{more}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_different_parts_are_joined_and_of_the_same_clash() {
        let base =
            json!({"spec": {"replicas": 3, "paused": false}, "metadata": {"annotations": {"rev": "1"}}});
        let ours = json!({"spec": {"replicas": 6}, "metadata": {"annotations": {"rev": "1", "note": "x"}}});
        let theirs =
            json!({"spec": {"replicas": 3, "paused": false}, "metadata": {"annotations": {"rev": "2"}}});
        let mut clashes = Vec::new();
        let merged = merge(&base, &ours, &theirs, "", &mut clashes);
        assert_eq!(
            merged,
            json!({"spec": {"replicas": 6}, "metadata": {"annotations": {"rev": "2", "note": "x"}}})
        );
        assert!(clashes.is_empty());
        let theirs =
            json!({"spec": {"replicas": 9, "paused": false}, "metadata": {"annotations": {"rev": "1"}}});
        merge(&base, &ours, &theirs, "", &mut clashes);
        assert_eq!(clashes, ["spec.replicas"]);
    }

    #[test]
    fn a_conflict_is_said_in_a_line() {
        let diff = vec!["-  replicas: 3".to_owned(), "+  replicas: 5".to_owned()];
        assert_eq!(super::brief(&diff), "-replicas: 3, +replicas: 5");
    }
}
