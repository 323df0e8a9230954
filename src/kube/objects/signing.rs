//! Certificate signing requests: approving or denying them, which is a write of their `approval` and of nothing else.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::describe::part::{items, plain, text};
use super::place::{Place, Seen};
use super::plan::{MANAGER, Plan, racing, refusal};
use super::yaml::to_yaml;
use crate::base;
use crate::kube::{Call, Error};

/// What is said of a request. Source: `certificates.k8s.io/v1 RequestConditionType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Approved,
    Denied,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Denied => "Denied",
        }
    }
}

/// What it would change, and who asks for what.
pub async fn plan(place: &Place, verdict: Verdict, now: Timestamp) -> base::Result<Plan> {
    racing(|| async {
        let live = place.get().await?;
        let after = write(place, &decided(&live, verdict, now)?, true).await.map_err(refusal)?;
        let usages: Vec<String> = items(&live, "/spec/usages").iter().map(plain).collect();
        let groups: Vec<String> = items(&live, "/spec/groups").iter().map(plain).collect();
        let mut plan = Plan {
            seen: Some(Seen::of(&live)),
            before: shown(&live),
            after: shown(&after),
            checks: vec!["server dry run ok".to_owned()],
            ..Plan::default()
        };
        plan.affects.push(format!(
            "{} (in {}) asks {} for a certificate for {}",
            text(&live, "/spec/username"),
            groups.join(", "),
            text(&live, "/spec/signerName"),
            usages.join(", ")
        ));
        if verdict == Verdict::Approved {
            plan.warnings
                .push("a certificate that was issued cannot be taken back before it runs out".to_owned());
        }
        Ok(plan)
    })
    .await
}

/// Approves or denies. With `seen`, only in that state.
pub async fn run(place: &Place, verdict: Verdict, now: Timestamp, seen: Option<&Seen>) -> base::Result<Seen> {
    racing(|| async {
        let live = place.get().await?;
        place.expect(&live, seen)?;
        let after = write(place, &decided(&live, verdict, now)?, false).await.map_err(refusal)?;
        Ok(Seen::of(&after))
    })
    .await
}

/// The verdicts alone: the time of one is when it is given.
fn shown(request: &Value) -> String {
    let words = |c: &Value| json!(format!("{}: {}", text(c, "/type"), text(c, "/message")));
    let conditions: Vec<Value> = items(request, "/status/conditions").iter().map(words).collect();
    to_yaml(&json!({ "status": { "conditions": conditions } }))
}

fn decided(live: &Value, verdict: Verdict, now: Timestamp) -> base::Result<Value> {
    let conditions = items(live, "/status/conditions");
    if let Some(before) = conditions.iter().find(|c| matches!(&*text(c, "/type"), "Approved" | "Denied")) {
        let name = text(live, "/metadata/name");
        let word = text(before, "/type").to_lowercase();
        return Err(base::Error::new(base::Code::Conflict, format!("the request {name} was {word} already"))
            .next("A verdict stands: whoever asked must make another request."));
    }
    let mut all = conditions.to_vec();
    all.push(json!({
        "type": verdict.as_str(), "status": "True", "reason": "QuarterdeckDecision",
        "message": format!("{} with qd", verdict.as_str()), "lastUpdateTime": now.to_string(),
    }));
    let mut object = live.clone();
    object["status"]["conditions"] = json!(all);
    Ok(object)
}

async fn write(place: &Place, object: &Value, dry: bool) -> Result<Value, Error> {
    let call = Call::put(place.sub("approval"))
        .query("fieldManager", MANAGER)
        .query_if("dryRun", dry.then_some("All"))
        .json(object)?;
    place.cluster.json(call).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_added_once() {
        let now = Timestamp::UNIX_EPOCH;
        let request = json!({"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Failed"}]}});
        let approved = decided(&request, Verdict::Approved, now).unwrap();
        assert_eq!(approved["status"]["conditions"][1]["type"], "Approved");
        let error = decided(&approved, Verdict::Denied, now).unwrap_err();
        assert!(error.message.contains("approved already"), "{}", error.message);
    }
}
