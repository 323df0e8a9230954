//! Held calls: decided as shown, once, by someone else, in time.

use super::*;
use crate::gate::hold::{check_intact, target_of};
use crate::store::ApprovalRecord;

#[tokio::test]
async fn an_agents_change_is_shown_decided_run_once_and_handed_over() {
    let d = deck();
    let held = d.held(5).await;
    assert_eq!((d.replicas(), d.runs()), (3, 0));
    let card = d.gate.approval(held.approval).await.unwrap();
    assert_eq!(card.arguments["replicas"], 5);
    assert_eq!(card.actor.to_string(), "agent:claude");
    let text: Vec<_> = card.preview.diff.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(text, ["replicas: 3", "replicas: 5"]);

    let decided = d.decide(&held, Verdict::Approve).await.unwrap();
    assert_eq!(decided.state, ApprovalState::Consumed);
    let waited = d.wait(&held).await;
    assert_eq!(waited.decision.as_ref().unwrap().reason.as_deref(), Some("as agreed"));
    // It runs in the requester's name.
    assert_eq!(waited.into_result().unwrap().unwrap(), json!({ "replicas": 5, "by": "agent:claude" }));
    assert_eq!((d.replicas(), d.runs()), (5, 1));

    let rows = d.rows().await;
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    use AuditKind::{Consumed, Decided, Executed, Proposed, Returned};
    assert_eq!(kinds, [Proposed, Decided, Consumed, Executed, Returned]);
    for row in &rows {
        assert_eq!((row.call, row.approval), (Some(held.call), Some(held.approval)));
    }
    for row in &rows[..3] {
        assert_eq!(row.detail["preview_hash"], card.preview_hash);
    }
    assert_eq!(rows[1].actor, "person:ana");
    assert_eq!(d.decide(&held, Verdict::Approve).await.unwrap_err().code, Code::Conflict);
    assert_eq!(d.runs(), 1);
}

/// Not all columns of the database are sealed: whoever writes into them changes neither the card nor what runs.
#[tokio::test]
async fn a_record_that_was_changed_in_the_database_does_not_run() {
    let d = deck();
    let held = d.held(5).await;
    let filed = d.store.approval(held.approval).await.unwrap().unwrap();
    check_intact(&filed).unwrap();
    let shown = d.gate.card(filed.clone()).unwrap();
    assert!(shown.preview.warnings.is_empty());
    let mut other = filed.clone();
    other.target["name"] = json!("another");
    other.target_text = target_of(&other).unwrap().to_string();
    assert_eq!(check_intact(&other).unwrap_err().code, Code::Conflict);
    let card = d.gate.card(other).unwrap();
    assert_eq!(card.target, shown.target);
    assert!(card.preview.warnings[0].contains("changed in the database"), "{:?}", card.preview.warnings);
    let other = ApprovalRecord { target_text: "another".to_owned(), ..filed.clone() };
    assert!(check_intact(&other).is_err());
    let other = ApprovalRecord { arguments: json!({ "replicas": 50 }), ..filed };
    assert!(check_intact(&other).is_err());
}

