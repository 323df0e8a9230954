//! Files into containers and out of them, over `exec`: by `tar` where the container has it, else by a shell and `cat`.
//!
//! What a container sends is not trusted: [`unpack`] writes below one fresh directory only, follows no link, and makes
//! nothing but files, directories and links that stay inside. It is put in its place once all of it is there.

mod download;
mod end;
mod local;
mod pipe;
mod script;
pub mod unpack;
mod upload;

pub use download::download;
pub use end::{End, Pair};
pub use upload::upload;

use crate::kube::exec::{Command, Pod};

/// A container's side of a copy.
pub struct Side<'a> {
    pub pod: &'a Pod,
    pub container: &'a str,
}

impl<'a> Side<'a> {
    fn command(&self, words: &'a [String], stdin: bool) -> Command<'a> {
        Command {
            namespace: &self.pod.namespace,
            pod: &self.pod.name,
            container: self.container,
            words,
            stdin,
            tty: false,
        }
    }
}

/// What a copy came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: u64,
    pub directories: u64,
    pub bytes: u64,
    /// What was not copied, and why; the first of them.
    pub skipped: Vec<String>,
    pub skips: u64,
    /// How the sizes were checked; `None` where the container has nothing to check with.
    pub checked: Option<String>,
    /// `tar`, or what stood in for it.
    pub by: &'static str,
}

impl Copied {
    /// Keeps the first few; the rest are counted.
    pub fn skip(&mut self, what: String) {
        self.skips += 1;
        if self.skipped.len() < 20 {
            self.skipped.push(what);
        }
    }
}

/// Tells how far a copy is, in bytes; it must not wait.
pub type Progress<'a> = &'a (dyn Fn(u64, Option<u64>, &str) + Sync);

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
