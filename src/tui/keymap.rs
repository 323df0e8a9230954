//! Which key does what: read from YAML, looked up by mode.
//!
//! The key bar, the help and the keys themselves come from the same list, so that none can lie.

use std::collections::HashMap;
use std::path::Path;

use compact_str::CompactString;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use indexmap::IndexMap;
use serde::Deserialize;

use super::action::Action;
use crate::base::{Error, Result};

const DEFAULT: &str = "default";
const EMBEDDED: &str = include_str!("../../keymaps/default.yaml");

/// A key with its modifiers, in one form for every terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl From<KeyEvent> for Key {
    /// Terminals say Shift of a letter by the capital, with or without the modifier; Ctrl-\ to Ctrl-_ reach
    /// crossterm as the bytes 0x1C to 0x1F, which it calls Ctrl-4 to Ctrl-7.
    fn from(event: KeyEvent) -> Self {
        let mut modifiers =
            event.modifiers & (KeyModifiers::SHIFT | KeyModifiers::CONTROL | KeyModifiers::ALT);
        let code = match event.code {
            KeyCode::Char(c) => {
                let shifted = modifiers.contains(KeyModifiers::SHIFT);
                modifiers -= KeyModifiers::SHIFT;
                let control = modifiers.contains(KeyModifiers::CONTROL);
                KeyCode::Char(match c {
                    '4'..='7' if control => char::from(b'\\' + (c as u8 - b'4')),
                    c if control => c.to_ascii_lowercase(),
                    c if shifted => c.to_uppercase().next().unwrap_or(c),
                    c => c,
                })
            }
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            code => code,
        };
        Self { code, modifiers }
    }
}

impl Key {
    /// Reads a key as keymaps and k9s's files write it: `a`, `Shift-A`, `Ctrl-L`, `F1`, `space`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("{text:?} is not a key"));
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        while let Some((head, tail)) =
            rest.split_once('-').filter(|(head, tail)| !head.is_empty() && !tail.is_empty())
        {
            modifiers |= match head.to_ascii_lowercase().as_str() {
                "shift" => KeyModifiers::SHIFT,
                "ctrl" | "control" => KeyModifiers::CONTROL,
                "alt" => KeyModifiers::ALT,
                _ => return Err(wrong()),
            };
            rest = tail;
        }
        let mut single = rest.chars();
        let code = match (single.next(), single.next()) {
            // k9s reads Shift and a digit as the character that the US keyboard has there.
            (Some(digit @ '0'..='9'), None) if modifiers.contains(KeyModifiers::SHIFT) => {
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(char::from(b")!@#$%^&*("[usize::from(digit as u8 - b'0')]))
            }
            (Some(c), None) if modifiers.contains(KeyModifiers::SHIFT) => {
                modifiers -= KeyModifiers::SHIFT;
                KeyCode::Char(c.to_uppercase().next().unwrap_or(c))
            }
            (Some(c), None) if modifiers.contains(KeyModifiers::CONTROL) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            (Some(c), None) => KeyCode::Char(c),
            _ => named(&rest.to_ascii_lowercase()).ok_or_else(wrong)?,
        };
        Ok(Self { code, modifiers })
    }

    /// As the key bar writes it: `^d`, `M-v`, `G`, `⏎`.
    pub fn label(self) -> CompactString {
        use compact_str::format_compact;
        let base: CompactString = match self.code {
            KeyCode::Char(' ') => "space".into(),
            KeyCode::Char(c) => format_compact!("{c}"),
            KeyCode::F(n) => format_compact!("F{n}"),
            KeyCode::Enter => "⏎".into(),
            KeyCode::Esc => "esc".into(),
            KeyCode::Tab => "tab".into(),
            KeyCode::Backspace => "⌫".into(),
            KeyCode::Delete => "del".into(),
            KeyCode::Insert => "ins".into(),
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::PageUp => "pgup".into(),
            KeyCode::PageDown => "pgdn".into(),
            KeyCode::Home => "home".into(),
            KeyCode::End => "end".into(),
            other => format_compact!("{other}"),
        };
        let mut label = CompactString::default();
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            label.push('^');
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            label.push_str("M-");
        }
        if self.modifiers.contains(KeyModifiers::SHIFT) {
            label.push('⇧');
        }
        label + base.as_str()
    }
}

