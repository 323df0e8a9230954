//! What goes wrong with a server while somebody looks: each is said, nothing old is shown as live, and it goes on once
//! it is mended.

use std::io::Write as _;
use std::time::{Duration, Instant};

use quarterdeck::lab::{self, Lab};
use serde_json::json as value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_client::{kubeconfig, make};
use crate::kube_objects::qd;
use crate::kubelet::json;
use crate::relay::{Kind, Relay};

/// A server that has thrown away the history that a cut watch would go on from.
#[test]
fn history_that_is_gone_is_listed_again_without_a_missed_or_doubled_row() {
    let (bed, home) = (Bed::up("gone", &["--scale"]), Home::new());
    bed.command("pods 200");
    let relay = Relay::start(Kind::Plain, &bed.server);
    let path = kubeconfig(&home, &bed, value!({"server": relay.url("https")}), value!(null));
    let console = Console::start(&home, Some(&path), &["pods", "-A"], 160, 40);
    console.wait("all pods", 20, |s| s.contains("pods(all)[200]"));
    relay.close();
    console.wait("word about the lost connection", 20, |s| s.contains("reconnecting"));
    // While nobody watches: some go, some come, and a server that was started anew knows only of now.
    bed.kubectl(
        &["delete", "pods", "web-000003", "web-000004", "--grace-period=0", "--force", "-n", "default"],
        None,
    );
    bed.command("pods 50 200");
    bed.command("kill apiserver");
    bed.command("start apiserver");
    relay.reopen();
    console.wait("live table of what is there now", 60, |s| {
        s.contains("pods(all)[248]") && !s.contains("reconnecting")
    });
    let page = json(&bed, &home, &["pod", "list", "-A", "--limit", "1000"]);
    let mut shown: Vec<&str> =
        page["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
    shown.sort_unstable();
    let listed =
        bed.kubectl(&["get", "pods", "-A", "--no-headers", "-o", "custom-columns=N:.metadata.name"], None);
    let mut there: Vec<&str> = listed.lines().collect();
    there.sort_unstable();
    assert_eq!(shown, there);
}

#[test]
fn a_right_that_is_taken_away_is_said_and_its_return_makes_the_table_live() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("revoked");
    let account = "--serviceaccount=revoked:default";
    let grant = || {
        bed.kubectl(
            &["create", "rolebinding", "reads", "--clusterrole=view", account, "-n", "revoked"],
            None,
        );
    };
    grant();
    make(bed, "before", "revoked");
    let token = bed.kubectl(&["create", "token", "default", "-n", "revoked"], None);
    let relay = Relay::start(Kind::Plain, &bed.server);
    let path =
        kubeconfig(&home, bed, value!({"server": relay.url("https")}), value!({"token": token.trim()}));
    let console = Console::start(&home, Some(&path), &["pods", "-n", "revoked"], 160, 40);
    console.wait("live table", 20, |s| s.contains("pods(revoked)[1]") && s.contains("before"));
    bed.kubectl(&["delete", "rolebinding", "reads", "-n", "revoked"], None);
    // A watch that is open goes on; the next one is refused.
    relay.cut();
    console.wait("refusal with the right that is missing", 40, |s| {
        s.contains("cannot list resource \"pods\"") || s.contains("cannot watch resource \"pods\"")
    });
    make(bed, "after", "revoked");
    grant();
    console.wait("live table again", 60, |s| s.contains("pods(revoked)[2]") && s.contains("after"));
}

