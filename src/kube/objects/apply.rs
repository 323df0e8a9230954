//! Server-side apply of manifests, with the dry run's diff of every object first.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::describe::part::text;
use super::keepers::keepers;
use super::manifest::Document;
use super::mask;
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, comparable, comparable_new, racing, refusal, sides};
use crate::base;
use crate::kube::{Call, Cluster, Error};

#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Take over fields that other managers own.
    pub force: bool,
}

/// What became of one object.
#[derive(Debug, Clone)]
pub struct Applied {
    pub words: String,
    pub namespace: String,
    /// `created`, `changed` or `unchanged`.
    pub outcome: &'static str,
    pub seen: Seen,
}

/// What applying would do to each object, in the manifest's order.
pub async fn plan(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
    documents: &[Document],
    options: Options,
) -> base::Result<Plan> {
    let mut plan = Plan::default();
    let (mut seen, mut unchanged) = (Vec::new(), 0);
    for (i, document) in documents.iter().enumerate() {
        refuse_masks(document)?;
        let earlier = &documents[..i];
        let step = match plan_one(cluster, namespace, document, options).await {
            Ok(step) => step,
            Err(_) if made_possible_by(earlier, document, namespace) => Step::unchecked(document),
            Err(e) => return Err(located(e, document, documents.len())),
        };
        plan.before.push_str(&head(documents.len(), document, &step.before));
        plan.after.push_str(&head(documents.len(), document, &step.after));
        plan.affects.push(format!("{}: {}", document.words(), step.outcome));
        plan.checks.extend(step.check);
        plan.warnings.extend(step.warnings);
        unchanged += usize::from(step.outcome == UNCHANGED);
        seen.push(step.seen);
    }
    if unchanged == documents.len() {
        plan.warnings.push("nothing changes".to_owned());
    }
    plan.checks.dedup();
    plan.seen = joined(&seen);
    Ok(plan)
}

const UNCHANGED: &str = "unchanged";

struct Step {
    before: String,
    after: String,
    outcome: &'static str,
    check: Option<String>,
    warnings: Vec<String>,
    seen: Option<Seen>,
}

impl Step {
    /// An object that cannot be tried before an earlier one of the manifest is there.
    fn unchecked(document: &Document) -> Self {
        let (before, after) = sides(None, document.value.clone());
        let check =
            format!("{}: not tried, because what it needs is made by the same manifest", document.words());
        Step { before, after, outcome: "created", check: Some(check), warnings: Vec::new(), seen: None }
    }
}

async fn plan_one(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
    document: &Document,
    options: Options,
) -> base::Result<Step> {
    let place = locate(cluster, namespace, document).await?;
    // What a controller writes between the two looks would show as if the manifest wrote it: then both are taken again.
    let mut tries = 0;
    let (live, mut after, mut warnings) = loop {
        tries += 1;
        let live = place.find_live().await?;
        let (after, warnings) = try_one(&place, document, options, live.as_ref()).await?;
        let same = live.as_ref().is_none_or(|l| Seen::of(l) == Seen::of(&after));
        if same || tries == 3 {
            break (live, after, warnings);
        }
    };
    if let (Some(own), Some(asked)) = (&place.namespace, namespace)
        && own != asked
    {
        warnings.push(format!("{} goes to {own}, as it says itself, not to {asked}", document.words()));
    }
    let seen = live.as_ref().map(|live| Seen::settled(live, &place.resource));
    let keepers = live.as_ref().map(keepers).unwrap_or_default();
    let (before, after) = match live {
        Some(mut live) => {
            comparable(&mut live, &place.resource);
            comparable(&mut after, &place.resource);
            sides(Some(live), after)
        }
        None => {
            comparable_new(&mut after, &document.value, &place.resource);
            sides(None, after)
        }
    };
    let outcome = match (&seen, before == after) {
        (None, _) => "created",
        (_, true) => UNCHANGED,
        _ => "changed",
    };
    if before != after {
        warnings.extend(keepers.into_iter().map(|said| format!("{}: {said}", document.words())));
    }
    Ok(Step { before, after, outcome, check: Some("server dry run ok".into()), warnings, seen })
}

/// The server's dry run, taking over what others own where that was asked for.
async fn try_one(
    place: &Place,
    document: &Document,
    options: Options,
    live: Option<&Value>,
) -> base::Result<(Value, Vec<String>)> {
    let mut warnings = Vec::new();
    let dry = match send(place, document, None, false, true).await {
        Err(e) if options.force && conflicts(&e).is_some() => {
            for (manager, field) in conflicts(&e).unwrap_or_default() {
                warnings.push(format!("{}: takes {field} over from {manager}", document.words()));
            }
            send(place, document, None, true, true).await
        }
        other => other,
    };
    let after = dry.map_err(|e| explain(e, live, document))?;
    Ok((after, warnings))
}

