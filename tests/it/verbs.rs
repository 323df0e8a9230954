//! The verbs of nodes and workloads on real controllers and a real kubelet, through the real binary.

use std::process::Stdio;

use quarterdeck::base::Code;
use serde_json::{Value, json};

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json as run;

fn field(bed: &Bed, namespace: &str, object: &str, path: &str) -> String {
    bed.kubectl(&["get", object, "-n", namespace, "-o", &format!("jsonpath={path}")], None)
}

fn error(bed: &Bed, home: &Home, arguments: &[&str], code: Code) -> String {
    let (got, out, err) = qd(bed, home, arguments);
    assert_eq!(got, i32::from(code.exit_code()), "qd {arguments:?}: {out}{err}");
    err
}

/// Pods on the real node that end at once when they are told to.
const ON_THE_NODE: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {nodeSelector: {kubernetes.io/hostname: real}, terminationGracePeriodSeconds: 1,
  tolerations: [{key: testbed/real, operator: Exists}],
  containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never, command: [sleep, '3600']}]}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare}, spec: {nodeName: real, terminationGracePeriodSeconds: 1,
  volumes: [{name: tmp, emptyDir: {}}],
  containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never, command: [sleep, '3600']}]}}
";

#[test]
fn a_real_node_is_drained_as_its_budgets_allow() {
    let home = Home::new();
    let bed = Bed::up("drain", &["--real"]);
    bed.kubectl(&["apply", "-f", "-"], Some(ON_THE_NODE));
    wait_until(90, "pods on the real node", || {
        field(&bed, "default", "deployment/web", "{.status.readyReplicas}") == "2"
            && field(&bed, "default", "pod/bare", "{.status.phase}") == "Running"
            && field(&bed, "default", "pdb/web", "{.status.currentHealthy}") == "2"
    });
    let closed = || bed.kubectl(&["get", "node", "real", "-o", "jsonpath={.spec.unschedulable}"], None);

    let done = run(&bed, &home, &["node", "cordon", "real"]);
    assert_eq!((&done["changed"], closed().as_str()), (&json!(true), "true"));
    assert_eq!(done["equivalent"], format!("kubectl cordon real --context {}", bed.context));
    run(&bed, &home, &["node", "uncordon", "real"]);
    assert_eq!(closed(), "");

    // What stands in the way is named with the option that lets it go, and nothing is touched.
    let said = error(&bed, &home, &["node", "drain", "real", "--preview"], Code::InvalidArgument);
    assert!(said.contains("default/bare (it keeps data in an emptyDir)"), "{said}");
    assert!(said.contains("delete_emptydir_data"), "{said}");
    assert_eq!(closed(), "");

    let options = ["node", "drain", "real", "--force", "--delete-emptydir-data"];
    let preview = run(&bed, &home, &[&options[..], &["--preview"]].concat());
    let warned = preview["warnings"].to_string();
    assert!(
        warned.contains("disruption budget default/web lets none of its 2 pods here go now"),
        "{preview}"
    );
    assert!(warned.contains("default/bare: nothing makes it again"), "{preview}");

    // The budget holds two pods; what could go is gone, and the rest is named with why.
    let said = error(&bed, &home, &[&options[..], &["--timeout", "4"]].concat(), Code::Timeout);
    assert!(
        said.contains("1 of 3 pods are gone") && said.contains("The disruption budget web needs 2"),
        "{said}"
    );
    assert!(said.contains("stays closed"), "{said}");
    assert_eq!(closed(), "true");
    assert_eq!(field(&bed, "default", "deployment/web", "{.status.readyReplicas}"), "2");

    // It waits for the budget, and goes on as soon as that lets it.
    let mut drain = home.qd(&[&options[..], &["-o", "json"]].concat());
    drain.env("KUBECONFIG", &bed.kubeconfig).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = drain.spawn().unwrap();
    crate::bed::pause(2_000);
    bed.kubectl(&["patch", "pdb", "web", "--type=merge", "-p", r#"{"spec":{"minAvailable":0}}"#], None);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the drain ends well");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(done["gone"].as_array().unwrap().len(), 2, "{done}");
    assert!(
        done["equivalent"].as_str().unwrap().starts_with("kubectl drain real --delete-emptydir-data --force")
    );
}

const WEB: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {initContainers: [{name: init, image: 'shop/init:1'}],
  containers: [{name: main, image: 'shop/web:1', envFrom: [{configMapRef: {name: settings}}]}]}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {A: b}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 1, serviceName: db, selector: {matchLabels: {app: db}},
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: 'shop/db:1'}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly}, spec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: {
  restartPolicy: Never, containers: [{name: main, image: 'shop/job:1'}]}}}}}}
