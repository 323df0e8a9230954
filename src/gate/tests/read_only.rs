//! A session in which nothing is changed, and what a person at the screen may see.

use super::*;
use crate::base::redact::MASK;

/// A gate that refuses every change.
fn reading() -> Deck {
    let d = deck();
    let gate = d.gate.reading_only();
    let (ana, claude) = (gate.client(Actor::operator("ana")), gate.client(Actor::agent("claude")));
    Deck { gate, ana, claude, ..d }
}

#[tokio::test]
async fn nobody_changes_anything_and_everybody_reads() {
    let d = reading();
    for client in [&d.ana, &d.claude] {
        let error = client.call(scale(5)).await.unwrap_err();
        assert_eq!(error.code, Code::PermissionDenied);
        assert_eq!(error.message, "this session is read-only: thing_scale is a change and was not done");
        assert!(error.next_step().contains("--readonly"), "{}", error.next_step());
        let error = client.call(Request::new("thing_delete", Value::Null)).await.unwrap_err();
        assert!(error.message.contains("thing_delete is a destroy"), "{}", error.message);
        assert!(client.preview(scale(5)).await.is_err(), "nor is it previewed");
        done(client.call(Request::new("thing_get", Value::Null)).await.unwrap());
    }
    assert_eq!((d.runs(), d.replicas()), (0, 3));
    let denied = d.kinds().await.iter().filter(|kind| **kind == AuditKind::Denied).count();
    assert_eq!(denied, 6, "each refusal is recorded");
}

#[tokio::test]
async fn what_was_held_before_cannot_be_let_through() {
    let d = deck();
    let held = d.held(5).await;
    let card = d.gate.approval(held.approval).await.unwrap();
    let reading = d.gate.reading_only();
    let decided =
        reading.decide(d.ana.actor(), held.approval, Verdict::Approve, &card.preview_hash, None).await;
    assert!(decided.unwrap_err().message.contains("read-only"));
    assert_eq!(d.runs(), 0);
    // The other handle of the same gate still may.
    d.decide(&held, Verdict::Approve).await.unwrap();
    d.wait(&held).await;
    assert_eq!(d.replicas(), 5);
}

#[tokio::test]
async fn the_whole_session_is_read_only_by_its_settings() {
    let world = Arc::new(World::default());
    let clock = ManualClock::at(Timestamp::now());
    let gate = Gate::new(Parts {
        operations: bind(DEFINITIONS, &world),
        settings: Settings { read_only: true, ..Settings::default() },
        ..Parts::in_memory(Vec::new(), Bus::default(), clock).unwrap()
    })
    .unwrap();
    assert!(gate.is_read_only());
    assert!(gate.client(Actor::operator("ana")).call(scale(5)).await.is_err());
    assert_eq!(world.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn secret_values_reach_a_person_at_the_screen_and_nobody_else() {
    let d = deck();
    let get = |reveal: bool| {
        let replicas = if reveal { -1 } else { 1 };
        Request::new("thing_get", json!({ "replicas": replicas, "note": "password: correct-horse" }))
    };
    let hidden = done(d.ana.call(get(false)).await.unwrap());
    assert!(!hidden.to_string().contains("correct-horse"), "{hidden}");
    let shown = done(d.ana.call(get(true)).await.unwrap());
    assert_eq!(shown["note"], "password: correct-horse");
    let elsewhere = d.gate.client(who(ActorKind::Person, Role::Admin, Door::Cli));
    for client in [&d.claude, &elsewhere] {
        let error = client.call(get(true)).await.unwrap_err();
        assert_eq!(error.code, Code::PermissionDenied);
    }
    let rows = serde_json::to_string(&d.rows().await).unwrap();
    assert!(!rows.contains("correct-horse") && rows.contains(MASK), "the log keeps no secret: {rows}");
}
