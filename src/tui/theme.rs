//! Colours: what a skin file says, resolved to styles that panes use.
//!
//! Skins are in k9s's format (`super::skin` reads them). A theme is made once when the file is read;
//! drawing only copies styles.

use ratatui::style::{Color, Modifier, Style};

use crate::base::ActorKind;
use crate::rows::Tone;

/// Every style there is, by what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// The file's name without its ending.
    pub name: String,
    /// Text and background of everything not named below.
    pub body: Style,
    pub logo: Style,
    pub header_label: Style,
    pub header_value: Style,
    pub prompt: Style,
    /// The completion after the cursor.
    pub prompt_ghost: Style,
    pub prompt_border: Style,
    pub border: Style,
    pub border_focused: Style,
    pub title: Style,
    pub title_highlight: Style,
    pub title_counter: Style,
    pub title_filter: Style,
    pub menu: Style,
    pub menu_key: Style,
    pub crumb: Style,
    pub crumb_active: Style,
    pub table: Style,
    pub table_header: Style,
    pub table_sorter: Style,
    pub cursor: Style,
    pub marked: Style,
    pub dialog: Style,
    pub dialog_label: Style,
    pub dialog_field: Style,
    pub button: Style,
    pub button_focused: Style,
    pub help: Style,
    pub help_key: Style,
    pub help_section: Style,
    pub yaml_key: Style,
    pub yaml_colon: Style,
    pub yaml_value: Style,
    pub logs: Style,
    pub indicator: Style,
    pub indicator_on: Style,
    pub indicator_off: Style,
    /// What an agent does or says.
    pub agent: Style,
    /// What a person does or says.
    pub person: Style,
    pub diff_added: Style,
    pub diff_removed: Style,
    pub diff_hunk: Style,
    /// A search's matches in text.
    pub found: Style,
    /// Across the whole width when changes are refused, and other things that must not be missed.
    pub banner: Style,
    pub info: Style,
    pub warning: Style,
    pub error: Style,
    pub success: Style,
    pub dim: Style,
    /// Colours to tell sources of one kind apart (pods in merged logs).
    pub palette: Vec<Style>,
    pub tones: Tones,
}

/// The style of each [`Tone`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tones {
    pub normal: Style,
    pub new: Style,
    pub modified: Style,
    pub pending: Style,
    pub error: Style,
    pub killed: Style,
    pub completed: Style,
    pub highlight: Style,
    pub dim: Style,
}

impl Theme {
    /// The style of a cell or of a row.
    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Normal => self.tones.normal,
            Tone::New => self.tones.new,
            Tone::Modified => self.tones.modified,
            Tone::Pending => self.tones.pending,
            Tone::Error => self.tones.error,
            Tone::Killed => self.tones.killed,
            Tone::Completed => self.tones.completed,
            Tone::Highlight => self.tones.highlight,
            Tone::Dim => self.tones.dim,
        }
    }

    /// The colour and the sign of an actor: `●` for people, `◆` for agents and programs.
    pub fn actor(&self, kind: ActorKind) -> (&'static str, Style) {
        match kind {
            ActorKind::Person => ("●", self.person),
            ActorKind::Agent => ("◆", self.agent),
            ActorKind::Client | ActorKind::Pipeline => ("◇", self.agent),
        }
    }

    /// Every style with a way to change it, for colour depths and for tests.
    pub fn each(&mut self, mut change: impl FnMut(&mut Style)) {
        let t = &mut self.tones;
        for style in [
            &mut self.body,
            &mut self.logo,
            &mut self.header_label,
            &mut self.header_value,
            &mut self.prompt,
            &mut self.prompt_ghost,
            &mut self.prompt_border,
            &mut self.border,
            &mut self.border_focused,
            &mut self.title,
            &mut self.title_highlight,
            &mut self.title_counter,
            &mut self.title_filter,
            &mut self.menu,
            &mut self.menu_key,
            &mut self.crumb,
            &mut self.crumb_active,
            &mut self.table,
            &mut self.table_header,
            &mut self.table_sorter,
            &mut self.cursor,
            &mut self.marked,
            &mut self.dialog,
            &mut self.dialog_label,
            &mut self.dialog_field,
            &mut self.button,
            &mut self.button_focused,
            &mut self.help,
            &mut self.help_key,
            &mut self.help_section,
            &mut self.yaml_key,
            &mut self.yaml_colon,
            &mut self.yaml_value,
            &mut self.logs,
            &mut self.indicator,
            &mut self.indicator_on,
            &mut self.indicator_off,
            &mut self.agent,
            &mut self.person,
            &mut self.diff_added,
            &mut self.diff_removed,
            &mut self.diff_hunk,
            &mut self.found,
            &mut self.banner,
            &mut self.info,
            &mut self.warning,
            &mut self.error,
            &mut self.success,
            &mut self.dim,
            &mut t.normal,
            &mut t.new,
            &mut t.modified,
            &mut t.pending,
            &mut t.error,
            &mut t.killed,
            &mut t.completed,
            &mut t.highlight,
            &mut t.dim,
        ] {
            change(style);
        }
        for style in &mut self.palette {
            change(style);
        }
    }

    /// Without colour, as <https://no-color.org> asks: what colour said is said by bold, dim,
    /// underline and reverse.
    pub fn without_colour(&mut self) {
        self.each(|style| {
            style.fg = None;
            style.bg = None;
        });
        for style in [&mut self.cursor, &mut self.button_focused, &mut self.crumb_active, &mut self.banner] {
            *style = style.add_modifier(Modifier::REVERSED);
        }
        for style in [&mut self.found, &mut self.marked, &mut self.diff_removed] {
            *style = style.add_modifier(Modifier::UNDERLINED);
        }
        for style in [
            &mut self.error,
            &mut self.tones.error,
            &mut self.tones.highlight,
            &mut self.tones.pending,
            &mut self.diff_added,
            &mut self.menu_key,
            &mut self.table_header,
            &mut self.agent,
            &mut self.title,
            &mut self.border_focused,
        ] {
            *style = style.add_modifier(Modifier::BOLD);
        }
        for style in [&mut self.dim, &mut self.tones.dim, &mut self.tones.completed, &mut self.prompt_ghost] {
            *style = style.add_modifier(Modifier::DIM);
        }
    }
}

/// `style` on the background of another, where it has none of its own.
pub fn over(style: Style, below: Style) -> Style {
    match (style.bg, below.bg) {
        (None | Some(Color::Reset), Some(bg)) => style.bg(bg),
        _ => style,
    }
}
