//! Helm releases on a real API server, written as Helm writes them, read and rolled back without helm.

use quarterdeck::base::Code;
use quarterdeck::kube::objects::helm::codec;
use serde_json::{Value, json};

use crate::bed::{Bed, wait_until};
use crate::console::Home;
use crate::kube_objects::qd;
use crate::kubelet::json as run;

const FIRST: &str = "---
# Source: web/templates/settings.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {chart: web}}
data: {A: \"1\"}
---
# Source: web/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: 'shop/web:1'}]}}}
";

const SECOND: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {chart: web, added: later}}
data: {A: \"2\", B: added}
---
apiVersion: v1
kind: Service
metadata: {name: extra}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: 'shop/web:2'}]}}}
";

/// The Secret of a revision, as Helm 3 keeps it.
fn secret(revision: u32, status: &str, manifest: &str) -> String {
    let release = json!({
        "name": "web", "namespace": "helms", "version": revision, "manifest": manifest,
        "info": {"first_deployed": "2026-11-20T10:00:00Z", "last_deployed": "2026-11-21T10:00:00Z", "deleted": "",
            "description": "Upgrade complete", "status": status},
        "chart": {"metadata": {"name": "web", "version": format!("1.{revision}.0"), "appVersion": "9"},
            "values": {"replicas": 1, "image": {"tag": "1"}}},
        "config": {"image": {"tag": revision.to_string()}},
        "hooks": [{"name": "migrate", "events": ["post-rollback", "pre-delete"]}],
    });
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": format!("sh.helm.release.v1.web.v{revision}"), "labels": {"name": "web", "owner": "helm",
            "status": status, "version": revision.to_string()}},
        "data": {"release": codec::encode(&release).unwrap()},
    })
    .to_string()
}

