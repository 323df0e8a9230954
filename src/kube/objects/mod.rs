//! Single objects: shown, described, changed.
//!
//! A [`Place`] says where an object is. [`look`] reads it for people and agents; [`scale`], [`restart`], [`delete`],
//! [`apply`] and [`edit`] change it. Each change has a `plan`, computed by the server's dry run, and a `run` that takes
//! the state which the plan [`Seen`] and lets the server refuse any other. What has no I/O ([`yaml`], [`mask`], [`describe`])
//! stands by itself.

pub mod adjacent;
pub mod amend;
pub mod apply;
pub mod around;
pub mod cordon;
pub mod cron;
pub mod delete;
pub mod describe;
pub mod drain;
pub mod drift;
pub mod edit;
pub mod events;
pub mod explain;
pub mod gitops;
pub mod helm;
pub mod keepers;
pub mod links;
pub mod look;
pub mod manifest;
pub mod mask;
pub mod owned;
pub mod place;
pub mod plan;
pub mod quantity;
pub mod rbac;
pub mod references;
pub mod restart;
pub mod rollout;
pub mod sanitize;
pub mod scale;
pub mod secret;
pub mod signing;
pub mod states;
pub mod timeline;
pub mod yaml;

pub use events::EventRow;
pub use place::{List, Place, Seen};
pub use plan::Plan;
