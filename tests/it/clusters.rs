//! Several clusters, one of them dead, and an API server that goes away and comes back.

use std::time::Instant;

use quarterdeck::lab;

use crate::bed::{Bed, pause};
use crate::console::{Console, Home};
use crate::kubelet::json;

/// One kubeconfig file with the contexts of two beds and one where nobody listens.
fn merged(home: &Home, beds: &[&Bed]) -> std::path::PathBuf {
    let mut all = serde_json::json!({ "apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": [] });
    for bed in beds {
        let one: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&bed.kubeconfig).unwrap()).unwrap();
        for list in ["clusters", "users", "contexts"] {
            let items = one[list].as_array().unwrap().clone();
            all[list].as_array_mut().unwrap().extend(items);
        }
    }
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    all["clusters"].as_array_mut().unwrap().push(
        serde_json::json!({ "name": "dead", "cluster": { "server": format!("https://{dead}"), "insecure-skip-tls-verify": true } }),
    );
    all["users"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({ "name": "dead", "user": { "token": "x" } }));
    all["contexts"]
        .as_array_mut()
        .unwrap()
        .push(serde_json::json!({ "name": "dead", "context": { "cluster": "dead", "user": "dead" } }));
    all["current-context"] = beds[0].context.clone().into();
    let path = home.path().join("kubeconfig");
    std::fs::write(&path, all.to_string()).unwrap();
    path
}

#[test]
fn two_clusters_are_live_and_a_dead_one_is_a_row_with_its_reason() {
    let (small, home) = (Bed::shared(), Home::new());
    let large = Bed::up("large", &["--scale", "--nodes", "4"]);
    large.command("pods 2000");
    let kubeconfig = merged(&home, &[small, &large]);
    small.namespace("clusters");
    small.kubectl(&["create", "deployment", "web", "--image=x", "--replicas=2", "-n", "clusters"], None);

    let console = Console::start(&home, Some(&kubeconfig), &["contexts"], 200, 50);
    console.wait("dead cluster's reason", 20, |s| {
        s.lines().any(|l| l.contains("dead") && l.contains("connection refus"))
    });
    console.wait("both live clusters", 20, |s| {
        ["shared", "large"].iter().all(|name| s.lines().any(|l| l.contains(name) && l.contains("1.36")))
    });
    console.keys(":pods all @large\r");
    console.wait("all pods of the large cluster", 20, |s| s.contains("pods(all)[2,000]"));
    console.keys(":pods clusters @shared\r");
    console.wait("pods of the small cluster", 20, |s| s.contains("pods(clusters)[2]"));

    // A pod that kubectl makes comes by the watch.
    let began = Instant::now();
    small.kubectl(&["run", "late", "--image=x", "-n", "clusters"], None);
    console.wait("pod that was just made", 10, |s| s.contains("pods(clusters)[3]") && s.contains("late"));
    println!("seen {:?} after kubectl was started", began.elapsed());
}

