//! The panes, one file each, and the one place that knows which route opens which.

pub mod aliases;
pub mod approvals;
pub mod ask;
pub mod audit;
pub mod change;
pub mod clusters;
pub mod containers;
pub mod dir;
pub mod editor;
pub mod explain;
mod find;
pub mod form;
mod form_known;
pub mod forward;
pub mod forwards;
pub mod gitops;
mod grants;
pub mod helm;
pub mod help;
mod line;
mod links;
pub mod logs;
mod messages;
mod notices;
pub mod palette;
pub mod participants;
pub mod rbac;
pub mod references;
pub mod resources;
pub mod revisions;
pub(in crate::tui) mod save;
#[cfg(test)]
mod session_tests;
pub mod several;
mod sources;
pub mod table;
#[cfg(test)]
mod table_tests;
mod talk;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod timeline;
mod words;
pub mod xray;
mod yaml;

use super::object::Route;
use super::pane::Pane;
use super::shared::Shared;
use crate::base::Result;

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
        Route::Clusters => Box::new(clusters::pane()),
        Route::Resources(query) => Box::new(resources::Resources::new(query, shared)),
        Route::Containers(pod) => Box::new(containers::pane(pod)),
        Route::Events(object) => Box::new(resources::Resources::events_of(&object, shared)),
        Route::Workloads(namespaces) => Box::new(several::workloads(shared, namespaces)),
        Route::Xray(kind, namespaces) => Box::new(xray::pane(kind, namespaces, shared)),
        Route::Find(sought) => Box::new(find::pane(sought)),
        Route::Pulses => Box::new(several::pulses(shared)),
        Route::Dir(path) => Box::new(dir::pane(path)),
        Route::Helm => Box::new(helm::releases(shared)),
        Route::HelmHistory(release) => Box::new(helm::history(release)),
        Route::Chain(object) => Box::new(references::chain(object)),
        Route::Synced(object) => Box::new(gitops::synced(object)),
        Route::Changes(object) => Box::new(timeline::pane(object)),
        Route::Explain(object) => Box::new(explain::ExplainPane::new(object)),
        Route::Subjects(kind) => Box::new(rbac::subjects(kind, shared)),
        Route::Rules { cluster, subject } => Box::new(rbac::rules(cluster, subject)),
        Route::References(object) => Box::new(references::pane(object)),
        Route::Links(object) => Box::new(links::pane(object)),
        Route::Adjacent(object) => Box::new(references::adjacent(object)),
        Route::Revisions(object) => Box::new(revisions::pane(object)),
        Route::Forwards(of) => Box::new(forwards::pane(of.as_ref())),
        Route::Participants => Box::new(participants::pane()),
        Route::Messages => Box::new(messages::pane()),
        Route::Notices => Box::new(notices::pane()),
        Route::Grants => Box::new(grants::pane()),
        Route::Aliases => Box::new(aliases::pane(shared)),
        Route::Logs(target) => Box::new(logs::LogsPane::new(target, shared.log_disk.clone())),
        Route::Text(kind, object) => Box::new(text::TextPane::object(kind, object)),
        Route::Field(object, field) => Box::new(text::TextPane::at_field(object, field)),
        Route::Approvals(None) => Box::new(approvals::ApprovalsPane::new()),
        Route::Audit | Route::Timeline => Box::new(audit::pane()),
        Route::Help { modes, lacking } => Box::new(help::HelpPane::new(&modes, &lacking, shared)),
        Route::Approvals(Some(id)) => return layer(approvals::CardPane::new(id)),
        Route::Edit(object) => return layer(change::EditPane::new(object)),
        Route::EditValues(object) => return layer(change::EditPane::values(object)),
        Route::Palette => return layer(palette::PalettePane::new(shared)),
        Route::Form { operation, arguments } => {
            return layer(form::FormPane::new(&operation, &arguments, shared)?);
        }
        Route::FormAbout { operation, objects, arguments, left_out } => {
            return layer(form::FormPane::about(&operation, objects, &arguments, left_out, shared)?);
        }
    };
    Ok(Opened::Pane(pane))
}

fn layer(pane: impl Pane + 'static) -> Result<Opened> {
    Ok(Opened::Layer(Box::new(pane)))
}
