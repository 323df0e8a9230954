//! Running commands in containers, and talking with what runs there.
//!
//! A [`Process`] is one command, or the container's own process, at the other end of a WebSocket (subprotocol
//! `v5.channel.k8s.io`, `v4` where the server has no other). [`collect`] runs one to its end and keeps what it wrote within
//! limits; [`relay`] passes it through to a caller who talks with it. [`Pod`] finds the pod and the container meant.

mod collect;
pub mod debug;
mod pod;
mod process;
mod relay;
mod shell;
mod status;

pub use collect::{Collected, Limits, collect};
pub use pod::{Container, Pod};
pub use process::{Command, Piece, Process, Put};
pub use relay::{Relayed, relay};
pub use shell::{NoShell, open as open_shell};
pub use status::Exit;
