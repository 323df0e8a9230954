//! Objects on a real cluster through the real binary: logs that go on, changes that clash, what a change takes with it.

use std::collections::BTreeMap;
use std::process::Stdio;

use quarterdeck::base::Code;
use quarterdeck::kube::objects::{apply, edit, manifest, place::Place, plan, restart, scale, yaml};
use quarterdeck::kube::{Clusters, Options};
use serde_json::{Value, json as value};

use crate::bed::{Bed, wait_until};
use crate::console::Home;
use crate::kubelet::{first, json, lines};

/// Runs `qd` on the bed to its end: exit code, stdout, stderr.
pub fn qd(bed: &Bed, home: &Home, arguments: &[&str]) -> (i32, String, String) {
    let output = home.qd(arguments).env("KUBECONFIG", &bed.kubeconfig).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn fails(bed: &Bed, home: &Home, arguments: &[&str], code: Code) -> String {
    let (got, out, err) = qd(bed, home, arguments);
    assert_eq!(got, i32::from(code.exit_code()), "qd {arguments:?}: {out}{err}");
    err
}

fn field(bed: &Bed, namespace: &str, object: &str, path: &str) -> String {
    bed.kubectl(&["get", object, "-n", namespace, "-o", &format!("jsonpath={path}")], None)
}

/// The object's manifest as `resource_get` gives it to an editor.
fn manifest_of(bed: &Bed, home: &Home, namespace: &str, kind: &str, name: &str) -> String {
    let got = json(bed, home, &["resource", "get", kind, name, "-n", namespace]);
    got["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_followed_log_goes_on_after_the_api_server_was_killed() {
    let home = Home::new();
    let bed = Bed::up("logs", &["--real"]);
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: counter}, spec: {nodeName: real, terminationGracePeriodSeconds: 0,
      containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never,
      command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo number $i; usleep 3000; done']}]}}";
    bed.kubectl(&["apply", "-f", "-"], Some(pod));
    bed.kubectl(&["wait", "--for=condition=Ready", "pod/counter", "--timeout=60s"], None);
    let mut command = home.qd(&["log", "read", "counter", "--watch"]);
    command.env("KUBECONFIG", &bed.kubeconfig);
    let (mut follower, log) = lines(command);
    let mut read = Vec::new();
    let mut until = |wanted: &dyn Fn(&str) -> bool| loop {
        let (_, line) = log.recv_timeout(std::time::Duration::from_secs(60)).expect("the log goes on");
        read.push(line);
        if wanted(read.last().unwrap()) {
            return;
        }
    };
    until(&|line| line == "number 300");
    bed.command("kill apiserver");
    until(&|line| line.contains("stream lost") && line.contains("reconnecting"));
    bed.command("start apiserver");
    until(&|line| line.contains("the stream is back"));
    // What was written meanwhile, and what is written now.
    let written: u64 = bed
        .kubectl(&["logs", "counter", "--tail=1"], None)
        .trim()
        .strip_prefix("number ")
        .unwrap()
        .parse()
        .unwrap();
    let last = format!("number {}", written + 100);
    until(&|line| line == last);
    follower.kill().unwrap();
    follower.wait().unwrap();
    let gap = read.iter().any(|line| line.contains("lines may be missing"));
    let numbers: Vec<u64> =
        read.iter().filter_map(|line| line.strip_prefix("number ")).map(|n| n.parse().unwrap()).collect();
    for pair in numbers.windows(2) {
        let follows = pair[1] == pair[0] + 1 || (gap && pair[1] > pair[0]);
        assert!(follows, "after {} came {}", pair[0], pair[1]);
    }
    assert_eq!(numbers[0], 1);
    println!(
        "{} lines, none lost, none doubled; a gap was {}said",
        numbers.len(),
        if gap { "" } else { "not " }
    );
}

#[test]
fn an_edit_meets_what_another_changed_meanwhile() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("edits");
    bed.kubectl(&["create", "deployment", "web", "--image=x", "--replicas=2", "-n", "edits"], None);
    wait_until(20, "settled deployment", || {
        field(bed, "edits", "deployment/web", "{.status.readyReplicas}") == "2"
    });
    let edited = manifest_of(bed, &home, "edits", "deployment", "web").replace("replicas: 2", "replicas: 4");

    // The same part: refused, with the other's change.
    bed.kubectl(&["scale", "deployment", "web", "--replicas=3", "-n", "edits"], None);
    let arguments = ["resource", "edit", "deployment", "web", "-n", "edits", "--manifest", &edited];
    let said = fails(bed, &home, &arguments, Code::Conflict);
    assert!(said.contains("changed since it was read") && said.contains("spec.replicas"), "{said}");
    assert!(said.contains("+replicas: 3") && said.contains("Read it again"), "{said}");
    assert_eq!(field(bed, "edits", "deployment/web", "{.spec.replicas}"), "3", "nothing was written");

    // Another part: both changes stand.
    let edited = manifest_of(bed, &home, "edits", "deployment", "web").replace("replicas: 3", "replicas: 5");
    bed.kubectl(&["annotate", "deployment", "web", "note=theirs", "-n", "edits"], None);
    let arguments = ["resource", "edit", "deployment", "web", "-n", "edits", "--manifest", &edited];
    assert_eq!(qd(bed, &home, &arguments).0, 0);
    assert_eq!(
        field(bed, "edits", "deployment/web", "{.spec.replicas} {.metadata.annotations.note}"),
        "5 theirs"
    );

    // Deleted and made anew: another object, though it has the name.
    let edited = manifest_of(bed, &home, "edits", "deployment", "web").replace("replicas: 5", "replicas: 6");
    bed.kubectl(&["delete", "deployment", "web", "-n", "edits"], None);
    bed.kubectl(&["create", "deployment", "web", "--image=x", "-n", "edits"], None);
    let arguments = ["resource", "edit", "deployment", "web", "-n", "edits", "--manifest", &edited];
    let said = fails(bed, &home, &arguments, Code::Conflict);
    assert!(said.contains("made anew"), "{said}");
}

#[test]
fn an_apply_names_the_other_manager_and_takes_over_when_told() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("applies");
    let deployment = |replicas: u32| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}, selector: {{matchLabels: {{a: b}}}},
              template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: x}}]}}}}}}}}"
        )
    };
    let gitops = ["apply", "--server-side", "--field-manager=gitops", "-n", "applies", "-f", "-"];
    bed.kubectl(&gitops, Some(&deployment(2)));
    let ours = deployment(7);
    let said = fails(bed, &home, &["resource", "apply", &ours, "-n", "applies"], Code::Conflict);
    assert!(said.contains("gitops owns .spec.replicas (2 there, 7 here)"), "{said}");
    assert!(said.contains("force_conflicts"), "{said}");
    assert_eq!(field(bed, "applies", "deployment/web", "{.spec.replicas}"), "2");
    let preview =
        json(bed, &home, &["resource", "apply", &ours, "-n", "applies", "--force-conflicts", "--preview"]);
    assert!(preview["warnings"].to_string().contains("takes .spec.replicas over from gitops"), "{preview}");
    assert_eq!(qd(bed, &home, &["resource", "apply", &ours, "-n", "applies", "--force-conflicts"]).0, 0);
    assert_eq!(field(bed, "applies", "deployment/web", "{.spec.replicas}"), "7");

    // What the kind does not know is refused by its name, and nothing is written.
    let misspelt = ours.replace("replicas: 7", "replicsa: 8");
    let said = fails(bed, &home, &["resource", "apply", &misspelt, "-n", "applies"], Code::InvalidArgument);
    assert!(said.contains("replicsa") && said.contains("misspelt"), "{said}");
    let edited =
        manifest_of(bed, &home, "applies", "deployment", "web").replace("  replicas: 7", "  replicsa: 8");
    let arguments = ["resource", "edit", "deployment", "web", "-n", "applies", "--manifest", &edited];
    let said = fails(bed, &home, &arguments, Code::InvalidArgument);
    assert!(said.contains("unknown field \"spec.replicsa\""), "{said}");
    assert_eq!(field(bed, "applies", "deployment/web", "{.spec.replicas}"), "7");
}

