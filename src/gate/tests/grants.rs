//! Grants, and agents that are paused.

use super::*;

fn grant(uses: u32) -> NewGrant {
    NewGrant {
        agent: "claude".to_owned(),
        operations: vec!["thing_scale".to_owned()],
        target: TargetPattern {
            namespace: "shop".to_owned(),
            name: "api*".to_owned(),
            ..TargetPattern::default()
        },
        uses,
        lifetime: Duration::from_secs(60),
        reason: None,
    }
}

#[tokio::test]
async fn a_grant_lets_so_many_calls_run_and_no_others() {
    let d = Arc::new(deck());
    d.gate.create_grant(d.ana.actor(), grant(5)).await.unwrap();
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let d = d.clone();
            tokio::spawn(async move { matches!(d.claude.call(scale(n)).await.unwrap(), Reply::Done { .. }) })
        })
        .collect();
    let mut ran = 0;
    for call in calls {
        ran += usize::from(call.await.unwrap());
    }
    assert_eq!((ran, d.runs()), (5, 5));
    let intents: Vec<_> = d.rows().await.into_iter().filter(|row| row.kind == AuditKind::Intent).collect();
    assert_eq!(intents.len(), 5);
    assert!(intents.iter().all(|row| row.detail["grant"].is_string()));
}

#[tokio::test]
async fn a_grant_covers_its_agent_its_targets_and_its_time_alone() {
    let d = deck();
    d.gate.create_grant(d.ana.actor(), grant(100)).await.unwrap();
    let runs = async |client: &Client, name: &str| {
        let request = Request::new("thing_scale", json!({ "replicas": 1, "name": name }));
        matches!(client.call(request).await.unwrap(), Reply::Done { .. })
    };
    assert!(runs(&d.claude, "api-2").await);
    assert!(!runs(&d.claude, "web").await);
    assert!(!runs(&d.gate.client(Actor::agent("other")), "api-2").await);
    d.clock.advance(Duration::from_secs(61));
    assert!(!runs(&d.claude, "api-3").await);
    d.gate.create_grant(d.ana.actor(), grant(100)).await.unwrap();
    assert_eq!(d.gate.revoke_grants(d.ana.actor(), None).await.unwrap(), 1);
    assert!(!runs(&d.claude, "api-4").await);
}

#[tokio::test]
async fn grants_are_for_reversible_changes_narrow_and_from_persons() {
    let d = deck();
    let refused = async |new: NewGrant| d.gate.create_grant(d.ana.actor(), new).await.unwrap_err().code;
    let operations = |name: &str| NewGrant { operations: vec![name.to_owned()], ..grant(1) };
    assert_eq!(refused(operations("thing_delete")).await, Code::InvalidArgument);
    assert_eq!(refused(operations("thing_get")).await, Code::InvalidArgument);
    assert_eq!(refused(operations("nothing_such")).await, Code::NotFound);
    assert_eq!(
        refused(NewGrant { target: TargetPattern::default(), ..grant(1) }).await,
        Code::InvalidArgument
    );
    assert_eq!(refused(NewGrant { uses: 0, ..grant(1) }).await, Code::InvalidArgument);
    assert_eq!(
        refused(NewGrant { lifetime: Duration::from_secs(90_000), ..grant(1) }).await,
        Code::InvalidArgument
    );
    let error = d.gate.create_grant(d.claude.actor(), grant(1)).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    assert!(d.gate.grants(true).await.unwrap().is_empty());
}

#[tokio::test]
async fn paused_agents_change_and_propose_nothing_and_stay_paused_over_a_restart() {
    let d = deck();
    d.gate.create_grant(d.ana.actor(), grant(5)).await.unwrap();
    d.gate.set_pause(d.ana.actor(), Some("deploying".to_owned()), true).await.unwrap();
    let next = over(d.world.clone(), d.store.clone(), d.clock.clone(), Policy::shipped().unwrap());
    for d in [&d, &next] {
        let error = d.claude.call(scale(5)).await.unwrap_err();
        assert_eq!(error.code, Code::PermissionDenied);
        assert!(error.message.contains("deploying"), "{error}");
        done(d.claude.call(Request::new("thing_get", Value::Null)).await.unwrap());
    }
    done(next.ana.call(scale(4)).await.unwrap());
    next.gate.set_pause(next.ana.actor(), None, false).await.unwrap();
    assert_eq!(done(next.claude.call(scale(6)).await.unwrap())["replicas"], 6);
}
