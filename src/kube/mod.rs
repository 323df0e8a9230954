//! Kubernetes: many clusters at once, each with its own connection, discovery and watches.
//!
//! [`Clusters`] reads the kubeconfig; a [`Cluster`] connects when it is first asked something, and
//! one that is down delays no other. A [`Call`] is a request to it; [`Cluster::resolve`] turns a word
//! for a kind into a [`Resource`], which makes paths. Errors are [`Error`], which becomes a
//! `base::Error` with a code and a next step by `?`.

mod auth;
mod call;
mod cluster;
mod connect;
mod containers;
mod contexts;
pub mod copy;
mod discovery;
mod error;
pub mod exec;
mod exec_plugin;
pub mod extra;
mod find;
pub mod forward;
mod gzip;
mod impersonation;
mod kinds;
mod kubeconfig;
mod kubeconfig_text;
mod launcher;
pub mod logs;
pub mod notices;
pub mod objects;
mod overview;
mod pods;
mod quantity;
mod settings;
mod sockets;
mod stream;
mod tables;
mod upgrade;
pub mod usage;
mod watch;
mod wire;

pub use call::{Answer, Call, DEFAULT_TIMEOUT};
pub use cluster::{Cluster, Version};
pub use contexts::{Clusters, Options};
pub use error::{Error, Result, Status, StatusCause, StatusDetails};
pub use find::Sought;
pub use impersonation::Impersonation;
pub use kinds::{Kinds, Resource};
pub use kubeconfig::{ContextChange, Prepared};
pub use launcher::launch;
pub use overview::Overview;
pub use stream::ByteStream;
pub use watch::{Held, Listing, Owner, Selection, pauses};
