//! Skin files in k9s's format, made into a [`Theme`].
//!
//! Skins found in the wild have extra keys at the top (for YAML anchors), keys that are misspelt and
//! keys that k9s once had: what is not known is ignored, what is missing comes from the default
//! theme, and a colour that is none is said and replaced. What k9s has no word for (agents, diffs)
//! stands under `quarterdeck`, which k9s in turn ignores, or is taken from the nearest k9s colour.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ratatui::style::{Color, Modifier, Style};
use serde_yaml_ng::Value;

use super::theme::{Theme, Tones};
use crate::base::{Error, Result};

/// The themes inside the binary, by name.
pub const EMBEDDED: &[(&str, &str)] = &[
    ("default", include_str!("../../themes/default.yaml")),
    ("light", include_str!("../../themes/light.yaml")),
    ("contrast", include_str!("../../themes/contrast.yaml")),
    ("sixteen", include_str!("../../themes/sixteen.yaml")),
];

/// A theme with what was wrong in its file, and the file, to be watched.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub theme: Theme,
    /// One sentence each: "frame.title.fgColor: \"blurple\" is not a colour".
    pub warnings: Vec<String>,
    /// `None` for an embedded theme.
    pub file: Option<PathBuf>,
}

/// The theme of this name: `NAME.yaml` in the first of `folders` that has it, else the embedded one.
pub fn load(name: &str, folders: &[PathBuf]) -> Result<Loaded> {
    let file = folders
        .iter()
        .flat_map(|f| [f.join(format!("{name}.yaml")), f.join(format!("{name}.yml"))])
        .find(|f| f.is_file());
    if let Some(file) = file {
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Error::invalid(format!("the theme {} cannot be read: {e}", file.display())))?;
        let (theme, warnings) = parse(name, &text)
            .map_err(|e| Error::invalid(format!("the theme {}: {}", file.display(), e.message)))?;
        return Ok(Loaded { theme, warnings, file: Some(file) });
    }
    let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = names(folders);
        return Err(Error::not_found(format!("there is no theme {name:?}"))
            .next(format!("Choose one of: {}.", known.join(", "))));
    };
    let (theme, warnings) = parse(name, text)?;
    Ok(Loaded { theme, warnings, file: None })
}

