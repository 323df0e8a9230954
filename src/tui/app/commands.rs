//! The command line: kinds, contexts, namespaces, and the history of places.

use std::borrow::Cow;

use compact_str::CompactString;
use serde_json::json;

use super::{App, Dirty};
use crate::base::text::{glob, is_glob, members, nearest};
use crate::base::{Error, Result};
use crate::gate::Request;
use crate::tui::command::{self, Candidates, Command, Wanted};
use crate::tui::effect::Flash;
use crate::tui::object::{Namespaces, Query, Route, Sought, are_several};
use crate::tui::panes::{self, Opened};
use crate::tui::prompt::PromptKind;
use crate::tui::shared::KindInfo;

/// How many places `[` can go back to.
const PLACES: usize = 50;

impl App {
    /// Runs a line as typed after `:`.
    pub fn run_command(&mut self, line: &str) {
        let expanded = self.shared.user.expand(line);
        let line = expanded.as_str();
        if !self.stack.is_empty() {
            self.hush();
        }
        match command::parse(line).and_then(|command| self.execute(command, line)) {
            Ok(()) => {}
            Err(error) => self.flash(Flash::error(&error)),
        }
        if self.stack.is_empty() {
            // There is always something on the screen: what could not be opened is said above the pods.
            let pane = panes::open(Route::Resources(self.query("pods".into())), &self.shared);
            if let Ok(Opened::Pane(pane)) = pane {
                self.replace(pane);
            }
        }
        self.soil(Dirty::Input);
    }

    /// The same, on top of what is there: Esc comes back.
    pub(super) fn run_command_above(&mut self, line: &str) {
        self.above = true;
        self.run_command(line);
        self.above = false;
    }

    fn execute(&mut self, command: Command, line: &str) -> Result<()> {
        let route = match command {
            Command::Quit { now: true } => {
                self.quit = true;
                return Ok(());
            }
            Command::Quit { now: false } => {
                self.ask_to_quit();
                return Ok(());
            }
            Command::Theme(Some(name)) => {
                self.options.theme = Some(name.to_string());
                self.load_theme(&name);
                return Ok(());
            }
            Command::Theme(None) => {
                let names = crate::tui::skin::names(&self.theme_folders());
                self.flash(Flash::info(format!("themes: {}", names.join(", "))));
                return Ok(());
            }
            Command::Keymap(name) => return self.keymap(name),
            Command::K9s => {
                // Read again first: somebody may have mended a file.
                self.session.show_setup = true;
                self.read_setup();
                return Ok(());
            }
            Command::Workspace(command) => return self.workspace(command),
            Command::Tab(line) => return self.new_tab(line.as_deref()),
            Command::Help => self.help(),
            Command::Aliases => Route::Aliases,
            Command::Audit => Route::Audit,
            Command::Approvals => Route::Approvals(None),
            Command::Timeline => Route::Timeline,
            Command::Participants => Route::Participants,
            Command::Messages => Route::Messages,
            Command::Notices => Route::Notices,
            Command::Grants => Route::Grants,
            Command::Workloads(namespaces) => Route::Workloads(namespaces),
            Command::Xray(kind, namespaces) => Route::Xray(self.resolve_kind(&kind), namespaces),
            Command::Pulses => Route::Pulses,
            Command::Find(wanted) => Route::Find(self.sought(wanted)?),
            Command::Dir(path) => Route::Dir(path),
            Command::Forwards => Route::Forwards(None),
            Command::Palette => Route::Palette,
            Command::Helm => Route::Helm,
            Command::Subjects(kind) => Route::Subjects(kind),
            Command::Can(subject) => Route::Rules { cluster: self.shared.clusters.first().cloned(), subject },
            Command::Context(None) => Route::Clusters,
            Command::Context(Some(name)) => {
                self.set_context(&name)?;
                self.here_or_pods()
            }
            Command::Namespace(None) => Route::Resources(self.query("namespaces".into())),
            Command::Namespace(Some(namespaces)) => {
                self.doubt(&namespaces);
                self.set_namespaces(namespaces);
                self.here_or_pods()
            }
            Command::Resources(wanted) if self.ask_for_kind(&wanted, line) => return Ok(()),
            Command::Resources(wanted) => Route::Resources(self.resources(wanted)?),
        };
        match panes::open(route, &self.shared)? {
            Opened::Layer(layer) => self.push_layer(layer),
            Opened::Pane(pane) if self.above => self.push(pane),
            Opened::Pane(pane) => {
                self.replace(pane);
                let place = self.stack.last().and_then(|slot| slot.pane.command());
                self.been_at(place.unwrap_or_else(|| line.to_owned()));
            }
        }
        Ok(())
    }

