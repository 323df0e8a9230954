//! A k9s user's files, used by the real `qd` where they are.

use std::path::Path;

use crate::bed::pause;
use crate::console::{Console, Home};

fn write(home: &Home, name: &str, text: &str) {
    let path = home.path().join("config/k9s").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The files of someone who has used k9s for a while.
fn files(home: &Home) {
    write(home, "aliases.yaml", "aliases:\n  gb: mine shop\n  mine: v1/pods\n");
    write(
        home,
        "hotkeys.yaml",
        "hotKeys:\n  services:\n    shortCut: F6\n    description: Services here\n    command: services $NAMESPACE\n",
    );
    write(
        home,
        "plugins.yaml",
        r#"plugins:
  tell:
    shortCut: Shift-W
    description: Tell
    scopes: [po]
    command: echo
    args: [pod=$NAME, ns=$NAMESPACE, ctx=$CONTEXT, status=$COL-STATUS]
    background: true
    overwriteOutput: true
  term:
    shortCut: Ctrl-T
    description: On the terminal
    scopes: [pods]
    command: sh
    args:
      - -c
      - 'printf "here is %s\n" $NAME; read answer; echo $answer > "$HOME/answer"'
  ask:
    shortCut: Shift-Q
    description: Ask first
    scopes: [pods]
    command: echo
    args: [size=$INPUT_SIZE]
    background: true
    overwriteOutput: true
    inputs:
      - {name: size, label: New size, type: string, required: true}
  broken:
    shortCut: Hyper-Q
    description: B
    scopes: [all]
    command: b
"#,
    );
    write(
        home,
        "views.yaml",
        "views:\n  v1/pods:\n    sortColumn: NAME:asc\n    columns:\n      - NAME\n      - 'PICTURE:.spec.containers[0].image'\n      - STATUS\n",
    );
    write(
        home,
        "jumps.yaml",
        "jumps:\n  v1/services:\n    targetGVR: v1/configmaps\n    fieldSelector: 'metadata.name={{.metadata.name}}'\n",
    );
}

#[test]
fn a_k9s_users_files_hold_in_the_console() {
    let home = Home::new();
    files(&home);
    let console = Console::start(&home, None, &["lab"], 160, 40);
    console.wait("the remark about the broken plugin", 40, |s| s.contains(":k9s shows"));
    console.keys(":gb\r");
    let screen = console.wait("the alias's table with the view's column", 40, |s| {
        s.contains("pods(shop)") && s.contains("PICTURE") && s.contains("registry.shop.example/shop/")
    });
    let header = screen.lines().find(|l| l.contains("PICTURE")).unwrap();
    assert!(!header.contains("RESTARTS"), "what is not named is wide only: {header}");
    console.keys("\x17");
    console.wait("the other columns in the wide layout", 15, |s| s.contains("RESTARTS"));
    console.keys("\x17");
    console.keys("/^guestbook\r");
    console.wait("one pod's rows", 15, |s| s.contains("/^guestbook"));
    console.keys("W");
    console.wait("the output of the command as the message", 30, |s| {
        s.contains("pod=guestbook-") && s.contains("ns=shop") && s.contains("status=")
    });
    console.keys("Q");
    console.wait("the question", 15, |s| s.contains("New size"));
    console.keys("10Gi\r");
    console.wait("the confirmation with the command", 30, |s| s.contains("echo size=10Gi"));
    console.keys("y");
    console.wait("what was typed in the command", 30, |s| s.contains("size=10Gi") && !s.contains("do it"));
    console.keys("\x14");
    console.wait("the command on the terminal", 30, |s| {
        s.contains("here is guestbook-") && !s.contains("pods(")
    });
    console.keys("thanks\r");
    console
        .wait("the console again", 30, |s| s.contains("pods(shop)") && s.contains("On the terminal: done"));
    assert_eq!(std::fs::read_to_string(home.path().join("answer")).unwrap(), "thanks\n");
    console.keys("\x14");
    // The terminal still shows what the first one left there.
    console.wait("the command once more", 30, |s| s.matches("here is guestbook-").count() == 2);
    console.keys("\x03");
    console.wait("Ctrl-C ends the command and not the console", 30, |s| s.contains("ended with 130"));
    console.keys("\x1bOS");
    pause(200);
    console.keys("\x1b[17~");
    console.wait("the hotkey's table", 30, |s| s.contains("services(shop)"));
    console.keys(":k9s\r");
    console.wait("what cannot be used, with its line", 30, |s| {
        s.contains("plugins.yaml:") && s.contains("Hyper-Q")
    });
}

#[test]
fn enter_leads_where_a_jump_does() {
    let home = Home::new();
    files(&home);
    let console = Console::start(&home, None, &["lab"], 120, 30);
    console.wait("the first table", 60, |s| s.contains("pods("));
    pause(500);
    console.keys(":services shop\r");
    console.wait("services", 30, |s| s.contains("services(shop)") && s.contains("ClusterIP"));
    console.keys("\r");
    console.wait("the table that the jump leads to", 30, |s| s.contains("configmaps(services "));
}

#[test]
fn what_cannot_be_used_is_said_with_file_and_line() {
    let home = Home::new();
    files(&home);
    let output = home.qd(&["import", "k9s"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("2 aliases, 1 hotkeys, 3 plugins, 1 views, 1 jumps"), "{said}");
    assert!(said.contains("Hyper-Q") && said.contains("plugins.yaml"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("aliases.yaml"), "aliases: [").unwrap();
    let folder = elsewhere.path().display().to_string();
    let output = home.qd(&["import", "k9s", "--folder", &folder, "-o", "json"]).output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["problems"][0]["file"], format!("{}/aliases.yaml", Path::new(&folder).display()));
    assert!(value["problems"][0]["what"].as_str().unwrap().contains("not valid YAML"));
    // The shell's own variables count, also where a session answers that was started with others.
    let session = Console::start(&home, None, &["lab"], 80, 24);
    session.wait("the first table", 60, |s| s.contains("Running"));
    let output =
        home.qd(&["--session", "lab", "import", "k9s"]).env("K9S_CONFIG_DIR", &folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains(&folder) && !said.contains("2 aliases"), "{said}");
    let relative =
        home.qd(&["--session", "lab", "import", "k9s", "--folder", "."]).current_dir(&folder).output();
    let said = String::from_utf8_lossy(&relative.unwrap().stdout).into_owned();
    assert!(said.contains("aliases.yaml"), "{said}");
    let mut by_agent = home.qd(&["--session", "lab", "import", "k9s"]);
    let output = by_agent.env("QD_AGENT", "claude").env("K9S_CONFIG_DIR", &folder).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("only a person"), "{output:?}");
}

#[test]
fn a_plugin_is_an_operation_that_an_agent_may_only_propose() {
    let home = Home::new();
    files(&home);
    let console = Console::start(&home, None, &["lab"], 120, 30);
    console.wait("the first table", 60, |s| s.contains("Running"));
    let arguments = ["--session", "lab", "plugin", "run", "tell", "--name", "web-1", "-n", "shop"];
    let mut by_agent = home.qd(&[&arguments[..], &["--no-wait", "--kind", "pods"]].concat());
    let output = by_agent.env("QD_AGENT", "claude").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("approval"),
        "an agent's call waits: {said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output =
        home.qd(&[&arguments[..], &["--kind", "pods", "--column", "STATUS=Fine", "-o", "json"]].concat());
    let output = { output }.output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["output"].as_str().unwrap().trim_end(), "pod=web-1 ns=shop ctx=harbour status=Fine");
}
