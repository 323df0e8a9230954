//! Emptying a node: closed to new pods first, then every pod asked to go by the eviction API, which lets disruption
//! budgets say when.
//!
//! [`judge`] says of each pod whether it goes, stays, or stands in the way; it has no I/O. [`plan`] shows that;
//! [`run`] does it, tells how each pod fares, and can be stopped at any time.

mod judge;
mod plan;
mod run;

use std::time::Duration;

pub use plan::plan;
pub use run::{Left, Report, run};

/// How a node is drained. The words are kubectl's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Seconds that a pod has to end; its own if absent.
    pub grace: Option<u32>,
    /// Give up after this long; never if absent.
    pub timeout: Option<Duration>,
    /// Leave pods of DaemonSets where they are, rather than refuse the node.
    pub ignore_daemonsets: bool,
    /// Let pods go whose emptyDir goes with them.
    pub delete_emptydir_data: bool,
    /// Let pods go that nothing will make again.
    pub force: bool,
    /// Delete rather than evict: no disruption budget is asked.
    pub disable_eviction: bool,
}
