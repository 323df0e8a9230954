//! Rows edited, deleted, moved, cut off, recomputed: each named by its exit code.

use rusqlite::Connection;

use super::*;

/// A closed log of fifty rows with checkpoints along the way, with something done to its database.
async fn after(tamper: impl FnOnce(&Connection)) -> (u8, Option<u64>) {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path()).await;
    {
        let connection = Connection::open(directory.path().join("quarterdeck.db")).unwrap();
        tamper(&connection);
    }
    verdict(directory.path()).await
}

async fn written(directory: &Path) {
    let mut options = SqliteOptions::new(directory, Arc::new(SystemClock));
    options.checkpoint_rows = 10;
    let store = SqliteStore::open(options).unwrap();
    for n in 1..=50 {
        store.append(draft(AuditKind::Intent, n)).await.unwrap();
    }
    store.close().await;
}

async fn verdict(directory: &Path) -> (u8, Option<u64>) {
    let store = open(directory);
    let v = store.verify(Evidence::default()).await.unwrap();
    println!("{v:?}");
    store.close().await;
    (v.finding.exit_code(), v.first_bad)
}

fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap();
}

/// Long enough to be read by several threads; every fault at, before and after each seam is found where it is.
#[tokio::test]
async fn a_long_log_is_checked_in_ranges_without_missing_a_seam() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for n in 0..1_000 {
        store.append_later(draft(AuditKind::Read, n));
    }
    while store.audit(AuditFilter::default()).await.unwrap().total < 1_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close().await;
    let code = async || verdict(directory.path()).await;
    assert_eq!(code().await, (0, None));
    let connection = Connection::open(directory.path().join("quarterdeck.db")).unwrap();
    let threads = std::thread::available_parallelism().unwrap().get().min(8) as u64;
    let seam = 1_000_u64.div_ceil(threads);
    for bad in [1, seam - 1, seam, seam + 1, 999] {
        run(&connection, &format!("CREATE TABLE kept AS SELECT * FROM audit WHERE seq = {bad}"));
        run(&connection, &format!("UPDATE audit SET actor = 'person:eve' WHERE seq = {bad}"));
        assert_eq!(code().await, (2, Some(bad)), "edited");
        run(&connection, &format!("DELETE FROM audit WHERE seq = {bad}"));
        assert_eq!(code().await, (2, Some(bad)), "deleted");
        run(&connection, "INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
        assert_eq!(code().await, (0, None), "put back");
    }
}

#[tokio::test]
async fn an_untouched_log_is_intact() {
    assert_eq!(after(|_| {}).await, (0, None));
}

#[tokio::test]
async fn an_edited_row_is_named() {
    for edit in [
        "UPDATE audit SET detail = '{\"n\":7000}' WHERE seq = 7",
        "UPDATE audit SET actor = 'person:eve' WHERE seq = 7",
        "UPDATE audit SET at = at + 1 WHERE seq = 7",
        "UPDATE audit SET target = 'x', detail = detail WHERE seq = 7",
        "UPDATE audit SET hash = zeroblob(32) WHERE seq = 7",
        "UPDATE audit SET prev = zeroblob(32) WHERE seq = 7",
    ] {
        assert_eq!(after(|c| run(c, edit)).await, (2, Some(7)), "{edit}");
    }
}

#[tokio::test]
async fn a_deleted_row_is_named_also_when_the_gap_is_closed() {
    assert_eq!(after(|c| run(c, "DELETE FROM audit WHERE seq = 20")).await, (2, Some(20)));
    let closed = "DELETE FROM audit WHERE seq = 20; UPDATE audit SET seq = seq - 1 WHERE seq > 20";
    assert_eq!(after(|c| run(c, closed)).await, (2, Some(20)));
    assert_eq!(after(|c| run(c, "DELETE FROM audit WHERE seq = 1")).await, (2, Some(1)));
}

#[tokio::test]
async fn rows_in_another_order_are_named() {
    let swap = "UPDATE audit SET seq = -1 WHERE seq = 30; UPDATE audit SET seq = 30 WHERE seq = 31;
                UPDATE audit SET seq = 31 WHERE seq = -1";
    assert_eq!(after(|c| run(c, swap)).await, (2, Some(30)));
}

