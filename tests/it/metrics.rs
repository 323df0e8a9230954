//! What the real metrics-server measures of a real kubelet's pods, through the real binary, beside what `kubectl` is told.

use quarterdeck::base::Code;
use quarterdeck::lab;
use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json as run;

/// Two practice clusters that measure, and a real one that has nothing to measure with: one page, with figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_several_clusters_stand_in_one_page() {
    let home = Home::new();
    let options = lab::Options {
        clusters: vec!["one".into(), "two".into()],
        dead: String::new(),
        live: false,
        pods: 40,
        directory: Some(home.path().to_owned()),
        ..lab::Options::default()
    };
    let lab = lab::start(options).await.unwrap();
    let mut all: Value = serde_yaml_ng::from_str(&lab.kubeconfig()).unwrap();
    tokio::task::block_in_place(|| {
        let bed = Bed::shared();
        bed.namespace("unmeasured");
        bed.kubectl(&["run", "plain", "--image=x", "-n", "unmeasured"], None);
        let real: Value = serde_json::from_slice(&std::fs::read(&bed.kubeconfig).unwrap()).unwrap();
        for list in ["clusters", "users", "contexts"] {
            all[list].as_array_mut().unwrap().extend(real[list].as_array().unwrap().clone());
        }
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, all.to_string()).unwrap();
        let ask = |arguments: &[&str]| -> Value {
            let mut command = home.qd(arguments);
            let output = command.args(["-o", "json"]).env("KUBECONFIG", &kubeconfig).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let of = |page: &Value, cluster: &str| -> Vec<Value> {
            page["rows"].as_array().unwrap().iter().filter(|row| row[0] == cluster).cloned().collect()
        };
        let set = "one,two,shared";
        for namespace in [&["-A"][..], &["-n", "sh*,unmeasured"], &["-n", "shop"]] {
            let columns = ["--columns", "CLUSTER,NAME,STATUS,CPU,MEM", "--limit", "1000"];
            let page = ask(&[&["pod", "list", "-c", set], namespace, &columns].concat());
            for cluster in ["one", "two"] {
                let running: Vec<Value> =
                    of(&page, cluster).into_iter().filter(|row| row[2] == "Running").collect();
                assert!(
                    !running.is_empty() && running.iter().all(|row| row[3] != "–" && row[4] != "–"),
                    "{page}"
                );
            }
            assert!(of(&page, "shared").iter().all(|row| row[3] == "–"), "{page}");
            let lacking = page["lacking"].as_array().unwrap_or_else(|| panic!("{page}"));
            let why = lacking.iter().find(|l| l["cluster"].as_str().unwrap().starts_with("shared"));
            if namespace != ["-n", "shop"] {
                assert!(!of(&page, "shared").is_empty(), "{page}");
            }
            assert_eq!(why.unwrap_or_else(|| panic!("{page}"))["state"], "incomplete", "{page}");
            assert!(lacking.iter().all(|l| l["cluster"].as_str().unwrap().starts_with("shared")), "{page}");
        }
        // A filter over figures needs them too.
        let page = ask(&["pod", "list", "-c", "one,two", "-A", "--filter", "cpu>0m"]);
        let single =
            |name: &str| ask(&["pod", "list", "-c", name, "-A", "--filter", "cpu>0m"])["total"].as_u64();
        assert_eq!(page["total"].as_u64(), Some(single("one").unwrap() + single("two").unwrap()), "{page}");
        for (by, limit) in [("node", "50"), ("workload", "500")] {
            let page = ask(&["usage", "list", "-c", set, "-A", "--by", by, "--limit", limit]);
            let cpu = page["columns"].as_array().unwrap().iter().position(|c| c == "CPU").unwrap();
            for cluster in ["one", "two"] {
                assert!(of(&page, cluster).iter().any(|row| row[cpu] != "–"), "{page}");
            }
            assert_eq!(page["lacking"][0]["state"], "incomplete", "{page}");
        }
    });
}