/// Contexts that come while a table over `all` is open are in it, and those that go are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_over_all_takes_in_the_contexts_that_come_later() {
    let home = Home::new();
    let options = lab::Options {
        clusters: ["one", "two", "three"].map(str::to_owned).into(),
        dead: String::new(),
        live: false,
        pods: 30,
        directory: Some(home.path().to_owned()),
        ..lab::Options::default()
    };
    let lab = lab::start(options).await.unwrap();
    let whole: serde_json::Value = serde_yaml_ng::from_str(&lab.kubeconfig()).unwrap();
    let path = home.path().join("contexts");
    let write = |names: &[&str]| {
        let mut some = whole.clone();
        some["contexts"]
            .as_array_mut()
            .unwrap()
            .retain(|context| names.iter().any(|name| context["name"] == *name));
        some["current-context"] = names[0].into();
        std::fs::write(&path, some.to_string()).unwrap();
    };
    write(&["one", "two"]);
    tokio::task::block_in_place(|| {
        let console = Console::start(&home, Some(&path), &["namespaces"], 160, 50);
        console.wait("the namespaces of one", 30, |s| s.contains("namespaces") && s.contains("shop"));
        console.keys(":namespaces @all\r");
        let row = |s: &str, cluster: &str| {
            s.lines().any(|l| l.split([' ', '│']).any(|word| word == cluster) && l.contains("shop"))
        };
        console.wait("those of both", 30, |s| row(s, "one") && row(s, "two"));
        console.keys("/shop-staging\r");
        console.wait("one row of each", 15, |s| s.contains("[2/"));
        write(&["one", "two", "three"]);
        console
            .wait("the third", 30, |s| s.contains("[3/") && row(s, "three") && s.contains("/shop-staging"));
        write(&["one", "three"]);
        console.wait("the second is gone", 30, |s| s.contains("[2/") && row(s, "three") && !row(s, "two"));
        // Named one by one, they stay these.
        console.keys(":namespaces @one,three\r");
        pause(500);
        console.keys("/shop-staging\r");
        console.wait("the two that were named", 15, |s| s.contains("[2/") && row(s, "three"));
        write(&["one", "two", "three"]);
        console.keys(":ctx\r");
        console.wait("that there are three, of which two are in view", 30, |s| {
            s.contains("[3]") && s.contains("two") && s.contains("one, three ▸")
        });
    });
}

#[test]
fn an_api_server_that_comes_back_loses_and_doubles_no_row() {
    let home = Home::new();
    let bed = Bed::up("restart", &["--scale"]);
    bed.command("pods 300");
    let console = Console::start(&home, Some(&bed.kubeconfig), &["pods", "-A"], 160, 40);
    console.wait("all pods", 20, |s| s.contains("pods(all)[300]"));
    bed.command("kill apiserver");
    // It says so, and keeps what it had.
    let screen = console.wait("word about the lost connection", 20, |s| s.contains("reconnecting"));
    assert!(screen.contains("[300]"), "the rows stay:\n{screen}");
    bed.command("start apiserver");
    bed.kubectl(&["delete", "pod", "web-000007", "--grace-period=0", "--force", "-n", "default"], None);
    bed.command("pods 1 300");
    console.wait("live table", 40, |s| s.contains("pods(all)[300]") && !s.contains("reconnecting"));
    console.keys("/web-000007\r");
    console.wait("deleted pod's absence", 10, |s| s.contains("[0/300]"));
    // The session's own rows, as an agent or a script gets them.
    let page = json(&bed, &home, &["pod", "list", "-A"]);
    assert_eq!(page["total"], 300, "{page}");
    console.keys("\x1b");
    // Esc and a key at once would be Alt and that key.
    pause(400);
    console.keys("/web-000300\r");
    console.wait("pod made meanwhile, once", 10, |s| s.contains("[1/300]"));
}

#[test]
fn without_a_kubeconfig_the_screen_says_what_to_do() {
    let home = Home::new();
    let console = Console::start(&home, None, &[], 80, 24);
    console.wait("word about the kubeconfig", 10, |s| s.to_lowercase().contains("kubeconfig"));
    pause(200);
    console.keys(":q\r");
}

#[test]
fn a_wrong_token_is_said_with_the_next_step() {
    let (bed, home) = (Bed::shared(), Home::new());
    let text = std::fs::read_to_string(&bed.kubeconfig).unwrap().replace("admintoken", "wrongtoken");
    let path = home.path().join("kubeconfig");
    std::fs::write(&path, text).unwrap();
    let console = Console::start(&home, Some(&path), &["pods", "-A"], 100, 30);
    console.wait("refused token", 15, |s| s.contains("401") && s.contains("Log in again"));
    let output = home.qd(&["pod", "list", "-A"]).env("KUBECONFIG", &path).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("401") && said.contains("Log in again, or mend the context's user"), "{said}");
}
