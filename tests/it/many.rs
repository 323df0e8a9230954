//! One table over twenty clusters, of which one swallows what it is sent and one cannot be reached: nobody waits for them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quarterdeck::lab::{self, Lab};
use serde_json::{Value, json};

use crate::bed::{Bed, pause, wait_until};
use crate::console::{Console, Home};
use crate::kubelet::json;

/// Sixteen servers in this process, two real ones, and two that do not answer.
struct Fleet {
    home: Home,
    _lab: Lab,
    second: Bed,
    kubeconfig: PathBuf,
    _hole: TcpListener,
    _full: (tokio::net::TcpListener, Vec<TcpStream>),
    _runtime: tokio::runtime::Runtime,
}

impl Fleet {
    fn start(name: &str) -> Self {
        let (home, second) = (Home::new(), Bed::up(name, &["--scale"]));
        second.command("pods 100");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = lab::Options {
            clusters: (1..=16).map(|n| format!("edge-{n:02}")).collect(),
            dead: String::new(),
            live: false,
            pods: 50,
            directory: Some(home.path().to_owned()),
            ..lab::Options::default()
        };
        let lab = runtime.block_on(lab::start(options)).unwrap();
        // It takes connections, and says nothing on them.
        let hole = TcpListener::bind("127.0.0.1:0").unwrap();
        let full = runtime.block_on(async { full() });
        let mut all: Value = serde_yaml_ng::from_str(&lab.kubeconfig()).unwrap();
        for bed in [Bed::shared(), &second] {
            let one: Value = serde_json::from_slice(&std::fs::read(&bed.kubeconfig).unwrap()).unwrap();
            for list in ["clusters", "users"] {
                all[list].as_array_mut().unwrap().extend(one[list].as_array().unwrap().clone());
            }
            let context = one["contexts"].as_array().unwrap().iter().find(|c| c["name"] == *bed.context);
            all["contexts"].as_array_mut().unwrap().push(context.unwrap().clone());
        }
        for (name, address) in
            [("hole", hole.local_addr().unwrap()), ("silent", full.0.local_addr().unwrap())]
        {
            add(&mut all, name, address);
        }
        all["current-context"] = json!("shared");
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, all.to_string()).unwrap();
        Self { home, _lab: lab, second, kubeconfig, _hole: hole, _full: full, _runtime: runtime }
    }

    /// The port of each context's server.
    fn ports(&self) -> BTreeMap<String, u16> {
        let all: Value = serde_json::from_slice(&std::fs::read(&self.kubeconfig).unwrap()).unwrap();
        let server = |name: &str| {
            let found = all["clusters"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
            let server = found["cluster"]["server"].as_str().unwrap().to_owned();
            server.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap()
        };
        let contexts = all["contexts"].as_array().unwrap().iter();
        contexts
            .map(|c| {
                (c["name"].as_str().unwrap().to_owned(), server(c["context"]["cluster"].as_str().unwrap()))
            })
            .collect()
    }
}

/// A listener whose queue is full: what comes now is dropped on the way, as by a firewall.
fn full() -> (tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    (listener, waiting)
}

fn add(all: &mut Value, name: &str, address: SocketAddr) {
    let cluster = json!({ "server": format!("https://{address}"), "insecure-skip-tls-verify": true });
    let mut push = |list: &str, item: Value| all[list].as_array_mut().unwrap().push(item);
    push("clusters", json!({ "name": name, "cluster": cluster }));
    push("users", json!({ "name": name, "user": { "token": "x" } }));
    push("contexts", json!({ "name": name, "context": { "cluster": name, "user": name } }));
}

/// How many connections a process has to each of the ports, as the kernel lists them (`/proc/net/tcp`).
fn sockets(pid: u32, ports: &BTreeMap<String, u16>) -> BTreeMap<String, usize> {
    let own: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut counts: BTreeMap<String, usize> = ports.keys().map(|name| (name.clone(), 0)).collect();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 01 is ESTABLISHED.
        if fields[3] != "01" || !own.iter().any(|inode| inode == fields[9]) {
            continue;
        }
        let port = u16::from_str_radix(fields[2].rsplit(':').next().unwrap(), 16).unwrap();
        if let Some((name, _)) = ports.iter().find(|(_, p)| **p == port) {
            *counts.get_mut(name).unwrap() += 1;
        }
    }
    counts
}

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn open(fleet: &Fleet, contexts: &str) -> (Console, Instant) {
    let began = Instant::now();
    let console =
        Console::start(&fleet.home, Some(&fleet.kubeconfig), &["pods", "-A", "--context", contexts], 200, 60);
    (console, began)
}

