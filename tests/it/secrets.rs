//! Values of Secrets on a real API server: set by their keys, and shown nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quarterdeck::base::Code;

use crate::bed::Bed;
use crate::console::{Console, Home};
use crate::kube_objects::qd;
use crate::kubelet::json;

const DB: &str = "{apiVersion: v1, kind: Secret, metadata: {name: db}, data: {store: '//4A'},
  stringData: {password: hunter2-first, user: alice, old: gone-soon}}";

#[test]
fn values_of_a_secret_are_set_by_their_keys_and_shown_nowhere() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("secrets");
    bed.kubectl(&["apply", "-n", "secrets", "-f", "-"], Some(DB));
    let data = || {
        let text = bed.kubectl(&["get", "secret", "db", "-n", "secrets", "-o", "json"], None);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let value = |key: &str| {
        let all = data();
        let bytes = STANDARD.decode(all["data"][key].as_str().unwrap_or_default()).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let edit = |more: &[&str]| qd(bed, &home, &[&["secret", "edit", "db", "-n", "secrets"], more].concat());
    let read_at = data()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();

    let set = ["--value", "password=xyzzy=9 plus", "--value", "user=alice", "--remove", "old"];
    let (code, preview, err) = edit(&[&set[..], &["--preview"]].concat());
    assert_eq!(code, 0, "{err}");
    assert!(preview.contains("password:") && preview.contains("another value"), "{preview}");
    assert!(
        preview.contains("-   old:") && !preview.contains("+   user") && !preview.contains("-   user"),
        "{preview}"
    );
    for shown in ["xyzzy", "hunter2", &STANDARD.encode("xyzzy=9 plus"), "gone-soon"] {
        assert!(!preview.contains(shown), "{preview}");
    }
    assert_eq!(value("password"), "hunter2-first", "a preview changes nothing");

    let (code, out, err) = edit(&set);
    assert_eq!(code, 0, "{err}");
    assert!(!out.contains("xyzzy"), "{out}");
    let now = data();
    assert_eq!((value("password").as_str(), value("user").as_str()), ("xyzzy=9 plus", "alice"));
    assert_eq!(
        (&now["data"]["old"], now["data"]["store"].as_str()),
        (&serde_json::Value::Null, Some("//4A"))
    );
    let log = json(bed, &home, &["audit", "list", "--details"]).to_string();
    assert!(log.contains("secret_edit") && log.contains("password=«redacted»"), "{log}");
    assert!(!log.contains("xyzzy") && !log.contains("hunter2"), "{log}");

    // Another key than the one that changed meanwhile may be set, that one may not.
    let (code, _, err) = edit(&["--value", "user=bob", "--revision", &read_at]);
    assert_eq!((code, value("user").as_str()), (0, "bob"), "{err}");
    let (code, _, err) = edit(&["--value", "password=mine", "--revision", &read_at]);
    assert_eq!(code, i32::from(Code::Conflict.exit_code()), "{err}");
    assert!(err.contains("another changed password too") && !err.contains("xyzzy"), "{err}");

    for (wrong, why) in [
        (&["--value", "nothing"][..], "KEY=VALUE"),
        (&[], "no value is set"),
        (&["--value", "a=1", "--remove", "a"], "both set and taken out"),
        (&["--value", "no such key!=1"], "Invalid value"),
    ] {
        let (code, _, err) = edit(wrong);
        assert_eq!(code, i32::from(Code::InvalidArgument.exit_code()), "{wrong:?}: {err}");
        assert!(err.contains(why), "{err}");
    }
}

#[test]
fn a_secret_is_edited_decoded_at_the_screen() {
    let (bed, home) = (Bed::shared(), Home::new());
    bed.namespace("secretview");
    bed.kubectl(&["apply", "-n", "secretview", "-f", "-"], Some(DB));
    let script = home.path().join("editor.sh");
    std::fs::write(&script, "#!/bin/sh\nsed -i 's/hunter2-first/from-the-editor/' \"$1\"\n").unwrap();
    std::process::Command::new("chmod").arg("+x").arg(&script).status().unwrap();
    let editor = [("EDITOR", script.as_os_str())];
    let view = ["secrets", "-n", "secretview"];
    let console = Console::start_with(&home, Some(&bed.kubeconfig), &view, 100, 30, &editor);
    console.wait("table", 20, |s| s.contains("secrets(secretview)[1]"));
    console.keys("e");
    let card = console.wait("difference", 20, |s| s.contains("another value") && s.contains("do it"));
    assert!(!card.contains("from-the-editor") && !card.contains("hunter2"), "{card}");
    console.keys("y");
    crate::bed::wait_until(20, "written value", || {
        let text = bed.kubectl(
            &["get", "secret", "db", "-n", "secretview", "-o", "jsonpath={.data.password} {.data.store}"],
            None,
        );
        text == format!("{} //4A", STANDARD.encode("from-the-editor"))
    });
}
