//! What all the files together say for one context.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folders::Folders;
use super::node::Node;
use super::plugin::{self, Plugin};
use super::read::{self, Reader};

/// Something in a file that cannot be used, or is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    pub file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// One sentence: what is wrong, and what becomes of it.
    pub what: String,
}

/// A command line under a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct HotKey {
    pub id: String,
    pub short_cut: String,
    pub description: String,
    /// As typed after `:`.
    pub command: String,
    #[serde(rename = "override")]
    pub overrides: bool,
    /// Esc comes back to where it was pressed.
    pub keep_history: bool,
    pub file: String,
}

/// Columns and order of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct View {
    /// `v1/pods`, `v1/pods@kube-.*`, or an alias.
    pub of: String,
    /// `NAME`, or `NAME:.json.path|FLAGS`.
    pub columns: Vec<String>,
    /// `AGE:desc`.
    pub sort_column: Option<String>,
}

/// What Enter does on an object of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Jump {
    /// `cert-manager.io/v1/certificates`.
    pub from: String,
    /// `v1/secrets`.
    pub to: String,
    /// Each of the following may hold `{{.metadata.name}}` and the like.
    pub label_selector: Option<String>,
    pub field_selector: Option<String>,
    /// A namespace, or `all`; without one, the object's own.
    pub target_namespace: Option<String>,
}

/// What of `config.yaml` the console heeds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Settings {
    pub skin: Option<String>,
    pub read_only: Option<bool>,
    /// The view that a context opens with.
    pub default_view: Option<String>,
    pub crumbsless: Option<bool>,
    pub full_screen: Option<bool>,
    pub no_exit_on_ctrl_c: Option<bool>,
    /// Namespaces on the keys 1 to 9.
    pub favourites: Vec<String>,
    pub namespace: Option<String>,
    /// Of the pod of a node's shell.
    pub shell_image: Option<String>,
    pub shell_namespace: Option<String>,
    /// Where port-forwards listen.
    pub forward_address: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// The files that were read.
    pub files: Vec<PathBuf>,
    pub problems: Vec<Problem>,
    pub settings: Settings,
    pub aliases: BTreeMap<String, String>,
    pub hot_keys: Vec<HotKey>,
    pub plugins: Vec<Plugin>,
    pub views: Vec<View>,
    pub jumps: Vec<Jump>,
}

impl Setup {
    /// Reads what is there. `context` is the kubeconfig's cluster and context names, whose own files go over the rest.
    pub fn read(folders: &Folders, context: Option<(&str, &str)>) -> Self {
        let mut setup = Self::default();
        let main = &folders.config;
        setup.file(&main.join("config.yaml"), config);
        setup.file(&main.join("aliases.yaml"), aliases);
        setup.file(&main.join("hotkeys.yaml"), hot_keys);
        setup.file(&main.join("plugins.yaml"), plugins);
        setup.file(&main.join("views.yaml"), views);
        setup.file(&main.join("jumps.yaml"), jumps);
        for folder in &folders.plugins {
            for file in yaml_files(folder) {
                setup.file(&file, plugins);
            }
        }
        if let Some((cluster, name)) = context {
            let own = folders.context(cluster, name);
            setup.file(&own.join("config.yaml"), config);
            setup.file(&own.join("aliases.yaml"), aliases);
            setup.file(&own.join("hotkeys.yaml"), hot_keys);
            setup.file(&own.join("plugins.yaml"), plugins);
        }
        setup
    }

    /// The settings alone: for the start, before there is anything else.
    pub fn settings(folders: &Folders) -> Settings {
        let mut setup = Self::default();
        setup.file(&folders.config.join("config.yaml"), config);
        setup.settings
    }

    pub fn plugin(&self, id: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|p| p.id == id)
    }

    fn file(&mut self, path: &Path, take: fn(&mut Reader<'_>, &Node, &mut Self)) {
        let mut problems = std::mem::take(&mut self.problems);
        // k9s takes both endings in folders; its own files end in yaml.
        let other = path.with_extension("yml");
        let path = if !path.exists() && other.exists() { &other } else { path };
        if let Some((mut reader, node)) = read::open(path, &mut problems) {
            self.files.push(path.to_owned());
            take(&mut reader, &node, self);
        }
        self.problems = problems;
    }
}

