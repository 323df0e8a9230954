//! How the client reaches an API server: credentials that change, rights that are missing, proxies, and connections that
//! are cut or fall silent.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use quarterdeck::base::Code;
use serde_json::{Value, json as value};

use crate::bed::{Bed, pause, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::{json, lines};
use crate::relay::{Kind, Relay};

/// The bed's kubeconfig with other words for its cluster and user, in the test's own directory.
pub fn kubeconfig(home: &Home, bed: &Bed, cluster: Value, user: Value) -> PathBuf {
    let mut all: Value = serde_json::from_slice(&std::fs::read(&bed.kubeconfig).unwrap()).unwrap();
    for (key, word) in cluster.as_object().unwrap() {
        all["clusters"][0]["cluster"][key] = word.clone();
    }
    if user.is_object() {
        all["users"][0]["user"] = user;
    }
    let path = home.path().join("kubeconfig");
    std::fs::write(&path, all.to_string()).unwrap();
    path
}

/// Runs `qd` with a kubeconfig to its end: exit code and all that it said.
fn run(home: &Home, kubeconfig: &PathBuf, arguments: &[&str]) -> (i32, String) {
    let output = home.qd(arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
    let all = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&all).into_owned())
}

/// `qd pod list --watch` of a namespace, read line by line.
struct Watching {
    child: std::process::Child,
    lines: Receiver<(Instant, String)>,
}

impl Watching {
    fn start(mut command: std::process::Command, kubeconfig: &PathBuf) -> Self {
        command.env("KUBECONFIG", kubeconfig);
        let (child, lines) = lines(command);
        Self { child, lines }
    }

    fn until(&self, seconds: u64, words: &[&str]) -> (Instant, String) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let got = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no line with {words:?} in {seconds} s"));
            if words.iter().all(|w| got.1.contains(w)) {
                return got;
            }
        }
    }

    /// Every line that comes until then.
    fn during(&self, time: Duration) -> Vec<String> {
        pause(u64::try_from(time.as_millis()).unwrap());
        self.lines.try_iter().map(|(_, line)| line).collect()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pod(name: &str, namespace: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{nodeName: node-0, containers: [{{name: a, image: b}}]}}}}"
    )
}

pub fn make(bed: &Bed, name: &str, namespace: &str) {
    bed.kubectl(&["create", "-f", "-"], Some(&pod(name, namespace)));
}

/// Tokens of an account that may do everything, each valid for as long as a Secret is there.
struct Tokens<'a> {
    bed: &'a Bed,
    namespace: &'a str,
}

impl<'a> Tokens<'a> {
    fn new(bed: &'a Bed, namespace: &'a str) -> Self {
        bed.namespace(namespace);
        let account = format!("--serviceaccount={namespace}:default");
        bed.kubectl(
            &["create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", &account],
            None,
        );
        Self { bed, namespace }
    }

    fn issue(&self, name: &str) -> String {
        self.bed.kubectl(&["create", "secret", "generic", name, "-n", self.namespace], None);
        let bound = ["--bound-object-kind=Secret", "--bound-object-name", name];
        let arguments = [&["create", "token", "default", "-n", self.namespace][..], &bound].concat();
        self.bed.kubectl(&arguments, None).trim().to_owned()
    }

    /// Waits until the server refuses it: it remembers for ten seconds that it was good.
    fn end(&self, name: &str, token: &str) {
        self.bed.kubectl(&["delete", "secret", name, "-n", self.namespace], None);
        wait_until(30, "refusal of the token", || {
            let output = std::process::Command::new(self.bed.kubectl_path())
                .args([
                    "--kubeconfig",
                    "/dev/null",
                    "--insecure-skip-tls-verify",
                    "--server",
                    &self.bed.server,
                ])
                .args(["--token", token, "get", "ns"])
                .output()
                .unwrap();
            !output.status.success()
        });
    }
}

