//! What fills the screen: panes, and dialogs (layers), which are panes on top of panes.
//!
//! A pane is a state machine. It is given actions, keys and messages through a [`Cx`], asks for
//! effects there, and draws itself from `&self` alone. It never waits, never blocks and never
//! writes to the terminal.

use compact_str::CompactString;
use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::Value;

use super::action::Action;
use super::effect::{Cx, Message};
use super::shared::Shared;
use super::theme::Theme;

/// Whether a pane took what it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    Yes,
    /// The application (or the pane below a layer) may take it.
    No,
}

impl From<bool> for Handled {
    fn from(taken: bool) -> Self {
        if taken { Handled::Yes } else { Handled::No }
    }
}

/// What drawing may read. Drawing is a pure function of it and of the pane.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub theme: &'a Theme,
    pub shared: &'a Shared,
    /// The clock of the state: ages and countdowns count from here.
    pub now: Timestamp,
    /// Whether keys go to this pane now.
    pub focused: bool,
}

/// What a participant looks at, as `focus_set` takes it. The application adds the visible lines and the size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PaneFocus {
    pub cluster: Option<String>,
    pub namespace: Option<String>,
    pub kind: Option<String>,
    pub filter: Option<String>,
    /// `{cluster, namespace, kind, name, field?}`.
    pub selected: Option<Value>,
    /// Row keys as objects `{cluster, namespace, name}`.
    pub marked: Vec<Value>,
    pub columns: Vec<String>,
    /// Nobody else is told what the pane says: it shows what only this screen may.
    pub private: bool,
}

/// A pane or a dialog.
///
/// Order of calls: `start` once; then for each turn any of `act`, `text`, `mouse`, `receive`,
/// `filter_changed`; then `layout` and `render` for each frame. What was asked for in a [`Cx`]
/// (calls, watches, timers, jobs) ends when the pane is dropped.
pub trait Pane: Send {
    /// The pane's own name in crumbs, in the focus and in the timeline: `pods`, `logs`, `yaml`.
    fn name(&self) -> CompactString;

    /// Keymap modes, most specific first: `["pods", "table"]`. The application adds `global` for
    /// panes and `dialog` for layers.
    fn modes(&self) -> Vec<CompactString>;

    /// What stands in the border: name, counts, filter, and in words what is not as it should be.
    fn title(&self, look: &Look<'_>) -> Line<'static>;

    /// The pane has been put on the screen for the first time: ask for what it shows.
    fn start(&mut self, _cx: &mut Cx<'_>) {}

    /// The pane is on top again, after the one above it was closed.
    fn resumed(&mut self, _cx: &mut Cx<'_>) {}

    /// A key or a command named an action. `back` comes here first: take it (clear the filter,
    /// say) or leave it, and the application closes the pane.
    fn act(&mut self, action: &Action, cx: &mut Cx<'_>) -> Handled;

    /// A key before the keymap sees it: for text fields, and for a terminal in a pane.
    /// Leave what is not text.
    fn text(&mut self, _key: KeyEvent, _cx: &mut Cx<'_>) -> Handled {
        Handled::No
    }

    /// Pasted text (bracketed paste).
    fn paste(&mut self, _text: &str, _cx: &mut Cx<'_>) -> Handled {
        Handled::No
    }

    /// A mouse event inside the pane; positions are the screen's, `area` is what `render` was given.
    fn mouse(&mut self, _event: MouseEvent, _area: Rect, _cx: &mut Cx<'_>) -> Handled {
        Handled::No
    }

    /// The answer to something asked for, or an event of the bus.
    fn receive(&mut self, message: Message, cx: &mut Cx<'_>);

    /// What is typed after `/`, on each key; `done` once Enter was pressed (an empty text then means
    /// the filter was cleared). An error is shown in the prompt and changes nothing.
    /// Panes without a filter leave the default, and `/` does nothing there.
    fn filter_changed(&mut self, _text: &str, _done: bool, _cx: &mut Cx<'_>) -> Result<(), String> {
        Err("there is nothing to filter here".to_owned())
    }

    /// The filter as it is, to go on typing from; `None` where there is no filtering.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// The clusters that it shows, where it was opened on some.
    fn clusters(&self) -> Option<&[CompactString]> {
        None
    }

    /// The namespaces that it shows, as titles say them; empty where its objects have none.
    fn namespaces(&self) -> &str {
        ""
    }

    /// Shows these clusters in place of those that it was opened on: the set that they are has changed.
    fn take_clusters(&mut self, _clusters: &[CompactString], _cx: &mut Cx<'_>) {}

    /// The command line that leads here again, for the history: `pods shop /web @eu-1`.
    fn command(&self) -> Option<String> {
        None
    }

    /// The command line that leads here again as it is now, with filter and order.
    fn line(&self) -> Option<String> {
        self.command()
    }

    /// Called before each frame with the area that `render` is given: the place to clamp scrolling.
    fn layout(&mut self, _area: Rect, _now: Timestamp) {}

    /// Draws the inside; the border and the title are the application's for panes, the layer's own for layers.
    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer);

    /// Where the terminal's cursor stands, for text fields.
    fn cursor(&self, _area: Rect) -> Option<Position> {
        None
    }

    /// Where a layer stands on the screen. Panes are given the body.
    fn place(&self, screen: Rect) -> Rect {
        screen
    }

    /// When what is drawn changes by the passing of time alone; `None` if it does not.
    fn wake(&self, _now: Timestamp) -> Option<Timestamp> {
        None
    }

    /// The time that `wake` named has come, of this pane or another.
    fn woken(&mut self, _cx: &mut Cx<'_>) {}

    /// The texts of the row under the cursor by their columns' names, for `$COL-NAME` of a plugin.
    fn cells(&self, _now: Timestamp) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Whether there is a column of this name to sort by; the help leaves out the keys for others.
    fn may_sort_by(&self, _column: &str) -> bool {
        true
    }

    /// What the person has set up (views, jumps) was read, or read again.
    fn set_up(&mut self, _cx: &mut Cx<'_>) {}

    /// What the pane shows, for agents and other participants.
    fn focus(&self) -> PaneFocus {
        PaneFocus::default()
    }
}
