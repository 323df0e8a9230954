//! The one way in: who asks, may they, within limits, approved, recorded; then, and only then, run.
//!
//! The gate knows operations through the [`Operation`] trait that it defines, never by name. Only
//! this module can make a [`Context`], and every handler needs one: to run an operation without
//! passing here does not compile.

mod client;
mod context;
mod engine;
mod operation;
mod preview;
mod spec;

pub use client::{Client, Frame, Reply, Request, Transport, Watch};
pub use context::Context;
pub use engine::{Gate, Parts};
pub use operation::{Callable, Definition, Operation, bind, define};
pub use preview::{Diff, DiffLine, DiffOp, Preview, TargetVersion};
pub use spec::{Effect, Held, Method, OperationInfo, Record, Spec, System, Target};