#[test]
fn a_token_that_ends_is_renewed_by_plugin_and_file_and_a_live_watch_waits_for_one() {
    let bed = Bed::shared();
    let tokens = Tokens::new(bed, "renewing");
    for (i, by_plugin) in [(1, true), (2, false)] {
        let home = Home::new();
        let file = home.path().join("token");
        let give = |token: &str| std::fs::write(&file, token).unwrap();
        let relay = Relay::start(Kind::Plain, &bed.server);
        let user = if by_plugin {
            let print = format!(r#"printf '{{"status":{{"token":"%s"}}}}' "$(cat {})""#, file.display());
            value!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", print], "interactiveMode": "Never"}})
        } else {
            value!({"tokenFile": file})
        };
        let config = kubeconfig(&home, bed, value!({"server": relay.url("https")}), user);
        let names = ["a", "b", "c"].map(|n| format!("{n}{i}"));
        let issued = names.clone().map(|name| tokens.issue(&name));
        give(&issued[0]);
        let watch =
            Watching::start(home.qd(&["pod", "list", "-n", "renewing", "--watch", "-o", "json"]), &config);
        watch.until(20, &["\"live\""]);

        // Another token is there already when the first ends: the watch goes on without a word about it.
        give(&issued[1]);
        tokens.end(&names[0], &issued[0]);
        relay.cut();
        make(bed, &format!("renewed-{i}"), "renewing");
        watch.until(15, &[&format!("renewed-{i}")]);

        // None is there: it says what to do, goes on asking, and is live again when there is one.
        tokens.end(&names[1], &issued[1]);
        relay.cut();
        // Not by the code of the refusal: a port has such digits too.
        let (_, said) = watch.until(10, &["reconnecting", "Log in again"]);
        assert!(said.contains("401"), "{said}");
        let later = watch.during(Duration::from_secs(16));
        assert!(later.iter().all(|line| !line.contains("failed")), "given up: {later:?}");
        give(&issued[2]);
        make(bed, &format!("again-{i}"), "renewing");
        watch.until(35, &[&format!("again-{i}")]);
    }
}

#[test]
fn a_token_refused_for_good_is_said_and_a_mended_kubeconfig_revives_the_table() {
    let (bed, home) = (Bed::shared(), Home::new());
    let tokens = Tokens::new(bed, "mending");
    let relay = Relay::start(Kind::Plain, &bed.server);
    let (first, second) = (tokens.issue("first"), tokens.issue("second"));
    let write = |token: &str| {
        kubeconfig(&home, bed, value!({"server": relay.url("https")}), value!({"token": token}))
    };
    let path = write(&first);
    let console = Console::start(&home, Some(&path), &["pods", "-n", "mending"], 160, 40);
    console.wait("live table", 20, |s| s.contains("pods(mending)[0]"));
    tokens.end("first", &first);
    relay.cut();
    console.wait("refusal with what to do", 40, |s| {
        s.contains("refused the credential") && s.contains("Log in again")
    });
    make(bed, "seen", "mending");
    write(&second);
    console.wait("revived table", 30, |s| s.contains("pods(mending)[1]") && s.contains("seen"));
}

#[test]
fn where_only_some_is_allowed_that_is_shown_and_the_rest_is_said() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("listers");
    bed.namespace("closed");
    bed.kubectl(&["create", "role", "lister", "--verb=get,list", "--resource=pods", "-n", "listers"], None);
    bed.kubectl(
        &["create", "rolebinding", "lister", "--role=lister", "--group=viewers", "-n", "listers"],
        None,
    );
    make(bed, "one", "listers");
    let context = format!("{}-viewer", bed.context);
    let list = ["pod", "list", "-c", &context, "-n", "listers", "--watch", "-o", "json"];
    let watch = Watching::start(home.qd(&list), &bed.kubeconfig);
    watch.until(15, &["polling", "cannot watch resource"]);
    make(bed, "two", "listers");
    watch.until(10, &["\"two\""]);
    // Twice in a row nothing else than that: it does not pretend to be live in between.
    let later = watch.during(Duration::from_secs(7));
    assert!(later.iter().all(|line| !line.contains("\"live\"")), "{later:?}");

    let page = json(bed, &home, &["pod", "list", "-c", &context, "-n", "listers"]);
    assert_eq!(page["total"], 2);
    let refused = i32::from(Code::PermissionDenied.exit_code());
    let (code, _, said) = qd(bed, &home, &["pod", "list", "-c", &context, "-n", "closed"]);
    assert_eq!(code, refused, "{said}");
    assert!(said.contains("in the namespace \"closed\""), "{said}");
    let (code, _, said) = qd(bed, &home, &["pod", "list", "-c", &context, "-A"]);
    assert_eq!(code, refused, "{said}");
    assert!(said.contains("at the cluster scope") && said.contains("name one"), "{said}");
}

