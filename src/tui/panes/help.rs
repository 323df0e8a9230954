//! The keys of the pane below, those that are everywhere, and the commands: made from the keymap.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::action::Action;
use crate::tui::command::commands;
use crate::tui::effect::{Cx, Message};
use crate::tui::keymap::Binding;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::shared::Shared;
use crate::tui::widgets::composed::Composed;

/// How what is typed after `:` and `/` is written; the commands themselves are the command line's to name.
const FORMS: &[(&str, &str)] = &[
    (":KIND [NS] [/FILTER] [@CTX]", "any kind, by name, plural, short name or group"),
    (":KIND k=v", "only what these labels select"),
    ("/error !health", "in logs: lines with the one and without the other; n and Shift-n walk through them"),
    ("/TEXT", "rows with this regular expression; ! before it: the others; -f: letters in order; -l: labels"),
];

/// Narrower columns than this are not put side by side.
const COLUMN: u16 = 46;

enum Item {
    Section(String),
    Key { label: String, meaning: String },
    Blank,
}

pub struct HelpPane {
    items: Vec<Item>,
    top: usize,
    size: (u16, u16),
}

impl HelpPane {
    pub fn new(modes: &[CompactString], shared: &Shared) -> Self {
        Self { items: items(shared, modes), top: 0, size: (80, 24) }
    }

    fn columns(&self) -> u16 {
        (self.size.0 / COLUMN).clamp(1, 4)
    }

    /// Rows that the items take, in all columns together.
    fn rows(&self) -> usize {
        self.items.len().div_ceil(usize::from(self.columns()))
    }

    fn scroll(&mut self, by: isize) {
        let last = self.rows().saturating_sub(usize::from(self.size.1));
        self.top = self.top.saturating_add_signed(by).min(last);
    }
}

fn items(shared: &Shared, modes: &[CompactString]) -> Vec<Item> {
    let mut all = Vec::new();
    let mut section = None;
    let offered = |(_, b): &(&str, &Binding)| !(shared.read_only && b.action.changes());
    for (mode, binding) in shared.keymap.bindings(modes).filter(offered) {
        if section != Some(mode) {
            if section.is_some() {
                all.push(Item::Blank);
            }
            let title = if mode == "global" { "everywhere" } else { mode };
            all.push(Item::Section(title.to_owned()));
            section = Some(mode);
        }
        all.push(Item::Key { label: binding.label().to_string(), meaning: binding.desc.to_string() });
    }
    if !all.is_empty() {
        all.push(Item::Blank);
    }
    all.push(Item::Section("commands".to_owned()));
    all.extend(FORMS.iter().map(|(l, m)| Item::Key { label: (*l).to_owned(), meaning: (*m).to_owned() }));
    all.extend(commands().map(|(words, what)| {
        let mut words = words.split(", ");
        let first = words.next().unwrap_or_default();
        let others: Vec<&str> = words.collect();
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
        Item::Key { label: format!(":{first}"), meaning: format!("{what}{others}") }
    }));
    all
}

impl Pane for HelpPane {
    fn name(&self) -> CompactString {
        "help".into()
    }

    fn modes(&self) -> Vec<CompactString> {
        vec!["help".into()]
    }

    fn title(&self, look: &Look<'_>) -> Line<'static> {
        Line::from(vec![Span::styled("help", look.theme.title)])
    }

    fn act(&mut self, action: &Action, _cx: &mut Cx<'_>) -> Handled {
        let page = isize::try_from(self.size.1.max(2)).unwrap_or(1) - 1;
        match action.name {
            "up" => self.scroll(-1),
            "down" => self.scroll(1),
            "page_up" => self.scroll(-page),
            "page_down" => self.scroll(page),
            "top" => self.top = 0,
            "bottom" => self.scroll(isize::MAX / 2),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn receive(&mut self, _message: Message, _cx: &mut Cx<'_>) {}

    fn layout(&mut self, area: Rect, _now: Timestamp) {
        self.size = (area.width, area.height);
        self.scroll(0);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let theme = look.theme;
        let columns = self.columns();
        let width = area.width / columns;
        let rows = self.rows();
        for (i, item) in self.items.iter().enumerate() {
            let (column, row) = (i / rows.max(1), i % rows.max(1));
            let Some(line) = row.checked_sub(self.top).and_then(|l| u16::try_from(l).ok()) else { continue };
            if line >= area.height {
                continue;
            }
            let x = area.x + 1 + u16::try_from(column).unwrap_or(0) * width;
            let mut text = Composed::new();
            match item {
                Item::Blank => continue,
                Item::Section(title) => text.push(&title.to_uppercase(), theme.help_section),
                Item::Key { label, meaning } => {
                    text.push(&format!("{label:<14} "), theme.help_key);
                    text.push(meaning, theme.help);
                }
            }
            text.draw(buf, x, area.y + line, width.saturating_sub(2), 0);
        }
    }
}