const WORKLOADS: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: x}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 2, serviceName: db, selector: {matchLabels: {app: db}},
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: x}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}},
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c, image: x}]}}}}
";

#[test]
fn workloads_are_scaled_and_restarted() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("workloads");
    bed.kubectl(&["apply", "-n", "workloads", "-f", "-"], Some(WORKLOADS));
    let ready = |object: &str, path: &str, count: &str| {
        wait_until(30, &format!("{object} with {path} {count}"), || {
            field(bed, "workloads", object, path) == count
        });
    };
    ready("deployment/web", "{.status.readyReplicas}", "2");
    ready("statefulset/db", "{.status.readyReplicas}", "2");
    ready("daemonset/agent", "{.status.numberReady}", "3");
    for (kind, name) in [("deployment", "web"), ("statefulset", "db")] {
        let done = json(bed, &home, &[kind, "scale", name, "--replicas", "4", "-n", "workloads"]);
        assert_eq!((&done["before"], &done["after"]), (&value!(2), &value!(4)), "{done}");
        ready(&format!("{kind}/{name}"), "{.status.readyReplicas}", "4");
    }
    let uids = |app: &str| {
        let path = "jsonpath={.items[*].metadata.uid}";
        bed.kubectl(&["get", "pods", "-n", "workloads", "-l", &format!("app={app}"), "-o", path], None)
    };
    for (kind, name, count) in [("deployment", "web", 4), ("statefulset", "db", 4), ("daemonset", "agent", 3)]
    {
        let before = uids(name);
        let done = json(bed, &home, &[kind, "restart", name, "-n", "workloads"]);
        let written = "{.spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt}";
        assert_eq!(
            done["restarted_at"],
            field(bed, "workloads", &format!("{kind}/{name}"), written).as_str()
        );
        wait_until(60, &format!("new pods of {name}"), || {
            let now = uids(name);
            now.split(' ').count() == count && before.split(' ').all(|uid| !now.contains(uid))
        });
    }
    let said = fails(
        bed,
        &home,
        &["deployment", "scale", "nothing", "--replicas", "1", "-n", "workloads"],
        Code::NotFound,
    );
    assert!(said.contains("nothing"), "{said}");
}