/// A pod that takes CPU and one container that takes none, and a workload; and who may see pods, but no figures.
const OBJECTS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: busy}, spec: {nodeName: real, terminationGracePeriodSeconds: 1, containers: [
  {name: main, image: 'localhost/busybox:1', imagePullPolicy: Never,
   command: [sh, -c, 'while true; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.3; done'],
   resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 200m, memory: 64Mi}}},
  {name: side, image: 'localhost/busybox:1', imagePullPolicy: Never, command: [sleep, '3600']}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: idle}, spec: {replicas: 2, selector: {matchLabels: {app: idle}},
  template: {metadata: {labels: {app: idle}}, spec: {nodeName: real, terminationGracePeriodSeconds: 1,
  containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never, command: [sleep, '3600'],
  resources: {requests: {cpu: 50m}}}]}}}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: looker},
 rules: [{apiGroups: [''], resources: [pods], verbs: [get, list, watch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: looker},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: looker},
 subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: viewers}]}
";

fn raw(bed: &Bed, path: &str) -> Value {
    let path = format!("/apis/metrics.k8s.io/v1beta1/{path}");
    serde_json::from_str(&bed.kubectl(&["get", "--raw", &path], None)).unwrap()
}

/// Nanocores rounded up to millicores, kibibytes as they are shown: what the metrics API writes, by hand. It writes whole
/// mebibytes and whole cores as such, where it can do so without loss.
fn shown(usages: &[&Value]) -> [String; 2] {
    let number = |usage: &Value, resource: &str| -> u64 {
        let text = usage[resource].as_str().unwrap();
        let digits = text.trim_end_matches(char::is_alphabetic);
        let unit = match (resource, &text[digits.len()..]) {
            (_, "n" | "Ki") | ("memory", "") => 1,
            (_, "u") => 1_000,
            (_, "m") => 1_000_000,
            ("cpu", "") => 1_000_000_000,
            (_, "Mi") => 1024,
            (_, "Gi") => 1024 * 1024,
            (_, unit) => panic!("{resource} in {unit}: {usage}"),
        };
        let number = digits.parse::<u64>().unwrap() * unit;
        if resource == "memory" && text == digits { number / 1024 } else { number }
    };
    let nano: u64 = usages.iter().map(|u| number(u, "cpu")).sum();
    let kibi: u64 = usages.iter().map(|u| number(u, "memory")).sum();
    let memory = if kibi < 1024 { format!("{kibi}Ki") } else { format!("{}Mi", kibi / 1024) };
    [format!("{}m", nano.div_ceil(1_000_000)), memory]
}

/// Compares what `ours` gives with what the API tells, in a moment in which nothing new is measured between the two.
fn compare(bed: &Bed, path: &str, what: &str, ours: impl Fn(&Value) -> (Value, Vec<String>)) {
    for _ in 0..10 {
        let told = raw(bed, path);
        let (got, wanted) = ours(&told);
        if same(bed, path, told["items"].as_array().unwrap()) {
            assert_eq!(got, serde_json::json!(wanted), "{what}: {told}");
            return;
        }
    }
    panic!("{what}: figures are measured faster than they can be read");
}

/// Whether the API still tells the same measurements; the time of the answer itself is in them too.
fn same(bed: &Bed, path: &str, items: &[Value]) -> bool {
    let times = |items: &[Value]| items.iter().map(|i| i["timestamp"].clone()).collect::<Vec<_>>();
    raw(bed, path)["items"].as_array().is_some_and(|now| times(now) == times(items))
}

fn row<'a>(page: &'a Value, name: &str) -> &'a Value {
    let rows = page["rows"].as_array().unwrap();
    rows.iter().find(|r| r[0] == name).unwrap_or_else(|| panic!("no {name}: {page}"))
}

#[test]
fn figures_are_those_that_the_real_metrics_server_tells() {
    let (bed, home) = (Bed::up("metrics", &["--real", "--metrics", "--nodes", "1"]), Home::new());
    let bed = &bed;
    bed.namespace("usage");
    bed.kubectl(&["apply", "-n", "usage", "-f", "-"], Some(OBJECTS));
    let figures = |told: &Value| {
        told["items"].as_array().unwrap().iter().filter(|i| i["containers"][0]["usage"]["cpu"] != "0").count()
    };
    wait_until(120, "figures", || {
        let told = raw(bed, "namespaces/usage/pods");
        let nodes = raw(bed, "nodes")["items"].as_array().unwrap().len();
        told["items"].as_array().unwrap().len() == 3 && figures(&told) > 0 && nodes == 1
    });

    pods_containers_and_nodes(bed, &home);
    by_workload_and_with_advice(bed, &home);
    on_the_screen(bed, &home);
    where_there_are_none(bed, &home);
}

