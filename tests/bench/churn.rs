//! The console beside its peers on pods that never rest: how late a change is on the screen, how late a key is, what it
//! costs, and whether what stands there in the end is true.
//!
//! ```text
//! cargo bench --bench churn -- [--pods 10000,50000] [--rate 1000] [--seconds 30] [--by etcd|api] [--only reader,qd,k9s,sofka] [--json FILE]
//! ```
//!
//! The API server is the test bed's. Its pods are made by this program, which then changes them at the rate given, in the
//! server's store (see `etcd.rs`) or, `--by api`, as a client. The rate that was reached is told beside each figure, for the
//! server shares the machine with what is measured.
//! Meanwhile one pod in view is marked by a reason of its own, again and again: from the moment that a plain watch of that
//! pod has the event, to the bytes that put the mark on the terminal, is what `change → frame` tells. The cursor goes down
//! and up all the while: from a key to the bytes that move it is `key → frame`. A mark or a key that shows nothing within
//! its patience is counted as missed, and is in no percentile.
//!
//! `reader` is a plain watch of all pods without any console beside it: how long the server takes from a change that is
//! asked for to its event. In the end the screen is held against the server: the count in the title, and name and status
//! of every row in view, at the top and at the end of the table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and reports by printing"
)]

mod api;
#[path = "../it/bed.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod bed;
mod churner;
mod etcd;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod reader;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod screen;
#[allow(dead_code, reason = "the other bench uses more of it")]
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use api::{Api, Marks};
use bed::{Bed, pause};
use churner::{By, Churner};
use etcd::Etcd;
use screen::Terminal;
use tools::{Tool, tools};

const MARK_PATIENCE: Duration = Duration::from_secs(15);
const KEY_PATIENCE: Duration = Duration::from_secs(5);

struct Options {
    pods: Vec<u64>,
    rate: u64,
    seconds: u64,
    /// Whether changes are written into the server's store.
    etcd: bool,
    only: Option<Vec<String>>,
    json: Option<String>,
}

fn options() -> Options {
    let mut options =
        Options { pods: vec![10_000], rate: 1_000, seconds: 30, etcd: true, only: None, json: None };
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--pods" => {
                options.pods = value().split(',').map(|n| n.parse().expect("a number of pods")).collect()
            }
            "--rate" => options.rate = value().parse().expect("events a second"),
            "--seconds" => options.seconds = value().parse().expect("seconds"),
            "--by" => {
                options.etcd = match value().as_str() {
                    "etcd" => true,
                    "api" => false,
                    other => panic!("--by {other}: etcd or api"),
                }
            }
            "--only" => options.only = Some(value().split(',').map(str::to_owned).collect()),
            "--json" => options.json = Some(value()),
            other => panic!("unknown option {other}; see the head of tests/bench/churn.rs"),
        }
    }
    options
}

struct Bench {
    bed: Bed,
    runtime: Runtime,
    api: Api,
    by: By,
    churner: Arc<Churner>,
    /// The last mark that was made.
    mark: AtomicU32,
    rate: u64,
    seconds: u64,
}

