//! What stands around an object, on a real API server with real controllers.

use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kubelet::json;

const WEB: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1,
  selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {
    volumes: [{name: v, secret: {secretName: absent, optional: true}}],
    containers: [{name: main, image: 'shop/web:1', envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: gone}}]}]}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {A: a}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: front}, spec: {rules: [{http: {paths: [
  {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {maxReplicas: 3,
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}}
";

const WIDGETS: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition,
  metadata: {name: widgets.around.example.com}, spec: {group: around.example.com, scope: Namespaced,
  names: {kind: Widget, plural: widgets, singular: widget}, versions: [{name: v1, served: true, storage: true,
  schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}";

const WIDGET: &str = "{apiVersion: around.example.com/v1, kind: Widget, metadata: {name: one},
  spec: {configMapRef: {name: settings}, backend: {kind: Deployment, apiVersion: apps/v1, name: web}}}";

/// `relation kind name state` of each.
fn told(answer: &Value) -> Vec<String> {
    let text = |row: &Value, at: usize| row[at].as_str().unwrap().to_owned();
    let rows = answer["rows"].as_array().unwrap();
    rows.iter()
        .map(|r| format!("{} {} {} {}", text(r, 3), text(r, 0), text(r, 2), text(r, 5)).trim_end().to_owned())
        .collect()
}

#[test]
fn what_stands_around_an_object_is_told_with_its_evidence() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("around");
    bed.kubectl(&["apply", "-n", "around", "-f", "-"], Some(WEB));
    let replica_set = || {
        let path = "jsonpath={.items[0].metadata.name}";
        bed.kubectl(&["get", "replicasets", "-n", "around", "-o", path], None)
    };
    wait_until(20, "ReplicaSet", || {
        bed.kubectl(&["get", "replicasets", "-n", "around", "-o", "name"], None).contains("web-")
    });
    let around = |kind: &str, name: &str, more: &[&str]| {
        let words = [&["resource", "adjacent", kind, name, "-n", "around"], more].concat();
        json(bed, &home, &words)
    };
    let set = replica_set();
    let web = around("deployment", "web", &[]);
    assert_eq!(
        told(&web),
        [
            format!("owned replicasets.apps {set}"),
            "names configmaps settings".to_owned(),
            "names secrets absent missing, as it may".to_owned(),
            "names secrets gone missing".to_owned(),
            "named by horizontalpodautoscalers.autoscaling web".to_owned(),
            "selected by poddisruptionbudgets.policy web".to_owned(),
            "selected by services web".to_owned(),
        ],
        "{web}"
    );
    assert!(web["not_read"].is_null(), "{web}");
    assert!(web.to_string().contains("spec.template.spec.containers[main].envFrom[0].configMapRef"), "{web}");
    assert_eq!(told(&around("replicaset", &set, &[]))[0], "owner deployments.apps web");
    let settings = told(&around("configmap", "settings", &[]));
    assert_eq!(settings, ["named by deployments.apps web"]);
    let service = told(&around("service", "web", &[]));
    assert!(service.iter().any(|l| l.starts_with("owned endpointslices")), "{service:?}");
    assert!(service.contains(&"named by ingresses.networking.k8s.io front".to_owned()), "{service:?}");
    assert!(service.iter().any(|l| l.starts_with("selects pods web-")), "{service:?}");

    // A kind that nobody has heard of is read by the same conventions, and what it owns is found in every kind.
    bed.kubectl(&["apply", "-f", "-"], Some(WIDGETS));
    bed.kubectl(&["wait", "--for=condition=Established", "crd/widgets.around.example.com"], None);
    bed.kubectl(&["apply", "-n", "around", "-f", "-"], Some(WIDGET));
    let uid = bed.kubectl(&["get", "widget", "one", "-n", "around", "-o", "jsonpath={.metadata.uid}"], None);
    let child = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: child, ownerReferences: [
          {{apiVersion: around.example.com/v1, kind: Widget, name: one, uid: {uid}, controller: true}}]}}}}"
    );
    bed.kubectl(&["apply", "-n", "around", "-f", "-"], Some(&child));
    let widget = around("widgets.around.example.com", "one", &[]);
    assert_eq!(
        told(&widget),
        ["owned configmaps child", "names configmaps settings", "names deployments.apps web"],
        "{widget}"
    );
    assert_eq!(told(&around("configmap", "child", &[])), ["owner widgets.around.example.com one"]);

    let console = Console::start(&home, Some(&bed.kubeconfig), &["deployments", "-n", "around"], 100, 30);
    console.wait("table", 20, |s| s.contains("deployments(around)[1]"));
    console.keys("K");
    console.wait("what is around it", 20, |s| {
        s.contains("adjacent(deployment web)[7]") && s.contains("selected by") && s.contains("missing")
    });
    console.keys("/owned\r\r");
    console
        .wait("the ReplicaSet in its table", 20, |s| s.contains("replicasets(around)") && s.contains(&set));
}