fn leave(mut console: Console) {
    console.keys(":q!\r");
    console.ended(20);
}

#[test]
fn twenty_clusters_are_one_table_and_nobody_waits_for_the_two_that_are_dead() {
    let fleet = Fleet::start("second");
    let shared = Bed::shared();
    for bed in [shared, &fleet.second] {
        bed.kubectl(&["create", "namespace", "twin"], None);
    }

    // The living alone, and then all of them.
    let (console, began) = open(&fleet, "edge-*,shared,second");
    console
        .wait("all that live", 60, |s| s.contains("@edge-*,shared,second ──") && s.contains("18 clusters ▸"));
    let alone = began.elapsed();
    leave(console);
    let (console, began) = open(&fleet, "all");
    let screen = console.wait("all that live", 60, |s| s.contains("18 of 20 live"));
    let among = began.elapsed();
    println!("18 clusters live after {alone:?}; with two dead ones among them after {among:?}");
    assert!(among < alone + Duration::from_secs(5), "they waited: {alone:?} alone, {among:?} with the dead");
    for dead in ["hole", "silent"] {
        let line =
            screen.lines().find(|l| l.contains(dead)).unwrap_or_else(|| panic!("no {dead}:\n{screen}"));
        assert!(line.contains("no answer yet") || line.contains("trying again"), "{line}");
    }
    assert!(screen.contains("@all 18 of 20 live") && screen.contains("CLUSTER↑"), "{screen}");

    // Sockets and memory.
    let ports = fleet.ports();
    let mut open = BTreeMap::new();
    let one_each = |open: &BTreeMap<String, usize>| {
        open.iter().all(|(name, n)| *n == 1 || matches!(name.as_str(), "hole" | "silent"))
    };
    for _ in 0..600 {
        open = sockets(console.pid(), &ports);
        if one_each(&open) {
            break;
        }
        pause(100);
    }
    assert!(one_each(&open), "more than one connection: {open:?}");
    let held = json(shared, &fleet.home, &["cluster", "list", "--cluster", "all", "--offline"]);
    let column = |name: &str| held["columns"].as_array().unwrap().iter().position(|c| c == name).unwrap();
    let columns = ["NAME", "SOCKETS", "WATCHES", "ROWS", "MEMORY"].map(column);
    for row in held["rows"].as_array().unwrap() {
        println!("{:?}", columns.map(|at| row[at].as_str().unwrap().to_owned()));
        let sockets = row[columns[1]].as_str().unwrap();
        assert_eq!(
            sockets,
            if matches!(row[0].as_str(), Some("hole" | "silent")) { "0" } else { "1" },
            "{row}"
        );
    }
    println!("resident: {} KiB", resident(console.pid()));

    // A cluster that has no such kind says so beside the rows of one that has.
    let arguments = ["resource", "list", "certificates.cert-manager.io", "-A", "--cluster", "edge-01,shared"];
    let page = json(shared, &fleet.home, &arguments);
    assert!(page["total"].as_u64().unwrap() > 0 && page["lacking"][0]["cluster"] == "shared", "{page}");
    assert!(page["lacking"][0]["reason"].as_str().unwrap().contains("certificates"), "{page}");

    // Rows of one name in two clusters are two rows, and each is its own cluster's.
    for (bed, image) in [(shared, "here"), (&fleet.second, "there")] {
        let manifest = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: same, namespace: twin}}, spec: {{nodeName: none, containers: [{{name: a, image: {image}}}]}}}}"
        );
        wait_until(20, "pod", || {
            std::panic::catch_unwind(|| {
                bed.kubectl(&["apply", "--validate=false", "-f", "-"], Some(&manifest))
            })
            .is_ok()
        });
    }
    console.keys("/name~^same$\r");
    console.wait("both", 20, |s| s.contains("[2/") && s.matches(" twin ").count() == 2);
    console.keys("y");
    console.wait("the first's manifest", 20, |s| s.contains("image: there"));
    console.keys("\x1b");
    console.wait("the table", 10, |s| s.contains("pods(all)"));
    console.keys("jy");
    console.wait("the second's manifest", 20, |s| s.contains("image: here"));
    console.keys("\x1b");
    console.wait("the table", 10, |s| s.contains("pods(all)"));
    // One batch in both clusters.
    console.keys("k j ");
    console.keys("\x04");
    console.wait("the question", 20, |s| {
        s.contains("second/twin/pod/same") && s.contains("shared/twin/pod/same")
    });
    console.keys("\x1b");
    pause(400);
    leave(console);
}

