//! What drifted since it was applied, and what changed when and by whom: on a real API server with real controllers.

use quarterdeck::base::Code;
use serde_json::{Value, json};

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json as run;

const WEB: &str = "
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {app: web}}, spec: {replicas: 2,
  selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [
    {name: main, image: 'shop/web:1', ports: [{containerPort: 80}], resources: {limits: {cpu: 1000m, memory: 1024Mi}}}]}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {A: a, B: b}}
---
{apiVersion: v1, kind: Secret, metadata: {name: door}, stringData: {key: hunter2-first, other: same}}
";

/// The fields that differ, as (field, change, before, now, by).
fn fields(drift: &Value) -> Vec<(String, String, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by = |f: &Value| f["by"].as_array().into_iter().flatten().map(&text).collect::<Vec<_>>().join(",");
    let row = |f: &Value| (text(&f["field"]), text(&f["change"]), text(&f["before"]), text(&f["now"]), by(f));
    drift["fields"].as_array().unwrap().iter().map(row).collect()
}

fn owned(all: &[(&str, &str, &str, &str, &str)]) -> Vec<(String, String, String, String, String)> {
    let own = |s: &str| s.to_owned();
    all.iter().map(|(a, b, c, d, e)| (own(a), own(b), own(c), own(d), own(e))).collect()
}

