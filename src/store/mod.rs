//! The durable state: audit log, approvals, grants.
