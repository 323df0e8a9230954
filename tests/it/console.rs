//! The real `qd` in a real pty, read through a terminal emulator.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::bed::{SLOWER, pause};

/// Directories of one test's own, so that no two sessions meet.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["config", "state", "cache", "run", "data"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state/quarterdeck")
    }

    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        [
            ("HOME", ""),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_DATA_HOME", "data"),
        ]
        .into_iter()
        .map(|(name, sub)| (name, self.path().join(sub)))
        .collect()
    }

    /// The real binary, to be run in these directories.
    pub fn qd(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qd"));
        command.args(arguments).envs(self.environment()).env_remove("KUBECONFIG").current_dir(self.path());
        command
    }
}

/// A running console.
pub struct Console {
    parser: Arc<Mutex<vt100::Parser>>,
    /// Everything the console ever wrote.
    raw: Arc<Mutex<Vec<u8>>>,
    writer: Arc<Mutex<Box<dyn std::io::Write + Send>>>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Console {
    /// Starts `qd` with `arguments` at `columns` × `rows`.
    pub fn start(
        home: &Home,
        kubeconfig: Option<&Path>,
        arguments: &[&str],
        columns: u16,
        rows: u16,
    ) -> Self {
        Self::start_with(home, kubeconfig, arguments, columns, rows, &[])
    }

    /// The same with more in its environment.
    pub fn start_with(
        home: &Home,
        kubeconfig: Option<&Path>,
        arguments: &[&str],
        columns: u16,
        rows: u16,
        environment: &[(&str, &std::ffi::OsStr)],
    ) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 })
            .unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_qd"));
        command.args(arguments);
        command.cwd(home.path());
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        // The built-in editor is the one that a test can know.
        for name in ["KUBE_EDITOR", "VISUAL", "EDITOR"] {
            command.env_remove(name);
        }
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        for (name, value) in environment {
            command.env(name, value);
        }
        match kubeconfig {
            Some(path) => command.env("KUBECONFIG", path),
            None => command.env_remove("KUBECONFIG"),
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(
            rows.try_into().unwrap(),
            columns.try_into().unwrap(),
            0,
        )));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (into, copy, answers) = (parser.clone(), raw.clone(), writer.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                let bytes = &buffer[..n];
                into.lock().unwrap().process(bytes);
                copy.lock().unwrap().extend_from_slice(bytes);
                // What a terminal answers: where the cursor is (DSR 6), and what it is (DA1).
                for (query, answer) in [(&b"\x1b[6n"[..], &b"\x1b[1;1R"[..]), (b"\x1b[c", b"\x1b[?62;22c")] {
                    if bytes.windows(query.len()).any(|w| w == query) {
                        let mut writer = answers.lock().unwrap();
                        let _ = writer.write_all(answer).and_then(|()| writer.flush());
                    }
                }
            }
        });
        Self { parser, raw, writer, child, _master: pair.master }
    }

    /// Types. Control keys as their bytes: `\x04` is Ctrl-d, `\x1b` is Esc.
    pub fn keys(&self, keys: &str) {
        let mut writer = self.writer.lock().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub fn screen(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    /// The background of the first cell of the line that has `text`.
    pub fn background(&self, text: &str) -> Option<vt100::Color> {
        let parser = self.parser.lock().unwrap();
        let row = parser.screen().contents().lines().position(|line| line.contains(text))?;
        Some(parser.screen().cell(row.try_into().unwrap(), 1.try_into().unwrap())?.bgcolor())
    }

    pub fn raw(&self) -> Vec<u8> {
        self.raw.lock().unwrap().clone()
    }

    /// Waits until the screen satisfies `predicate` and gives it; panics with the screen otherwise.
    pub fn wait(&self, what: &str, seconds: u64, predicate: impl Fn(&str) -> bool) -> String {
        let seconds = seconds * SLOWER;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let screen = self.screen();
            if predicate(&screen) {
                return screen;
            }
            assert!(Instant::now() < end, "no {what} after {seconds} s; the screen:\n{screen}");
            pause(20);
        }
    }

    /// Waits for the end of the process and gives whether it ended well.
    pub fn ended(&mut self, seconds: u64) -> bool {
        let end = Instant::now() + Duration::from_secs(seconds * SLOWER);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            pause(20);
        }
        panic!("qd did not end; the screen:\n{}", self.screen());
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