#[tokio::test]
async fn an_inserted_row_is_named() {
    let insert =
        "INSERT INTO audit SELECT 51, at, kind, call, actor, role, door, operation, target, approval, code,
                  milliseconds, detail, hash, zeroblob(32) FROM audit WHERE seq = 50";
    assert_eq!(after(|c| run(c, insert)).await, (2, Some(51)));
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_truncated() {
    assert_eq!(after(|c| run(c, "DELETE FROM audit WHERE seq > 45")).await, (3, Some(46)));
    // Also when the head in the database goes with it: the checkpoints are elsewhere.
    let all = "DELETE FROM audit WHERE seq > 45; DELETE FROM audit_head";
    assert_eq!(after(|c| run(c, all)).await, (3, Some(46)));
    assert_eq!(after(|c| run(c, "DELETE FROM audit")).await, (3, Some(1)));
    // A head made up for the shorter log is not signed.
    let forged = "DELETE FROM audit WHERE seq > 45; UPDATE audit_head SET seq = 45";
    assert_eq!(after(|c| run(c, forged)).await.0, 2);
}

#[tokio::test]
async fn a_copy_without_a_table_of_the_log_is_tampered_with() {
    let here = tempfile::tempdir().unwrap();
    let store = open(here.path());
    for table in ["audit", "audit_head"] {
        let copy = tempfile::tempdir().unwrap();
        written(copy.path()).await;
        let database = copy.path().join("quarterdeck.db");
        run(&Connection::open(&database).unwrap(), &format!("DROP TABLE {table}"));
        let found = store.verify(Evidence { database: Some(database), ..Evidence::default() }).await.unwrap();
        assert_eq!((found.finding, found.fault), (Finding::Tampered, Some(Fault::Deleted)), "{}", found.note);
    }
    store.close().await;
}

#[tokio::test]
async fn a_log_without_its_head_is_tampered_with() {
    assert_eq!(after(|db| run(db, "DELETE FROM audit_head")).await, (2, Some(51)));
    // The checkpoints tell how many rows are missing, with a head or without.
    let cut = "DELETE FROM audit WHERE seq > 30; DELETE FROM audit_head";
    assert_eq!(after(|db| run(db, cut)).await, (3, Some(31)));
    // Rows after the last checkpoint are missed by nothing but the head.
    let directory = tempfile::tempdir().unwrap();
    written(directory.path()).await;
    let file = directory.path().join("audit/checkpoints.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap();
    let early: String = lines.split_inclusive('\n').filter(|line| line.contains("\"seq\":11,")).collect();
    assert!(!early.is_empty(), "{lines}");
    std::fs::write(&file, early).unwrap();
    run(
        &Connection::open(directory.path().join("quarterdeck.db")).unwrap(),
        "DELETE FROM audit WHERE seq > 20; DELETE FROM audit_head",
    );
    assert_eq!(verdict(directory.path()).await, (2, Some(21)));
}

#[tokio::test]
async fn a_log_that_was_recomputed_is_tampered_even_with_the_chains_key() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path()).await;
    // The same key, other rows, a valid chain: only the signed checkpoints tell.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(other.path().join("audit")).unwrap();
    for key in ["audit-chain.key", "audit-checkpoint.key"] {
        std::fs::copy(directory.path().join("audit").join(key), other.path().join("audit").join(key))
            .unwrap();
    }
    let store = open(other.path());
    for n in 1..=60 {
        store.append(draft(AuditKind::Read, n)).await.unwrap();
    }
    store.close().await;
    assert_eq!(verdict(other.path()).await, (0, None));
    std::fs::copy(other.path().join("quarterdeck.db"), directory.path().join("quarterdeck.db")).unwrap();
    let (code, first) = verdict(directory.path()).await;
    assert_eq!(code, 2);
    assert!(first.is_some());
}

#[tokio::test]
async fn without_checkpoints_or_with_forged_ones_the_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path()).await;
    let checkpoints = directory.path().join("audit/checkpoints.jsonl");
    let text = std::fs::read_to_string(&checkpoints).unwrap();
    let store = open(directory.path());
    let verify =
        |path: &Path| store.verify(Evidence { checkpoints: Some(path.to_owned()), ..Evidence::default() });
    let elsewhere = directory.path().join("copy.jsonl");
    assert_eq!(verify(&elsewhere).await.unwrap().finding, Finding::CheckpointMissing);
    std::fs::write(&elsewhere, &text).unwrap();
    assert_eq!(verify(&elsewhere).await.unwrap().finding, Finding::Intact);
    // A line that a killed process left unfinished is no forgery.
    std::fs::write(&elsewhere, format!("{text}{{\"seq\":60,\"he")).unwrap();
    assert_eq!(verify(&elsewhere).await.unwrap().finding, Finding::Intact);
    std::fs::write(&elsewhere, text.replacen("\"seq\":50", "\"seq\":49", 1)).unwrap();
    assert_eq!(verify(&elsewhere).await.unwrap().finding, Finding::Tampered);
    std::fs::write(&elsewhere, "nonsense\n").unwrap();
    assert_eq!(verify(&elsewhere).await.unwrap().finding, Finding::Tampered);
    assert!(verify(Path::new("/proc")).await.is_err());
}
