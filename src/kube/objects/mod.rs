//! Single objects: shown, described, changed.

pub mod describe;
pub mod events;
pub mod mask;
pub mod path;
pub mod quantity;
pub mod yaml;