";

#[test]
fn rollouts_are_followed_undone_and_paused() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("rollouts");
    bed.kubectl(&["apply", "-n", "rollouts", "-f", "-"], Some(WEB));
    let qd = |words: &[&str]| run(bed, &home, &[words, &["-n", "rollouts"]].concat());
    let whole = || qd(&["rollout", "status", "deployment", "web"])["state"] == "complete";
    wait_until(60, "complete rollout", whole);
    let image = || field(bed, "rollouts", "deployment/web", "{.spec.template.spec.containers[0].image}");

    let done = qd(&[
        "image",
        "set",
        "deployment",
        "web",
        "--image",
        "main=shop/web:2",
        "--image",
        "init=shop/init:2",
    ]);
    assert_eq!(image(), "shop/web:2");
    assert!(
        done["equivalent"]
            .as_str()
            .unwrap()
            .contains("set image deployment/web main=shop/web:2 init=shop/init:2")
    );
    wait_until(60, "second rollout", whole);
    let history = qd(&["rollout", "history", "deployment", "web"]);
    let revisions = history["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 2, "{history}");
    assert_eq!((&revisions[1]["current"], &revisions[1]["revision"]), (&json!(true), &json!(2)));
    assert_eq!(revisions[0]["images"], json!(["shop/init:1", "shop/web:1"]));

    let preview = qd(&["rollout", "undo", "deployment", "web", "--preview"]);
    let diff = preview["diff"].to_string();
    assert!(diff.contains("shop/web:2") && diff.contains("shop/web:1"), "{preview}");
    assert_eq!(qd(&["rollout", "undo", "deployment", "web"])["revision"], 1);
    assert_eq!(image(), "shop/web:1");
    // The same by the ReplicaSet that is the revision.
    let set = revisions[1]["kept_by"].as_str().unwrap();
    let done = qd(&["replicaset", "rollback", set]);
    assert_eq!((image().as_str(), &done["revision"]), ("shop/web:2", &json!(2)));
    assert!(
        done["equivalent"].as_str().unwrap().contains("rollout undo deployment/web --to-revision=2"),
        "{done}"
    );

    qd(&["rollout", "pause", "deployment", "web"]);
    let said = error(bed, &home, &["rollout", "undo", "deployment", "web", "-n", "rollouts"], Code::Conflict);
    assert!(said.contains("paused") && said.contains("Resume it first"), "{said}");
    qd(&["rollout", "resume", "deployment", "web"]);
    assert_eq!(field(bed, "rollouts", "deployment/web", "{.spec.paused}"), "");
    let said =
        error(bed, &home, &["rollout", "pause", "statefulset", "db", "-n", "rollouts"], Code::Unsupported);
    assert!(said.contains("partition"), "{said}");

    // A StatefulSet goes back by its ControllerRevisions.
    qd(&["image", "set", "statefulset", "db", "--image", "*=shop/db:2"]);
    wait_until(30, "second revision of db", || {
        qd(&["rollout", "history", "statefulset", "db"])["revisions"].as_array().unwrap().len() == 2
    });
    qd(&["rollout", "undo", "statefulset", "db"]);
    assert_eq!(
        field(bed, "rollouts", "statefulset/db", "{.spec.template.spec.containers[0].image}"),
        "shop/db:1"
    );
    // Followed from the command line it ends by itself.
    let mut watch = home.qd(&["rollout", "status", "statefulset", "db", "-n", "rollouts", "--watch"]);
    let output = watch.env("KUBECONFIG", &bed.kubeconfig).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("complete"));

    let used = qd(&["reference", "list", "configmap", "settings"]);
    assert_eq!(
        used["rows"],
        json!([["deployments.apps", "rollouts", "web", "environment of main"]]),
        "{used}"
    );
}

