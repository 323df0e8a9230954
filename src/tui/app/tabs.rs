//! Tabs: each a stack of panes with the clusters, namespaces and history that belong to it; and two of them side by side.
//!
//! A tab that is not in view stays as it is and keeps itself current: its watches go on and its panes take what comes. It
//! is not drawn, and nothing is drawn because of it. A split shows two tabs at once; the keys go to one of them.

use compact_str::{CompactString, format_compact};
use ratatui::layout::Rect;

use super::{App, Dirty, Slot};
use crate::base::text::sanitize;
use crate::base::{Error, Result};
use crate::tui::effect::{Flash, PaneId};
use crate::tui::object::Namespaces;
use crate::tui::pane::Pane;

/// As many as there are keys for; each holds its watches.
const MOST: usize = 9;
/// Narrower or lower halves than these show nothing.
const NARROWEST: u16 = 40;
const LOWEST: u16 = 6;

/// What a tab keeps while another one is in view.
#[derive(Default)]
pub(super) struct Tab {
    stack: Vec<Slot>,
    places: Vec<String>,
    place: usize,
    clusters: Vec<CompactString>,
    namespaces: Namespaces,
}

/// Two tabs in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// On the left, or above.
    pub first: usize,
    pub second: usize,
    pub below: bool,
}

/// All of them. What the one in view has is the application's own.
pub(super) struct Tabs {
    all: Vec<Tab>,
    current: usize,
    split: Option<Split>,
}

impl Default for Tabs {
    fn default() -> Self {
        Self { all: vec![Tab::default()], current: 0, split: None }
    }
}

impl Tabs {
    /// The panes of the tabs that do not have the focus.
    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.all.iter_mut().flat_map(|tab| &mut tab.stack)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PaneId> {
        self.all.iter().flat_map(|tab| &tab.stack).map(|slot| slot.id)
    }

    /// Other clusters are in view where these were.
    pub(super) fn take_clusters(&mut self, old: &[CompactString], new: &[CompactString]) {
        for tab in self.all.iter_mut().filter(|tab| tab.clusters == old) {
            tab.clusters = new.to_vec();
        }
    }

    /// The other half of a split.
    fn beside(&self) -> Option<usize> {
        let split = self.split?;
        Some(if split.first == self.current { split.second } else { split.first })
    }

    /// The pane in the other half.
    pub(super) fn other(&self) -> Option<&Slot> {
        self.all.get(self.beside()?)?.stack.last()
    }

    pub(super) fn other_mut(&mut self) -> Option<&mut Slot> {
        let at = self.beside()?;
        self.all.get_mut(at)?.stack.last_mut()
    }

    /// The places of the half with the focus and of the other one.
    pub(super) fn halves(&self, body: Rect) -> (Rect, Option<Rect>) {
        let Some(split) = self.split else { return (body, None) };
        let (first, second) = if split.below {
            let half = body.height / 2;
            (Rect { height: half, ..body }, Rect { y: body.y + half, height: body.height - half, ..body })
        } else {
            let half = body.width / 2;
            (Rect { width: half, ..body }, Rect { x: body.x + half, width: body.width - half, ..body })
        };
        if first.width < NARROWEST || first.height < LOWEST {
            return (body, None);
        }
        if split.first == self.current { (first, Some(second)) } else { (second, Some(first)) }
    }
}

impl App {
    /// What the tabs are called, and which has the focus; nothing where there is one only.
    pub(super) fn tab_names(&self) -> (Vec<CompactString>, usize) {
        if self.tabs.all.len() < 2 {
            return (Vec::new(), 0);
        }
        let name = |(i, tab): (usize, &Tab)| {
            let current = i == self.tabs.current;
            let (stack, clusters) =
                if current { (&self.stack, &self.shared.clusters) } else { (&tab.stack, &tab.clusters) };
            let pane = stack.last().map(|slot| slot.pane.name()).unwrap_or_default();
            let mut name = format_compact!("{} {}", i + 1, sanitize(&pane));
            if *clusters != self.shared.clusters
                && let Some(cluster) = clusters.first()
            {
                let more = if clusters.len() > 1 { "…" } else { "" };
                name.push_str(&format!("@{}{more}", sanitize(cluster)));
            }
            name
        };
        (self.tabs.all.iter().enumerate().map(name).collect(), self.tabs.current)
    }

    fn put_away(&mut self) -> Tab {
        Tab {
            stack: std::mem::take(&mut self.stack),
            places: std::mem::take(&mut self.places),
            place: std::mem::take(&mut self.place),
            clusters: self.shared.clusters.clone(),
            namespaces: self.shared.namespaces.clone(),
        }
    }

    fn take_out(&mut self, at: usize) {
        let Some(tab) = self.tabs.all.get_mut(at).map(std::mem::take) else { return };
        (self.stack, self.places, self.place) = (tab.stack, tab.places, tab.place);
        self.shared.namespaces = tab.namespaces;
        self.tabs.current = at;
        self.flags.fullscreen = false;
        self.set_clusters(tab.clusters);
        if let Some(top) = self.stack.last().map(|slot| slot.id) {
            self.with(top, |pane, cx| pane.resumed(cx));
        }
        self.soil(Dirty::Input);
    }

