//! Makes `screenshots/` from real frames: the console on the practice fleet in a pty, key by key, drawn as SVG.
//!
//! ```text
//! cargo run --release --example screenshots [-- NAME…]
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool at the desk, which fails by panicking"
)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// A picture: its name, the screen's size, what to type, and what must then be on the screen.
/// `<n>` in the keys is a pause of n tenths of a second.
const SHOTS: &[(&str, (u16, u16), &str, &str)] = &[
    ("pods-200x60", (200, 60), "S<5>g", "CrashLoopBackOff"),
    ("pods-80x24", (80, 24), "", "Running"),
    ("clusters", (160, 24), ":ctx\r", "connection refus"),
    ("filter", (120, 30), "/crash|image\r", "/crash|image"),
    ("logs", (160, 40), "/catalog\r<10>l", "autoscroll"),
    ("yaml", (120, 40), "/checkout\r<10>y", "apiVersion"),
    ("describe", (120, 40), "/checkout\r<10>d", "Containers"),
    ("deployments", (120, 30), ":deploy all\r", "deployments(all)"),
    ("change", (120, 36), ":deploy shop\r<15>s<10>\x7f9\r", "+   replicas:"),
    ("help", (120, 40), "?", "help"),
    ("palette", (120, 36), "\x10<5>deployment", "deployment_scale"),
    ("explain", (120, 36), "/checkout\r<10>W", "explain("),
    ("containers", (120, 24), "/checkout\r<10>\r", "containers("),
    ("nodes", (160, 24), ":nodes\r", "%CPU"),
    ("workloads", (120, 30), ":wk all\r", "workloads("),
    ("several", (160, 40), ":pods all @all\r", "2 of 3 live"),
    ("tabs", (160, 40), ":tab deploy all\r", "deployments(all)"),
    ("timeline", (120, 24), ":deploy shop\r<15>H", "timeline("),
    ("drift", (120, 30), ":deploy shop\r<15>V", "diff("),
    ("rules", (120, 24), ":clusterroles\r<15>\r", "rules("),
    ("users", (120, 24), ":users\r", "users"),
    ("helm", (120, 24), ":helm\r", "helm"),
    ("forwards", (120, 24), ":pf\r", "forwards"),
    ("messages", (120, 24), ":messages\r", "messages"),
    ("xray", (120, 36), ":xray deploy shop\r", "xray"),
    ("pulse", (120, 30), ":pulse\r", "pulse"),
    ("pulse-several", (160, 30), ":ctx all\r<30>:pulse\r", "2 of 3 live"),
    ("xray-several", (120, 36), ":ctx all\r<30>:xray deploy shop\r<30>x", "cluster offshore"),
    ("find", (120, 30), ":find cart all\r", "as of"),
    ("adjacent", (120, 30), "/checkout\r<10>K", "adjacent("),
    ("notices", (120, 24), ":deploy shop\r<15>b<10>:notices\r", "notices"),
    ("secret", (120, 24), ":secrets shop\r<15>e", "decoded"),
    ("approvals", (120, 24), ":approvals\r", "approvals"),
    ("grants", (120, 24), ":grants\r", "grants"),
    ("audit", (160, 30), ":audit\r", "session_started"),
];

fn main() -> std::process::ExitCode {
    // The pty runs this same program as `qd`, so that the frames are of the code as it is.
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|a| a == "--as-qd") {
        let words = std::iter::once("qd".into()).chain(arguments.into_iter().skip(2)).collect();
        return quarterdeck::wiring::run(words);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let wanted = |name: &str| arguments.len() < 2 || arguments[1..].iter().any(|a| a == name);
    for (name, (columns, rows), keys, expected) in SHOTS.iter().filter(|shot| wanted(shot.0)) {
        let screen = shoot(*columns, *rows, keys, expected);
        std::fs::write(folder.join(format!("{name}.svg")), svg(&screen)).unwrap();
        println!("screenshots/{name}.svg");
    }
    std::process::ExitCode::SUCCESS
}