#[test]
fn proxies_are_gone_through_as_the_kubeconfig_and_the_environment_say() {
    let (bed, home) = (Bed::shared(), Home::new());
    let port = bed.server.rsplit(':').next().unwrap();
    let relay = Relay::start(Kind::Connect, &bed.server);
    let url = format!("http://ana:p%40ss@{}", relay.address);
    let path = kubeconfig(&home, bed, value!({"proxy-url": url}), Value::Null);
    let (code, said) = run(&home, &path, &["pod", "list", "-A"]);
    assert_eq!(code, 0, "{said}");
    let asked = relay.asked.lock().unwrap().concat();
    assert!(asked.starts_with(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1")), "{asked}");
    // "ana:p@ss" in base64 (RFC 7617).
    assert!(
        asked.to_lowercase().contains("proxy-authorization: basic yw5horpwqhnz")
            || asked.contains("YW5hOnBAc3M="),
        "{asked}"
    );

    let relay = Relay::start(Kind::Socks, &bed.server);
    let path = kubeconfig(&home, bed, value!({"proxy-url": relay.url("socks5")}), Value::Null);
    let (code, said) = run(&home, &path, &["pod", "list", "-A"]);
    assert_eq!((code, relay.asked.lock().unwrap().is_empty()), (0, false), "{said}");

    // A name that only the proxy can find, and a proxy without a scheme.
    let relay = Relay::start(Kind::Connect, &bed.server);
    let server = value!({"server": "https://api.cluster.example:6443", "tls-server-name": "localhost"});
    let path = kubeconfig(&home, bed, server, Value::Null);
    let with = |no_proxy: &str| {
        let mut command = home.qd(&["pod", "list", "-A"]);
        command
            .env("KUBECONFIG", &path)
            .env("HTTPS_PROXY", relay.address.to_string())
            .env("NO_PROXY", no_proxy);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (ok, said) = with("");
    assert!(ok, "{said}");
    assert!(relay.asked.lock().unwrap().concat().contains("CONNECT api.cluster.example:6443"));
    let (ok, said) = with("192.0.2.0/24,.cluster.example");
    assert!(!ok && said.contains("api.cluster.example"), "{said}");

    let path = kubeconfig(&home, bed, value!({"proxy-url": "https://127.0.0.1:1"}), Value::Null);
    let (code, said) = run(&home, &path, &["pod", "list", "-A"]);
    assert!(code != 0 && said.contains("use http or socks5"), "{said}");
}

#[test]
fn another_user_is_played_where_the_kubeconfig_says_so() {
    let (bed, home) = (Bed::shared(), Home::new());
    let user = value!({"token": "admintoken", "as": "alice", "as-groups": ["sailors", "cooks"], "as-user-extra": {"example.com/deck": ["lower"]}});
    let path = kubeconfig(&home, bed, value!({}), user);
    let (code, said) = run(&home, &path, &["pod", "list", "-A"]);
    assert_eq!(code, i32::from(Code::PermissionDenied.exit_code()), "{said}");
    assert!(said.contains("User \"alice\" cannot list"), "{said}");
    bed.kubectl(&["create", "clusterrolebinding", "cooks", "--clusterrole=view", "--group=cooks"], None);
    wait_until(10, "rights of the group", || run(&home, &path, &["pod", "list", "-A"]).0 == 0);
}

#[test]
fn a_pod_uses_the_account_that_it_was_given() {
    let bed = Bed::shared();
    bed.namespace("inside");
    bed.kubectl(
        &[
            "create",
            "rolebinding",
            "inside",
            "--clusterrole=view",
            "--serviceaccount=inside:default",
            "-n",
            "inside",
        ],
        None,
    );
    let port = bed.server.rsplit(':').next().unwrap();
    let program = env!("CARGO_BIN_EXE_qd");
    // On the node's network, because the API server listens on loopback; with the node's libraries, because the image has none.
    let manifest = value!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "qd"}, "spec": {
        "nodeName": "real", "hostNetwork": true, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "localhost/busybox:1", "imagePullPolicy": "Never",
            "command": ["/qd", "pod", "list", "-o", "json"],
            "env": [{"name": "KUBERNETES_SERVICE_HOST", "value": "127.0.0.1"}, {"name": "KUBERNETES_SERVICE_PORT", "value": port}, {"name": "HOME", "value": "/tmp"}],
            "volumeMounts": [{"name": "qd", "mountPath": "/qd"}, {"name": "lib", "mountPath": "/lib"}, {"name": "lib64", "mountPath": "/lib64"}]}],
        "volumes": [{"name": "qd", "hostPath": {"path": program}}, {"name": "lib", "hostPath": {"path": "/lib"}}, {"name": "lib64", "hostPath": {"path": "/lib64"}}]}});
    bed.kubectl(&["create", "-n", "inside", "-f", "-"], Some(&manifest.to_string()));
    let phase = || bed.kubectl(&["get", "pod", "qd", "-n", "inside", "-o", "jsonpath={.status.phase}"], None);
    wait_until(60, "end of the pod", || matches!(phase().as_str(), "Succeeded" | "Failed"));
    let said = bed.kubectl(&["logs", "qd", "-n", "inside"], None);
    assert_eq!(phase(), "Succeeded", "{said}");
    let page: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(
        (&page["total"], &page["rows"][0][0]),
        (&value!(1), &value!("qd")),
        "its own namespace is the usual one"
    );
}