#[test]
fn cron_jobs_are_triggered_and_suspended_and_ended_pods_removed() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("crons");
    bed.kubectl(&["apply", "-n", "crons", "-f", "-"], Some(WEB));
    let qd = |words: &[&str]| run(bed, &home, &[words, &["-n", "crons"]].concat());
    let preview = qd(&["cronjob", "trigger", "nightly", "--preview"]);
    assert!(preview["diff"].to_string().contains("nightly-manual-"), "{preview}");
    let done = qd(&["cronjob", "trigger", "nightly"]);
    let job = done["job"].as_str().unwrap();
    assert!(job.starts_with("nightly-manual-"), "{done}");
    let owner = field(bed, "crons", &format!("job/{job}"), "{.metadata.ownerReferences[0].name}");
    assert_eq!(owner, "nightly");
    qd(&["cronjob", "suspend", "nightly"]);
    assert_eq!(field(bed, "crons", "cronjob/nightly", "{.spec.suspend}"), "true");
    error(bed, &home, &["cronjob", "suspend", "nightly", "-n", "crons"], Code::Conflict);
    qd(&["cronjob", "resume", "nightly"]);

    // The simulated kubelet lets the job's pod run to its end.
    wait_until(60, "pod that has ended", || {
        bed.kubectl(
            &["get", "pods", "-n", "crons", "--field-selector=status.phase=Succeeded", "-o", "name"],
            None,
        )
        .contains("nightly-manual-")
    });
    let preview = qd(&["pod", "sanitize", "--preview"]);
    assert!(preview["affects"].to_string().contains("1 pods are removed: 1 Completed"), "{preview}");
    let done = qd(&["pod", "sanitize"]);
    assert_eq!(done["removed"].as_array().unwrap().len(), 1, "{done}");
    wait_until(20, "no ended pod", || {
        !bed.kubectl(&["get", "pods", "-n", "crons", "-o", "name"], None).contains("nightly-manual-")
    });
}

#[test]
fn several_objects_are_one_batch() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("batches");
    bed.kubectl(&["apply", "-n", "batches", "-f", "-"], Some(WEB));
    let copy =
        WEB.split("---").next().unwrap().replace("name: web", "name: api").replace("app: web", "app: api");
    bed.kubectl(&["apply", "-n", "batches", "-f", "-"], Some(&copy));
    let target = |name: &str| format!(r#"{{"name":"{name}","namespace":"batches"}}"#);
    let (web, api, gone) = (target("web"), target("api"), target("gone"));
    let arguments =
        ["batch", "run", "deployment_restart", "--target", &web, "--target", &api, "--target", &gone];
    let preview = run(bed, &home, &[&arguments[..], &["--preview"]].concat());
    assert!(preview["warnings"].to_string().contains("1 of 3 objects are left out"), "{preview}");
    let output = home
        .qd(&[&arguments[..], &["-o", "json"]].concat())
        .env("KUBECONFIG", &bed.kubeconfig)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "not all of it was done");
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&done["done"], &done["failed"]), (&json!(2), &json!(1)), "{done}");
    assert_eq!(done["equivalent"].as_str().unwrap().matches("kubectl rollout restart").count(), 3);
    let at = "{.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}";
    for name in ["web", "api"] {
        assert!(!field(bed, "batches", &format!("deployment/{name}"), at).is_empty(), "{name}");
    }
    // Each of them has its rows in the audit log, with its command.
    let rows = run(bed, &home, &["audit", "list", "--operation", "deployment_restart", "--details"]);
    assert!(rows.to_string().contains("kubectl rollout restart deployment/api -n batches"), "{rows}");
}

