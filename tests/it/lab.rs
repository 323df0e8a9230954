//! `qd lab`, as a newcomer meets it: the practice fleet in a real terminal.

use crate::bed::pause;
use crate::console::{Console, Home};

fn open(columns: u16, rows: u16) -> (Home, Console) {
    let home = Home::new();
    let console = Console::start(&home, None, &["lab"], columns, rows);
    console.wait("table of pods", 10, |s| s.contains("pods(") && s.contains("Running"));
    (home, console)
}

/// The keys that the key bar shows, as bytes to send.
fn bar(screen: &str) -> Vec<(String, String)> {
    let line = screen.lines().last().unwrap_or_default();
    line.split("  ")
        .filter_map(|item| item.trim().split_once(' '))
        .map(|(key, what)| {
            let bytes = match key {
                "⏎" => "\r".to_owned(),
                "esc" => "\x1b".to_owned(),
                "space" => " ".to_owned(),
                "F2" => "\x1bOQ".to_owned(),
                "F3" => "\x1bOR".to_owned(),
                "F4" => "\x1bOS".to_owned(),
                key if key.starts_with('^') => {
                    let letter = key.as_bytes()[1];
                    char::from(letter & 0x1f).to_string()
                }
                key => key.to_owned(),
            };
            (bytes, format!("{key} {what}"))
        })
        .collect()
}

#[test]
fn every_key_of_the_key_bar_works_at_both_sizes() {
    for (columns, rows) in [(80, 24), (200, 60)] {
        let (_home, console) = open(columns, rows);
        let start = console.screen();
        let keys = bar(&start);
        assert!(keys.len() >= 6, "a key bar with too few keys:\n{start}");
        assert!(start.lines().last().unwrap().contains("? help"), "{start}");
        for (bytes, name) in keys {
            let before = console.screen();
            console.keys(&bytes);
            let after = console.wait(&format!("effect of {name:?} at {columns}x{rows}"), 10, |s| s != before);
            assert!(!after.contains("panicked") && !after.contains("does nothing here"), "{name}: {after}");
            // Back to the table, by as many steps as it takes.
            for _ in 0..6 {
                if console.screen().contains("pods(") && !console.screen().contains("esc close") {
                    break;
                }
                console.keys("\x1b");
                pause(250);
            }
            console.wait(&format!("way back from {name:?}"), 5, |s| s.contains("pods("));
            console.keys("\x1b");
            pause(150);
        }
    }
}

#[test]
fn every_key_of_the_key_bar_works_where_a_pod_is_read() {
    let (_home, console) = open(120, 40);
    for view in ["y", "d", "l"] {
        console.keys(view);
        console.wait(&format!("{view} of a pod"), 10, |s| !s.contains("pods("));
        let title =
            |s: &str| s.lines().nth(1).unwrap_or_default().split('(').next().unwrap_or_default().to_owned();
        let here = title(&console.screen());
        for (bytes, name) in bar(&console.screen()) {
            if console.screen().contains("pods(") {
                console.keys(view);
                console.wait(&format!("{view} again"), 10, |s| title(s) == here);
            }
            console.keys(&bytes);
            pause(400);
            let after = console.screen();
            assert!(!after.contains("does nothing here"), "{name} in {here}: {after}");
            for _ in 0..6 {
                let screen = console.screen();
                if screen.contains("pods(") || title(&screen) == here && !screen.contains("esc ") {
                    break;
                }
                console.keys("\x1b");
                pause(250);
            }
        }
        for _ in 0..4 {
            if console.screen().contains("pods(") {
                break;
            }
            console.keys("\x1b");
            pause(250);
        }
        console.wait("the table", 10, |s| s.contains("pods("));
    }
}