fn named(name: &str) -> Option<KeyCode> {
    Some(match name {
        "space" => KeyCode::Char(' '),
        "enter" | "return" => KeyCode::Enter,
        "esc" | "escape" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "backspace" => KeyCode::Backspace,
        "delete" | "del" => KeyCode::Delete,
        "insert" => KeyCode::Insert,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pageup" => KeyCode::PageUp,
        "pagedown" => KeyCode::PageDown,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        _ => match name.strip_prefix('f')?.parse() {
            Ok(n @ 1..=12) => KeyCode::F(n),
            _ => return None,
        },
    })
}

/// One line of a keymap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub keys: Vec<Key>,
    pub action: Action,
    /// What it does, in two or three words.
    pub desc: CompactString,
    /// Whether the key bar shows it.
    pub bar: bool,
}

impl Binding {
    /// The keys as the help writes them: `↑ k`.
    pub fn label(&self) -> CompactString {
        let labels: Vec<_> = self.keys.iter().map(|k| k.label()).collect();
        labels.join(" ").into()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    on: OneOrMany,
    run: String,
    #[serde(default)]
    desc: CompactString,
    #[serde(default = "shown")]
    bar: bool,
}

fn shown() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Whether a name stays in its folder.
fn is_file_name(name: &str) -> bool {
    !name.contains(['/', '\\']) && !name.starts_with('.')
}

/// Every mode's keys, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    modes: IndexMap<CompactString, Vec<Binding>>,
    index: HashMap<(CompactString, Key), usize>,
}

impl Keymap {
    /// The one inside the binary.
    pub fn embedded() -> Result<Self> {
        let mut keymap = Self::default();
        keymap.lay(EMBEDDED, "the default keymap")?;
        Ok(keymap)
    }

    /// The keymap of that name: the embedded one, with the file of that name in `folder` laid over it. The name
    /// `default` needs no file.
    pub fn named(name: &str, folder: &Path) -> Result<Self> {
        let file = ["yaml", "yml"]
            .map(|ending| folder.join(format!("{name}.{ending}")))
            .into_iter()
            .find(|f| f.is_file());
        match file {
            Some(file) if is_file_name(name) => Self::load(&[file]),
            None if name == DEFAULT => Self::embedded(),
            _ => {
                let error = Error::not_found(format!("there is no keymap {name:?}"));
                let names = Self::names(folder).join(", ");
                Err(error
                    .next(format!("There are: {names}. A file of your own goes into {}.", folder.display())))
            }
        }
    }