#[test]
fn rights_are_asked_of_the_server_and_read_from_bindings() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("rights");
    bed.kubectl(&["create", "serviceaccount", "robot", "-n", "rights"], None);
    bed.kubectl(
        &["create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log", "-n", "rights"],
        None,
    );
    bed.kubectl(
        &[
            "create",
            "rolebinding",
            "robots",
            "--role=reader",
            "--serviceaccount=rights:robot",
            "-n",
            "rights",
        ],
        None,
    );
    assert_eq!(run(bed, &home, &["can", "i", "delete", "pods", "-n", "rights"])["allowed"], true);
    let robot = ["--for", "s:rights:robot", "-n", "rights"];
    let asked = |words: &[&str]| qd(bed, &home, &[&["can", "i"], words, &robot].concat()).0;
    wait_until(10, "binding that holds", || asked(&["get", "pods"]) == 0);
    assert_eq!(asked(&["get", "pods/log"]), 0);
    assert_eq!(asked(&["delete", "pods"]), 3, "no is 3");
    let rules = run(bed, &home, &["subject", "rules", "s:rights:robot"]).to_string();
    assert!(rules.contains("Role/reader by RoleBinding/robots") && rules.contains("pods/log"), "{rules}");
    assert!(rules.contains("as system:authenticated"), "what its groups may is its right too: {rules}");
    let own = run(bed, &home, &["subject", "rules", "-n", "rights"]);
    assert!(own["total"].as_u64().unwrap() > 0);
    // The rules of a role, of what a binding gives, and of a role that is not there.
    let role = run(bed, &home, &["subject", "rules", "r:rights:reader"]);
    let (columns, rows) = (role["columns"].as_array().unwrap(), role["rows"].as_array().unwrap());
    let at = |name: &str| columns.iter().position(|c| c == name).unwrap();
    let cells =
        |row: &Value| ["RESOURCE", "GET", "DELETE"].map(|name| row[at(name)].as_str().unwrap().to_owned());
    assert_eq!(rows.iter().map(cells).collect::<Vec<_>>(), [["pods", "✓", ""], ["pods/log", "✓", ""]]);
    let given = run(bed, &home, &["subject", "rules", "rb:rights:robots"]);
    assert_eq!(given["note"], "to ServiceAccount rights/robot");
    assert_eq!(given["rows"].as_array().unwrap().len(), 2, "{given}");
    let admin = run(bed, &home, &["subject", "rules", "cr:cluster-admin"]).to_string();
    assert!(admin.contains("bindings say to whom"), "{admin}");
    assert_eq!(qd(bed, &home, &["subject", "rules", "cr:none"]).0, i32::from(Code::NotFound.exit_code()));
    let groups = run(bed, &home, &["subject", "list", "group"]).to_string();
    assert!(groups.contains("system:masters"), "{groups}");
}

