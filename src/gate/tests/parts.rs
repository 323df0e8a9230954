//! Several calls as one: each is asked about as itself, by whoever wants them and by whoever decides.

use super::*;

fn batch(parts: &[(&str, &str)]) -> Request {
    let parts: Vec<String> = parts.iter().map(|(operation, name)| format!("{operation} {name}")).collect();
    Request::new("thing_batch", json!({ "parts": parts }))
}

/// The deck with one more policy.
fn with_policy(text: &str) -> Deck {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("own.cedar"), text).unwrap();
    let d = deck();
    over(d.world, d.store, d.clock, Policy::load(directory.path()).unwrap())
}

async fn held(d: &Deck, request: Request) -> Held {
    match d.claude.call(request).await.unwrap() {
        Reply::Held(held) => held,
        Reply::Done { output, .. } => panic!("it ran: {output}"),
    }
}

#[tokio::test]
async fn one_approval_runs_all_and_each_is_recorded_as_itself() {
    let d = deck();
    let held = held(&d, batch(&[("thing_scale", "api"), ("thing_scale", "web")])).await;
    let card = d.gate.approval(held.approval).await.unwrap();
    assert_eq!(card.effect, Effect::Change, "that of the worst of its parts");
    assert_eq!(d.runs(), 0);
    d.decide(&held, Verdict::Approve).await.unwrap();
    assert_eq!(d.wait(&held).await.into_result().unwrap().unwrap(), json!(["done", "done"]));
    assert_eq!(d.runs(), 2);
    let rows = d.rows().await;
    let scales: Vec<_> =
        rows.iter().filter(|row| row.operation == "thing_scale").map(|row| row.kind).collect();
    assert_eq!(scales.iter().filter(|kind| **kind == AuditKind::Intent).count(), 2, "{scales:?}");
    assert_eq!(scales.iter().filter(|kind| **kind == AuditKind::Outcome).count(), 2, "{scales:?}");
}

#[tokio::test]
async fn a_batch_is_as_hard_to_undo_as_the_worst_of_its_parts() {
    let d = deck();
    let held = held(&d, batch(&[("thing_scale", "api"), ("thing_delete", "web")])).await;
    assert_eq!(d.gate.approval(held.approval).await.unwrap().effect, Effect::Destroy);
    // What only reads, or is several calls itself, is no part.
    for operation in ["thing_get", "thing_batch", "thing_none"] {
        assert!(d.claude.call(batch(&[(operation, "api")])).await.is_err(), "{operation}");
    }
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn who_may_not_decide_about_one_of_them_does_not_decide_about_all() {
    let d = with_policy(
        r#"@id("not-prod") forbid (principal, action == Action::"approve", resource) when { context.name == "prod" };"#,
    );
    let mixed = held(&d, batch(&[("thing_scale", "api"), ("thing_scale", "prod")])).await;
    let error = d.decide(&mixed, Verdict::Approve).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    assert!(error.message.contains("not-prod"), "{error}");
    assert_eq!(d.runs(), 0);
    assert_eq!(d.gate.approval(mixed.approval).await.unwrap().state, ApprovalState::Pending);
    let allowed = held(&d, batch(&[("thing_scale", "api"), ("thing_scale", "web")])).await;
    d.decide(&allowed, Verdict::Approve).await.unwrap();
    assert!(d.wait(&allowed).await.into_result().unwrap().is_ok());
    assert_eq!(d.runs(), 2);
}

#[tokio::test]
async fn what_is_denied_alone_is_denied_among_others() {
    let d = with_policy(
        r#"@id("hands-off") forbid (principal, action, resource) when { context.name == "prod" };"#,
    );
    let mixed = || batch(&[("thing_scale", "api"), ("thing_scale", "prod")]);
    for client in [&d.claude, &d.ana] {
        let error = client.call(mixed()).await.unwrap_err();
        assert_eq!(error.code, Code::PermissionDenied);
        assert!(error.message.contains("prod") && error.message.contains("hands-off"), "{error}");
    }
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn of_several_reads_those_go_on_that_may() {
    let d = with_policy(
        r#"@id("not-prod") forbid (principal, action, resource) when { context.name == "prod" };"#,
    );
    let look = |parts: &[&str]| Request::new("thing_look", json!({ "parts": parts }));
    let output = match d.ana.call(look(&["thing_get api", "thing_get prod"])).await.unwrap() {
        Reply::Done { output, .. } => output,
        Reply::Held(_) => panic!("a read was held"),
    };
    assert_eq!(output[0], "seen");
    assert!(output[1].as_str().unwrap().contains("not-prod"), "{output}");
    let denied = d.rows().await.into_iter().filter(|row| row.kind == AuditKind::Denied).count();
    assert_eq!(denied, 1, "what was refused is recorded");
    // Where nothing may be read, and where a part would change something, nothing is done.
    let error = d.ana.call(look(&["thing_get prod"])).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    assert!(d.ana.call(look(&["thing_get api", "thing_scale api"])).await.is_err());
    // A read that does not ask for each is refused whole.
    let survey = Request::new("thing_survey", json!({ "parts": ["thing_get api", "thing_get prod"] }));
    let error = d.ana.call(survey).await.unwrap_err();
    assert!(error.code == Code::PermissionDenied && error.message.contains("not-prod"), "{error:?}");
    let survey = Request::new("thing_survey", json!({ "parts": ["thing_get api"] }));
    assert!(matches!(d.ana.call(survey).await.unwrap(), Reply::Done { .. }));
}