#[test]
fn a_plugins_certificate_is_used_and_its_words_stay_off_the_screen() {
    let (bed, home) = (Bed::shared(), Home::new());
    let directory = bed.kubeconfig.parent().unwrap();
    let script = home.path().join("plugin");
    let text = format!(
        r#"import json, sys
try:
    open("/dev/tty", "w").write("TORN BY THE PLUGIN")
    print("it has a terminal", file=open("{log}", "a"))
except OSError as e:
    print("no terminal", file=open("{log}", "a"))
print("words for nobody", file=sys.stderr)
if not open("{allow}").read():
    print("the smartcard is not there", file=sys.stderr)
    sys.exit(7)
read = lambda name: open("{directory}/" + name).read()
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
    "status": {{"clientCertificateData": read("admin.crt"), "clientKeyData": read("admin.key")}}}}))
"#,
        log = home.path().join("log").display(),
        allow = home.path().join("allow").display(),
        directory = directory.display(),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::write(home.path().join("allow"), "").unwrap();
    let user = value!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "python3", "args": [script], "interactiveMode": "IfAvailable"}});
    let path = kubeconfig(&home, bed, value!({}), user);
    bed.namespace("plugin");
    make(bed, "one", "plugin");
    let console = Console::start(&home, Some(&path), &["pods", "-n", "plugin"], 160, 40);
    console.wait("why there is no credential", 20, |s| s.contains("the smartcard is not there"));
    std::fs::write(home.path().join("allow"), "yes").unwrap();
    console.wait("rows by certificate", 40, |s| s.contains("pods(plugin)[1]"));
    let raw = console.raw();
    for words in [&b"TORN BY"[..], b"words for nobody"] {
        assert!(memchr::memmem::find(&raw, words).is_none(), "the plugin wrote on the screen");
    }
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("no terminal") && !log.contains("it has"), "{log}");
    // It is not run for each request.
    assert!(log.lines().count() < 20, "{log}");
    drop(console);

    let user = value!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "installHint": "Install it from the shelf."}});
    let path = kubeconfig(&home, bed, value!({}), user);
    let (code, said) = run(&home, &path, &["pod", "list"]);
    assert_eq!(code, i32::from(Code::Unauthenticated.exit_code()), "{said}");
    assert!(said.contains("no-such-plugin is not installed") && said.contains("from the shelf"), "{said}");
}

#[test]
fn a_server_without_aggregated_discovery_has_the_same_kinds() {
    let (bed, home) = (Bed::shared(), Home::new());
    // The real API server, which is kept from seeing that the newer form is asked for too.
    let mut proxy = std::process::Command::new(bed.kubectl_path());
    proxy.arg("--kubeconfig").arg(&bed.kubeconfig).args(["proxy", "--port=0"]);
    let (mut proxy, said) = lines(proxy);
    let (_, line) = said.recv_timeout(Duration::from_secs(10)).unwrap();
    let server = line.rsplit(' ').next().unwrap().to_owned();
    let rename = Some((&b"apidiscovery.k8s.io"[..], &b"apidiscovery.k8s.no"[..]));
    let relay = Relay::between(Kind::Plain, "127.0.0.1:0", &server, rename);
    let path = kubeconfig(
        &home,
        bed,
        value!({"server": relay.url("http"), "certificate-authority": null}),
        value!({}),
    );
    let arguments = ["kind", "list", "-o", "json", "--limit", "1000"];
    let (code, old) = run(&home, &path, &arguments);
    assert_eq!(code, 0, "{old}");
    let kinds = |text: &str| {
        let page: Value = serde_json::from_str(text).unwrap();
        let mut rows: Vec<String> = page["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
        // Other tests define kinds of their own meanwhile.
        rows.retain(|row| !row.contains(".example"));
        rows.sort();
        rows
    };
    let new = run(&home, &bed.kubeconfig, &arguments).1;
    assert!(kinds(&new).len() > 50);
    assert_eq!(kinds(&old), kinds(&new));
    proxy.kill().unwrap();
    proxy.wait().unwrap();
}

#[test]
fn large_answers_come_compressed() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("large");
    let line = "all the same words in every line of it\n".repeat(10_000);
    let object = value!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "book"}, "data": {"text": line}});
    bed.kubectl(&["create", "-n", "large", "-f", "-"], Some(&object.to_string()));
    let relay = Relay::start(Kind::Plain, &bed.server);
    let path = kubeconfig(&home, bed, value!({"server": relay.url("https")}), Value::Null);
    let (code, said) = run(&home, &path, &["resource", "get", "cm", "book", "-n", "large"]);
    assert_eq!(code, 0);
    assert_eq!(said.matches("all the same words").count(), 10_000);
    let sent = relay.sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!(sent < 150_000, "{sent} bytes for {}", said.len());
}

