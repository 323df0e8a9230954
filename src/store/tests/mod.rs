//! The store on real files: chains that were tampered with, crashes, full disks, races.

mod crash;
mod outage;
mod tamper;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::ids::{ApprovalId, CallId, GrantId};
use crate::base::{Actor, SharedClock, SystemClock};
use crate::bus::ApprovalState;

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(directory, Arc::new(SystemClock))).unwrap()
}

fn draft(kind: AuditKind, n: usize) -> Draft {
    Draft::new(kind, Timestamp::now(), &Actor::operator("ana"), "thing_scale")
        .target(format!("eu-1/shop/deployment/api-{n}"))
        .detail(json!({ "n": n }))
}

fn record(expires_in: i64) -> ApprovalRecord {
    let now = Timestamp::now();
    ApprovalRecord {
        id: ApprovalId::new(),
        call: CallId::new(),
        call_key: format!("key-{}", CallId::new()),
        operation: "thing_scale".to_owned(),
        effect: "change".to_owned(),
        arguments: json!({ "replicas": 5 }),
        target: json!({}),
        target_text: "eu-1/shop/deployment/api".to_owned(),
        preview: json!({ "diff": [] }),
        preview_hash: "p".to_owned(),
        schema_hash: "s".to_owned(),
        policy_version: "v".to_owned(),
        digest: "d".to_owned(),
        actor: Actor::agent("claude"),
        reason: None,
        state: ApprovalState::Pending,
        created_at: now,
        expires_at: now + jiff::SignedDuration::from_secs(expires_in),
        decided_by: None,
        decided_at: None,
        decision_reason: None,
        amended_by: None,
        proposed_arguments: None,
        supersedes: None,
        superseded_by: None,
        consumed_at: None,
        finished_at: None,
        result: None,
        returned_at: None,
    }
}

fn row(kind: AuditKind, a: &ApprovalRecord) -> Draft {
    Draft::new(kind, Timestamp::now(), &a.actor, a.operation.clone()).call(a.call).approval(a.id)
}

fn decision(a: &ApprovalRecord, approve: bool) -> Decide {
    Decide {
        id: a.id,
        digest: a.digest.clone(),
        preview_hash: a.preview_hash.clone(),
        approve,
        by: Actor::operator("ana"),
        reason: None,
        at: Timestamp::now(),
    }
}

