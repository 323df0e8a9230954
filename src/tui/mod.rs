//! The terminal console: one door among four.