#[test]
fn a_cluster_that_dies_is_stale_by_name_while_the_others_go_on() {
    let fleet = Fleet::start("third");
    let shared = Bed::shared();
    shared.namespace("goes-on");
    let (console, _) = open(&fleet, "all");
    console.wait("all that live", 60, |s| s.contains("18 of 20 live"));
    console.keys("/web-00000|goes-on\r");
    console.wait("rows of the third", 20, |s| s.contains("[10/") && s.contains("web-000007"));
    fleet.second.command("kill apiserver");
    let screen = console.wait("word of what is old", 30, |s| {
        s.contains("17 of 20 live") && s.lines().any(|l| l.contains("~ third") && l.contains("stale since"))
    });
    let row = screen.lines().find(|l| l.contains("web-000007")).unwrap();
    assert!(row.contains("web-000007 ~"), "the row is marked: {row}");
    // The others go on meanwhile.
    shared.kubectl(&["run", "late", "--image=x", "-n", "goes-on"], None);
    console.wait("pod of a living cluster", 20, |s| s.contains("[11/"));
    let page = json(shared, &fleet.home, &["pod", "list", "-A", "--cluster", "third,shared,hole"]);
    assert_eq!(page["sources"], 3, "{page}");
    let state = |name: &str| {
        let lacking = page["lacking"].as_array().unwrap().iter();
        lacking.clone().find(|l| l["cluster"] == name).map(|l| l["state"].as_str().unwrap().to_owned())
    };
    assert_eq!((state("third").as_deref(), state("shared")), (Some("stale"), None), "{page}");
    assert!(state("hole").is_some(), "{page}");
    assert!(page["rows"].as_array().unwrap().iter().any(|r| r[0] == "third" || r[0] == "shared"));
    fleet.second.command("start apiserver");
    fleet
        .second
        .kubectl(&["delete", "pod", "web-000007", "--grace-period=0", "--force", "-n", "default"], None);
    console.wait("the third live again", 60, |s| {
        s.contains("18 of 20 live") && !s.contains("web-000007") && s.contains("[10/")
    });
    assert!(!console.screen().contains(" ~ "), "{}", console.screen());
    leave(console);
}

