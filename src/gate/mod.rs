//! The one way in: who asks, may they, within limits, approved, recorded; then, and only then, run.
//!
//! The gate knows operations through the [`Operation`] trait that it defines, never by name. Only
//! this module can make a [`Context`], and every handler needs one: to run an operation without
//! passing here does not compile.
//!
//! # How a door waits for a held call
//!
//! [`Client::call`] gives [`Reply::Held`] at once when a person must decide; the call's fate is read by
//! [`Client::wait`] (the operation `approval_wait`), from any door and any process:
//!
//! ```text
//! match client.call(request).await? {
//!     Reply::Done { output, .. } => output,
//!     Reply::Held(held) => loop {
//!         // Waits at most this long; safe to drop and to repeat.
//!         let waited = client.wait(held.approval, Duration::from_secs(40)).await?;
//!         if waited.done { break waited.into_result() }     // Output, or Refused, Expired, ...
//!         // Still pending (or running): report progress, give up, or wait again.
//!     },
//! }
//! ```
//!
//! - `Waited::amended` holds the diff when a person changed the arguments: tell the requester.
//! - An approval that is superseded (its target changed under it) is followed to its successor: the
//!   answer's `approval` says which it came to.
//! - The stored call runs once, in the gate's own task, whether or not anybody waits. An identical call
//!   by the same actor attaches to the same approval, or is given a result that was not handed over yet.
//! - A person decides by `approval_get` (the card: [`Approval`]) and `approval_decide`, which must carry the
//!   card's `preview_hash`. If the fresh preview differs the answer's state is `void` and `superseded_by`
//!   names the approval to show instead.

mod acting;
mod approval;
mod arguments;
pub mod auth;
mod call;
mod canonical;
mod client;
mod context;
mod decide;
mod engine;
mod grants;
mod hold;
mod interaction;
mod limits;
mod operation;
mod parts;
mod policy;
mod preview;
mod recorded;
mod refusals;
mod run;
mod schema;
mod settings;
mod spec;
pub mod talk;
#[cfg(test)]
mod tests;
pub mod wire;
mod withdraw;

pub use acting::Acting;
pub use approval::{
    Amendment, Approval, CallResult, Decided, Decision, Grant, NewGrant, TargetPattern, Verdict, Waited,
};
pub use canonical::strict_json;
pub use client::{Client, Frame, Reply, Request, Transport, Watch};
pub use context::Context;
pub use engine::{Gate, Parts};
pub use interaction::{Duplex, Input, Interaction, Output, PIECE};
pub use operation::{Callable, Definition, Form, Operation, Part, bind, define};
pub use policy::Policy;
#[cfg(test)]
pub(crate) use policy::Ruling;
pub use preview::{Diff, DiffLine, DiffOp, Preview, TargetVersion};
pub use schema::Schema;
pub use settings::Settings;
pub use spec::{Effect, Held, Method, OperationInfo, Record, Right, Spec, System, Talk, Target};
