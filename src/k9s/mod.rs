//! A k9s user's files, read where they are: settings, aliases, hotkeys, plugins, views and jumps.
//!
//! Nothing is converted and nothing is written. [`Setup::read`] gives what holds for a context, and in [`Problem`]s,
//! with file and line, what of the files cannot be used and why. One broken plugin spoils no other, an unknown key is
//! said and ignored. What a plugin's `$NAME` stands for is in [`variables`].
//!
//! Source of the formats: `internal/config/json/schemas` of derailed/k9s.

mod folders;
mod node;
mod plugin;
mod read;
pub mod run;
mod setup;
pub mod variables;

pub use folders::Folders;
pub use plugin::{Input, InputType, Plugin};
pub use setup::{HotKey, Jump, Problem, Settings, Setup, View};

#[cfg(test)]
mod tests;