#[test]
fn a_kind_that_is_taken_away_while_it_is_open_is_said() {
    let (bed, home) = (Bed::shared(), Home::new());
    let crd = definition("sextants", "deck.example", &value!([version("v1", true)]), &value!(null));
    bed.kubectl(&["create", "-f", "-"], Some(&crd));
    bed.kubectl(&["wait", "--for=condition=Established", "crd/sextants.deck.example", "--timeout=20s"], None);
    let brass = value!({"apiVersion": "deck.example/v1", "kind": "Sextant", "metadata": {"name": "brass", "namespace": "default"}});
    bed.kubectl(&["create", "-f", "-"], Some(&brass.to_string()));
    let console = Console::start(&home, Some(&bed.kubeconfig), &["sextants", "-n", "default"], 160, 40);
    console.wait("its object", 30, |s| s.contains("sextants(default)[1]") && s.contains("brass"));
    bed.kubectl(&["delete", "crd", "sextants.deck.example"], None);
    // The object went with it, and the server says of the kind that it knows none.
    console.wait("word that the kind is gone", 40, |s| {
        !s.lines().any(|l| l.contains("brass") && !l.contains('!'))
            && s.to_lowercase().contains("sextants")
            && (s.contains("404")
                || s.contains("could not find")
                || s.contains("no longer")
                || s.contains("not found"))
    });
    bed.kubectl(&["create", "-f", "-"], Some(&crd));
    bed.kubectl(&["wait", "--for=condition=Established", "crd/sextants.deck.example", "--timeout=20s"], None);
    bed.kubectl(&["create", "-f", "-"], Some(&brass.to_string()));
    console.wait("its object again", 60, |s| s.contains("sextants(default)[1]") && s.contains("brass"));
    bed.kubectl(&["delete", "crd", "sextants.deck.example"], None);
}

