//! The terminal console: a door like the others, which knows the system only through [`gate::Client`](crate::gate::Client).
//!
//! # How it is built
//!
//! | file | holds |
//! |---|---|
//! | `action` | the names that keymaps use; one line each |
//! | `object` | objects, queries and [`object::Route`]s: where one can go |
//! | `pane` | the [`pane::Pane`] trait: panes and dialogs as state machines |
//! | `effect` | what panes ask for ([`effect::Cx`], [`effect::Ticket`]) and are told ([`effect::Message`]) |
//! | `shared` | what every pane may read |
//! | `theme` | styles by purpose |
//! | `panes/` | one file a pane; `panes::open` maps a route to its pane |
//! | `widgets/` | what several panes draw with |
//!
//! # How to add a pane
//!
//! Write it in `panes/`, give it a [`object::Route`] (or use one that is there), add its arm to
//! [`panes::open`], its keys to `keymaps/default.yaml` under the names that `Pane::modes` gives, and
//! actions that are new to [`action::ACTIONS`]. To reach the system, ask through [`effect::Cx`] and
//! compare the [`effect::Ticket`] of what comes back: newest wins. Text from outside is drawn through
//! [`SafeText`](crate::base::SafeText) only.

pub mod action;
pub mod app;
pub mod chrome;
pub mod command;
pub mod dialogs;
pub mod effect;
pub mod executor;
pub mod files;
pub mod headless;
pub mod keymap;
pub mod object;
pub mod pane;
pub mod panes;
mod prompt;
mod runner;
pub mod shared;
pub mod skin;
pub mod sorts;
pub mod terminal;
pub mod theme;
pub mod user;
pub mod widgets;
mod words;

pub use app::{App, Options};
pub use panes::logs::Disk;

/// Runs the console until the operator leaves it. Let `Runtime::block_on` poll it: a slow terminal blocks its thread.
///
/// # Errors
///
/// There is no terminal, or it went away.
pub async fn run(client: crate::gate::Client, options: Options) -> anyhow::Result<()> {
    Ok(runner::run(client, options).await?)
}