/// The names that [`load`] would find.
pub fn names(folders: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = EMBEDDED.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml")
            && let Some(name) = path.file_stem().and_then(|n| n.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Reads a skin's text.
pub fn parse(name: &str, text: &str) -> Result<(Theme, Vec<String>)> {
    let mut skin = Skin::of(text)?;
    let mut defaults = Skin::of(EMBEDDED[0].1)?;
    let warnings = std::mem::take(&mut skin.warnings);
    // What a skin says of k9s's own parts must not be mixed with our default colours for what it
    // does not know: those are derived from its own.
    defaults.colours.retain(|path, _| !path.starts_with("quarterdeck."));
    defaults.lists.clear();
    skin.below = defaults.colours;
    Ok((skin.theme(name), warnings))
}

/// A colour as skins write it: `default`, `#rrggbb`, or a W3C name, of which the sixteen of HTML 4
/// mean the terminal's own palette, as in tcell, which k9s draws with.
fn colour(text: &str) -> Option<Color> {
    let text = text.trim().to_lowercase();
    Some(match text.as_str() {
        "default" | "reset" | "" | "-" => Color::Reset,
        "black" => Color::Black,
        "maroon" => Color::Red,
        "green" => Color::Green,
        "olive" => Color::Yellow,
        "navy" => Color::Blue,
        "purple" => Color::Magenta,
        "teal" => Color::Cyan,
        "silver" => Color::Gray,
        "gray" | "grey" => Color::DarkGray,
        "red" => Color::LightRed,
        "lime" => Color::LightGreen,
        "yellow" => Color::LightYellow,
        "blue" => Color::LightBlue,
        "fuchsia" | "magenta" => Color::LightMagenta,
        "aqua" | "cyan" => Color::LightCyan,
        "white" => Color::White,
        other => {
            let [r, g, b, _] = csscolorparser::parse(other).ok()?.to_rgba8();
            Color::Rgb(r, g, b)
        }
    })
}

/// The colours of a file by their dotted path, such as `frame.title.fgColor`.
struct Skin {
    colours: BTreeMap<String, Color>,
    lists: BTreeMap<String, Vec<Color>>,
    /// Asked where the file says nothing.
    below: BTreeMap<String, Color>,
    dim_menu: bool,
    warnings: Vec<String>,
}

impl Skin {
    fn of(text: &str) -> Result<Self> {
        let mut root: Value = serde_yaml_ng::from_str(text).map_err(|e| Error::invalid(e.to_string()))?;
        root.apply_merge().map_err(|e| Error::invalid(e.to_string()))?;
        let mut skin = Self {
            colours: BTreeMap::new(),
            lists: BTreeMap::new(),
            below: BTreeMap::new(),
            dim_menu: false,
            warnings: Vec::new(),
        };
        if root.get("k9s").is_none_or(|v| !v.is_mapping()) {
            return Err(Error::invalid("it has no `k9s:` section, so it is not a skin"));
        }
        skin.walk("", &root["k9s"]);
        if let Some(own) = root.get("quarterdeck") {
            skin.walk("quarterdeck", own);
        }
        Ok(skin)
    }

    fn walk(&mut self, path: &str, value: &Value) {
        match value {
            Value::Mapping(map) => {
                for (key, value) in map {
                    if let Some(key) = key.as_str() {
                        let below = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                        self.walk(&below, value);
                    }
                }
            }
            Value::Sequence(items) => {
                let colours = items.iter().filter_map(Value::as_str).filter_map(colour).collect();
                self.lists.insert(path.to_owned(), colours);
            }
            Value::String(text) if path.ends_with("fgStyle") => self.dim_menu = text == "dim",
            Value::String(text) => match colour(text) {
                Some(colour) => {
                    self.colours.insert(path.to_owned(), colour);
                }
                None => self.warnings.push(format!("{path}: {text:?} is not a colour")),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => {}
        }
    }

    fn own(&self, path: &str) -> Option<Color> {
        self.colours.get(path).copied()
    }

    fn get(&self, path: &str) -> Color {
        self.own(path).or_else(|| self.below.get(path).copied()).unwrap_or(Color::Reset)
    }

    /// Ours if the file has it, else the k9s colour that is nearest in meaning.
    fn ours(&self, path: &str, nearest: &str) -> Color {
        self.own(&format!("quarterdeck.{path}")).unwrap_or_else(|| self.get(nearest))
    }

    fn pair(&self, foreground: &str, background: &str) -> Style {
        Style::new().fg(self.get(foreground)).bg(self.get(background))
    }

    fn fg(&self, path: &str) -> Style {
        Style::new().fg(self.get(path))
    }

    fn theme(&self, name: &str) -> Theme {
        let bold = Modifier::BOLD;
        let our = |path: &str, nearest: &str| Style::new().fg(self.ours(path, nearest));
        let (table, title) = ("views.table", "frame.title");
        let found = Style::new()
            .fg(self.ours("found.fgColor", "views.table.cursorFgColor"))
            .bg(self.ours("found.bgColor", "frame.title.highlightColor"));
        Theme {
            name: name.to_owned(),
            body: self.pair("body.fgColor", "body.bgColor"),
            logo: self.fg("body.logoColor").add_modifier(bold),
            header_label: self.fg("info.sectionColor"),
            header_value: self.fg("info.fgColor"),
            prompt: self.pair("prompt.fgColor", "prompt.bgColor"),
            prompt_ghost: self.fg("prompt.suggestColor"),
            prompt_border: self.fg("prompt.border.command"),
            border: self.fg("frame.border.fgColor"),
            border_focused: self.fg("frame.border.focusColor"),
            title: self.pair(&format!("{title}.fgColor"), &format!("{title}.bgColor")).add_modifier(bold),
            title_highlight: self.fg("frame.title.highlightColor").add_modifier(bold),
            title_counter: self.fg("frame.title.counterColor").add_modifier(bold),
            title_filter: self.fg("frame.title.filterColor"),
            menu: self.fg("frame.menu.fgColor").add_modifier(if self.dim_menu {
                Modifier::DIM
            } else {
                Modifier::empty()
            }),
            menu_key: self.fg("frame.menu.keyColor").add_modifier(bold),
            crumb: self.pair("frame.crumbs.fgColor", "frame.crumbs.bgColor"),
            crumb_active: self.crumb_active(),
            table: self.pair(&format!("{table}.fgColor"), &format!("{table}.bgColor")),
            table_header: self
                .pair("views.table.header.fgColor", "views.table.header.bgColor")
                .add_modifier(bold),
            table_sorter: self.fg("views.table.header.sorterColor").add_modifier(bold),
            cursor: self.cursor(),
            marked: self.fg("views.table.markColor").add_modifier(bold),
            dialog: self.pair("dialog.fgColor", "dialog.bgColor"),
            dialog_label: self.fg("dialog.labelFgColor"),
            dialog_field: self.fg("dialog.fieldFgColor"),
            button: self.pair("dialog.buttonFgColor", "dialog.buttonBgColor"),
            button_focused: self
                .pair("dialog.buttonFocusFgColor", "dialog.buttonFocusBgColor")
                .add_modifier(bold),
            help: self.pair("help.fgColor", "help.bgColor"),
            help_key: self.fg("help.keyColor").add_modifier(bold),
            help_section: self.fg("help.sectionColor").add_modifier(bold),
            yaml_key: self.fg("views.yaml.keyColor"),
            yaml_colon: self.fg("views.yaml.colonColor"),
            yaml_value: self.fg("views.yaml.valueColor"),
            logs: self.pair("views.logs.fgColor", "views.logs.bgColor"),
            indicator: self.fg("views.logs.indicator.fgColor"),
            indicator_on: self.fg("views.logs.indicator.toggleOnColor").add_modifier(bold),
            indicator_off: self.fg("views.logs.indicator.toggleOffColor"),
            agent: our("agent", "frame.status.highlightColor").add_modifier(bold),
            person: our("person", "body.logoColor"),
            diff_added: our("diff.added", "frame.status.addColor"),
            diff_removed: our("diff.removed", "frame.status.errorColor"),
            diff_hunk: our("diff.hunk", "frame.status.completedColor"),
            found,
            banner: Style::new()
                .fg(self.own("quarterdeck.banner.fgColor").unwrap_or(Color::White))
                .bg(self.own("quarterdeck.banner.bgColor").unwrap_or(Color::Red))
                .add_modifier(bold),
            info: our("info", "frame.title.fgColor"),
            warning: our("warning", "frame.status.pendingColor"),
            error: our("error", "frame.status.errorColor"),
            success: our("success", "frame.status.addColor"),
            dim: our("dim", "frame.status.completedColor"),
            palette: self.palette(),
            tones: self.tones(),
        }
    }

    /// The active crumb is k9s's text colour on the active colour, unless that leaves no contrast.
    fn crumb_active(&self) -> Style {
        let (text, active) = (self.get("frame.crumbs.fgColor"), self.get("frame.crumbs.activeColor"));
        let below = self.get("frame.crumbs.bgColor");
        if active == below || below == Color::Reset {
            Style::new().fg(if active == below { text } else { active }).add_modifier(Modifier::BOLD)
        } else {
            Style::new().fg(text).bg(active).add_modifier(Modifier::BOLD)
        }
    }

    /// k9s gives the cursor row the cursor's background; older skins name only one of the two colours.
    fn cursor(&self) -> Style {
        let (fg, bg) = ("views.table.cursorFgColor", "views.table.cursorBgColor");
        let cursor = match (self.own(fg), self.own(bg), self.own("views.table.cursorColor")) {
            (None, None, None) => self.pair(fg, bg),
            (fg, bg, old) => {
                let bg = bg.or(old).unwrap_or(Color::LightCyan);
                Style::new().fg(fg.filter(|c| *c != bg).unwrap_or(Color::Black)).bg(bg)
            }
        }
        .add_modifier(Modifier::BOLD);
        // A cursor that looks like its table would be lost: then the two colours are swapped.
        let lost = cursor.bg == Some(Color::Reset) || cursor.bg == Some(self.get("views.table.bgColor"));
        if lost { cursor.add_modifier(Modifier::REVERSED) } else { cursor }
    }

    fn palette(&self) -> Vec<Style> {
        let own = self.lists.get("quarterdeck.palette").cloned().unwrap_or_default();
        let colours = if own.is_empty() {
            let mut colours: Vec<Color> = ["new", "add", "highlight", "modify", "pending"]
                .iter()
                .map(|s| self.get(&format!("frame.status.{s}Color")))
                .chain([self.get("views.yaml.keyColor"), self.get("frame.menu.keyColor")])
                .collect();
            colours.dedup();
            colours
        } else {
            own
        };
        colours.into_iter().map(|c| Style::new().fg(c)).collect()
    }

    fn tones(&self) -> Tones {
        let status = |name: &str| self.fg(&format!("frame.status.{name}Color"));
        Tones {
            normal: self.fg("views.table.fgColor"),
            new: status("new"),
            modified: status("modify"),
            pending: status("pending"),
            error: status("error"),
            killed: status("kill"),
            completed: status("completed"),
            highlight: status("highlight"),
            dim: Style::new().fg(self.ours("dim", "frame.status.completedColor")),
        }
    }
}

/// How many colours the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    None,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// From the environment: `NO_COLOR`, `COLORTERM`, `TERM`.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        if variable("NO_COLOR").is_some_and(|v| !v.is_empty()) || term == "dumb" {
            return Depth::None;
        }
        let colours = variable("COLORTERM").unwrap_or_default();
        if colours == "truecolor" || colours == "24bit" || term.ends_with("-direct") {
            Depth::True
        } else if term.contains("256color") {
            Depth::Indexed
        } else {
            Depth::Sixteen
        }
    }

    /// Brings a theme down to this depth.
    pub fn fit(self, theme: &mut Theme) {
        match self {
            Depth::True => {}
            Depth::None => theme.without_colour(),
            Depth::Sixteen | Depth::Indexed => theme.each(|style| {
                style.fg = style.fg.map(|c| self.nearest(c));
                style.bg = style.bg.map(|c| self.nearest(c));
            }),
        }
    }

    fn nearest(self, colour: Color) -> Color {
        let Color::Rgb(r, g, b) = colour else { return colour };
        if self == Depth::Indexed { indexed(r, g, b) } else { sixteen(r, g, b) }
    }
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let d = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    // The eye sees green best and blue least.
    3 * d(a.0, b.0) + 4 * d(a.1, b.1) + 2 * d(a.2, b.2)
}

