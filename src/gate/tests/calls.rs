//! Direct calls: recorded, refused without a record, guarded against panics and broken connections.

use super::*;
use crate::base::redact::MASK;
use crate::bus::{CallPhase, Event};
use futures::FutureExt as _;

#[tokio::test]
async fn a_change_is_written_down_before_it_runs_and_after() {
    let d = deck();
    let output = done(d.ana.call(scale(5)).await.unwrap());
    assert_eq!(output, json!({ "replicas": 5, "by": "person:ana" }));
    let rows = d.rows().await;
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [AuditKind::Intent, AuditKind::Outcome]);
    assert_eq!(rows[0].call, rows[1].call);
    assert_eq!(rows[0].detail["arguments"]["replicas"], 5);
    assert_eq!(rows[0].target, "eu-1/shop/deployment/api");
    assert_eq!((rows[1].code.as_deref(), rows[1].milliseconds.is_some()), (None, true));
}

#[tokio::test]
async fn a_read_is_one_row_after_the_fact_and_everyone_hears_of_it() {
    let d = deck();
    let mut events = d.gate.bus().subscribe();
    done(d.claude.call(Request::new("thing_get", Value::Null)).await.unwrap());
    assert_eq!(d.kinds().await, [AuditKind::Read]);
    let mut phases = Vec::new();
    for _ in 0..2 {
        if let Event::Call(call) = &*events.next().await.unwrap() {
            assert_eq!(call.actor.to_string(), "agent:claude");
            phases.push(call.phase.clone());
        }
    }
    assert!(matches!(phases[..], [CallPhase::Started, CallPhase::Succeeded { .. }]), "{phases:?}");
}

#[tokio::test]
async fn what_is_not_allowed_does_not_run_and_is_written_down() {
    let d = deck();
    let viewer = d.gate.client(who(ActorKind::Person, Role::Viewer, Door::Screen));
    let mut events = d.gate.bus().subscribe();
    let error = viewer.call(scale(9)).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    assert_eq!(d.replicas(), 3);
    let rows = d.rows().await;
    assert_eq!(rows[0].kind, AuditKind::Denied);
    assert_eq!(rows[0].code.as_deref(), Some("permission_denied"));
    assert!(
        matches!(&*events.next().await.unwrap(), Event::Call(c) if matches!(c.phase, CallPhase::Denied { .. }))
    );
    let error = viewer.call(Request::new("thing_gte", Value::Null)).await.unwrap_err();
    assert!(error.next_step().contains("thing_get"), "{error:?}");
    let error = viewer.call(Request::new("thing_get", json!({ "unknown": 1 }))).await.unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
}

#[tokio::test]
async fn a_change_of_another_version_than_was_seen_conflicts() {
    let d = deck();
    let seen = d.ana.preview(scale(5)).await.unwrap().version;
    d.world.scale(4);
    let error = d.ana.call(Request { expect: seen, ..scale(5) }).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    assert_eq!(d.replicas(), 4);
    let seen = d.ana.preview(scale(5)).await.unwrap().version;
    done(d.ana.call(Request { expect: seen, ..scale(5) }).await.unwrap());
    assert_eq!(d.replicas(), 5);
}

