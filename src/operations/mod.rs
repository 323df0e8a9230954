//! Every operation, one file a noun. The only room that composes domains.
//!
//! To add an operation, write it in its noun's file and add it to that file's `LIST`.

mod adjacent;
mod approval;
mod argo;
mod audit;
mod batch;
mod bundle;
mod call;
mod charge;
mod cluster;
mod command;
mod common;
mod config;
mod container;
mod context;
mod cronjob;
mod drift;
mod event;
mod explain;
mod file;
mod find;
mod flux;
mod folder;
mod forward;
mod grant;
mod helm;
mod image;
mod input;
mod k9s;
mod kind;
mod link;
mod listing;
mod log;
mod manifest;
mod node;
mod notice;
mod object;
mod operation;
mod overview;
mod pod;
mod pulse;
mod rbac;
mod reference;
mod resource;
mod rollout;
mod secret;
mod session;
mod set;
mod signing;
mod timeline;
mod token;
mod usage;
mod workload;
mod workspace;
mod xray;

#[cfg(test)]
mod tests;

pub use command::shell;

use std::sync::Arc;

use crate::base::config::Effective;
use crate::gate::Definition;
use crate::gate::auth::Tokens;
use crate::k9s::Folders;
use crate::kube::Clusters;
use crate::kube::forward::Forwards;
use crate::kube::notices::Notices;
use crate::session::{Session, Workspaces};

/// The domains that operations work on.
pub struct Deck {
    pub kube: Arc<Clusters>,
    /// Where a k9s user's files are.
    pub k9s: Folders,
    pub session: Arc<Session>,
    pub config: Arc<Effective>,
    pub tokens: Arc<Tokens>,
    pub forwards: Arc<Forwards>,
    pub notices: Arc<Notices>,
    pub workspaces: Arc<Workspaces>,
}

/// Every operation, by noun.
pub const ALL: &[&[Definition<Deck>]] = &[
    adjacent::LIST,
    approval::LIST,
    argo::LIST,
    audit::LIST,
    batch::LIST,
    bundle::LIST,
    call::LIST,
    cluster::LIST,
    config::LIST,
    container::LIST,
    context::LIST,
    cronjob::LIST,
    drift::LIST,
    event::LIST,
    explain::LIST,
    flux::LIST,
    folder::LIST,
    file::LIST,
    find::LIST,
    forward::LIST,
    grant::LIST,
    helm::LIST,
    image::LIST,
    k9s::LIST,
    kind::LIST,
    link::LIST,
    log::LIST,
    manifest::LIST,
    node::LIST,
    notice::LIST,
    object::LIST,
    operation::LIST,
    overview::LIST,
    pod::LIST,
    pulse::LIST,
    rbac::LIST,
    reference::LIST,
    resource::LIST,
    rollout::LIST,
    secret::LIST,
    session::LIST,
    signing::LIST,
    timeline::LIST,
    token::LIST,
    usage::LIST,
    workload::LIST,
    workspace::LIST,
    xray::LIST,
];

/// Every operation, flat.
pub fn all() -> impl Iterator<Item = &'static Definition<Deck>> {
    ALL.iter().flat_map(|list| list.iter())
}
