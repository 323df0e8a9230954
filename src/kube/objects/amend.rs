//! Changing a part of an object that is read, altered and written back: one way for every such verb, with the server's
//! dry run as its plan.

use serde_json::Value;

use super::keepers::keepers;
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, comparable, racing, refusal, sides};
use crate::base;
use crate::kube::{Call, Error};

/// What the alteration would change. It gives the live object too, for what else is to be said.
pub async fn plan(
    place: &Place,
    alter: impl Fn(&mut Value) -> base::Result<()> + Sync,
) -> base::Result<(Plan, Value)> {
    racing(|| async {
        let live = place.get().await?;
        let mut altered = live.clone();
        alter(&mut altered)?;
        let mut after = write(place, &altered, true).await.map_err(refusal)?;
        let mut before = live.clone();
        comparable(&mut before, &place.resource);
        comparable(&mut after, &place.resource);
        let (before, after) = sides(Some(before), after);
        let mut plan = Plan {
            seen: Some(Seen::settled(&live, &place.resource)),
            checks: vec!["server dry run ok".to_owned()],
            ..Plan::default()
        };
        match before == after {
            true => plan.warnings.push("nothing changes".to_owned()),
            false => plan.warnings.extend(keepers(&live)),
        }
        (plan.before, plan.after) = (before, after);
        Ok((plan, live))
    })
    .await
}

/// Alters the object. With `seen`, only in that state; else in the state that it is read in.
pub async fn run(
    place: &Place,
    seen: Option<&Seen>,
    alter: impl Fn(&mut Value) -> base::Result<()> + Sync,
) -> base::Result<Value> {
    racing(|| async {
        let live = place.get().await?;
        place.expect(&live, seen)?;
        let mut altered = live;
        alter(&mut altered)?;
        write(place, &altered, false).await.map_err(refusal)
    })
    .await
}

/// The uid and resource version in the object make the server refuse any other object or state.
async fn write(place: &Place, object: &Value, dry: bool) -> Result<Value, Error> {
    let call = Call::put(place.path())
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .json(object)?;
    place.cluster.json(call).await
}