    /// The names that [`Keymap::named`] takes.
    pub fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "yml"))
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .chain([DEFAULT.to_owned()])
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The embedded one with the files laid over it, in their order.
    pub fn load(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut keymap = Self::embedded()?;
        for file in files {
            let file = file.as_ref();
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file)
                .map_err(|e| Error::invalid(format!("the keymap {name} cannot be read: {e}")))?;
            keymap.lay(&text, &name)?;
        }
        Ok(keymap)
    }

    /// Lays `text` over what is there: a key that it names is taken from its old binding in that mode.
    fn lay(&mut self, text: &str, source: &str) -> Result<()> {
        let wrong = |what: String| {
            Error::invalid(format!("{source}: {what}"))
                .next("Mend the file; until then the keys stay as they were.")
        };
        let file: IndexMap<CompactString, Vec<Entry>> =
            serde_yaml_ng::from_str(text).map_err(|e| wrong(e.to_string()))?;
        for (mode, entries) in file {
            let mut taken: Vec<Key> = Vec::new();
            let mut laid = Vec::new();
            for entry in entries {
                let names = match entry.on {
                    OneOrMany::One(key) => vec![key],
                    OneOrMany::Many(keys) => keys,
                };
                let mut keys = Vec::new();
                for name in &names {
                    let key = Key::parse(name).map_err(|e| wrong(format!("{mode}: {}", e.message)))?;
                    if taken.contains(&key) {
                        return Err(wrong(format!("{mode}: the key {name} is there twice")));
                    }
                    taken.push(key);
                    keys.push(key);
                }
                if entry.run != "none" {
                    let action = Action::parse(&entry.run)
                        .map_err(|e| wrong(format!("{mode}: {}: {e}", names.join(", "))))?;
                    let desc =
                        if entry.desc.is_empty() { action.name.replace('_', " ").into() } else { entry.desc };
                    laid.push(Binding { keys, action, desc, bar: entry.bar });
                }
            }
            let old = self.modes.entry(mode).or_default();
            for binding in old.iter_mut() {
                binding.keys.retain(|k| !taken.contains(k));
            }
            old.retain(|b| !b.keys.is_empty());
            // What a person has chosen comes first in the key bar.
            laid.append(old);
            *old = laid;
        }
        self.index = self
            .modes
            .iter()
            .flat_map(|(mode, bindings)| {
                bindings
                    .iter()
                    .enumerate()
                    .flat_map(move |(i, b)| b.keys.iter().map(move |k| ((mode.clone(), *k), i)))
            })
            .collect();
        Ok(())
    }

    /// What a key means in these modes, the most specific first.
    pub fn find(&self, modes: &[CompactString], event: KeyEvent) -> Option<&Binding> {
        let key = Key::from(event);
        modes.iter().find_map(|mode| {
            let at = *self.index.get(&(mode.clone(), key))?;
            self.modes.get(mode)?.get(at)
        })
    }

    /// What holds a key in these modes.
    pub fn held(&self, modes: &[&str], key: Key) -> Option<&Binding> {
        modes.iter().find_map(|mode| {
            let mode = CompactString::new(mode);
            let at = *self.index.get(&(mode.clone(), key))?;
            self.modes.get(&mode)?.get(at)
        })
    }

    /// Adds a binding behind those that a mode has.
    pub fn add(&mut self, mode: &str, binding: Binding) {
        let mode = CompactString::new(mode);
        let bindings = self.modes.entry(mode.clone()).or_default();
        for key in &binding.keys {
            self.index.insert((mode.clone(), *key), bindings.len());
        }
        bindings.push(binding);
    }

    /// What a key, as files write it, runs in these modes.
    pub fn bound(&self, modes: &[&str], key: &str) -> Result<Option<&Action>> {
        let found = self.held(modes, Key::parse(key)?);
        Ok(found.map(|binding| &binding.action))
    }

    /// The bindings that hold in these modes, in the order of the bar: those of the most specific mode first, none
    /// whose keys all mean something else there.
    pub fn bindings<'a>(
        &'a self,
        modes: &'a [CompactString],
    ) -> impl Iterator<Item = (&'a str, &'a Binding)> {
        modes.iter().enumerate().flat_map(move |(depth, mode)| {
            let bindings = self.modes.get(mode).map_or(&[][..], Vec::as_slice);
            bindings.iter().filter_map(move |binding| {
                let hidden = |key: &Key| {
                    modes[..depth].iter().any(|above| self.index.contains_key(&(above.clone(), *key)))
                };
                (!binding.keys.iter().all(hidden)).then_some((mode.as_str(), binding))
            })
        })
    }

    /// Every action that some key runs, with its mode: for checks.
    pub fn actions(&self) -> impl Iterator<Item = (&str, &Action)> {
        self.modes
            .iter()
            .flat_map(|(mode, bindings)| bindings.iter().map(move |b| (mode.as_str(), &b.action)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(names: &[&str]) -> Vec<CompactString> {
        names.iter().map(|n| (*n).into()).collect()
    }

    fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn the_embedded_keymap_loads_and_every_line_says_what_it_does() {
        let keymap = Keymap::embedded().unwrap();
        for (mode, bindings) in &keymap.modes {
            for binding in bindings {
                assert!(!binding.desc.is_empty(), "{mode}");
            }
        }
        let pods = modes(&["pods", "objects", "table", "global"]);
        let find = |code, modifiers| keymap.find(&pods, press(code, modifiers)).map(|b| b.action.name);
        assert_eq!(find(KeyCode::Char('l'), KeyModifiers::NONE), Some("logs"));
        assert_eq!(find(KeyCode::Char('d'), KeyModifiers::CONTROL), Some("delete"));
        assert_eq!(find(KeyCode::Char('G'), KeyModifiers::SHIFT), Some("bottom"));
        assert_eq!(find(KeyCode::Char('G'), KeyModifiers::NONE), Some("bottom"));
        assert_eq!(
            find(KeyCode::Char('4'), KeyModifiers::CONTROL),
            Some("mark_clear"),
            "Ctrl-\\ as a terminal sends it"
        );
        assert_eq!(find(KeyCode::Char('?'), KeyModifiers::SHIFT), Some("help"));
        assert_eq!(find(KeyCode::Char('Q'), KeyModifiers::NONE), None);
    }

    #[test]
    fn keys_are_read_as_k9s_writes_them() {
        let same = |a: &str, b: &str| assert_eq!(Key::parse(a).unwrap(), Key::parse(b).unwrap(), "{a} {b}");
        same("Shift-A", "A");
        same("Shift-a", "A");
        same("Ctrl-L", "ctrl-l");
        same("Shift-1", "!");
        same("Shift-0", ")");
        assert_eq!(Key::parse("-").unwrap().label(), "-");
        assert_eq!(Key::parse("Ctrl--").unwrap().label(), "^-");
        assert_eq!(Key::parse("Shift-Tab").unwrap(), Key::from(press(KeyCode::BackTab, KeyModifiers::SHIFT)));
        for wrong in ["", "Hyper-x", "F13", "Ctrl-", "nokey"] {
            assert!(Key::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_is_laid_over_and_can_free_a_key() {
        let mut keymap = Keymap::embedded().unwrap();
        keymap.lay("table: [{on: j, run: none}, {on: Ctrl-j, run: down}]", "mine").unwrap();
        let table = modes(&["table"]);
        assert!(keymap.find(&table, press(KeyCode::Char('j'), KeyModifiers::NONE)).is_none());
        assert!(
            keymap.find(&table, press(KeyCode::Down, KeyModifiers::NONE)).is_some(),
            "its other key stays"
        );
        assert_eq!(
            keymap.find(&table, press(KeyCode::Char('j'), KeyModifiers::CONTROL)).unwrap().desc,
            "down"
        );
    }

    #[test]
    fn a_keymap_is_chosen_by_its_name_and_others_in_the_folder_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("vi.yaml", "table: [{on: Ctrl-n, run: down}]");
        write("other.yml", "table: [{on: Ctrl-n, run: up}]");
        let table = modes(&["table"]);
        let key = press(KeyCode::Char('n'), KeyModifiers::CONTROL);
        let action =
            |name: &str| Keymap::named(name, folder.path()).unwrap().find(&table, key).map(|b| b.action.name);
        assert_eq!((action("vi"), action("other"), action("default")), (Some("down"), Some("up"), None));
        write("default.yaml", "table: [{on: Ctrl-n, run: top}]");
        assert_eq!(action("default"), Some("top"), "one's own default goes over the shipped one");
        let error = Keymap::named("emacs", folder.path()).unwrap_err();
        assert!(error.next_step().contains("default, other, vi"), "{}", error.next_step());
        assert!(Keymap::named("../keymaps/vi", folder.path()).is_err());
        assert!(Keymap::named("default", Path::new("/nonexistent")).is_ok());
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (text, says) in [
            ("pods: [{on: l, run: lgos}]", "logs"),
            ("pods: [{on: l, run: logs}, {on: l, run: logs}]", "twice"),
            ("pods: [{on: Hyper-l, run: logs}]", "Hyper-l"),
            ("pods: [{on: l, runs: logs}]", "runs"),
            ("pods: [{on: l, run: sort}]", "sort"),
        ] {
            let error = Keymap::default().lay(text, "mine.yaml").unwrap_err();
            assert!(error.message.contains("mine.yaml") && error.message.contains(says), "{}", error.message);
        }
    }

    #[test]
    fn the_bar_has_the_most_specific_first_and_nothing_that_is_hidden() {
        let keymap = Keymap::embedded().unwrap();
        let logs = modes(&["logs", "global"]);
        let bar: Vec<_> = keymap.bindings(&logs).filter(|(_, b)| b.bar).collect();
        assert_eq!(bar[0].1.action.name, "autoscroll");
        assert!(!bar.iter().any(|(_, b)| b.action.name == "ask"), "a is all containers in logs");
        assert!(bar.iter().any(|(_, b)| b.action.name == "help"));
    }
}
