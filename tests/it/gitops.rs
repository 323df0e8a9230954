//! Flux and Argo CD by their own verbs, on a real API server that serves their kinds, with controllers that this test plays:
//! they read and write what the projects document, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quarterdeck::base::Code;
use serde_json::{Value, json};

use crate::bed::{Bed, pause, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json as run;

/// A definition with the fields that the verbs read and write; what is not named there is dropped by the server.
fn definition(group: &str, version: &str, kind: &str, spec: Value, more: Value, status: bool) -> Value {
    let singular = kind.to_lowercase();
    let plural = match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{singular}s"),
    };
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let mut properties = json!({ "spec": { "type": "object", "properties": spec }, "status": open });
    for (name, schema) in more.as_object().unwrap() {
        properties[name] = schema.clone();
    }
    let column = |name: &str, path: &str| json!({ "name": name, "type": "string", "jsonPath": path });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": { "group": group, "scope": "Namespaced",
            "names": { "kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List") },
            "versions": [{ "name": version, "served": true, "storage": true,
                "subresources": if status { json!({ "status": {} }) } else { json!({}) },
                "additionalPrinterColumns": [
                    column("Ready", ".status.conditions[?(@.type==\"Ready\")].status"),
                    column("Status", ".status.conditions[?(@.type==\"Ready\")].message")],
                "schema": { "openAPIV3Schema": { "type": "object", "properties": properties } } }] }
    })
}

fn definitions() -> String {
    let text = json!({ "type": "string" });
    let flag = json!({ "type": "boolean" });
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let list = json!({ "type": "array", "items": open });
    let none = json!({});
    let flux = |group: &str, version: &str, kind: &str, spec: Value| {
        definition(&format!("{group}.toolkit.fluxcd.io"), version, kind, spec, none.clone(), true)
    };
    let source = json!({ "suspend": flag, "url": text, "sourceRef": open, "chart": text });
    let all = [
        flux(
            "kustomize",
            "v1",
            "Kustomization",
            json!({ "suspend": flag, "path": text, "sourceRef": open, "dependsOn": list }),
        ),
        flux(
            "helm",
            "v2",
            "HelmRelease",
            json!({ "suspend": flag, "chart": open, "chartRef": open, "releaseName": text }),
        ),
        flux("source", "v1", "GitRepository", source.clone()),
        flux("source", "v1", "HelmRepository", source.clone()),
        flux("source", "v1", "HelmChart", source),
        flux("notification", "v1beta3", "Provider", json!({ "type": text })),
        definition(
            "argoproj.io",
            "v1alpha1",
            "Application",
            json!({ "project": text, "source": open, "destination": open, "syncPolicy": open }),
            json!({ "operation": open }),
            false,
        ),
    ];
    all.map(|d| d.to_string()).join("\n---\n")
}

/// The kinds, made once for all tests of this file.
fn served() -> &'static Bed {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let bed = Bed::shared();
    ONCE.call_once(|| {
        bed.kubectl(&["apply", "-f", "-"], Some(&definitions()));
        bed.kubectl(
            &[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "crd/kustomizations.kustomize.toolkit.fluxcd.io",
                "crd/helmreleases.helm.toolkit.fluxcd.io",
                "crd/gitrepositories.source.toolkit.fluxcd.io",
                "crd/helmrepositories.source.toolkit.fluxcd.io",
                "crd/helmcharts.source.toolkit.fluxcd.io",
                "crd/providers.notification.toolkit.fluxcd.io",
                "crd/applications.argoproj.io",
            ],
            None,
        );
    });
    bed
}

