//! Scaling through the `scale` subresource, which every kind that has replicas speaks alike.

use serde_json::{Value, json};

use super::around::Around;
use super::describe::part::number;
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, racing, refusal};
use super::yaml::to_yaml;
use crate::base;
use crate::kube::{Call, Error};

/// What a scaling did.
#[derive(Debug, Clone)]
pub struct Scaled {
    pub before: i64,
    pub after: i64,
    pub seen: Seen,
}

/// What scaling to `replicas` would do.
pub async fn plan(place: &Place, replicas: u32) -> base::Result<Plan> {
    racing(|| plan_once(place, replicas)).await
}

async fn plan_once(place: &Place, replicas: u32) -> base::Result<Plan> {
    let scale = read(place).await?;
    let before = number(&scale, "/spec/replicas");
    let (dry, workload) = tokio::join!(write(place, &scale, replicas, true), place.get());
    dry.map_err(refusal)?;
    let seen = workload.as_ref().map_or_else(|_| Seen::of(&scale), |w| Seen::settled(w, &place.resource));
    let mut plan = Plan {
        seen: Some(seen),
        before: to_yaml(&json!({"spec": {"replicas": before}})),
        after: to_yaml(&json!({"spec": {"replicas": replicas}})),
        checks: vec!["server dry run ok".to_owned()],
        ..Plan::default()
    };
    let delta = i64::from(replicas) - before;
    if delta == 0 {
        plan.warnings.push(format!("it has {before} replicas already"));
        plan.after.clone_from(&plan.before);
        return Ok(plan);
    }
    if replicas == 0 {
        plan.warnings.push("no pod of it will be left".to_owned());
    }
    if let Ok(workload) = workload {
        let template = workload.pointer("/spec/template").unwrap_or(&Value::Null);
        let around = Around::read(place, template).await;
        around.scaled(&mut plan, &workload, before, i64::from(replicas));
        let owner = super::describe::part::controller(&workload);
        if !owner.is_empty() {
            plan.warnings.push(format!("{owner} controls it and will set its own number again"));
        }
        plan.warnings.extend(super::keepers::appliers(&workload));
    }
    Ok(plan)
}

/// Scales. With `seen`, only the object in that state.
pub async fn run(place: &Place, replicas: u32, seen: Option<&Seen>) -> base::Result<Scaled> {
    racing(|| run_once(place, replicas, seen)).await
}

async fn run_once(place: &Place, replicas: u32, seen: Option<&Seen>) -> base::Result<Scaled> {
    let mut scale = read(place).await?;
    match place.get().await {
        // Both are one object: what was checked is what the server is to meet, or the write is tried anew.
        Ok(workload) if seen.is_some() => {
            place.expect(&workload, seen)?;
            scale["metadata"]["resourceVersion"] = json!(Seen::of(&workload).revision);
        }
        _ => place.expect(&scale, seen)?,
    }
    let before = number(&scale, "/spec/replicas");
    let after = write(place, &scale, replicas, false).await.map_err(refusal)?;
    Ok(Scaled { before, after: number(&after, "/spec/replicas"), seen: Seen::of(&after) })
}

async fn read(place: &Place) -> base::Result<Value> {
    if !place.resource.subresources.iter().any(|s| &**s == "scale") {
        return Err(base::Error::unsupported(format!(
            "a {} has no number of replicas to set",
            place.resource.kind
        )));
    }
    Ok(place.cluster.json(Call::get(place.sub("scale"))).await?)
}

/// Writes the scale as it was read: its uid and resource version make the server refuse any other state.
async fn write(place: &Place, scale: &Value, replicas: u32, dry: bool) -> Result<Value, Error> {
    let mut body = scale.clone();
    body["spec"] = json!({"replicas": replicas});
    if let Some(map) = body.as_object_mut() {
        map.remove("status");
    }
    let call = Call::put(place.sub("scale"))
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .json(&body)?;
    place.cluster.json(call).await
}
