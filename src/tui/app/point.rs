//! F3: the way to what others point at, the newest first, and then the ones before it.

use serde_json::Value;

use super::App;
use crate::bus::Level;
use crate::tui::effect::{Flash, PaneId};
use crate::tui::object::{ObjectRef, Route};
use crate::tui::pane::PaneFocus;
use crate::tui::shared::Pointer;

/// How long it is said which of several one was shown, in seconds.
const SAID: u64 = 12;

/// Where F3 led last.
#[derive(Default)]
pub(super) struct Shown {
    /// The number of the pointer.
    pointer: Option<u64>,
    /// The pane that was opened for it.
    pane: Option<PaneId>,
}

impl App {
    /// Goes to what somebody points at: to the newest if it was not seen yet, else to the one before that which was
    /// shown last, and from the oldest to the newest again.
    pub(super) fn show_me(&mut self) {
        let pointers = &mut self.shared.pointers;
        let all = pointers.len();
        let last = pointers.iter().position(|p| Some(p.number) == self.shown.pointer);
        let Some(at) = next(last, pointers.last().is_some_and(|p| p.followed), all) else {
            self.flash(Flash::info("nobody points at anything"));
            return;
        };
        pointers[at].followed = true;
        let pointer = pointers[at].clone();
        let again = self.shown.pointer.replace(pointer.number) == Some(pointer.number);
        let kind = self.resolve_kind(&pointer.kind);
        let focus = self.top().map(|slot| slot.pane.focus()).unwrap_or_default();
        let text = self.modes().iter().any(|mode| mode == "text");
        // A field is a line in the text of its object, a column in a table.
        let fits = match pointer.path() {
            Some(_) => again && text,
            None => pointer.field.is_empty() || !text,
        };
        let here = fits && is_under_cursor(&focus, &pointer, &kind);
        if !here {
            self.leave_shown();
            let panes = self.panes;
            self.go(None, route(&pointer, kind));
            self.shown.pane = (self.panes > panes).then_some(PaneId(self.panes));
        }
        let flash = match (all, here) {
            (1, true) => Flash::info("it is under the cursor"),
            (1, false) => return,
            (_, true) => which(all - at, all, &pointer).next("It is under the cursor. F3 goes on."),
            (_, false) => which(all - at, all, &pointer).next("F3 goes on, Esc comes back."),
        };
        // What could not be opened has been said, and is said for longer than this.
        if !self.flash.as_ref().is_some_and(|said| said.flash.level == Level::Error) {
            self.show(flash, SAID, false);
        }
    }

    /// The pane that was opened for the last one makes room for the next, so that Esc comes back to where the operator was.
    fn leave_shown(&mut self) {
        let opened = self.shown.pane.take();
        if self.stack.len() > 1
            && self.layers.is_empty()
            && self.stack.last().is_some_and(|slot| Some(slot.id) == opened)
            && let Some(slot) = self.stack.pop()
        {
            self.executor.forget(slot.id);
        }
    }
}

/// The place of the pointer to show among `all`, the newest last. `seen`: somebody went to the newest.
fn next(last: Option<usize>, seen: bool, all: usize) -> Option<usize> {
    let newest = all.checked_sub(1)?;
    Some(if seen { last.and_then(|last| last.checked_sub(1)).unwrap_or(newest) } else { newest })
}

/// `2 of 4: claude: "the tag does not exist"`
fn which(nth: usize, all: usize, pointer: &Pointer) -> Flash {
    let words = if pointer.text.is_empty() { &*pointer.name } else { &*pointer.text };
    Flash::info(format!("{nth} of {all}: {}: \"{words}\"", pointer.from.name))
}

fn is_under_cursor(focus: &PaneFocus, pointer: &Pointer, kind: &str) -> bool {
    let is = |field: &str, value: &str| {
        let seen = focus.selected.as_ref().and_then(|seen| seen.get(field)).and_then(Value::as_str);
        seen.is_some_and(|seen| seen == value)
    };
    is("name", &pointer.name)
        && is("namespace", &pointer.namespace)
        && is("kind", kind)
        && (pointer.cluster.is_empty() || is("cluster", &pointer.cluster))
}

fn route(pointer: &Pointer, kind: compact_str::CompactString) -> Route {
    let Pointer { cluster, namespace, name, .. } = pointer;
    let object = ObjectRef::new(cluster.clone(), kind, namespace.clone(), name.clone());
    match pointer.path() {
        Some(field) => Route::Field(object, field.into()),
        None => object.in_its_table(),
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_newest_comes_first_then_those_before_it_and_the_newest_again() {
        assert_eq!(next(None, false, 0), None);
        assert_eq!(next(None, false, 3), Some(2));
        assert_eq!(next(Some(2), true, 3), Some(1));
        assert_eq!(next(Some(0), true, 3), Some(2));
        assert_eq!(next(Some(1), false, 4), Some(3), "a new one comes before the rest");
        assert_eq!(next(None, true, 3), Some(2), "the last one shown is among them no more");
        assert_eq!(next(Some(0), true, 1), Some(0));
    }
}
