//! The practice fleet alone, for `kubectl`, k9s or a benchmark: `cargo run --example lab -- [PODS [EVENTS_PER_SECOND]]`.
//!
//! Prints the path of a kubeconfig and serves until its standard input ends.

use std::io::Write as _;

use quarterdeck::lab;
use tokio::io::AsyncReadExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let number = |i: usize| std::env::args().nth(i).and_then(|a| a.parse().ok()).unwrap_or(0_u32);
    let options = lab::Options {
        pods: usize::try_from(number(1)).unwrap_or(0),
        events_per_second: number(2),
        ..lab::Options::default()
    };
    let began = std::time::Instant::now();
    let fleet = lab::start(options).await?;
    let mut out = std::io::stdout();
    writeln!(out, "export KUBECONFIG={}", fleet.kubeconfig_path().display())?;
    for cluster in fleet.clusters() {
        writeln!(out, "# {} at {}: {} pods", cluster.name(), cluster.address(), cluster.pods())?;
    }
    writeln!(out, "# up after {:?}; ends with its input", began.elapsed())?;
    out.flush()?;
    let mut sink = [0_u8; 64];
    while tokio::io::stdin().read(&mut sink).await? > 0 {}
    Ok(())
}