#[test]
fn a_deletion_says_what_holds_it_and_what_goes_with_it() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("deletes");
    let held = "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [test.example/hold]}}";
    bed.kubectl(&["apply", "-n", "deletes", "-f", "-"], Some(held));
    let preview = json(bed, &home, &["resource", "delete", "cm", "held", "-n", "deletes", "--preview"]);
    assert!(preview["warnings"].to_string().contains("test.example/hold"), "{preview}");
    let done = json(bed, &home, &["resource", "delete", "cm", "held", "-n", "deletes"]);
    assert_eq!(
        (&done["state"], &done["finalizers"]),
        (&value!("terminating"), &value!(["test.example/hold"]))
    );
    let again = json(bed, &home, &["resource", "delete", "cm", "held", "-n", "deletes", "--preview"]);
    assert!(again["warnings"].to_string().contains("being deleted already"), "{again}");
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    bed.kubectl(&["patch", "cm", "held", "-n", "deletes", "--type=merge", "-p", patch], None);
    fails(bed, &home, &["resource", "get", "cm", "held", "-n", "deletes"], Code::NotFound);

    let names = |kind: &str| bed.kubectl(&["get", kind, "-n", "deletes", "-o", "name"], None).lines().count();
    let make = |replicas: usize| {
        let number = format!("--replicas={replicas}");
        bed.kubectl(&["create", "deployment", "web", "--image=x", &number, "-n", "deletes"], None);
        wait_until(30, "pods", || names("pods") == replicas);
    };
    // Its pods stay without an owner.
    make(2);
    let delete = |cascade: &str, preview: bool| {
        let mut arguments =
            vec!["resource", "delete", "deploy", "web", "-n", "deletes", "--cascade", cascade];
        arguments.extend(preview.then_some("--preview"));
        json(bed, &home, &arguments)
    };
    let preview = delete("orphan", true);
    assert!(preview["affects"].to_string().contains("replicasets: 1 stay"), "{preview}");
    delete("orphan", false);
    wait_until(20, "deployment's end", || names("deployments") == 0);
    assert_eq!((names("replicasets"), names("pods")), (1, 2));
    bed.kubectl(&["delete", "rs", "--all", "-n", "deletes"], None);
    wait_until(30, "end of the pods", || names("pods") == 0);
    // They go first, and it is there until they are gone.
    make(3);
    let preview = delete("foreground", true);
    assert!(preview["affects"].to_string().contains("pods: 3 go with it"), "{preview}");
    let done = delete("foreground", false);
    assert_eq!(
        (&done["state"], &done["finalizers"]),
        (&value!("terminating"), &value!(["foregroundDeletion"]))
    );
    wait_until(30, "end of all", || names("deployments") + names("replicasets") + names("pods") == 0);
    // They go after it.
    make(1);
    assert_eq!(delete("background", false)["state"], "gone");
    wait_until(30, "end of all", || names("replicasets") + names("pods") == 0);
}

