//! Copying files, debug containers and node shells against a real kubelet, through the real binary.

use std::fs;
use std::path::Path;

use crate::bed::{Bed, wait_until};
use crate::console::{Console, Home};
use crate::kubelet::json;
use crate::streams::{container, pod, qd, run, running, sleeper, text};

/// A tree with names that shells and archives trip over.
fn odd_tree(root: &Path) {
    fs::create_dir_all(root.join("sub dir/empty")).unwrap();
    fs::write(root.join("plain"), "plain\n").unwrap();
    fs::write(root.join("-rf"), "dash").unwrap();
    fs::write(root.join("sub dir/a b\tc 'q' \"d\" $x *?"), "odd").unwrap();
    fs::write(root.join("sub dir/ünïcödé"), "text").unwrap();
    fs::write(root.join("line\nfeed"), "two lines").unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    let large: Vec<u8> = (0..3 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(root.join("large"), large).unwrap();
}

/// Every file below, with its content.
fn contents(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A container that has the applets named, and no others.
fn with_only(name: &str, applets: &[&str]) -> String {
    let links: Vec<String> = applets.iter().map(|a| format!("ln -s /tools/busybox /tools/{a}")).collect();
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: real\n  terminationGracePeriodSeconds: 0\n  \
         volumes: [{{name: tools, emptyDir: {{}}}}, {{name: none, emptyDir: {{}}}}]\n  initContainers:\n  \
         - {{name: put, image: \"localhost/busybox:1\", imagePullPolicy: Never, command: [sh, -c, \"cp /bin/busybox /tools/busybox; {}\"], \
         volumeMounts: [{{name: tools, mountPath: /tools}}]}}\n  containers:\n  \
         - {{name: main, image: \"localhost/busybox:1\", imagePullPolicy: Never, command: [/tools/busybox, sleep, \"3600\"], \
         env: [{{name: PATH, value: /tools}}], \
         volumeMounts: [{{name: tools, mountPath: /tools}}, {{name: none, mountPath: /bin}}]}}\n",
        links.join("; ")
    )
}

/// An archive with a path that leads out.
fn hostile() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let name = b"../../evil";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(4);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, &b"evil"[..]).unwrap();
    archive.into_inner().unwrap()
}

/// A command whose words follow `--`, with its answer as JSON.
fn answer(bed: &Bed, home: &Home, options: &[&str], words: &[&str]) -> serde_json::Value {
    let mut all = options.to_vec();
    all.extend(["-o", "json", "--"]);
    all.extend(words);
    let output = qd(bed, home, &all).output().unwrap();
    assert!(output.status.success(), "qd {all:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn files_go_in_and_come_out_as_they_were() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "copies";
    bed.namespace(n);
    let shell_only = with_only("shell-only", &["sh", "find", "wc", "cat", "head", "mkdir", "tr", "printf"]);
    let bare = with_only("bare", &["sleep"]);
    bed.kubectl(
        &["apply", "-n", n, "-f", "-"],
        Some(&(pod("box", "", &sleeper("main")) + &shell_only + &bare)),
    );
    for name in ["box", "shell-only", "bare"] {
        running(bed, n, name);
    }
    let here = home.path().join("tree");
    odd_tree(&here);
    let copy = |from: &str, to: &str, more: &[&str]| {
        let mut all = vec!["file", "copy", from, to, "-n", n];
        all.extend_from_slice(more);
        json(bed, &home, &all)
    };
    let refused = |from: &str, to: &str| {
        let output = qd(bed, &home, &["file", "copy", from, to, "-n", n]).output().unwrap();
        assert!(!output.status.success(), "{from} {to}");
        text(&output.stderr)
    };
    for pod in ["box", "shell-only"] {
        // A relative path is the shell's own directory.
        let sent = copy("tree", &format!("{pod}:/tmp/there"), &[]);
        assert_eq!(sent["files"], 7, "{sent}");
        assert!(sent["checked"].is_string(), "{sent}");
        let back = home.path().join(format!("back-{pod}"));
        let got = copy(&format!("{pod}:/tmp/there"), back.to_str().unwrap(), &[]);
        assert_eq!(
            (got["files"].as_u64(), got["bytes"].as_u64()),
            (Some(7), sent["bytes"].as_u64()),
            "{got}"
        );
        assert_eq!(got["by"], if pod == "box" { "tar" } else { "a shell" });
        assert!(
            contents(&back) == contents(&here),
            "{pod}: {:?}",
            contents(&back).iter().map(|c| &c.0).collect::<Vec<_>>()
        );
        // One file, into a directory that is there, and not over what is there.
        copy(&format!("{pod}:/tmp/there/plain"), &format!("{}/", back.join("sub dir").display()), &[]);
        assert_eq!(fs::read_to_string(back.join("sub dir/plain")).unwrap(), "plain\n");
        let error = refused(&format!("{pod}:/tmp/there/plain"), back.join("plain").to_str().unwrap());
        assert!(error.contains("is there already"), "{error}");
    }
    let error = refused("box:/no/such", "/tmp/x-qd-none");
    assert!(error.contains("no such path") || error.contains("No such file"), "{error}");
    let error = refused("bare:/etc/hostname", home.path().join("h").to_str().unwrap());
    assert!(error.contains("neither tar, nor a shell, nor cat"), "{error}");
    assert!(
        fs::read_dir(home.path()).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".qd-copy"))
    );

    // A container whose tar is an enemy's. The shell stays until `cat` has ended: see the copying itself.
    let input = run(
        qd(
            bed,
            &home,
            &["container", "exec", "box", "-n", n, "-i", "--", "sh", "-c", "cat > /tmp/evil.tar; exit $?"],
        ),
        &hostile(),
    );
    assert!(input.status.success());
    let script = "rm /bin/tar; printf '#!/bin/busybox sh\\nexec /bin/busybox cat /tmp/evil.tar\\n' > /bin/tar; chmod +x /bin/tar";
    bed.kubectl(&["exec", "-n", n, "box", "--", "sh", "-c", script], None);
    let error = refused("box:/tmp/there/plain", home.path().join("evil").to_str().unwrap());
    assert!(error.contains("leads out of the destination"), "{error}");
    assert!(!home.path().join("evil").exists());
}

