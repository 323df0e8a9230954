//! The keys of the pane below, those that are everywhere, and the commands: made from the keymap.

use compact_str::CompactString;
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use crate::tui::action::Action;
use crate::tui::command::commands;
use crate::tui::effect::{Cx, Message};
use crate::tui::keymap::Binding;
use crate::tui::pane::{Handled, Look, Pane};
use crate::tui::shared::Shared;
use crate::tui::widgets::prose::{Ink, Prose, Row};

/// How what is typed after `:` and `/` is written; the commands themselves are the command line's to name.
const FORMS: &[(&str, &str)] = &[
    (":KIND [NS] [/FILTER] [@CTX]", "any kind, by name, plural, short name or group"),
    (":KIND team-*,shop @eu-*,us-1", "several namespaces and clusters as one table; @all: every cluster"),
    (":KIND k=v", "only what these labels select"),
    ("/error !health", "in logs: lines with the one and without the other; n and Shift-n walk through them"),
    ("/TEXT", "rows with this regular expression; ! before it: the others; -f: letters in order; -l: labels"),
    ("/cpu>500m", "by a column's value: = != < <= > >=, and ~ !~ for a regular expression on that column"),
    (
        "/a && !(b || c)",
        "and, or, not and parentheses, of any of these: status!=Running && restarts>3 || age<1h",
    ),
];

/// Narrower columns than this are not put side by side.
const COLUMN: u16 = 46;

enum Item {
    Section(String),
    Key { label: String, meaning: String },
    Blank,
}

/// What a key's name takes of a column, with the space after it.
const LABEL: usize = 15;

pub struct HelpPane {
    items: Vec<Item>,
    /// The items as lines that fit the column they stand in.
    lines: Vec<Row>,
    top: usize,
    size: (u16, u16),
}

impl HelpPane {
    /// `lacking`: columns that keys sort by, and that the table has not.
    pub fn new(modes: &[CompactString], lacking: &[CompactString], shared: &Shared) -> Self {
        let mut help = Self { items: items(shared, modes, lacking), lines: Vec::new(), top: 0, size: (0, 0) };
        help.fit((80, 24));
        help
    }

    fn columns(&self) -> u16 {
        (self.size.0 / COLUMN).clamp(1, 4)
    }

    /// Cells between one column's beginning and the next one's.
    fn stride(&self) -> u16 {
        self.size.0 / self.columns()
    }

    /// Wraps the items to a pane of this size.
    fn fit(&mut self, size: (u16, u16)) {
        if self.size == size {
            return;
        }
        self.size = size;
        let mut prose = Prose::new(self.stride().saturating_sub(2));
        for item in &self.items {
            match item {
                Item::Blank => prose.blank(),
                Item::Section(title) => prose.row(&[(Ink::HelpSection, &title.to_uppercase())]),
                Item::Key { label, meaning } if label.width() < LABEL => {
                    prose.words((Ink::HelpKey, &format!("{label:<LABEL$}")), Ink::Help, meaning);
                }
                Item::Key { label, meaning } => {
                    prose.row(&[(Ink::HelpKey, label)]);
                    prose.words((Ink::HelpKey, &" ".repeat(LABEL)), Ink::Help, meaning);
                }
            }
        }
        self.lines = prose.done();
    }

    /// Rows that the lines take, in all columns together.
    fn rows(&self) -> usize {
        self.lines.len().div_ceil(usize::from(self.columns()))
    }

    fn scroll(&mut self, by: isize) {
        let last = self.rows().saturating_sub(usize::from(self.size.1));
        self.top = self.top.saturating_add_signed(by).min(last);
    }
}

fn items(shared: &Shared, modes: &[CompactString], lacking: &[CompactString]) -> Vec<Item> {
    let mut all = Vec::new();
    let mut section = None;
    let offered = |(_, b): &(&str, &Binding)| {
        let lacks = b.action.name == "sort" && lacking.contains(&b.action.words);
        !(lacks || shared.read_only && b.action.changes())
    };
    for (mode, binding) in shared.keymap.bindings(modes).filter(offered) {
        let mode = crate::tui::user::title(mode).unwrap_or(mode);
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
        self.fit((area.width, area.height));
        self.scroll(0);
    }

    fn render(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let (width, rows) = (self.stride(), self.rows().max(1));
        for (i, text) in self.lines.iter().enumerate() {
            let (column, row) = (i / rows, i % rows);
            let Some(line) = row.checked_sub(self.top).and_then(|l| u16::try_from(l).ok()) else { continue };
            if line >= area.height {
                continue;
            }
            let x = area.x + 1 + u16::try_from(column).unwrap_or(0) * width;
            text.compose(look.theme).draw(buf, x, area.y + line, width.saturating_sub(2), 0);
        }
    }
}