fn main() {
    let options = options();
    let bed = Bed::up("churn", &["--scale", "--nodes", "20"]);
    bed.command("kill kwok");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let api = runtime.block_on(Api::connect(&bed));
    let etcd = options.etcd.then(|| runtime.block_on(Etcd::connect(&bed.etcd)));
    let by = By { api: api.clone(), etcd };
    let (mark, churner) = (AtomicU32::new(0), Arc::default());
    let bench = Bench { bed, runtime, api, by, churner, mark, rate: options.rate, seconds: options.seconds };
    let (mut made, mut report) = (0, Vec::new());
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| only.iter().any(|o| o == name));
    for &pods in &options.pods {
        assert!(pods >= made, "--pods must grow");
        bench.runtime.block_on(churner::make(&bench.api, made, pods));
        made = pods;
        head(pods, &options);
        let mut rows = BTreeMap::new();
        if wanted("reader") {
            rows.insert("reader".to_owned(), bench.plain(pods));
        }
        for tool in tools().iter().filter(|tool| wanted(tool.name)) {
            match tool.program() {
                Some(program) => {
                    let round = bench.round(tool, &program, pods);
                    println!("{:<8}{}", tool.name, round.line());
                    rows.insert(tool.name.to_owned(), round.json());
                }
                None => println!("{:<8}not on this machine", tool.name),
            }
        }
        report.push(json!({ "pods": pods, "rate": options.rate, "by": if options.etcd { "etcd" } else { "api" }, "seconds": options.seconds, "tools": rows }));
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

fn head(pods: u64, options: &Options) {
    let by =
        if options.etcd { "written into the API server's store" } else { "as a client of the API server" };
    println!("\n{pods} pods, {} events a second wanted, {by}, for {} s", options.rate, options.seconds);
    println!(
        "{:<8}{:>9}{:>36}{:>36}{:>8}{:>16}  in the end",
        "",
        "events/s",
        "change→frame ms: p50  p99  worst (n)",
        "key→frame ms: p50  p99  worst (n)",
        "CPU %",
        "RSS MiB, grown"
    );
}

/// Milliseconds, and how many never came.
#[derive(Default)]
struct Times {
    taken: Vec<f64>,
    missed: usize,
}

impl Times {
    fn add(&mut self, from: Instant, to: Option<Instant>) {
        match to {
            Some(to) => self.taken.push(to.saturating_duration_since(from).as_secs_f64() * 1e3),
            None => self.missed += 1,
        }
    }

    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.taken.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
    }

    fn text(&self) -> String {
        let missed = if self.missed > 0 { format!(", {} missed", self.missed) } else { String::new() };
        let (median, late, worst) = (self.at(0.5), self.at(0.99), self.at(1.0));
        format!("{median:.1}  {late:.1}  {worst:.1} ({}{missed})", self.taken.len())
    }

    fn json(&self) -> Value {
        json!({
            "p50_ms": self.at(0.5), "p99_ms": self.at(0.99), "worst_ms": self.at(1.0),
            "samples": self.taken.len(), "missed": self.missed,
        })
    }
}

struct Round {
    reached: f64,
    change: Times,
    key: Times,
    cpu: f64,
    rss: (f64, f64),
    /// Seconds after the last event until the screen was as the server is, and the cells compared; or what differs.
    truth: Result<(f64, usize), String>,
}

impl Round {
    fn line(&self) -> String {
        let end = match &self.truth {
            Ok((seconds, cells)) => format!("true, {cells} cells, within {seconds:.1} s"),
            Err(what) => format!("NOT TRUE: {what}"),
        };
        let rss = format!("{:.0}, {:+.1}", self.rss.1, self.rss.1 - self.rss.0);
        let (change, key) = (self.change.text(), self.key.text());
        format!("{:>9.0}{change:>36}{key:>36}{:>8.1}{rss:>16}  {end}", self.reached, self.cpu)
    }

    fn json(&self) -> Value {
        let truth = match &self.truth {
            Ok((seconds, cells)) => json!({ "equal": true, "after_s": seconds, "cells": cells }),
            Err(what) => json!({ "equal": false, "why": what }),
        };
        json!({
            "events_per_second": self.reached, "change_to_frame": self.change.json(), "key_to_frame": self.key.json(),
            "cpu_percent": self.cpu, "rss_mib": self.rss.1, "rss_grown_mib": self.rss.1 - self.rss.0, "end": truth,
        })
    }
}

impl Bench {
    /// Runs `work` while pods change; gives the rate that was reached.
    fn under_churn(&self, pods: u64, marked: &str, work: impl FnOnce(Instant)) -> f64 {
        let (churner, by, rate) = (self.churner.clone(), self.by.clone(), self.rate);
        let marked = marked.to_owned();
        let running = self.runtime.spawn(async move { churner.run(&by, pods, rate, &marked).await });
        work(Instant::now() + Duration::from_secs(self.seconds));
        self.churner.stop();
        self.runtime.block_on(running).unwrap()
    }