/// The YAML files below a folder, in the order of their paths.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    const DEEPEST: usize = 6;
    fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if depth < DEEPEST {
                    walk(&path, depth + 1, found);
                }
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, 0, &mut found);
    found.sort();
    found
}

fn section<'a>(reader: &mut Reader<'_>, root: &'a Node, names: &[&'static str]) -> (&'static str, &'a Node) {
    let found = names.iter().find_map(|name| Some((*name, root.get(name)?)));
    match found {
        Some((name, node)) => {
            if !node.is_map() && *node != Node::Null {
                reader.problem(name, format!("{name} is no mapping, and is ignored"));
            }
            reader.unknown_keys("", root, &[name]);
            (name, node)
        }
        None => {
            if *root != Node::Null {
                reader.problem("", format!("it has no {}, and nothing of it is used", names[0]));
            }
            ("", &Node::Null)
        }
    }
}

fn aliases(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    let (name, node) = section(reader, root, &["aliases", "alias"]);
    for (alias, value) in node.entries() {
        match value.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
            Some(text) => {
                setup.aliases.insert(alias.trim().to_lowercase(), text);
            }
            None => reader.problem(&format!("{name}/{alias}"), format!("the alias {alias} names nothing")),
        }
    }
    for alias in node.entries().iter().map(|(alias, _)| alias) {
        if loops(&setup.aliases, alias) {
            reader.problem(&format!("{name}/{alias}"), format!("the alias {alias} leads back to itself"));
            setup.aliases.remove(&alias.to_lowercase());
        }
    }
}

/// Whether an alias's chain comes round.
fn loops(aliases: &BTreeMap<String, String>, alias: &str) -> bool {
    let mut seen = vec![alias.to_lowercase()];
    let mut at = alias.to_lowercase();
    while let Some(text) = aliases.get(&at) {
        let Some(next) = text.split_whitespace().next().map(str::to_lowercase) else { return false };
        // `pods: pods app=x` is no chain: the word means the kind.
        if next == at {
            return false;
        }
        if seen.contains(&next) {
            return true;
        }
        seen.push(next.clone());
        at = next;
    }
    false
}

const HOT_KEYS: &[&str] = &["shortCut", "override", "description", "command", "keepHistory"];

fn hot_keys(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    let (name, node) = section(reader, root, &["hotKeys", "hotKey"]);
    for (id, value) in node.entries() {
        let at = format!("{name}/{id}");
        reader.unknown_keys(&at, value, HOT_KEYS);
        let short_cut = reader.text(&at, value, "shortCut").unwrap_or_default().trim().to_owned();
        let command = reader.text(&at, value, "command").unwrap_or_default().trim().to_owned();
        if short_cut.is_empty() || command.is_empty() {
            let missing = if short_cut.is_empty() { "shortCut" } else { "command" };
            reader.problem(&at, format!("the hotkey {id} cannot be used: it has no {missing}"));
            continue;
        }
        if !read::is_key(&short_cut) {
            let what =
                format!("the hotkey {id} cannot be used: {short_cut:?} is no key (a, Shift-A, Ctrl-L, F1)");
            reader.problem(&format!("{at}/shortCut"), what);
            continue;
        }
        let hot_key = HotKey {
            description: reader.text(&at, value, "description").unwrap_or_else(|| command.clone()),
            id: id.clone(),
            short_cut,
            command,
            overrides: reader.bool(&at, value, "override").unwrap_or_default(),
            keep_history: reader.bool(&at, value, "keepHistory").unwrap_or_default(),
            file: reader.file(),
        };
        setup.hot_keys.retain(|old| old.id != *id);
        setup.hot_keys.push(hot_key);
    }
}

fn plugins(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    for plugin in plugin::plugins(reader, root) {
        setup.plugins.retain(|old| old.id != plugin.id);
        setup.plugins.push(plugin);
    }
}

