//! The practice fleet under the real kubectl: what it does to a cluster, it does to the fleet.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use quarterdeck::lab::{self, Lab};

use crate::bed::{Bed, wait_until};

/// A fleet, and the kubectl of the test bed.
struct Fleet {
    lab: Lab,
    _directory: tempfile::TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let began = Instant::now();
        let options =
            lab::Options { directory: Some(directory.path().to_owned()), ..lab::Options::default() };
        let lab = lab::start(options).await.unwrap();
        println!("the fleet started in {:?}", began.elapsed());
        Self { lab, _directory: directory }
    }

    fn try_kubectl(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(Bed::shared().kubectl_path())
            .env("KUBECONFIG", self.lab.kubeconfig_path())
            // What an editor would do to the text.
            .env("KUBE_EDITOR", "sed -i s/replicas:.6/replicas:\\ 7/")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    }

    fn kubectl(&self, line: &str) -> String {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (ok, said) = self.try_kubectl(&arguments);
        assert!(ok, "kubectl {line}: {said}");
        said
    }

    /// Whether every pod of a workload is ready, and there are some.
    fn runs(&self, namespace: &str, name: &str) -> bool {
        let path = "{.spec.replicas} {.status.readyReplicas} {.status.updatedReplicas}";
        let said = self
            .kubectl(&format!("get deployment {name} -n {namespace} -o jsonpath={}", path.replace(' ', "/")));
        let numbers: Vec<&str> = said.split('/').collect();
        numbers[0] != "0" && numbers.iter().all(|n| *n == numbers[0])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works_on_the_fleet() {
    let fleet = Fleet::start().await;
    tokio::task::block_in_place(|| {
        assert_eq!(fleet.kubectl("auth can-i delete pods -n shop").trim(), "yes");
        assert!(fleet.kubectl("auth whoami").contains("lab-admin"));
        fleet.kubectl("create job once --image=registry.example/batch:1 -n shop");
        fleet.kubectl("wait --for=condition=Complete job/once -n shop --timeout=60s");
        fleet.kubectl("create job manual --from=cronjob/backup -n data");
        fleet.kubectl("run probe --image=registry.example/web:1 -n shop");
        fleet.kubectl("wait --for=condition=Ready pod/probe -n shop --timeout=30s");
        fleet.kubectl("delete pod probe -n shop");
        assert!(!fleet.try_kubectl(&["get", "pod", "probe", "-n", "shop"]).0);

        let image = || {
            fleet.kubectl("get deployment web -n shop -o jsonpath={.spec.template.spec.containers[0].image}")
        };
        let before = image();
        fleet.kubectl("set image deployment/web *=registry.example/web:9 -n shop");
        fleet.kubectl("rollout status deployment/web -n shop --timeout=60s");
        assert_eq!(image(), "registry.example/web:9");
        assert!(fleet.kubectl("rollout history deployment/web -n shop").contains('2'));
        fleet.kubectl("rollout undo deployment/web -n shop");
        fleet.kubectl("rollout status deployment/web -n shop --timeout=60s");
        assert_eq!(image(), before);

        let replicas = || fleet.kubectl("get deployment web -n shop -o jsonpath={.spec.replicas}");
        for (kind, patch, expected) in [
            ("strategic", r#"{"spec":{"replicas":5}}"#, "5"),
            ("merge", r#"{"spec":{"replicas":4},"metadata":{"labels":{"x":"y"}}}"#, "4"),
            ("json", r#"[{"op":"replace","path":"/spec/replicas","value":6}]"#, "6"),
        ] {
            fleet.kubectl(&format!("patch deployment web -n shop --type={kind} -p {patch}"));
            assert_eq!(replicas(), expected, "{kind}");
        }
        fleet.kubectl("edit deployment web -n shop");
        assert_eq!(replicas(), "7");
        fleet.kubectl("scale deployment web --replicas=3 -n shop");
        fleet.kubectl("rollout status deployment/web -n shop --timeout=60s");

        // Foreground: kubectl waits until all of it is gone.
        fleet.kubectl("delete deployment search -n shop --cascade=foreground --timeout=60s");
        assert!(fleet.kubectl("get replicasets,pods -n shop -l app=search").contains("No resources found"));
        fleet.kubectl("delete deployment mailer -n shop --cascade=orphan");
        assert!(fleet.kubectl("get pods -n shop -l app=mailer -o name").lines().count() >= 3);
        fleet
            .kubectl("drain harbour-node-1 --ignore-daemonsets --delete-emptydir-data --force --timeout=60s");
        assert!(fleet.kubectl("get node harbour-node-1").contains("SchedulingDisabled"));
        fleet.kubectl("create namespace short");
        fleet.kubectl("create deployment x --image=y -n short");
        fleet.kubectl("delete namespace short --timeout=60s");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_in_the_fleet_can_be_mended() {
    let fleet = Fleet::start().await;
    tokio::task::block_in_place(|| {
        for (namespace, name) in [
            ("shop", "recommender"),
            ("shop", "checkout"),
            ("payments", "invoice"),
            ("shop-staging", "catalog"),
            ("shop", "training"),
        ] {
            assert!(!fleet.runs(namespace, name), "{name} is broken at first");
        }
        // An image that is there, a variable that is missed, a Secret, a Service, less of what no node has, another path.
        fleet.kubectl("set image deployment/recommender *=registry.example/recommender:2.0 -n shop");
        fleet.kubectl("set env deployment/checkout DATABASE_URL=postgres://db/shop -n shop");
        fleet.kubectl("create secret generic smtp-relay --from-literal=password=b -n payments");
        fleet.kubectl("create service clusterip inventory --tcp=80:80 -n shop-staging");
        fleet.kubectl("set resources deployment/training --requests=cpu=200m -n shop");
        let path = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe/httpGet/path","value":"/health"}]"#;
        fleet.kubectl(&format!("patch deployment catalog -n shop --type=json -p {path}"));
        for (namespace, name) in [
            ("shop", "recommender"),
            ("shop", "checkout"),
            ("payments", "invoice"),
            ("shop-staging", "catalog"),
            ("shop", "training"),
            ("shop", "catalog"),
        ] {
            wait_until(90, &format!("mended {name}"), || fleet.runs(namespace, name));
        }
    });
    assert!(Path::new(fleet.lab.kubeconfig_path()).exists());
}