#[test]
fn a_conversion_that_fails_is_said_and_not_an_empty_table() {
    let (bed, home) = (Bed::shared(), Home::new());
    let crd = |storage: &str| {
        let versions = value!([version("v1", storage == "v1"), version("v2", storage == "v2")]);
        // Nobody listens there.
        let webhook = value!({"strategy": "Webhook", "webhook": {
            "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}}});
        definition("compasses", "broken.example", &versions, &webhook)
    };
    bed.kubectl(&["create", "-f", "-"], Some(&crd("v1")));
    bed.kubectl(
        &["wait", "--for=condition=Established", "crd/compasses.broken.example", "--timeout=20s"],
        None,
    );
    let object = value!({"apiVersion": "broken.example/v1", "kind": "Compass", "metadata": {"name": "dry", "namespace": "default"}});
    bed.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
    bed.kubectl(&["apply", "-f", "-"], Some(&crd("v2")));
    let console = Console::start(&home, Some(&bed.kubeconfig), &["compasses", "-n", "default"], 160, 40);
    let screen = console.wait("failed conversion", 40, |s| s.contains("conversion webhook"));
    assert!(!screen.contains("no compasses"), "an error is not an empty list:\n{screen}");
    let (code, _, said) = qd(bed, &home, &["resource", "list", "compasses.broken.example", "-n", "default"]);
    assert!(code != 0 && said.contains("conversion webhook"), "{code}: {said}");
    // The others go on.
    console.keys(":ns\r");
    console.wait("another table", 20, |s| s.contains("namespaces") && s.contains("kube-system"));
    bed.kubectl(&["delete", "crd", "compasses.broken.example", "--wait=false"], None);
}

#[test]
fn names_with_odd_characters_are_read_edited_and_deleted() {
    let (bed, home) = (Bed::shared(), Home::new());
    // What the API allows in a path segment: all but "/", "%", "." and ".." (k8s.io/apimachinery's path validation).
    let odd = "odd: ?&=#+ ;,'\"\\ ~ü日本";
    let role = value!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": odd}, "rules": []});
    bed.kubectl(&["create", "-f", "-"], Some(&role.to_string()));
    let long = format!("long-{}", "a.b-".repeat(61).trim_end_matches(['.', '-']));
    bed.kubectl(&["create", "configmap", &long, "-n", "default"], None);

    let text = json(bed, &home, &["resource", "get", "clusterrole", odd]);
    assert!(text["text"].as_str().unwrap().contains("日本"), "{text}");
    let mut labelled = role.clone();
    labelled["metadata"]["labels"] = value!({"deck": "yes"});
    let (code, _, said) = qd(bed, &home, &["resource", "apply", &labelled.to_string(), "--force-conflicts"]);
    assert_eq!(code, 0, "{said}");
    let console = Console::start(&home, Some(&bed.kubeconfig), &["clusterroles"], 160, 40);
    console.wait("table", 20, |s| s.contains("clusterroles"));
    console.keys("/odd\r");
    console.wait("row", 10, |s| s.contains("[1/"));
    console.keys("y");
    console.wait("its manifest", 10, |s| s.contains("deck:") && s.contains("日本"));
    console.keys("\x1b");
    let (code, _, said) = qd(bed, &home, &["resource", "delete", "clusterrole", odd]);
    assert_eq!(code, 0, "{said}");
    console.wait("its end", 10, |s| s.contains("[0/"));
    let (code, _, said) = qd(bed, &home, &["resource", "delete", "configmap", &long, "-n", "default"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_server_that_takes_a_second_for_everything_holds_up_nothing_else() {
    let (fleet, home) = (Fleet::start(), Home::new());
    fleet.lab.cluster("harbour").unwrap().set_latency(Duration::from_secs(1));
    let console = Console::start(&home, Some(fleet.lab.kubeconfig_path()), &["pods", "-A"], 120, 30);
    console.wait("frame with a word that it reads", 5, |s| s.contains("pods"));
    console.keys("?");
    console.wait("help at once", 3, |s| s.contains("all kinds"));
    console.keys("\x1b");
    console.wait("pods in the end", 30, |s| s.contains("Running"));
    console.keys(":pods @offshore\r");
    let began = Instant::now();
    console.wait("other cluster without its delay", 15, |s| s.contains("offshore") && s.contains("Running"));
    println!("the other cluster's pods after {:?}", began.elapsed());
}

#[test]
fn an_object_of_ten_megabytes_is_read_to_its_end() {
    let (fleet, home) = (Fleet::start(), Home::new());
    fleet.kubectl(&["create", "configmap", "whale", "-n", "shop"]);
    for part in 0..5 {
        let lines = format!("{part} of the whale, and so on and so on\n").repeat(55_000);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(value!({"data": {format!("part-{part}"): lines}}).to_string().as_bytes()).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        fleet.kubectl(&["patch", "configmap", "whale", "-n", "shop", "--type=merge", "--patch-file", &path]);
    }
    let output = home
        .qd(&["resource", "get", "configmap", "whale", "-n", "shop"])
        .env("KUBECONFIG", fleet.lab.kubeconfig_path())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.len() > 10_000_000, "{} bytes", output.stdout.len());

    let console = Console::start(
        &home,
        Some(fleet.lab.kubeconfig_path()),
        &["configmaps", "-n", "shop", "-c", "harbour"],
        120,
        30,
    );
    console.wait("row", 20, |s| s.contains("whale"));
    console.keys("/whale\r");
    console.wait("the one row", 10, |s| s.contains("[1/"));
    console.keys("y");
    console.wait("its first lines", 30, |s| s.contains("0 of the whale"));
    console.keys("G");
    console.wait("its end", 10, |s| s.contains("kind: ConfigMap") || s.contains("name: whale"));
    console.keys("\x1b");
    console.wait("table again", 10, |s| s.contains("configmaps(shop)"));
}

/// The practice fleet, whose servers can be made slow, and take what no real one would.
struct Fleet {
    lab: Lab,
    _runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl Fleet {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let options =
            lab::Options { directory: Some(directory.path().to_owned()), ..lab::Options::default() };
        let lab = runtime.block_on(lab::start(options)).unwrap();
        Self { lab, _runtime: runtime, _directory: directory }
    }

    fn kubectl(&self, arguments: &[&str]) {
        let mut command = std::process::Command::new(Bed::shared().kubectl_path());
        command.env("KUBECONFIG", self.lab.kubeconfig_path()).args(arguments);
        wait_until(20, "kubectl's success", || command.output().unwrap().status.success());
    }
}

fn version(name: &str, storage: bool) -> serde_json::Value {
    value!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
}

/// A CustomResourceDefinition as JSON. The kind is the plural's singular, written large.
fn definition(
    plural: &str,
    group: &str,
    versions: &serde_json::Value,
    conversion: &serde_json::Value,
) -> String {
    let singular =
        plural.strip_suffix("es").filter(|s| s.ends_with('s')).unwrap_or(plural.trim_end_matches('s'));
    let kind = format!("{}{}", singular[..1].to_uppercase(), &singular[1..]);
    let mut crd = value!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "versions": versions,
            "names": {"plural": plural, "singular": singular, "kind": kind, "listKind": format!("{kind}List")}}});
    if !conversion.is_null() {
        crd["spec"]["conversion"] = conversion.clone();
    }
    crd.to_string()
}
