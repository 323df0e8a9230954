//! Databases that cannot be written, and files that are none.

use super::*;

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..100 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come within 5 s");
}

async fn outage(limits: Limits, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(draft(AuditKind::Intent, 0)).await.unwrap();
    assert!(store.status().borrow().writable());
    store.limit(limits).await;
    // A full database still has room in its last pages.
    let mut failed = None;
    for n in 0..1000 {
        let wide =
            draft(AuditKind::Intent, n).detail(json!({ "filler": "x".repeat(4000) })).call(CallId::new());
        if let Err(e) = store.begin(wide, None).await {
            failed = Some(e);
            break;
        }
    }
    let error: crate::base::Error = failed.expect("a write that fails").into();
    assert_eq!(error.code, crate::base::Code::AuditUnavailable);
    assert!(error.message.contains(expected), "{error}");
    assert!(error.next.is_some());
    let reason = store.status().borrow().outage.clone().expect("an outage");
    assert!(reason.contains(expected), "{reason}");
    // Reads go on, and those to be recorded are counted.
    let rows = store.audit(AuditFilter::default()).await.unwrap().total;
    for n in 0..7 {
        store.append_later(draft(AuditKind::Read, n));
    }
    let call = CallId::new();
    let outcome = draft(AuditKind::Outcome, 1).call(call);
    assert!(store.finish(outcome, None).await.is_err());
    store.limit(Limits::None).await;
    // Nobody writes: it finds out by itself.
    until("recovery", async || store.status().borrow().writable()).await;
    let page = store
        .audit(AuditFilter { cursor: Some(rows), forward: true, ..AuditFilter::default() })
        .await
        .unwrap();
    let gap = page.rows.iter().find(|row| row.kind == AuditKind::Gap).expect("a row about the gap");
    assert_eq!(gap.detail["lost_reads"], 7);
    // The outcome that could not be written then is written now.
    assert!(page.rows.iter().any(|row| row.kind == AuditKind::Outcome && row.call == Some(call)));
    store.append(draft(AuditKind::Intent, 2)).await.unwrap();
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
}

#[tokio::test]
async fn a_full_database_refuses_changes_and_recovers() {
    outage(Limits::Full, "full").await;
}

#[tokio::test]
async fn a_read_only_database_refuses_changes_and_recovers() {
    outage(Limits::ReadOnly, "readonly").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_with_the_next_step() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("quarterdeck.db"), vec![b'x'; 8192]).unwrap();
    let opened = SqliteStore::open(SqliteOptions::new(directory.path(), Arc::new(SystemClock)));
    let error = opened.err().expect("an error");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let error: crate::base::Error = error.into();
    assert!(error.message.contains("quarterdeck.db"), "{error}");
    assert!(error.next.is_some_and(|next| next.contains("backup")));
}

#[tokio::test]
async fn a_locked_database_refuses_with_the_reason_after_a_while() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let other = rusqlite::Connection::open(directory.path().join("quarterdeck.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(draft(AuditKind::Intent, 1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    until("recovery", async || store.append(draft(AuditKind::Intent, 2)).await.is_ok()).await;
}

/// A disk of its own, of a few MiB: the real thing. Unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let status = std::process::Command::new("mount").args(arguments).arg(self.0.path()).status().unwrap();
        assert!(status.success(), "mount {arguments:?} (this test needs root)");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn it_opens_on_a_read_only_disk_reads_and_goes_on_when_it_can_be_written() {
    let disk = Disk::new("8m");
    let directory = disk.0.path().join("state");
    let store = open(&directory);
    let a = record(300);
    store.hold(a.clone(), row(AuditKind::Proposed, &a)).await.unwrap();
    let call = CallId::new();
    store.begin(draft(AuditKind::Intent, 1).call(call), None).await.unwrap();
    store.close().await;
    drop(store);
    disk.mount(&["-o", "remount,ro"]);
    let store = open(&directory);
    assert!(store.status().borrow().banner.unwrap().contains("read-only"), "{:?}", store.status().borrow());
    assert_eq!(store.audit(AuditFilter::default()).await.unwrap().total, 2);
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
    assert_eq!(store.approval(a.id).await.unwrap().unwrap().arguments, a.arguments);
    assert!(store.append(draft(AuditKind::Intent, 2)).await.is_err());
    assert!(store.take_interrupted().is_empty());
    disk.mount(&["-o", "remount,rw"]);
    until("recovery", async || store.status().borrow().writable()).await;
    store.append(draft(AuditKind::Intent, 2)).await.unwrap();
    // What the process before left open is found now.
    assert_eq!(store.take_interrupted().len(), 1);
    assert_eq!(kinds(&store).await, ["proposed", "intent", "interrupted", "gap", "intent"]);
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
    store.close().await;
}

#[tokio::test]
async fn it_opens_on_a_full_disk_too() {
    let disk = Disk::new("2m");
    let directory = disk.0.path().join("state");
    let store = open(&directory);
    store.append(draft(AuditKind::Intent, 1)).await.unwrap();
    store.close().await;
    drop(store);
    let filler = disk.0.path().join("filler");
    let _ = std::fs::write(&filler, vec![0u8; 4 << 20]);
    let store = open(&directory);
    assert!(store.status().borrow().banner.unwrap().contains("full"), "{:?}", store.status().borrow());
    let refused: crate::base::Error = store.append(draft(AuditKind::Intent, 2)).await.unwrap_err().into();
    assert!(refused.next.unwrap().contains("Free space"));
    assert_eq!(store.audit(AuditFilter::default()).await.unwrap().total, 1);
    std::fs::remove_file(&filler).unwrap();
    until("recovery", async || store.status().borrow().writable()).await;
    store.append(draft(AuditKind::Intent, 2)).await.unwrap();
    assert_eq!(store.verify(Evidence::default()).await.unwrap().finding, Finding::Intact);
    store.close().await;
}