/// Applies every object in order. Stops at the first that fails and says what was done before it. With `seen`, as the
/// plan gave it, no object may have changed since.
pub async fn run(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
    documents: &[Document],
    options: Options,
    seen: Option<&Seen>,
) -> base::Result<Vec<Applied>> {
    for document in documents {
        refuse_masks(document)?;
    }
    let seen = parted(seen, documents.len());
    let mut done: Vec<Applied> = Vec::new();
    for (i, document) in documents.iter().enumerate() {
        let seen = seen.get(i).and_then(Option::as_ref);
        let result = racing(|| run_one(cluster, namespace, document, options, seen)).await;
        match result {
            Ok(applied) => done.push(applied),
            Err(e) => {
                let mut e = located(e, document, documents.len());
                if !done.is_empty() {
                    let words: Vec<String> =
                        done.iter().map(|a| format!("{} {}", a.words, a.outcome)).collect();
                    e.message = format!("{} (already done: {})", e.message, words.join(", "));
                }
                return Err(e);
            }
        }
    }
    Ok(done)
}

async fn run_one(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
    document: &Document,
    options: Options,
    seen: Option<&Seen>,
) -> base::Result<Applied> {
    let place = locate_new(cluster, namespace, document).await?;
    let live = place.find_live().await?;
    if let (Some(live), Some(seen)) = (&live, seen) {
        place.expect(live, Some(seen))?;
    }
    if live.is_none() && seen.is_some_and(|s| !s.uid.is_empty()) {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} was deleted since it was looked at", place.words()),
        ));
    }
    let before = live.as_ref().map(Seen::of);
    // What was read is what may be written: the server refuses any other uid or resource version.
    let after = send(&place, document, before.as_ref(), options.force, false)
        .await
        .map_err(|e| explain(e, live.as_ref(), document))?;
    let now = Seen::of(&after);
    let outcome = match &before {
        None => "created",
        Some(b) if *b == now => UNCHANGED,
        Some(_) => "changed",
    };
    Ok(Applied {
        words: document.words(),
        namespace: place.namespace.clone().unwrap_or_default(),
        outcome,
        seen: now,
    })
}

async fn locate(cluster: &Arc<Cluster>, namespace: Option<&str>, document: &Document) -> base::Result<Place> {
    let resource = cluster.resolve(&document.resolvable()).await?;
    // What an object says of itself goes before what the call says of all.
    let own = document.namespace();
    if let (false, Some(named)) = (resource.namespaced, &own) {
        return Err(base::Error::invalid(format!(
            "{} has no namespace, and says that it is in {named}",
            document.words()
        ))
        .next("Take metadata.namespace out of it."));
    }
    let namespace = own.as_deref().or(namespace);
    Ok(Place::at(cluster.clone(), resource, namespace, &document.name()))
}

/// As [`locate`]; a kind that an object before this one has just defined needs a moment to be served.
async fn locate_new(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
    document: &Document,
) -> base::Result<Place> {
    let mut tries = 0;
    loop {
        match locate(cluster, namespace, document).await {
            Err(e) if e.code == base::Code::NotFound && tries < 5 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(600)).await;
            }
            other => return other,
        }
    }
}

async fn send(
    place: &Place,
    document: &Document,
    seen: Option<&Seen>,
    force: bool,
    dry: bool,
) -> Result<Value, Error> {
    let body = match (&document.raw, seen) {
        (Some(raw), _) => raw.clone().into_bytes(),
        (None, seen) => {
            let mut value = document.value.clone();
            if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                // A manifest taken from a cluster carries what apply refuses or what would pin it to that moment.
                for key in
                    ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"]
                {
                    meta.remove(key);
                }
                if let Some(seen) = seen {
                    meta.insert("uid".into(), json!(seen.uid));
                    meta.insert("resourceVersion".into(), json!(seen.revision));
                }
            }
            serde_json::to_vec(&value).map_err(|e| Error::Request(e.to_string()))?
        }
    };
    let call = Call::patch(place.path())
        .query("fieldManager", MANAGER)
        .query("fieldValidation", "Strict")
        .query("force", if force { "true" } else { "false" })
        .query_if("dryRun", dry.then_some("All"))
        .body("application/apply-patch+yaml", body);
    place.cluster.json(call).await
}

