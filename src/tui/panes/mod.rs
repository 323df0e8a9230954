//! The panes, one file each, and the one place that knows which route opens which.

pub mod approvals;
pub mod ask;
pub mod audit;
pub mod change;
pub mod clusters;
pub mod editor;
pub mod form;
pub mod help;
pub mod logs;
pub mod palette;
pub mod resources;
mod save;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod yaml;

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
pub fn open(route: Route, shared: &Shared) -> Result<Opened> {
    let pane: Box<dyn Pane> = match route {
        Route::Clusters => Box::new(clusters::Clusters::default()),
        Route::Resources(query) => Box::new(resources::Resources::new(query, shared)),
        Route::Logs(target) => Box::new(logs::LogsPane::new(target)),
        Route::Text(kind, object) => Box::new(text::TextPane::object(kind, object)),
        Route::Approvals(None) => Box::new(approvals::ApprovalsPane::new()),
        Route::Audit | Route::Timeline => Box::new(audit::AuditPane::new()),
        Route::Help { modes } => Box::new(help::HelpPane::new(&modes, shared)),
        Route::Approvals(Some(id)) => return layer(approvals::CardPane::new(id)),
        Route::Edit(object) => return layer(change::EditPane::new(object)),
        Route::Palette => return layer(palette::PalettePane::new(shared)),
        Route::Form { operation, arguments } => {
            return layer(form::FormPane::new(&operation, &arguments, shared)?);
        }
        other => return Err(Error::unsupported(format!("there is no pane for {other:?}"))),
    };
    Ok(Opened::Pane(pane))
}

fn layer(pane: impl Pane + 'static) -> Result<Opened> {
    Ok(Opened::Layer(Box::new(pane)))
}