#[test]
fn pulses_trees_and_searches_are_of_all_clusters_and_wait_for_no_dead_one() {
    let fleet = Fleet::start("fourth");
    let (console, _) = open(&fleet, "all");
    console.wait("all that live", 60, |s| s.contains("18 of 20 live"));
    // On a busy machine one of sixteen servers in this process may be late: then it is lacking too, and asked again.
    let ask = |arguments: &[&str], dead: &[&str]| -> Value {
        let mut said = String::new();
        for _ in 0..12 {
            let began = Instant::now();
            let output = fleet.home.qd(arguments).args(["-o", "json"]).output().unwrap();
            println!("{arguments:?} after {:?}", began.elapsed());
            let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            // A kind of which another test has made the conversion fail may be missing of the cluster that all share.
            let lacking = told["lacking"].as_array().into_iter().flatten();
            let lacking = lacking.filter(|one| one["state"] != "incomplete").map(|one| &one["cluster"]);
            if lacking.eq(dead.iter().copied()) {
                return told;
            }
            said = format!("{} {}", told["lacking"], String::from_utf8_lossy(&output.stderr));
            pause(2000);
        }
        panic!("{arguments:?}: not only {dead:?} are lacking: {said}");
    };
    let texts = |row: &Value| -> Vec<String> {
        row.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
    };

    // A column a cluster, and what all of them have together.
    let pulse = ask(&["pulse", "list", "-A", "--cluster", "all"], &["hole", "silent"]);
    let columns = texts(&pulse["columns"]);
    assert_eq!(columns.len(), 5 + 20, "{columns:?}");
    for row in pulse["rows"].as_array().unwrap().iter().map(texts) {
        let counts = row[5..].iter().filter(|cell| *cell != "–");
        let sum: u64 = counts.map(|cell| cell.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(row[1], sum.to_string(), "{row:?}");
        assert_eq!(row[5..].iter().filter(|cell| *cell == "–").count(), 2, "{row:?}");
    }
    console.keys(":pulse\r");
    let screen = console.wait("counts of all", 40, |s| {
        s.contains("pulse(all)") && s.contains("18 of 20 live") && s.contains('█') && s.contains("edge-01")
    });
    for dead in ["hole", "silent"] {
        assert!(screen.lines().any(|l| l.contains(&format!(" {dead} "))), "no {dead}:\n{screen}");
    }
    console.keys("/^pod\r");
    console.wait("one row", 15, |s| s.contains("[1/"));
    console.keys("\r");
    console.wait("the merged table", 30, |s| s.contains("pods(all)") && s.contains("CLUSTER"));

    // A root a cluster.
    let tree = ask(&["xray", "get", "deployments", "-A", "--cluster", "edge-01,edge-02,hole"], &["hole"]);
    let nodes = tree["nodes"].as_array().unwrap();
    let roots = nodes.iter().filter(|node| node["depth"] == 0);
    let names: Vec<&str> = roots.clone().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["edge-01", "edge-02", "hole"], "{tree}");
    assert!(roots.clone().all(|node| node["kind"] == "cluster"), "{tree}");
    assert!(nodes.iter().any(|node| node["depth"] == 1 && node["kind"] == "deployments.apps"), "{tree}");
    console.keys(":ctx edge-01,edge-02,hole\r");
    console.wait("the three", 30, |s| s.contains("2 of 3 live"));
    console.keys(":xray deploy all\r");
    console.wait("the trees of both", 40, |s| {
        s.contains("xray(deployments, all)") && s.contains("▾ cluster edge-01") && s.contains("▾ deployments")
    });
    console.keys("x");
    let screen = console.wait("the roots alone", 15, |s| {
        s.contains("▸ cluster edge-01") && s.contains("▸ cluster edge-02") && !s.contains("deployments web")
    });
    assert!(screen.contains("· cluster hole"), "{screen}");
    console.keys("\r");
    console.wait("the first one's", 15, |s| s.contains("▾ cluster edge-01") && s.contains("▸ deployments"));
    console.keys("jy");
    console.wait("a manifest of it", 30, |s| s.contains("kind: Deployment"));

    // What every cluster has.
    let found = ask(
        &["resource", "find", "kube-root", "-A", "--cluster", "all", "--limit", "1000"],
        &["hole", "silent"],
    );
    let (columns, rows) = (texts(&found["columns"]), found["rows"].as_array().unwrap());
    assert_eq!(columns, ["KIND", "NAMESPACE", "NAME", "CLUSTER", "AGE"]);
    for cluster in ["edge-01", "edge-16", "shared"] {
        let has = rows.iter().map(texts).any(|row| row[0] == "configmap" && row[3] == cluster);
        assert!(has, "nothing of {cluster}: {found}");
    }
    console.keys(":find kube-root all @all\r");
    console.wait("rows of all that live", 60, |s| {
        s.contains("find(kube-root, all)") && s.contains("18 of 20 live") && s.contains("edge-16")
    });
    console.keys("/cluster=edge-16\r");
    console.wait("those of one", 15, |s| s.contains("/cluster=edge-16") && !s.contains("edge-01"));
    console.keys("\r");
    console.wait("its table", 30, |s| s.contains("configmaps(") && s.contains("kube-root-ca.crt"));
    leave(console);
}