#[tokio::test]
async fn many_decisions_at_once_run_it_once() {
    let d = Arc::new(deck());
    let held = d.held(5).await;
    let deciders: Vec<_> = (0..50)
        .map(|_| {
            let (d, held) = (d.clone(), held.clone());
            tokio::spawn(async move { d.decide(&held, Verdict::Approve).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for decider in deciders {
        won += usize::from(decider.await.unwrap());
    }
    assert_eq!(won, 1);
    d.wait(&held).await;
    assert_eq!(d.runs(), 1);
}

#[tokio::test]
async fn a_refusal_reaches_the_agent_with_its_reason() {
    let d = deck();
    let held = d.held(5).await;
    let waiting = d.gate.wait(d.claude.actor(), held.approval, Duration::from_secs(10));
    let (waited, decided) = tokio::join!(waiting, d.decide(&held, Verdict::Deny));
    assert_eq!(decided.unwrap().state, ApprovalState::Denied);
    let error = waited.unwrap().into_result().unwrap().unwrap_err();
    assert_eq!(error.code, Code::Refused);
    assert!(error.message.contains("as agreed"), "{error}");
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn the_same_call_again_attaches_and_a_new_one_after_the_hand_over_does_not() {
    let d = deck();
    let held = d.held(5).await;
    assert_eq!(d.held(5).await.approval, held.approval);
    assert_ne!(d.held(6).await.approval, held.approval);
    // Another agent's same call is another.
    let other = d.gate.client(Actor::agent("other"));
    let Reply::Held(others) = other.call(scale(5)).await.unwrap() else { panic!() };
    assert_ne!(others.approval, held.approval);
    let peek = d.gate.wait(other.actor(), held.approval, Duration::ZERO).await;
    assert_eq!(peek.unwrap_err().code, Code::PermissionDenied);

    d.decide(&held, Verdict::Approve).await.unwrap();
    // The agent did not fetch the result: asking again gives it, and does not run it twice.
    assert_eq!(d.held(5).await.approval, held.approval);
    assert!(d.wait(&held).await.done);
    assert_eq!(d.runs(), 1);
    assert_ne!(d.held(5).await.approval, held.approval);
}

#[tokio::test]
async fn what_has_run_out_stays_so_whatever_the_clock_says() {
    let d = deck();
    let held = d.held(5).await;
    d.clock.advance(Duration::from_secs(301));
    assert_eq!(d.decide(&held, Verdict::Approve).await.unwrap_err().code, Code::Expired);
    d.clock.set(Timestamp::now() - jiff::SignedDuration::from_hours(1));
    assert!(d.decide(&held, Verdict::Approve).await.is_err());
    let error = d.wait(&held).await.into_result().unwrap().unwrap_err();
    assert_eq!(error.code, Code::Expired);
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn a_clock_that_leaps_back_revives_nothing_at_the_next_start() {
    let d = deck();
    let held = d.held(5).await;
    // The process ended; the clock is an hour back when the next one starts.
    d.clock.set(Timestamp::now() - jiff::SignedDuration::from_hours(1));
    let next = over(d.world.clone(), d.store.clone(), d.clock.clone(), Policy::shipped().unwrap());
    next.gate.start().await;
    assert!(next.decide(&held, Verdict::Approve).await.is_err());
    assert_eq!(next.gate.approval(held.approval).await.unwrap().state, ApprovalState::Expired);
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn a_changed_target_voids_the_approval_and_asks_again() {
    let d = deck();
    let held = d.held(5).await;
    d.world.scale(4);
    let decided = d.decide(&held, Verdict::Approve).await.unwrap();
    assert_eq!(decided.state, ApprovalState::Void);
    let next = decided.superseded_by.unwrap();
    assert_eq!(d.runs(), 0);
    let card = d.gate.approval(next).await.unwrap();
    assert_eq!(card.preview.diff.lines[0].text, "replicas: 4");
    assert_eq!(card.supersedes, Some(held.approval));
    // The agent waits for the first and is led to the second.
    let waiting = d.gate.wait(d.claude.actor(), held.approval, Duration::from_secs(10));
    let second = Held { approval: next, ..held.clone() };
    let (waited, decided) = tokio::join!(waiting, d.decide(&second, Verdict::Approve));
    assert_eq!(decided.unwrap().state, ApprovalState::Consumed);
    assert_eq!(waited.unwrap().approval, next);
    assert_eq!((d.replicas(), d.runs()), (5, 1));
}

#[tokio::test]
async fn a_changed_policy_voids_what_was_held_under_the_old_one() {
    let d = deck();
    let held = d.held(5).await;
    let directory = tempfile::tempdir().unwrap();
    let more = r#"forbid (principal, action, resource) when { context.cluster == "prod" };"#;
    std::fs::write(directory.path().join("more.cedar"), more).unwrap();
    let next =
        over(d.world.clone(), d.store.clone(), d.clock.clone(), Policy::load(directory.path()).unwrap());
    let decided = next.decide(&held, Verdict::Approve).await.unwrap();
    assert_eq!(decided.state, ApprovalState::Void);
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn who_asks_and_who_is_no_person_does_not_decide() {
    let d = deck();
    let held = d.held(5).await;
    let hash = d.gate.approval(held.approval).await.unwrap().preview_hash;
    let itself_elsewhere = Actor::new(ActorKind::Agent, "claude", Role::Admin, Door::Screen);
    for actor in [
        Actor::agent("claude"),
        Actor::agent("other"),
        itself_elsewhere,
        who(ActorKind::Person, Role::Agent, Door::Screen),
        who(ActorKind::Person, Role::Viewer, Door::Screen),
        who(ActorKind::Person, Role::Operator, Door::Cli),
        who(ActorKind::Client, Role::Operator, Door::Rest),
    ] {
        let error = d.gate.decide(&actor, held.approval, Verdict::Approve, &hash, None).await.unwrap_err();
        assert_eq!(error.code, Code::PermissionDenied, "{actor:?}");
    }
    let error =
        d.gate.decide(d.ana.actor(), held.approval, Verdict::Approve, "another", None).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn nobody_approves_a_call_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    // Persons who must ask: their changes are held like an agent's.
    let text = r#"
        permit (principal in Role::"operator", action, resource in Effect::"observe");
        permit (principal in Role::"operator", action in [Action::"propose", Action::"decide", Action::"approve"], resource);
    "#;
    std::fs::write(directory.path().join("operator.cedar"), text).unwrap();
    let d = deck();
    let d = over(d.world, d.store, d.clock, Policy::load(directory.path()).unwrap());
    let Reply::Held(held) = d.ana.call(scale(5)).await.unwrap() else { panic!() };
    let error = d.decide(&held, Verdict::Approve).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    let hash = d.gate.approval(held.approval).await.unwrap().preview_hash;
    let ben = Actor::operator("ben");
    let decided = d.gate.decide(&ben, held.approval, Verdict::Approve, &hash, None).await.unwrap();
    assert_eq!(decided.state, ApprovalState::Consumed);
}

#[tokio::test]
async fn a_person_amends_what_was_proposed_and_the_agent_learns_how() {
    let d = deck();
    let held = d.held(50).await;
    let old_hash = d.gate.approval(held.approval).await.unwrap().preview_hash;
    let amend = |arguments| d.gate.amend(d.ana.actor(), held.approval, arguments);
    assert!(amend(json!({ "replicas": 4, "name": "other" })).await.is_err(), "another target");
    assert!(amend(json!({ "replicsa": 4 })).await.is_err(), "no such argument");
    assert_eq!(
        d.gate.amend(d.claude.actor(), held.approval, json!({})).await.unwrap_err().code,
        Code::PermissionDenied
    );
    let amended = amend(json!({ "replicas": 4 })).await.unwrap();
    assert_eq!(amended.state, ApprovalState::Pending);
    // A decision about what was shown before does not count.
    let stale = d.gate.decide(d.ana.actor(), held.approval, Verdict::Approve, &old_hash, None).await;
    assert_eq!(stale.unwrap_err().code, Code::Conflict);
    // The agent that asks again attaches to it all the same.
    assert_eq!(d.held(50).await.approval, held.approval);
    assert_eq!(d.decide(&held, Verdict::Approve).await.unwrap().state, ApprovalState::Consumed);
    let waited = d.wait(&held).await;
    let amendment = waited.amended.clone().unwrap();
    assert_eq!(amendment.by.to_string(), "person:ana");
    let changed: Vec<_> =
        amendment.diff.lines.iter().filter(|l| l.op != DiffOp::Same).map(|l| l.text.trim()).collect();
    assert_eq!(changed, ["\"replicas\": 50", "\"replicas\": 4"]);
    assert_eq!(waited.into_result().unwrap().unwrap()["replicas"], 4);
    assert_eq!(d.replicas(), 4);
    assert!(d.kinds().await.contains(&AuditKind::Amended));
}

#[tokio::test]
async fn a_call_is_decided_in_the_session_that_holds_it() {
    let here = deck().beside("eu");
    let there = here.beside("lab");
    let held = here.held(5).await;
    // The other session's clusters may have the same names: it neither lists it nor runs it.
    assert!(there.gate.approvals(crate::store::ApprovalFilter::default()).await.unwrap().is_empty());
    let error =
        there.gate.decide(there.ana.actor(), held.approval, Verdict::Approve, "", None).await.unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    assert!(error.next_step().contains("--session eu"), "{}", error.next_step());
    assert_eq!((here.replicas(), there.replicas()), (3, 3));
    // The same call of the same agent there is another one.
    let other = there.held(5).await;
    assert_ne!(other.approval, held.approval);
    here.decide(&held, Verdict::Approve).await.unwrap();
    assert_eq!((here.replicas(), there.replicas()), (5, 3));
}

#[tokio::test]
async fn a_preview_that_fails_holds_nothing_and_says_why() {
    let d = deck();
    let version = TargetVersion { identity: "uid".to_owned(), revision: "other".to_owned() };
    let error = d.claude.call(Request { expect: Some(version), ..scale(5) }).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    assert_eq!(d.kinds().await, [AuditKind::Denied]);
    assert!(d.gate.approvals(crate::store::ApprovalFilter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_held_call_survives_a_restart_and_runs_only_when_decided() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::now());
    let open = || {
        let options = crate::store::SqliteOptions::new(directory.path(), clock.clone());
        Arc::new(SqliteStore::open(options).unwrap())
    };
    let d = over(Arc::default(), open(), clock.clone(), Policy::shipped().unwrap());
    let held = d.held(5).await;
    d.gate.shutdown().await;
    let world = d.world.clone();
    drop(d);
    let d = over(world, open(), clock.clone(), Policy::shipped().unwrap());
    d.gate.start().await;
    assert_eq!(d.held(5).await.approval, held.approval);
    assert_eq!(d.runs(), 0);
    d.decide(&held, Verdict::Approve).await.unwrap();
    d.wait(&held).await;
    assert_eq!((d.replicas(), d.runs()), (5, 1));
    assert_eq!(
        d.gate.verify_audit(Evidence::default()).await.unwrap().finding,
        crate::store::Finding::Intact
    );
}

#[tokio::test]
async fn who_asked_takes_a_call_back_and_then_nobody_can_approve_it() {
    let d = deck();
    let held = d.held(5).await;
    let other = d.gate.withdraw(&Actor::agent("other"), held.approval, "mine").await;
    assert_eq!(other.unwrap_err().code, Code::PermissionDenied);
    let waiting = d.gate.wait(d.claude.actor(), held.approval, Duration::from_secs(10));
    let taken = d.gate.withdraw(d.claude.actor(), held.approval, "not needed any more");
    let (waited, taken) = tokio::join!(waiting, taken);
    assert_eq!(taken.unwrap().state, ApprovalState::Withdrawn);
    assert_eq!(waited.unwrap().into_result().unwrap().unwrap_err().code, Code::Cancelled);
    assert_eq!(d.decide(&held, Verdict::Approve).await.unwrap_err().code, Code::Conflict);
    assert_eq!(d.gate.approval(held.approval).await.unwrap().state, ApprovalState::Withdrawn);
    assert!(d.gate.withdraw(d.claude.actor(), held.approval, "again").await.is_err());
    // The same call asks anew; a decided one is not taken back.
    let again = d.held(5).await;
    assert_ne!(again.approval, held.approval);
    d.decide(&again, Verdict::Deny).await.unwrap();
    assert_eq!(
        d.gate.withdraw(d.claude.actor(), again.approval, "late").await.unwrap_err().code,
        Code::Conflict
    );
    assert_eq!(d.runs(), 0);
    assert!(d.kinds().await.contains(&AuditKind::Withdrawn));
}
