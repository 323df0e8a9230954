//! A process killed (SIGKILL) at each of the five points of an approval, and the next start.

use std::process::Command;

use super::*;

const POINT: &str = "QD_TEST_CRASH_AT";
const DIRECTORY: &str = "QD_TEST_CRASH_IN";

/// The process that dies: it does as much of an approval's way as it is told and then kills itself.
#[tokio::test]
#[ignore = "runs in the process that the other tests start"]
async fn the_process_that_dies() {
    let (Ok(point), Ok(directory)) = (std::env::var(POINT), std::env::var(DIRECTORY)) else { return };
    let store = open(Path::new(&directory));
    let a = record(300);
    std::fs::write(Path::new(&directory).join("approval"), a.id.to_string()).unwrap();
    let mut reached = false;
    let mut at = |name: &str| {
        reached |= name == point;
        reached
    };
    store.hold(a.clone(), row(AuditKind::Proposed, &a)).await.unwrap();
    if !at("proposed") {
        store.decide(decision(&a, true), row(AuditKind::Decided, &a)).await.unwrap();
    }
    if !at("decided") {
        let won =
            store.consume(a.id, &a.digest, Timestamp::now(), row(AuditKind::Consumed, &a)).await.unwrap();
        assert_eq!(won, Consumed::Now);
        std::fs::write(Path::new(&directory).join("ran"), "once").unwrap();
    }
    if !at("consumed") {
        store.finish(row(AuditKind::Executed, &a), Some(json!({ "output": 5 }))).await.unwrap();
    }
    if !at("executed") {
        assert!(store.returned(a.id, row(AuditKind::Returned, &a)).await.unwrap());
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    std::future::pending::<()>().await;
}

/// What the next process finds.
struct Found {
    store: SqliteStore,
    approval: ApprovalRecord,
    interrupted: Vec<Interrupted>,
    _directory: tempfile::TempDir,
}

async fn killed_at(point: &str) -> Found {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::the_process_that_dies", "--ignored", "--test-threads=1"])
        .env(POINT, point)
        .env(DIRECTORY, directory.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    let id: ApprovalId = std::fs::read_to_string(directory.path().join("approval")).unwrap().parse().unwrap();
    let store = open(directory.path());
    let interrupted = store.take_interrupted();
    let approval = store.approval(id).await.unwrap().unwrap();
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
    Found { store, approval, interrupted, _directory: directory }
}

impl Found {
    /// Whoever tries to run it now does not.
    async fn nobody_runs_it(&self) {
        let a = &self.approval;
        let tried =
            self.store.consume(a.id, &a.digest, Timestamp::now(), row(AuditKind::Consumed, a)).await.unwrap();
        assert_eq!(tried, Consumed::No(a.state));
    }
}

#[tokio::test]
async fn killed_after_the_proposal_it_still_waits_and_can_be_decided() {
    let found = killed_at("proposed").await;
    assert_eq!(found.approval.state, ApprovalState::Pending);
    assert!(found.interrupted.is_empty());
    found.nobody_runs_it().await;
    let a = &found.approval;
    found.store.decide(decision(a, true), row(AuditKind::Decided, a)).await.unwrap();
    let won =
        found.store.consume(a.id, &a.digest, Timestamp::now(), row(AuditKind::Consumed, a)).await.unwrap();
    assert_eq!(won, Consumed::Now);
}

#[tokio::test]
async fn killed_after_the_decision_it_is_void_and_never_runs() {
    let found = killed_at("decided").await;
    assert_eq!(found.approval.state, ApprovalState::Void);
    assert!(found.approval.decision_reason.as_deref().unwrap().contains("did not run"));
    found.nobody_runs_it().await;
    assert_eq!(kinds(&found.store).await, ["proposed", "decided", "decided"]);
}

#[tokio::test]
async fn killed_while_it_ran_its_outcome_is_unknown_and_it_never_runs_again() {
    let found = killed_at("consumed").await;
    assert_eq!(found.approval.state, ApprovalState::Consumed);
    assert_eq!(found.interrupted.len(), 1);
    assert_eq!(found.interrupted[0].approval, Some(found.approval.id));
    let result = found.approval.result.clone().unwrap();
    assert_eq!(result["error"]["code"], "outcome_unknown");
    found.nobody_runs_it().await;
    assert_eq!(kinds(&found.store).await, ["proposed", "decided", "consumed", "interrupted"]);
}

#[tokio::test]
async fn killed_after_it_ran_its_result_is_still_there_to_fetch() {
    let found = killed_at("executed").await;
    assert_eq!(found.approval.result, Some(json!({ "output": 5 })));
    assert!(found.interrupted.is_empty());
    found.nobody_runs_it().await;
    assert!(
        found.store.returned(found.approval.id, row(AuditKind::Returned, &found.approval)).await.unwrap()
    );
}

#[tokio::test]
async fn killed_after_the_hand_over_nothing_is_left_to_do() {
    let found = killed_at("returned").await;
    assert!(found.approval.returned_at.is_some());
    assert!(found.interrupted.is_empty());
    found.nobody_runs_it().await;
    assert!(
        !found.store.returned(found.approval.id, row(AuditKind::Returned, &found.approval)).await.unwrap()
    );
    assert_eq!(kinds(&found.store).await, ["proposed", "decided", "consumed", "executed", "returned"]);
}
