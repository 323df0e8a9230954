//! A log that floods: a million numbered lines, and then 200,000 a second for a minute, through the wire into the console's
//! log pane.
//!
//! ```text
//! cargo bench --bench flood -- [--rate 200000] [--seconds 60]
//! ```
//!
//! The practice fleet runs in this process and writes; the console runs in a pty of 200×50 and reads. Told are how long
//! after the last line was written the pane holds it, the memory and the time of the processor that it took, how long a
//! key took to its frame meanwhile, how long searches over all lines took, and whether every number is in the file that
//! the pane saves. A million lines in memory alone are measured by `a_million_lines` in the library's tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and reports by printing"
)]

#[path = "../it/bed.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod bed;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod screen;

use std::io::BufRead as _;
use std::process::Command;
use std::time::{Duration, Instant};

use quarterdeck::lab;

use bed::{Bed, pause, wait_until};
use screen::Terminal;

fn main() {
    let (mut rate, mut seconds) = (200_000u64, 60u64);
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().and_then(|v| v.parse().ok()).expect("a number");
        match argument.as_str() {
            "--rate" => rate = value(),
            "--seconds" => seconds = value(),
            other => panic!("unknown option {other}; see the head of tests/bench/flood.rs"),
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = lab::Options { directory: Some(directory.path().to_owned()), ..lab::Options::default() };
    let lab = runtime.block_on(lab::start(options)).unwrap();
    // Of the test bed only kubectl is wanted.
    let bed = Bed::up("flood", &["--scale", "--nodes", "0"]);
    for part in ["kwok", "apiserver", "etcd"] {
        bed.command(&format!("kill {part}"));
    }
    let all = rate * seconds;
    let million = all.min(1_000_000);
    flood(&bed, lab.kubeconfig_path(), directory.path(), "million", rate, million);
    if all > million {
        flood(&bed, lab.kubeconfig_path(), directory.path(), "torrent", rate, all);
    }
}

fn flood(bed: &Bed, kubeconfig: &std::path::Path, home: &std::path::Path, pod: &str, rate: u64, lines: u64) {
    let kubectl = |arguments: &[&str]| {
        let mut command = Command::new(bed.kubectl_path());
        let output = command.env("KUBECONFIG", kubeconfig).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let terminal = Terminal::start(env!("CARGO_BIN_EXE_qd"), &["pods", "shop"], home, kubeconfig);
    terminal.until(60, |s| s.contains("Running"));
    let image = "--image=registry.shop.example/shop/flood:1.0.0";
    let (rate_of, lines_of) = (format!("--env=RATE={rate}"), format!("--env=LINES={lines}"));
    kubectl(&["run", pod, "-n", "shop", image, &rate_of, &lines_of]);
    wait_until(30, "the flood", || {
        kubectl(&["get", "pod", pod, "-n", "shop", "-o", "jsonpath={.status.phase}"]) == "Running"
    });
    let began = Instant::now();
    terminal.keys(&format!("/{pod}\r"));
    terminal.until(20, |s| s.contains(&format!("/{pod}")));
    terminal.keys("l1");
    terminal.until(20, |s| s.contains(&format!("logs(shop/{pod}")));

    // While it floods, keys: wrap on and off changes the screen each time.
    let (mut slowest, mut rss, mut wraps) = (Duration::ZERO, 0f64, false);
    let written = Duration::from_secs(lines / rate);
    while began.elapsed() < written {
        let at = Instant::now();
        terminal.keys("w");
        wraps = !wraps;
        let wanted = if wraps { "Wrap:On" } else { "Wrap:Off" };
        let seen = terminal.until(30, |s| s.contains(wanted));
        slowest = slowest.max(seen.saturating_duration_since(at));
        rss = rss.max(terminal.rss_mib());
        pause(1000);
    }
    let all = format!("[{}]", thousands(lines));
    let held = terminal.until(600, |s| s.contains(&all));
    let late = held.duration_since(began).saturating_sub(written);
    rss = rss.max(terminal.rss_mib());
    println!("\n{lines} lines at {rate} a second");
    println!("held             {:.1} s after the last was written", late.as_secs_f64());
    println!("memory           {rss:.0} MiB at most");
    println!("processor        {:.1} s in all", terminal.cpu_seconds());
    println!("a key            {:.0} ms at most while it flooded", slowest.as_secs_f64() * 1e3);

    let last = format!("{:010}", lines - 1);
    for (what, pattern, count) in
        [("one line", last.as_str(), "[1/"), ("a tenth", "0 of a flood", "0/"), ("none", "zzz", "none of")]
    {
        let at = Instant::now();
        terminal.keys(&format!("/{pattern}\r"));
        let seen = terminal.until(120, |s| s.contains(&format!("/{pattern}")) && s.contains(count));
        println!("search, {what:9} {:.0} ms", seen.duration_since(at).as_secs_f64() * 1e3);
        terminal.keys("\x1b");
        terminal.until(20, |s| s.contains(&all));
    }

    let file = home.join(format!("{pod}.txt"));
    terminal.keys("S");
    pause(500);
    terminal.keys(&format!("{}\r", file.display()));
    let said = format!("{lines} lines saved to");
    terminal.until(300, |s| s.contains(&said));
    let mut number = 0;
    for text in std::io::BufReader::new(std::fs::File::open(&file).unwrap()).lines() {
        let text = text.unwrap();
        assert!(text.contains(&format!("line {number:010} of a flood")), "line {number}: {text}");
        number += 1;
    }
    assert_eq!(number, lines);
    std::fs::remove_file(&file).unwrap();
    println!("saved            every number from 0 to {} is there once, in order", lines - 1);
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
