//! Setting values of a Secret by their keys: nothing but the keys that change is sent, and no value is ever shown.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::describe::part::text;
use super::edit::at_revision;
use super::keepers::keepers;
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, comparable, racing, refusal, sides};
use crate::base;
use crate::kube::{Call, Error};

/// What is to become of a Secret's values.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The new values, as text, by their keys.
    pub set: BTreeMap<String, String>,
    /// Keys that are taken out.
    pub remove: Vec<String>,
    /// The resourceVersion at which the values were read. A key that another changed since is a conflict.
    pub read_at: Option<String>,
}

/// What the change would do: which keys, and how long their values are.
pub async fn plan(place: &Place, change: &Change) -> base::Result<Plan> {
    racing(|| plan_once(place, change)).await
}

async fn plan_once(place: &Place, change: &Change) -> base::Result<Plan> {
    let live = place.get().await?;
    unless_changed(place, change, &live).await?;
    let mut plan = Plan { seen: Some(Seen::of(&live)), ..Plan::default() };
    let mut after = match patch(change, &live) {
        Some(patch) => {
            let after = write(place, &patch, true).await.map_err(refusal)?;
            plan.checks.push("server dry run ok".to_owned());
            plan.warnings.extend(keepers(&live));
            after
        }
        None => {
            plan.warnings.push("nothing changes".to_owned());
            live.clone()
        }
    };
    let mut before = live;
    comparable(&mut before, &place.resource);
    comparable(&mut after, &place.resource);
    (plan.before, plan.after) = sides(Some(before), after);
    Ok(plan)
}

/// Writes the values. With `seen`, only on the object in that state.
pub async fn run(place: &Place, change: &Change, seen: Option<&Seen>) -> base::Result<Seen> {
    racing(|| run_once(place, change, seen)).await
}

async fn run_once(place: &Place, change: &Change, seen: Option<&Seen>) -> base::Result<Seen> {
    let live = place.get().await?;
    place.expect(&live, seen)?;
    unless_changed(place, change, &live).await?;
    match patch(change, &live) {
        Some(patch) => Ok(Seen::of(&write(place, &patch, false).await.map_err(refusal)?)),
        None => Ok(Seen::of(&live)),
    }
}

/// The uid and resource version in the patch make the server refuse any other object or state.
async fn write(place: &Place, patch: &Value, dry: bool) -> Result<Value, Error> {
    let body = serde_json::to_vec(patch).map_err(|e| Error::Request(e.to_string()))?;
    let call = Call::patch(place.path())
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .body("application/merge-patch+json", body);
    place.cluster.json(call).await
}

/// The merge patch of the keys whose values are others than the live ones; `None` where there is none.
fn patch(change: &Change, live: &Value) -> Option<Value> {
    let old = live.get("data").and_then(Value::as_object);
    let held = |key: &str| old.and_then(|o| o.get(key)).and_then(Value::as_str);
    let mut data = Map::new();
    for (key, value) in &change.set {
        let encoded = STANDARD.encode(value);
        if held(key) != Some(encoded.as_str()) {
            data.insert(key.clone(), Value::String(encoded));
        }
    }
    for key in change.remove.iter().filter(|key| held(key).is_some()) {
        data.insert(key.clone(), Value::Null);
    }
    let now = Seen::of(live);
    (!data.is_empty())
        .then(|| json!({"metadata": {"uid": now.uid, "resourceVersion": now.revision}, "data": data}))
}

/// Refuses to overwrite what another wrote since the values were read. Other keys may have changed.
async fn unless_changed(place: &Place, change: &Change, live: &Value) -> base::Result<()> {
    let now = Seen::of(live);
    let Some(read_at) = change.read_at.as_ref().filter(|at| **at != now.revision) else { return Ok(()) };
    let conflict = |what: String| {
        Err(base::Error::new(base::Code::Conflict, format!("{} {what}", place.words()))
            .next("Read its values again and repeat the change on them."))
    };
    let Some(base) = at_revision(place, read_at).await else {
        return conflict(format!("changed since revision {read_at}, too long ago to tell how"));
    };
    if text(&base, "/metadata/uid") != now.uid {
        return conflict("was deleted and made anew since it was read".to_owned());
    }
    let value = |of: &Value, key: &str| of.get("data").and_then(|data| data.get(key)).cloned();
    let clashes: Vec<&str> = change
        .set
        .keys()
        .chain(&change.remove)
        .filter(|key| value(&base, key) != value(live, key))
        .map(String::as_str)
        .collect();
    if clashes.is_empty() {
        return Ok(());
    }
    conflict(format!("changed since it was read: another changed {} too", clashes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let live = json!({"metadata": {"uid": "u", "resourceVersion": "7"},
            "data": {"a": STANDARD.encode("one"), "b": STANDARD.encode("two"), "bin": "/w=="}});
        let set = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let change = Change {
            set: set(&[("a", "one"), ("b", "three"), ("c", "four")]),
            remove: vec!["bin".into(), "not-there".into()],
            read_at: None,
        };
        let sent = patch(&change, &live).unwrap();
        assert_eq!(
            sent["data"],
            json!({"b": STANDARD.encode("three"), "c": STANDARD.encode("four"), "bin": null})
        );
        assert_eq!(sent["metadata"], json!({"uid": "u", "resourceVersion": "7"}));
        let same = Change { set: set(&[("a", "one")]), ..Change::default() };
        assert_eq!(patch(&same, &live), None);
    }
}
