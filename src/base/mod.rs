//! What every room may use: errors, identifiers, the clock, safe text. Imports nothing of ours.

pub mod actor;
pub mod clock;
pub mod config;
pub mod error;
pub mod ids;
pub mod json;
pub mod paths;
pub mod redact;
pub mod revision;
pub mod text;
pub mod tty;

pub use actor::{Actor, ActorKind, Door, Role};
pub use clock::{Clock, SharedClock, SystemClock};
pub use config::Config;
pub use error::{Code, Error, Result};
pub use paths::Paths;
pub use redact::Redactor;
pub use revision::Revision;
pub use text::SafeText;