#[test]
fn what_drifted_since_it_was_applied_is_named_with_who_did_it() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("drifts");
    let kubectl =
        |words: &[&str], input: Option<&str>| bed.kubectl(&[words, &["-n", "drifts"]].concat(), input);
    let diff = |words: &[&str]| run(bed, &home, &[&["resource", "diff"], words, &["-n", "drifts"]].concat());
    kubectl(&["apply", "-f", "-"], Some(WEB));
    // Defaults, what the controllers note and 1000m written as 1 are no drift.
    wait_until(20, "what the controller notes", || {
        let path = "jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}";
        kubectl(&["get", "deployment", "web", "-o", path], None) == "1"
    });
    let same = diff(&["deployment", "web"]);
    assert_eq!((&same["against"], &same["fields"]), (&json!("last_applied"), &json!([])), "{same}");

    kubectl(&["scale", "deployment", "web", "--replicas=3"], None);
    kubectl(&["set", "image", "deployment/web", "main=shop/web:2"], None);
    kubectl(&["label", "deployment", "web", "tier=front"], None);
    let drift = diff(&["deployment", "web"]);
    let image = "spec.template.spec.containers[name=main].image";
    let mut found = fields(&drift);
    found.sort();
    assert_eq!(
        found,
        owned(&[
            ("metadata.labels.tier", "added", "", "\"front\"", "kubectl-label"),
            ("spec.replicas", "changed", "2", "3", "kubectl"),
            (image, "changed", "\"shop/web:1\"", "\"shop/web:2\"", "kubectl-set"),
        ]),
        "{drift}"
    );
    // Of a write by `scale` the server keeps no time.
    let dated = |f: &Value| f["at"].is_string() == (f["field"] != "spec.replicas");
    assert!(drift["fields"].as_array().unwrap().iter().all(dated), "{drift}");
    let text = drift["text"].as_str().unwrap();
    assert!(
        text.contains("\n-  replicas: 2\n+  replicas: 3\n") && text.contains("+    tier: front"),
        "{text}"
    );
    assert!(text.contains("# spec.replicas: 2 → 3  by kubectl\n"), "{text}");
    assert!(text.contains("# metadata.labels.tier: – → \"front\"  by kubectl-label at 20"), "{text}");
    assert!(!text.contains("progressDeadlineSeconds"), "a default is no drift: {text}");

    // Against an earlier revision of its pods.
    wait_until(30, "second revision", || {
        run(bed, &home, &["rollout", "history", "deployment", "web", "-n", "drifts"])["revisions"][1]
            .is_object()
    });
    let revision = diff(&["deployment", "web", "--revision", "1"]);
    assert_eq!(
        fields(&revision),
        owned(&[(image, "changed", "\"shop/web:1\"", "\"shop/web:2\"", "kubectl-set")])
    );
    let (code, _, said) =
        qd(bed, &home, &["resource", "diff", "deployment", "web", "--revision", "9", "-n", "drifts"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{said}");

    // What is gone, and what nobody knows of it.
    kubectl(
        &["patch", "configmap", "settings", "--type=json", "-p", r#"[{"op":"remove","path":"/data/B"}]"#],
        None,
    );
    let gone = diff(&["configmap", "settings"]);
    assert_eq!(fields(&gone), owned(&[("data.B", "removed", "\"b\"", "", "")]), "{gone}");
    assert!(gone["notes"].to_string().contains("who removed a field"), "{gone}");

    // A Secret's values are told apart and not shown.
    assert_eq!(diff(&["secret", "door"])["fields"], json!([]), "texts and their base64 are the same");
    kubectl(&["patch", "secret", "door", "-p", r#"{"stringData":{"key":"hunter2-second"}}"#], None);
    let secret = diff(&["secret", "door"]);
    assert_eq!(secret["fields"][0]["field"], "data.key", "{secret}");
    let all = secret.to_string();
    assert!(
        all.contains("another value") && !all.contains("hunter2") && !all.contains("aHVudGVyMi1"),
        "{all}"
    );

    // By server-side apply nobody knows the value, and the report says so.
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: sided}, data: {A: a}}";
    kubectl(&["apply", "--server-side", "--field-manager=deployer", "-f", "-"], Some(map));
    kubectl(&["patch", "configmap", "sided", "-p", r#"{"data":{"B":"by hand"}}"#], None);
    let sided = diff(&["configmap", "sided"]);
    assert_eq!(sided["against"], "field_managers");
    assert_eq!(fields(&sided), owned(&[("data.B", "added", "", "\"by hand\"", "kubectl-patch")]), "{sided}");
    assert!(sided["notes"].to_string().contains("not the value that was applied"), "{sided}");

    kubectl(&["create", "configmap", "made", "--from-literal=a=b"], None);
    let made = diff(&["configmap", "made"]);
    assert_eq!((&made["against"], &made["fields"]), (&json!("nothing"), &json!([])), "{made}");
    assert!(made["notes"].to_string().contains("kubectl-create wrote"), "{made}");
}

#[test]
fn what_changed_is_told_in_order_with_who_did_it() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("timelines");
    bed.kubectl(&["apply", "-n", "timelines", "-f", "-"], Some(WEB));
    run(bed, &home, &["deployment", "scale", "web", "--replicas", "3", "-n", "timelines"]);
    run(bed, &home, &["image", "set", "deployment", "web", "--image", "main=shop/web:2", "-n", "timelines"]);
    let (code, ..) =
        qd(bed, &home, &["rollout", "undo", "deployment", "web", "--to-revision", "9", "-n", "timelines"]);
    assert_ne!(code, 0);
    let line =
        |words: &[&str]| run(bed, &home, &[&["resource", "timeline"], words, &["-n", "timelines"]].concat());
    let told = |line: &Value| -> Vec<[String; 4]> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |r: &Value| [text(&r[0]), text(&r[1]), text(&r[2]), text(&r[3])];
        line["rows"].as_array().unwrap().iter().map(row).collect()
    };
    wait_until(60, "second revision and its event", || {
        let all = line(&["deployment", "web"]).to_string();
        all.contains("revision 2 of deployment web") && all.contains("ScalingReplicaSet")
    });
    let whole = line(&["deployment", "web", "--details"]);
    let rows = told(&whole);
    let times: Vec<i64> = rows.iter().map(|r| r[0].parse::<jiff::Timestamp>().unwrap().as_second()).collect();
    assert!(times.is_sorted(), "{rows:?}");
    let has = |what: &str, who: &str, summary: &str| {
        assert!(
            rows.iter().any(|r| r[1] == what && r[2].contains(who) && r[3].contains(summary)),
            "no {what} of {who} with {summary:?} in {rows:#?}"
        );
    };
    has("created", "", "deployment was made");
    has("write", "quarterdeck", "set spec.template.spec.containers[name=main].image");
    has("write", "kube-controller-manager", "by its status");
    has("rollout", "", "revision 1 of deployment web");
    has("rollout", "", "main shop/web:1 → shop/web:2");
    has("condition", "", "Progressing became True");
    has("event", "deployment-controller", "ScalingReplicaSet");
    has("call", "person:", "deployment_scale: done (kubectl scale deployment/web --replicas=3");
    has("call", "person:", "rollout_undo: failed: not_found");
    let at =
        |what: &str, summary: &str| rows.iter().position(|r| r[1] == what && r[3].contains(summary)).unwrap();
    // A call is before what it wrote, though the cluster tells only seconds.
    let written = "set spec.template.spec.containers[name=main].image";
    assert!(at("call", "image_set: done") < at("write", written), "{rows:?}");
    assert_eq!(at("created", "was made"), 0, "{rows:?}");
    let details = whole["details"].as_array().unwrap();
    assert_eq!(details.len(), rows.len());
    let written = details[at("write", written)]["known"]["fields_it_still_holds"].to_string();
    assert!(written.contains("containers[name=main].image"), "{written}");
    let known = whole["not_known"].to_string();
    assert!(known.contains("when quarterdeck set spec.replicas by its scale, the server did not"), "{known}");
    assert!(
        known.contains("only the last write is known") && known.contains("events are kept for an hour"),
        "{known}"
    );

    // Without the calls nothing of the audit log is read.
    let without = told(&line(&["deployment", "web", "--without-calls"]));
    assert!(without.iter().all(|r| r[1] != "call") && without.len() < rows.len(), "{without:?}");
    let last = line(&["deployment", "web", "--limit", "2"]);
    assert_eq!((told(&last).len(), last["left_out"].as_u64().unwrap() > 0), (2, true), "{last}");

    // A pod's is the rollouts of what keeps it too.
    let pod = bed.kubectl(
        &["get", "pods", "-n", "timelines", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}"],
        None,
    );
    let pod = told(&line(&["pod", &pod]));
    assert!(pod.iter().any(|r| r[1] == "rollout" && r[3].contains("of deployment web")), "{pod:?}");
    assert!(pod.iter().any(|r| r[1] == "condition" && r[3].contains("PodScheduled became True")), "{pod:?}");
}

#[test]
fn drift_and_what_changed_are_panes_of_the_console() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("driftview");
    bed.kubectl(&["apply", "-n", "driftview", "-f", "-"], Some(WEB));
    bed.kubectl(&["scale", "deployment", "web", "--replicas=3", "-n", "driftview"], None);
    let console = Console::start(&home, Some(&bed.kubeconfig), &["deployments", "-n", "driftview"], 80, 24);
    console.wait("table", 20, |s| s.contains("deployments(driftview)[1]"));
    console.keys("V");
    console.wait("what drifted", 20, |s| {
        s.contains("diff(driftview/deployments/web)") && s.contains("+  replicas: 3")
    });
    console.keys("\x1b");
    console.wait("table", 10, |s| s.contains("deployments(driftview)[1]"));
    console.keys("H");
    console.wait("what changed", 20, |s| s.contains("timeline(deployment web)") && s.contains("SUMMARY"));
    console.keys("g\r");
    console.wait("all of a row", 10, |s| s.contains("entry(web)") && s.contains("not_known:"));
    console.keys("\x1b");
    console.wait("what changed again", 10, |s| s.contains("timeline(deployment web)"));
    console.keys("\x1b");
    console.wait("table again", 10, |s| s.contains("deployments(driftview)[1]"));
}