/// A controller: what it answers is told by `answer`, again and again until it is dropped.
struct Controller {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Controller {
    fn play(mut turn: impl FnMut() + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let stop = end.clone();
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                turn();
                pause(100);
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn listed(bed: &Bed, namespace: &str, kinds: &str) -> Vec<Value> {
    let text = bed.kubectl(&["get", kinds, "-n", namespace, "-o", "json"], None);
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().cloned().unwrap_or_default()
}

fn patch(bed: &Bed, namespace: &str, object: &str, words: &[&str], value: &Value) {
    let value = value.to_string();
    let all = [&["patch", object, "-n", namespace, "--type=merge", "-p", &value], words].concat();
    bed.kubectl(&all, None);
}

const FLUX: &str = "kustomizations.kustomize.toolkit.fluxcd.io,helmreleases.helm.toolkit.fluxcd.io,gitrepositories.source.toolkit.fluxcd.io,helmcharts.source.toolkit.fluxcd.io";

/// Flux's controllers: a request that is new is handled, and what is ready says so. One named `broken` is not.
fn flux_controllers(bed: &'static Bed, namespace: &'static str) -> Controller {
    Controller::play(move || {
        for object in listed(bed, namespace, FLUX) {
            let asked = &object["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"];
            if asked.is_null() || *asked == object["status"]["lastHandledReconcileAt"] {
                continue;
            }
            let name = object["metadata"]["name"].as_str().unwrap();
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
            let word = format!("{kind}.{group}/{name}");
            let ready = |status: &str, message: &str, handled: bool| {
                let mut status = json!({ "conditions": [{ "type": "Ready", "status": status, "reason": "Test",
                    "message": message, "lastTransitionTime": "2026-11-21T10:00:00Z" }], "lastAppliedRevision": "main@sha1:2" });
                if handled {
                    status["lastHandledReconcileAt"] = asked.clone();
                }
                patch(bed, namespace, &word, &["--subresource=status"], &json!({ "status": status }));
            };
            ready("Unknown", "at it", false);
            match name {
                "broken" => ready("False", "no such path", true),
                _ => ready("True", "applied", true),
            }
        }
    })
}

const SHOP: &str = "
{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: shop}, spec: {url: 'https://git.example/shop'},
  status: {artifact: {revision: 'main@sha1:1'}}}
---
{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: base}, spec: {path: ./base}}
---
{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: shop}, spec: {path: ./shop,
  sourceRef: {kind: GitRepository, name: shop}, dependsOn: [{name: base}]}}
---
{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: broken}, spec: {path: ./none}}
---
{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: far}, spec: {path: ./x,
  sourceRef: {kind: GitRepository, name: shop, namespace: default}}}
---
{apiVersion: source.toolkit.fluxcd.io/v1, kind: HelmRepository, metadata: {name: charts}, spec: {url: 'https://charts.example'}}
---
{apiVersion: source.toolkit.fluxcd.io/v1, kind: HelmChart, metadata: {name: made}, spec: {chart: db,
  sourceRef: {kind: HelmRepository, name: charts}}}
---
{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: db}, spec: {chart: {spec: {chart: db,
  sourceRef: {kind: HelmRepository, name: charts}}}}}
---
{apiVersion: notification.toolkit.fluxcd.io/v1beta3, kind: Provider, metadata: {name: chat}, spec: {type: slack}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {A: a}}
";

fn fails(bed: &Bed, home: &Home, namespace: &str, words: &[&str], code: Code) -> String {
    let (got, out, err) = qd(bed, home, &[words, &["-n", namespace]].concat());
    assert_eq!(got, i32::from(code.exit_code()), "qd {words:?}: {out}{err}");
    err
}

