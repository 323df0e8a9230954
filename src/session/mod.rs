//! The live session: who is present, where each looks, what they point at.

/// The session's state.
pub struct Session;
