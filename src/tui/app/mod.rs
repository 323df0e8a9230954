//! The application: panes, dialogs, the prompt, and what holds them together.
//!
//! It takes events one at a time and never waits; effects run on the [`Executor`]. The runner (or
//! a test) feeds it and asks it to draw when [`App::dirty`] says so.

mod commands;
mod draw;
mod focus;
mod input;
mod own;
mod perform;
mod point;
mod session;
mod sets;
mod tabs;
mod talk;
mod told;
mod workspaces;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::chrome::Flags;
use super::effect::{Cx, Flash, Message, PaneId, Ticket};
use super::executor::{Envelope, Executor};
use super::keymap::Keymap;
use super::pane::Pane;
use super::prompt::Prompt;
use super::shared::Shared;
use super::theme::Theme;
use crate::base::{ActorKind, Result, SafeText, SharedClock};
use crate::bus::{Changed, Event, Level};
use crate::gate::Client;

/// How the console starts.
#[derive(Clone)]
pub struct Options {
    /// Typed after `:` at the start: `pods -A`. Without one, pods of all namespaces.
    pub command: Option<String>,
    /// A theme's name: one of ours, or a file in the theme folders.
    pub theme: Option<String>,
    /// A keymap's name: a file in the keymap folder, laid over the shipped keys.
    pub keymap: Option<String>,
    /// Where own `themes/` and `keymaps/` folders are.
    pub config_dir: Option<PathBuf>,
    /// No key that changes something.
    pub read_only: bool,
    /// Changes are offered though a k9s user's files say read-only.
    pub write: bool,
    pub mouse: bool,
    /// The person's own editor is opened for long texts, not the built-in one.
    pub own_editor: bool,
    /// The namespace that new tables show; `None` shows all.
    pub namespace: Option<String>,
    /// Where it is kept how tables were sorted; `None` forgets it with the session.
    pub sorts: Option<PathBuf>,
    /// Where log panes keep what memory has no room for.
    pub log_disk: super::Disk,
    pub clock: SharedClock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: None,
            theme: None,
            keymap: None,
            config_dir: None,
            read_only: false,
            write: false,
            mouse: true,
            own_editor: true,
            namespace: None,
            sorts: None,
            log_disk: super::Disk::default(),
            clock: Arc::new(crate::base::SystemClock),
        }
    }
}

/// How soon a frame is wanted. Ordered: the runner waits less for the greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Dirty {
    #[default]
    No,
    /// Something came in: at most 30 frames a second show it.
    Data,
    /// A key was pressed: its effect is shown at once.
    Input,
    /// Nothing on the terminal is as we believe: everything is written again.
    Everything,
}

/// What only the terminal's owner can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Outbound {
    /// Onto the clipboard (OSC 52).
    Copy(String),
    Bell,
    /// Leave the screen to `$EDITOR`, then call [`App::edited`].
    Editor {
        ticket: Ticket,
        text: String,
        suffix: &'static str,
        /// The line to begin at, from 0.
        line: Option<usize>,
    },
    /// Leave the terminal to a command until the call is over, then call [`App::returned`].
    Terminal {
        ticket: Ticket,
        request: crate::gate::Request,
    },
    /// Give the terminal to the call of [`App::take_talk`], then call [`App::talked`].
    Talk {
        ticket: Ticket,
        label: String,
    },
}

/// How long a key's work may take and still be waited for.
const KEY_WORK: jiff::SignedDuration = jiff::SignedDuration::from_millis(500);

/// What was last said to the operator.
struct Said {
    flash: Flash,
    at: Timestamp,
    until: Timestamp,
    /// Whoever goes on working has not therefore read it: it stays for its time.
    stays: bool,
}

struct Slot {
    id: PaneId,
    pane: Box<dyn Pane>,
}

/// A change that runs whether its pane is still there or not.
struct Background {
    label: String,
    since: Timestamp,
    /// The plugin that runs, if it is one: its output is to be shown.
    plugin: Option<String>,
}

/// See the module.
pub struct App {
    shared: Shared,
    clock: SharedClock,
    theme: Theme,
    /// The keymap as chosen, without the person's own keys of hotkeys and plugins.
    keymap: Arc<Keymap>,
    options: Options,
    executor: Executor,
    tickets: u64,
    panes: u64,
    /// The drill-down, the top one shown.
    stack: Vec<Slot>,
    layers: Vec<Slot>,
    /// The other stacks.
    tabs: tabs::Tabs,
    prompt: Option<Prompt>,
    command_history: Vec<String>,
    /// Command lines that led somewhere, for `[`, `]` and `-`.
    places: Vec<String>,
    place: usize,
    /// The command that runs now opens its pane on top of the others.
    above: bool,
    flash: Option<Said>,
    flags: Flags,
    background: HashMap<Ticket, Background>,
    /// Calls that wait for the terminal.
    talks: HashMap<Ticket, crate::gate::Interaction>,
    session: session::Session,
    shown: point::Shown,
    outbound: VecDeque<Outbound>,
    dirty: Dirty,
    /// When the last key was pressed; the start counts as one.
    pressed: Option<Timestamp>,
    quit: bool,
    drawn: draw::Drawn,
}