#[test]
fn flux_is_suspended_resumed_and_asked_to_reconcile() {
    let (bed, home) = (served(), Home::new());
    bed.namespace("fluxed");
    bed.kubectl(&["apply", "-n", "fluxed", "-f", "-"], Some(SHOP));
    let get = |object: &str, path: &str| {
        bed.kubectl(&["get", object, "-n", "fluxed", "-o", &format!("jsonpath={path}")], None)
    };
    let qd_json = |words: &[&str]| run(bed, &home, &[words, &["-n", "fluxed"]].concat());
    const KIND: &str = "kustomizations.kustomize.toolkit.fluxcd.io";
    let of = |verb: &'static str, name: &'static str| ["flux", verb, KIND, name];
    let shop = format!("{KIND}/shop");

    let preview = qd_json(&[&of("suspend", "shop")[..], &["--preview"]].concat());
    assert!(preview["diff"].to_string().contains("suspend: true"), "{preview}");
    let done = qd_json(&of("suspend", "shop"));
    assert_eq!((&done["suspended"], get(&shop, "{.spec.suspend}").as_str()), (&json!(true), "true"));
    assert_eq!(
        done["equivalent"],
        format!(
            "kubectl patch kustomizations.kustomize.toolkit.fluxcd.io/shop --type=merge -p '{{\"spec\":{{\"suspend\":true}}}}' -n fluxed --context {}",
            bed.context
        )
    );
    let said = fails(bed, &home, "fluxed", &of("suspend", "shop"), Code::Conflict);
    assert!(said.contains("suspended already"), "{said}");
    let said = fails(bed, &home, "fluxed", &of("reconcile", "shop"), Code::Conflict);
    assert!(said.contains("is suspended") && said.contains("Resume it first"), "{said}");
    qd_json(&of("resume", "shop"));
    assert_eq!(get(&shop, "{.spec.suspend}"), "false");
    // A kind without the field: the server would drop it without a word.
    let words = ["flux", "suspend", "providers.notification.toolkit.fluxcd.io", "chat"];
    let said = fails(bed, &home, "fluxed", &words, Code::Unsupported);
    assert!(said.contains("has no spec.suspend"), "{said}");
    let said = fails(bed, &home, "fluxed", &["flux", "suspend", "configmap", "settings"], Code::Unsupported);
    assert!(said.contains("not Flux's"), "{said}");

    // Nobody answers yet.
    let said = fails(
        bed,
        &home,
        "fluxed",
        &[&of("reconcile", "shop")[..], &["--wait", "1"]].concat(),
        Code::Timeout,
    );
    assert!(said.contains("has not done it after 1 s") && said.contains("controller runs"), "{said}");
    let asked = qd_json(&[&of("reconcile", "shop")[..], &["--wait", "0"]].concat());
    assert!(asked["answers"][0].get("handled").is_none(), "nobody knows: {asked}");

    let _controllers = flux_controllers(bed, "fluxed");
    let preview = qd_json(&[&of("reconcile", "shop")[..], &["--with-source", "--preview"]].concat());
    assert_eq!(preview["diff"].to_string().matches("(the time of the call)").count(), 2, "{preview}");
    assert!(preview["affects"].to_string().contains("gitrepository shop in fluxed"), "{preview}");
    let done = qd_json(&[&of("reconcile", "shop")[..], &["--with-source"]].concat());
    let answers = done["answers"].as_array().unwrap();
    assert!(
        answers[0]["object"].as_str().unwrap().starts_with("gitrepository shop"),
        "the source first: {done}"
    );
    assert_eq!((&answers[1]["handled"], &answers[1]["state"]), (&json!(true), &json!("True")), "{done}");
    assert_eq!((&answers[1]["revision"], &answers[1]["message"]), (&json!("main@sha1:2"), &json!("applied")));
    let token = get(&shop, "{.metadata.annotations.reconcile\\.fluxcd\\.io/requestedAt}");
    assert_eq!(token, get(&shop, "{.status.lastHandledReconcileAt}"));
    assert_eq!(token, get("gitrepository/shop", "{.status.lastHandledReconcileAt}"));
    let said = fails(bed, &home, "fluxed", &of("reconcile", "broken"), Code::Unavailable);
    assert!(said.contains("is not ready: no such path"), "{said}");
    let words = [&of("reconcile", "far")[..], &["--with-source"]].concat();
    let said = fails(bed, &home, "fluxed", &words, Code::PermissionDenied);
    assert!(said.contains("in another namespace"), "{said}");

    let helm = ["flux", "reconcile", "helmreleases.helm.toolkit.fluxcd.io", "db", "--force", "--reset"];
    qd_json(&helm);
    let note = |name: &str| {
        get("helmrelease/db", &format!("{{.metadata.annotations.reconcile\\.fluxcd\\.io/{name}}}"))
    };
    assert!(!note("requestedAt").is_empty());
    assert_eq!((note("forceAt"), note("resetAt")), (note("requestedAt"), note("requestedAt")));
    let said = fails(
        bed,
        &home,
        "fluxed",
        &[&of("reconcile", "shop")[..], &["--force"]].concat(),
        Code::InvalidArgument,
    );
    assert!(said.contains("cannot be forced"), "{said}");
}

