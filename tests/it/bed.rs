//! The test bed from Rust: starts `tests/testbed/bed`, talks to it, and lets it stop with this process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

/// A running cluster. The supervisor stops it when its standard input closes: when the bed is
/// dropped, or when this process ends, however it ends.
pub struct Bed {
    pub kubeconfig: PathBuf,
    #[allow(dead_code, reason = "the benchmark reads it")]
    pub server: String,
    #[allow(dead_code, reason = "a benchmark writes into it")]
    pub etcd: String,
    pub context: String,
    kubectl: PathBuf,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
}

impl Bed {
    /// Starts a cluster; `options` as `bed up` takes them.
    pub fn up(name: &str, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testbed/bed");
        let mut child = Command::new("python3")
            .arg(script)
            .args(["up", name])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts the test bed");
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let ready = answer(&mut stdout);
        let text =
            |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no test bed: {ready}")).to_owned();
        Self {
            kubeconfig: text("kubeconfig").into(),
            server: text("server"),
            etcd: text("etcd"),
            context: name.to_owned(),
            kubectl: text("kubectl").into(),
            talk: Mutex::new((stdin, stdout)),
            child,
        }
    }

    /// The cluster that most tests share: controllers, three simulated nodes, and one real kubelet.
    /// Each test works in a namespace of its own.
    pub fn shared() -> &'static Bed {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(|| Bed::up("shared", &["--real"]))
    }

    /// One command to the supervisor, such as `pods 2000` or `kill apiserver`.
    pub fn command(&self, line: &str) -> Value {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.0, "{line}").unwrap();
        let answer = answer(&mut talk.1);
        assert!(answer.get("error").is_none(), "{line}: {answer}");
        answer
    }

    /// Runs the real kubectl as the cluster's administrator and gives what it printed.
    pub fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> String {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// Makes a namespace for one test, with its default service account there.
    pub fn namespace(&self, name: &str) {
        self.kubectl(&["create", "namespace", name], None);
        wait_until(20, &format!("service account of {name}"), || {
            self.kubectl(&["get", "serviceaccount", "-n", name, "-o", "name"], None).contains("default")
        });
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = writeln!(self.talk.lock().unwrap().0, "quit");
        let _ = self.child.wait();
    }
}

fn answer(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("the test bed ended or said {line:?}"))
}

/// By how much slower than a quiet machine one may be before what is awaited counts as not coming: tests run beside each
/// other on two cores, and nothing but a failure takes longer for it.
pub const SLOWER: u64 = 3;

/// Waits until `check` holds; panics with `what` after `seconds` of a quiet machine.
pub fn wait_until(seconds: u64, what: &str, mut check: impl FnMut() -> bool) {
    let seconds = seconds * SLOWER;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !check() {
        assert!(std::time::Instant::now() < end, "no {what} after {seconds} s");
        pause(50);
    }
}

/// Sleeps: tests run on threads of their own, so nothing else waits.
#[allow(clippy::disallowed_methods, reason = "a test's own thread, not a runtime worker")]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}