/// The nearest of xterm's 6×6×6 cube (16–231) and its 24 greys (232–255).
fn indexed(r: u8, g: u8, b: u8) -> Color {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |v: u8| (0..6u8).min_by_key(|i| STEPS[usize::from(*i)].abs_diff(v)).unwrap_or(0);
    let (i, j, k) = (step(r), step(g), step(b));
    let cube = (STEPS[usize::from(i)], STEPS[usize::from(j)], STEPS[usize::from(k)]);
    let mean = ((u16::from(r) + u16::from(g) + u16::from(b)) / 3) as u8;
    let grey = (mean.saturating_sub(3) / 10).min(23);
    let level = 8 + 10 * grey;
    if distance((r, g, b), (level, level, level)) < distance((r, g, b), cube) {
        Color::Indexed(232 + grey)
    } else {
        Color::Indexed(16 + 36 * i + 6 * j + k)
    }
}

/// The nearest of the sixteen, as xterm shows them.
fn sixteen(r: u8, g: u8, b: u8) -> Color {
    const PALETTE: [(Color, (u8, u8, u8)); 16] = [
        (Color::Black, (0, 0, 0)),
        (Color::Red, (205, 0, 0)),
        (Color::Green, (0, 205, 0)),
        (Color::Yellow, (205, 205, 0)),
        (Color::Blue, (0, 0, 238)),
        (Color::Magenta, (205, 0, 205)),
        (Color::Cyan, (0, 205, 205)),
        (Color::Gray, (229, 229, 229)),
        (Color::DarkGray, (127, 127, 127)),
        (Color::LightRed, (255, 0, 0)),
        (Color::LightGreen, (0, 255, 0)),
        (Color::LightYellow, (255, 255, 0)),
        (Color::LightBlue, (92, 92, 255)),
        (Color::LightMagenta, (255, 0, 255)),
        (Color::LightCyan, (0, 255, 255)),
        (Color::White, (255, 255, 255)),
    ];
    PALETTE
        .iter()
        .min_by_key(|(_, rgb)| distance((r, g, b), *rgb))
        .map_or(Color::Reset, |(colour, _)| *colour)
}

