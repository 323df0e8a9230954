//! One frame: the layout, the panes, the chrome; and when the next one is due.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::widgets::{Block, BorderType, Widget as _};

use super::{App, Dirty, Slot};
use crate::tui::chrome;
use crate::tui::pane::Look;
use crate::tui::prompt::PromptKind;

/// What stands in an empty filter.
const FILTER_HINT: &str =
    "regex  !not  -f fuzzy  -l label=x  status!=Running  cpu>500m && (age<1h || restarts>3)";

/// What the last frame left behind for the mouse and for the focus.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// How wide the screen is.
    pub screen: u16,
    /// The inside of the focused pane or layer.
    pub focused: Option<Rect>,
    /// The inside of the pane on top of the stack, and its title.
    pub pane: Rect,
    /// The other half of a split screen.
    pub other: Option<Rect>,
    pub title: String,
    pub lines: Vec<String>,
    /// Not asked about yet: see [`App::take_drawn`].
    fresh: bool,
}

impl App {
    /// Draws everything; gives where the cursor stands, if somewhere.
    pub fn draw(&mut self, buf: &mut Buffer) -> Option<Position> {
        self.dirty = Dirty::No;
        let now = self.clock.now();
        if self.flash.as_ref().is_some_and(|said| said.until <= now) {
            self.flash = None;
        }
        let screen = buf.area;
        let areas =
            chrome::layout(screen, self.flags, self.shared.store_blocked.is_some(), self.prompt.is_some());
        let (body, other) = self.tabs.halves(areas.body);
        let inner = Block::bordered().inner(body);
        let layered = !self.layers.is_empty();
        self.lay_out(inner, other.map(|half| Block::bordered().inner(half)), screen, now);
        if chrome::too_small(screen, &self.theme, buf) {
            self.drawn = Drawn { screen: screen.width, pane: inner, fresh: true, ..Drawn::default() };
            return None;
        }

        let modes = self.modes();
        let crumbs: Vec<CompactString> = self.stack.iter().map(|slot| slot.pane.name()).collect();
        let (tabs, tab) = self.tab_names();
        let look = Look { theme: &self.theme, shared: &self.shared, now, focused: !layered };
        buf.set_style(screen, self.theme.body);
        let prompt = self.prompt.as_ref().map(|prompt| chrome::Prompt {
            sign: if prompt.kind == PromptKind::Command { ':' } else { '/' },
            input: prompt.input(),
            selected: prompt.is_selected(),
            ghost: if prompt.kind == PromptKind::Filter && prompt.text().is_empty() {
                FILTER_HINT
            } else {
                prompt.ghost()
            },
            error: prompt.error.as_deref(),
        });
        let shown = self.stack.last().and_then(|slot| slot.pane.clusters()).map(|c| self.named(c));
        let shown = shown.as_deref().filter(|clusters| *clusters != self.shared.clusters.as_slice());
        let namespaces = self.stack.last().map_or("", |slot| slot.pane.namespaces());
        let frame = chrome::Frame {
            look,
            elsewhere: shown.map(|clusters| (clusters, namespaces)),
            filterable: self.top().is_some_and(|slot| slot.pane.filter().is_some()),
            keymap: &self.shared.keymap,
            modes: &modes,
            crumbs: &crumbs,
            tabs: (&tabs, tab),
            flags: self.flags,
            prompt,
            flash: self.flash.as_ref().map(|said| &said.flash),
        };
        let mut cursor = chrome::render(&frame, &areas, buf);
        let mut drawn = Drawn { screen: screen.width, pane: inner, other, fresh: true, ..Drawn::default() };
        if let (Some(slot), Some(half)) = (self.tabs.other(), other) {
            let look = Look { focused: false, ..look };
            self.framed(slot, &look, half, buf);
        }
        if let Some(slot) = self.stack.last() {
            drawn.title = self.framed(slot, &look, body, buf);
            drawn.lines = lines(buf, inner);
            drawn.focused = Some(inner);
            if cursor.is_none() && !layered {
                cursor = slot.pane.cursor(inner);
            }
        }
        for (i, slot) in self.layers.iter().enumerate() {
            let place = slot.pane.place(screen);
            let focused = i + 1 == self.layers.len();
            slot.pane.render(&Look { focused, ..look }, place, buf);
            drawn.focused = Some(place);
            if focused && self.prompt.is_none() {
                cursor = slot.pane.cursor(place);
            }
        }
        let layer = self.layers.last().map(|slot| slot.pane.place(screen));
        chrome::notice(&frame, &areas, layer, buf);
        self.drawn = drawn;
        cursor
    }

    /// Gives every pane in view its place: the one with the focus, that in the other half, the dialogs.
    fn lay_out(&mut self, inner: Rect, half: Option<Rect>, screen: Rect, now: Timestamp) {
        let shown = self.stack.last_mut().map(|slot| (slot, inner));
        for (slot, area) in shown.into_iter().chain(self.tabs.other_mut().zip(half)) {
            slot.pane.layout(area, now);
        }
        for slot in &mut self.layers {
            let place = slot.pane.place(screen);
            slot.pane.layout(place, now);
        }
    }

    /// A pane with its border; gives its title.
    fn framed(&self, slot: &Slot, look: &Look<'_>, area: Rect, buf: &mut Buffer) -> String {
        let border = if look.focused { self.theme.border_focused } else { self.theme.border };
        let title = slot.pane.title(look);
        let text = title.spans.iter().map(|span| span.content.as_ref()).collect();
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(border)
            .style(self.theme.table)
            .title(title);
        let inner = block.inner(area);
        block.render(area, buf);
        slot.pane.render(look, inner, buf);
        text
    }

    /// Whether a frame was drawn since the last time one asked.
    pub fn take_drawn(&mut self) -> bool {
        std::mem::take(&mut self.drawn.fresh)
    }

    /// When something on the screen changes by time alone.
    pub fn wake(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let panes = self.stack.last().into_iter().chain(&self.layers).chain(self.tabs.other());
        panes
            .filter_map(|slot| slot.pane.wake(now))
            .chain(self.flash.as_ref().map(|said| said.until))
            .chain(self.session.wake())
            .chain([chrome::wake(&self.shared, now)])
            .min()
    }

    /// The time that [`App::wake`] named has come.
    pub fn woken(&mut self) {
        self.session_due();
        self.every_pane(|pane, cx| pane.woken(cx));
        self.soil(Dirty::Data);
    }
}

/// The text of an area, line by line, without the spaces at the ends.
fn lines(buf: &Buffer, area: Rect) -> Vec<String> {
    let mut lines: Vec<String> = (area.top()..area.bottom())
        .map(|y| {
            let mut line = String::with_capacity(usize::from(area.width));
            let mut skip = 0;
            for x in area.left()..area.right() {
                let Some(cell) = buf.cell((x, y)) else { continue };
                // The second cell of a wide character holds nothing of its own.
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
                line.push_str(cell.symbol());
            }
            line.truncate(line.trim_end().len());
            line
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