#[test]
fn the_chain_of_what_flux_keeps_goes_from_its_source_to_what_it_applied() {
    let (bed, home) = (served(), Home::new());
    bed.namespace("chained");
    bed.kubectl(&["apply", "-n", "chained", "-f", "-"], Some(SHOP));
    let status = |object: &str, value: Value| {
        patch(bed, "chained", object, &["--subresource=status"], &json!({ "status": value }))
    };
    status(
        "kustomization.kustomize.toolkit.fluxcd.io/shop",
        json!({ "inventory": { "entries": [
        { "id": "chained_settings__ConfigMap", "v": "v1" },
        { "id": "_shop__view_rbac.authorization.k8s.io_ClusterRole", "v": "v1" }] } }),
    );
    status("helmrelease/db", json!({ "helmChart": "chained/made" }));
    let chain = |kind: &str, name: &str| {
        let found = run(bed, &home, &["flux", "chain", kind, name, "-n", "chained"]);
        let text = |row: &Value, at: usize| row[at].as_str().unwrap().to_owned();
        let rows = found["rows"].as_array().unwrap().iter();
        (rows.map(|r| format!("{} {} {}", text(r, 3), text(r, 0), text(r, 2))).collect::<Vec<_>>(), found)
    };
    let (rows, found) = chain("kustomizations.kustomize.toolkit.fluxcd.io", "shop");
    assert_eq!(
        rows,
        [
            "source gitrepositories.source.toolkit.fluxcd.io shop",
            "this kustomizations.kustomize.toolkit.fluxcd.io shop",
            "depends on kustomizations.kustomize.toolkit.fluxcd.io base",
            "applied configmaps settings",
            "applied clusterroles.rbac.authorization.k8s.io shop:view",
        ],
        "{found}"
    );
    assert_eq!(found["rows"][4][1], "", "what has no namespace is in none: {found}");
    let (rows, found) = chain("helmreleases.helm.toolkit.fluxcd.io", "db");
    assert_eq!(
        rows,
        [
            "source helmrepositories.source.toolkit.fluxcd.io charts",
            "source helmcharts.source.toolkit.fluxcd.io made",
            "this helmreleases.helm.toolkit.fluxcd.io db",
        ],
        "{found}"
    );
    assert!(found["not_read"].to_string().contains("no Helm release db"), "{found}");
    // A source that is not there is a link that says so.
    let (_, found) = chain("kustomizations.kustomize.toolkit.fluxcd.io", "far");
    assert_eq!(
        (&found["rows"][0][3], &found["rows"][0][4]),
        (&json!("source"), &json!("unknown")),
        "{found}"
    );

    // In the console: the state in its columns, a reconciliation by its key, and the chain by Enter.
    let _controllers = flux_controllers(bed, "chained");
    let words = ["kustomizations.kustomize.toolkit.fluxcd.io", "-n", "chained"];
    let console = Console::start(&home, Some(&bed.kubeconfig), &words, 160, 40);
    console.wait("table with what Flux's own columns leave out", 20, |s| {
        s.contains("kustomizations(chained)[4]") && s.contains("SUSPENDED") && s.contains("REVISION")
    });
    console.keys("/^shop\r");
    console.wait("one row", 10, |s| s.contains("[1/4]"));
    console.keys("r");
    console.wait("what it would do", 20, |s| s.contains("reconcile.fluxcd.io/requestedAt"));
    console.keys("y");
    console.wait("its end", 30, |s| s.contains("main@sha1:2"));
    console.keys("\r");
    console.wait("its chain", 20, |s| {
        s.contains("chain(") && s.contains("depends on") && s.contains("settings")
    });
    console.keys("/settings\r");
    console.wait("one of it", 10, |s| s.contains("[1/5]"));
    console.keys("\r");
    console.wait("where it leads", 20, |s| s.contains("configmaps(chained)") && s.contains("settings"));
}