#[test]
fn what_may_not_be_listed_is_named_in_a_search() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("find-a");
    bed.kubectl(&["run", "found-me", "--image=x", "-n", "find-a"], None);
    bed.kubectl(&["create", "configmap", "found-too", "-n", "find-a"], None);
    let find = |kubeconfig: &Path, arguments: &[&str]| -> Value {
        let arguments = [&["resource", "find", "-n", "find-a", "-o", "json"], arguments].concat();
        let output = home.qd(&arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let kinds = |page: &Value| -> Vec<String> {
        let rows = page["rows"].as_array().unwrap().iter();
        rows.map(|row| row[0].as_str().unwrap().to_owned()).collect()
    };
    let all = find(&bed.kubeconfig, &["FOUND-"]);
    assert_eq!(kinds(&all), ["configmap", "pod"], "{all}");
    assert!(all["note"].as_str().unwrap().contains("left out"), "{all}");
    assert_eq!(kinds(&find(&bed.kubeconfig, &["-l", "run=found-me"])), ["pod"]);
    assert_eq!(kinds(&find(&bed.kubeconfig, &["found-*", "--kinds", "cm,secrets"])), ["configmap"]);
    assert_eq!(find(&bed.kubeconfig, &["*-nobody-has"])["total"], 0);
    let seeker = limited(&home, "seeker", &["find-a"], false);
    let some = find(&seeker, &["found-"]);
    assert_eq!(kinds(&some), ["pod"], "{some}");
    let note = some["note"].as_str().unwrap();
    assert!(note.contains("refused") && note.contains("configmaps") && note.contains("secrets"), "{note}");
    let output = home.qd(&["resource", "find"]).env("KUBECONFIG", &bed.kubeconfig).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing is looked for"), "{said}");
}

/// What may be read of the shared cluster with a service account's token that has these rights.
fn limited(home: &Home, name: &str, namespaces: &[&str], lists_namespaces: bool) -> PathBuf {
    let bed = Bed::shared();
    let account = format!("{}:{name}", namespaces[0]);
    bed.kubectl(&["create", "serviceaccount", name, "-n", namespaces[0]], None);
    for namespace in namespaces {
        bed.kubectl(
            &["create", "role", name, "--verb=get,list,watch", "--resource=pods", "-n", namespace],
            None,
        );
        bed.kubectl(
            &["create", "rolebinding", name, "--role", name, "--serviceaccount", &account, "-n", namespace],
            None,
        );
    }
    if lists_namespaces {
        bed.kubectl(&["create", "clusterrole", name, "--verb=get,list,watch", "--resource=namespaces"], None);
        bed.kubectl(
            &["create", "clusterrolebinding", name, "--clusterrole", name, "--serviceaccount", &account],
            None,
        );
    }
    let token = bed.kubectl(&["create", "token", name, "-n", namespaces[0]], None);
    let mut config: Value = serde_json::from_slice(&std::fs::read(&bed.kubeconfig).unwrap()).unwrap();
    config["users"][0]["user"] = json!({ "token": token.trim() });
    let path = home.path().join(format!("{name}.kubeconfig"));
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn list(home: &Home, kubeconfig: &Path, namespaces: &str) -> (bool, Value) {
    let output = home
        .qd(&["pod", "list", "-n", namespaces, "-o", "json"])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn a_set_of_namespaces_is_one_table_and_grows_with_the_cluster() {
    let (bed, home) = (Bed::shared(), Home::new());
    for namespace in ["team-a", "team-b", "other"] {
        bed.namespace(namespace);
        bed.kubectl(&["run", &format!("in-{namespace}"), "--image=x", "-n", namespace], None);
    }
    let console = Console::start(&home, Some(&bed.kubeconfig), &["pods", "-n", "team-*"], 120, 30);
    console.wait("both teams", 30, |s| s.contains("pods(team-*)[2]") && s.contains("NAMESPACE"));
    assert!(!console.screen().contains("in-other"));
    bed.namespace("team-c");
    bed.kubectl(&["run", "in-team-c", "--image=x", "-n", "team-c"], None);
    console.wait("the new team", 30, |s| s.contains("pods(team-*)[3]") && s.contains("in-team-c"));
    bed.kubectl(&["delete", "namespace", "team-c", "--wait=false"], None);
    console.wait("the two again", 60, |s| s.contains("pods(team-*)[2]") && !s.contains("in-team-c"));
    console.keys(":pods team-a,other\r");
    console.wait("a set by names", 30, |s| {
        s.contains("pods(team-a,other)[2]") && s.contains("in-other") && !s.contains("in-team-b")
    });
    leave(console);

    // Whoever may not list namespaces names them; whoever may reads each of those that fit.
    let two = limited(&home, "two", &["team-a", "team-b"], false);
    let (well, page) = list(&home, &two, "team-a,team-b");
    assert!(well && page["total"] == 2 && page["sources"] == 2, "{page}");
    let (_, page) = list(&home, &two, "team-a,other");
    assert_eq!((&page["total"], &page["lacking"][0]["state"]), (&json!(1), &json!("failed")), "{page}");
    assert!(page["lacking"][0]["reason"].as_str().unwrap().contains("forbidden"), "{page}");
    assert!(!list(&home, &two, "team-*").0, "nothing that fits may be found");
    let finder = limited(&home, "finder", &["team-a", "team-b"], true);
    let (well, page) = list(&home, &finder, "team-*");
    assert!(well && page["total"] == 2, "{page}");
}

#[test]
fn what_is_wrong_with_a_set_is_said() {
    let (bed, home) = (Bed::shared(), Home::new());
    let run = |arguments: &[&str]| {
        let output = home.qd(arguments).env("KUBECONFIG", &bed.kubeconfig).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (well, said) = run(&["pod", "list", "--cluster", "shared,sharde"]);
    assert!(!well && said.contains("sharde") && said.contains("shared"), "{said}");
    let (well, said) = run(&["pod", "list", "--cluster", "eu-*"]);
    assert!(!well && said.contains("eu-*"), "{said}");
    // What acts on one cluster takes one.
    let (well, said) = run(&["pod", "sanitize", "--cluster", "shared,other", "--preview"]);
    assert!(!well && said.contains("shared,other"), "{said}");
    pause(10);
}

#[test]
fn tabs_stay_live_share_the_screen_and_come_back_as_a_workspace() {
    let home = Home::new();
    let console = Console::start(&home, None, &["lab", "cm", "shop", "--context", "harbour"], 140, 40);
    console.wait("the first tab", 60, |s| s.contains("configmaps(shop)[") && s.contains("kube-root-ca.crt"));
    console.keys("/made-later|kube-root\r");
    console.wait("its filter", 20, |s| s.contains("/made-later|kube-root"));
    console.keys("\x1bt");
    console.wait("two tabs", 20, |s| s.contains(" 1 configmaps ") && s.contains(" 2 configmaps "));
    console.keys(":nodes -c offshore --sort AGE:desc\r");
    console.wait("the other cluster", 30, |s| s.contains("nodes[5]") && s.contains("1 configmaps@harbour"));
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made-later, namespace: shop}\n";
    let made = home.qd(&["resource", "apply", manifest, "-c", "harbour"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    pause(1500);
    console.keys("\x1b1");
    // What came meanwhile is there with the first frame.
    let screen = console.wait("the first tab again", 20, |s| s.contains("configmaps(shop)["));
    assert!(screen.contains("made-later") && screen.contains("/made-later|kube-root"), "{screen}");

    console.keys("\x1bv");
    let beside = |s: &str| s.lines().any(|l| l.contains("configmaps(shop)") && l.contains("nodes["));
    console.wait("both side by side", 20, beside);
    console.keys("\t");
    console.wait("the keys of the other half", 20, |s| s.contains("cordon"));
    console.keys(":ws save watch\r");
    console.wait("that it is saved", 20, |s| s.contains("save the workspace watch: done"));
    let file = home.path().join("config/quarterdeck/workspaces/watch.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("split: right") && text.contains("/made-later|kube-root"), "{text}");
    assert!(text.contains("nodes -c 'offshore' --sort 'AGE:desc'"), "{text}");
    console.keys("\x1bw");
    pause(300);
    console.keys(":pods all -c offshore\r");
    console.wait("one tab", 30, |s| {
        // The other tab was of configmaps: its name is nowhere.
        s.contains("pods(all)") && !s.contains("configmaps") && !beside(s)
    });
    console.keys(":ws watch\r");
    console
        .wait("both again", 30, |s| beside(s) && s.contains("made-later") && s.contains("offshore-node-1"));
    let listed = home.qd(&["workspace", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("watch"));
    console.keys(":ws nonsense\r");
    console.wait("what is wrong", 20, |s| s.contains("there is no workspace"));
    leave(console);
}