    /// Marks the pod: the number, and when that was asked for. `before` is told the number first.
    fn make_mark<T>(&self, pod: &str, before: impl FnOnce(u32) -> T) -> (u32, Instant, T) {
        let number = self.mark.fetch_add(1, Ordering::SeqCst) + 1;
        let ready = before(number);
        let asked = Instant::now();
        self.runtime.block_on(churner::mark(&self.api, pod, &mark(number)));
        (number, asked, ready)
    }

    /// The server by itself: from a change that is asked for to its event at a plain reader of all pods.
    fn plain(&self, pods: u64) -> Value {
        let pod = "web-000010";
        let marks = self.runtime.block_on(Marks::watch(&self.api, None));
        let mut times = Times::default();
        let reached = self.under_churn(pods, pod, |end| {
            while Instant::now() < end {
                let (number, asked, ()) = self.make_mark(pod, |_| ());
                times.add(asked, marks.when(number, MARK_PATIENCE));
                pause(20 + u64::from(number) * 37 % 80);
            }
        });
        println!("{:<8}{reached:>9.0}{:>36}  (from the request to the event)", "reader", times.text());
        json!({ "events_per_second": reached, "request_to_event": times.json() })
    }

    fn round(&self, tool: &Tool, program: &str, pods: u64) -> Round {
        let home = tempfile::tempdir().unwrap();
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::copy(&self.bed.kubeconfig, &kubeconfig).unwrap();
        let all = self.runtime.block_on(self.api.pods());
        let terminal = Terminal::start(program, tool.arguments, home.path(), &kubeconfig);
        terminal.until(300, |screen| tool.count(screen) == Some(all));
        pause(3_000);
        let shown = rows(&terminal.screen());
        let marked = shown.get(shown.len() / 2).expect("rows of pods").name.clone();
        let marks = self.runtime.block_on(Marks::watch(&self.api, Some(&marked)));
        let (before, cpu) = (terminal.rss_mib(), terminal.cpu_seconds());
        let began = Instant::now();
        let (mut change, mut key, stop) = (Times::default(), Times::default(), AtomicBool::new(false));
        let mut spent = 0.0;
        let reached = self.under_churn(pods, &marked, |end| {
            std::thread::scope(|scope| {
                let keys = scope.spawn(|| keys(&terminal, &stop));
                change = self.changes(&terminal, &marks, &marked, end);
                stop.store(true, Ordering::SeqCst);
                key = keys.join().unwrap();
            });
            spent = (terminal.cpu_seconds() - cpu) / began.elapsed().as_secs_f64() * 100.0;
        });
        let after = terminal.rss_mib();
        let truth = self.truth(tool, &terminal);
        Round { reached, change, key, cpu: spent, rss: (before, after), truth }
    }

    /// Marks the pod until `end`, each time once the last mark was on the screen.
    fn changes(&self, terminal: &Terminal, marks: &Marks, pod: &str, end: Instant) -> Times {
        let mut times = Times::default();
        while Instant::now() < end {
            let (number, asked, frame) = self.make_mark(pod, |number| {
                let word = mark(number);
                terminal.expect(move |screen| screen.contents().contains(&word))
            });
            let event = marks.when(number, MARK_PATIENCE).expect("the event of a mark");
            let patience = MARK_PATIENCE.saturating_sub(asked.elapsed());
            times.add(event, frame.recv_timeout(patience).ok());
            // Out of step with whoever looks at fixed times.
            pause(10 + u64::from(number) * 37 % 100);
        }
        times
    }

