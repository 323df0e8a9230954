//! Helpers of the tests of panes: frames as text with their styles.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::base::Actor;
use crate::base::ids::CallId;
use crate::gate::{OperationInfo, Reply, Request};
use crate::tui::action::Action;
use crate::tui::effect::{Cx, Effect, Message, Ticket};
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::shared::Shared;
use crate::tui::theme::{Theme, Tones};

/// A theme with a colour of its own for each purpose that the tests look at.
pub fn theme() -> Theme {
    let fg = |c: Color| Style::new().fg(c);
    Theme {
        name: "test".into(),
        body: Style::new(),
        logo: Style::new(),
        header_label: Style::new(),
        header_value: Style::new(),
        prompt: Style::new(),
        prompt_ghost: Style::new(),
        prompt_border: Style::new(),
        border: fg(Color::DarkGray),
        border_focused: fg(Color::Cyan),
        title: fg(Color::Cyan),
        title_highlight: fg(Color::Magenta),
        title_counter: fg(Color::White),
        title_filter: fg(Color::Green),
        menu: Style::new(),
        menu_key: fg(Color::Blue),
        crumb: Style::new(),
        crumb_active: Style::new(),
        table: Style::new(),
        table_header: Style::new().add_modifier(Modifier::BOLD),
        table_sorter: Style::new(),
        cursor: Style::new().bg(Color::Blue),
        marked: Style::new(),
        dialog: Style::new(),
        dialog_label: fg(Color::Gray),
        dialog_field: fg(Color::White),
        button: Style::new(),
        button_focused: Style::new().add_modifier(Modifier::REVERSED),
        help: Style::new(),
        help_key: fg(Color::Blue),
        help_section: fg(Color::Green),
        yaml_key: fg(Color::LightBlue),
        yaml_colon: fg(Color::Gray),
        yaml_value: fg(Color::White),
        logs: Style::new(),
        indicator: fg(Color::Gray),
        indicator_on: fg(Color::Green),
        indicator_off: fg(Color::DarkGray),
        agent: fg(Color::Magenta),
        person: fg(Color::Green),
        diff_added: fg(Color::Green),
        diff_removed: fg(Color::Red),
        diff_hunk: fg(Color::Cyan),
        found: Style::new().add_modifier(Modifier::UNDERLINED),
        banner: fg(Color::Red),
        info: fg(Color::Blue),
        warning: fg(Color::Yellow),
        error: fg(Color::LightRed),
        success: fg(Color::LightGreen),
        dim: fg(Color::DarkGray),
        palette: vec![fg(Color::Cyan), fg(Color::LightYellow)],
        tones: Tones {
            pending: fg(Color::Yellow),
            error: fg(Color::Red),
            killed: fg(Color::Magenta),
            completed: fg(Color::Gray),
            highlight: fg(Color::Cyan),
            dim: fg(Color::DarkGray),
            ..Tones::default()
        },
    }
}

/// Draws a frame and writes it down: each row between bars, then its runs of style other than none.
pub fn frame(width: u16, height: u16, draw: impl FnOnce(Rect, &mut Buffer)) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    draw(area, &mut buf);
    dump(&buf)
}

pub fn dump(buf: &Buffer) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut runs: Vec<(u16, String)> = Vec::new();
        out.push('│');
        let mut skip = 0;
        for x in buf.area.left()..buf.area.right() {
            let cell = &buf[(x, y)];
            if skip > 0 {
                skip -= 1;
            } else {
                out.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            }
            let style = describe(cell.style());
            if runs.last().is_none_or(|(_, last)| *last != style) {
                runs.push((x, style));
            }
        }
        out.push('│');
        for (x, style) in runs.iter().filter(|(_, s)| !s.is_empty()) {
            let _ = write!(out, " {x}:{style}");
        }
        out.push('\n');
    }
    out
}

fn describe(style: Style) -> String {
    let mut parts = Vec::new();
    if let Some(fg) = style.fg.filter(|c| *c != Color::Reset) {
        parts.push(format!("{fg}"));
    }
    if let Some(bg) = style.bg.filter(|c| *c != Color::Reset) {
        parts.push(format!("on{bg}"));
    }
    if !style.add_modifier.is_empty() {
        parts.push(format!("{:?}", style.add_modifier).to_lowercase());
    }
    parts.join("+")
}

