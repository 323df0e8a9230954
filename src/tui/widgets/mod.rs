//! What several panes draw with.

pub mod card;
pub mod composed;
pub mod dialog;
pub mod form;
pub mod grid;
pub mod input;
pub mod prose;
pub mod select;