fn views(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    // k9s had it under its own name once.
    let inner = root.get("k9s").filter(|node| node.get("views").is_some()).unwrap_or(root);
    let (name, node) = section(reader, inner, &["views"]);
    for (of, value) in node.entries() {
        let at = format!("{name}/{of}");
        reader.unknown_keys(&at, value, &["columns", "sortColumn"]);
        if let Some((_, namespace)) = of.split_once('@')
            && let Err(error) = regex::Regex::new(namespace)
        {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim().to_owned();
            reader.problem(&at, format!("the view {of} cannot be used: {namespace:?} is no pattern: {why}"));
            continue;
        }
        let sort_column = reader.text(&at, value, "sortColumn").filter(|text| {
            let fits = text.rsplit_once(':').is_some_and(|(_, way)| matches!(way, "asc" | "desc"));
            if !fits {
                let what = format!("sortColumn {text:?} is not COLUMN:asc or COLUMN:desc, and is ignored");
                reader.problem(&format!("{at}/sortColumn"), what);
            }
            fits
        });
        let columns = reader.list(&format!("{at}/columns"), value, "columns");
        setup.views.push(View { of: of.clone(), columns, sort_column });
    }
}

const JUMP_KEYS: &[&str] = &["targetGVR", "labelSelector", "fieldSelector", "targetNamespace"];

fn jumps(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    let (name, node) = section(reader, root, &["jumps"]);
    for (from, value) in node.entries() {
        let at = format!("{name}/{from}");
        reader.unknown_keys(&at, value, JUMP_KEYS);
        let Some(to) = reader.text(&at, value, "targetGVR").filter(|to| !to.trim().is_empty()) else {
            reader.problem(&at, format!("the jump from {from} cannot be used: it has no targetGVR"));
            continue;
        };
        let jump = Jump {
            from: from.clone(),
            to: to.trim().to_owned(),
            label_selector: reader.text(&at, value, "labelSelector"),
            field_selector: reader.text(&at, value, "fieldSelector"),
            target_namespace: reader.text(&at, value, "targetNamespace"),
        };
        if jump.label_selector.is_none() && jump.field_selector.is_none() {
            let what =
                format!("the jump from {from} has neither labelSelector nor fieldSelector: it shows all");
            reader.problem(&at, what);
        }
        setup.jumps.push(jump);
    }
}

/// Settings of `config.yaml` that mean nothing here, and why.
const UNUSED: &[(&str, &str)] = &[
    ("refreshRate", "nothing is polled here: every table is a watch"),
    ("apiServerTimeout", "each call has a time limit of its own"),
    ("maxConnRetry", "a lost cluster is tried again for as long as somebody looks"),
    ("liveViewAutoRefresh", "r keeps a text up to date"),
    ("skipLatestRevCheck", "nobody is asked for newer versions"),
    ("disablePodCounting", "pods are counted by the watch that is open anyway"),
    ("screenDumpDir", "what is saved goes into the state directory"),
    ("logger", "logs are held whole; their keys turn the same options"),
    ("thresholds", "the server's own conditions decide what is a fault"),
    ("gpuVendors", "resources are shown as the node names them"),
    ("imageScans", "images are not scanned"),
    ("proxy", "the kubeconfig's proxy-url is used"),
    ("featureGates", "whether a node's shell may be opened is the policy's to say"),
    ("cluster", ""),
    ("clusters", "the files of contexts are read instead"),
];
const USED: &[&str] = &[
    "readOnly",
    "noExitOnCtrlC",
    "defaultView",
    "ui",
    "skin",
    "namespace",
    "view",
    "currentContext",
    "shellPod",
    "portForwardAddress",
];
/// Settings of `shellPod` beside its image and namespace.
const UNUSED_SHELL_POD: &[&str] =
    &["limits", "command", "args", "imagePullPolicy", "imagePullSecrets", "labels", "tty", "hostPathVolume"];
const UI: &[&str] = &[
    "enableMouse",
    "headless",
    "logoless",
    "crumbsless",
    "splashless",
    "noIcons",
    "reactive",
    "skin",
    "defaultsToFullScreen",
    "useFullGVRTitle",
    "invert",
];