#[test]
fn a_report_has_all_that_is_known_and_no_secret() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("reports");
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: sayer}, spec: {nodeName: real, terminationGracePeriodSeconds: 0,
      containers: [{name: main, image: 'localhost/busybox:1', imagePullPolicy: Never,
      envFrom: [{secretRef: {name: gone, optional: true}}],
      command: [sh, -c, 'echo connecting with password=hunter2hunter2; echo ready; sleep 3600']}]}}";
    bed.kubectl(&["apply", "-n", "reports", "-f", "-"], Some(pod));
    bed.kubectl(
        &["create", "secret", "generic", "key", "-n", "reports", "--from-literal=door=sesame-open"],
        None,
    );
    bed.kubectl(&["wait", "-n", "reports", "--for=condition=Ready", "pod/sayer", "--timeout=60s"], None);
    let report = |kind: &str, name: &str| {
        let answer = json(bed, &home, &["resource", "bundle", kind, name, "-n", "reports"]);
        answer["text"].as_str().unwrap().to_owned()
    };
    let text = report("pod", "sayer");
    for words in [
        "# pod sayer in reports on",
        "## Why it is not well",
        "## Description",
        "## What is around it",
        "| names | secrets | reports/gone |",
        "## What changed",
        "## Last log lines",
        "ready",
        "## Manifest",
        "kind: Pod",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let secret = report("secret", "key");
    assert!(
        secret.contains("door: '*** (11 bytes)'") || secret.contains("door: \"*** (11 bytes)\""),
        "{secret}"
    );
    assert!(!secret.contains("sesame") && !secret.contains("## Last log lines"), "{secret}");
    let missing = ["resource", "bundle", "pod", "nobody", "-n", "reports"];
    assert_ne!(crate::kube_objects::qd(bed, &home, &missing).0, 0);

    let console = Console::start(&home, Some(&bed.kubeconfig), &["pods", "-n", "reports"], 100, 30);
    console.wait("table", 20, |s| s.contains("pods(reports)[1]"));
    console.keys("B");
    console.wait("where it is", 30, |s| s.contains("saved to") && s.contains("pods-sayer"));
    let saved = std::fs::read_dir(home.state().join("saved")).unwrap().next().unwrap().unwrap().path();
    let written = std::fs::read_to_string(&saved).unwrap();
    assert!(written.starts_with("# pod sayer in reports on") && !written.contains("hunter2"), "{written}");
}

#[test]
fn a_kind_that_came_since_is_asked_for_when_it_is_typed() {
    let (bed, home) = (Bed::shared(), Home::new());
    let console = Console::start(&home, Some(&bed.kubeconfig), &["namespaces"], 100, 30);
    console.wait("table", 20, |s| s.contains("namespaces") && s.contains("kube-system"));
    // The console knows the kinds that are there.
    console.keys(":nonesuch\r");
    console.wait("that there is none", 20, |s| s.contains("there is no kind or command \"nonesuch\""));
    let gadgets = WIDGETS.replace("widget", "gadget").replace("Widget", "Gadget");
    bed.kubectl(&["apply", "-f", "-"], Some(&gadgets));
    bed.kubectl(&["wait", "--for=condition=Established", "crd/gadgets.around.example.com"], None);
    // A server tells of a new kind a moment after it is established.
    crate::bed::wait_until(30, "table of the new kind", || {
        console.keys(":gadgets all\r");
        console.wait("an answer", 20, |s| s.contains("gadgets(all)[0]") || s.contains("there is no kind"));
        crate::bed::pause(500);
        console.screen().contains("gadgets(all)[0]")
    });
}