    /// Holds the screen against the server, at the top and at the end of the table.
    fn truth(&self, tool: &Tool, terminal: &Terminal) -> Result<(f64, usize), String> {
        let began = Instant::now();
        let all = self.runtime.block_on(self.api.pods());
        let mut cells = 0;
        let mut seconds = 0.0;
        for (key, patience) in [("", 20), ("G", 10)] {
            terminal.keys(key);
            pause(if key.is_empty() { 0 } else { 500 });
            let end = Instant::now() + Duration::from_secs(patience);
            loop {
                match self.compare(tool, &terminal.screen(), all) {
                    Ok(n) => {
                        cells += n;
                        break;
                    }
                    Err(what) if Instant::now() > end => {
                        eprintln!("{}: {what}, on this screen:\n{}", tool.name, terminal.screen().contents());
                        return Err(what);
                    }
                    Err(_) => pause(50),
                }
            }
            if key.is_empty() {
                seconds = began.elapsed().as_secs_f64();
            }
        }
        Ok((seconds, cells))
    }

    fn compare(&self, tool: &Tool, screen: &vt100::Screen, all: u64) -> Result<usize, String> {
        let count = tool.count(&screen.contents());
        if count != Some(all) {
            return Err(format!("the title counts {count:?}, the server {all}"));
        }
        let shown = rows(screen);
        if shown.is_empty() {
            return Err("no row of a pod in view".into());
        }
        let names = shown.iter().map(|row| self.api.status(&row.name));
        let statuses = self.runtime.block_on(futures::future::join_all(names));
        for (row, status) in shown.iter().zip(statuses) {
            let Some(status) = status else { return Err(format!("{} is shown and is no more", row.name)) };
            if !row.text.split_whitespace().any(|word| word == status) {
                return Err(format!("{} is {status}, and shown is: {}", row.name, row.text.trim()));
            }
        }
        Ok(2 * shown.len())
    }
}

fn mark(number: u32) -> String {
    format!("M{number:05}")
}

/// A row of the table that is in view.
struct Shown {
    line: u16,
    name: String,
    text: String,
    /// How the first letter of its name is drawn: background, and whether inverted.
    drawn: (vt100::Color, bool),
}

fn rows(screen: &vt100::Screen) -> Vec<Shown> {
    let width = screen.size().1.into();
    let mut found = Vec::new();
    for (line, text) in (0u16..).zip(screen.rows(0, width)) {
        let Some(at) = ["web-", "young-"].iter().find_map(|start| text.find(start)) else { continue };
        let name: String =
            text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        // Before it stands its namespace, which it does nowhere but in the table.
        let is_pod = name.rsplit_once('-').is_some_and(|(_, digits)| digits.len() == 6)
            && text[..at].contains("default");
        let column = u16::try_from(text[..at].chars().count()).unwrap();
        if let (true, Some(cell)) = (is_pod, screen.cell(line, column)) {
            found.push(Shown { line, name, drawn: (cell.bgcolor(), cell.inverse()), text });
        }
    }
    found
}

/// The line of the cursor: the one row that is drawn unlike the others.
fn cursor(screen: &vt100::Screen) -> Option<u16> {
    let rows = rows(screen);
    let alike = |row: &Shown| rows.iter().filter(|other| other.drawn == row.drawn).count();
    let mut unlike = rows.iter().filter(|row| alike(row) * 2 < rows.len());
    let first = unlike.next()?;
    unlike.next().is_none().then_some(first.line)
}

/// Moves the cursor ten rows down and up again, until it is told to stop.
fn keys(terminal: &Terminal, stop: &AtomicBool) -> Times {
    let (mut times, mut step) = (Times::default(), 0u64);
    while !stop.load(Ordering::SeqCst) {
        pause(30 + step * 13 % 30);
        let Some(line) = cursor(&terminal.screen()) else { continue };
        let down = step / 10 % 2 == 0;
        let wanted = if down { line + 1 } else { line - 1 };
        let frame = terminal.expect(move |screen| cursor(screen) == Some(wanted));
        let at = Instant::now();
        terminal.keys(if down { "j" } else { "k" });
        times.add(at, frame.recv_timeout(KEY_PATIENCE).ok());
        step += 1;
    }
    times
}