const UNUSED_UI: &[(&str, &str)] = &[
    ("enableMouse", "screen.mouse of Quarterdeck's own configuration says whether the mouse is taken"),
    ("headless", "there is one header line, and Ctrl-e turns the tall one on"),
    ("logoless", "there is no logo"),
    ("splashless", "there is no splash"),
    ("noIcons", "there are no icons"),
    ("reactive", "skins are followed; the rest is read at the start, with each context and by :k9s"),
    ("useFullGVRTitle", "titles have the kind's plural"),
    ("invert", "a theme of one's own can be light: :theme light"),
];

fn config(reader: &mut Reader<'_>, root: &Node, setup: &mut Setup) {
    let (_, node) = section(reader, root, &["k9s"]);
    let known: Vec<&str> = USED.iter().copied().chain(UNUSED.iter().map(|(key, _)| *key)).collect();
    reader.unknown_keys("k9s", node, &known);
    for (key, why) in UNUSED.iter().filter(|(_, why)| !why.is_empty()) {
        if node.get(key).is_some_and(|value| *value != Node::Null) {
            reader.problem(&format!("k9s/{key}"), format!("{key} is not used: {why}"));
        }
    }
    let settings = &mut setup.settings;
    let mut over = |old: &mut Option<bool>, path: &str, node: &Node, key: &str| {
        if let Some(new) = reader.bool(&format!("{path}/{key}"), node, key) {
            *old = Some(new);
        }
    };
    let nothing = Node::Null;
    let ui = node.get("ui").unwrap_or(&nothing);
    over(&mut settings.read_only, "k9s", node, "readOnly");
    over(&mut settings.no_exit_on_ctrl_c, "k9s", node, "noExitOnCtrlC");
    over(&mut settings.crumbsless, "k9s/ui", ui, "crumbsless");
    over(&mut settings.full_screen, "k9s/ui", ui, "defaultsToFullScreen");
    reader.unknown_keys("k9s/ui", ui, UI);
    for (key, why) in
        UNUSED_UI.iter().filter(|(key, _)| ui.get(key).is_some_and(|value| *value != Node::Null))
    {
        reader.problem(&format!("k9s/ui/{key}"), format!("{key} is not used: {why}"));
    }
    for (path, node) in [("k9s/ui/skin", ui), ("k9s/skin", node)] {
        if let Some(skin) = reader.text(path, node, "skin").filter(|s| !s.trim().is_empty()) {
            settings.skin = Some(skin);
        }
    }
    let view = node.get("view").unwrap_or(&nothing);
    let view = reader.text("k9s/view/active", view, "active");
    if let Some(view) =
        view.or(reader.text("k9s/defaultView", node, "defaultView")).filter(|v| !v.trim().is_empty())
    {
        settings.default_view = Some(view);
    }
    let namespace = node.get("namespace").unwrap_or(&nothing);
    if let Some(active) = reader.text("k9s/namespace/active", namespace, "active").filter(|n| !n.is_empty()) {
        settings.namespace = Some(active);
    }
    let address = reader.text("k9s/portForwardAddress", node, "portForwardAddress");
    if let Some(address) = address.filter(|a| !a.trim().is_empty()) {
        settings.forward_address = Some(address);
    }
    shell_pod(reader, node.get("shellPod").unwrap_or(&nothing), settings);
    let favourites = reader.list("k9s/namespace/favorites", namespace, "favorites");
    if !favourites.is_empty() {
        settings.favourites = favourites;
    }
}

/// The pod of a node's shell.
fn shell_pod(reader: &mut Reader<'_>, node: &Node, settings: &mut Settings) {
    for (key, setting) in [("image", &mut settings.shell_image), ("namespace", &mut settings.shell_namespace)]
    {
        let text = reader.text(&format!("k9s/shellPod/{key}"), node, key);
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            *setting = Some(text);
        }
    }
    let known: Vec<&str> = ["image", "namespace"].iter().chain(UNUSED_SHELL_POD).copied().collect();
    reader.unknown_keys("k9s/shellPod", node, &known);
    for key in UNUSED_SHELL_POD.iter().filter(|key| node.get(key).is_some_and(|v| *v != Node::Null)) {
        let what = format!("{key} is not used: the pod of a node's shell is made the same everywhere");
        reader.problem(&format!("k9s/shellPod/{key}"), what);
    }
}