#[test]
fn a_filter_after_a_selector_looks_at_every_row() {
    let (_home, console) = open(120, 40);
    console.keys(":po all\r");
    console.wait("all pods", 10, |s| s.contains("pods(all)[") && s.contains("Running"));
    console.keys("/-l app=api\r");
    console.wait("the selected ones", 10, |s| s.contains("/-l app=api") && s.contains("Running"));
    console.keys("\x1b");
    console.wait("all pods again", 10, |s| !s.contains("app=api") && s.contains("Running"));
    console.keys("/cart\r");
    console.wait("others", 10, |s| s.contains("/cart") && s.contains("cart-"));
    console.keys("\x1b");
}

#[test]
fn a_pod_opens_into_its_containers_and_a_container_into_its_log() {
    let (_home, console) = open(120, 40);
    console.keys(":pods shop\r");
    pause(500);
    console.keys("/^guestbook\r");
    console.wait("the pod", 10, |s| s.contains("guestbook-"));
    console.keys("\r");
    let screen = console
        .wait("its containers", 10, |s| s.contains("containers(shop/guestbook-") && s.contains("Running"));
    assert!(screen.contains("STATE") && screen.contains("RESTARTS"), "{screen}");
    console.keys("\r");
    console
        .wait("the container's log", 15, |s| s.contains("logs(shop/guestbook-") && s.contains(":guestbook)"));
}

#[test]
fn a_read_only_session_shows_everything_and_changes_nothing() {
    let home = Home::new();
    let console = Console::start(&home, None, &["lab", "--readonly"], 120, 40);
    let screen = console.wait("table of pods", 10, |s| s.contains("pods(") && s.contains("Running"));
    assert!(screen.contains("[RO]") && !screen.contains("^d delete"), "{screen}");
    console.keys("\x04");
    console.wait("the refusal", 5, |s| s.contains("read-only") && s.contains("--readonly"));
    let change = ["--session", "lab", "deployment", "scale", "worker", "--replicas", "3", "-n", "data"];
    let output = home.qd(&change).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("read-only"), "{said}");
    let read =
        home.qd(&["--session", "lab", "resource", "list", "deployments", "-n", "data"]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn logs_stream() {
    let (_home, console) = open(120, 40);
    console.keys("/storefront|web|api\r");
    pause(500);
    console.keys("l");
    let first = console.wait("log lines", 15, |s| s.contains("logs"));
    console.wait("more lines than at first", 20, |s| s != first);
}

#[test]
fn what_is_hostile_reaches_the_terminal_as_text() {
    let (_home, console) = open(200, 60);
    console.keys(":pods all\r");
    pause(500);
    console.keys("/guestbook\r");
    console.wait("pod with harmful text", 10, |s| s.contains("guestbook-") && s.contains("/guestbook"));
    console.keys("l");
    console.wait("its log", 15, |s| s.contains('␛'));
    console.keys("\x1b");
    pause(300);
    console.keys("y");
    console.wait("its manifest", 10, |s| s.contains("kind"));
    console.keys("\x1b");
    pause(300);
    console.keys("d");
    console.wait("its description", 10, |s| s.contains("Node:"));
    let raw = console.raw();
    for (what, bytes) in [
        ("a clipboard sequence (OSC 52)", &b"\x1b]52"[..]),
        ("a title sequence (OSC 0) of the pod", b"\x1b]0;"),
        ("a C1 control sequence introducer", "\u{9b}".as_bytes()),
        ("a right-to-left override", "\u{202e}".as_bytes()),
    ] {
        let found = memchr::memmem::find(&raw, bytes);
        // The console sets its own title once, which is "qd".
        let own = what.contains("title") && found.is_some_and(|at| raw[at..].starts_with(b"\x1b]0;qd\x07"));
        assert!(found.is_none() || own, "{what} reached the terminal");
    }
}

#[test]
fn it_leaves_the_terminal_as_it_was() {
    let (_home, mut console) = open(80, 24);
    console.keys(":q\r");
    assert!(console.ended(10), "qd ended with an error");
    let raw = console.raw();
    let end = String::from_utf8_lossy(&raw[raw.len().saturating_sub(300)..]).into_owned();
    assert!(end.contains("\x1b[?1049l"), "the alternate screen is left: {end:?}");
    assert!(end.contains("\x1b[?25h"), "the cursor is shown: {end:?}");
}
