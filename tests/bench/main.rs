//! The console beside its peers, in one run: start, memory, idle CPU, filter, key to frame.
//!
//! ```text
//! cargo bench --bench peers -- [--pods 2000,10000,50000] [--only qd,k9s,sofka] [--rounds 3] [--aged 0] [--json FILE]
//! ```
//!
//! Each tool runs in a pty of 200×50 against the same API server (the test bed's, with simulated nodes) and is read
//! through a terminal emulator: a number counts once the screen shows it. Beside them runs a plain reader, which asks for
//! the protobuf stream of all pods and only counts bytes: the least time that this server allows. k9s and sofka are
//! found in the test bed's cache or on the PATH; one that is not there is said to be missing.
//!
//! Young rows have ages that change each second, and a screen that shows them is not idle: `--aged 610` waits until those
//! at the top are older than ten minutes, from where on their ages change once in ten minutes at most.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and reports by printing"
)]

#[allow(dead_code, reason = "the other bench uses more of it")]
mod api;
#[path = "../it/bed.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod bed;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod churner;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod etcd;
mod reader;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod screen;
mod tools;

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use api::Api;
use bed::{Bed, pause};
use screen::Terminal;
use tools::{Tool, tools};

struct Options {
    pods: Vec<u64>,
    only: Option<Vec<String>>,
    rounds: usize,
    /// Seconds that the first pods are old when they are looked at.
    aged: u64,
    json: Option<String>,
}

fn options() -> Options {
    let mut options = Options { pods: vec![2_000], only: None, rounds: 3, aged: 0, json: None };
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--pods" => {
                options.pods = value().split(',').map(|n| n.parse().expect("a number of pods")).collect()
            }
            "--only" => options.only = Some(value().split(',').map(str::to_owned).collect()),
            "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
            "--aged" => options.aged = value().parse().expect("seconds"),
            "--json" => options.json = Some(value()),
            other => panic!("unknown option {other}; see the head of tests/bench/main.rs"),
        }
    }
    options
}

fn main() {
    let options = options();
    let mut report = Vec::new();
    let bed = Bed::up("bench", &["--scale", "--nodes", "20"]);
    // Pods are made as a kubelet reports them. The nodes' simulator takes minutes for as many, leaves some that never
    // run, and is not idle when all else is.
    bed.command("kill kwok");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = runtime.block_on(Api::connect(&bed));
    let (mut made, began) = (0, Instant::now());
    for &pods in &options.pods {
        assert!(pods >= made, "--pods must grow");
        runtime.block_on(churner::make(&api, made, pods));
        made = pods;
        while began.elapsed().as_secs() < options.aged {
            pause(1_000);
        }
        report.push(measure(&bed, pods, &options));
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

fn measure(bed: &Bed, pods: u64, options: &Options) -> Value {
    println!("\n{pods} pods");
    println!(
        "{:<10}{:>14}{:>12}{:>12}{:>12}{:>14}{:>14}",
        "", "first rows s", "all rows s", "RSS MiB", "idle CPU %", "filter ms", "key→frame ms"
    );
    let mut rows = BTreeMap::new();
    let plain = median((0..options.rounds).map(|_| reader::seconds_to_last_pod(bed)).collect());
    println!("{:<10}{:>14}{plain:>12.2}", "reader", "");
    rows.insert("reader".to_owned(), json!({ "all_rows_s": plain }));
    for tool in tools() {
        if options.only.as_ref().is_some_and(|only| !only.contains(&tool.name.to_owned())) {
            continue;
        }
        let Some(program) = tool.program() else {
            println!("{:<10} not on this machine", tool.name);
            continue;
        };
        let rounds: Vec<Round> = (0..options.rounds).map(|_| round(&tool, &program, bed, pods)).collect();
        let pick = |f: fn(&Round) -> f64| median(rounds.iter().map(f).collect());
        let row = json!({
            "first_rows_s": pick(|r| r.first), "all_rows_s": pick(|r| r.all), "rss_mib": pick(|r| r.rss),
            "idle_cpu_percent": pick(|r| r.idle), "filter_ms": pick(|r| r.filter), "key_to_frame_ms": pick(|r| r.key),
            "all_rows_over_reader": pick(|r| r.all) / plain,
        });
        println!(
            "{:<10}{:>14.3}{:>12.3}{:>12.0}{:>12.2}{:>14.1}{:>14.1}   ({:.2} × reader)",
            tool.name,
            pick(|r| r.first),
            pick(|r| r.all),
            pick(|r| r.rss),
            pick(|r| r.idle),
            pick(|r| r.filter),
            pick(|r| r.key),
            pick(|r| r.all) / plain
        );
        rows.insert(tool.name.to_owned(), row);
    }
    json!({ "pods": pods, "tools": rows })
}

struct Round {
    first: f64,
    all: f64,
    rss: f64,
    idle: f64,
    filter: f64,
    key: f64,
}

/// One start of one tool: until the title counts every pod, at rest, filtering, moving the cursor.
fn round(tool: &Tool, program: &str, bed: &Bed, pods: u64) -> Round {
    let home = tempfile::tempdir().unwrap();
    // The test bed writes its logs beside its own, and who watches that file for changes would be woken by them.
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::copy(&bed.kubeconfig, &kubeconfig).unwrap();
    let began = Instant::now();
    let terminal = Terminal::start(program, tool.arguments, home.path(), &kubeconfig);
    let first = terminal.until(120, |screen| screen.contains("web-0")).duration_since(began).as_secs_f64();
    let all =
        terminal.until(180, |screen| tool.count(screen) == Some(pods)).duration_since(began).as_secs_f64();
    pause(3_000);
    let before = terminal.cpu_seconds();
    let rest = Instant::now();
    pause(10_000);
    let idle = (terminal.cpu_seconds() - before) / rest.elapsed().as_secs_f64() * 100.0;
    let rss = terminal.rss_mib();

    // The cursor: ten steps down, each until the screen shows a change.
    let mut steps = Vec::new();
    for _ in 0..10 {
        let seen = terminal.version();
        let at = Instant::now();
        terminal.keys("j");
        steps.push(terminal.changed(seen, 10).duration_since(at).as_secs_f64() * 1e3);
        pause(150);
    }

    // The filter: all but the last key first, then the last key until the title counts what is left.
    terminal.keys("/");
    pause(200);
    terminal.keys("web-00012");
    pause(if pods > 20_000 { 8_000 } else { 3_000 });
    let at = Instant::now();
    terminal.keys(tool.last_filter_key);
    let filter =
        terminal.until(30, |screen| tool.count(screen) == Some(1)).duration_since(at).as_secs_f64() * 1e3;
    Round { first, all, rss, idle, filter, key: median(steps) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