#[test]
fn a_debug_container_and_a_node_shell_have_the_terminal() {
    let (bed, home) = (Bed::shared(), Home::new());
    let n = "debugging";
    bed.namespace(n);
    bed.kubectl(
        &["apply", "-n", n, "-f", "-"],
        Some(
            &(with_only("bare", &["sleep"])
                + &pod("box", "", &container("main", "command: [sleep, \"3600\"]"))),
        ),
    );
    running(bed, n, "bare");
    // No shell: the error names the way on.
    let line = format!("pods {n}");
    let console = Console::start(&home, Some(&bed.kubeconfig), &[&line], 120, 30);
    console.wait("the pod", 20, |s| s.contains("bare") && s.contains("Running"));
    console.keys("/bare\rs");
    console.wait("why there is no shell", 20, |s| s.contains("no shell in the container main"));

    let debug = ["container", "debug", "bare", "-n", n, "--image", "localhost/busybox:1", "--target", "main"];
    let made = answer(bed, &home, &debug, &["sh"]);
    assert_eq!(made["container"], "debugger-1", "{made}");
    let exec = ["container", "exec", "bare", "-n", n, "--container", "debugger-1"];
    let seen = answer(bed, &home, &exec, &["ps"]);
    assert!(seen["stdout"].as_str().unwrap().contains("busybox sleep 3600"), "{seen}");
    let output =
        qd(bed, &home, &["container", "debug", "bare", "-n", n, "--image", "localhost/none:1", "--preview"])
            .output()
            .unwrap();
    assert!(text(&output.stdout).contains("server dry run ok"), "{}", text(&output.stdout));
    // With a shell in the pod now, `s` offers it.
    console.keys("s");
    console.wait("the choice", 10, |s| s.contains("debugger-1"));
    console.keys("\x1b");

    // Or with the terminal at once: how its process ended is told, which who is attached does not see.
    let mut with_terminal = debug.to_vec();
    with_terminal.extend(["--tty", "--", "sh"]);
    let console = Console::start(&home, Some(&bed.kubeconfig), &with_terminal, 100, 30);
    console.wait("a prompt", 60, |s| s.contains("/ #"));
    console.keys("echo in-$((40+2))\r");
    console.wait("the debug container's shell", 10, |s| s.contains("in-42"));
    console.keys("exit 4\r");
    wait_until(20, "its exit code", || {
        let audit = json(bed, &home, &["audit", "list", "--operation", "container_debug", "--details"]);
        audit.to_string().contains("\"exit_code\":4")
    });

    // The node: its own files and processes, and no pod left behind.
    let node = Console::start(
        &home,
        Some(&bed.kubeconfig),
        &["node", "shell", "real", "-n", n, "--image", "localhost/busybox:1"],
        100,
        30,
    );
    node.wait("a prompt", 60, |s| s.contains('#') || s.contains('$'));
    let marker = home.path().join("made-on-the-node");
    node.keys(&format!("touch {}; echo on-$((20+22))\r", marker.display()));
    node.wait("the node's shell", 10, |s| s.contains("on-42"));
    assert!(marker.exists(), "the shell is the node's own");
    let pods = bed.kubectl(&["get", "pods", "-n", n, "-l", "quarterdeck.dev/node-shell", "-o", "name"], None);
    assert!(pods.contains("qd-node-shell-real"), "{pods}");
    node.keys("exit\r");
    wait_until(20, "the pod's end", || {
        !bed.kubectl(&["get", "pods", "-n", n, "-o", "name"], None).contains("qd-node-shell")
    });
}
