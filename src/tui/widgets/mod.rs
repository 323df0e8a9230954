//! What several panes draw with.

pub mod grid;