const APP: &str = "
{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: shop}, spec: {project: default,
  source: {repoURL: 'https://git.example/shop', path: deploy, targetRevision: main},
  destination: {server: 'https://kubernetes.default.svc', namespace: argo}, syncPolicy: {syncOptions: [ServerSideApply=true]}},
  status: {sync: {status: OutOfSync, revision: bbb}, health: {status: Healthy}, resources: [
    {kind: ConfigMap, version: v1, namespace: argo, name: settings, status: OutOfSync, health: {status: Healthy}},
    {kind: ConfigMap, version: v1, namespace: argo, name: gone, status: OutOfSync, requiresPruning: true},
    {kind: Service, version: v1, namespace: argo, name: web, status: Synced}],
  history: [
    {id: 1, revision: aaa, deployedAt: '2026-11-20T10:00:00Z', initiatedBy: {username: ana}, source: {repoURL: 'https://git.example/shop', path: old}},
    {id: 2, revision: bbb, deployedAt: '2026-11-21T10:00:00Z', initiatedBy: {automated: true}, source: {repoURL: 'https://git.example/shop', path: deploy}}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {A: a}}
";

/// Argo CD's controller: it takes the mark of a refresh away, and ends an operation, badly if its revision is `bad`. An
/// operation to `slow` runs until it is ended.
fn argo_controller(bed: &'static Bed, namespace: &'static str) -> Controller {
    const APPS: &str = "applications.argoproj.io";
    Controller::play(move || {
        for object in listed(bed, namespace, APPS) {
            let name = format!("{APPS}/{}", object["metadata"]["name"].as_str().unwrap());
            let write = |value: Value| patch(bed, namespace, &name, &[], &value);
            if !object["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null() {
                write(json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": null } } }));
            }
            let operation = &object["operation"];
            if operation.is_null() {
                continue;
            }
            let state = |phase: &str, message: &str| {
                json!({ "operationState": { "operation": operation, "phase": phase, "message": message,
                    "startedAt": "2026-11-21T11:00:00Z", "syncResult": { "revision": operation["sync"]["revision"] } } })
            };
            let wanted = operation["sync"]["revision"].as_str().unwrap_or_default();
            let phase = object["status"]["operationState"]["phase"].as_str().unwrap_or_default();
            if wanted == "slow" && phase != "Terminating" {
                // What has just been ended must not be begun again.
                if phase != "Running" {
                    write(json!({ "status": state("Running", "it goes on") }));
                }
                continue;
            }
            write(json!({ "status": state("Running", "syncing") }));
            let end = match (wanted, phase) {
                (_, "Terminating") => state("Failed", "operation terminated"),
                ("bad", _) => state("Failed", "one or more objects failed to apply"),
                _ => state("Succeeded", "successfully synced (all tasks run)"),
            };
            write(json!({ "operation": null, "status": end }));
        }
    })
}

#[test]
fn argo_cd_is_refreshed_synced_ended_and_taken_back() {
    let (bed, home) = (served(), Home::new());
    bed.namespace("argo");
    bed.kubectl(&["apply", "-n", "argo", "-f", "-"], Some(APP));
    let qd_json = |words: &[&str]| run(bed, &home, &[&["argo"], words, &["-n", "argo"]].concat());
    let fails = |words: &[&str], code: Code| fails(bed, &home, "argo", &[&["argo"], words].concat(), code);
    let ran = || -> Value {
        let path = "jsonpath={.status.operationState.operation}";
        serde_json::from_str(
            &bed.kubectl(&["get", "applications.argoproj.io/shop", "-n", "argo", "-o", path], None),
        )
        .unwrap()
    };
    let said = fails(&["refresh", "shop", "--wait", "1"], Code::Timeout);
    assert!(said.contains("has not done it after 1 s"), "{said}");

    // What is out of sync, held against what was applied.
    bed.kubectl(&["patch", "configmap", "settings", "-n", "argo", "-p", r#"{"data":{"A":"by hand"}}"#], None);
    let diff = qd_json(&["diff", "shop"]);
    assert_eq!(diff["objects"][0]["fields"][0]["field"], "data.A", "{diff}");
    assert_eq!(diff["objects"][1]["summary"], "it is no longer in Git", "{diff}");
    assert!(
        diff["notes"].to_string().contains("not asked") && diff["text"].to_string().contains("by hand"),
        "{diff}"
    );
    let chain = qd_json(&["chain", "shop"]);
    assert_eq!((&chain["total"], &chain["rows"][1][4]), (&json!(4), &json!("OutOfSync, Healthy")), "{chain}");

    let _controller = argo_controller(bed, "argo");
    let done = qd_json(&["refresh", "shop", "--hard"]);
    assert_eq!(
        (&done["answer"]["state"], &done["answer"]["message"]),
        (&json!("OutOfSync"), &json!("Healthy")),
        "{done}"
    );
    assert!(done["equivalent"].as_str().unwrap().contains("argocd.argoproj.io/refresh=hard"), "{done}");

    let preview = qd_json(&["sync", "shop", "--revision", "ccc", "--preview"]);
    let affects = preview["affects"].to_string();
    assert!(affects.contains("out of sync: configmap settings"), "{preview}");
    assert!(affects.contains("kept without prune: configmap gone"), "{preview}");
    let done = qd_json(&["sync", "shop", "--revision", "ccc"]);
    assert_eq!(
        (&done["answer"]["state"], &done["answer"]["revision"]),
        (&json!("Succeeded"), &json!("ccc")),
        "{done}"
    );
    assert_eq!(
        ran(),
        json!({ "initiatedBy": { "username": "quarterdeck" },
            "sync": { "revision": "ccc", "syncOptions": ["ServerSideApply=true"] } })
    );
    let preview = qd_json(&["prune", "shop", "--preview"]);
    assert!(
        preview["warnings"].to_string().contains("deletes what is no longer in Git: configmap gone"),
        "{preview}"
    );
    qd_json(&["prune", "shop"]);
    assert_eq!(ran()["sync"]["prune"], true);
    let said = fails(&["sync", "shop", "--revision", "bad"], Code::Unavailable);
    assert!(said.contains("one or more objects failed to apply"), "{said}");

    // One that goes on keeps the next from beginning, and is ended.
    let said = fails(&["terminate", "shop"], Code::Conflict);
    assert!(said.contains("no operation that runs"), "{said}");
    qd_json(&["sync", "shop", "--revision", "slow", "--wait", "0"]);
    let phase = || {
        bed.kubectl(
            &[
                "get",
                "applications.argoproj.io/shop",
                "-n",
                "argo",
                "-o",
                "jsonpath={.status.operationState.phase}",
            ],
            None,
        )
    };
    wait_until(20, "operation that runs", || phase() == "Running");
    let said = fails(&["sync", "shop"], Code::Conflict);
    assert!(said.contains("is Running") && said.contains("argo terminate"), "{said}");
    qd_json(&["terminate", "shop"]);
    wait_until(20, "its end", || phase() == "Failed");

    let history = qd_json(&["history", "shop"]);
    assert_eq!(
        (&history["entries"][0]["by"], &history["entries"][1]["current"]),
        (&json!("ana"), &json!(true)),
        "{history}"
    );
    let said = fails(&["rollback", "shop", "--to", "9"], Code::NotFound);
    assert!(said.contains("There are 1, 2"), "{said}");
    qd_json(&["rollback", "shop", "--to", "1"]);
    let sync = &ran()["sync"];
    assert_eq!((&sync["revision"], &sync["source"]["path"]), (&json!("aaa"), &json!("old")));
    assert_eq!(sync["syncStrategy"], json!({ "apply": {} }));
    patch(
        bed,
        "argo",
        "applications.argoproj.io/shop",
        &[],
        &json!({ "spec": { "syncPolicy": { "automated": {} } } }),
    );
    let said = fails(&["rollback", "shop", "--to", "1"], Code::Conflict);
    assert!(said.contains("syncs by itself"), "{said}");
    patch(
        bed,
        "argo",
        "applications.argoproj.io/shop",
        &[],
        &json!({ "spec": { "destination": { "server": "https://far.example" } } }),
    );
    assert_eq!(qd_json(&["chain", "shop"])["elsewhere"], "https://far.example");
    let said = fails(&["diff", "shop"], Code::Unsupported);
    assert!(said.contains("another cluster"), "{said}");

    let console =
        Console::start(&home, Some(&bed.kubeconfig), &["applications.argoproj.io", "-n", "argo"], 120, 40);
    console.wait("table", 20, |s| s.contains("applications(argo)[1]"));
    console.keys("v");
    console.wait("its history", 20, |s| {
        s.contains("synced(argo/shop)") && s.contains("aaa") && s.contains("automated")
    });
    console.keys("\x1b");
    console.wait("table", 10, |s| s.contains("applications(argo)[1]"));
    console.keys("s");
    console.wait("what a sync would do", 20, |s| s.contains("operation:") && s.contains("out of sync"));
}