    /// A tab behind the others, with what a command line leads to; without one, with what is in view.
    pub(super) fn new_tab(&mut self, line: Option<&str>) -> Result<()> {
        if self.tabs.all.len() >= MOST {
            return Err(Error::unsupported(format!("there are {MOST} tabs, and no more keys for others"))
                .next("Alt-w closes the one in view."));
        }
        let here = self.stack.iter().rev().find_map(|slot| slot.pane.command());
        let line = line.map(str::to_owned).or(here).unwrap_or_else(|| "pods".to_owned());
        let at = self.tabs.current;
        self.tabs.all[at] = self.put_away();
        self.tabs.all.push(Tab::default());
        let split = self.tabs.split.as_mut();
        let new = self.tabs.all.len() - 1;
        if let Some(split) = split {
            *(if split.first == at { &mut split.first } else { &mut split.second }) = new;
        }
        self.tabs.current = new;
        self.run_command(&line);
        Ok(())
    }

    /// Puts another tab into view, in the half that has the focus.
    pub(super) fn go_to_tab(&mut self, to: usize) {
        let from = self.tabs.current;
        if to >= self.tabs.all.len() {
            let flash = Flash::info(format!("there is no tab {}", to + 1));
            return self.flash(flash.next("Alt-t opens one."));
        }
        if to == from {
            return;
        }
        if let Some(split) = &mut self.tabs.split
            && split.first != to
            && split.second != to
        {
            *(if split.first == from { &mut split.first } else { &mut split.second }) = to;
        }
        self.tabs.all[from] = self.put_away();
        self.take_out(to);
    }

    /// The next one, or the one before.
    pub(super) fn step_tab(&mut self, by: usize) {
        let count = self.tabs.all.len();
        if count == 1 {
            return self.flash(Flash::info("this is the only tab").next("Alt-t opens another."));
        }
        self.go_to_tab((self.tabs.current + by) % count);
    }

    pub(super) fn step_back_tab(&mut self) {
        self.step_tab(self.tabs.all.len() - 1);
    }

    /// The other half of a split.
    pub(super) fn next_half(&mut self) {
        match self.tabs.beside() {
            Some(other) => self.go_to_tab(other),
            None => self.flash(Flash::info("the screen is not split").next("Alt-v and Alt-s split it.")),
        }
    }

    /// Closes the tab in view with all that it watches.
    pub(super) fn close_tab(&mut self) {
        if self.tabs.all.len() == 1 {
            return self.flash(Flash::info("the last tab stays").next(":q leaves."));
        }
        let at = self.tabs.current;
        for slot in std::mem::take(&mut self.stack) {
            self.executor.forget(slot.id);
        }
        self.tabs.all.remove(at);
        // Of a split the other half is left.
        let next = self.tabs.beside().unwrap_or(at.saturating_sub(1));
        self.tabs.split = None;
        let next = if next > at { next - 1 } else { next };
        self.take_out(next.min(self.tabs.all.len() - 1));
    }

    /// Splits the screen between this tab and the next one, which is made if there is none; again, it is one again.
    pub(super) fn split(&mut self, below: bool) {
        match &mut self.tabs.split {
            Some(split) if split.below == below => self.tabs.split = None,
            Some(split) => split.below = below,
            None => {
                let first = self.tabs.current;
                if self.tabs.all.len() == 1
                    && let Err(error) = self.new_tab(None)
                {
                    return self.flash(Flash::error(&error));
                }
                let second = (first + 1) % self.tabs.all.len();
                self.tabs.split = Some(Split { first, second, below });
            }
        }
        self.flags.fullscreen = false;
        self.soil(Dirty::Input);
    }

    /// What leads to each tab again, the number of the one in view among them, and how the screen is split.
    pub(super) fn tab_lines(&self) -> (Vec<String>, usize, Option<&'static str>) {
        let line = |stack: &[Slot]| stack.iter().rev().find_map(|slot| slot.pane.line());
        let mut lines = Vec::new();
        let mut current = 1;
        for (i, tab) in self.tabs.all.iter().enumerate() {
            let own = i == self.tabs.current;
            lines.extend(line(if own { &self.stack } else { &tab.stack }));
            // Of a split the first half is named: the other is the tab after it.
            if self.tabs.split.map_or(own, |split| split.first == i) {
                current = lines.len().max(1);
            }
        }
        let split = self.tabs.split.map(|split| if split.below { "below" } else { "right" });
        (lines, current, split)
    }

    /// Closes all tabs but an empty one, which a command must fill.
    pub(super) fn only_tab(&mut self) {
        let tabs = std::mem::take(&mut self.tabs);
        let slots =
            std::mem::take(&mut self.stack).into_iter().chain(tabs.all.into_iter().flat_map(|t| t.stack));
        for slot in slots {
            self.executor.forget(slot.id);
        }
        (self.places, self.place) = (Vec::new(), 0);
    }

    /// Puts a pane on the tab of the pane that asked for it, which may not be in view any more.
    pub(super) fn push_beside(
        &mut self,
        owner: Option<PaneId>,
        pane: Box<dyn Pane>,
    ) -> Option<Box<dyn Pane>> {
        let owns = |tab: &Tab| tab.stack.iter().any(|slot| Some(slot.id) == owner);
        let Some(at) = self.tabs.all.iter().position(owns) else { return Some(pane) };
        let slot = self.slot(pane);
        let id = slot.id;
        self.tabs.all[at].stack.push(slot);
        self.with(id, |pane, cx| pane.start(cx));
        None
    }

    /// Closes a pane of a tab that is not in view; whether it was one.
    pub(super) fn close_beside(&mut self, id: PaneId) -> bool {
        for tab in &mut self.tabs.all {
            if let Some(at) = tab.stack.iter().position(|slot| slot.id == id) {
                if tab.stack.len() > 1 {
                    tab.stack.remove(at);
                    self.executor.forget(id);
                }
                return true;
            }
        }
        false
    }
}
