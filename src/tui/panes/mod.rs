//! The panes, one file each, and the one place that knows which route opens which.

pub mod approvals;
pub mod change;
pub mod logs;
mod save;
#[cfg(test)]
pub mod testing;
pub mod text;

use super::object::Route;
use super::pane::Pane;
use super::shared::Shared;
use crate::base::{Error, Result};

/// Where a new pane goes.
pub enum Opened {
    /// On top of the others, in the body; `Esc` comes back.
    Pane(Box<dyn Pane>),
    /// Over everything, as a dialog.
    Layer(Box<dyn Pane>),
}

/// Makes the pane for a route.
pub fn open(route: Route, _shared: &Shared) -> Result<Opened> {
    Err(Error::unsupported(format!("there is no pane for {route:?}")))
}