const KINDS: &str = "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: fast}}
---
{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {password: hunter2hunter2}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: once}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly}, spec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front}, spec: {rules: [{host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed}, spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: disk}, spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 2, maxReplicas: 9, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: quota}, spec: {hard: {pods: '50'}}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: readers}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, subjects: [{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}]}
";

#[test]
fn the_common_kinds_are_described() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("described");
    bed.kubectl(&["apply", "-n", "described", "-f", "-"], Some(&format!("{WORKLOADS}---{KINDS}")));
    wait_until(30, "endpoints", || {
        field(bed, "described", "endpointslices", "{.items[*].endpoints[*].addresses}").matches("10.").count()
            == 2
    });
    let pods = bed.kubectl(&["get", "pods", "-n", "described", "-l", "app=web", "-o", "name"], None);
    let pod = pods.lines().next().unwrap().trim_start_matches("pod/").to_owned();
    for (kind, name, words) in [
        ("pod", pod.as_str(), &["Node:", "Status:", "c:", "Image:", "Scheduled"][..]),
        ("deployment", "web", &["Replicas:", "RollingUpdate", "app=web"]),
        ("statefulset", "db", &["Replicas:", "app=db"]),
        ("daemonset", "agent", &["app=agent"]),
        ("service", "web", &["ClusterIP", "80", "8080", "app=web"]),
        ("configmap", "settings", &["mode", "fast"]),
        ("secret", "key", &["password", "14 bytes"]),
        ("job", "once", &["Completions:"]),
        ("cronjob", "nightly", &["0 3 * * *"]),
        ("ingress", "front", &["shop.example", "web:80"]),
        ("networkpolicy", "closed", &["Pod Selector:", "web", "Ingress"]),
        ("pvc", "disk", &["1Gi", "Pending"]),
        ("hpa", "web", &["70", "9", "Deployment/web"]),
        ("pdb", "web", &["Disruptions Allowed:", "1"]),
        ("resourcequota", "quota", &["Pods:", "50"]),
        ("role", "reader", &["pods", "get", "list"]),
        ("rolebinding", "readers", &["alice", "reader"]),
        ("serviceaccount", "default", &["default"]),
        ("namespace", "described", &["Active"]),
        ("node", "node-0", &["Ready", "Capacity", "kwok"]),
    ] {
        let text = json(bed, &home, &["resource", "describe", kind, name, "-n", "described"])["text"]
            .as_str()
            .unwrap()
            .to_owned();
        for word in words {
            assert!(text.contains(word), "{kind} {name} without {word:?}:\n{text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVy"), "{text}");
    }
    // The masks of a Secret that an editor gives back mean "as it was".
    let masked = manifest_of(bed, &home, "described", "secret", "key");
    assert!(masked.contains("*** (14 bytes)"), "{masked}");
    let edited = masked.replace("type: Opaque", "type: Opaque\nimmutable: true");
    let arguments = ["resource", "edit", "secret", "key", "-n", "described", "--manifest", &edited];
    let (code, _, err) = qd(bed, &home, &arguments);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        field(bed, "described", "secret/key", "{.immutable} {.data.password}"),
        "true aHVudGVyMmh1bnRlcjI="
    );
}