/// The fields that other managers own, as (manager, field), if that is why the server refused.
fn conflicts(error: &Error) -> Option<Vec<(String, String)>> {
    let Error::Status { status, .. } = error else { return None };
    let found: Vec<(String, String)> = status
        .details
        .causes
        .iter()
        .filter(|c| c.reason == "FieldManagerConflict")
        .map(|c| {
            let manager = c.message.split('"').nth(1).unwrap_or(&c.message);
            (manager.to_owned(), c.field.clone())
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

fn explain(error: Error, live: Option<&Value>, document: &Document) -> base::Error {
    let Some(found) = conflicts(&error) else { return refusal(error) };
    let secret = mask::is_secret(&document.value);
    let mut words = Vec::new();
    let mut details = Vec::new();
    for (manager, field) in found {
        let value = |of: Option<&Value>| {
            let value = match crate::rows::path::select(of?, &field).ok()? {
                // A path through a list's item gives a list of one.
                Value::Array(mut one) if one.len() == 1 && field.contains('[') => one.remove(0),
                other => other,
            };
            let text = value.to_string();
            (!secret && text.len() <= 200).then_some(text)
        };
        let (theirs, yours) = (value(live), value(Some(&document.value)));
        let pair = match (&theirs, &yours) {
            (Some(t), Some(y)) => format!(" ({t} there, {y} here)"),
            _ => String::new(),
        };
        words.push(format!("{manager} owns {field}{pair}"));
        details.push(json!({"manager": manager, "field": field, "theirs": theirs, "yours": yours}));
    }
    base::Error::new(base::Code::Conflict, format!("{}: {}", document.words(), words.join("; ")))
        .next("Take these fields out of the manifest, or call again with force_conflicts to take them over.")
        .details(json!({"conflicts": details}))
}

fn refuse_masks(document: &Document) -> base::Result<()> {
    let keys = mask::masked_keys(&document.value);
    if keys.is_empty() {
        return Ok(());
    }
    Err(base::Error::invalid(format!(
        "{}: the values of {} are masks, not values",
        document.words(),
        keys.join(", ")
    ))
    .next("Leave these keys out: apply keeps what it does not name."))
}

/// Whether a document that cannot be tried now can be once the earlier ones are there.
fn made_possible_by(earlier: &[Document], document: &Document, namespace: Option<&str>) -> bool {
    let namespace = document.namespace().or_else(|| namespace.map(str::to_owned));
    earlier.iter().any(|e| match e.kind().as_str() {
        "Namespace" => Some(e.name()) == namespace,
        "CustomResourceDefinition" => {
            text(&e.value, "/spec/names/kind") == document.kind()
                && document.api_version().starts_with(&text(&e.value, "/spec/group"))
        }
        _ => false,
    })
}

fn located(mut error: base::Error, document: &Document, of: usize) -> base::Error {
    if of > 1 && !error.message.starts_with(&document.words()) {
        error.message = format!("{}: {}", document.words(), error.message);
    }
    error
}

/// Parts the documents of a diff.
fn head(of: usize, document: &Document, yaml: &str) -> String {
    if of == 1 { yaml.to_owned() } else { format!("--- # {}\n{yaml}", document.words()) }
}

/// The states of several objects as one: an approval is bound to all of them.
fn joined(seen: &[Option<Seen>]) -> Option<Seen> {
    if seen.iter().all(Option::is_none) {
        return None;
    }
    let part =
        |f: fn(&Seen) -> &str| seen.iter().map(|s| s.as_ref().map_or("", f)).collect::<Vec<_>>().join(",");
    Some(Seen { uid: part(|s| &s.uid), revision: part(|s| &s.revision) })
}

fn parted(seen: Option<&Seen>, of: usize) -> Vec<Option<Seen>> {
    let Some(seen) = seen else { return vec![None; of] };
    let mut revisions = seen.revision.split(',');
    seen.uid
        .split(',')
        .map(|uid| {
            Some(Seen { uid: uid.to_owned(), revision: revisions.next().unwrap_or_default().to_owned() })
        })
        .map(|s| s.filter(|s| !s.uid.is_empty()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_several_objects_travel_as_one() {
        let a = Some(Seen { uid: "u1".into(), revision: "5".into() });
        let c = Some(Seen { uid: "u3".into(), revision: "7".into() });
        let all = vec![a, None, c];
        assert_eq!(parted(joined(&all).as_ref(), 3), all);
        assert_eq!(joined(&[None, None]), None);
        assert_eq!(parted(None, 2), [None, None]);
    }
}
