//! Logs of containers.

pub mod filter;
pub mod merge;
pub mod resume;
pub mod split;
pub mod stamp;