fn shoot(columns: u16, rows: u16, keys: &str, expected: &str) -> vt100::Screen {
    let home = tempfile::tempdir().unwrap();
    let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--as-qd", "lab"]);
    command.cwd(home.path());
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    command.env("USER", "you");
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
        command.env(name, home.path());
    }
    let mut child = pair.slave.spawn_command(command).unwrap();
    let mut writer = pair.master.take_writer().unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let parser = vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0);
    let parser = Arc::new(Mutex::new(parser));
    let into = parser.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            into.lock().unwrap().process(&buffer[..n]);
        }
    });
    let wait = |text: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let contents = parser.lock().unwrap().screen().contents();
            if contents.contains(text) {
                return;
            }
            assert!(Instant::now() < end, "no {text:?} on the screen:\n{contents}");
            pause(50);
        }
    };
    wait("Running");
    pause(1_500);
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        if let Some((tenths, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
            pause(tenths.parse::<u64>().unwrap() * 100);
            rest = after;
            continue;
        }
        writer.write_all(c.to_string().as_bytes()).unwrap();
        writer.flush().unwrap();
        pause(30);
        rest = &rest[c.len_utf8()..];
    }
    wait(expected);
    pause(2_500);
    let screen = parser.lock().unwrap().screen().clone();
    child.kill().unwrap();
    child.wait().unwrap();
    screen
}

#[allow(clippy::disallowed_methods, reason = "nothing else runs in this process")]
fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

const CELL: (f32, f32) = (8.4, 17.0);
const INK: &str = "#d7dde8";
const PAPER: &str = "#12161e";

/// The screen's cells as SVG: runs of one style are one rectangle and one text each.
fn svg(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (f32::from(columns) * CELL.0 + 16.0, f32::from(rows) * CELL.1 + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let style = style(screen, row, column);
            let start = column;
            let mut text = String::new();
            while column < columns && self::style(screen, row, column) == style {
                let cell = screen.cell(row, column).unwrap();
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                }
                column += 1;
            }
            run(&mut out, row, start, column - start, &text, &style);
        }
    }
    out.push_str("</svg>\n");
    out
}

fn run(out: &mut String, row: u16, column: u16, cells: u16, text: &str, style: &Style) {
    let (x, y) = (8.0 + f32::from(column) * CELL.0, 8.0 + f32::from(row) * CELL.1);
    let width = f32::from(cells) * CELL.0;
    if style.background != PAPER {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            CELL.1, style.background
        );
    }
    // Each word group stands where its cells are, so that a viewer with another font shifts no column.
    let mut at = 0;
    for group in text.split("  ") {
        let cells = u16::try_from(group.chars().count()).unwrap_or(0);
        if !group.trim().is_empty() {
            words(out, f32::from(at).mul_add(CELL.0, x), y, f32::from(cells) * CELL.0, group, style);
        }
        at += cells + 2;
    }
}

fn words(out: &mut String, x: f32, y: f32, width: f32, text: &str, style: &Style) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" fill=\"{}\"{weight} xml:space=\"preserve\">{text}</text>",
        y + 13.0,
        style.ink
    );
}

#[derive(PartialEq)]
struct Style {
    ink: String,
    background: String,
    bold: bool,
}

fn style(screen: &vt100::Screen, row: u16, column: u16) -> Style {
    let cell = screen.cell(row, column).unwrap();
    let (ink, background) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), PAPER));
    let (ink, background) = if cell.inverse() { (background, ink) } else { (ink, background) };
    Style { ink, background, bold: cell.bold() }
}

/// A terminal's colour in hexadecimal; the sixteen as xterm shows them, then its cube and greys.
fn colour(colour: vt100::Color, default: &str) -> String {
    const SIXTEEN: [&str; 16] = [
        "#000000", "#cd0000", "#00cd00", "#cdcd00", "#0000ee", "#cd00cd", "#00cdcd", "#e5e5e5", "#7f7f7f",
        "#ff0000", "#00ff00", "#ffff00", "#5c5cff", "#ff00ff", "#00ffff", "#ffffff",
    ];
    match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(i @ 0..16) => SIXTEEN[usize::from(i)].to_owned(),
        vt100::Color::Idx(i @ 16..232) => {
            let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let i = i - 16;
            format!("#{:02x}{:02x}{:02x}", step(i / 36), step(i / 6 % 6), step(i % 6))
        }
        vt100::Color::Idx(i) => {
            let level = 8 + 10 * (i - 232);
            format!("#{level:02x}{level:02x}{level:02x}")
        }
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}