    /// The keys of what has the focus.
    pub(super) fn help(&self) -> Route {
        let modes = self.modes();
        let keymap = &self.shared.keymap;
        let sorts = keymap.bindings(&modes).map(|(_, b)| &b.action).filter(|action| action.name == "sort");
        let lacks = |column: &CompactString| self.top().is_some_and(|slot| !slot.pane.may_sort_by(column));
        let lacking = sorts.map(|action| action.words.clone()).filter(lacks).collect();
        Route::Help { modes, lacking }
    }

    /// What is in view, so that a change of namespace or cluster stays with it; pods where it is of no kind of object.
    fn here_or_pods(&self) -> Route {
        let pane = self.stack.last().map(|slot| &slot.pane);
        match pane.map(|pane| pane.name()).as_deref() {
            Some("pulse") => return Route::Pulses,
            Some("workloads") => return Route::Workloads(None),
            _ => {}
        }
        let modes = pane.map(|pane| pane.modes()).unwrap_or_default();
        let of_a_kind =
            modes.iter().any(|mode| ["objects", "text", "logs", "containers"].contains(&mode.as_str()));
        let kind = pane.and_then(|pane| pane.focus().kind).filter(|_| of_a_kind);
        Route::Resources(self.query(match kind.as_deref() {
            None | Some("namespaces" | "") => "pods".into(),
            Some(kind) => kind.into(),
        }))
    }

    fn query(&self, kind: CompactString) -> Query {
        Query {
            kind,
            clusters: self.shared.clusters.clone(),
            namespaces: self.shared.namespaces.clone(),
            ..Query::default()
        }
    }

    fn resources(&mut self, wanted: Wanted) -> Result<Query> {
        let kind = self.resolve_kind(&wanted.kind);
        // Of several clusters another one may have it.
        let elsewhere = wanted.context.is_some() || are_several(&self.shared.clusters);
        if !self.shared.kinds.is_empty() && !elsewhere && self.shared.kind(&kind).is_none() {
            let near = self
                .shared
                .kinds
                .iter()
                .map(|k| (strsim::damerau_levenshtein(&k.plural, &wanted.kind), k.plural.as_str()))
                .min()
                .filter(|(distance, _)| *distance <= 3)
                .map(|(_, near)| format!("Did you mean {near}? "))
                .unwrap_or_default();
            return Err(Error::not_found(format!("there is no kind or command {:?}", wanted.kind.as_str()))
                .next(format!("{near}Ctrl-a lists every kind.")));
        }
        self.go_where(&wanted)?;
        let mut query = self.query(kind);
        (query.labels, query.fields, query.filter) = (wanted.labels, wanted.fields, wanted.filter);
        (query.owner, query.sort) = (wanted.owner, wanted.sort);
        Ok(query)
    }

    /// Goes to the clusters and the namespaces that a line names.
    fn go_where(&mut self, wanted: &Wanted) -> Result<()> {
        if let Some(context) = &wanted.context {
            self.set_context(context)?;
        }
        if let Some(namespaces) = &wanted.namespaces {
            if wanted.context.is_none() {
                self.doubt(namespaces);
            }
            self.set_namespaces(namespaces.clone());
        }
        Ok(())
    }

    fn sought(&mut self, wanted: Wanted) -> Result<Sought> {
        self.go_where(&wanted)?;
        let Query { clusters, namespaces, .. } = self.query(CompactString::default());
        let Wanted { kind: text, labels, fields, filter, .. } = wanted;
        Ok(Sought { text, clusters, namespaces, labels, fields, filter })
    }