#[tokio::test]
async fn a_panic_is_an_outcome_like_any_other() {
    let d = deck();
    let error = d.ana.call(Request::new("thing_panic", Value::Null)).await.unwrap_err();
    assert_eq!(error.code, Code::Internal);
    assert!(error.message.contains("out of cheese"), "{error}");
    assert_eq!(d.kinds().await, [AuditKind::Intent, AuditKind::Outcome]);
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_is_gone() {
    let d = deck();
    d.world.slow.store(true, Ordering::SeqCst);
    let call = d.ana.call(scale(7));
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    d.world.slow.store(false, Ordering::SeqCst);
    d.gate.shutdown().await;
    assert_eq!(d.replicas(), 7);
}

#[tokio::test]
async fn without_an_audit_log_changes_are_refused_and_reads_go_on() {
    for limits in [Limits::Full, Limits::ReadOnly] {
        let clock = ManualClock::at(Timestamp::now());
        let directory = tempfile::tempdir().unwrap();
        let options = crate::store::SqliteOptions::new(directory.path(), clock.clone());
        let store = Arc::new(SqliteStore::open(options).unwrap());
        let d = over(Arc::default(), store, clock, Policy::shipped().unwrap());
        d.gate.start().await;
        let mut events = d.gate.bus().subscribe();
        d.store.limit(limits).await;
        let wide = json!({ "replicas": 8, "note": "x".repeat(8000) });
        let mut refused = None;
        for _ in 0..500 {
            let before = d.runs();
            match d.ana.call(Request::new("thing_scale", wide.clone())).await {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(d.runs(), before, "it ran without a record");
                    refused = Some(error);
                    break;
                }
            }
        }
        let error = refused.expect("a refusal");
        assert_eq!(error.code, Code::AuditUnavailable);
        done(d.ana.call(Request::new("thing_get", Value::Null)).await.unwrap());
        // Neither can an agent have something held: that too is a record.
        assert!(d.claude.call(scale(4)).await.is_err());
        let told = async {
            loop {
                if let Event::Store { writable, reason } = &*events.next().await.unwrap() {
                    return (*writable, reason.clone());
                }
            }
        };
        let (writable, reason) = tokio::time::timeout(Duration::from_secs(5), told).await.unwrap();
        assert!(!writable && reason.is_some());
        d.store.limit(Limits::None).await;
        let mut again = None;
        for _ in 0..60 {
            again = d.ana.call(scale(6)).await.ok();
            if again.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(again.is_some(), "changes go on once it can be written");
    }
}

#[tokio::test]
async fn secrets_leave_neither_in_outputs_nor_in_the_audit_log_and_masks_are_not_written_back() {
    let d = deck();
    d.gate.redactor().register("correct-horse");
    let get = Request {
        reason: Some("for correct-horse".to_owned()),
        ..Request::new("thing_get", json!({ "note": "correct-horse" }))
    };
    let output = done(d.claude.call(get).await.unwrap());
    assert_eq!(output["note"], MASK);
    let rows = serde_json::to_string(&d.rows().await).unwrap();
    assert!(!rows.contains("correct-horse"), "{rows}");
    let error =
        d.ana.call(Request::new("thing_scale", json!({ "replicas": 1, "note": MASK }))).await.unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    assert_eq!(d.runs(), 0);
}

#[tokio::test]
async fn a_restart_tells_of_calls_without_an_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::now());
    let open = || {
        let options = crate::store::SqliteOptions::new(directory.path(), clock.clone());
        Arc::new(SqliteStore::open(options).unwrap())
    };
    let call = crate::base::ids::CallId::new();
    {
        use crate::store::Draft;
        let store = open();
        let intent = Draft::new(AuditKind::Intent, Timestamp::now(), &Actor::operator("ana"), "thing_scale")
            .call(call);
        store.begin(intent, None).await.unwrap();
        // The process ends without an outcome.
        store.close().await;
    }
    let d = over(Arc::default(), open(), clock.clone(), Policy::shipped().unwrap());
    let mut events = d.gate.bus().subscribe();
    d.gate.start().await;
    let event = events.next().await.unwrap();
    assert!(matches!(&*event, Event::Notice { text, .. } if text.contains("outcome unknown")), "{event:?}");
    // A screen that opens later is told as well, and nobody else is.
    let late = d.ana.events().next().now_or_never().flatten();
    assert!(
        matches!(late.as_deref(), Some(Event::Notice { text, .. }) if text.contains("outcome unknown")),
        "{late:?}"
    );
    assert!(d.gate.client(Actor::agent("claude")).events().next().now_or_never().is_none());
    let rows = d.rows().await;
    let interrupted: Vec<_> = rows.iter().filter(|row| row.kind == AuditKind::Interrupted).collect();
    assert_eq!(interrupted.len(), 1);
    assert_eq!(interrupted[0].call, Some(call));
    assert_eq!(d.runs(), 0);
}

/// `cargo test --release -- --ignored --nocapture rates_of_the_gate`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rates_of_the_gate() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::now());
    let started = std::time::Instant::now();
    let options = crate::store::SqliteOptions::new(directory.path(), clock.clone());
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let d = Arc::new(over(Arc::default(), store, clock, Policy::shipped().unwrap()));
    println!("store and gate open: {:?}", started.elapsed());
    for (name, request) in [("observes", Request::new("thing_get", Value::Null)), ("changes", scale(5))] {
        let started = std::time::Instant::now();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let (d, request) = (d.clone(), request.clone());
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    while started.elapsed() < Duration::from_secs(3) {
                        let begun = std::time::Instant::now();
                        if d.ana.call(request.clone()).await.is_ok() {
                            took.push(begun.elapsed());
                        }
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for client in clients {
            took.extend(client.await.unwrap());
        }
        took.sort_unstable();
        let rate = took.len() as f64 / started.elapsed().as_secs_f64();
        println!(
            "{name}, 8 clients: {rate:.0}/s, p50 {:?}, p99 {:?}",
            took[took.len() / 2],
            took[took.len() * 99 / 100]
        );
    }
}

