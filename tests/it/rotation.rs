//! A log that the real kubelet rotates while it is followed: no line twice, and none left out that is not told of.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::bed::{Bed, pause, wait_until};
use crate::console::Home;
use crate::streams::{container, pod, qd, running};

const N: &str = "rotation";
/// About half a megabyte a second, in lines that are numbered; beyond 512 KiB the kubelet begins another file.
const WRITER: &str = "i=0; while true; do j=0; while [ $j -lt 200 ]; do echo number $i \
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; \
    i=$((i+1)); j=$((j+1)); done; sleep 0.1; done";

/// `qd log read --watch`, its frames as they are taken from the queue; it has room for few, as a pipe has.
struct Follower {
    child: Child,
    frames: mpsc::Receiver<Value>,
}

impl Follower {
    fn start(bed: &Bed, home: &Home, pod: &str) -> Self {
        let arguments = ["log", "read", pod, "-n", N, "--watch", "-o", "json"];
        let mut child = qd(bed, home, &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, frames) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, frames }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was read: how many lines, the number of the last, and the words that stand where numbers are missing.
#[derive(Default)]
struct Read {
    lines: usize,
    last: Option<u64>,
    gaps: Vec<String>,
    /// What was told since the last line.
    told: Option<String>,
}

impl Read {
    /// Takes a frame's lines: a number comes once, after those before it, and one is left out only where that is told.
    fn take(&mut self, frame: &Value) {
        for line in frame["lines"].as_array().into_iter().flatten() {
            let Some(text) = line["text"]["text"].as_str() else {
                self.told = Some(line.to_string());
                continue;
            };
            let number: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
            if let Some(last) = self.last {
                assert!(number > last, "{number} after {last}: twice, or out of order");
                if number > last + 1 {
                    let told = self.told.take();
                    self.gaps.push(told.unwrap_or_else(|| panic!("{number} after {last}, and not a word")));
                }
            }
            (self.lines, self.last, self.told) = (self.lines + 1, Some(number), None);
        }
    }

    /// Reads until the line with this number.
    fn until(&mut self, follower: &Follower, number: u64) {
        while self.last.is_none_or(|last| last < number) {
            self.take(&follower.frames.recv_timeout(Duration::from_secs(60)).expect("lines go on"));
        }
    }
}

/// How often the kubelet has begun another file for a container so far: the names of the files that it keeps change.
fn rotations(bed: &Bed, pod: &str, seen: &mut std::collections::BTreeSet<String>) -> usize {
    let logs = bed.kubeconfig.parent().unwrap().join("pod-logs");
    for directory in std::fs::read_dir(logs).unwrap().map_while(Result::ok) {
        if directory.file_name().to_string_lossy().starts_with(&format!("{N}_{pod}_")) {
            let files = std::fs::read_dir(directory.path().join("main")).into_iter().flatten();
            let names = files.map_while(Result::ok).map(|f| f.file_name().to_string_lossy().into_owned());
            seen.extend(names.filter(|name| name.contains(".log.2")).map(|name| name.replace(".gz", "")));
        }
    }
    seen.len()
}

#[test]
fn a_rotated_log_goes_on_without_a_line_lost_in_silence_or_told_twice() {
    let home = Home::new();
    let bed = Bed::up("rotation", &["--real", "--nodes", "0", "--log-size", "512Ki"]);
    bed.namespace(N);
    for name in ["steady", "stalled"] {
        let writer = container("main", &format!("command: [sh, -c, \"{WRITER}\"]"));
        bed.kubectl(&["apply", "-n", N, "-f", "-"], Some(&pod(name, "", &writer)));
        running(&bed, N, name);
        let (follower, mut read, mut files) =
            (Follower::start(&bed, &home, name), Read::default(), Default::default());
        read.until(&follower, 200);
        let before = rotations(&bed, name, &mut files);
        if name == "stalled" {
            // Nobody takes anything for longer than the kubelet keeps what is written.
            wait_until(90, "four files more", || {
                pause(200);
                rotations(&bed, name, &mut files) >= before + 4
            });
        }
        // And it goes on across rotations, read as it comes.
        let from = rotations(&bed, name, &mut files);
        let end = std::time::Instant::now() + Duration::from_secs(120);
        while rotations(&bed, name, &mut files) < from + 3 {
            assert!(std::time::Instant::now() < end, "the kubelet rotates nothing");
            let next = read.last.unwrap() + 1;
            read.until(&follower, next);
        }
        let next = read.last.unwrap() + 500;
        read.until(&follower, next);
        println!(
            "{name}: {} lines, {} files, told of what is missing: {:?}",
            read.lines,
            files.len(),
            read.gaps
        );
        if name == "steady" {
            assert!(read.gaps.is_empty(), "who keeps up loses nothing: {:?}", read.gaps);
        }
        drop(follower);
        bed.kubectl(&["delete", "pod", name, "-n", N, "--grace-period=0", "--force"], None);
    }
}