/// Noticed at most 30 s after the server fell silent, said, and mended once it speaks again.
fn falls_silent(watch: &Watching, silence: &dyn Fn(bool), bed: &Bed) {
    watch.until(20, &["\"live\""]);
    silence(true);
    let began = Instant::now();
    let (at, _) = watch.until(31, &["reconnecting"]);
    let noticed = at.saturating_duration_since(began);
    println!("noticed after {noticed:.1?}");
    // Whoever asks now is not told that all is well.
    assert!(
        watch.during(Duration::from_secs(9)).iter().all(|l| !l.contains("\"live\"")),
        "it did not answer"
    );
    silence(false);
    make(bed, "after", "default");
    let (_, line) = watch.until(45, &["\"after\""]);
    println!("mended, with {} bytes", line.len());
}

#[test]
fn a_server_that_hangs_is_noticed_in_time() {
    let home = Home::new();
    let bed = Bed::up("hangs", &["--scale"]);
    let watch = Watching::start(home.qd(&["pod", "list", "-A", "--watch", "-o", "json"]), &bed.kubeconfig);
    falls_silent(
        &watch,
        &|on| {
            bed.command(if on { "pause apiserver" } else { "resume apiserver" });
        },
        &bed,
    );
}

/// Two ends of a cable, one of them in a network namespace: packets that are dropped give no error to anyone.
struct Cable {
    namespace: String,
    device: String,
}

impl Cable {
    const HERE: &'static str = "198.18.77.1";

    fn lay() -> Self {
        let id = std::process::id() % 10_000;
        let cable = Self { namespace: format!("qdtest{id}"), device: format!("qdt{id}a") };
        let far = format!("qdt{id}b");
        let (namespace, near) = (cable.namespace.as_str(), cable.device.as_str());
        for arguments in [
            &["netns", "add", namespace][..],
            &["link", "add", near, "type", "veth", "peer", "name", &far, "netns", namespace],
            &["address", "add", "198.18.77.1/30", "dev", near],
            &["link", "set", near, "up"],
            &["-n", namespace, "address", "add", "198.18.77.2/30", "dev", &far],
            &["-n", namespace, "link", "set", &far, "up"],
        ] {
            cable.ip(arguments);
        }
        cable
    }

    fn ip(&self, arguments: &[&str]) {
        let output = std::process::Command::new("ip").args(arguments).output().unwrap();
        assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Without its address this end answers nothing, and no error either: the other keeps its own and its route.
    fn drop_packets(&self, on: bool) {
        self.ip(&["link", "set", &self.device, "arp", if on { "off" } else { "on" }]);
        self.ip(&["address", if on { "del" } else { "add" }, "198.18.77.1/30", "dev", &self.device]);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for arguments in [["link", "del", &self.device], ["netns", "del", &self.namespace]] {
            let _ = std::process::Command::new("ip").args(arguments).output();
        }
    }
}

#[test]
fn packets_that_are_dropped_are_noticed_in_time() {
    let (bed, home) = (Bed::shared(), Home::new());
    let cable = Cable::lay();
    let relay = Relay::between(Kind::Plain, &format!("{}:0", Cable::HERE), &bed.server, None);
    let server = value!({"server": relay.url("https"), "tls-server-name": "localhost"});
    let path = kubeconfig(&home, bed, server, Value::Null);
    let ours = home.qd(&["pod", "list", "-n", "default", "--watch", "-o", "json"]);
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", &cable.namespace]).arg(ours.get_program()).args(ours.get_args());
    command.envs(home.environment());
    let watch = Watching::start(command, &path);
    falls_silent(&watch, &|on| cable.drop_packets(on), bed);
}