/// What the server will make of a change must be known before it is made, to the last default.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_shows_is_what_happens() {
    let bed = Bed::shared();
    tokio::task::block_in_place(|| bed.namespace("previews"));
    let clusters = Clusters::new(Options { kubeconfig: Some(bed.kubeconfig.clone()), ..Options::default() });
    let cluster = clusters.get(None).unwrap();
    let text = format!("{WORKLOADS}---{KINDS}");
    let live = |object: &manifest::Document| {
        let (cluster, object) = (cluster.clone(), object.clone());
        async move {
            let resource = cluster.resolve(&object.resolvable()).await.unwrap();
            let place = Place::at(cluster, resource, Some("previews"), &object.name());
            let got = place.get().await.unwrap();
            (place, got)
        }
    };
    // Making each, one after another, so that no controller's write comes between plan and look.
    for document in manifest::parse(&text).unwrap() {
        let one = std::slice::from_ref(&document);
        let options = apply::Options::default();
        let planned = apply::plan(&cluster, Some("previews"), one, options).await.unwrap();
        assert_eq!(
            planned,
            apply::plan(&cluster, Some("previews"), one, options).await.unwrap(),
            "twice the same"
        );
        let done = apply::run(&cluster, Some("previews"), one, options, planned.seen.as_ref()).await.unwrap();
        assert_eq!(done[0].outcome, "created");
        let (place, mut now) = live(&document).await;
        plan::comparable_new(&mut now, &document.value, &place.resource);
        forget_controllers(&mut now);
        let (_, after) = plan::sides(None, now);
        assert_eq!(planned.after, after, "{}", document.words());
        // Applied again, nothing is left to do.
        let again = apply::plan(&cluster, Some("previews"), one, options).await.unwrap();
        assert!(
            again.warnings.contains(&"nothing changes".to_owned()),
            "{}: {:?}",
            document.words(),
            again.warnings
        );
    }
    // Changing: an apply, an edit, a scaling.
    let changed = WORKLOADS
        .replace("replicas: 2", "replicas: 3")
        .replace("image: x", "image: y, env: [{name: A, value: b}]");
    for document in manifest::parse(&changed).unwrap() {
        let one = std::slice::from_ref(&document);
        let planned = apply::plan(&cluster, Some("previews"), one, apply::Options::default()).await.unwrap();
        assert_ne!(planned.before, planned.after);
        apply::run(&cluster, Some("previews"), one, apply::Options::default(), None).await.unwrap();
        let (place, now) = live(&document).await;
        assert_eq!(comparable(&planned.after), comparable(&shown(now, &place)), "{}", document.words());

        // Where a controller writes between the look and the edit, one looks again, as a person would.
        let mut looks = 0;
        let planned = loop {
            let (place, mut edited) = live(&document).await;
            edited["metadata"]["labels"] = value!({"edited": "yes"});
            let edited = manifest::parse(&edited.to_string()).unwrap().remove(0);
            let done = match edit::plan(&place, &edited).await {
                Ok(planned) => edit::run(&place, &edited, None).await.map(|_| planned),
                Err(error) => Err(error),
            };
            looks += 1;
            match done {
                Ok(planned) => break planned,
                Err(error) if error.code == Code::Conflict && looks < 10 => {}
                Err(error) => panic!("{}: {error}", document.words()),
            }
        };
        let (place, now) = live(&document).await;
        assert_eq!(comparable(&planned.after), comparable(&shown(now, &place)), "{}", document.words());
    }
    let document = manifest::parse(WORKLOADS).unwrap().remove(0);
    let (place, _) = live(&document).await;
    let planned = scale::plan(&place, 6).await.unwrap();
    scale::run(&place, 6, None).await.unwrap();
    let (_, now) = live(&document).await;
    assert_eq!(planned.after, yaml::to_yaml(&value!({"spec": {"replicas": now["spec"]["replicas"]}})));
}