/// What a pane is given in a test, and what it asked for.
pub struct Stage {
    pub shared: Shared,
    pub effects: Vec<Effect>,
    pub now: Timestamp,
    tickets: u64,
}

impl Stage {
    /// A screen of `ana`'s, at a moment that does not move by itself.
    pub fn new(catalogue: Vec<OperationInfo>) -> Self {
        let mut shared = Shared::new(Actor::operator("ana"), catalogue.into());
        shared.keymap = std::sync::Arc::new(crate::tui::keymap::Keymap::embedded().unwrap());
        Self { shared, effects: Vec::new(), now: Timestamp::from_second(1_700_000_000).unwrap(), tickets: 0 }
    }

    pub fn with<R>(&mut self, run: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        run(&mut Cx::new(&self.shared, self.now, &mut self.effects, &mut self.tickets))
    }

    /// Does an action, or offers it as a key's.
    pub fn act(&mut self, pane: &mut dyn Pane, name: &str) -> Handled {
        self.with(|cx| pane.act(&Action::parse(name).unwrap(), cx))
    }

    pub fn type_text(&mut self, pane: &mut dyn Pane, text: &str) {
        for c in text.chars() {
            self.with(|cx| pane.text(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), cx));
        }
    }

    /// A key, as the application gives it to a dialog: to its text first, then by the keymap.
    pub fn press(&mut self, pane: &mut dyn Pane, code: KeyCode) -> Handled {
        self.key(pane, KeyEvent::new(code, KeyModifiers::NONE))
    }

    pub fn control(&mut self, pane: &mut dyn Pane, c: char) -> Handled {
        self.key(pane, KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
    }

    fn key(&mut self, pane: &mut dyn Pane, key: KeyEvent) -> Handled {
        if self.with(|cx| pane.text(key, cx)) == Handled::Yes {
            return Handled::Yes;
        }
        let mut modes = pane.modes();
        modes.push("dialog".into());
        let keymap = self.shared.keymap.clone();
        match keymap.find(&modes, key) {
            Some(binding) => self.with(|cx| pane.act(&binding.action, cx)),
            None => Handled::No,
        }
    }

    /// The text that an editor was asked for, and its ticket.
    pub fn editor(&mut self) -> (Ticket, String) {
        let (ticket, text, _) = self.editor_at();
        (ticket, text)
    }

    /// The same, with the line that it is to begin at.
    pub fn editor_at(&mut self) -> (Ticket, String, Option<usize>) {
        let at = self.effects.iter().position(|e| matches!(e, Effect::Editor { .. }));
        match at.map(|at| self.effects.remove(at)) {
            Some(Effect::Editor { ticket, text, line, .. }) => (ticket, text, line),
            _ => panic!("no editor was asked for"),
        }
    }

    /// The preview that was asked for.
    pub fn preview(&mut self) -> (Ticket, Request) {
        let at = self.effects.iter().position(|e| matches!(e, Effect::Preview { .. }));
        match at.map(|at| self.effects.remove(at)) {
            Some(Effect::Preview { ticket, request }) => (ticket, request),
            _ => panic!("no preview was asked for"),
        }
    }

    /// The calls asked for since the last look: their tickets and requests.
    pub fn calls(&mut self) -> Vec<(Ticket, Request)> {
        self.effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Call { ticket, request } => Some((ticket, request)),
                _ => None,
            })
            .collect()
    }

    pub fn answer(&mut self, pane: &mut dyn Pane, ticket: Ticket, output: serde_json::Value) {
        let result = Ok(Reply::Done { call: CallId::new(), output });
        self.with(|cx| pane.receive(Message::Reply { ticket, result }, cx));
    }

    /// A frame of the pane at the place it takes on a screen of this size, with its title above.
    pub fn frame(&self, pane: &mut dyn Pane, width: u16, height: u16) -> String {
        let theme = theme();
        let screen = Rect::new(0, 0, width, height);
        let area = pane.place(screen);
        pane.layout(area, self.now);
        let look = Look { theme: &theme, shared: &self.shared, now: self.now, focused: true };
        let mut buf = Buffer::empty(area);
        pane.render(&look, area, &mut buf);
        format!("{}\n{}", pane.title(&look), dump(&buf))
    }
}
