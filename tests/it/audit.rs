//! The audit log through the real binary: on a disk that is full or read-only, and checked on copies that someone
//! has tampered with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::console::{Console, Home};
use crate::http::Endpoint;

/// A disk of a few MiB of its own, where a home keeps its state. Unmounted when dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn under(home: &Home, size: &str) -> Self {
        let disk = Self { path: home.path().join("state") };
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(&self.path).status().unwrap();
        assert!(status.success(), "mount {arguments:?}: this test needs root");
    }

    /// Takes what space is left.
    fn fill(&self) {
        use std::io::Write as _;
        let mut filler = std::fs::File::create(self.path.join("filler")).unwrap();
        for block in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![0u8; block]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Runs a command in the session `lab`: exit code, stdout, stderr.
fn qd(home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let output = home.qd(arguments).args(["--session", "lab"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// What every door does while the log cannot be written, and once it can be again.
fn outage(home: &Home, console: &Console, begin: impl FnOnce(), end: impl FnOnce(), banner: &str) {
    let http = Endpoint::of(home, "session-lab.json");
    let mut agent = Agent::join(home, "lab", "claude", "auto");
    assert_eq!(qd(home, &["grant", "revoke", "--all"]).0, 0);
    begin();
    // What is left of the write-ahead log's last page may still take a row or two.
    let refused = (0..200).find_map(|_| {
        let (status, body) = http.ask("POST", "/v1/grants/revoke", r#"{"all":true}"#);
        (status != 200).then_some((status, body))
    });
    let (status, body) = refused.expect("a refusal");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("audit_unavailable") && body.contains("nothing was changed"), "{body}");
    let (code, _, said) = qd(home, &["grant", "revoke", "--all"]);
    assert_eq!(code, 13, "{said}");
    assert!(said.contains("the audit log cannot be written"), "{said}");
    let asks = json!({ "cluster": "harbour", "namespace": "monitoring", "name": "grafana", "replicas": 2, "reason": "r" });
    let answer = agent.once("deployment_scale", asks, None);
    assert_eq!(answer["content"]["error"]["code"], "audit_unavailable", "{answer}");

    // The screen says so in red, with what to do; a screen that joins now says it too.
    let screen = console.wait("banner", 10, |s| s.contains("changes are refused"));
    assert!(screen.contains(banner), "{screen}");
    let red = match console.background("changes are refused").unwrap() {
        vt100::Color::Rgb(r, g, b) => r > g && r > b,
        // The cube of 6 × 6 × 6 colours.
        vt100::Color::Idx(i @ 16..=231) => (i - 16) / 36 > (i - 16) / 6 % 6 && (i - 16) / 36 > (i - 16) % 6,
        other => other == vt100::Color::Idx(1),
    };
    assert!(red, "the banner is not red");
    let joined = Console::start(home, None, &["--session", "lab"], 80, 24);
    joined.wait("banner at 80 columns", 20, |s| s.contains("changes are refused") && s.contains(banner));
    drop(joined);

    // Reads go on at every door.
    assert_eq!(http.ask("GET", "/v1/pods?namespace=monitoring", "").0, 200);
    assert_eq!(qd(home, &["pod", "list", "-n", "monitoring"]).0, 0);
    assert_eq!(qd(home, &["audit", "list"]).0, 0);
    let answer = agent.once("pod_list", json!({ "namespace": "monitoring" }), None);
    assert_eq!(answer["is_error"], false, "{answer}");
    console.keys(":deployments\r");
    console.wait("another table", 10, |s| s.contains("deployments("));

    end();
    console.wait("end of the banner", 10, |s| !s.contains("changes are refused"));
    let (code, _, said) = qd(home, &["grant", "revoke", "--all"]);
    assert_eq!(code, 0, "{said}");
    let (code, verdict, said) = qd(home, &["audit", "verify"]);
    assert_eq!(code, 0, "{verdict} {said}");
    let (_, gaps, _) = qd(home, &["audit", "list", "--kind", "gap", "--details", "-o", "json"]);
    let gaps: Value = serde_json::from_str(&gaps).unwrap();
    assert!(gaps["rows"][0]["detail"]["lost_reads"].as_u64().is_some_and(|n| n >= 3), "{gaps}");
}

fn lab(home: &Home) -> Console {
    let console = Console::start(home, None, &["lab"], 200, 60);
    console.wait("table of pods", 20, |s| s.contains("pods(") && s.contains("Running"));
    console
}

#[test]
fn a_full_disk_refuses_changes_and_nothing_else_until_there_is_space() {
    let home = Home::new();
    let disk = Disk::under(&home, "3m");
    let console = lab(&home);
    outage(&home, &console, || disk.fill(), || disk.free(), "disk is full: free space");
}

/// A file system that the system has made read-only under a running process answers each write with an error, as an
/// immutable file does. (A plain remount is not possible while files on it are open for writing.)
#[test]
fn a_database_that_becomes_read_only_refuses_changes_and_nothing_else() {
    let home = Home::new();
    let console = lab(&home);
    let chattr = |how: &str| {
        for file in ["quarterdeck.db", "quarterdeck.db-wal"] {
            let path = home.state().join("lab").join(file);
            let status = Command::new("chattr").arg(how).arg(&path).status().unwrap();
            assert!(
                status.success(),
                "chattr {how} {}: this test needs root and ext4 or xfs",
                path.display()
            );
        }
    };
    outage(&home, &console, || chattr("+i"), || chattr("-i"), "audit database's disk fails: see dmesg");
}

#[test]
fn on_a_read_only_disk_it_starts_reads_and_goes_on_once_it_can_write() {
    let home = Home::new();
    let disk = Disk::under(&home, "8m");
    drop(lab_until_quit(&home));
    disk.mount(&["-o", "remount,ro"]);
    let console = lab(&home);
    console.wait("banner", 10, |s| {
        s.contains("changes are refused: the audit database is read-only: make it writable")
    });
    assert_eq!(qd(&home, &["grant", "revoke", "--all"]).0, 13);
    assert_eq!(qd(&home, &["pod", "list", "-n", "monitoring"]).0, 0);
    assert_eq!(qd(&home, &["audit", "verify"]).0, 0);
    disk.mount(&["-o", "remount,rw"]);
    console.wait("end of the banner", 10, |s| !s.contains("changes are refused"));
    assert_eq!(qd(&home, &["grant", "revoke", "--all"]).0, 0);
    assert_eq!(qd(&home, &["audit", "verify"]).0, 0);
}

/// A session that has ended as it should, with its log closed.
fn lab_until_quit(home: &Home) -> Console {
    let mut console = lab(home);
    console.keys(":q\r");
    assert!(console.ended(10));
    console
}

/// A state directory with a log of some rows, its checkpoints and keys.
fn written(home: &Home) -> PathBuf {
    for _ in 0..6 {
        let status =
            home.qd(&["operation", "list", "-o", "json"]).stdout(std::process::Stdio::null()).status();
        assert!(status.unwrap().success());
    }
    home.state()
}

fn copied(state: &Path, name: &str) -> PathBuf {
    let copy = state.parent().unwrap().join(name);
    let status = Command::new("cp").arg("-a").arg(state).arg(&copy).status().unwrap();
    assert!(status.success());
    copy
}

/// Runs `qd audit verify` with these arguments: exit code and verdict.
fn verify(home: &Home, arguments: &[&str]) -> (i32, Value, String) {
    let output = home.qd(&["audit", "verify", "-o", "json"]).args(arguments).output().unwrap();
    let verdict = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), verdict, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn verify_names_what_was_done_to_a_log_by_its_exit_code() {
    let home = Home::new();
    let state = written(&home);
    let (code, verdict, said) = verify(&home, &[]);
    assert_eq!((code, &verdict["finding"]), (0, &json!("intact")), "{said}");
    let rows = verdict["rows"].as_u64().unwrap();
    assert!(rows >= 12, "{verdict}");

    let tampered = [
        ("UPDATE audit SET actor = 'person:eve' WHERE seq = 5", 2, "tampered", "edited", 5),
        ("DELETE FROM audit WHERE seq = 7", 2, "tampered", "deleted", 7),
        ("UPDATE audit SET seq = 1000 WHERE seq = 4", 2, "tampered", "deleted", 4),
        ("DELETE FROM audit WHERE seq > 6", 3, "truncated", "truncated", 7),
        ("DELETE FROM audit WHERE seq > 6; DELETE FROM audit_head", 3, "truncated", "truncated", 7),
    ];
    for (i, (sql, exit, finding, fault, row)) in tampered.into_iter().enumerate() {
        let copy = copied(&state, &format!("copy-{i}"));
        rusqlite::Connection::open(copy.join("quarterdeck.db")).unwrap().execute_batch(sql).unwrap();
        let path = copy.to_str().unwrap();
        let (code, verdict, said) = verify(&home, &["--database", path]);
        assert_eq!(code, exit, "{sql}: {verdict} {said}");
        let found = (&verdict["finding"], &verdict["fault"], &verdict["first_bad"]);
        assert_eq!(found, (&json!(finding), &json!(fault), &json!(row)), "{sql}: {verdict}");
    }

    // The own log, in its place: the same, and the session that finds it goes on.
    rusqlite::Connection::open(state.join("quarterdeck.db"))
        .unwrap()
        .execute_batch("UPDATE audit SET target = 'elsewhere' WHERE seq = 3")
        .unwrap();
    let (code, verdict, _) = verify(&home, &[]);
    assert_eq!((code, &verdict["first_bad"]), (2, &json!(3)), "{verdict}");
}

#[test]
fn verify_takes_someone_elses_copy_and_says_plainly_what_is_missing() {
    let home = Home::new();
    let state = written(&home);
    let there = copied(&state, "there");
    let audit = |file: &str| there.join("audit").join(file).to_str().unwrap().to_owned();
    let (database, checkpoints) = (there.join("quarterdeck.db"), audit("checkpoints.jsonl"));
    let alone = home.path().join("alone.db");
    std::fs::copy(&database, &alone).unwrap();
    let alone = alone.to_str().unwrap();

    // Someone else, who has a log of their own.
    let other = Home::new();
    written(&other);
    let keys = audit("");
    let whole = ["--database", alone, "--checkpoint", &checkpoints, "--keys", &keys];
    let (code, verdict, said) = verify(&other, &whole);
    assert_eq!((code, &verdict["finding"]), (0, &json!("intact")), "{verdict} {said}");
    assert_eq!(
        (&verdict["database"], &verdict["checkpoint"], &verdict["keys"]),
        (&json!(alone), &json!(checkpoints), &json!(keys))
    );
    let (code, verdict, _) = verify(&other, &["--database", there.to_str().unwrap()]);
    assert_eq!(code, 0, "a whole directory brings all");
    assert_eq!(verdict["keys"], json!(there.join("audit")));
    // In words, too; the own log's are said where nothing is named.
    let output = other.qd(&["audit", "verify"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let own = other.state().join("audit");
    assert!(said.contains(own.to_str().unwrap()) && said.contains("checkpoints.jsonl"), "{said}");
    // Beside no checkpoints: nothing says how long it was.
    let (code, verdict, _) = verify(&other, &["--database", alone, "--keys", &keys]);
    assert_eq!((code, &verdict["finding"]), (4, &json!("checkpoint_missing")), "{verdict}");
    // A path is the caller's, also when a session elsewhere answers.
    let output = other
        .qd(&["audit", "verify", "--database", "alone.db", "--checkpoint", &checkpoints, "--keys", &keys])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    for (arguments, note) in [
        (
            &["--database", alone, "--checkpoint", &checkpoints][..],
            "neither a row nor a checkpoint was written with these keys",
        ),
        (&["--database", alone, "--keys", "/nonexistent"], "audit-chain.key"),
        (&["--database", "/nonexistent.db"], "/nonexistent.db"),
        (&["--database", &checkpoints], "checkpoints.jsonl"),
    ] {
        let (code, verdict, said) = verify(&other, arguments);
        assert_eq!(code, 1, "{arguments:?}: {verdict} {said}");
        assert!(
            verdict["note"].as_str().is_some_and(|n| n.contains("could not run") && n.contains(note)),
            "{verdict}"
        );
    }
    // Nothing was written beside the copy.
    let beside: Vec<_> = std::fs::read_dir(&there).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!beside.iter().any(|n| n.to_string_lossy().ends_with("-wal")), "{beside:?}");

    // A mistake in the command is no finding.
    let output = other.qd(&["audit", "verify", "--chekpoint", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let help = other.qd(&["audit", "verify", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for part in
        ["Exit codes:", "0  intact", "1  could not run", "2  tampered", "3  truncated", "4  no checkpoint"]
    {
        assert!(help.contains(part), "no {part:?} in {help}");
    }
    // The own database without its key: it says which file, and what to do.
    std::fs::remove_file(other.state().join("audit/audit-chain.key")).unwrap();
    let output = other.qd(&["audit", "verify"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("audit-chain.key") && said.contains("backup"), "{said}");
}
