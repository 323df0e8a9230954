//! Logs of containers: read once within bounds ([`read`]), or followed through restarts and broken streams ([`follow`]).
//!
//! A [`Scope`] says which pods. Every container has a [`container::Follower`] of its own, whose lines a merger brings
//! into the order of their times. Nothing is dropped: a reader that is slow makes the whole chain wait, up to the
//! kubelet. What has no I/O ([`split`], [`stamp`], [`resume`], [`filter`]) stands by itself.

pub mod container;
pub mod ended;
pub mod filter;
pub mod filters;
pub mod follow;
pub mod pods;
pub mod read;
pub mod reader;
pub mod resume;
pub mod scope;
pub mod split;
pub mod stamp;

pub use scope::{Filter, Finder, Scope};
