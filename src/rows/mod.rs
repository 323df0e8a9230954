//! Tables as data: columns, rows, deltas and the feed that carries them. No I/O, no UI.
//!
//! A domain turns what it watches into [`Row`]s and merges [`TableDelta`]s into a [`feed`]; a door
//! takes merged deltas from the other end and keeps its own order and filter. Rows are shared by
//! `Arc`: the same row is held once, however many look at it.

pub mod cell;
pub mod delta;
pub mod feed;
pub mod filter;
pub mod lines;
pub mod merge;
pub mod order;
pub mod path;
pub mod record;
pub mod slots;
pub mod spark;
pub mod spec;
pub mod table;
pub mod union;
pub mod view;

pub use cell::{Align, Cell, Column, ColumnKind, Tone};
pub use delta::{Phase, Row, RowKey, SourceState, TableDelta};
pub use feed::{TableFeed, TableSender, feed};
pub use lines::{Line, LineSource};
pub use merge::{Lane, Merger};
pub use order::{Sort, Source};
pub use path::Path;
pub use record::Level;
pub use table::{Changes, Table};
pub use union::Union;
pub use view::{Plan, View};
