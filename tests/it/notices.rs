//! Being told of objects that change their state, on a real API server: at the screen, and by whoever asks.

use quarterdeck::base::Code;
use serde_json::Value;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json;

#[test]
fn whoever_watches_an_object_is_told_when_its_state_changes() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("notices");
    bed.kubectl(&["create", "deployment", "web", "--image=x", "--replicas=2", "-n", "notices"], None);
    bed.kubectl(&["create", "configmap", "settings", "--from-literal=a=b", "-n", "notices"], None);
    wait_until(30, "settled deployment", || {
        let path = "jsonpath={.status.availableReplicas}";
        bed.kubectl(&["get", "deployment", "web", "-n", "notices", "-o", path], None) == "2"
    });
    let console = Console::start(&home, Some(&bed.kubeconfig), &["deployments", "-n", "notices"], 120, 30);
    console.wait("table", 20, |s| s.contains("deployments(notices)[1]"));
    console.keys("b");
    let list = |more: &[&str]| json(bed, &home, &[&["notice", "list"], more].concat());
    wait_until(20, "notice", || list(&[])["notices"][0]["state"] == "rolled out");
    let note = ["notice", "create", "configmap", "settings", "-n", "notices", "--note", "who writes it?"];
    let second = json(bed, &home, &note);
    assert_eq!((&second["notice"], &second["told"]), (&Value::from(2), &Value::from(0)), "{second}");
    assert_eq!(json(bed, &home, &note)["notice"], 2, "it is watched once");
    let (code, _, err) = qd(bed, &home, &["notice", "create", "configmap", "nobody", "-n", "notices"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{err}");

    let bells = || console.raw().iter().filter(|byte| **byte == 7).count();
    let before = bells();
    bed.kubectl(&["set", "image", "deployment/web", "*=y", "-n", "notices"], None);
    console.wait("what it came to", 30, |s| s.contains("deployments.apps/web: in progress → rolled out"));
    assert!(bells() >= before + 2, "it rings when it begins and when it is done");
    // Whoever comes later reads what was told, and waits for more.
    let all = list(&["--after", "0"]);
    let told: Vec<(&str, &str)> = all["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["before"].as_str().unwrap(), t["now"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("rolled out", "in progress"), ("in progress", "rolled out")], "{all}");
    let last = all["last"].to_string();
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| list(&["--after", &last, "--wait-seconds", "45"]));
        bed.kubectl(
            &["patch", "configmap", "settings", "-n", "notices", "-p", "{\"data\":{\"a\":\"c\"}}"],
            None,
        );
        waiting.join().unwrap()
    });
    assert_eq!(waited["told"][0]["note"], "who writes it?", "{waited}");
    assert!(
        waited["told"][0]["target"].as_str().unwrap().ends_with("notices/configmaps/settings"),
        "{waited}"
    );

    console.keys(":notices\r");
    console.wait("what is watched", 20, |s| {
        s.contains("notices[2]") && s.contains("who writes it?") && s.contains("rolled out")
    });
    bed.kubectl(&["delete", "deployment", "web", "-n", "notices"], None);
    console.wait("its end", 30, |s| s.contains("gone"));
    console.keys("/settings\r\x04");
    wait_until(20, "one less", || list(&[])["notices"].as_array().unwrap().len() == 1);
    let (code, _, err) = qd(bed, &home, &["notice", "cancel", "2"]);
    assert_eq!(code, i32::from(Code::NotFound.exit_code()), "{err}");
}