/// A deployment whose pods crash has another status every second: what is decided about it must hold all the same, and
/// must not once anything else of it has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_voids_no_decision_and_all_else_does() {
    let bed = Bed::shared();
    let kubectl = |arguments: &[&str]| tokio::task::block_in_place(|| bed.kubectl(arguments, None));
    tokio::task::block_in_place(|| {
        bed.namespace("decided");
        bed.kubectl(&["apply", "-n", "decided", "-f", "-"], WORKLOADS.split("---").next());
    });
    let clusters = Clusters::new(Options { kubeconfig: Some(bed.kubeconfig.clone()), ..Options::default() });
    let cluster = clusters.get(None).unwrap();
    let resource = cluster.resolve("deployments").await.unwrap();
    let place = Place::at(cluster, resource, Some("decided"), "web");
    let revision = || {
        kubectl(&["get", "deployment", "web", "-n", "decided", "-o", "jsonpath={.metadata.resourceVersion}"])
    };
    let status = || {
        let before = revision();
        let patch = r#"{"status":{"collisionCount":7}}"#;
        kubectl(&[
            "patch",
            "deployment",
            "web",
            "-n",
            "decided",
            "--subresource=status",
            "--type=merge",
            "-p",
            patch,
        ]);
        assert_ne!(before, revision(), "the status was written");
    };
    wait_until(30, "the rollout to be over", || {
        kubectl(&["get", "deployment", "web", "-n", "decided", "-o", "jsonpath={.status.readyReplicas}"])
            == "2"
    });
    let scaled = scale::plan(&place, 4).await.unwrap().seen.unwrap();
    let restarted = restart::plan(&place).await.unwrap().seen.unwrap();
    let content = |revision: &str| revision.split_once('+').unwrap().1.to_owned();
    assert_eq!(content(&scaled.revision), content(&restarted.revision));
    status();
    let again = scale::plan(&place, 4).await.unwrap().seen.unwrap();
    assert_ne!(scaled, again, "the resource version is told too");
    let done = scale::run(&place, 4, Some(&scaled)).await.unwrap();
    assert_eq!((done.before, done.after), (2, 4));
    // Now its specification is another.
    let refused = restart::run(&place, Some(&restarted), jiff::Timestamp::now()).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict, "{refused}");
    let seen = scale::plan(&place, 1).await.unwrap().seen.unwrap();
    kubectl(&["annotate", "deployment", "web", "-n", "decided", "note=mind"]);
    let refused = scale::run(&place, 1, Some(&seen)).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict, "{refused}");
    assert_eq!(field(bed, "decided", "deployment/web", "{.spec.replicas}"), "4");
}

fn shown(mut object: Value, place: &Place) -> String {
    plan::comparable(&mut object, &place.resource);
    plan::sides(None, object).1
}

/// Without what controllers write between the change and the look at it.
fn comparable(text: &str) -> BTreeMap<usize, String> {
    let lines = text.lines().filter(|l| {
        !l.contains("deployment.kubernetes.io/revision")
            && !l.contains("deprecated.daemonset.template.generation")
    });
    lines.map(str::to_owned).enumerate().collect()
}

fn forget_controllers(object: &mut Value) {
    if let Some(meta) = object["metadata"].as_object_mut() {
        let revision = |a: &mut Value| {
            a.as_object_mut().map(|a| {
                a.remove("deployment.kubernetes.io/revision");
                a.is_empty()
            })
        };
        if meta.get_mut("annotations").and_then(revision) == Some(true) {
            meta.remove("annotations");
        }
    }
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
}

/// Between two runs of a crashing container the log of the last one is what "previous" means.
#[test]
fn the_previous_log_is_there_between_two_runs() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("between");
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: crash}, spec: {nodeName: real, terminationGracePeriodSeconds: 0,
      containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never, command: [sh, -c, 'echo no configuration; exit 3']}]}}";
    bed.kubectl(&["apply", "-n", "between", "-f", "-"], Some(pod));
    let mut dead = 0;
    let mut command = home.qd(&["pod", "list", "-n", "between", "--watch", "-o", "json"]);
    command.env("KUBECONFIG", &bed.kubeconfig);
    let (mut watch, seen) = lines(command);
    first(&seen, &["CrashLoopBackOff"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
    wait_until(40, "three looks at a dead container", || {
        let state = field(bed, "between", "pod/crash", "{.status.containerStatuses[0].state}");
        let read = json(bed, &home, &["log", "read", "crash", "-n", "between", "--previous"]);
        let text = read["text"].as_str().unwrap();
        assert!(!text.contains("unable to retrieve") && !text.contains("symlinks"), "{read}");
        if !state.contains("running") {
            assert!(text.contains("no configuration"), "{state}: {read}");
            dead += 1;
        }
        dead >= 3
    });
}