#[tokio::test]
async fn what_is_turned_away_at_the_door_is_written_once_and_then_counted() {
    let d = deck();
    let wrong = || Request::new("thing_get", json!({ "unknown": 1 }));
    for _ in 0..500 {
        assert_eq!(d.claude.call(wrong()).await.unwrap_err().code, Code::InvalidArgument);
    }
    let strange = d.claude.call(Request::new("thing_\u{1b}[2J", Value::Null)).await;
    assert_eq!(strange.unwrap_err().code, Code::NotFound);
    // As when the window's time is over.
    d.gate.close_windows();
    let rows = d.rows().await;
    let said: Vec<_> =
        rows.iter().map(|r| (r.kind, r.code.clone().unwrap(), r.detail["repeated"].as_u64())).collect();
    let invalid = "invalid_argument".to_owned();
    assert_eq!(said.len(), 3, "{rows:?}");
    assert!(said.contains(&(AuditKind::Denied, invalid.clone(), None)));
    assert!(said.contains(&(AuditKind::Denied, invalid, Some(499))));
    assert!(said.contains(&(AuditKind::Denied, "not_found".to_owned(), None)));
    assert!(rows.iter().all(|r| r.actor == "agent:claude" && !r.operation.contains('\u{1b}')));
}

#[tokio::test]
async fn what_is_counted_when_the_session_ends_is_written_and_a_thousand_askers_share() {
    let d = deck();
    for i in 0..1000 {
        let asker = d.gate.client(Actor::agent(format!("agent-{i}")));
        assert!(asker.call(Request::new("thing_gte", Value::Null)).await.is_err());
    }
    d.gate.close_windows();
    let rows = d.rows().await;
    // 256 windows of their own, one that all others share, and its count.
    assert_eq!(rows.len(), 258);
    assert_eq!(rows.iter().filter_map(|r| r.detail["repeated"].as_u64()).sum::<u64>(), 1000 - 257);
}

/// A thousand secrets in the arguments of held calls: none in any output, nor in any file but the sealed one.
#[tokio::test]
async fn a_thousand_canaries_are_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp::now());
    let options = crate::store::SqliteOptions::new(directory.path(), clock.clone());
    let store = Arc::new(SqliteStore::open(options).unwrap());
    let d = over(Arc::default(), store, clock, Policy::shipped().unwrap());
    let canaries: Vec<String> =
        (0..1000).map(|i| format!("canary-{:04x}-{:016x}", i, i * 7_919 + 1_000_003)).collect();
    d.gate.redactor().register_all(canaries.iter().map(String::as_str));
    let mut events = d.gate.bus().subscribe();
    let mut outputs = String::new();
    let mut last = None;
    for (i, some) in canaries.chunks(10).enumerate() {
        // So many wait for one agent at most.
        let agent = d.gate.client(Actor::agent(format!("agent-{}", i / 50)));
        let canary = some.join(" ");
        let manifest = format!("kind: Secret\nstringData: {{ key: {canary}-unknown }}\n");
        let note = json!({ "replicas": i, "note": format!("token {canary} and\n{manifest}") });
        let request =
            Request { reason: Some(format!("because of {canary}")), ..Request::new("thing_scale", note) };
        let Reply::Held(held) = agent.call(request).await.unwrap() else { panic!() };
        last = Some(held);
    }
    let held = last.unwrap();
    // The gate's own state has it whole: exactly what was shown can run.
    let card = d.gate.approval(held.approval).await.unwrap();
    assert!(card.arguments["note"].as_str().unwrap().contains(&canaries[999]));
    d.decide(&held, Verdict::Approve).await.unwrap();
    let agent = Actor::agent("agent-1");
    outputs +=
        &serde_json::to_string(&d.gate.wait(&agent, held.approval, Duration::from_secs(10)).await.unwrap())
            .unwrap();
    outputs += &serde_json::to_string(&d.rows().await).unwrap();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), events.next()).await {
        outputs += &serde_json::to_string(&*event).unwrap();
    }
    d.gate.shutdown().await;
    let searcher = aho_corasick::AhoCorasick::new(&canaries).unwrap();
    let mut files = 0;
    for entry in walk(directory.path()) {
        files += 1;
        assert!(!searcher.is_match(&std::fs::read(&entry).unwrap()), "a canary is in {}", entry.display());
    }
    assert!(files >= 5, "{files}");
    assert!(!searcher.is_match(&outputs), "a canary came out");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
