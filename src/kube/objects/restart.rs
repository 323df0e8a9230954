//! Restarting a workload's pods as `kubectl rollout restart` does: by an annotation of the pod template.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::around::{Around, wanted};
use super::describe::part::text_or;
use super::describe::part::{pairs, text};
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, racing, refusal};
use super::yaml::to_yaml;
use crate::base;
use crate::kube::{Call, Error};

/// The annotation that kubectl writes, so that both show the same history.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What a restart would do. The time is left out, so that the plan is the same whenever it is computed.
pub async fn plan(place: &Place) -> base::Result<Plan> {
    racing(|| plan_once(place)).await
}

async fn plan_once(place: &Place) -> base::Result<Plan> {
    let live = read(place).await?;
    write(place, &live, "1970-01-01T00:00:00Z", true).await.map_err(refusal)?;
    let old = live.pointer("/spec/template/metadata/annotations").and_then(|a| a.get(RESTARTED_AT));
    let annotated = |value: Option<&Value>| {
        let annotations = value.map_or_else(|| json!({}), |v| json!({RESTARTED_AT: v}));
        to_yaml(&json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}))
    };
    let mut plan = Plan {
        seen: Some(Seen::settled(&live, &place.resource)),
        before: annotated(old),
        after: annotated(Some(&json!("now"))),
        checks: vec!["server dry run ok".to_owned()],
        ..Plan::default()
    };
    describe_rollout(&mut plan, &live);
    let template = live.pointer("/spec/template").unwrap_or(&Value::Null);
    Around::read(place, template).await.restarted(&mut plan);
    Ok(plan)
}

/// Restarts, and gives the time written. With `seen`, only the object in that state.
pub async fn run(place: &Place, seen: Option<&Seen>, now: Timestamp) -> base::Result<(String, Seen)> {
    racing(|| run_once(place, seen, now)).await
}

async fn run_once(place: &Place, seen: Option<&Seen>, now: Timestamp) -> base::Result<(String, Seen)> {
    let live = read(place).await?;
    place.expect(&live, seen)?;
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let after = write(place, &live, &at, false).await.map_err(refusal)?;
    Ok((at, Seen::of(&after)))
}

async fn read(place: &Place) -> base::Result<Value> {
    let live = place.get().await?;
    if live.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(base::Error::new(
            base::Code::Conflict,
            format!("{} is paused: a restart would wait until it is resumed", place.words()),
        )
        .next("Resume it first."));
    }
    Ok(live)
}

/// The uid and resource version in the patch make the server refuse any other object or state.
async fn write(place: &Place, live: &Value, at: &str, dry: bool) -> Result<Value, Error> {
    let seen = Seen::of(live);
    let patch = json!({
        "metadata": {"uid": seen.uid, "resourceVersion": seen.revision},
        "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: at}}}},
    });
    let call = Call::patch(place.path())
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .json(&patch)?
        .header(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/strategic-merge-patch+json"),
        );
    place.cluster.json(call).await
}

pub(super) fn describe_rollout(plan: &mut Plan, live: &Value) {
    let count = wanted(live);
    let strategy = live
        .pointer("/spec/strategy")
        .or_else(|| live.pointer("/spec/updateStrategy"))
        .unwrap_or(&Value::Null);
    let kind = text_or(strategy, "/type", "RollingUpdate");
    let details = pairs(strategy, "/rollingUpdate", " ").join(", ");
    let details = if details.is_empty() { details } else { format!(" ({details})") };
    plan.affects.push(format!("{count} pods are replaced by {kind}{details}"));
    match kind.as_str() {
        "OnDelete" => plan
            .warnings
            .push("its strategy is OnDelete: pods are replaced only when someone deletes them".into()),
        "Recreate" => {
            plan.warnings.push("its strategy is Recreate: all pods stop before new ones start".into())
        }
        _ if count == 1 && text(live, "/kind") == "StatefulSet" => {
            plan.warnings.push("it has one pod, which stops before its successor starts".into());
        }
        _ => {}
    }
}