    /// Asks the cluster for a kind that is not known: a CRD may have come. Whether that is worth it.
    fn ask_for_kind(&mut self, wanted: &Wanted, line: &str) -> bool {
        let word = self.resolve_kind(&wanted.kind);
        let elsewhere = wanted.context.is_some() || are_several(&self.shared.clusters);
        let known = self.shared.kinds.is_empty() || self.shared.kind(&word).is_some();
        if known || elsewhere || !self.shared.has_operation("kind_list") {
            return false;
        }
        let mut arguments = self.cluster_argument();
        (arguments["matching"], arguments["limit"]) = (json!(word), json!(1_000));
        let ticket = self.next_ticket();
        self.executor.call(None, ticket, Request::new("kind_list", arguments));
        self.session.asked_kind = Some((ticket, line.to_owned()));
        self.flash(Flash::info(format!("no kind {word:?} is known yet: asking the cluster…")));
        true
    }

    /// What the cluster has of a kind that was not known: then the line that was typed leads there.
    pub(super) fn kind_came(&mut self, line: &str, found: Option<Vec<KindInfo>>) {
        let mut all = self.shared.kinds.to_vec();
        let new = found.unwrap_or_default().into_iter().filter(|kind| self.shared.kind(&kind.id).is_none());
        all.extend(new);
        self.shared.kinds = all.into();
        self.suggest();
        let unknown =
            |app: &Self, wanted: &Wanted| app.shared.kind(&app.resolve_kind(&wanted.kind)).is_none();
        match command::parse(line) {
            Ok(Command::Resources(wanted)) if unknown(self, &wanted) => {
                if let Err(error) = self.resources(wanted) {
                    self.flash(Flash::error(&error));
                }
            }
            _ => self.run_command(line),
        }
    }

    /// Another keymap; without one, say which there are.
    fn keymap(&mut self, name: Option<CompactString>) -> Result<()> {
        let Some(name) = name else {
            let names = crate::tui::keymap::Keymap::names(&self.keymap_folder());
            self.flash(Flash::info(format!("keymaps: {}", names.join(", "))));
            return Ok(());
        };
        self.load_keymap(&name)?;
        self.options.keymap = Some(name.to_string());
        self.flash(Flash::info(format!("the keys are those of the keymap {name}")));
        Ok(())
    }

    /// Says it when a namespace is not among those that are known. One may go there all the same: not everybody may
    /// list them, and it may come.
    fn doubt(&mut self, namespaces: &Namespaces) {
        let Namespaces::One(name) = namespaces else { return };
        let known = &self.session.namespaces;
        if known.is_empty() || known.contains(name) {
            return;
        }
        let near = nearest(name, known.iter().map(CompactString::as_str))
            .map(|near| format!("Did you mean {near}?"));
        let flash = Flash::warning(format!("no namespace {:?} is there now", name.as_str()));
        self.flash(flash.next(near.unwrap_or_else(|| ":ns lists them.".to_owned())));
    }

    /// The identifier of the kind that a word means.
    pub(super) fn resolve_kind(&self, word: &str) -> CompactString {
        if let Some(kind) = self.shared.kind(word) {
            return kind.id.clone();
        }
        command::well_known(word).map_or_else(|| word.to_lowercase().into(), CompactString::from)
    }

    /// Goes to a context, or to several as one: `eu-1`, `eu-1,us-*`, `all`.
    fn set_context(&mut self, set: &str) -> Result<()> {
        let clusters = self.contexts_of(set)?;
        self.note_set(set, &clusters);
        if clusters.is_empty() {
            return Err(Error::invalid(format!("{set:?} names no context"))
                .next("Name one after it, several with commas, or all."));
        }
        self.set_clusters(clusters);
        Ok(())
    }

    /// The contexts that a set names. Until they are known it is taken as it is written.
    pub(super) fn contexts_of(&self, set: &str) -> Result<Vec<CompactString>> {
        let known = &self.shared.known_clusters;
        if known.iter().any(|c| c.name == set) {
            return Ok(vec![set.into()]);
        }
        if known.is_empty() {
            return Ok(members(set).map(CompactString::from).collect());
        }
        let mut found: Vec<CompactString> = Vec::new();
        for word in members(set) {
            let fits = |name: &str| name == word || word == "all" || (is_glob(word) && glob(word, name));
            let fitting = known.iter().map(|c| &c.name).filter(|name| fits(name));
            let before = found.len();
            let new: Vec<CompactString> = fitting.filter(|name| !found.contains(name)).cloned().collect();
            found.extend(new);
            if found.len() == before && !found.iter().any(|name| fits(name)) {
                let names: Vec<&str> = known.iter().map(|c| c.name.as_str()).collect();
                return Err(Error::not_found(format!("there is no context {word:?}"))
                    .next(format!("The kubeconfig has {}.", names.join(", "))));
            }
        }
        Ok(found)
    }