fn pods_containers_and_nodes(bed: &Bed, home: &Home) {
    let columns = "NAME,CPU,MEM,CPU/R,CPU/L,MEM/L";
    compare(bed, "namespaces/usage/pods", "a pod", |told| {
        let page = run(bed, home, &["pod", "list", "-n", "usage", "--columns", columns]);
        assert!(page.get("note").is_none(), "{page}");
        let item =
            told["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "busy").unwrap();
        let usages: Vec<&Value> =
            item["containers"].as_array().unwrap().iter().map(|c| &c["usage"]).collect();
        let [cpu, memory] = shown(&usages);
        let limits = ["100m", "200m", "64Mi"].map(str::to_owned);
        (row(&page, "busy").clone(), ["busy".to_owned(), cpu, memory].into_iter().chain(limits).collect())
    });
    compare(bed, "namespaces/usage/pods", "containers", |told| {
        let page = run(bed, home, &["container", "list", "busy", "-n", "usage"]);
        let at = |name: &str| page["columns"].as_array().unwrap().iter().position(|c| c == name).unwrap();
        let got =
            ["main", "side"].map(|c| [row(&page, c)[at("CPU")].clone(), row(&page, c)[at("MEM")].clone()]);
        let item =
            told["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "busy").unwrap();
        let containers = item["containers"].as_array().unwrap();
        let of = |name: &str| shown(&[&containers.iter().find(|c| c["name"] == name).unwrap()["usage"]]);
        (got.into_iter().flatten().collect(), ["main", "side"].map(of).into_iter().flatten().collect())
    });
    compare(bed, "nodes", "a node", |told| {
        let page = run(bed, home, &["resource", "list", "nodes", "--columns", "NAME,CPU,MEM"]);
        assert_eq!(row(&page, "node-0")[1], "–", "a node that nobody measures has no figures: {page}");
        let real =
            told["items"].as_array().unwrap().iter().find(|i| i["metadata"]["name"] == "real").unwrap();
        let [cpu, memory] = shown(&[&real["usage"]]);
        (row(&page, "real").clone(), vec!["real".into(), cpu, memory])
    });
    // Shares are of what is asked for and of what can be allocated.
    let page = run(bed, home, &["resource", "list", "nodes", "--columns", "NAME,%CPU,CPU/A,MEM/A"]);
    let cores = bed.kubectl(&["get", "node", "real", "-o", "jsonpath={.status.allocatable.cpu}"], None);
    assert_eq!(row(&page, "real")[2], format!("{}m", cores.parse::<u64>().unwrap() * 1000), "{page}");
    assert_ne!(row(&page, "real")[1], "–");
    let busy = run(bed, home, &["pod", "list", "-n", "usage", "--filter", "cpu>10m && %cpu/l>=1"]);
    assert_eq!((&busy["total"], &busy["rows"][0][0]), (&1.into(), &"busy".into()), "{busy}");
}

fn by_workload_and_with_advice(bed: &Bed, home: &Home) {
    let page = run(bed, home, &["usage", "list", "-n", "usage"]);
    assert_eq!(page["columns"].as_array().unwrap()[..4], ["NAME", "PODS", "CPU", "MEM"], "{page}");
    let (idle, busy) = (row(&page, "deployment/idle"), row(&page, "pod/busy"));
    assert_eq!((&idle[1], &busy[1]), (&"2".into(), &"1".into()));
    let at = page["columns"].as_array().unwrap().iter().position(|c| c == "CPU/R").unwrap();
    assert_eq!((&idle[at], &busy[at]), (&"100m".into(), &"100m".into()), "the requests of both pods: {page}");
    let nodes = run(bed, home, &["usage", "list", "--by", "node"]);
    assert!(nodes["columns"].as_array().unwrap().contains(&"%CPU".into()), "{nodes}");
    let read = run(bed, home, &["usage", "read", "pod", "busy", "-n", "usage"]);
    assert_eq!(read["rows"].as_array().unwrap().len(), 2, "{read}");
    let node = run(bed, home, &["usage", "read", "node", "real"]);
    assert_eq!(node["columns"][0], "CPU", "{node}");
    let described = run(bed, home, &["resource", "describe", "nodes", "real"]).to_string();
    assert!(described.contains("Usage") && described.contains("Allocatable"), "{described}");
    let (code, _, said) = qd(bed, home, &["usage", "advise", "deployment", "idle", "-n", "usage"]);
    assert_eq!(code, i32::from(Code::Conflict.exit_code()), "{said}");
    assert!(said.contains("too few samples to advise on: "), "{said}");
    let pulse = run(bed, home, &["pulse", "list", "-A"]);
    assert!(pulse["cpu"].as_str().is_some_and(|t| t.contains("m of ") && t.ends_with(" %)")), "{pulse}");
}

fn on_the_screen(bed: &Bed, home: &Home) {
    let console = Console::start(home, Some(&bed.kubeconfig), &["pods", "-n", "usage"], 200, 30);
    let screen = console.wait("figures", 40, |s| {
        s.contains("%CPU/R") && s.lines().any(|l| l.contains("busy") && l.contains("m ") && l.contains("Ki"))
            || s.lines().any(|l| l.contains("busy") && l.contains("Mi") && l.contains("%"))
    });
    assert!(screen.contains("%MEM/L"), "{screen}");
    console.keys("C");
    console.wait("the most CPU first", 10, |s| {
        let names: Vec<&str> = s.lines().filter(|l| l.contains("busy") || l.contains("idle-")).collect();
        s.contains("CPU↓") && names.first().is_some_and(|l| l.contains("busy"))
    });
    console.keys("\u{18}");
    console.wait("by the share of the limit", 10, |s| s.contains("%CPU/L↓"));
    console.keys("\r");
    console.wait("the containers' figures", 40, |s| {
        s.contains("containers(usage/busy)")
            && s.contains("%CPU/R")
            && s.lines().any(|l| l.contains("main") && l.contains("200m"))
    });
    console.keys(":pulse\r");
    console.wait("the cluster's charge", 60, |s| s.lines().any(|l| l.contains("cpu") && l.contains(" %")));
}

/// No right, no metrics server, no metrics API: each is said, and nothing is shown as a figure.
fn where_there_are_none(bed: &Bed, home: &Home) {
    let viewer = format!("{}-viewer", bed.context);
    let list = |context: &str| {
        run(bed, home, &["pod", "list", "-c", context, "-n", "usage", "--columns", "NAME,CPU,%MEM/L"])
    };
    let page = list(&viewer);
    let note = page["note"].as_str().unwrap_or_default();
    assert!(note.starts_with("no CPU and memory: ") && note.contains("forbidden"), "{page}");
    assert_eq!(row(&page, "busy")[1], "–");
    let (_, _, said) = qd(bed, home, &["usage", "read", "pod", "busy", "-c", &viewer, "-n", "usage"]);
    assert!(said.contains("pods and nodes of metrics.k8s.io"), "{said}");

    bed.command("kill metrics-server");
    let console = Console::start(home, Some(&bed.kubeconfig), &["pods", "-n", "usage"], 200, 30);
    console.wait("why there are no figures", 60, |s| s.contains("no CPU and memory: ") && s.contains("busy"));
    let page = list(&bed.context);
    assert!(page["note"].as_str().is_some_and(|n| n.starts_with("no CPU and memory: ")), "{page}");
    assert_eq!((&row(&page, "busy")[1], &row(&page, "busy")[2]), (&"–".into(), &"–".into()));
    bed.command("start metrics-server");
    console.wait("figures again", 150, |s| {
        !s.contains("no CPU and memory") && s.lines().any(|l| l.contains("busy") && l.contains("m "))
    });

    // A home of its own: in this one the console's session answers.
    let (plain, home) = (Bed::shared(), Home::new());
    let page = run(plain, &home, &["pod", "list", "-n", "kube-system", "--columns", "NAME,CPU"]);
    let absent = format!("{} has no metrics.k8s.io, so that nobody measures its pods", plain.context);
    assert_eq!(page["note"], absent.as_str(), "{page}");
}
