//! The shell door: `qd NOUN VERB` for every operation, built from the operations' forms.

mod command;
mod render;
mod run;
mod table;
mod watch;

pub use command::{Asked, Format, in_shell_words, nouns, overview, read};
pub use run::{aside, run};
