//! Port-forwards: local ports that lead to pods, for as long as they are wanted.
//!
//! A [`Forwards`] holds them all and writes down which there are, so that a session that starts again has them again. Each
//! listens by itself; each connection gets a tunnel of its own to the pod of the moment, and finds another pod once that one
//! is gone: connections through a dead pod are reset, new ones work.

mod list;
mod one;
mod ports;
mod route;
mod table;
mod tunnel;

pub use list::{Forwards, Wanted};
pub use one::{Forward, State, Traffic};
pub use ports::{Mapping, Remote};
pub use route::{Route, Way};
