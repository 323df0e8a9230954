//! Who is measured, and how to read each one's screen.

use std::path::Path;

/// A console to start in the pty.
pub struct Tool {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    /// What stands before the count in the title.
    title: &'static str,
    /// The last character of the filter, and Enter for a tool that filters no sooner.
    pub last_filter_key: &'static str,
    program: Program,
}

enum Program {
    /// This project's binary, as cargo built it for this benchmark.
    Ours,
    /// In the test bed's cache at this path, or on the PATH by its last part.
    Found(&'static str),
}

pub fn tools() -> Vec<Tool> {
    vec![
        Tool {
            name: "qd",
            arguments: &["pods", "-A"],
            title: "pods(all)[",
            last_filter_key: "3",
            program: Program::Ours,
        },
        Tool {
            name: "k9s",
            arguments: &["--splashless", "-A", "-c", "pods"],
            title: "pods(all)[",
            last_filter_key: "3",
            program: Program::Found("bin/k9s"),
        },
        Tool {
            name: "sofka",
            arguments: &["pods", "-A"],
            title: "pods [",
            last_filter_key: "3",
            program: Program::Found("sofka/bin/sofka"),
        },
    ]
}

impl Tool {
    pub fn program(&self) -> Option<String> {
        let path = match self.program {
            Program::Ours => return Some(env!("CARGO_BIN_EXE_qd").to_owned()),
            Program::Found(path) => path,
        };
        let cache = std::env::var("QD_BED").unwrap_or_else(|_| {
            let cache = std::env::var("XDG_CACHE_HOME")
                .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap_or_default()));
            format!("{cache}/quarterdeck-testbed")
        });
        let name = Path::new(path).file_name()?;
        std::iter::once(Path::new(&cache).join(path))
            .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths).map(|dir| dir.join(name)))
            .find(|candidate| candidate.is_file())
            .map(|found| found.display().to_string())
    }

    /// The count that the title shows: what is shown, if it says "shown/total".
    pub fn count(&self, screen: &str) -> Option<u64> {
        let after = &screen[screen.find(self.title)? + self.title.len()..];
        let inside = &after[..after.find(']')?];
        let shown = inside.split('/').next()?;
        shown.chars().filter(|c| *c != ',').collect::<String>().parse().ok()
    }
}
