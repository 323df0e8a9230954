//! What waits for a decision: the list, and the card of one.

mod card;
mod list;

pub use card::CardPane;
pub use list::ApprovalsPane;