fn pod(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: real\n  terminationGracePeriodSeconds: 0\n  \
         containers: [{{name: main, image: \"localhost/busybox:1\", imagePullPolicy: Never, {spec}}}]\n"
    )
}

#[test]
fn what_fails_on_a_real_kubelet_is_explained() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("explained");
    let pods = [
        pod("crash", "command: [sh, -c, \"echo no configuration >&2; exit 3\"]"),
        pod(
            "oom",
            "command: [sh, -c, \"a=x; while true; do a=$a$a; done\"], resources: {limits: {memory: 32Mi}}",
        ),
        pod(
            "probe",
            "command: [sleep, \"3600\"], readinessProbe: {exec: {command: [\"false\"]}, periodSeconds: 1}",
        ),
        pod(
            "killed",
            "command: [sleep, \"3600\"], livenessProbe: {exec: {command: [\"false\"]}, periodSeconds: 1, failureThreshold: 1}",
        ),
        pod("secret", "command: [sleep, \"3600\"], envFrom: [{secretRef: {name: missing}}]"),
        pod("noimage", "command: [sleep, \"1\"]").replace("busybox:1", "none:1"),
        pod("well", "command: [sleep, \"3600\"]"),
    ];
    bed.kubectl(&["apply", "-n", "explained", "-f", "-"], Some(&pods.concat()));
    let claim =
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: none,
        accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    bed.kubectl(&["apply", "-n", "explained", "-f", "-"], Some(claim));
    let explain = |kind: &str, name: &str| {
        run(bed, &home, &["resource", "explain", kind, name, "-n", "explained"])["summary"].to_string()
    };
    for (kind, name, words) in [
        ("pod", "crash", "crashes again and again: it ended with an error (exit code 3)"),
        ("pod", "oom", "takes more memory than its limit of 32Mi"),
        ("pod", "probe", "its readiness probe fails: it gets no traffic"),
        ("pod", "killed", "liveness probe fails"),
        ("pod", "secret", "missing"),
        ("pod", "noimage", "it is not on the node, and may not be pulled"),
        ("pvc", "data", "its storage class none is not there"),
        ("pod", "well", "nothing is wrong"),
    ] {
        // Each state comes and goes as the kubelet tries again.
        wait_until(90, &format!("explanation of {name}"), || {
            let said = explain(kind, name);
            println!("{name}: {said}");
            said.contains(words)
        });
    }
    let report = run(bed, &home, &["resource", "explain", "pod", "crash", "-n", "explained"]);
    let leads = report["findings"][0]["lead"].to_string();
    assert!(leads.contains("previous_logs") && leads.contains("main"), "{report}");
}

/// The console on the practice fleet, with its first rows there.
fn fleet(home: &Home) -> Console {
    let console = Console::start(home, None, &["lab"], 120, 40);
    console.wait("table of pods", 15, |s| s.contains("pods(") && s.contains("Running"));
    console
}

#[test]
fn a_node_of_the_fleet_is_drained_from_the_console() {
    let home = Home::new();
    let console = fleet(&home);
    console.keys(":nodes\r");
    console.wait("nodes", 10, |s| s.contains("harbour-node-3"));
    console.keys("/harbour-node-3\r");
    console.wait("one node", 10, |s| s.contains("nodes[1/"));
    console.keys("c");
    console.wait("what cordoning changes", 10, |s| s.contains("unschedulable: true"));
    console.keys("y");
    console.wait("the command that is the same", 10, |s| s.contains("kubectl cordon harbour-node-3"));
    console.wait("closed node", 10, |s| s.contains("SchedulingDisabled"));
    console.keys("r");
    console
        .wait("the drain's form", 10, |s| s.contains("ignore_daemonsets") && s.contains("disable_eviction"));
    console.keys("\r");
    // Its pods keep data or have no keeper: the error says what to turn on, and e goes back to the form.
    let screen = console.wait("preview or what stands in the way", 20, |s| {
        s.contains("stand in the way") || s.contains("pods are evicted")
    });
    if screen.contains("stand in the way") {
        console.keys("e");
        console.wait("the form again", 10, |s| s.contains("delete_emptydir_data"));
        for _ in 0..3 {
            // delete_emptydir_data, disable_eviction (left as it is), force
            console.keys(" ");
            crate::bed::pause(200);
            console.keys("\x1b[B");
            crate::bed::pause(200);
        }
        console.keys("\x1b[A\x1b[A ");
        crate::bed::pause(200);
        console.keys("\r");
        console.wait("preview", 20, |s| s.contains("pods are evicted"));
    }
    for _ in 0..12 {
        console.keys(" ");
        crate::bed::pause(60);
    }
    crate::bed::pause(800);
    console.keys("y");
    console.wait("question for the name", 10, |s| s.contains("type the target's name"));
    console.keys("harbour-node-3\r");
    crate::bed::pause(300);
    console.keys("y");
    console.wait("the pods, one by one", 20, |s| {
        s.contains("running") || s.contains("waiting") || s.contains("done")
    });
    console.wait("the end of the drain", 120, |s| s.contains("over after"));
    console.keys("\r");
    console.wait("the table again", 10, |s| s.contains("nodes[1/") && !s.contains("over after"));
}

#[test]
fn what_is_broken_in_the_fleet_is_explained_in_the_console() {
    let home = Home::new();
    let console = fleet(&home);
    for (name, words) in [
        ("recommender", "the registry has no such image or tag"),
        ("training", "have too little cpu left"),
        ("catalog", "its readiness probe fails"),
    ] {
        console.keys(&format!(":deploy shop /^{name}\r"));
        console.wait(name, 15, |s| s.contains("deployments(shop)[1/"));
        console.keys("W");
        let screen = console.wait(words, 20, |s| s.contains("explain(deployment"));
        if !screen.contains(words) {
            console.wait(words, 30, |s| s.split_whitespace().collect::<Vec<_>>().join(" ").contains(words));
        }
    }
}