#[test]
fn a_release_is_read_and_rolled_back_without_helm() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("helms");
    bed.kubectl(&["apply", "-n", "helms", "-f", "-"], Some(SECOND));
    for (revision, status, manifest) in [(1, "superseded", FIRST), (2, "deployed", SECOND)] {
        bed.kubectl(&["create", "-n", "helms", "-f", "-"], Some(&secret(revision, status, manifest)));
    }
    let qd_json = |words: &[&str]| run(bed, &home, &[words, &["-n", "helms"]].concat());
    let listed = qd_json(&["helm", "list"]);
    let row: Vec<&str> = listed["rows"][0].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(row[..6], ["helms", "web", "2", "deployed", "web-1.2.0", "9"], "{listed}");
    // Of several contexts, each row says which, and who may not read it is told of.
    let several = qd_json(&["helm", "list", "-c", "shared*"]);
    let names: Vec<&str> =
        several["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
    assert_eq!(
        (&several["columns"][0], names),
        (&json!("CLUSTER"), vec!["shared", "shared-certificate"]),
        "{several}"
    );
    assert_eq!(several["lacking"][0]["cluster"], "shared-viewer", "{several}");
    let none = qd(bed, &home, &["helm", "list", "-c", "shared-viewer", "-n", "helms"]);
    assert_eq!(none.0, i32::from(Code::PermissionDenied.exit_code()), "{}", none.2);
    assert_eq!(qd_json(&["helm", "history", "web"])["total"], 2);
    assert_eq!(qd_json(&["helm", "values", "web"])["text"], "image:\n  tag: \"2\"\n");
    let all = qd_json(&["helm", "values", "web", "--revision", "1", "--all"]);
    assert_eq!(all["text"], "image:\n  tag: \"1\"\nreplicas: 1\n");
    assert!(qd_json(&["helm", "manifest", "web"])["text"].as_str().unwrap().contains("kind: Service"));

    let preview = qd_json(&["helm", "rollback", "web", "--preview"]);
    let affects = preview["affects"].to_string();
    assert!(
        affects.contains("service extra: deleted") && affects.contains("deployment web: changed"),
        "{preview}"
    );
    assert!(
        preview["warnings"].to_string().contains("post-rollback hooks are not run: migrate"),
        "{preview}"
    );
    assert!(preview["diff"].to_string().contains("added: later"), "what the older has not goes: {preview}");

    let done = qd_json(&["helm", "rollback", "web", "--to-revision", "1"]);
    assert_eq!((&done["revision"], &done["to"]), (&json!(3), &json!(1)), "{done}");
    assert_eq!(
        done["equivalent"],
        format!("helm rollback web 1 --no-hooks -n helms --kube-context {}", bed.context)
    );
    let field = |object: &str, path: &str| {
        bed.kubectl(&["get", object, "-n", "helms", "-o", &format!("jsonpath={path}")], None)
    };
    assert_eq!(field("configmap/settings", "{.data}"), r#"{"A":"1"}"#);
    assert_eq!(field("configmap/settings", "{.metadata.labels}"), r#"{"chart":"web"}"#);
    assert_eq!(
        field("deployment/web", "{.spec.replicas} {.spec.template.spec.containers[0].image}"),
        "1 shop/web:1"
    );
    wait_until(10, "deleted service", || {
        !bed.kubectl(&["get", "services", "-n", "helms", "-o", "name"], None).contains("extra")
    });
    let status = |n: u32| field(&format!("secret/sh.helm.release.v1.web.v{n}"), "{.metadata.labels.status}");
    assert_eq!((status(2).as_str(), status(3).as_str()), ("superseded", "deployed"));
    let history = qd_json(&["helm", "history", "web"]).to_string();
    assert!(history.contains("Rollback to 1"), "{history}");
    let (code, _, said) = qd(bed, &home, &["helm", "rollback", "web", "--to-revision", "9", "-n", "helms"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{said}");
    assert!(said.contains("There are 1, 2, 3"), "{said}");
}

const KEPT: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: precious, annotations: {helm.sh/resource-policy: keep}}
data: {A: \"1\"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: gone-already}
";

#[test]
fn a_release_is_uninstalled_in_helms_order_and_keeps_what_it_must() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("unhelmed");
    let manifest = format!("{KEPT}{SECOND}");
    bed.kubectl(&["apply", "-n", "unhelmed", "-f", "-"], Some(&manifest));
    bed.kubectl(&["delete", "-n", "unhelmed", "configmap", "gone-already"], None);
    for (revision, status) in [(1, "superseded"), (2, "deployed")] {
        bed.kubectl(&["create", "-n", "unhelmed", "-f", "-"], Some(&secret(revision, status, &manifest)));
    }
    let there = || bed.kubectl(&["get", "all,configmaps,secrets", "-n", "unhelmed", "-o", "name"], None);
    let qd_json = |words: &[&str]| run(bed, &home, &[words, &["-n", "unhelmed"]].concat());
    let before = there();
    let preview = qd_json(&["helm", "uninstall", "web", "--preview"]);
    let affects = preview["affects"].to_string();
    for said in [
        "service extra: deleted",
        "deployment web: deleted",
        "configmap gone-already: is gone already",
        "2 records of revisions: deleted",
    ] {
        assert!(affects.contains(said), "{said}: {preview}");
    }
    let warnings = preview["warnings"].to_string();
    assert!(warnings.contains("pre-delete hooks are not run: migrate"), "{preview}");
    assert!(warnings.contains("kept by their annotation: configmap precious"), "{preview}");
    assert_eq!(there(), before, "a preview changes nothing");

    let done = qd_json(&["helm", "uninstall", "web"]);
    let expected = [
        "service extra deleted",
        "deployment web deleted",
        "configmap gone-already was gone already",
        "configmap settings deleted",
    ];
    assert_eq!(done["objects"], json!(expected), "{done}");
    assert_eq!((&done["kept"], &done["revisions"]), (&json!(["configmap precious"]), &json!(2)));
    let command = format!("helm uninstall web --no-hooks -n unhelmed --kube-context {}", bed.context);
    assert_eq!(done["equivalent"], command);
    wait_until(30, "objects that are gone", || {
        let now = there();
        !now.contains("web")
            && !now.contains("extra")
            && !now.contains("settings")
            && !now.contains("sh.helm")
    });
    assert!(there().contains("configmap/precious"));
    assert_eq!(qd_json(&["helm", "list"])["total"], 0);
    let (code, _, said) = qd(bed, &home, &["helm", "uninstall", "web", "-n", "unhelmed"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{said}");
}
