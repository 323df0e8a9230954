//! Durable state: the audit chain, approvals and grants.

mod error;
mod record;

pub use error::StoreError;
pub use record::*;