async fn kinds(store: &SqliteStore) -> Vec<&'static str> {
    let filter = AuditFilter { forward: true, limit: 1000, ..AuditFilter::default() };
    store.audit(filter).await.unwrap().rows.iter().map(|row| row.kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_consume_one_approval_and_exactly_one_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()));
    let a = record(300);
    store.hold(a.clone(), row(AuditKind::Proposed, &a)).await.unwrap();
    store.decide(decision(&a, true), row(AuditKind::Decided, &a)).await.unwrap();
    let consumers: Vec<_> = (0..1000)
        .map(|_| {
            let (store, a) = (store.clone(), a.clone());
            tokio::spawn(async move {
                store.consume(a.id, &a.digest, Timestamp::now(), row(AuditKind::Consumed, &a)).await.unwrap()
            })
        })
        .collect();
    let mut won = 0;
    for consumer in consumers {
        match consumer.await.unwrap() {
            Consumed::Now => won += 1,
            Consumed::No(state) => assert_eq!(state, ApprovalState::Consumed),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(kinds(&store).await, ["proposed", "decided", "consumed"]);
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
}

#[tokio::test]
async fn an_approval_is_used_only_as_decided_and_only_in_its_time() {
    let store = SqliteStore::in_memory(Arc::new(SystemClock)).unwrap();
    let a = record(300);
    let consume =
        |digest: &'static str, at: Timestamp| store.consume(a.id, digest, at, row(AuditKind::Consumed, &a));
    store.hold(a.clone(), row(AuditKind::Proposed, &a)).await.unwrap();
    let now = Timestamp::now();
    assert_eq!(consume("d", now).await.unwrap(), Consumed::No(ApprovalState::Pending));
    let other = Decide { preview_hash: "other".to_owned(), ..decision(&a, true) };
    assert!(matches!(store.decide(other, row(AuditKind::Decided, &a)).await, Err(StoreError::Conflict(_))));
    let late = Decide { at: a.expires_at, ..decision(&a, true) };
    assert!(matches!(store.decide(late, row(AuditKind::Decided, &a)).await, Err(StoreError::Conflict(_))));
    store.decide(decision(&a, true), row(AuditKind::Decided, &a)).await.unwrap();
    assert_eq!(consume("other", now).await.unwrap(), Consumed::No(ApprovalState::Approved));
    assert_eq!(consume("d", a.expires_at).await.unwrap(), Consumed::No(ApprovalState::Expired));
    assert_eq!(store.expire(a.expires_at).await.unwrap(), [a.id]);
    // The clock goes back: what has run out stays so.
    assert_eq!(consume("d", now).await.unwrap(), Consumed::No(ApprovalState::Expired));
    assert_eq!(kinds(&store).await, ["proposed", "decided", "expired"]);
}

#[tokio::test]
async fn the_same_call_waits_once_and_an_unfetched_result_answers_it() {
    let store = SqliteStore::in_memory(Arc::new(SystemClock)).unwrap();
    let a = record(300);
    let now = Timestamp::now();
    let since = now - jiff::SignedDuration::from_secs(600);
    assert!(matches!(store.hold(a.clone(), row(AuditKind::Proposed, &a)).await.unwrap(), HoldOutcome::Filed));
    let again = ApprovalRecord { id: ApprovalId::new(), ..a.clone() };
    let HoldOutcome::Attached(first) = store.hold(again, row(AuditKind::Proposed, &a)).await.unwrap() else {
        panic!("filed twice");
    };
    assert_eq!(first.id, a.id);
    store.decide(decision(&a, false), row(AuditKind::Decided, &a)).await.unwrap();
    let found = store.attachable(&a.call_key, now, since).await.unwrap();
    assert_eq!(found.map(|f| f.id), Some(a.id));
    assert!(store.returned(a.id, row(AuditKind::Returned, &a)).await.unwrap());
    assert!(!store.returned(a.id, row(AuditKind::Returned, &a)).await.unwrap());
    assert!(store.attachable(&a.call_key, now, since).await.unwrap().is_none());
}

#[tokio::test]
async fn a_grant_is_used_as_often_as_it_says_together_with_the_intent() {
    let store = SqliteStore::in_memory(Arc::new(SystemClock)).unwrap();
    let now = Timestamp::now();
    let grant = GrantRecord {
        id: GrantId::new(),
        created_by: Actor::operator("ana"),
        created_at: now,
        agent: "claude".to_owned(),
        operations: vec!["thing_scale".to_owned()],
        target: json!({}),
        uses: 2,
        uses_left: 2,
        expires_at: now + jiff::SignedDuration::from_secs(60),
        revoked_at: None,
        revoked_by: None,
        reason: None,
    };
    store.create_grant(grant.clone()).await.unwrap();
    let uses = (0..5).map(|n| {
        store.begin(draft(AuditKind::Intent, n).call(CallId::new()), Some(GrantUse { id: grant.id }))
    });
    let used = futures::future::join_all(uses).await.iter().filter(|result| result.is_ok()).count();
    assert_eq!(used, 2);
    // The three that found it used up left no intent behind.
    assert_eq!(kinds(&store).await, ["intent", "intent"]);
    assert!(store.grants(Some(now)).await.unwrap().is_empty());
    assert_eq!(store.revoke_grants(None, &Actor::operator("ana"), now).await.unwrap(), 0);
}

#[tokio::test]
async fn pages_follow_each_other_and_filters_hold() {
    let store = SqliteStore::in_memory(Arc::new(SystemClock)).unwrap();
    for n in 0..25 {
        let kind = if n % 2 == 0 { AuditKind::Intent } else { AuditKind::Read };
        store.append(draft(kind, n)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.audit(AuditFilter { cursor, limit: 10, ..AuditFilter::default() }).await.unwrap();
        assert_eq!(page.total, 25);
        seen.extend(page.rows.iter().map(|row| row.seq));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<u64>>());
    let filter = AuditFilter {
        actor: Some("ana".to_owned()),
        target: Some("api-2".to_owned()),
        kinds: vec![AuditKind::Intent],
        limit: 100,
        ..AuditFilter::default()
    };
    let targets: Vec<_> = store.audit(filter).await.unwrap().rows.into_iter().map(|row| row.target).collect();
    assert_eq!(
        targets,
        [
            "eu-1/shop/deployment/api-24",
            "eu-1/shop/deployment/api-22",
            "eu-1/shop/deployment/api-20",
            "eu-1/shop/deployment/api-2"
        ]
    );
}

#[tokio::test]
async fn an_idle_store_writes_no_second_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SqliteOptions::new(directory.path(), Arc::new(SystemClock));
    options.checkpoint_every = Duration::from_millis(50);
    let store = SqliteStore::open(options).unwrap();
    let lines = || {
        let text =
            std::fs::read_to_string(directory.path().join("audit/checkpoints.jsonl")).unwrap_or_default();
        text.lines().count()
    };
    store.append(draft(AuditKind::Intent, 1)).await.unwrap();
    store.append(draft(AuditKind::Intent, 2)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let after = lines();
    assert!((1..=2).contains(&after), "{after}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(lines(), after);
    store.close().await;
    assert_eq!(lines(), after, "nothing was added since");
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("state"));
    store.append(draft(AuditKind::Intent, 1)).await.unwrap();
    store.close().await;
    for file in
        ["quarterdeck.db", "audit/audit-chain.key", "audit/audit-checkpoint.key", "audit/checkpoints.jsonl"]
    {
        let mode = std::fs::metadata(directory.path().join("state").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} {mode:o}");
    }
    // A key that others could read is refused, and so is a log whose key is gone.
    let key = directory.path().join("state/audit/audit-chain.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let reopen =
        || SqliteStore::open(SqliteOptions::new(directory.path().join("state"), Arc::new(SystemClock)));
    assert!(matches!(reopen().err(), Some(StoreError::Key { .. })));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(reopen().err(), Some(StoreError::Key { .. })));
}

#[tokio::test]
async fn two_processes_append_to_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (open(directory.path()), open(directory.path()));
    for n in 0..20 {
        let store = if n % 2 == 0 { &a } else { &b };
        store.append(draft(AuditKind::Intent, n)).await.unwrap();
    }
    // A call that is open in one is not taken for interrupted by another start.
    a.begin(draft(AuditKind::Intent, 20).call(CallId::new()), None).await.unwrap();
    let c = open(directory.path());
    assert!(c.take_interrupted().is_empty());
    let verification = c.verify(Evidence::default()).await.unwrap();
    assert_eq!((verification.finding, verification.rows), (Finding::Intact, 21));
}

/// `cargo test --release -- --ignored --nocapture rates_of_the_store`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn rates_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let store = Arc::new(open(directory.path()));
    println!("open, new: {:?}", started.elapsed());
    let started = std::time::Instant::now();
    let writers: Vec<_> = (0..64)
        .map(|w| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..100 {
                    let call = CallId::new();
                    store.begin(draft(AuditKind::Intent, w * 100 + n).call(call), None).await.unwrap();
                    store.finish(draft(AuditKind::Outcome, w * 100 + n).call(call), None).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    println!(
        "64 at once: {:.0} changes/s, intent and outcome each",
        6400.0 / started.elapsed().as_secs_f64()
    );
    for n in 0..500_000 {
        store.append_later(draft(AuditKind::Read, n));
        if n % 20_000 == 0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.append(draft(AuditKind::Intent, 0)).await.unwrap();
    let v = store.verify(Evidence::default()).await.unwrap();
    println!(
        "verify: {} rows in {} ms, {:.0} rows/s",
        v.rows,
        v.milliseconds,
        v.rows as f64 * 1000.0 / v.milliseconds as f64
    );
    store.close().await;
    let started = std::time::Instant::now();
    let again = open(directory.path());
    println!("open, {} rows: {:?}", v.rows, started.elapsed());
    again.close().await;
}

#[tokio::test]
async fn clocks_of_tests_reach_the_rows() {
    let at: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let clock: SharedClock = ManualClock::at(at);
    let store = SqliteStore::in_memory(clock.clone()).unwrap();
    let d = Draft::new(AuditKind::Intent, clock.now(), &Actor::operator("ana"), "thing_scale");
    store.append(d).await.unwrap();
    let page = store.audit(AuditFilter::default()).await.unwrap();
    assert_eq!(page.rows[0].at, at);
}