impl App {
    /// Starts on the client's system. Messages for it come out of the receiver.
    pub fn new(client: Client, options: Options) -> Result<(Self, mpsc::Receiver<Envelope>)> {
        let mut shared = Shared::new(client.actor().clone(), client.catalogue());
        shared.keymap = Arc::new(Keymap::embedded()?);
        shared.read_only = options.read_only;
        shared.sorts = super::sorts::Sorts::of(options.sorts.clone());
        shared.log_disk = options.log_disk.clone();
        if let Some(namespace) = &options.namespace {
            shared.namespaces = super::object::Namespaces::parse(namespace);
        }
        let (executor, receiver) = Executor::new(client);
        let mut app = Self {
            keymap: shared.keymap.clone(),
            shared,
            clock: options.clock.clone(),
            theme: super::skin::load("default", &[])?.theme,
            executor,
            tickets: 0,
            panes: 0,
            stack: Vec::new(),
            layers: Vec::new(),
            tabs: tabs::Tabs::default(),
            prompt: None,
            command_history: Vec::new(),
            places: Vec::new(),
            place: 0,
            above: false,
            flash: None,
            flags: Flags::default(),
            background: HashMap::new(),
            talks: HashMap::new(),
            session: session::Session::default(),
            shown: point::Shown::default(),
            outbound: VecDeque::new(),
            dirty: Dirty::Everything,
            pressed: Some(options.clock.now()),
            quit: false,
            drawn: draw::Drawn::default(),
            options,
        };
        app.reload_files();
        app.start_session();
        let first = app.options.command.clone().unwrap_or_else(|| "pods".to_owned());
        app.run_command(&first);
        Ok((app, receiver))
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    pub fn client(&self) -> &Client {
        self.executor.client()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn wants_quit(&self) -> bool {
        self.quit
    }

    pub fn dirty(&self) -> Dirty {
        self.dirty
    }

    pub fn soil(&mut self, dirty: Dirty) {
        self.dirty = self.dirty.max(dirty);
    }

    /// What the terminal's owner must do next.
    pub fn outbound(&mut self) -> Option<Outbound> {
        self.outbound.pop_front()
    }

    /// The folder of the configuration, whose themes and keymaps are followed. It need not be there yet.
    pub fn watched_folder(&self) -> Option<&Path> {
        self.options.config_dir.as_deref()
    }

    /// Reads themes and keymaps again, after a file changed. What is wrong is said, and the old stays.
    pub fn reload_files(&mut self) {
        let name = self.options.theme.clone().unwrap_or_else(|| "default".to_owned());
        self.load_theme(&name);
        let name = self.options.keymap.clone().unwrap_or_else(|| "default".to_owned());
        if let Err(error) = self.load_keymap(&name) {
            self.flash(Flash::error(&error));
        }
        self.soil(Dirty::Everything);
    }

    fn keymap_folder(&self) -> PathBuf {
        self.options.config_dir.as_ref().map(|dir| dir.join("keymaps")).unwrap_or_default()
    }

    pub(super) fn load_keymap(&mut self, name: &str) -> Result<()> {
        self.keymap = Arc::new(Keymap::named(name, &self.keymap_folder())?);
        self.lay_own_keys();
        self.soil(Dirty::Everything);
        Ok(())
    }

    fn theme_folders(&self) -> Vec<PathBuf> {
        super::files::theme_folders(self.options.config_dir.as_deref())
    }

    fn load_theme(&mut self, name: &str) {
        match super::skin::load(name, &self.theme_folders()) {
            Ok(loaded) => {
                self.theme = loaded.theme;
                super::skin::Depth::detect(|name| std::env::var(name).ok()).fit(&mut self.theme);
                if let Some(warning) = loaded.warnings.first() {
                    self.flash(Flash::warning(warning.clone()));
                }
                self.soil(Dirty::Everything);
            }
            Err(error) => self.flash(Flash::error(&error)),
        }
    }

    /// The focused pane or layer.
    fn top(&self) -> Option<&Slot> {
        self.layers.last().or(self.stack.last())
    }

    fn modes(&self) -> Vec<CompactString> {
        let Some(top) = self.top() else { return vec!["global".into()] };
        let own = top.pane.modes();
        if !self.layers.is_empty() {
            return own.into_iter().chain(["dialog".into()]).collect();
        }
        let (over, under) = super::user::modes(&own);
        over.into_iter().chain(own).chain(["global".into()]).chain(under).collect()
    }

    /// Lets a pane do something and performs what it asks for.
    fn with<T>(&mut self, id: PaneId, work: impl FnOnce(&mut dyn Pane, &mut Cx<'_>) -> T) -> Option<T> {
        let now = self.clock.now();
        let mut effects = Vec::new();
        let own = self.stack.iter_mut().chain(&mut self.layers);
        let slot = own.chain(self.tabs.slots()).find(|slot| slot.id == id)?;
        let mut cx = Cx::new(&self.shared, now, &mut effects, &mut self.tickets);
        let result = work(slot.pane.as_mut(), &mut cx);
        self.perform(Some(id), effects);
        Some(result)
    }

    fn every_pane(&mut self, mut work: impl FnMut(&mut dyn Pane, &mut Cx<'_>)) {
        let own = self.stack.iter().chain(&self.layers).map(|slot| slot.id);
        let ids: Vec<PaneId> = own.chain(self.tabs.ids()).collect();
        for id in ids {
            self.with(id, |pane, cx| work(pane, cx));
        }
    }

    /// Takes a message of the executor.
    pub fn receive(&mut self, envelope: Envelope) {
        if !self.executor.arrived(&envelope.message) {
            return;
        }
        match envelope.to {
            None => self.receive_own(envelope.message),
            Some(id) => {
                let visible = self.is_visible(id);
                let worked_out = matches!(envelope.message, Message::Job { .. });
                self.with(id, |pane, cx| pane.receive(envelope.message, cx));
                if visible {
                    self.soil(if worked_out && self.pressed_lately() { Dirty::Input } else { Dirty::Data });
                }
            }
        }
    }

    /// Whether what a thread has worked out now is the rest of a key's effect, rows filtered or ordered anew.
    fn pressed_lately(&self) -> bool {
        self.pressed.is_some_and(|at| self.clock.now().duration_since(at) < KEY_WORK)
    }

    fn is_visible(&self, id: PaneId) -> bool {
        let panes = self.stack.last().into_iter().chain(&self.layers).chain(self.tabs.other());
        panes.into_iter().any(|slot| slot.id == id)
    }

    /// Takes an event of the bus.
    pub fn event(&mut self, event: Arc<Event>) {
        self.note_event(&event);
        self.every_pane(|pane, cx| pane.receive(Message::Event(event.clone()), cx));
    }

    /// The editor was closed: see [`Outbound::Editor`].
    pub fn edited(&mut self, ticket: Ticket, owner_result: Result<Option<String>>) {
        let Some(owner) = self.session.editing.take() else { return };
        self.with(owner, |pane, cx| pane.receive(Message::Edited { ticket, result: owner_result }, cx));
        self.soil(Dirty::Everything);
    }

    /// Says something to the operator for a while.
    fn flash(&mut self, flash: Flash) {
        use crate::bus::Level;
        let seconds = match flash.level {
            Level::Info => 3,
            Level::Warning => 6,
            Level::Error => 12,
        };
        if flash.level == Level::Error {
            let text = crate::base::SafeText::new(&flash.text);
            self.shared.happened(super::shared::Happening {
                at: self.clock.now(),
                actor: None,
                call: None,
                text,
                mark: super::shared::Mark::Failed,
                said: true,
            });
        }
        self.show(flash, seconds, false);
    }

    /// Takes away what was said of an earlier step, now that another one begins.
    fn hush(&mut self) {
        self.flash = self.flash.take().filter(|said| said.stays);
    }

    /// The same, but for what was said of the step that is under way.
    fn hush_earlier(&mut self) {
        let pressed = self.pressed;
        self.flash = self.flash.take().filter(|said| said.stays || pressed.is_none_or(|key| said.at >= key));
    }

    /// Says that an object changed, and rings: whoever asked for that may look elsewhere. What an assistant watches is its
    /// own business.
    fn tell_change(&mut self, changed: &Changed) {
        if changed.actor.kind == ActorKind::Person {
            let level = if changed.bad { Level::Error } else { Level::Info };
            let text = SafeText::new(&changed.words()).to_string();
            let next = Some(":notices has all that is watched.".to_owned());
            self.show(Flash { level, text, next }, 60, false);
            self.outbound.push_back(Outbound::Bell);
        }
    }

    /// Puts a line on the screen for so many seconds. What `stays` does not give way to the next command.
    fn show(&mut self, flash: Flash, seconds: u64, stays: bool) {
        let at = self.clock.now();
        let until = at.checked_add(std::time::Duration::from_secs(seconds));
        self.flash = until.ok().map(|until| Said { flash, at, until, stays });
        self.soil(Dirty::Data);
    }
}
