//! Acting as another, what a CronJob's Jobs are, and the contexts of a kubeconfig, on a real API server.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use quarterdeck::base::Code;
use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json as run;

/// The bed's kubeconfig with something after the credentials of its user.
fn with_user(bed: &Bed, home: &Home, name: &str, user: &str) -> PathBuf {
    let text = std::fs::read_to_string(&bed.kubeconfig).unwrap();
    let mut config: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let more: serde_yaml_ng::Value = serde_yaml_ng::from_str(user).unwrap();
    let own = &mut config["users"][0]["user"];
    match more.get("token") {
        Some(_) => *own = more,
        None => more.as_mapping().unwrap().iter().for_each(|(key, value)| {
            own.as_mapping_mut().unwrap().insert(key.clone(), value.clone());
        }),
    }
    let path = home.path().join(name);
    std::fs::write(&path, serde_yaml_ng::to_string(&config).unwrap()).unwrap();
    path
}

fn with(home: &Home, kubeconfig: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = home.qd(arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn whoever_acts_as_another_is_taken_for_them_and_it_is_written() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("acting");
    let make = |words: &[&str]| bed.kubectl(&[&["create"], words, &["-n", "acting"]].concat(), None);
    make(&["role", "reader", "--verb=get,list,watch", "--resource=pods"]);
    make(&["role", "keeper", "--verb=get,list,watch", "--resource=configmaps"]);
    make(&["rolebinding", "janes", "--role=reader", "--user=jane"]);
    make(&["rolebinding", "keepers", "--role=keeper", "--group=keepers"]);
    make(&["deployment", "web", "--image=x", "--replicas=0"]);
    let here = ["-n", "acting"];
    let call = |words: &[&str]| qd(bed, &home, &[words, &here].concat());
    wait_until(10, "binding that holds", || call(&["--as", "jane", "can", "i", "list", "pods"]).0 == 0);
    assert_eq!(
        call(&["can", "i", "list", "configmaps", "--as", "jane"]).0,
        3,
        "no is 3, wherever the flag stands"
    );
    let keeper = ["can", "i", "list", "configmaps", "--as", "jane", "--as-group", "keepers"];
    wait_until(10, "group that holds", || call(&keeper).0 == 0);
    let (code, _, said) = call(&["--as", "jane", "resource", "list", "configmaps"]);
    assert_eq!(code, i32::from(Code::PermissionDenied.exit_code()), "{said}");
    assert!(said.contains("User \"jane\" cannot"), "{said}");
    let (code, _, said) = call(&["--as-group", "keepers", "pod", "list"]);
    assert_eq!(code, i32::from(Code::InvalidArgument.exit_code()), "{said}");
    assert!(said.contains("Add --as USER"), "{said}");

    // A change shows it beforehand, and the same command for a shell; the log has it afterwards.
    let root =
        ["--as", "root", "--as-group", "system:masters", "deployment", "scale", "web", "--replicas", "1"];
    let preview = run(bed, &home, &[&root[..], &here, &["--preview"]].concat()).to_string();
    assert!(preview.contains("the cluster takes it for root in system:masters"), "{preview}");
    let done = run(bed, &home, &[&root[..], &here].concat());
    let equivalent = done["equivalent"].as_str().unwrap();
    assert!(equivalent.starts_with("kubectl --as root --as-group system:masters scale"), "{equivalent}");
    let (_, log, _) =
        qd(bed, &home, &["audit", "list", "--operation", "deployment_scale", "--details", "-o", "json"]);
    assert!(log.contains("root in system:masters"), "{log}");

    // The kubeconfig's own `as` is honoured and shown; the flag goes over it.
    let jane = with_user(bed, &home, "jane", "{as: jane, as-groups: [keepers]}");
    let list =
        |words: &[&str]| with(&home, &jane, &[words, &["resource", "list", "configmaps"], &here].concat()).0;
    assert_eq!(list(&[]), 0);
    assert_eq!(list(&["--as", "jane"]), i32::from(Code::PermissionDenied.exit_code()));
    let clusters = with(&home, &jane, &["cluster", "list", "--offline", "-o", "json"]).1;
    assert!(clusters.contains("jane in keepers"), "{clusters}");

    // Whoever may not impersonate is told what it is about.
    make(&["serviceaccount", "robot"]);
    let token = make(&["token", "robot"]);
    let robot = with_user(bed, &home, "robot", &format!("{{token: {}}}", token.trim()));
    let (code, _, said) = with(&home, &robot, &["--as", "root", "pod", "list", "-n", "acting"]);
    assert_eq!(code, i32::from(Code::PermissionDenied.exit_code()), "{said}");
    assert!(said.contains("cannot impersonate") && said.contains("leave out --as"), "{said}");
}

#[test]
fn the_header_says_whom_the_cluster_takes_us_for() {
    let (bed, home) = (Bed::shared(), Home::new());
    let console = |arguments: &[&str]| Console::start(&home, Some(&bed.kubeconfig), arguments, 80, 24);
    let root = ["--as", "root", "--as-group", "system:masters", "pods", "-n", "default"];
    let acting = console(&root);
    acting.wait("whom we act as", 20, |screen| {
        screen.lines().next().unwrap_or_default().contains("[as root in system:mas")
    });
    // A call that acts as nobody else joins it, and hears as whom; one that acts as a third does not.
    let (_, _, said) = qd(bed, &home, &["can", "i", "list", "pods", "-n", "default"]);
    assert!(said.contains("the session acts as root in system:masters"), "{said}");
    let (code, _, said) =
        qd(bed, &home, &["--as", "nobody-at-all", "can", "i", "list", "secrets", "-n", "default"]);
    assert_eq!(code, 3, "{said}");
}

#[test]
fn the_jobs_of_a_cron_job_are_those_that_it_owns() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("owners");
    let make = |words: &[&str]| bed.kubectl(&[&["create"], words, &["-n", "owners"]].concat(), None);
    for name in ["report", "backup"] {
        make(&["cronjob", name, "--image=x", "--schedule=0 0 1 1 *"]);
    }
    make(&["job", "first", "--from=cronjob/report"]);
    make(&["job", "second", "--from=cronjob/backup"]);
    make(&["job", "alone", "--image=x"]);
    let owned =
        |owner: &str| run(bed, &home, &["resource", "list", "jobs", "--owner", owner, "-n", "owners"]);
    let names = |page: &Value| -> Vec<String> {
        page["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&owned("cronjob/report")), ["first"]);
    assert_eq!(names(&owned("cj/backup")), ["second"]);
    assert_eq!(names(&owned("cronjob/none")), [""; 0]);
    for wrong in ["report", "cronjob/"] {
        let (code, _, said) = qd(bed, &home, &["resource", "list", "jobs", "--owner", wrong, "-n", "owners"]);
        assert_eq!(code, i32::from(Code::InvalidArgument.exit_code()), "{said}");
    }

    let console = Console::start(&home, Some(&bed.kubeconfig), &["cronjobs", "owners"], 80, 24);
    console.wait("cron jobs", 20, |screen| screen.contains("backup") && screen.contains("report"));
    console.keys("/report\r");
    console.wait("filter", 10, |screen| !screen.contains("backup"));
    console.keys("\r");
    let screen = console.wait("its jobs", 20, |screen| screen.contains("jobs(cronjob report)[1]"));
    assert!(screen.contains("first") && !screen.contains("second") && !screen.contains("alone"), "{screen}");
    make(&["job", "third", "--from=cronjob/report"]);
    make(&["job", "fourth", "--from=cronjob/backup"]);
    console.wait("a job that came", 10, |screen| screen.contains("third") && screen.contains("[2]"));
    bed.kubectl(&["delete", "job", "first", "-n", "owners"], None);
    let screen = console.wait("a job that went", 20, |screen| screen.contains("[1]"));
    assert!(!screen.contains("first") && !screen.contains("fourth"), "{screen}");
}

#[test]
fn contexts_are_renamed_and_deleted_in_their_files() {
    let (bed, home) = (Bed::shared(), Home::new());
    let (one, two) = (home.path().join("one"), home.path().join("two"));
    let text = std::fs::read_to_string(&bed.kubeconfig).unwrap();
    std::fs::write(&one, format!("# mine, by hand\n{text}")).unwrap();
    std::fs::set_permissions(&one, std::fs::Permissions::from_mode(0o600)).unwrap();
    let second = format!(
        "# the others'\ncurrent-context: {0}\ncontexts:\n# spare\n- name: spare # as it was\n  context: {{cluster: {0}, user: u}}\n# kept\n- name: kept\n  context: {{cluster: {0}, user: u}}\n",
        bed.context
    );
    std::fs::write(&two, &second).unwrap();
    let both = std::env::join_paths([&one, &two]).unwrap();
    let call = |words: &[&str]| with(&home, Path::new(&both), words);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();

    let (code, preview, said) = call(&["context", "rename", &bed.context, "prod: eu", "--preview"]);
    assert_eq!(code, 0, "{said}");
    assert!(preview.contains("+ current-context: 'prod: eu'") || preview.contains("prod: eu"), "{preview}");
    assert!(!preview.contains("certificate") && !preview.contains("token"), "no secret is shown: {preview}");
    assert_eq!(read(&two), second);
    let (code, _, said) = call(&["--readonly", "context", "delete", "spare"]);
    assert_eq!(code, i32::from(Code::PermissionDenied.exit_code()), "{said}");

    assert_eq!(call(&["context", "rename", &bed.context, "prod: eu"]).0, 0);
    assert!(read(&one).starts_with("# mine, by hand\n"));
    assert_eq!(std::fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);
    let renamed =
        second.replace(&format!("current-context: {}", bed.context), "current-context: \"prod: eu\"");
    assert_eq!(read(&two), renamed, "the other file named it as the current one");
    // It is the current one, and works.
    assert_eq!(call(&["pod", "list", "-n", "default"]).0, 0);
    assert_eq!(call(&["context", "delete", "spare"]).0, 0);
    let spare = format!("- name: spare # as it was\n  context: {{cluster: {}, user: u}}\n", bed.context);
    assert_eq!(read(&two), renamed.replace(&spare, ""));
    let (code, _, said) = call(&["context", "delete", "spare"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{said}");
    let (code, _, said) = call(&["context", "rename", "kept", "prod: eu"]);
    assert_eq!(code, i32::from(Code::AlreadyExists.exit_code()), "{said}");

    // The same by the keys of the table.
    let console = Console::start(&home, Some(Path::new(&both)), &["contexts"], 80, 24);
    console.wait("contexts", 20, |screen| screen.contains("kept") && screen.contains("prod: eu"));
    console.keys("\x04");
    console.wait("what goes", 20, |screen| screen.contains("context_delete") && screen.contains("kept"));
    console.keys("y");
    console.wait("the context gone", 20, |screen| screen.contains("clusters[") && !screen.contains("kept"));
    assert!(!read(&two).contains("name: kept"), "{}", read(&two));
}

#[test]
fn a_signing_request_is_approved_or_denied_once() {
    let (bed, home) = (Bed::shared(), Home::new());
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    use base64::Engine as _;
    let request = base64::engine::general_purpose::STANDARD.encode(pem);
    for name in ["wanted", "unwanted"] {
        let object = format!(
            "{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: {name}}}, \
             spec: {{request: {request}, signerName: example.com/none, usages: [client auth]}}}}"
        );
        bed.kubectl(&["apply", "-f", "-"], Some(&object));
    }
    let verdict =
        |name: &str| bed.kubectl(&["get", "csr", name, "-o", "jsonpath={.status.conditions[*].type}"], None);
    let approve = ["certificatesigningrequest", "approve", "wanted"];
    let preview = run(bed, &home, &[&approve[..], &["--preview"]].concat()).to_string();
    assert!(preview.contains("asks example.com/none for a certificate for client auth"), "{preview}");
    assert!(preview.contains("Approved: Approved with qd"), "{preview}");
    assert_eq!(verdict("wanted"), "");
    let done = run(bed, &home, &approve);
    assert_eq!(done["equivalent"], format!("kubectl certificate approve wanted --context {}", bed.context));
    assert_eq!(verdict("wanted"), "Approved");
    let (code, _, said) = qd(bed, &home, &["certificatesigningrequest", "deny", "wanted"]);
    assert_eq!(code, i32::from(Code::Conflict.exit_code()), "{said}");

    let console = Console::start(&home, Some(&bed.kubeconfig), &["csr"], 80, 24);
    console.wait("requests", 20, |screen| screen.contains("unwanted"));
    console.keys("/unwanted\r");
    console.wait("filter", 10, |screen| screen.contains("[1/"));
    console.keys("x");
    console.wait("what it does", 20, |screen| screen.contains("Denied with qd"));
    console.keys("y");
    wait_until(20, "a denial", || verdict("unwanted") == "Denied");
}

#[test]
fn a_change_that_will_be_set_back_says_so() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("kept-by");
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {kustomize.toolkit.fluxcd.io/name: apps, \
                  kustomize.toolkit.fluxcd.io/namespace: flux-system}}, data: {a: '1'}}";
    bed.kubectl(&["apply", "-n", "kept-by", "-f", "-"], Some(object));
    bed.kubectl(&["create", "deployment", "web", "--image=x:1", "-n", "kept-by"], None);
    let said = |words: &[&str]| {
        let preview = run(bed, &home, &[words, &["-n", "kept-by", "--preview"]].concat());
        preview["warnings"].to_string()
    };
    let apply = said(&["resource", "apply", &object.replace("'1'", "'2'"), "--force-conflicts"]);
    assert!(apply.contains("Flux's Kustomization flux-system/apps applies it and sets it back"), "{apply}");
    let delete = said(&["resource", "delete", "configmap", "settings"]);
    assert!(
        delete.contains("Flux's Kustomization flux-system/apps applies it and makes it anew"),
        "{delete}"
    );
    wait_until(20, "ReplicaSet", || {
        bed.kubectl(&["get", "rs", "-n", "kept-by", "-o", "name"], None).contains("web")
    });
    let set = bed.kubectl(&["get", "rs", "-n", "kept-by", "-o", "jsonpath={.items[0].metadata.name}"], None);
    let image = said(&["image", "set", "replicaset", &set, "--image", "x=x:2"]);
    assert!(image.contains("Deployment/web controls it and may set it back"), "{image}");
}