/// The folders of a k9s user, whose skins load as they are.
pub fn k9s_folders(variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = variable("HOME").unwrap_or_default();
    let config = variable("XDG_CONFIG_HOME").unwrap_or_else(|| format!("{home}/.config"));
    let data = variable("XDG_DATA_HOME").unwrap_or_else(|| format!("{home}/.local/share"));
    variable("K9S_CONFIG_DIR")
        .map(|d| Path::new(&d).join("skins"))
        .into_iter()
        .chain([Path::new(&config).join("k9s/skins"), Path::new(&data).join("k9s/skins")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_theme_loads_without_a_warning() {
        for (name, _) in EMBEDDED {
            let loaded = load(name, &[]).unwrap();
            assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
            assert!(loaded.theme.palette.len() >= 6, "{name}");
            assert_ne!(loaded.theme.cursor.bg, loaded.theme.table.bg, "{name}");
            assert_ne!(loaded.theme.tones.error, loaded.theme.tones.normal, "{name}");
        }
    }

    #[test]
    fn a_skin_of_the_wild_loads() {
        let text = "
base: &base '#112233'
k9s:
  body: {fgColor: *base, bgColor: default, logoColour: typo}
  frame:
    status: {errorColor: orangered, newColor: blurple}
  views:
    table: {cursorColor: aqua}
    charts: {defaultDialColors: [red, green]}
";
        let (theme, warnings) = parse("wild", text).unwrap();
        assert_eq!(theme.body, Style::new().fg(Color::Rgb(0x11, 0x22, 0x33)).bg(Color::Reset));
        assert_eq!(theme.tones.error.fg, Some(Color::Rgb(255, 69, 0)));
        assert_eq!(theme.diff_removed.fg, theme.tones.error.fg, "ours are taken from the skin's own");
        assert_eq!(theme.cursor.bg, Some(Color::LightCyan));
        assert!(warnings.iter().any(|w| w.contains("newColor") && w.contains("blurple")), "{warnings:?}");
    }

    /// Skins that nobody here wrote, where they are at hand: `QD_K9S_CORPUS=…/k9s cargo test corpus`.
    #[test]
    fn every_skin_of_the_corpus_loads() {
        let Some(corpus) = std::env::var_os("QD_K9S_CORPUS").map(PathBuf::from) else { return };
        let folder = corpus.join("skins");
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            let loaded = load(&name, std::slice::from_ref(&folder))
                .unwrap_or_else(|e| panic!("{name}: {}", e.message));
            assert!(loaded.file.is_some(), "{name}");
            count += 1;
        }
        assert!(count >= 25, "only {count} skins");
    }

    #[test]
    fn what_is_no_skin_is_refused() {
        assert!(parse("x", "just: text").is_err());
        assert!(parse("x", "k9s: [").is_err());
        let error = load("nowhere", &[]).unwrap_err();
        assert!(error.next_step().contains("contrast"));
    }

    #[test]
    fn a_file_goes_over_the_embedded_theme_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("light.yaml"), "k9s: {body: {fgColor: '#010203'}}").unwrap();
        let loaded = load("light", &[dir.path().to_owned()]).unwrap();
        assert_eq!(loaded.theme.body.fg, Some(Color::Rgb(1, 2, 3)));
        assert!(loaded.file.is_some());
    }

    #[test]
    fn depths_follow_the_environment_and_fit_colours() {
        let env = |pairs: &'static [(&'static str, &'static str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        assert_eq!(Depth::detect(env(&[("TERM", "xterm-256color")])), Depth::Indexed);
        assert_eq!(Depth::detect(env(&[("TERM", "xterm"), ("COLORTERM", "truecolor")])), Depth::True);
        assert_eq!(Depth::detect(env(&[("TERM", "linux")])), Depth::Sixteen);
        assert_eq!(Depth::detect(env(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")])), Depth::None);
        assert_eq!(indexed(255, 0, 0), Color::Indexed(196));
        assert_eq!(indexed(128, 128, 128), Color::Indexed(244));
        assert_eq!(sixteen(250, 250, 250), Color::White);
        let mut theme = load("default", &[]).unwrap().theme;
        Depth::Sixteen.fit(&mut theme);
        theme.each(|s| assert!(!matches!(s.fg, Some(Color::Rgb(..)))));
        Depth::None.fit(&mut theme);
        theme.each(|s| assert_eq!((s.fg, s.bg), (None, None)));
    }
}
