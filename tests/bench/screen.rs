//! A tool in a pty, read through a terminal emulator as its bytes come.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ROWS: u16 = 50;
const COLUMNS: u16 = 200;

struct Seen {
    parser: vt100::Parser,
    /// Counts the chunks that changed what the screen shows, and when the last one came.
    version: u64,
    at: Instant,
    text: String,
    expected: Vec<(Check, mpsc::Sender<Instant>)>,
}

type Check = Box<dyn Fn(&vt100::Screen) -> bool + Send>;

pub struct Terminal {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    writer: Arc<Mutex<Box<dyn std::io::Write + Send>>>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Mutex<Box<dyn portable_pty::MasterPty + Send>>,
}

impl Terminal {
    pub fn start(program: &str, arguments: &[&str], home: &Path, kubeconfig: &Path) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 })
            .unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(home);
        for (name, value) in [
            ("HOME", "."),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            let path = home.join(value);
            std::fs::create_dir_all(&path).unwrap();
            command.env(name, path);
        }
        command.env("KUBECONFIG", kubeconfig);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let parser = vt100::Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0);
        let seen = Arc::new((
            Mutex::new(Seen {
                parser,
                version: 0,
                at: Instant::now(),
                text: String::new(),
                expected: Vec::new(),
            }),
            Condvar::new(),
        ));
        let (shared, answers) = (seen.clone(), writer.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                let at = Instant::now();
                let bytes = &buffer[..n];
                for (query, answer) in [
                    (&b"\x1b[6n"[..], &b"\x1b[1;1R"[..]),
                    (b"\x1b[c", b"\x1b[?62;22c"),
                    (b"\x1b[0c", b"\x1b[?62;22c"),
                ] {
                    if bytes.windows(query.len()).any(|w| w == query) {
                        let mut writer = answers.lock().unwrap();
                        let _ = writer.write_all(answer).and_then(|()| writer.flush());
                    }
                }
                let mut seen = shared.0.lock().unwrap();
                seen.parser.process(bytes);
                let mut expected = std::mem::take(&mut seen.expected);
                expected.retain(|(check, told)| {
                    let there = check(seen.parser.screen());
                    if there {
                        // Whoever waits no longer has dropped the other end.
                        let _ = told.send(at);
                    }
                    !there
                });
                seen.expected = expected;
                let text = seen.parser.screen().contents_formatted().to_string();

                if text != seen.text {
                    seen.text = text;
                    seen.version += 1;
                    seen.at = at;
                    shared.1.notify_all();
                }
            }
        });
        Self { seen, writer, child, _master: Mutex::new(pair.master) }
    }

    pub fn keys(&self, keys: &str) {
        let mut writer = self.writer.lock().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub fn version(&self) -> u64 {
        self.seen.0.lock().unwrap().version
    }

    /// When the bytes came that made the screen satisfy `check`.
    pub fn until(&self, seconds: u64, check: impl Fn(&str) -> bool) -> Instant {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            let contents = seen.parser.screen().contents();
            if check(&contents) {
                return seen.at;
            }
            assert!(Instant::now() < end, "not on the screen after {seconds} s:\n{contents}");
            seen = self.seen.1.wait_timeout(seen, Duration::from_secs(1)).unwrap().0;
        }
    }

    /// Tells when the bytes came that made the screen satisfy `check`, of those that come from now on.
    pub fn expect(&self, check: impl Fn(&vt100::Screen) -> bool + Send + 'static) -> mpsc::Receiver<Instant> {
        let (told, when) = mpsc::channel();
        let mut seen = self.seen.0.lock().unwrap();
        seen.expected.push((Box::new(check), told));
        when
    }

    /// The screen as it is.
    pub fn screen(&self) -> vt100::Screen {
        self.seen.0.lock().unwrap().parser.screen().clone()
    }

    /// When the screen changed after `version`.
    pub fn changed(&self, version: u64, seconds: u64) -> Instant {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut seen = self.seen.0.lock().unwrap();
        while seen.version == version {
            assert!(Instant::now() < end, "a key changed nothing in {seconds} s");
            seen = self.seen.1.wait_timeout(seen, Duration::from_secs(1)).unwrap().0;
        }
        seen.at
    }

    /// Time on a processor so far, of all threads, in seconds (proc(5): the first field of schedstat, in nanoseconds).
    pub fn cpu_seconds(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let spent = |thread: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse().ok()
        };
        threads.filter_map(spent).sum::<f64>() / 1e9
    }

    /// Resident memory in MiB.
    pub fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }

    fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