    /// Contexts by their names, where a pane was opened on globs for them.
    pub(super) fn named<'a>(&self, clusters: &'a [CompactString]) -> Cow<'a, [CompactString]> {
        if !clusters.iter().any(|name| is_glob(name) || name == "all") {
            return clusters.into();
        }
        self.contexts_of(&clusters.join(",")).map_or_else(|_| clusters.into(), Cow::from)
    }

    /// The contexts are known now: what was named before that by globs becomes their names.
    pub(super) fn name_clusters(&mut self) {
        if !are_several(&self.shared.clusters) {
            return;
        }
        let set = self.shared.clusters.join(",");
        match self.contexts_of(&set) {
            Ok(clusters) if !clusters.is_empty() => {
                self.note_set(&set, &clusters);
                self.set_clusters(clusters);
            }
            Ok(_) => {}
            Err(error) => self.flash(Flash::error(&error)),
        }
    }

    pub(super) fn set_clusters(&mut self, clusters: Vec<CompactString>) {
        if self.shared.clusters != clusters {
            self.shared.clusters = clusters;
            self.cluster_changed();
        }
    }

    pub(super) fn set_namespaces(&mut self, namespaces: Namespaces) {
        if let Namespaces::One(name) | Namespaces::Several(name) = &namespaces
            && !self.shared.favourites.contains(name)
        {
            // A key keeps its namespace: new ones come behind, and only the last gives way.
            self.shared.favourites.truncate(8);
            self.shared.favourites.push(name.clone());
        }
        self.shared.namespaces = namespaces;
    }

    /// What the prompt's text could become.
    pub(super) fn suggest(&mut self) {
        if self.prompt.as_ref().is_none_or(|prompt| prompt.kind != PromptKind::Command) {
            return self.suggest_column();
        }
        let contexts: Vec<CompactString> =
            self.shared.known_clusters.iter().map(|c| c.name.clone()).collect();
        let themes = crate::tui::skin::names(&self.theme_folders());
        let keymaps = crate::tui::keymap::Keymap::names(&self.keymap_folder());
        let Some(prompt) = &mut self.prompt else { return };
        let candidates = Candidates {
            kinds: &self.shared.kinds,
            namespaces: &self.session.namespaces,
            contexts: &contexts,
            themes: &themes,
            keymaps: &keymaps,
        };
        prompt.suggestions = command::complete(prompt.text(), &candidates);
        let text = prompt.text().to_owned();
        let own = self.shared.user.aliases.keys().filter(|a| !text.is_empty() && a.len() > text.len());
        prompt.suggestions.extend(own.filter(|alias| alias.starts_with(&text)).cloned());
    }

    /// In a filter, the column whose name was begun.
    fn suggest_column(&mut self) {
        let columns = self.top().map(|slot| slot.pane.focus().columns).unwrap_or_default();
        if let Some(prompt) = &mut self.prompt {
            prompt.suggestions = command::complete_filter(prompt.text(), &columns);
        }
    }

    fn been_at(&mut self, place: String) {
        if self.places.get(self.place) == Some(&place) {
            return;
        }
        self.places.truncate(self.place + 1);
        if self.places.len() == PLACES {
            self.places.remove(0);
        }
        self.places.push(place);
        self.place = self.places.len() - 1;
    }

    /// `[` and `]`.
    pub(super) fn walk_history(&mut self, by: isize) {
        match self.place.checked_add_signed(by).filter(|place| *place < self.places.len()) {
            Some(place) => self.go_to_place(place),
            None => self.flash(Flash::info("the history goes no further")),
        }
    }

    /// `-`: to the place before, and back again.
    pub(super) fn last_place(&mut self) {
        let other = if self.place + 1 == self.places.len() {
            self.place.checked_sub(1)
        } else {
            Some(self.place + 1)
        };
        match other {
            Some(place) => self.go_to_place(place),
            None => self.flash(Flash::info("there was no place before this one")),
        }
    }

    fn go_to_place(&mut self, place: usize) {
        let Some(line) = self.places.get(place).cloned() else { return };
        let kept = self.places.clone();
        self.run_command(&line);
        // The walk itself is not a new place.
        self.places = kept;
        self.place = place;
    }
}
